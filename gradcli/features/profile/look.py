"""What ``--profile`` prints: a row for each line of the program, forward and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradcli.data.memory import show_bytes
from gradcli.diagnostics import counted, listed
from gradcli.report.columns import aligned
from gradcli.report.json_parts import json_text
from gradcli.report.quoting import visible

if TYPE_CHECKING:
    from gradcli.features.profile.answer import Compiled, Part, Profile
    from gradcli.report.tables import Screen

HEADERS = ("line", "time", "share", "forward", "backward", "calls", "memory", "text")

NUMBERS, PARTS = 48, 22
"""Columns of a terminal that the numbers of a row take with their frames, and the two parts besides."""


def render_table(profile: Profile, screen: Screen | None) -> str:
    """A table for a terminal, or aligned columns; forward and backward apart where there is a backward part."""
    total = profile.seconds or 1.0
    apart = any([line.backward.calls for line in profile.lines])
    rows = []
    for line in profile.lines:
        parts = [_duration(line.forward.seconds), _duration(line.backward.seconds)] if apart else []
        head = [str(line.number or "-"), _duration(line.seconds), f"{line.seconds / total:.0%}"]
        sums = [str(line.forward.calls + line.backward.calls), show_bytes(line.forward.bytes + line.backward.bytes)]
        rows.append([*head, *parts, *sums, _cropped(visible(line.text) or "(no line)", screen, apart)])
    headers = [h for h in HEADERS if apart or h not in ("forward", "backward")]
    last = "".join([text + "\n" for text in _notes(profile)])
    if screen is None:
        return aligned([headers, *rows]) + last
    from gradcli.report import tables

    return tables.render_rows(headers, rows, screen) + last


def _cropped(text: str, screen: Screen | None, apart: bool) -> str:
    """A line of the program in what is left of a row of the terminal."""
    room = len(text) if screen is None else max(screen.width - NUMBERS - PARTS * apart, 10)
    return text if len(text) <= room else text[: room - 1] + ("…" if screen and screen.unicode else "~")


def _notes(profile: Profile) -> list[str]:
    notes = [
        f"{_duration(profile.seconds)} on one thread, {show_bytes(profile.peak)} at once;"
        f" an ordinary run may use {profile.threads} thread{'s' * (profile.threads != 1)}"
    ]
    if profile.choice is not None:
        engine, reason = profile.choice
        timed = ", and timed on arrays" if engine in ("plain numbers", "sweeps") else ""
        notes.append(f"engine: {engine}{timed}, because {reason}")
    for count, (engine, reason) in profile.repeated:
        notes.append(f"a loop of {counted(count, 'step')}: {engine}, because {reason}")
    for size, tiles, operations, workers in profile.loops:
        sort = "process" if workers.processes else "thread"
        by = f"one {sort}" if workers.number == 1 else f"{workers.number} {sort}{'es' if workers.processes else 's'}"
        notes.append(
            f"{operations} operations run together along an axis of {size}, in {tiles} tiles"
            f" by {by}, because {workers.reason}"
        )
    return notes


def _duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"


def render_json(profile: Profile, command: str, file: str) -> str:
    """One object with ``lines``, ``engine``, ``loops``, ``seconds``, ``peak_bytes`` and ``threads``."""
    head = {
        "command": command, "file": file, "seconds": profile.seconds, "peak_bytes": profile.peak,
        "threads": profile.threads,
        "engine": None if profile.choice is None else {"name": profile.choice.engine, "reason": profile.choice.reason},
        "loops": [
            {"size": s, "tiles": t, "operations": n, "workers": w.number, "processes": w.processes, "reason": w.reason}
            for s, t, n, w in profile.loops
        ],
        "steps": [{"count": count, "name": engine, "reason": reason} for count, (engine, reason) in profile.repeated],
    }  # fmt: skip
    lines = [
        {"line": p.number or None, "text": p.text, "forward": _record(p.forward), "backward": _record(p.backward)}
        for p in profile.lines
    ]
    body = ",\n".join([" " + json_text(line) for line in lines])
    return json_text(head)[:-1] + f', "lines": [\n{body}]}}\n'


def _record(part: Part) -> dict[str, float]:
    return {"seconds": part.seconds, "calls": part.calls, "bytes": part.bytes}


# what JAX spends


def compiled_text(spent: Compiled | None) -> str:
    """Lines for people: what it took, and on what."""
    if spent is None:
        return "nothing is computed\n"
    figures, running, whole, by_numpy = spent
    moved = f", {show_bytes(figures.moved)} moved to and fro" if figures.moved else ""
    memory = "" if figures.bytes is None else f", {show_bytes(figures.bytes)} of memory on each device"
    lines = [
        f"engine: {figures.backend} on {listed(figures.devices)}, because it was asked for",
        f"{figures.operations} operations: {'traced' if figures.backend == 'jax' else 'written'} in {_duration(figures.tracing)},"
        f" compiled in {_duration(figures.compiling)}, run in {_duration(running)}{moved}{memory}",
        f"{_duration(whole)} from the program to the answer; NumPy takes {_duration(by_numpy)}",
    ]
    return "".join([line + "\n" for line in lines])


def compiled_json(spent: Compiled | None, command: str, file: str) -> str:
    """One object, with ``engine``, ``seconds`` of its parts, ``peak_bytes`` and ``devices``."""
    head: dict[str, object] = {
        "command": command,
        "file": file,
        "engine": {"name": "jax" if spent is None else spent.figures.backend, "reason": "it was asked for"},
    }
    if spent is not None:
        figures, running, whole, by_numpy = spent
        head |= {
            "seconds": whole, "tracing_seconds": figures.tracing, "compiling_seconds": figures.compiling,
            "running_seconds": running, "numpy_seconds": by_numpy, "operations": figures.operations,
            "peak_bytes": figures.bytes, "moved_bytes": figures.moved, "devices": figures.devices,
        }  # fmt: skip
    return json_text(head) + "\n"
