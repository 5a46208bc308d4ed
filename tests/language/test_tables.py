"""The saved tables belong to the grammar, and the loop that follows them agrees with Lark's own parser."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lark import Lark, Token, Tree
from lark.exceptions import LarkError

from gradcli.diagnostics import GradcliError, Source
from gradcli.language import automaton, parser, syntax, tables
from gradcli.language.lexer import make_lexer

SAMPLES = sorted((Path(__file__).parents[2] / "samples").rglob("*.expr"))

PROGRAMS = [
    "",
    "\n\n; ;\n",
    "# only a comment",
    "y = 1",
    "variable x\nvar y: float32\nvariable w: [n]\nvariable v: float32[n, 2,] = zeros([n, 2])\nvar u: [] = 1",
    "constant k = [[9.], [10.]]\nconst c: int64 = 3; constant d",
    "def f(a, b=2,) = a + b; def g() = 1\ndef h(x) = {\n\n a = x; b = a\n a*b\n}\ndef e(x) = {}",
    "def f(x) = { def g(y) = { y }; g(x) }",
    "dtype float32\noutput a, b,\noutput c\nseed y = [1., 2.]\nseed = 3; output = 4; dtype = 5\nf(seed=seed, output=1)",
    "seed seed = output\noutput output, dtype\ny = seed and output or dtype\n",
    "a, b = f(x)\nc, = g(x)\na, b, c, = h\n",
    "def f(a) = a, -a\ndef g(a) = a,\ndef h(a) = { b, c = f(a)\n b, c, }\ndef i(a) = { a, a + 1, a }\na, b\na, b,\na.T, b",
    "x + y\n-x\n[a, b,]\n[]\n[\n1,\n2\n]\nf()\nf(a,\n  b,\n)\n",
    "y = not a < b and c or d == e and not not f != g\nz = a <= b or c > d or e >= f",
    "y = -x^-y^2*-z/2@w + -(-(a)) ** b ** c - -d",
    "y = x.T[0].T(a)(b, c=d)[1:2, :, ::, a:, :b, a::c, ::c, :b:, a:b:c, ..., newaxis, -1].T",
    "y = where(x > 0, true, false)\nz = f(None)\n",
    "y = 1_000.5e-1_0 + .5 + 5. + 1e3 + 'a\\'b' + \"c\\\\\" # comment\r\nz = 1\r\n",
    "y = ((((((((((a))))))))))",
]  # fmt: skip


class LineEndsInBrackets:
    """The lexer's one rule beyond the grammar, for Lark."""

    always_accept = ()

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        inside: list[str] = []
        for token in stream:
            if token in ("(", "[", "{"):
                inside.append(token)
            elif token in (")", "]", "}") and inside:
                inside.pop()
            if token.type != "_END" or token == ";" or not inside or inside[-1] == "{":
                yield token


@cache
def lark() -> Lark:
    return tables.lark_parser(tables.grammar_text(), LineEndsInBrackets())


@cache
def plain_tree_machine() -> tuple[Any, parser.State]:
    def build(rule: tables.Rule, spellings: Mapping[str, str]) -> parser.Build:
        pick = parser.children_of(rule)
        return lambda parts, end: (rule["name"], pick(parts))

    data = tables.load()
    return make_lexer(data), automaton.link(data, build)


def assert_same_tree(ours: Any, larks: Any) -> None:
    stack = [(ours, larks)]
    while stack:
        mine, theirs = stack.pop()
        if isinstance(mine, syntax.Syntax):  # a leaf that the lexer has finished
            assert isinstance(theirs, Tree) and theirs.data == type(mine).__name__.lower()
            (token,) = theirs.children
            assert isinstance(token, Token)
            assert (token.start_pos, token.end_pos) == (mine.start, mine.end)
        elif mine is None:
            assert theirs is None
        else:
            assert isinstance(theirs, Tree) and theirs.data == mine[0] and len(theirs.children) == len(mine[1])
            stack += zip(mine[1], theirs.children, strict=True)


def our_tree(text: str) -> Any:
    tokens, first = plain_tree_machine()
    try:
        return automaton.run(first, tokens(Source("test", text)))
    except GradcliError:
        return None


def lark_tree(text: str) -> Any:
    try:
        return lark().parse(text)
    except LarkError:
        return None


@pytest.mark.slow
@pytest.mark.parametrize("text", PROGRAMS)
def test_the_loop_agrees_with_lark(text: str) -> None:
    tree = our_tree(text)
    assert tree is not None
    assert_same_tree(tree, lark_tree(text))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_the_loop_agrees_with_lark_on_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    theirs = lark_tree(text)
    assert theirs is not None
    assert_same_tree(our_tree(text), theirs)


def wrap(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = ["+", "-", "*", "/", "@", "^", "**", " and ", " or ", "<", "<=", ">", ">=", "==", "!="]
    return st.one_of(
        st.tuples(inner, st.sampled_from(operators), inner).map("".join),
        st.tuples(st.sampled_from(["-", "not "]), inner).map("".join),
        inner.map("({})".format),
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.tuples(inner, st.lists(inner, max_size=3)).map(lambda pair: f"{pair[0]}({', '.join(pair[1])})"),
        st.tuples(inner, st.lists(inner, max_size=3)).map(lambda pair: f"{pair[0]}[{':'.join(pair[1])}, ...]"),
        inner.map("{}.T".format),
    )


EXPRESSIONS = st.recursive(st.sampled_from(["a", "x1", "2", "3.5", ".5", "true", "'s'", "seed"]), wrap, max_leaves=12)
WORDS = "variable var constant const def and or not true false None newaxis dtype output seed a b T 1 2.5 .5 'q'"
SIGNS = "+ - * / @ ^ ** < <= > >= == != = , : . ... ( ) [ ] { } ; #"
TOKENS = st.sampled_from([*WORDS.split(), *SIGNS.split(), "\n", "\r\n"])


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.one_of(EXPRESSIONS.map("y = {}".format), st.lists(TOKENS, max_size=12).map(" ".join)))
def test_the_loop_accepts_what_lark_accepts(text: str) -> None:
    theirs, ours = lark_tree(text), our_tree(text)
    assert (ours is None) == (theirs is None)
    if ours is not None:
        assert_same_tree(ours, theirs)


@pytest.mark.slow
def test_the_saved_tables_belong_to_the_grammar() -> None:
    saved = json.loads(Path(tables.SAVED).read_text(encoding="utf-8"))
    assert saved == tables.build(tables.grammar_text()), "run python -m gradcli.language.tables"


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"grammar": "1-00000000"}'])
def test_stale_or_missing_tables_are_built_anew(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = json.loads(Path(tables.SAVED).read_text(encoding="utf-8"))
    monkeypatch.setattr(tables, "SAVED", str(tmp_path / "tables.json"))
    if content is not None:
        Path(tables.SAVED).write_text(content, encoding="utf-8")
    assert tables.load() == saved


@pytest.mark.slow
def test_save_and_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = tables.build(tables.grammar_text())
    monkeypatch.setattr(tables, "SAVED", str(tmp_path / "tables.json"))
    tables.save(built, tables.SAVED)
    monkeypatch.setattr(tables, "build", lambda grammar: pytest.fail("the saved tables were not used"))
    assert tables.load() == built


def test_every_rule_has_a_build_function_and_every_build_function_a_rule() -> None:
    names = {rule["name"] for rule in tables.load()["rules"]} - {None}
    assert names == parser.CONSTRUCT.keys() | parser.WITH_TEXT.keys()


def test_parsing_imports_no_lark() -> None:
    program = (
        "import sys; from gradcli.diagnostics import Source; from gradcli.language.parser import parse;"
        "parse(Source('t', 'y = sin(x)')); print(sorted({'lark', 'numpy', 'rich', 'hashlib'} & sys.modules.keys()))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
