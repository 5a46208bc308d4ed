"""Analytic uncertainties against numbers that are drawn, on ten programs."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gradcli
from gradcli.features.propagate.answer import Covariance, propagate

DRAWS = 40_000
PROGRAMS = {
    "pendulum": ("variable l = 1.2; variable T = 2.2; y = 4*pi^2*l/T^2", {"l": 0.002, "T": 0.01}),
    "resistors": ("variable r = [100.0, 220.0, 330.0]; y = 1/sum(1/r)", {"r": np.array([1.0, 2.2, 3.3])}),
    "decay": ("variable a = 10.0; variable k = 0.3; t = linspace(0, 9, 4); y = a*exp(-k*t)", {"a": 0.2, "k": 0.01}),
    "lens": ("variable f = 50.0; variable u = 300.0; y = 1/(1/f - 1/u)", {"f": 0.5, "u": 5.0}),
    "angle": ("variable a = 3.0; variable b = 4.0; y = arctan2(a, b)", {"a": 0.05, "b": 0.08}),
    "strongly curved": ("variable x = 0.2; y = exp(x)*cos(x) + x^2", {"x": 0.2}),
    "an even function at its minimum": ("variable x = 0.0; y = 1 + x^2", {"x": 0.3}),
    "a product with correlation": ("variable p = [2.0, 3.0]; y = p[0]*p[1]", Covariance(["p[0]", "p[1]"], [[0.01, -0.008], [-0.008, 0.02]])),
    "a system of equations": ("variable A = [[4.0, 1.0], [1.0, 3.0]]; variable b = [1.0, 2.0]; y = solve(A, b)", {"A": 0.02, "b": 0.03}),
    "a ratio of sums": ("variable x = [1.0, 2.0, 3.0, 4.0]; y = sum(x^2)/sum(x)", {"x": 0.05}),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_computed_is_what_draws_show(name):
    text, given = PROGRAMS[name]
    program = gradcli.loads(text)
    errors, covariance = (
        ({}, given) if isinstance(given, Covariance) else ({k: np.asarray(u) for k, u in given.items()}, None)
    )
    for result in propagate(program, errors, covariance, ["y"], DRAWS).results:
        mean, deviation, low, high = result.drawn
        assert deviation == pytest.approx(result.second, rel=5 / math.sqrt(2 * DRAWS) + 0.004)  # 5 sigma; third order
        assert mean == pytest.approx(result.value + result.shift, abs=5 * deviation / math.sqrt(DRAWS))
        if result.first_is_enough:
            assert deviation == pytest.approx(result.error, rel=0.04)
            assert (low, high) == pytest.approx((mean - 1.96 * deviation, mean + 1.96 * deviation), abs=0.2 * deviation)
    assert program.eval("y")["y"].size == len(propagate(program, errors, covariance, ["y"]).results)


def test_where_the_first_order_is_not_enough_the_draws_say_so():
    text, given = PROGRAMS["an even function at its minimum"]
    (result,) = propagate(gradcli.loads(text), {"x": np.asarray(given["x"])}, None, ["y"], DRAWS).results
    assert (result.error, result.first_is_enough) == (0, False)
    assert result.drawn[1] == pytest.approx(math.sqrt(2) * 0.09, rel=0.03)
