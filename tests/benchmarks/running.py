"""Comparison of answers in running processes: gradcli and others here, libraries in theirs, all in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.competitors import Peer, PeerError
from tests.benchmarks.table import Row, times
from tests.benchmarks.timing import Calls, Measured, calls, interleaved

Array = Any


@dataclass(frozen=True)
class Own:
    """A competitor of this process: from text to the first answer (if that is of interest), and a further answer."""

    again: Callable[[], Array]
    first: Callable[[], Array] | None = None


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

    def run(self, peers: Mapping[str, Peer], rounds: int) -> tuple[list[Row], Measured]:
        """A row for each competitor; ratios are to gradcli, which is among ``own``."""
        runs: dict[str, Calls] = {}
        first: dict[str, float | None] = {}
        apart: dict[str, float] = {}
        problems: dict[str, str] = {}
        for who, own in self.own.items():
            apart[who] = self.difference(own.again(), self.reference)
            runs[who] = calls(own.again)
            if own.first is not None:
                runs[f"{who}: first"] = calls(own.first)
        for who, peer in peers.items():
            try:
                first[who], answer = peer.prepare(self.tasks[who], self.request, self.data)
                apart[who] = self.difference(answer, self.reference)
                runs[who] = peer.calls()
            except PeerError as problem:
                problems[who] = str(problem)
        measured = interleaved(runs, rounds)
        rows: list[Row] = []
        for who in (*self.own, *peers):
            if who in problems:
                rows.append(Row(self.title, who, remark=problems[who]))
                continue
            ratio = measured.ratio(who, "gradcli")
            assert ratio is not None
            rows.append(
                Row(
                    self.title,
                    who,
                    first.get(who) or measured.median(f"{who}: first"),
                    measured.median(who),
                    "" if who == "gradcli" else f"{times(ratio)} x gradcli",
                    apart[who],
                    "" if apart[who] <= self.agreement else "values differ",
                )
            )
        return rows, measured


def fastest(measured: Measured, who: Mapping[str, Any]) -> float | None:
    """How many times longer the fastest of them took than gradcli; None if none of them was measured."""
    ratios = [measured.ratio(name, "gradcli") for name in who]
    return min((ratio for ratio in ratios if ratio is not None), default=None)
