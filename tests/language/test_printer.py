"""Print → parse gives the same graph: operations, attributes, shapes, dtypes, sharing and names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings

import gradcli
from gradcli.language.printer import print_program
from tests.graph_form import form
from tests.random_programs import programs

TESTS = Path(__file__).parents[1]
SAMPLES = sorted((TESTS.parent / "samples").glob("*.expr"))
CASES = [json.loads(line) for line in (TESTS / "conformance" / "tensorflow.jsonl").read_text().splitlines()]


def _assert_same(text: str, **options: Path) -> None:
    first = gradcli.loads(text, **options).graph
    printed = print_program(first)
    again = gradcli.loads(printed, **options).graph
    names, forms = form(first)
    names_again, forms_again = form(again)
    assert {name: names_again.get(name) for name in names} == names, printed
    assert forms_again == forms, printed


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_conformance_programs_print_and_parse(case: dict[str, str]) -> None:
    _assert_same(case["program"])


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_random_programs_print_and_parse(text: str) -> None:
    _assert_same(text)


@pytest.mark.parametrize(
    "text",
    [
        "variable x = 2.0\ny = -x^2 - (-x)^2 + 2^-x - (x - 1) - (x - (1 - x))",
        "variable x = 2.0\ny = x / (2 * x) * (x / x)\nz = (x + 1) * 2",
        "variable x = [1, 2, 3]\ny = x * 2 + 1\nz = x / 2\nw = x^3",
        "dtype float32\nvariable x = [1., 2.]\nk = 3\ny = x * k\nz = 2.5 * k",
        "variable x = [[1., 2.], [3., 4.]]\ny = x[0]\nz = x[:, 1:][::-1]\nw = x[..., newaxis]\nv = x[[0, 1, 1]]\nu = x[-1, -1]",
        "variable x = [[1., 2.], [3., 4.]]\ny = not (x > 1 and x < 3) or x == 2\nz = where(y, x, 0)",
        "variable x = [[1., 2.], [3., 4.]]\ny = x.T @ (x @ x)\nz = (x + x).T\nw = sum(x, axis=0, keepdims=true)",
        "a = 2.0\nb = 3.0\nc = a + b\nvariable x: [3]\nvariable b2: float64[1, 2] = zeros([1, 2])\nd = x * inf + nan",
        "variable x = 1.0\ny = x\nz = y * y\noutput z, y",
        "variable x = [1.0]\ny = random_normal([2], seed=3) * x\nz = random_uniform([2], minval=-1)",
        "constant n = 3\nvariable x: [n] = linspace(0, 1, n)\ny = one_hot([0, 2], n)\nz = cast(x, float32) * 2",
        "variable x = [1.0, 2.0]\ny = concat([x, x], axis=0)\nz = stack([x, 2*x], axis=1)\nw = full([2], x)",
        "variable x = [1.0, 2.0]\ny = leaky_relu(x, alpha=0.1) + leaky_relu(x)\nz = cumsum(x, reverse=true)",
        "variable x: [0, 3]\ny = sum(x)\nz = zeros([0, 2])",
        'variable x = [[1.0, 2.0]]\ny = einsum("ij,kj->ik", x, x)\nz = pad(x, [[0, 1], [2, 0]])\nw = trace(x.T @ x)',
    ],
)
def test_corners_of_the_language_print_and_parse(text: str) -> None:
    _assert_same(text)


@pytest.mark.slow
def test_a_long_chain_prints_without_recursion() -> None:
    text = "variable x = 1.0\nn0 = x\n" + "".join(f"n{i} = sin(n{i - 1})\n" for i in range(1, 30_000))
    assert print_program(gradcli.loads(text).graph).count("\n") > 29_000


def test_deep_expressions_get_names_for_their_parts() -> None:
    printed = print_program(gradcli.loads("variable x = 1.0\ny = " + "sin(" * 200 + "x" + ")" * 200).graph)
    assert max(map(len, printed.splitlines())) < 120
