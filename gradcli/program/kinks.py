"""Where a program is not smooth at the point at which it is evaluated, and what its derivatives are taken as there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradcli.diagnostics import Span
from gradcli.graph.node import Node, cone
from gradcli.graph.types import is_float
from gradcli.language.reasons import COMPARISONS
from gradcli.results import Kink

if TYPE_CHECKING:
    from gradcli.program.loaded import Loaded

Array = np.ndarray[Any, Any]
Values = Sequence[Array]


def _zero(x: Array) -> Any:
    return x == 0


def _whole(x: Array) -> Any:
    return x == np.round(x)


def _tied(node: Node, x: Array, y: Array) -> Any:
    axes = node.attrs["axis"]
    shape = tuple(1 if k in axes else n for k, n in enumerate(x.shape))
    return np.sum(x == np.reshape(y, shape), axis=axes) > 1


def _neighbours(node: Node, x: Array) -> Any:
    return np.diff(np.sort(x, axis=node.attrs["axis"]), axis=node.attrs["axis"]) == 0


class Rule(NamedTuple):
    """What is said of a kink, which entries are on it (from the node, its inputs and its value), what the slope is."""

    text: str
    test: Callable[[Node, Values, Array], Any]
    slope: str

    def at(self, slope: str) -> Rule:
        return self._replace(slope=slope)


def _at_zero(slope: str) -> Rule:
    return Rule("at 0", lambda node, x, y: _zero(x[0]), slope)


JUMPS = "no derivative, the value jumps"
SHARED = "derivative shared evenly by the tied entries, one-sided 0 and 1"
EQUAL = Rule("with equal arguments", lambda node, x, y: x[0] == x[1], "no derivative, the value changes here")
FIRST = EQUAL.at("derivative taken as 1 for the first argument and 0 for the second, one-sided 0 and 1")
AT_WHOLE = Rule("at a whole number", lambda node, x, y: _whole(x[0]), JUMPS)
TIED = Rule("with a tie", lambda node, x, y: _tied(node, x[0], y), SHARED)
SORTED = Rule("with equal entries", lambda node, x, y: _neighbours(node, x[0]), JUMPS)
STEPS = Rule("at a step", lambda node, x, y: _whole(x[0] / x[1]), JUMPS)
ORIGIN = Rule("at 0", lambda node, x, y: _zero(y), "derivative taken as 0, one-sided -1 and 1")
KINKS: Mapping[str, Rule] = {
    "abs": _at_zero("derivative taken as 0, one-sided -1 and 1"),
    "relu": _at_zero("derivative taken as 0, one-sided 0 and 1"),
    "leaky_relu": _at_zero("derivative taken as {alpha}, one-sided {alpha} and 1"),
    "elu": _at_zero("derivative 1 from both sides, the second derivative taken as 0, one-sided 1 and 0"),
    "sign": _at_zero("derivative taken as 0, the value jumps from -1 to 1"),
    "sqrt": _at_zero("derivative infinite, and none below"),
    "cbrt": _at_zero("derivative infinite"),
    "rsqrt": _at_zero("value and derivative infinite, and none below"),
    "maximum": FIRST,
    "minimum": FIRST,
    "max": TIED,
    "min": TIED,
    "argmax": SORTED,
    "argmin": SORTED,
    "sort": SORTED.at("derivative taken for equal entries in the order in which they stand, one-sided either"),
    "argsort": SORTED,
    "norm": ORIGIN,
    "hypot": ORIGIN,
    "atan2": Rule(
        "at the negative x axis",
        lambda node, x, y: _zero(x[0]) & (x[1] <= 0),
        "derivative that of either side, the value jumps from -pi to pi",
    ),
    "divide_no_nan": Rule(
        "at a divisor of 0", lambda node, x, y: _zero(x[1]), "derivative taken as 0, infinite beside it"
    ),
    "xlogy": _at_zero("derivative taken as 0, beside it the logarithm"),
    "pow": Rule(
        "at a base of 0",
        lambda node, x, y: _zero(x[0]) & ((x[1] != np.round(x[1])) | (x[1] <= 0)),
        "derivative that of the formula, which may be infinite",
    ),
    "floor": AT_WHOLE,
    "ceil": AT_WHOLE,
    "trunc": AT_WHOLE,
    "round": Rule("at a half", lambda node, x, y: _whole(x[0] - 0.5), JUMPS),
    "mod": STEPS.at("derivative taken as that of either side, the value jumps"),
    "floor_divide": STEPS,
    "less": EQUAL,
    "less_equal": EQUAL,
    "greater": EQUAL,
    "greater_equal": EQUAL,
    "equal": EQUAL,
    "not_equal": EQUAL,
}


def suspects(roots: Sequence[Node], xs: Sequence[Node] | None) -> list[Node]:
    """The operations that have a kink somewhere and depend on some x (None: on some float), inputs before users."""
    moving = set(xs or ())
    found: list[Node] = []
    for node in cone(roots):
        if xs is None and is_float(node.dtype) or any([x in moving for x in node.inputs]):
            moving.add(node)
        if any([x in moving for x in node.inputs]) and (
            node.op.name in KINKS or (node.op.name == "cast" and node.dtype.startswith("int"))
        ):
            found.append(node)
    return found


def needed(nodes: Sequence[Node]) -> list[Node]:
    """What must be evaluated to tell whether they are at their kinks."""
    return list(dict.fromkeys([node for suspect in nodes for node in (*suspect.inputs, suspect)]))


def met(nodes: Sequence[Node], values: Mapping[Node, Array], place: Callable[[Node], Span | None]) -> list[Kink]:
    """The kinks on which the point lies exactly, each place once."""
    found: dict[tuple[str, Span | None], Kink] = {}
    for node in nodes:
        name = node.op.name
        rule = KINKS.get(name, AT_WHOLE)
        with np.errstate(all="ignore"):
            on = np.asarray(rule.test(node, [np.asarray(values[x]) for x in node.inputs], np.asarray(values[node])))
        count = int(np.count_nonzero(on))
        if not count:
            continue
        shown = "a comparison" if name in COMPARISONS else "a conversion" if name == "cast" else name
        span = place(node)
        key = (f"{shown} {rule.text}", span)
        if key not in found or found[key].entries < count:
            found[key] = Kink(f"{shown} {rule.text}", span, count, on.size, rule.slope.format(**node.attrs))
    return list(found.values())


def at_the_point(program: Loaded, roots: Sequence[Node], xs: Sequence[Node] | None) -> list[Kink]:
    """The kinks on which the evaluation of the roots sits exactly, those of the program's own operations.

    What depends on a variable without a value, which a gradient may not need, is left out.
    """
    graph = program.graph
    unknown = program.without_value(roots)
    own = [n for n in suspects(roots, xs) if n not in graph.derivation.origin and n not in unknown]
    nodes = needed(own)
    return met(own, dict(zip(nodes, program.evaluate(nodes), strict=True)), graph.span)
