"""The special functions and their first two derivatives against mpmath, at every scale and in both precisions."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest

import gradcli
from gradcli.graph.ops import special, table

DIGITS = 60


def erfc_orders(x: mp.mpf) -> list[mp.mpf]:
    if abs(x) > 1e6:
        return [mp.mpf(2 * (x < 0)), mp.mpf(0), mp.mpf(0), mp.mpf(0)]
    slope = -2 / mp.sqrt(mp.pi) * mp.exp(-x * x)
    return [mp.erfc(x), slope, -2 * x * slope, (4 * x * x - 2) * slope]


def erfcx_orders(x: mp.mpf) -> list[mp.mpf]:
    if x > 1e6:  # the asymptotic series
        terms = [mp.mpf(1), -1 / (2 * x * x), 3 / (4 * x**4), -15 / (8 * x**6)]
        powers = [-1, -3, -5, -7]
        result = []
        for n in range(4):
            signs = [mp.ff(p, n) for p in powers]
            result.append(sum(t * s for t, s in zip(terms, signs, strict=True)) / x ** (n + 1) / mp.sqrt(mp.pi))
        return result
    d = [mp.exp(x * x) * mp.erfc(x)]
    d.append(2 * x * d[0] - 2 / mp.sqrt(mp.pi))
    for n in (1, 2):
        d.append(2 * x * d[n] + 2 * n * d[n - 1])
    return d


def log_ndtr_orders(x: mp.mpf) -> list[mp.mpf]:
    if x < -1e6:
        return [-x * x / 2 - mp.log(-x * mp.sqrt(2 * mp.pi)) - 1 / (x * x), -x - 1 / x, -1 + 1 / x**2, -2 / x**3]
    if x > 1e6:
        return [mp.mpf(0)] * 4
    value = mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2) if x > 0 else mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)
    h = mp.exp(-x * x / 2 - value) / mp.sqrt(2 * mp.pi)
    second = -h * (x + h)
    return [value, h, second, -second * (x + h) - h * (1 + second)]


def log_cosh_orders(x: mp.mpf) -> list[mp.mpf]:
    e = mp.exp(-2 * min(abs(x), mp.mpf(10) ** 6))
    value = abs(x) + mp.log1p(e) - mp.log(2) if abs(x) > 1 else mp.log1p(mp.sinh(x) ** 2) / 2
    second = 4 * e / (1 + e) ** 2
    return [value, mp.tanh(x), second, -2 * mp.tanh(x) * second]


def sinc_orders(x: mp.mpf) -> list[mp.mpf]:
    """The n-th derivative of sin(u)/u is the sum of (-1)^k u^(2k-n) / ((2k-n)! (2k+1))."""
    u = mp.pi * x
    if abs(u) < 1:
        series = [
            sum((-1) ** k * u ** (2 * k - n) / mp.factorial(2 * k - n) / (2 * k + 1) for k in range((n + 1) // 2, 30))
            for n in range(4)
        ]
    else:
        series = [mp.sin(u) / u]
        for n in (1, 2, 3):
            series.append((mp.sin(u + n * mp.pi / 2) - n * series[-1]) / u)
    return [mp.pi**n * d for n, d in enumerate(series)]


def psi(n: int, x: mp.mpf) -> mp.mpf:
    """The n-th derivative of digamma, for x < 0 by that of pi*cot(pi*x), a polynomial of the cotangent."""
    if x > 0:
        return mp.psi(n, x)
    if x == mp.floor(x):
        return mp.inf
    powers = {1: 1}
    for _ in range(n):  # the derivative of c^k is -k c^(k-1) (1 + c^2)
        terms = [(k + step, -k * c) for k, c in powers.items() for step in (-1, 1)]
        powers = {k: sum(c for power, c in terms if power == k) for k, _ in terms}
    cotangent = mp.cot(mp.pi * x)
    slope = mp.pi ** (n + 1) * sum(c * cotangent**k for k, c in powers.items())
    return (-1) ** n * mp.psi(n, 1 - x) - slope


def lgamma_orders(x: mp.mpf) -> list[mp.mpf]:
    if x > 0:
        value = mp.loggamma(x)
    elif x == mp.floor(x):
        value = mp.inf
    else:
        value = mp.log(mp.pi / abs(mp.sinpi(x))) - mp.loggamma(1 - x)
    return [value, *(psi(n, x) for n in range(3))]


def digamma_orders(x: mp.mpf) -> list[mp.mpf]:
    return [psi(n, x) for n in range(4)]


def polygamma_orders(x: mp.mpf) -> list[mp.mpf]:
    return [psi(n, x) for n in range(4, 8)]


REFERENCES = {
    "lgamma(x)": lgamma_orders, "digamma(x)": digamma_orders, "polygamma(4, x)": polygamma_orders,
    "erfc(x)": erfc_orders, "erfcx(x)": erfcx_orders, "log_ndtr(x)": log_ndtr_orders, "log_cosh(x)": log_cosh_orders,
    "sinc(x)": sinc_orders,
}  # fmt: skip


def grid(dtype: str) -> np.ndarray:
    limits = np.finfo(dtype)
    tiny, largest = float(limits.tiny), float(limits.max)
    sides = np.concatenate([
        np.geomspace(1.01 * tiny, 0.99 * largest, 23), np.geomspace(1e-4, 1e4, 49), np.linspace(0.6, 12.0, 20)
    ])  # fmt: skip
    return np.concatenate([-sides[::-1], sides]).astype(dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("call", REFERENCES)
def test_values_and_slopes_are_exact_at_every_scale(call: str, dtype: str) -> None:
    reference: Callable[[mp.mpf], list[mp.mpf]] = REFERENCES[call]
    limits = np.finfo(dtype)
    points = grid(dtype)
    program = gradcli.loads(f"dtype {dtype}\nvariable x: [{len(points)}]\ny = {call}\n")
    values = {"x": points}
    found = [program.eval(["y"], values)["y"], *(program.grad(values=values, order=n)["x"] for n in (1, 2))]
    with mp.workdps(360 if call == "sinc(x)" else DIGITS):
        for i, x in enumerate(points):
            exact = reference(mp.mpf(float(x)))
            for n in range(3):
                y = float(found[n][i])
                if not float(limits.tiny) <= abs(exact[n]) <= float(limits.max):
                    assert abs(y) <= 2 * float(limits.tiny) or abs(exact[n]) > 1, (x, n)
                    continue
                condition = abs(float(x) * exact[n + 1] / exact[n])
                error = abs(y - exact[n]) / abs(exact[n]) / float(limits.eps)
                assert error <= 16 * (1 + condition), (x, n, y, mp.nstr(exact[n], 20))


@pytest.mark.slow
@pytest.mark.parametrize("order", [0, 3, 4, 9])
@pytest.mark.parametrize("x", [-3.7, 0.0, 0.02, 0.9, 6.0])
def test_derivatives_of_high_orders(order: int, x: float) -> None:
    with mp.workdps(50):
        t = mp.mpf(x)
        d = [mp.exp(t * t) * mp.erfc(t), 2 * t * mp.exp(t * t) * mp.erfc(t) - 2 / mp.sqrt(mp.pi)]
        for n in range(1, order + 1):
            d.append(2 * t * d[n] + 2 * n * d[n - 1])
        u = mp.pi * t
        wave = mp.quad(lambda s: s**order * mp.cos(u * s + order * mp.pi / 2), mp.linspace(0, 1, 6))
        expected = {"erfcx": float(d[order]), "sinc": float(mp.pi**order * wave)}
    for name, value in expected.items():
        program = gradcli.loads(f"variable x = {x!r}; y = {name}(x, order={order})")
        assert program.eval()["y"] == pytest.approx(value, rel=1e-11, abs=1e-13 * np.pi**order * (name == "sinc"))
    if order:
        program = gradcli.loads(f"variable x = {x!r}; y = sinc(x); z = erfcx(x)")
        assert program.grad(["y"], order=order)["x"] == pytest.approx(
            expected["sinc"], rel=1e-9, abs=1e-12 * np.pi**order
        )
        assert program.grad(["z"], order=order)["x"] == pytest.approx(expected["erfcx"], rel=1e-9)


def test_special_points() -> None:
    inf = float("inf")
    rows = {
        "erfc": ([-inf, 0.0, inf], [2.0, 1.0, 0.0]),
        "erfcx": ([-inf, 0.0, inf], [inf, 1.0, 0.0]),
        "log_ndtr": ([-inf, 0.0, inf], [-inf, -np.log(2), 0.0]),
        "log_cosh": ([-inf, 0.0, inf], [inf, 0.0, inf]),
        "sinc": ([-3.0, 0.0, 1e15], [0.0, 1.0, 0.0]),
        "lgamma": ([-inf, -2.0, 0.0, 1.0, 2.0, 1e307, inf], [inf, inf, inf, 0.0, 0.0, inf, inf]),
        "digamma": ([-2.0, 0.0, 1.0, inf], [np.nan, -inf, -np.euler_gamma, inf]),
        "gamma": ([-2.0, -0.0, 0.0, 1.0, 5.0, 172.0, inf], [np.nan, -inf, inf, 1.0, 24.0, inf, inf]),
        "factorial": ([0.0, 5.0, 170.0], [1.0, 120.0, 7.257415615307994e306]),
        "ndtr": ([-inf, 0.0, inf], [0.0, 0.5, 1.0]),
        "ndtri": ([-1.0, 0.0, 0.5, 1.0, 2.0], [np.nan, -inf, 0.0, inf, np.nan]),
        "erfinv": ([-2.0, -1.0, 0.0, 1.0, 2.0], [np.nan, -inf, 0.0, inf, np.nan]),
        "bessel_j0": ([-inf, 0.0, inf], [0.0, 1.0, 0.0]),
        "bessel_j1": ([-inf, 0.0, inf], [0.0, 0.0, 0.0]),
        "bessel_i0e": ([-inf, 0.0, inf], [0.0, 1.0, 0.0]),
        "bessel_i1e": ([-inf, 0.0, inf], [0.0, 0.0, 0.0]),
    }
    for name, (points, expected) in rows.items():
        y = gradcli.loads(f"variable x: [{len(points)}]; y = {name}(x)").eval(values={"x": np.array(points)})["y"]
        np.testing.assert_allclose(y, expected, rtol=1e-15, atol=0)
        assert np.isnan(gradcli.loads(f"y = {name}(nan)").eval()["y"])
        assert gradcli.loads(f"y = {name}(2)").eval()["y"].dtype == np.float64


def test_an_order_must_be_natural() -> None:
    for text in ("sinc(1.0, -1)", "erfcx(1.0, order=101)", "polygamma(101, 1.0)"):
        with pytest.raises(gradcli.GradcliError, match="orders 0 to 100"):
            gradcli.loads(f"y = {text}")


def test_erfc_without_scipy_is_the_standard_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    import math
    import sys

    x = np.linspace(-6.0, 26.0, 200).reshape(20, 10)
    erfc = table["erfc"].kernel
    expected = erfc(np, x)
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    found = erfc(np, x)
    assert found.shape == x.shape
    np.testing.assert_allclose(found, expected, rtol=2e-13)
    assert erfc(np, np.float32(0.5)).dtype == np.float32
    assert float(special.log_ndtr_kernel(np, np.float64(-20.0))) == pytest.approx(-203.9171553710973, rel=1e-14)
    assert math.erfc(1.0) == erfc(np, np.float64(1.0))


@pytest.mark.parametrize("order", [1, 2, 7, 20])
@pytest.mark.parametrize("x", [-3.7, 0.02, 6.0])
def test_derivatives_of_lgamma_of_any_order(order: int, x: float) -> None:
    program = gradcli.loads(f"variable x = {x!r}; y = lgamma(x)")
    with mp.workdps(50):
        expected = float(psi(order - 1, mp.mpf(x)))
    assert program.grad(order=order)["x"] == pytest.approx(expected, rel=1e-12)
    series = gradcli.loads(f"variable x = {x!r}; y = taylor(lgamma(x), x, {order})")
    assert series.eval()["y"][-1] == pytest.approx(expected, rel=1e-9)


def test_the_gamma_and_beta_functions_at_every_scale() -> None:
    """Of three logarithms of the gamma function that nearly cancel, and of differences of digamma."""
    scales = [1e-25, 1e-9, 0.3, 0.999, 3.0, 9.99, 10.0, 47.0, 1e5, 1e17]
    pairs = np.array([(a, b) for a in scales for b in scales])
    a, b = pairs.T
    program = gradcli.loads(
        f"variable a: [{len(a)}]; variable b: [{len(b)}]; y = lbeta(a, b); g, h = gradients(y, [a, b]); k, m = gradients(g, [a, b])"
    )
    found = program.eval(["y", "g", "h", "k", "m"], values={"a": a, "b": b})
    with mp.workdps(120):
        for i, (p, q) in enumerate(pairs.tolist()):
            s, t = mp.mpf(p), mp.mpf(q)
            exact = {
                "y": mp.loggamma(s) + mp.loggamma(t) - mp.loggamma(s + t), "g": mp.psi(0, s) - mp.psi(0, s + t),
                "h": mp.psi(0, t) - mp.psi(0, s + t), "k": mp.psi(1, s) - mp.psi(1, s + t), "m": -mp.psi(1, s + t),
            }  # fmt: skip
            for name, value in exact.items():
                if abs(value) < 1e300 and abs(exact["y"]) > 1e-3:
                    assert float(found[name][i]) == pytest.approx(float(value), rel=1e-14), (name, p, q)


def test_densities_keep_their_digits_for_large_parameters() -> None:
    for a in (0.5, 3.0, 40.0, 1e6, 1e12):
        for share in (0.2, 0.99, 1.0, 1.001, 3.0):
            x = a * share
            program = gradcli.loads(f"variable a = {a!r}; variable x = {x!r}; y = gamma_density(a, x)")
            with mp.workdps(60):
                s, t = mp.mpf(a), mp.mpf(x)
                y = mp.exp((s - 1) * mp.log(t) - t - mp.loggamma(s))
                slopes = {"a": y * (mp.log(t) - mp.psi(0, s)), "x": y * ((s - 1) / t - 1)}
            if y > 1e-300:
                condition = abs(a - 1 - x) + abs(a * float(mp.log(t) - mp.psi(0, s)))
                assert program.eval()["y"] == pytest.approx(float(y), rel=2e-15 * (1 + condition))
                for name, g in program.grad().items():
                    assert g == pytest.approx(float(slopes[name]), rel=1e-11 * (1 + condition), abs=float(y) * 1e-13)
    for a, b, x in ((0.5, 0.5, 0.1), (3.0, 1e3, 2e-3), (1e6, 2e6, 0.3334), (1e12, 1e12, 0.5)):
        program = gradcli.loads(f"variable x = {x!r}; y = beta_density({a!r}, {b!r}, x)")
        with mp.workdps(60):
            s, t, u = mp.mpf(a), mp.mpf(b), mp.mpf(x)
            y = mp.exp(
                (s - 1) * mp.log(u) + (t - 1) * mp.log1p(-u) - mp.loggamma(s) - mp.loggamma(t) + mp.loggamma(s + t)
            )
            condition = abs(a - 1 - (b - 1) * x / (1 - x))
        assert program.eval()["y"] == pytest.approx(float(y), rel=1e-14 * (1 + condition) + 1e-13 * (a < 10))


def test_incomplete_functions_have_derivatives_by_x_only() -> None:
    for call in ("gammainc(a, x)", "gammaincc(a, x)", "betainc(a, 2.0, x)", "betainc(2.0, a, x)"):
        program = gradcli.loads(f"variable a = 1.5; variable x = 0.25\n\ny = log({call})")
        assert np.isfinite(program.grad(wrt=["x"], order=3)["x"])
        with pytest.raises(gradcli.GradcliError, match=f"^<string>:3:9: .*{call[:7]}.* by x only") as caught:
            program.grad()
        assert "stop_gradient" in str(caught.value.help)
        with pytest.raises(gradcli.GradcliError, match="by x only"):
            gradcli.loads(f"variable a = 1.5; variable x = 0.25; y = {call}; g = gradients(y, a)")
        program = gradcli.loads(f"variable a = 1.5; variable x = 0.25; y = {call.replace('a,', 'stop_gradient(a),')}")
        assert program.grad()["a"] is None


def test_incomplete_functions_say_that_they_need_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "scipy.special", None)
    for call in ("gammainc(2.0, x)", "gammaincc(2.0, x)", "betainc(2.0, 2.0, x)"):
        with pytest.raises(
            gradcli.GradcliError, match=r"needs SciPy, which is not installed: pip install 'gradcli\[scipy\]'"
        ):
            gradcli.loads(f"variable x = 0.25; y = {call}").eval()


@pytest.mark.parametrize(
    ("call", "x", "exact"),
    [
        ("log_ndtr(x)", -3.0, lambda t: mp.log(mp.ncdf(t))),
        ("erfinv(x)", 0.3, mp.erfinv),
        ("ndtri(x)", 0.2, lambda t: mp.sqrt(2) * mp.erfinv(2 * t - 1)),
        ("gamma(x)", 2.5, mp.gamma),
        ("bessel_j0(x)", 1.5, lambda t: mp.besselj(0, t)),
        ("bessel_j1(x)", 30.0, lambda t: mp.besselj(1, t)),
        ("bessel_i0e(x)", 2.0, lambda t: mp.exp(-t) * mp.besseli(0, t)),
        ("bessel_i1e(x)", 2.0, lambda t: mp.exp(-t) * mp.besseli(1, t)),
        ("gammainc(2.5, x)", 2.0, lambda t: mp.gammainc(mp.mpf(5) / 2, 0, t, regularized=True)),
        ("lbeta(x, 3.0)", 2.5, lambda t: mp.log(mp.beta(t, 3))),
    ],
)
def test_series_of_order_10(call: str, x: float, exact: Callable[[mp.mpf], mp.mpf]) -> None:
    found = gradcli.loads(f"variable x = {x!r}; y = taylor({call}, x, 10)").eval()["y"]
    with mp.workdps(30):
        expected = [float(c * mp.factorial(k)) for k, c in enumerate(mp.taylor(exact, mp.mpf(x), 10))]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
