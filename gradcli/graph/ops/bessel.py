"""Bessel functions of integer orders, each family closed under differentiation.

J is that of the first kind. Of the modified ones I, those scaled by exp(-|x|) are here, whose derivatives would be
differences of nearly equal numbers if they were made of one another: they are integrals of numbers of one sign.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.operation import Elementwise, Operation, register, unchanged
from gradcli.graph.ops.corners import Corner
from gradcli.graph.ops.special import MOST_DERIVATIVES
from gradcli.graph.types import Shape

Array = Any


def bessel_j_kernel(xp: Any, x: Array, n: int) -> Array:
    """J_n(x).

    Below 25 + n by Miller's backward recurrence of the ratios J_k/J_(k-1), normalised by J_0 + 2 J_2 + 2 J_4 + … = 1
    (DLMF 3.6, 10.12.4). Above by Hankel's expansions of J_0 and J_1 and, stable there, the recurrence
    J_(k+1) = 2k/x J_k - J_(k-1) (DLMF 10.17, 10.6.1).
    """
    z = xp.abs(xp.asarray(x, dtype="float64"))
    far = z > 25 + n
    t = xp.where(far, xp.ones_like(z), z)
    ratio, total, value = xp.zeros_like(t), xp.zeros_like(t), xp.ones_like(t)
    # total is the sum of 2 J_k / J_(of the even number below) over even k from here on.
    for k in range(2 * (n // 2) + 60, 0, -1):
        below = 2 * k - t * ratio
        ratio = t / xp.where(below == 0, xp.full_like(t, 1e-300), below)
        if k <= n:
            value = value * ratio
        total = ratio * (total + 2 * (k % 2 == 0)) if k > 1 else ratio * total
    near = value / (1 + total)
    u = xp.where(far, z, xp.full_like(z, xp.inf))
    sine, cosine = xp.sin(xp.where(far, z, xp.ones_like(z))), xp.cos(xp.where(far, z, xp.ones_like(z)))
    rows = []
    for order in (0, 1):
        even, odd, term = xp.ones_like(u), xp.zeros_like(u), xp.ones_like(u)
        for k in range(1, 26):
            term = term * ((4 * order * order - (2 * k - 1) ** 2) / (8 * k)) / u
            if k % 2:
                odd = odd + (term if k % 4 == 1 else -term)
            else:
                even = even + (term if k % 4 == 0 else -term)
        # cos(x - pi/4) and sin(x - pi/4), for order 1 a quarter turn later
        c, s = (cosine + sine, sine - cosine) if order == 0 else (sine - cosine, -cosine - sine)
        rows.append(xp.sqrt(1 / (math.pi * u)) * (even * c - odd * s))
    before, here = rows
    for k in range(1, n):
        before, here = here, 2 * k / u * here - before
    y = xp.where(far, here if n else rows[0], near)
    y = xp.where(z == xp.inf, xp.zeros_like(y), y)
    return (xp.where(x < 0, -y, y) if n % 2 else y).astype(x.dtype)


def scaled_moment(xp: Any, x: Array, m: int) -> Array:
    """The integral of t^m exp(-x t) over pi, t = 1 - cos(a) for a from 0 to pi: exp(-x) I_0(x) for m = 0, all terms positive.

    It is 2^m (1/2)_m / m! M(m + 1/2, m + 1, -2x), by Kummer's transformation and the series, and for large x by the
    asymptotic one (DLMF 13.2.39, 13.7.1).
    """
    far = x > 30 + 3 * m
    w = 2 * xp.where(far, xp.ones_like(x), x)
    term, total = xp.exp(-w), xp.exp(-w)
    for k in range(190 + 12 * m):
        term = term * (w * ((k + 0.5) / ((k + 1) * (k + 1 + m))))
        total = total + term
    v = 0.5 / xp.where(far, x, xp.full_like(x, xp.inf))
    power = xp.sqrt(v / math.pi)
    for k in range(1, m + 1):
        total = total * ((2 * k - 1) / k)
        power = power * ((2 * k - 1) * v)
    term, rest = xp.ones_like(v), xp.ones_like(v)
    for k in range(30):
        term = term * ((m + k + 0.5) * (k + 0.5) / (k + 1) * v)
        rest = rest + term
    return xp.where(far, power * rest, total)


def bessel_ie_kernel(xp: Any, x: Array, n: int, order: int) -> Array:
    """The derivative of an order of exp(-|x|) I_n(x), for n of 0 and 1; where it jumps at 0 it is 0."""
    a = xp.abs(xp.asarray(x, dtype="float64"))
    if n == 1 and order == 0:
        y = first_scaled(xp, a)
    else:
        y = scaled_moment(xp, a, order)
        if n:
            y = y - scaled_moment(xp, a, order + 1)
        y = y * (-1.0) ** order
    if (n + order) % 2:
        y = y * xp.sign(xp.asarray(x, dtype="float64"))
    return y.astype(x.dtype)


def first_scaled(xp: Any, a: Array) -> Array:
    """exp(-a) I_1(a) for a >= 0: a/2 exp(-2a) M(3/2, 3, 2a), and for large a Hankel's expansion (DLMF 10.39.5, 10.40.1)."""
    far = a > 30
    w = 2 * xp.where(far, xp.ones_like(a), a)
    term, total = xp.exp(-w), xp.exp(-w)
    for k in range(190):
        term = term * (w * ((k + 1.5) / ((k + 1) * (k + 3))))
        total = total + term
    near = w / 4 * total
    v = xp.where(far, a, xp.full_like(a, xp.inf))
    term, total = xp.ones_like(v), xp.ones_like(v)
    for k in range(1, 30):
        term = term * (-(4 - (2 * k - 1) ** 2) / (8 * k)) / v
        total = total + term
    return xp.where(far, xp.sqrt(0.5 / math.pi / v) * total, near)


def _order_of_j(inputs: Sequence[Node], attrs: dict[str, Any]) -> tuple[Shape, str]:
    if not 0 <= attrs["n"] <= MOST_DERIVATIVES:
        raise GradcliError("ValueError", f"bessel_j is there for orders 0 to {MOST_DERIVATIVES}, not {attrs['n']}")
    return unchanged(inputs, attrs)


def _order_of_i(inputs: Sequence[Node], attrs: dict[str, Any]) -> tuple[Shape, str]:
    if attrs["n"] not in (0, 1):
        raise GradcliError("ValueError", f"bessel_ie is there for n of 0 and 1, not {attrs['n']}")
    if not 0 <= attrs["order"] <= MOST_DERIVATIVES:
        raise GradcliError(
            "ValueError",
            f"derivatives of orders 0 to {MOST_DERIVATIVES} of this function are known, and the one of order {attrs['order']} is needed",
        )
    return unchanged(inputs, attrs)


def _j_slope(y: Node, x: Node) -> Node:
    n = y.attrs["n"]
    return 0.5 * (bessel_j(x, n=n - 1) - bessel_j(x, n=n + 1)) if n else -bessel_j(x, n=1)


def _entry(name: str, spec: str, doc: str, **entry: Any) -> Operation:
    return register(Operation(name, spec, doc, family="elementwise", accepts="float", **entry))


bessel_j = _entry(
    "bessel_j", "n:int, x", "The Bessel function of the first kind of an integer order.", aliases=("jv", "jn"), infer=_order_of_j, kernel=bessel_j_kernel,
    rule=Elementwise((_j_slope,)), workspace=21.5, bounds=(-1.0, 1.0), formula="integral of cos(n*t - x*sin(t)) / pi, t from 0 to pi",
    example="bessel_j(2, 1.5)",
)  # fmt: skip
bessel_j0 = _entry(
    "bessel_j0", "x", "The Bessel function of the first kind of order 0.", aliases=("j0",), expand=lambda x: bessel_j(x, n=0),
    formula="bessel_j(0, x)", example="bessel_j0(1.5)",
)  # fmt: skip
bessel_j1 = _entry(
    "bessel_j1", "x", "The Bessel function of the first kind of order 1.", aliases=("j1",), expand=lambda x: bessel_j(x, n=1),
    formula="bessel_j(1, x)", example="bessel_j1(1.5)",
)  # fmt: skip
bessel_ie = _entry(
    "bessel_ie", "n:int, x, order:int=0",
    "exp(-|x|) times the modified Bessel function of order 0 or 1, or its derivative of an order.",
    infer=_order_of_i, kernel=bessel_ie_kernel, rule=Elementwise((lambda y, x: bessel_ie(x, n=y.attrs["n"], order=y.attrs["order"] + 1),)),
    workspace=9.4, formula="integral of exp(x*cos(t) - |x|) * cos(n*t) / pi, t from 0 to pi", example="bessel_ie(0, 1000.0)",
    corner=Corner("at 0", lambda xp, node, x, y: x[0] == 0, "derivative taken as the mean of the one-sided ones"),
)  # fmt: skip
bessel_i0e = _entry(
    "bessel_i0e", "x", "exp(-|x|) times the modified Bessel function of order 0.", aliases=("i0e",),
    expand=lambda x: bessel_ie(x, n=0), formula="bessel_ie(0, x)", example="bessel_i0e(1000.0)",
)  # fmt: skip
bessel_i1e = _entry(
    "bessel_i1e", "x", "exp(-|x|) times the modified Bessel function of order 1.", aliases=("i1e",),
    expand=lambda x: bessel_ie(x, n=1), formula="bessel_ie(1, x)", example="bessel_i1e(1000.0)",
)  # fmt: skip
