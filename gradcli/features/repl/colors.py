"""The colours of what is typed, by the tokens of the grammar."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from gradcli.diagnostics import GradcliError, Source
from gradcli.graph.ops import table
from gradcli.language.lexer import make_lexer
from gradcli.language.tables import load

KINDS = {"NUMBER": "class:number", "STRING": "class:string"}


@cache
def _operations() -> frozenset[str]:
    return frozenset([name for o in table.values() if not o.hidden for name in (o.name, *o.aliases)])


def styled(text: str) -> Iterator[tuple[str, str]]:
    """The pieces of a text, which make it up, each with its style."""
    if text.startswith(":"):
        command = text.split(maxsplit=1)[0]
        yield "class:command", command
        yield "", text[len(command) :]
        return
    at = 0
    try:
        for kind, value, end in make_lexer(load())(Source("", text)):
            start = value if isinstance(value, int) else value.start
            yield from _between(text[at:start])
            word = text[start:end]
            style = KINDS.get(kind, "class:keyword" if word.isalpha() and kind != "NAME" else "")
            yield "class:operation" if kind == "NAME" and word in _operations() else style, word
            at = end
    except GradcliError:  # a character that begins no token: the rest is not coloured
        pass
    yield from _between(text[at:])


def _between(text: str) -> Iterator[tuple[str, str]]:
    """White space, perhaps with comments."""
    space, mark, comment = text.partition("#")
    if space:
        yield "", space
    if mark:
        yield "class:comment", mark + comment
