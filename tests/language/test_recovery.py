"""All errors of a program in one run: none is lost, none follows from another, and the first is the one that a run stops at."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcli.diagnostics import MOST, GradcliError, Source
from gradcli.language import syntax
from gradcli.language.elaborate import Elaborator, execute, finish
from gradcli.language.parser import parse
from gradcli.language.recovery import diagnose, read
from gradcli.program.loaded import from_text
from gradcli.report.errors import render, render_json
from tests.random_programs import torn

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.expr"))
FOLDER = str(SAMPLES[0].parent)
TEXTS = [text for path in SAMPLES if len(text := path.read_text()) < 2500]

TOGETHER = """\
variable x = 3.0
variable w: [2] = [1.0, 2.0, 3.0]
y = sin(x
z = y + nope
q = x $ 2
def f(a) = {
    h = a b
    h*2
}
r = f(x) + q; s = matmul(x, x)
t = s + y + w
u = undefined(x); v = 1 +
def g(a) = {
    k = a + [1, 2]
    k
}
g1 = g([1, 2, 3])
g2 = g([4, 5, 6])
x = 4
output y, g1, nothing
"""


def stopped_at(text: str) -> GradcliError | None:
    """The error at which a reading that goes no further stops."""
    source = Source("t", text)
    e = Elaborator(source, {}, FOLDER, None, 0)
    try:
        program = parse(source)
        e.statements = program.statements
        for statement in program.statements:
            execute(e, statement)
        finish(e)
    except GradcliError as error:
        e.add_calls(error)
        return error
    return None


def told(error: GradcliError | None) -> object:
    return error and (error.kind, error.message, error.labels, error.help)


def test_every_mistake_is_told_once_and_what_follows_from_it_is_not() -> None:
    errors = diagnose(Source("t", TOGETHER))
    assert [(error.line, error.kind) for error in errors] == [
        (4, "SyntaxError"),  # where the bracket of line 3 should have been closed: a run stops here
        (2, "ShapeError"), (5, "SyntaxError"), (7, "SyntaxError"), (10, "ShapeError"), (12, "NameError"),
        (12, "SyntaxError"), (14, "ShapeError"), (19, "NameError"), (20, "NameError"),
    ]  # fmt: skip
    assert told(errors[0]) == told(stopped_at(TOGETHER))


def test_what_is_right_is_read_beside_mistakes() -> None:
    graph = read(Source("t", "variable x = 2.0\ny = x +\nz = x^2\nw = z + y\nv = z + 1\n")).graph
    assert list(graph.names) == ["x", "z", "v"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("def f(x) = {\n    h = x\n\ny = 3\noutput y", [5]),  # a block that is not closed
        ("y = 1 }\nz = (2", [1, 2]),
        ("}\n}\n)\nvariable x = 1", [1, 2, 3]),
        ("a = 'x\nb = a\nc = \"y", [1, 3]),
        ("let x = 3\ny = x + 1", [1]),
        ("y = f(1; z = 2\nw = z +", [1, 2]),
        ("y = concat([\n    1 2,\n    3], axis=0)\nz = y\nw = q", [2, 5]),
        ("y = [1,\n2,\nz = 3\nw = z +", [3, 4]),
        ("def f(x) = {\nh = x\nh*2 z\n}\ny = f(1)\nz = )", [3, 6]),
        ("x x = 3\nx = 4\ny = x", [1]),
        ("a, b = bad\nc = a + b\nd = )", [3, 1]),
        ("seed y = 1\noutput y, z", [1, 2, 2][:2]),
        ("dtype float16\nvariable x = 1\ny = x + q", [1, 3]),
        ("def f(x) = x*bad\ny = f(2)\nz = f(3)", [1]),
        ("tangent f(x, dx) = dx\ndef f(x) = x\ny = f(1)", [1]),
    ],
)
def test_places(text: str, lines: list[int]) -> None:
    assert [error.line for error in diagnose(Source("t", text))] == lines


def test_no_more_than_twenty() -> None:
    for line in ("a{} = nope", "a{} = 1 +"):
        errors = diagnose(Source("t", "\n".join(line.format(i) for i in range(50))))
        assert [error.line for error in errors] == list(range(1, MOST + 1))


def test_an_error_holds_the_others_in_every_form() -> None:
    with pytest.raises(GradcliError) as caught:
        from_text(TOGETHER, "t.expr")
    error = caught.value
    assert [told(e) for e in pickle.loads(pickle.dumps(error)).others] == [told(e) for e in error.others]
    shown = render(error)
    assert shown.count("error[") == 10 and shown.endswith("\n10 errors\n")
    record = json.loads(render_json(error))
    assert record["error"] in record["errors"] and len(record["errors"]) == 10
    lines = [int(line) for line in re.findall(r"--> t\.expr:(\d+)", shown)]
    assert lines == [one["line"] for one in record["errors"]] == sorted(lines)
    with pytest.raises(GradcliError) as caught:
        from_text("y = nope", "t.expr")
    assert "errors" not in json.loads(render_json(caught.value)) and "1 error" not in render(caught.value)


WRONG = ["nope", "1 +", "(1", "[1.0, 2.0] + [1.0, 2.0, 3.0]", "$", "sin(1, 2)", "{a", "a b", "'x", "sum(1, axis=3)"]


@given(data=st.data())
@settings(max_examples=50, deadline=None, derandomize=True)
def test_one_mistake_is_one_error(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(TEXTS))
    named = [s for s in parse(Source("t", text)).statements if isinstance(s, (syntax.Assignment, syntax.Declaration))]
    values = [s.value for s in named if s.value is not None]
    value = data.draw(st.sampled_from(values))
    broken = text[: value.start] + data.draw(st.sampled_from(WRONG)) + text[value.end :]
    errors = diagnose(Source("t", broken), FOLDER)
    assert [told(error) for error in errors] == [told(stopped_at(broken))]


@given(torn(TEXTS))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_any_text_has_the_error_that_a_run_stops_at(text: str) -> None:
    errors = diagnose(Source("t", text), FOLDER)
    assert told(errors[0] if errors else None) == told(stopped_at(text))
    assert len(errors) <= MOST and all(error.span is not None for error in errors)
    assert len({error.span for error in errors}) == len(errors)
    if errors:
        assert render(errors[0]) and render_json(errors[0])


def test_further_errors_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a = nope\nb = nope\nc = nope"
    monkeypatch.setattr("gradcli.language.elaborate.FURTHER", -1.0)
    assert [error.line for error in diagnose(Source("t", text))] == [1]
    monkeypatch.undo()
    assert [error.line for error in diagnose(Source("t", text))] == [1, 2, 3]
