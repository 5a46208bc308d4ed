"""Newton's method in a trust region, which needs no SciPy: with the exact Hessian, or products with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

from gradcli.diagnostics import GradcliError
from gradcli.features.fit.newton_cg import NewtonCG
from gradcli.features.fit.objective import NotFiniteError, Objective
from gradcli.features.fit.search import DENSE, SUFFICIENT, Ended, Minimizer
from gradcli.features.fit.training import Settings, State, Watch
from gradcli.graph.types import size_of
from gradcli.program.compiled import function_of

Array = Any

NEAR = 0.01
"""The first radius of a trust region, in units of the start: far from the minimum first steps must be short."""

FAR = 1e10
"""How many times the first radius a trust region may grow to, to see whether a flat loss falls farther out."""


class _Model(Protocol):
    """A quadratic model of a loss, and steps that make it small."""

    scales: Array
    """What each entry of a step is multiplied by where its length is measured."""

    slope: Array
    """The gradient by the scales."""

    def step(self, radius: float) -> tuple[Array, float, bool]:
        """The step within a radius, by how much it lowers the model, and whether it is one inside, to the minimum."""


class _Dense:
    """A model whose Hessian is written out: the best step of all, by eigenvalues (Moré, Sorensen 1983)."""

    def __init__(self, gradient: Array, hessian: Array, before: Array) -> None:
        import numpy as np

        self.scales = np.maximum(np.sqrt(np.abs(np.diag(hessian))), before)
        inverse = 1 / np.where(self.scales > 0, self.scales, 1)
        self.scales = np.where(self.scales > 0, self.scales, 1)
        self.slope = gradient * inverse
        self.inverse = inverse
        self.curvatures, self.axes = np.linalg.eigh(hessian * inverse[:, None] * inverse)
        self.along = self.axes.T @ self.slope

    def step(self, radius: float) -> tuple[Array, float, bool]:
        import numpy as np

        w, g = self.curvatures, self.along
        s, inside = self._shifted(radius)
        fall = -float(g @ s + (w * s) @ s / 2)
        found: Array = self.axes @ s * self.inverse
        return found, fall if np.isfinite(found).all() else 0.0, inside

    def _shifted(self, radius: float) -> tuple[Array, bool]:
        """The step along the axes: ``-g/(w + shift)``, with the shift that makes it as long as the radius, if any is needed."""
        import numpy as np

        w, g = self.curvatures, self.along

        def shifted(shift: float) -> Array:
            return np.where(g == 0, 0.0, -g / np.where(w + shift == 0, 1e-300, w + shift))

        lowest, length = float(w[0]), float(np.linalg.norm(g))
        if lowest > 0 and np.linalg.norm(s := shifted(0.0)) <= radius:
            return s, True
        low = max(0.0, -lowest)
        high = low + length / radius
        if lowest <= 0:  # the hard case: nothing pushes along the axis of the lowest curvature
            own = np.abs(w - lowest) <= 1e-12 * float(np.abs(w).max())
            rest = np.where(own, 0.0, -g / np.where(own, 1.0, w - lowest))
            room = radius**2 - float(rest @ rest)
            if np.linalg.norm(g[own]) <= 1e-14 * length and room >= 0:
                flat = lowest >= -1e-14 * float(np.abs(w).max())
                if not flat:
                    rest[int(np.argmax(own))] += math.sqrt(room)
                return rest, flat
        shift = max(low + 1e-3 * (high - low), 1e-300)
        s = shifted(shift)
        for _ in range(100):
            norm = float(np.linalg.norm(s))
            if abs(norm - radius) <= 0.01 * radius:
                break
            low, high = (shift, high) if norm > radius else (low, shift)
            change = norm**2 / float(g * g @ (w + shift) ** -3.0) * (norm - radius) / radius
            shift = (
                shift + change if low < shift + change < high else math.sqrt(low * high) if low else (low + high) / 2
            )
            s = shifted(shift)
        norm = float(np.linalg.norm(s))
        return (s * (radius / norm) if norm > 2 * radius else s), False


class _Products:
    """A model whose Hessian is only multiplied with: conjugate gradients up to the radius (Steihaug 1983)."""

    def __init__(self, gradient: Array, product: Callable[[Array], Array], units: Array) -> None:
        self.scales = 1 / units
        self.slope = gradient * units
        self._units = units
        self._product = product

    def step(self, radius: float) -> tuple[Array, float, bool]:
        import numpy as np

        g = self.slope
        s, applied = np.zeros_like(g), np.zeros_like(g)
        r, d = g.copy(), -g
        square = first = float(g @ g)
        inside = True
        for _ in range(2 * len(g)):
            if square <= 1e-4 * min(1.0, first) * first:  # a tenth, and less as the slope falls
                break
            hd = self._product(d * self._units) * self._units
            curvature = float(d @ hd)
            step = square / curvature if curvature > 0 else math.inf
            if not np.linalg.norm(s + step * d) < radius:
                a, b, c = float(d @ d), float(s @ d), float(s @ s) - radius**2
                step = (-b + math.sqrt(max(b * b - a * c, 0.0))) / a
                inside = False
            s, applied, r = s + step * d, applied + step * hd, r + step * hd
            if not inside:
                break
            before, square = square, float(r @ r)
            d = square / before * d - r
        return s * self._units, -float(g @ s + applied @ s / 2), inside


class TrustRegion(NewtonCG):
    """Newton's method in a trust region, with the exact Hessian, or above ``DENSE`` numbers products with it.

    The region is a ball where each number is measured by the root of the largest curvature along it so far. Sources:
    Moré, Sorensen, *Computing a Trust Region Step* (1983), by eigenvalues; Steihaug 1983; Moré 1978 for the scales.
    """

    knows_curvature = True

    inside = "a start nearer to the minimum may do, or lbfgs with `--bounds`"

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        Minimizer.__init__(self, objective, settings, watch, state)
        xs = list(self.leaves.values())
        self.dense = sum(size_of(x.shape) for x in xs) <= DENSE
        if self.dense:
            try:
                self.blocks = function_of(objective.program, objective.hessian(), xs)
            except GradcliError as problem:
                if problem.kind != "LimitError":
                    raise
                self.dense = False  # products need less memory
        if not self.dense:
            super().__init__(objective, settings, watch, state)

    def hessian(self, x: Array) -> Array:
        """The Hessian at x [entries of x, entries of x]. Raises NotFiniteError where it is not finite."""
        import numpy as np

        whole = self.square(self.blocks(self.given(x)))
        if not np.isfinite(whole).all():
            raise self.not_finite(f"the Hessian of `{self.objective.name}`", x, order=2)
        return whole

    def model(self, x: Array) -> _Model:
        """The loss around x to second order. Raises NotFiniteError where that is not finite."""
        gradient = self.loss(x)[1]
        if self.dense:
            return _Dense(gradient, self.hessian(x), self.largest)
        return _Products(gradient, lambda v: self.product(x, v), self.units_at(x))

    def run(self, optimize: Any) -> str:
        import numpy as np

        x = self.vector(self.start.values)
        loss = self.loss(x)[0]
        self.largest = np.zeros(())
        try:
            model = self.model(x)
        except NotFiniteError as problem:
            raise self.ended(problem) from None
        self.largest = model.scales
        radius = NEAR * float(np.linalg.norm(x * model.scales)) or float(np.linalg.norm(model.slope)) or 1.0
        largest = FAR * radius
        while True:
            least = self.rounding / 2 * abs(loss)
            shortened = False
            while True:
                p, fall, inside = model.step(radius)
                if fall <= least and not inside and not shortened and radius < largest:
                    radius *= 8  # it is the radius, not the loss, that ends here
                    continue
                length = float(np.linalg.norm(p * model.scales))
                if fall <= least or np.array_equal(x + p, x):
                    if self.refused is not None:
                        raise self.given_up()
                    what = "by more than rounding" if inside else "any more"
                    return f"newton: no step would lower it {what}"
                found = self.tried(x + p)
                ratio = (loss - found[0]) / fall if found is not None else -1.0
                if ratio < 0.25:
                    radius, shortened = (length if length < 2 * radius else radius) / 4, True
                elif ratio > 0.75 and not inside:
                    radius = max(radius, 2 * length)
                if found is not None and ratio > SUFFICIENT:
                    break
            x = x + p
            loss, model = found
            self.accepted(x)
            self.largest = model.scales

    def tried(self, x: Array) -> tuple[float, _Model] | None:
        """The loss at a trial point and the model there; None where one is not finite, so that the step is shortened."""
        try:
            loss = self.loss(x)[0]
            return loss, self.model(x)
        except Ended:
            return None
        except GradcliError as problem:
            self.refuse(problem)
            return None
