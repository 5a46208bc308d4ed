"""Rows per second of ``--points``: new processes that read a CSV file and write one, beside scripts that do the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.benchmarks.running import difference
from tests.benchmarks.setting import Setting, process
from tests.benchmarks.table import Row, Target, times
from tests.benchmarks.timing import calls, interleaved

ROWS = 500_000
A_MINUTE = 1e6
"""Rows that the command is to do in a minute, start included."""

FEW = 3
"""Rounds at most: each takes seconds."""

PROGRAM = """\
variable x = 0.0
variable y = 0.0
variable z = 0.0
f = (sin(x*y + z)*x - 0.5*tanh(z))/(1.5 + y*y)
"""

PEERS = Path(__file__).parent / "peers"
AGREEMENT = 1e-12


def table(printed: bytes) -> np.ndarray:
    """The rows of a CSV file below its header."""
    return np.loadtxt(printed.decode().splitlines(), delimiter=",", skiprows=1, ndmin=2)


def commands(setting: Setting, what: str, rows: Path) -> dict[str, list[str | Path]]:
    """Who reads the rows, and how."""
    path = setting.folder / "f.expr"
    path.write_text(PROGRAM, encoding="utf-8")
    installed = setting.installed
    found: dict[str, list[str | Path]] = {
        "gradcli": [*installed.gradcli, what, path, "--points", rows],
        "NumPy script": [installed.python, PEERS / "points_numpy.py", what, rows],
    }
    if setting.environment is not None and "JAX" not in setting.environment.problems:
        found["jax.vmap script"] = [setting.environment.python, PEERS / "points_jax.py", what, rows]
    return found


def measure(setting: Setting, what: str, path: Path, count: int) -> tuple[list[Row], Target]:
    """``eval`` or ``grad`` of all rows."""
    runs = {who: process(command, setting.folder) for who, command in commands(setting, what, path).items()}
    reference = table(runs["NumPy script"]())
    apart = {who: difference(table(run()), reference) for who, run in runs.items()}
    timed = {who: calls(run) for who, run in runs.items()}
    measured = interleaved(timed, min(setting.rounds, FEW), single=True, warm_up=False)
    rows: list[Row] = []
    rates: dict[str, float] = {}
    for who in runs:
        seconds, ratio = measured.median(who), measured.ratio(who, "gradcli")
        assert seconds is not None and ratio is not None
        rates[who] = count / seconds
        remark = f"{rates[who]:,.0f} rows/s" + ("" if apart[who] <= AGREEMENT else ", values differ")
        text = "" if who == "gradcli" else f"{times(ratio)} x gradcli"
        rows.append(Row(f"{what} --points, {count:,} rows", who, seconds, None, text, apart[who], remark))
    return rows, Target(f"{what} --points, rows a minute", A_MINUTE, 60 * rates["gradcli"], at_least=True)


def section(setting: Setting) -> tuple[list[Row], list[Target]]:
    """All rows of this section."""
    count = setting.size(ROWS)
    path = setting.folder / "rows.csv"
    values = np.random.default_rng(6).uniform(-2, 2, (count, 3))
    np.savetxt(path, values, fmt="%.17g", delimiter=",", header="x,y,z", comments="")
    rows: list[Row] = []
    targets: list[Target] = []
    for what in ("eval", "grad"):
        more, limit = measure(setting, what, path, count)
        rows += setting.noted(more)
        targets.append(limit)
    return rows, targets
