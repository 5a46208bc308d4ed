"""Steps per second of ``gradcli fit`` beside the same fits in other libraries: the samples, and tiny programs.

A case is a run of so many steps from the program's values: ``first`` is the time from text to the end of the first run,
``again`` that of a further run, and the remark says how many steps that makes in a second, or, where a program is so
small that there is nothing else, how long one takes. Who is compared does the same steps of the same method: SciPy's
minimizers with the same options, or a loop of steps with the same batches, which are made before. gradcli makes them, and
looks at the loss of each step, which the others do not.

gradcli's clock runs from the moment of step 0 to that of the last: functions are planned and the first point is evaluated
before, as they are elsewhere. SciPy's L-BFGS calls a BLAS whose threads spin, for all alike; the command ``gradcli fit``
starts with one of them, as ``--threads 1`` does here, which is steadier where other programs run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Literal

import numpy as np

import gradcli
from gradcli.data.journal import Journal
from gradcli.features.fit.answer import fit
from gradcli.features.fit.look import history_line
from gradcli.features.fit.objective import Batches, Objective
from gradcli.features.fit.optimizers import Schedule
from gradcli.features.fit.running import Watcher
from gradcli.features.fit.training import CONSTANT, Moment, Settings
from tests.benchmarks.running import Comparison, Own, difference, fastest
from tests.benchmarks.setting import ROOT, Setting
from tests.benchmarks.table import Row, Target
from tests.benchmarks.timing import told

Array = Any
Backend = Literal["numpy", "native"]

TASKS = {
    "JAX": "fit",
    "TensorFlow": "fit",
    "TensorFlow XLA": "fit xla",
    "PyTorch": "fit",
    "PyTorch compiled": "fit compiled",
}
BURGERS = {"JAX": "fit", "JAX forward": "fit forward", **TASKS}


@dataclass(frozen=True)
class Fit:
    """A program, by the name that peers know it by, and how its ``target`` is minimised.

    It is ``text``, or else a sample. ``constants`` are sent to peers; ``batched`` are those of which a step sees ``batch``
    rows. ``steps`` are few enough that nothing has converged, and that rounding, which grows from step to step, has not
    parted the values by ``agreement``: of the Burgers network and Rosenbrock's function it does after 55 steps.
    """

    program: str
    target: str
    method: str
    steps: int
    constants: tuple[str, ...] = ()
    rate: Schedule = CONSTANT
    batched: tuple[str, ...] = ()
    batch: int | None = None
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    text: str = ""
    agreement: float = 1e-6
    tasks: Mapping[str, str] = field(default_factory=lambda: TASKS)

    def title(self, steps: int) -> str:
        return f"{self.text or self.program}, {self.method}, {steps:,} steps"

    def loaded(self, backend: Backend = "numpy") -> gradcli.Program:
        if self.text:
            return gradcli.loads(self.text, backend=backend)
        return gradcli.load(ROOT / "samples" / f"{self.program}.expr", backend=backend)

    def objective(self, backend: Backend = "numpy") -> Objective:
        squares = self.method == "least-squares"
        return Objective(self.loaded(backend), self.target, squares=squares, data=self.batched, batch=self.batch)

    def settings(self, steps: int) -> Settings:
        return Settings(self.method, self.rate, steps, bounds=self.bounds)

    def request(self, steps: int, objective: Objective) -> str:
        """What peers are told."""
        low = min((low for low, _ in self.bounds.values()), default=-np.inf)
        how = {"program": self.program, "method": self.method, "steps": steps, "low": low}
        rate = {"rate": self.rate.start, "form": self.rate.form}
        return json.dumps({**how, **rate, "batched": self.batched, "variables": objective.asked})

    def data(self, steps: int, objective: Objective) -> dict[str, Array]:
        """What peers are given: constants, first values, and the rows of each step's batch."""
        found = self.loaded().eval(self.constants) if self.constants else {}
        found |= {name: objective.unchanged(name) for name in objective.asked}
        if self.batch is not None:
            count = len(found[self.batched[0]])
            batches = Batches({"row": np.arange(count)}, self.batch, objective.program.random_seed)
            found["rows"] = np.stack([batches.chosen(step)["row"] for step in range(steps)])
        return found


ARMS = ("points", "arm")
SAMPLES = [
    Fit("exam_classifier", "loss", "lbfgs", 8, ("X", "passed")),
    Fit("spiral", "loss", "adam", 1500, ARMS, Schedule(0.05, "cosine"), batched=ARMS, batch=50),
    Fit("rosenbrock_minimum", "y", "newton-cg", 40),
    Fit("factorisation", "loss", "lbfgs", 50, ("ratings", "train")),
    Fit("exponential_fit", "residual", "least-squares", 6, ("t", "counts"), bounds={"p": (0.0, np.inf)}),
    Fit("burgers_network", "loss", "lbfgs", 40, ("x", "t"), tasks=BURGERS),
]

PARABOLA = "variable x = 3.0; y = (x - 1)^2"
PAIR = "variable w1 = 2.0; variable w2 = 2.0; b = stop_gradient(w1*3.0)*w2"
TINY = [
    Fit("parabola", "y", "sgd", 1000, text=PARABOLA),
    Fit("parabola", "y", "adam", 1000, text=PARABOLA),
    Fit("pair", "b", "sgd", 1000, text=PAIR),
]


class Timed:
    """Calls a watch at each step, and knows the seconds from the first moment to the last: those of the steps alone."""

    def __init__(self, watch: Callable[[Moment], str | None]) -> None:
        self._watch = watch
        self._begun: float | None = None
        self.seconds = 0.0

    def __call__(self, moment: Moment) -> str | None:
        answer = self._watch(moment)
        now = perf_counter()
        if self._begun is None:
            self._begun = now
        self.seconds = now - self._begun
        return answer


@dataclass(frozen=True)
class Run:
    """So many steps of a fit in this process, watched as the command does, with a history in a file if it has a path."""

    what: Fit
    steps: int
    objective: Objective
    history: str | None = None
    backend: Backend = "numpy"

    def __call__(self) -> tuple[Array, float]:
        """All values that were asked for, one after the other, and the seconds that the steps took."""
        journal = Journal(self.history) if self.history is not None else None
        watch = Timed(Watcher(self.steps, lambda m: journal.write(history_line(m)) if journal is not None else None))
        outcome = fit(self.objective, self.what.settings(self.steps), watch)
        if journal is not None:
            journal.close()
        assert outcome.state.step == self.steps, outcome.reason
        values = [outcome.state.values.get(name, self.objective.unchanged(name)) for name in self.objective.asked]
        return np.concatenate([np.ravel(value) for value in values]), watch.seconds

    def own(self) -> Own:
        """As a competitor, whose first answer comes from the text."""
        return Own(
            lambda: self()[0],
            lambda: replace(self, objective=self.what.objective(self.backend))()[0],
            told(lambda: self()[1]),
        )


def parabola(adam: bool, rate: float, steps: int) -> Callable[[], Array]:
    """The steps for :data:`PARABOLA`, written by hand with NumPy."""

    def run() -> Array:
        x, m, v = np.array([3.0]), np.zeros(1), np.zeros(1)
        for t in range(1, steps + 1):
            g = 2 * (x - 1)
            if not adam:
                x = x - rate * g
                continue
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * (g * g)
            x = x - rate / (1 - 0.9**t) * m / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        return x

    return run


def pair(rate: float, steps: int) -> Callable[[], Array]:
    """The steps for :data:`PAIR`, written by hand with NumPy."""

    def run() -> Array:
        w1, w2 = np.array([2.0]), np.array([2.0])
        for _ in range(steps):
            w2 = w2 - rate * (w1 * 3)
        return np.concatenate([w1, w2])

    return run


def by_hand(what: Fit, steps: int) -> Callable[[], Array]:
    """A tiny fit without any library for it."""
    rate = what.rate.start
    return pair(rate, steps) if what.text == PAIR else parabola(what.method == "adam", rate, steps)


def measure(what: Fit, setting: Setting) -> tuple[list[Row], list[Target]]:
    """One fit; the reference is gradcli's answer."""
    steps = setting.size(what.steps)
    run = Run(what, steps, what.objective())
    native = replace(run, objective=what.objective("native"), backend="native")
    own = {"gradcli": run.own(), "gradcli native": native.own()}
    if what.text:
        own["gradcli --history"] = replace(run, history=str(setting.folder / "history.ndjson")).own()
        own["NumPy by hand"] = Own(by_hand(what, steps))
    comparison = Comparison(
        what.title(steps),
        own,
        what.tasks,
        what.request(steps, run.objective),
        what.data(steps, run.objective),
        run()[0],
        difference,
        what.agreement,
    )
    rows, measured = comparison.run(setting.among(what.tasks), setting.rounds)
    best = fastest(measured, what.tasks)
    of = f"{what.program}, {what.method}, fastest of the others to gradcli"
    return [_with_speed(row, steps, bool(what.text)) for row in rows], [Target(of, 1, best, at_least=True)]


def _with_speed(row: Row, steps: int, tiny: bool) -> Row:
    """The row with the speed of its steps before its remark."""
    if row.again is None:
        return row
    speed = f"{1e6 * row.again / steps:.3g} us a step" if tiny else f"{steps / row.again:,.0f} steps/s"
    return replace(row, remark=f"{speed}, {row.remark}" if row.remark else speed)


def section(setting: Setting) -> tuple[list[Row], list[Target]]:
    """All rows of this section."""
    rows: list[Row] = []
    targets: list[Target] = []
    for what in (*SAMPLES, *TINY):
        more, limits = measure(what, setting)
        rows += setting.noted(more)
        targets += limits
    return rows, targets
