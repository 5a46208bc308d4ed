"""Jacobians by forward mode: the derivatives along all entries of x at once, with an axis for the directions."""

from __future__ import annotations

from collections.abc import Iterable

from gradcli.autodiff import orders
from gradcli.autodiff.batch import batched
from gradcli.graph.node import Node
from gradcli.graph.ops.creation import eye, tangent
from gradcli.graph.ops.shaping import reshaped, transpose
from gradcli.graph.types import size_of


def jacobian(y: Node, x: Node, stops: Iterable[Node] = ()) -> Node | None:
    """The Jacobian by forward mode along each entry of x, [*y.shape, *x.shape]; None where an operation takes no axis of directions."""
    direction = Node(tangent, (), {}, x.shape, x.dtype, False)
    along = orders.jvp(y, x, direction, stops)
    size = size_of(x.shape)
    every = reshaped(eye(n=size, m=size, dtype=x.dtype), (size, *x.shape))
    try:
        (columns,) = batched([along], {direction: every})
    except NotImplementedError:
        return None
    if columns is along:
        return None
    rank = len(y.shape)
    return reshaped(transpose(columns, axes=(*range(1, rank + 1), 0)), (*y.shape, *x.shape))
