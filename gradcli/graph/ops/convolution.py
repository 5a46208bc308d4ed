"""Convolutions with TensorFlow's order of arguments and its padding: a sum of products, one for each place in the filter."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import product
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.operation import Operation, register
from gradcli.graph.ops.creation import zeros
from gradcli.graph.ops.elementwise import add
from gradcli.graph.ops.linear_algebra import matmul
from gradcli.graph.ops.slicing import index, pad
from gradcli.graph.types import show_shape, size_of

MOST_PLACES = 10_000
"""Places in a filter: each becomes a product in the graph."""


def _convolution(name: str, axes: int) -> Any:
    """The expansion of a convolution along some axes in front of that of the channels."""

    def expand(x: Node, filters: Node, strides: Any, padding: str, dilations: Any) -> Node:
        _check(name, axes, x, filters, padding)
        strides, dilations = _each(name, axes, strides, "strides"), _each(name, axes, dilations, "dilations")
        batch, field = x.rank - axes - 1, x.shape[-axes - 1 : -1]
        reach = [d * (k - 1) + 1 for k, d in zip(filters.shape, dilations, strict=False)]
        if padding == "SAME":
            counts = [-(-n // s) for n, s in zip(field, strides, strict=True)]
            missing = [max((c - 1) * s + r - n, 0) for c, s, r, n in zip(counts, strides, reach, field, strict=True)]
            borders = [(m // 2, m - m // 2) for m in missing]
            if any(missing):
                x = pad(x, 0, paddings=((0, 0),) * batch + (*borders, (0, 0)))
        else:
            counts = [max(-(-(n - r + 1) // s), 0) for n, r, s in zip(field, reach, strides, strict=True)]
        terms: list[Node] = []
        for place in product(*map(range, filters.shape[:axes])):
            starts = [k * d for k, d in zip(place, dilations, strict=True)]
            ends = [b + (c - 1) * s + 1 if c else b for b, c, s in zip(starts, counts, strides, strict=True)]
            window = tuple(zip(starts, ends, strides, strict=True))
            taken = index(x, items=tuple((0, n, 1) for n in x.shape[:batch]) + window)
            terms.append(matmul(taken, index(filters, items=place)))
        if not terms:
            return zeros(shape=(*x.shape[:batch], *counts, filters.shape[-1]), dtype=x.dtype)
        return reduce(add, terms)

    return expand


def _each(name: str, axes: int, given: int | Sequence[int], what: str) -> tuple[int, ...]:
    """A number for each axis."""
    several = (given,) * axes if isinstance(given, int) else tuple(given)
    if len(several) != axes or any(n < 1 for n in several):
        wanted = "a positive integer" if axes == 1 else f"a positive integer, or {axes} of them"
        raise GradcliError("ValueError", f"{name} needs {wanted} for its {what}, not {given}")
    return several


def _check(name: str, axes: int, x: Node, filters: Node, padding: str) -> None:
    """Raise for arrays that do not fit, for another padding, and for filters of too many places."""
    if x.rank < axes + 1 or filters.rank != axes + 2 or x.shape[-1] != filters.shape[-2]:
        layout = "width, channels" if axes == 1 else "height, width, channels"
        raise GradcliError(
            "ShapeError",
            f"{name} needs values of shape [batch, {layout}] and filters of shape [{layout}, results] with as many "
            f"channels, not {show_shape(x.shape)} and {show_shape(filters.shape)}",
            operands=[(0, f"shape {show_shape(x.shape)}"), (1, f"shape {show_shape(filters.shape)}")],
        )
    if padding not in ("SAME", "VALID"):
        raise GradcliError(
            "ValueError", f'{name} pads with "SAME" or "VALID", not "{padding}"', help='"VALID" adds no border'
        )
    places = size_of(filters.shape[:axes])
    if places > MOST_PLACES:
        raise GradcliError(
            "LimitError",
            f"{name} adds up a product for each place in the filters, at most {MOST_PLACES:,}, and these have {places:,}",
            operands=[(1, f"shape {show_shape(filters.shape)}")],
        )


conv1d = register(Operation(
    "conv1d", 'x, filters, stride:ints=1, padding:string="VALID", dilations:ints=1',
    "Correlation along the last axis but one: x [batch, width, channels], filters [width, channels, results].",
    family="networks", accepts="float",
    expand=lambda x, filters, stride, padding, dilations: _convolution("conv1d", 1)(x, filters, stride, padding, dilations),
    formula="sum of x[i*stride + k] @ filters[k]",
    example="conv1d([[[1.0], [2.0], [4.0]]], [[[1.0]], [[-1.0]]])",
))  # fmt: skip
conv2d = register(Operation(
    "conv2d", 'x, filters, strides:ints=1, padding:string="VALID", dilations:ints=1',
    "Correlation of images: x [batch, height, width, channels], filters [height, width, channels, results].",
    family="networks", accepts="float", expand=_convolution("conv2d", 2),
    formula="sum of x[i + k, j + l] @ filters[k, l]",
    example="conv2d(ones([1, 3, 3, 1]), ones([2, 2, 1, 1]))",
))  # fmt: skip
