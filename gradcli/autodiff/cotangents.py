"""What reverse mode carries: a gradient, and where it is selected; and the strong zero, by which nothing else contributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gradcli.graph.node import Node
from gradcli.graph.operation import cast_to
from gradcli.graph.ops.creation import ones
from gradcli.graph.ops.elementwise import divide, multiply
from gradcli.graph.ops.reductions import any_
from gradcli.graph.ops.selection import cast, guard, isfinite, logical_and, logical_not, not_equal, where
from gradcli.graph.ops.shaping import broadcasted, reshaped, stretched_axes
from gradcli.graph.types import Shape, is_float


class Cotangent(NamedTuple):
    """A gradient ``g`` and its ``mask``: where the node was selected by every ``where`` on the way from y, None for everywhere."""

    g: Node
    mask: Node | None


def either(a: Node, b: Node) -> Node:
    """Where one of two masks selects."""
    return logical_not(logical_and(logical_not(a), logical_not(b)))


def guarded(factor: Node, mask: Node | None) -> Node:
    """The factor where the mask is true, 0 elsewhere, so that what is not selected cannot make a NaN."""
    return factor if mask is None or not factor.risky else where(mask, factor, 0)


def product_mask(node: Node, i: int, mask: Node | None) -> Node | None:
    """Where input i of a product, or the divisor of a quotient, is selected: not where its partner is an indicator's 0."""
    partner = node.inputs[i ^ 1]
    if not (node.inputs[i].risky or node.op is divide) or not is_indicator(partner):
        return mask
    taken = broadcasted(not_equal(partner, 0), node.shape)
    return taken if mask is None else logical_and(taken, mask)


KEPT = ("moved", "negated", "placed", "repeated")
"""What makes entries of a result that are 0 where those of the input are, in so many words of the table."""


def is_indicator(x: Node, most: int = 16) -> bool:
    """Whether a node is 0 at some entries by what it is, not by its values: one_hot, a condition as a number, or times one.

    ``most`` operations are looked through.
    """
    todo = [x]
    for _ in range(most):
        if not todo:
            break
        x = todo.pop()
        if x.op.indicator or x.op is cast and x.inputs[0].dtype == "bool":
            return True
        if x.op is cast or x.op.entries in KEPT and not any([is_float(i.dtype) for i in x.inputs[1:]]):
            todo.append(x.inputs[0])
        elif x.op is multiply:
            todo += x.inputs
    return False


def mask_to(mask: Node | None, shape: Shape) -> Node | None:
    """A mask of the input's shape: true where some entry that it was broadcast to is selected."""
    if mask is None or mask.shape == shape:
        return mask
    axes = stretched_axes(mask.shape, shape)
    return broadcasted(reshaped(any_(mask, axis=axes, keepdims=False), shape) if axes else mask, shape)


Product = Callable[[Sequence[Node]], Node]
"""From the operands of a contraction to its value, of whatever else takes part in it."""


def unless_met(value: Product, count: Product, operands: Sequence[Node], taken: Sequence[Node | None] = ()) -> Node:
    """A contraction whose operands are NaN or infinite only for the results that they reach from what is selected.

    ``value`` multiplies operands by what is contracted with them; ``count`` multiplies arrays of zeros and ones by where
    that is selected. ``taken`` are masks of what is selected of each operand, None for everywhere.
    """
    whole = value(operands)
    masks = taken or [None] * len(operands)
    finite = list(operands)
    met: Node | None = None
    for n, (x, own) in enumerate(zip(operands, masks, strict=True)):
        if x.risky:
            fine, bad = isfinite(x), logical_not(isfinite(x))
            if own is not None:
                fine, bad = logical_and(fine, own), logical_and(bad, own)
            finite[n] = where(fine, x, 0)
            others = [_taken(b, m) for b, m in zip(operands, masks, strict=True)]
            others[n] = cast_to(bad, x.dtype)
            reached = count(others)
            met = reached if met is None else met + reached
    if met is None:
        return whole
    return guard(broadcasted(not_equal(met, 0), whole.shape), whole, value(finite))


def _taken(x: Node, mask: Node | None) -> Node:
    """A mask as zeros and ones like x."""
    return ones(shape=x.shape, dtype=x.dtype) if mask is None else cast_to(mask, x.dtype)
