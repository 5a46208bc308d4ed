"""Markdown for a terminal, by Rich, and for ``man``, in roff."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markdown import Markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

    from gradcli.report.tables import Screen


def render(text: str, screen: Screen) -> str:
    """A page as a terminal shows it, in lines of at most 100 characters."""
    file = io.StringIO()
    console = Console(
        file=file,
        width=min(screen.width, 100),
        force_terminal=screen.color,
        no_color=not screen.color,
        color_system="standard" if screen.color else None,
        legacy_windows=False,
    )
    console.print(Markdown(text, code_theme="ansi_dark", hyperlinks=False))
    return "\n".join([line.rstrip() for line in file.getvalue().split("\n")])


def roff(text: str) -> str:
    """A page in the macros of man(7): its headings are sections, blocks of code stand as they are."""
    return "".join(_blocks(Markdown(text).parsed))


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:
    lead = ".PP\n"  # what begins the next paragraph
    cells: list[str] = []
    heads = False
    for token in tokens:
        if token.type == "heading_open":
            lead = ".SH " if token.tag == "h1" else ".SS "
        elif token.type == "list_item_open":
            lead = ".IP \\(bu 2\n"
        elif token.type == "paragraph_open" and lead not in (".PP\n", ".IP \\(bu 2\n"):
            lead = ".PP\n"
        elif token.type in ("fence", "code_block"):
            yield f".PP\n.RS 4\n.nf\n{verbatim(token.content)}.fi\n.RE\n"
        elif token.type == "tr_open":
            cells = []
        elif token.type == "tr_close":
            yield f".TP\n{cells[0]}\n" + "\n".join(cells[1:]) + "\n"
        elif token.type == "inline":
            words = _inline(token.children or [])
            if token.level >= 4 and lead == "cell":
                cells.append(f"\\fB{words}\\fR" if heads else words or "\\&")
            else:
                yield lead + words + "\n"
                lead = ".PP\n"
        elif token.type in ("td_open", "th_open"):
            lead, heads = "cell", token.type == "th_open"
        elif token.type == "table_close":
            lead = ".PP\n"


def _inline(tokens: Sequence[Token]) -> str:
    marks = {"strong_open": "\\fB", "em_open": "\\fI", "strong_close": "\\fR", "em_close": "\\fR", "softbreak": "\n"}
    parts = [
        f"\\fB{_escaped(token.content)}\\fR"
        if token.type == "code_inline"
        else marks.get(token.type, _escaped(token.content))
        for token in tokens
    ]
    return _guarded("".join(parts))


def verbatim(text: str) -> str:
    """Lines of text that man shows as they are."""
    return _guarded(_escaped(text))


ESCAPES = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "^": "\\(ha", "~": "\\(ti", "`": "\\(ga"}
"""What roff takes for something else, or draws as another character."""


def _escaped(text: str) -> str:
    return re.sub(r"[\\\-'^~`]|[^\x00-\x7f]", lambda match: ESCAPES.get(match[0]) or f"\\[u{ord(match[0]):04X}]", text)


def _guarded(text: str) -> str:
    """Lines that begin with a dot are not requests."""
    return re.sub(r"^\.", r"\\&.", text, flags=re.MULTILINE)
