"""The rules of lint: for each code what is found, why it matters, and an example with what to write instead."""

from __future__ import annotations

from gradcli.language.formulas import SPELLINGS
from gradcli.tuples import NamedTuple


class Rule(NamedTuple):
    """A rule: its ``code``, what it finds in a phrase, why that matters, an example, and what the example becomes."""

    code: str
    finds: str
    why: str
    example: str
    better: str
    mends: bool = False


OTHERS = (
    Rule("unused-variable", "a variable that nothing uses",
         "Its gradient is None, and a misspelt name elsewhere may be the reason.",
         "variable x = 1.0; variable w = 2.0; y = x^2", "variable x = 1.0; y = x^2"),
    Rule("unused-constant", "a constant that nothing uses", "A misspelt name elsewhere may be the reason.",
         "constant k = 2.0; variable x = 1.0; y = x^2", "variable x = 1.0; y = x^2"),
    Rule("unused-definition", "a definition that no output needs", "It is computed for nothing, or an output is missing.",
         "variable x = 1.0; p = x^2; y = 3*x; output y", "variable x = 1.0; y = 3*x; output y"),
    Rule("unused-function", "a function that nothing calls", "It is never looked into, so errors in it stay.",
         "def f(x) = x^2\nvariable x = 1.0; y = 3*x", "variable x = 1.0; y = 3*x"),
    Rule("unused-parameter", "a parameter that its function does not use",
         "Arguments for it have no effect. A name that begins with an underscore is meant so.",
         "def f(x, k) = x^2\nvariable x = 1.0; y = f(x, 2.0)", "def f(x) = x^2\nvariable x = 1.0; y = f(x)"),
    Rule("unused-local", "a name in a function's block that nothing uses", "It is computed for nothing.",
         "def f(x) = { a = 2*x; x^2 }\nvariable x = 1.0; y = f(x)", "def f(x) = x^2\nvariable x = 1.0; y = f(x)"),
    Rule("integer-variable", "a variable of integers that is differentiated",
         "Its gradient is that of integer arithmetic, and `x^0.5` or a step of a fit makes floats of it.",
         "variable x = 3; y = x^2", "variable x = 3.0; y = x^2"),
    Rule("no-influence", "a variable from which no gradient leads to an output",
         "Its gradient is None: an operation without a derivative, or stop_gradient, cuts each way.",
         "variable x = 2.5; y = floor(x)", "constant x = 2.5; y = floor(x)"),
    Rule("root-of-zero", "a root of what can be 0", "Its slope there is infinite, and 0 times that is NaN.",
         "variable x = [0.0, 1.0]; y = sum(sqrt(x^2))", "variable x = [0.0, 1.0]; y = sum(abs(x))"),
    Rule("constant-branch", "a constant for one point of a function that is smooth there",
         "The derivatives at the point are those of the constant, 0.",
         "variable x = 1.0; y = where(x == 1, 0.0, log(x))",
         "variable x = 1.0; y = log(x)"),
    Rule("swapped-arguments", "labels and logits in the wrong order",
         "The loss is that of a softmax of the labels, and its gradient leads nowhere useful.",
         "variable logits = [[1.0, 2.0]]; constant labels = [[0.0, 1.0]]; y = softmax_cross_entropy(logits, labels)",
         "variable logits = [[1.0, 2.0]]; constant labels = [[0.0, 1.0]]; y = softmax_cross_entropy(labels, logits)"),
)  # fmt: skip
"""The rules that do not concern the spelling of a formula."""


def rules() -> dict[str, Rule]:
    """All rules by code, in order."""
    found = {rule.code: rule for rule in OTHERS}
    for s in SPELLINGS:
        pattern = s.patterns[0].replace(", axis=axis, keepdims=keepdims", "").replace(", axis=axis", "")
        better = s.better.replace(", axis=axis, keepdims=keepdims", "").replace(", axis=axis", "")
        why = f"{s.why}."
        found.setdefault(s.code, Rule(s.code, f"`{pattern}`, which `{better}` is for", why, pattern, better, True))
    return found
