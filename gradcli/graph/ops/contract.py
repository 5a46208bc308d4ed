"""Index labels of contractions, and their kernel: pairs by cost, each as one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from gradcli.diagnostics import GradcliError, counted
from gradcli.graph.node import Node
from gradcli.graph.ops.paths import contraction_path
from gradcli.graph.types import Shape, broadcast, show_shape

Labels = tuple[int, ...]
Attrs = dict[str, Any]


def matmul_shape(inputs: Sequence[Node], attrs: Attrs) -> tuple[Shape, str]:
    """The shape rule of ``@``: matrices and vectors, with broadcast leading axes."""
    a, b = inputs
    if a.rank and b.rank and a.shape[-1] == b.shape[0 if b.rank == 1 else -2]:
        rows, columns = a.shape[-2:-1], b.shape[-1:] if b.rank > 1 else ()
        if a.rank <= 2 and b.rank <= 2:
            return (*rows, *columns), a.dtype
        return (*broadcast([a.shape[:-2], b.shape[:-2]], "leading axes"), *rows, *columns), a.dtype
    raise GradcliError(
        "ShapeError",
        f"matmul needs as many columns in the first operand as rows in the second, not {show_shape(a.shape)} "
        f"and {show_shape(b.shape)}",
        operands=[(0, f"shape {show_shape(a.shape)}"), (1, f"shape {show_shape(b.shape)}")],
        help=_matmul_help(a, b),
    )


def _matmul_help(a: Node, b: Node) -> str | None:
    if not a.rank or not b.rank:
        return "multiply by a scalar with `*`"
    if a.rank >= 2 and b.rank == 2 and a.shape[-1] == b.shape[1]:
        return "transpose the second operand: write `.T` after it"
    if a.rank == 2 and b.rank >= 1 and a.shape[0] == b.shape[0 if b.rank == 1 else -2]:
        return "transpose the first operand: write `.T` after it"
    return None


def matmul_labels(inputs: Sequence[Node], attrs: Attrs) -> tuple[list[Labels], Labels]:
    """Labels of NumPy's matmul; an axis of size 1 that is broadcast gets a label of its own and is summed."""
    a, b = inputs
    contracted, row, column = 0, 1, 2
    left: list[int] = [row, contracted] if a.rank > 1 else [contracted]
    right: list[int] = [contracted, column] if b.rank > 1 else [contracted]
    out = ([row] if a.rank > 1 else []) + ([column] if b.rank > 1 else [])
    fresh = 3
    batch: list[int] = []
    depth = max(a.rank, b.rank, 2) - 2
    for k in range(depth):
        n = a.shape[-3 - k] if a.rank > 2 + k else None
        m = b.shape[-3 - k] if b.rank > 2 + k else None
        shared = fresh
        fresh += 1
        batch.insert(0, shared)
        for size, other, labels in ((n, m, left), (m, n, right)):
            if size is None:
                continue
            if size == 1 and other not in (None, 1):
                labels.insert(0, fresh)
                fresh += 1
            else:
                labels.insert(0, shared)
    return [tuple(left), tuple(right)], (*batch, *out)


def parse_equation(operands: Sequence[Node], equation: str) -> tuple[list[Node], list[Labels], Labels]:
    """Operands, labels and output labels of an einsum; repeated letters become diagonals, those of the result too."""
    return _Equation(operands, equation).parsed()


LETTERS = 0x110000
"""Labels from here on stand for no letter: they are axes of ``...``, and axes that no other is like."""


class _Equation:
    """The terms of an einsum, ``sizes`` of its labels as far as they are known, and the last label that is in use."""

    def __init__(self, operands: Sequence[Node], equation: str) -> None:
        left, arrow, right = equation.replace(" ", "").partition("->")
        terms = left.split(",")
        if len(terms) != len(operands):
            raise GradcliError(
                "ShapeError",
                f'einsum "{equation}" has {counted(len(terms), "term")} for {counted(len(operands), "operand")}',
            )
        if not all(c.isalpha() or c == "." for c in left.replace(",", "") + right):
            raise GradcliError("ValueError", f'einsum "{equation}" may hold only letters, `,`, `->` and `...`')
        self._operands, self._terms = operands, terms
        self._ranks = [x.rank - len(t.replace("...", "")) for x, t in zip(operands, terms, strict=True)]
        self._depth = max([r for r, t in zip(self._ranks, terms, strict=True) if "..." in t], default=0)
        self._result = right if arrow else _implied(left)
        self._sizes: dict[int, int] = {}
        self._last = LETTERS + self._depth

    def parsed(self) -> tuple[list[Node], list[Labels], Labels]:
        """Operands, their labels and those of the result."""
        read = [self._operand(i) for i in range(len(self._operands))]
        out = tuple(_term_labels(self._result, self._depth, self._depth))
        if any(k not in self._sizes for k in out):
            raise GradcliError("ValueError", f'the result "{self._result}" of einsum must name letters of the operands')
        nodes = [x for x, _ in read]
        labels = [self._apart(x, own) for x, own in read]
        return self._diagonals_out(nodes, labels, out)

    def _operand(self, i: int) -> tuple[Node, list[int]]:
        """An operand without repeated letters, and its labels, whose sizes are noted."""
        x, term, rank = self._operands[i], self._terms[i], self._ranks[i]
        if rank < 0 or (rank and "..." not in term):
            raise GradcliError(
                "ShapeError",
                f'einsum term "{term}" does not fit an operand of rank {x.rank}',
                operands=[(i, f"shape {show_shape(x.shape)}")],
            )
        x, own = _diagonals(x, _term_labels(term, rank, self._depth), term, i)
        for size, k in zip(x.shape, own, strict=True):
            if self._sizes.get(k, 1) == 1:
                self._sizes[k] = size
            elif size not in (1, self._sizes[k]):
                raise GradcliError(
                    "ShapeError",
                    f'einsum letter "{chr(k) if k < LETTERS else "..."}" stands for sizes {self._sizes[k]} and {size}',
                    operands=[(i, f"shape {show_shape(x.shape)}")],
                )
        return x, own

    def _fresh(self) -> int:
        self._last += 1
        return self._last

    def _apart(self, x: Node, own: Sequence[int]) -> Labels:
        """The labels of an operand, where an axis of size 1 under a larger letter is summed on its own."""
        return tuple([k if n == self._sizes[k] else self._fresh() for n, k in zip(x.shape, own, strict=True)])

    def _diagonals_out(
        self, nodes: list[Node], labels: list[Labels], out: Labels
    ) -> tuple[list[Node], list[Labels], Labels]:
        """The same with distinct labels in the result: a diagonal of two axes is a product with the identity."""
        from gradcli.graph.ops.creation import eye

        while len(set(out)) < len(out):
            again = next(i for i, k in enumerate(out) if k in out[:i])
            new = self._fresh()
            nodes.append(eye(n=self._sizes[out[again]], dtype=nodes[0].dtype))
            labels.append((out[again], new))
            out = (*out[:again], new, *out[again + 1 :])
        return nodes, labels, out


def _implied(left: str) -> str:
    """The result of an equation without an arrow: letters that stand there once, in their order."""
    letters = sorted(c for c in set(left) - {",", "."} if left.count(c) == 1)
    return ("..." if "..." in left else "") + "".join(letters)


def _diagonals(x: Node, own: list[int], term: str, i: int) -> tuple[Node, list[int]]:
    """Operand i and its labels, of axes with one label the diagonal."""
    from gradcli.graph.ops.linear_algebra import diagonal
    from gradcli.graph.ops.shaping import transpose

    while len(set(own)) < len(own):
        a, b = next((a, b) for a in range(len(own)) for b in range(a + 1, len(own)) if own[a] == own[b])
        if x.shape[a] != x.shape[b]:
            raise GradcliError(
                "ShapeError",
                f'a repeated letter in "{term}" needs equal sizes, not {x.shape[a]} and {x.shape[b]}',
                operands=[(i, f"shape {show_shape(x.shape)}")],
            )
        rest = [k for k in range(len(own)) if k not in (a, b)]
        x = diagonal(transpose(x, axes=(*rest, a, b)), k=0)
        own = [own[k] for k in rest] + [own[a]]
    return x, own


def _term_labels(term: str, rank: int, depth: int) -> list[int]:
    head, dots, tail = term.partition("...")
    middle = [LETTERS + depth - 1 - k for k in range(rank)][::-1] if dots else []
    return [*map(ord, head), *middle, *map(ord, tail)]


def einsum_kernel(xp: Any, *arrays: Any, labels: Sequence[Labels], out: Labels, gram: bool = False) -> Any:
    """The contraction, two operands at a time, in the cheapest order.

    ``gram`` marks Xᵀ diag(s) X with s ≥ 0: one product of X·√s with itself, which BLAS does in half the time.
    """
    if gram and not xp.any(arrays[1] < 0):
        z = arrays[0] * _aligned(xp, xp.sqrt(arrays[1]), labels[1], labels[0])
        arrays, labels = (z, z), (labels[0], labels[2])
    terms = [(a, list(k)) for a, k in zip(arrays, labels, strict=True)]
    path: Sequence[tuple[int, int]] = ((0, 1),) if len(terms) == 2 else ()
    if len(terms) > 2:
        path = contraction_path(tuple(labels), tuple([a.shape for a in arrays]), tuple(out))
    for i, j in path:
        rest = [t for n, t in enumerate(terms) if n not in (i, j)]
        needed = set(out).union(*(set(k) for _, k in rest))
        order = out if not rest else None
        terms = [_pair(xp, terms[i], terms[j], needed, order), *rest]
    array, own = terms[0]
    drop = tuple(axis for axis, k in enumerate(own) if k not in out)
    if drop:
        array = xp.sum(array, axis=drop, dtype=array.dtype)
        own = [k for k in own if k in out]
    return array if own == list(out) else xp.transpose(array, [own.index(k) for k in out])


def _sizes(term: tuple[Any, list[int]]) -> dict[int, int]:
    return dict(zip(term[1], term[0].shape, strict=True))


def _pair(
    xp: Any, a: tuple[Any, list[int]], b: tuple[Any, list[int]], needed: set[int], order: Labels | None
) -> tuple[Any, list[int]]:
    """Two operands contracted: a broadcast product where nothing is summed, else reshapes around one matmul."""
    (x, xs), (y, ys) = _summed(xp, a, set(b[1]) | needed), _summed(xp, b, set(a[1]) | needed)
    shared = [k for k in xs if k in ys]
    contracted = [k for k in shared if k not in needed]
    batch = [k for k in shared if k in needed]
    left = [k for k in xs if k not in ys]
    right = [k for k in ys if k not in xs]
    if not contracted:
        own = list(order) if order is not None and set(order) == {*batch, *left, *right} else [*batch, *left, *right]
        return xp.multiply(_aligned(xp, x, xs, own), _aligned(xp, y, ys, own)), own
    sizes = _sizes((x, xs)) | _sizes((y, ys))

    def merged(keys: Sequence[int]) -> int:
        return reduce(lambda n, k: n * sizes[k], keys, 1)

    x2 = xp.transpose(x, [xs.index(k) for k in (*batch, *left, *contracted)])
    y2 = xp.transpose(y, [ys.index(k) for k in (*batch, *contracted, *right)])
    lead = [sizes[k] for k in batch]
    z = xp.matmul(
        xp.reshape(x2, (*lead, merged(left), merged(contracted))),
        xp.reshape(y2, (*lead, merged(contracted), merged(right))),
    )
    own = [*batch, *left, *right]
    return xp.reshape(z, [sizes[k] for k in own]), own


def _summed(xp: Any, term: tuple[Any, list[int]], keep: set[int]) -> tuple[Any, list[int]]:
    """Summed over the labels that nothing else has."""
    array, own = term
    drop = tuple(axis for axis, k in enumerate(own) if k not in keep)
    if not drop:
        return term
    return xp.sum(array, axis=drop, dtype=array.dtype), [k for k in own if k in keep]


def _aligned(xp: Any, array: Any, own: Sequence[int], target: Sequence[int]) -> Any:
    """Axes in the order of the target labels, with size 1 for those that are missing."""
    present = [k for k in target if k in own]
    moved = xp.transpose(array, [own.index(k) for k in present])
    sizes = dict(zip(present, moved.shape, strict=True))
    return xp.reshape(moved, [sizes.get(k, 1) for k in target])
