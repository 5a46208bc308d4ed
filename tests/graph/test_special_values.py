"""Kinks, corners and the strong zero: what derivatives are where limits, ties, zeros and infinities meet."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.special

import gradcli
from gradcli import GradcliError
from gradcli.graph.ops.kernels import Special
from gradcli.program import answers
from tests.quickly import some

inf, nan = math.inf, math.nan


def derivatives(expression: str, x: Any, orders: int, before: str = "") -> list[Any]:
    """The value and the derivatives with respect to x up to an order, each by two ways: repeated passes, and nested.

    An expression may follow statements, separated by ``; ``.
    """
    *statements, last = expression.split("; ")
    declared = f"variable x: {list(np.shape(x))}"
    text = "\n".join([before, declared, *statements, f"y = {last}"])
    values = {"x": np.asarray(x, dtype="float64")}
    results = [gradcli.loads(text).eval(["y"], values)["y"]]
    previous = "y"
    for n in range(1, orders + 1):
        got = gradcli.loads(text).grad(["y"], ["x"], n, values=values)["x"]
        if results[-1] is not None:
            text += f"\ng{n} = gradients({previous}, x)"
            previous = f"g{n}"
            nested = gradcli.loads(text).eval([previous], values)[previous]
            assert (nested is None) == (got is None), f"order {n}: {nested} nested, {got} by passes"
            if got is not None:
                np.testing.assert_allclose(nested, got, rtol=1e-9, atol=1e-12, err_msg=f"order {n}")
        else:
            assert got is None
        results.append(got)
    return results


def assert_derivatives(expression: str, x: Any, expected: list[Any], tolerance: float = 1e-12) -> None:
    got = derivatives(expression, x, len(expected) - 1)
    for n, (ours, theirs) in enumerate(zip(got, expected, strict=True)):
        if theirs is None:
            assert ours is None, f"order {n}: {ours} is not None"
        else:
            assert ours is not None, f"order {n} is None"
            theirs = np.broadcast_to(theirs, np.shape(ours))
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance, err_msg=f"order {n}")


# Each row: the expression, x, then its value and derivatives of orders 1, 2, … there; a scalar stands for all entries.

KINKS = [
    ("abs(x)", 0.0, [0, 0, 0, None]),
    ("abs(x)", -0.0, [0, 0, 0, None]),
    ("abs(x)", [-2.0, 0.0, 2.0], [[2, 0, 2], [-1, 0, 1], 0, None]),
    ("sign(x)", [-2.0, 0.0, 2.0], [[-1, 0, 1], 0, None]),
    ("0*x", 3.0, [0, 0, None]),
    ("relu(x)", [-1.0, 0.0, -0.0, 2.0], [[0, 0, 0, 2], [0, 0, 0, 1], 0, 0, 0]),
    ("leaky_relu(x)", [-1.0, 0.0, 2.0], [[-0.2, 0, 2], [0.2, 0.2, 1], 0, None]),
    ("elu(x)", 0.0, [0, 1, 0, 0]),
    ("elu(x)", -1.0, [math.exp(-1) - 1, math.exp(-1), math.exp(-1), math.exp(-1)]),
    ("elu(x)", 3.0, [3, 1, 0, 0]),
    ("maximum(x, 0)", [-1.0, 0.0, 1.0], [[0, 0, 1], [0, 1, 1], None]),
    ("maximum(0, x)", [-1.0, 0.0, 1.0], [[0, 0, 1], [0, 0, 1], None]),
    ("minimum(x, 0)", [-1.0, 0.0, 1.0], [[-1, 0, 0], [1, 1, 0], None]),
    ("minimum(0, x)", [-1.0, 0.0, 1.0], [[-1, 0, 0], [1, 0, 0], None]),
    ("maximum(x, x)", 2.0, [2, 1, None]),
    ("maximum(x, x*x)", 1.0, [1, 1, 0, None]),
    ("max(x)", [1.0, 3.0, 3.0], [3, [0, 0.5, 0.5], None]),
    ("min(x)", [1.0, 1.0, 1.0, 1.0], [1, 0.25, None]),
    ("max(x, axis=1)", [[1.0, 1.0], [0.0, 2.0]], [[1, 2], [[0.5, 0.5], [0, 1]], None]),
    ("max(x, axis=0, keepdims=true)", [[1.0, 1.0], [1.0, 2.0]], [[[1, 2]], [[0.5, 0], [0.5, 1]], None]),
    ("max(x)^2", [3.0, 3.0], [9, 3, 1, 0]),
    ("clip(x, -1, 1)", [-2.0, -1.0, 0.0, 1.0, 1.5], [[-1, -1, 0, 1, 1], [0, 1, 1, 1, 0], None]),
    ("sort(x)", [2.0, 2.0, 1.0], [[1, 2, 2], 1, None]),
    ("x^5", 2.0, [32, 80, 160, 240, 240, 120, 0, 0]),
    ("x*x*x", 2.0, [8, 12, 12, 6, None]),
    ("square(x)", 3.0, [9, 6, 2, None]),
    ("floor(x)", 1.5, [1, None]),
    ("stop_gradient(x)", 1.5, [1.5, None]),
    ("x + 1", 1.5, [2.5, 1, None]),
]  # fmt: skip

ZEROS = [
    ("norm(x)", [0.0, 0.0], [0, 0, 0, 0]),
    ("norm(x, axis=1)", [[0.0, 0.0], [3.0, 4.0]], [[0, 5], [[0, 0], [0.6, 0.8]]]),
    ("norm(x)", 0.0, [0, 0, 0, 0]),
    ("std(x)", [2.0, 2.0, 2.0], [0, 0, 0, 0]),
    ("hypot(x, 0)", 0.0, [0, 0, 0, 0]),
    ("x^0", 0.0, [1, 0, 0, 0]),
    ("x^1", 0.0, [0, 1, 0, 0]),
    ("x^2", 0.0, [0, 0, 2, 0, 0]),
    ("x^3", 0.0, [0, 0, 0, 6, 0, 0]),
    ("x^3.0", -2.0, [-8, 12, -12, 6, 0, 0]),
    ("x^2.5", 0.0, [0, 0, 0]),
    ("x^[0.0, 1.0, 2.0, 3.0]", 0.0, [[1, 0, 0, 0], 1, 2, 6]),
    ("x^arange(4)", 0.0, [[1, 0, 0, 0], 1, 2, 6]),
    ("0^x", 2.0, [0, 0, 0, 0]),
    ("0^x", 0.5, [0, 0, 0, 0]),
    ("(-2)^x", 2.0, [4, 0, 0]),
    ("prod(x)", [0.0, 2.0, 3.0], [0, [6, 0, 0], [5, 3, 2], [2, 2, 2]]),
    ("prod(x)", [0.0, 2.0, 0.0, 3.0], [0, 0, [6, 0, 6, 0], [10, 6, 10, 4], 6]),
    ("prod(x, axis=0)", [[0.0, 2.0], [3.0, 0.0]], [0, [[3, 0], [0, 2]], 1, 0]),
    ("cumprod(x)", [0.0, 2.0, 0.0, 3.0], [0, [3, 0, 0, 0], [9, 1, 8, 0], [12, 8, 12, 4], 6]),
    ("cumprod(x, reverse=true)", [3.0, 0.0], [0, [0, 4], 1, 0]),
    ("cumprod(x, exclusive=true)", [0.0, 5.0], [[1, 0], [1, 0], 0]),
    ("xlogy(x, 2.0)", 0.0, [0, 0, None]),  # TensorFlow's answer, where the limit would be log(2)
    ("xlogy(0, x)", 0.0, [0, 0, 0, 0]),
    ("divide_no_nan(x, 0.0)", 3.0, [0, 0, None]),
    ("divide_no_nan(3.0, x)", 0.0, [0, 0, 0, 0]),
    ("sqrt(x)", 0.0, [0, inf, -inf]),
    ("log(x)", 0.0, [-inf, inf, -inf, inf]),
    ("1/x", 0.0, [inf, -inf, inf]),
    ("1/x", -0.0, [-inf, -inf, -inf]),
    ("det(x)", [[1.0, 2.0], [2.0, 4.0]], [0, [[4, -2], [-2, 1]]]),
    ("det(x)", [[0.0, 0.0], [0.0, 0.0]], [0, 0]),
    ("det(x)", [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 1.0, 1.0]], [0, [[-2, 4, -2], [1, -2, 1], [0, 0, 0]]]),
]  # fmt: skip

EXTREMES = [
    ("softplus(x)", [-1000.0, 1000.0], [[0, 1000], [0, 1], 0, 0]),
    ("sigmoid(x)", [-1000.0, 1000.0], [[0, 1], 0, 0, 0]),
    ("silu(x)", [-1000.0, 1000.0], [[0, 1000], [0, 1], 0, 0]),
    ("gelu(x)", [-1000.0, 1000.0], [[0, 1000], [0, 1], 0, 0]),
    ("elu(x)", [-1000.0, 1000.0], [[-1, 1000], [0, 1], 0, 0]),
    ("tanh(x)", [-1000.0, 1000.0], [[-1, 1], 0, 0, 0]),
    ("erf(x)", [-1000.0, 1000.0], [[-1, 1], 0, 0, 0]),
    ("logsumexp(x)", [-1000.0, 1000.0], [1000, [0, 1], 0, 0]),
    ("logsumexp(x)", [1000.0, 1000.0], [1000 + math.log(2), 0.5, 0, 0]),
    ("logsumexp(x)", [-1e17, -1e17], [-1e17, 0.5, 0, 0]),
    ("logsumexp(x)", [-inf, 1.0], [1, [0, 1], 0, 0]),
    ("logsumexp(x, axis=1)", [[1000.0, 0.0], [-1000.0, -1000.0]], [[1000, math.log(2) - 1000], [[1, 0], [0.5, 0.5]], 0, 0]),
    ("softmax(x)", [-1000.0, 1000.0], [[0, 1], 0, 0, 0]),
    ("log_softmax(x)", [-1000.0, 1000.0], [[-2000, 0], [1, -1], 0, 0]),
    ("log_softmax(x)[0]", [-1000.0, 1000.0], [-2000, [1, -1], 0, 0]),
    ("softmax_cross_entropy([1, 0], x)", [-1000.0, 1000.0], [2000, [-1, 1], 0, 0]),
    ("norm(x)", [3e200, 4e200], [5e200, [0.6, 0.8], 0]),
    ("norm(x)", [3e-200, 4e-200], [0, [0.6, 0.8]]),
    ("hypot(x, 4e200)", 3e200, [5e200, 0.6, 0]),
    ("logdet(x)", [[1e-200, 0.0], [0.0, 1e-200]], [-400 * math.log(10), [[1e200, 0], [0, 1e200]]]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "x", "expected"), KINKS)
def test_kinks_and_ties_follow_tensorflow(expression, x, expected):
    assert_derivatives(expression, x, expected)


@pytest.mark.parametrize(("expression", "x", "expected"), ZEROS)
def test_zeros_among_the_inputs(expression, x, expected):
    assert_derivatives(expression, x, expected)


@pytest.mark.parametrize(("expression", "x", "expected"), EXTREMES)
def test_stable_forms_and_their_derivatives_are_finite(expression, x, expected):
    assert_derivatives(expression, x, expected)


def test_ties_of_two_variables_go_to_the_first():
    program = gradcli.loads("variable a = [1.0, 1.0, 2.0]; variable b = 1.0; y = maximum(a, b); z = minimum(b, a)")
    assert program.grad(["y"])["a"].tolist() == [1, 1, 1]
    assert program.grad(["y"])["b"] == 0
    assert program.grad(["z"])["a"].tolist() == [0, 0, 0]
    assert program.grad(["z"])["b"] == 3


def test_the_bounds_of_clip_receive_what_the_value_does_not():
    program = gradcli.loads(
        "variable x = [-2.0, -1.0, 0.5, 2.0]; variable lo = -1.0; variable hi = 1.0; y = clip(x, lo, hi)"
    )
    gradients = program.grad()
    assert gradients["x"].tolist() == [0, 1, 1, 0]
    assert (gradients["lo"], gradients["hi"]) == (1, 1)


@pytest.mark.parametrize("x", [-40.0, -5.0, 0.0, 5.0, 40.0])
def test_sigmoids_keep_their_digits(x):
    s, c = scipy.special.expit(x), scipy.special.expit(-x)
    assert_derivatives("softplus(x)", x, [np.logaddexp(0, x), s, s * c, s * c * (c - s)], 1e-13)
    (got,) = derivatives("softplus(x)", -40.0, 0)
    assert got == pytest.approx(math.exp(-40), rel=1e-14)


@pytest.mark.parametrize(
    ("expression", "x"),
    [
        ("log(x)", -1.0), ("log2(x)", -1.0), ("log10(x)", -1.0), ("log1p(x)", -2.0), ("sqrt(x)", -1.0),
        ("rsqrt(x)", -1.0), ("acosh(x)", 0.5), ("acosh(x)", -2.0), ("atanh(x)", 2.0), ("atanh(x)", -2.0),
        ("asin(x)", 1.5), ("acos(x)", -1.5), ("x^0.5", -1.0), ("xlogy(2, x)", -1.0), ("log(x)*0", -1.0),
        ("logdet(x)", [[0.0, 1.0], [1.0, 0.0]]), ("log(x)", nan), ("exp(x)", nan), ("tanh(x)", nan),
        ("norm(x)", nan), ("relu(log(x))*log(x)", -1.0), ("softplus(x)", nan), ("0*log(x)", 0.0),
        ("0*log(x)", -1.0), ("x*0*log(0*x)", 1.0),
    ],
)  # fmt: skip
def test_outside_the_domain_value_and_gradient_are_nan(expression, x):
    value, first, second = derivatives(expression, x, 2)
    assert np.isnan(value).all()
    assert np.isnan(first).all()
    assert np.isnan(second).all()


# the strong zero

STRONG_ZERO = [
    # the examples of the specification
    ("where(x > 0, sqrt(x), x)", -1.0, [-1, 1, 0, 0]),
    ("where(x == 0, 1, 1/x)", 0.0, [1, 0, 0, 0]),
    ("where(x > 0, log(x), 0)", -1.0, [0, 0, 0, 0]),
    ("where(x > 0, log(x), 0)", 0.0, [0, 0, 0, 0]),
    ("where(x > 0, log(x), 0)", 2.0, [math.log(2), 0.5, -0.25, 0.25]),
    ("minimum(1/x, 5)", 0.0, [5, 0, 0, 0]),
    ("minimum(1/x, 5)", 4.0, [0.25, -0.0625, 0.03125, -0.0234375]),
    ("relu(log(x))", 0.5, [0, 0, 0, 0]),
    ("relu(log(x))", 0.0, [0, 0, 0, 0]),
    ("relu(log(x))", 2.0, [math.log(2), 0.5, -0.25, 0.25]),
    # every operation that selects
    ("maximum(log(x), 0)", 0.0, [0, 0, 0, 0]),
    ("maximum(0, log(x))", 0.0, [0, 0, 0, 0]),
    ("clip(1/x, -3, 5)", 0.0, [5, 0, 0, 0]),
    ("clip(log(x), -1, 1)", 0.0, [-1, 0, 0, 0]),
    ("min([1/x, 3])", 0.0, [3, 0, 0, 0]),
    ("max([log(x), 3])", 0.0, [3, 0, 0, 0]),
    ("max(log(x))", [0.0, 2.0], [math.log(2), [0, 0.5], [0, -0.25], [0, 0.25]]),
    ("elu(log(x))", 2.0, [math.log(2), 0.5, -0.25, 0.25]),
    # arrays in which branches mix
    ("where(x > 0, sqrt(x), x)", [-1.0, 4.0, 0.0], [[-1, 2, 0], [1, 0.25, 1], [0, -0.03125, 0], [0, 3 / 256, 0]]),
    ("where(x > 0, log(x), x*x)", [-1.0, 4.0, 0.0], [[1, math.log(4), 0], [-2, 0.25, 0], [2, -0.0625, 2], [0, 0.03125, 0]]),
    ("where(x > 0, x*log(x), 0)", [-1.0, 1.0, 0.0], [0, [0, 1, 0], [0, 1, 0], [0, -1, 0]]),
    ("where(x > 0, x^1.5, x*x)", [-1.0, 4.0, 0.0], [[1, 8, 0], [-2, 3, 0], [2, 0.375, 2], [0, -0.046875, 0]]),
    ("where(x < 0, x, exp(1000*x))", [-1.0, 1.0], [[-1, inf], [1, inf], [0, inf]]),
    ("sum(where(x > 0, log(x), 1))", [-1.0, 4.0], [1 + math.log(4), [0, 0.25], [0, -0.0625], [0, 0.03125]]),
    ("[1.0, 2.0] @ where(x > 0, log(x), 1)", [-1.0, 1.0], [1, [0, 2], [0, -2], [0, 4]]),
    ("where(x > 0, 1/x, [[1.0], [2.0]])", [0.0, 2.0], [[[1, 0.5], [2, 0.5]], [0, -0.5], [0, 0.5], [0, -0.75]]),
    ("relu(1/x - 1)", [-1.0, 0.5, 0.0], [[0, 1, inf], [0, -4, -inf], [0, 16, inf]]),
    # a where inside a where, and a shared subexpression
    ("where(x > 0, where(x > 1, log(x), x), 0)", [-1.0, 0.0, 0.5, 2.0], [[0, 0, 0.5, math.log(2)], [0, 0, 1, 0.5], [0, 0, 0, -0.25]]),
    ("s = sqrt(x); where(x > 0, s, x) + where(x > 0, s*s, x)", [-1.0, 4.0], [[-2, 6], [2, 1.25], [0, -0.03125]]),
    ("s = log(x); where(x > 0, s, 0) * where(x > 0, s, 1)", [0.0, 1.0], [0, [0, 0], [0, 2], [0, -6]]),
    # selection, not values: a zero that is only a factor hides nothing, and a where at 0 loses nothing
    ("where(x > -1, sin(x)^2, 0)", 0.0, [0, 0, 2, 0]),
    ("where(x > -1, x*x*x, sqrt(x))", 0.0, [0, 0, 0, 6]),
    ("where(x > -1, x^3, 1/x)", 0.0, [0, 0, 0, 6]),
    # linear algebra of which nothing is selected, with singular matrices that have a value
    ("where(x[0, 0] > 5, logdet(x), sum(x*x))", [[1.0, 1.0], [1.0, 1.0]], [4, 2, 2, 0]),
    ("where(x[0, 0] > 5, det(x), sum(x*x))", [[1.0, 1.0], [1.0, 1.0]], [4, 2, 2, 0]),
    ("where(det(x) != 0, logdet(x), 0)", [[1.0, 1.0], [1.0, 1.0]], [0, 0, 0, 0]),
    ("where(det(x) != 0, logdet(x), 0)", [[[1.0, 1.0], [1.0, 1.0]], [[2.0, 0.0], [0.0, 4.0]]],
     [[0, math.log(8)], [np.zeros((2, 2)), [[0.5, 0], [0, 0.25]]], [np.zeros((2, 2)), [[-0.25, -0.125], [-0.125, -0.0625]]]]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "x", "expected"), STRONG_ZERO)
def test_what_is_not_selected_contributes_exactly_nothing(expression, x, expected):
    assert_derivatives(expression, x, expected)


@pytest.mark.parametrize("function", ["relu(a)", "leaky_relu(a)", "elu(a)", "maximum(a, 0)", "maximum(0, a)", "minimum(a, 1)",
                                      "minimum(1, a)", "clip(a, -1, 1)", "max([a, 1.0])", "min([1.0, a, 2.0])", "abs(a)"])  # fmt: skip
@pytest.mark.parametrize(("a", "x"), [("x", nan), ("log(x)", -1.0), ("x - x", inf)])
def test_where_a_value_is_nan_its_gradient_is(function, a, x):
    value, first = derivatives(function.replace("a)", f"{a})").replace("a,", f"{a},").replace("[a", f"[{a}"), x, 1)
    assert np.isnan(value) and np.isnan(first)


@pytest.mark.parametrize("name", ["max", "min"])
def test_nan_spreads_to_all_entries_of_an_extreme(name):
    (_, first) = derivatives(f"sum({name}(x, axis=1))", [[2.0, nan, 1.0], [3.0, 3.0, 3.0]], 1)
    assert np.isnan(first[0]).all()
    assert first[1] == pytest.approx([1 / 3] * 3)


ELEMENTWISE = [
    "sqrt(x)", "log(x)", "1/x", "x^-2", "x^0.5", "x^1.5", "exp(1000*x)", "rsqrt(x)", "cbrt(x)", "log1p(x)", "asin(x)",
    "acos(x)", "acosh(x)", "atanh(x)", "tan(x)", "sin(x)/x", "x*log(x)", "xlogy(x, x)", "divide_no_nan(1, x)",
    "hypot(x, x)", "atan2(x, x)", "softplus(1/x)", "sigmoid(1/x)", "tanh(1/x)", "erf(1/x)", "abs(1/x)", "square(1/x)",
    "relu(1/x)", "elu(1/x)", "leaky_relu(1/x)", "maximum(1/x, x)", "mod(1/x, 2)", "clip(1/x, -5, 5)", "x/(x*x)",
    "gelu(1/x)", "silu(1/x)", "x^x", "2^(1/x)", "sin(1/x)", "asinh(1/x)", "expm1(1/x)", "exp2(1/x)", "sinh(1/x)",
    "cosh(1000*x)", "log2(x)", "log10(x)", "where(x > 0, 1/x, x)", "identity(1/x)", "cast(1/x, float64)", "log(log(x))",
    "1/log(x)", "sqrt(1/x)", "atan(1/x)/x",
]  # fmt: skip

WHOLE = [
    "sum(1/x)*x", "mean(log(x))", "prod(1/x)*x", "max(1/x)*x", "min(log(x))*x", "var(1/x)", "std(1/x)", "norm(1/x)*x",
    "logsumexp(1/x)", "cumsum(1/x)", "cumprod(1/x)", "sort(1/x)", "softmax(1/x)", "log_softmax(log(x))",
    "softmax_cross_entropy(x, 1/x)", "mse(1/x, log(x))", "dot(log(x), 1/x)", "(1/x) @ x * x", "outer(1/x, x) @ x",
    "(1/(1/x)) @ square(1/x) * x", 'einsum("i,i->i", 1/x, log(x))', 'einsum("i,j,k->", 1/x, log(x), x)',
    "diag(1/x) @ x", "trace(outer(1/x, x))", "tril(outer(1/x, x)) @ log(x)", "triu(outer(1/x, x)) @ x", "diag(log(x)) @ (1/x)",
    "concat([1/x, x], 0)[:3]", "stack([1/x, log(x)])[0]", "[log(x[0]), 1/x[1], x[2]]", "gather(1/x, [0, 2, 1])",
    "tile(1/x, [2])[1:4]", "repeat(1/x, 2)[::2]", "reshape(1/x, [3, 1])[:, 0]", "transpose(outer(1/x, x)) @ x",
    "pad(1/x, [[1, 1]])[1:4]", "flip(1/x)", "roll(1/x, 1)", "(1/x)[::-1]", "broadcast_to(sum(1/x), [3])",
    "det(outer(log(x), x) + eye(3))", "logdet(outer(1/x, x) + 4*eye(3))", "solve(diag(x) + 4*eye(3), 1/x)",
    "solve(diag(1/(x + 0.1)), x)", "inv(diag(x + 4)) @ (1/x)", "inv(diag(1/(x + 0.1))) @ log(x)",
    "cholesky(diag(x + 4)) @ (1/x)", "cast(1/x, float64) @ x", "expand_dims(1/x, 0)[0]", "squeeze(1/x)",
    "identity(1/x) @ log(x)",
]  # fmt: skip

POINTS = ([-1.0, 0.0, 0.7], [0.6, -0.3, 0.0], [0.0, 0.0, 0.0])


@pytest.mark.slow
@pytest.mark.parametrize("expression", some(ELEMENTWISE))
def test_mixed_branches_have_the_derivatives_that_each_entry_has_alone(expression):
    for x in POINTS:
        mixed = derivatives(f"where(x > 0.4, {expression}, x^3)", x, 3)
        for i, entry in enumerate(x):
            alone = derivatives(expression if entry > 0.4 else "x^3", entry, 3)
            for order in (1, 2, 3):
                expected = 0 if alone[order] is None else alone[order]
                np.testing.assert_allclose(
                    mixed[order][i], expected, rtol=1e-9, atol=1e-12, err_msg=f"{x}, order {order}"
                )


@pytest.mark.slow
@pytest.mark.parametrize("expression", some([*ELEMENTWISE, *WHOLE]))
def test_an_array_of_which_nothing_is_selected_contributes_nothing(expression):
    for x in POINTS:
        _, *got = derivatives(f"where(x[0] > 5, {expression}, x^3)", x, 3)
        for ours, theirs in zip(got, (3 * np.square(x), 6 * np.array(x), [6, 6, 6]), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_a_singular_entry_counts_only_for_the_results_that_select_it():
    """Row 0 of the product is selected, row 1 is not: the NaN of row 1 stays out, that of row 0 does not."""
    text = "variable x = [[1.0, 2.0], [-1.0, 3.0]]; p = sqrt(x) @ [1.0, 1.0]; y = where([true, false], p, 0)"
    assert gradcli.loads(text).grad(["y"])["x"].tolist() == [[0.5, 0.5 / math.sqrt(2)], [0, 0]]
    swapped = text.replace("[true, false]", "[false, true]")
    assert np.isnan(gradcli.loads(swapped).grad(["y"])["x"]).tolist() == [[False, False], [True, False]]


def test_gradients_with_respect_to_nodes_inside_a_branch():
    program = gradcli.loads("variable x = [-1.0, 4.0]; s = sqrt(x); y = where(x > 0, s, x)")
    gradients = program.grad(["y"], ["s", "x"])
    assert gradients["s"].tolist() == [0, 1]
    assert gradients["x"].tolist() == [1, 0.25]


# integers


@pytest.mark.parametrize(
    ("expression", "dtype", "first"),
    [
        ("x*x", "int64", [2, 4, 8]), ("x*x*x", "int64", [3, 12, 48]), ("x^3", "int64", [3, 12, 48]),
        ("x^0", "int64", 0), ("x^-1", "float64", [-1, -0.25, -0.0625]), ("x^[0, 1, 2]", "int64", [0, 1, 8]),
        ("x^k", "int64", 1), ("x^arange(3)", "int64", [0, 1, 8]), ("square(x)", "int64", [2, 4, 8]),
        ("abs(x)", "int64", 1), ("x - 1", "int64", 1), ("sum(x)", "int64", 1), ("prod(x)", "int64", [8, 4, 2]),
        ("cumprod(x)", "int64", [11, 5, 2]), ("x @ x", "int64", [2, 4, 8]), ("where(x > 2, x, 2*x)", "int64", [2, 2, 1]),
        ("x/4", "float64", 0.25), ("x*0.5", "float64", 0.5), ("mean(x)", "float64", 1 / 3),
        ("max(x)", "float64", [0, 0, 1]), ("max([x, x])", "float64", [0, 0, 1]), ("sqrt(x)", "float64", [0.5, 0.125**0.5, 0.25]),
        ("minimum(x, 2.5)", "float64", [1, 1, 0]), ("var(x)", "float64", [-8 / 9, -2 / 9, 10 / 9]),
        ("2^x", "float64", [2 * math.log(2), 4 * math.log(2), 16 * math.log(2)]),
        ("x^x", "float64", [1, 4 * (math.log(2) + 1), 256 * (math.log(4) + 1)]),
        ("cast(x, float64)", "float64", 1), ("concat([x, [1.5]], 0)", "float64", 1),
    ],
)  # fmt: skip
def test_the_gradient_of_an_integer_has_the_dtype_of_the_computation(expression, dtype, first):
    for program, ours in (("float64", dtype), ("float32", dtype.replace("64", "32"))):
        text = f"dtype {program}; variable x = [1, 2, 4]; constant k = 1; y = {expression.replace('float64', program)}"
        g = gradcli.loads(text).grad(["y"])["x"]
        assert g.dtype == ours
        np.testing.assert_allclose(g, np.broadcast_to(first, 3), rtol=1e-6)


@pytest.mark.parametrize("expression", ["cast(x, int32)", "floor(x/2)", "argmax(x)", "x > 1", "cast(x, bool)"])
def test_no_gradient_passes_through_conversions_to_integers(expression):
    program = gradcli.loads(f"variable x = [1, 2, 4]; y = {expression}")
    assert program.grad(["y"])["x"] is None


def test_the_gradient_of_an_integer_is_as_in_the_notes():
    g = gradcli.loads("dtype float32; variable x = [[1, 2]]; y = matmul(x, [[2], [1]])").grad()["x"]
    assert g.dtype == "int32"
    assert g.tolist() == [[2, 1]]


def test_higher_orders_of_integers():
    program = gradcli.loads("variable x = 3; y = x*x*x")
    results = [program.grad(order=n)["x"] for n in range(1, 6)]
    assert results == [27, 18, 6, None, None]
    assert {g.dtype for g in results[:3]} == {np.dtype("int64")}


def test_the_gradient_of_a_float_has_the_dtype_of_its_x():
    program = gradcli.loads("variable a: float32 = 0.5; variable b = 2.0; variable n: int32 = 3; y = a*b*n")
    assert {name: (g.dtype.name, g) for name, g in program.grad().items()} == {
        "a": ("float32", 6), "b": ("float64", 1.5), "n": ("float64", 1)
    }  # fmt: skip


# the contract of tf.gradients

PARTIAL = "variable x = 3.0; y = x^2; z = y*x"


def test_totals_and_partials():
    program = gradcli.loads(PARTIAL)
    assert program.grad(["z"], ["x", "y"]) == {"x": 27, "y": 3}
    assert program.grad(["z"], ["x", "y"], stop=["y"]) == {"x": 9, "y": 3}
    assert program.grad(["z"], ["y", "x"]) == {"x": 27, "y": 3}


def test_totals_and_partials_in_the_language():
    text = PARTIAL + "; a, b = gradients(z, [x, y]); c, d = gradients(z, [x, y], stop_gradients=[y])"
    assert gradcli.loads(text).eval(["a", "b", "c", "d"]) == {"a": 27, "b": 3, "c": 9, "d": 3}


def test_a_stop_passes_nothing_on_at_any_order():
    program = gradcli.loads("variable x = 2.0; a = x*x; y = a*x")
    assert [program.grad(["y"], ["x"], n, stop=["a"])["x"] for n in (1, 2)] == [4, None]
    assert program.grad(["y"], ["a"], stop=["a"]) == {"a": 2}
    assert program.grad(["y"], ["x"], stop=["x"]) == {"x": 12}
    assert program.grad(["y"], ["x"], stop=["y"]) == {"x": None}


def test_repeated_xs_repeat():
    text = PARTIAL + "; a, b, c = gradients(z, [x, y, x])"
    assert gradcli.loads(text).eval(["a", "b", "c"]) == {"a": 27, "b": 3, "c": 27}


def test_y_as_x_gives_its_seed():
    program = gradcli.loads("variable x = [1.0, 2.0]; y = x*x; g = gradients(y, y); h = gradients(y, y, grad_ys=x)")
    assert program.grad(["y"], ["y"])["y"].tolist() == [1, 1]
    assert program.grad(["y"], ["y"], seeds={"y": [5, 6]})["y"].tolist() == [5, 6]
    assert program.eval(["g"])["g"].tolist() == [1, 1]
    assert program.eval(["h"])["h"].tolist() == [1, 2]


def test_a_y_that_leads_to_another_y_receives_from_it_too():
    program = gradcli.loads("variable x = 3.0; y = x^2; z = y*x")
    assert program.grad(["y", "z"], ["x", "y"]) == {"x": 33, "y": 4}


def test_two_operations_are_two_nodes_and_an_alias_is_one():
    program = gradcli.loads("variable x = 3.0; a = x*2; b = x*2; c = a; y = a*b")
    assert program.grad(["y"], ["a", "b", "c"]) == {"a": 6, "b": 6, "c": 6}


@pytest.mark.parametrize("policy", ["none", "zero", "error"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_unconnected_policies_at_every_order(policy, order):
    program = gradcli.loads("variable x = [1.0, 2.0]; variable w: float32[2] = 1.0; y = x*x")
    expected = {1: [2, 4], 2: [2, 2], 3: None}[order]
    if policy == "error":
        with pytest.raises(GradcliError, match=r"the gradient with respect to `[xw]`.* is None") as caught:
            program.grad(["y"], order=order, unconnected=policy)
        assert caught.value.kind == "ValueError"
        return
    got = program.grad(["y"], order=order, unconnected=policy)
    if policy == "none":
        assert got["w"] is None
        assert (got["x"] is None) if expected is None else (got["x"].tolist() == expected)
        return
    assert got["x"].tolist() == (expected or [0, 0])
    assert got["w"].tolist() == [0, 0]
    assert got["w"].dtype == "float32"


def test_zeros_for_a_pass_that_is_unconnected_are_a_constant_for_the_next():
    text = 'variable x = 2.0; y = 3*x; g = gradients(y, x); h = gradients(g, x, unconnected_gradients="zero"); k = gradients(h, x)'
    assert gradcli.loads(text).eval(["h", "k"]) == {"h": 0, "k": None}


@pytest.mark.parametrize("shape", [(1,), (1, 2), (2, 1), (3,)])
def test_a_head_gradient_of_another_shape_is_an_error(shape):
    program = gradcli.loads("variable x = [1.0, 2.0]; y = x*x")
    with pytest.raises(GradcliError, match="needs the shape of its y") as caught:
        program.grad(seeds={"y": np.ones(shape)})
    assert caught.value.kind == "ShapeError"
    with pytest.raises(GradcliError, match="needs the shape of its y") as caught:
        gradcli.loads(f"variable x = [1.0, 2.0]; y = x*x; g = gradients(y, x, grad_ys=ones({list(shape)}))")
    assert caught.value.kind == "ShapeError"
    assert caught.value.span.text == f"ones({list(shape)})"


def test_a_scalar_head_gradient_broadcasts_and_none_means_ones():
    program = gradcli.loads("variable x = [1.0, 2.0]; y = x*x; z = 3*x; g = gradients([y, z], x, grad_ys=[None, 2.0])")
    assert program.grad(["y"], seeds={"y": 10})["x"].tolist() == [20, 40]
    assert program.eval(["g"])["g"].tolist() == [8, 10]


def test_a_head_gradient_may_depend_on_x_and_is_differentiated_again():
    text = "variable x = 2.0; y = x*x; g = gradients(y, x, grad_ys=x); h = gradients(g, x)"
    assert gradcli.loads(text).eval(["g", "h"]) == {"g": 8, "h": 8}


def test_seeds_belong_to_the_first_pass():
    program = gradcli.loads("variable x = 2.0; y = x^3")
    assert [program.grad(order=n, seeds={"y": 10.0})["x"] for n in (1, 2, 3, 4)] == [120, 120, 60, 0]


def test_gathered_entries_add_up():
    program = gradcli.loads("variable x = [1.0, 2.0, 3.0]; y = gather(x, [0, 2, 0, 0]) * [1, 10, 100, 1000]")
    assert program.grad()["x"].tolist() == [1101, 0, 10]


@pytest.mark.slow
def test_a_chain_of_200_000_operations_differentiates():
    program = gradcli.loads("variable x = 0.5; def f(v) = -(v + 1.0); y = iterate(f, x, 100_000)")
    assert program.grad() == {"x": 1}


def test_a_long_iteration_differentiates_twice():
    program = gradcli.loads("variable x = 0.5; def f(v) = sin(v); y = iterate(f, x, 5000)")
    first, second = program.grad()["x"], program.grad(order=2)["x"]
    assert 0 < first < 1e-3
    assert np.isfinite(second)


def test_the_slope_of_a_reciprocal_does_not_underflow_before_the_result_does():
    program = gradcli.loads("variable x = 400.0\ny = log(exp(x))")
    assert program.grad(order=2)["x"] == pytest.approx(0.0, abs=1e-9)
    program = gradcli.loads("variable x = 1e200\ny = 1e300*(1.0/x)")
    assert program.grad()["x"] == pytest.approx(-1e-100)


def test_erf_without_scipy_is_scipys_to_4_units_in_the_last_place(monkeypatch):
    x = np.concatenate([np.linspace(-6, 6, 2001), [0.0, -0.0, 1e-300, 30.0, math.inf, -math.inf]])
    expected = scipy.special.erf(x)
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    erf = Special("erf", math.erf)
    value = erf(np, x)
    assert np.all(np.abs(value - expected) <= 4 * np.spacing(np.abs(expected)))
    assert np.isnan(erf(np, np.array([math.nan]))).all()
    assert erf(np, np.float32(0.5)).dtype == np.float32


def exact_det(a: list[list[int]]) -> Fraction:
    """By elimination in fractions."""
    rows, result = [[Fraction(int(v)) for v in row] for row in a], Fraction(1)
    while rows:
        pivot = next((row for row in rows if row[0]), None)
        if pivot is None:
            return Fraction(0)
        result *= pivot[0] * (-1) ** rows.index(pivot)
        rest = [row for row in rows if row is not pivot]
        rows = [[v - row[0] / pivot[0] * p for v, p in zip(row[1:], pivot[1:], strict=True)] for row in rest]
    return result


def exact_minor(a, rows, columns):
    """The derivative of det by the entries (rows[k], columns[k]): a minor with the sign of its place."""
    if len({*rows}) < len(rows) or len({*columns}) < len(columns):
        return Fraction(0)
    swaps = sum(x > y for order in (rows, columns) for k, x in enumerate(order) for y in order[k + 1 :])
    rest = [[v for j, v in enumerate(row) if j not in columns] for i, row in enumerate(a) if i not in rows]
    return (-1) ** (sum(rows) + sum(columns) + swaps) * exact_det(rest)


def of_rank(n, rank, seed=0):
    """An integer matrix."""
    rng = np.random.default_rng(seed)
    return rng.integers(-3, 4, (n, rank)) @ rng.integers(-3, 4, (rank, n)) if rank < n else rng.integers(-5, 6, (n, n))


RANKS = [
    (0, 0),
    (1, 0),
    (2, 1),
    (4, 4),
    (4, 3),
    (4, 2),
    (4, 1),
    (5, 3),
    (6, 5),
    (6, 2),
    (8, 8),
    (8, 7),
    (8, 5),
    (8, 1),
    (9, 0),
]


@pytest.mark.slow
@pytest.mark.parametrize(("n", "rank"), RANKS)
def test_derivatives_of_a_determinant_are_its_minors_at_every_rank(n, rank):
    a = of_rank(n, rank, seed=n)
    rng = np.random.default_rng(rank)
    program = gradcli.loads(
        f"variable a: [{n}, {n}]\ny = det(a)\ng = gradients(y, a)\nH = hessian(y, a)\nJ = jacobian(g, a)"
    )
    for dtype, tolerance in (("float64", 1e-14), ("float32", 1e-5)):
        found = program.with_values({"a": a.astype(float)}) if dtype == "float64" else gradcli.loads(
            program.source.text, dtype=dtype
        ).with_values({"a": a.astype(dtype)})  # fmt: skip
        values = found.eval(["g", "H", "J"])
        scale = max(1.0, float(np.linalg.norm(a, 2)) if n else 0) ** max(n - 1, 0)  # of the products that cancel
        for _ in range(12 if n else 0):
            (i, k), (j, m) = rng.integers(0, n, (2, 2)).tolist()
            first, second = exact_minor(a.tolist(), [i], [j]), exact_minor(a.tolist(), [i, k], [j, m])
            assert values["g"][i, j] == pytest.approx(float(first), abs=tolerance * scale)
            assert values["H"][i, j, k, m] == pytest.approx(float(second), abs=tolerance * scale)
            assert values["J"][i, j, k, m] == pytest.approx(float(second), abs=tolerance * scale)
        if n <= 6 and dtype == "float64":  # whole numbers all the way
            np.testing.assert_array_equal(values["H"], np.round(values["H"]))


@pytest.mark.slow
@pytest.mark.parametrize(("n", "rank"), [(1, 0), (2, 0), (3, 1), (4, 1), (4, 3), (5, 2), (8, 7), (8, 4)])
def test_derivatives_of_all_orders_along_a_line_are_those_of_a_polynomial(n, rank):
    """Of det(a + t b), whose coefficients come from n + 1 exact values; in a stack beside a regular matrix."""
    a, b, c = of_rank(n, rank, seed=1), of_rank(n, n, seed=2), of_rank(n, n, seed=3)
    points = [
        [[int(x + t * y) for x, y in zip(r, s, strict=True)] for r, s in zip(a, b, strict=True)] for t in range(n + 1)
    ]
    system = [[Fraction(t) ** k for k in range(n + 1)] for t in range(n + 1)]
    values = [exact_det(p) for p in points]
    whole = exact_det(system)
    coefficients = [
        exact_det([[*row[:k], v, *row[k + 1 :]] for row, v in zip(system, values, strict=True)]) / whole
        for k in range(n + 1)
    ]
    expected = [float(math.factorial(k) * coefficients[k]) if k <= n else 0.0 for k in range(6)]
    text = (
        f"variable t = 0.0\na = {a.tolist()}\nb = {b.tolist()}\nc = {c.tolist()}\ny = det(a + t*b)\n"
        "stacked = det(stack([c + t*b, a + t*b]))\nT = taylor(y, t, 5)\nS = taylor(stacked, t, 5)\n"
        'first = gradients(y, t)\nsecond = jvp(first, t, 1.0)\nthird = gradients(second, t, unconnected_gradients="zero")\n'
    )
    program = gradcli.loads(text)
    found = program.eval(["T", "S", "first", "second", "third"])
    scale = max(1.0, *map(abs, expected))
    np.testing.assert_allclose(found["T"], expected, rtol=1e-9, atol=1e-10 * scale)
    np.testing.assert_allclose(found["S"][:, 1], expected, rtol=1e-9, atol=1e-10 * scale)
    nested = [found["first"], found["second"], found["third"]]
    np.testing.assert_allclose(nested, expected[1:4], rtol=1e-9, atol=1e-10 * scale)
    for order in range(1, 6):
        value = program.grad(["y"], ["t"], order=order)["t"]
        assert value == pytest.approx(expected[order], rel=1e-9, abs=1e-10 * scale)


@pytest.mark.parametrize("n", [3, 5, 8])
@pytest.mark.parametrize("small", [0.0, 1e-300, 1e-12, 1e-3])
def test_a_determinant_near_singular_and_at_every_scale_of_rows_and_columns(n, small):
    """The derivatives of det(r a c) are those of det(a), multiplied, however large or small the entries of r and c."""
    a = of_rank(n, n - 1, seed=n) + small * np.eye(n)
    rows, columns = 2.0 ** np.linspace(-300 // n, 300 // n, n).round(), 2.0 ** (90 // n * np.arange(n))
    scaled = rows[:, None] * a * columns
    text = f"variable a: [{n}, {n}]\ny = det(a)\ng = gradients(y, a)\nH = hessian(y, a)\n"
    plain, moved = (gradcli.loads(text).eval(["g", "H"], {"a": x}) for x in (a, scaled))
    whole = np.prod(rows) * np.prod(columns)
    unit = rows[:, None] * columns / whole
    tolerance = 1e-9 * max(np.abs(plain["g"]).max(), np.abs(plain["H"]).max())
    np.testing.assert_allclose(moved["g"] * unit, plain["g"], rtol=1e-9, atol=tolerance)
    again = moved["H"] * unit[:, :, None, None] * (rows[:, None] * columns)
    np.testing.assert_allclose(again, plain["H"], rtol=1e-9, atol=tolerance)


@pytest.mark.parametrize("n", [2, 3])
def test_a_determinant_has_every_derivative_at_a_singular_matrix(n):
    """det is a polynomial: its n-th derivative along ones is that of det(A + t·1), and it ends after n."""
    a = np.outer(np.arange(1.0, n + 1), np.arange(2.0, n + 2))
    text = f"variable x = {a.tolist()}\ny = det(x)\nH = hessian(y, x)\n"
    program = gradcli.loads(text)
    regular = gradcli.loads(text.replace(str(a.tolist()), str((a + 0.5 * np.eye(n)).tolist())))
    step = 1e-4
    for at in np.ndindex(n, n):
        moved = [a.copy(), a.copy()]
        moved[0][at] += step
        moved[1][at] -= step
        high, low = (program.grad(["y"], values={"x": m})["x"] for m in moved)
        np.testing.assert_allclose(program.eval(["H"])["H"][at], (high - low) / (2 * step), atol=1e-6)
    assert np.isfinite(program.grad(["y"], order=4)["x"]).all()
    np.testing.assert_allclose(program.grad(["y"], order=n + 2)["x"], np.zeros((n, n)), atol=1e-9)
    inverse = np.linalg.inv(a + 0.5 * np.eye(n))
    expected = np.linalg.det(a + 0.5 * np.eye(n)) * (
        np.einsum("ji,lk->ijkl", inverse, inverse) - np.einsum("li,jk->ijkl", inverse, inverse)
    )
    np.testing.assert_allclose(regular.eval(["H"])["H"], expected, atol=1e-9)


@pytest.mark.parametrize(("y", "last"), [("xlogy(x, sign(x))", 2), ("xlogy(x*x, sign(x) + 2)", 3), ("x/sign(x)", 2)])
def test_a_factor_of_zeros_that_stay_connected_ends_in_none(y, last):
    orders = answers.gradients(gradcli.loads(f"variable x = 0.7\ny = {y}"), order=4, every_order=True).orders
    assert [gradients[0].connected for _, gradients in orders] == [n <= last for n in range(1, 5)]
