"""Values and slopes at every scale: each smooth operation of the table beside mpmath's 60 digits.

What holds: values, first and second derivatives are within 16 units in the last place, times 1 plus the condition number,
of exact arithmetic, wherever the exact number is a normal one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from statistics import NormalDist
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

import gradcli
from gradcli.execute.plan import Plan
from gradcli.execute.run import run
from gradcli.graph.node import Derivation
from gradcli.graph.operation import Elementwise, SameAs, Tangent
from gradcli.graph.ops import table
from gradcli.graph.ops.creation import make_leaf
from tests.graph.test_special_functions import REFERENCES, psi

ULPS = 16
DIGITS = 60
Real = Any
Exact = Callable[..., Real]


@pytest.fixture(autouse=True)
def digits() -> Iterator[None]:
    with mp.workdps(DIGITS):
        yield


# functions of one variable: the value and two derivatives


def _sech2(x: Real) -> Real:
    return 1 / mp.cosh(x) ** 2


def _sigmoid(x: Real) -> Real:
    return 1 / (1 + mp.exp(-x))


def _normal(x: Real) -> Real:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def _below(x: Real) -> Real:
    """The normal distribution function."""
    return mp.mpf(0) if x < -1000 else mp.mpf(1) if x > 1000 else mp.erfc(-x / mp.sqrt(2)) / 2


def _erfc(x: Real) -> Real:
    return mp.mpf(0) if x > 1000 else mp.mpf(2) if x < -1000 else mp.erfc(x)


def _erf(x: Real) -> Real:
    return mp.sign(x) if abs(x) > 1000 else mp.erf(x)


def _gauss(x: Real) -> Real:
    return 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)


def _log1p(x: Real) -> Real:
    return mp.log1p(x)


def _curved_sigmoid(x: Real) -> Real:
    """The second derivative of the logistic function."""
    return -mp.tanh(x / 2) * _sigmoid(x) * _sigmoid(-x)


def _slope_of_sigmoid(x: Real) -> Real:
    return _sigmoid(x) * _sigmoid(-x)


def _quantile(p: Real) -> Real:
    """The normal quantile, by Newton's method from both tails."""
    if not 0 < p < 1:
        raise ValueError
    return -_from_tail(p) if p < 0.5 else _from_tail(1 - p) if p > 0.5 else mpf(0)


def _from_tail(p: Real) -> Real:
    """The x > 0 above which the normal distribution has the probability p <= 1/2."""
    x = mpf(-NormalDist().inv_cdf(float(p)))
    for _ in range(9):
        step = (mp.erfc(x / mp.sqrt(2)) / 2 - p) / _normal(x)
        x += step / (1 + x * step / 2)
        if abs(step) < abs(x) * mpf(10) ** -28:
            break
    return x


def _from_quantile(half: Real) -> Real:
    """The inverse of erf at twice a number, small numbers with all their digits."""
    if abs(half) >= 0.5:
        raise ValueError
    if abs(half) > 1e-20:
        return _quantile(half + mpf(1) / 2) / mp.sqrt(2)
    return half * mp.sqrt(mp.pi) * (1 + mp.pi * half**2 / 3)


def _gamma_orders(shift: int) -> tuple[Exact, Exact, Exact]:
    """The gamma function of x + shift with its derivatives, which mpmath has no digits for where they vanish."""

    def at(x: Real) -> Real:
        x += shift
        if x < -400:
            raise ValueError
        return x

    def slope(x: Real) -> Real:
        return mp.gamma(at(x)) * psi(0, at(x))

    return (
        lambda x: mp.gamma(at(x)), slope, lambda x: mp.gamma(at(x)) * (psi(0, at(x)) ** 2 + psi(1, at(x))),
    )  # fmt: skip


def _bessel_j(n: int) -> Exact:
    def value(x: Real) -> Real:
        if abs(x) > 1e6:
            raise ValueError  # a unit in the last place of x is about a wave
        return mp.besselj(n, x)

    return value


def _moments(x: Real, *weights: int) -> Real:
    """A sum of integrals of t^m exp(-|x| t) over pi, t = 1 - cos(a) for a from 0 to pi."""
    total = mpf(0)
    for m, weight in enumerate(weights):
        if weight:
            half = mpf(1) / 2
            total += weight * 2**m * mp.rf(half, m) / mp.factorial(m) * mp.hyp1f1(m + half, m + 1, -2 * abs(x))
    return total


FUNCTIONS: dict[str, tuple[Exact, Exact, Exact]] = {
    "square": (lambda x: x * x, lambda x: 2 * x, lambda x: mpf(2)),
    "sqrt": (mp.sqrt, lambda x: 1 / (2 * mp.sqrt(x)), lambda x: -1 / (4 * x * mp.sqrt(x))),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), lambda x: -1 / (2 * x * mp.sqrt(x)), lambda x: 3 / (4 * x * x * mp.sqrt(x))),
    "cbrt": (
        lambda x: mp.sign(x) * mp.cbrt(abs(x)), lambda x: 1 / (3 * mp.cbrt(abs(x)) ** 2),
        lambda x: -2 / (9 * x * mp.cbrt(abs(x)) ** 2),
    ),
    "recip": (lambda x: 1 / x, lambda x: -1 / x**2, lambda x: 2 / x**3),
    "exp": (mp.exp, mp.exp, mp.exp),
    "expm1": (mp.expm1, mp.exp, mp.exp),
    "exp2": (lambda x: mpf(2) ** x, lambda x: mp.ln2 * mpf(2) ** x, lambda x: mp.ln2**2 * mpf(2) ** x),
    "log": (mp.log, lambda x: 1 / x, lambda x: -1 / x**2),
    "log1p": (_log1p, lambda x: 1 / (1 + x), lambda x: -1 / (1 + x) ** 2),
    "log2": (lambda x: mp.log(x, 2), lambda x: 1 / (x * mp.ln2), lambda x: -1 / (x**2 * mp.ln2)),
    "log10": (mp.log10, lambda x: 1 / (x * mp.ln10), lambda x: -1 / (x**2 * mp.ln10)),
    "sin": (mp.sin, mp.cos, lambda x: -mp.sin(x)),
    "cos": (mp.cos, lambda x: -mp.sin(x), lambda x: -mp.cos(x)),
    "tan": (mp.tan, lambda x: 1 + mp.tan(x) ** 2, lambda x: 2 * mp.tan(x) * (1 + mp.tan(x) ** 2)),
    "asin": (mp.asin, lambda x: 1 / mp.sqrt(1 - x * x), lambda x: x / mp.sqrt(1 - x * x) ** 3),
    "acos": (mp.acos, lambda x: -1 / mp.sqrt(1 - x * x), lambda x: -x / mp.sqrt(1 - x * x) ** 3),
    "atan": (mp.atan, lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
    "sinh": (mp.sinh, mp.cosh, mp.sinh),
    "cosh": (mp.cosh, mp.sinh, mp.cosh),
    "tanh": (mp.tanh, _sech2, lambda x: -2 * mp.tanh(x) * _sech2(x)),
    "asinh": (mp.asinh, lambda x: 1 / mp.sqrt(1 + x * x), lambda x: -x / mp.sqrt(1 + x * x) ** 3),
    "acosh": (mp.acosh, lambda x: 1 / mp.sqrt(x * x - 1), lambda x: -x / mp.sqrt(x * x - 1) ** 3),
    "atanh": (mp.atanh, lambda x: 1 / (1 - x * x), lambda x: 2 * x / (1 - x * x) ** 2),
    "erf": (_erf, _gauss, lambda x: -2 * x * _gauss(x)),
    "erfc": (_erfc, lambda x: -_gauss(x), lambda x: 2 * x * _gauss(x)),
    "sigmoid": (_sigmoid, _slope_of_sigmoid, _curved_sigmoid),
    "softplus": (lambda x: mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x)), _sigmoid, _slope_of_sigmoid),
    "log_sigmoid": (
        lambda x: -mp.log1p(mp.exp(-x)) if x > 0 else x - mp.log1p(mp.exp(x)), lambda x: _sigmoid(-x), lambda x: -_slope_of_sigmoid(x),
    ),
    "logit": (
        lambda x: mp.log(x) - mp.log1p(-x), lambda x: 1 / x / (1 - x), lambda x: (2 * x - 1) / (x * (1 - x)) ** 2,
    ),
    "log1mexp": (
        lambda x: mp.log(-mp.expm1(-x)) if x < 1 else mp.log1p(-mp.exp(-x)), lambda x: 1 / mp.expm1(x), lambda x: -mp.exp(-x) / mp.expm1(-x) ** 2,
    ),
    "silu": (
        lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) + x * _slope_of_sigmoid(x),
        lambda x: 2 * _slope_of_sigmoid(x) + x * _curved_sigmoid(x),
    ),
    "gelu": (lambda x: x * _below(x), lambda x: _below(x) + x * _normal(x), lambda x: (2 - x * x) * _normal(x)),
    "ndtr": (_below, _normal, lambda x: -x * _normal(x)),
    "ndtri": (_quantile, lambda x: 1 / _normal(_quantile(x)), lambda x: _quantile(x) / _normal(_quantile(x)) ** 2),
    "erfinv": (
        lambda x: _from_quantile(x / 2), lambda x: 1 / _gauss(_from_quantile(x / 2)),
        lambda x: 2 * _from_quantile(x / 2) / _gauss(_from_quantile(x / 2)) ** 2,
    ),
    "gamma": _gamma_orders(0),
    "factorial": _gamma_orders(1),
    "bessel_j0": (_bessel_j(0), lambda x: -_bessel_j(1)(x), lambda x: (_bessel_j(2)(x) - _bessel_j(0)(x)) / 2),
    "bessel_j1": (
        _bessel_j(1), lambda x: (_bessel_j(0)(x) - _bessel_j(2)(x)) / 2, lambda x: (_bessel_j(3)(x) - 3 * _bessel_j(1)(x)) / 4,
    ),
    "bessel_i0e": (lambda x: _moments(x, 1), lambda x: -mp.sign(x) * _moments(x, 0, 1), lambda x: _moments(x, 0, 0, 1)),
    "bessel_i1e": (
        lambda x: x / 2 * mp.exp(-2 * abs(x)) * mp.hyp1f1(mpf(3) / 2, 3, 2 * abs(x)), lambda x: -_moments(x, 0, 1, -1), lambda x: mp.sign(x) * _moments(x, 0, 0, 1, -1),
    ),
    "elu": (lambda x: x if x > 0 else mp.expm1(x), lambda x: mpf(1) if x > 0 else mp.exp(x), lambda x: mpf(0) if x > 0 else mp.exp(x)),
}  # fmt: skip

KINKED = {"abs", "relu", "leaky_relu", "mod", "clip"}
"""Linear on either side of a kink: tested as special values."""


FAMILIES = {"bessel_j", "bessel_ie"}
"""Functions of each order: tested below, and as those of the orders that have names."""


def test_every_smooth_function_of_one_variable_is_here() -> None:
    names = {
        name
        for name, op in table.items()
        if op.family == "elementwise" and not op.hidden and [p.name for p in op.parameters if p.one_tensor][:1] == ["x"]
        and (op.expand is not None or isinstance(op.rule, (Elementwise, SameAs)))
        and not (isinstance(op.rule, Elementwise) and all(p is None for p in op.rule.partials) and op.expand is None)
    }  # fmt: skip
    two = {name for name in names if "," in table[name].spec and ":" not in table[name].spec}
    here = set(FUNCTIONS) | {call.partition("(")[0] for call in REFERENCES}
    assert names - two - KINKED - FAMILIES == here, "a function of x wants its exact values: a line in FUNCTIONS here"


class Limits(NamedTuple):
    smallest: float
    largest: float
    unit: float


LIMITS = {
    name: Limits(float(np.finfo(name).smallest_normal), float(np.finfo(name).max), float(np.finfo(name).eps))
    for name in ("float32", "float64")
}


def grid(dtype: str, count: int = 60) -> np.ndarray[Any, Any]:
    """Both signs, from the smallest normal number to the largest by equal factors, and closer around 1."""
    low, high, _ = LIMITS[dtype]
    wide = np.exp(np.linspace(math.log(low) * (1 - 1e-12), math.log(high) * (1 - 1e-12), count))
    near = np.exp(np.linspace(math.log(1e-3), math.log(800.0), count))
    close = np.concatenate([1 - 2.0 ** -np.arange(2, 22, 3), 1 + 2.0 ** -np.arange(2, 22, 3)])
    points = np.sort(np.concatenate([wide, near, close])).astype(dtype)
    return np.concatenate([-points[::-1], points])


def condition(f: Exact, at: Sequence[Real]) -> Real:
    """How far a relative change of each argument moves a result, relatively; by differences in more digits."""
    value = f(*at)
    total = mpf(0)
    step = mpf(10) ** -25
    for k, x in enumerate(at):
        moved = [*at[:k], x * (1 + step), *at[k + 1 :]]
        total += abs((f(*moved) - value) / (step * value))
    return total


def error(got: float, exact: Real, f: Exact, at: Sequence[Real], dtype: str) -> float:
    """The error as a part of what is allowed; of results below the smallest normal number it is enough that they are."""
    low, high, unit = LIMITS[dtype]
    if not isinstance(exact, mpmath.mpf) or abs(exact) > high:
        return 0.0
    if abs(exact) < low:
        return 0.0 if abs(got) <= low * (1 + ULPS * unit) else math.inf
    if not math.isfinite(got):
        return math.inf
    return float(abs(mpf(got) - exact) / abs(exact) / unit / (1 + condition(f, at)) / ULPS)


def value_of(f: Exact, x: float) -> Real | None:
    """The value at a float, None at a pole."""
    try:
        return f(mpf(x))
    except (ZeroDivisionError, ValueError):
        return None


def worst(found: Sequence[tuple[float, Any, float, Real]]) -> str:
    top = sorted(found, key=lambda row: row[0], reverse=True)[:3]
    return "; ".join(
        f"{row[0]:.3g} of what is allowed at {row[1]}: {row[2]!r}, not {mp.nstr(row[3], 17)}" for row in top
    )


@pytest.mark.slow
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_one_variable(name: str, dtype: str) -> None:
    assert_accurate(f"{name}(x)", FUNCTIONS[name], dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize(
    ("expression", "same"),
    [
        ("softmax(stack([x, zeros_like(x)], axis=1))[:, 0]", "sigmoid"),
        ("softmax(stack([zeros_like(x), x]), axis=0)[1]", "sigmoid"),
        ("logsumexp(stack([x, zeros_like(x)]), axis=0)", "softplus"),
        ("-log_softmax(stack([x, zeros_like(x)], axis=1))[:, 1]", "softplus"),
        ("softmax_cross_entropy([0.0, 1.0]*ones([{n}, 1]), stack([x, zeros_like(x)], axis=1))", "softplus"),
    ],
)
def test_a_function_of_two_logits_of_which_one_is_0(expression: str, same: str, dtype: str) -> None:
    """Near 0 the second derivative of softmax is a small difference of its two weights."""
    assert_accurate(expression, FUNCTIONS[same], dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("order", [2, 5, 12])
def test_bessel_functions_of_higher_orders(order: int, dtype: str) -> None:
    """And derivatives of high orders of the scaled ones, of one sign as the integrals that they are."""
    points = grid(dtype, 30)
    points = points[np.abs(points) < 1e6]
    for call, exact in (
        (f"bessel_j({order}, x)", _bessel_j(order)),
        (f"bessel_ie(0, x, {order})", lambda x: (-mp.sign(x)) ** order * _moments(x, *[0] * order, 1)),
        (f"bessel_ie(1, x, {order})", lambda x: -((-mp.sign(x)) ** (order + 1)) * _moments(x, *[0] * order, 1, -1)),
    ):
        found = gradcli.loads(f"dtype {dtype}; variable x: [{points.size}]; y = {call}").eval(values={"x": points})["y"]
        rows = []
        for x, got in zip(points.tolist(), found.tolist(), strict=True):
            right = exact(mpf(x))
            rows.append((error(got, right, exact, [mpf(x)], dtype), x, got, right))
        assert all(row[0] <= 1 for row in rows), f"{call}: {worst(rows)}"


def assert_accurate(expression: str, function: tuple[Exact, ...], dtype: str) -> None:
    """The expression, of x entry by entry, is the function with its two derivatives."""
    points = grid(dtype)
    text = f"dtype {dtype}\nvariable x: [{points.size}]\ny = {expression}\ng = gradients(y, x)\nh = gradients(g, x)\n"
    found = gradcli.loads(text.replace("{n}", str(points.size))).eval(["y", "g", "h"], values={"x": points})
    inside = [isinstance(value_of(function[0], x), mpmath.mpf) for x in points.tolist()]
    for exact, key in zip(function, "ygh", strict=True):
        rows: list[tuple[float, Any, float, Real]] = []
        for x, got, real in zip(points.tolist(), found[key].tolist(), inside, strict=True):
            right = value_of(exact, x) if real else None
            if right is not None:
                rows.append((error(got, right, exact, [mpf(x)], dtype), x, got, right))
        assert all(row[0] <= 1 for row in rows), f"{key}: {worst(rows)}"
        assert sum(row[3] != 0 for row in rows) > 60


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_single_numbers_are_as_exact_as_arrays(name: str) -> None:
    """Values of scalar programs are computed in another way."""
    for x in (-745.0, -30.0, -1e-9, 1e-300, 0.75, 20.0, 1e154):
        values = gradcli.loads(f"variable x = {x!r}\ny = {name}(x)\ng = gradients(y, x)\nh = gradients(g, x)").eval()
        if not isinstance(value_of(FUNCTIONS[name][0], x), mpmath.mpf):
            continue
        for exact, key in zip(FUNCTIONS[name], "ygh", strict=True):
            right = value_of(exact, x)
            if right is None:
                continue
            row = (error(float(values[key]), right, exact, [mpf(x)], "float64"), x, float(values[key]), right)
            assert row[0] <= 1, f"{key}: {worst([row])}"


# functions of two variables


def _scaled(*powers: tuple[int, int]) -> Exact:
    return lambda a, b: mp.fsum(a**i * b**j for i, j in powers)


def _angle(n: int) -> tuple[Exact, ...]:
    r2: Exact = lambda a, b: a * a + b * b  # noqa: E731
    return (
        mp.atan2, lambda a, b: b / r2(a, b), lambda a, b: -a / r2(a, b), lambda a, b: -2 * a * b / r2(a, b) ** 2,
        lambda a, b: (a * a - b * b) / r2(a, b) ** 2, lambda a, b: 2 * a * b / r2(a, b) ** 2,
    )[:n]  # fmt: skip


PAIRS: dict[str, tuple[Exact, ...]] = {
    "atan2(a, b)": _angle(6),
    "hypot(a, b)": (
        mp.hypot, lambda a, b: a / mp.hypot(a, b), lambda a, b: b / mp.hypot(a, b), lambda a, b: b * b / mp.hypot(a, b) ** 3,
        lambda a, b: -a * b / mp.hypot(a, b) ** 3, lambda a, b: a * a / mp.hypot(a, b) ** 3,
    ),
    "a*b": (lambda a, b: a * b, lambda a, b: b, lambda a, b: a, lambda a, b: mpf(0), lambda a, b: mpf(1), lambda a, b: mpf(0)),
    "a/b": (
        lambda a, b: a / b, lambda a, b: 1 / b, lambda a, b: -a / b**2, lambda a, b: mpf(0), lambda a, b: -1 / b**2,
        lambda a, b: 2 * a / b**3,
    ),
    "divide_no_nan(a, b)": (
        lambda a, b: a / b, lambda a, b: 1 / b, lambda a, b: -a / b**2, lambda a, b: mpf(0), lambda a, b: -1 / b**2,
        lambda a, b: 2 * a / b**3,
    ),
    "xlogy(a, b)": (
        lambda a, b: a * mp.log(b), lambda a, b: mp.log(b), lambda a, b: a / b, lambda a, b: mpf(0), lambda a, b: 1 / b,
        lambda a, b: -a / b**2,
    ),
    "abs(a)^b": (
        lambda a, b: abs(a) ** b, lambda a, b: b * abs(a) ** b / a, lambda a, b: abs(a) ** b * mp.log(abs(a)),
        lambda a, b: b * (b - 1) * abs(a) ** b / a**2, lambda a, b: abs(a) ** b / a * (1 + b * mp.log(abs(a))),
        lambda a, b: abs(a) ** b * mp.log(abs(a)) ** 2,
    ),
}  # fmt: skip
NAMES = ("y", "ga", "gb", "haa", "hab", "hbb")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("expression", PAIRS)
def test_a_function_of_two_variables(expression: str, dtype: str) -> None:
    low, high, _ = LIMITS[dtype]
    scales = np.exp(np.linspace(math.log(low) * 0.999, math.log(high) * 0.999, 13))
    if "^" in expression:
        scales = np.exp(np.linspace(-9, 9, 9))
    one = np.concatenate([-1.3 * scales[:-1], scales]).astype(dtype)
    pairs = [(x, y) for x, y in product(one.tolist(), one.tolist()) if y > 0 or "log" not in expression]
    pairs += [(float(np.array(s * p, dtype)), float(np.array(s * q, dtype))) for s in scales[1:-1] for p, q in ((3, 4), (1, 1e-3), (1e-3, 1), (1, 1))]  # fmt: skip
    a, b = np.array(pairs, dtype=dtype).T
    text = (
        f"dtype {dtype}\nvariable a: [{a.size}]\nvariable b: [{a.size}]\ny = {expression}\nga, gb = gradients(y, [a, b])\n"
        + 'haa, hab = gradients(ga, [a, b], unconnected_gradients="zero")\n'
        + 'hbb = gradients(gb, b, unconnected_gradients="zero")\n'
    )
    found = gradcli.loads(text).eval(NAMES, values={"a": a, "b": b})
    for exact, key in zip(PAIRS[expression], NAMES, strict=True):
        rows: list[tuple[float, Any, float, Real]] = []
        for x, y, got in zip(a.tolist(), b.tolist(), found[key].tolist(), strict=True):
            right = exact(mpf(x), mpf(y))
            rows.append((error(got, right, exact, [mpf(x), mpf(y)], dtype), (x, y), got, right))
        assert all(row[0] <= 1 for row in rows), f"{key}: {worst(rows)}"


# functions of vectors: value, gradient and Hessian


def _norm(*x: Real) -> Real:
    return mp.sqrt(mp.fsum(v * v for v in x))


def _total(x: Sequence[Real]) -> Real:
    top = max(x)
    return top + mp.log(mp.fsum(mp.exp(v - top) for v in x))


def _weight(i: int, *x: Real) -> Real:
    return mp.exp(x[i] - _total(x))


def _others(i: int, *x: Real) -> Real:
    """1 - weight, without its cancellation."""
    return mp.fsum(_weight(j, *x) for j in range(len(x)) if j != i)


def _curvature_of_sum(i: int, j: int, *x: Real) -> Real:
    return _weight(i, *x) * _others(i, *x) if i == j else -_weight(i, *x) * _weight(j, *x)


def _curvature_of_norm(i: int, j: int, *x: Real) -> Real:
    r = _norm(*x)
    if i != j:
        return -x[i] * x[j] / r**3
    return mp.fsum(v * v for k, v in enumerate(x) if k != i) / r**3


VECTORS: dict[str, tuple[Exact, Exact, Exact]] = {
    "norm(x)": (_norm, lambda i, *x: x[i] / _norm(*x), _curvature_of_norm),
    "logsumexp(x)": (lambda *x: _total(x), _weight, _curvature_of_sum),
    "log_softmax(x)[0]": (
        lambda *x: x[0] - _total(x) if x[0] < max(x) else -mp.log1p(mp.fsum(mp.exp(v - x[0]) for v in x[1:])),
        lambda i, *x: _others(0, *x) if i == 0 else -_weight(i, *x), lambda i, j, *x: -_curvature_of_sum(i, j, *x),
    ),
    "softmax_cross_entropy([1.0, 0.0, 0.0], x)": (
        lambda *x: _total(x) - x[0] if x[0] < max(x) else mp.log1p(mp.fsum(mp.exp(v - x[0]) for v in x[1:])),
        lambda i, *x: -_others(0, *x) if i == 0 else _weight(i, *x), _curvature_of_sum,
    ),
    "softmax(x)[0]": (
        lambda *x: _weight(0, *x), lambda i, *x: _curvature_of_sum(0, i, *x),
        lambda i, j, *x: _curvature_of_softmax(i, j, *x),
    ),
}  # fmt: skip


def _curvature_of_softmax(i: int, j: int, *x: Real) -> Real:
    p = [_weight(k, *x) for k in range(3)]
    if i == j == 0:
        return p[0] * _others(0, *x) * (_others(0, *x) - p[0])
    if i == 0 or j == 0:
        k = i or j
        return -p[0] * p[k] * (_others(0, *x) - p[0])
    return p[0] * p[i] * (2 * p[j]) - (p[0] * p[i] if i == j else 0)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("expression", VECTORS)
def test_a_function_of_a_vector(expression: str, dtype: str) -> None:
    low, high, _ = LIMITS[dtype]
    if expression == "norm(x)":
        scales = np.exp(np.linspace(math.log(low) * 0.97, math.log(high) * 0.97, 15))
        points = [s * np.array(v) for s in scales for v in ((3.0, 4.0, 12.0), (1.0, 1e-4, 1e-6), (-1e-3, 1.0, 0.5))]
    else:
        spreads = (0.0, 0.3, 1.0, 5.0, 17.0, 37.0, 80.0)
        points = [np.array((s, 0.0, -1.0)) for s in spreads] + [np.array((-s, 0.0, 0.5)) for s in spreads]
        points += [np.array((s, s, -s)) + 3.0 for s in spreads]
    points = [p.astype(dtype) for p in points]
    program = gradcli.loads(
        f"dtype {dtype}\nvariable x: [3]\ny = {expression}\ng = gradients(y, x)\nh = jacobian(g, x)\nk = hessian(y, x)"
    )
    value, slope, curvature = VECTORS[expression]
    for point in points:
        found = program.eval(["y", "g", "h", "k"], values={"x": point})
        at = [mpf(v) for v in point.tolist()]
        rows = [(error(float(found["y"]), value(*at), value, at, dtype), "y", float(found["y"]), value(*at))]
        for i in range(3):
            exact: Exact = lambda *x, i=i: slope(i, *x)  # noqa: E731
            got = float(found["g"][i])
            rows.append((error(got, exact(*at), exact, at, dtype), f"g[{i}]", got, exact(*at)))
            for j in range(3):
                exact = lambda *x, i=i, j=j: curvature(i, j, *x)  # noqa: E731
                for key in "hk":
                    got = float(found[key][i, j])
                    rows.append((error(got, exact(*at), exact, at, dtype), f"{key}[{i}, {j}]", got, exact(*at)))
        assert all(row[0] <= 1 for row in rows), f"{point}: {worst(rows)}"


def test_the_test_sees_a_slope_that_is_computed_from_a_rounded_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table["tanh"], "rule", Elementwise((lambda y, x: 1 - y * y,)))
    with pytest.raises(AssertionError, match="of what is allowed"):
        test_a_function_of_one_variable("tanh", "float64")


def test_every_operation_with_a_tangent_rule_along_axes_is_a_vector_function_here() -> None:
    names = {n for n, op in table.items() if isinstance(op.rule, Tangent) and op.family in ("reductions", "networks")}
    assert {n for n in names if not table[n].hidden} == {"norm", "logsumexp", "softmax", "log_softmax"}


BASES = {"tanh_slope": "tanh", "asinh_slope": "asinh", "acosh_slope": "acosh", "sigmoid_turn": "sigmoid",
         "sigmoid_slope": "sigmoid", "expm1_slope": "elu", "exp2_slope": "exp2", "power_slope": "pow",
         "ndtri_slope": "ndtri"}  # fmt: skip
"""Slopes that are computed from the value y of a function as well as from its arguments."""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("op", [op for op in table.values() if op.written and op.kernel], ids=lambda op: op.name)
def test_the_words_of_an_operation_mean_it_at_every_scale(op, dtype):
    """What formulas write for an operation that only derivatives use: no part of it overflows or vanishes earlier."""
    largest = 300 if dtype == "float64" else 36
    sizes = [0.0, math.inf, math.nan]
    sizes += [m * 10.0**e for e in (-largest, -largest // 2, -9, -1, 0, 1, 3, largest // 2, largest) for m in (1, 1.7)]
    numbers = [sign * size for size in sizes for sign in (1, -1) if op.name != "expm1_slope" or sign < 0]
    count = len([p for p in op.parameters if p.kind == "tensor"]) - (op.name in BASES)
    grid = np.array(list(product(numbers, repeat=count)), dtype).T
    with Derivation().active():
        leaves = [make_leaf(f"x{i}", "variable", grid.shape[1:], dtype, True) for i in range(count)]
        y = op(table[BASES[op.name]](*leaves), *leaves) if op.name in BASES else op(*leaves)
        formula = op.written(y, *y.inputs)
    with np.errstate(all="ignore"):
        expected, found = run(
            Plan([y, formula]), dict(zip(leaves, grid, strict=True)), lambda node: (node.op.name, None)
        )
        near = np.abs(found - expected) <= 1e-4 * np.abs(expected) + np.finfo(dtype).tiny
    same = near | (found == expected) | (np.isnan(found) & np.isnan(expected))
    assert same.all(), list(zip(grid.T[~same], expected[~same], found[~same], strict=True))[:5]
