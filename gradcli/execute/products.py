"""Contractions that are one matrix product, prepared once: their own kernel works out what to do at every call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradcli.graph.node import Node
from gradcli.graph.operation import Contraction

Product = Callable[[Any, Any, Any], Any]
"""Of two arrays and ``out``, the array for the result, or None for a new one."""


def matrix_product(np: Any, node: Node) -> Product | None:
    """The product of two vectors or matrices, transposed as need be, or one that sums nothing; None for other sorts."""
    rule = node.op.rule
    if not isinstance(rule, Contraction) or len(node.inputs) != 2 or node.attrs.get("gram"):
        return None
    labels, out = rule.labels(node.inputs, dict(node.attrs))
    x, y = (list(own) for own in labels)
    if {*x, *y} == {*out} and len({*x}) == len(x) and len({*y}) == len(y):
        return _broadcast(np, x, y, out)
    summed = [k for k in x if k in y]
    if len(x) > 2 or len(y) > 2 or len(summed) != 1 or summed[0] in out:
        return None
    left, right = [k for k in x if k not in summed], [k for k in y if k not in summed]
    if node.inputs[0].shape[x.index(summed[0])] == 1 and list(out) == [*left, *right] and left and right:
        return _outer(np)
    matmul = np.matmul
    turn_x, turn_y = x != [*left, *summed], y != [*summed, *right]
    if list(out) == [*left, *right]:
        return _product(matmul, turn_x, turn_y)
    if list(out) == [*right, *left]:  # (X Y)ᵀ = Yᵀ Xᵀ
        product = _product(matmul, not turn_y and len(y) > 1, not turn_x and len(x) > 1)
        return lambda a, b, out: product(b, a, out)
    return None


def _product(matmul: Any, turn_x: bool, turn_y: bool) -> Product:
    if turn_x and turn_y:
        return lambda a, b, out: matmul(a.T, b.T, out=out)
    if turn_x:
        return lambda a, b, out: matmul(a.T, b, out=out)
    if turn_y:
        return lambda a, b, out: matmul(a, b.T, out=out)
    return lambda a, b, out: matmul(a, b, out=out)


def _outer(np: Any) -> Product:
    """A column times a row, which BLAS does at a third of the speed of a product that is broadcast."""
    multiply, reshape = np.multiply, np.reshape
    return lambda a, b, out: multiply(reshape(a, (-1, 1)), reshape(b, (1, -1)), out=out)


def _broadcast(np: Any, x: Sequence[int], y: Sequence[int], out: Sequence[int]) -> Product:
    """Entries times entries: axes in the order of the result's, with size 1 for those that are missing."""
    multiply = np.multiply
    axes, keys = [], []
    for own in (x, y):
        axes.append(tuple(own.index(k) for k in out if k in own))
        keys.append(tuple(slice(None) if k in own else None for k in out))
    (p, q), (i, j) = axes, keys
    return lambda a, b, out: multiply(a.transpose(p)[i], b.transpose(q)[j], out=out)


def column_sums(np: Any, dtype: str) -> Callable[[Any], Any]:
    """The sums of the columns of a matrix of few columns, as a product with a row of ones: eight times as fast."""
    kept: dict[int, Any] = {}
    matmul = np.matmul

    def sums(x: Any) -> Any:
        rows = len(x)
        ones = kept.get(rows)
        if ones is None:
            ones = kept[rows] = np.ones(rows, dtype)
        return matmul(ones, x)

    return sums
