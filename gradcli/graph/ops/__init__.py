"""The table of operations: importing this package fills it."""

from gradcli.graph import node
from gradcli.graph.ops import (
    creation,
    elementwise,
    linear_algebra,
    networks,
    reductions,
    selection,
    shaping,
    slicing,
    special,
)

table = node.TABLE
families = (elementwise, selection, reductions, linear_algebra, shaping, slicing, creation, networks, special)

__all__ = ["families", "table"]
