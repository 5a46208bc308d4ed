"""SciPy's minimizers, given exact gradients, products with the Hessian, or Jacobians, and watched like any other run."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from functools import reduce
from time import monotonic
from typing import Any

from gradcli.autodiff import reverse
from gradcli.autodiff.jacobian import jacobian
from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.ops.elementwise import add
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.types import size_of
from gradcli.program.compiled import Planned
from gradcli.program.fitted import Moment, Outcome, Settings, State, Watch, watched
from gradcli.program.objective import Objective

Array = Any

TINY = 1e-12
"""The relative change at which SciPy's own tests end a run: near what rounding leaves."""

PAIRS = 50
"""Of x and gradient that L-BFGS keeps, where they are small: networks need fewer steps than with SciPy's 10."""


def minimize(objective: Objective, settings: Settings, watch: Watch, state: State) -> Outcome:
    """Minimise by SciPy's L-BFGS-B, Newton-CG or trust-region least squares.

    A step is one that the method accepted. Sources: Byrd, Lu, Nocedal, Zhu 1995 (``lbfgs``); Nocedal, Wright, *Numerical
    Optimization*, 2nd ed., algorithm 7.1 (``newton-cg``); Branch, Coleman, Li 1999 (``least-squares``). Raises
    GradcliError where SciPy is not installed.
    """
    try:
        from scipy import optimize
    except ImportError:
        raise GradcliError(
            "ValueError",
            f"--method {settings.method} needs SciPy, which is not installed: pip install 'gradcli[scipy]'",
        ) from None
    kind = {"lbfgs": _Search, "newton-cg": _Newton, "least-squares": _Squares}[settings.method]
    search = kind(objective, settings, watch, state)
    try:
        search.accepted(search.vector(state.values))
        return search.outcome(search.run(optimize))
    except _Ended as end:
        return end.outcome
    except GradcliError as failure:
        if search.good is None:
            raise
        return search.good._replace(reason="failed", problem=failure)


class _Ended(Exception):  # noqa: N818  it ends a run, which is no error
    """Carries the outcome of a run through SciPy."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class _Search:
    """A loss of one vector, in which all variables stand one after the other; by itself, L-BFGS-B."""

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        self.objective = objective
        self.settings = settings
        self.watch = watch
        self.leaves = objective.leaves
        self.start = state
        self.good: Outcome | None = None
        self.clock = monotonic()
        self._last: tuple[Array, float, Array] | None = None

    def vector(self, values: Mapping[str, Array]) -> Array:
        """Arrays by name as one vector of float64."""
        import numpy as np

        return np.concatenate([np.asarray(values[name], dtype=np.float64).reshape(-1) for name in self.leaves])

    def values(self, vector: Array) -> dict[str, Array]:
        """A vector as arrays by name, in the shapes and dtypes of the variables."""
        found: dict[str, Array] = {}
        start = 0
        for name, leaf in self.leaves.items():
            end = start + size_of(leaf.shape)
            found[name] = vector[start:end].reshape(leaf.shape).astype(leaf.dtype)
            start = end
        return found

    def given(self, vector: Array) -> dict[Node, Array]:
        return {self.leaves[name]: value for name, value in self.values(vector).items()}

    @property
    def step(self) -> int:
        return self.good.state.step if self.good is not None else self.start.step

    def loss(self, x: Array) -> tuple[float, Array]:
        """The loss and its gradient. Raises _Ended, or at the start GradcliError, where they are not finite."""
        import numpy as np

        if self._last is None or not np.array_equal(self._last[0], x):
            loss, gradient = self.evaluated(x)
            if not (math.isfinite(loss) and np.isfinite(gradient).all()):
                what = (
                    f"`{self.objective.name}`"
                    if not math.isfinite(loss)
                    else f"the gradient of `{self.objective.name}`"
                )
                problem = self.objective.not_finite(f"{what} is not finite in the search", self.step)
                if self.good is None:
                    raise problem
                raise _Ended(self.good._replace(reason="not finite", problem=problem))
            self._last = (x.copy(), loss, gradient)
        return self._last[1:]

    def evaluated(self, x: Array) -> tuple[float, Array]:
        loss, gradients = self.objective.at(self.values(x), 0)
        return loss, self.vector(gradients)

    def accepted(self, x: Array) -> None:
        """A point that the method stepped to. Raises _Ended where the run ends here."""
        loss, gradient = self.loss(x)
        before = self.good
        state = State(self.step + 1 if before else self.step, self.values(x), {}, before.loss if before else None)
        norm = self.norm(x, gradient)
        moment = Moment(state, loss, norm, None, monotonic() - self.clock)
        reason, problem = watched(self.settings, self.watch, moment, before is None)
        self.good = Outcome(state, loss, norm, reason or "", problem)
        if reason is not None:
            raise _Ended(self.good)

    def norm(self, x: Array, gradient: Array) -> float:
        """That of the gradient, but for entries that push x out of its bounds."""
        import numpy as np

        low, high = self.bounds()
        return float(np.linalg.norm(np.where((x <= low) & (gradient > 0) | (x >= high) & (gradient < 0), 0, gradient)))

    def bounds(self) -> tuple[Array, Array]:
        """The lowest and the highest vector."""
        import numpy as np

        ends = [self.settings.bounds.get(name, (-np.inf, np.inf)) for name in self.leaves]
        sizes = [size_of(leaf.shape) for leaf in self.leaves.values()]
        return np.repeat([low for low, _ in ends], sizes), np.repeat([high for _, high in ends], sizes)

    def outcome(self, message: str) -> Outcome:
        """Where a run stands that the method itself ended."""
        assert self.good is not None
        return self.good._replace(reason=message.rstrip("."))

    def run(self, optimize: Any) -> str:
        x = self.vector(self.start.values)
        limits = {
            "maxiter": sys.maxsize >> 1, "maxfun": sys.maxsize >> 1, "gtol": TINY, "ftol": 1e-15,
            "maxcor": PAIRS if len(x) <= 100_000 else 10,
        }  # fmt: skip
        found = optimize.minimize(
            self.loss, x, jac=True, method="L-BFGS-B", callback=self.accepted,
            bounds=optimize.Bounds(*self.bounds()), options=limits,
        )  # fmt: skip
        return f"L-BFGS-B says: {found.message}"


class _Newton(_Search):
    """Newton's method, with conjugate gradients for the step."""

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        super().__init__(objective, settings, watch, state)
        program = objective.program
        xs = list(self.leaves.values())
        with program._graph.derivation.active():
            self.directions = {
                name: make_leaf(name, "direction", x.shape, x.dtype, False) for name, x in self.leaves.items()
            }
            along = [
                sum_(g * v, axis=None)
                for g, v in zip(reverse.gradients([objective.y], xs), self.directions.values(), strict=True)
                if g is not None
            ]
            # The gradient of g·v, v being constant, is the Hessian times v (Pearlmutter 1994).
            products = [
                h if h is not None else reverse.zero_gradient(x)
                for x, h in zip(xs, reverse.gradients([reduce(add, along)], xs), strict=True)
            ]
        self.products = Planned(program, products, [*xs, *self.directions.values()])

    def product(self, x: Array, v: Array) -> Array:
        """The Hessian at x times v."""
        directions = {self.directions[name]: value for name, value in self.values(v).items()}
        found = self.products({**self.given(x), **directions})
        return self.vector(dict(zip(self.leaves, found, strict=True)))

    def run(self, optimize: Any) -> str:
        found = optimize.minimize(
            lambda x: self.loss(x)[0], self.vector(self.start.values), jac=lambda x: self.loss(x)[1],
            hessp=self.product, method="Newton-CG", callback=self.accepted,
            options={"maxiter": sys.maxsize >> 1, "xtol": TINY},
        )  # fmt: skip
        return f"Newton-CG says: {found.message}"


class _Squares(_Search):
    """Half the sum of squares of residuals, by the Jacobian of the residuals."""

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        super().__init__(objective, settings, watch, state)
        program = objective.program
        xs = list(self.leaves.values())
        with program._graph.derivation.active():
            blocks = jacobian(objective.y, xs)
        self.residuals = Planned(program, [objective.y], xs)
        self.matrix = Planned(program, [objective.y, *blocks], xs)
        self._matrix: Array = None
        self._begun = False

    def residual(self, x: Array) -> Array:
        """The residuals [entries of y]; not finite ones end the run as a loss does."""
        import numpy as np

        (found,) = self.residuals(self.given(x))
        flat = found.reshape(-1).astype(np.float64)
        if not np.isfinite(flat).all():
            self.loss(x)
        return flat

    def evaluated(self, x: Array) -> tuple[float, Array]:
        import numpy as np

        y, *blocks = self.matrix(self.given(x))
        flat = y.reshape(-1).astype(np.float64)
        self._matrix = np.concatenate([block.reshape(flat.size, -1).astype(np.float64) for block in blocks], axis=1)
        return float(flat @ flat) / 2, flat @ self._matrix

    def jacobian(self, x: Array) -> Array:
        """The Jacobian [entries of y, entries of x], which is asked for at each point that is accepted."""
        if self._begun:
            self.accepted(x)
        self._begun = True
        self.loss(x)
        return self._matrix

    def run(self, optimize: Any) -> str:
        found = optimize.least_squares(
            self.residual, self.vector(self.start.values), jac=self.jacobian, bounds=self.bounds(),
            ftol=TINY, xtol=TINY, gtol=TINY, max_nfev=sys.maxsize >> 1,
        )  # fmt: skip
        return f"least squares say: {found.message}"
