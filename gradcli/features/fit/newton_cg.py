"""SciPy's Newton-CG, given products with the exact Hessian."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from gradcli.autodiff import reverse
from gradcli.features.fit.objective import Objective
from gradcli.features.fit.search import TINY, Minimizer
from gradcli.features.fit.training import Settings, State, Watch
from gradcli.graph.node import Node
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.ops.elementwise import add
from gradcli.graph.ops.reductions import sum_
from gradcli.program.compiled import function_of
from gradcli.program.planned import constant_parts

Array = Any


def hessian_products(y: Node, xs: Sequence[Node], directions: Sequence[Node]) -> list[Node]:
    """The Hessian of the sum of a node by some xs times a direction for each of them."""
    along = [
        sum_(g * v, axis=None) for g, v in zip(reverse.gradients([y], xs), directions, strict=True) if g is not None
    ]
    # The gradient of g·v, v being constant, is the Hessian times v (Pearlmutter 1994).
    second = reverse.gradients([reduce(add, along)], xs) if along else [None] * len(xs)
    return [h if h is not None else reverse.zero_gradient(x) for x, h in zip(xs, second, strict=True)]


class NewtonCG(Minimizer):
    """Newton's method, with conjugate gradients for the step."""

    inside = "a start nearer to the minimum may do, or lbfgs with `--bounds`"

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        super().__init__(objective, settings, watch, state)
        program = objective.program
        xs = list(self.leaves.values())
        with program.graph.derivation.active():
            self.directions = {
                name: make_leaf(name, "direction", x.shape, x.dtype, False) for name, x in self.leaves.items()
            }
            products = hessian_products(objective.y, xs, list(self.directions.values()))
        directions = list(self.directions.values())
        # What depends on x alone is the same for all directions of a step.
        self.parts = constant_parts(products, set(directions))
        self.evaluated_parts = function_of(program, self.parts, xs)
        self.products = function_of(program, products, [*xs, *directions], known=self.parts)
        self._at: tuple[Array, dict[Node, Array]] | None = None

    def product(self, x: Array, v: Array) -> Array:
        """The Hessian at x times v."""
        import numpy as np

        if self._at is None or not np.array_equal(self._at[0], x):
            given = self.given(x)
            self._at = x.copy(), {**given, **dict(zip(self.parts, self.evaluated_parts(given), strict=True))}
        directions = {self.directions[name]: value for name, value in self.values(v).items()}
        found = self.products({**self._at[1], **directions})
        product = self.vector(dict(zip(self.leaves, found, strict=True)))
        if not np.isfinite(product).all():
            raise self.ended(self.not_finite(f"a product with the Hessian of `{self.objective.name}`", x, order=2))
        return product

    def run(self, optimize: Any) -> str:
        if self.units is None:
            return self.minimized(optimize, "Newton-CG", {"xtol": TINY}, hessp=self.product)
        units, scale = self.units, self.scale()

        def product(x: Array, v: Array) -> Array:
            found = self.product(x * units, v * units) * units * scale
            # Where the curvature is this small SciPy ends at once; the line search finds out how far the step may go.
            curvature = float(v @ found)
            return found + 1e-3 * v if 0 <= curvature < 1e-15 else found

        return self.minimized(optimize, "Newton-CG", {"xtol": TINY}, hessp=product)
