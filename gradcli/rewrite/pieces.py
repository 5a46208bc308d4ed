"""Gradients of slices, added up: arrays that are 0 but for parts which do not overlap, as one array of these parts."""

from __future__ import annotations

from gradcli.graph.node import Node
from gradcli.graph.operation import literal
from gradcli.graph.ops.shaping import broadcasted, reshaped
from gradcli.graph.ops.slicing import concat
from gradcli.rewrite.terms import filling
from gradcli.tuples import NamedTuple


class Part(NamedTuple):
    """What is not 0, from ``start`` on along an axis, with as many axes as the whole."""

    start: int
    value: Node

    def stop(self, axis: int) -> int:
        return self.start + self.value.shape[axis]


def joined(node: Node) -> Node | None:
    """The sum of two arrays that are made of parts along the same axis, each of which is 0 where the other is not."""
    for axis in range(node.rank):
        first, second = [_parts(x, axis) if x.shape == node.shape else None for x in node.inputs]
        if first is None or second is None:
            continue
        parts = sorted([*first, *second], key=lambda part: part.start)
        ends = [part.stop(axis) for part in parts]
        if all([end <= part.start for end, part in zip(ends, parts[1:], strict=False)]):
            return _whole(parts, axis, node)
    return None


def _parts(x: Node, axis: int) -> list[Part] | None:
    """The parts of an array along an axis, if it has some."""
    if x.op.name == "unindex":
        part = _placed(x, axis)
        return None if part is None else [part]
    if x.op.name != "concat" or x.attrs["axis"] != axis:
        return None
    parts: list[Part] = []
    start = 0
    for value in x.inputs:
        if filling(value) != 0:
            parts.append(Part(start, value))
        start += value.shape[axis]
    return parts if len(parts) < len(x.inputs) else None


def _placed(x: Node, axis: int) -> Part | None:
    """The part of an array that has all of it along the other axes."""
    (g,), shape = x.inputs, x.shape
    start, k = 0, 0
    for item in x.attrs["items"]:
        if item is None:
            return None
        if k != axis:
            if not isinstance(item, tuple) or range(*slice(*item).indices(shape[k])) != range(shape[k]):
                return None
        elif isinstance(item, tuple):
            taken = range(*slice(*item).indices(shape[k]))
            if taken.step != 1:
                return None
            start = taken.start
        else:
            start = item % shape[k]
        k += 1
    if axis >= k:
        return None
    size = 1 if g.rank < len(shape) else g.shape[axis]
    return Part(start, reshaped(g, (*shape[:axis], size, *shape[axis + 1 :])))


def _whole(parts: list[Part], axis: int, like: Node) -> Node:
    pieces: list[Node] = []
    end = 0
    for part in [*parts, None]:
        start = like.shape[axis] if part is None else part.start
        if start > end:
            pieces.append(
                broadcasted(literal(0, like.dtype), (*like.shape[:axis], start - end, *like.shape[axis + 1 :]))
            )
        if part is not None:
            pieces.append(part.value)
            end = part.stop(axis)
    return concat(*pieces, axis=axis) if len(pieces) > 1 else pieces[0]
