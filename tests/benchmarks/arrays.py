"""Chains of ten elementwise operations on long arrays: arithmetic, functions, and the gradient of their sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import gradcli
from tests.benchmarks.running import Comparison, Own, difference, fastest
from tests.benchmarks.setting import Setting
from tests.benchmarks.table import Row, Target

ELEMENTS = 10_000_000
DTYPES = ("float64", "float32")
AGREEMENT = {"float64": 1e-12, "float32": 1e-5}

ARITHMETIC = """\
p = ((x*1.1 + 0.3)*x - 0.7)*x + 0.9
y = p/(x*x + 1.5) + x"""

FUNCTIONS = """\
t = tanh(x*1.1)
s = sin(t*x + 0.5)
u = tanh(s*x)
y = sin(u)*s*t"""

Array = Any


def arithmetic(x: Array) -> Array:
    p = ((x * 1.1 + 0.3) * x - 0.7) * x + 0.9
    return p / (x * x + 1.5) + x


def functions(x: Array) -> Array:
    t = np.tanh(x * 1.1)
    s = np.sin(t * x + 0.5)
    u = np.tanh(s * x)
    return np.sin(u) * s * t


def gradient(x: Array) -> Array:
    """That of the sum of :func:`functions`, by hand: backwards, with what the values need kept."""
    t = np.tanh(x * 1.1)
    a = t * x + 0.5
    s = np.sin(a)
    u = np.tanh(s * x)
    w = np.sin(u)
    g_b = np.cos(u) * s * t * (1 - u * u)  # b = s*x
    g_a = (w * t + g_b * x) * np.cos(a)
    g_t = w * s + g_a * x
    return g_b * s + g_a * t + g_t * (1 - t * t) * 1.1


@dataclass(frozen=True)
class Chain:
    """A program of x that names its result ``y``, and NumPy as a person would write it. Only a ``task`` of values has
    numexpr's answer. The limits are the issue's, in float64: times faster than JAX compiled and than NumPy."""

    name: str
    task: str
    text: str
    numpy: Callable[[Array], Array]
    of_jax: float
    of_numpy: float | None = None

    @property
    def result(self) -> str:
        return "y" if self.task == "values" else "g"

    def program(self, dtype: str, size: int) -> str:
        head = f"dtype {dtype}\nvariable x: [{size}]\n{self.text}\n"
        return head if self.task == "values" else f"{head}g = gradients(y, x)\n"

    def compiled(
        self, dtype: str, size: int, backend: Literal["numpy", "native"] = "numpy"
    ) -> Callable[..., dict[str, Array]]:
        return gradcli.loads(self.program(dtype, size), backend=backend).compile([self.result], inputs=["x"])

    def tasks(self) -> dict[str, str]:
        """Who takes part, and what each is asked for."""
        task = self.task
        own = {"JAX": task, "TensorFlow": task, "TensorFlow XLA": f"{task} xla"}
        own |= {"PyTorch": task, "PyTorch compiled": f"{task} compiled"}
        return {"numexpr": task, **own} if task == "values" else own


CHAINS = (
    Chain("arithmetic", "values", ARITHMETIC, arithmetic, of_jax=1),
    Chain("tanh/sin/mul", "values", FUNCTIONS, functions, of_jax=1.5),
    Chain("gradient of tanh/sin/mul", "gradient", FUNCTIONS, gradient, of_jax=2, of_numpy=4),
)


def measure(chain: Chain, dtype: str, setting: Setting) -> tuple[list[Row], list[Target]]:
    """One chain in one precision."""
    size = setting.size(ELEMENTS)
    x = np.random.default_rng(1).uniform(-2, 2, size).astype(dtype)
    compiled, native = chain.compiled(dtype, size), chain.compiled(dtype, size, "native")
    tasks = chain.tasks()
    comparison = Comparison(
        f"{chain.name}, {size:,} {dtype}",
        {
            "gradcli": Own(lambda: compiled(x=x)[chain.result], lambda: chain.compiled(dtype, size)(x=x)[chain.result]),
            "gradcli native": Own(
                lambda: native(x=x)[chain.result], lambda: chain.compiled(dtype, size, "native")(x=x)[chain.result]
            ),
            "NumPy as written": Own(lambda: chain.numpy(x)),
        },
        tasks,
        chain.text,
        {"x": x},
        chain.numpy(x.astype("float64")),
        difference,
        AGREEMENT[dtype],
    )
    rows, measured = comparison.run(setting.among(tasks), setting.rounds)
    if dtype != "float64":
        return rows, []
    what = f"{chain.name}, {dtype},"
    targets = [Target(f"{what} JAX to gradcli", chain.of_jax, measured.ratio("JAX", "gradcli"), at_least=True)]
    if chain.of_numpy is not None:
        to_numpy = measured.ratio("NumPy as written", "gradcli")
        targets.append(Target(f"{what} NumPy as written to gradcli", chain.of_numpy, to_numpy, at_least=True))
    everybody = fastest(measured, tasks)
    targets.append(Target(f"{what} fastest of the others to gradcli", 1, everybody, at_least=True))
    return rows, targets


def section(setting: Setting) -> tuple[list[Row], list[Target]]:
    """All rows of this section."""
    rows: list[Row] = []
    targets: list[Target] = []
    for chain in CHAINS:
        for dtype in DTYPES:
            more, limits = measure(chain, dtype, setting)
            rows += setting.noted(more)
            targets += limits
    return rows, targets
