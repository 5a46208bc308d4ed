"""The formats of a reply, letter by letter."""

import json

import numpy as np
import pytest

from gradcli.diagnostics import Source, Span
from gradcli.report import as_csv, as_json, columns, plain, tables
from gradcli.report.reply import Reply
from gradcli.report.tables import Screen
from gradcli.results import Reason, Result

SOURCE = Source("f.expr", "a = 1\nb = stop_gradient(a)\n")
CUT = Reason("cut by stop_gradient(a)", Span(SOURCE, 10, 26))
W1 = Result("w1", np.array([1.0, np.nan], dtype="float32"))
W2 = Result("w2", None, CUT)
GRAD = Reply("grad", "f.expr", [(1, [W1, W2])], of=["y1", "y2"], summed=True)
EVERY = Reply("grad", "f.expr", [(1, [W1]), (2, [W2])], of=["y"], every_order=True)
EVAL = Reply("eval", "f.expr", [(0, [Result("y", np.array([[1, 2], [3, 4]])), Result("s", np.array(True)), W2])])


def text(pieces, reply):
    return "".join(pieces(reply))


def test_plain():
    assert text(plain.pieces, GRAD) == "w1 = [1.0, nan]\nw2 = None\n"
    assert text(plain.pieces, EVAL) == "y = [[1, 2], [3, 4]]\ns = true\nw2 = None\n"
    assert text(plain.pieces, EVERY) == "# order 1\nw1 = [1.0, nan]\n# order 2\nw2 = None\n"


def test_json_of_grad():
    assert json.loads(text(as_json.pieces, GRAD), parse_constant=pytest.fail) == {
        "command": "grad",
        "file": "f.expr",
        "of": ["y1", "y2"],
        "order": 1,
        "gradients": {
            "w1": {"connected": True, "dtype": "float32", "shape": [2], "value": [1.0, "NaN"]},
            "w2": {"connected": False, "value": None, "reason": "cut by stop_gradient(a), f.expr:2:5"},
        },
    }


def test_json_of_eval():
    assert json.loads(text(as_json.pieces, EVAL)) == {
        "command": "eval",
        "file": "f.expr",
        "values": {
            "y": {"dtype": "int64", "shape": [2, 2], "value": [[1, 2], [3, 4]]},
            "s": {"dtype": "bool", "shape": [], "value": True},
            "w2": {"connected": False, "value": None, "reason": "cut by stop_gradient(a), f.expr:2:5"},
        },
    }


def test_json_of_every_order():
    reply = json.loads(text(as_json.pieces, EVERY))
    assert list(reply) == ["command", "file", "of", "orders"]
    assert [list(group) for group in reply["orders"]] == [["order", "gradients"]] * 2
    assert reply["orders"][1]["order"] == 2
    assert reply["orders"][1]["gradients"]["w2"]["value"] is None


def test_json_has_each_name_once():
    twice = Reply("grad", "f.expr", [(1, [W1, W1])], of=["y"])
    assert text(as_json.pieces, twice).count('"w1"') == 1


def test_ndjson():
    lines = [json.loads(line) for line in text(as_json.line_pieces, EVERY).splitlines()]
    assert [(line["name"], line["order"], line["value"]) for line in lines] == [
        ("w1", 1, [1.0, "NaN"]),
        ("w2", 2, None),
    ]
    assert '"order"' not in text(as_json.line_pieces, GRAD)


def test_csv():
    assert text(as_csv.pieces, GRAD) == "name,index,value\nw1,0,1.0\nw1,1,nan\nw2,,\n"
    assert text(as_csv.pieces, EVAL) == "name,index,value\ny,0;0,1\ny,0;1,2\ny,1;0,3\ny,1;1,4\ns,,true\nw2,,\n"
    assert text(as_csv.pieces, EVERY) == "order,name,index,value\n1,w1,0,1.0\n1,w1,1,nan\n2,w2,,\n"


def test_table_in_a_pipe():
    assert text(columns.pieces, GRAD) == (
        "gradients of Σ(y1 + y2)\n"
        "name  shape  dtype    value\n"
        "w1    [2]    float32  [1.0, nan]\n"
        "w2                    None  (cut by stop_gradient(a) on line 2)\n"
    )
    assert text(columns.pieces, EVAL).splitlines()[1:3] == [
        "y     [2, 2]  int64  [[1, 2],",
        "                      [3, 4]]",
    ]


def test_a_cube_in_a_pipe_is_bracketed_as_numpy_does():
    reply = Reply("eval", "f", [(0, [Result("c", np.arange(8).reshape(2, 2, 2))])])
    rows = [line[24:] for line in text(columns.pieces, reply).splitlines()[1:]]
    assert rows == ["[[[0, 1],", "  [2, 3]],", " [[4, 5],", "  [6, 7]]]"]


def test_nothing_is_elided_in_a_pipe():
    long = Reply("eval", "f", [(0, [Result("x", np.arange(5000))])])
    for pieces in (plain.pieces, as_json.pieces, columns.pieces):
        assert "4321" in text(pieces, long)
        assert "..." not in text(pieces, long)


def test_table_on_a_terminal():
    shown = tables.render(GRAD, Screen(80))
    assert [line.rstrip() for line in shown.splitlines()] == [
        "gradients of Σ(y1 + y2)",
        "╭──────┬───────┬─────────┬─────────────────────────────────────────╮",
        "│ name │ shape │ dtype   │ value                                   │",
        "├──────┼───────┼─────────┼─────────────────────────────────────────┤",
        "│ w1   │ [2]   │ float32 │ [ 1., nan]                              │",
        "│ w2   │       │         │ None  cut by stop_gradient(a) on line 2 │",
        "╰──────┴───────┴─────────┴─────────────────────────────────────────╯",
    ]


def test_titles():
    assert "gradients of order 2 of y" in tables.render(EVERY, Screen(80))
    assert "gradients" not in tables.render(EVAL, Screen(80))
    one = Reply("grad", "f", [(1, [W1])], of=["y"], summed=True)
    assert tables.render(one, Screen(80)).startswith("gradients of Σy")


def test_colour_only_where_it_is_asked_for():
    assert "\x1b[" in tables.render(GRAD, Screen(80, color=True))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_long_arrays_are_summarised_on_a_terminal(width):
    reply = Reply("eval", "f", [(0, [Result("x", np.linspace(0, 1, 10**5)), Result("m", np.eye(50))])])
    shown = tables.render(reply, Screen(width))
    assert "..." in shown
    assert max(map(len, shown.splitlines())) <= width
    assert shown.count("\n") < 30


def test_a_terminal_without_unicode():
    assert tables.render(EVAL, Screen(80, unicode=False)).isascii()


def test_names_are_not_markup():
    reply = Reply("grad", "f", [(1, [Result("x", None, Reason("y does not use [bold]x[/bold]"))])], of=["[red]"])
    assert "[bold]x[/bold]" in tables.render(reply, Screen(80))


def test_precision():
    reply = Reply("eval", "f", [(0, [Result("x", np.array([2 / 3, 1e9 / 7])), W2])]).rounded(3)
    assert text(plain.pieces, reply) == "x = [0.667, 143000000.0]\nw2 = None\n"
    assert json.loads(text(as_json.pieces, reply))["values"]["x"]["value"] == [0.667, 143000000.0]


def test_a_terminal_shows_the_precision_that_is_asked_for():
    value = np.array([1 / 3, 2e-7 / 3])
    reply = Reply("eval", "f", [(0, [Result("y", value)])]).rounded(12)
    assert "0.333333333333," in tables.render(reply, Screen(100, precision=12)).replace("e-01,", ",").replace(
        "3.3", "0.33"
    )
    assert "6.66666666667e-08" in tables.render(reply, Screen(100, precision=12))
    assert "6.66666666667e-08" not in tables.render(reply, Screen(100))
