"""A fit as it is asked for, and SciPy's minimizers, which each library hands its compiled functions to.

The request's case is JSON: the program's name, the method, steps, learning rate and its schedule, bounds and variables.
The data hold the variables' first values and the program's constants by name, and ``rows``, those of each step's batch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from serving import Data, Job

Array = Any
Function = Callable[[Array], Any]

TINY = 1e-12
PAIRS = 50


class Fit:
    """What is asked for; ``batched`` are the constants of which a step sees some rows."""

    def __init__(self, case: str, data: Data) -> None:
        asked = json.loads(case)
        self.program: str = asked["program"]
        self.method: str = asked["method"]
        self.steps: int = asked["steps"]
        self.rate: float = asked["rate"]
        self.cosine: bool = asked["form"] == "cosine"
        self.bounds: tuple[float, float] = (asked["low"], math.inf)
        self.batched: list[str] = asked["batched"]
        self.start = {name: data[name] for name in asked["variables"]}
        self.constants = {name: array for name, array in data.items() if name not in self.start}

    def rates(self) -> list[float]:
        """The learning rate of each step."""
        falls = [(1 + math.cos(math.pi * k / self.steps)) / 2 if self.cosine else 1.0 for k in range(self.steps)]
        return [self.rate * share for share in falls]

    def vector(self) -> Array:
        """The first values one after the other, in float64."""
        return np.concatenate([np.ravel(value) for value in self.start.values()])

    def places(self) -> Iterator[tuple[str, slice, tuple[int, ...]]]:
        """Where each variable stands in the vector, and its shape."""
        begin = 0
        for name, value in self.start.items():
            yield name, slice(begin, begin + value.size), value.shape
            begin += value.size


class ReachedError(Exception):
    """The point after the last step, which least squares have no option to stop at."""


def minimized(fit: Fit, loss: Function, product: Callable[[Array, Array], Array]) -> Job:
    """By L-BFGS-B or Newton-CG, with the options of ``gradcli fit``; ``loss`` gives value and gradient.

    Those at the start are known before a run, as they are where gradcli's clock begins.
    """
    from scipy import optimize

    x = fit.vector()
    known = loss(x)
    options: dict[str, Any] = {"maxiter": fit.steps, "xtol": TINY}
    method, more = "Newton-CG", {"hessp": product}
    if fit.method == "lbfgs":
        options = {"maxiter": fit.steps, "maxfun": 10**9, "gtol": TINY, "ftol": 1e-15, "maxcor": PAIRS}
        method, more = "L-BFGS-B", {}

    def job() -> Array:
        first = [known]

        def function(x: Array) -> Any:
            return first.pop() if first else loss(x)

        return optimize.minimize(function, x, jac=True, method=method, options=options, **more).x

    return job


def squares(fit: Fit, residual: Function, jacobian: Function) -> Job:
    """By least squares, up to the step asked for; the Jacobian at the start is known before a run."""
    from scipy import optimize

    x = fit.vector()
    known = jacobian(x)

    def job() -> Array:
        steps = -1

        def matrix(x: Array) -> Array:
            nonlocal steps
            steps += 1
            found = jacobian(x) if steps else known
            if steps == fit.steps:
                raise ReachedError(x)
            return found

        try:
            return optimize.least_squares(
                residual, x, jac=matrix, bounds=fit.bounds, ftol=TINY, xtol=TINY, gtol=TINY, max_nfev=10**9
            ).x
        except ReachedError as end:
            return end.args[0]

    return job
