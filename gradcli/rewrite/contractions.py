"""Contractions as a person would write them: `@`, `.T`, sums and products in place of index labels."""

from __future__ import annotations

from collections.abc import Sequence

from gradcli.graph.node import Node
from gradcli.graph.ops.elementwise import multiply
from gradcli.graph.ops.linear_algebra import contract, embed_diagonal, matmul
from gradcli.graph.ops.paths import contraction_path
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.shaping import broadcasted, reshaped, stretched_axes, transpose
from gradcli.graph.ops.slicing import expand_delta
from gradcli.graph.types import size_of
from gradcli.rewrite.engine import Rule
from gradcli.rewrite.terms import filling, scaled, split, usable

Labels = tuple[int, ...]


def _operands(node: Node) -> tuple[list[tuple[Node, Labels]], Labels]:
    labels = [tuple(group) for group in node.attrs["labels"]]
    return list(zip(node.inputs, labels, strict=True)), tuple(node.attrs["out"])


def _again(operands: Sequence[tuple[Node, Labels]], out: Labels) -> Node:
    return contract([x for x, _ in operands], [k for _, k in operands], out)


def _numbers_outside(node: Node) -> Node | None:
    operands, out = _operands(node)
    for i, (x, own) in enumerate(operands):
        c, rest = split(x)
        if c != 1:
            operands[i] = (rest, own)
            return scaled(c, _again(operands, out))
    return None


def _transposed(node: Node) -> Node | None:
    operands, out = _operands(node)
    for i, (x, own) in enumerate(operands):
        if x.op.name == "transpose":
            back: dict[int, int] = {axis: own[k] for k, axis in enumerate(x.attrs["axes"])}
            operands[i] = (x.inputs[0], tuple(back[k] for k in range(x.rank)))
            return _again(operands, out)
    return None


def _without_ones(node: Node) -> Node | None:
    """An operand filled with one number only repeats what the others give, or counts what is summed."""
    operands, out = _operands(node)
    for i, (x, own) in enumerate(operands):
        value = filling(x)
        others = {k for j, (_, labels) in enumerate(operands) if j != i for k in labels}
        if value is None or not x.shape or len(operands) < 2:
            continue
        sizes = [n for k, n in zip(own, x.shape, strict=True) if k not in others and k not in out]
        c = value * size_of(tuple(sizes))
        if usable(c, node.dtype):
            kept = tuple(k for k in out if k in others)
            rest = scaled(c, _again(operands[:i] + operands[i + 1 :], kept))
            return broadcasted(_aligned(rest, kept, out), node.shape)
    return None


def _narrower(node: Node) -> Node | None:
    """Repeated values: the axes of the result along which another operand varies too need no repeating."""
    operands, out = _operands(node)
    for i, (x, own) in enumerate(operands):
        if x.op.name != "broadcast_to" or not x.inputs[0].shape:
            continue
        others = {k for j, (_, labels) in enumerate(operands) if j != i for k in labels}
        stretched = stretched_axes(x.shape, x.inputs[0].shape)
        if stretched and all([own[a] in out and own[a] in others for a in stretched]):
            kept = [a for a in range(x.rank) if a not in stretched]
            inner = reshaped(x.inputs[0], tuple(x.shape[a] for a in kept))
            operands[i] = (inner, tuple(own[a] for a in kept))
            return _again(operands, out)
    return None


def _summed_first(node: Node) -> Node | None:
    """What only one operand has and the result has not is summed before anything else, as the kernel does."""
    operands, out = _operands(node)
    for i, (x, own) in enumerate(operands):
        others = {k for j, (_, labels) in enumerate(operands) if j != i for k in labels}
        axes = [a for a, k in enumerate(own) if k not in others and k not in out]
        if axes:
            kept = tuple(k for a, k in enumerate(own) if a not in axes)
            operands[i] = (sum_(x, axis=axes), kept)
            return _again(operands, out)
    return None


def _single(node: Node) -> Node | None:
    operands, out = _operands(node)
    if len(operands) > 1:
        return None
    ((x, own),) = operands
    return transpose(x, axes=tuple(own.index(k) for k in out)) if set(own) == set(out) else None


def _pairwise(node: Node) -> Node | None:
    """Two operands at a time, in the order that the kernel takes."""
    operands, out = _operands(node)
    if len(operands) < 3:
        return None
    path = contraction_path(tuple(k for _, k in operands), tuple(x.shape for x, _ in operands), out)
    for i, j in path:
        rest = [t for n, t in enumerate(operands) if n not in (i, j)]
        (a, own), (b, theirs) = operands[i], operands[j]
        needed = set(out).union(*(set(k) for _, k in rest))
        kept = tuple(dict.fromkeys([k for k in (*own, *theirs) if k in needed])) if rest else out
        operands = [(contract([a, b], [own, theirs], kept), kept), *rest]
    return operands[0][0]


def _product(node: Node) -> Node | None:
    """Nothing is summed: an ordinary product, axes in the order of the result."""
    operands, out = _operands(node)
    if len(operands) != 2 or set(operands[0][1]) | set(operands[1][1]) != set(out):
        return None
    return multiply(*[_aligned(x, own, out) for x, own in operands])


def _aligned(x: Node, own: Labels, out: Labels) -> Node:
    present = [k for k in out if k in own]
    moved = transpose(x, axes=tuple(own.index(k) for k in present)) if list(own) != present else x
    first = out.index(present[0]) if present else len(out)
    return reshaped(moved, tuple(dict(zip(present, moved.shape, strict=True)).get(k, 1) for k in out[first:]))


def _matrices(node: Node) -> Node | None:
    """One label is summed: a product of matrices or vectors, in stacks where a label is in all three."""
    operands, out = _operands(node)
    if len(operands) != 2:
        return None
    (_, own), (_, theirs) = operands
    stack = tuple(k for k in own if k in theirs and k in out)
    summed = [k for k in own if k in theirs and k not in out]
    free = [k for k in out if k not in stack]
    if len(summed) != 1 or out[: len(stack)] != stack or len(free) > 2:
        return None
    left, right = operands
    if free and free[0] not in own and (len(free) == 2 or len(theirs) > len(own)):
        left, right = right, left
    rows = [k for k in left[1] if k in free]
    columns = [k for k in right[1] if k in free]
    if len(rows) > 1 or len(columns) > 1 or (stack and len(free) != 2):
        return None
    return matmul(_aligned_matrix(left, (*stack, *rows, *summed)), _aligned_matrix(right, (*stack, *summed, *columns)))


def _aligned_matrix(operand: tuple[Node, Labels], wanted: Labels) -> Node:
    x, own = operand
    return x if own == wanted else transpose(x, axes=tuple(own.index(k) for k in wanted))


def _sum_of_products(node: Node) -> Node | None:
    """All labels of one operand are in the other, nothing else is gained by a matrix product."""
    operands, out = _operands(node)
    if len(operands) != 2:
        return None
    (a, own), (b, theirs) = operands
    if set(own) != set(theirs):
        return None
    summed = tuple(k for k in own if k not in out)
    order = tuple(k for k in own if k in out)
    if order != out or not summed:
        return None
    product = multiply(a, _aligned_matrix((b, theirs), own))
    return sum_(product, axis=[own.index(k) for k in summed])


def in_steps(node: Node) -> Node | None:
    """As the kernel does it: sums, pairs and ordinary products in place of labels, but for what BLAS does in one call."""
    if node.attrs["gram"]:
        return None
    for rule in (_summed_first, _single, _pairwise, _product):
        better = rule(node)
        if better is not None:
            return better
    return None


def on_diagonal(node: Node) -> Node | None:
    """An operand that is 0 off a diagonal: only entries on it count."""
    operands, out = _operands(node)
    for i, (x, own) in enumerate(operands):
        pattern = _diagonals(x)
        if pattern is None:
            continue
        groups = [{k for k, p in zip(own, pattern, strict=True) if p == q} for q in range(x.inputs[0].rank)]
        if any([len(group.intersection(out)) > 1 for group in groups]):
            continue
        first = [min(group, key=lambda k: (k not in out, k)) for group in groups]
        same = {k: q for group, q in zip(groups, first, strict=True) for k in group}
        others = [(y, tuple(same.get(k, k) for k in labels)) for j, (y, labels) in enumerate(operands) if j != i]
        if all([len(set(labels)) == len(labels) for _, labels in others]):
            return _again([*others[:i], (x.inputs[0], tuple(first)), *others[i:]], out)
    return None


def _diagonals(x: Node) -> Labels | None:
    """Which axis of the input stands for each axis of an array that is 0 elsewhere; None for other nodes."""
    if x.op is expand_delta:
        return tuple(x.attrs["pattern"])
    if x.op is embed_diagonal and not x.attrs["k"] and x.attrs["rows"] == x.attrs["columns"] == x.inputs[0].shape[-1]:
        return (*range(x.inputs[0].rank), x.inputs[0].rank - 1)
    return None


RULES: dict[str, list[tuple[str, Rule]]] = {
    "contraction": [
        ('einsum("ij,j->i", 2 * a, b) -> 2 * einsum("ij,j->i", a, b)', _numbers_outside),
        ('einsum("ij,j->i", a.T, b) -> einsum("ji,j->i", a, b)', _transposed),
        ('einsum("ij,j->i", a, ones([n])) -> einsum("ij->i", a)', _without_ones),
        ('einsum("ij,ij->ij", a, broadcast_to(b, [n, m])) -> einsum("ij,j->ij", a, b)', _narrower),
        ('einsum("ij,k->k", a, b) -> einsum(",k->k", sum(a), b)', _summed_first),
        ('einsum("ij->ji", a) -> a.T', _single),
        ('einsum("ij,jk,kl->il", a, b, c) -> einsum("ik,kl->il", einsum("ij,jk->ik", a, b), c)', _pairwise),
        ('einsum("i,j->ij", a, b) -> a * b, axes in their places', _product),
        ('einsum("ij,jk->ik", a, b) -> a @ b', _matrices),
        ('einsum("ij,ij->i", a, b) -> sum(a * b, axis=1)', _sum_of_products),
    ],
}  # fmt: skip
"""Rules for the one primitive of all contractions, with their algebra."""
