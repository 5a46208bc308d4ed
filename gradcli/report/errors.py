"""An error as people read it: the message, the source lines with their spans underlined, and what to type instead."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gradcli.diagnostics import MOST, GradcliError, Label, Source
from gradcli.report.json_parts import json_place, json_text
from gradcli.report.quoting import OBEYED, visible

# A source line is shown in at most this many columns; a longer one is cropped around its spans.
LINE_WIDTH = 100
# How much of a cropped line stands before the first span.
BEFORE = 20
ELISION = "..."

ANSI = {
    "error": "\x1b[1;31m",
    "warning": "\x1b[1;33m",
    "message": "\x1b[1m",
    "frame": "\x1b[34m",
    "first": "\x1b[1;31m",
    "other": "\x1b[1;34m",
    "help": "\x1b[1;36m",
}


def render(error: GradcliError, color: bool = False) -> str:
    """The whole message, several lines that end with a newline; further errors of the program follow.

    The first label is underlined with ``^``, the others with ``-``. Labels of another source than the first one's
    (the text of a ``--set``) follow under their own heading.
    """
    errors = error.together
    texts = [diagnostic(f"error[{e.kind}]", e.message, e.labels, e.help, color) for e in errors]
    if error.others:
        texts.append(f"{len(errors)} errors\n" if len(errors) < MOST else f"{MOST} errors or more\n")
    return "\n".join(texts)


def diagnostic(
    word: str,
    message: str,
    labels: Sequence[Label],
    help: str | None = None,
    color: bool = False,
    notes: Sequence[str] = (),
    style: Literal["error", "warning"] = "error",
) -> str:
    """A message of any kind in the form of an error; ``notes`` stand between the source and the help."""
    pen = Pen(color)
    rows = [pen(style, word) + pen("message", f": {visible(message)}"), *_places(labels, pen)]
    gutter = _gutter(labels)
    if (help or notes) and labels:
        rows.append(pen("frame", " " * gutter + " |"))
    said = [("note", note) for note in notes] + ([("help", help)] if help else [])
    for kind, text in said:
        first, *rest = text.split("\n")
        rows.append(pen("frame", " " * gutter + " = ") + pen("help", f"{kind}:") + f" {visible(first)}")
        rows += [" " * (gutter + len(f" = {kind}: ")) + visible(line) for line in rest]
    return "".join(row.rstrip() + "\n" for row in rows)


def underlined(labels: Sequence[Label], color: bool = False, width: int = LINE_WIDTH) -> list[str]:
    """The places of labels as lines: file, line and column, then the source with the spans underlined.

    A source line is shown in at most ``width`` columns.
    """
    return [row.rstrip() for row in _places(labels, Pen(color), width)]


def _gutter(labels: Sequence[Label]) -> int:
    """The width of the line numbers."""
    return max((len(str(mark.line)) for label in labels for mark in _marks(label, first=False)), default=1)


def _places(labels: Sequence[Label], pen: Pen, width: int = LINE_WIDTH) -> list[str]:
    marks = [mark for number, label in enumerate(labels) for mark in _marks(label, first=number == 0)]
    gutter = _gutter(labels)
    rows: list[str] = []
    arrow = "-->"
    for source in dict.fromkeys(label.span.source for label in labels):
        here = next(label.span for label in labels if label.span.source == source)
        place = f"{visible(source.name)}:{here.line}:{here.column}"
        rows.append(" " * gutter + pen("frame", arrow) + f" {place}")
        rows += _excerpt(source, [mark for mark in marks if mark.source == source], gutter, pen, width)
        arrow = ":::"
    return rows


def render_json(error: GradcliError) -> str:
    """The same as one line of JSON: ``error`` is the first that is found; where there are several, ``errors`` are all."""
    first = _json(error)
    return (
        json_text({"error": first, "errors": [_json(e) for e in error.together]} if error.others else {"error": first})
        + "\n"
    )


def _json(error: GradcliError) -> dict[str, Any]:
    return {"kind": error.kind, "message": error.message, **json_place(error.span), "help": error.help}


@dataclass(frozen=True, slots=True)
class Pen:
    """Paints text, if there is colour."""

    color: bool

    def __call__(self, style: str, text: str) -> str:
        return f"{ANSI[style]}{text}\x1b[0m" if self.color and text.strip() else text


@dataclass(frozen=True, slots=True)
class Mark:
    """The part of a label that lies on one line: characters ``start`` to ``end`` (exclusive, 0-based) of that line."""

    source: Source
    line: int
    start: int
    end: int
    text: str
    first: bool

    @property
    def style(self) -> str:
        return "first" if self.first else "other"


def _marks(label: Label, first: bool) -> list[Mark]:
    """A label as marks: one, or for a span over several lines one on its first and one (with the text) on its last."""
    source = label.span.source
    size = len(source.text)
    start = min(label.span.start, size)
    end = min(max(label.span.end, start), size)
    # A span that ends with newlines ends, to a reader, with what stands before them.
    while end > start + 1 and source.text[end - 1] in "\r\n":
        end -= 1
    line, column = source.line_and_column(start)
    last_line, last_column = source.line_and_column(end)
    text = visible(label.text)
    if last_line == line:
        return [Mark(source, line, column - 1, max(last_column - 1, column), text, first)]
    line_end = source.text.find("\n", start)
    upper = Mark(source, line, column - 1, column - 1 + max(line_end - start, 1), "", first)
    last_start = source.text.rfind("\n", 0, end) + 1
    last_text = source.text[last_start:end]
    indent = len(last_text) - len(last_text.lstrip())
    return [upper, Mark(source, last_line, indent, max(last_column - 1, indent + 1), text, first)]


def _excerpt(source: Source, marks: list[Mark], gutter: int, pen: Pen, width: int) -> list[str]:
    """The lines that carry marks, each with its underlines; what lies between them is elided."""
    bar = pen("frame", " " * gutter + " |")
    rows = [bar]
    previous = 0
    for number in sorted({mark.line for mark in marks}):
        if previous and number == previous + 2:
            rows.append(pen("frame", f"{previous + 1:>{gutter}} |") + f" {Line(source, previous + 1, [], width).text}")
        elif previous and number > previous + 2:
            rows.append(pen("frame", ELISION))
        line = Line(source, number, [mark for mark in marks if mark.line == number], width)
        rows.append(pen("frame", f"{number:>{gutter}} |") + f" {line.text}")
        rows += [f"{bar} {row}" for row in line.underlines(pen)]
        previous = number
    return rows


class Line:
    """One source line as it is shown: cropped, control characters made visible, and its marks in columns."""

    def __init__(self, source: Source, number: int, marks: list[Mark], width: int) -> None:
        start = source.offset_of_line(number)
        end = source.text.find("\n", start)
        end = len(source.text) if end < 0 else end
        if end > start and source.text[end - 1] == "\r":
            end -= 1
        low, high = _window(end - start, marks, width)
        shown = [_cell(character) for character in source.text[start + low : start + high]]
        before = ELISION if low > 0 else ""
        self.text = before + "".join(text for text, _ in shown) + (ELISION if start + high < end else "")
        # columns[i] is where the character low + i begins on the screen.
        self._columns = [len(before)]
        for _, width in shown:
            self._columns.append(self._columns[-1] + width)
        self._low = low
        self._marks = sorted(marks, key=lambda mark: (mark.start, -mark.end))

    def underlines(self, pen: Pen) -> list[str]:
        """The row of ``^^^`` and ``---`` with the text of the rightmost mark, then the other texts, right to left."""
        row = Row()
        # The longest first, so that the operands of an underlined operation stay visible on top of it.
        for mark in sorted(self._marks, key=lambda mark: (mark.start - mark.end, mark.first)):
            start, end = self._span(mark)
            row.put(start, ("^" if mark.first else "-") * (end - start), mark.style)
        texts = [(self._span(mark)[0], self._span(mark)[1], mark) for mark in self._marks if mark.text]
        # A text may follow its own underline only if no other one begins or ends after it.
        if texts and all(mark is texts[-1][2] or self._span(mark)[1] < texts[-1][1] for mark in self._marks):
            _, end, mark = texts.pop()
            row.put(end + 1, mark.text, mark.style)
        rows = [row]
        if texts:
            rows.append(Row())
            for start, _, mark in texts:
                rows[-1].put(start, "|", mark.style)
        while texts:
            start, _, mark = texts.pop()
            rows.append(Row())
            for other_start, _, other in texts:
                if other_start != start:
                    rows[-1].put(other_start, "|", other.style)
            rows[-1].put(start, mark.text, mark.style)
        return [row.painted(pen) for row in rows]

    def _span(self, mark: Mark) -> tuple[int, int]:
        """The columns of a mark, clamped to what is shown of the line; at least one column."""
        last = len(self._columns) - 1
        first, end = (min(max(at - self._low, 0), last) for at in (mark.start, mark.end))
        return self._columns[first], max(self._columns[end], self._columns[first] + 1)


class Row:
    """A row of characters below a source line, each with a style."""

    def __init__(self) -> None:
        self._cells: list[tuple[str, str]] = []

    def put(self, column: int, text: str, style: str) -> None:
        blank = (" ", "")
        self._cells += [blank] * (column + len(text) - len(self._cells))
        self._cells[column : column + len(text)] = [(character, style) for character in text]

    def painted(self, pen: Pen) -> str:
        text, run, style = "", "", ""
        for character, other in [*self._cells, ("", "end")]:
            if other != style:
                text += pen(style, run) if style else run
                run, style = "", other
            run += character
        return text


def _window(length: int, marks: Iterable[Mark], width: int) -> tuple[int, int]:
    """Which characters of a line to show: all, or those around its marks, or if these are far apart the first."""
    marks = list(marks)
    if length <= width or not marks:
        return 0, min(length, width)
    start, end = min(mark.start for mark in marks), max(mark.end for mark in marks)
    if end - start > width:
        start = min(marks, key=lambda mark: not mark.first).start
    low = max(0, min(start - BEFORE, length - width))
    if end - start <= width < end - low:
        low = end - width
    return low, min(length, low + width)


def _cell(character: str) -> tuple[str, int]:
    """A character as it is shown, and its width in columns."""
    if " " <= character <= "~":
        return character, 1
    if character == "\t":
        return "    ", 4
    if OBEYED.match(character):
        return visible(character), 1
    if unicodedata.category(character) in ("Mn", "Me"):
        return character, 0
    return character, 2 if unicodedata.east_asian_width(character) in "WF" else 1
