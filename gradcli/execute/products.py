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


def _in_stacks(np: Any, node: Node, x: Sequence[int], y: Sequence[int], out: Sequence[int]) -> Product | None:
    """Products of stacks of matrices: sums of products of long arrays where the matrices are tiny, else NumPy's."""
    a, b = node.inputs
    sizes = {**dict(zip(x, a.shape, strict=True)), **dict(zip(y, b.shape, strict=True))}
    summed = [k for k in x if k in y and k not in out]
    stack = [k for k in out if k in x and k in y]
    left, right = [k for k in out if k not in y], [k for k in out if k not in x]
    if {*x, *y} != {*out, *summed} or len(sizes) != len({*x, *y}) or not summed or 0 in sizes.values():
        return None
    if any([n != sizes[k] for own, shape in ((x, a.shape), (y, b.shape)) for k, n in zip(own, shape, strict=True)]):
        return None  # an axis of one entry that is repeated
    length = max([sizes[k] for k in stack], default=0)
    terms = size_of(tuple([sizes[k] for k in (*left, *right, *summed)]))
    if length >= SHORT and terms <= MOST_TERMS and length >= 2 * terms:
        return _entry_by_entry(np, x, y, out, [(k, sizes[k]) for k in summed])
    if len(summed) != 1 or len(left) != 1 or len(right) != 1:
        return None
    return _stacked(np, node, x, y, out, (stack, left, summed, right))


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


def _stacked(
    np: Any, node: Node, x: Sequence[int], y: Sequence[int], out: Sequence[int], parts: Sequence[Sequence[int]]
) -> Product:
    """NumPy's product of stacks of matrices, turned such that the long axis of the result is its columns."""
    stack, left, summed, right = parts
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
