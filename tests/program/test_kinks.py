"""``--kinks``: what is said of each kink is what the program does there and what differences say on both sides."""

from __future__ import annotations

import re

import numpy as np
import pytest

import gradcli
from gradcli.graph.ops import table
from gradcli.language import looping
from gradcli.program import kinks, query
from gradcli.program.kinks import at_the_point
from tests.quickly import some
from tests.random_loops import extreme_program

SLOPES = [
    ("abs(x)", "abs at 0"),
    ("relu(x)", "relu at 0"),
    ("leaky_relu(x)", "leaky_relu at 0"),
    ("leaky_relu(x, 0.3)", "leaky_relu at 0"),
    ("maximum(x, 0)", "maximum with equal arguments"),
    ("minimum(x, 0)", "minimum with equal arguments"),
    ("max([x, 0.])", "max with a tie"),
    ("norm([x, 0.])", "norm at 0"),
    ("hypot(x, 0)", "hypot at 0"),
]


def found(text, of=None, wrt=None):
    program = gradcli.loads(text)
    asked = query.question(program, of, wrt, {}, [])
    return at_the_point(program, asked.ys, asked.xs)


@pytest.mark.parametrize(("expression", "text"), SLOPES)
def test_the_slopes_are_those_of_the_program_and_of_differences(expression, text):
    source = f"variable x = 0.\ny = {expression}"
    (kink,) = found(source)
    assert (kink.text, kink.span.line) == (text, 2)
    taken = re.search(r"taken as (\S+?)(,| for)", kink.slope)
    left, right = re.search(r"one-sided (\S+) and (\S+)", kink.slope).groups()
    program = gradcli.loads(source)
    at = {h: float(program.eval(values={"x": h})["y"]) for h in (-0.5, 0.0, 0.5)}
    sides = {2 * (at[0.0] - at[-0.5]), 2 * (at[0.5] - at[0.0])}
    assert sides == {float(left), float(right)}
    slope = float(program.grad()["x"])
    assert slope == (float(taken[1]) if taken else 0.5)


def test_every_operation_with_a_kink_is_found_on_it():
    programs = {
        "sign": "sign(x)", "atan2": "atan2(x, -1.)", "elu": "elu(x)", "sqrt": "sqrt(x)", "cbrt": "cbrt(x)", "rsqrt": "rsqrt(x)", "min": "min([x, 0.])",
        "argmax": "argmax([x, 0.])", "argmin": "argmin([x, 0.])", "sort": "sort([x, 0.])", "argsort": "argsort([x, 0.])",
        "argcummax": "argcummax([0., x])", "argcummin": "argcummin([x, 0.])", "searchsorted": "searchsorted([0., 1.], x)",
        "divide_no_nan": "divide_no_nan(1., x)", "xlogy": "xlogy(x, 2.)", "pow": "x^0.5", "floor": "floor(x)",
        "ceil": "ceil(x)", "trunc": "trunc(x)", "round": "round(x + 0.5)", "mod": "mod(x, 2.)", "less": "x < 0",
        "less_equal": "x <= 0", "greater": "x > 0", "greater_equal": "x >= 0", "equal": "x == 0", "not_equal": "x != 0",
        "bessel_ie": "bessel_i0e(x)",
    }  # fmt: skip
    others = {expression.partition("(")[0] for expression, _ in SLOPES}
    assert {*programs, *others, "floor_divide"} == {name for name, op in table.items() if op.corner is not None} - {
        "cast"
    }
    for expression in programs.values():
        (kink,) = found(f"variable x = 0.\ny = {expression}")
        assert kink.slope
        assert found(f"variable x = 0.3\ny = {expression}") == []


def test_entries_are_counted_and_derived_nodes_are_not():
    (kink,) = found("variable x = [[0., 1.], [0., -0.]]\ny = relu(x)\ng = gradients(y, x)\nz = sum(y) + sum(g)", ["z"])
    assert (kink.entries, kink.size) == (3, 4)
    assert kink.with_line() == "relu at 0, line 2"


def test_a_kink_that_does_not_depend_on_x_does_not_count():
    text = "variable x = 0.\nvariable z = 0.\ny = relu(x) + abs(z)"
    assert [k.text for k in found(text, wrt=["x"])] == ["relu at 0"]
    program = gradcli.loads(text)
    assert len(at_the_point(program, query.value_nodes(program), None)) == 2


def test_elu_has_a_slope_and_no_second_one():
    program = gradcli.loads("variable x = 0.\ny = elu(x)")
    assert float(program.grad()["x"]) == 1
    assert "derivative 1 from both sides" in table["elu"].corner.slope
    second = {h: float(program.grad(order=2, values={"x": h})["x"]) for h in (-1e-9, 0.0, 1e-9)}
    assert np.allclose(list(second.values()), [1, 0, 0])


@pytest.mark.parametrize("seed", some(range(80), 8))
@pytest.mark.filterwarnings("ignore:.*encountered in")
def test_the_kinks_of_loops_are_those_of_their_steps(seed, monkeypatch):
    text = extreme_program(seed)
    monkeypatch.setattr(looping, "WRITTEN_OUT", 0)
    monkeypatch.setattr(kinks, "CHUNK", 64)

    def lines():
        return {k.with_line() for k in [*found(text, ["y"]), *kinks.of_values(gradcli.loads(text), None)]}

    ours = lines()
    monkeypatch.setenv("GRADCLI_WITHOUT", "loops")
    # Of several states the last values of some may be used by nothing: written out, their last steps are not there.
    assert lines() <= ours if ", b" in text else lines() == ours, text
