"""Which engine computes what, and the reason that it is given."""

from __future__ import annotations

import json

import pytest

import gradcli
from gradcli.execute import choose
from gradcli.execute.choose import Choice, Workers
from gradcli.execute.sizes import Means
from gradcli.program import query
from gradcli.program.planned import Planned

SCALARS = "variable x = 2.0\ny = sin(x)*x"
SMALL = "variable x = linspace(0.0, 1.0, 400)\ny = sum(sin(x)*x)"
LARGE = "variable x = linspace(0.0, 1.0, 200_000)\ny = sum(sin(x)*x)"
SORTED = "variable x = linspace(0.0, 1.0, 40_000)\ny = sort(x)"
LONG = "variable x = 2.0\na0 = x\n" + "".join([f"a{i + 1} = sin(a{i})*x\n" for i in range(1500)]) + "y = a1500"

CHOSEN = [
    ("plain numbers", "all values are scalars, of 4 operations (sweeps from 2,000)", SCALARS, ""),
    ("sweeps", "all values are scalars, of 3,002 operations (sweeps from 2,000)", LONG, ""),
    ("whole arrays", "the largest array has 3,200 bytes (tiles from 262,144)", SMALL, ""),
    ("tiles", "the largest array has 1,600,000 bytes (tiles from 262,144)", LARGE, ""),
    ("whole arrays", "the largest array has 320,000 bytes, but no loop over tiles would pay", SORTED, ""),
    ("whole arrays", "tiles are turned off", LARGE, "tiles"),
    ("whole arrays", "plain numbers are turned off", SCALARS, "plain"),
    ("whole arrays", "sweeps are turned off", LONG, "sweep"),
]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["eval", "grad"])
@pytest.mark.parametrize(("engine", "reason", "text", "off"), CHOSEN)
def test_the_profile_says_which_engine_and_why(command_line, monkeypatch, command, engine, reason, text, off):
    monkeypatch.setenv("GRADCLI_WITHOUT", off)
    done = command_line(command, "--of", "y", "--profile", "--format", "json", stdin=text)
    found = json.loads(done.out)["engine"]
    assert found["name"] == engine
    if command == "eval":
        assert found["reason"] == reason
    done = command_line(command, "--of", "y", "--profile", "--format", "table", stdin=text)
    timed = ", and timed on arrays" if engine in ("plain numbers", "sweeps") else ""
    assert f"engine: {engine}{timed}, because {found['reason']}\n" in done.out


REPEATED = [
    ("straight line", "it runs often, and the largest array has 3,200 bytes (tiles from 262,144)", SMALL, ""),
    ("whole arrays", "it has 3,001 operations (a straight line up to 2,000)", LONG, ""),
    ("whole arrays", "the straight line is turned off", SMALL, "straight"),
    ("tiles", "the largest array has 1,600,000 bytes (tiles from 262,144)", LARGE, ""),
    ("whole arrays", "the largest array has 320,000 bytes, but no loop over tiles would pay", SORTED, ""),
]


@pytest.mark.parametrize(("engine", "reason", "text", "off"), REPEATED)
def test_what_runs_often(monkeypatch, engine, reason, text, off):
    monkeypatch.setenv("GRADCLI_WITHOUT", off)
    monkeypatch.setattr(choose, "MOST_LINES", 2000)
    program = gradcli.loads(text)
    planned = Planned(program, [query.target(program, "y")], [query.leaf(program, "x")])
    assert planned.choice == Choice(engine, reason)


@pytest.mark.parametrize(
    ("means", "milliseconds", "step", "shared", "expected"),
    [
        (Means(1), 9.0, 90_000, 100, Workers(1, False, "one thread is to be used")),
        (Means(2), 0.5, 90_000, 100, Workers(1, False, "the loop takes 0.5 ms (threads from 1 ms)")),
        (Means(2), 2.0, 4_000, 100, Workers(1, False, "a step takes 4 us (threads from 10 us)")),
        (Means(2), 2.0, 90_000, 100, Workers(2, False, "the loop takes 2 ms (threads from 1 ms)")),
        (Means(2, True, True), 4.0, 4_000, 100, Workers(2, True, "the loop takes 4 ms (processes from 3 ms)")),
        (Means(2, True, True), 4.0, 4_000, 1 << 27, Workers(1, False, "a step takes 4 us (threads from 10 us)")),
    ],
)
def test_workers(means, milliseconds, step, shared, expected):
    assert choose.workers(means, milliseconds * 1e6, step, shared, forks=True) == expected
    if expected.processes:
        assert not choose.workers(means, milliseconds * 1e6, step, shared, forks=False).processes


def test_the_limits_of_a_program_of_scalars():
    assert choose.of_scalars(5, plain=True, limited=True) == Choice("whole arrays", "its memory is limited")
    assert choose.of_scalars(5, plain=False, limited=False).engine == "whole arrays"
    assert choose.of_scalars(2000, plain=False, limited=True).engine == "sweeps"
