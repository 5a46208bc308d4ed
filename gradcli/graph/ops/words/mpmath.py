"""mpmath's functions in place of NumPy's, and for operations whose kernels are not written in NumPy's functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _erfcx(mp: Any, x: Any, order: int) -> Any:
    """By the recurrence of the Hermite functions; nothing cancels in so many digits."""
    y, before = mp.exp(x * x) * mp.erfc(x), -1 / mp.sqrt(mp.pi)
    for n in range(order):
        y, before = 2 * x * y + 2 * max(n, 1) * before, y
    return y


def _sinc(mp: Any, x: Any, order: int) -> Any:
    """By the series of sin(u)/u at u = pi*x near 0, else by f[n] = (sin(u + n*pi/2) - n*f[n-1])/u."""
    u, y = mp.pi * x, mp.mpf(0)
    if abs(u) > order + 4:
        for n in range(order + 1):
            y = (mp.sin(u + n * mp.pi / 2) - n * y) / u
        return mp.pi**order * y
    k = -(-order // 2)
    term = (-1) ** k * mp.factorial(2 * k) / mp.factorial(2 * k + 1) / mp.factorial(2 * k - order)
    term *= u ** (2 * k - order)
    while term and (not y or abs(term) > abs(y) * mp.eps):
        y += term
        k += 1
        term *= -u * u * (2 * k - 1) * 2 * k / ((2 * k + 1) * 2 * k * (2 * k - order) * (2 * k - order - 1))
    return mp.pi**order * y


def _bessel_ie(mp: Any, x: Any, n: int, order: int) -> Any:
    """By integrals of powers of t = 1 - cos(a) with the weight exp(-|x| t) as confluent hypergeometric functions."""

    def moment(m: int) -> Any:
        return (
            mp.mpf(2) ** m
            * mp.rf(mp.mpf(1) / 2, m)
            / mp.factorial(m)
            * mp.hyp1f1(m + mp.mpf(1) / 2, m + 1, -2 * abs(x))
        )

    y = (-1) ** order * (moment(order) - (moment(order + 1) if n else 0))
    return y * mp.sign(x) if (n + order) % 2 else y


WORDS: dict[str, Callable[..., Any]] = {
    "erf": lambda mp, x: mp.erf(x), "erfc": lambda mp, x: mp.erfc(x), "log_cosh": lambda mp, x: mp.log(mp.cosh(x)),
    "lgamma": lambda mp, x: mp.re(mp.loggamma(x)), "digamma": lambda mp, x: mp.digamma(x),
    "polygamma": lambda mp, x, n: mp.psi(n, x), "log_ndtr": lambda mp, x: mp.log(mp.erfc(-x / mp.sqrt(2)) / 2),
    "erfcx": _erfcx, "sinc": _sinc, "gamma": lambda mp, x: mp.gamma(x),
    "lbeta": lambda mp, a, b: mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b),
    "digamma_rise": lambda mp, a, b, n: mp.psi(n, a + b) - mp.psi(n, a),
    "gamma_density": lambda mp, a, x: x ** (a - 1) * mp.exp(-x) / mp.gamma(a),
    "beta_density": lambda mp, a, b, x: x ** (a - 1) * (1 - x) ** (b - 1) / mp.beta(a, b),
    "gammainc": lambda mp, a, x: mp.gammainc(a, 0, x, regularized=True),
    "gammaincc": lambda mp, a, x: mp.gammainc(a, x, mp.inf, regularized=True),
    "betainc": lambda mp, a, b, x: mp.betainc(a, b, 0, x, regularized=True),
    "erfinv": lambda mp, x: mp.erfinv(x), "ndtri": lambda mp, x: mp.sqrt(2) * mp.erfinv(2 * x - 1),
    "ndtri_slope": lambda mp, y, x: mp.sqrt(2 * mp.pi) * mp.exp(y * y / 2),
    "bessel_j": lambda mp, x, n: mp.besselj(n, x), "bessel_ie": _bessel_ie, "sigmoid": lambda mp, x: 1 / (1 + mp.exp(-x)),
}  # fmt: skip
"""By name: a function of mpmath, the inputs and the attributes."""


def functions_of_one(mp: Any) -> dict[str, Callable[..., Any]]:
    """NumPy's functions of one number, by NumPy's names."""
    return {
        "exp": mp.exp, "expm1": mp.expm1, "exp2": lambda x: mp.mpf(2) ** x, "log": mp.log, "log1p": mp.log1p,
        "log2": lambda x: mp.log(x, 2), "log10": mp.log10, "sqrt": mp.sqrt, "sin": mp.sin, "cos": mp.cos,
        "tan": mp.tan, "arcsin": mp.asin, "arccos": mp.acos, "arctan": mp.atan, "sinh": mp.sinh, "cosh": mp.cosh,
        "tanh": mp.tanh, "arcsinh": mp.asinh, "arccosh": mp.acosh, "arctanh": mp.atanh, "floor": mp.floor,
        "ceil": mp.ceil, "rint": mp.nint, "round": mp.nint, "sign": mp.sign, "trunc": lambda x: mp.sign(x) * mp.floor(abs(x)),
        "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    }  # fmt: skip


def functions_of_two(mp: Any) -> dict[str, Callable[..., Any]]:
    """NumPy's functions of two numbers, by NumPy's names."""
    return {
        "hypot": mp.hypot, "arctan2": mp.atan2, "power": lambda a, b: mp.mpf(a) ** b,
        "true_divide": lambda a, b: mp.mpf(a) / b, "divide": lambda a, b: mp.mpf(a) / b,
        "mod": lambda a, b: a - b * mp.floor(mp.mpf(a) / b), "floor_divide": lambda a, b: mp.floor(mp.mpf(a) / b),
    }  # fmt: skip


def predicates(mp: Any) -> dict[str, Callable[..., bool]]:
    """NumPy's predicates of one number, by NumPy's names."""
    return {"isnan": mp.isnan, "isfinite": mp.isfinite, "isinf": mp.isinf}
