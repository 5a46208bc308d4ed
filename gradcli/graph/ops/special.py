"""Special functions: what keeps its digits where formulas of erf, sin and cosh lose theirs.

``erfcx`` and ``sinc`` carry the order of the derivative that they are, so that no derivative is a difference of nearly
equal terms, at no order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import inf
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.operation import Elementwise, Infer, Operation, register, unchanged
from gradcli.graph.ops.elementwise import exp, recip, tanh
from gradcli.graph.ops.kernels import Special, has_scipy
from gradcli.graph.ops.selection import greater, less, where
from gradcli.graph.types import Shape

Array = Any

FAR_BELOW = -99999


def complement_kernel(xp: Any, x: Array) -> Array:
    """1 - erf(x) by the standard library, entry by entry."""
    return xp.asarray([math.erfc(v) for v in xp.ravel(x).tolist()], dtype=x.dtype).reshape(x.shape)


def erfcx_kernel(xp: Any, x: Array, order: int) -> Array:
    """The derivative of an order of exp(x^2)*erfc(x).

    For x > 0 the integral (-2)^n * 2/sqrt(pi) * s^n * exp(-s^2 - 2*s*x) for s from 0 to infinity, by the trapezoidal
    rule after s = exp(u - exp(-u))/(1 + x), whose terms are all positive (Takahasi, Mori 1974). Else the recurrence
    D[n+1] = 2*x*D[n] + 2*n*D[n-1] of the Hermite functions, whose terms have one sign there.
    """
    z = xp.asarray(x, dtype="float64")
    scale = 1 / (1 + xp.maximum(z, 0))
    total = xp.zeros_like(z)
    for k in range(-38, 45):
        u = k / 10
        v = math.exp(u - math.exp(-u))
        weight = v * (1 + math.exp(-u)) * v**order / 10
        total = total + weight * xp.exp(-v * (v * scale * scale + 2 * (1 - scale)))
    right = (-2.0) ** order * 2 / math.sqrt(math.pi) * scale ** (order + 1) * total
    below = xp.minimum(z, 0)
    left = xp.exp(below * below) * complement_kernel(xp, below)
    before = xp.full_like(z, -1 / math.sqrt(math.pi))
    for n in range(order):
        left, before = 2 * below * left + 2 * max(n, 1) * before, left
    return xp.where(z < 0, left, right).astype(x.dtype)


def log_ndtr_kernel(xp: Any, x: Array) -> Array:
    """From erfc where the distribution function is not small, else from erfcx, without the exponential that vanishes."""
    z = xp.asarray(x, dtype="float64")
    above = xp.log1p(-0.5 * complement_kernel(xp, xp.maximum(z, -1) * math.sqrt(0.5)))
    low = xp.minimum(z, -1)
    below = xp.log(0.5 * erfcx_kernel(xp, low * -math.sqrt(0.5), 0)) - 0.5 * low * low
    return xp.where(z < -1, below, above).astype(x.dtype)


def log_cosh_kernel(xp: Any, x: Array) -> Array:
    """log(cosh(x)), which does not overflow."""
    size = xp.abs(x)
    small = xp.minimum(size, x.dtype.type(1))
    near = xp.log1p(xp.square(xp.sinh(small))) / 2
    return xp.where(size > 1, size + xp.log1p(xp.exp(-2 * size)) - x.dtype.type(math.log(2)), near)


def sinc_kernel(xp: Any, x: Array, order: int) -> Array:
    """The derivative of an order of sin(pi*x)/(pi*x).

    With u = pi*x, those of sin(u)/u are f[n] = (sin(u + n*pi/2) - n*f[n-1])/u, which is stable for |u| > n, and the
    integral of t^n * cos(u*t + n*pi/2) for t from 0 to 1, which Gauss's rule gives for the others.
    """
    z = xp.asarray(x, dtype="float64")
    whole = xp.round(z)
    angle = (z - whole) * math.pi
    sign = 1 - 2 * xp.mod(whole, 2)
    circle = [sign * xp.sin(angle), sign * xp.cos(angle), -sign * xp.sin(angle), -sign * xp.cos(angle)]
    u = z * math.pi
    far = xp.where(xp.abs(u) > order, u, xp.ones_like(u))
    y = circle[0] / far
    for n in range(1, order + 1):
        y = (circle[n % 4] - n * y) / far
    small = xp.where(xp.abs(u) > order, xp.zeros_like(u), u)
    if order == 0:
        return xp.where(z == 0, xp.ones_like(z), circle[0] / xp.where(z == 0, xp.ones_like(z), u)).astype(x.dtype)
    nodes, weights = xp.polynomial.legendre.leggauss(16 + order)
    near = xp.zeros_like(z)
    for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
        t = (1 + node) / 2
        wave = xp.sin(small * t) if order % 2 else xp.cos(small * t)
        near = near + weight / 2 * t**order * wave
    near = near * (-1.0) ** ((order + 1) // 2)
    return (math.pi**order * xp.where(xp.abs(u) > order, y, near)).astype(x.dtype)


MOST_DERIVATIVES = 100


def _known_order(name: str) -> Infer:
    """The shape rule of a function whose derivatives of some orders are known: the attribute ``name`` is the order."""

    def infer(inputs: Sequence[Node], attrs: dict[str, Any]) -> tuple[Shape, str]:
        if not 0 <= attrs[name] <= MOST_DERIVATIVES:
            raise GradcliError(
                "ValueError",
                f"derivatives of orders 0 to {MOST_DERIVATIVES} of this function are known, "
                f"and the one of order {attrs[name]} is needed",
            )
        return unchanged(inputs, attrs)

    return infer


def _entry(name: str, spec: str, doc: str, **entry: Any) -> Operation:
    entry.setdefault("infer", unchanged)
    return register(Operation(name, spec, doc, family="elementwise", accepts="float", **entry))


erfc = _entry(
    "erfc", "x", "The complementary error function, 1 - erf(x), exact for large x.", kernel=Special("erfc", math.erfc),
    rule=Elementwise((lambda y, x: -2 / math.sqrt(math.pi) * exp(-x * x),)),
    workspace=lambda node: 0.0 if has_scipy() else 10.0, bounds=(0.0, 2.0), numbers="float", formula="1 - erf(x)", example="erfc(5.0)",
)  # fmt: skip
erfcx = _entry(
    "erfcx", "x, order:int=0", "exp(x^2)*erfc(x), the scaled complementary error function, or its derivative of an order.",
    kernel=erfcx_kernel, infer=_known_order("order"), singular=True, workspace=12.2,
    rule=Elementwise((lambda y, x: erfcx(x, order=y.attrs["order"] + 1),)),
    formula="exp(x^2) * (1 - erf(x))", example="erfcx(100.0)",
)  # fmt: skip


def _hazard(x: Node) -> Node:
    """The slope of log_ndtr, the normal density over its distribution function: on each side by what does not vanish there.

    Far below 0 it is -x - 1/x but for 2/x^3, which has no factors that overflow or vanish.
    """
    z = x * -math.sqrt(0.5)
    scale = math.sqrt(2 / math.pi)
    far = where(less(x, FAR_BELOW), -x - recip(x), scale / erfcx(z, order=0))
    return where(greater(x, 0), scale * exp(-0.5 * x * x) / erfc(z), far)


log_ndtr = _entry(
    "log_ndtr", "x", "Logarithm of the normal distribution.",
    kernel=log_ndtr_kernel, rule=Elementwise((lambda y, x: _hazard(x),)), singular=True, workspace=15.2,
    bounds=(-inf, 0.0), formula="log((1+erf(x/sqrt(2)))/2)", example="log_ndtr(-40.0)",
)  # fmt: skip
log_cosh = _entry(
    "log_cosh", "x", "log(cosh(x)) without overflow, exact near 0.", kernel=log_cosh_kernel,
    rule=Elementwise((lambda y, x: tanh(x),)), workspace=4.0, bounds=(0.0, inf), zero_where=(0,), parity="even", formula="log(cosh(x))", example="log_cosh(1000.0)",
)  # fmt: skip
sinc = _entry(
    "sinc", "x, order:int=0", "sin(pi*x)/(pi*x), and 1 at 0, or its derivative of an order.", kernel=sinc_kernel,
    infer=_known_order("order"), rule=Elementwise((lambda y, x: sinc(x, order=y.attrs["order"] + 1),)), workspace=13.4,
    formula="sin(pi*x) / (pi*x)", example="sinc(0.5)",
)  # fmt: skip


# the gamma function's logarithm and its derivatives


def lgamma_of_number(x: float) -> float:
    """log|gamma(x)|, infinite at the poles and where it overflows."""
    try:
        return math.lgamma(x)
    except (OverflowError, ValueError):
        return math.inf


def from_pole(xp: Any, z: Array) -> Array:
    """The tangent of pi*z, from the distance to the nearest integer, which is exact."""
    return xp.tan(math.pi * (z - xp.round(z)))


def digamma_kernel(xp: Any, x: Array) -> Array:
    """The derivative of log(gamma(x)).

    From 10 on by the asymptotic series, below by psi(x) = psi(x + 1) - 1/x, and for x < 0 by the reflection
    psi(x) = psi(1 - x) - pi/tan(pi*x) (Abramowitz, Stegun 6.3).
    """
    z = xp.asarray(x, dtype="float64")
    y = xp.where(z < 0, 1 - z, z)
    below = xp.zeros_like(y)
    for _ in range(10):
        small = y < 10
        below = below + xp.where(small, 1 / y, xp.zeros_like(y))
        y = xp.where(small, y + 1, y)
    w = (1 / y) ** 2
    rest = xp.zeros_like(y)
    for c in (3617 / 8160, -1 / 12, 691 / 32760, -1 / 132, 1 / 240, -1 / 252, 1 / 120, -1 / 12):
        rest = (rest + c) * w
    value = xp.log(y) - 0.5 / y + rest - below
    tangent = from_pole(xp, xp.where(z < 0, z, xp.full_like(z, 0.25)))
    reflected = value - math.pi / xp.where(tangent == 0, xp.full_like(z, xp.nan), tangent)
    return xp.where(z < 0, reflected, value).astype(x.dtype)


def cotangent_slope(n: int) -> list[int]:
    """The polynomial in c = cot(u), lowest power first, that is (-1)^n times the derivative of order n of cot(u)."""
    p = [0, 1]
    for _ in range(n):
        slope = [k * c for k, c in enumerate(p)][1:]
        p = [a + b for a, b in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]
    return p


BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)
"""Bernoulli's numbers of the indices 2, 4, 6, …."""


def polygamma_kernel(xp: Any, x: Array, n: int) -> Array:
    """The derivative of order n >= 1 of digamma: (-1)^(n+1) n! times the sum of 1/(x + k)^(n+1) for k from 0.

    The sum is taken up to where Euler and Maclaurin's formula gives the rest; its terms are all positive. n! is under the
    power, beside which it would overflow, or the power vanish. For x < 0 by the reflection of digamma, with the
    derivative of the cotangent as a polynomial of it.
    """
    z = xp.asarray(x, dtype="float64")
    root = math.exp(math.lgamma(n + 1) / n)
    y = xp.where(z < 0, 1 - z, z)
    total = xp.zeros_like(y)
    for _ in range(13 + n):
        small = y < 13 + n
        total = total + xp.where(small, (root / y) ** n / y, xp.zeros_like(y))
        y = xp.where(small, y + 1, y)
    w = (1 / y) ** 2
    rest = xp.zeros_like(y)
    for j in range(len(BERNOULLI), 0, -1):
        rest = (rest + BERNOULLI[j - 1] * math.prod(range(n + 1, n + 2 * j)) / math.factorial(2 * j)) * w
    total = total + (root / y) ** n * (1 / n + 0.5 / y + rest)
    tangent = from_pole(xp, xp.where(z < 0, z, xp.full_like(z, 0.25)))
    pole = math.inf if n % 2 else math.nan
    cotangent = xp.where(tangent == 0, pole, 1 / xp.where(tangent == 0, xp.ones_like(z), tangent))
    first, *others = reversed(cotangent_slope(n))
    slope = xp.full_like(z, float(first))
    for c in others:
        slope = slope * cotangent + float(c)
    sign = -1.0 if n % 2 else 1.0
    return xp.where(z < 0, total * -1.0 - sign * math.pi ** (n + 1) * slope, -sign * total).astype(x.dtype)


lgamma = _entry(
    "lgamma", "x", "Logarithm of the absolute value of the gamma function.", aliases=("gammaln",),
    kernel=Special(None, lgamma_of_number), rule=Elementwise((lambda y, x: digamma(x),)), singular=True,
    numbers="float", workspace=10.0, domain="x != 0, -1, -2, …",
    formula="log(|gamma(x)|)", example="lgamma(5.0)",
)  # fmt: skip
digamma = _entry(
    "digamma", "x", "The derivative of lgamma.", aliases=("psi",), kernel=digamma_kernel,
    rule=Elementwise((lambda y, x: polygamma(x, n=1),)), singular=True, workspace=8.0, domain="x != 0, -1, -2, …",
    formula="gamma'(x) / gamma(x)", example="digamma(1.0)",
)  # fmt: skip


polygamma = _entry(
    "polygamma", "n:int, x", "The n-th derivative of digamma.", expand=lambda x, n: None if n else digamma(x),
    kernel=polygamma_kernel, infer=_known_order("n"), rule=Elementwise((lambda y, x: polygamma(x, n=y.attrs["n"] + 1),)),
    singular=True, workspace=10.0, domain="x != 0, -1, -2, …", formula="d^n digamma(x) / dx^n", example="polygamma(1, 1.0)",
)  # fmt: skip
