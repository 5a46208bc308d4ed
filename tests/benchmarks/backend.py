"""``--backend jax`` beside JAX written by hand: steps of the samples' fits, rows of ``--points``, and the first answer.

The step by hand is the one of ``peers/fits_jax.py``: one jitted function of values and memories, called once for each
step, with the same batches. gradcli looks at the loss of each step, which that does not. The first answer is that of the
command, from Enter on, with nothing in the cache of compiled programs and with everything.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gradcli.execute.accelerator import Accelerator, precise
from gradcli.features.fit.objective import Objective
from gradcli.features.fit.optimizers import Schedule
from tests.benchmarks import points
from tests.benchmarks.fits import ARMS, Fit, Run
from tests.benchmarks.running import difference
from tests.benchmarks.setting import ROOT, Setting, process
from tests.benchmarks.table import Row, Target, times
from tests.benchmarks.timing import calls, interleaved, told

Array = Any

FITS = [
    Fit("spiral", "loss", "adam", 1500, ARMS, Schedule(0.05, "cosine"), batched=ARMS, batch=50),
    Fit("exam_classifier", "loss", "sgd", 1000, ("X", "passed")),
    Fit("burgers_network", "loss", "adam", 40, ("x", "t"), Schedule(0.001)),
    Fit("rosenbrock_minimum", "y", "adam", 2000, rate=Schedule(0.001)),
    Fit("factorisation", "loss", "adam", 500, ("ratings", "train"), Schedule(0.02)),
]
"""The samples that have a loss; the one of exponential_fit are residuals, for SciPy's least squares."""

ROWS = 10_000_000
FEW = 3
"""Rounds at most: each takes seconds."""

PEERS = Path(__file__).parent / "peers"


def by_hand(what: Fit, steps: int, objective: Objective) -> Callable[[], Array]:
    """The fit of ``peers/fits_jax.py`` in this process."""
    sys.path.insert(0, str(PEERS))
    import fits_jax

    with precise():
        job = fits_jax.job_of("fit", what.request(steps, objective), what.data(steps, objective))

    def run() -> Array:
        with precise():
            return np.concatenate([np.ravel(value) for value in job()])

    return run


def fit(what: Fit, setting: Setting) -> tuple[list[Row], list[Target]]:
    """Steps per second; the reference is NumPy's answer."""
    steps = setting.size(what.steps)
    numpy = Run(what, steps, what.objective())
    program = what.loaded().with_accelerator(Accelerator())
    jax = replace(numpy, objective=Objective(program, what.target, data=what.batched, batch=what.batch))
    hand = by_hand(what, steps, numpy.objective)
    reference = numpy()[0]
    apart = {
        "gradcli": difference(jax()[0], reference),
        "gradcli, NumPy": 0.0,
        "JAX by hand": difference(hand(), reference),
    }
    runs = {
        "gradcli": told(lambda: jax()[1]),
        "gradcli, NumPy": told(lambda: numpy()[1]),
        "JAX by hand": calls(hand),
    }
    measured = interleaved(runs, min(setting.rounds, FEW), single=True)
    rows = []
    for who in runs:
        seconds, ratio = measured.median(who), measured.ratio(who, "gradcli")
        assert seconds is not None and ratio is not None
        remark = f"{steps / seconds:,.0f} steps/s" + ("" if apart[who] <= what.agreement else ", values differ")
        text = "" if who == "gradcli" else f"{times(ratio)} x gradcli"
        rows.append(Row(f"--backend jax, {what.title(steps)}", who, None, seconds, text, apart[who], remark))
    of = f"{what.program}, steps per second in parts of JAX by hand"
    return rows, [Target(of, 0.9, measured.ratio("JAX by hand", "gradcli"), at_least=True)]


def many_rows(setting: Setting) -> list[Row]:
    """``grad --points`` by both engines, once: it takes minutes."""
    count = setting.size(ROWS)
    path = setting.folder / "many.csv"
    random = np.random.default_rng(6)
    with open(path, "w") as file:
        file.write("x,y,z\n")
        for start in range(0, count, 1 << 18):
            np.savetxt(file, random.uniform(-2, 2, (min(1 << 18, count - start), 3)), fmt="%.17g", delimiter=",")
    program = setting.folder / "many.expr"
    program.write_text(points.PROGRAM, encoding="utf-8")
    rows, found = [], {}
    for who, options in (("gradcli", ["--backend", "jax"]), ("gradcli, NumPy", [])):
        out = setting.folder / "many-out.csv"
        command = [*setting.installed.gradcli, "grad", program, "--points", path, "--output", out, *options]
        (seconds,) = calls(process(command, setting.folder))(1)
        found[who] = np.loadtxt(out, delimiter=",", skiprows=1, max_rows=1000)
        remark = f"{count / seconds:,.0f} rows/s"
        apart = difference(found[who], found["gradcli"])
        rows.append(Row(f"--backend jax, grad --points, {count:,} rows", who, seconds, None, "", apart, remark))
    path.unlink()
    return rows


def first_answer(setting: Setting) -> list[Row]:
    """From Enter to the gradients of a sample: nothing compiled before, everything compiled before, NumPy."""
    command = [*setting.installed.gradcli, "grad", ROOT / "samples" / "burgers_network.expr", "--of", "loss"]
    by_jax = [*command, "--backend", "jax"]
    warm = ["env", f"XDG_CACHE_HOME={setting.folder / 'cache'}", *by_jax]
    process(warm, setting.folder)()

    def cold() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            return process(["env", f"XDG_CACHE_HOME={folder}", *by_jax], setting.folder)()

    runs = {"cold cache": cold, "warm cache": process(warm, setting.folder), "NumPy": process(command, setting.folder)}
    measured = interleaved({who: calls(run) for who, run in runs.items()}, min(setting.rounds, FEW), single=True)
    title = "--backend jax, first answer of grad burgers_network.expr"
    return [Row(title, who, measured.median(who)) for who in runs]


def section(setting: Setting) -> tuple[list[Row], list[Target]]:
    """All rows of this section."""
    rows: list[Row] = []
    targets: list[Target] = []
    for what in FITS:
        more, limits = fit(what, setting)
        rows += setting.noted(more)
        targets += limits
    for part in (first_answer, many_rows):
        rows += setting.noted(part(setting))
    return rows, targets
