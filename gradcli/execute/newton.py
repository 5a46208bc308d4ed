"""Solves small systems of equations and minimises by Newton's method with exact derivatives, kept going downhill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.execute.plan import Plan
from gradcli.execute.run import run
from gradcli.execute.sizes import Means
from gradcli.graph.node import Node
from gradcli.graph.ops.ruled import System

Array = Any

TRIALS = 60
"""How often a step is shortened before the search is given up: halved, or a thousandth of it where f is not finite."""

DECREASE = 1e-4
"""The part of the decrease that the slope promises which a step must reach (Armijo); Nocedal and Wright, *Numerical Optimization*, 3.1."""

NOISE = 16
"""Decreases below so many units of rounding are not asked for."""


class Solver:
    """A system made ready to be solved: called with the start and the values of the parameters, it gives x in a tuple.

    ``residual``, ``matrix`` and ``objective`` are the system's own, simplified for plans. Source: Dennis and Schnabel,
    *Numerical Methods for Unconstrained Optimization and Nonlinear Equations*, 1983, chapters 5 and 6. Raises
    GradcliError where the search does not end within the steps, or meets a matrix without an inverse.
    """

    def __init__(self, system: System, residual: Node, matrix: Node, objective: Node | None) -> None:
        self.system = system
        known = [system.x, *system.parameters]
        goal = [residual] if objective is None else [objective, residual]
        self._first = self._planned(goal, known)
        self._both = self._planned([*goal, matrix], known)

    def _planned(self, roots: Sequence[Node], known: Sequence[Node]) -> Callable[[Sequence[Array]], list[Array]]:
        plan = Plan(roots, means=Means(1, repeated=True), known=known)
        used = [(i, x) for i, x in enumerate(known) if x in plan.position]
        return lambda values: run(plan, {x: values[i] for i, x in used})

    def __call__(self, start: Array, *parameters: Array) -> tuple[Array]:
        import numpy as np

        with np.errstate(all="ignore"):
            return (self._solved(np, np.array(start, self.system.x.dtype), parameters),)

    def _solved(self, np: Any, x: Array, parameters: Sequence[Array]) -> Array:
        system = self.system
        if not x.size:
            return x
        eps = float(np.finfo(x.dtype).eps)
        scale = float(np.max(np.abs(x)))
        for step in range(system.steps + 1):
            *goal, residual, matrix = self._both([x, *parameters])
            residual, matrix = np.ravel(residual), np.reshape(matrix, (x.size, x.size))
            merit = float(goal[0]) if goal else _norm(np, residual)
            if not (np.isfinite(merit) and np.all(np.isfinite(residual)) and np.all(np.isfinite(matrix))):
                raise self._error(f"the function or its derivatives are not finite at x = {_shown(x)}")
            direction = self._direction(np, residual, matrix)
            size, length = [float(np.max(np.abs(v))) for v in (x, direction)]
            scale = max(scale, size)
            if not np.any(residual) or length <= system.tol * size:
                # One more step, which Newton's method squares the error by, where it does not lead uphill.
                return self._end(np, self._moved(np, x, direction, parameters, merit, eps, 1), matrix, x)
            if step == system.steps:
                break
            moved = self._moved(np, x, direction, parameters, merit, eps, TRIALS, float(residual @ direction))
            if moved is None:
                if length <= eps**0.5 * scale:
                    return self._end(np, None, matrix, x)
                raise self._error(f"no step from x = {_shown(x)} leads on: {self._left(np, residual)}")
            x = moved
        raise self._error(f"nothing was found within {system.steps} steps: {self._left(np, residual)}")

    def _direction(self, np: Any, residual: Array, matrix: Array) -> Array:
        """What Newton's method subtracts; for a minimum with the sizes of the eigenvalues, which leads downhill."""
        if self.system.objective is None:
            try:
                found = np.linalg.solve(matrix, residual)
            except np.linalg.LinAlgError:
                found = np.full_like(residual, np.inf)
            if not np.all(np.isfinite(found)):
                raise self._error(f"the Jacobian has no inverse where {self._left(np, residual)}")
            return found
        values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
        sizes = np.abs(values)
        least = float(np.max(sizes)) * float(np.finfo(residual.dtype).eps) ** 0.5
        return vectors @ ((vectors.T @ residual) / np.maximum(sizes, least if least else 1.0))

    def _moved(
        self, np: Any, x: Array, direction: Array, parameters: Sequence[Array], merit: float, eps: float, trials: int,
        slope: float | None = None,
    ) -> Array | None:  # fmt: skip
        """x after the longest of some shorter and shorter steps that makes the merit smaller; None if none does.

        ``slope`` is the decrease that a whole step promises; without it any step that leads no higher will do.
        """
        promised = 0.0 if slope is None else merit if self.system.objective is None else slope
        length = 1.0
        for _ in range(trials):
            trial = x - np.reshape(direction, x.shape) * x.dtype.type(length)
            *goal, residual = self._first([trial, *parameters])
            new = float(goal[0]) if goal else _norm(np, residual)
            slack = NOISE * eps * abs(merit) if goal or slope is None else 0.0
            if new <= merit - DECREASE * length * promised + slack and np.any(trial != x):
                return trial
            length *= 0.5 if np.isfinite(new) else 1e-3
        return None

    def _end(self, np: Any, moved: Array | None, matrix: Array, x: Array) -> Array:
        if self.system.objective is not None:
            values = np.linalg.eigvalsh(0.5 * (matrix + matrix.T))
            if float(values[0]) < -(float(np.finfo(x.dtype).eps) ** 0.5) * float(np.max(np.abs(values))):
                raise self._error(f"the search ended at x = {_shown(x)}, where f curves down: it is not a minimum")
        return x if moved is None else moved

    def _left(self, np: Any, residual: Array) -> str:
        what = "f" if self.system.objective is None else "the gradient"
        size = float(np.max(np.abs(residual)))
        return (
            f"{what} is still {size:.3g}" if residual.size == 1 else f"the largest entry of {what} is still {size:.3g}"
        )

    def _error(self, message: str) -> GradcliError:
        word = self.system.word
        near = "start nearer to the root" if self.system.objective is None else "start nearer to the minimum"
        help = f"{near}, or allow more: `{word}(f, x0, steps=…)`"
        return GradcliError("ValueError", f"{word}: {message}", help=help)


def _norm(np: Any, residual: Array) -> float:
    """The Euclidean norm, which overflows no earlier than the entries."""
    largest = float(np.max(np.abs(residual)))
    return largest * float(np.linalg.norm(residual / largest)) if 0 < largest < np.inf else largest


def _shown(x: Array) -> str:
    if not x.shape:
        return f"{float(x):.6g}"
    some = ", ".join([f"{float(v):.6g}" for v in x.reshape(-1)[:4]])
    return f"[{some}{', …' if x.size > 4 else ''}]"
