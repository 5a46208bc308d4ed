"""Sums, means, products, extremes and norms along axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.operation import (
    Elementwise,
    Linear,
    NoDerivative,
    Operation,
    SameAs,
    Tangent,
    along,
    cast_to,
    register,
)
from gradcli.graph.ops.corners import at_origin, with_equal_entries, with_tie
from gradcli.graph.ops.elementwise import divide_no_nan, multiply, sqrt, square
from gradcli.graph.ops.kernels import (
    Wrapping,
    cumulative_kernel,
    direction_kernel,
    logsumexp_kernel,
    mean_kernel,
    norm_kernel,
    others_kernel,
    summed,
)
from gradcli.graph.ops.selection import equal, logical_and, logical_not, logical_or, unless_nan, where, zero
from gradcli.graph.ops.shaping import broadcasted, reshaped, transpose
from gradcli.graph.ops.slicing import sliced, unindex
from gradcli.graph.types import (
    INTEGER_RANGE,
    Shape,
    is_float,
    normalize_axes,
    normalize_axis,
    reduce_shape,
    show_shape,
    size_of,
)

Inputs = Sequence[Node]
Attrs = dict[str, Any]


def _reduced(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    (x,) = inputs
    attrs.pop("where", None)
    attrs["axis"] = normalize_axes(attrs["axis"], x.rank)
    return reduce_shape(x.shape, attrs["axis"], attrs["keepdims"]), x.dtype


def _nonempty(name: str) -> Any:
    def infer(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
        shape, dtype = _reduced(inputs, attrs)
        if any(inputs[0].shape[a] == 0 for a in attrs["axis"]):
            raise GradcliError(
                "ShapeError",
                f"{name} of no entries is not defined",
                operands=[(0, f"shape {show_shape(inputs[0].shape)}")],
            )
        return shape, dtype

    return infer


def _reduction(name: str, doc: str, kernel: Any = None, **entry: Any) -> Operation:
    entry.setdefault("infer", _reduced)
    entry.setdefault("example", f"{name}([[1.0, 2.0], [3.0, 5.0]], axis=0)")
    spec = entry.pop("spec", "x, axis:axes=None, keepdims:flag=false, *, where:mask=None")
    return register(Operation(name, spec, doc, family="reductions", kernel=kernel, **entry))


def _kept(x: Node, mask: Node, other: float) -> Node:
    """x where a mask holds, else a number: what the mask leaves out is not selected."""
    return where(_fitting(mask, x), x, other)


def _fitting(mask: Node, x: Node) -> Node:
    """A mask in the shape of x."""
    k = x.rank - mask.rank
    if k < 0 or any([n not in (1, m) for n, m in zip(mask.shape, x.shape[k:], strict=True)]):
        raise GradcliError(
            "ShapeError",
            f"where needs a mask that broadcasts to shape {show_shape(x.shape)}, not one of shape {show_shape(mask.shape)}",
            operands=[(0, f"shape {show_shape(x.shape)}")],
        )
    return broadcasted(mask, x.shape)


def _with(operation: Callable[[], Operation], other: Callable[[Node], float]) -> Callable[..., Node | None]:
    """A reduction with ``where``: the same of what the mask keeps, and of a number that changes nothing."""

    def expand(x: Node, axis: Any, keepdims: bool, where: Node | None) -> Node | None:
        return None if where is None else operation()(_kept(x, where, other(x)), axis=axis, keepdims=keepdims)

    return expand


def _counted(x: Node, axis: Any, keepdims: bool, mask: Node) -> Node:
    """How many entries a mask keeps."""
    return sum_(cast_to(_fitting(mask, x), x.dtype), axis=axis, keepdims=keepdims)


def _extreme_of_none(sign: int) -> Callable[[Node], float]:
    """What is below (-1) or above all other numbers of a dtype."""
    return lambda x: sign * inf if is_float(x.dtype) else INTEGER_RANGE[x.dtype][sign > 0]


def _keep(y: Node, x: Node) -> Shape:
    """The shape that the result would have with keepdims."""
    return reduce_shape(x.shape, y.attrs["axis"], keepdims=True)


def _spread(g: Node, y: Node) -> Node:
    """g, a value of the result's shape, repeated along the reduced axes."""
    x = y.inputs[0]
    return broadcasted(reshaped(g, _keep(y, x)), x.shape)


def count_of(y: Node) -> int:
    """How many entries of its input an entry of a reduction is made of."""
    return size_of(tuple(y.inputs[0].shape[a] for a in y.attrs["axis"]))


def _summable(nodes: list[Node]) -> list[Node]:
    return [cast_to(x, "int64") if x.dtype == "bool" else x for x in nodes]


sum_ = _reduction(
    "sum", "Sum of entries, or with a mask, where=x > 0, of those that it keeps; true counts as 1.", Wrapping(
        lambda xp, x, axis, keepdims: xp.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype), summed
    ), aliases=("reduce_sum",), adapt=_summable, expand=_with(lambda: sum_, lambda x: 0), rule=Linear(lambda i, g, y: _spread(g, y)), closed=True, entries="added", flow="accumulated", cheap=True, formula="x1 + x2 + …",
)  # fmt: skip


def _masked_mean(x: Node, axis: Any, keepdims: bool, where: Node | None) -> Node | None:
    if where is None:
        return None
    total = sum_(_kept(x, where, 0), axis=axis, keepdims=keepdims)
    return total / _counted(x, axis, keepdims, where)


mean = _reduction(
    "mean", "Mean of entries; NaN if there are none.", mean_kernel,
    aliases=("reduce_mean",), accepts="float", expand=_masked_mean, rule=Linear(lambda i, g, y: _spread(g * (1 / max(count_of(y), 1)), y)),
    singular=lambda inputs: 0 in inputs[0].shape, closed=True, flow="accumulated", formula="(x1 + … + xn) / n",
)  # fmt: skip


def _last(x: Node, axes: Sequence[int]) -> Node:
    """The given axes moved to the end and made one."""
    kept = [a for a in range(x.rank) if a not in axes]
    if [*kept, *axes] != list(range(x.rank)):
        x = transpose(x, axes=(*kept, *axes))
    count = size_of(x.shape[len(kept) :])
    return reshaped(x, (*x.shape[: len(kept)], count))


def _product_tree(y: Node, x: Node) -> Node:
    """Halves multiplied together until one entry is left: a polynomial, so right with zeros among the entries."""
    rest = _last(x, y.attrs["axis"])
    at = rest.rank - 1
    odd: list[Node] = []
    while (n := rest.shape[at]) > 1:
        half = n // 2
        if n % 2:
            odd.append(sliced(rest, at, n - 1, n))
        rest = multiply(sliced(rest, at, 0, half), sliced(rest, at, half, 2 * half))
    for extra in odd:
        rest = multiply(rest, extra)
    connected = sum_(zero(x), axis=y.attrs["axis"], keepdims=y.attrs["keepdims"])
    if rest.shape[at] == 0:
        return connected
    return reshaped(rest, y.shape) + connected


prod_ = _reduction(
    "prod", "Product of entries; its derivatives are right where entries are 0.",
    Wrapping(lambda xp, x, axis, keepdims: xp.prod(x, axis=axis, keepdims=keepdims, dtype=x.dtype)),
    aliases=("reduce_prod",), expand=_with(lambda: prod_, lambda x: 1), rule=SameAs(_product_tree), degree="entries", flow="accumulated", combined="multiply", formula="x1 * x2 * …",
)  # fmt: skip


def _extreme(y: Node, x: Node) -> Node:
    """The mean of the entries that equal the extreme: ties share the gradient evenly. NaN spreads to all entries."""
    chosen = equal(x, broadcasted(reshaped(y, _keep(y, x)), x.shape))
    axes, keep = y.attrs["axis"], y.attrs["keepdims"]
    picked = sum_(where(chosen, x, 0), axis=axes, keepdims=keep)
    mean_of_picked = picked / sum_(cast_to(chosen, x.dtype), axis=axes, keepdims=keep)
    return unless_nan(y, mean_of_picked, math.nan * sum_(x, axis=axes, keepdims=keep))


max_ = _reduction(
    "max", "The largest entry; ties share the gradient evenly.",
    lambda xp, x, axis, keepdims: xp.max(x, axis=axis, keepdims=keepdims), aliases=("reduce_max", "amax"), expand=_with(lambda: max_, _extreme_of_none(-1)),
    infer=_nonempty("max"), rule=SameAs(_extreme), degree="linear", closed=True, zero_where=(0,), flow="accumulated", piecewise=True, corner=with_tie(), combined="maximum", formula="max(x1, x2, …)",
    spec="x, *, axis:axes=None, keepdims:flag=false, where:mask=None",
)  # fmt: skip
min_ = _reduction(
    "min", "The smallest entry; ties share the gradient evenly.",
    lambda xp, x, axis, keepdims: xp.min(x, axis=axis, keepdims=keepdims), aliases=("reduce_min", "amin"), expand=_with(lambda: min_, _extreme_of_none(1)),
    infer=_nonempty("min"), rule=SameAs(_extreme), degree="linear", closed=True, zero_where=(0,), flow="accumulated", piecewise=True, corner=with_tie(), combined="minimum", formula="min(x1, x2, …)",
    spec="x, *, axis:axes=None, keepdims:flag=false, where:mask=None",
)  # fmt: skip


def _var(x: Node, axis: Any, keepdims: bool, where: Node | None) -> Node:
    centred = x - mean(x, axis=axis, keepdims=True, where=where)
    return mean(square(centred), axis=axis, keepdims=keepdims, where=where)


def _std(x: Node, axis: Any, keepdims: bool, where: Node | None) -> Node:
    count = size_of(tuple(x.shape[a] for a in normalize_axes(axis, x.rank)))
    centred = x - mean(x, axis=axis, keepdims=True, where=where)
    if where is not None:
        return norm(centred, axis=axis, keepdims=keepdims, where=where) / sqrt(_counted(x, axis, keepdims, where))
    return norm(centred, axis=axis, keepdims=keepdims) * (1 / math.sqrt(count) if count else math.nan)


var = _reduction(
    "var", "Variance: the mean squared distance from the mean.", aliases=("reduce_variance",), accepts="float",
    expand=_var, formula="mean((x - mean(x))^2)",
)  # fmt: skip
std = _reduction(
    "std", "Standard deviation; slope 0 where all entries are equal.", aliases=("reduce_std",), accepts="float",
    expand=_std, formula="sqrt(var(x))",
)  # fmt: skip


def _before_and_after(y: Node, x: Node) -> Node:
    """The sum of the others as what comes before each entry plus what comes after it."""
    before, after = (cumsum(x, axis=y.attrs["axis"], exclusive=True, reverse=late) for late in (False, True))
    return before + after


def _keeps_digits(short: Callable[..., Any]) -> Callable[..., Any]:
    """Whether a shorter formula of the sum of the others is right but for some units in the last place."""

    def holds(xp: Any, x: Any, axis: int) -> Any:
        exact = others_kernel(xp, x, axis)
        found = short(xp, x, axis)
        near = xp.abs(found - exact) <= 100 * xp.finfo(x.dtype).eps * xp.abs(exact)
        return near | (found == exact) | (xp.isnan(found) & xp.isnan(exact))

    return holds


others = _reduction(
    "others", "For each entry the sum of the others along an axis, without the cancellation of sum(x) - x.",
    others_kernel, spec="x, axis:int=-1", infer=along, accepts="float", hidden=True, example="",
    rule=Linear(lambda i, g, y: others(g, **y.attrs), picks=lambda y: y.shape[y.attrs["axis"]] == 1), workspace=3.0, formula="sum(x) - x",
    plain=lambda y, x: sum_(x, axis=y.attrs["axis"], keepdims=True) - x,
    is_plain=_keeps_digits(lambda xp, x, axis: xp.sum(x, axis=axis, keepdims=True) - x),
    written=_before_and_after,
)  # fmt: skip


complement = _reduction(
    "complement", "1 - x for numbers x that add up to 1 along an axis: the sum of the others, exact also where x is near 1.",
    others_kernel, spec="x, axis:int=-1", infer=along, accepts="float", hidden=True, example="",
    rule=Elementwise((lambda y, x: -1,)), degree="linear", workspace=3.0, formula="1 - x",
    plain=lambda y, x: 1 - x, is_plain=_keeps_digits(lambda xp, x, axis: 1 - x),
    written=_before_and_after,
)  # fmt: skip


def _direction_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    attrs["axis"] = normalize_axes(attrs["axis"], inputs[0].rank)
    return inputs[0].shape, inputs[0].dtype


def _direction_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    """(dx - y*sum(y*dx)) / norm(x), with the entry itself left out of the sum: (1 - y^2)*dx has a form of its own."""
    (x,), (dx,) = xs, dxs
    assert dx is not None
    axes = y.attrs["axis"]
    along = _last(y, axes)
    moved = _last(dx, axes)
    rest = complement(square(along), axis=-1) * moved - along * others(along * moved, axis=-1)
    return divide_no_nan(_back(rest, x, axes), norm(x, axis=axes, keepdims=True))


direction = _reduction(
    "direction", "x / norm(x), and 0 where the norm is 0.", lambda xp, x, axis: direction_kernel(xp, x, axis),
    spec="x, axis:axes=None", infer=_direction_shape, accepts="float", hidden=True, example="", rule=Tangent(_direction_tangent),
    singular=True, workspace=2.1, formula="x / norm(x)",
    written=lambda y, x: divide_no_nan(x, norm(x, axis=y.attrs["axis"], keepdims=True)),
)  # fmt: skip


def _back(x: Node, like: Node, axes: Sequence[int]) -> Node:
    """The inverse of _last: entries of the last axis put back along the axes."""
    kept = [a for a in range(like.rank) if a not in axes]
    order = [*kept, *axes]
    x = reshaped(x, tuple(like.shape[a] for a in order))
    return x if order == list(range(like.rank)) else transpose(x, axes=tuple(order.index(a) for a in range(like.rank)))


def _norm_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    (x,), (dx,) = xs, dxs
    assert dx is not None
    return sum_(direction(x, axis=y.attrs["axis"]) * dx, axis=y.attrs["axis"], keepdims=y.attrs["keepdims"])


norm = _reduction(
    "norm", "Euclidean (Frobenius) norm without overflow; slope 0 at 0.",
    lambda xp, x, axis, keepdims: norm_kernel(xp, x, axis, keepdims), accepts="float", expand=_with(lambda: norm, lambda x: 0), rule=Tangent(_norm_tangent),
    singular=True, workspace=1.2, bounds=(0.0, inf), zero_where=(0,), flow="reduced", corner=at_origin(), formula="sqrt(x1^2 + x2^2 + …)",
    squared=lambda y, x: sum_(x * x, axis=y.attrs["axis"], keepdims=y.attrs["keepdims"]),
)  # fmt: skip


def _logsumexp_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    """The softmax weights of the entries: exp(x - y) would lose the digits that y lost to a large x.

    Of nothing but -infinity the weights are 0.
    """
    from gradcli.graph.ops.networks import softmax

    (x,), (dx,) = xs, dxs
    assert dx is not None
    axes = y.attrs["axis"]
    weights, moved = softmax(_last(x, axes), axis=-1), _last(dx, axes)
    if x.risky:
        empty = equal(reshaped(y, (*weights.shape[:-1], 1)), -math.inf)
        weights = where(broadcasted(empty, weights.shape), 0, weights)
    return reshaped(sum_(weights * moved, axis=-1), y.shape)


logsumexp = _reduction(
    "logsumexp", "log(sum(exp(x))), stable.",
    lambda xp, x, axis, keepdims: logsumexp_kernel(xp, x, axis, keepdims),
    aliases=("reduce_logsumexp",), accepts="float", expand=_with(lambda: logsumexp, lambda x: -inf), rule=Tangent(_logsumexp_tangent), singular=True,
    workspace=2.1, flow="reduced", formula="log(exp(x1) + exp(x2) + …)",
)  # fmt: skip


def _any_of(x: Node, axis: Any, keepdims: bool, where: Node | None) -> Node | None:
    if where is None:
        return None
    return any_(logical_and(x, _fitting(where, x)), axis=axis, keepdims=keepdims)


def _all_of(x: Node, axis: Any, keepdims: bool, where: Node | None) -> Node | None:
    if where is None:
        return None
    return all_(logical_or(x, logical_not(_fitting(where, x))), axis=axis, keepdims=keepdims)


def _truth(name: str, doc: str, combined: str, masked: Callable[..., Node | None]) -> Operation:
    return _reduction(
        name, doc, lambda xp, x, axis, keepdims: getattr(xp, name)(x, axis=axis, keepdims=keepdims),
        aliases=(f"reduce_{name}",), accepts="bool", expand=masked, rule=NoDerivative(), flow="accumulated", combined=combined, domain="true and false; no derivative",
        formula=f"{name}(x)", example=f"{name}([true, false])",
    )  # fmt: skip


any_ = _truth("any", "Whether some entry is true.", "logical_or", _any_of)
all_ = _truth("all", "Whether every entry is true.", "logical_and", _all_of)


def _position(name: str, doc: str) -> Operation:
    def infer(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
        (x,) = inputs
        axis = attrs["axis"] = normalize_axis(attrs["axis"], x.rank)
        if x.shape[axis] == 0:
            raise GradcliError("ShapeError", f"{name} of no entries is not defined", operands=[(0, "an empty axis")])
        return reduce_shape(x.shape, [axis], attrs["keepdims"]), "int64"

    return _reduction(
        name, doc, lambda xp, x, axis, keepdims: getattr(xp, name)(x, axis=axis, keepdims=keepdims),
        infer=infer, spec="x, axis:int=0, keepdims:flag=false", domain="all real numbers; no derivative",
        workspace=1.0, flow="reduced", corner=with_equal_entries(), formula=f"{name}(x)", example=f"{name}([1.0, 3.0, 2.0])",
    )  # fmt: skip


argmax = _position("argmax", "The index of the first largest entry along an axis.")
argmin = _position("argmin", "The index of the first smallest entry along an axis.")


def _turned(node: Node) -> float:
    """The kernel turns its input or moves its result."""
    return 1.0 if node.attrs["reverse"] or node.attrs["exclusive"] else 0.0


_CUMULATIVE = "x, axis:int=0, exclusive:flag=false, reverse:flag=false"

cumsum = _reduction(
    "cumsum", "Running sum along an axis.", Wrapping(cumulative_kernel, summed), infer=along, spec=_CUMULATIVE,
    rule=Linear(lambda i, g, y: cumsum(g, **{**y.attrs, "reverse": not y.attrs["reverse"]}), picks=lambda y: y.attrs["exclusive"]),
    workspace=_turned, flow="along", formula="yk = x1 + … + xk", example="cumsum([1, 2, 3])",
)  # fmt: skip


def _shifted(x: Node, axis: int, by: int, reverse: bool) -> Node:
    """Moved along an axis, ones filled in."""
    size = x.shape[axis]
    if reverse:
        kept, items = sliced(x, axis, by, size), (0, size - by, 1)
    else:
        kept, items = sliced(x, axis, 0, size - by), (by, size, 1)
    where_kept = (*((0, n, 1) for n in x.shape[:axis]), items)
    gap = unindex(broadcasted(_one(x), kept.shape), items=where_kept, shape=x.shape)
    return unindex(kept, items=where_kept, shape=x.shape) + (1 - gap)


def _one(x: Node) -> Node:
    from gradcli.graph.operation import literal

    return literal(1, x.dtype)


def _product_scan(y: Node, x: Node) -> Node:
    """Running products by doubling (Hillis and Steele 1986): polynomials, so right with zeros among the entries."""
    axis, reverse = y.attrs["axis"], y.attrs["reverse"]
    size = x.shape[axis]
    result = _shifted(x, axis, 1, reverse) if y.attrs["exclusive"] and size else x
    by = 1
    while by < size:
        result = multiply(result, _shifted(result, axis, by, reverse))
        by *= 2
    return result + zero(x)


cumprod = _reduction(
    "cumprod", "Running product along an axis; its derivatives are right where entries are 0.",
    Wrapping(lambda xp, x, axis, exclusive, reverse: cumulative_kernel(xp, x, axis, exclusive, reverse, product=True)),
    infer=along, spec=_CUMULATIVE, rule=SameAs(_product_scan), degree="entries", workspace=_turned, flow="along", formula="yk = x1 * … * xk",
    example="cumprod([1, 2, 3])",
)  # fmt: skip
