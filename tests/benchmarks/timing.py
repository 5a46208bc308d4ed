"""Medians of competitors that take turns, so that what else the machine does meets all of them alike."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

Calls = Callable[[int], list[float]]
"""Makes n calls and gives the seconds that each took."""

ROUND = 0.15
"""Seconds that one competitor's turn is meant to last."""

MOST_CALLS = 30


def calls(function: Callable[[], object]) -> Calls:
    """Times a function of this process."""

    def seconds() -> float:
        start = perf_counter()
        function()
        return perf_counter() - start

    return told(seconds)


def told(function: Callable[[], float]) -> Calls:
    """A function of this process that tells itself what it took; the collector runs between turns, not within."""

    def run(n: int) -> list[float]:
        gc.collect()
        gc.disable()
        try:
            return [function() for _ in range(n)]
        finally:
            gc.enable()

    return run


class Measured:
    """The median of each competitor's turns, round by round."""

    def __init__(self, turns: Mapping[str, list[float]]) -> None:
        self.turns = turns

    def median(self, who: str) -> float | None:
        return median(self.turns[who]) if self.turns.get(who) else None

    def ratio(self, who: str, other: str) -> float | None:
        """How many times longer ``who`` took than ``other``: the median over rounds, neighbours in time compared."""
        if not self.turns.get(who) or not self.turns.get(other):
            return None
        return median([a / b for a, b in zip(self.turns[who], self.turns[other], strict=True)])


def interleaved(competitors: Mapping[str, Calls], rounds: int, single: bool = False, warm_up: bool = True) -> Measured:
    """Every competitor in each round, in turn, in the opposite order every other round.

    The first call of each is not counted, and tells how many calls make a turn; ``single`` makes it one. Answers that
    take seconds need no such call.
    """
    counts = dict.fromkeys(competitors, 1)
    for who, run in competitors.items() if warm_up else ():
        (took,) = run(1)
        counts[who] = 1 if single else max(1, min(MOST_CALLS, int(ROUND / max(took, 1e-9))))
    turns: dict[str, list[float]] = {who: [] for who in competitors}
    for n in range(rounds):
        for who in list(competitors) if n % 2 == 0 else list(competitors)[::-1]:
            turns[who].append(median(competitors[who](counts[who])))
    return Measured(turns)
