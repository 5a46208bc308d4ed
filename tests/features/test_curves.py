"""Sampled curves: their values and derivatives, None, gaps, jumps, entries of vectors, fields."""

from __future__ import annotations

import numpy as np
import pytest

import gradcli
from gradcli.features.plot.answer import Variable, curves, field, label_of, number, series
from gradcli.features.plot.jumps import jumps


def sampled(text, low, high, orders=(0,), *, x="x", entry=None, count=41, of=None, **options):
    return curves(gradcli.loads(text), of, Variable(x, entry, low, high), list(orders), count, **options).curves


def test_a_function_and_its_derivatives():
    found = sampled("variable x = 1.0; constant k = 2.0; y = k*sin(3*x)", -2.0, 2.0, range(6))
    assert [curve.label for curve in found] == ["y", "dy/dx", "d2y/dx2", "d3y/dx3", "d4y/dx4", "d5y/dx5"]
    x = np.linspace(-2, 2, 41)
    for n, curve in enumerate(found):
        np.testing.assert_array_equal(curve.x, x)
        np.testing.assert_allclose(curve.y, 2 * 3**n * np.sin(3 * x + n * np.pi / 2), atol=1e-9)
        assert curve.height == (curve.y.min(), curve.y.max())


def test_every_value_is_that_of_the_engine():
    text = "variable x = 1.0; variable w = [0.5, 2.0]; y = sum(tanh(w*x))^2 + cos(x)*w[0]"
    program = gradcli.loads(text)
    value, slope = sampled(text, -1.0, 2.0, [0, 1], count=7)
    for x, y, g in zip(value.x, value.y, slope.y, strict=True):
        assert y == pytest.approx(program.eval(["y"], {"x": x})["y"], rel=1e-14)
        assert g == pytest.approx(program.grad(wrt=["x"], values={"x": x})["x"], rel=1e-14)


def test_an_entry_of_a_vector():
    text = "variable w = [1.0, 3.0]; y = w[0]^3*w[1] + w[1]"
    value, first, second, fourth = sampled(text, -1.0, 1.0, [0, 1, 2, 4], x="w", entry=(0,))
    np.testing.assert_allclose(value.y, 3 * value.x**3 + 3)
    np.testing.assert_allclose(first.y, 9 * value.x**2)
    np.testing.assert_allclose(second.y, 18 * value.x)
    assert not fourth.y.any()
    assert first.label == "dy/dw[0]"
    # of a matrix, and counted from the end
    (slope,) = sampled("variable W = ones([2, 3]); y = sum(W*W*W)", -1.0, 1.0, [1], x="W", entry=(-1, 2))
    np.testing.assert_allclose(slope.y, 3 * slope.x**2)


def test_none_has_its_reason():
    _, _, second, third = sampled("variable x = 1.0; y = x*x", -1.0, 1.0, range(4))
    assert second.missing is None
    assert third.missing == "None since order 3: the derivative of order 2 does not use x"
    assert (len(third.x), len(third.y), third.height) == (0, 0, None)
    (_, cut) = sampled("variable x = 1.0; y = stop_gradient(x)", -1.0, 1.0, [0, 1])
    assert cut.missing == "None: cut by stop_gradient(x) on line 1"


def test_what_is_not_finite_is_a_gap():
    (curve,) = sampled("variable x = 1.0; y = log(x)", -1.0, 1.0, count=21)
    assert np.isnan(curve.y[:11]).all()  # log(0) is -inf
    assert np.isfinite(curve.y[11:]).all()
    (curve,) = sampled("variable x = 1.0; y = exp(x)", 0.0, 1000.0, count=11)
    assert np.isnan(curve.y[3:]).all()  # beyond 1e100
    assert np.isfinite(curve.y[:3]).all()
    # a singular matrix at x = 0 only
    (curve,) = sampled("variable x = 1.0; y = sum(solve([[x, 0.0], [0.0, 1.0]], [x, 1.0]))", -1.0, 1.0, count=21)
    assert np.flatnonzero(np.isnan(curve.y)).tolist() == [10]
    np.testing.assert_allclose(np.delete(curve.y, 10), 2.0)


# Jumps and poles between -1.9 and 1.95, and steep or small curves without any.
JUMPS = {
    "floor(x)": [-1.0, 0.0, 1.0],
    "where(x > 0.3, x, x + 1)": [0.3],
    "tan(x)": [-np.pi / 2, np.pi / 2],
    "1/(x - 0.123)": [0.123],
    "cbrt(x)": [],
    "sin(300*x)": [],
    "exp(8*x)": [],
    "relu(x)": [],
    "x*0 + 2": [],
}
FINE_JUMPS = {"sign(x)*1e-9 + 5": [0.0], "tanh(5000*x)": [], "1e-13*x + 1": []}


@pytest.mark.parametrize(
    ("dtype", "expression", "places"),
    [("float32", e, at) for e, at in JUMPS.items()] + [("float64", e, at) for e, at in {**JUMPS, **FINE_JUMPS}.items()],
)
def test_jumps_are_found_and_steep_curves_are_not_cut(dtype, expression, places):
    (curve,) = sampled(f"dtype {dtype}\nvariable x = 1.0; y = {expression}", -1.9, 1.95, count=100)
    gaps = curve.x[np.isnan(curve.y)]
    np.testing.assert_allclose(gaps, places, atol=1e-6)
    # The curve goes on to both sides of a jump.
    for place in places:
        (i,) = np.flatnonzero(np.isclose(curve.x, place, atol=1e-6) & np.isnan(curve.y))
        assert np.isfinite(curve.y[[i - 1, i + 1]]).all()
        assert curve.x[i + 1] - curve.x[i - 1] < 1e-5
    assert (np.diff(curve.x) >= 0).all()


def test_jumps_of_a_plain_function():
    def step(x):
        return np.where(x < 0.25, 0.0, 1.0)

    x = np.linspace(0, 1, 10)
    found = jumps(step, x, step(x), 2.0**-52)
    assert found.at.tolist() == [2]
    assert found.y.tolist() == [[0.0, 1.0]]
    assert not found.pole.any()
    assert not len(jumps(np.sin, x, np.sin(x), 2.0**-52).at)
    assert not len(jumps(step, x, np.full(10, np.nan), 2.0**-52).at)


def test_the_height_of_a_curve_with_a_pole_is_that_of_its_middle():
    value, slope = sampled("variable x = 1.0; y = tan(x)", -3.0, 3.0, [0, 1], count=400)
    assert value.height[1] < 20 and slope.height[1] < 60
    assert np.nanmax(value.y) > 1e6
    # A narrow peak is not a pole.
    (peak,) = sampled("variable x = 1.0; y = exp(-1000*x^2)", -3.0, 3.0, count=401)
    assert peak.height == (0.0, 1.0)


def test_integers_run_through_fractions():
    value, slope = sampled("variable x = 2; y = x*x/2", -1.0, 1.0, [0, 1], count=5)
    assert value.y.tolist() == [0.5, 0.125, 0.0, 0.125, 0.5]
    assert slope.y.tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]


def test_a_bool_is_drawn_as_0_and_1():
    (curve,) = sampled("variable x = 2.0; y = x > 0", -1.0, 1.0, count=4)
    assert curve.y[np.isfinite(curve.y)].tolist() == [0, 0, 0, 1, 1, 1]


def test_several_ys_are_several_curves():
    text = "variable x = 1.0; y = x^2; z = 3*x; output y, z"
    assert [curve.label for curve in sampled(text, 0.0, 1.0, [0, 1])] == ["y", "dy/dx", "z", "dz/dx"]
    assert [curve.label for curve in sampled(text, 0.0, 1.0, [0], of=["z"])] == ["z"]


def test_logarithmic_axes():
    drawn = curves(gradcli.loads("variable x = 1.0; y = x"), None, Variable("x", None, 0.01, 100.0, True), [0], 5, True)
    np.testing.assert_allclose(drawn.curves[0].x, [0.01, 0.1, 1, 10, 100])
    (curve,) = sampled("variable x = 1.0; y = x", -1.0, 1.0, count=5, log_y=True)
    assert np.isnan(curve.y[:3]).all() and (curve.y[3:] > 0).all()


def test_a_field():
    text = "variable x = 0.0; variable w = [1.0, 2.0]; constant c = 1.0; y = c*x^2*w[1] + w[0]"
    found = field(gradcli.loads(text), None, Variable("x", None, -1, 1), Variable("w", (1,), 0, 2), (5, 3), True)
    x, w = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(0, 2, 3))
    np.testing.assert_allclose(found.z, x**2 * w + 1)
    np.testing.assert_allclose(found.gradient[0], 2 * x * w)
    np.testing.assert_allclose(found.gradient[1], x**2)
    assert (found.x_label, found.y_label, found.label) == ("x", "w[1]", "y")
    # both entries of one vector
    text = "variable w = [1.0, 2.0, 3.0]; y = w[0]*w[2] + w[1]"
    found = field(gradcli.loads(text), None, Variable("w", (0,), 0, 1), Variable("w", (2,), 0, 2), (2, 3), True)
    assert found.z.tolist() == [[2, 2], [2, 3], [2, 4]]
    assert found.gradient[0].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert found.gradient[1].tolist() == [[0, 1], [0, 1], [0, 1]]


def test_a_field_without_gradient():
    program = gradcli.loads("variable a = 0.0; variable b = 1.0; y = floor(a) + b; z = floor(a*b)")
    a, b = Variable("a", None, 0, 1), Variable("b", None, 0, 1)
    assert field(program, ["y"], a, b, (3, 3), False).gradient is None
    found = field(program, ["y"], a, b, (3, 3), True)  # None beside a number is zero
    assert not found.gradient[0].any() and (found.gradient[1] == 1).all()
    found = field(program, ["z"], a, b, (3, 3), True)
    assert found.gradient is None
    assert found.missing == "None: passes through floor on line 1, which has no derivative"


def test_labels():
    assert [label_of("y", "x", n) for n in range(4)] == ["y", "dy/dx", "d2y/dx2", "d3y/dx3"]


def test_bounds_are_expressions():
    program = gradcli.loads("variable x; y = x")
    assert number(program, "x", "-2*pi") == -2 * np.pi
    assert number(program, "x", "1e3") == 1000
    for text, kind in (("[1, 2]", "TypeError"), ("true", "TypeError"), ("x", "NameError"), ("2 +", "SyntaxError")):
        with pytest.raises(gradcli.GradcliError) as error:
            number(program, "x", text)
        assert error.value.kind == kind


def test_series():
    drawn = series("h", "step", {"step": [1, 2, 3], "loss": [3.0, float("inf"), 1.0]})
    assert drawn.log_y and drawn.x_range == (1, 3)
    assert np.isnan(drawn.curves[0].y).tolist() == [False, True, False]
    assert not series("h", "step", {"step": [1, 2], "loss": [3.0, -1.0]}).log_y
    assert not series("h", "step", {"step": [1, 2], "loss": [3.0, 1.0]}, "none").log_y
    assert series("h", "step", {"step": [1e17], "loss": [1.0]}).x_range == (1e17, 2e17)
    assert series("h", "step", {"step": [0, 1, 10], "loss": [1.0] * 3}, "x").x_range == (1, 10)
    with pytest.raises(gradcli.GradcliError, match="no loss that is finite"):
        series("h", "step", {"step": [1, 2], "loss": [float("nan")] * 2})
