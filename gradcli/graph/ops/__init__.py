"""The table of operations: importing this package fills it."""

from gradcli.graph import node
from gradcli.graph.ops import (
    convolution,
    creation,
    determinants,
    elementwise,
    linear_algebra,
    logarithms,
    matrices,
    networks,
    ordering,
    reductions,
    ruled,
    selection,
    shaping,
    slicing,
    special,
)

table = node.TABLE
families = (
    elementwise,
    logarithms,
    special,
    selection,
    reductions,
    ordering,
    linear_algebra,
    matrices,
    determinants,
    shaping,
    slicing,
    creation,
    networks,
    convolution,
    ruled,
)

__all__ = ["families", "table"]
