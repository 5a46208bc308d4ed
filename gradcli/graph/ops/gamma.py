"""The gamma function and what is made of it: beta functions, the gamma and beta distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import inf
from typing import Any, NoReturn

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.operation import Elementwise, Operation, broadcasting, register, unchanged
from gradcli.graph.ops.elementwise import exp, log, log1p, recip
from gradcli.graph.ops.kernels import FromScipy, Special
from gradcli.graph.ops.special import BERNOULLI, MOST_DERIVATIVES, digamma, lgamma_of_number, polygamma
from gradcli.graph.types import Shape

Array = Any

STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
"""Coefficients of log(gamma(x)) - (x - 1/2) log(x) + x - log(2 pi)/2 by odd powers of 1/x (DLMF 5.11.1)."""

LARGE = 10
"""From here on that series has all digits."""


def gamma_of_number(x: float) -> float:
    """gamma(x), infinite at 0 and where it overflows, NaN at the other poles."""
    try:
        return math.gamma(x)
    except OverflowError:
        return math.copysign(math.inf, x)
    except ValueError:
        return math.copysign(math.inf, x) if x == 0 else math.nan


def each(xp: Any, function: Any, x: Array) -> Array:
    """A function of one number, entry by entry."""
    return xp.asarray([function(v) for v in xp.ravel(x).tolist()], dtype="float64").reshape(xp.shape(x))


def stirling(xp: Any, x: Array) -> Array:
    """What Stirling's formula of log(gamma(x)) leaves out, for large x."""
    w = (1 / x) ** 2
    rest = 0.0 * x
    for c in reversed(STIRLING):
        rest = rest * w + c
    return rest / x


def lbeta_kernel(xp: Any, a: Array, b: Array) -> Array:
    """log(gamma(a) gamma(b) / gamma(a + b)) without its cancellation, for a and b above 0.

    Source: DiDonato, Morris, *Algorithm 708*, ACM TOMS 18 (1992): Stirling's formula of what is large.
    """
    dtype = xp.result_type(a, b)
    a, b = xp.asarray(a, dtype="float64"), xp.asarray(b, dtype="float64")
    inside = (a > 0) & (b > 0)
    low = xp.where(inside, xp.minimum(a, b), xp.ones_like(a + b))
    high = xp.where(inside, xp.maximum(a, b), xp.ones_like(a + b))
    small = each(xp, lgamma_of_number, low) + each(xp, lgamma_of_number, xp.minimum(high, LARGE))
    small = small - each(xp, lgamma_of_number, xp.minimum(low + high, 2 * LARGE))
    h, k = xp.maximum(high, LARGE), xp.maximum(low, LARGE)
    rise = (h - 0.5) * xp.log1p(low / h) + low * (xp.log(h + low) - 1) + stirling(xp, h + low) - stirling(xp, h)
    mixed = each(xp, lgamma_of_number, xp.minimum(low, LARGE)) - rise
    large = stirling(xp, k) + stirling(xp, h) - stirling(xp, k + h) + 0.5 * math.log(2 * math.pi)
    large = large - (k - 0.5) * xp.log1p(h / k) - h * xp.log1p(k / h) - 0.5 * xp.log(h)
    y = xp.where(high < LARGE, small, xp.where(low < LARGE, mixed, large))
    return xp.where(inside, y, xp.full_like(y, xp.nan)).astype(dtype)


def digamma_rise_kernel(xp: Any, a: Array, b: Array, n: int) -> Array:
    """The derivative of order n of digamma(a + b) - digamma(a) by a, for a and b above 0: a sum of terms of one sign.

    x^-p - (x + b)^-p is -expm1(-p log1p(b/x)) x^-p, in the sum over x = a, a + 1, … and in Euler and Maclaurin's formula for
    its rest.
    """
    dtype = xp.result_type(a, b)
    a, b = xp.asarray(a, dtype="float64"), xp.asarray(b, dtype="float64")
    inside = (a > 0) & (b > 0)
    y, b = xp.where(inside, a, xp.ones_like(a + b)), xp.where(inside, b, xp.ones_like(a + b))
    root = math.exp(math.lgamma(n + 1) / max(n, 1))
    total = xp.zeros_like(y)
    for _ in range(13 + n):
        few = y < 13 + n
        total = total + xp.where(few, -xp.expm1(-(n + 1) * xp.log1p(b / y)) / y * (root / y) ** n, xp.zeros_like(y))
        y = xp.where(few, y + 1, y)
    wide = xp.log1p(b / y)
    rest = wide if n == 0 else -xp.expm1(-n * wide) / n
    rest = rest - 0.5 * xp.expm1(-(n + 1) * wide) / y
    power = (1 / y) ** 2
    for j in range(1, len(BERNOULLI) + 1):
        c = BERNOULLI[j - 1] * math.prod(range(n + 1, n + 2 * j)) / math.factorial(2 * j)
        rest = rest - c * xp.expm1(-(n + 2 * j) * wide) * power
        power = power / y**2
    total = (total + rest * (root / y) ** n) * (-1.0) ** n
    return xp.where(inside, total, xp.full_like(total, xp.nan)).astype(dtype)


def deviance(xp: Any, a: Array, x: Array) -> Array:
    """a log(a/x) + x - a, exact where x is near a: Loader's bd0."""
    v = (x - a) / (x + a)
    close = xp.abs(v) < 0.1
    u = xp.where(close, v, xp.zeros_like(v))
    term, total = 2 * a * u, (x - a) * u
    for k in range(1, 9):
        term = term * u * u
        total = total - term / (2 * k + 1)
    safe = xp.where(close | (x == 0), xp.ones_like(x), x / a)
    far = xp.where(x == 0, xp.full_like(x, xp.inf), a * (safe - 1 - xp.log(safe)))
    return xp.where(close, total, far)


def gamma_density_kernel(xp: Any, a: Array, x: Array) -> Array:
    """x^(a-1) exp(-x) / gamma(a), as a product for small a, else by Stirling's formula and the deviance.

    Source: Loader, *Fast and accurate computation of binomial probabilities* (2000).
    """
    dtype = xp.result_type(a, x)
    a, x = xp.asarray(a, dtype="float64"), xp.asarray(x, dtype="float64")
    inside = (a > 0) & (x >= 0)
    a, x = xp.where(inside, a, xp.ones_like(a + x)), xp.where(inside, xp.abs(x), xp.ones_like(a + x))
    few = xp.minimum(a, LARGE)
    near = xp.minimum(x, 3000.0)
    fall = xp.exp(-near / 2)
    small = near ** (few - 1) / each(xp, gamma_of_number, few) * fall * fall
    many = xp.maximum(a, LARGE)
    large = xp.exp(-stirling(xp, many) - deviance(xp, many, x)) * xp.sqrt(many / (2 * math.pi))
    large = xp.where(x == 0, xp.zeros_like(x), large / xp.where(x == 0, xp.ones_like(x), x))
    y = xp.where(a < LARGE, small, large)
    return xp.where(inside, y, xp.full_like(y, xp.nan)).astype(dtype)


def beta_density_kernel(xp: Any, a: Array, b: Array, x: Array) -> Array:
    """x^(a-1) (1-x)^(b-1) / beta(a, b), for large a and b by Stirling's formula and two deviances (Loader 2000)."""
    dtype = xp.result_type(a, b, x)
    a, b, x = [xp.asarray(v, dtype="float64") for v in (a, b, x)]
    inside = (a > 0) & (b > 0) & (x >= 0) & (x <= 1)
    one = xp.ones_like(a + b + x)
    a, b, x = xp.where(inside, a, one), xp.where(inside, b, one), xp.where(inside, xp.abs(x), one / 2)
    ends = (x == 0) | (x == 1)
    small = x ** (a - 1) * (1 - x) ** (b - 1) * xp.exp(-lbeta_kernel(xp, a, b))
    k, m, t = xp.maximum(a, LARGE), xp.maximum(b, LARGE), xp.where(ends, one / 2, x)
    n = k + m
    off = stirling(xp, n) - stirling(xp, k) - stirling(xp, m) - deviance(xp, k, n * t) - deviance(xp, m, n * (1 - t))
    large = xp.exp(off) * xp.sqrt(k / (2 * math.pi) * (m / n)) / (t * (1 - t))
    y = xp.where((a < LARGE) | (b < LARGE) | ends, small, large)
    return xp.where(inside, y, xp.full_like(y, xp.nan)).astype(dtype)


def _entry(name: str, spec: str, doc: str, **entry: Any) -> Operation:
    return register(Operation(name, spec, doc, family="elementwise", accepts="float", **entry))


gamma = _entry(
    "gamma", "x", "The gamma function.", aliases=("tgamma",), kernel=Special(None, gamma_of_number), infer=unchanged,
    rule=Elementwise((lambda y, x: y * digamma(x),)), singular=True, numbers="float", workspace=10.0, domain="x != 0, -1, -2, …",
    formula="integral of t^(x-1) * exp(-t), t from 0", example="gamma(5.0)",
)  # fmt: skip
factorial = _entry(
    "factorial", "x", "The factorial, of numbers between integers too.", expand=lambda x: gamma(x + 1), domain="x != -1, -2, …",
    formula="gamma(x + 1)", example="factorial(5.0)",
)  # fmt: skip


def _rise_shape(inputs: Sequence[Node], attrs: dict[str, Any]) -> tuple[Shape, str]:
    if not 0 <= attrs["n"] <= MOST_DERIVATIVES:
        raise GradcliError(
            "ValueError",
            f"derivatives of orders 0 to {MOST_DERIVATIVES} of this function are known, and the one of order {attrs['n']} is needed",
        )
    return broadcasting(inputs, attrs)


digamma_rise = _entry(
    "digamma_rise", "a, b, n:int=0", "digamma(a + b) - digamma(a) without cancellation, or its n-th derivative by a.",
    infer=_rise_shape, kernel=digamma_rise_kernel, singular=True, workspace=7.5,
    rule=Elementwise((
        lambda y, a, b: digamma_rise(a, b, n=y.attrs["n"] + 1), lambda y, a, b: polygamma(a + b, n=y.attrs["n"] + 1)
    )),
    domain="a > 0, b > 0", formula="digamma(a + b) - digamma(a)", example="digamma_rise(1e15, 1.0)",
)  # fmt: skip
lbeta = _entry(
    "lbeta", "a, b", "Logarithm of the beta function, without the cancellation of three logarithms.", aliases=("betaln",),
    infer=broadcasting, kernel=lbeta_kernel, singular=True, workspace=14.4,
    rule=Elementwise((lambda y, a, b: -digamma_rise(a, b), lambda y, a, b: -digamma_rise(b, a))),
    domain="a > 0, b > 0", formula="lgamma(a) + lgamma(b) - lgamma(a + b)", example="lbeta(2.0, 3.0)",
)  # fmt: skip
beta = _entry(
    "beta", "a, b", "The beta function.", expand=lambda a, b: exp(lbeta(a, b)), domain="a > 0, b > 0",
    formula="exp(lbeta(a, b))", example="beta(2.0, 3.0)",
)  # fmt: skip
gamma_density = _entry(
    "gamma_density", "a, x", "The density at x of the gamma distribution of shape a and scale 1.", infer=broadcasting,
    kernel=gamma_density_kernel, singular=True, workspace=15.6, bounds=(0.0, inf),
    rule=Elementwise((lambda y, a, x: y * (log(x) - digamma(a)), lambda y, a, x: y * ((a - 1) * recip(x) - 1))),
    domain="a > 0, x > 0", formula="x^(a-1) * exp(-x) / gamma(a)", example="gamma_density(2.0, 1.0)",
)  # fmt: skip
beta_density = _entry(
    "beta_density", "a, b, x", "The density at x of the beta distribution with the parameters a and b.", infer=broadcasting,
    kernel=beta_density_kernel, singular=True, workspace=19.6, bounds=(0.0, inf),
    rule=Elementwise((
        lambda y, a, b, x: y * (log(x) + digamma_rise(a, b)), lambda y, a, b, x: y * (log1p(-x) + digamma_rise(b, a)),
        lambda y, a, b, x: y * ((a - 1) * recip(x) - (b - 1) * recip(1 - x)),
    )),
    domain="a > 0, b > 0, 0 < x < 1", formula="x^(a-1) * (1-x)^(b-1) / beta(a, b)", example="beta_density(2.0, 3.0, 0.25)",
)  # fmt: skip


def _by_parameter(y: Node, *_: Node) -> NoReturn:
    name = y.op.name
    raise GradcliError(
        "ValueError",
        f"{name} has a derivative by x only, and one by a parameter is needed here",
        help="hold the parameters fixed: `stop_gradient(a)`, or name what to differentiate by, `--wrt x`",
    )


def _incomplete(name: str, spec: str, doc: str, density: Any, **entry: Any) -> Operation:
    parameters = spec.count(",")
    return _entry(
        name, spec, doc, infer=broadcasting, kernel=FromScipy(name), singular=True, bounds=(0.0, 1.0),
        rule=Elementwise((*[_by_parameter] * parameters, density)), **entry,
    )  # fmt: skip


gammainc = _incomplete(
    "gammainc", "a, x", "The lower incomplete gamma function over gamma(a). It needs SciPy.",
    lambda y, a, x: gamma_density(a, x), aliases=("igamma",), domain="a > 0, x >= 0",
    formula="integral of gamma_density(a, t), t from 0 to x", example="gammainc(2.0, 1.0)",
)  # fmt: skip
gammaincc = _incomplete(
    "gammaincc", "a, x", "1 - gammainc(a, x), exact where that is small. It needs SciPy.",
    lambda y, a, x: -gamma_density(a, x), aliases=("igammac",), domain="a > 0, x >= 0",
    formula="1 - gammainc(a, x)", example="gammaincc(2.0, 30.0)",
)  # fmt: skip
betainc = _incomplete(
    "betainc", "a, b, x", "The incomplete beta function over beta(a, b). It needs SciPy.",
    lambda y, a, b, x: beta_density(a, b, x), domain="a > 0, b > 0, 0 <= x <= 1",
    formula="integral of beta_density(a, b, t), t from 0 to x", example="betainc(2.0, 3.0, 0.25)",
)  # fmt: skip
