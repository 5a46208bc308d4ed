"""Large programs of scalars: from text to the gradient for ten variables, as a command and in running processes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import gradcli
from tests.benchmarks.cold import numbers
from tests.benchmarks.competitors import Peer, PeerError, TooSlowError
from tests.benchmarks.running import difference
from tests.benchmarks.setting import Setting, peak_memory, process
from tests.benchmarks.table import Row, Target, times
from tests.benchmarks.timing import Calls, Measured, calls, interleaved

SIZES = (1_000, 10_000, 100_000)
VARIABLES = 10
AGREEMENT = 1e-6
MEMORY = 1.5
"""Gigabytes that the command may use for the largest program."""

TASKS = dict.fromkeys(("casadi", "autograd", "PyTorch", "JAX", "SymPy"), "large")

LONG, FEW = 10_000, 3
"""From how many statements on there are few rounds, for answers take seconds."""

COLD = "gradcli, cold command"

Array = Any


def statements(n: int, power: str) -> str:
    """``n`` statements of which each uses the one before it and any earlier one; in Python power is ``**``."""
    numbers = random.Random(n)
    lines = ["v0 = x0"]
    for k in range(1, n + 1):
        c, j, earlier = numbers.uniform(0.5, 1.5), numbers.randrange(VARIABLES), numbers.randrange(k)
        lines.append(f"v{k} = sin(v{k - 1})*{c:.6f} + x{j}/(1.5 + v{earlier}{power}2)")
    return "\n".join([*lines, f"y = v{n}", ""])


def point() -> Array:
    return np.linspace(0.1, 1.0, VARIABLES)


def program(n: int) -> str:
    """The text in gradcli's language."""
    variables = "".join(f"variable x{k} = {value!r}\n" for k, value in enumerate(point().tolist()))
    return f"{variables}{statements(n, '^')}output y\n"


def in_process(text: str) -> Array:
    found = gradcli.loads(text).grad(unconnected="zero")
    return np.array([found[f"x{k}"] for k in range(VARIABLES)])


def from_text(peer: Peer, who: str, request: tuple[str, dict[str, Array]], late: set[str]) -> Calls:
    """Each call parses, differentiates and evaluates anew; one that is stopped took at least as long as the limit."""

    def once() -> float:
        try:
            return peer.prepare(TASKS[who], *request)[0]
        except TooSlowError:
            late.add(who)
            return peer.limit

    return lambda n: [once() for _ in range(n)]


@dataclass(frozen=True)
class Size:
    """What was measured at one size; ``memory`` in bytes is that of the command."""

    rows: list[Row]
    measured: Measured
    memory: int | None


def measure(setting: Setting, n: int, slow: set[str]) -> Size:
    """One size. Who exceeds the limit here is added to ``slow``, and who is in it already is not asked."""
    title, text = f"{n:,} statements, gradient", program(n)
    path = setting.folder / f"statements_{n}.expr"
    path.write_text(text, encoding="utf-8")
    command: list[str | Path] = [*setting.installed.gradcli, "grad", path, "--unconnected", "zero"]
    cold = process(command, setting.folder)
    runs: dict[str, Calls] = {COLD: calls(cold), "gradcli": calls(lambda: in_process(text))}
    reference = in_process(text)
    apart = {COLD: difference(np.array(numbers(cold())), reference)}
    problems: dict[str, str] = {}
    late: set[str] = set()  # those that an answer in time made taking part, and a later one exceed the limit
    request = (statements(n, "**"), {"x": point()})
    peers = setting.among(TASKS)
    for who, peer in peers.items():
        if who in slow:
            problems[who] = "gave up before"
            continue
        try:
            _, answer = peer.prepare(TASKS[who], *request)
            apart[who] = difference(answer, reference)
            runs[who] = from_text(peer, who, request, late)
        except PeerError as problem:
            problems[who] = str(problem)
            if isinstance(problem, TooSlowError):
                slow.add(who)
    rounds = setting.rounds if n < LONG else min(setting.rounds, FEW)
    measured = interleaved(runs, rounds, single=True, warm_up=False)
    memory = peak_memory(command, setting.folder)
    rows: list[Row] = []
    for who in (COLD, "gradcli", *peers):
        if who in problems:
            rows.append(Row(title, who, remark=problems[who]))
            continue
        ratio = measured.ratio(who, "gradcli")
        assert ratio is not None
        remark = "" if apart.get(who, 0) <= AGREEMENT else "values differ"
        if who in late:
            remark = f"stopped at {setting.peers[who].limit:.0f} s {remark}".rstrip()
        if who == COLD and memory is not None:
            remark = f"{memory / 1e6:.0f} MB {remark}".rstrip()
        text = "" if who == "gradcli" else f"{times(ratio)} x gradcli"
        rows.append(Row(title, who, measured.median(who), ratio=text, difference=apart.get(who), remark=remark))
    return Size(setting.noted(rows), measured, memory)


def section(setting: Setting) -> tuple[list[Row], list[Target]]:
    """All rows of this section. A competitor that exceeded the limit is not asked for larger programs."""
    slow: set[str] = set()
    sizes = [measure(setting, setting.size(n), slow) for n in SIZES]
    middle, last = sizes[-2], sizes[-1]
    before, after = middle.measured.median(COLD), last.measured.median(COLD)
    assert before is not None and after is not None
    most = f"{setting.size(SIZES[-1]):,} statements"
    return [row for size in sizes for row in size.rows], [
        Target(f"{most}, casadi to gradcli", 3, last.measured.ratio("casadi", "gradcli"), at_least=True),
        Target(f"{most}, casadi to gradcli's cold command", 3, last.measured.ratio("casadi", COLD), at_least=True),
        Target("cold command, ten times as many statements", 12, after / before),
        Target(f"{most}, gigabytes of the cold command", MEMORY, None if last.memory is None else last.memory / 1e9),
    ]
