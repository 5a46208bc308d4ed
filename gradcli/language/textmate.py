"""The TextMate grammar of the language, made from the grammar's tokens and the table of operations."""

from __future__ import annotations

import json
import re

from gradcli.language import tables
from gradcli.language.builtin import CONSTANTS, OPERATIONS
from gradcli.language.pieces import OPERATING, VALUES, keywords, soft


def _portable(regex: str) -> str:
    """A regular expression of the tables for other engines, with control characters written out."""
    return re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\x{ord(match[0]):02x}", regex)


def _words(words: list[str] | tuple[str, ...]) -> str:
    return rf"(?<![\w.])(?:{'|'.join(sorted(words, key=lambda word: (-len(word), word)))})(?!\w)"


def grammar() -> str:
    """JSON for editors that colour by TextMate grammars: VS Code, Sublime Text, TextMate, and ``bat``."""
    known = tables.load()
    tokens = {name: _portable(regex) for name, regex in known["terminals"]}
    comment = next(_portable(regex) for regex in known["ignored"] if regex.startswith("#"))
    reserved = [word for word in keywords(known) if word in known["keywords"]]
    signs = [text for text in known["spellings"].values() if not text[0].isalpha() and text not in "()[]{},."]
    name = tokens["NAME"]
    patterns = [
        {"match": comment, "name": "comment.line.number-sign.gradcli"},
        {"match": tokens["STRING"], "name": "string.quoted.gradcli"},
        {
            "match": rf"(?<!\w)(def|tangent)[ \t]+({name})",
            "captures": {"1": {"name": "keyword.declaration.gradcli"}, "2": {"name": "entity.name.function.gradcli"}},
        },
        {"match": rf"{_words(['var'])}(?=[ \t]*\()", "name": "support.function.gradcli"},
        {"match": _words(reserved), "name": "keyword.declaration.gradcli"},
        {"match": rf"(?<![\w.])(?:{'|'.join(map(_portable, soft(known).values()))})", "name": "keyword.other.gradcli"},
        {"match": _words(OPERATING), "name": "keyword.operator.word.gradcli"},
        {"match": _words(VALUES), "name": "constant.language.gradcli"},
        {"match": rf"{_words([*OPERATIONS])}(?=[ \t]*\()", "name": "support.function.gradcli"},
        {"match": _words([*CONSTANTS]), "name": "constant.language.gradcli"},
        {"match": rf"(?<!\w){tokens['NUMBER']}", "name": "constant.numeric.gradcli"},
        {"match": name, "name": "variable.other.gradcli"},
        {"match": "|".join(re.escape(sign) for sign in sorted(signs, key=len, reverse=True)), "name": "keyword.operator.gradcli"},
    ]  # fmt: skip
    head = {"name": "gradcli", "scopeName": "source.gradcli", "fileTypes": ["expr"]}
    return json.dumps({**head, "patterns": patterns}, indent=1, ensure_ascii=True) + "\n"
