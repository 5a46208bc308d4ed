"""Half the sum of squares of residuals, by their Jacobian and SciPy's trust-region least squares, or a sparse Jacobian and its factors."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gradcli.autodiff.jacobian import jacobian
from gradcli.diagnostics import GradcliError
from gradcli.features.fit.objective import Objective
from gradcli.features.fit.search import LAST, SUFFICIENT, Evaluated, Minimizer
from gradcli.features.fit.training import Settings, State, Watch
from gradcli.graph.types import size_of
from gradcli.program.compiled import function_of

if TYPE_CHECKING:
    from gradcli.program.sparse import SparseJacobian

Array = Any

SOLVED = 1e-8
"""How well the linear systems of steps with sparse Jacobians are solved; SciPy's own 1e-6 is as far as a fit then gets."""


DAMPING = 1e-3
"""Where the damping of steps begins."""

LEAST_DAMPING = 1e-13
"""What is left of it, for what the residuals do not determine."""

NEAR = 1e-6
"""How near to a bound, as a part of itself, a number is that is pushed against it."""


class Squares(Minimizer):
    """Half the sum of squares of residuals, by the Jacobian of the residuals."""

    knows_curvature = True

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        super().__init__(objective, settings, watch, state)
        program = objective.program
        xs = list(self.leaves.values())
        self.sparse: SparseJacobian | None = None
        if settings.sparse:
            from gradcli.program.sparse import SparseJacobian

            self.sparse = SparseJacobian(program, objective.residuals, xs)
        else:
            with program.graph.derivation.active():
                blocks = jacobian(objective.residuals, xs)
            self.matrix = function_of(program, [objective.residuals, *blocks], xs)
        self._begun = False

    def residual(self, x: Array) -> Array:
        """The residuals [entries of y]; where they or their Jacobian are not finite NaN, from which the method goes back."""
        import numpy as np

        try:
            return self.at(x).residuals
        except GradcliError as problem:
            self.refuse(problem)
        if not np.isfinite(x).all():
            raise self.given_up()
        return np.full(size_of(self.objective.residuals.shape), np.nan)

    def evaluated(self, x: Array) -> Evaluated:
        import numpy as np

        matrix: Array
        if self.sparse is not None:
            y, matrix = self.sparse(self.given(x))
        else:
            y, *blocks = self.matrix(self.given(x))
            sizes = [size_of(leaf.shape) for leaf in self.leaves.values()]
            rows = [block.reshape(y.size, size) for block, size in zip(blocks, sizes, strict=True)]
            matrix = np.concatenate(rows, axis=1).astype(np.float64, copy=False)
        flat = y.reshape(-1).astype(np.float64)
        return Evaluated(float(flat @ flat) / 2, flat @ matrix, flat, matrix)

    def jacobian(self, x: Array) -> Array:
        """The Jacobian [entries of y, entries of x], which is asked for at each point that is accepted."""
        if self._begun:
            self.accepted(x)
        self._begun = True
        return self.at(x).jacobian

    def curvature(self, x: Array) -> Array:
        """That of Gauss and Newton, JᵀJ."""
        matrix = self.at(x).jacobian
        square = matrix.T @ matrix
        return square if self.sparse is None else square.toarray()

    def step_to_bounds(self) -> None:
        """Put what the method, which stays inside, has left next to a bound on it, where that makes the loss no larger."""
        import numpy as np

        x, loss, gradient = self.base
        low, high = self.bounds()
        near = NEAR * self.sizes_at(x)
        there = np.where(
            (x - low <= near) & (gradient > 0), low, np.where((high - x <= near) & (gradient < 0), high, x)
        )
        if not np.array_equal(there, x):
            with suppress(GradcliError):
                if self.loss(there)[0] <= loss:
                    self.accepted(there)

    def damped(self) -> str:
        """Levenberg's and Marquardt's method, by factors of the sparse JᵀJ + damping·D² with the largest diagonal D² of JᵀJ so far.

        Sources: Moré 1978 for D; Nielsen, *Damping Parameter in Marquardt's Method* (1999). Raises GradcliError
        (LimitError) where JᵀJ or its factors do not fit.
        """
        import numpy as np
        from scipy.sparse import diags_array

        from gradcli.features.fit.normal import factored, squared

        x = self.vector(self.start.values)
        here = self.at(x)
        damping, growth = DAMPING, 2.0
        largest = np.zeros(len(x))
        while True:
            square = squared(here.jacobian)
            largest = np.maximum(largest, square.diagonal())
            unit = np.where(largest > 0, largest, 1.0)
            least = self.rounding / 2 * here.loss
            rejected = False
            while True:
                try:
                    step = -factored((square + diags_array(damping * unit)).tocsc()).solve(here.gradient)
                except GradcliError as problem:
                    if problem.kind != "ValueError" or damping > 1:
                        raise
                    damping *= 10
                    continue
                fall = float(step @ (damping * unit * step - here.gradient)) / 2
                if fall <= least and not rejected and damping > LEAST_DAMPING:
                    damping = max(damping / 100, LEAST_DAMPING)
                    continue
                if fall <= least or np.array_equal(x + step, x):
                    if self.refused is not None:
                        raise self.given_up()
                    return "no step would lower it by more than rounding"
                found = self.tried(x + step)
                ratio = (here.loss - found.loss) / fall if found is not None else -1.0
                if found is not None and ratio > SUFFICIENT:
                    break
                damping, growth, rejected = damping * growth, 2 * growth, True
            damping, growth = max(damping * max(1 / 3, 1 - (2 * ratio - 1) ** 3), LEAST_DAMPING), 2.0
            x, here = x + step, found
            self.accepted(x)

    def tried(self, x: Array) -> Evaluated | None:
        """What there is at a trial point; None where it is not finite, so that the step is shortened."""
        try:
            return self.at(x)
        except GradcliError as problem:
            self.refuse(problem)
            return None

    def run(self, optimize: Any) -> str:
        if self.sparse is not None and not self.settings.bounds:
            try:
                return f"least squares say: {self.damped()}"
            except GradcliError as problem:  # SciPy's method multiplies with J only
                if problem.kind != "LimitError" or self.step > self.start.step:
                    raise
        self._begun = False
        found = optimize.least_squares(
            self.residual, self.vector(self.start.values), jac=self.jacobian, bounds=self.bounds(),
            ftol=LAST, xtol=LAST, gtol=None, max_nfev=sys.maxsize >> 1,
            x_scale=1.0 if self.sparse is None else "jac",
            tr_options={} if self.sparse is None else {"atol": SOLVED, "btol": SOLVED},
        )  # fmt: skip
        if self.refused is not None:
            raise self.given_up()
        self.step_to_bounds()
        return f"least squares say: {found.message}"
