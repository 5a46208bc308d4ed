"""Loops taken apart: the same answers, and steps that do only what has to wait for the step before."""

from __future__ import annotations

import numpy as np
import pytest

import gradcli
from gradcli.graph.loops import Body
from gradcli.graph.node import cone
from gradcli.graph.ops.creation import loop_run
from gradcli.program import apart
from tests.random_loops import extreme_program, loop_program

NETWORK = """\
variable U = random_normal([3, 4], seed=1)
variable W = 0.5*random_normal([4, 4], seed=2)
variable b = [0.1, -0.2, 0.3, 0.0]
variable out = [1.0, 0.5, -0.5, 0.2]
constant x = random_normal([40, 2, 3], seed=3)
def cell(h, x) = tanh(x @ U + h @ W + b)
h = scan(cell, x, zeros([2, 4]))
y = sum((h @ out)^2)
"""

SEVERAL = """\
variable a = 0.7
variable v = [0.3, -0.2, 0.5]
constant u = linspace(-1.0, 1.0, 50)
def step(s, p, total, u) = {
    q = tanh(a*s + sin(u)*v)
    q, p*0.9 + q[0], total + sum(q)*u
}
s, p, total = scan(step, u, [v, a, 0.0])
y = total[-1] + sum(s[-1])*p[-1]
"""


def answers(text, *off, least=1):
    """Values and gradients of two orders, and of a compiled function, with some optimisations off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADCLI_WITHOUT", ",".join(off))
        patch.setattr(apart, "LEAST", least)
        program = gradcli.loads(text)
        found = {"value": program.eval(["y"])["y"]}
        for order in (1, 2):
            found |= {f"{order} {x}": g for x, g in program.grad(["y"], order=order).items()}
        function = program.compile(["y"], program.variables)
        found["compiled"] = function(**program.eval(program.variables))["y"]
        return found


def agree(mine, other, tolerance=1e-9):
    assert {name for name, g in mine.items() if g is None} == {name for name, g in other.items() if g is None}
    for name, value in mine.items():
        if value is not None:
            np.testing.assert_allclose(value, other[name], rtol=tolerance, atol=tolerance, err_msg=name)


def bodies(text, monkeypatch):
    """The bodies of the loops that run for a gradient, as they are planned."""
    program = gradcli.loads(text)
    plans = []
    plan = type(program).plan
    monkeypatch.setattr(type(program), "plan", lambda *given, **more: plans.append(plan(*given, **more)) or plans[-1])
    program.grad(["y"])
    return [node.attrs["function"].body for plan in plans for node in plan.nodes if node.op is loop_run]


def operations(body: Body, name: str) -> int:
    return [node.op.name for node in cone([*body.following, *body.emitted], body.parameters)].count(name)


@pytest.mark.parametrize("text", [NETWORK, SEVERAL, f"dtype float32\n{NETWORK}"], ids=["network", "several", "float32"])
@pytest.mark.parametrize("off", ["", "simplify", "straight", "entries"])
def test_answers_are_those_of_whole_loops(text, off):
    agree(answers(text, off), answers(text, off, "apart"), 2e-4 if "float32" in text else 1e-9)


@pytest.mark.parametrize("reverse", ["", ", reverse=true"])
def test_answers_of_loops_in_either_direction_are_those_of_written_out_steps(reverse):
    text = NETWORK.replace("zeros([2, 4]))", f"zeros([2, 4]){reverse})").replace("[40, 2, 3]", "[20, 2, 3]")
    agree(answers(text), answers(text, "loops"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(0, 30, 10))
def test_random_loops_have_the_answers_of_whole_loops(seed):
    for text in [make(k) for k in range(seed, seed + 10) for make in (loop_program, extreme_program)]:
        try:
            known = answers(text, "apart")
        except gradcli.GradcliError as problem:
            with pytest.raises(gradcli.GradcliError) as found:
                answers(text)
            assert found.value.message == problem.message
            continue
        agree(answers(text), known, 1e-7)


def test_steps_do_only_what_waits_for_the_step_before(monkeypatch):
    forwards, backwards = bodies(NETWORK, monkeypatch)
    # x @ U + b is a row of what is computed before; slopes of U, W and b are made of stacks afterwards.
    assert operations(forwards, "matmul") == 1
    assert operations(forwards, "tanh") == 1
    assert operations(backwards, "tanh") == 0
    assert operations(backwards, "matmul") + operations(backwards, "contraction") == 1
    moving = [i for i, state in enumerate(backwards.states) if backwards.following[i] is not state]
    assert [backwards.states[i].shape for i in moving] == [(2, 4)]


def test_loops_that_would_stack_too_much_stay_whole(monkeypatch):
    monkeypatch.setattr(apart, "MOST", 1000)
    forwards, backwards = bodies(NETWORK, monkeypatch)
    assert operations(forwards, "matmul") == 2
    assert operations(backwards, "tanh") == 1


def test_a_loop_of_rows_alone_is_no_loop(monkeypatch):
    text = "variable w = 2.0\ndef f(e) = sin(w*e)\nh = map(f, linspace(0.0, 1.0, 100))\ny = sum(h)\n"
    assert bodies(text, monkeypatch) == []
    agree(answers(text), answers(text, "apart"))


def test_an_operation_that_fails_is_found_in_its_step():
    text = (
        "constant A = [[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]]\nconstant rows = A[concat([zeros([20], dtype=int64), [1]])]\n"
        "variable x = [1.0, 2.0]\ndef f(s, a) = 0.5*s + inv(a) @ x\nh = scan(f, rows, x)\ny = sum(h)\n"
    )
    messages = []
    for off in ("", "apart"):
        with pytest.raises(gradcli.GradcliError) as found:
            answers(text, off)
        messages.append((found.value.message, [label.span.line for label in found.value.labels]))
    assert messages[0] == messages[1]
    assert "step 21 of 21" in messages[0][0]
