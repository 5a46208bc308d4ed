"""What went wrong, as data: spans of source text, labels on them, and the one exception that users see.

Nothing here prints or reads files; :mod:`gradcli.report.errors` renders what this module holds.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Literal

from gradcli.tuples import NamedTuple

Kind = Literal["SyntaxError", "NameError", "ShapeError", "TypeError", "ValueError", "DataError", "LimitError"]


class Source(NamedTuple):
    """A program's text and the name it is known by in messages (``f.expr``, ``<stdin>``, ``<string>``)."""

    name: str
    text: str

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """The 1-based line and column of a character offset."""
        offset = min(offset, len(self.text))
        starts = _line_starts(self.text)
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def offset_of_line(self, number: int) -> int:
        """Where a line starts, numbered from 1."""
        return _line_starts(self.text)[number - 1]


@lru_cache(maxsize=4)
def _line_starts(text: str) -> list[int]:
    """The offsets at which the lines of a text start: a report on a long program asks for thousands of places."""
    return [0, *accumulate([len(line) + 1 for line in text.split("\n")[:-1]])]


class Span(NamedTuple):
    """Characters ``start`` to ``end`` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.line_and_column(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.line_and_column(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]


class Label(NamedTuple):
    """A span and what is to be said about it; the text may be empty (underline only)."""

    span: Span
    text: str = ""


class GradcliError(Exception):
    """A program, its data or a limit is at fault; the only exception of the public interface.

    ``kind`` is one of the seven kinds, ``message`` one sentence that says what was found and what was needed,
    ``labels`` the places in the source (the first is the primary one), ``help`` what to type instead, or None.
    ``operands`` is for the layers that know positions of arguments but no source: which arguments of an
    operation disagree, each with what is to be said of it. The language layer turns them into labels.
    ``others`` are further errors of the same program, in the order of their places.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        labels: Iterable[Label] = (),
        help: str | None = None,
        operands: Iterable[tuple[int, str]] = (),
    ) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.labels: tuple[Label, ...] = tuple(labels)
        self.help = help
        self.operands: tuple[tuple[int, str], ...] = tuple(operands)
        self.others: tuple[GradcliError, ...] = ()

    def __reduce__(self) -> tuple[type[GradcliError], tuple[object, ...], dict[str, object]]:
        """What makes the error again in another process."""
        return type(self), (self.kind, self.message, self.labels, self.help, self.operands), {"others": self.others}

    @property
    def span(self) -> Span | None:
        return self.labels[0].span if self.labels else None

    @property
    def file(self) -> str | None:
        return self.span.source.name if self.span else None

    @property
    def line(self) -> int | None:
        return self.span.line if self.span else None

    @property
    def column(self) -> int | None:
        return self.span.column if self.span else None

    @property
    def together(self) -> list[GradcliError]:
        """This one and the others in the order of their places, those without a place at the end."""
        return sorted((self, *self.others), key=lambda one: (one.span is None, _start(one)))

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: " if self.span else ""
        hint = f" (help: {self.help})" if self.help else ""
        return f"{where}{self.kind}: {self.message}{hint}"


MOST = 20
"""How many errors of a program are told at once."""


def together(errors: Sequence[GradcliError]) -> GradcliError:
    """The first of some errors of a program, with the others, and theirs, in the order of their places.

    Of errors at one place the first is kept: a function that is wrong is wrong in every call.
    """
    first, *rest = [one for error in errors for one in (error, *error.others)]
    kept = {one.span: one for one in reversed(rest) if one.span is not None and one.span != first.span}
    unplaced = [one for one in rest if one.span is None]
    first.others = tuple([*sorted(kept.values(), key=_start), *unplaced][: MOST - 1])
    return first


def _start(error: GradcliError) -> int:
    return error.span.start if error.span is not None else -1


def on_one_line(text: str) -> str:
    """Program text without its comments, with single spaces between what is left."""
    import re

    kept = re.sub(r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|#[^\n]*""", lambda match: match[1] or "", text)
    return " ".join(kept.split())


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """``1 entry``, ``2 entries``: by default a plural ends with s."""
    return f"{count} {singular if count == 1 else plural or singular + 's'}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words)


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that ``word`` is most likely a slip of the finger for, or None if none is near.

    Case and underscores do not count. Else as many letters may be wrong as :func:`_slips` allows for the shorter word:
    what resembles a short word only by half is another word, and no suggestion is better than a wrong one.
    """
    plain = _plain(word)
    best: str | None = None
    least = len(word) + 1.0
    for name in candidates:
        other = _plain(name)
        most = _slips(min(len(plain), len(other)))
        distance = math.inf
        if _single(plain) == _single(other):
            distance = 0.5 * (plain != other)  # a doubled letter is a slip in the shortest name, too
        elif abs(len(plain) - len(other)) <= most:
            distance = _distance(plain, other)
        if distance < least and distance <= max(most + 0.5, 0.5):
            best, least = name, distance
    return best


def _plain(word: str) -> str:
    return word.replace("_", "").casefold() or word


def _single(word: str) -> str:
    """A word without repetitions of a letter."""
    return "".join([a for a, b in zip(word, f" {word}", strict=False) if a != b or not a.isalpha()])


def _slips(length: int) -> int:
    """How many letters of a word may be wrong."""
    return 0 if length < 3 else 1 if length < 7 else 2 if length < 12 else 3


def _distance(a: str, b: str) -> float:
    """How many letters to insert, leave out, change or swap with their neighbour, the optimal string alignment distance.

    A changed letter counts a little more, and twice in words of up to three letters: `bar` is not `var`.
    """
    changed = 2.0 if min(len(a), len(b)) <= 3 else 1.1
    above: list[float] = []
    before: list[float] = []
    row = [float(j) for j in range(len(b) + 1)]
    for i, letter in enumerate(a, 1):
        above, before, row = before, row, [float(i)]
        for j, other in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + changed * (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
    return row[-1]
