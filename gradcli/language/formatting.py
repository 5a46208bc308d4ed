"""A program's text in one style: its tokens, comments and line breaks stay, the space between them is set."""

from __future__ import annotations

from collections.abc import Sequence

from gradcli.diagnostics import Source, together
from gradcli.language.pieces import Piece, pieces
from gradcli.language.recovery import tree_of
from gradcli.tuples import NamedTuple

INDENT = "    "
TIGHT = ("^", "**", ".")
AS_WRITTEN = ("*", "/")
"""Operators with a space on both sides, or on none, as they are written; in an index ``+`` and ``-`` are such, too."""
SIGNS = ("+", "-")
BLANK = " \t\r"


def formatted(source: Source) -> str:
    """The text in the language's style; its tokens, and so its graph, are the same. Raises GradcliError for no program.

    Blocks and brackets that go on are indented by four spaces; lists have a space behind commas, sums, comparisons and
    ``=`` (except for arguments) spaces around them, powers none, and products both or none; of blank lines one is kept.
    Comments behind statements stay in their columns, where these are two spaces away or more.
    """
    _, errors = tree_of(source)
    if errors:
        raise together(errors)
    found = list(pieces(source))
    text = "\n".join(_aligned(_Lines(source.text, found).lines))
    text = text.strip("\n") + "\n" if text.strip() else ""
    assert _content(text) == _content(source.text), "formatting has changed a program"
    return text.replace("\n", "\r\n") if "\r\n" in source.text else text


def _content(text: str) -> tuple[list[str], list[str]]:
    """What counts of a text: its tokens, with where statements end, and its comments."""
    kept: list[str] = []
    comments: list[str] = []
    for piece in pieces(Source("", text)):
        word = text[piece.start : piece.end]
        if piece.sort == "comment":
            comments.append(word.rstrip(BLANK))
        elif piece.sort != "end":
            if word == "}" and kept[-1] == "\n":
                kept.pop()
            kept.append(word)
        elif kept and kept[-1] not in ("{", "\n"):
            kept.append("\n")
    return kept[:-1] if kept[-1:] == ["\n"] else kept, comments


class Line(NamedTuple):
    """A line without its comment, that comment, and the column in which this stood, -1 where there is none."""

    code: str
    comment: str = ""
    column: int = -1


class _Open(NamedTuple):
    """A bracket: what it is, and how deep the line of it and those in it are indented."""

    bracket: str
    outside: int
    inside: int


class _Lines:
    """Sets the lines of a text anew."""

    def __init__(self, text: str, found: Sequence[Piece]) -> None:
        self.text = text
        self.lines: list[Line] = []
        self.brackets: list[_Open] = []
        self.depth = 0
        self.code = ""
        self.unary = False  # whether the last token is the sign of a number or name
        self.close = False  # whether the last operator has no space before it
        tokens = [piece for piece in found if piece.sort != "end"]
        before: Piece | None = None
        for piece, following in zip(tokens, [*tokens, None][1:], strict=True):
            word = self.word(piece)
            gap = text[before.end if before else 0 : piece.start]
            operand = before is not None and self.is_operand(before)
            if before is None or "\n" in gap:
                self.end_line(blank=gap.count("\n") > 1 and before is not None)
                self.begin_line(word)
            elif piece.sort != "comment":
                self.code += self.space(before, piece, gap)
            if piece.sort == "comment":
                at = text.rfind("\n", 0, piece.start) + 1
                self.lines.append(Line(self.code.rstrip() or self.code, word.rstrip(BLANK), piece.start - at))
                self.code = ""
            else:
                self.code += word
                self.unary = piece.sort == "operator" and word in SIGNS and not operand
                self.close = self.is_close(word, gap, text[piece.end : following.start] if following else "")
                self.note(word if piece.sort == "bracket" else "")
            before = piece
        self.end_line(blank=False)

    def word(self, piece: Piece) -> str:
        return self.text[piece.start : piece.end]

    def is_operand(self, piece: Piece) -> bool:
        return piece.sort in ("name", "number", "string", "word") or self.word(piece) in (")", "]")

    def inside(self, *brackets: str) -> bool:
        return bool(self.brackets) and self.brackets[-1].bracket in brackets

    def is_close(self, operator: str, gap: str, after: str) -> bool:
        """Whether no spaces stand around an operator."""
        if operator == "=":
            return self.inside("(")
        if operator == ":":
            return self.inside("[")
        as_written = operator in AS_WRITTEN or operator in SIGNS and self.inside("[")
        return operator in TIGHT or as_written and not (gap and after)

    # lines

    def begin_line(self, word: str) -> None:
        closing = self.brackets and word in (")", "]", "}")
        self.depth = (self.brackets[-1].outside if closing else self.brackets[-1].inside) if self.brackets else 0
        self.code = INDENT * self.depth

    def end_line(self, blank: bool) -> None:
        if self.code.strip():
            self.lines.append(Line(self.code.rstrip()))
        self.code = ""
        if blank:
            self.lines.append(Line(""))

    def note(self, bracket: str) -> None:
        """Enter or leave a bracket."""
        if bracket in ("(", "[", "{"):
            self.brackets.append(_Open(bracket, self.depth, self.depth + 1))
        elif bracket and self.brackets:
            self.brackets.pop()

    # spaces

    def space(self, before: Piece, piece: Piece, gap: str) -> str:
        """What stands between two tokens of a line."""
        left, right = self.word(before), self.word(piece)
        if left == "{" or right == "}":
            return " " if left != "{" or right != "}" else ""
        if ";" in gap:
            return "; "
        if left in ("(", "[") or right in (")", "]", ","):
            return ""
        if left == ",":
            return " "
        if self.is_applied(before, piece):
            return ""
        if right == "." and before.sort == "number":
            return " "
        if self.unary:
            return ""
        if piece.sort == "operator" and right not in SIGNS or right in SIGNS and self.is_operand(before):
            following = self.text[piece.end : piece.end + 1]
            return "" if right == ":" or self.is_close(right, gap, following if following.isspace() else "") else " "
        return "" if before.sort == "operator" and self.close else " "

    def is_applied(self, before: Piece, piece: Piece) -> bool:
        """Whether a bracket belongs to what stands before it: ``f(x)``, ``a[0]``, ``var(x)``."""
        if self.word(piece) not in ("(", "["):
            return False
        return before.sort == "keyword" or piece.sort == "bracket" and self.is_operand(before)


def _aligned(lines: Sequence[Line]) -> list[str]:
    """The lines with their comments, which stay in their columns, or move on together."""
    result: list[str] = []
    i = 0
    while i < len(lines):
        end = i + 1
        if lines[i].comment and lines[i].code.strip():
            while end < len(lines) and lines[end].code.strip() and lines[end].column == lines[i].column:
                end += 1
        group = lines[i:end]
        widest = max(len(line.code) for line in group)
        for line in group:
            column = max(widest + 2, line.column) if line.code.strip() else 0
            result.append(line.code.ljust(column) + line.comment if line.comment else line.code)
        i = end
    return result
