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
    rule = op.rule
    if node.dtype == "bool":
        return _full(shape)
    if op.zero_where is not None:
        return _of_all([of(inputs[i]) for i in op.zero_where], node)
    if op.degree == "power":
        return _power(node, of)
    if isinstance(rule, Product):
        some = [of(x) for x in inputs]
        return multiply(*some) if len(some) == 2 else _bits(products(*some))
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
            return moved if op.entries in ("moved", "placed", "repeated") else _bits(moved)
        return _full(shape)
    if op.degree == "entries":
        return op(of(inputs[0]), **node.attrs)
    return tril(_full(shape)) if op.triangular else _full(shape)


def _of_all(found: Sequence[Node], node: Node) -> Node:
    """The pattern of a node that is 0 where all of the inputs are whose patterns are given, none if it always is."""
    if not found:
        return zeros(shape=node.shape, dtype=DTYPE)
    if node.op.entrywise:
        return broadcasted(found[0] if len(found) == 1 else _bits(add(*found)), node.shape)
    return _bits(sum_(found[0], axis=node.attrs["axis"], keepdims=node.attrs["keepdims"]))


def _power(node: Node, of: Callable[[Node], Node]) -> Node:
    """0 to a positive power is 0; what the exponent is must be seen."""
    base, exponent = node.inputs
    positive = exponent.op.name == "literal" and exponent.attrs["value"] > 0
    return broadcasted(of(base), node.shape) if positive else _full(node.shape)


def _full(shape: Shape) -> Node:
    return ones(shape=shape, dtype=DTYPE)


def _bits(count: Node) -> Node:
    return cast_to(not_equal(count, 0), DTYPE)
