"""Sine and cosine of large arrays from one tangent: operations of plans only, which no program can name.

Why: NumPy's sine and cosine of float64 are scalar code (8 to 18 ns an entry), its tangent is vectorised with AVX-512
(1 ns), and t = tan(x/2) gives both: sin x = 2t/(1 + t²), cos x = (1 - t²)/(1 + t²). Near the zeros of the cosine its
relative error grows, so that entries below 1/4 are computed from their distance to the zero; then both are within 4
units in the last place for all x. ``GRADCLI_WITHOUT=halfangle`` leaves sines and cosines as they are.
"""

from __future__ import annotations

import math
import threading
from functools import cache
from typing import Any

from gradcli.graph.node import Node
from gradcli.graph.operation import Operation, broadcasting, unchanged
from gradcli.graph.types import size_of

Array = Any

FEWEST = 1 << 15
"""Entries from which the passes over an array cost less than its sines."""

NEAR_ZERO = 0.25

LARGEST = 1e5

KEPT = 1 << 16
"""Entries of the scratch array that a thread keeps."""

_local = threading.local()

HALF_PI = (1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
"""pi/2 in two parts of 33 bits, and the rest."""


def tangent_into(np: Any, x: Array, out: Array) -> Array:
    """tan(x/2), written into ``out``."""
    return np.tan(np.multiply(x, 0.5, out=out), out=out)


def sine_into(np: Any, t: Array, out: Array) -> Array:
    """sin x = 2t / (1 + t^2) with t = tan(x/2), written into ``out``."""
    below = np.multiply(t, t, out=_scratch(np, out))
    np.add(below, 1.0, out=below)
    return np.true_divide(np.add(t, t, out=out), below, out=out)


def cosine_into(np: Any, t: Array, x: Array, out: Array) -> Array:
    """cos x = (1 - t^2) / (1 + t^2) with t = tan(x/2), written into ``out``."""
    below = np.multiply(t, t, out=_scratch(np, out))
    np.subtract(1.0, below, out=out)
    np.add(below, 1.0, out=below)
    np.true_divide(out, below, out=out)
    near = np.nonzero(np.less(np.absolute(out, out=below), NEAR_ZERO))  # positions: a mask would be read with branches
    out[near] = _near_zero(np, x[near])
    return out


def _scratch(np: Any, like: Array) -> Array:
    """An array for what lies between, kept by each thread: new memory for every tile would take longer to get than to use."""
    if like.size > KEPT:
        return np.empty(like.shape)
    kept = getattr(_local, "array", None)
    if kept is None:
        kept = _local.array = np.empty(KEPT)
    return kept[: like.size].reshape(like.shape)


def _near_zero(np: Any, x: Array) -> Array:
    """cos x by the distance y from the nearest odd multiple of pi/2, ∓sin y, which is exact near the zeros.

    The multiple is taken off in three parts of 33 bits (Cody, Waite 1980; constants of fdlibm's e_rem_pio2.c), which is
    exact for arguments up to ``LARGEST``; where one is larger, NumPy does them all.
    """
    if np.max(np.absolute(x), initial=0.0) > LARGEST:
        return np.cos(x)
    n = np.rint(x * (1 / math.pi) - 0.5)
    odd = n + n + 1
    even = np.floor(n * 0.5) * 2 == n
    y = x - odd * HALF_PI[0]
    for part in HALF_PI[1:]:
        y -= odd * part
    sines = sine_into(np, tangent_into(np, y, y), np.empty_like(y))
    return np.where(even, -sines, sines)


def _plan_only(name: str, spec: str, doc: str, **entry: Any) -> Operation:
    return Operation(name, spec, doc, family="elementwise", accepts="float", hidden=True, **entry)


half_tangent = _plan_only(
    "half_tangent", "x", "tan(x/2).", infer=unchanged, kernel=lambda xp, x: tangent_into(xp, x, xp.empty_like(x)),
    formula="tan(x/2)",
)  # fmt: skip
sine = _plan_only(
    "sine", "t", "sin(x) from tan(x/2).", infer=unchanged, kernel=lambda xp, t: sine_into(xp, t, xp.empty_like(t)),
    workspace=1.0, formula="2*t / (1 + t^2)",
)  # fmt: skip
cosine = _plan_only(
    "cosine", "t, x", "cos(x) from tan(x/2).", infer=broadcasting,
    kernel=lambda xp, t, x: cosine_into(xp, t, x, xp.empty(x.shape, x.dtype)), workspace=2.3, formula="(1 - t^2) / (1 + t^2)",
)  # fmt: skip


@cache
def _fast_tangent() -> bool:
    """Whether NumPy's tangent is vectorised here; where NumPy does not say, it is not."""
    try:
        from numpy.lib.introspect import opt_func_info

        current: str = opt_func_info(func_name="^tan$", signature="float64")["tan"]["dd"]["current"]
        return not current.startswith("baseline")
    except (ImportError, KeyError):
        return False


def pays(node: Node) -> bool:
    """Whether a sine or cosine is quicker by its half angle."""
    if node.dtype != "float64" or not node.shape:
        return False
    return size_of(node.shape) >= FEWEST and _fast_tangent()
