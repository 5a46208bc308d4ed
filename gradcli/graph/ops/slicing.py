"""Operations that pick and place entries: slices, joins, diagonals, gathers and sorts; all of them linear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError, counted
from gradcli.graph.node import Node
from gradcli.graph.operation import Linear, NoDerivative, SameAs, along, cast_to, constant_value, indices_along, literal
from gradcli.graph.ops.corners import with_equal_entries
from gradcli.graph.ops.kernels import Wrapping, summed
from gradcli.graph.ops.selection import where
from gradcli.graph.ops.shaping import (
    Attrs,
    Inputs,
    broadcasted,
    input_of,
    not_negative,
    reshape,
    shaping,
    transpose,
    unbroadcast,
)
from gradcli.graph.types import ITEM_SIZE, Shape, broadcast, is_integer, normalize_axis, promote, show_shape, size_of

if TYPE_CHECKING:
    from gradcli.graph.leading import Led

# joins


def _joined_inputs(nodes: list[Node]) -> list[Node]:
    dtype = promote([x.dtype for x in nodes])
    return [cast_to(x, dtype) for x in nodes]


def _concat_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    first = inputs[0]
    if not first.rank:
        raise GradcliError("ShapeError", "concat needs values with at least one axis", help="use `stack` for scalars")
    axis = attrs["axis"] = normalize_axis(attrs["axis"], first.rank)
    for i, x in enumerate(inputs):
        if x.rank != first.rank or any(
            n != m for k, (n, m) in enumerate(zip(x.shape, first.shape, strict=True)) if k != axis
        ):
            raise GradcliError(
                "ShapeError",
                f"concat along axis {axis} needs equal sizes on the other axes, "
                f"not {show_shape(first.shape)} and {show_shape(x.shape)}",
                operands=[(0, f"shape {show_shape(first.shape)}"), (i, f"shape {show_shape(x.shape)}")],
            )
    total = sum(x.shape[axis] for x in inputs)
    return (*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype


def _piece(i: int, g: Node, y: Node) -> Node:
    axis = y.attrs["axis"]
    start = sum(x.shape[axis] for x in y.inputs[:i])
    return sliced(g, axis, start, start + y.inputs[i].shape[axis])


concat = shaping(
    "concat", "values:tensors, axis:int=0", "Joined along an axis that they have.", aliases=("concatenate",),
    adapt=_joined_inputs, infer=_concat_shape, rule=Linear(_piece),
    kernel=lambda xp, *xs, axis: xp.concatenate(xs, axis=axis), entries="moved", flow="along", formula="[a, b, …]", example="concat([[1], [2, 3]])",
)  # fmt: skip


def _stack_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    first = inputs[0]
    for i, x in enumerate(inputs):
        if x.shape != first.shape:
            raise GradcliError(
                "ShapeError",
                f"a list needs entries of one shape, not {show_shape(first.shape)} and {show_shape(x.shape)}",
                operands=[(0, f"shape {show_shape(first.shape)}"), (i, f"shape {show_shape(x.shape)}")],
                help="ragged lists are not arrays; `concat` joins rows of different lengths",
            )
    axis = attrs["axis"] = normalize_axis(attrs["axis"], first.rank + 1)
    return (*first.shape[:axis], len(inputs), *first.shape[axis:]), first.dtype


stack = shaping(
    "stack", "values:tensors, axis:int=0", "Joined along a new axis.", adapt=_joined_inputs, infer=_stack_shape,
    rule=Linear(lambda i, g, y: index(g, items=(*(_whole(n) for n in g.shape[: y.attrs["axis"]]), i))),
    kernel=lambda xp, *xs, axis: xp.stack(xs, axis=axis), entries="moved", flow="stacked", formula="[a, b, …]", example="stack([[1, 2], [3, 4]], 1)",
)  # fmt: skip

# slices: each item is an index, (start, stop, step) as `slice` takes them, or None for a new axis


def _whole(size: int) -> tuple[int, int | None, int]:
    return (0, size, 1)


def _slices(items: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(slice(*item) if isinstance(item, tuple) else item for item in items)


def _index_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    (x,) = inputs
    shape: list[int] = []
    axis = 0
    for item in attrs["items"]:
        if item is None:
            shape.append(1)
            continue
        if isinstance(item, tuple):
            shape.append(len(range(*slice(*item).indices(x.shape[axis]))))
        axis += 1
    return (*shape, *x.shape[axis:]), x.dtype


def _takes_few(y: Node) -> bool:
    """Whether an operation that takes each entry at most once leaves some out."""
    return size_of(y.shape) < size_of(input_of(y).shape)


index = shaping(
    "index", "x, items:string", "x[items]: basic indexing.", hidden=True, infer=_index_shape,
    rule=Linear(lambda i, g, y: unindex(g, items=y.attrs["items"], shape=input_of(y).shape), picks=_takes_few),
    kernel=lambda xp, x, items: x[_slices(items)] if getattr(x, "shape", ()) else xp.asarray(x)[_slices(items)],
    entries="moved", flow="indexed", shares="always", formula="x[items]",
)  # fmt: skip


def _unindex_kernel(xp: Any, g: Any, items: Sequence[Any], shape: Shape) -> Any:
    y = xp.zeros(shape, dtype=g.dtype)
    y[_slices(items)] = g
    return y


unindex = shaping(
    "unindex", "g, items:string, shape:shape", "Zeros of a shape, with g at [items]: the transpose of indexing.",
    hidden=True, infer=lambda inputs, attrs: (tuple(attrs["shape"]), inputs[0].dtype), kernel=_unindex_kernel,
    rule=Linear(lambda i, g, y: index(g, items=y.attrs["items"])), entries="placed", flow="unindexed", formula="x[items] = g",
)  # fmt: skip


def sliced(x: Node, axis: int, start: int, stop: int) -> Node:
    """x[start:stop] along one axis."""
    return index(x, items=(*(_whole(n) for n in x.shape[:axis]), (start, stop, 1)))


def _pad_inputs(nodes: list[Node]) -> list[Node]:
    """One dtype; the number 0 around truth values is false."""
    x, constant = nodes
    if x.dtype == "bool" and constant_value(constant) == 0:
        constant = literal(False, "bool")
    dtype = promote([x.dtype, constant.dtype])
    return [cast_to(x, dtype), cast_to(constant, dtype)]


def _pad(x: Node, constant: Node, paddings: Sequence[Sequence[int]]) -> Node:
    if len(paddings) != x.rank or any(len(p) != 2 or min(p) < 0 for p in paddings):
        raise GradcliError(
            "ShapeError",
            f"pad needs [before, after] for each of the {x.rank} axes, not {[list(p) for p in paddings]}",
            operands=[(0, f"shape {show_shape(x.shape)}")],
        )
    shape = tuple(a + n + b for n, (a, b) in zip(x.shape, paddings, strict=True))
    items = tuple((a, a + n, 1) for n, (a, _) in zip(x.shape, paddings, strict=True))
    padded = unindex(x, items=items, shape=shape)
    if constant_value(constant) == 0:
        return padded
    inside = unindex(broadcasted(literal(True, "bool"), x.shape), items=items, shape=shape)
    return where(inside, padded, constant)


pad = shaping(
    "pad", "x, paddings:pairs, constant_values:tensor=0", "Filled up on both ends of each axis.",
    expand=lambda x, constant, paddings: _pad(x, constant, paddings), formula="x, with a border",
    example="pad([1, 2], [[1, 1]])", adapt=_pad_inputs,
)  # fmt: skip

# deltas: a pattern gives each axis of the large array a class, and axes of one class hold their diagonal


def _classes(x: Node, attrs: Attrs) -> tuple[int, ...]:
    """The pattern as a tuple, all classes from 0 up to the largest in it."""
    pattern = attrs["pattern"]
    pattern = attrs["pattern"] = (pattern,) if isinstance(pattern, int) else tuple(pattern or ())
    if sorted(set(pattern)) != list(range(len(set(pattern)))) or not pattern:
        raise GradcliError("ValueError", f"the pattern {list(pattern)} must number classes of axes from 0 without gaps")
    return pattern


def _expand_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    (x,) = inputs
    pattern = _classes(x, attrs)
    if max(pattern) + 1 != x.rank:
        raise GradcliError(
            "ShapeError",
            f"the pattern {list(pattern)} needs a value with {counted(max(pattern) + 1, 'axis', 'axes')}",
            operands=[(0, f"shape {show_shape(x.shape)}")],
        )
    return tuple(x.shape[c] for c in pattern), x.dtype


def diagonal_view(xp: Any, array: Any, pattern: Sequence[int]) -> Any:
    """A view of the entries at which all axes of one class agree, one axis a class."""
    count = max(pattern) + 1
    sizes, strides = [0] * count, [0] * count
    for c, n, step in zip(pattern, array.shape, array.strides, strict=True):
        sizes[c] = n
        strides[c] += step
    return xp.lib.stride_tricks.as_strided(array, sizes, strides)


def expand_kernel(xp: Any, x: Any, pattern: Sequence[int]) -> Any:
    """Zeros with x on the diagonals that the pattern names: axis j of the result is axis ``pattern[j]`` of x."""
    y = xp.zeros(tuple(x.shape[c] for c in pattern), dtype=x.dtype)
    diagonal_view(xp, y, pattern)[...] = x
    return y


expand_delta = shaping(
    "expand_delta", "x, pattern:ints", "x on a diagonal: the pattern numbers the axis of x for each axis; 0 where "
    "axes of one number differ.", infer=_expand_shape, kernel=expand_kernel, entries="placed", flow="diagonals", formula="delta * x",
    rule=Linear(lambda i, g, y: collect_delta(g, pattern=y.attrs["pattern"])), example="expand_delta([1, 2], [0, 0])",
)  # fmt: skip


def _collect_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    (x,) = inputs
    pattern = _classes(x, attrs)
    sizes = {(c, n) for c, n in zip(pattern, x.shape, strict=False)}
    if len(pattern) != x.rank or len(sizes) != max(pattern) + 1:
        raise GradcliError(
            "ShapeError",
            f"the pattern {list(pattern)} needs as many axes, those of one number of equal size",
            operands=[(0, f"shape {show_shape(x.shape)}")],
        )
    return tuple(n for _, n in sorted(sizes)), x.dtype


collect_delta = shaping(
    "collect_delta", "x, pattern:ints", "The entries at which axes of one number agree: a diagonal.",
    example="collect_delta([[1, 2], [3, 4]], [0, 0])", infer=_collect_shape, kernel=lambda xp, x, pattern: diagonal_view(xp, x, pattern).copy(), entries="moved", flow="diagonals", formula="diagonal of x",
    rule=Linear(lambda i, g, y: expand_delta(g, pattern=y.attrs["pattern"]), picks=_takes_few),
)  # fmt: skip

# indices that are values


def index_array(values: Sequence[int]) -> Node:
    """A vector of int64 constants."""
    from gradcli.graph.ops.creation import array

    return array(values=tuple(values), shape=(len(values),), dtype="int64")


def without_floats(indices: Node) -> Node:
    """``[]`` as an array of integers: without entries it says nothing of a dtype."""
    empty = indices.op.name == "array" and indices.attrs["values"] == () and not is_integer(indices.dtype)
    return cast_to(indices, "int64") if empty else indices


def _integers(indices: Node, position: int) -> Node:
    """Indices as integers; a TypeError, which names the operand at a position, for any other dtype."""
    indices = without_floats(indices)
    if not is_integer(indices.dtype):
        raise GradcliError(
            "TypeError",
            f"indices must be integers, not {indices.dtype}",
            operands=[(position, f"dtype {indices.dtype}")],
        )
    return indices


def _indexed_inputs(nodes: list[Node]) -> list[Node]:
    """A value and its indices."""
    return [nodes[0], _integers(nodes[1], 1)]


def _in_range(indices: Node, axis: int, size: int) -> None:
    """ShapeError for an index of the program's text that the axis does not have; others are looked at by the kernels."""
    known = indices.attrs["values"] if indices.op.name == "array" else ()
    for number in known if isinstance(known, tuple) else ():
        if not -size <= number < size:
            raise GradcliError(
                "ShapeError",
                f"index {number} is out of range for axis {axis}, of size {size}",
                operands=[(1, f"from {-size} to {size - 1}" if size else "the axis is empty")],
            )


def _gather_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    x, indices = inputs
    axis = attrs["axis"] = normalize_axis(attrs["axis"], x.rank)
    _in_range(indices, axis, x.shape[axis])
    return (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype


def _raveled_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    if len(inputs) != len(attrs["dims"]):
        raise GradcliError(
            "ShapeError",
            f"ravel_multi_index needs a size for each of {counted(len(inputs), 'array')} of indices, "
            f"not {counted(len(attrs['dims']), 'size')}",
        )
    return broadcast([x.shape for x in inputs], "indices"), "int64"


def ravel_kernel(xp: Any, *indices: Any, dims: Shape) -> Any:
    """The flat index of each tuple of indices into an array of shape ``dims``."""
    total = xp.zeros((), dtype="int64")
    for axis, (i, n) in enumerate(zip(indices, dims, strict=True)):
        i = xp.asarray(i)
        bad = (i < -n) | (i >= n)
        if bad.any():
            raise IndexError(f"index {i[bad].ravel()[0]} is out of bounds for axis {axis} with size {n}")
        total = total * n + xp.where(i < 0, i + n, i)
    return xp.asarray(total)


ravel_multi_index = shaping(
    "ravel_multi_index", "indices:tensors, dims:shape",
    "Indices of several axes as one index of those axes in a row; `x[i, j]` is made of it.",
    adapt=lambda nodes: [_integers(x, i) for i, x in enumerate(nodes)], infer=_raveled_shape, kernel=Wrapping(ravel_kernel), rule=NoDerivative(), degree="", flow="entries",
    workspace=2.0, domain="integers; no derivative", formula="i * dims[1] + j", example="ravel_multi_index([[0, 1], [2, 0]], [2, 3])",
)  # fmt: skip


def _beside(led: Led, rank: int) -> Node:
    """The indices as one axis beside the axes of a value of so many axes, which it is one of."""
    indices, axis = led.full(1), led.node.attrs["axis"]
    count = size_of(led.node.inputs[1].shape)
    return reshape(indices, shape=(led.size, *[1] * axis, count, *[1] * (rank - axis - 1)))


def _gather_led(led: Led) -> Node:
    x, indices = led.inputs
    axis = led.node.attrs["axis"]
    if not led.has[1]:
        return gather(x, indices, axis=axis + 1)
    if not led.has[0]:
        y = gather(x, indices, axis=axis)
        return y if axis == 0 else transpose(y, axes=(axis, *range(axis), *range(axis + 1, y.rank)))
    return reshape(take_along(x, _beside(led, x.rank - 1), axis=axis + 1), shape=led.shape)


gather = shaping(
    "gather", "x, indices:indices, axis:int=0", "The slices at the given indices along an axis; `x[indices]` is the same.",
    aliases=("take",), leading=_gather_led, adapt=_indexed_inputs, infer=_gather_shape, entries="repeated", flow="gathered", formula="x[indices]", example="gather([10, 20, 30], [2, 0, 0])",
    kernel=lambda xp, x, i, axis: xp.take(x, i, axis=axis),
    rule=Linear(
        lambda i, g, y: scatter_add(g, y.inputs[1], axis=y.attrs["axis"], size=input_of(y).shape[y.attrs["axis"]]), (0,),
        picks=lambda y: True,
    ),
)  # fmt: skip


def _scatter_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    g, indices = inputs
    axis = attrs["axis"] = normalize_axis(attrs["axis"], g.rank - indices.rank + 1)
    if g.shape[axis : axis + indices.rank] != indices.shape:
        raise GradcliError(
            "ShapeError",
            f"scatter_add along axis {axis} needs the shape of the indices there",
            operands=[(0, f"shape {show_shape(g.shape)}"), (1, f"shape {show_shape(indices.shape)}")],
        )
    not_negative("scatter_add", [attrs["size"]])
    _in_range(indices, axis, attrs["size"])
    return (*g.shape[:axis], attrs["size"], *g.shape[axis + indices.rank :]), g.dtype


def scatter_kernel(xp: Any, g: Any, indices: Any, axis: int, size: int) -> Any:
    """Zeros, with slices of g added at the indices along an axis; as one long row, which is fast."""
    before, after = g.shape[:axis], g.shape[axis + indices.ndim :]
    y = xp.zeros((*before, size, *after), dtype=g.dtype)
    row = int(xp.prod(after))
    first = xp.reshape(xp.arange(int(xp.prod(before))) * (size * row), (-1, 1, 1))
    place = first + xp.reshape(xp.arange(size)[indices], (-1, 1)) * row + xp.arange(row)
    xp.add.at(xp.reshape(y, -1), xp.reshape(place, -1), xp.reshape(g, -1))
    return y


def _scatter_led(led: Led) -> Node:
    axis, size = led.node.attrs["axis"], led.node.attrs["size"]
    if not led.has[1]:
        return scatter_add(led.inputs[0], led.inputs[1], axis=axis + 1, size=size)
    indices = _beside(led, led.node.rank)
    shape = led.node.shape
    g = reshape(led.full(0), shape=(led.size, *shape[:axis], indices.shape[axis + 1], *shape[axis + 1 :]))
    return scatter_along(g, indices, axis=axis + 1, size=size)


def _places(node: Node) -> float:
    """A place for each entry, and a copy of what does not lie in one row."""
    return 1.0 + ITEM_SIZE["int64"] / ITEM_SIZE[node.dtype]


scatter_add = shaping(
    "scatter_add", "g, indices:indices, axis:int, size:int", "Zeros, with slices of g added at the indices: gather transposed.",
    example="scatter_add([1, 2, 3], [0, 2, 2], 0, 4)", adapt=_indexed_inputs, infer=_scatter_shape, workspace=_places,
    kernel=Wrapping(scatter_kernel, summed, values=1), leading=_scatter_led,
    entries="added", formula="x[indices] += g",
    rule=Linear(lambda i, g, y: gather(g, y.inputs[1], axis=y.attrs["axis"]), (0,)),
)  # fmt: skip


argsort = shaping(
    "argsort", "x, axis:int=-1", "The indices that sort it (stable).", workspace=1.0, flow="along", corner=with_equal_entries(), formula="argsort(x)", degree="",
    infer=indices_along, rule=NoDerivative(),
    kernel=lambda xp, x, axis: xp.argsort(x, axis=axis, kind="stable"), domain="all real numbers; no derivative",
    example="argsort([3, 1, 2])",
)  # fmt: skip


def _aligned(name: str, x: Node, indices: Node, axis: int) -> Shape:
    """The shape of the other axes of a value and its indices, which broadcast; 1 on the axis itself."""
    if indices.rank != x.rank:
        raise GradcliError(
            "ShapeError",
            f"{name} needs indices with as many axes as the value, {x.rank}, not {indices.rank}",
            operands=[(0, f"shape {show_shape(x.shape)}"), (1, f"shape {show_shape(indices.shape)}")],
            help="`gather` takes the same indices in every row",
        )
    others = [(*shape[:axis], 1, *shape[axis + 1 :]) for shape in (x.shape, indices.shape)]
    return broadcast(others, "value and indices")


def _along_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    x, indices = inputs
    axis = attrs["axis"] = normalize_axis(attrs["axis"], x.rank)
    shape = _aligned("take_along", x, indices, axis)
    _in_range(indices, axis, x.shape[axis])
    return (*shape[:axis], indices.shape[axis], *shape[axis + 1 :]), x.dtype


def _scatter_along_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    g, indices = inputs
    axis, size = normalize_axis(attrs["axis"], g.rank), attrs["size"]
    attrs["axis"] = axis
    shape = _aligned("scatter_along", g, indices, axis)
    if shape != (*g.shape[:axis], 1, *g.shape[axis + 1 :]) or g.shape[axis] != indices.shape[axis]:
        raise GradcliError(
            "ShapeError",
            "scatter_along needs an entry of g for each index",
            operands=[(0, f"shape {show_shape(g.shape)}"), (1, f"shape {show_shape(indices.shape)}")],
        )
    not_negative("scatter_along", [size])
    _in_range(indices, axis, size)
    return (*shape[:axis], size, *shape[axis + 1 :]), g.dtype


def scatter_along_kernel(xp: Any, g: Any, indices: Any, axis: int, size: int) -> Any:
    """Zeros, with entries of g added at the indices along an axis; as one long row, which is fast."""
    rows = xp.moveaxis(g, axis, -1)
    y = xp.zeros((*rows.shape[:-1], size), dtype=g.dtype)
    place = xp.broadcast_to(xp.moveaxis(xp.arange(size)[indices], axis, -1), rows.shape)
    first = xp.reshape(xp.arange(rows[..., :1].size) * size, rows[..., :1].shape)
    xp.add.at(xp.reshape(y, -1), xp.reshape(first + place, -1), xp.reshape(rows, -1))
    return xp.moveaxis(y, -1, axis)


def _indices_along(led: Led) -> Node:
    """Indices that broadcast with a value that has the leading axis; they may be the same all along it."""
    indices = led.inputs[1]
    return indices if led.has[1] else reshape(indices, shape=(1, *indices.shape))


def _take_along_led(led: Led) -> Node:
    x = led.inputs[0]
    return led.made((x if led.has[0] else reshape(x, shape=(1, *x.shape)), _indices_along(led)), led.attrs())


def _scatter_along_led(led: Led) -> Node:
    return led.made((led.full(0), _indices_along(led)), led.attrs())


take_along = shaping(
    "take_along", "x, indices:indices, axis:int=-1", "The entries at the indices along an axis, row by row of the others.",
    aliases=("take_along_axis",), example="take_along([[30, 10, 20], [5, 6, 7]], [[1, 2], [-1, -1]])", adapt=_indexed_inputs, leading=_take_along_led,
    infer=_along_shape, kernel=lambda xp, x, i, axis: xp.take_along_axis(x, i, axis=axis),
    workspace=1.0, entries="repeated", flow="rows", formula="y[i, k] = x[i, indices[i, k]]",
    rule=Linear(
        lambda i, g, y: unbroadcast(
            scatter_along(g, y.inputs[1], axis=y.attrs["axis"], size=input_of(y).shape[y.attrs["axis"]]),
            input_of(y).shape,
        ),
        (0,),
        picks=lambda y: True,
    ),
)  # fmt: skip
scatter_along = shaping(
    "scatter_along", "g, indices:indices, axis:int, size:int", "Zeros, with entries of g added at the indices along an "
    "axis: take_along transposed.", example="scatter_along([[1, 2], [3, 4]], [[0, 2], [1, 1]], 1, 3)",
    adapt=_indexed_inputs, leading=_scatter_along_led, infer=_scatter_along_shape, kernel=Wrapping(scatter_along_kernel, summed, values=1), workspace=_places,
    flow="rows", formula="x[i, indices[i, k]] += g[i, k]",
    rule=Linear(lambda i, g, y: take_along(g, y.inputs[1], axis=y.attrs["axis"]), (0,)),
)  # fmt: skip
sort = shaping(
    "sort", "x, axis:int=-1", "Sorted in ascending order.", infer=along,
    kernel=lambda xp, x, axis: xp.sort(x, axis=axis, kind="stable"), workspace=1.0, entries="moved", flow="along", piecewise=True, corner=with_equal_entries("derivative taken for equal entries in the order in which they stand, one-sided either"), formula="x, rearranged",
    rule=SameAs(
        lambda y, x: take_along(x, argsort(x, axis=y.attrs["axis"]), axis=y.attrs["axis"])
    ),
    example="sort([3, 1, 2])",
)  # fmt: skip


REPEAT_LIMIT = 10_000_000


def _repeat(x: Node, repeats: int | Sequence[int], axis: int | None) -> Node:
    if axis is None:
        x, axis = reshape(x, shape=(-1,)), 0
    at = normalize_axis(axis, x.rank)
    size = x.shape[at]
    if not isinstance(repeats, int):
        times = list(repeats)
        not_negative("repeat", times)
        if len(times) != size:
            raise GradcliError(
                "ShapeError", f"repeat needs one count for each of the {size} entries of axis {at}, not {len(times)}"
            )
        if sum(times) > REPEAT_LIMIT:
            raise GradcliError("LimitError", f"repeat with a list of counts makes at most {REPEAT_LIMIT} entries")
        return gather(x, index_array([i for i, n in enumerate(times) for _ in range(n)]), axis=at)
    not_negative("repeat", [repeats])
    before, after = x.shape[:at], x.shape[at + 1 :]
    wide = broadcasted(reshape(x, shape=(*before, size, 1, *after)), (*before, size, repeats, *after))
    return reshape(wide, shape=(*before, size * repeats, *after))


repeat = shaping(
    "repeat", "x, repeats:ints, axis:axis=None", "Each entry (or each slice along the axis) several times.",
    expand=_repeat, formula="x, repeated", example="repeat([1, 2], 2)",
)  # fmt: skip
