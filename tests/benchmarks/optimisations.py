"""Each optimisation on and off, on a program that it was made for: the whole way from text to answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import gradcli
from tests.benchmarks import adbench, arrays, burgers, cold, large, loops
from tests.benchmarks.running import difference
from tests.benchmarks.setting import Setting, process
from tests.benchmarks.table import Row, Target, times
from tests.benchmarks.timing import calls, interleaved

Array = Any
Answer = Callable[[], Array]

AGREEMENT = 1e-9

FUNCTION = """\
def f(a, b) = {
    c = a*b + sin(a)
    d = tanh(c - b/2)*exp(-c*c)
    e = where(d > 0, d*a, c*b)
    g = e + log(1 + c*c) - sqrt(1 + d*d)
    0.1*tanh(g) + a/2
}
"""


@dataclass(frozen=True)
class Case:
    """An optimisation as ``GRADCLI_WITHOUT`` names it, what it is tried on, and the answer for a setting."""

    name: str
    title: str
    answer: Callable[[Setting], Answer]


def gradients(text: str) -> Array:
    found = gradcli.loads(text).grad(unconnected="zero")
    return np.concatenate([np.ravel(value) for value in found.values() if value is not None])


def chain(setting: Setting) -> Answer:
    declared = f"variable x = linspace(-2, 2, {setting.size(arrays.ELEMENTS)})\n"
    return lambda: gradients(f"{declared}{arrays.FUNCTIONS}\nz = sum(y)\n")


def network(setting: Setting) -> Answer:
    found = burgers.data("float64", setting.size(burgers.COLLOCATION), setting.size(burgers.MEASURED))
    text = burgers.program("float64", found)
    names = ["loss", *(f"g_{name}" for name in burgers.names())]
    return lambda: burgers.flat(gradcli.loads(text).eval(names, values=found))


def statements(setting: Setting) -> Answer:
    text = large.program(setting.size(10_000))
    return lambda: gradients(text)


def function(setting: Setting) -> Answer:
    """A function of 20 operations, called again and again."""
    calls = [f"y{i} = f(y{i - 1}, {i % 7}*y{i - 1}) - y{i // 2}" for i in range(1, setting.size(2000))]
    text = "\n".join([FUNCTION, "variable y0 = [0.5, 0.25, 1.0]", *calls, f"z = sum(y{len(calls)})", "output z"])
    return lambda: gradients(text)


def small(setting: Setting) -> Answer:
    """Steps of gradient descent on the loss of a few points."""
    arrays = burgers.data("float64", 50, 10, (2, 8, 8, 1))
    names = ["loss", *(f"g_{name}" for name in burgers.names((2, 8, 8, 1)))]

    def found() -> Array:
        step = gradcli.loads(burgers.program("float64", arrays)).compile(names, inputs=list(arrays))
        for _ in range(setting.size(300)):
            step(**arrays)
        return burgers.flat(step(**arrays))

    return found


def outbreak(setting: Setting) -> Answer:
    """The gradient of a differential equation of 3 states, solved in many steps."""
    text = f"variable p = [0.5, 0.2]\nconstant t = linspace(0.0, 100.0, {setting.size(1000)})\n{loops.SIR}"
    return lambda: gradients(text)


def stepping(problem: adbench.Problem, path: Path, calls: int) -> Answer:
    """So many calls of a compiled gradient, from the text on."""

    def found() -> Array:
        step = problem.compiled(path)
        for _ in range(calls):
            step()
        return step()

    return found


def recurrent(setting: Setting) -> Answer:
    """Steps of a recurrent network."""
    problem = adbench.lstm(2, setting.size(1024))
    return stepping(problem, problem.written(setting.folder / "recurrent"), setting.size(10))


def mixture(setting: Setting) -> Answer:
    """Steps on arrays of few columns."""
    problem = adbench.gmm(2, 10, setting.size(1000))
    return stepping(problem, problem.written(setting.folder / "mixture"), setting.size(300))


def command(setting: Setting) -> Answer:
    """A new process; as others are measured without what the environment says to gradcli, it is told by its command."""
    path = setting.folder / "scalar.expr"
    path.write_text(cold.SCALAR, encoding="utf-8")
    gradcli_grad = [*setting.installed.gradcli, "grad", path]

    def found() -> Array:
        switches = f"GRADCLI_WITHOUT={os.environ.get('GRADCLI_WITHOUT', '')}"
        return np.array(cold.numbers(process(["env", switches, *gradcli_grad], setting.folder)()))

    return found


CASES = (
    Case("tiles", "gradient of a chain", chain),
    Case("tiles", "network's step", network),
    Case("halfangle", "gradient of a chain", chain),
    Case("simplify", "network's step", network),
    Case("sweep", "10,000 statements", statements),
    Case("repeated", "10,000 statements", statements),
    Case("templates", "2,000 calls of a function", function),
    Case("straight", "steps of a small network", small),
    Case("order", "steps of a mixture of Gaussians", mixture),
    Case("entries", "steps of an outbreak", outbreak),
    Case("apart", "steps of a recurrent network", recurrent),
    Case("plain", "scalar gradient, cold", command),
)


def without(name: str, answer: Answer) -> Answer:
    """The answer with an optimisation turned off."""

    def found() -> Array:
        before = os.environ.get("GRADCLI_WITHOUT")
        os.environ["GRADCLI_WITHOUT"] = name
        try:
            return answer()
        finally:
            os.environ.pop("GRADCLI_WITHOUT")
            if before is not None:
                os.environ["GRADCLI_WITHOUT"] = before

    return found


def section(setting: Setting) -> tuple[list[Row], list[Target]]:
    """A row with and a row without each optimisation; there are no targets."""
    rows: list[Row] = []
    for case in CASES:
        on = case.answer(setting)
        off = without(case.name, on)
        apart = difference(off(), on())
        measured = interleaved({"with": calls(on), "without": calls(off)}, setting.rounds)
        ratio = measured.ratio("without", "with")
        assert ratio is not None
        title = f"{case.name}: {case.title}"
        remark = "" if apart <= AGREEMENT else "values differ"
        fast = Row(title, "gradcli", first=measured.median("with"))
        slow = Row(title, "without it", measured.median("without"), None, f"{times(ratio)} x", apart, remark)
        rows += setting.noted([fast, slow])
    return rows, []
