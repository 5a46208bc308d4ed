"""A picture of a program as trees: each result with what it is computed from below it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from gradcli.program.pictured import Box, Picture
from gradcli.report.graphs import details, heading, tame

DEEPEST = 12
"""How far a tree is indented; what lies deeper goes on below, at the margin."""

WIDEST = 64
"""The column up to which shapes are moved to stand below each other, and references stand on one line."""

ASCII = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-", "╌": ".", "↑": "^", "↓": "v", "·": "_", "…": "~"})


def render_tree(picture: Picture, color: bool = False, unicode: bool = True) -> str:
    """What is used again is drawn once and then named, with ``↑``; without ``unicode`` in ASCII where that will do."""
    lines = [_Line(tame(line.left), line.right) for line in _Trees(picture).lines()]
    widths = [_width(line.left) for line in lines if line.right]
    column = max([width for width in widths if width <= WIDEST], default=0)
    text = ""
    for left, right in lines:
        text += left + (" " * (max(column - _width(left), 0) + 2) + _dim(right, color) if right else "") + "\n"
    text += _dim(picture.note, color) + "\n" if picture.note else ""
    return text if unicode else text.translate(ASCII)


class _Line(NamedTuple):
    left: str
    right: str


class _Branch(NamedTuple):
    """A box to come: its number, the box that it is an input of, what cuts it off, and what stands before it."""

    number: int
    parent: int | None
    cut: str
    before: str
    last: bool


class _Trees:
    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.boxes = picture.boxes
        self.inputs: dict[int, list[tuple[int, str]]] = {}
        used: dict[int, int] = {}
        for arrow in picture.arrows:
            self.inputs.setdefault(arrow.target, []).append((arrow.source, arrow.cut))
            used[arrow.source] = used.get(arrow.source, 0) + 1
        # What has no name and is referred to gets a number.
        self.labels = {n: f"#{n}" for n, count in used.items() if count > 1 and not self.boxes[n].names}
        self.drawn: set[int] = set()
        self.roots: list[int] = []

    def lines(self) -> Iterator[_Line]:
        split = self.picture.backward
        if split is None:
            yield from self._part(0, len(self.boxes))
            return
        for title, first, end in (("forward", 0, split), ("backward", split, len(self.boxes))):
            yield _Line(title, "")
            yield from self._part(first, end)

    def _part(self, first: int, end: int) -> Iterator[_Line]:
        """Trees begin at what nothing else in the part uses; unused leaves and None stand at the end."""
        inside = {arrow.source for arrow in self.picture.arrows if first <= arrow.target < end}
        ends = [number for number in range(first, end) if number not in inside]
        self.roots = sorted(ends, key=lambda n: self.boxes[n].kind in ("variable", "constant", "none"))[::-1]
        while self.roots:
            root = self.roots.pop()
            if root not in self.drawn:
                yield from self._tree(root, first)

    def _tree(self, root: int, first: int) -> Iterator[_Line]:
        todo = [_Branch(root, None, "", "", True)]
        while todo:
            branch = todo.pop()
            note = f"no gradient passes {branch.cut}" if branch.cut else ""
            if self._is_known(branch.number, first):
                names = [self._name(branch.number)]
                # References beside each other share a line.
                while todo and todo[-1].parent == branch.parent and todo[-1].cut == branch.cut:
                    if not self._is_known(todo[-1].number, first) or len(", ".join(names)) > WIDEST // 2:
                        break
                    branch = todo.pop()
                    names.append(self._name(branch.number))
                yield _Line(f"{branch.before}{_corner(branch)}{', '.join(names)} ↑", note)
            elif len(branch.before) > 3 * DEEPEST and branch.number in self.inputs:
                if not self.boxes[branch.number].names:
                    self.labels.setdefault(branch.number, f"#{branch.number}")
                self.roots.append(branch.number)
                yield _Line(f"{branch.before}{_corner(branch)}{self._name(branch.number)} ↓", note)
            else:
                yield self._line(branch, note)
                todo += self._below(branch)

    def _line(self, branch: _Branch, note: str) -> _Line:
        box = self.boxes[branch.number]
        self.drawn.add(branch.number)
        if branch.parent is None and box.kind in ("variable", "constant") and not box.result:
            note = "not used"
        label = self.labels.get(branch.number)
        shown = f"{label} = {heading(box)}" if label else heading(box)
        return _Line(branch.before + _corner(branch) + shown, ", ".join(filter(None, [details(box), note])))

    def _below(self, branch: _Branch) -> list[_Branch]:
        """The inputs of a box, the first one last."""
        before = branch.before
        if branch.parent is not None:
            before += "   " if branch.last else "│  "
        inputs = self.inputs.get(branch.number, [])
        return [
            _Branch(source, branch.number, cut, before, i == len(inputs) - 1)
            for i, (source, cut) in reversed(list(enumerate(inputs)))
        ]

    def _is_known(self, number: int, first: int) -> bool:
        return number in self.drawn or number < first

    def _name(self, number: int) -> str:
        box: Box = self.boxes[number]
        names = "".join(box.names) if "…" in box.names else ", ".join(box.names)
        return names or self.labels.get(number) or heading(box)


def _corner(branch: _Branch) -> str:
    if branch.parent is None:
        return ""
    return ("└" if branch.last else "├") + ("╌ " if branch.cut else "─ ")


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in text)


def _dim(text: str, color: bool) -> str:
    return f"\x1b[2m{text}\x1b[0m" if color and text else text
