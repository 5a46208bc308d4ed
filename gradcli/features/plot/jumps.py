"""Where a sampled curve jumps: intervals that are halved until what changes in them is small, or is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcli.tuples import NamedTuple

Array = np.ndarray[Any, Any]

HALVINGS = 40
"""Halvings of an interval: a change that is left then, or between neighbouring floats, is a jump."""

SMALL = 0.02
"""The part of a curve's usual height that a change needs to be looked at."""


class Jumps(NamedTuple):
    """Jumps of a curve: ``at`` [k] are the intervals that they lie in, between samples ``at`` and ``at + 1``.

    ``x`` and ``y`` [k, 2] are points close before and close behind the jump. ``pole`` says of each that the values grow
    without bound there.
    """

    at: Array
    x: Array
    y: Array
    pole: Array

    def inserted(self, x: Array, y: Array) -> tuple[Array, Array]:
        """The samples with, at each jump, a point before it, a gap, and a point behind it."""
        where = np.repeat(self.at + 1, 3)
        between = np.stack([self.x[:, 0], self.x.mean(axis=1), self.x[:, 1]], axis=1)
        values = np.stack([self.y[:, 0], np.full(len(self.at), np.nan), self.y[:, 1]], axis=1)
        return np.insert(x, where, between.reshape(-1)), np.insert(y, where, values.reshape(-1))


def jumps(function: Callable[[Array], Array], x: Array, y: Array, epsilon: float) -> Jumps:
    """The jumps of a function that has values y [n] at increasing x [n]; NaN is a gap already.

    By bisection: of each interval in which y changes visibly the half with the larger change is kept. In a continuous
    function the change goes to zero, at a jump it stays, at a pole it grows. ``function`` takes and gives arrays [k];
    ``epsilon`` is the distance of neighbouring floats at 1.
    """
    finite = y[np.isfinite(y)]
    usual = float(np.subtract(*np.quantile(finite, (0.95, 0.05)))) if len(finite) else 0.0
    change = np.abs(np.diff(y))
    (at,) = np.nonzero(change > SMALL * usual)  # not where either end is NaN
    left, right = np.stack([x[at], y[at]]), np.stack([x[at + 1], y[at + 1]])
    before = change[at]
    open_ = np.ones(len(at), bool)
    for _ in range(HALVINGS):
        width = right[0] - left[0]
        open_ &= width > 16 * epsilon * np.maximum(np.abs(left[0]), np.abs(right[0]))
        open_ &= np.abs(right[1] - left[1]) > 0.01 * before
        (k,) = np.nonzero(open_)
        if not len(k):
            break
        middle = left[0][k] + width[k] / 2
        value = function(middle)
        known = np.isfinite(value)
        first = np.abs(value - left[1][k]) > np.abs(right[1][k] - value)
        for end, chosen in ((right, known & first), (left, known & ~first)):
            end[0][k[chosen]], end[1][k[chosen]] = middle[chosen], value[chosen]
        open_[k[~known]] = False
    left_over = np.abs(right[1] - left[1])
    found = left_over > 0.1 * before
    return Jumps(
        at[found],
        np.stack([left[0], right[0]], axis=1)[found],
        np.stack([left[1], right[1]], axis=1)[found],
        (left_over > 10 * before)[found],
    )
