"""Roughly how long an operation takes on one thread, from its sort and size: enough to decide about threads."""

from __future__ import annotations

from gradcli.execute.sizes import bytes_of
from gradcli.graph.node import Node
from gradcli.graph.operation import Contraction
from gradcli.graph.types import ITEM_SIZE

CHEAP = 0.025
"""Nanoseconds a byte of arithmetic and comparisons in cache."""

DEAR = 0.15
"""Nanoseconds a byte of other functions."""

PRODUCT = 0.003
"""Nanoseconds a byte of an operand's dtype and multiplication of a matrix product."""


def nanoseconds(node: Node) -> float:
    """The time of one operation on whole arrays."""
    if node.op.shares == "always" or not node.inputs:
        return 0.0
    if isinstance(node.op.rule, Contraction):
        return PRODUCT * ITEM_SIZE[node.dtype] * _multiplications(node, node.op.rule)
    size = max([bytes_of(x) for x in (node, *node.inputs)])
    return size * (CHEAP if node.op.cheap or node.dtype == "bool" else DEAR)


def _multiplications(node: Node, rule: Contraction) -> int:
    sizes: dict[int, int] = {}
    for own, x in zip(rule.labels(node.inputs, dict(node.attrs))[0], node.inputs, strict=True):
        sizes.update(zip(own, x.shape, strict=True))
    count = 1
    for n in sizes.values():
        count *= n
    return count
