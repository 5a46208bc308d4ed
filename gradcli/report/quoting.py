"""Text of users in what gradcli writes: how each target quotes it, so that it is read there as text and nothing else.

Names of programs are identifiers, which need little. File names, options, comments, columns and keys of data may hold
anything. Python alone is quoted elsewhere: a module is written from a syntax tree (:mod:`gradcli.features.derive.numpy_words`).
"""

from __future__ import annotations

import re

OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)
"""Characters that a terminal or another program obeys, that reorder or hide others, or that no file may hold.

These are Unicode's control and format characters (Cc, Cf), separators of lines (Zl, Zp), surrogates and noncharacters.
"""

STYLE = re.compile("\x1b\\[[0-9;]*m")
"""What gradcli itself says to a terminal: colours."""


def visible(text: str) -> str:
    """Text on one line, in which what would be obeyed is seen: ``␛`` for an escape."""
    return OBEYED.sub(_seen, text.replace("\n", " ").replace("\t", " "))


def lines(text: str) -> str:
    """The same on as many lines as there are."""
    return "\n".join(map(visible, text.split("\n")))


def for_people(text: str, color: bool = False) -> str:
    """What is printed: only the ends of lines and, with ``color``, the colours are obeyed.

    Writers quote what comes from users; this is the second line of defence.
    """
    if color:
        parts = STYLE.split(text)
        styles = [*STYLE.findall(text), ""]
        return "".join([_kept(part) + style for part, style in zip(parts, styles, strict=True)])
    return _kept(text)


def _kept(text: str) -> str:
    return OBEYED.sub(lambda match: "\n" if match[0] == "\n" else _seen(match), text)


def _seen(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def comment(text: str) -> str:
    """What may stand behind a ``#`` of a program."""
    return visible(text)


def c_comment(text: str) -> str:
    """What may stand on a line of a C comment: nothing that ends it or begins another, and no trigraph."""
    return visible(text).replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")


def json_escaped(text: str) -> str:
    r"""JSON, ``\u202e`` for what would be obeyed, which inside its strings means the same."""
    return OBEYED.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code > 0xFFFF:  # a pair of surrogates
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"


def csv_field(text: str) -> str:
    """A field of a CSV row, in quotes where it needs them (RFC 4180)."""
    if any(mark in text for mark in ',"\r\n') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text


LATEX = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}


def latex_text(text: str) -> str:
    r"""Plain text for the inside of a ``\text{}``."""
    return "".join([LATEX.get(c, "\\" + c if c in "#$%&_{}" else c) for c in visible(text)])


def dot_string(text: str) -> str:
    """A quoted string of Graphviz; line ends are the only escapes that it is to see."""
    quoted = lines(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{quoted}"'


def mermaid_text(text: str) -> str:
    """Text in which every character that Mermaid or HTML could read as their own is an entity."""
    return re.sub(r"[^\w\s.,:()\[\]=+/@^·…-]", lambda match: f"#{ord(match[0])};", visible(text))


def mermaid_string(text: str) -> str:
    """A quoted label of Mermaid, with its line ends."""
    return '"' + "<br/>".join(map(mermaid_text, text.split("\n"))) + '"'
