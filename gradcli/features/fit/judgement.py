"""What speaks against the end of a search being a minimum: its exact curvature, in the units of the values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Array = Any

FLAT = 64
"""Roundings of the loss by which it changes at most, as a variable changes by its own size, where it is flat."""

MOVED = 1e-6
"""The part of itself by which a step of Newton's moves a variable that has not arrived."""

NONE = "so this may be no minimum"

SHOWN = 3
"""Names that a sentence lists."""


def doubt(
    names: Sequence[str],
    units: Array,
    loss: float,
    gradient: Array,
    hessian: Array,
    rounding: float,
    rows: Array | None = None,
) -> str:
    """Why a point where no step lowers a loss may be no minimum; nothing where it looks like one.

    ``names`` are those of the numbers that may move, ``units`` [numbers] their sizes, ``hessian`` [numbers, numbers] is
    exact, or that of Gauss and Newton, and ``rounding`` the distance of floats at 1. A minimum has no flat direction, no
    negative curvature, and the step of Newton's that leads on from it is short, or gains no more than rounding; none of
    this depends on the units of the variables (Deuflhard, *Newton Methods for Nonlinear Problems*, 2004). ``rows``
    [constraints, numbers] are gradients of active constraints: only what is orthogonal to them counts, and gradient and
    Hessian are those of the Lagrangian.
    """
    import numpy as np

    least = FLAT * rounding * abs(loss)
    slope, curvature = gradient * units, hessian * units[:, None] * units
    if not (len(names) and np.isfinite(curvature).all()):
        return ""
    flat = (np.abs(curvature).max(axis=1) <= least) & (np.abs(slope) <= least)
    along = np.eye(len(names))
    if rows is not None and len(rows):
        scaled = rows * units
        flat &= ~scaled.any(axis=0)
        scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
        _, sizes, axes = np.linalg.svd(scaled)
        along = axes[int((sizes > 1e-10).sum()) :].T
        slope, curvature = along.T @ slope, along.T @ curvature @ along
    if flat.any():
        return f"does not change with {_listed(names, flat)} here, {NONE}"
    if not len(slope):
        return ""
    scale = np.sqrt(np.abs(np.diag(curvature)))
    scale[scale == 0] = 1.0
    curvatures, axes = np.linalg.eigh(curvature / scale[:, None] / scale)
    noise = 16 * len(names) * rounding * float(np.abs(curvatures).max())
    push = axes.T @ (slope / scale)
    axes = along @ (axes / scale[:, None])
    if curvatures[0] < -noise:
        return f"is curved downwards along {_listed(names, _parts(axes[:, :1]))}, {NONE}"
    firm = curvatures > noise
    if not firm.all():
        return f"does not change along {_listed(names, _parts(axes[:, ~firm]))} together, so this may not be the only minimum"
    step = np.abs(axes @ (push / curvatures))
    gain = float(np.square(push) @ (1 / curvatures)) / 2
    if gain > least and (worst := float(step.max())) > max(MOVED, math.sqrt(rounding)):
        name = names[int(step.argmax())]
        return f"would still fall, by {gain:.1e}, with a step of Newton's that moves `{name}` by {worst:.1e} of its size, {NONE}"
    return ""


def _parts(axes: Array) -> Array:
    """Which numbers have a part in some axes [numbers, axes]."""
    import numpy as np

    size = np.sqrt(np.square(axes / np.linalg.norm(axes, axis=0)).sum(axis=1))
    return size > 0.01 * size.max()


def _listed(names: Sequence[str], chosen: Array) -> str:
    some = [name for name, is_chosen in zip(names, chosen, strict=True) if is_chosen]
    more = f" and {len(some) - SHOWN} more" if len(some) > SHOWN else ""
    return ", ".join([f"`{name}`" for name in some[:SHOWN]]) + more
