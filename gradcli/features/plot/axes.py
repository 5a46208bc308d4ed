"""Axes of plots: what range they show, where their ticks are, and what is written at them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcli.features.plot.answer import Curves, Dots, Field
from gradcli.tuples import NamedTuple

Array = np.ndarray[Any, Any]


class Axis(NamedTuple):
    """A range, linear or logarithmic."""

    low: float
    high: float
    log: bool = False

    def place(self, values: Array) -> Array:
        """Where values are: 0 at the start of the axis, 1 at its end."""
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        with np.errstate(all="ignore"):
            at: Array = ((np.log10(values) if self.log else values) - low) / (high - low)
        return at

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """At most that many round numbers, and their texts."""
        if self.log:
            powers = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            chosen = powers[:: math.ceil(len(powers) / max(most, 1)) or 1]
            if len(chosen) > 1:
                return [(10.0**k, f"{10.0**k:g}") for k in chosen]
        step = _step((self.high - self.low) / max(most - 1, 1))
        if not math.floor(self.high / step) - math.ceil(self.low / step) + 1 > 1:
            step = _step(step / 3)  # one step down, so that there are at least two
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        digits = max(0, -_power(step))
        large = max(abs(self.low), abs(self.high))
        form = f".{digits}f" if large < 1e6 and digits < 6 else f".{max(0, _power(large) - _power(step))}e"
        found = [(k * step, format(k * step, form) if k else "0") for k in range(first, last + 1)]
        return [(value, text) for value, text in found if value > 0 or not self.log]


def _power(value: float) -> int:
    """The power of ten of a number's first digit."""
    return math.floor(math.log10(value) + 1e-9)


def _step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below ``least``."""
    power = _power(least)
    return next(k * 10.0**power for k in (1, 2, 5, 10) if k * 10.0**power >= least * (1 - 1e-9))


def height_of(drawn: Curves) -> Axis:
    """The vertical axis of curves: what was asked for, or what is worth showing of each, and all else, with some room."""
    if drawn.frame.y_range is not None:
        return Axis(*drawn.frame.y_range, drawn.log_y)
    ranges = [curve.height for curve in drawn.curves if curve.height is not None]
    others = [(dots.x, end) for dots in drawn.dots for end in _ends(dots)]
    others += [(band.x, end) for band in drawn.bands for end in (band.low, band.high)]
    for x, y in others:
        shown = y[(drawn.x_range[0] <= x) & (x <= drawn.x_range[1]) & np.isfinite(y)]
        shown = shown[shown > 0] if drawn.log_y else shown
        if len(shown):
            ranges.append((float(shown.min()), float(shown.max())))
    if not ranges:
        return Axis(1.0, 10.0, True) if drawn.log_y else Axis(0.0, 1.0)
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    if drawn.log_y:
        room = (high / low) ** 0.03 if high > low else 2.0
        return Axis(low / room, high * room, True)
    room = 0.03 * (high - low)
    # A curve that is constant up to rounding lies in the middle.
    if room <= 1e-12 * max(abs(low), abs(high)):
        room = 0.5 * max(abs(low), abs(high)) or 1.0
    return Axis(low - room, high + room)


def _ends(dots: Dots) -> list[Array]:
    return [dots.y] if dots.error is None else [dots.y - dots.error, dots.y + dots.error]


def levels_of(field: Field, count: int = 9) -> list[float]:
    """Levels of contours between which lie equal parts of the area, to as many digits as it takes; none of a constant.

    Of a function with two or three values, which has no such levels, one is in the middle.
    """
    z = field.z[np.isfinite(field.z)]
    low, high = float(z.min()), float(z.max())
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return []
    step = (high - low) / (10 * count)
    parts = [_rounded(level, step) for level in np.quantile(z, np.linspace(0, 1, count + 2)[1:-1]).tolist()]
    if low < 0 < high:  # where a function changes its sign is the contour that is looked for first
        parts[int(np.argmin(np.abs(parts)))] = 0.0
    return sorted({level for level in parts if low < level < high}) or [low + (high - low) / 2]


def _rounded(value: float, step: float) -> float:
    """Two digits of a number, or as many as tell it from what is a step away; 0 where only rounding tells it from that."""
    if abs(value) < step / 100:
        return 0.0
    ratio = abs(value) / step
    digits = max(2, math.ceil(math.log10(ratio))) if ratio > 1 else 2
    return float(f"{value:.{digits - 1}e}")


def texts_of(levels: Sequence[float]) -> list[str]:
    """Levels in as few digits as are exact."""
    return [f"{level:g}" if float(f"{level:g}") == level else repr(level) for level in levels]
