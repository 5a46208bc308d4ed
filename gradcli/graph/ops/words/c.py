"""How C99 writes operations on numbers, one entry an operation, and the functions that a file defines for that.

Operations on arrays are written entry by entry: :data:`ENTRIES` says what those of a result are made of, where the flow
of the operation does not say it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

from gradcli.graph.node import Node
from gradcli.graph.operation import cast_to, literal
from gradcli.graph.ops.elementwise import (
    absolute,
    add,
    divide,
    exp,
    hypot,
    log,
    multiply,
    neg,
    sqrt,
    subtract,
)
from gradcli.graph.ops.selection import (
    equal,
    greater,
    isfinite,
    isnan,
    less,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    sign,
    where,
)
from gradcli.graph.printing import AND, ATOM, COMPARISON, MINUS, OR, POSTFIX, PRODUCT, SUM, Text, number
from gradcli.graph.types import is_float, size_of

TYPES = {"float64": "double", "float32": "float", "int64": "int64_t", "int32": "int32_t", "bool": "bool"}

CONDITIONAL = OR - 1
"""How tightly ``a ? b : c`` binds."""

INFIX = {
    "add": ("+", SUM), "subtract": ("-", SUM), "multiply": ("*", PRODUCT), "divide": ("/", PRODUCT),
    "less": ("<", COMPARISON), "less_equal": ("<=", COMPARISON), "greater": (">", COMPARISON),
    "greater_equal": (">=", COMPARISON), "equal": ("==", COMPARISON), "not_equal": ("!=", COMPARISON),
    "logical_and": ("&&", AND), "logical_or": ("||", OR),
}  # fmt: skip

FUNCTIONS = {
    **{name: name for name in (
        "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
        "asinh", "acosh", "atanh", "atan2", "sqrt", "cbrt", "hypot", "erf", "erfc", "lgamma", "floor", "ceil", "trunc",
    )},
    "round": "rint", "gamma": "tgamma", "abs": "fabs",
}  # fmt: skip
"""Functions of math.h on floats; with an f behind the name on float32."""

SAME = ("identity", "stop_gradient", "custom_gradient", "floor", "ceil", "trunc", "round")
"""Operations that leave integers, or anything, as they are."""

HELPERS: Mapping[str, str] = {
    "square": "({T} x)\n{ return x * x; }",
    "sign": "({T} x)\n{ return x != x ? x : ({T})((x > 0) - (x < 0)); }",
    "maximum": "({T} a, {T} b)\n{ return a >= b || a != a ? a : b; }",
    "minimum": "({T} a, {T} b)\n{ return a <= b || a != a ? a : b; }",
    "relu": "({T} x)\n{ return x > 0 || x != x ? x : 0; }",
    "elu": "({T} x)\n{ return x > 0 ? x : expm1@(x); }",
    "leaky_relu": "({T} x, {T} alpha)\n{ return x > 0 ? x : alpha * x; }",
    "sigmoid": "({T} x)\n{\n    const {T} small = exp@(-fabs@(x));\n    return (x >= 0 ? 1 : small) / (1 + small);\n}",
    "softplus": "({T} x)\n{ return (x > 0 ? x : 0) + log1p@(exp@(-fabs@(x))); }",
    "recip_positive": "({T} x)\n{ return x < 0 ? ({T})NAN : 1 / fabs@(x); }",
    "divide_no_nan": "({T} a, {T} b)\n{ return b == 0 ? 0 : a / b; }",
    "multiply_no_nan": "({T} a, {T} b)\n{\n    const {T} y = a * b;\n    return b == 0 && y != y ? 0 : y;\n}",
    "xlogy": "({T} a, {T} b)\n{ return a == 0 ? 0 : a * log@(b); }",
    "mod": "({T} a, {T} b)\n{\n    const {T} r = fmod@(a, b);\n"
           "    return r == 0 ? copysign@(0, b) : (r < 0) != (b < 0) ? r + b : r;\n}",
    "floor_divide": "({T} a, {T} b)\n{\n    {T} r, q;\n    if (b == 0) return a / b;\n    r = fmod@(a, b);\n"
                    "    q = (a - r) / b;\n    if (r != 0 && (r < 0) != (b < 0)) q -= 1;\n    return q == 0 ? copysign@(0, a / b) : rint@(q);\n}",
    "log_cosh": "({T} x)\n{\n    const {T} a = fabs@(x), s = sinh@(a < 1 ? a / 2 : 0);\n"
                "    return a < 1 ? log1p@(2 * s * s) : a + (log1p@(exp@(-2 * a)) - ({T})0.69314718055994531);\n}",
    "sinc": "({T} x)\n{\n    const {T} a = ({T})3.14159265358979324 * x;\n    return a == 0 ? 1 : sin@(a) / a;\n}",
    "tanh_slope": "({T} y, {T} x)\n{\n    const {T} slope = 1 - y * y, small = exp@(-2 * fabs@(x));\n"
                  "    return slope < ({T})0.1 ? 4 * small / ((1 + small) * (1 + small)) : slope;\n}",
    "sigmoid_slope": "({T} y, {T} x)\n{\n    const {T} small = exp@(-fabs@(x));\n"
                     "    return y > ({T})0.97 ? small / ((1 + small) * (1 + small)) : y * (1 - y);\n}",
    "expm1_slope": "({T} y, {T} x)\n{ return exp@(x < 0 || x != x ? x : 0); }",
    "exp2_slope": "({T} y, {T} x)\n{ return ({T})1.3862943611198906 * exp2@(x - 1); }",
    "cross_entropy_terms": "({T} a, {T} b)\n{ return a == 0 && b == -INFINITY ? 0 : a * b; }",
    "hypot_slope": "({T} a, {T} b)\n{\n    const {T} c = fabs@(a), d = fabs@(b), largest = c >= d || c != c ? c : d;\n"
                   "    const {T} scale = largest == 0 || !isfinite(largest) ? 1 : largest, h = hypot@(a / scale, b / scale);\n"
                   "    return h == 0 ? 0 : a / scale / h;\n}",
    "power_slope": "({T} y, {T} a, {T} p)\n{\n    const {T} root = pow@(a, p / 2), logarithm = log@(a > 0 ? a : 1);\n"
                   "    return fabs@(y) == INFINITY && a > 0 && a < INFINITY && p == p ? root * logarithm * root"
                   " : y * (a > 0 ? logarithm : 0);\n}",
    "whole_maximum": "({T} a, {T} b)\n{ return a >= b ? a : b; }",
    "whole_minimum": "({T} a, {T} b)\n{ return a <= b ? a : b; }",
    "whole_abs": "({T} x)\n{ return x < 0 ? -x : x; }",
    "whole_sign": "({T} x)\n{ return (x > 0) - (x < 0); }",
    "whole_relu": "({T} x)\n{ return x > 0 ? x : 0; }",
    "whole_mod": "({T} a, {T} b)\n{\n    const {T} r = b == 0 || b == -1 ? 0 : a % b;\n    return r != 0 && (r < 0) != (b < 0) ? r + b : r;\n}",
    "whole_floor_divide": "({T} a, {T} b)\n{\n    const {T} q = b == 0 ? 0 : b == -1 ? -a : a / b;\n"
                          "    return b != 0 && b != -1 && a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;\n}",
    "whole_pow": "({T} a, {T} n)\n{\n    {T} y = 1;\n    for (; n > 0; n--) y *= a;\n    return y;\n}",
}  # fmt: skip
"""What C has no function for: parameters and body, ``{T}`` the type and ``@`` the letter behind a function of math.h."""


def function(name: str, dtype: str, defined: dict[str, str]) -> str:
    """The name of a function for a dtype, one of math.h behind a point; what math.h lacks is noted among what is ``defined``."""
    letter = "f" if dtype == "float32" else ""
    if name.startswith("."):
        return f"{name[1:]}{letter}"
    own = f"op_{name}" + ("f" if dtype == "float32" else "" if dtype == "float64" else f"_{dtype}")
    body = HELPERS[name].replace("{T}", TYPES[dtype]).replace("@", letter)
    defined[own] = f"static {TYPES[dtype]} {own}{body}"
    return own


def apply(node: Node, operands: Sequence[Text], call: Callable[[str, str], str]) -> Text | None:
    """The text of an operation on numbers; None where C has no word for it.

    ``call(name, dtype)`` gives the name of one of the :data:`HELPERS` for a dtype, or of a function of math.h, which has
    no underscore in front.
    """
    name, dtype = node.op.name, node.dtype
    floats = is_float(dtype)
    if name in SAME and (not floats or name not in FUNCTIONS):
        return operands[0]
    if name in INFIX:
        return _infix(node, operands)
    if name in FUNCTIONS and floats:
        return _call(call("." + FUNCTIONS[name], dtype), operands)
    word = _WORDS.get(name)
    if word is not None:
        return word(node, operands, call)
    whole = f"whole_{name}"
    if name in HELPERS and floats or whole in HELPERS and not floats:
        return _call(call(name if floats else whole, dtype), operands)
    return None


def _call(function: str, operands: Sequence[Text]) -> Text:
    return Text(f"{function}({', '.join([t.text for t in operands])})")


def _infix(node: Node, operands: Sequence[Text]) -> Text:
    sign, level = INFIX[node.op.name]
    a, b = operands
    if level == COMPARISON and a.text == b.text and not is_float(node.inputs[0].dtype):
        return Text("true" if "=" in sign and sign != "!=" else "false")  # of which compilers warn
    inner = COMPARISON if level in (AND, OR) else level
    return Text(f"{a.at_least(inner + (level == COMPARISON))} {sign} {b.at_least(inner + 1)}", level)


def _negated(node: Node, operands: Sequence[Text], call: Any) -> Text:
    text = operands[0].at_least(MINUS)
    return Text(f"-({text})" if text.startswith("-") else f"-{text}", MINUS)


def _power(node: Node, operands: Sequence[Text], call: Any) -> Text:
    exponent = node.inputs[1]
    n = exponent.attrs["value"] if exponent.op.name == "literal" else None
    if not is_float(node.dtype):
        return _call(call("whole_pow", node.dtype), operands)
    if n == 2:
        return _square(node, operands, call)
    if n in (0.5, 1):
        return _call(call(".sqrt", node.dtype), operands[:1]) if n == 0.5 else operands[0]
    return _call(call(".pow", node.dtype), operands)


def _square(node: Node, operands: Sequence[Text], call: Any) -> Text:
    text = operands[0]
    if text.text.isidentifier():
        return Text(f"{text.text} * {text.text}", PRODUCT)
    return _call(call("square", node.dtype), operands[:1])


def _where(node: Node, operands: Sequence[Text], call: Any) -> Text:
    condition, a, b = operands
    return Text(f"{condition.at_least(OR)} ? {a.at_least(OR)} : {b.at_least(OR)}", CONDITIONAL)


def _cast(node: Node, operands: Sequence[Text], call: Any) -> Text:
    before = node.inputs[0].dtype
    if before == node.dtype:
        return operands[0]
    if node.dtype == "bool":
        return Text(f"{operands[0].at_least(SUM)} != 0", COMPARISON)
    return Text(f"({TYPES[node.dtype]}){operands[0].at_least(POSTFIX)}", MINUS)


def _recip(node: Node, operands: Sequence[Text], call: Any) -> Text:
    if node.attrs.get("positive"):
        return _call(call("recip_positive", node.dtype), operands)
    return Text(f"1 / {operands[0].at_least(PRODUCT + 1)}", PRODUCT)


def _predicate(name: str) -> Callable[..., Text]:
    return lambda node, operands, call: Text(f"{name}({operands[0].text}) != 0", COMPARISON)


def _sum_of_products(node: Node, operands: Sequence[Text], call: Any) -> Text:
    pairs = zip(operands[::2], operands[1::2], strict=True)
    return Text(" + ".join([f"{a.at_least(PRODUCT)} * {b.at_least(PRODUCT + 1)}" for a, b in pairs]), SUM)


def _with_attribute(name: str, attribute: str) -> Callable[..., Text]:
    def word(node: Node, operands: Sequence[Text], call: Any) -> Text:
        extra = Text(value(node.attrs[attribute], node.dtype).text)
        return _call(call(name, node.dtype), [*operands, extra])

    return word


def _order_0(name: str) -> Callable[..., Text | None]:
    return lambda node, operands, call: _call(call(name, node.dtype), operands) if not node.attrs["order"] else None


def value(entry: Any, dtype: str) -> Text:
    """A number of a type; infinities and NaN are those of math.h."""
    if dtype == "bool":
        return Text("true" if entry else "false")
    if not is_float(dtype):
        if entry == -(2**63):
            return Text("INT64_MIN")
        suffix = "" if abs(entry) < 2**31 else "LL"
        return Text(f"{entry}{suffix}", ATOM if entry >= 0 else MINUS)
    text = number(entry, dtype)
    shown = text.text.replace("inf", "INFINITY").replace("nan", "NAN")
    return Text(shown + "f" * (dtype == "float32" and shown[-1].isdigit()), text.binds)


WIDEST = 100
"""Characters from which a list has several lines."""


def listed(parts: Sequence[str], indent: int = 4) -> str:
    """``{a, b}``, on several lines where that is too long."""
    line = "{" + ", ".join(parts) + "}"
    if len(line) <= WIDEST:
        return line
    space = " " * (indent + 4)
    rows: list[str] = []
    current = ""
    for part in parts:
        if current and len(current) + len(part) > WIDEST - len(space):
            rows.append(current.rstrip())
            current = ""
        current += f"{part}, "
    return "{\n" + "".join(f"{space}{row}\n" for row in [*rows, current.rstrip().rstrip(",")]) + " " * indent + "}"


_WORDS: Mapping[str, Callable[..., Text | None]] = {
    "neg": _negated, "pow": _power, "square": _square, "where": _where, "cast": _cast, "recip": _recip,
    "products": _sum_of_products,
    "logical_not": lambda node, x, call: Text(f"!{x[0].at_least(POSTFIX)}", MINUS),
    "recip_no_nan": lambda node, x, call: _call(call("divide_no_nan", node.dtype), [Text("1"), *x]),
    "rsqrt": lambda node, x, call: Text(f"1 / {_call(call('.sqrt', node.dtype), x).text}", PRODUCT),
    **{name: _predicate(name) for name in ("isnan", "isinf", "isfinite")},
    "leaky_relu": _with_attribute("leaky_relu", "alpha"), "sinc": _order_0("sinc"),
}  # fmt: skip

WORDS = (
    {*INFIX, *FUNCTIONS, *SAME, *HELPERS, *_WORDS}
    - {name for name in HELPERS if name.startswith("whole_")}
    - {"recip_positive"}
)
"""The operations on numbers that have a word."""


# ---- the entries of arrays

Entries = Any
"""An array of NumPy whose entries are scalar nodes."""


def _numbers(like: Node, value: float) -> Node:
    return literal(value, like.dtype)


def _rows(x: Entries, axes: Sequence[int]) -> tuple[Entries, tuple[int, ...]]:
    """The entries with what is along the axes last, as rows, and the shape without those axes."""
    import numpy as np

    kept = [k for k in range(x.ndim) if k not in axes]
    shape = tuple([x.shape[k] for k in kept])
    count = int(np.prod([x.shape[k] for k in axes], dtype=int))
    return np.transpose(x, (*kept, *axes)).reshape(-1, count), shape


def _reduced(combine: Callable[[Sequence[Node]], Node]) -> Callable[..., list[Node]]:
    """What becomes of the entries along the axes of a reduction."""

    def entries(node: Node, x: Entries) -> list[Node]:
        axis = node.attrs["axis"]
        rows, _ = _rows(x, axis if isinstance(axis, tuple) else (axis,))
        return [combine(list(row)) for row in rows]

    return entries


def _along(change: Callable[[Sequence[Node]], Sequence[Node]]) -> Callable[..., list[Node]]:
    """What becomes of the entries along an axis that stays."""

    def entries(node: Node, x: Entries) -> list[Node]:
        import numpy as np

        moved = np.moveaxis(x, node.attrs["axis"], -1)
        result = np.empty(moved.shape, object)
        for place in np.ndindex(moved.shape[:-1]):
            result[place] = change(list(moved[place]))
        return list(np.moveaxis(result, -1, node.attrs["axis"]).ravel())

    return entries


def _total(terms: Sequence[Node]) -> Node:
    return reduce(add, terms)


def _mean(terms: Sequence[Node]) -> Node:
    return divide(_total(terms), _numbers(terms[0], len(terms)))


def _norm(terms: Sequence[Node]) -> Node:
    return reduce(hypot, terms) if len(terms) > 1 else absolute(terms[0])


def _shifted(terms: Sequence[Node]) -> tuple[Node, list[Node]]:
    largest = reduce(maximum, terms)
    return largest, [exp(subtract(x, largest)) for x in terms]


def _logsumexp(terms: Sequence[Node]) -> Node:
    largest, parts = _shifted(terms)
    return where(isfinite(largest), add(largest, log(_total(parts))), largest)


def _softmax(terms: Sequence[Node]) -> list[Node]:
    _, parts = _shifted(terms)
    total = _total(parts)
    return [divide(part, total) for part in parts]


def _log_softmax(terms: Sequence[Node]) -> list[Node]:
    largest, parts = _shifted(terms)
    total = log(_total(parts))
    return [subtract(subtract(x, largest), total) for x in terms]


def _best(better: Callable[[Node, Node], Node]) -> Callable[[Sequence[Node]], Node]:
    """The place of the first best entry; NaN is best."""

    def place(terms: Sequence[Node]) -> Node:
        best, found = terms[0], literal(0, "int64")
        for k, x in enumerate(terms[1:], 1):
            wins = better(x, best)
            if is_float(x.dtype):
                wins = logical_and(logical_or(wins, isnan(x)), logical_not(isnan(best)))
            best, found = where(wins, x, best), where(wins, literal(k, "int64"), found)
        return found

    return place


def _running(combine: Callable[[Node, Node], Node], start: int) -> Callable[..., list[Node]]:
    def entries(node: Node, x: Entries) -> list[Node]:
        def change(terms: Sequence[Node]) -> list[Node]:
            terms = list(terms)[::-1] if node.attrs["reverse"] else list(terms)
            found: list[Node] = []
            for x in terms:
                found.append(combine(found[-1], x) if found else x)
            if node.attrs["exclusive"] and terms:
                found = [literal(start, terms[0].dtype), *found[:-1]]
            return found[::-1] if node.attrs["reverse"] else found

        return _along(change)(node, x)

    return entries


MOST_ROWS = 3
"""Rows of a matrix up to which determinants are written out."""


def determinant(a: Entries) -> Node:
    """By expansion along the first row."""
    import numpy as np

    if len(a) == 1:
        found: Node = a[0, 0]
        return found
    terms = [multiply(a[0, j], determinant(np.delete(a[1:], j, 1))) for j in range(len(a))]
    total = terms[0]
    for j, term in enumerate(terms[1:], 1):
        total = subtract(total, term) if j % 2 else add(total, term)
    return total


def _inverse(a: Entries) -> Entries:
    """The adjugate over the determinant."""
    import numpy as np

    n, below = len(a), determinant(a)
    result = np.empty((n, n), object)
    for i in range(n):
        for j in range(n):
            minor = determinant(np.delete(np.delete(a, i, 0), j, 1)) if n > 1 else literal(1.0, a[0, 0].dtype)
            result[j, i] = divide(neg(minor) if (i + j) % 2 else minor, below)
    return result


def _matrices(change: Callable[..., Any]) -> Callable[..., list[Node] | None]:
    """What becomes of each small matrix of a stack."""

    def entries(node: Node, a: Entries, *others: Entries) -> list[Node] | None:
        import numpy as np

        if a.shape[-1] > MOST_ROWS or any(b.ndim not in (a.ndim, 1) for b in others):
            return None
        found: list[Node] = []
        for place in np.ndindex(a.shape[:-2]):
            result = change(a[place], *[b[place] if b.ndim >= a.ndim else b for b in others])
            found += [result] if isinstance(result, Node) else list(result.ravel())
        return found

    return entries


def _solved(a: Entries, b: Entries) -> Entries:
    import numpy as np

    inverse, columns = _inverse(a), b.reshape(len(a), -1)
    result = np.empty(columns.shape, object)
    for i, j in np.ndindex(columns.shape):
        result[i, j] = _total([multiply(inverse[i, k], columns[k, j]) for k in range(len(a))])
    return result


def _cholesky(a: Entries) -> Entries:
    """Column by column, of the lower triangle."""
    import numpy as np

    n, zero = len(a), literal(0.0, a[0, 0].dtype)
    y = np.full((n, n), zero, object)
    for j in range(n):
        for i in range(j, n):
            left = reduce(subtract, [multiply(y[i, k], y[j, k]) for k in range(j)], a[i, j])
            y[i, j] = sqrt(left) if i == j else divide(left, y[j, j])
    return y


def _one_hot(node: Node, x: Entries) -> list[Node]:
    depth = node.attrs["depth"]
    return [cast_to(equal(i, literal(k, i.dtype)), node.dtype) for i in x.ravel() for k in range(depth)]


def _products(node: Node, *factors: Entries) -> list[Node]:
    import numpy as np

    spread = [np.broadcast_to(x, node.shape).ravel() for x in factors]
    pairs = range(0, len(factors), 2)
    return [_total([multiply(spread[k][i], spread[k + 1][i]) for k in pairs]) for i in range(len(spread[0]))]


def _all(entry: int) -> Callable[..., list[Node]]:
    return lambda node, *inputs: (
        [literal(bool(entry) if node.dtype == "bool" else entry, node.dtype)] * size_of(node.shape)
    )


ENTRIES: Mapping[str, Callable[..., list[Node] | None]] = {
    **dict.fromkeys(("zeros_like", "zero", "link"), _all(0)), "ones_like": _all(1),
    "mean": _reduced(_mean), "norm": _reduced(_norm), "logsumexp": _reduced(_logsumexp),
    "argmax": _reduced(_best(greater)), "argmin": _reduced(_best(less)),
    "softmax": _along(_softmax), "log_softmax": _along(_log_softmax),
    "cumsum": _running(add, 0), "cumprod": _running(multiply, 1), "one_hot": _one_hot, "products": _products,
    "det": _matrices(determinant), "logdet": _matrices(lambda a: log(determinant(a))), "inv": _matrices(_inverse),
    "detsign": _matrices(lambda a: sign(determinant(a))), "logabsdet": _matrices(lambda a: log(absolute(determinant(a)))),
    "solve": _matrices(_solved), "cholesky": _matrices(_cholesky),
}  # fmt: skip
"""The entries of a result in order, from those of the inputs; None where they are too many to write out."""
