"""Derivatives of high order: the command as a cold process, and answers in a running process beside other libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np

import gradcli
from tests.benchmarks.competitors import Peer
from tests.benchmarks.running import Comparison, Own, difference
from tests.benchmarks.setting import Setting, process
from tests.benchmarks.table import Row, Target, times
from tests.benchmarks.timing import calls, interleaved

Array = Any

ORDERS = (1, 5, 10, 20)
COLD_LIMIT = 1.25
AGREEMENT = 1e-7

TASKS = {"JAX": "nested", "JAX jet": "jet", "TensorFlow": "nested", "PyTorch": "nested", "SymPy": "nested"}
"""What each competitor does: n nested passes, or Taylor mode to n-1 and one pass."""

COLD_ROUNDS = 3
"""Rounds of commands for each round of the rest: a process is short, and its time varies more."""


@dataclass(frozen=True)
class Function:
    """A function of x as a program that names it y, and in NumPy for complex x; ``radius`` is safe from its poles.

    ``variables`` are the names that the function needs beside x.
    """

    case: str
    title: str
    text: str
    function: Callable[..., Any]
    radius: float
    variables: tuple[str, ...] = ()

    def data(self) -> dict[str, Array]:
        return gradcli.loads(self.text).eval(["x", *self.variables])

    def gradient(self, n: int) -> Array:
        """From the text to the n-th derivative, as the command has it."""
        found = gradcli.loads(self.text).grad(["y"], ["x"], order=n)["x"]
        assert found is not None
        return found

    def compiled(self, n: int) -> Callable[..., dict[str, Any]]:
        """The n-th derivative as a function of x: a series to n-1 along ones, then one gradient."""
        text = f"{self.text}t = taylor(y, x, {n - 1})\ng = gradients(t[{n - 1}], x)\n"
        return gradcli.loads(text).compile(["g"], inputs=["x"])

    def along_ones(self, n: int) -> Array:
        """The n-th derivative of y(x + t) at t = 0 by Cauchy's integral: independent of any rule of differentiation."""
        data = {name: array.astype(complex) for name, array in self.data().items()}
        x = data.pop("x")
        points = 256
        roots = np.exp(2j * np.pi * np.arange(points) / points)
        values = sum(self.function(x + self.radius * w, **data) / w**n for w in roots)
        return np.real(values) / points * factorial(n) / self.radius**n

    def same_form(self, gradient: Array) -> Array:
        """A gradient of order n in the form of :meth:`along_ones`: summed where rows of x belong to a row of y."""
        return gradient.sum(axis=1) if gradient.ndim == 2 else gradient

    def reference(self, n: int) -> Array:
        values = self.along_ones(n)
        return values.sum(axis=1) if values.ndim == 2 else values


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


NETWORK = """\
variable x = random_normal([100, 10], seed=1)
constant A = random_normal([10, 20], stddev=0.3, seed=2)
constant b = random_normal([20], seed=3)
constant B = random_normal([20, 5], stddev=0.3, seed=4)
constant c = random_normal([5], seed=5)
y = tanh(tanh(x @ A + b) @ B + c)
"""

FUNCTIONS = (
    Function(
        "tanh",
        "tanh(2*x + sin(x*x)) at 4 points",
        "variable x = linspace(-1, 1, 4)\ny = tanh(2*x + sin(x*x))\n",
        lambda x: np.tanh(2 * x + np.sin(x * x)),
        0.5,
    ),
    Function(
        "sigmoid",
        "sigmoid(3*x)*cos(x) at a scalar",
        "variable x = 0.7\ny = sigmoid(3*x)*cos(x)\n",
        lambda x: sigmoid(3 * x) * np.cos(x),
        0.9,
    ),
    Function(
        "network",
        "tanh network 10-20-5 on a batch of 100",
        NETWORK,
        lambda x, A, b, B, c: np.tanh(np.tanh(x @ A + b) @ B + c),
        0.4,
        ("A", "b", "B", "c"),
    ),
)

SIX_OPERATIONS = Function(
    "six",
    "x*tanh(2*x + sin(x*x)) at a scalar",
    "variable x = 0.7\ny = x*tanh(2*x + sin(x*x))\n",
    lambda x: x * np.tanh(2 * x + np.sin(x * x)),
    0.7,
)


def cold(setting: Setting) -> tuple[list[Row], list[Target]]:
    """The whole command at each order as a new process, all orders of a function in turn."""
    rows: list[Row] = []
    targets: list[Target] = []
    for function, orders in [*((f, ORDERS) for f in FUNCTIONS), (SIX_OPERATIONS, (1, 20, 60))]:
        path = setting.folder / f"{function.case}.expr"
        path.write_text(function.text, encoding="utf-8")
        command = [*setting.installed.gradcli, "grad", path, "--order"]
        runs = {str(n): calls(process([*command, str(n)], setting.folder)) for n in orders}
        measured = interleaved(runs, COLD_ROUNDS * setting.rounds, single=True)
        title = f"{function.title}: command"
        for n in orders:
            ratio = measured.ratio(str(n), "1")
            assert ratio is not None
            text = "" if n == 1 else f"{times(ratio)} x order 1"
            row = Row(title, f"gradcli, order {n}", first=measured.median(str(n)), ratio=text)
            rows += setting.noted([row])
            if n in (20, 60):
                targets.append(Target(f"cold command, {function.case}, order {n} to order 1", COLD_LIMIT, ratio))
    return rows, targets


def warm(function: Function, n: int, peers: Mapping[str, Peer], rounds: int, slow: set[str]) -> list[Row]:
    """One function at one order in running processes; the reference is Cauchy's integral."""
    compiled = function.compiled(n)
    data = function.data()
    comparison = Comparison(
        f"{function.title}: order {n}",
        {"gradcli": Own(lambda: compiled(x=data["x"])["g"], lambda: function.gradient(n))},
        TASKS,
        function.case,
        data,
        function.reference(n),
        lambda found, reference: difference(function.same_form(found), reference),
        AGREEMENT,
        n,
    )
    return comparison.run(peers, rounds, slow)[0]


def section(setting: Setting) -> tuple[list[Row], list[Target]]:
    """All rows of this section. A competitor that exceeded the limit is not asked for higher orders."""
    rows, targets = cold(setting)
    for function in FUNCTIONS:
        slow: set[str] = set()
        for n in ORDERS:
            rows += setting.noted(warm(function, n, setting.among(TASKS), setting.rounds, slow))
    return rows, targets
