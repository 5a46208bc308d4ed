"""Which parts of a plan run as loops over tiles: along which axes, and in which order.

Why: a program of large arrays spends its time on the way to memory and back. Nodes that can all be cut along one axis
(an elementwise chain, a network on a batch, a loss and its gradient) are evaluated together, one piece of that axis at a
time, so that what lies between them never leaves the cache; sums over the axis are accumulated piece by piece, and pieces
run on several threads. ``GRADCLI_WITHOUT=tiles`` runs every operation on whole arrays instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from gradcli.execute.axes import Axes
from gradcli.execute.plan import LARGE, bytes_of
from gradcli.graph.node import Node
from gradcli.graph.operation import Contraction

TILE = 1 << 18
"""Bytes of the largest array of a tile: with its neighbours it stays in the second-level cache."""

SMALL = 1 << 16
"""Bytes that a loop must at least read and write."""

ACCUMULATED = {"sum", "mean", "prod", "max", "min", "any", "all"}
"""Reductions whose parts can be combined, beside contractions."""


class Piece(NamedTuple):
    """How a node takes part in a loop: the label of its cut axis, that axis (None: accumulated), its inputs' (None: whole)."""

    axis: int | None
    inputs: tuple[int | None, ...]


class Group(NamedTuple):
    """Nodes that are computed together, inputs before users: in a loop along an axis of ``size`` entries, or each whole."""

    size: int
    nodes: list[Node]
    pieces: dict[Node, Piece]


def groups(nodes: Sequence[Node], known: Collection[Node] = ()) -> list[Group] | None:
    """All nodes in groups that can run one after the other; None where no loop pays. ``known`` ones are not computed."""
    pieces = _cuts(nodes, known)
    if not pieces:
        return None
    stages = _stages(nodes, pieces, known)
    found: dict[tuple[int, int], Group] = {}
    for node in nodes:
        region, size, piece = pieces.get(node, (0, 0, None))
        key = (stages[node], region)
        group = found.setdefault(key, Group(size, [], {}))
        group.nodes.append(node)
        if piece is not None:
            group.pieces[node] = piece
    return [_worthwhile(found[key]) for key in sorted(found)]


def _worthwhile(group: Group) -> Group:
    """A group in which there is little to do, or only matrix products, has each node done whole."""
    touched = sum([bytes_of(x) for node in group.nodes for x in (node, *node.inputs)])
    if touched < SMALL or all([isinstance(node.op.rule, Contraction) for node in group.nodes]):
        return Group(0, group.nodes, {})
    return group


Cuts = dict[Node, tuple[int, int, Piece]]


def _cuts(nodes: Sequence[Node], known: Collection[Node]) -> Cuts:
    """For each node that is cut its region (from 1), the size of the cut axis, and its part in it."""
    axes = Axes(nodes, known)
    work: dict[int, int] = {}
    place: dict[int, int] = {}
    size: dict[int, int] = {}
    for node in nodes:
        for k, c in enumerate(axes.of[node]):
            size[c] = node.shape[k]
            place[c] = max(place.get(c, 0), k)
            if node.inputs and node not in known:
                work[c] = work.get(c, 0) + bytes_of(node)
        for x in node.inputs if node not in known else ():  # what is read to be summed is work, too
            for c in set(axes.of[x]).difference(axes.of[node]):
                work[c] = work.get(c, 0) + bytes_of(x)
    result: Cuts = {}
    # Most work first; of two axes of the same arrays the one whose pieces are contiguous.
    for region, c in enumerate(sorted(work, key=lambda c: (-work[c] / (1 + place[c]), place[c])), 1):
        if size[c] < 2 or work[c] < LARGE:
            continue
        members = {
            node: piece
            for node in nodes
            if node not in result and node not in known and (piece := _piece(node, c, axes)) is not None
        }
        rows = max([bytes_of(n) // size[c] for n, piece in members.items() if piece.axis is not None], default=0)
        done = sum([bytes_of(n) for n in members]) + sum([bytes_of(x) for n in members for x in n.inputs])
        if rows <= TILE and done >= 2 * LARGE:
            result.update({node: (region, size[c], piece) for node, piece in members.items()})
    return result


def _piece(node: Node, c: int, axes: Axes) -> Piece | None:
    """A node's part in a loop along a class of axes, if it can have one."""
    if not node.inputs:
        return None
    own = axes.of[node]
    inputs, out = axes.flows[node]
    if c in own:
        axis = own.index(c)
        label = out[axis]
        if own.count(c) > 1 or label is None:
            return None
    else:
        if node.op.name not in ACCUMULATED and not isinstance(node.op.rule, Contraction):
            return None
        if bytes_of(node) > TILE:  # adding it up for every tile would take longer than what it saves
            return None
        axis = None
        labels = [
            label for x, row in zip(node.inputs, inputs, strict=True)
            for label, k in zip(row, axes.of[x], strict=True) if k == c and label is not None and label not in out
        ]  # fmt: skip
        if not labels:
            return None
        label = labels[0]
    cut = tuple([row.index(label) if label in row else None for row in inputs])
    return Piece(axis, cut) if any([k is not None for k in cut]) else None


def _stages(nodes: Sequence[Node], cuts: Cuts, known: Collection[Node]) -> dict[Node, int]:
    """A number for each node so that whatever a group needs of another one has a smaller number."""
    stages: dict[Node, int] = {}
    users: dict[Node, list[Node]] = {}
    for node in nodes:
        stage = 0
        for k, x in enumerate(node.inputs if node not in known else ()):
            users.setdefault(x, []).append(node)
            if x.inputs and x not in known:  # all others are there before the first loop
                stage = max(stage, stages[x] + _gap(x, node, k, cuts))
        stages[node] = stage
    # As late as their users allow: then fewer loops do all, and values need not be kept from one to the next.
    end = max(stages.values())
    for node in reversed(nodes):
        if node.inputs and node not in known:
            stages[node] = min(_latest(node, users.get(node, ()), stages, cuts), default=end)
    return stages


def _latest(node: Node, users: Iterable[Node], stages: dict[Node, int], cuts: Cuts) -> list[int]:
    return [
        stages[user] - _gap(node, user, k, cuts)
        for user in users for k, x in enumerate(user.inputs) if x is node
    ]  # fmt: skip


def _gap(x: Node, user: Node, k: int, cuts: Cuts) -> int:
    """0 where a user takes a value in the group that makes it, 1 where it must wait for all of it."""
    if x not in cuts and user not in cuts:
        return 0
    if x not in cuts or user not in cuts or cuts[x][0] != cuts[user][0]:
        return 1
    piece = cuts[user][2]
    return 0 if cuts[x][2].axis is not None and piece.inputs[k] == cuts[x][2].axis else 1
