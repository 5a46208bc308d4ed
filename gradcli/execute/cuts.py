"""Which parts of a plan run as loops over tiles: along which axes, and in which order.

Why: a program of large arrays spends its time on the way to memory and back. Nodes that can all be cut along one axis
(an elementwise chain, a network on a batch, a loss and its gradient) are evaluated together, one piece of that axis at a
time, so that what lies between them never leaves the cache; sums over the axis are accumulated piece by piece, and pieces
run on several threads. ``GRADCLI_WITHOUT=tiles`` runs every operation on whole arrays instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from gradcli.execute import choose
from gradcli.execute.axes import Axes
from gradcli.execute.sizes import bytes_of
from gradcli.graph.node import Node, by_serial
from gradcli.graph.operation import Contraction
from gradcli.graph.types import is_float
from gradcli.tuples import NamedTuple

TILE = 1 << 18
"""Bytes of the largest array of a tile: with its neighbours it stays in the second-level cache."""

SMALL = 1 << 16
"""Bytes that a loop must at least read and write."""


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
    cuts = _cuts(nodes, known)
    if not cuts:
        return None
    found: list[Group] = []
    ready = {x for x in nodes if not x.inputs or x in known}
    early = sorted(ready, key=by_serial)
    for region, members in _in_turn([x for x in nodes if x not in ready], cuts, ready):
        # What needs no other value is made just before it is used for the first time.
        first = {x for node in members for x in node.inputs if x in ready}
        ready -= first
        before = sorted(first, key=by_serial)
        members.sort(key=by_serial)
        if not region:
            found.append(Group(0, [*before, *members], {}))
            continue
        if before:
            found.append(Group(0, before, {}))
        found.append(_worthwhile(Group(cuts[members[0]][1], members, {node: cuts[node][2] for node in members})))
    if ready:  # targets that nothing is computed from
        found.append(Group(0, [x for x in early if x in ready], {}))
    return found


def _worthwhile(group: Group) -> Group:
    """A group in which there is little to do, or only views and matrix products, has each node done whole."""
    touched = sum([bytes_of(x) for node in group.nodes for x in (node, *node.inputs)])
    others = [n for n in group.nodes if n.op.shares != "always" and not isinstance(n.op.rule, Contraction)]
    if touched < SMALL or not others:
        return Group(0, group.nodes, {})
    return group


Cuts = dict[Node, tuple[int, int, Piece]]
"""The region of a node (from 1), the size of the axis that is cut there, and its part in it."""


class _Class:
    """Axes that go along with each other: their size, the last position of one, who is touched, and how many bytes."""

    __slots__ = ("nodes", "place", "size", "work")

    def __init__(self, size: int) -> None:
        self.size = size
        self.place = 0
        self.work = 0
        self.nodes: list[Node] = []

    @property
    def order(self) -> tuple[float, int]:
        """Most work first; of two axes of the same arrays the one whose pieces are contiguous."""
        return -self.work / (1 + self.place), self.place


def _classes(nodes: Sequence[Node], known: Collection[Node], axes: Axes) -> dict[int, _Class]:
    found: dict[int, _Class] = {}
    for node in nodes:
        for k, c in enumerate(axes.of[node]):
            one = found.setdefault(c, _Class(node.shape[k]))
            one.place = max(one.place, k)
        if node in known or not node.inputs:
            continue
        touched = dict.fromkeys(axes.of[node], bytes_of(node))
        for x in node.inputs:
            for c in axes.of[x]:  # what is read to be summed is work, too
                touched.setdefault(c, bytes_of(x))
        for c, size in touched.items():
            found[c].work += size
            found[c].nodes.append(node)
    return found


def _cuts(nodes: Sequence[Node], known: Collection[Node]) -> Cuts:
    """For each node that can be computed in a loop, which one."""
    axes = Axes(nodes, known)
    classes = _classes(nodes, known, axes)
    result: Cuts = {}
    for region, c in enumerate(sorted(classes, key=lambda c: classes[c].order), 1):
        one = classes[c]
        if one.size < 2 or one.work < choose.LARGE:
            continue
        pieces = {node: _piece(node, c, axes) for node in one.nodes if node not in result}
        members = {node: piece for node, piece in pieces.items() if piece is not None}
        rows = max([bytes_of(n) // one.size for n, piece in members.items() if piece.axis is not None], default=0)
        done = sum([bytes_of(n) for n in members]) + sum([bytes_of(x) for n in members for x in n.inputs])
        if rows <= TILE and done >= 2 * choose.LARGE:
            result.update({node: (region, one.size, piece) for node, piece in members.items()})
    return result


def _piece(node: Node, c: int, axes: Axes) -> Piece | None:
    """A node's part in a loop along a class of axes, if it can have one."""
    own = axes.of[node]
    inputs, out = axes.flows[node]
    if c in own:
        axis = own.index(c)
        label = out[axis]
        if own.count(c) > 1 or label is None:
            return None
    else:
        if node.op.flow != "accumulated" and not isinstance(node.op.rule, Contraction):
            return None
        if node.op.wraps and not is_float(node.dtype):  # its kernel looks at the whole sum
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


def _in_turn(nodes: Sequence[Node], cuts: Cuts, given: Collection[Node]) -> Iterator[tuple[int, list[Node]]]:
    """Regions in the order in which they run, with all of their nodes that can: 0 for nodes that are done whole.

    Those come first whenever there are some, so that a loop need not wait for them; a region takes part again only where
    some of its nodes wait for the end of an earlier loop.
    """
    users: dict[Node, list[tuple[Node, int]]] = {}
    waiting: dict[Node, int] = {}
    queues: dict[int, list[Node]] = {0: []}
    for node in nodes:
        waiting[node] = 0
        for k, x in enumerate(node.inputs):
            if x not in given:
                users.setdefault(x, []).append((node, k))
                waiting[node] += 1
        if not waiting[node]:
            queues.setdefault(_region(node, cuts), []).append(node)
    while any(queues.values()):
        region = 0 if queues[0] else max(queues, key=lambda r: len(queues[r]))
        members: list[Node] = []
        later: list[Node] = []
        queue = queues[region]
        while queue:
            node = queue.pop()
            members.append(node)
            for user, k in users.get(node, ()):
                if _waits(node, user, k, cuts):
                    later.append(user)
                    continue
                waiting[user] -= 1
                if not waiting[user]:
                    queue.append(user)
        for user in later:
            waiting[user] -= 1
            if not waiting[user]:
                queues.setdefault(_region(user, cuts), []).append(user)
        yield region, members


def _region(node: Node, cuts: Cuts) -> int:
    return cuts[node][0] if node in cuts else 0


def _waits(x: Node, user: Node, k: int, cuts: Cuts) -> bool:
    """Whether a user must wait for all of a value, and cannot take it in the group that makes it."""
    if x not in cuts and user not in cuts:
        return False
    if x not in cuts or user not in cuts or cuts[x][0] != cuts[user][0]:
        return True
    axis = cuts[x][2].axis
    return axis is None or cuts[user][2].inputs[k] != axis
