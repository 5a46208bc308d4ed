"""How often an expression can be differentiated before its gradient is None, as TensorFlow answers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

import gradcli
from gradcli.program import answers
from tests.quickly import some

HIGHEST = 5
"""What the table calls ``inf``: still not None at this order."""

PROGRAM = """
variable x = [[0.37, 0.48], [0.59, 0.70]]
constant c = [[0.5, 0.8333], [1.1667, 1.5]]
def f(x) = {expression}
y = {context}
"""

CONTEXTS = {
    "f(x)": "f(x)",
    "f(x*x)": "f(x*x)",
    "f(3*x)": "f(3*x)",
    "x*f": "sum(x)*f(x)",
    "f*f": "f(x)*f(x)",
    "exp(f)": "exp(f(x))",
    "f(f(x))": "f(f(x))",
    "f(0.3*sign(x)+0.5)": "f(0.3*sign(x) + 0.5)",
}


def cells() -> list[tuple[str, str, int]]:
    """Expression, context and number of orders, but for the cells that TensorFlow could not run."""
    text = (Path(__file__).parent / "none_orders.tsv").read_text(encoding="utf-8")
    header, *rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return [
        (expression, context, HIGHEST if count == "inf" else int(count))
        for expression, *counts in rows
        for context, count in zip(header[1:], counts, strict=True)
        if count != "-"
    ]


@pytest.mark.parametrize(("expression", "context", "expected"), cells())
def test_as_many_orders_as_in_tensorflow(expression, context, expected):
    program = gradcli.loads(PROGRAM.format(expression=expression, context=CONTEXTS[context]))
    reply = answers.gradients(program, order=HIGHEST, every_order=True)
    connected = [gradients[0].connected for _, gradients in reply.orders]
    assert connected == [n <= expected for n in range(1, HIGHEST + 1)]


@pytest.mark.parametrize(("expression", "context", "expected"), some(cells()))
def test_as_many_nested_gradients_as_in_tensorflow(expression, context, expected):
    text = PROGRAM.format(expression=expression, context=CONTEXTS[context])
    names = ["y", *(f"g{n}" for n in range(1, min(expected + 1, HIGHEST) + 1))]
    passes = [f"{g} = gradients({y}, x)" for y, g in pairwise(names)]
    values = gradcli.loads(text + "\n".join(passes)).eval(names[1:])
    connected = [values[name] is not None for name in names[1:]]
    assert connected == [n <= expected for n in range(1, len(names))]


def test_every_expression_is_there():
    expressions = {expression for expression, _, _ in cells()}
    assert len(expressions) == 91
    assert {context for _, context, _ in cells()} == set(CONTEXTS)
