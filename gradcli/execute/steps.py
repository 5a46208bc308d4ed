"""How one operation is done on one tile: as a function of the registers, writing into a given array where NumPy can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from gradcli.execute.cuts import Piece
from gradcli.execute.products import column_sums, matrix_product
from gradcli.graph.node import Node
from gradcli.graph.ops import half_angle
from gradcli.graph.ops.kernels import Ufunc
from gradcli.graph.ops.reductions import count_of

Registers = list[Any]
"""What a worker holds: its accumulators, the number of rows of the tile, then the values of the tile."""

PARTS, ROWS, FIRST = 0, 1, 2
"""Positions of these in the registers."""

Run = Callable[[Registers], None]


class Step(NamedTuple):
    """One operation on a tile.

    ``result`` says where its value is: in the array that the register held before (``out``), in a part of its first
    input (``view``), in an array of its own (``fresh``), or in one of the last two (``either``). With ``in_place`` the
    register may hold the array of an input; ``copied`` says that the value is made elsewhere first.
    """

    run: Run
    result: Literal["out", "view", "fresh", "either"]
    in_place: bool = False
    copied: bool = False


class Accumulator(NamedTuple):
    """A value summed up over tiles: what a tile contributes, how contributions are combined, and the end, if any."""

    part: Callable[[Registers], Any]
    combine: Any
    finish: Callable[[Any], Any] | None = None


class Place(NamedTuple):
    """A node, the registers of its inputs and of its value, and how it is cut."""

    node: Node
    inputs: Sequence[int]
    out: int
    piece: Piece


def step(np: Any, place: Place) -> Step:
    """The step of an operation whose value has the cut axis."""
    node, inputs, o, _ = place
    kernel = node.op.kernel
    if node.op.name in MAKERS:
        made = MAKERS[node.op.name](np, place)
        if made is not None:
            return made
    if isinstance(kernel, Ufunc):
        return _ufunc(getattr(np, kernel.name), inputs, o, in_place=kernel.name != "matmul")
    assert kernel is not None
    attrs = node.attrs

    def run(r: Registers) -> None:
        r[o] = kernel(np, *[r[i] for i in inputs], **attrs)

    return Step(run, "either" if len(inputs) == 1 else "fresh")


def _ufunc(function: Any, inputs: Sequence[int], o: int, in_place: bool = True) -> Step:
    if len(inputs) == 1:
        (a,) = inputs

        def one(r: Registers) -> None:
            function(r[a], out=r[o])

        return Step(one, "out", in_place)
    a, b = inputs

    def two(r: Registers) -> None:
        function(r[a], r[b], out=r[o])

    return Step(two, "out", in_place)


def _products(np: Any, place: Place) -> Step:
    (a, b, *rest), o = place.inputs, place.out
    if not rest:
        return _ufunc(np.multiply, (a, b), o)
    pairs = list(zip(rest[::2], rest[1::2], strict=True))
    multiply, add = np.multiply, np.add

    def run(r: Registers) -> None:
        y = r[o]
        multiply(r[a], r[b], out=y)
        for c, d in pairs:
            add(y, multiply(r[c], r[d]), out=y)

    return Step(run, "out")


def _recip(np: Any, place: Place) -> Step | None:
    if place.node.attrs.get("positive"):
        return None
    (a,), o = place.inputs, place.out
    one, divide = np.ones((), place.node.dtype), np.true_divide
    return Step(lambda r: divide(one, r[a], out=r[o]), "out", in_place=True)


def _relu(np: Any, place: Place) -> Step:
    (a,), o = place.inputs, place.out
    nothing, maximum = np.zeros((), place.node.dtype), np.maximum
    return Step(lambda r: maximum(r[a], nothing, out=r[o]), "out", in_place=True)


def _cast(np: Any, place: Place) -> Step | None:
    (a,), o = place.inputs, place.out
    if not place.node.dtype.startswith("float"):
        return None  # the kernel checks what integers can hold
    return Step(lambda r: np.copyto(r[o], r[a], casting="unsafe"), "out")


def _sum(np: Any, place: Place) -> Step:
    (a,), o = place.inputs, place.out
    axis, keepdims = place.node.attrs["axis"], place.node.attrs["keepdims"]
    dtype, reduce = place.node.dtype, np.add.reduce
    return Step(lambda r: reduce(r[a], axis, dtype, r[o], keepdims), "out")


def _contraction(np: Any, place: Place) -> Step | None:
    product = matrix_product(np, place.node)
    if product is None:
        return None
    (a, b), o = place.inputs, place.out
    return Step(lambda r: product(r[a], r[b], r[o]), "out")


def _half_angle(into: Any) -> Callable[[Any, Place], Step]:
    def make(np: Any, place: Place) -> Step:
        inputs, o = place.inputs, place.out
        return Step(lambda r: into(np, *[r[i] for i in inputs], r[o]), "out")

    return make


# what only looks at its input in another way


def _same(np: Any, place: Place) -> Step:
    (a,), o = place.inputs, place.out

    def run(r: Registers) -> None:
        r[o] = r[a]

    return Step(run, "view")


def _shaped(np: Any, place: Place) -> Step:
    """Reshape and broadcast_to: the rows of the tile in place of the size of the cut axis."""
    (a,), o = place.inputs, place.out
    axis = place.piece.axis
    assert axis is not None
    before, after = place.node.shape[:axis], place.node.shape[axis + 1 :]
    function = np.reshape if place.node.op.name == "reshape" else np.broadcast_to

    def run(r: Registers) -> None:
        r[o] = function(r[a], (*before, r[ROWS], *after))

    return Step(run, "view")


def _nothing(np: Any, place: Place) -> Step:
    """Link and zero, as a view of a single 0."""
    o, axis, shape = place.out, place.piece.axis, place.node.shape
    assert axis is not None
    zero = np.zeros((), place.node.dtype)

    def run(r: Registers) -> None:
        r[o] = np.broadcast_to(zero, (*shape[:axis], r[ROWS], *shape[axis + 1 :]))

    return Step(run, "view")


def _transpose(np: Any, place: Place) -> Step:
    (a,), o = place.inputs, place.out
    axes = place.node.attrs["axes"]

    def run(r: Registers) -> None:
        r[o] = r[a].transpose(axes)

    return Step(run, "view")


def index_key(items: Sequence[Any], axis: int | None = None) -> tuple[Any, ...]:
    """An index; in it a cut axis, counted in the whole array, is taken as it comes."""
    key: list[Any] = []
    at = 0
    for item in items:
        if isinstance(item, tuple):
            key.append(slice(None) if at == axis else slice(*item))
        else:
            key.append(item)
        at += item is not None
    return tuple(key)


def _index(np: Any, place: Place) -> Step:
    (a,), o = place.inputs, place.out
    axis = place.piece.inputs[0]
    assert axis is not None
    key = index_key(place.node.attrs["items"], axis)

    def run(r: Registers) -> None:
        r[o] = r[a][key]

    return Step(run, "view")


def _unindex(np: Any, place: Place) -> Step:
    (a,), o = place.inputs, place.out
    axis = place.piece.axis
    assert axis is not None
    key = index_key(place.node.attrs["items"], axis)

    def run(r: Registers) -> None:
        y = r[o]
        y[...] = 0
        y[key] = r[a]

    return Step(run, "out")


MAKERS: dict[str, Callable[[Any, Place], Step | None]] = {
    "products": _products, "recip": _recip, "relu": _relu, "cast": _cast,
    "sum": _sum, "contraction": _contraction, "identity": _same, "stop_gradient": _same, "reshape": _shaped,
    "broadcast_to": _shaped, "link": _nothing, "zero": _nothing, "transpose": _transpose, "index": _index,
    "unindex": _unindex, "half_tangent": _half_angle(half_angle.tangent_into), "sine": _half_angle(half_angle.sine_into),
    "cosine": _half_angle(half_angle.cosine_into),
}  # fmt: skip
"""By name, for operations that are neither a universal function nor best done by their kernel."""


# sums over tiles

NARROW = 256
"""Columns up to which NumPy's sum down the rows of a matrix is slow."""


def accumulator(np: Any, place: Place) -> Accumulator:
    """How an operation that reduces the cut axis adds up over tiles."""
    node, inputs, _, _ = place
    kernel, attrs = node.op.kernel, node.attrs
    combine = getattr(np, node.op.combined)
    assert kernel is not None
    if node.op.name in ("sum", "mean"):
        (a,) = inputs
        axis, keepdims, dtype = attrs["axis"], attrs["keepdims"], node.dtype
        shape = node.inputs[0].shape
        if axis == (0,) and len(shape) == 2 and shape[1] <= NARROW and dtype.startswith("float") and not keepdims:
            sums = column_sums(np, dtype)
            total = Accumulator(lambda r: sums(r[a]), combine)
        else:
            total = Accumulator(lambda r: np.add.reduce(r[a], axis, dtype, None, keepdims), combine)
        if node.op.name == "sum":
            return total
        entries = np.asarray(count_of(node), node.dtype)
        return total._replace(finish=lambda y: np.true_divide(y, entries))
    product = matrix_product(np, node)
    if product is not None:
        a, b = inputs
        return Accumulator(lambda r: product(r[a], r[b], None), combine)
    return Accumulator(lambda r: kernel(np, *[r[i] for i in inputs], **attrs), combine)
