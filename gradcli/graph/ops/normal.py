"""The normal distribution function and its inverse, and the inverse of erf, with their digits in both tails."""

from __future__ import annotations

import math
from math import inf
from typing import Any

from gradcli.graph.operation import Elementwise, Operation, register, unchanged
from gradcli.graph.ops.elementwise import exp
from gradcli.graph.ops.special import erfc, erfcx_kernel

Array = Any

CENTRE = (
    (2.50908092873012267270e3, 3.34305755835881281050e4, 6.72657709270087008530e4, 4.59219539315498714570e4,
     1.37316937655094611250e4, 1.97159095030655144270e3, 1.33141667891784377450e2, 3.38713287279636660800e0),
    (5.22649527885285456100e3, 2.87290857357219426740e4, 3.93078958000927106100e4, 2.12137943015865958670e4,
     5.39419602142475110770e3, 6.87187007492057908300e2, 4.23133307016009112520e1, 1.0),
)  # fmt: skip
TAIL = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
     3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
     6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0),
)  # fmt: skip
FAR_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
     2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
     1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0),
)  # fmt: skip


def rational(parts: tuple[tuple[float, ...], tuple[float, ...]], r: Array) -> Array:
    """A quotient of polynomials, the coefficients of the highest powers first."""
    above, below = 0.0 * r, 0.0 * r
    for a, b in zip(parts[0], parts[1], strict=True):
        above, below = above * r + a, below * r + b
    return above / below


def quantile_of(xp: Any, middle: Array, tail: Array) -> Array:
    """The normal quantile of 1/2 + middle, where ``tail`` is the smaller of that number and 1 minus it.

    Both are given, each with all of its digits. Source: Wichura, algorithm AS 241, Applied Statistics 37 (1988).
    """
    within = xp.abs(middle) <= 0.425
    q = xp.where(within, middle, xp.zeros_like(middle))
    near = q * rational(CENTRE, 0.180625 - q * q)
    depth = xp.sqrt(-xp.log(xp.where(within | (tail == 0), xp.ones_like(tail) / 4, tail)))
    beyond = depth > 5
    far = xp.where(
        beyond,
        rational(FAR_TAIL, xp.where(beyond, depth, xp.ones_like(depth)) - 5),
        rational(TAIL, xp.where(beyond, xp.ones_like(depth), depth) - 1.6),
    )
    far = xp.where(tail == 0, xp.full_like(far, xp.inf), far)
    return xp.where(within, near, xp.where(middle < 0, -far, far))


def ndtri_kernel(xp: Any, x: Array) -> Array:
    """The quantile of the normal distribution, in float64 inside."""
    p = xp.asarray(x, dtype="float64")
    return quantile_of(xp, p - 0.5, xp.where(p < 0.5, p, 1 - p)).astype(x.dtype)


def erfinv_kernel(xp: Any, x: Array) -> Array:
    """The inverse of erf, in float64 inside."""
    z = xp.asarray(x, dtype="float64")
    return (quantile_of(xp, z / 2, (1 - xp.abs(z)) / 2) * math.sqrt(0.5)).astype(x.dtype)


def ndtri_slope_kernel(xp: Any, y: Array, x: Array) -> Array:
    """1 over the density at y, by that in the tail: erfcx(|y|/sqrt(2)) * sqrt(pi/2) over the smaller of x and 1 - x."""
    p = xp.asarray(x, dtype="float64")
    tail = xp.where(p < 0.5, p, 1 - p)
    z = xp.abs(xp.asarray(y, dtype="float64"))
    end = z == xp.inf
    slope = erfcx_kernel(xp, xp.where(end, xp.ones_like(z), z) * math.sqrt(0.5), 0) * math.sqrt(math.pi / 2)
    slope = xp.where(end, xp.full_like(z, xp.inf), slope / xp.where(end, xp.ones_like(tail), tail))
    return slope.astype(x.dtype)


def _entry(name: str, spec: str, doc: str, **entry: Any) -> Operation:
    return register(Operation(name, spec, doc, family="elementwise", accepts="float", **entry))


ndtr = _entry(
    "ndtr", "x", "The normal distribution function, exact in the lower tail.", expand=lambda x: 0.5 * erfc(-math.sqrt(0.5) * x),
    formula="erfc(-x / sqrt(2)) / 2", example="ndtr(-10.0)",
)  # fmt: skip
_ndtri_slope = _entry(
    "ndtri_slope", "y, x", "sqrt(2*pi)*exp(y^2/2) for y = ndtri(x), from x where y^2/2 has lost digits.", hidden=True,
    rule=Elementwise((lambda s, y, x: y * s, None)), infer=unchanged, kernel=ndtri_slope_kernel, singular=True, workspace=15.4,
    bounds=(0.0, inf), formula="sqrt(2*pi) * exp(y^2 / 2)", written=lambda _, y, x: math.sqrt(2 * math.pi) * exp(0.5 * y * y),
)  # fmt: skip
ndtri = _entry(
    "ndtri", "x", "The normal quantile: the inverse of ndtr.", aliases=("probit",), kernel=ndtri_kernel, infer=unchanged,
    rule=Elementwise((lambda y, x: _ndtri_slope(y, x),)), singular=True, workspace=10.5, domain="0 < x < 1",
    formula="ndtri(x)", example="ndtri(0.975)",
)  # fmt: skip
erfinv = _entry(
    "erfinv", "x", "The inverse of the error function.", aliases=("erf_inv",), kernel=erfinv_kernel, infer=unchanged,
    rule=Elementwise((lambda y, x: math.sqrt(math.pi) / 2 * exp(y * y),)), singular=True, workspace=10.5, zero_where=(0,), parity="odd",
    domain="-1 < x < 1", formula="erfinv(x)", example="erfinv(0.5)",
)  # fmt: skip
