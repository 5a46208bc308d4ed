"""Large scalar programs: sweeps over the program's graph give what the graph of the gradient gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import gradcli
from gradcli.execute import choose
from gradcli.graph.node import Node, cone
from gradcli.program import query, swept
from gradcli.program.answers import gradients as gradients_of
from gradcli.program.answers import values as results_of
from gradcli.results import Result
from tests.random_programs import scalar_programs

SAMPLES = sorted((Path(__file__).parents[2] / "samples").rglob("*.expr"))

Ask = Callable[[gradcli.Program], Sequence[Result]]


def gradients(program: gradcli.Program, *arguments: Any, **options: Any) -> list[Result]:
    return gradients_of(program, *arguments, **options).orders[-1][1]


def answers(program: gradcli.Program, ask: Ask) -> Sequence[Result] | str:
    try:
        return ask(program)
    except gradcli.GradcliError as error:
        return f"{error.kind}: {error}"


@contextmanager
def sweeps() -> Iterator[dict[str, bool]]:
    """Within it every program is large; the replies tell whether a sweep answered the first request for each."""
    used: dict[str, bool] = {}

    def noting(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any) -> Any:
            reply = ask(*arguments)
            used.setdefault(ask.__name__, reply is not None)
            return reply

        return asked

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose, "OPERATIONS", 0)
        patch.setattr(swept, "gradients", noting(swept.gradients))
        patch.setattr(swept, "values", noting(swept.values))
        yield used


def both_ways(program: gradcli.Program, ask: Ask, tolerance: float = 1e-13) -> dict[str, bool]:
    """Compare the answers with sweeps and without; whether sweeps gave the first."""
    with sweeps() as used:
        ours = answers(program, ask)
    with sweeps() as never, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADCLI_WITHOUT", "sweep")
        others = answers(program, ask)
    assert not never
    if isinstance(ours, str) or isinstance(others, str):
        assert ours == others
        return used
    for mine, other in zip(ours, others, strict=True):
        assert (mine.name, mine.connected, mine.reason) == (other.name, other.connected, other.reason)
        if other.connected:
            assert (mine.value.shape, mine.value.dtype) == (other.value.shape, other.value.dtype)
            np.testing.assert_allclose(mine.value, other.value, rtol=tolerance, atol=0, err_msg=mine.name)
    return used


def has_infinite_root(program: gradcli.Program) -> bool:
    """Whether a slope may be that of a square: only a graph has it."""
    named = [node for node in program.graph.names.values() if isinstance(node, Node)]
    nodes = [node for node in cone(named) if node.op.squared is not None]
    return any(np.isinf(value).any() for value in program.evaluate(nodes))


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(scalar_programs())
def test_random_programs(text: str) -> None:
    program = gradcli.loads(text)
    assert both_ways(program, lambda program: results_of(program))["values"]
    assert both_ways(program, gradients)["gradients"] or has_infinite_root(program)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(scalar_programs())
def test_random_programs_in_float32(text: str) -> None:
    program = gradcli.loads(text, dtype="float32")
    assert both_ways(program, lambda program: results_of(program))["values"]
    assert both_ways(program, gradients, 1e-4)["gradients"]


@pytest.mark.slow
@settings(max_examples=100, deadline=None, derandomize=True)
@given(scalar_programs())
def test_random_programs_with_stops_seeds_and_inner_xs(text: str) -> None:
    program = gradcli.loads(text)

    def ask(program: gradcli.Program) -> Sequence[Result]:
        ys, xs = ["n2", "n1", "v0"], ["n0", "v1", "n1", "v0"]
        return gradients(program, ys, xs, seeds={"n2": "2.5"}, stop=["n1"])

    assert both_ways(program, ask)["gradients"]


@pytest.mark.slow
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples(path: Path) -> None:
    program = gradcli.load(path)
    both_ways(program, lambda program: results_of(program))
    both_ways(program, gradients)
    both_ways(program, lambda program: gradients(program, unconnected="zero"))


@pytest.mark.parametrize(
    "text",
    [
        "variable x = [1.0, 2.0]\ny = x*x",  # arrays
        "variable x = 2\nvariable z = 1.0\ny = x*z",  # integers
        "variable x = 2.0\ny = cast(cast(x, float32), float64)*x",
        "variable x = 2.0\nvariable w\ny = x + w",  # w is not needed for the gradient
        "variable x = 2.0\nvariable w = cast(cast(nan, int64), float64)\ny = x + w",  # nor is this one
        "variable x = 2.0\ny = sum(x)*x",
        "variable x = 2.0\ny = x*random_normal([])",
        "variable x = 2.0\ny = x^identity(0)",  # a power without a derivative for its exponent
        "variable x = 2.0\ny = x*x\ng = gradients(y, x)*gradients(y, x)",
        "variable x = -1.0\nz = where(x > 0, sqrt(x), x)\ny = z*z",
        "variable x = 0.0\ny = where(x == 0, 1, 1/x)*x",
        "variable x = 0.0\nvariable w = 1.0\ny = w*sign(x) + floor(w)",
        "variable b: bool = true\nvariable x = 1.0\ny = where(b, x, 2*x)",
        "variable x = 3.0\ny = leaky_relu(x) + leaky_relu(-x, 0.3) + leaky_relu(-x, 0.1)",
        "variable x = 3.0\ny = x^0 + x^1 + x^2 + x^-1 + x^0.5 + x^-0.5",
        "variable x = 0.0\ny = x^0 + x^1",
        "variable x = 1e200\ny = x*x - x*x",
        "variable x = inf\nvariable z = nan\ny = where(isfinite(x*z), x*z, 2*x)",
    ],
)
def test_where_sweeps_are_not_or_hardly_for(text: str) -> None:
    program = gradcli.loads(text)
    both_ways(program, lambda program: results_of(program))
    both_ways(program, gradients)
    both_ways(program, lambda program: gradients(program, None, ["y", *program.variables], 1, stop=["y"]))
    both_ways(program, lambda program: gradients(program, order=2))


def chain(count: int) -> str:
    lines = [f"v{i} = sin(v{i - 1})*{1 + i % 7}.25 + x/(1.5+v{i * 5 // 7}^2)" for i in range(1, count)]
    return "\n".join(["variable x = 0.3", "v0 = x", *lines, f"output v{count - 1}"]) + "\n"


def test_large_programs_are_swept_and_small_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(swept.Sweep, "down", lambda self, seeds: asked.append(len(self.nodes)) or {})
    gradcli.loads(chain(20)).grad()
    assert not asked
    gradcli.loads(chain(2000)).grad()
    (nodes,) = asked
    assert nodes > 10_000


def test_the_work_grows_with_the_statements() -> None:
    """Counted in nodes and in calls of steps, of which each node has at most one."""
    counts: list[tuple[int, int]] = []
    for statements in (1000, 10_000):
        program = gradcli.loads(chain(statements))
        sweep = swept.Sweep(program, [query.target(program, f"v{statements - 1}")], [query.target(program, "x")])
        assert len(sweep.tape) == len(sweep.steps) == len(set(sweep.tape)) <= len(sweep.nodes)
        counts.append((len(sweep.nodes), len(sweep.tape)))
    assert counts[1][0] <= 10.1 * counts[0][0]
    assert counts[1][1] <= 10.1 * counts[0][1]


def test_a_limit_on_memory_holds() -> None:
    program = gradcli.loads(chain(2000), max_memory=1000)
    with pytest.raises(gradcli.GradcliError) as caught:
        program.eval()
    assert caught.value.kind == "LimitError"
