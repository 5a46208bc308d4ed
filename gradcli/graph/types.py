"""Dtypes, their promotion, and the shape rules that operations share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from math import prod

from gradcli.diagnostics import GradcliError

Shape = tuple[int, ...]

DTYPES = ("bool", "int32", "int64", "float32", "float64")
"""Every dtype, in promotion order: an operation on two of them gives the later one."""

RANK = {dtype: rank for rank, dtype in enumerate(DTYPES)}
ITEM_SIZE = {"bool": 1, "int32": 4, "int64": 8, "float32": 4, "float64": 8}
MOST_AXES = 64
MOST_BYTES = 2**63 - 1
"""NumPy's limits; it counts the bytes of an empty array as if the axes of size 0 had size 1."""

ORDINARY = {"float32": 4e9, "float64": 1e77}
"""Magnitudes up to which a fourth power is finite. Products of larger numbers may overflow: they count as risky."""

FLOAT32_RANGE = 3.4028235677973366e38
"""From here on numbers are infinite in float32."""

INTEGER_OF = {"float32": "int32", "float64": "int64"}
INTEGER_RANGE = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


def is_float(dtype: str) -> bool:
    """Whether a dtype is one of floats."""
    return RANK[dtype] >= 3


def is_integer(dtype: str) -> bool:
    """Whether a dtype is one of integers."""
    return 1 <= RANK[dtype] <= 2


def is_ordinary(value: float, dtype: str) -> bool:
    """Whether a number is neither NaN nor infinite in a float dtype, nor so large that its products may be."""
    return abs(value) <= ORDINARY[dtype]


def promote(dtypes: Iterable[str]) -> str:
    """The latest of several dtypes in promotion order."""
    return max(dtypes, key=RANK.__getitem__)


def check_shape(shape: Shape) -> None:
    """Raise a LimitError for what no array of NumPy's can be: too many axes, or empty with axes that are too long."""
    if len(shape) > MOST_AXES:
        raise GradcliError("LimitError", f"the result would have {len(shape)} axes, and NumPy has at most {MOST_AXES}")
    if prod(n or 1 for n in shape) * max(ITEM_SIZE.values()) > MOST_BYTES and 0 in shape:
        raise GradcliError("LimitError", f"no array can have the shape {show_shape(shape)}, though it would be empty")


def size_of(shape: Shape) -> int:
    """The number of entries of an array of a shape."""
    return prod(shape)


def show_shape(shape: Sequence[int]) -> str:
    """A shape as messages show it."""
    return "[" + ", ".join(map(str, shape)) + "]" if shape else "[] (a scalar)"


def show_entry(name: str, place: Sequence[int]) -> str:
    """``x[1, 0]``, or the name alone of a scalar."""
    return f"{name}[{', '.join(map(str, place))}]" if place else name


def broadcast(shapes: Sequence[Shape], what: str = "operands") -> Shape:
    """The common shape of several arrays by NumPy's rule; ShapeError if there is none."""
    result = shapes[0]
    for shape in shapes[1:]:
        if shape == result or not shape:
            continue
        if not result:
            result = shape
            continue
        pairs = list(zip_longest(reversed(result), reversed(shape), fillvalue=1))
        if any(a != b and a != 1 and b != 1 for a, b in pairs):
            listed = " and ".join(show_shape(s) for s in shapes)
            raise GradcliError(
                "ShapeError",
                f"{what} of shapes {listed} do not broadcast",
                operands=[(i, f"shape {show_shape(s)}") for i, s in enumerate(shapes)],
                help=_broadcast_help(shapes),
            )
        result = tuple(b if a == 1 else a for a, b in reversed(pairs))
    return result


def _broadcast_help(shapes: Sequence[Shape]) -> str:
    if len(shapes) == 2:
        a, b = shapes
        if len(a) == 2 and a[::-1] == b:
            return "transpose one operand: write `.T` after it"
        if len(a) == 1 and len(b) >= 2 and b[-2] == a[0]:
            return "make the first operand a column: `expand_dims(…, -1)`"
        if len(b) == 1 and len(a) >= 2 and a[-2] == b[0]:
            return "make the second operand a column: `expand_dims(…, -1)`"
    return "sizes are compared from the last axis backwards; each pair must be equal or hold a 1"


def normalize_axis(axis: int, rank: int, what: str = "axis") -> int:
    """A possibly negative axis as one from 0 to rank − 1; ShapeError if it is out of range."""
    if not -rank <= axis < rank:
        bound = f"an axis from {-rank} to {rank - 1}" if rank else "none, the value is a scalar"
        raise GradcliError("ShapeError", f"{what} {axis} is out of range for rank {rank}", help=f"it has {bound}")
    return axis % rank


def normalize_axes(axis: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes as a sorted tuple; None means all of them."""
    if axis is None:
        return tuple(range(rank))
    axes = [axis] if isinstance(axis, int) else list(axis)
    normal = [normalize_axis(a, rank) for a in axes]
    if len(set(normal)) != len(normal):
        raise GradcliError("ShapeError", f"axis {axes} names an axis twice")
    return tuple(sorted(normal))


def reduce_shape(shape: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    """The shape without some axes, or with size 1 there."""
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)
