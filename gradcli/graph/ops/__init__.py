"""The table of operations: importing this package fills it."""

from gradcli.graph import node
from gradcli.graph.ops import (
    creation,
    determinants,
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
families = (
    elementwise,
    special,
    selection,
    reductions,
    linear_algebra,
    determinants,
    shaping,
    slicing,
    creation,
    networks,
)

__all__ = ["families", "table"]
