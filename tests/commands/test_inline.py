"""Programs typed at the shell: an expression is an answer, and a name that is set is a variable."""

import json

import pytest


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["eval", "-e", "1+1"], "2\n"),
        (["eval", "-e", "2*pi"], "6.283185307179586\n"),
        (["eval", "-e", "x @ x", "--set", "x=[1, 2]"], "5.0\n"),
        (["eval", "-e", "x = [1.0, 2.0]; sum(x)"], "3.0\n"),
        (["eval", "-e", "a = 3", "-e", "a^2"], "9\n"),
        (["eval", "-e", "1+1", "--format", "table"], "2\n"),
        (["eval", "-e", "[1.0, 2.0]*3"], "[3.0, 6.0]\n"),
        (["eval", "-e", "a = 3; a^2", "--of", "a"], "a = 3\n"),
        (["eval", "-e", "y = 3"], "y = 3\n"),
        (["grad", "-e", "x^2", "--set", "x=3"], "x = 6.0\n"),
        (["grad", "-e", "x^2*z", "--set", "x=3", "--set", "z=2", "--order", "2"], "x = 4.0\nz = None\n"),
        (["grad", "-e", "variable x = 5; x^2"], "x = 10\n"),
        (["hessian", "-e", "x^3", "--set", "x=2"], "d2ans/dx/dx = 12.0\n"),
    ],
)
def test_an_expression_is_answered(gradcli, arguments, answer):
    done = gradcli(*arguments)
    assert done.out == answer
    assert done.status == 0


def test_json_calls_it_ans(gradcli):
    (value,) = json.loads(gradcli("eval", "-e", "1+1", "--format", "json").out)["values"].values()
    assert value["value"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eval", "-e", "1 + x"], "`x` is not defined"),
        (["eval", "-e", "1+1; y = 2"], "has no name to be asked for"),
        (["eval", "-e", "1, 2"], "several values on their own"),
        (["eval", "-e", "x^2", "--set", "x=1", "--set", "z=2"], "no variable or constant `z` to set"),
        (["eval", "-e", "x = 2; x^2", "--set", "x=1"], "`x` is computed"),
        (["eval", "1+1"], "-e 'TEXT' gives a program inline"),
    ],
)
def test_what_is_no_answer_says_so(gradcli, arguments, words):
    done = gradcli(*arguments)
    assert done.status == 1
    assert words in done.err


def test_a_file_needs_names(gradcli, tmp_path):
    path = tmp_path / "x.expr"
    path.write_text("1+1\n")
    assert "has no name to be asked for" in gradcli("eval", str(path)).err


def test_the_version_has_a_short_option(gradcli):
    assert gradcli("-V").out == gradcli("--version").out
