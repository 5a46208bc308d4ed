"""Half the sum of squares of residuals, by their Jacobian and SciPy's trust-region least squares."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gradcli.autodiff.jacobian import jacobian
from gradcli.diagnostics import GradcliError
from gradcli.features.fit.objective import Objective
from gradcli.features.fit.search import LAST, Evaluated, Minimizer
from gradcli.features.fit.training import Settings, State, Watch
from gradcli.graph.types import size_of
from gradcli.program.compiled import function_of

if TYPE_CHECKING:
    from gradcli.program.sparse import SparseJacobian

Array = Any

SOLVED = 1e-8
"""How well the linear systems of steps with sparse Jacobians are solved; SciPy's own 1e-6 is as far as a fit then gets."""


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

    def run(self, optimize: Any) -> str:
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
