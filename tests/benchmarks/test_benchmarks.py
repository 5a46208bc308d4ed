"""The benchmark programs compute what they name, and the command line parses; nothing here looks at a clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import hessians, order
from tests.benchmarks.__main__ import main, parse
from tests.benchmarks.table import COLUMNS, Row, Target, render
from tests.benchmarks.timing import interleaved

SMALL = [
    hessians.quadratic(7),
    hessians.logistic(12, 5),
    hessians.factorisation(6, 2),
    hessians.relu(layers=4, width=5, batch=8),
]


@pytest.mark.parametrize("problem", SMALL, ids=[p.case for p in SMALL])
def test_the_hessian_of_the_program_is_the_closed_form(problem):
    found = problem.compiled()(**problem.data)["H"]
    assert hessians.difference(found, problem.closed_form(**problem.data)) < 1e-12
    assert np.any(found)


@pytest.mark.parametrize("function", order.FUNCTIONS, ids=[f.case for f in order.FUNCTIONS])
@pytest.mark.parametrize("n", order.ORDERS)
def test_derivatives_are_those_of_the_contour_integral(function, n):
    found = function.gradient(n)
    assert order.difference(function.same_form(found), function.reference(n)) < order.AGREEMENT
    again = function.compiled(n)(x=function.data()["x"])["g"]
    assert order.difference(again, found) < 1e-12


def test_order_60():
    function = order.SIX_OPERATIONS
    assert order.difference(function.gradient(60), function.reference(60)) < order.AGREEMENT


def test_the_cold_command_prints_the_derivative(tmp_path):
    function = order.FUNCTIONS[1]
    path = tmp_path / "f.expr"
    path.write_text(function.text)
    done = order.cold_command(path, 5)()
    assert float(done.stdout.decode().removeprefix("x = ")) == pytest.approx(float(function.gradient(5)), rel=1e-12)


def test_the_command_line():
    options = parse(["--only", "order, hessian", "--repeat", "3", "--peers", "--environment", "e", "--limit", "1.5"])
    assert options.only == ["order", "hessian"]
    assert (options.repeat, options.peers, options.environment, options.limit) == (3, True, Path("e"), 1.5)
    assert options.threads is None
    assert parse(["--threads", "1"]).threads == 1
    assert parse([]).only == ["order", "hessian"]
    assert not parse([]).peers


@pytest.mark.parametrize("arguments", [["--only", "speed"], ["--repeat", "0"], ["--repeat", "many"], ["more"]])
def test_a_wrong_command_line(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    assert "usage: python -m tests.benchmarks" in capsys.readouterr().err


def test_a_run_prints_its_table_and_targets(capsys, monkeypatch):
    monkeypatch.setattr(hessians, "quadratic", lambda: SMALL[0])
    monkeypatch.setattr(hessians, "logistic", lambda: SMALL[1])
    monkeypatch.setattr(hessians, "factorisation", lambda: SMALL[2])
    monkeypatch.setattr(hessians, "relu", lambda: SMALL[3])
    assert main(["--only", "hessian", "--repeat", "1"]) == 0
    out = capsys.readouterr().out
    assert all(problem.title in out for problem in SMALL)
    assert "values differ" not in out
    assert "- factorisation, to the closed form <= 3: " in out


def test_competitors_take_turns_and_ratios_compare_neighbours():
    seconds = {"a": iter([9.0, 2.0, 4.0, 6.0]), "b": iter([9.0, 1.0, 2.0, 1.0])}
    asked: list[str] = []

    def turn(who):
        def run(n):
            asked.append(who)
            return [next(seconds[who])] * n

        return run

    measured = interleaved({who: turn(who) for who in seconds}, 3, single=True)
    assert "".join(asked) == "ab" + "abbaab"
    assert measured.median("a") == 4.0
    assert measured.ratio("a", "b") == 2.0
    assert measured.ratio("a", "c") is None


def test_the_table():
    rows = [Row("f", "gradcli", 0.0123, 0.5, "2 x g", 1e-9), Row("f", "other", remark="> 20 s")]
    lines = render(rows).splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == list(COLUMNS)
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == [
        "f",
        "gradcli",
        "12.3",
        "500",
        "2 x g",
        "1e-09",
        "",
    ]
    assert [cell.strip() for cell in lines[3].strip("|").split("|")] == ["", "other", "", "", "", "", "> 20 s"]
    assert len({len(line) for line in lines}) == 1


def test_targets():
    assert Target("a", 2, 1.5).line() == "- a <= 2: met, 1.5"
    assert Target("a", 2, 2.5).line() == "- a <= 2: NOT met, 2.5"
    assert Target("a", 100, 250.0, at_least=True).line() == "- a >= 100: met, 250"
    assert Target("a", 2, None).line() == "- a <= 2: not measured"


def test_it_runs_as_a_module():
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.benchmarks", "--help"]
    done = subprocess.run(command, check=True, cwd=root, capture_output=True, text=True, timeout=60)
    assert "--peers" in done.stdout
