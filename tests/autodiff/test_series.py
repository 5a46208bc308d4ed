"""Taylor series: against nested reverse passes, exact arithmetic and TensorFlow's None pattern."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings

import gradcli
from gradcli.autodiff.degree import last_order
from gradcli.autodiff.orders import nested_gradient, nth_gradient
from gradcli.graph.node import Node, cone
from tests.random_programs import programs


def _nodes(text: str, y: str | None = None) -> tuple[gradcli.Program, Node, dict[str, Node]]:
    program = gradcli.loads(text)
    graph = program.graph
    named = {name: value for name, value in graph.names.items() if isinstance(value, Node)}
    return program, named[y or graph.definitions[-1]], named


def _value(program: gradcli.Program, node: Node | None) -> np.ndarray | None:
    return None if node is None else program.evaluate([node])[0]


def _series_and_nested(text: str, n: int, x: str = "x") -> tuple[np.ndarray | None, np.ndarray | None]:
    program, y, named = _nodes(text)
    with program.graph.derivation.active():
        both = nth_gradient([y], named[x], n), nested_gradient([y], named[x], n)
    return _value(program, both[0]), _value(program, both[1])


MATRIX = (
    "variable x = [[0.9, 0.2, 0.1], [0.3, 1.4, 0.2], [0.1, 0.5, 1.7]]\n"
    "constant w = [[0.2, 0.3, -1.0], [0.4, 0.5, 0.1], [0.1, -0.3, 0.6]]\n"
)

EXPRESSIONS = [
    "softmax(x@w)", "log_softmax(x@w)", "logsumexp(x@x)", "norm(x@x)", "inv(x)", "solve(x, w)", "solve(w, x@x)",
    "det(x)", "logdet(x)", "cholesky(x@x.T)", "prod(x)", "cumprod(x)", "max(x*x)", "sort(sin(x))", "std(x)",
    'einsum("ij,jk,kl->il", x, w, x)', "trace(x@x@x)", "hypot(x, w)", "atan2(x, w)", "maximum(x*x, x)",
    "clip(x*x, 0.2, 1.0)", "leaky_relu(x*x - 0.1)", "softplus(x@w)", "gelu(x)", "x^w", "x[0]*x[1]",
    "concat([x*x, sin(x)], 1)", "divide_no_nan(x, x*x + 1)", "abs(x - 0.5)^3.5", "xlogy(x, x)", "var(x)",
    "gather(x*x*x*x*x, [0, 0, 1])", "cumsum(x*x*x*x*x)", "where(x > 0.3, sqrt(x), x^x)", "tan(0.3*x)", "x^(-3)",
    "pad(x^5, [[1, 1], [0, 2]])", "mod(x*x*x*x*x, 0.3)", "elu(-x)*x", "x^0.5/(1 + x)", "flip(x^6)", "tril(x@x@x@x)",
    "eigvalsh(x)", "svdvals(x)", "expm(x)", "pinv(x)", "logabsdet(-x)", "orthonormal(x)", "erfinv(0.3*x)",
    "bessel_j(1, x)", "gammainc(1.5, x)", "lbeta(x, x*x)", "ndtri(0.4*x)", "mean(x^5, where=x > 0.25)",
    "acosh(1 + x)*atanh(0.3*x)", "softmax_cross_entropy(w*w, x@x)",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("n", [4, 5])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_series_is_what_nested_passes_give(expression: str, n: int) -> None:
    fast, slow = _series_and_nested(f"{MATRIX}y = {expression}", n)
    assert (fast is None) == (slow is None)
    if fast is not None:
        assert slow is not None
        np.testing.assert_allclose(fast, slow, rtol=1e-8, atol=1e-9)


X = mpmath.mpf("0.3")
EXACT = {
    "tan(x)": mpmath.tan,
    "asin(x)": mpmath.asin,
    "erf(x)": mpmath.erf,
    "x^x": lambda x: x**x,
    "x^2.5": lambda x: x ** mpmath.mpf("2.5"),
    "log(x)/x": lambda x: mpmath.log(x) / x,
    "sigmoid(3*x)*cos(x)": lambda x: mpmath.cos(x) / (1 + mpmath.exp(-3 * x)),
    "1/(1 + x^2)": lambda x: 1 / (1 + x**2),
    "tanh(2*x + sin(x*x))": lambda x: mpmath.tanh(2 * x + mpmath.sin(x * x)),
}


@pytest.mark.parametrize("form", ["variable x = 0.3\n", "variable x = [0.3, 0.3]\n"])
@pytest.mark.parametrize("expression", EXACT)
def test_order_20_is_exact_to_1e_7(expression: str, form: str) -> None:
    """A scalar x takes the last coefficient, an array the reverse pass over the last but one."""
    with mpmath.workdps(60):
        exact = float(mpmath.taylor(EXACT[expression], mpmath.mpf(0.3), 20)[20] * mpmath.factorial(20))
    value = gradcli.loads(f"{form}y = {expression}").grad(order=20)["x"]
    np.testing.assert_allclose(value, np.full(value.shape, exact), rtol=1e-7)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_values_and_none_pattern_are_those_of_nested_passes(text: str) -> None:
    program, y, named = _nodes(text)
    for name in ("v0", "v1"):
        x = named[name]
        limit = last_order([y], x)
        with program.graph.derivation.active():
            for n in (1, 2, 3, 4):
                slow = nested_gradient([y], x, n)
                assert (slow is not None) == (n <= limit), (name, n, limit)
                if slow is None or n < 4 or len(cone([slow])) > 4000:
                    continue
                fast, expected = _value(program, nth_gradient([y], x, n)), _value(program, slow)
                assert fast is not None and expected is not None
                scale = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
                np.testing.assert_allclose(fast, expected, rtol=1e-7, atol=1e-9 * scale)


def test_the_graph_of_order_n_grows_as_its_square() -> None:
    program, y, named = _nodes("variable x = [0.3, 0.4]\ny = tanh(2*x + sin(x*x))")
    with program.graph.derivation.active():
        sizes = {n: len(cone([nth_gradient([y], named["x"], n)])) for n in (10, 20, 40)}  # type: ignore[list-item]
    assert sizes[20] < 4.5 * sizes[10] and sizes[40] < 4.5 * sizes[20]
    assert sizes[20] < 2600


def test_a_two_layer_network_at_order_20_is_finite() -> None:
    text = (
        "constant X = random_normal([100, 10], seed=1)\nvariable W = 0.3*random_normal([10, 8], seed=2)\n"
        "variable V = 0.3*random_normal([8, 1], seed=3)\ny = sum(tanh(X @ W) @ V)"
    )
    result = gradcli.loads(text).grad(wrt=["W"], order=20)["W"]
    assert result is not None and result.shape == (10, 8) and np.isfinite(result).all()


def test_head_gradients_that_depend_on_x_belong_to_the_first_pass() -> None:
    text = "constant k = 1.5\ny = k^3\nseed y = k\n"
    program = gradcli.loads(text)
    # pass 1: k * 3k^2 = 3k^3; then 9k^2, 18k, 18, 0
    values = [program.grad(wrt=["k"], order=n)["k"] for n in (1, 2, 3, 4, 5)]
    np.testing.assert_allclose(values, [3 * 1.5**3, 9 * 1.5**2, 27, 18, 0], atol=1e-12)


def test_stops_hold_at_every_order() -> None:
    text = "variable x = 0.7\na = sin(x)\ny = a*x^6"
    expected = gradcli.loads("variable x = 0.7\nconstant a = 0.644217687237691\ny = a*x^6").grad(order=5)["x"]
    np.testing.assert_allclose(gradcli.loads(text).grad(order=5, stop=["a"])["x"], expected, rtol=1e-12)


def test_float32_does_not_overflow_before_the_result_does() -> None:
    value = gradcli.loads("dtype float32\nvariable x = 0.5\ny = sin(3*x)").grad(order=40)["x"]
    assert value is not None and value.dtype == np.float32
    assert value == pytest.approx(np.sin(1.5) * 3.0**40, rel=1e-3)


def test_strong_zero_holds_in_series() -> None:
    text = "variable x = [-1.0, 0.0, 2.0]\ny = where(x > 0, log(x), 3.0*x)"
    value = gradcli.loads(text).grad(order=5)["x"]
    np.testing.assert_allclose(value, [0, 0, 24 / 2**5], atol=1e-12)


def test_natural_powers_are_exact_at_zero() -> None:
    program = gradcli.loads("variable x = 0.0\ny = (x + x^2)^5")
    orders = [float(program.grad(order=n)["x"]) for n in range(4, 12)]  # type: ignore[arg-type]
    # x^5 (1 + x)^5 = x^5 + 5x^6 + 10x^7 + 10x^8 + 5x^9 + x^10
    from math import factorial

    expected = [0, *(factorial(k) * c for k, c in zip(range(5, 12), [1, 5, 10, 10, 5, 1, 0], strict=True))]
    np.testing.assert_allclose(orders, expected, rtol=1e-12)


def test_taylor_gives_the_derivatives_along_ones() -> None:
    program = gradcli.loads("variable x = 0.4\ny = exp(2*x)\nt = taylor(y, x, 6)")
    np.testing.assert_allclose(program.eval(["t"])["t"], [np.exp(0.8) * 2**k for k in range(7)], rtol=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_jvp_is_the_jacobian_times_the_direction_and_hvp_the_hessian(text: str) -> None:
    name = gradcli.loads(text).graph.definitions[-1]
    text += f"s = sum(sin({name}))\nconstant d = 0.37\n"
    for x in ("v0", "v1"):
        more = f"J = jacobian({name}, {x})\nt = jvp({name}, {x}, d)\nH = hessian(s, {x})\nh = hvp(s, {x}, d)\n"
        values = gradcli.loads(text + more).eval(["J", "t", "H", "h", x])
        rank = values[x].ndim
        direction = np.full(values[x].shape, 0.37)
        for matrix, vector in (("J", "t"), ("H", "h")):
            expected = np.tensordot(values[matrix], direction, axes=rank)
            scale = np.abs(expected).max(initial=1.0)
            np.testing.assert_allclose(values[vector], expected, rtol=1e-7, atol=1e-9 * scale)


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [("arange(6)", [0, 0, 0, 0, 24, 0]), ("[0, 4, 7, 5]", [0, 24, 0, 0]), ("[2.0, 4.0]", [0, 24])],
)
def test_arrays_of_natural_exponents_are_exact_at_zero(exponent: str, expected: list[float]) -> None:
    program = gradcli.loads(f"constant n = {exponent}\nvariable x = zeros([size(n)])\ny = x^{exponent}")
    np.testing.assert_allclose(program.grad(order=4)["x"], expected, atol=1e-12)


@pytest.mark.parametrize("exponent", ["inf", "nan", "-inf", "1e300", "-3", "2.5", "65", "1e6"])
def test_odd_exponents_give_numbers_not_errors(exponent: str) -> None:
    value = gradcli.loads(f"variable x = [0.0, 1.0, 2.0]\ny = x^({exponent})").grad(order=5)["x"]
    assert value is not None and value.shape == (3,)


def test_the_series_looks_through_entrywise_programs() -> None:
    """Where y is entrywise in x, the n-th coefficient is the answer, without a reverse pass."""
    text = "variable x = [0.3, 0.4, -0.2]\ny = tanh(2*x + sin(x*x))"
    program, y, named = _nodes(text)
    with program.graph.derivation.active():
        node = nth_gradient([y], named["x"], 12)
        assert node is not None
        size = len(cone([node]))
    each = [gradcli.loads(text.replace("[0.3, 0.4, -0.2]", v)).grad(order=12)["x"] for v in ("0.3", "0.4", "-0.2")]
    np.testing.assert_allclose(program.grad(order=12)["x"], each, rtol=1e-12)
    assert size < 260
    np.testing.assert_allclose(
        program.grad(order=12, seeds={"y": np.array([1.0, -2.0, 0.5])})["x"],
        np.array(each) * [1.0, -2.0, 0.5],
        rtol=1e-12,
    )


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        ("variable x = 3.0\ny = exp(x)", 200, np.exp(3.0)),
        ("variable x = [3.0, 3.0]\ny = exp(x)", 200, np.exp(3.0)),
        ("variable x = [3.0]\ny = sum(exp(x)*ones([4]))/4", 178, np.exp(3.0)),
        ("variable x = 100.0\ny = 1/x", 170, float(mpmath.factorial(170) / mpmath.mpf(100) ** 171)),
        ("dtype float32\nvariable x = 1000.0\ny = 1/x", 13, -float(mpmath.factorial(13) / mpmath.mpf(1000) ** 14)),
        ("dtype float32\nvariable x = 1.5\ny = exp(x)", 60, np.exp(1.5)),
        ("variable x = 2.0\ny = sin(x)", 400, np.sin(2.0)),
    ],
)
def test_high_orders_neither_underflow_nor_overflow(text: str, order: int, expected: float) -> None:
    value = gradcli.loads(text).grad(order=order)["x"]
    tolerance = 1e-3 if "float32" in text else 1e-9
    np.testing.assert_allclose(value, np.full(np.shape(value), expected), rtol=tolerance)


def test_the_gradient_of_a_high_derivative_is_the_next_one() -> None:
    program = gradcli.loads("variable x = 2.0\ny = sin(x)\nt = taylor(y, x, 171)\nl = t[-1]\ng = gradients(l, x)")
    np.testing.assert_allclose(program.eval(["l", "g"])["g"], np.sin(2.0), rtol=1e-9)
    program = gradcli.loads(
        "dtype float32\nvariable x = 2.0\ny = sin(x)\nt = taylor(y, x, 60)\nl = t[36]\ng = gradients(l, x)"
    )
    np.testing.assert_allclose(program.eval(["g"])["g"], np.cos(2.0), rtol=1e-3)


def test_small_orders_of_polynomials_are_exact() -> None:
    program = gradcli.loads("variable x = 2.0\ny = x^6")
    assert [float(program.grad(order=n)["x"]) for n in range(4, 9)] == [360 * 4, 720 * 2, 720, 0, 0]  # type: ignore[arg-type]
