"""Programs that are deep, wide or long: size is not a reason to fail, and every way of evaluation gives the same."""

from __future__ import annotations

import math

import pytest

import gradcli
from tests.quickly import some

DEEP = 100_000

LARGE = {
    "parentheses": ("(" * DEEP + "x" + ")" * DEEP, 0.5, 1.0),
    "parentheses with sums": ("(" * DEEP + "x" + "+1)" * DEEP, DEEP + 0.5, 1.0),
    "right-hand parentheses": ("x-(" * DEEP + "x" + ")" * DEEP, 0.5, 1.0),
    "minus": ("-" * DEEP + "x", 0.5, 1.0),
    "calls": ("identity(" * DEEP + "x" + ")" * DEEP, 0.5, 1.0),
    "calls of functions": ("f(" * (DEEP // 10) + "x" + ")" * (DEEP // 10), 0.5 + DEEP // 10, 1.0),
    "powers": ("x^1^" * (DEEP // 2) + "1", 0.5, 1.0),
    "transposes": ("x" + ".T" * (DEEP // 10), 0.5, 1.0),
    "not": ("where(" + "not " * DEEP + "true, x, 2*x)", 0.5, 1.0),
    "sum": ("x" + "+x*w" * DEEP, 0.5 + DEEP * 0.125, 1.0 + DEEP * 0.25),
    "sum of numbers": ("x" + "+1" * DEEP, DEEP + 0.5, 1.0),
    "product": ("x" + "*1.0" * DEEP, 0.5, 1.0),
    "comparisons": ("where(x > 0" + " and x > 0" * (DEEP // 10) + ", x, 0)", 0.5, 1.0),
    "list": ("sum([" + "x," * (DEEP // 10) + "])", DEEP // 10 * 0.5, DEEP // 10),
}


def assert_right(name: str) -> None:
    expression, value, slope = LARGE[name]
    program = gradcli.loads(f"variable x = 0.5\nvariable w = 0.25\ndef f(a) = a + 1\ny = {expression}\n")
    assert program.eval(["y"])["y"] == pytest.approx(value, rel=1e-9)
    assert program.grad(["y"], ["x"])["x"] == pytest.approx(slope, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", some(LARGE, 2))
def test_deep_and_wide_expressions(name: str) -> None:
    assert_right(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parentheses with sums", "sum"])
def test_deep_and_wide_expressions_the_ordinary_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADCLI_WITHOUT", "sweep,scalars,repeated")
    assert_right(name)


def chain(count: int) -> str:
    lines = [f"v{i} = v{i - 1}*0.5 + sin(x)" for i in range(1, count)]
    return "\n".join(["variable x = 0.25", "v0 = x + 1", *lines, f"output v{count - 1}"]) + "\n"


def assert_chain(count: int) -> None:
    program = gradcli.loads(chain(count))
    last = f"v{count - 1}"
    assert program.eval()[last] == pytest.approx(2 * math.sin(0.25), rel=1e-12)
    assert program.grad()["x"] == pytest.approx(2 * math.cos(0.25), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("without", ["", "sweep,scalars,repeated"])
def test_a_chain_of_statements(without: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADCLI_WITHOUT", without)
    assert_chain(5_000)


@pytest.mark.slow
def test_a_chain_of_a_million_statements() -> None:
    assert_chain(1_000_000)


@pytest.mark.slow
def test_a_sum_of_a_million_terms() -> None:
    count = 1_000_000
    program = gradcli.loads(f"variable x = 0.5\ny = x{'+x' * count}\n")
    assert program.eval()["y"] == 0.5 * (count + 1)
    assert program.grad()["x"] == count + 1


@pytest.mark.slow
@pytest.mark.parametrize(("text", "kind"), [
    ("y = " + "(" * DEEP + "x", "SyntaxError"),
    ("y = " + "(" * DEEP + "x" + ")" * DEEP + "*z", "NameError"),
    ("y = " + "[" * DEEP + "x" + "]" * DEEP, "LimitError"),
    ("y = " + "-" * DEEP + "(x > 0)", "TypeError"),
    ("y = x" + "+x" * DEEP + "+[1, 2, 3]*[1, 2]", "ShapeError"),
])  # fmt: skip
def test_errors_in_deep_expressions(text: str, kind: str) -> None:
    with pytest.raises(gradcli.GradcliError) as caught:
        gradcli.loads("variable x = 0.5\n" + text)
    assert caught.value.kind == kind
    assert caught.value.span is not None
