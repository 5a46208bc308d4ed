"""All errors of a text in one run: what is not a statement is left out, and the rest is read as if it were not there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gradcli.diagnostics import MOST, GradcliError, Label, Source, together
from gradcli.language import syntax
from gradcli.language.lexer import spell_name
from gradcli.language.parser import parse
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.language.values import Elaborated

PIECE = re.compile(r"""#[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[()\[\]{};\n]""")
"""What matters to where statements end; comments and strings hide what is in them."""

WORDS = "variable|var|constant|const|def|tangent"
NAME = r"[^\W\d]\w*"
HEAD = re.compile(rf"(?:{WORDS}|output|seed|dtype)[ \t]+{NAME}|{NAME}[ \t]*(?:,[ \t]*{NAME}[ \t]*)*,?[ \t]*=(?!=)")
"""How most statements begin."""


READ = 1_000_000
"""Characters after which no further syntax errors are looked for: each costs a reading of the text."""


class Reading(NamedTuple):
    """A text as far as it is a program: its statements, the graph of those that are right, and all errors."""

    program: syntax.Program
    graph: Elaborated
    errors: list[GradcliError]


def read(source: Source, folder: str | os.PathLike[str] = "") -> Reading:
    """What can be read of a text, whatever it is; ``load`` in it reads files in the folder."""
    from gradcli.language.elaborate import attempt

    program, errors = tree_of(source)
    graph, further = attempt(program, source, folder=folder)
    found = [*errors, *further]
    if found:
        first = together(found)
        found = [first, *first.others]
    return Reading(program, graph, found)


def diagnose(source: Source, folder: str | os.PathLike[str] = "") -> list[GradcliError]:
    """The errors of a program, at most 20: the first that a run finds, then the others in the order of their places."""
    return read(source, folder).errors


def tree_of(source: Source) -> tuple[syntax.Program, list[GradcliError]]:
    """The syntax tree of a text and its syntax errors; in their places the tree has ``Broken`` statements."""
    try:
        return parse(source), []
    except GradcliError as error:
        return around(source, error)


def around(source: Source, error: GradcliError) -> tuple[syntax.Program, list[GradcliError]]:
    """The same for a text whose first syntax error is known."""
    errors, gaps = [error], list[tuple[int, int]]()
    text = source.text
    while True:
        gap = _statement(text, _culprit(errors[-1]))
        if gap is None or len(errors) == MOST or len(errors) * len(text) > READ:
            return syntax.Program(0, len(source.text), []), errors
        gaps.append(gap)
        start, end = gap
        text = text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]
        try:
            program = parse(Source(source.name, text))
            break
        except GradcliError as further:
            further.labels = tuple([Label(label.span._replace(source=source), label.text) for label in further.labels])
            errors.append(further)
    return _with_gaps(program, source.text, gaps), errors


def _culprit(error: GradcliError) -> int:
    """Where the statement is that an error is about: one that never closes a bracket goes on into others."""
    assert error.span is not None
    opened = [label.span.start for label in error.labels if label.text == "opened here"]
    return opened[0] if opened else error.span.start


def _statement(text: str, place: int) -> tuple[int, int] | None:
    """The shortest statement around a place in which something is left."""
    around = [(start, end) for start, end in _stretches(text) if start <= place <= end and text[start:end].strip()]
    return min(around, key=lambda stretch: stretch[1] - stretch[0], default=None)


def _stretches(text: str) -> Iterator[tuple[int, int]]:
    """The statements of a text that may be no program, those in blocks before the ones around them.

    A line that begins like a statement, and no further right than the one before, ends what has brackets open.
    """
    begins, indents, brackets = [0], [0], [""]
    for match in PIECE.finditer(text):
        piece, at = match[0], match.start()
        if piece in ("(", "["):
            brackets.append(piece)
        elif piece == "{":
            brackets.append(piece)
            begins.append(match.end())
            indents.append(indents[-1])
        elif piece in (")", "]"):
            if brackets[-1] in ("(", "["):
                brackets.pop()
        elif piece == "}" and len(begins) > 1:
            yield begins.pop(), at
            indents.pop()
            while brackets.pop() != "{":
                pass
        elif piece == ";" or piece == "\n":
            line = re.compile(r"[ \t]*").match(text, match.end())
            assert line is not None
            ends = HEAD.match(text, line.end()) is not None and len(line[0]) <= indents[-1]
            while ends and len(begins) > 1 and len(line[0]) <= indents[-2] and piece == "\n" and "{" in brackets:
                yield begins.pop(), at
                indents.pop()
                while brackets.pop() != "{":
                    pass
            if piece == ";" or ends or brackets[-1] in ("", "{"):
                while brackets[-1] in ("(", "["):
                    brackets.pop()
                yield begins[-1], at
                begins[-1] = match.end()
                if piece == "\n":
                    indents[-1] = len(line[0])
    while begins:
        yield begins.pop(), len(text)


def _with_gaps(program: syntax.Program, text: str, gaps: list[tuple[int, int]]) -> syntax.Program:
    """A tree of what is left of a text, with a statement for each gap; a function with a gap in it is one, too."""
    statements = program.statements
    holed = [s for s in statements if any([s.start <= start and end <= s.end for start, end in gaps])]
    outer = [gap for gap in gaps if not any([s.start <= gap[0] and gap[1] <= s.end for s in holed])]
    broken = [syntax.Broken(start, end, _names(text, start, end)) for start, end in outer]
    broken += [syntax.Broken(s.start, s.end, syntax.targets(s), s) for s in holed]
    kept = [s for s in statements if s not in holed]
    return syntax.Program(program.start, program.end, sorted([*kept, *broken], key=lambda s: s.start))


def _names(text: str, start: int, end: int) -> list[syntax.Name]:
    """The names that a text was to bind: that of a declaration, or those before its ``=``."""
    declared = re.compile(rf"\s*(?:{WORDS})\s+({NAME})").match(text, start, end)
    if declared:
        places = [declared.span(1)]
    elif function := re.compile(rf"\s*({NAME})\s*\([^()]*\)\s*=(?!=)").match(text, start, end):
        places = [function.span(1)]  # f(x) = x^2, as it is written elsewhere
    else:
        before = re.compile(r"[^=#\"'()\[\]{}]*(?==(?!=))").match(text, start, end)
        places = [m.span() for m in re.compile(NAME).finditer(text, start, before.end())] if before else []
    spelled = [(a, b, spell_name(text[a:b])) for a, b in places]
    return [syntax.Name(a, b, name) for a, b, name in spelled if name is not None]
