"""Running extremes, quantiles and interpolation where numbers are infinite, equal, or out of range."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gradcli
from gradcli.features.derive.answer import derive
from gradcli.features.derive.formulas import render

inf, nan = math.inf, math.nan


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("median([1.0, 2.0, inf])", 2.0), ("median([1.0, inf, -inf])", 1.0), ("median([1.0, nan])", nan),
        ("quantile([-inf, 1.0, 3.0], 0.75)", 2.0), ("quantile([1.0, 2.0, 4.0], [0.0, 1.0])", [1.0, 4.0]),
        ("interp([0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [1.0, inf, 3.0])", [1.0, inf, 3.0]),
        ("interp([nan, -9.0, 9.0], [0.0, 1.0], [2.0, 3.0])", [nan, 2.0, 3.0]),
        ("interp(0.5, [1.0, 0.0], [20.0, 10.0])", 15.0), ("cummax([1.0, nan, 2.0])", [1.0, nan, nan]),
        ("cummin([2, 2, 1])", [2, 2, 1]), ("searchsorted([2.0, 1.0, nan], [1.5, nan])", [1, 2]),
        ("logaddexp(-inf, -inf)", -inf), ("log1mexp([0.0, inf])", [-inf, -0.0]), ("logit([0.0, 1.0])", [-inf, inf]),
    ],
)  # fmt: skip
def test_special_numbers(expression, expected):
    np.testing.assert_array_equal(gradcli.loads(f"y = {expression}").eval(["y"])["y"], expected)


def test_what_is_no_share_is_no_quantile():
    program = gradcli.loads("variable q = 0.5\ny = quantile([1.0, 2.0], q)")
    assert [float(program.eval(values={"q": q})["y"]) for q in (0.0, 1.0)] == [1.0, 2.0]
    assert np.isnan([float(program.eval(values={"q": q})["y"]) for q in (-0.1, 1.5)]).all()
    with pytest.raises(gradcli.GradcliError, match="from 0 to 1"):
        gradcli.loads("y = quantile([1.0], 1.5)")


@pytest.mark.parametrize("text", ["x = 1.2; y = interp(x^2, [1., 2., 3.], [1., 4., 2.])", "x = [2.0, 1.0]; y = sum(x[searchsorted(x, [0.5, 1.0], side=\"right\") - 1]^2)"])  # fmt: skip
def test_strings_are_quoted_in_formulas(text):
    program = gradcli.loads(f"variable {text}")
    found = derive(program)
    again = gradcli.loads(render(found)).eval([g.name for g in found.gradients])
    np.testing.assert_allclose(*again.values(), program.grad()["x"])


def test_the_sum_of_a_filter_with_too_many_places_is_refused():
    with pytest.raises(gradcli.GradcliError, match="at most 10,000"):
        gradcli.loads("y = conv2d(ones([1, 600, 600, 1]), ones([300, 300, 1, 1]))")
