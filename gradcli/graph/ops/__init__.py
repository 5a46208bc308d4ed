"""The table of operations: importing this package fills it."""

from gradcli.graph import node
from gradcli.graph.ops import (
    bessel,
    convolution,
    creation,
    decompositions,
    determinants,
    elementwise,
    exponential,
    gamma,
    linear_algebra,
    logarithms,
    matrices,
    networks,
    normal,
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
    normal,
    gamma,
    bessel,
    selection,
    reductions,
    ordering,
    linear_algebra,
    matrices,
    determinants,
    decompositions,
    exponential,
    shaping,
    slicing,
    creation,
    networks,
    convolution,
    ruled,
)

__all__ = ["families", "table"]
