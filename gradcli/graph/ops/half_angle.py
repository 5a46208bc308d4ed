"""Sine and cosine of large arrays from one tangent: operations of plans only, which no program can name.

Why: NumPy's sine and cosine of float64 are scalar code (8 to 18 ns an entry), its tangent is vectorised with AVX-512
(1 ns), and t = tan(x/2) gives both: sin x = 2t/(1 + t²), cos x = (1 - t²)/(1 + t²). Near the zeros of the cosine its
relative error grows, so that entries below 1/4 are computed the usual way; then both are within 4 units in the last
place for all x. ``GRADCLI_WITHOUT=halfangle`` leaves sines and cosines as they are.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from gradcli.graph.node import Node
from gradcli.graph.operation import Operation, broadcasting, unchanged
from gradcli.graph.types import size_of

Array = Any

FEWEST = 1 << 15
"""Entries from which the passes over an array cost less than its sines."""

NEAR_ZERO = 0.25


def tangent_into(np: Any, x: Array, out: Array) -> Array:
    return np.tan(np.multiply(x, 0.5, out=out), out=out)


def sine_into(np: Any, t: Array, out: Array) -> Array:
    below = np.multiply(t, t)
    np.add(below, 1.0, out=below)
    return np.true_divide(np.add(t, t, out=out), below, out=out)


def cosine_into(np: Any, t: Array, x: Array, out: Array) -> Array:
    below = np.multiply(t, t)
    np.add(below, 1.0, out=below)
    np.multiply(np.subtract(1.0, t, out=out), t + 1.0, out=out)
    np.true_divide(out, below, out=out)
    near = np.less(np.absolute(out, out=below), NEAR_ZERO)
    out[near] = np.cos(x[near])
    return out


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
