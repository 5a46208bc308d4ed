"""Errors under their source lines, letter by letter."""

import json

import pytest

from gradcli.diagnostics import GradcliError, Label, Source, Span
from gradcli.report.errors import render, render_json


def label(source: Source, text: str, says: str = "", nth: int = 0) -> Label:
    start = -1
    for _ in range(nth + 1):
        start = source.text.index(text, start + 1)
    return Label(Span(source, start, start + len(text)), says)


def shown(*labels: Label, help: str | None = None) -> str:
    return render(GradcliError("ShapeError", "what was found", labels, help))


PROGRAM = Source("f.expr", "variable x = 1\nvariable w: [2, 2]\ny = x @ w\n\n\n\nz = y\n")


def test_one_label_and_help():
    assert shown(label(PROGRAM, "[2, 2]", "here"), help="write it so") == (
        "error[ShapeError]: what was found\n"
        " --> f.expr:2:13\n"
        "  |\n"
        "2 | variable w: [2, 2]\n"
        "  |             ^^^^^^ here\n"
        "  |\n"
        "  = help: write it so\n"
    )


def test_no_label():
    assert shown(help="do this") == "error[ShapeError]: what was found\n  = help: do this\n"


def test_two_operands_of_an_operation():
    whole = label(PROGRAM, "x @ w")
    left, right = (Label(Span(PROGRAM, at, at + 1), says) for at, says in ((38, "shape [3]"), (42, "shape [2, 2]")))
    assert shown(whole, left, right).splitlines()[3:] == [
        "3 | y = x @ w",
        "  |     -^^^-",
        "  |     |   |",
        "  |     |   shape [2, 2]",
        "  |     shape [3]",
    ]


def test_two_operands_without_the_whole():
    left, right = (Label(Span(PROGRAM, at, at + 1), says) for at, says in ((38, "shape [3]"), (42, "shape [2, 2]")))
    assert shown(left, right).splitlines()[3:] == [
        "3 | y = x @ w",
        "  |     ^   - shape [2, 2]",
        "  |     |",
        "  |     shape [3]",
    ]


def test_labels_on_different_lines_in_the_order_of_the_file():
    assert shown(label(PROGRAM, "z", "bound again"), label(PROGRAM, "x", "bound here")).splitlines()[1:] == [
        " --> f.expr:7:1",
        "  |",
        "1 | variable x = 1",
        "  |          - bound here",
        "...",
        "7 | z = y",
        "  | ^ bound again",
    ]


def test_a_single_line_between_two_is_shown():
    lines = shown(label(PROGRAM, "y", "here"), label(PROGRAM, "x", "there")).splitlines()
    assert "2 | variable w: [2, 2]" in lines


def test_a_span_over_several_lines():
    source = Source("g.expr", "y = f(\n  1,\n  2,\n  3)\n")
    assert shown(Label(Span(source, 4, len(source.text)), "this call")).splitlines()[2:] == [
        "  |",
        "1 | y = f(",
        "  |     ^^",
        "...",
        "4 |   3)",
        "  |   ^^ this call",
    ]


def test_tabs_and_wide_characters_stay_aligned():
    source = Source("g.expr", "\ty = 変数 + e\u0301 + foo")
    line, underline = shown(label(source, "foo", "unknown")).splitlines()[3:5]
    assert line == "1 |     y = 変数 + e\u0301 + foo"
    # Two wide characters add two columns, the combining accent takes none.
    assert underline.index("^") == line.index("foo") + 2 - 1


@pytest.mark.parametrize("filler", ["x" * 20000, "変" * 20000, "\t" * 20000])
def test_a_long_line_is_cropped_around_the_span(filler):
    source = Source("g.expr", f"a = {filler} + foo + {filler}")
    line, underline = shown(label(source, "foo", "unknown")).splitlines()[3:5]
    assert "foo" in line
    assert line.count("...") == 2
    assert len(line) < 500
    assert underline.strip(" |") == "^^^ unknown"


def test_labels_far_apart_on_a_long_line():
    source = Source("g.expr", "foo = " + "x" * 20000 + " + bar")
    text = shown(label(source, "bar", "this"), label(source, "foo", "and that"))
    assert max(map(len, text.splitlines())) < 200
    assert "bar" in text
    assert "and that" in text


def test_a_span_of_20000_characters():
    source = Source("g.expr", "y = " + "(" * 20000)
    assert max(map(len, shown(Label(Span(source, 4, 20004), "too deep")).splitlines())) < 200


@pytest.mark.parametrize("text", ["", "y = ", "y = \n", "y = 1\r\n"])
def test_the_end_of_the_text(text):
    source = Source("g.expr", text)
    assert "^ expected more" in shown(Label(Span(source, len(text), len(text)), "expected more"))


def test_nothing_reaches_the_terminal_that_it_would_obey():
    source = Source("g\x1b[2J.expr", "y = \x1b[31m\x00 \u202e foo\r")
    error = GradcliError("NameError", "no \x1b[31m", [label(source, "foo", "\x07")], "bell \x07")
    assert not set(render(error)) & set("\x1b\x00\x07\r\u202e")


def test_labels_of_two_sources():
    option = Source("--set x", "[1, 2")
    text = shown(label(option, "[", "never closed"), label(PROGRAM, "x", "declared here"))
    assert " --> --set x:1:1\n" in text
    assert " ::: f.expr:1:10\n" in text


def test_colour():
    error = GradcliError("NameError", "what", [label(PROGRAM, "y", "here")], "help")
    painted = render(error, color=True)
    assert "\x1b[1;31merror[NameError]\x1b[0m" in painted
    import re

    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == render(error)


def test_json():
    error = GradcliError("NameError", "what", [label(PROGRAM, "y", "here")], "help")
    text = render_json(error)
    assert text.count("\n") == 1
    assert json.loads(text) == {
        "error": {"kind": "NameError", "message": "what", "file": "f.expr", "line": 3, "column": 1, "help": "help"}
    }
    assert json.loads(render_json(GradcliError("DataError", "what")))["error"]["line"] is None
