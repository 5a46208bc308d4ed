"""What is likely a mistake in a program that works: names without a use, variables without influence, unstable formulas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from gradcli.autodiff.connection import connected
from gradcli.diagnostics import GradcliError, Label, Span, on_one_line
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import constant_value, kernel_value
from gradcli.graph.types import is_float, is_integer
from gradcli.language import syntax
from gradcli.language.builtin import OPERATIONS
from gradcli.language.mending import Edit
from gradcli.language.reasons import explain
from gradcli.language.spellings import Found, Search, expressions, rewritten, unparenthesised
from gradcli.language.walking import functions, names, parts, statements_of, values_of
from gradcli.program.loaded import Loaded
from gradcli.results import Reason
from gradcli.tuples import NamedTuple

EXPLAINED = 30
"""How many variables without influence are told why; each costs a walk through the graph."""


class Finding(NamedTuple):
    """One thing that lint found: a word for its sort, a sentence, the places, and what to write instead.

    ``edit`` writes that, where it cannot change shapes, dtypes or None.
    """

    code: str
    message: str
    labels: tuple[Label, ...]
    help: str | None = None
    edit: Edit | None = None

    @property
    def span(self) -> Span:
        return self.labels[0].span


def lint(program: Loaded) -> list[Finding]:
    """What is found in a program, in the order of its lines.

    A comment ``# lint: ignore CODE, …``, or ``ignore[CODE, …]``, behind a statement, or on a line of its own for all of them, leaves out the
    findings with these codes; without codes, all.
    """
    checks = _Checks(program.written_out_if_short())
    found = [
        *checks.unused(),
        *checks.without_influence(),
        *checks.swapped(),
        *checks.spelled(),
        *checks.roots(),
        *checks.constants(),
    ]
    ignored = _ignored(program.source.text)
    kept = [f for f in found if not any(_covers(ignored.get(line), f.code) for line in (0, f.span.line))]
    return sorted(kept, key=lambda finding: (finding.span.start, finding.code))


class _Checks:
    def __init__(self, program: Loaded) -> None:
        self.program = program
        self.graph = program.graph
        self.source = program.source
        self.statements = program.syntax.statements
        self.used = _used(program.syntax)
        self.outputs = self._outputs()
        self.respelled: list[Span] = []

    def label(self, at: syntax.Syntax, text: str = "") -> Label:
        return Label(Span(self.source, at.start, at.end), text)

    def _outputs(self) -> list[str]:
        """What the program is for: its outputs, else the definitions that no other one uses."""
        if self.graph.outputs:
            return list(dict.fromkeys(self.graph.outputs))
        ends = [name for name in self.graph.definitions if name not in self.used]
        return ends or self.graph.definitions[-1:]

    # names

    def unused(self) -> Iterator[Finding]:
        for statement in self.statements:
            match statement:
                case syntax.Declaration() if self._is_unused(statement.name):
                    yield Finding(
                        f"unused-{statement.kind}",
                        f"nothing uses the {statement.kind} `{statement.name.id}`",
                        (self.label(statement.name),),
                        "remove its line, or use it",
                    )
                case syntax.Tangent():
                    pass  # its parameters are those of its function
                case syntax.Function():
                    if self._is_unused(statement.name):
                        yield self._uncalled(statement)
                    for function, _ in functions([statement]):
                        if not isinstance(function, syntax.Tangent):
                            yield from self._unused_in(function)
                case syntax.Assignment() if self.graph.outputs and all(map(self._is_unused, statement.targets)):
                    listed = ", ".join(f"`{target.id}`" for target in statement.targets)
                    yield Finding(
                        "unused-definition",
                        f"no output needs {listed}",
                        (self.label(statement.targets[0]),),
                        f"remove its line, or add it to the outputs: `output {statement.targets[0].id}`",
                    )

    def _is_unused(self, name: syntax.Name) -> bool:
        return name.id not in self.used and name.id not in self.graph.outputs and not name.id.startswith("_")

    def _uncalled(self, function: syntax.Function) -> Finding:
        return Finding(
            "unused-function", f"nothing calls the function `{function.name.id}`", (self.label(function.name),),
            "remove it, or call it",
        )  # fmt: skip

    def _unused_in(self, function: syntax.Function) -> Iterator[Finding]:
        inner = list(functions([function]))
        values = [value for other, _ in inner for value in values_of(other)]
        defaults = [p.default for other, _ in inner[1:] for p in other.parameters if p.default is not None]
        used = {name.id for name in names([*values, *defaults])}
        for parameter in function.parameters:
            if parameter.name.id not in used and not parameter.name.id.startswith("_"):
                yield Finding(
                    "unused-parameter",
                    f"`{function.name.id}` does not use its parameter `{parameter.name.id}`",
                    (self.label(parameter.name),),
                    "remove it, or begin its name with an underscore",
                )
        for statement in statements_of(function):
            if isinstance(statement, syntax.Tangent):
                continue
            if isinstance(statement, syntax.Function):
                if statement.name.id not in used and not statement.name.id.startswith("_"):
                    yield self._uncalled(statement)
            elif isinstance(statement, syntax.Assignment):
                targets = statement.targets
                if not any(target.id in used or target.id.startswith("_") for target in targets):
                    yield Finding(
                        "unused-local", f"`{function.name.id}` does not use `{targets[0].id}`",
                        (self.label(targets[0]),), "remove its line",
                    )  # fmt: skip

    # derivatives

    def without_influence(self) -> Iterator[Finding]:
        """Variables from which no gradient leads to an output, and integers that one does lead to."""
        ys = [y for name in self.outputs if isinstance(y := self.graph.names[name], Node)]
        if not ys:
            return
        reached = connected(ys)
        explained = 0
        declared = {s.name.id: s for s in self.statements if isinstance(s, syntax.Declaration)}
        for name in self.graph.variables:
            leaf = self.graph.leaves[name]
            at = declared[name].name
            if leaf in reached and is_integer(leaf.dtype):
                yield Finding(
                    "integer-variable",
                    f"the variable `{name}` is {leaf.dtype}, so its gradient is that of integer arithmetic",
                    (self.label(at, f"dtype {leaf.dtype}"),),
                    f"give its value a decimal point, or declare `variable {name}: {self.graph.float_dtype}`;"
                    " what is not a variable is a `constant`",
                )
            elif leaf not in reached and (name in self.used or name in self.graph.outputs):
                explained += 1
                if explained > EXPLAINED:
                    reason = Reason("every way is cut")
                else:
                    reason = explain(self.graph, self.outputs, ys, name, leaf, [])
                cut = (Label(reason.span, "here"),) if reason.span is not None else ()
                listed = " or ".join(f"`{output}`" for output in self.outputs[:3])
                yield Finding(
                    "no-influence",
                    f"no gradient leads from `{name}` to {listed}{' or …' * (len(self.outputs) > 3)}: {reason.with_line()}",
                    (self.label(at), *cut),
                    f"if that is meant, declare it `constant {name}`",
                )

    def swapped(self) -> Iterator[Finding]:
        """Labels and logits in the wrong order: what comes first is computed from variables, or called logits."""
        found = [
            (call, op.signature, local)
            for expression, local in expressions(self.program.syntax)
            for call in _calls(expression)
            if isinstance(call.function, syntax.Name)
            and (op := OPERATIONS.get(call.function.id)) is not None
            and [p.name for p in op.parameters[:2]] == ["labels", "logits"]
            and len(call.arguments) == 2
            and all(argument.name is None for argument in call.arguments)
        ]
        if not found:
            return
        varies = connected_to(cone([value for value in self.graph.names.values() if isinstance(value, Node)]))
        for call, signature, local in found:
            first, second = ([name.id for name in names([argument.value])] for argument in call.arguments)
            moving = [
                any(x not in local and self.graph.names.get(x) in varies for x in side) for side in (first, second)
            ]
            called = [any("logit" in x.lower() for x in side) for side in (first, second)]
            if moving == [True, False] and called != [False, True] or called == [True, False]:
                a, b = (on_one_line(self.source.text[x.value.start : x.value.end]) for x in call.arguments)
                yield Finding(
                    "swapped-arguments",
                    f"the signature is `{signature}`, and `{_brief(a)}` looks like the logits",
                    (self.label(call.arguments[0], "labels are expected here"),),
                    f"write `{self.source.text[call.function.start : call.function.end]}({_brief(b)}, {_brief(a)})`",
                )

    # formulas

    def spelled(self) -> Iterator[Finding]:
        found = list(Search(self.program.syntax).found())
        if not found:
            return
        spans = {(f.at.start, f.at.end) for f in found}
        made: dict[tuple[int, int], list[Node]] = {}
        for node, place in self.graph.places.items():
            if place in spans:
                made.setdefault(place, []).append(node)
        for f in found:
            nodes = made.get((f.at.start, f.at.end), [])
            # Of arrays with more axes, the formula is a softmax over all entries, which has no name.
            if f.rule.whole and not f.captured.get("axis") and any(node.rank != 1 for node in nodes):
                continue
            if f.rule.matrices and any(x.rank > 2 for node in nodes for x in node.inputs):
                continue
            if f.rule.code in ("norm", "hypot", "sinc", "filled-gap"):
                self.respelled.append(Span(self.source, f.at.start, f.at.end))
            yield self._respelled(f, bool(nodes))

    def _respelled(self, f: Found, called: bool) -> Finding:
        text = self.source.text
        better = rewritten(f, text)
        written = on_one_line(text[f.at.start : f.at.end])
        axis = f.captured.get("axis")
        sure = called and not f.through and "#" not in text[f.at.start : f.at.end]
        if f.rule.code == "softmax" and axis is not None:
            sure = sure and not isinstance(axis, (syntax.List, syntax.Word))
        labels = (self.label(f.at), *(self.label(definition, "with this") for definition in f.through))
        return Finding(
            f.rule.code,
            f"`{_brief(written)}` has a better spelling: {f.rule.why}",
            labels,
            f"write `{on_one_line(better)}`",
            Edit(f.at.start, f.at.end, better) if sure else None,
        )

    def roots(self) -> Iterator[Finding]:
        """Square roots, and other powers below 1, of what reaches 0: their slope there is infinite."""
        everything = cone([value for value in self.graph.names.values() if isinstance(value, Node)])
        varies = set()
        selected: set[Node] = set()
        for node in everything:
            if node.op.name == "leaf" and node.attrs["kind"] == "variable" or any([x in varies for x in node.inputs]):
                varies.add(node)
            if node.op.name == "where":
                selected.update(node.inputs[1:])
        seen: set[tuple[int, int]] = set()
        for node in everything:
            place = self.graph.places.get(node)
            if place is None or place in seen or node not in varies or node in selected or not _is_root(node):
                continue
            if self._reaches_zero(node.inputs[0]) and not any(
                s.start <= place[0] and place[1] <= s.end for s in self.respelled
            ):
                seen.add(place)
                yield Finding(
                    "root-of-zero",
                    f"what is under `{_brief(on_one_line(self.source.text[slice(*place)]))}` can be 0, where the slope"
                    " is infinite: the gradient there is inf or NaN",
                    (Label(Span(self.source, *place)),),
                    "keep it away from 0, `sqrt(x + 1e-12)`, or select: `where(x > 0, sqrt(x), 0)`",
                )

    def constants(self) -> Iterator[Finding]:
        """``where(x == a, c, f(x))`` with f smooth at a: the slope there is the constant's, 0, where that of f is meant."""
        everything = cone([value for value in self.graph.names.values() if isinstance(value, Node)])
        choices = [node for node in everything if node.op.name == "where" and node in self.graph.places]
        varies = connected_to(everything) if choices else set()
        for node in choices:
            start, end = self.graph.places[node]
            condition, a, b = node.inputs
            if condition.op.name not in ("equal", "not_equal") or any(
                s.start <= start and end <= s.end for s in self.respelled
            ):
                continue
            constant, function = (a, b) if condition.op.name == "equal" else (b, a)
            value = constant_value(constant)
            for x, there in (condition.inputs, condition.inputs[::-1]):
                at = constant_value(there)
                if x in varies and at is not None and is_float(x.dtype) and value is not None and function in varies:
                    slope = self._slope(function, x, float(at), float(value))
                    if slope is not None:
                        yield self._constant(Span(self.source, start, end), function, x, float(at), float(value), slope)

    def _slope(self, function: Node, x: Node, at: float, value: float) -> float | None:
        """The slope at a place of a function that has, or tends to, a value there; None where it is not smooth."""
        if x not in set(cone([function])):
            return None
        slopes: list[float] = []
        for step in (1e-3, 1e-4):
            right, left = (self._value_at(function, x, at + sign * step) for sign in (1, -1))
            if right is None or left is None or not abs(right - value) + abs(left - value) < 1e3 * step:
                return None
            if not abs((right - value) - (value - left)) < 0.1 * step * max(1.0, abs(right - left) / step):
                return None
            slopes.append((right - left) / (2 * step))
        first, second = slopes
        return second if abs(first - second) <= 1e-2 * max(abs(second), 1e-2) else None

    def _value_at(self, function: Node, x: Node, at: float) -> float | None:
        """The first entry of a function of x where all entries of x have a value; None where it cannot be computed."""
        import numpy as np

        values: dict[Node, Any] = {x: np.full(x.shape, at, "float64")}
        try:
            with np.errstate(all="ignore"):
                for node in cone([function]):
                    if node not in values:
                        values[node] = self._entries(node, values)
        except (GradcliError, ArithmeticError, TypeError, ValueError):
            return None
        entries = np.asarray(values[function]).ravel()
        return float(entries[0]) if entries.size else None

    def _entries(self, node: Node, values: dict[Node, Any]) -> Any:
        import numpy as np

        if node.op.name == "leaf":
            return self.program.leaf_value(node)
        if node.op.kernel is None or not all([i in values for i in node.inputs]):
            raise ValueError
        return np.asarray(kernel_value(np, node, [values[i] for i in node.inputs]))

    def _constant(self, place: Span, function: Node, x: Node, at: float, value: float, slope: float) -> Finding:
        written = self.graph.places.get(function)
        shown = self.source.text[slice(*written)] if written else ""
        if function.op.name == "leaf":
            shown = function.attrs["name"]
        there = self._value_at(function, x, at)
        if there is not None and abs(there - value) <= 1e-9 * max(1.0, abs(value)) and shown:
            help = f"the function has that value there by itself: write `{_brief(unparenthesised(shown))}`"
        else:
            name = x.attrs["name"] if x.op.name == "leaf" else "x"
            moved = name if not at else f"({name} {'-' if at > 0 else '+'} {abs(at):g})"
            line = f"{value:g} {'-' if slope < 0 else '+'} {abs(slope):.6g}*{moved}"
            help = (
                f"put the power series of the function in place of the constant, which begins with `{line}`, and take it"
                f" for all small `{moved}`: the function loses its digits there"
            )
        return Finding(
            "constant-branch",
            f"`{_brief(' '.join(place.text.split()))}` has the derivatives of the constant there, 0, not those of the"
            " function",
            (Label(place),),
            help,
        )

    def _reaches_zero(self, x: Node) -> bool:
        """Whether a value that is never negative can be 0, as far as its operations show; a leaf, by its own value."""
        while x.op.name in ("sum", "mean", "max", "min", "reshape", "broadcast_to", "identity", "index", "transpose"):
            x = x.inputs[0]
        if x.op.name == "leaf":
            initial = self.graph.initial.get(x)
            return initial is not None and not self.program.leaf_value(x).all()
        if x.op.name == "multiply":
            return x.inputs[0] is x.inputs[1]
        if x.op.name == "pow":
            exponent = constant_value(x.inputs[1])
            return exponent is not None and exponent > 0 and exponent % 2 == 0
        if x.op.name == "maximum":
            return any(constant_value(side) == 0 for side in x.inputs)
        return x.op.name in ("square", "abs", "relu")


IGNORE = re.compile(r"#\s*lint:\s*ignore\b[ \t]*\[?[ \t]*((?:[a-z][a-z0-9-]*(?:[ \t]*,[ \t]*)?)*)")


def _ignored(text: str) -> dict[int, set[str]]:
    """The codes that comments name, by line; those of line 0 are for the whole program. No code is every code."""
    result: dict[int, set[str]] = {}
    if "lint:" not in text:
        return result
    for number, line in enumerate(text.split("\n"), 1):
        match = IGNORE.search(line)
        if match is not None:
            alone = not line[: match.start()].strip()
            codes = {code.strip() for code in match[1].split(",")}
            result.setdefault(0 if alone else number, set()).update(codes)
    return result


def _covers(codes: set[str] | None, code: str) -> bool:
    return codes is not None and (code in codes or "" in codes)


def connected_to(everything: Sequence[Node]) -> set[Node]:
    """The nodes to which a gradient leads from some variable."""
    varies: set[Node] = set()
    for node in everything:
        if node.op.name == "leaf":
            if node.attrs["kind"] == "variable":
                varies.add(node)
        elif any([node.inputs[i] in varies for i in node.op.differentiable_inputs(node)]):
            varies.add(node)
    return varies


def _calls(expression: syntax.Expression) -> Iterator[syntax.Call]:
    """The calls in an expression."""
    todo: list[syntax.Syntax] = [expression]
    while todo:
        inner = todo.pop()
        if isinstance(inner, syntax.Call):
            yield inner
        todo += parts(inner)


def _is_root(node: Node) -> bool:
    if node.op.name == "pow":
        exponent = constant_value(node.inputs[1])
        return exponent is not None and 0 < exponent < 1
    return node.op.name == "sqrt"


def _used(program: syntax.Program) -> set[str]:
    """The names of the top level that something uses; an output does not count as a use."""
    used = {statement.name.id for statement in program.statements if isinstance(statement, syntax.Seed)}
    for expression, local in expressions(program):
        used.update(name.id for name in names([expression]) if name.id not in local)
    return used


def _brief(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
