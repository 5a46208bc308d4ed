"""Comparison of answers in running processes: gradcli and others here, libraries in theirs, all in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.benchmarks.competitors import Peer, PeerError, TooSlowError
from tests.benchmarks.table import Row, times
from tests.benchmarks.timing import Calls, Measured, calls, interleaved

Array = Any


def difference(found: Array, reference: Array) -> float:
    """The largest difference in parts of the reference's largest entry."""
    if found.shape != reference.shape:
        return float("nan")
    with np.errstate(all="ignore"):  # a wrong answer may hold anything
        return float(np.max(np.abs(found - reference)) / np.max(np.abs(reference)))


@dataclass(frozen=True)
class Own:
    """A competitor of this process: from text to the first answer (if that is of interest), and a further answer.

    ``calls`` time the latter where it is a part of ``again`` that counts.
    """

    again: Callable[[], Array]
    first: Callable[[], Array] | None = None
    calls: Calls | None = None


@dataclass(frozen=True)
class Comparison:
    """A case: who takes part, what peers are asked for, and when answers are the same.

    ``tasks`` names what each peer does, ``request`` and ``data`` are sent to it. ``difference`` is that of an answer
    from ``reference``.
    """

    title: str
    own: Mapping[str, Own]
    tasks: Mapping[str, str]
    request: str
    data: dict[str, Array]
    reference: Array
    difference: Callable[[Array, Array], float]
    agreement: float
    order: int = 1

    def run(self, peers: Mapping[str, Peer], rounds: int, slow: set[str] | None = None) -> tuple[list[Row], Measured]:
        """A row for each competitor; ratios are to gradcli, which is among ``own``.

        Who exceeds the limit is added to ``slow``, and who is in it already is not asked.
        """
        slow = set() if slow is None else slow
        late: set[str] = set()
        runs: dict[str, Calls] = {}
        first: dict[str, float | None] = {}
        apart: dict[str, float] = {}
        problems: dict[str, str] = {}
        for who, own in self.own.items():
            apart[who] = self.difference(own.again(), self.reference)
            runs[who] = own.calls or calls(own.again)
            if own.first is not None:
                runs[f"{who}: first"] = calls(own.first)
        for who, peer in peers.items():
            if who in slow:
                problems[who] = "gave up before"
                continue
            try:
                first[who], answer = peer.prepare(self.tasks[who], self.request, self.data, self.order)
                apart[who] = self.difference(answer, self.reference)
                runs[who] = in_time(peer, who, late)
            except PeerError as problem:
                problems[who] = str(problem)
                if isinstance(problem, TooSlowError):
                    slow.add(who)
        measured = interleaved(runs, rounds)
        problems |= {who: f"stopped at {peers[who].limit:.0f} s" for who in late}
        for who in self.own:
            first[who] = measured.median(f"{who}: first")
        return [self._row(who, measured, first, apart, problems) for who in (*self.own, *peers)], measured

    def _row(
        self,
        who: str,
        measured: Measured,
        first: Mapping[str, float | None],
        apart: Mapping[str, float],
        problems: Mapping[str, str],
    ) -> Row:
        if who in problems:
            return Row(self.title, who, remark=problems[who])
        again, ours, theirs = measured.ratio(who, "gradcli"), first.get("gradcli"), first[who]
        assert again is not None
        ratio = f"{times(again)} x gradcli"
        if ours is not None and theirs is not None:
            ratio = f"first {times(theirs / ours)}, again {ratio}"
        remark = "" if apart[who] <= self.agreement else "values differ"
        return Row(self.title, who, theirs, measured.median(who), "" if who == "gradcli" else ratio, apart[who], remark)


def in_time(peer: Peer, who: str, late: set[str]) -> Calls:
    """Runs what a peer prepared; once it exceeds the limit it is ``late``, and is not asked again."""
    ask = peer.calls()

    def run(n: int) -> list[float]:
        if who not in late:
            try:
                return ask(n)
            except TooSlowError:
                late.add(who)
        return [peer.limit] * n

    return run


def fastest(measured: Measured, who: Mapping[str, Any]) -> float | None:
    """How many times longer the fastest of them took than gradcli; None if none of them was measured."""
    ratios = [measured.ratio(name, "gradcli") for name in who]
    return min((ratio for ratio in ratios if ratio is not None), default=None)
