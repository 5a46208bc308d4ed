"""How a person would write a formula: rules as data, each labelled with its algebra.

None of them changes a shape, a dtype, a NaN or an infinity (0 * x stays, so does x - x), but for intermediate results at
the very ends of the range of floats, since factors are reordered. What they may lose is the connection of a slope that
is a constant zero (x^1, link, zero): :mod:`gradcli.program.derived` sees to that.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradcli.graph.node import TABLE, Node, Number
from gradcli.graph.operation import literal
from gradcli.graph.ops.elementwise import add, divide, multiply, neg, subtract
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.selection import logical_or, where
from gradcli.graph.ops.shaping import broadcasted, reshaped, stretched_axes, transpose
from gradcli.graph.types import is_float, reduce_shape, size_of
from gradcli.rewrite.engine import Rule
from gradcli.rewrite.terms import filled, filling, is_nothing, number_of, scaled, split, usable

# numbers


def _folded(node: Node) -> Node | None:
    """Arithmetic on literals, where it is exact enough to print: sums and products of moderate numbers."""
    values = [number_of(x) for x in node.inputs]
    if any([v is None for v in values]):
        return None
    a, b = (values[0] or 0), (values[-1] or 0)
    result: Number
    match node.op.name:
        case "add":
            result = a + b
        case "subtract":
            result = a - b
        case "multiply":
            result = a * b
        case "divide" if b != 0:
            result = a / b
        case "neg" if a != 0:
            result = -a
        case _:
            return None
    return literal(result, node.dtype) if result == 0 or usable(result, node.dtype) else None


def _cast_number(node: Node) -> Node | None:
    value = number_of(node.inputs[0])
    return literal(float(value), node.dtype) if value is not None and is_float(node.dtype) else None


# products


def _one_factor(node: Node) -> Node | None:
    a, b = node.inputs
    for x, other in ((b, a), (a, b)):
        if filling(x) == 1 and other.shape == node.shape:
            return other
    return None


def _coefficients(node: Node) -> Node | None:
    a, b = node.inputs
    if number_of(b) is not None and number_of(a) is None:
        return multiply(b, a)
    (c, x), (d, y) = _factors(a), _factors(b)
    if number_of(a) is not None:
        (d, y) = split(b)
        c, x = number_of(a) or 0, b
        if d == 1 and c != -1:
            return None
        x = y
    elif (c, d) == (1, 1):
        return None
    else:
        x = multiply(x, y)
    product = c * d
    return scaled(product, x) if product == 0 or usable(product, node.dtype) else None


def _factors(x: Node) -> tuple[Number, Node]:
    """The coefficient of a factor and the rest, also where it stands in the numerator."""
    if x.op.name != "divide" or number_of(x.inputs[1]) is not None:
        return split(x)
    a, b = x.inputs
    value = number_of(a)
    c, rest = split(a) if value is None else (value, literal(1, a.dtype))
    return (c, divide(rest, b)) if c != 1 and rest.shape == a.shape and usable(c, x.dtype) else (1, x)


def _into_quotient(node: Node) -> Node | None:
    """The numerator takes a number, or the other factor where it is 1."""
    a, b = node.inputs
    for x, q in ((a, b), (b, a)):
        if q.op.name == "divide" and (number_of(x) is not None or number_of(q.inputs[0]) == 1):
            top = x if number_of(q.inputs[0]) == 1 else multiply(x, q.inputs[0])
            return broadcasted(divide(top, q.inputs[1]), node.shape)
    return None


def _selected_products(node: Node) -> Node | None:
    a, b = node.inputs
    if not _select_zero(a, b) or number_of(a.inputs[2]) != 0 or number_of(b.inputs[2]) != 0:
        return None
    return _where_like(node, a.inputs[0], multiply(a.inputs[1], b.inputs[1]), a.inputs[2])


def _select_zero(a: Node, b: Node) -> bool:
    return a.op.name == b.op.name == "where" and a.inputs[0] is b.inputs[0]


def _where_like(node: Node, c: Node, a: Node, b: Node) -> Node:
    return broadcasted(where(c, a, b), node.shape)


# sums


def _collected(node: Node) -> Node | None:
    a, b = node.inputs
    return _collected_pair(a, b, node)


def _collected_pair(a: Node, b: Node, like: Node) -> Node | None:
    (c, x), (d, y) = split(a), split(b)
    if x is y and c * d > 0 and usable(c + d, like.dtype) and x.shape == like.shape and number_of(x) is None:
        return scaled(c + d, x)
    return None


def _sum_with_negative(node: Node) -> Node | None:
    a, b = node.inputs
    (c, x), (d, y) = split(a), split(b)
    if d < 0:
        return subtract(a, scaled(-d, y))
    if c < 0:
        return subtract(b, scaled(-c, x))
    value = number_of(b)
    return subtract(a, literal(-value, b.dtype)) if value is not None and value < 0 else None


def _difference_of_negative(node: Node) -> Node | None:
    d, y = split(node.inputs[1])
    return add(node.inputs[0], scaled(-d, y)) if d < 0 else None


def _negative(node: Node) -> Node | None:
    c, x = split(node.inputs[0])
    return scaled(-c, x) if c != 1 and usable(-c, node.dtype) else None


def _zero_times(node: Node) -> Node | None:
    c, x = split(node.inputs[0]) if node.op.name == "neg" else split(node)
    return scaled(abs(c), x) if c == 0 and (node.op.name == "neg" or str(c) == "-0.0") else None


def _without_nothing(node: Node) -> Node | None:
    a, b = node.inputs
    for x, other in ((b, a), (a, b)):
        if is_nothing(x):
            return broadcasted(other, node.shape)
    return None


def _collected_earlier(node: Node) -> Node | None:
    """A term that goes with one of the two before it."""
    before, z = node.inputs
    if before.op.name not in ("add", "subtract"):
        return None
    x, y = before.inputs
    if node.op is before.op and (together := _collected_pair(y, z, node)) is not None:
        return node.op(x, together)
    if node.op is add and (together := _collected_pair(x, z, node)) is not None:
        return before.op(together, y)
    return None


def _minus_zero(node: Node) -> Node | None:
    return broadcasted(node.inputs[0], node.shape) if filling(node.inputs[1]) == 0 else None


def _plus_zero(node: Node) -> Node | None:
    a, b = node.inputs
    for x, other in ((b, a), (a, b)):
        if filling(x) == 0:
            return broadcasted(other, node.shape)
    return None


def _selected_sums(node: Node) -> Node | None:
    a, b = node.inputs
    if not _select_zero(a, b):
        return None
    (c, p, q), (_, r, s) = a.inputs, b.inputs
    if number_of(q) == 0 and number_of(s) == 0:
        return _where_like(node, c, add(p, r), q)
    if number_of(q) == 0 and number_of(r) == 0:
        return _where_like(node, c, p, s)
    return _where_like(node, c, r, q) if number_of(p) == 0 and number_of(s) == 0 else None


# quotients and powers


def _quotient(node: Node) -> Node | None:
    a, b = node.inputs
    c, x = split(a)
    d, y = split(b)
    if filling(b) == 1:
        return broadcasted(a, node.shape)
    bottom = number_of(b)
    if bottom and c != 1 and usable(c / bottom, node.dtype) and c / bottom * bottom == c and _short(c / bottom):
        return broadcasted(scaled(c / bottom, x), node.shape)
    if c < 0:
        return neg(divide(scaled(-c, x), b))
    if d < 0 and number_of(b) is None:
        return neg(divide(a, scaled(-d, y)))
    return None


def _short(c: float) -> bool:
    return len(repr(c)) <= 6


def _power(node: Node) -> Node | None:
    x, exponent = node.inputs
    value = number_of(exponent)
    if x.dtype != node.dtype:
        return None
    if value == 1 and x.shape == node.shape:
        return x
    return filled(1, node) if value == 0 else None


def _recip(node: Node) -> Node | None:
    return None if node.attrs.get("positive") else divide(1, node.inputs[0])


def _products(node: Node) -> Node | None:
    """The kernel adds the products from the left."""
    factors = node.inputs
    total = multiply(factors[0], factors[1])
    for i in range(2, len(factors), 2):
        total = add(total, multiply(factors[i], factors[i + 1]))
    return broadcasted(total, node.shape)


# shapes


def _broadcast_outside(node: Node) -> Node | None:
    """Entry by entry: computed before it is repeated."""
    if not any([x.op.name == "broadcast_to" for x in node.inputs]):
        return None
    inner = [x.inputs[0] if x.op.name == "broadcast_to" else x for x in node.inputs]
    return broadcasted(node.op(*inner, **node.attrs), node.shape)


def _broadcast_sum(node: Node) -> Node | None:
    (y,) = node.inputs
    if y.op.name != "broadcast_to":
        return None
    (x,), axes = y.inputs, node.attrs["axis"]
    if not set(axes) <= set(stretched_axes(y.shape, x.shape)):
        return None
    count = size_of(tuple(y.shape[k] for k in axes))
    if not usable(count, node.dtype):
        return None
    once = (1,) * (y.rank - x.rank) + x.shape
    kept = reduce_shape(once, axes, node.attrs["keepdims"])
    return broadcasted(reshaped(scaled(count, x), kept), node.shape)


def _trivial_sum(node: Node) -> Node | None:
    (x,) = node.inputs
    if all([x.shape[k] == 1 for k in node.attrs["axis"]]):
        return reshaped(x, node.shape)
    if not node.shape and x.op.name in ("reshape", "transpose"):
        return sum_(x.inputs[0], axis=None)
    if x.op.name == "sum" and not node.attrs["keepdims"] and not x.attrs["keepdims"]:
        left = [k for k in range(x.inputs[0].rank) if k not in x.attrs["axis"]]
        return sum_(x.inputs[0], axis=[*x.attrs["axis"], *(left[k] for k in node.attrs["axis"])])
    return None


def _number_outside(node: Node) -> Node | None:
    """Linear operations: a number in front stays in front."""
    c, x = split(node.inputs[0])
    if c == 1:
        return None
    return scaled(c, node.op(x, *node.inputs[1:], **node.attrs))


def _number_outside_right(node: Node) -> Node | None:
    a, b = node.inputs
    c, x = split(b)
    return None if c == 1 else scaled(c, node.op(a, x))


def _reshape(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.shape == node.shape:
        return x
    if x.op.name == "reshape":
        return reshaped(x.inputs[0], node.shape)
    if x.op.name == "broadcast_to" and size_of(x.inputs[0].shape) == 1:
        return broadcasted(reshaped(x.inputs[0], ()), node.shape)
    return broadcasted(x, node.shape) if not x.shape else None


def _broadcast(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.shape == node.shape:
        return x
    if x.op.name == "broadcast_to":
        return broadcasted(x.inputs[0], node.shape)
    if x.op.name == "reshape" and size_of(x.shape) == 1:
        return broadcasted(reshaped(x, ()), node.shape)
    return None


def _transpose(node: Node) -> Node | None:
    (x,) = node.inputs
    axes = tuple(node.attrs["axes"])
    if axes == tuple(range(node.rank)):
        return x
    if x.op.name == "transpose":
        return transpose(x.inputs[0], axes=tuple(x.attrs["axes"][k] for k in axes))
    if x.op.name == "broadcast_to" and not x.inputs[0].shape:
        return broadcasted(x.inputs[0], node.shape)
    if x.op.name == "multiply" and axes == (1, 0):
        for a, b in (x.inputs, x.inputs[::-1]):
            if a.shape == x.shape and b.op.name == "reshape" and b.shape == (x.shape[0], 1) and b.inputs[0].rank == 1:
                return multiply(transpose(a, axes=axes), b.inputs[0])
    return None


def _entry(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.op.name != "index" or not all([isinstance(item, int) for item in x.attrs["items"]]):
        return None
    return node.op(x.inputs[0], items=(*x.attrs["items"], *node.attrs["items"]))


# selection and logic


def _where(node: Node) -> Node | None:
    c, a, b = node.inputs
    constant = c.inputs[0] if c.op.name == "broadcast_to" else c
    if constant.op.name == "literal":
        return broadcasted(a if constant.attrs["value"] else b, node.shape)
    if a is b:
        return broadcasted(a, node.shape)
    if c.op.name == "logical_not":
        return where(c.inputs[0], b, a)
    for position, x in ((1, a), (2, b)):
        if x.op.name == "where" and x.inputs[0] is c:
            branches = [a, b]
            branches[position - 1] = x.inputs[position]
            return _where_like(node, c, *branches)
    return None


def _not(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.op.name == "logical_not":
        return x.inputs[0]
    if x.op.name == "logical_and" and all([i.op.name == "logical_not" for i in x.inputs]):
        return logical_or(*[i.inputs[0] for i in x.inputs])
    return None


def _and(node: Node) -> Node | None:
    a, b = node.inputs
    return a if a is b else None


def _mask(node: Node) -> Node | None:
    a, b = node.inputs
    if filling(b) == 0 and a.op.name == "cast" and a.inputs[0].dtype == "bool":
        return broadcasted(a.inputs[0], node.shape)
    return None


RULES: dict[str, list[tuple[str, Rule]]] = {
    "add": [
        ("2 + 3 -> 5", _folded), ("x + link(y) -> x", _without_nothing), ("2 * x + 3 * x -> 5 * x", _collected),
        ("x + -y -> x - y", _sum_with_negative), ("2 * x - y + 3 * x -> 5 * x - y", _collected_earlier),
    ],
    "subtract": [
        ("2 - 3 -> -1", _folded), ("x - 0 -> x", _minus_zero), ("x - -y -> x + y", _difference_of_negative),
        ("x - y - 2 * y -> x - 3 * y", _collected_earlier),
    ],
    "neg": [("-(2) -> -2", _folded), ("-(2 * x) -> -2 * x, -(-x) -> x", _negative)],
    "multiply": [
        ("2 * 3 -> 6", _folded), ("x * 1 -> x", _one_factor), ("(2 * x) * -y -> -2 * (x * y)", _coefficients),
        ("2 * (x / y) -> 2 * x / y, x * (1 / y) -> x / y", _into_quotient),
        ("where(c, x, 0) * where(c, y, 0) -> where(c, x * y, 0)", _selected_products),
    ],
    "divide": [("1 / 2 -> 0.5", _folded), ("x / 1 -> x, 4 * x / 2 -> 2 * x, -x / y -> -(x / y)", _quotient)],
    "recip": [("recip(x) -> 1 / x", _recip)],
    "recip_no_nan": [("recip_no_nan(x) -> divide_no_nan(1, x)", lambda node: TABLE["divide_no_nan"](1, node.inputs[0]))],
    "products": [("products(a, b, c, d) -> a * b + c * d", _products)],
    "pow": [("x^1 -> x, x^0 -> 1", _power)],
    "identity": [("identity(x) -> x", lambda node: node.inputs[0])],
    "cast": [
        ("cast(x, its own dtype) -> x", lambda node: node.inputs[0] if node.inputs[0].dtype == node.dtype else None),
        ("cast(2, float64) -> 2.0", _cast_number),
    ],
    "sum": [
        ("sum(broadcast_to(x, [n])) -> n * x", _broadcast_sum), ("sum(sum(x)) -> sum(x)", _trivial_sum),
        ("sum(2 * x) -> 2 * sum(x)", _number_outside),
    ],
    "reshape": [("reshape(reshape(x)) -> reshape(x)", _reshape), ("reshape(2 * x) -> 2 * reshape(x)", _number_outside)],
    "broadcast_to": [("broadcast_to(broadcast_to(x)) -> broadcast_to(x)", _broadcast)],
    "index": [("x[0][1] -> x[0, 1]", _entry)],
    "transpose": [("x.T.T -> x, (x * column).T -> x.T * row", _transpose), ("(2 * x).T -> 2 * x.T", _number_outside)],
    "matmul": [
        ("(2 * a) @ b -> 2 * (a @ b)", _number_outside), ("a @ (2 * b) -> 2 * (a @ b)", _number_outside_right),
    ],
    "where": [("where(c, x, x) -> x, where(c, where(c, x, y), z) -> where(c, x, z)", _where)],
    "logical_not": [("not not x -> x, not (not x and not y) -> x or y", _not)],
    "logical_and": [("x and x -> x", _and)],
    "not_equal": [("cast(x, float64) != 0 -> x", _mask)],
    "zeros": [("zeros([n]) -> broadcast_to(0, [n])", lambda node: filled(False if node.dtype == "bool" else 0, node))],
    "ones": [("ones([n]) -> broadcast_to(1, [n])", lambda node: filled(True if node.dtype == "bool" else 1, node))],
}  # fmt: skip
"""For each operation the rules that may replace it, with their algebra."""

CAREFUL: dict[str, list[tuple[str, Rule]]] = {
    "add": [
        ("x + 0 -> x", _plus_zero),
        ("where(c, x, 0) + where(c, 0, y) -> where(c, x, y)", _selected_sums),
    ],
    "neg": [("-(0 * x) -> 0 * x", _zero_times)],
    "multiply": [("-0 * x -> 0 * x", _zero_times)],
}  # fmt: skip
"""Rules that may exchange 0 and -0."""


def _entrywise() -> Sequence[str]:
    return [op.name for op in TABLE.values() if op.family in ("elementwise", "selection") and op.expand is None]


for _name in _entrywise():
    RULES.setdefault(_name, []).append(("f(broadcast_to(x)) -> broadcast_to(f(x))", _broadcast_outside))
