"""Every optimisation off against all on: the same values, and None for the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradcli
from gradcli.graph.node import Node
from gradcli.program.answers import gradients as gradients_of
from gradcli.program.answers import values as results_of
from tests.benchmarks import adbench
from tests.engines import ways
from tests.engines.mixed import Program
from tests.engines.ways import Answers, agree, explained, guarded, noisy, results
from tests.random_loops import loop_program

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "gradcli").rglob("*.py"))
SWITCHES = sorted({name for path in SOURCES for name in re.findall(r'\bwithout\("(\w+)"\)', path.read_text("utf-8"))})
READING = {"repeated", "scalars", "templates", "loops"}
"""Those that the reading of a text looks at: without them it is read again."""

SAMPLES = sorted((ROOT / "samples").rglob("*.expr"))
LONG = {"burgers_network"}
"""Samples whose gradients are looked at in a smaller form elsewhere."""

PROGRAMS = 500


def random_programs() -> Iterator[str]:
    """Programs of everything, every tenth one with loops for certain."""
    for seed in range(PROGRAMS):
        yield loop_program(seed) if seed % 10 == 9 else Program(seed).text


def answers(program: gradcli.Program) -> Answers:
    """Values, and gradients once and by a compiled function."""
    found: Answers = {}
    guarded(found, "eval", lambda: results(results_of(program)))
    guarded(found, "grad 1", lambda: results(gradients_of(program, ["y"]).orders[-1][1]))
    return found


def with_each_off(load: Any, ask: Any) -> Iterator[tuple[str, Any]]:
    """The answers with all optimisations on, called "", and then with each of them off."""
    with ways.without():
        program = load()
        yield "", ask(program)
    for switch in SWITCHES:
        if switch in ("loops", "apart") and not program.graph.has_loops:
            continue
        with ways.without(switch):
            again = switch in READING or program.graph.has_loops  # what runs a loop is kept with its body
            yield switch, ask(load() if again else program)


def test_all_switches_are_known():
    assert {"apart", "order", "simplify", "tiles"} <= set(SWITCHES)
    from gradcli.graph import switches

    assert [name for name in SWITCHES if f"``{name}``" not in (switches.__doc__ or "")] == []


@pytest.mark.slow
def test_random_programs_have_the_same_answers_without_each():
    wrong = []
    for number, text in enumerate(random_programs()):
        noise: list[Answers] = []
        known: Answers = {}
        try:
            for switch, found in with_each_off(lambda text=text: gradcli.loads(text, threads=1), answers):
                known = known or found
                for label in {**known, **found}:
                    mine, other = found.get(label, "nothing"), known.get(label, "nothing")
                    if not agree(mine, other):
                        noise = noise or [noisy(text, seed) for seed in range(4)]
                        if not explained(label, mine, other, noise):
                            wrong.append(f"{number} without {switch}: {label}: {mine}, and {other} with all")
        except gradcli.GradcliError as problem:
            assert not known, (number, problem)
    assert wrong == []


def numbers(program: gradcli.Program) -> dict[str, Any]:
    """Values and gradients, and those of a compiled function of the variables that is called again."""
    graph = program.graph
    found: dict[str, Any] = dict(program.eval())
    of = [name for name in graph.outputs or graph.definitions[-1:] if isinstance(graph.names[name], Node)]
    if program.variables and of:
        found |= {f"d {x}": g for x, g in program.grad(of).items()}
        function = program.compile(of, program.variables)
        given = program.eval(program.variables)
        function(**given)
        found |= {f"again {name}": value for name, value in function(**given).items()}
    return found


def sample(path: Path) -> gradcli.Program:
    """A sample, with numbers for what it declares without a value."""
    program = gradcli.load(path)
    leaves = {name: x for name, x in program.graph.leaves.items() if program.graph.initial[x] is None}
    given = {name: np.linspace(0.3, 1.2, max(1, int(np.prod(x.shape)))).reshape(x.shape) for name, x in leaves.items()}
    return program.with_values(given) if given else program


def check(load: Any, tolerance: float, patch: pytest.MonkeyPatch, left: Sequence[str] = ()) -> None:
    """Answers with the limits as they are."""
    known = numbers(load())
    for switch in SWITCHES:
        if switch in left:
            continue
        patch.setenv("GRADCLI_WITHOUT", switch)
        found = numbers(load())
        assert {x for x in found if found[x] is None} == {x for x in known if known[x] is None}, switch
        for name, value in found.items():
            if value is not None:
                scale = float(np.max(np.abs(known[name]), initial=0.0, where=np.isfinite(known[name]))) or 1.0
                np.testing.assert_allclose(
                    value, known[name], rtol=tolerance, atol=tolerance * scale, err_msg=f"{name} without {switch}"
                )


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in SAMPLES if path.stem not in LONG], ids=lambda path: path.stem)
def test_samples_have_the_same_answers_without_each(path, monkeypatch):
    # Thousands of steps take minutes where they are written out; the others do not look at steps.
    others = ["loops", "repeated", "scalars", "templates", "plain", "sweep", "halfangle"]
    tolerance = 1e-4 if "float32" in path.read_text("utf-8") else 1e-8
    check(lambda: sample(path), tolerance, monkeypatch, others if path.parent.name == "loops" else [])


@pytest.mark.slow
@pytest.mark.parametrize(
    "problem", [adbench.gmm(2, 4, 70), adbench.ba(5, 40, 90), adbench.lstm(2, 30, 3)], ids=["gmm", "ba", "lstm"]
)
def test_benchmark_problems_have_the_same_answers_without_each(problem, tmp_path, monkeypatch):
    path = problem.written(tmp_path)
    check(lambda: gradcli.load(path), 1e-9, monkeypatch)
