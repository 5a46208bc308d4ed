"""Values and gradients of loops: recurrences, a filter, a network over time and a differential equation.

A case is there twice: in running processes, where ``first`` is the time from text to the first answer and ``again`` that of
a further one, and cold, from Enter to the answer of a command and of scripts that do the same. JAX has ``lax.scan``, casadi
``mapaccum``, and PyTorch loops of Python's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

import gradcli
from tests.benchmarks.cold import numbers
from tests.benchmarks.running import Comparison, Own, difference
from tests.benchmarks.setting import ROOT, Setting, process
from tests.benchmarks.table import Row, Target, times
from tests.benchmarks.timing import Measured, calls, interleaved

AGREEMENT = 1e-8
FEW = 3
"""Cold rounds at most: each takes seconds."""

PEERS = Path(__file__).parent / "peers"
SCRIPTS = {"JAX": "loops_jax.py", "PyTorch": "loops_torch.py", "casadi": "loops_casadi.py"}

Array = Any
Arrays = dict[str, Array]

RECURRENCE = """\
def step(s, u) = tanh(a*s + b*u)
y = mean(scan(step, u, 0.0)^2)
"""

GARCH = """\
mu, omega, alpha, beta = p
e2 = (r - mu)^2
before = mean(e2)
def step(h, e2) = omega + alpha*e2 + beta*h
h = scan(step, concat([[before], e2[:-1]]), before)
y = sum(log(h) + e2/h)/2
"""

LSTM = """\
n = size(out)
nothing = zeros([shape(x)[1], n])
def cell(h, c, x) = {
    z = concat([x, h], axis=1) @ W + b
    kept = sigmoid(z[:, n:2*n])*c + sigmoid(z[:, :n])*tanh(z[:, 3*n:])
    sigmoid(z[:, 2*n:3*n])*tanh(kept), kept
}
h, c = scan(cell, x, [nothing, nothing])
y = mean((h[-1] @ out - target)^2)
"""

KALMAN = """\
F = [[1.0, 1.0], [0.0, 1.0]]
Q = diag(exp(q))
noise = exp(r)
def filter(m, P, _last, y) = {
    m1 = F @ m
    P1 = F @ P @ F.T + Q
    S = P1[0, 0] + noise
    K = P1[:, 0]/S
    e = y - m1[0]
    m1 + K*e, P1 - outer(K, P1[0]), log(S) + e^2/S
}
m, P, terms = scan(filter, flow, [zeros([2]), 100.0*eye(2), 0.0*noise])
y = sum(terms)/2
"""

SIR = """\
def rates(u, _t) = {
    new = p[0]*u[0]*u[1]
    gone = p[1]*u[1]
    [-new, new - gone, gone]
}
u = odeint(rates, [0.999, 0.001, 0.0], t)
y = mean(u[:, 1])
"""


@dataclass(frozen=True)
class Problem:
    """A program that names a scalar ``y``, known to peers as ``case``, and is differentiated by all its variables.

    ``results`` names others in place of these. ``of_jax`` says how many times faster than JAX's script the cold command is to
    be, ``task`` what peers are asked for, and ``peers`` who they are and their scripts.
    """

    case: str
    title: str
    text: str
    variables: Arrays
    constants: Arrays
    peers: Mapping[str, str] = field(default_factory=lambda: SCRIPTS)
    of_jax: float = 0
    task: str = "loop"
    results: tuple[str, ...] = ()

    @property
    def asked(self) -> list[str]:
        """The names of the results: if no others are given, those of the value and of the gradients."""
        return list(self.results) or ["y", *[f"g_{name}" for name in self.variables]]

    def written(self, folder: Path) -> Path:
        """The program, whose arrays are files beside it."""
        folder.mkdir(exist_ok=True)
        kinds = {**dict.fromkeys(self.variables, "variable"), **dict.fromkeys(self.constants, "constant")}
        for name, value in {**self.variables, **self.constants}.items():
            np.save(folder / f"{name}.npy", value)
        heads = [f'{kind} {name} = load("{name}.npy")\n' for name, kind in kinds.items()]
        gradient = f"{', '.join(self.asked[1:])} = gradients(y, [{', '.join(self.variables)}])\n"
        gradient = "" if self.results else gradient
        path = folder / f"{self.case}.expr"
        path.write_text("".join(heads) + self.text + gradient, encoding="utf-8")
        return path

    def compiled(self, path: Path, backend: Literal["numpy", "native"] = "numpy") -> Callable[[], Array]:
        """The entries of the value and of the gradients, one after the other."""
        run = gradcli.load(path, backend=backend).compile(self.asked, inputs=list(self.variables))

        def answer() -> Array:
            found = run(**self.variables)
            return np.concatenate([np.ravel(found[name]) for name in self.asked])

        return answer


def recurrence(steps: int) -> Problem:
    """A neuron with itself as its input."""
    u = np.random.RandomState(1).normal(size=steps)
    a, b = np.array(0.9), np.array(0.5)
    title = f"tanh(a s + b u), {steps:,} steps"
    return Problem("recurrence", title, RECURRENCE, {"a": a, "b": b}, {"u": u}, of_jax=1)


def garch(steps: int) -> Problem:
    """The likelihood of `samples/loops/garch.expr`."""
    r = np.loadtxt(ROOT / "samples" / "loops" / "data" / "returns.csv", skiprows=1)[:steps]
    p = np.array([0.0, 0.05, 0.1, 0.85])
    return Problem("garch", f"GARCH(1,1), {len(r):,} steps", GARCH, {"p": p}, {"r": r}, of_jax=1)


def lstm(units: int, steps: int, batch: int, inputs: int = 16) -> Problem:
    random = np.random.RandomState(2)
    variables = {
        "W": random.normal(size=(inputs + units, 4 * units)) / (inputs + units) ** 0.5,
        "b": np.zeros(4 * units),
        "out": random.normal(size=units) / units**0.5,
    }
    constants = {"x": random.normal(size=(steps, batch, inputs)), "target": random.normal(size=batch)}
    title = f"LSTM, {units} units, {steps} steps, batch {batch}"
    peers = {name: SCRIPTS[name] for name in ("JAX", "PyTorch")}
    return Problem("lstm", title, LSTM, variables, constants, peers)


def kalman(steps: int) -> Problem:
    """A level and its slope, and the logarithms of three variances."""
    random = np.random.RandomState(3)
    flow = np.cumsum(np.cumsum(0.1 * random.normal(size=steps))) + random.normal(size=steps)
    variables = {"q": np.array([-2.0, -4.0]), "r": np.array(0.5)}
    title = f"Kalman filter of 2 states, {steps:,} steps"
    return Problem("kalman", title, KALMAN, variables, {"flow": flow}, of_jax=1)


def sir(steps: int) -> Problem:
    """An outbreak in parts of the population."""
    t = np.linspace(0.0, 100.0, steps + 1)
    return Problem("sir", f"odeint of 3 states, {steps:,} steps", SIR, {"p": np.array([0.5, 0.2])}, {"t": t})


def warm(problem: Problem, path: Path, setting: Setting) -> tuple[list[Row], Measured]:
    """Answers in running processes."""
    again, native = problem.compiled(path), problem.compiled(path, "native")
    peers = dict.fromkeys(problem.peers, problem.task)
    comparison = Comparison(
        problem.title,
        {
            "gradcli": Own(again, lambda: problem.compiled(path)()),
            "gradcli native": Own(native, lambda: problem.compiled(path, "native")()),
        },
        peers,
        json.dumps({"case": problem.case, "variables": list(problem.variables)}),
        {**problem.variables, **problem.constants},
        again(),
        difference,
        AGREEMENT,
    )
    return comparison.run(setting.among(peers), setting.rounds)


def commands(problem: Problem, path: Path, setting: Setting) -> tuple[dict[str, list[str | Path]], list[Row]]:
    """The command and the scripts, and rows for those that cannot be had."""
    found: dict[str, list[str | Path]] = {
        "gradcli": [*setting.installed.gradcli, "eval", path, "--of", ",".join(problem.asked)]
    }
    missing: list[Row] = []
    if setting.environment is not None:
        python, problems = setting.environment.python, setting.environment.problems
        for name in problem.peers:
            if name in problems:
                missing.append(Row(f"{problem.title}, cold", name, remark=problems[name]))
            else:
                found[name] = [
                    python,
                    PEERS / problem.peers[name],
                    problem.case,
                    ",".join(problem.variables),
                    path.parent,
                ]
    return found, missing


def cold(problem: Problem, path: Path, setting: Setting) -> tuple[list[Row], list[Target]]:
    """From Enter to the answer."""
    programs, rows = commands(problem, path, setting)
    runs = {who: process(command, setting.folder) for who, command in programs.items()}
    reference = problem.compiled(path)()
    apart = {who: difference(np.array(numbers(run())), reference) for who, run in runs.items()}
    timed = {who: calls(run) for who, run in runs.items()}
    measured = interleaved(timed, min(setting.rounds, FEW), single=True, warm_up=False)
    for who in runs:
        ratio = measured.ratio(who, "gradcli")
        assert ratio is not None
        text = "" if who == "gradcli" else f"{times(ratio)} x gradcli"
        remark = "" if apart[who] <= AGREEMENT else "values differ"
        rows.append(Row(f"{problem.title}, cold", who, measured.median(who), None, text, apart[who], remark))
    if not problem.of_jax:
        return rows, []
    of = f"{problem.title}, cold, JAX's script to gradcli"
    return rows, [Target(of, problem.of_jax, measured.ratio("JAX", "gradcli"), at_least=True)]


def problems(setting: Setting) -> list[Problem]:
    """Those of a run."""
    size = setting.size
    return [recurrence(size(10_000)), garch(size(1859)), lstm(64, size(200), 32), kalman(size(1000)), sir(size(10_000))]


def section(setting: Setting) -> tuple[list[Row], list[Target]]:
    """All rows of this section."""
    rows: list[Row] = []
    targets: list[Target] = []
    for problem in problems(setting):
        path = problem.written(setting.folder / problem.case)
        more, _ = warm(problem, path, setting)
        rows += setting.noted(more)
        more, limits = cold(problem, path, setting)
        rows += setting.noted(more)
        targets += limits
    return rows, targets
