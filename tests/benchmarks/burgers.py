"""One step of a physics-informed network for Burgers' equation: the loss, and its gradient for every weight."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal

import numpy as np

import gradcli
from tests.benchmarks.running import Comparison, Own, difference, fastest
from tests.benchmarks.setting import Setting
from tests.benchmarks.table import Row, Target

LAYERS = (2, *[20] * 8, 1)
COLLOCATION, MEASURED = 10_000, 100
DTYPES = ("float32", "float64")
AGREEMENT = {"float64": 1e-6, "float32": 1e-4}

TASKS = {
    "JAX": "burgers",
    "JAX forward": "burgers forward",
    "TensorFlow": "burgers",
    "TensorFlow XLA": "burgers xla",
    "PyTorch": "burgers",
    "PyTorch compiled": "burgers compiled",
}

Array = Any
Arrays = dict[str, Array]


def names(layers: tuple[int, ...] = LAYERS) -> list[str]:
    """W1, b1, W2, …"""
    return [f"{letter}{k}" for k in range(1, len(layers)) for letter in "Wb"]


def data(dtype: str, points: int, measured: int, layers: tuple[int, ...] = LAYERS) -> Arrays:
    """Weights (Glorot), collocation points x, t, and measurements u = -sin(pi x) at t = 0."""
    random = np.random.default_rng(5)
    found: Arrays = {}
    for k, (rows, columns) in enumerate(pairwise(layers), 1):
        found[f"W{k}"] = random.normal(size=(rows, columns)) * (2 / (rows + columns)) ** 0.5
        found[f"b{k}"] = random.normal(size=columns) * 0.1
    found["x"] = random.uniform(-1, 1, (points, 1))
    found["t"] = random.uniform(0, 1, (points, 1))
    found["xd"] = random.uniform(-1, 1, (measured, 1))
    found["td"] = np.zeros((measured, 1))
    found["ud"] = -np.sin(np.pi * found["xd"])
    return {name: value.astype(dtype) for name, value in found.items()}


def program(dtype: str, arrays: Arrays) -> str:
    """The loss as it is written in the language, with the derivatives of u by nested ``gradients``."""
    weights = [name for name in arrays if name[0] in "Wb"]
    layers = len(weights) // 2
    declared = "".join(
        f"{'variable' if name in weights else 'constant'} {name}: {list(value.shape)}\n"
        for name, value in arrays.items()
    )
    hidden = "".join(f"    h{k} = tanh(h{k - 1} @ W{k} + b{k})\n" for k in range(1, layers))
    gradients = ", ".join(f"g_{name}" for name in weights)
    return (
        f"dtype {dtype}\n{declared}"
        f"def network(x, t) = {{\n    h0 = concat([x, t], axis=1)\n{hidden}"
        f"    h{layers - 1} @ W{layers} + b{layers}\n}}\n"
        "u = network(x, t)\nu_x, u_t = gradients(u, [x, t])\nu_xx = gradients(u_x, x)\n"
        "residual = u_t + u*u_x - 0.01/pi*u_xx\n"
        "loss = mean(square(network(xd, td) - ud)) + mean(square(residual))\n"
        f"{gradients} = gradients(loss, [{', '.join(weights)}])\n"
    )


def compiled(
    dtype: str, arrays: Arrays, processes: bool = True, backend: Literal["numpy", "native"] = "numpy"
) -> Callable[..., Arrays]:
    weights = [name for name in arrays if name[0] in "Wb"]
    results = ["loss", *(f"g_{name}" for name in weights)]
    return gradcli.loads(program(dtype, arrays), backend=backend).compile(
        results, inputs=list(arrays), processes=processes
    )


def flat(results: Arrays) -> Array:
    """The loss and the gradients one after the other, as peers send them."""
    return np.concatenate([np.ravel(value) for value in results.values()])


def apart(arrays: Arrays) -> Callable[[Array, Array], float]:
    """The largest :func:`difference` among the loss and the gradients, each in parts of its own largest entry."""
    sizes = [1, *(value.size for name, value in arrays.items() if name[0] in "Wb")]
    ends = np.cumsum(sizes)[:-1]

    def largest(found: Array, reference: Array) -> float:
        if found.shape != reference.shape:
            return float("nan")
        parts = zip(np.split(found, ends), np.split(reference, ends), strict=True)
        return float(np.max([difference(a, b) for a, b in parts]))

    return largest


def measure(dtype: str, setting: Setting) -> tuple[list[Row], list[Target]]:
    """One precision; the reference is gradcli's answer in float64, from the same rounded weights and points."""
    points, measured_points = setting.size(COLLOCATION), setting.size(MEASURED)
    arrays = data(dtype, points, measured_points)
    wide = {name: value.astype("float64") for name, value in arrays.items()}
    step, alone = compiled(dtype, arrays), compiled(dtype, arrays, processes=False)
    native = compiled(dtype, arrays, backend="native")
    comparison = Comparison(
        f"Burgers step, {points:,} points, {dtype}",
        {
            "gradcli": Own(lambda: flat(step(**arrays)), lambda: flat(compiled(dtype, arrays)(**arrays))),
            "gradcli, one process": Own(lambda: flat(alone(**arrays))),
            "gradcli native": Own(
                lambda: flat(native(**arrays)), lambda: flat(compiled(dtype, arrays, backend="native")(**arrays))
            ),
        },
        TASKS,
        "",
        arrays,
        flat(compiled("float64", wide)(**wide)),
        apart(arrays),
        AGREEMENT[dtype],
    )
    rows, measured = comparison.run(setting.among(TASKS), setting.rounds)
    best = fastest(measured, TASKS)
    return rows, [Target(f"Burgers step, {dtype}, fastest of the others to gradcli", 1, best, at_least=True)]


def section(setting: Setting) -> tuple[list[Row], list[Target]]:
    """All rows of this section."""
    rows: list[Row] = []
    targets: list[Target] = []
    for dtype in DTYPES:
        more, limits = measure(dtype, setting)
        rows += setting.noted(more)
        targets += limits
    return rows, targets
