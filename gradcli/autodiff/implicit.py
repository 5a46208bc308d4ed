"""The implicit function theorem as a rule for derivatives.

Source of the theorem's rule: Griewank and Walther, *Evaluating Derivatives*, 2008, chapter 15: where r(x, p) = 0,
dx = -J^-1 (dr/dp) dp with J = dr/dx, of any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradcli.autodiff.jacobian import jacobian
from gradcli.autodiff.series import Series
from gradcli.graph.loops import placeholder
from gradcli.graph.node import Node, derived_float
from gradcli.graph.operation import cast_to
from gradcli.graph.ops.linear_algebra import solve
from gradcli.graph.ops.ruled import Rule
from gradcli.graph.ops.shaping import broadcasted, reshape
from gradcli.graph.types import is_float, size_of


def square_jacobian(residual: Node, x: Node) -> Node | None:
    """The derivatives of the residual by x, which have one shape: a matrix, or a scalar for scalars; None if there are none."""
    if not Series({x: [x]}).depends(residual):
        return None
    (found,) = jacobian(residual, [x])
    n = size_of(x.shape)
    return reshape(found, shape=(n, n)) if x.shape else found


def step(matrix: Node, residual: Node) -> Node:
    """J^-1 r in the shape of r."""
    if not residual.shape:
        return residual / matrix
    return reshape(solve(matrix, reshape(residual, shape=(size_of(residual.shape),))), shape=residual.shape)


def tangent_of(node: Node) -> Node:
    """A leaf that stands for the tangent of a node."""
    return placeholder(node, dtype=node.dtype if is_float(node.dtype) else derived_float(), risky=False)


def along(root: Node, x: Node, dx: Node, stop: Iterable[Node] = ()) -> Node | None:
    """The derivative of a root along a tangent of one node; None where there is none."""
    c = Series({x: [dx]}, stop).coefficient(root, 1)
    return None if c is None else cast_to(broadcasted(c, root.shape), root.dtype)


def of_system(x: Node, parameters: Sequence[Node], residual: Node, matrix: Node) -> Rule:
    """The derivative of the x where ``residual``, computed from x and the parameters, is 0."""
    tangents: dict[int, Node] = {}
    roots: dict[int, Node] = {}
    stop = (x, *parameters)
    for i, p in enumerate(parameters, 1):
        if p.dtype == "bool":
            continue
        dp = tangent_of(p)
        moved = along(residual, p, dp, stop)
        if moved is not None:
            tangents[i], roots[i] = dp, -step(matrix, moved)
    return Rule(parameters, tangents, roots, x)
