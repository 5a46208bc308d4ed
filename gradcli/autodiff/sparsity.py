"""Where a derivative may be non-zero: its graph, evaluated on patterns in place of numbers.

A pattern is an array of 0 and 1 of a node's shape. It is 0 only where the node is 0 whatever values the variables have;
what does not depend on variables has the pattern of its value. Sums become unions and products intersections, so that a
contraction of patterns counts the ways in which an entry can come about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Contraction, Linear, Product, Select, cast_to
from gradcli.graph.ops.creation import ones, zeros
from gradcli.graph.ops.elementwise import add, multiply, products
from gradcli.graph.ops.linear_algebra import tril
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.selection import not_equal, where
from gradcli.graph.ops.shaping import broadcasted
from gradcli.graph.types import Shape

DTYPE = "float32"
"""That of patterns: small, and multiplied fast."""

ZERO_AT_ZERO = {
    "abs", "asin", "asinh", "atan", "atanh", "cbrt", "ceil", "elu", "erf", "expm1", "floor", "leaky_relu", "log1p",
    "relu", "round", "sign", "sin", "sinh", "sqrt", "square", "stop_gradient", "tan", "tanh", "trunc", "neg", "identity",
}  # fmt: skip
"""Functions of one variable with f(0) = 0."""

ZERO_WITH_FIRST = {"divide", "divide_no_nan", "floor_divide", "mod", "xlogy"}
"""Functions of two variables that are 0 where the first is."""

UNIONS = {"add", "subtract", "maximum", "minimum", "hypot"}

MERGING = {
    "sum",
    "mean",
    "cumsum",
    "others",
    "scatter_add",
    "scatter_along",
    "contraction",
    "matmul",
    "products",
    "norm",
    "max",
    "min",
}
"""Operations whose result on patterns is a count."""


def patterns(nodes: Sequence[Node], xs: Iterable[Node], has_value: Callable[[Node], bool]) -> list[Node]:
    """Bool nodes that say where each node may be non-zero.

    Variables and ``xs`` are unknown, and so are constants of which ``has_value`` says that they have none.
    """
    unknown = set(xs)
    known: dict[Node, bool] = {}
    found: dict[Node, Node] = {}
    for node in cone(nodes):
        leaf = node.op.name == "leaf"
        free = node in unknown or (leaf and (node.attrs["kind"] == "variable" or not has_value(node)))
        known[node] = not free and all([known[x] for x in node.inputs])
        if free:
            found[node] = ones(shape=node.shape, dtype=DTYPE)
        elif not known[node]:
            found[node] = _pattern(node, known, lambda x: _of(x, found))
    return [not_equal(_of(node, found), 0) for node in nodes]


def _of(node: Node, found: dict[Node, Node]) -> Node:
    """The pattern of an input; that of a known value is made when it is first needed."""
    if node not in found:
        value = node if node.dtype == "bool" else not_equal(node, 0)
        found[node] = cast_to(value, DTYPE)
    return found[node]


def _pattern(node: Node, known: dict[Node, bool], of: Callable[[Node], Node]) -> Node:
    op, inputs, shape = node.op, node.inputs, node.shape
    name, rule = op.name, op.rule
    if node.dtype == "bool":
        return _full(shape)
    if name in ("zeros_like", "link", "zero"):
        return zeros(shape=shape, dtype=DTYPE)
    if name == "cast":
        return of(inputs[0])
    if name in ZERO_AT_ZERO:
        return broadcasted(of(inputs[0]), shape)
    if name in ZERO_WITH_FIRST:
        return broadcasted(of(inputs[0]), shape)
    if name in UNIONS:
        return _bits(add(of(inputs[0]), of(inputs[1])))
    if name == "pow":
        return _power(node, of)
    if isinstance(rule, Product):
        if name == "multiply":
            return multiply(of(inputs[0]), of(inputs[1]))
        return _bits(products(*[of(x) for x in inputs]))
    if isinstance(rule, Contraction):
        return _bits(op(*[of(x) for x in inputs], **node.attrs))
    if isinstance(rule, Select):
        condition, a, b = inputs
        if known[condition]:
            return where(condition, of(a), of(b))
        return broadcasted(_bits(add(of(a), of(b))), shape)
    if isinstance(rule, Linear):
        passing = op.differentiable_inputs(node)
        if all([i in passing or known[x] for i, x in enumerate(inputs)]):
            moved = op(*[of(x) if i in passing else x for i, x in enumerate(inputs)], **node.attrs)
            return _bits(moved) if name in MERGING else moved
        return _full(shape)
    if name in ("norm", "max", "min"):
        return _bits(sum_(of(inputs[0]), axis=node.attrs["axis"], keepdims=node.attrs["keepdims"]))
    if name in ("prod", "cumprod"):
        return op(of(inputs[0]), **node.attrs)
    if name == "cholesky":
        return tril(_full(shape))
    return _full(shape)


def _power(node: Node, of: Callable[[Node], Node]) -> Node:
    """0 to a positive power is 0; what the exponent is must be seen."""
    base, exponent = node.inputs
    positive = exponent.op.name == "literal" and exponent.attrs["value"] > 0
    return broadcasted(of(base), node.shape) if positive else _full(node.shape)


def _full(shape: Shape) -> Node:
    return ones(shape=shape, dtype=DTYPE)


def _bits(count: Node) -> Node:
    return cast_to(not_equal(count, 0), DTYPE)
