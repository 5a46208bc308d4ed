"""Half the sum of squares of residuals, by their Jacobian and SciPy's trust-region least squares."""

from __future__ import annotations

import sys
from typing import Any

from gradcli.autodiff.jacobian import jacobian
from gradcli.diagnostics import GradcliError
from gradcli.features.fit.objective import Objective
from gradcli.features.fit.search import LAST, Evaluated, Minimizer
from gradcli.features.fit.training import Settings, State, Watch
from gradcli.graph.types import size_of
from gradcli.program.compiled import function_of

Array = Any


class Squares(Minimizer):
    """Half the sum of squares of residuals, by the Jacobian of the residuals."""

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        super().__init__(objective, settings, watch, state)
        program = objective.program
        xs = list(self.leaves.values())
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

        y, *blocks = self.matrix(self.given(x))
        flat = y.reshape(-1).astype(np.float64)
        sizes = [size_of(leaf.shape) for leaf in self.leaves.values()]
        rows = [block.reshape(flat.size, size) for block, size in zip(blocks, sizes, strict=True)]
        matrix = np.concatenate(rows, axis=1).astype(np.float64, copy=False)
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
        return matrix.T @ matrix

    def run(self, optimize: Any) -> str:
        self._begun = False
        found = optimize.least_squares(
            self.residual, self.vector(self.start.values), jac=self.jacobian, bounds=self.bounds(),
            ftol=LAST, xtol=LAST, gtol=None, max_nfev=sys.maxsize >> 1,
        )  # fmt: skip
        if self.refused is not None:
            raise self.given_up()
        return f"least squares say: {found.message}"
