"""What is found by order: running extremes, quantiles, places in a sorted row, and interpolation between its points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.operation import NoDerivative, Operation, cast_to, constant_value, indices_along, register
from gradcli.graph.ops.corners import JUMPS, Corner, with_equal_entries
from gradcli.graph.ops.elementwise import clip, floor, multiply_no_nan
from gradcli.graph.ops.reductions import any_, sum_
from gradcli.graph.ops.selection import greater, greater_equal, isnan, less, less_equal, logical_and, where
from gradcli.graph.ops.shaping import broadcasted, flip, reshaped, transpose
from gradcli.graph.ops.slicing import argsort, gather, index, sliced, sort, take_along
from gradcli.graph.types import Shape, normalize_axes, normalize_axis, show_shape, size_of

if TYPE_CHECKING:
    from gradcli.graph.leading import Led

Inputs = Sequence[Node]
Attrs = dict[str, Any]


def running_kernel(xp: Any, x: Any, axis: int, lowest: bool) -> Any:
    """The index of the first extreme so far; that of the first NaN from there on."""
    x = xp.moveaxis(x, axis, -1)
    before = (xp.minimum if lowest else xp.maximum).accumulate(x, axis=-1)[..., :-1]
    better = (x[..., 1:] < before if lowest else x[..., 1:] > before) | (xp.isnan(x[..., 1:]) & ~xp.isnan(before))
    found = xp.zeros(x.shape, dtype="int64")
    found[..., 1:] = xp.where(better, xp.arange(1, max(x.shape[-1], 1)), 0)
    return xp.moveaxis(xp.maximum.accumulate(found, axis=-1), -1, axis)


def _running(word: str, lowest: bool) -> tuple[Operation, Operation]:
    """The index of the extreme entry so far, and the entry."""
    position = register(Operation(
        f"argcum{word}", "x, axis:int=0", f"The index of the first entry that is the cum{word} along an axis.",
        family="reductions", infer=indices_along, rule=NoDerivative(), flow="along", workspace=4.0, corner=with_equal_entries(),
        kernel=lambda xp, x, axis: running_kernel(xp, x, axis, lowest),
        domain="all real numbers; no derivative", formula=f"arg{word}(x1, …, xk)", example=f"argcum{word}([1.0, 3.0, 2.0])",
    ))  # fmt: skip
    return position, register(Operation(
        f"cum{word}", "x, axis:int=0",
        f"The {'smallest' if lowest else 'largest'} entry so far along an axis; of equal ones the first has the derivative.",
        family="reductions", expand=lambda x, axis: take_along(x, position(x, axis=axis), axis=axis),
        formula=f"yk = {word}(x1, …, xk)", example=f"cum{word}([1.0, 3.0, 2.0])",
    ))  # fmt: skip


argcummax, cummax = _running("max", lowest=False)
argcummin, cummin = _running("min", lowest=True)


def _between(low: Node, high: Node, share: Node) -> Node:
    """From low at a share of 0 to high at 1, from the nearer of the two: what is infinite counts only for its share."""
    apart = high - low
    near, far = low + multiply_no_nan(apart, share), high - multiply_no_nan(apart, 1 - share)
    return where(less(share, 0.5), near, far)


def _quantile(x: Node, q: Node, axis: Any, keepdims: bool) -> Node:
    axes = normalize_axes(axis, x.rank)
    kept = [a for a in range(x.rank) if a not in axes]
    n = size_of(tuple(x.shape[a] for a in axes))
    if not n:
        raise GradcliError(
            "ShapeError", "a quantile of no entries is not defined", operands=[(0, f"shape {show_shape(x.shape)}")]
        )
    level = constant_value(q)
    if level is not None and not 0 <= level <= 1:
        raise GradcliError(
            "ValueError", f"a quantile is that of a number from 0 to 1, not {level!r}", operands=[(1, "")]
        )
    rows = reshaped(transpose(x, axes=(*axes, *kept)), (n, *[x.shape[a] for a in kept]))
    in_order = sort(rows, axis=0)
    at = q * (n - 1)
    below = clip(floor(at), 0, max(n - 2, 0))
    place = cast_to(below, "int64")
    share = reshaped(at - below, (*q.shape, *[1] * len(kept)))
    low = gather(in_order, place, axis=0)
    high = gather(in_order, place + 1 if n > 1 else place, axis=0)
    y = _between(low, high, share)
    if level is None:  # what is not a share is known only when it is evaluated
        y = y + reshaped(where(logical_and(greater_equal(q, 0), less_equal(q, 1)), 0 * q, math.nan), share.shape)
    if x.risky:
        y = where(broadcasted(any_(isnan(rows), axis=0), y.shape), math.nan * sum_(rows, axis=0), y)
    if keepdims:
        y = reshaped(y, (*q.shape, *[1 if a in axes else size for a, size in enumerate(x.shape)]))
    return y


quantile = register(Operation(
    "quantile", "x, q, axis:axes=None, keepdims:flag=false",
    "The number below which a share q of the entries lies, linear between entries; q from 0 to 1, its axes come first.",
    family="reductions", accepts="float", expand=_quantile, formula="sort(x)[q * (n - 1)], between two entries",
    example="quantile([1.0, 2.0, 4.0], 0.25)",
))  # fmt: skip
median = register(Operation(
    "median", "x, axis:axes=None, keepdims:flag=false", "The middle entry, or the mean of the two in the middle.",
    family="reductions", accepts="float",
    expand=lambda x, axis, keepdims: quantile(x, 0.5, axis=axis, keepdims=keepdims),
    formula="sort(x)[(n - 1) / 2]", example="median([3.0, 1.0, 2.0])",
))  # fmt: skip


def _top_k(x: Node, k: int, axis: int) -> tuple[Node, Node]:
    if not x.rank:
        raise GradcliError("ShapeError", "top_k needs an axis, and a scalar has none", operands=[(0, "shape []")])
    axis = normalize_axis(axis, x.rank)
    n = x.shape[axis]
    if not 0 <= k <= n:
        raise GradcliError(
            "ShapeError",
            f"top_k has from 0 to {n} entries along this axis, not {k}",
            operands=[(0, f"shape {show_shape(x.shape)}")],
        )
    backwards = flip(argsort(flip(x, axis=(axis,)), axis=axis), axis=(axis,))  # of equal entries the first comes first
    indices = sliced(n - 1 - backwards, axis, 0, k)
    return take_along(x, indices, axis=axis), indices


top_k = register(Operation(
    "top_k", "x, k:int, axis:int=-1",
    "The k largest entries along an axis, in descending order, and their indices: two values. NaN is the largest.",
    family="reductions", aliases=("topk",), expand=_top_k, several=True, formula="sort(x)[-1], sort(x)[-2], …",
    example="values, indices = top_k([1.0, 5.0, 3.0], 2)",
))  # fmt: skip


def _meshgrid(*x: Node, indexing: str) -> tuple[Node, ...]:
    if indexing not in ("xy", "ij"):
        raise GradcliError("ValueError", f'indexing is "xy" or "ij", not "{indexing}"')
    for i, one in enumerate(x):
        if one.rank > 1:
            raise GradcliError(
                "ShapeError", f"meshgrid needs vectors, not shape {show_shape(one.shape)}", operands=[(i, "")]
            )
    sizes = [size_of(one.shape) for one in x]
    axes = list(range(len(x)))
    if indexing == "xy":
        axes[:2] = axes[:2][::-1]
    shape = tuple([sizes[axes.index(k)] for k in range(len(x))])
    along = [tuple([n if k == a else 1 for k in range(len(x))]) for n, a in zip(sizes, axes, strict=True)]
    return tuple([broadcasted(reshaped(one, own), shape) for one, own in zip(x, along, strict=True)])


meshgrid = register(Operation(
    "meshgrid", 'x:operands, *, indexing:string="xy"',
    'Vectors as coordinates of a grid, a value for each: the first along the columns, with "ij" along the rows.',
    family="shapes", accepts="any", expand=_meshgrid, several=True, formula="x[i], y[j] at every place [j, i]",
    example="a, b = meshgrid([1, 2, 3], [10, 20])",
))  # fmt: skip


def _places(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    row, values = inputs
    if row.rank != 1 + attrs.get("many", 0):
        raise GradcliError(
            "ShapeError",
            f"searchsorted looks for places in one sorted row, not in shape {show_shape(row.shape)}",
            operands=[(0, f"shape {show_shape(row.shape)}")],
        )
    if attrs["side"] not in ("left", "right"):
        raise GradcliError("ValueError", f'the side of equal entries is "left" or "right", not "{attrs["side"]}"')
    return values.shape, "int64"


def _search_kernel(xp: Any, row: Any, values: Any, side: str, many: int = 0) -> Any:
    """The places; with ``many`` leading axes of both, those of each values in their own row."""
    row = xp.sort(row)
    if not many:
        return xp.asarray(xp.searchsorted(row, values, side=side), dtype="int64")
    places = xp.empty(values.shape, dtype="int64")
    for at in xp.ndindex(values.shape[:many]):
        places[at] = xp.searchsorted(row[at], values[at], side=side)
    return places


def _search_led(led: Led) -> Node:
    many = led.node.attrs.get("many", 0)
    if not led.has[0] and not many:
        return led.made(led.inputs, led.node.attrs)
    return led.made((led.full(0), led.full(1)), {**led.node.attrs, "many": many + 1})


searchsorted = register(Operation(
    "searchsorted", 'sorted, values, side:string="left"',
    "For each value how many entries of a row are below it: its place in the sorted row. Side right counts equal ones.",
    family="shapes", infer=_places, kernel=_search_kernel, leading=_search_led, rule=NoDerivative(),
    corner=Corner("at an entry of the row", lambda xp, node, x, y: xp.isin(x[1], x[0]), JUMPS),
    domain="all real numbers; no derivative", formula="count of sorted < value", example="searchsorted([1.0, 2.0, 4.0], [3.0])",
))  # fmt: skip


def _interp(x: Node, xp: Node, fp: Node) -> Node:
    if xp.rank != 1 or fp.shape != xp.shape or not xp.shape[0]:
        raise GradcliError(
            "ShapeError",
            f"interp needs points and values in two rows of one length, not shapes {show_shape(xp.shape)} and {show_shape(fp.shape)}",
            operands=[(1, f"shape {show_shape(xp.shape)}"), (2, f"shape {show_shape(fp.shape)}")],
        )
    n = xp.shape[0]
    if n == 1:
        return broadcasted(index(fp, items=(0,)), x.shape)
    order = argsort(xp, axis=0)
    xp, fp = gather(xp, order, axis=0), gather(fp, order, axis=0)
    left = searchsorted(sliced(xp, 0, 1, n - 1), x, side="right")
    x0, f0, x1, f1 = [gather(row, place, axis=0) for place in (left, left + 1) for row in (xp, fp)]
    inside = _between(f0, f1, (x - x0) / (x1 - x0))
    below, above = [(index(xp, items=(k,)), index(fp, items=(k,))) for k in (0, n - 1)]
    return where(less(x, below[0]), below[1], where(greater(x, above[0]), above[1], inside))


interp = register(Operation(
    "interp", "x, xp, fp", "The values fp at points xp, linear between them and constant beyond.",
    family="shapes", accepts="float", expand=_interp, formula="fp0 + (x - xp0) / (xp1 - xp0) * (fp1 - fp0)",
    example="interp(1.5, [1.0, 2.0], [10.0, 20.0])",
))  # fmt: skip
