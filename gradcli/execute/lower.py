"""How one operation is done: what is called or written for it, where its result lies, and how it adds up over tiles.

The engines bind it to what they hold: tiles call it on their registers (:mod:`gradcli.execute.steps`), a straight line
writes it as Python (:mod:`gradcli.execute.straight`), and so do functions of numbers (:mod:`gradcli.execute.scalars`).
Without an entry here an operation is done by its kernel, as on whole arrays (:func:`gradcli.graph.operation.kernel_value`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal

from gradcli.execute.order import empty, long_axis
from gradcli.execute.products import column_sums, matrix_product
from gradcli.graph.node import Node
from gradcli.graph.ops import half_angle
from gradcli.graph.ops.kernels import Ufunc, Wrapping
from gradcli.graph.ops.reductions import count_of
from gradcli.graph.ops.selection import cast
from gradcli.graph.ops.slicing import diagonal_view
from gradcli.graph.ops.words.python import CASTS, NUMBERS, OPERATORS
from gradcli.graph.types import is_float
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.execute.cuts import Piece

Result = Literal["out", "view", "spread", "fresh", "either"]


class Formula(NamedTuple):
    """An operation as an expression of ``{0}``, ``{1}``, … and of the names of ``constants``; ``plain``: all of it is Python's."""

    text: str
    constants: tuple[tuple[str, Any], ...] = ()
    plain: bool = True


class Lowered(NamedTuple):
    """One operation as a function of its inputs.

    ``result`` says where the value is: in an array that ``call`` takes as ``out``, and makes where that is None
    (``out``), in a part of the first input (``view``) or in repetitions of it (``spread``), in an array of its own
    (``fresh``), or in a part or one of its own (``either``). With ``in_place`` the array that is given may be that of an
    input; with ``rows`` the number of rows of a tile comes after the inputs. ``formula`` is the same as an expression;
    on whole arrays there always is one.
    """

    call: Callable[..., Any]
    result: Result = "out"
    in_place: bool = False
    rows: bool = False
    formula: Formula | None = None


class Accumulated(NamedTuple):
    """A value summed up over tiles: what a tile's inputs contribute, how contributions are combined, and the end, if any."""

    part: Callable[..., Any]
    combine: Any
    finish: Callable[[Any], Any] | None = None


class Scope:
    """What a written function refers to, by name."""

    def __init__(self, **names: Any) -> None:
        self.names: dict[str, Any] = names

    def named(self, formula: Formula, key: object) -> dict[str, str]:
        """The names of the constants of a formula, which are made distinct by a ``key``."""
        self.names.update([(f"{name}{key}", value) for name, value in formula.constants])
        return {name: f"{name}{key}" for name, _ in formula.constants}

    def function(self, head: str, lines: Sequence[str]) -> Callable[..., Any]:
        """A function of these parameters and lines."""
        exec("\n    ".join([f"def function({head}):", *lines]), self.names)
        function: Callable[..., Any] = self.names["function"]
        return function


def lowered(np: Any, node: Node, cut: Piece | None = None, ordered: bool = False) -> Lowered:
    """How an operation is done, on whole arrays or on tiles that are ``cut`` so."""
    kernel = node.op.kernel
    assert kernel is not None
    name = node.op.name
    if node.op.wraps and not is_float(node.dtype):
        return _own(np, node, "fresh")
    made = ORDERED[name](np, node, cut) if ordered and name in ORDERED else None
    if made is None and name in MAKERS:
        made = MAKERS[name](np, node, cut)
    if made is not None:
        return made if made.formula or cut is not None else made._replace(formula=by_kernel(node))
    if isinstance(kernel, Ufunc):
        plain = all([is_float(x.dtype) for x in node.inputs]) and not any(node.attrs.values())
        return _ufunc(getattr(np, kernel.name), name if plain else "", len(node.inputs), node.op.entrywise)
    return _own(np, node, "either" if len(node.inputs) == 1 else "fresh")


def _own(np: Any, node: Node, result: Result) -> Lowered:
    """The operation by its kernel."""
    return Lowered(partial(_kernel(node), np, **node.attrs), result, formula=by_kernel(node))


def _kernel(node: Node) -> Callable[..., Any]:
    """The kernel; on floats without its look for integers that have wrapped around."""
    kernel = node.op.kernel
    assert kernel is not None
    return kernel.compute if isinstance(kernel, Wrapping) and is_float(node.dtype) else kernel


def by_kernel(node: Node) -> Formula:
    """The kernel on whole arrays."""
    places = "".join([f", {{{k}}}" for k in range(len(node.inputs))])
    return Formula(f"{{f}}(np{places}, **{{a}})", (("f", _kernel(node)), ("a", node.attrs)), plain=False)


def _by_ufunc(function: Any, count: int) -> Formula:
    places = ", ".join([f"{{{k}}}" for k in range(count)])
    return Formula(f"{{f}}({places})", (("f", function),), plain=False)


@cache
def _ufunc(function: Any, name: str, count: int, in_place: bool) -> Lowered:
    """A universal function of so many inputs, written as an operator where that of a ``name`` means the same."""
    formula = Formula(OPERATORS[name]) if name in OPERATORS else _by_ufunc(function, count)
    return Lowered(function, "out", in_place, formula=formula)


def _sum_of_products(node: Node) -> str:
    return " + ".join([f"{{{k}}} * {{{k + 1}}}" for k in range(0, len(node.inputs), 2)])


def _products(np: Any, node: Node, cut: Piece | None) -> Lowered:
    multiply, add = np.multiply, np.add
    text = _sum_of_products(node)
    if len(node.inputs) == 2:
        return Lowered(multiply, "out", True, formula=Formula(text))

    def call(a: Any, b: Any, *rest: Any, out: Any) -> Any:
        y = multiply(a, b, out=out)
        for k in range(0, len(rest), 2):
            add(y, multiply(rest[k], rest[k + 1]), out=y)
        return y

    return Lowered(call, formula=Formula(text))


def _recip(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    if node.attrs.get("positive"):
        return None
    one, divide = np.ones((), node.dtype), np.true_divide
    formula = Formula("{one} / {0}", (("one", one[()]),))
    return Lowered(lambda a, out: divide(one, a, out), "out", True, formula=formula)


def _relu(np: Any, node: Node, cut: Piece | None) -> Lowered:
    zero, maximum = np.zeros((), node.dtype), np.maximum
    formula = Formula("{maximum}({0}, {zero})", (("maximum", maximum), ("zero", zero[()])))
    return Lowered(lambda a, out: maximum(a, zero, out=out), "out", True, formula=formula)


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
    formula = Formula(f"{{reduce}}({{0}}, {{axis}}, {{dtype}}, None, {keepdims})", constants)
    return Lowered(lambda a, out: reduce(a, axis, dtype, out, keepdims), formula=formula)


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

    return Lowered(mean, formula=Formula("{mean}({0})", (("mean", mean),)))


def _contraction(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    product = matrix_product(np, node) if cut is not None or node.inputs[0].shape else None
    if product is None:
        return None
    return Lowered(product, formula=Formula("{product}({0}, {1}, None)", (("product", product),)))


def _matmul(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    return _contraction(np, node, cut) if is_float(node.dtype) and max([x.rank for x in node.inputs]) > 2 else None


def _concat(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    axis, concatenate = node.attrs["axis"], np.concatenate
    if cut is None or not is_float(node.dtype):
        return None
    return Lowered(lambda *parts, out: concatenate(parts, axis, out))


def _half_angle(into: Any) -> Maker:
    def make(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
        return Lowered(partial(into, np)) if cut is not None else None

    return make


# what only looks at its input in another way


def _same(np: Any, node: Node, cut: Piece | None) -> Lowered:
    return Lowered(lambda a: a, "view", formula=Formula("{0}"))


def _where(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    if any([x.shape for x in node.inputs]):
        return None
    return Lowered(lambda c, a, b: a if c else b, "either", formula=Formula("{1} if {0} else {2}"))


def _shaped(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    """Reshape and broadcast_to: the rows of the tile in place of the size of the cut axis."""
    function, shape = np.reshape if node.op.name == "reshape" else np.broadcast_to, node.shape
    if cut is None:
        if node.op.name != "reshape":
            formula = Formula("{spread}({0}, {shape})", (("spread", function), ("shape", shape)))
            return Lowered(lambda a: function(a, shape), "spread", formula=formula)
        if not node.inputs[0].shape:
            return None
        return Lowered(lambda a: a.reshape(shape), "view", formula=Formula("{0}.reshape({shape})", (("shape", shape),)))
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
    return Lowered(lambda a: a.transpose(axes), "view", formula=Formula("{0}.transpose({axes})", (("axes", axes),)))


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
    return Lowered(lambda a: a[key], "view", formula=Formula("{0}[{key}]", (("key", key),)))


def _unindex(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    if cut is None:
        return None
    key = _key(node.attrs["items"], cut.axis)

    def call(a: Any, out: Any) -> Any:
        out[...] = 0
        out[key] = a

    return Lowered(call)


# what lies in the order of its axes (gradcli.execute.order)


def _in_order(np: Any, node: Node, fill: Callable[[Any, Any], None], text: str) -> Lowered | None:
    """What writes its value into an array in the order of its axes, where NumPy would make one in that of its index."""
    shape, dtype = node.shape, np.dtype(node.dtype)
    if not shape or not node.inputs[0].shape:
        return None

    def call(a: Any, out: Any = None) -> Any:
        y = empty(np, shape, dtype) if out is None else out
        fill(a, y)
        return y

    return Lowered(call, formula=Formula(f"{{{text}}}({{0}})", ((text, call),)))


def _unindex_in_order(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    key = _key(node.attrs["items"], cut.axis if cut is not None else None)

    def fill(a: Any, y: Any) -> None:
        y[...] = 0
        y[key] = a

    return _in_order(np, node, fill, "placed")


def _roll_in_order(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    shift, axis = node.attrs["shift"], node.attrs["axis"]
    if not isinstance(axis, int) or not isinstance(shift, int) or not node.shape[axis] or cut and cut.axis == axis:
        return None
    n, before = node.shape[axis], (slice(None),) * axis
    k = shift % n
    ends = (*before, slice(n - k, n)), (*before, slice(0, n - k))
    places = (*before, slice(0, k)), (*before, slice(k, n))

    def fill(a: Any, y: Any) -> None:
        y[places[0]] = a[ends[0]]
        y[places[1]] = a[ends[1]]

    return _in_order(np, node, fill, "rolled")


def _expand_in_order(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    pattern = node.attrs["pattern"]

    def fill(a: Any, y: Any) -> None:
        y[...] = 0
        diagonal_view(np, y, pattern)[...] = a

    return _in_order(np, node, fill, "expanded")


def _gather_in_order(np: Any, node: Node, cut: Piece | None) -> Lowered | None:
    """Along the axis that is the last in memory."""
    axis, (x, indices) = node.attrs["axis"], node.inputs
    if long_axis(node.shape) != axis or indices.rank != 1 or cut is not None and cut.inputs[0] is not None:
        return None
    take, contiguous, turned = np.take, np.ascontiguousarray, (*range(axis), *range(axis + 1, x.rank), axis)
    back = tuple([turned.index(k) for k in range(x.rank)])

    def gather(a: Any, places: Any) -> Any:
        return take(contiguous(a.transpose(turned)), places, -1).transpose(back)

    return Lowered(gather, "fresh", formula=Formula("{gather}({0}, {1})", (("gather", gather),)))


Maker = Callable[[Any, Node, "Piece | None"], "Lowered | None"]

ORDERED: dict[str, Maker] = {
    "unindex": _unindex_in_order, "roll": _roll_in_order, "expand_delta": _expand_in_order, "gather": _gather_in_order,
}  # fmt: skip
"""The same where arrays lie in order, for operations whose results would not."""

MAKERS: dict[str, Maker] = {
    "products": _products, "recip": _recip, "relu": _relu, "cast": _cast, "where": _where,
    "sum": _sum, "mean": _mean, "contraction": _contraction, "identity": _same, "stop_gradient": _same,
    "reshape": _shaped, "broadcast_to": _shaped, "link": _nothing, "zero": _nothing, "transpose": _transpose,
    "index": _index, "matmul": _matmul, "concat": _concat, "unindex": _unindex, "half_tangent": _half_angle(half_angle.tangent_into),
    "sine": _half_angle(half_angle.sine_into), "cosine": _half_angle(half_angle.cosine_into),
}  # fmt: skip
"""By name, for operations that are neither a universal function nor best done by their kernel."""


# sums over tiles

NARROW = 256
"""Columns up to which NumPy's sum down the rows of a matrix is slow."""


def accumulated(np: Any, node: Node) -> Accumulated:
    """How an operation that reduces the axis that is cut adds up over tiles."""
    combine = getattr(np, node.op.combined)
    if node.op.name in ("sum", "mean"):
        axis, keepdims, dtype = node.attrs["axis"], node.attrs["keepdims"], node.dtype
        shape, reduce = node.inputs[0].shape, np.add.reduce
        if axis == (0,) and len(shape) == 2 and shape[1] <= NARROW and dtype.startswith("float") and not keepdims:
            total = Accumulated(column_sums(np, dtype), combine)
        else:
            total = Accumulated(lambda a: reduce(a, axis, dtype, None, keepdims), combine)
        if node.op.name == "sum":
            return total
        entries = np.asarray(count_of(node), dtype)
        return total._replace(finish=lambda y: np.true_divide(y, entries))
    product = matrix_product(np, node)
    if product is not None:
        return Accumulated(lambda a, b: product(a, b, None), combine)
    assert node.op.kernel is not None
    return Accumulated(partial(node.op.kernel, np, **node.attrs), combine)


# numbers of Python

TYPES = {"bool": "bool_", "float32": "float32", "float64": "float64"}
"""The dtypes of numbers, and NumPy's names of their scalars."""


def to_number(value: Any, dtype: str) -> Any:
    """A scalar as a number: float64 as Python's float, float32 as NumPy's, bool as Python's."""
    import numpy as np

    if dtype == "float64":
        return float(value)
    return bool(value) if dtype == "bool" else np.float32(value)


def on_numbers(np: Any, node: Node) -> Formula:
    """How an operation is done on numbers (see :func:`to_number`): as Python computes it to the same bits, or by its kernel."""
    word = ""
    if node.op is cast:
        word = CASTS.get((node.inputs[0].dtype, node.dtype), "")
    elif node.op.name == "products":
        word = _sum_of_products(node)
    elif not any(node.attrs.values()):
        word = NUMBERS.get(node.op.name, "")
    if word and "{kernel}" not in word:
        zero = 0.0 if node.dtype == "float64" else np.float32(0)
        return Formula(word, (("zero", zero),)) if "{zero}" in word else Formula(word)
    kernel = node.op.kernel
    if isinstance(kernel, Ufunc) and all([x.dtype == "float64" for x in node.inputs]):
        call = _by_ufunc(getattr(np, kernel.name), len(node.inputs))
    else:  # A kernel may look at the dtype of what it gets, which Python's floats do not have.
        call = by_kernel(node)
        places = [(f"{{{k}}}", f"np.{TYPES[x.dtype]}({{{k}}})") for k, x in enumerate(node.inputs)]
        for place, typed in places:
            call = call._replace(text=call.text.replace(place, typed))
    text = f"float({call.text})" if node.dtype == "float64" else f"to_number({call.text}, {node.dtype!r})"
    return Formula(word.replace("{kernel}", text) if word else text, call.constants, bool(word))
