"""Which nodes of a graph share a box of its drawing: those of a call, of a statement, or of a stretch of the program.

Every box holds nodes that were made one after the other, so that boxes depend on each other without circles.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from gradcli.graph.node import Node, by_serial
from gradcli.language.values import Frame


class Group:
    """The nodes of one box, in the order in which they were made.

    ``frame`` is the call that they were made by, ``path`` the calls around the box that are drawn as clusters,
    ``stretch`` says that they are more than one statement.
    """

    __slots__ = ("frame", "members", "origin", "path", "stretch")

    def __init__(self, frame: Frame | None = None, path: tuple[Frame, ...] = (), stretch: bool = False) -> None:
        self.members: list[Node] = []
        self.frame = frame
        self.path = path
        self.stretch = stretch
        self.origin: Group | None = None

    @property
    def is_leaf(self) -> bool:
        return self.members[0].op.name == "leaf"


def by_calls(nodes: Sequence[Node], frames: Sequence[Frame], depth: int) -> list[Group]:
    """A box for each node, and one for each call that is ``depth`` calls deep; ``nodes`` are in order."""
    groups: list[Group] = []
    calls: dict[Frame, Group] = {}
    around: list[Frame] = []
    coming = iter(frames)
    following = next(coming, None)
    for node in nodes:
        while following is not None and following.start < node.serial:
            while around and around[-1].end < following.start:
                around.pop()
            around.append(following)
            following = next(coming, None)
        while around and around[-1].end < node.serial:
            around.pop()
        if len(around) <= depth:
            group = Group(None, tuple(around))
            groups.append(group)
        else:
            frame = around[depth]
            group = calls.get(frame) or Group(frame, tuple(around[:depth]))
            if frame not in calls:
                calls[frame] = group
                groups.append(group)
        group.members.append(node)
    return groups


def by_statements(nodes: Sequence[Node], named: Iterable[Node]) -> list[Group]:
    """A box for each leaf, and one for each named node with what was made for it."""
    ends = sorted((node for node in named if node.op.name != "leaf"), key=by_serial)
    serials = [node.serial for node in ends]
    groups: list[Group] = []
    statements: dict[int, Group] = {}
    for node in nodes:
        end = bisect_left(serials, node.serial)
        group = Group() if node.op.name == "leaf" else statements.setdefault(end, Group())
        if not group.members:
            groups.append(group)
        group.members.append(node)
    return groups


def by_origins(nodes: Sequence[Node], origin: dict[Node, Node], forward: dict[Node, Group]) -> list[Group]:
    """A box for all that the derivatives of one forward box have made."""
    groups: dict[Group | None, Group] = {}
    for node in nodes:
        made_for: Node | None = node
        while made_for is not None and made_for not in forward:
            made_for = origin.get(made_for)
        source = forward[made_for] if made_for is not None else None
        group = groups.setdefault(source, Group())
        group.origin = source
        group.members.append(node)
    return list(groups.values())


def by_stretches(groups: Sequence[Group], most: int) -> list[Group]:
    """At most ``most`` boxes: neighbours joined, leaves apart from what is computed."""
    leaves = [group for group in groups if group.is_leaf]
    computed = [group for group in groups if not group.is_leaf]
    room = min(len(leaves), max(1, most // 3))
    return [*_joined(leaves, room), *_joined(computed, max(1, most - room))]


def _joined(groups: Sequence[Group], most: int) -> list[Group]:
    if len(groups) <= most:
        return list(groups)
    size = -(-len(groups) // most)
    result: list[Group] = []
    for start in range(0, len(groups), size):
        stretch = Group(stretch=True)
        for group in groups[start : start + size]:
            stretch.members += group.members
        result.append(stretch)
    return result
