"""What commands do grows with what they show: calls of functions are counted at sizes that grow by equal steps."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from gradcli.features.derive import derivation
from gradcli.features.derive.steps import derivation as worked
from gradcli.features.explain import look
from gradcli.features.explain.answer import explain
from gradcli.features.lint.answer import lint
from gradcli.program.loaded import Loaded, from_text
from tests.quickly import slowly


def variables(n: int) -> str:
    return "".join([f"variable x{k} = 0.{k + 1}\n" for k in range(n)])


def one_output(n: int) -> str:
    return variables(n) + "y = " + " + ".join([f"x{k}^2*x{(k + 1) % n}" for k in range(n)])


def many_outputs(n: int) -> str:
    lines = [f"y{k} = sin(x{k})*x{(k + 1) % n}\n" for k in range(n)]
    return variables(n) + "".join(lines) + "output " + ", ".join([f"y{k}" for k in range(n)])


def unused(n: int) -> str:
    return variables(n) + "".join([f"v{k} = sin(x{k})\n" for k in range(n)]) + "y = x0^2"


def cut(n: int) -> str:
    return variables(n) + "y = " + " + ".join([f"floor(x{k})" for k in range(n)])


def chain(n: int) -> str:
    lines = [f"v{k} = sin(v{k - 1})*x{k % 7} + v{k // 2}\n" for k in range(1, n)]
    return variables(7) + "v0 = x0\n" + "".join(lines) + f"y = v{n - 1}"


def star(n: int) -> str:
    lines = [f"v{k} = cos(x0*{k}.5)\n" for k in range(n)]
    return variables(1) + "".join(lines) + "y = " + " + ".join([f"v{k}" for k in range(n)])


SHAPES = {shape.__name__: shape for shape in (one_output, many_outputs, unused, cut, chain, star)}


def explained(program: Loaded) -> None:
    look.render(explain(program), None)


def steps(program: Loaded) -> None:
    derivation.render(worked(program))


ANSWERS: dict[str, Callable[[Loaded], Any]] = {"explain": explained, "lint": lint, "derive --steps": steps}


def calls(answer: Callable[[Loaded], Any], text: str) -> int:
    """How many functions are called, those that are written in C included."""
    program = from_text(text + "\n", "program.expr")
    count = 0

    def called(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        answer(program)
    finally:
        sys.setprofile(None)
    return count


# Of few operations shorter formulas are looked for, with an effort that ends at some size.
CASES = [case for case in product(ANSWERS, SHAPES) if case != ("derive --steps", "chain")]
QUICK = {("explain", "unused"), ("lint", "star"), ("explain", "cut")}


@pytest.mark.parametrize(("answer", "shape"), [case if case in QUICK else slowly(case) for case in CASES])
def test_calls_grow_by_equal_steps(answer: str, shape: str) -> None:
    calls(ANSWERS[answer], SHAPES[shape](8))  # what is made once
    first, second, third = [calls(ANSWERS[answer], SHAPES[shape](n)) for n in (15, 30, 45)]
    assert third - second <= 1.15 * (second - first) + 100


def test_what_is_quadratic_is_seen() -> None:
    def quadratic(program: Loaded) -> None:
        n = len(program.variables)
        for _ in range(n * n):
            len("")

    first, second, third = [calls(quadratic, variables(n)) for n in (15, 30, 45)]
    assert third - second > 1.15 * (second - first) + 100
