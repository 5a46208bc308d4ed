"""Where a program is not smooth at the point at which it is evaluated: differences cannot be trusted there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradcli.diagnostics import Span
from gradcli.graph.node import Node, cone
from gradcli.results import Kink

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


# operation: (what is said of it, which entries are on the kink, from the node, its inputs and its value)
Test = Callable[[Node, Values, Array], Any]
AT_ZERO = ("at 0", lambda node, x, y: _zero(x[0]))
EQUAL = ("with equal arguments", lambda node, x, y: x[0] == x[1])
AT_WHOLE = ("at a whole number", lambda node, x, y: _whole(x[0]))
TIED: tuple[str, Test] = ("with a tie", lambda node, x, y: _tied(node, x[0], y))
SORTED: tuple[str, Test] = ("with equal entries", lambda node, x, y: _neighbours(node, x[0]))
STEPS = ("at a step", lambda node, x, y: _whole(x[0] / x[1]))
KINKS: Mapping[str, tuple[str, Test]] = {
    "abs": AT_ZERO,
    "relu": AT_ZERO,
    "leaky_relu": AT_ZERO,
    "elu": AT_ZERO,
    "sign": AT_ZERO,
    "sqrt": AT_ZERO,
    "cbrt": AT_ZERO,
    "rsqrt": AT_ZERO,
    "maximum": EQUAL,
    "minimum": EQUAL,
    "max": TIED,
    "min": TIED,
    "argmax": SORTED,
    "argmin": SORTED,
    "sort": SORTED,
    "argsort": SORTED,
    "norm": ("at 0", lambda node, x, y: _zero(y)),
    "hypot": ("at 0", lambda node, x, y: _zero(y)),
    "divide_no_nan": ("at a divisor of 0", lambda node, x, y: _zero(x[1])),
    "xlogy": ("at 0", lambda node, x, y: _zero(x[0])),
    "pow": ("at a base of 0", lambda node, x, y: _zero(x[0]) & ((x[1] != np.round(x[1])) | (x[1] <= 0))),
    "floor": AT_WHOLE,
    "ceil": AT_WHOLE,
    "trunc": AT_WHOLE,
    "round": ("at a half", lambda node, x, y: _whole(x[0] - 0.5)),
    "mod": STEPS,
    "floor_divide": STEPS,
    "less": EQUAL,
    "less_equal": EQUAL,
    "greater": EQUAL,
    "greater_equal": EQUAL,
    "equal": EQUAL,
    "not_equal": EQUAL,
}
COMPARISONS = {"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}


def suspects(roots: Sequence[Node], xs: Sequence[Node]) -> list[Node]:
    """The operations that have a kink somewhere and depend on some x, users after inputs."""
    moving = set(xs)
    found: list[Node] = []
    for node in cone(roots):
        if any([x in moving for x in node.inputs]):
            moving.add(node)
            if node.op.name in KINKS or (node.op.name == "cast" and node.dtype.startswith("int")):
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
        what, test = KINKS.get(name, AT_WHOLE)
        with np.errstate(all="ignore"):
            on = np.asarray(test(node, [np.asarray(values[x]) for x in node.inputs], np.asarray(values[node])))
        count = int(np.count_nonzero(on))
        if not count:
            continue
        shown = "a comparison" if name in COMPARISONS else "a conversion" if name == "cast" else name
        span = place(node)
        key = (f"{shown} {what}", span)
        if key not in found or found[key].entries < count:
            found[key] = Kink(f"{shown} {what}", span, count)
    return list(found.values())
