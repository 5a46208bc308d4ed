"""Operations that move entries about: shapes, slices, joins, permutations; all of them linear."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError, counted
from gradcli.graph.node import Node
from gradcli.graph.operation import Linear, Operation, register, unchanged
from gradcli.graph.types import (
    Shape,
    broadcast,
    normalize_axes,
    normalize_axis,
    reduce_shape,
    show_shape,
    size_of,
)

if TYPE_CHECKING:
    from gradcli.graph.leading import Led

Inputs = Sequence[Node]
Attrs = dict[str, Any]


def shaping(name: str, spec: str, doc: str, **entry: Any) -> Operation:
    """An entry of the family "shaping"."""
    entry.setdefault("accepts", "any")
    entry.setdefault("degree", "linear")
    return register(Operation(name, spec, doc, family="shape", **entry))


def input_of(y: Node) -> Node:
    """The first input of a node."""
    return y.inputs[0]


# reshape, broadcast_to and what is composed of them


def _reshape_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    (x,) = inputs
    wanted = list(attrs["shape"])
    if wanted.count(-1) > 1 or any(n < -1 for n in wanted):
        raise GradcliError("ShapeError", f"{show_shape(wanted)} is not a shape", help="at most one size may be -1")
    if -1 in wanted:
        rest = -prod(wanted)
        if rest and size_of(x.shape) % rest == 0:
            wanted[wanted.index(-1)] = size_of(x.shape) // rest
    if prod(wanted) != size_of(x.shape) or -1 in wanted:
        raise GradcliError(
            "ShapeError",
            f"a value of shape {show_shape(x.shape)} holds {counted(size_of(x.shape), 'entry', 'entries')} and "
            f"cannot become {show_shape(attrs['shape'])}",
            operands=[(0, f"shape {show_shape(x.shape)}")],
            help="a size of -1 is worked out from the others",
        )
    attrs["shape"] = tuple(wanted)
    return tuple(wanted), x.dtype


reshape = shaping(
    "reshape", "x, shape:shape", "The same entries in another shape; one size may be -1.", infer=_reshape_shape,
    rule=Linear(lambda i, g, y: reshape(g, shape=input_of(y).shape)), kernel=lambda xp, x, shape: xp.reshape(x, shape),
    entries="moved", flow="reshaped", shares="always", formula="x, rearranged", example="reshape([[1, 2], [3, 4]], [-1])",
)  # fmt: skip


def reshaped(x: Node, shape: Shape) -> Node:
    """The node in a shape of as many entries."""
    return x if x.shape == shape else reshape(x, shape=shape)


def _broadcast_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    (x,) = inputs
    shape = tuple(attrs["shape"])
    if any(n < 0 for n in shape) or broadcast([x.shape, shape], "value and target") != shape:
        raise GradcliError(
            "ShapeError",
            f"shape {show_shape(x.shape)} does not broadcast to {show_shape(shape)}",
            operands=[(0, f"shape {show_shape(x.shape)}")],
        )
    attrs["shape"] = shape
    return shape, x.dtype


def stretched_axes(large: Shape, shape: Shape) -> tuple[int, ...]:
    """The axes of a large shape along which a value of the other shape is repeated to fill it."""
    extra = max(len(large) - len(shape), 0)
    own = shape[len(shape) - (len(large) - extra) :]
    return (*range(extra), *(i + extra for i, n in enumerate(own) if n == 1 and large[i + extra] != 1))


def unbroadcast(g: Node, shape: Shape) -> Node:
    """The sum of g over the axes along which a value of the given shape was broadcast."""
    if g.shape == shape:
        return g
    from gradcli.graph.ops.reductions import sum_

    axes = stretched_axes(g.shape, shape)
    return reshaped(sum_(g, axis=axes, keepdims=False) if axes else g, shape)


broadcast_to = shaping(
    "broadcast_to", "x, shape:shape", "Repeated along new axes and axes of size 1.", infer=_broadcast_shape,
    rule=Linear(lambda i, g, y: unbroadcast(g, input_of(y).shape)), kernel=lambda xp, x, shape: xp.broadcast_to(x, shape),
    entries="repeated", flow="entries", shares="always", formula="x, repeated", example="broadcast_to([1, 2], [2, 2])",
)  # fmt: skip


def broadcasted(x: Node, shape: Shape) -> Node:
    """The node repeated to a shape."""
    return x if x.shape == shape else broadcast_to(x, shape=shape)


def _expand_dims(x: Node, axis: int) -> Node:
    at = normalize_axis(axis, x.rank + 1)
    return reshape(x, shape=(*x.shape[:at], 1, *x.shape[at:]))


expand_dims = shaping(
    "expand_dims", "x, axis:int", "A new axis of size 1.", expand=_expand_dims, formula="x, rearranged",
    example="expand_dims([1, 2], 0)",
)  # fmt: skip


def _squeeze(x: Node, axis: int | Sequence[int] | None) -> Node:
    axes = [i for i, n in enumerate(x.shape) if n == 1] if axis is None else normalize_axes(axis, x.rank)
    for i in axes:
        if x.shape[i] != 1:
            raise GradcliError(
                "ShapeError",
                f"axis {i} has size {x.shape[i]}, and only axes of size 1 can be removed",
                operands=[(0, f"shape {show_shape(x.shape)}")],
            )
    return reshape(x, shape=reduce_shape(x.shape, axes, keepdims=False))


squeeze = shaping(
    "squeeze", "x, axis:axes=None", "Axes of size 1 removed.", expand=_squeeze, formula="x, rearranged",
    example="squeeze([[1], [2]])",
)  # fmt: skip


def _tile(x: Node, multiples: int | Sequence[int]) -> Node:
    times = [multiples] if isinstance(multiples, int) else list(multiples)
    rank = max(x.rank, len(times))
    shape = (1,) * (rank - x.rank) + x.shape
    times = [1] * (rank - len(times)) + times
    not_negative("tile", times)
    paired = reshape(x, shape=tuple(n for size in shape for n in (1, size)))
    wide = broadcasted(paired, tuple(n for m, size in zip(times, shape, strict=True) for n in (m, size)))
    return reshape(wide, shape=tuple(m * size for m, size in zip(times, shape, strict=True)))


tile = shaping(
    "tile", "x, multiples:ints", "Copies side by side, as many along each axis as `multiples` says.", expand=_tile,
    formula="x, repeated", example="tile([1, 2], [2])",
)  # fmt: skip


def not_negative(name: str, counts: Sequence[int]) -> None:
    """Raise a ValueError (GradcliError) for negative counts."""
    if any(n < 0 for n in counts):
        raise GradcliError("ValueError", f"{name} needs counts of 0 or more, not {list(counts)}")


# permutations


def _transpose_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    (x,) = inputs
    axes = attrs.get("axes")
    axes = [axes] if isinstance(axes, int) else axes
    axes = tuple(reversed(range(x.rank))) if axes is None else tuple(normalize_axis(a, x.rank) for a in axes)
    if sorted(axes) != list(range(x.rank)):
        raise GradcliError(
            "ShapeError",
            f"axes {list(axes)} is not a permutation of the {x.rank} axes",
            operands=[(0, f"shape {show_shape(x.shape)}")],
        )
    attrs["axes"] = axes
    return tuple(x.shape[a] for a in axes), x.dtype


def _inverse(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


transpose = shaping(
    "transpose", "x, axes:ints=None", "Axes permuted (default: reversed); `x.T` is the same.",
    infer=_transpose_shape, rule=Linear(lambda i, g, y: transpose(g, axes=_inverse(y.attrs["axes"]))),
    kernel=lambda xp, x, axes: xp.transpose(x, axes), entries="moved", flow="transposed", shares="always", formula="x^T", example="transpose([[1, 2], [3, 4]])",
)  # fmt: skip


def swap(x: Node) -> Node:
    """The last two axes exchanged."""
    return transpose(x, axes=(*range(x.rank - 2), x.rank - 1, x.rank - 2))


def _flip_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    attrs["axis"] = normalize_axes(attrs["axis"], inputs[0].rank)
    return unchanged(inputs, attrs)


flip = shaping(
    "flip", "x, axis:axes=None", "Reversed along the axes (default: all).", aliases=("reverse",), infer=_flip_shape,
    rule=Linear(lambda i, g, y: flip(g, axis=y.attrs["axis"])), kernel=lambda xp, x, axis: xp.flip(x, axis),
    entries="moved", flow="along", shares="always", formula="x, rearranged", example="flip([1, 2, 3])",
)  # fmt: skip


def _roll_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    (x,) = inputs
    shift, axis = attrs["shift"], attrs["axis"]
    if isinstance(axis, int):
        attrs["axis"] = normalize_axis(axis, x.rank)
    elif axis is not None:
        attrs["axis"] = tuple(normalize_axis(a, x.rank) for a in axis)
    if not isinstance(shift, int):
        attrs["shift"] = tuple(shift)
        if axis is None or isinstance(axis, int) or len(axis) != len(shift):
            raise GradcliError("ValueError", f"roll needs an axis for each of its shifts {list(shift)}")
    return unchanged(inputs, attrs)


def _back(shift: int | tuple[int, ...]) -> int | tuple[int, ...]:
    return -shift if isinstance(shift, int) else tuple(-n for n in shift)


def _roll_led(led: Led) -> Node:
    """Each as one long row."""
    attrs = led.node.attrs
    if attrs["axis"] is not None:
        return led.counted()
    flat = reshape(led.inputs[0], shape=(led.size, size_of(led.node.shape)))
    return reshape(roll(flat, shift=attrs["shift"], axis=1), shape=led.shape)


roll = shaping(
    "roll", "x, shift:ints, axis:ints=None", "Shifted cyclically along the axis, or each of several (default: as one long row).",
    leading=_roll_led, infer=_roll_shape, rule=Linear(lambda i, g, y: roll(g, shift=_back(y.attrs["shift"]), axis=y.attrs["axis"])),
    kernel=lambda xp, x, shift, axis: xp.roll(x, shift, axis), workspace=0.1, entries="moved", flow="along", formula="x, rearranged", example="roll([1, 2, 3], 1)",
)  # fmt: skip
