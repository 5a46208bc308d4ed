"""Contractions that are one matrix product, prepared once: their own kernel works out what to do at every call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product as iterate
from typing import Any

from gradcli.execute.order import MOST_TERMS, SHORT, long_axis
from gradcli.graph.node import Node
from gradcli.graph.operation import Contraction
from gradcli.graph.types import size_of

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
        return _in_stacks(np, node, x, y, out)
    return _of_matrices(np, node, x, y, list(out))


def _of_matrices(np: Any, node: Node, x: list[int], y: list[int], out: list[int]) -> Product | None:
    """The product of two vectors or matrices."""
    (summed,) = [k for k in x if k in y]
    left, right = [k for k in x if k != summed], [k for k in y if k != summed]
    if node.inputs[0].shape[x.index(summed)] == 1 and out == [*left, *right] and left and right:
        return _outer(np)
    matmul = np.matmul
    turn_x, turn_y = x != [*left, summed], y != [summed, *right]
    if out == [*left, *right]:
        return _product(matmul, turn_x, turn_y)
    if out == [*right, *left]:  # (X Y)ᵀ = Yᵀ Xᵀ
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


class _Labels:
    """The labels of a product of two arrays by what becomes of them: sums, stacks, rows (``left``) and columns (``right``)."""

    def __init__(self, node: Node, x: Sequence[int], y: Sequence[int], out: Sequence[int]) -> None:
        a, b = node.inputs
        self.x, self.y, self.out = x, y, out
        self.sizes = {**dict(zip(x, a.shape, strict=True)), **dict(zip(y, b.shape, strict=True))}
        self.summed = [k for k in x if k in y and k not in out]
        self.stack = [k for k in out if k in x and k in y]
        self.left, self.right = [k for k in out if k not in y], [k for k in out if k not in x]

    def is_plain(self, node: Node) -> bool:
        """Whether each label of one array is one axis of its own, which nothing repeats, and each sum is over both arrays."""
        x, y, sizes = self.x, self.y, self.sizes
        if {*x, *y} != {*self.out, *self.summed} or not self.summed or 0 in sizes.values():
            return False
        own = zip((x, y), node.inputs, strict=True)
        return all([n == sizes[k] for labels, a in own for k, n in zip(labels, a.shape, strict=True)])

    def is_tiny(self) -> bool:
        """Whether the matrices are so small, and so many, that products of the long stacks are quicker."""
        length = max([self.sizes[k] for k in self.stack], default=0)
        terms = size_of(tuple([self.sizes[k] for k in (*self.left, *self.right, *self.summed)]))
        return length >= SHORT and terms <= MOST_TERMS and length >= 2 * terms

    def are_matrices(self) -> bool:
        """Whether these are matrices, stacked or not."""
        return len(self.summed) == len(self.left) == len(self.right) == 1


def _in_stacks(np: Any, node: Node, x: Sequence[int], y: Sequence[int], out: Sequence[int]) -> Product | None:
    """Products of stacks of matrices: sums of products of long arrays where the matrices are tiny, else NumPy's."""
    labels = _Labels(node, x, y, out)
    if not labels.is_plain(node):
        return None
    if labels.is_tiny():
        return _entry_by_entry(np, x, y, out, [(k, labels.sizes[k]) for k in labels.summed])
    return _stacked(np, node, labels) if labels.are_matrices() else None


def _entry_by_entry(
    np: Any, x: Sequence[int], y: Sequence[int], out: Sequence[int], summed: Sequence[tuple[int, int]]
) -> Product:
    """For each entry that is summed a product of what is left of the operands, added to those before."""
    multiply, add = np.multiply, np.add
    kept = [k for k in out if k in x], [k for k in out if k in y]
    keys: list[tuple[Any, Any]] = []
    for places in iterate(*[range(n) for _, n in summed]):
        at = dict(zip([k for k, _ in summed], places, strict=True))
        keys.append((tuple([at.get(k, slice(None)) for k in x]), tuple([at.get(k, slice(None)) for k in y])))
    turns, shapes = [], []
    for own, left in zip((x, y), kept, strict=True):
        rest = [k for k in own if k not in dict(summed)]
        turns.append(tuple([rest.index(k) for k in left]))
        shapes.append(tuple([slice(None) if k in left else None for k in out]))
    (p, q), (i, j) = turns, shapes

    def product(a: Any, b: Any, out: Any) -> Any:
        (k, m), *more = keys
        y = multiply(a[k].transpose(p)[i], b[m].transpose(q)[j], out=out)
        for k, m in more:
            add(y, multiply(a[k].transpose(p)[i], b[m].transpose(q)[j]), out=y)
        return y

    return product


def _stacked(np: Any, node: Node, labels: _Labels) -> Product:
    """NumPy's product of stacks of matrices, turned such that the long axis of the result is its columns."""
    x, y, out = labels.x, labels.y, labels.out
    stack, left, summed, right = labels.stack, labels.left, labels.summed, labels.right
    matmul = np.matmul
    p = tuple([x.index(k) for k in (*stack, *left, *summed)])
    q = tuple([y.index(k) for k in (*stack, *summed, *right)])
    own = [*stack, *left, *right]
    after = tuple([own.index(k) for k in out])
    long = long_axis(node.shape)
    swapped = long is not None and out[long] == left[0]
    back = tuple([after.index(k) for k in range(len(after))])

    def product(a: Any, b: Any, out: Any) -> Any:
        a, b = a.transpose(p), b.transpose(q)
        target = out.transpose(back) if out is not None else None
        if swapped and (a.strides[-1] != a.itemsize if target is None else target.strides[-1] != a.itemsize):
            target = target.swapaxes(-1, -2) if target is not None else None
            y = matmul(b.swapaxes(-1, -2), a.swapaxes(-1, -2), out=target).swapaxes(-1, -2)
        else:
            y = matmul(a, b, out=target)
        return y.transpose(after)

    return product


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
