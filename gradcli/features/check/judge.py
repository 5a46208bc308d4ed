"""Whether two numbers that should be one derivative agree, given what is known of their errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcli.tuples import NamedTuple

Array = np.ndarray[Any, Any]

BADNESS = {"": 0, "ok": 0, "kink": 1, "unclear": 2, "FAILED": 3}

TINY = 2.3e-308
"""What is below all normal numbers need not be seen."""

CLEAR = 1e-2
"""The relative error from which a difference shows nothing."""


MOST_CANDIDATES = 1000
"""How many entries of one variable are judged one by one."""


class Verdict(NamedTuple):
    """Two numbers, the difference between them, and a word for it (see :class:`gradcli.results.Comparison`)."""

    reverse: float
    other: float
    word: str

    @property
    def difference(self) -> float:
        if self.reverse == self.other or (math.isnan(self.reverse) and math.isnan(self.other)):
            return 0.0
        return abs(self.reverse - self.other)

    @property
    def relative(self) -> float:
        difference = self.difference
        if not difference or not math.isfinite(difference):
            return difference
        return difference / max(abs(self.reverse), abs(self.other))

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        return self.reverse + 0.0, self.other + 0.0, self.difference, self.relative  # -0.0 + 0.0 is 0.0

    @property
    def badness(self) -> tuple[int, float]:
        """Larger is worse."""
        difference = self.difference
        return BADNESS[self.word], math.inf if math.isnan(difference) else difference

    def per(self, scale: float) -> Verdict:
        """The derivative by an entry, from that along a move of the entry."""
        return self._replace(reverse=self.reverse / scale, other=self.other / scale)


@dataclass(frozen=True, slots=True)
class Judge:
    """The tolerance (relative), the rounding error of the computation, and whether the point lies on a kink.

    ``fine`` is the tolerance where the other number comes from hundreds of digits; ``infinite`` says whether a value
    that the ys are computed from is infinite: through it no derivative that is NaN or infinite can be compared.
    """

    tolerance: float
    eps: float
    on_kink: bool = False
    fine: float = 1e-9
    infinite: Callable[[], bool] = lambda: False

    @property
    def target(self) -> float:
        """The relative error that differences should reach."""
        return 0.01 * self.tolerance

    def candidates(self, reverse: Array, other: Array) -> list[int]:
        """The positions worth a verdict: the largest difference, and what is not within the tolerance."""
        if not reverse.size:
            return []
        with np.errstate(all="ignore"):
            same = (reverse == other) | (np.isnan(reverse) & np.isnan(other))
            difference = np.where(same, 0.0, np.abs(reverse - other))
            largest = np.maximum(np.abs(reverse), np.abs(other))
            within = difference <= min(self.tolerance, self.fine) * largest
        worst = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
        return [worst, *np.flatnonzero(~(within & np.isfinite(largest)))[:MOST_CANDIDATES].tolist()]

    def exact(self, reverse: float, other: float, defined: bool, noise: Callable[[], float]) -> Verdict:
        """Two numbers whose only errors are from rounding; ``noise`` tells how large those may be.

        ``defined`` says that the function that they are derivatives of is finite. On a kink one of them may be infinite,
        or infinity times 0, where the other one is not.
        """
        verdict = Verdict(reverse, other, "ok")
        if not defined and not math.isfinite(reverse):
            return Verdict(reverse, reverse, "ok")
        if not defined and not math.isfinite(other):
            return verdict._replace(word="unclear")
        difference = verdict.difference
        if difference <= self._relative(verdict):
            return verdict
        if not math.isfinite(reverse) and not math.isfinite(other):
            return verdict._replace(word="unclear")
        if self.on_kink and math.isfinite(reverse) != math.isfinite(other):
            return verdict._replace(word="kink")
        return verdict if difference <= noise() else self._failed(verdict)

    def digits(self, reverse: float, other: float, noise: float) -> Verdict:
        """The same where ``other`` comes from differences in hundreds of digits."""
        verdict = Verdict(reverse, other, "ok")
        if not math.isfinite(other) and not math.isfinite(reverse):  # beyond all numbers of float64
            return verdict._replace(word="unclear" if verdict.difference else "ok")
        allowed = self.fine * max(abs(reverse), abs(other)) + noise if math.isfinite(reverse) else 0.0
        return verdict if verdict.difference <= allowed else self._failed(verdict)

    def numeric(self, reverse: float, other: float, error: float, size: float, defined: bool) -> Verdict:
        """The same where ``other`` comes from differences, off by about ``error``."""
        if not defined and not math.isfinite(reverse):
            return Verdict(reverse, reverse, "ok")
        verdict = Verdict(reverse, other, "ok")
        if not math.isfinite(other) or not math.isfinite(error):
            return verdict._replace(word="unclear") if math.isfinite(reverse) or self.on_kink else self._failed(verdict)
        allowed = self._allowed(verdict, size)
        if verdict.difference <= allowed:
            return verdict
        if error > CLEAR * max(abs(reverse), abs(other)) + allowed:
            return verdict._replace(word="unclear")
        return verdict if verdict.difference <= 10 * error else self._failed(verdict)

    def _failed(self, verdict: Verdict) -> Verdict:
        compared = math.isfinite(verdict.reverse) and math.isfinite(verdict.other)
        return verdict._replace(word="FAILED" if compared or not self.infinite() else "unclear")

    def between(self, verdict: Verdict, left: tuple[float, float], right: tuple[float, float]) -> Verdict:
        """On a kink: whether reverse mode is one of the one-sided derivatives, or lies between them."""
        bounds = []
        slopes = []
        for slope, error in (left, right):
            # A side that diverges, as that of sqrt at 0, bounds nothing.
            clear = math.isfinite(slope) and error <= max(CLEAR * abs(slope), self.tolerance)
            margin = 10 * error + self.tolerance * abs(slope)
            bounds.append((slope - margin, slope + margin) if clear else (-math.inf, math.inf))
            slopes.append(slope if clear else math.nan if math.isnan(slope) else math.copysign(math.inf, slope))
        low, high = min(b[0] for b in bounds), max(b[1] for b in bounds)
        inside = math.isnan(verdict.reverse) or low <= verdict.reverse <= high
        nearest = min(slopes, key=lambda slope: Verdict(verdict.reverse, slope, "").badness)
        return Verdict(verdict.reverse, nearest, "kink" if inside else "FAILED")

    def _relative(self, verdict: Verdict) -> float:
        largest = max(abs(verdict.reverse), abs(verdict.other))
        return self.tolerance * largest if math.isfinite(largest) else 0.0

    def _allowed(self, verdict: Verdict, size: float) -> float:
        largest = max(abs(verdict.reverse), abs(verdict.other))
        return self.tolerance * (largest + 1e-3 * size) if math.isfinite(largest) else 0.0
