"""What rules look at and build: numbers in expressions, coefficients, broadcast values."""

from __future__ import annotations

from math import isfinite

from gradcli.graph.node import Node, Number, current_derivation
from gradcli.graph.operation import literal
from gradcli.graph.ops.elementwise import multiply, neg
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.shaping import broadcast_to, broadcasted, reshape, transpose
from gradcli.graph.types import INTEGER_RANGE, is_integer

LARGEST = 1e20
"""Coefficients are multiplied with one another between this and its reciprocal, far from where floats end."""

REPEATED = frozenset((broadcast_to, reshape))
SHAPED = frozenset((broadcast_to, reshape, sum_, transpose))


def number_of(x: Node) -> Number | None:
    """The number that a scalar literal holds; None for bools and all other nodes."""
    return x.attrs["value"] if x.op.name == "literal" and x.dtype != "bool" else None


def filling(x: Node) -> Number | None:
    """The number that an array is filled with, as far as its operation shows."""
    while x.op in REPEATED:
        x = x.inputs[0]
    if x.inputs or x.dtype == "bool":
        return None
    low, high = x.op.bounds
    return low if low == high else number_of(x)


def filled(value: Number, like: Node) -> Node:
    """A number repeated to the shape of another node, in its dtype."""
    return broadcasted(literal(value, like.dtype), like.shape)


def split(x: Node) -> tuple[Number, Node]:
    """The coefficient of a term and the rest: (2, x) for 2 * x, (-1, x) for -x, (1, x) for anything else."""
    if x.op is neg:
        return -1, x.inputs[0]
    if x.op is multiply:
        value = number_of(x.inputs[0])
        if value is not None:
            return value, x.inputs[1]
    return 1, x


def scaled(c: Number, x: Node) -> Node:
    """c * x, written as x, -x or c * x."""
    if c == 1:
        return x
    return neg(x) if c == -1 else multiply(literal(c, x.dtype), x)


def older_sum(node: Node) -> Node | None:
    """Where the same terms have been added in the other order, that sum."""
    derivation = current_derivation()
    key = (node.op, node.inputs[::-1], node.dtype, node.shape)
    other = derivation.nodes.get(key) if derivation is not None else None
    return other if other is not None and other.serial < node.serial else None


def usable(c: Number, dtype: str) -> bool:
    """Whether a number may be a coefficient: moderate, and an integer among integers."""
    if is_integer(dtype):
        low, high = INTEGER_RANGE[dtype]
        return isinstance(c, int) and low <= c <= high and c != 0
    return isfinite(c) and 1 / LARGEST <= abs(c) <= LARGEST


def is_nothing(x: Node) -> bool:
    """A zero that holds a gradient together, or its product with a number or another."""
    x = unshaped(x)
    if x.op is not multiply:
        return x.op.connects
    factors = [unshaped(i) for i in x.inputs]
    some = any([f.op.connects for f in factors])
    return some and all([f.op.connects or _is_finite(f) for f in factors])


def unshaped(x: Node) -> Node:
    """What a value is repeated, moved or summed from."""
    while x.op in SHAPED:
        x = x.inputs[0]
    return x


def _is_finite(x: Node) -> bool:
    value = number_of(x)
    return value is not None and isfinite(value)
