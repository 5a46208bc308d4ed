"""Edits of a program's text, and those that do what the help of an error says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gradcli.diagnostics import GradcliError, Source, Span
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.language.inspection import Inspection

BEFORE = 8
"""How many tokens before the place of an error a correction may replace too."""


class Edit(NamedTuple):
    """Characters of the source, and what is to stand in their place."""

    start: int
    end: int
    text: str


def edited(text: str, edits: Iterable[Edit]) -> str:
    """A text after edits that do not overlap."""
    pieces: list[str] = []
    end = 0
    for edit in sorted(edits):
        pieces += [text[end : edit.start], edit.text]
        end = edit.end
    return "".join([*pieces, text[end:]])


def mending(inspection: Inspection, error: GradcliError) -> Edit | None:
    """The edit that does what an error's help says, if one is seen to remove that error and to make no other."""
    from gradcli.language.recovery import diagnose

    span, source = error.span, inspection.source
    if span is None or span.source != source:
        return None
    others = len(inspection.errors) - 1
    for edit in _candidates(inspection, error, span):
        if len(diagnose(Source(source.name, edited(source.text, [edit])), inspection.folder)) <= others:
            return edit
    return None


def _candidates(inspection: Inspection, error: GradcliError, span: Span) -> Iterator[Edit]:
    """What the help quotes in place of what the error underlines, or of a little more, if that is a part of it."""
    help, text = error.help or "", inspection.source.text
    tokens = [piece for piece in inspection.pieces if piece.sort not in ("end", "comment")]
    written = re.match(r"(?:write|did you mean) `([^`…]+)`", help)
    if written:
        better = written[1]
        yield Edit(span.start, span.end, better)
        closing = next((p.end for p in tokens if p.start > span.end and text[p.start] == ")"), None)
        if closing is not None and text[span.end] == "(":  # of a call only the name is underlined
            yield Edit(span.start, closing, better)
        words = set(re.findall(r"\w+", better))
        for start in reversed([p.start for p in tokens if p.end <= span.start][-BEFORE:]):
            if set(re.findall(r"\w+", text[start : span.end])) <= words:
                yield Edit(start, span.end, better)
    closed = re.match(r"close the bracket with `(.)`", help)
    if closed:
        end = max([p.end for p in tokens if p.end <= span.start], default=0)
        yield Edit(end, end, closed[1])
