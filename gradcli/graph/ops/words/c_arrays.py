"""Operations on arrays as C does them in loops: made of simpler ones, or of parts of arrays that are copied.

What an operation does entry by entry is in :mod:`gradcli.graph.ops.words.c`; what its flow says of axes needs no entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradcli.graph.node import Node
from gradcli.graph.operation import cast_to, literal
from gradcli.graph.ops.creation import arange
from gradcli.graph.ops.elementwise import absolute, divide, divide_no_nan, exp, log1p, multiply, sqrt, square
from gradcli.graph.ops.reductions import count_of, cumsum, max_, sum_
from gradcli.graph.ops.selection import equal, greater, isfinite, less, logical_and, logical_not, logical_or, where
from gradcli.graph.ops.shaping import flip, reshaped
from gradcli.graph.ops.slicing import diagonal_view
from gradcli.graph.ops.words.c import value
from gradcli.graph.printing import COMPARISON, PRODUCT, Text
from gradcli.graph.types import INTEGER_RANGE, is_float, reduce_shape
from gradcli.tuples import NamedTuple

Array = Any

IDENTITIES: Mapping[str, float] = {
    "add": 0, "multiply": 1, "maximum": -math.inf, "minimum": math.inf, "logical_or": 0, "logical_and": 1,
}  # fmt: skip
"""By what combines entries: the number that changes none."""

OVERFLOWS: Mapping[str, str] = {
    "add": "__builtin_add_overflow",
    "subtract": "__builtin_sub_overflow",
    "multiply": "__builtin_mul_overflow",
}
"""What computes integers and says whether they have wrapped around."""


# made of simpler operations


def _number(like: Node, value: float) -> Node:
    return literal(value, like.dtype)


def _axes(node: Node) -> tuple[int, ...]:
    found = node.attrs["axis"] if "axis" in node.attrs else node.attrs["axes"]
    return (found,) if isinstance(found, int) else tuple(found)


def _in_shape(node: Node, x: Node) -> Node:
    """What kept the axes that a reduction removes, in the shape of its result."""
    return reshaped(x, node.shape)


def _largest_apart(x: Node, axes: Sequence[int]) -> tuple[Node, Node]:
    """As the function of this name in :mod:`gradcli.graph.ops.kernels`."""
    largest = max_(x, axis=tuple(axes), keepdims=True)
    finite = isfinite(largest)
    shift = where(finite, largest, _number(x, 0))
    parts = exp(x - shift)
    total = sum_(parts, axis=tuple(axes), keepdims=True)
    apart = sum_(where(equal(parts, _number(x, 1)), _number(x, 0), parts), axis=tuple(axes), keepdims=True)
    return shift, where(logical_and(less(total, _number(x, 1.5)), finite), apart, total - _number(x, 1))


def _logsumexp(node: Node) -> Node:
    shift, rest = _largest_apart(node.inputs[0], _axes(node))
    return _in_shape(node, shift + log1p(rest))


def _log_softmax(node: Node) -> Node:
    (x,) = node.inputs
    shift, rest = _largest_apart(x, _axes(node))
    return (x - shift) - log1p(rest)


def _softmax(node: Node) -> Node:
    (x,) = node.inputs
    parts = exp(x - max_(x, axis=_axes(node), keepdims=True))
    return divide(parts, sum_(parts, axis=_axes(node), keepdims=True))


def _scale(x: Node, axes: tuple[int, ...]) -> Node:
    largest = max_(absolute(x), axis=axes, keepdims=True)
    return where(logical_or(equal(largest, _number(x, 0)), logical_not(isfinite(largest))), _number(x, 1), largest)


def _limits(x: Node) -> tuple[float, float]:
    """Between which sums of squares have neither overflown nor lost digits."""
    return (2.0**-511, 2.0**511) if x.dtype == "float64" else (2.0**-63, 2.0**63)


def _norm(node: Node) -> Node:
    (x,), axes = node.inputs, _axes(node)
    squares = sum_(square(x), axis=axes, keepdims=True)
    low, high = _limits(x)
    ordinary = logical_and(greater(squares, _number(x, low)), less(squares, _number(x, high)))
    scale = _scale(x, axes)
    exact = multiply(scale, sqrt(sum_(square(divide(x, scale)), axis=axes, keepdims=True)))
    return _in_shape(node, where(ordinary, sqrt(squares), exact))


def _direction(node: Node) -> Node:
    (x,), axes = node.inputs, _axes(node)
    scaled = divide(x, _scale(x, axes))
    return divide_no_nan(scaled, sqrt(sum_(square(scaled), axis=axes, keepdims=True)))


def _others(node: Node) -> Node:
    (x,), axis = node.inputs, node.attrs["axis"]
    if x.shape[axis] == 2:
        return flip(x, axis=axis)
    before, after = (cumsum(x, axis=axis, exclusive=True, reverse=late) for late in (False, True))
    return before + after


def _one_hot(node: Node) -> Node:
    (x,), depth = node.inputs, node.attrs["depth"]
    places = arange(start=0, stop=depth, dtype=x.dtype)
    return cast_to(equal(reshaped(x, (*x.shape, 1)), cast_to(places, x.dtype)), node.dtype)


def _in_words(node: Node) -> Node:
    """By the formula that the entry has for people, which loses no digits here."""
    assert node.op.written is not None
    return node.op.written(node, *node.inputs)


def _whole_power(node: Node) -> Node | None:
    """A power of a few factors as their product."""
    a, exponent = node.inputs
    n = exponent.attrs["value"] if exponent.op.name == "literal" else None
    if n not in (3, 4, -1, -2, 1.5, -0.5) or not is_float(node.dtype):
        return None
    if n == 3:
        return a * a * a
    if n == 4:
        return square(square(a))
    return None


EXPANDED: Mapping[str, Callable[[Node], Node | None]] = {
    "logsumexp": _logsumexp, "log_softmax": _log_softmax, "softmax": _softmax, "norm": _norm, "direction": _direction,
    "others": _others, "complement": _others, "one_hot": _one_hot, "pow": _whole_power,
    **dict.fromkeys(("one_minus_square", "atan_slope", "atan2_slope", "asinh_slope", "acosh_slope", "sigmoid_turn"), _in_words),
}  # fmt: skip
"""An operation on arrays with entries as others that have the same value to rounding; None where it stays as it is."""


def expanded(node: Node) -> Node | None:
    """What a node is made of, on the same inputs; None where C does it as it is."""
    word = EXPANDED.get(node.op.name)
    if word is None or 0 in node.shape or any([0 in x.shape for x in node.inputs]):
        return None
    return word(node)


# parts that are copied


def slices(items: Sequence[Any]) -> tuple[Any, ...]:
    """The items of an index as NumPy takes them."""
    return tuple([slice(*item) if isinstance(item, tuple) else item for item in items])


def _joined(np: Any, y: Array, node: Node) -> list[Array]:
    axis = node.attrs["axis"]
    before = (slice(None),) * axis
    found, start = [], 0
    for x in node.inputs:
        found.append(y[(*before, slice(start, start + x.shape[axis]))])
        start += x.shape[axis]
    return found


def _stacked(np: Any, y: Array, node: Node) -> list[Array]:
    before = (slice(None),) * node.attrs["axis"]
    return [y[(*before, k, ...)] for k in range(len(node.inputs))]


PLACED: Mapping[str, Callable[[Any, Array, Node], list[Array]]] = {
    "unindex": lambda np, y, node: [y[(*slices(node.attrs["items"]), ...)]],
    "concat": _joined, "stack": _stacked,
    "expand_delta": lambda np, y, node: [diagonal_view(np, y, node.attrs["pattern"])],
    "embed_diagonal": lambda np, y, node: [np.diagonal(y, node.attrs["k"], -2, -1)],
}  # fmt: skip
"""For each input the part of the result that is a copy of it; the rest is 0."""

TAKEN: Mapping[str, Callable[[Any, Array, Node], Array]] = {
    "collect_delta": lambda np, x, node: diagonal_view(np, x, node.attrs["pattern"]),
}  # fmt: skip
"""The part of the input that the result is."""


# sums, values and places that indices choose


INDEXED: Mapping[str, str] = {
    "gather": "slices", "take_along": "entries", "scatter_add": "slices", "scatter_along": "entries",
}  # fmt: skip
"""What the second input numbers along an axis: slices, or entries row by row. Where the result has a size of its own, it is what is added to."""


RUNNING: Mapping[str, tuple[str, float]] = {"cumsum": ("add", -0.0), "cumprod": ("multiply", 1.0)}
"""What combines all entries up to one along an axis, and what the first one is combined with: 0 would make 0 of -0."""

TURNED = ("roll",)
"""What takes the entries along an axis in the same order from another one on."""


def turn(node: Node) -> tuple[int, int] | None:
    """Of what is turned the axis, and by how many entries; None where that is not one axis."""
    axis, shift = node.attrs["axis"], node.attrs["shift"]
    return (axis, shift % node.shape[axis]) if isinstance(axis, int) and isinstance(shift, int) else None


WRITTEN = {*PLACED, *TAKEN, *INDEXED, *RUNNING}
"""Operations that are done as the tables here say."""


class Finish(NamedTuple):
    """What becomes of the entries that a reduction has put together, and where that is to be looked at again."""

    text: Callable[[Sequence[Text]], Text]
    fails: Callable[[Sequence[Text]], str]


def _mean(node: Node) -> Finish:
    """The sum over the count; where it overflows NumPy takes another way."""
    count = value(float(count_of(node)), node.dtype).text
    return Finish(lambda x: Text(f"{x[0].at_least(PRODUCT)} / {count}", PRODUCT), lambda x: f"isinf({x[0].text}) != 0")


FINISHED: Mapping[str, Callable[[Node], Finish]] = {"mean": _mean}


def identity(combined: str, dtype: str) -> float:
    """The number that changes no entry that it is combined with."""
    found = IDENTITIES[combined]
    if is_float(dtype) or abs(found) < math.inf:
        return found if is_float(dtype) else int(found)
    return INTEGER_RANGE[dtype][found > 0]


def fails(node: Node, operands: Sequence[Text]) -> str | None:
    """Where an operation on numbers is an error."""
    if node.dtype not in INTEGER_RANGE or "dtype" not in node.attrs or not node.inputs:
        return None
    before, x = node.inputs[0].dtype, operands[0].at_least(COMPARISON + 1)
    bits = 31 if node.dtype == "int32" else 63
    if is_float(before):
        low = f"> -0x1p{bits} - 1" if bits == 31 else f">= -0x1p{bits}"
        return f"!({x} {low} && {x} < 0x1p{bits})"
    return f"{x} != (int32_t){x}" if (before, node.dtype) == ("int64", "int32") else None


def reduced_axes(node: Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes that a reduction removes, and the shape of its result as if it kept them."""
    axes = _axes(node)
    return axes, reduce_shape(node.inputs[0].shape, axes, keepdims=True)
