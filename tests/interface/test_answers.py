"""What the Python interface answers is what the commands answer."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import gradcli
from gradcli.execute import choose
from gradcli.results import Checked

ROOT = Path(__file__).parents[2]

TEXT = "variable x = [3.0, 4.0]; variable k = 2.0; constant n = 3; y = k*norm(x); h = floor(x); output y"
LINE = "variable a = 0.0; variable b = 0.0; constant t = [0.0, 1.0, 2.0, 3.0]; loss = sum((a*t + b - (2*t + 1))^2)"


@pytest.fixture
def program():
    return gradcli.loads(TEXT)


# values with gradients


def test_values_and_gradients_are_those_of_eval_and_grad(program):
    values, gradients = program.value_and_grad(values={"k": 5.0})
    assert values == program.eval(values={"k": 5.0}) == {"y": 25.0}
    expected = program.grad(values={"k": 5.0})
    assert {name: g.tolist() for name, g in gradients.items()} == {name: g.tolist() for name, g in expected.items()}


def test_values_and_gradients_of_several_ys(program):
    values, gradients = program.value_and_grad(["y", "h"], ["x", "n"], seeds={"y": 2.0}, unconnected="zero")
    assert {name: v.tolist() for name, v in values.items()} == {"y": 10.0, "h": [3.0, 4.0]}
    assert {name: g.tolist() for name, g in gradients.items()} == {"x": pytest.approx([2.4, 3.2]), "n": 0}
    assert program.value_and_grad("h", "x")[1] == {"x": None}


def test_values_and_gradients_of_a_large_program(monkeypatch):
    program = gradcli.loads("variable x = 0.7; variable k = 2.0; y = sin(k*x) + x; z = exp(x)*y; h = floor(k)")
    expected = program.value_and_grad(["z", "h"])
    monkeypatch.setattr(choose, "OPERATIONS", 0)
    found = program.value_and_grad(["z", "h"])
    assert program.sweeps()
    assert [list(part) for part in found] == [list(part) for part in expected] == [["z", "h"], ["x", "k"]]
    assert [*map(float, found[0].values())] == pytest.approx([*map(float, expected[0].values())])
    assert [*map(float, found[1].values())] == pytest.approx([*map(float, expected[1].values())])


# points


def test_points_are_the_answers_of_each_row(program):
    columns = {"k": np.array([1.0, 2.0, 5.0]), "x": np.array([[3.0, 4.0], [6.0, 8.0], [0.0, 1.0]])}
    found = program.points(columns, ["y", "h"])
    slopes = program.points(columns, order=1)
    none = program.points(columns, order=2, wrt=["k"])
    for row in range(3):
        one = {name: column[row] for name, column in columns.items()}
        assert {name: v[row].tolist() for name, v in found.items()} == {
            name: v.tolist() for name, v in program.eval(["y", "h"], one).items()
        }
        for name, g in program.grad(values=one).items():
            assert slopes[name][row] == pytest.approx(g)
    assert none == {"k": None}


def test_points_are_those_of_the_command(program, command_line):
    rows = "k,n\n1.5,2\n2.5,3\n"
    lines = command_line("grad", "-e", TEXT, "--points", "-", "--format", "json", stdin=rows).out.splitlines()
    found = program.points({"k": [1.5, 2.5], "n": np.array([2, 3])}, order=1)
    assert [json.loads(line)["k"] for line in lines] == found["k"].tolist()
    assert [json.loads(line)["x"] for line in lines] == found["x"].tolist()


def test_a_row_without_an_answer():
    program = gradcli.loads("variable A = ones([2, 2]); d = inv(A)[0, 0]; m = 1")
    matrices = np.array([np.eye(2), np.zeros((2, 2)), 2 * np.eye(2)])
    with pytest.raises(gradcli.GradcliError, match="row 2"):
        program.points({"A": matrices}, "d")
    found = program.points({"A": matrices}, ["d", "m"], skip_bad=True)
    assert [value.dtype for value in found.values()] == ["float64", "float64"]
    np.testing.assert_equal(found["d"], [1.0, math.nan, 0.5])
    np.testing.assert_equal(found["m"], [1.0, math.nan, 1.0])


def test_no_rows_and_integers(program):
    assert program.points({"k": []}, "y")["y"].shape == (0,)
    counts = gradcli.loads("constant n = 2; y = n*n").points({"n": [1, 2, 3]})["y"]
    assert (counts.tolist(), counts.dtype) == ([1, 4, 9], np.dtype("int64"))
    assert gradcli.loads("constant n = 2; y = n*n").points({"n": [1.5, 2.0]})["y"].tolist() == [2.25, 4.0]


# derive, explain, check


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, []),
        ({"wrt": "k"}, ["--wrt", "k"]),
        ({"order": 2, "format": "latex"}, ["--order", "2", "--format", "latex"]),
        ({"format": "python", "stop": "k"}, ["--format", "python", "--stop", "k"]),
        ({"steps": True}, ["--steps"]),
        ({"steps": True, "format": "latex"}, ["--steps", "--format", "latex"]),
        ({"order": 0}, ["--order", "0"]),
        ({"values": {"k": 7.0}, "seeds": {"y": 2.0}}, ["--set", "k=7.0", "--seed", "y=2.0"]),
    ],
)
def test_derivatives_as_text_are_those_of_the_command(command_line, given, options):
    program = gradcli.loads(TEXT, "<-e>")
    assert program.derive(**given) == command_line("derive", "-e", TEXT, *options).out


def test_an_explanation_is_that_of_the_command(program, command_line):
    explained = program.explain(order=1, stop=[], most=3)
    shown = json.loads(command_line("explain", "-e", TEXT, "--most", "3", "--format", "json").out)
    assert [e.name for e in explained.explanations] == list(shown["explanations"])
    assert explained.of == shown["of"]
    (h,) = program.explain("h", "x").explanations
    assert h.value is None
    assert "floor" in h.reason.text


def test_a_check_is_that_of_the_command(program, command_line):
    found = program.check(order=1, directions=4)
    assert isinstance(found, Checked)
    assert found.passed
    shown = json.loads(command_line("check", "-e", TEXT, "--order", "1", "--directions", "4", "--format", "json").out)
    assert [entry["entry"] for entry in shown["checks"]] == [c.entry for c in found.comparisons]
    assert [entry["reverse"] for entry in shown["checks"]] == [c.reverse for c in found.comparisons]
    assert {c.order for c in program.check().comparisons} == {1, 2}
    assert {c.order for c in program.check(order=2).comparisons} == {2}


# fit


def test_a_fit_is_that_of_the_command(command_line):
    found = gradcli.loads(LINE).fit("loss", method="adam", lr="0.1:cosine", steps=50)
    shown = command_line(
        "fit", "-e", LINE, "--method", "adam", "--lr", "0.1:cosine", "--steps", "50", "--format", "json"
    ).out
    assert {name: entry["value"] for name, entry in json.loads(shown)["values"].items()} == found.values
    assert (found.steps, found.reason, found.kept, found.problem) == (50, "all steps done", {}, None)
    assert found.loss < 5.0
    assert found.gnorm > 0.0


@pytest.mark.parametrize("method", ["sgd", "lbfgs", "newton-cg"])
def test_a_fit_ends_where_it_shall(method):
    found = gradcli.loads(LINE).fit(method=method, until={"loss": 1e-3, "time": 60.0}, steps=5000)
    assert found.loss <= 1e-3
    assert found.reason.startswith("loss at most")
    assert found.values["a"] == pytest.approx(2.0, abs=0.1)


def test_bounds_and_what_is_kept():
    text = "variable a = 0.5; variable b = 0.0; loss = (a - 2)^2"
    found = gradcli.loads(text).fit(bounds={"a": (None, 1.0)}, lr=0.1, steps=20)
    assert found.values == {"a": 1.0, "b": 0.0}
    assert list(found.kept) == ["b"]


def test_rows_of_data_in_batches():
    text = "variable a = 0.0; constant t; constant u; loss = mean((a*t - u)^2)"
    t = np.arange(1.0, 9.0)
    program = gradcli.loads(text, settings={"t": t, "u": 3 * t})
    found = program.fit(data=["t", "u"], batch=4, lr=0.01, steps=100)
    assert found.values == {"a": pytest.approx(3.0, abs=1e-3)}


def test_a_resumed_run_comes_to_the_same_numbers(tmp_path):
    program = gradcli.loads(LINE)
    options = {"method": "adam", "lr": 0.1, "history": tmp_path / "h.ndjson", "checkpoint": tmp_path / "c.npz"}
    whole = program.fit(steps=30, **options)
    history = [json.loads(line) for line in (tmp_path / "h.ndjson").read_text().splitlines()]
    program.fit(steps=10, **options)
    again = program.fit(steps=30, resume=tmp_path / "c.npz", **options)
    assert again.values == whole.values
    lines = [json.loads(line) for line in (tmp_path / "h.ndjson").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(line["step"], line["loss"]) for line in history]


def test_a_run_that_diverges_keeps_its_last_good_step():
    found = gradcli.loads("variable x = 1.0; loss = x^4").fit(lr=10.0, steps=50)
    assert found.reason == "not finite"
    assert math.isfinite(found.values["x"])
    assert found.problem is not None
    assert "loss" in found.problem.message
    with pytest.raises(gradcli.GradcliError, match="step 0"):
        gradcli.loads("variable x = 0.0; loss = log(x)").fit()


def test_a_sample_in_all_ways():
    program = gradcli.load(ROOT / "samples" / "rosenbrock.expr")
    values, gradients = program.value_and_grad()
    assert set(gradients) == set(program.variables)
    assert values == program.eval(list(values))
    assert program.check().passed
    assert program.fit(method="lbfgs").loss < values["y"]
