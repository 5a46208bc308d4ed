"""How one operation is done: what is called or written for it, and where its result lies.

Tiles call what is found here on their registers (:mod:`gradcli.execute.steps`), a straight line writes it as Python
(:mod:`gradcli.execute.straight`). Without an entry here an operation is done by its kernel, as on whole arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal

from gradcli.execute.products import matrix_product
from gradcli.graph.node import Node
from gradcli.graph.ops import half_angle
from gradcli.graph.ops.kernels import Ufunc
from gradcli.graph.ops.reductions import count_of
from gradcli.graph.ops.words.python import OPERATORS
from gradcli.graph.types import is_float
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.execute.cuts import Piece

Result = Literal["out", "view", "fresh", "either"]


class Lowered(NamedTuple):
    """One operation as a function of its inputs.

    ``result`` says where the value is: in an array that ``call`` takes as ``out``, and makes where that is None
    (``out``), in a part of the first input (``view``), in an array of its own (``fresh``), or in one of the last two
    (``either``). With ``in_place`` the array that is given may be that of an input; with ``rows`` the number of rows of a
    tile comes after the inputs. ``text`` is the same as an expression of ``{0}``, ``{1}`` and of the names of
    ``constants``, where that is quicker on small arrays than the kernel.
    """

    call: Callable[..., Any]
    result: Result = "out"
    in_place: bool = False
    rows: bool = False
    text: str = ""
    constants: tuple[tuple[str, Any], ...] = ()


def lowered(np: Any, node: Node, cut: Piece | None = None) -> Lowered:
    """How an operation is done, on whole arrays or on tiles that are ``cut`` so."""
    kernel = node.op.kernel
    assert kernel is not None
    name = node.op.name
    if node.op.wraps and not is_float(node.dtype):
        return Lowered(partial(kernel, np, **node.attrs), "fresh")
    made = MAKERS[name](np, node, cut) if name in MAKERS else None
    if made is not None:
        return made
    if isinstance(kernel, Ufunc):
        plain = all([is_float(x.dtype) for x in node.inputs]) and not any(node.attrs.values())
        return _ufunc(getattr(np, kernel.name), name if plain else "", len(node.inputs), node.op.entrywise)
    return Lowered(partial(kernel, np, **node.attrs), "either" if len(node.inputs) == 1 else "fresh")


@cache
def _ufunc(function: Any, name: str, count: int, in_place: bool) -> Lowered:
    """A universal function of so many inputs, written as an operator where that of a ``name`` means the same."""
    if name in OPERATORS:
        return Lowered(function, "out", in_place, text=OPERATORS[name])
    places = ", ".join([f"{{{k}}}" for k in range(count)])
    return Lowered(function, "out", in_place, text=f"{{f}}({places})", constants=(("f", function),))


def _products(np: Any, node: Node, cut: Piece | None) -> Lowered:
    multiply, add = np.multiply, np.add
    text = " + ".join([f"{{{k}}} * {{{k + 1}}}" for k in range(0, len(node.inputs), 2)])
    if len(node.inputs) == 2:
        return Lowered(multiply, "out", True, text=text)

    def call(a: Any, b: Any, *rest: Any, out: Any) -> Any:
        y = multiply(a, b, out=out)
        for k in range(0, len(rest), 2):
            add(y, multiply(rest[k], rest[k + 1]), out=y)
        return y

    return Lowered(call, text=text)


def _recip(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    if node.attrs.get("positive"):
        return None
    one, divide = np.ones((), node.dtype), np.true_divide
    return Lowered(lambda a, out: divide(one, a, out), "out", True, text="{one} / {0}", constants=(("one", one[()]),))


def _relu(np: Any, node: Node, cut: Piece | None) -> Lowered:
    zero, maximum = np.zeros((), node.dtype), np.maximum
    return Lowered(lambda a, out: maximum(a, zero, out=out), "out", True)


def _cast(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    if cut is None or not is_float(node.dtype):
        return None  # the kernel checks what integers can hold
    copyto = np.copyto
    return Lowered(lambda a, out: copyto(out, a, casting="unsafe"))


def _sum(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    axis, keepdims, dtype = node.attrs["axis"], node.attrs["keepdims"], np.dtype(node.dtype)
    if cut is None and not (axis and node.inputs[0].shape):
        return None
    reduce = np.add.reduce
    constants = (("reduce", reduce), ("axis", axis), ("dtype", dtype))
    text = f"{{reduce}}({{0}}, {{axis}}, {{dtype}}, None, {keepdims})"
    return Lowered(lambda a, out: reduce(a, axis, dtype, out, keepdims), text=text, constants=constants)


def _mean(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    axis, keepdims, dtype = node.attrs["axis"], node.attrs["keepdims"], np.dtype(node.dtype)
    if cut is not None or not axis or not node.inputs[0].shape:
        return None
    entries, reduce, isfinite = dtype.type(count_of(node)), np.add.reduce, np.isfinite
    assert node.op.kernel is not None
    kernel = partial(node.op.kernel, np, **node.attrs)

    def mean(a: Any, out: Any = None) -> Any:
        y = reduce(a, axis, dtype, None, keepdims) / entries
        finite = isfinite(y).all() if y.shape else y - y == 0
        return y if finite else kernel(a)  # the sum may have overflown

    return Lowered(mean, text="{mean}({0})", constants=(("mean", mean),))


def _contraction(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    product = matrix_product(np, node) if cut is not None or node.inputs[0].shape else None
    if product is None:
        return None
    return Lowered(product, text="{product}({0}, {1}, None)", constants=(("product", product),))


def _half_angle(into: Any) -> Maker:
    def make(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
        return Lowered(partial(into, np)) if cut is not None else None

    return make


# what only looks at its input in another way


def _same(np: Any, node: Node, cut: Piece | None) -> Lowered:
    return Lowered(lambda a: a, "view", text="{0}")


def _where(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    if any([x.shape for x in node.inputs]):
        return None
    return Lowered(lambda c, a, b: a if c else b, "either", text="{1} if {0} else {2}")


def _shaped(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    """Reshape and broadcast_to: the rows of the tile in place of the size of the cut axis."""
    function, shape = np.reshape if node.op.name == "reshape" else np.broadcast_to, node.shape
    if cut is None:
        if node.op.name != "reshape" or not node.inputs[0].shape:
            return None
        return Lowered(lambda a: a.reshape(shape), "view", text="{0}.reshape({shape})", constants=(("shape", shape),))
    assert cut.axis is not None
    before, after = shape[: cut.axis], shape[cut.axis + 1 :]
    return Lowered(lambda a, rows: function(a, (*before, rows, *after)), "view", rows=True)


def _nothing(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    """Link and zero, as a view of a single 0."""
    if cut is None:
        return None
    assert cut.axis is not None
    before, after = node.shape[: cut.axis], node.shape[cut.axis + 1 :]
    zero, broadcast_to = np.zeros((), node.dtype), np.broadcast_to
    return Lowered(lambda *inputs: broadcast_to(zero, (*before, inputs[-1], *after)), "view", rows=True)


def _transpose(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    axes = node.attrs["axes"]
    if not axes:
        return None
    return Lowered(lambda a: a.transpose(axes), "view", text="{0}.transpose({axes})", constants=(("axes", axes),))


def _key(items: Sequence[Any], axis: int | None) -> tuple[Any, ...]:
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


def _index(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    if cut is None and not node.inputs[0].shape:
        return None
    key = _key(node.attrs["items"], cut.inputs[0] if cut is not None else None)
    return Lowered(lambda a: a[key], "view", text="{0}[{key}]", constants=(("key", key),))


def _unindex(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    if cut is None:
        return None
    key = _key(node.attrs["items"], cut.axis)

    def call(a: Any, out: Any) -> Any:
        out[...] = 0
        out[key] = a

    return Lowered(call)


Maker = Callable[[Any, Node, "Piece | None"], "Lowered | None"]

MAKERS: dict[str, Maker] = {
    "products": _products, "recip": _recip, "relu": _relu, "cast": _cast, "where": _where,
    "sum": _sum, "mean": _mean, "contraction": _contraction, "identity": _same, "stop_gradient": _same,
    "reshape": _shaped, "broadcast_to": _shaped, "link": _nothing, "zero": _nothing, "transpose": _transpose,
    "index": _index, "unindex": _unindex, "half_tangent": _half_angle(half_angle.tangent_into),
    "sine": _half_angle(half_angle.sine_into), "cosine": _half_angle(half_angle.cosine_into),
}  # fmt: skip
"""By name, for operations that are neither a universal function nor best done by their kernel."""
