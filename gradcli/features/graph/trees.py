"""A picture of a program as trees: each result with what it is computed from below it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from gradcli.features.graph.answer import Box, Picture
from gradcli.features.graph.look import details, heading
from gradcli.report.quoting import visible
from gradcli.tuples import NamedTuple

DEEPEST = 12
"""How far a tree is indented; what lies deeper goes on below, at the margin."""

WIDEST = 64
"""The column up to which shapes are moved to stand below each other, where no terminal says how wide a line may be."""

REFERENCES = 32
"""Characters up to which references stand on one line."""

ASCII = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-", "╌": ".", "↑": "^", "↓": "v", "·": "_", "…": "~"})


def render_tree(picture: Picture, color: bool = False, unicode: bool = True, width: int | None = None) -> str:
    """What is used again is drawn once and then named, with ``↑``; without ``unicode`` in ASCII where that will do.

    Lines longer than ``width`` are broken.
    """
    lines = [line._replace(left=visible(line.left)) for line in _Trees(picture).lines()]
    if width is not None:
        lines = [part for line in lines for part in _broken(line, width)]
    most = WIDEST if width is None else width - 2 - max([len(line.right) for line in lines], default=0)
    column = max([n for line in lines if line.right and (n := _width(line.left)) <= most], default=0)
    text = ""
    for left, right, _ in lines:
        room = column if width is None else min(column, width - 2 - len(right))
        text += left + (" " * (max(room - _width(left), 0) + 2) + _dim(right, color) if right else "") + "\n"
    notes = [picture.note] if width is None else _wrapped(picture.note, width, "")
    text += "".join([_dim(note, color) + "\n" for note in notes if note])
    return text if unicode else text.translate(ASCII)


class _Line(NamedTuple):
    """A box and its notes; ``below`` stands before what continues it on a further line."""

    left: str
    right: str
    below: str


def _broken(line: _Line, width: int) -> list[_Line]:
    """The line as several if it is longer than that: its text is wrapped, and its notes stand below."""
    *lefts, last = _wrapped(line.left, width, line.below)
    lines = [_Line(left, "", "") for left in lefts]
    if not line.right or _width(last) + 2 + len(line.right) <= width:
        return [*lines, _Line(last, line.right, "")]
    rights = _wrapped(line.right, max(width - 2 - len(line.below), 10), "")
    return [*lines, _Line(last, "", ""), *[_Line(line.below, right, "") for right in rights]]


def _wrapped(text: str, width: int, below: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width, subsequent_indent=below, break_on_hyphens=False) or [""]


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
            yield _Line(title, "", "")
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
                    if not self._is_known(todo[-1].number, first) or len(", ".join(names)) > REFERENCES:
                        break
                    branch = todo.pop()
                    names.append(self._name(branch.number))
                yield _Line(f"{branch.before}{_corner(branch)}{', '.join(names)} ↑", note, _after(branch))
            elif len(branch.before) > 3 * DEEPEST and branch.number in self.inputs:
                if not self.boxes[branch.number].names:
                    self.labels.setdefault(branch.number, f"#{branch.number}")
                self.roots.append(branch.number)
                yield _Line(f"{branch.before}{_corner(branch)}{self._name(branch.number)} ↓", note, _after(branch))
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
        said = ", ".join(filter(None, [details(box), note]))
        below = _after(branch) + ("│  " if branch.number in self.inputs else "   ")
        return _Line(branch.before + _corner(branch) + shown, said, below)

    def _below(self, branch: _Branch) -> list[_Branch]:
        """The inputs of a box, the first one last."""
        before = _after(branch)
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


def _after(branch: _Branch) -> str:
    """What stands before the lines below a branch."""
    if branch.parent is None:
        return branch.before
    return branch.before + ("   " if branch.last else "│  ")


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in text)


def _dim(text: str, color: bool) -> str:
    return f"\x1b[2m{text}\x1b[0m" if color and text else text
