"""Derivatives by differences: steps of falling size, extrapolated to size 0, each with an estimate of its error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Function = Callable[[float], Array]

RATIO = 2.0
FIRST_STEP = 0.1
MOST_STEPS = 32
CONFIRM = 64.0
"""How much shorter the step is that confirms a result."""
SHORT = 2.0**16
"""How much longer than the shortest the step is that a doubtful result must agree with."""


def central(function: Function, target: float, eps: float) -> tuple[Array, Array]:
    """The derivative of an array-valued function at 0 and the error of each entry, by central differences.

    ``target`` is the relative error with which to be content, ``eps`` the rounding error of the function relative to
    its values. Where the function is not finite the derivative is NaN with an infinite error. Source: Ridders, *Accurate
    computation of F'(x)* (1982): the entry of the extrapolation table that differs least from its neighbours.
    """
    return _extrapolated(lambda h: (function(h), function(-h)), 2 * FIRST_STEP, 2, target, eps)


def one_sided(function: Function, side: int, target: float, eps: float) -> tuple[Array, Array]:
    """The same from the right (``side`` 1) or from the left (-1), both as derivatives by the argument."""
    start = function(0.0)
    slope, error = _extrapolated(lambda h: (function(side * h), start), FIRST_STEP, 1, target, eps)
    return side * slope, error


def _extrapolated(
    pair: Callable[[float], tuple[Array, Array]], distance: float, power: int, target: float, eps: float
) -> tuple[Array, Array]:
    """The limit of (a - b)/distance for falling steps, whose error is a series in step**power."""
    previous: list[Array] = []
    best = error = np.empty(0)
    step = FIRST_STEP
    with np.errstate(all="ignore"):
        for number in range(MOST_STEPS):
            row, rounding = _quotient(pair(step), distance, eps)
            if not number:
                best = np.full(row[0].shape, np.nan)
                error = np.full(row[0].shape, np.inf)
            for j, older in enumerate(previous, 1):
                factor = RATIO ** (power * j)
                row.append((factor * row[-1] - older) / (factor - 1))
                off = np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - older)) + rounding
                better = off < error  # never with NaN
                best = np.where(better, row[-1], best)
                error = np.where(better, off, error)
            previous = row[:10]
            if number and np.all((error <= target * np.abs(best)) | (rounding > error)):
                # Steps as long as the function's waves may agree by accident; a much shorter one tells.
                (closer, *_), noise = _quotient(pair(step / CONFIRM), distance / CONFIRM, eps)
                doubtful = np.abs(closer - best) > 1e-3 * np.abs(best) + 100 * (error + noise)
                if not doubtful.any():
                    break
                error = np.where(doubtful, np.inf, error)
            step /= RATIO
            distance /= RATIO
        else:
            # Never content: what long steps agreed on must at least be near to what a short one says.
            (closer, *_), noise = _quotient(pair(step * SHORT), distance * SHORT, eps)
            doubtful = ~(np.abs(closer - best) <= 1e-2 * np.abs(best) + 100 * (error + noise))
            error = np.where(doubtful, np.inf, error)
    return best, error


def _quotient(values: tuple[Array, Array], distance: float, eps: float) -> tuple[list[Array], Array]:
    """The difference quotient of two values, and its rounding error: that of the values and that of the distance."""
    a, b = values
    slope = (a - b) / distance
    return [slope], eps * (np.abs(a) + np.abs(b) + 4 * np.abs(slope)) / distance
