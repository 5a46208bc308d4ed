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


def test_what_a_mask_leaves_out_is_not_selected() -> None:
    """Whatever it is, in every reduction, in the gradient and in the second one."""
    for name in ("sum", "mean", "prod", "max", "min", "var", "std", "norm", "logsumexp"):
        for bad in (0.0, -1.0, np.inf, np.nan):
            program = gradcli.loads(f"variable x: [4]; y = {name}(sqrt(x)*log(x), where=x > 2 and x < 9)")
            found = [program.grad(order=n, values={"x": np.array([bad, 3.0, 4.0, 6.0])})["x"] for n in (1, 2)]
            whole = gradcli.loads(f"variable x: [3]; y = {name}(sqrt(x)*log(x))")
            for n, g in enumerate(found, 1):
                assert g[0] == 0
                np.testing.assert_allclose(g[1:], whole.grad(order=n, values={"x": np.array([3.0, 4.0, 6.0])})["x"])


def test_reductions_of_what_is_empty_by_its_mask() -> None:
    values = {
        "sum": 0.0,
        "prod": 1.0,
        "mean": np.nan,
        "var": np.nan,
        "std": np.nan,
        "max": -np.inf,
        "min": np.inf,
        "logsumexp": -np.inf,
    }
    for name, value in values.items():
        program = gradcli.loads(f"variable x = [1.0, 2.0]; y = {name}(x, where=x > 5)")
        np.testing.assert_equal(float(program.eval(["y"])["y"]), value)
        np.testing.assert_equal(program.grad()["x"], [0.0, 0.0])
    assert gradcli.loads("y = any([true], where=false); z = all([false], where=false)").eval() == {
        "y": False,
        "z": True,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y = sum([1.0, 2.0], where=[1, 0])", "where needs bool, not int64"),
        ("y = sum([1.0, 2.0], where=[true, false, true])", r"broadcasts to shape \[2\], not one of shape \[3\]"),
        ("x = [1.0, 2.0]; y = sum(x[x > 1])", r"sum\(x, where=x > 1\)"),
        ("y = top_k([1.0, 2.0], 3)", "from 0 to 2 entries"),
        ("y = top_k([1.0, 2.0], 1)", "2 values cannot be unpacked into 1 name"),
        ("y = meshgrid([[1.0]], [2.0])", "meshgrid needs vectors"),
    ],
)
def test_what_cannot_be_reduced_or_taken(text: str, message: str) -> None:
    with pytest.raises(gradcli.GradcliError, match=message) as caught:
        gradcli.loads(text)
    assert caught.value.span is not None


def test_the_largest_entries_by_a_function_and_with_nan() -> None:
    program = gradcli.loads(
        "def two(r) = { v, i = top_k(r, 2); v }\nvariable x = [[1.0, nan, 2.0], [3.0, 3.0, 0.0]]\nv, i = top_k(x, 2); w = map(two, x)"
    )
    values = program.eval()
    np.testing.assert_equal(values["i"], [[1, 2], [0, 1]])
    np.testing.assert_equal(values["w"], values["v"])
