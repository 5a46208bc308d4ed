"""``check`` against rules that are wrong, each in another way, and against programs that are right and look wrong.

The wrong rules are put into the table, so that none of them depends on what the rules of the package are.
"""

from __future__ import annotations

import math
import sys

import pytest

import gradcli
from gradcli.autodiff import orders
from gradcli.features.check import digits
from gradcli.features.check.answer import Settings
from gradcli.features.check.answer import check as run_check
from gradcli.graph.operation import Elementwise, Operation, Tangent, unchanged
from gradcli.graph.ops import elementwise as e
from gradcli.graph.ops import reductions, selection, table
from tests.graph.test_operations import SPECS


def verdicts(text, **how):
    return {(c.order, c.method): c.verdict for c in run_check(gradcli.loads(text), how=Settings(**how)).comparisons}


def failed(text):
    return {place for place, verdict in verdicts(text).items() if verdict == "FAILED"}


def _unary(name, kernel, partial):
    """An operation of the tests alone, whose value is right."""
    return Operation(
        name,
        "x",
        "",
        family="elementwise",
        accepts="float",
        infer=unchanged,
        kernel=kernel,
        rule=Elementwise((partial,)),
    )


_steep_cosine = _unary("steep_cosine", lambda xp, x: xp.cos(x), lambda y, x: -(1 + 1e-6) * e.sin(x))
_right_slope = _unary(  # of the logistic function, with a derivative that has lost its digits
    "right_slope", lambda xp, x: xp.exp(-xp.abs(x)) / (1 + xp.exp(-xp.abs(x))) ** 2,
    lambda y, x: y * (1 - 2 * (1 - e.recip(1 + e.exp(x)))) * selection.cast_to(selection.less(x, 36.0), x.dtype),
)  # fmt: skip


def _norm(y, inputs, tangents):
    """x·dx / sqrt(x·x), whose squares overflow and vanish."""
    (x,), (dx,) = inputs, tangents
    return reductions.sum_(x * dx) * e.recip(e.sqrt(reductions.sum_(e.square(x))))


WRONG = {
    "sign": ("sin", Elementwise((lambda y, x: -e.cos(x),)), "x = 0.3; y = sin(x)", 1),
    "factor": ("sin", Elementwise((lambda y, x: (1 + 1e-6) * e.cos(x),)), "x = 0.3; y = sin(x)", 1),
    "a smaller factor": ("exp", Elementwise((lambda y, x: (1 - 1e-8) * y,)), "x = 0.3; y = exp(x)*x", 1),
    "factor of a small term": ("sin", Elementwise((lambda y, x: 1.1 * e.cos(x),)), "x = 0.3; y = exp(10) + 1e-9*sin(x)", 1),
    "factor of a small entry": ("sin", Elementwise((lambda y, x: 1.1 * e.cos(x),)), "x = [1e-200, 5.0]; y = sum(x*[1e-9, 1.0] + sin(x)*[1e-12, 0.0])", 1),
    "saturated above": ("sigmoid", Elementwise((lambda y, x: y * (1 - y),)), "x = 40.0; y = sigmoid(x)", 1),
    "saturated far above": ("sigmoid", Elementwise((lambda y, x: y * (1 - y),)), "x = 690.0; y = sigmoid(x)", 1),
    "half saturated": ("sigmoid", Elementwise((lambda y, x: y * (1 - y),)), "x = 30.0; y = sigmoid(x)", 1),
    "saturated tanh": ("tanh", Elementwise((lambda y, x: 1 - y * y,)), "x = -20.0; y = 3*tanh(x)", 1),
    "saturated among others": ("tanh", Elementwise((lambda y, x: 1 - y * y,)), "x = [0.1, 25.0]; y = sum(tanh(x))", 1),
    "overflow inside": ("hypot", Elementwise((lambda y, a, b: a * e.recip(e.sqrt(a * a + b * b)), lambda y, a, b: b * e.recip(y))), "x = 1e200; y = hypot(x, 1e199)", 1),
    "underflow inside": ("hypot", Elementwise((lambda y, a, b: a * e.recip(e.sqrt(a * a + b * b)), lambda y, a, b: b * e.recip(y))), "x = 1e-200; y = hypot(x, 1e-199)", 1),
    "atan2 overflows": ("atan2", Elementwise((lambda y, a, b: b * e.recip(a * a + b * b), lambda y, a, b: -a * e.recip(a * a + b * b))), "x = 1e200; y = atan2(x, 1e180)", 1),
    "norm overflows": ("norm", Tangent(_norm), "x = [1e200, 3e199]; y = norm(x)", 1),
    "wrong at order 2 only": ("sin", Elementwise((lambda y, x: _steep_cosine(x),)), "x = 0.3; y = sin(x)", 2),
    "saturated at order 2 only": ("sigmoid", Elementwise((lambda y, x: _right_slope(x),)), "x = 40.0; y = sigmoid(x)", 2),
    "none": ("sin", Elementwise((None,)), "x = 1e-9; y = 1 + 1e-9*sin(x)", 1),
    "below cancelling terms": ("sin", Elementwise((lambda y, x: 1.1 * e.cos(x),)), "x = 0.7; y = exp(3*x) - exp(x)*exp(2*x) + 1e-8*sin(x)", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_found(monkeypatch, name):
    operation, rule, text, order = WRONG[name]
    monkeypatch.setattr(table[operation], "rule", rule)
    assert min(order for order, _ in failed(f"variable {text}")) == order


RIGHT = [
    "x = 0.7; y = exp(3*x) - exp(x)*exp(2*x)",
    "x = 3.0; y = (x + 1)^2 - x^2 - 2*x",
    "x = 300.; y = log(exp(x)) - x",
    "x = 1e8; y = sqrt(x^2 + 1) - x",
    "x = 0.3; y = sin(x)^2 + cos(x)^2",
    "x = 1e-5; y = (1 - cos(x))/x^2",
    "x = 1e6; y = cos(x)",
    "x = 1e200; y = sin(x)",
    "x = 1e17; y = exp(-x)",
    "x = 1e-300; y = sqrt(x)",
    "x = 1e-120; y = 1 - cos(x)",
    "x = 1e150; y = x^2",
    "x = 1e-200; y = x^3",
    "x = 1e200; y = x^3",
    "x = -1e150; y = log(x^2)",
    "x = [1e-200, 1.0]; y = sum(relu(x) + abs(x))",
    "x = [1e150, 1e-150, 1.0]; y = sum(x*[1e-150, 1e150, 1.0])",
    "x = [1e8, 1.0]; y = sum(x) - x[0]",
    "x = 1.0; y = (1e16 + x) - 1e16",
    "x = 5.0; y = mod(x, 1.7)*1e5",
    "x = 800.0; y = exp(x)",
    "x = [[1.0, 2.0], [2.0, 4.0000001]]; y = det(x)",
    "x = [[1.0, 2.0], [2.0, 4.001]]; y = sum(inv(x))",
    "x = [1.0, 2.0, 3.0]; y = sum(softmax(x))",
    "x = [1e3, -1e3]; y = logsumexp(x) - x[0]",
    "x = -1.0; y = sqrt(maximum(x, 0))",
    "x = [-1.0, 4.0]; y = sum(sqrt(relu(x)))",
    "x = -1.0; y = log(relu(x) + 1) + relu(x)^0.5",
    "x = 0.0; y = abs(x)*x",
    "x = [-0.6484, -1.3721, -1.6439]; y = x/x",
    "x = [0.5, -2.0]; variable b = [0.5, 0.7]; y = log1p(2*x) - b",
    "x = [0.5, inf]; y = 3*x",
    "x = 1.4; variable p = 0.0; y = log2(x^p)",
    "x = -1.0; y = (x + 0.5)^x",
]


LOST = ["det(outer(a, a))", "u = singular_vectors(a); u*u"]
"""Where all that is compared is rounding: cofactors that are all 0, and entries whose sum does not change."""

CASES = [
    pytest.param(case, id=f"{name}-{i}", marks=[pytest.mark.slow] if i > 1 else [])
    for name, some in SPECS.items()
    for i, case in enumerate([c for c in some if c.derivative and c.shapes and "load(" not in c.expression])
    if case.expression not in LOST
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_operation_passes(case):
    program = gradcli.loads(case.program())
    found = program.check(["y"], values=case.point(), directions=1)
    assert {c.verdict for c in found.comparisons if c.order == 1} == {"ok"}, case.expression
    assert found.passed, case.expression


@pytest.mark.slow
@pytest.mark.parametrize("text", RIGHT)
def test_a_right_program_passes(text):
    assert failed(f"variable {text}") == set()


@pytest.mark.parametrize("text", ["x = -1.0; y = sqrt(maximum(x, 0))", "x = [-1.0, 4.0]; y = sum(sqrt(relu(x)))"])
def test_where_only_one_mode_is_finite_is_a_kink(text):
    """What is not selected contributes nothing: reverse mode gives 0, and a tangent of 0 times infinity is none of it."""
    found = run_check(gradcli.loads(f"variable {text}"))
    assert [kink.text for kink in found.kinks] == ["sqrt at 0"]
    assert {c.verdict for c in found.comparisons} <= {"ok", "kink"}
    assert found.comparisons[0].reverse == 0


@pytest.mark.parametrize(
    "text",
    [
        "x = 1e8; y = floor(x)*x",
        "x = 3e15; y = ceil(x) + x",
        "x = 1e-8; y = mod(x, 1e-200)",
        "x = -7e12; y = x - trunc(x)",
    ],
)
def test_jumps_closer_than_the_steps_of_differences_are_kinks(text):
    found = run_check(gradcli.loads(f"variable {text}"))
    assert found.kinks
    assert {c.verdict for c in found.comparisons} <= {"ok", "kink"}


def test_a_mode_that_is_not_finite_off_a_kink_fails(monkeypatch):
    right = orders.jvps
    monkeypatch.setattr(orders, "jvps", lambda ys, along: [c * math.nan for c in right(ys, along)])
    assert (1, "forward") in failed("variable x = 0.3; y = sin(x)")


@pytest.mark.slow
def test_every_operation_with_a_derivative_is_evaluated_in_many_digits(monkeypatch):
    """What has no kernel in NumPy's functions has one among the special functions of the namespace."""
    unknown = set()
    right = digits.Differences.along

    def along(self, *arguments):
        try:
            return right(self, *arguments)
        except digits.UnknownError:
            unknown.add(text)
            raise

    monkeypatch.setattr(digits.Differences, "along", along)
    for operation in table.values():
        if operation.family not in ("elementwise", "reductions", "networks") or operation.hidden or operation.expand:
            continue
        if not isinstance(operation.rule, Elementwise | Tangent) or operation.name == "sign":
            continue
        needed = [p.kind for p in operation.parameters if p.default is None and p.kind in ("tensor", "int")]
        # Some have a derivative by the last one only.
        last = len(needed) - 1 - needed[::-1].index("tensor")
        arguments = ", ".join(["1" if k == "int" else "x" if i == last else "0.7" for i, k in enumerate(needed)])
        text = f"variable x = [0.31, 0.42]; y = {operation.name}({arguments})"
        if operation.name == "acosh":
            text = text.replace("0.", "1.")
        run_check(gradcli.loads(text), how=Settings(orders=(1,)))
    assert unknown == set()


def test_without_mpmath_differences_are_those_of_float64(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpmath", None)
    monkeypatch.setattr(digits, "available", lambda: False)
    monkeypatch.setattr("gradcli.features.check.answer.available", lambda: False)
    found = run_check(gradcli.loads("variable x = 0.3; y = sin(x)*x"))
    assert found.passed
    assert any("pip install 'gradcli[check]'" in note for note in found.notes)


@pytest.mark.parametrize("power", ["x^p", "x * x^p", "sum([2.0, x]^p)"])
def test_modes_may_differ_where_there_are_no_values_beside_the_point(power):
    found = verdicts(f"variable x = -2.0; variable p = 3.0; y = {power}")
    assert "FAILED" not in found.values()
    assert found[2, "differences"] == "unclear"
