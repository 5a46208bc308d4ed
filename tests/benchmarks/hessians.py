"""Dense Hessians of four problems, beside their closed forms in NumPy and JAX's compiled Hessian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import gradcli
from tests.benchmarks.running import Comparison, Own, difference
from tests.benchmarks.setting import Setting
from tests.benchmarks.table import Row, Target

AGREEMENT = 1e-8
TASKS = {"JAX": "hessian"}
CLOSED_FORM = "closed form (NumPy)"

Array = Any
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Problem:
    """A scalar y of x as a program that names its Hessian H; every array is an input, none is known in advance.

    ``closed_form`` is NumPy that a person would write by hand. ``slower`` and ``faster`` are the issue's limits: times
    the closed form's time, and times faster than JAX's.
    """

    case: str
    title: str
    x: str
    text: str
    data: Arrays
    closed_form: Callable[..., Array]
    slower: float | None = None
    faster: float | None = None

    def compiled(self) -> Callable[..., dict[str, Any]]:
        return gradcli.loads(self.text).compile(["H"], inputs=list(self.data))


def quadratic(n: int = 600) -> Problem:
    """x'Ax: A + A'."""
    random = np.random.default_rng(1)

    def closed_form(x: Array, A: Array) -> Array:
        return A + A.T

    return Problem(
        "quadratic",
        f"dot(x, A @ x), n = {n}",
        "x",
        f"variable x: [{n}]\nconstant A: [{n}, {n}]\ny = dot(x, A @ x)\nH = hessian(y, x)\n",
        {"x": random.normal(size=n), "A": random.normal(size=(n, n))},
        closed_form,
        slower=2,
        faster=10,
    )


def logistic(rows: int = 1200, columns: int = 600) -> Problem:
    """Negative log-likelihood: X' diag(s(1-s)) X, as one product of X·√(s(1-s)) with itself, which is a syrk."""
    random = np.random.default_rng(2)

    def closed_form(w: Array, X: Array, t: Array) -> Array:
        s = 1 / (1 + np.exp(-(X @ w)))
        Z = X * np.sqrt(s * (1 - s))[:, None]
        return Z.T @ Z

    return Problem(
        "logistic",
        f"logistic regression, {rows} x {columns}",
        "w",
        f"variable w: [{columns}]\nconstant X: [{rows}, {columns}]\nconstant t: [{rows}]\n"
        "z = X @ w\ny = sum(softplus(z) - t*z)\nH = hessian(y, w)\n",
        {
            "w": random.normal(size=columns) / columns**0.5,
            "X": random.normal(size=(rows, columns)),
            "t": random.integers(0, 2, size=rows).astype(float),
        },
        closed_form,
        slower=2,
        faster=2,
    )


def factorisation(n: int = 300, k: int = 5) -> Problem:
    """||T - UV'||² with respect to U: 2 V'V in every diagonal block of an [n, k, n, k] array."""
    random = np.random.default_rng(3)

    def closed_form(U: Array, V: Array, T: Array) -> Array:
        H = np.zeros((n, k, n, k))
        np.einsum("iaib->iab", H)[...] = 2 * (V.T @ V)
        return H

    return Problem(
        "factorisation",
        f"matrix factorisation by U, {n} x {n}, k = {k}",
        "U",
        f"variable U: [{n}, {k}]\nconstant V: [{n}, {k}]\nconstant T: [{n}, {n}]\n"
        "y = sum((T - U @ V.T)^2)\nH = hessian(y, U)\n",
        {"U": random.normal(size=(n, k)), "V": random.normal(size=(n, k)), "T": random.normal(size=(n, n))},
        closed_form,
        slower=3,
        faster=100,
    )


def relu(layers: int = 10, width: int = 30, batch: int = 50) -> Problem:
    """A ReLU network's squared loss by its first weights: 2 J'J, since the network is linear around almost every point.

    J[b, o; i, j] = X[b, i] S[b, j, o], S the product of the later layers' weights with the active units' rows. The
    linear outputs leave the last layer; the first layer is the one whose Hessian goes through all others.
    """
    random = np.random.default_rng(4)

    def closed_form(W: Array, Ws: Array, X: Array, T: Array) -> Array:
        z = X @ W
        S = (z > 0)[:, :, None] * np.broadcast_to(np.eye(width), (batch, width, width))
        for k, later in enumerate(Ws):
            z = np.maximum(z, 0) @ later
            S = (S.reshape(-1, width) @ later).reshape(batch, width, width)
            if k < len(Ws) - 1:
                S *= (z > 0)[:, None, :]
        J = X[:, None, :, None] * S.transpose(0, 2, 1)[:, :, None, :]
        J = J.reshape(batch * width, width * width)
        return 2 * (J.T @ J).reshape(width, width, width, width)

    hidden = "".join(f"h{k} = relu(h{k - 1} @ Ws[{k - 2}])\n" for k in range(2, layers))
    return Problem(
        "relu",
        f"ReLU network by its first weights, {layers} layers of width {width}, batch {batch}",
        "W",
        f"variable W: [{width}, {width}]\nconstant Ws: [{layers - 1}, {width}, {width}]\n"
        f"constant X: [{batch}, {width}]\nconstant T: [{batch}, {width}]\nh1 = relu(X @ W)\n"
        f"{hidden}y = sum((h{layers - 1} @ Ws[{layers - 2}] - T)^2)\nH = hessian(y, W)\n",
        {
            "W": random.normal(size=(width, width)) * (2 / width) ** 0.5,
            "Ws": random.normal(size=(layers - 1, width, width)) * (2 / width) ** 0.5,
            "X": random.normal(size=(batch, width)),
            "T": random.normal(size=(batch, width)),
        },
        closed_form,
    )


def measure(problem: Problem, setting: Setting) -> tuple[list[Row], list[Target]]:
    """One problem: gradcli, the closed form and JAX in turn."""
    data = problem.data
    compiled = problem.compiled()
    comparison = Comparison(
        problem.title,
        {
            "gradcli": Own(lambda: compiled(**data)["H"], lambda: problem.compiled()(**data)["H"]),
            CLOSED_FORM: Own(lambda: problem.closed_form(**data)),
        },
        TASKS,
        problem.case,
        data,
        problem.closed_form(**data),
        difference,
        AGREEMENT,
    )
    rows, measured = comparison.run(setting.among(TASKS), setting.rounds)
    targets: list[Target] = []
    if problem.slower is not None:
        to_closed = measured.ratio("gradcli", CLOSED_FORM)
        targets.append(Target(f"{problem.case}, to the closed form", problem.slower, to_closed))
    if problem.faster is not None:
        of_jax = measured.ratio("JAX", "gradcli")
        targets.append(Target(f"{problem.case}, JAX to gradcli", problem.faster, of_jax, at_least=True))
    return rows, targets


def section(setting: Setting) -> tuple[list[Row], list[Target]]:
    """All rows of this section."""
    rows: list[Row] = []
    targets: list[Target] = []
    for problem in (quadratic(), logistic(), factorisation(), relu()):
        more, limits = measure(problem, setting)
        rows += setting.noted(more)
        targets += limits
    return rows, targets
