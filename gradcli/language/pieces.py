"""Any text as tokens and comments, each with its place and what sort of thing it is: for editors, prompts and the formatter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from gradcli.diagnostics import GradcliError, Source
from gradcli.language.automaton import start_of
from gradcli.language.parser import lexer
from gradcli.language.tables import END_OF_TEXT, Tables
from gradcli.tuples import NamedTuple

Sort = Literal["name", "number", "string", "keyword", "word", "operator", "bracket", "comment", "end"]
"""``word`` is a reserved value, such as ``true``; ``end`` is what ends a statement, a line end or ``;``."""

SORTS: dict[str, Sort] = {"NAME": "name", "NUMBER": "number", "STRING": "string", "_END": "end"}
BRACKETS = "()[]{}"
VALUES = ("true", "false", "None", "newaxis")
OPERATING = ("and", "or", "not")
COMMENT = re.compile(r"#[^\x00-\x08\x0a-\x1f\x7f]*")


class Piece(NamedTuple):
    """Characters ``start`` to ``end`` (exclusive) of a text, which are one token or comment."""

    sort: Sort
    start: int
    end: int


def keywords(tables: Tables) -> list[str]:
    """The words that begin statements, from the grammar: those that are reserved, and those that are so before a name."""
    reserved = [word for word in tables["keywords"] if word not in (*VALUES, *OPERATING)]
    return reserved + [name[1:].lower() for name in soft(tables)]


def soft(tables: Tables) -> dict[str, str]:
    """The tokens of words that are keywords before a name only, with their regular expressions."""
    return {name: regex for name, regex in tables["terminals"] if re.fullmatch("_[A-Z]+", name) and name != "_END"}


def pieces(source: Source) -> Iterator[Piece]:
    """The tokens and comments of a text in order; characters with which no token begins are left out."""
    at = 0
    while at <= len(source.text):
        try:
            for kind, value, end in lexer()(source, None, at):
                start = start_of(value)
                yield from [Piece("comment", *match.span()) for match in COMMENT.finditer(source.text, at, start)]
                at = end
                if kind == END_OF_TEXT:
                    return
                yield Piece(_sort(kind, source.text[start:end]), start, end)
        except GradcliError:
            at += len(source.text[at:]) - len(source.text[at:].lstrip(" \t")) + 1


def _sort(kind: str, text: str) -> Sort:
    if kind in SORTS:
        return SORTS[kind]
    if text in BRACKETS:
        return "bracket"
    if text in VALUES:
        return "word"
    return "keyword" if text[0].isalpha() and text not in OPERATING else "operator"
