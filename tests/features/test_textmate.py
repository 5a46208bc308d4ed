"""The TextMate grammar against the lexer and the table: what it colours is what the language reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gradcli.diagnostics import Source
from gradcli.graph.ops import table
from gradcli.language.pieces import pieces
from gradcli.language.textmate import grammar

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("**/*.expr"))
PATTERNS = [(re.compile(pattern["match"]), pattern) for pattern in json.loads(grammar())["patterns"]]
SORTS = {
    "comment": "comment", "string": "string", "constant.numeric": "number", "constant.language": "word",
    "keyword.declaration": "keyword", "keyword.other": "keyword", "keyword.operator": "operator",
    "variable": "name", "support.function": "name", "entity.name": "name",
}  # fmt: skip


def scopes(text: str) -> dict[tuple[int, int], str]:
    """The scope of each piece of a text, as an editor finds it: line by line, the leftmost and first match."""
    found: dict[tuple[int, int], str] = {}
    start = 0
    for line in text.split("\n"):
        at = 0
        while at < len(line):
            matches = [(m.start(), i) for i, (regex, _) in enumerate(PATTERNS) if (m := regex.search(line, at)) and m.end() > m.start()]  # fmt: skip
            if not matches:
                break
            _, i = min(matches)
            regex, pattern = PATTERNS[i]
            match = regex.search(line, at)
            assert match is not None
            for number, capture in pattern.get("captures", {"0": pattern}).items():
                a, b = match.span(int(number))
                found[start + a, start + b] = capture["name"]
            at = match.end()
        start += len(line) + 1
    return found


def sort_of(scope: str) -> str:
    return next(sort for prefix, sort in SORTS.items() if scope.startswith(prefix))


TEXT = """\
tangent f(x, dx) = dx; def f2(x) = 1.5e-3*x  # pi
y = seed + output + var(x, axis=0); seed y = None
variable é = [true, 'a # b', "c"]; z = x.T[..., newaxis]**2 and not é >= .5
"""


@pytest.mark.parametrize(
    "text", [TEXT, *[path.read_text() for path in SAMPLES]], ids=["text", *[p.stem for p in SAMPLES]]
)
def test_pieces_are_coloured_as_the_lexer_reads_them(text: str) -> None:
    coloured = scopes(text)
    for sort, start, end in pieces(Source("", text)):
        word = text[start:end]
        if sort in ("bracket", "end") or word in (",", "."):
            continue
        scope = coloured.get((start, end), "missing")
        if word in ("pi", "e", "inf", "nan"):
            assert scope == "constant.language.gradcli"
        elif word == "var" and text[end] == "(":
            assert scope == "support.function.gradcli"
        else:
            assert sort_of(scope) == sort, (word, scope)


def test_every_operation_is_known() -> None:
    for op in table.values():
        for name in (op.name, *op.aliases) if not op.hidden else ():
            assert scopes(f"y = {name}(x)")[4, 4 + len(name)] == "support.function.gradcli", name
            assert scopes(f"y = z_{name}(x)")[4, 6 + len(name)] == "variable.other.gradcli"


def test_it_is_printed_as_ascii(gradcli) -> None:
    done = gradcli("server", "--grammar")
    assert done.out == grammar() and done.out.isascii() and "\\u0000" not in done.out
    assert gradcli("server").status == 2
