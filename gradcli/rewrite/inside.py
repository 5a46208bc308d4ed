"""Sums that are done before products, of what is smaller then: sum(x @ w) as sum(x) @ w, x @ w + x*v as x @ (w + diag(v)).

The factor that is not summed up is always finite: 0 times infinity is NaN, and a sum may hide the 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradcli.graph.node import Node
from gradcli.graph.operation import Contraction
from gradcli.graph.ops.elementwise import add, multiply, subtract
from gradcli.graph.ops.linear_algebra import contract, embed_diagonal, matmul
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.shaping import reshaped
from gradcli.graph.types import is_float, size_of

DEEPEST = 8
"""Sums and differences that are looked into, one below the other."""

LEAST = 4
"""How many times more rows than columns make up for a new matrix."""


def sum_inside(node: Node) -> Node | None:
    """The sum of products, or of sums of them, by the sums of factors, if no factor of full size has to be multiplied then."""
    (x,), axes = node.inputs, tuple(node.attrs["axis"])
    if not is_float(x.dtype) or not axes or not x.shape or not _saves(x, axes, DEEPEST):
        return None
    return reshaped(_summed(x, axes), node.shape)


def _saves(x: Node, axes: Sequence[int], deep: int) -> bool:
    """Whether all of a value are products that need not be worked out to be summed up along axes.

    That is so where the other factor is finite.
    """
    if x.op in (add, subtract):
        return deep > 0 and all([i.shape == x.shape and _saves(i, axes, deep - 1) for i in x.inputs])
    if x.op is multiply:
        return _factors(x, axes) is not None
    labels = _labels(x)
    if labels is None:
        return False
    (own, theirs), out = labels
    gone = [out[k] for k in axes]
    stay = [other for other, summed in zip(x.inputs, (theirs, own), strict=True) if any([k in summed for k in gone])]
    if any([other.risky for other in stay]):
        return False
    return all([(k in own) != (k in theirs) for k in gone]) and bool({*own, *theirs}.difference(out))


def _summed(x: Node, axes: Sequence[int]) -> Node:
    """The sum along axes, which stay, with one entry."""
    kept = tuple([1 if k in axes else n for k, n in enumerate(x.shape)])
    if x.op in (add, subtract):
        return x.op(*[_summed(i, axes) for i in x.inputs])
    factors = _factors(x, axes) if x.op is multiply else None
    if factors is not None:
        large, small = factors
        return multiply(reshaped(sum_(large, axis=list(axes)), kept), small)
    labels = _labels(x)
    assert labels is not None
    groups, out = labels
    left = tuple([label for k, label in enumerate(out) if k not in axes])
    operands, rows = [], []
    for operand, own in zip(x.inputs, groups, strict=True):
        gone = [k for k, label in enumerate(own) if label in out and label not in left]
        operands.append(sum_(operand, axis=gone) if gone else operand)
        rows.append(tuple([label for label in own if label not in out or label in left]))
    return reshaped(contract(operands, rows, left), kept)


def one_product(node: Node) -> Node | None:
    """A product with a matrix, and one with the entries of a row, as a product with one matrix.

    Entries of the row may be infinite, which makes the same column so; all else is finite.
    """
    for product, scaled in (node.inputs, node.inputs[::-1]):
        if product.op is not matmul or scaled.op is not multiply or product.shape != node.shape:
            continue
        x, w = product.inputs
        if x.risky or w.risky:
            continue
        row = next((b for a, b in (scaled.inputs, scaled.inputs[::-1]) if a is x), None)
        if row is None or x.shape != node.shape or x.rank < 2 or not row.shape or x.shape[-2] < LEAST * x.shape[-1]:
            continue
        n = x.shape[-1]
        if w.shape != (*row.shape[:-2], n, n) or row.shape[-1] != n or row.rank > 1 and row.shape[-2] != 1:
            continue
        flat = reshaped(row, (*row.shape[:-2], n))
        return matmul(x, add(w, embed_diagonal(flat, k=0, rows=n, columns=n)))
    return None


def _factors(x: Node, axes: Sequence[int]) -> tuple[Node, Node] | None:
    """A factor of full size, and another one that is the same along the axes, and finite."""
    for large, small in (x.inputs, x.inputs[::-1]):
        before = x.rank - small.rank
        if (
            large.shape == x.shape
            and not small.risky
            and all([k < before or small.shape[k - before] == 1 for k in axes])
        ):
            return large, small
    return None


def _labels(x: Node) -> tuple[list[tuple[int, ...]], tuple[int, ...]] | None:
    """Those of a product of two matrices, or stacks of them, with an entry of the result for each."""
    rule = x.op.rule
    if not isinstance(rule, Contraction) or len(x.inputs) != 2 or x.attrs.get("gram"):
        return None
    labels, out = rule.labels(x.inputs, dict(x.attrs))
    sizes: dict[int, int] = {}
    for own, operand in zip(labels, x.inputs, strict=True):
        for k, n in zip(own, operand.shape, strict=True):
            if sizes.setdefault(k, n) != n:
                return None
    return ([tuple(own) for own in labels], tuple(out)) if size_of(x.shape) else None
