"""How a person would write a formula: rules as data, each labelled with its algebra.

None of them changes a shape, a dtype, a NaN or an infinity (0 * x stays, so does x - x), but for intermediate results at
the very ends of the range of floats, since factors are reordered. What they may lose is the connection of a slope that
is a constant zero (x^1, link, zero): :mod:`gradcli.features.derive.answer` sees to that.
"""

from __future__ import annotations

from gradcli.graph.node import TABLE, Node, Number
from gradcli.graph.operation import literal
from gradcli.graph.ops.elementwise import add, divide, multiply, neg, subtract
from gradcli.graph.ops.selection import where
from gradcli.graph.ops.shaping import broadcasted
from gradcli.rewrite.engine import Rule
from gradcli.rewrite.terms import filled, filling, is_nothing, number_of, older_sum, scaled, split, usable

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


# products


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
    moderate = all([usable(n, node.dtype) for n in (c, d, product)])
    return scaled(product, x) if c == 0 or d == 0 or moderate else None


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
            c, d = number_of(x), number_of(q.inputs[0])
            if c is not None and d not in (None, 1) and not usable(c * (d or 0), node.dtype):
                return None  # 2 * (inf / x): numbers that would not become one
            top = x if d == 1 else multiply(x, q.inputs[0])
            return broadcasted(divide(top, q.inputs[1]), node.shape)
    return None


def _older_first(node: Node) -> Node | None:
    """One order for two factors, so that equal products are seen to be equal."""
    a, b = node.inputs
    return multiply(b, a) if a.serial > b.serial and number_of(a) is None else None


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


def _opposite(node: Node) -> Node | None:
    """The one difference is exactly the negative of the other, NaN and infinity included."""
    a, b = node.inputs
    (c, x), (d, y) = split(a), split(b)
    turned = x.op.name == y.op.name == "subtract" and x.inputs == y.inputs[::-1] and x.shape == node.shape
    return scaled(c + d, x) if turned and c > 0 and d > 0 and usable(c + d, node.dtype) else None


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


def _less_mean(node: Node) -> Node | None:
    """The tangent of a softmax: sums over the other entries are there for the sake of digits."""
    for a, b in (node.inputs, node.inputs[::-1]):
        if a.op.name != "multiply" or b.op.name != "multiply":
            continue
        for rest, x in (a.inputs, a.inputs[::-1]):
            for w, turned in (b.inputs, b.inputs[::-1]):
                if rest.op.name != "complement" or turned.op.name != "others" or turned.inputs[0].op.name != "neg":
                    continue
                if rest.inputs[0] is w and turned.inputs[0].inputs[0] is x:
                    return subtract(x, multiply(w, TABLE["sum"](x, axis=rest.attrs["axis"], keepdims=True)))
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
    bottom = number_of(b)
    if bottom and c != 1 and usable(c / bottom, node.dtype) and c / bottom * bottom == c and _short(c / bottom):
        return broadcasted(scaled(c / bottom, x), node.shape)
    top = number_of(a)
    if top is not None and top < 0:
        return neg(divide(literal(-top, a.dtype), b))
    if c < 0:
        return neg(divide(scaled(-c, x), b))
    if d < 0 and number_of(b) is None:
        return neg(divide(a, scaled(-d, y)))
    return None


def _short(c: float) -> bool:
    return len(repr(c)) <= 6


def _no_power(node: Node) -> Node | None:
    x, exponent = node.inputs
    return filled(1, node) if number_of(exponent) == 0 and x.dtype == node.dtype else None


def _recip(node: Node) -> Node | None:
    return None if node.attrs.get("positive") else divide(1, node.inputs[0])


def _recip_no_nan(node: Node) -> Node | None:
    return TABLE["divide_no_nan"](1, node.inputs[0])


def _products(node: Node) -> Node | None:
    """The kernel adds the products from the left."""
    factors = node.inputs
    total = multiply(factors[0], factors[1])
    for i in range(2, len(factors), 2):
        total = add(total, multiply(factors[i], factors[i + 1]))
    return broadcasted(total, node.shape)


RULES: dict[str, list[tuple[str, Rule]]] = {
    "add": [
        ("2 + 3 -> 5", _folded), ("x + link(y) -> x", _without_nothing), ("2 * x + 3 * x -> 5 * x", _collected),
        ("x + -y -> x - y", _sum_with_negative), ("2 * x - y + 3 * x -> 5 * x - y", _collected_earlier),
        ("y + x -> x + y where that is there already", older_sum),
        ("x * complement(w) + w * others(-x) -> x - w * sum(x)", _less_mean),
    ],
    "subtract": [
        ("2 - 3 -> -1", _folded), ("x - 0 -> x", _minus_zero), ("x - -y -> x + y", _difference_of_negative),
        ("x - y - 2 * y -> x - 3 * y", _collected_earlier),
        ("x - y - (y - x) -> 2 * (x - y)", _opposite),
    ],
    "neg": [("-(2) -> -2", _folded), ("-(2 * x) -> -2 * x", _negative)],
    "multiply": [
        ("2 * 3 -> 6", _folded), ("(2 * x) * -y -> -2 * (x * y)", _coefficients),
        ("2 * (x / y) -> 2 * x / y, x * (1 / y) -> x / y", _into_quotient),
        ("where(c, x, 0) * where(c, y, 0) -> where(c, x * y, 0)", _selected_products), ("y * x -> x * y", _older_first),
    ],
    "divide": [("1 / 2 -> 0.5", _folded), ("4 * x / 2 -> 2 * x, -x / y -> -(x / y)", _quotient)],
    "recip": [("recip(x) -> 1 / x", _recip)],
    "recip_no_nan": [("recip_no_nan(x) -> divide_no_nan(1, x)", _recip_no_nan)],
    "pow": [("x^0 -> 1", _no_power)],
}  # fmt: skip
"""For each operation the rules that may replace it, with their algebra."""

_IN_ORDER = (
    _folded, _minus_zero, _recip, _recip_no_nan, _no_power, _negative, _sum_with_negative,
    _difference_of_negative,
)  # fmt: skip
SPELLED = {"products": [("products(a, b, c, d) -> a * b + c * d", _products)]}
"""What the language has no word for."""
IN_ORDER = {name: kept for name, rules in RULES.items() if (kept := [rule for rule in rules if rule[1] in _IN_ORDER])}
"""The rules after which the numbers that are left meet in the same order."""

CAREFUL: dict[str, list[tuple[str, Rule]]] = {
    "add": [
        ("x + 0 -> x", _plus_zero),
        ("where(c, x, 0) + where(c, 0, y) -> where(c, x, y)", _selected_sums),
    ],
    "neg": [("-(0 * x) -> 0 * x", _zero_times)],
    "multiply": [("-0 * x -> 0 * x", _zero_times)],
}  # fmt: skip
"""Rules that may exchange 0 and -0."""
