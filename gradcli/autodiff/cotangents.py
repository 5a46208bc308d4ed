"""What reverse mode carries: a gradient, and where it is selected."""

from __future__ import annotations

from typing import NamedTuple

from gradcli.graph.node import Node
from gradcli.graph.ops.selection import logical_and, logical_not


class Cotangent(NamedTuple):
    """A gradient ``g`` and its ``mask``: where the node was selected by every ``where`` on the way from y, None for everywhere."""

    g: Node
    mask: Node | None


def either(a: Node, b: Node) -> Node:
    """Where one of two masks selects."""
    return logical_not(logical_and(logical_not(a), logical_not(b)))
