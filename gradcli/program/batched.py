"""Kernels on many rows at once: each operation with a leading row axis before the axes that its node has.

A node's value is either one array of the node's shape or, where it depends on a column, an array ``[rows, *shape]``.
``RULES`` says for each operation how its kernel is called on those; the arithmetic stays the kernel's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradcli.graph.node import Node

Array = Any


class Call:
    """One operation on one block: the node, its inputs' values, and which of them have the row axis."""

    __slots__ = ("batched", "node", "np", "rows", "values")

    def __init__(self, np: Any, node: Node, values: Sequence[Array], batched: Sequence[bool], rows: int) -> None:
        self.np = np
        self.node = node
        self.values = values
        self.batched = batched
        self.rows = rows

    def kernel(self, *values: Array, **attrs: Any) -> Array:
        """The operation's own kernel, with some attributes replaced."""
        assert self.node.op.kernel is not None
        return self.node.op.kernel(self.np, *values, **{**self.node.attrs, **attrs})

    def aligned(self, i: int, rank: int) -> Array:
        """Input i with axes of size 1 behind the row axis, so that it broadcasts as one of ``rank`` axes."""
        value = self.values[i]
        own = self.node.inputs[i].shape
        if not self.batched[i] or len(own) >= rank:
            return value
        return self.np.reshape(value, (value.shape[0], *[1] * (rank - len(own)), *own))

    def full(self, i: int) -> Array:
        """Input i with the row axis, by repetition if need be."""
        value = self.values[i]
        return value if self.batched[i] else self.np.broadcast_to(value, (self.rows, *self.node.inputs[i].shape))

    def all_full(self) -> list[Array]:
        return [self.full(i) for i in range(len(self.values))]


Rule = Callable[[Call], Array]


def evaluated(np: Any, node: Node, values: Sequence[Array], batched: Sequence[bool], rows: int) -> Array:
    """The value ``[rows, *node.shape]`` of an operation of which some input has the row axis.

    Raises whatever the kernel raises where it fails in some row.
    """
    rule = RULES.get(node.op.name)
    if rule is None:
        rule = _elementwise if node.op.family in ("elementwise", "selection") else _row_by_row
    return rule(Call(np, node, values, batched, rows))


def _elementwise(call: Call) -> Array:
    rank = call.node.rank
    result = call.kernel(*[call.aligned(i, rank) for i in range(len(call.values))])
    shape = (call.rows, *call.node.shape)  # some slopes look at one of their inputs only
    return result if result.shape == shape else call.np.broadcast_to(result, shape)


def _row_by_row(call: Call) -> Array:
    """For an operation that no rule covers: one call of its kernel a row."""
    shape = (call.rows, *call.node.shape)
    result = call.np.empty(shape, dtype=call.node.dtype)
    for row in range(call.rows):
        result[row] = call.kernel(*[v[row] if b else v for v, b in zip(call.values, call.batched, strict=True)])
    return result


def _natural(call: Call) -> Array:
    """An operation on the last axes, whose kernel takes any axes before them."""
    return call.kernel(*call.all_full())


def _along_axis(call: Call) -> Array:
    """The axes that an attribute counts move up by one."""
    axis = call.node.attrs["axis"]
    return call.kernel(*call.all_full(), axis=axis + 1 if isinstance(axis, int) else tuple(a + 1 for a in axis))


def _to_shape(call: Call) -> Array:
    return call.kernel(call.aligned(0, call.node.rank), shape=(call.rows, *call.node.shape))


def _reshape(call: Call) -> Array:
    return call.kernel(call.values[0], shape=(call.rows, *call.node.shape))


def _transpose(call: Call) -> Array:
    return call.kernel(call.values[0], axes=(0, *[a + 1 for a in call.node.attrs["axes"]]))


def _roll(call: Call) -> Array:
    if call.node.attrs["axis"] is not None:
        return _along_axis(call)
    flat = call.np.reshape(call.values[0], (call.rows, -1)) if call.values[0].size else call.values[0]
    return call.np.reshape(call.kernel(flat, axis=1), (call.rows, *call.node.shape))


def _index(call: Call) -> Array:
    return call.kernel(call.values[0], items=((None, None, None), *call.node.attrs["items"]))


def _unindex(call: Call) -> Array:
    items = ((None, None, None), *call.node.attrs["items"])
    return call.kernel(call.values[0], items=items, shape=(call.rows, *call.node.shape))


def _delta(call: Call) -> Array:
    return call.kernel(call.values[0], pattern=(0, *[c + 1 for c in call.node.attrs["pattern"]]))


def _gather(call: Call) -> Array:
    axis = call.node.attrs["axis"]
    if not call.batched[1]:
        return call.kernel(*call.values, axis=axis + 1)
    if not call.batched[0]:
        return call.np.moveaxis(call.kernel(*call.values), axis, 0)
    # Each row's indices count in its own part of one long axis; the kernel on no entries checks them.
    np, x, indices, size = call.np, call.values[0], call.values[1], call.node.inputs[0].shape[axis]
    call.kernel(np.empty((size, 0)), indices, axis=0)
    long = np.moveaxis(x, axis + 1, 1)
    long = np.reshape(long, (call.rows * size, *long.shape[2:]))
    start = np.reshape(np.arange(call.rows) * size, (call.rows, *[1] * (indices.ndim - 1)))
    taken = call.kernel(long, indices % max(size, 1) + start, axis=0)
    own = call.node.inputs[1].rank  # [rows, *indices, *rest]: the indices' axes go back to where the axis was
    return np.moveaxis(taken, range(1, 1 + own), range(1 + axis, 1 + axis + own))


def _scatter_add(call: Call) -> Array:
    axis, size = call.node.attrs["axis"], call.node.attrs["size"]
    if not call.batched[1]:
        return call.kernel(*call.values, axis=axis + 1)
    np, indices = call.np, call.values[1]
    own = call.node.inputs[1].rank
    g = np.moveaxis(call.full(0), range(1 + axis, 1 + axis + own), range(1, 1 + own))
    start = np.reshape(np.arange(call.rows) * size, (call.rows, *[1] * own))
    long = call.kernel(g, indices % max(size, 1) + start, axis=0, size=call.rows * size)
    return np.moveaxis(np.reshape(long, (call.rows, size, *long.shape[1:])), 1, axis + 1)


def _contraction(call: Call) -> Array:
    """One more label, of the row axis. ``gram`` speaks of two dimensions and is dropped."""
    labels = call.node.attrs["labels"]
    row = 1 + max([k for own in labels for k in own], default=-1)
    moved = tuple((row, *own) if b else tuple(own) for own, b in zip(labels, call.batched, strict=True))
    return call.kernel(*call.values, labels=moved, out=(row, *call.node.attrs["out"]), gram=False)


def _matmul(call: Call) -> Array:
    np = call.np
    (a, b), (x, y) = call.values, call.node.inputs
    if call.batched[0] and not call.batched[1] and x.rank == 1 and y.rank == 2:
        return call.kernel(a, b)  # all rows in one product
    if call.batched[1] and not call.batched[0] and x.rank == 2 and y.rank == 1:
        return call.kernel(b, np.transpose(a))
    # Vectors as matrices of one row or one column, which go again at the end.
    rank = max(x.rank, y.rank, 2)
    if x.rank == 1:
        a = np.expand_dims(a, -2)
    if y.rank == 1:
        b = np.expand_dims(b, -1)
    if call.batched[0]:
        a = np.reshape(a, (call.rows, *[1] * (rank - max(x.rank, 2)), *a.shape[1:]))
    if call.batched[1]:
        b = np.reshape(b, (call.rows, *[1] * (rank - max(y.rank, 2)), *b.shape[1:]))
    return np.reshape(call.kernel(a, b), (call.rows, *call.node.shape))


def _solve(call: Call) -> Array:
    np, (a, b) = call.np, call.values
    if call.node.inputs[1].rank > 1:
        return call.kernel(*call.all_full())
    if not call.batched[0]:
        return np.transpose(call.kernel(a, np.transpose(b)))  # one factorization for all rows
    return np.squeeze(call.kernel(a, np.expand_dims(call.full(1), -1)), -1)


RULES: dict[str, Rule] = {
    "link": _elementwise, "zero": _elementwise, "zeros_like": _elementwise, "ones_like": _elementwise,
    "reshape": _reshape, "broadcast_to": _to_shape, "transpose": _transpose, "roll": _roll, "index": _index,
    "unindex": _unindex, "expand_delta": _delta, "collect_delta": _delta, "gather": _gather,
    "scatter_add": _scatter_add, "matmul": _matmul, "contraction": _contraction, "solve": _solve,
    **dict.fromkeys(("flip", "concat", "stack", "argsort", "sort", "cumsum", "cumprod"), _along_axis),
    **dict.fromkeys(("sum", "mean", "prod", "max", "min", "norm", "logsumexp", "any", "all"), _along_axis),
    **dict.fromkeys(("take_along", "scatter_along"), _along_axis),
    **dict.fromkeys(("argmax", "argmin", "softmax", "log_softmax", "others", "complement", "direction"), _along_axis),
    **dict.fromkeys(("diagonal", "embed_diagonal", "tril", "triu", "one_hot"), _natural),
    **dict.fromkeys(("random_normal", "random_uniform"), _row_by_row),  # the same numbers are drawn for every row
    **dict.fromkeys(("inv", "det", "logdet", "cholesky", "cofactor", "completion"), _natural),
}  # fmt: skip
"""By name; elementwise operations and selections need no entry, and what has none is called row by row."""
