"""Which call of the program made which nodes: a record that is kept only for those who ask for it.

Nodes are numbered as they are made, and calls end before their callers do, so that a call is an interval of numbers and
intervals are nested or apart.
"""

from __future__ import annotations

from typing import Any

from gradcli.graph.node import Node, now

Place = tuple[int, int]


class Frame:
    """One call: the nodes with serial numbers from ``start`` to ``end``; ``result`` is its value, where that is a node.

    ``name`` is what was called, ``place`` the text of the call.
    """

    __slots__ = ("end", "name", "place", "result", "start")

    def __init__(self, name: str, place: Place) -> None:
        self.name = name
        self.place = place
        self.start = now()
        self.end = self.start
        self.result: Node | None = None


class Frames:
    """The calls of one elaboration, each before those that it makes."""

    def __init__(self) -> None:
        self.all: list[Frame] = []
        self._open: list[Frame] = []

    def enter(self, name: str, place: Place) -> None:
        frame = Frame(name, place)
        self.all.append(frame)
        self._open.append(frame)

    def leave(self, value: Any) -> None:
        frame = self._open.pop()
        frame.end = now()
        frame.result = value if isinstance(value, Node) else None
