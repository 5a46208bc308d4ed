"""Minima under constraints, by SciPy's SLSQP and trust-constr."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import reduce
from typing import Any

from gradcli.autodiff.jacobian import hessian, jacobian
from gradcli.diagnostics import GradcliError
from gradcli.features.fit.judgement import doubt
from gradcli.features.fit.newton_cg import hessian_products
from gradcli.features.fit.objective import Objective
from gradcli.features.fit.search import JUDGED, LAST, TINY, Minimizer, power_of_2
from gradcli.features.fit.subject import MET, Multiplier, multipliers
from gradcli.features.fit.training import Outcome, Settings, State, Watch
from gradcli.graph.node import Node
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.ops.elementwise import add, subtract
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.shaping import reshaped
from gradcli.graph.types import size_of
from gradcli.program.compiled import function_of

Array = Any


NEAR = 1e-9
"""How near to a bound, as a part of itself, an interior point is on it."""


class Constrained(Minimizer):
    """SciPy's SLSQP: a quadratic programme for each step (Kraft 1988), with exact gradients of the constraints too."""

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        import numpy as np

        super().__init__(objective, settings, watch, state)
        xs = list(self.leaves.values())
        nodes = [constraint.difference for constraint in objective.constraints]
        with objective.program.graph.derivation.active():
            blocks = [block for node in nodes for block in jacobian(node, xs)]
        self.differences = function_of(objective.program, [*nodes, *blocks], xs)
        self._seen: tuple[Array, list[Array], Array] | None = None
        self.relations = np.array(
            [c.relation for c in objective.constraints for _ in range(size_of(c.difference.shape))]
        )
        self.weights: Array | None = None

    def constrained(self, x: Array) -> tuple[list[Array], Array]:
        """The differences, and their Jacobian [entries of all differences, entries of x]."""
        import numpy as np

        if self._seen is None or not np.array_equal(self._seen[0], x):
            count = len(self.objective.constraints)
            found = self.differences(self.given(x))
            values = [np.asarray(value, dtype=np.float64) for value in found[:count]]
            blocks = iter(found[count:])
            rows = [
                np.concatenate([next(blocks).reshape(value.size, -1).astype(np.float64) for _ in self.leaves], axis=1)
                for value in values
            ]
            self._seen = x.copy(), values, np.concatenate([np.zeros((0, len(x))), *rows])
        return self._seen[1:]

    def rows(self, x: Array, equal: bool, jacobian: bool) -> Array:
        """The entries of the constraints of a sort, as SciPy has them, from 0 on where they are met; or their Jacobian.

        They are in units of their gradients times the values at the start: SciPy's tests are absolute.
        """
        import numpy as np

        values, matrix = self.constrained(x)
        if self.weights is None:
            self.weights = np.array([1 / power_of_2(size) for size in self.tolerances(x).tolist()])
        whole = (
            matrix * self.weights[:, None]
            if jacobian
            else np.concatenate([v.reshape(-1) for v in values]) * self.weights
        )
        chosen = self.relations == "=" if equal else self.relations != "="
        signs = np.where(self.relations[chosen] == "<=", -1.0, 1.0)
        return whole[chosen] * (signs[:, None] if jacobian else signs)

    def tolerances(self, x: Array) -> Array:
        """For each entry of the constraints its gradient times the values, or 1 where that is 0."""
        import numpy as np

        size = np.linalg.norm(self.constrained(x)[1] * self.sizes_at(x), axis=1)
        return np.where((size > 0) & np.isfinite(size), size, 1.0)

    def run(self, optimize: Any) -> str:
        import numpy as np

        start = self.vector(self.start.values)
        units = np.ones(len(start)) if self.units is None else self.units
        scale = self.scale()

        def loss(x: Array) -> tuple[float, Array]:
            value, gradient = self.trial(x * units)
            return value * scale, gradient * units * scale

        given = [
            {
                "type": "eq" if equal else "ineq",
                "fun": lambda x, equal=equal: self.rows(x * units, equal, jacobian=False),
                "jac": lambda x, equal=equal: self.rows(x * units, equal, jacobian=True) * units,
            }
            for equal in sorted(set((self.relations == "=").tolist()))
        ]
        found = optimize.minimize(
            loss, start / units, jac=True, method="SLSQP", callback=lambda x: self.accepted(x * units), constraints=given,
            bounds=optimize.Bounds(*[end / units for end in self.bounds()]),
            options={"maxiter": sys.maxsize >> 33, "ftol": LAST},
        )  # fmt: skip
        return f"SLSQP says: {found.message}"

    def goes_on(self) -> bool:
        """Whether the method restarts, once, in units of the values: it takes steps of 1 to be equally long for all numbers."""
        if self.units is not None or self.left() <= math.sqrt(self.rounding):
            return False
        self.begin_in_units()
        return True

    def outcome(self, message: str) -> Outcome:
        """Where the run stands; a problem where the constraints are not met."""
        assert self.good is not None
        broken = self.broken()
        if broken is None:
            outcome = super().outcome(message)
            return outcome._replace(reason=f"{outcome.reason}; all constraints are met")
        problem = GradcliError("ValueError", f"no point was found that meets `{broken}`", help="start nearer to one")
        return self.good._replace(reason=message.rstrip("."), problem=problem)

    def broken(self) -> str | None:
        """A constraint that is not met up to rounding."""
        import numpy as np

        x = self.base[0]
        off = np.concatenate([value.reshape(-1) for value in self.constrained(x)[0]]) / self.tolerances(x)
        wrong = np.where(self.relations == "=", np.abs(off), np.where(self.relations == "<=", off, -off))
        at = 0
        for constraint in self.objective.constraints:
            size = size_of(constraint.difference.shape)
            if not (wrong[at : at + size] <= MET).all():
                return constraint.text
            at += size
        return None

    def lagrangian(self) -> tuple[Array, Array, Array]:
        """At the last accepted point the multipliers [entries], the gradient that they leave, and which are active.

        Gradient = Σ multiplier · gradient of the difference, over the active ones, with the signs that a minimum has.
        What pushes a value against its bound is not part of the gradient. Source: Karush, Kuhn, Tucker.
        """
        import numpy as np
        from scipy.optimize import lsq_linear

        x, _, gradient = self.base
        values, matrix = self.constrained(x)
        units, sizes = self.sizes_at(x), self.tolerances(x)
        low, high = self.bounds()
        free = (x > low) & (x < high)
        active = (self.relations == "=") | (np.abs(np.concatenate([v.reshape(-1) for v in values])) <= MET * sizes)
        cost = np.zeros(len(sizes))
        if active.any() and free.any():
            rows, wanted = (matrix * units / sizes[:, None])[active][:, free].T, (gradient * units)[free]
            signs = self.relations[active]
            least, most = np.where(signs == ">=", 0.0, -np.inf), np.where(signs == "<=", 0.0, np.inf)
            found = np.linalg.lstsq(rows, wanted)[0]
            if ((found < least) | (found > most)).any():
                found = lsq_linear(rows, wanted, (least, most), method="bvls", tol=1e-15).x
            cost[active] = found / sizes[active]
        rest = gradient - cost @ matrix
        rest = np.where((x <= low) & (rest > 0) | (x >= high) & (rest < 0), 0.0, rest)
        return cost, rest, active

    def left(self) -> float:
        """The slope that the constraints leave at the last accepted point as a part of the slope at the start."""
        import numpy as np

        x, _, gradient = self.base
        rest = float(np.linalg.norm(self.lagrangian()[1] * self.sizes_at(x)))
        whole = max(self.slope or 0.0, float(np.linalg.norm(gradient * self.sizes_at(x))))
        return rest / whole if whole else 0.0

    def doubt(self) -> str | None:
        """That of the Lagrangian along what the active constraints leave."""
        import numpy as np

        x, loss, _ = self.base
        low, high = self.bounds()
        free = (x > low) & (x < high)
        if free.sum() > JUDGED:
            return None
        cost, rest, active = self.lagrangian()
        try:
            hessian = self.lagrangian_curvature(x, cost)
        except GradcliError:
            return None
        return doubt(
            np.array(self.entries())[free].tolist(), self.sizes_at(x)[free], loss, rest[free], hessian[np.ix_(free, free)],
            self.rounding, self.constrained(x)[1][active][:, free],
        )  # fmt: skip

    def multiplied(self) -> tuple[Node, list[Node]]:
        """Σ multiplier · difference, and a leaf for the multipliers of each constraint, in the derivation that is active."""
        nodes = [constraint.difference for constraint in self.objective.constraints]
        leaves = [make_leaf(f"multiplier{k}", "multiplier", d.shape, d.dtype, False) for k, d in enumerate(nodes)]
        return reduce(add, [sum_(d * leaf, axis=None) for d, leaf in zip(nodes, leaves, strict=True)]), leaves

    def split(self, cost: Array, leaves: Sequence[Node]) -> dict[Node, Array]:
        """Multipliers [entries of all differences] by their leaves."""
        import numpy as np

        ends = np.cumsum([size_of(leaf.shape) for leaf in leaves])[:-1]
        parts = zip(leaves, np.split(cost, ends), strict=True)
        return {leaf: part.reshape(leaf.shape).astype(leaf.dtype) for leaf, part in parts}

    def lagrangian_curvature(self, x: Array, cost: Array) -> Array:
        """The Hessian of the loss less Σ multiplier · difference. Raises GradcliError where there is none."""
        program, xs = self.objective.program, list(self.leaves.values())
        with program.graph.derivation.active():
            whole, leaves = self.multiplied()
            blocks = [block for row in hessian(subtract(reshaped(self.objective.y, ()), whole), xs) for block in row]
        return self.square(function_of(program, blocks, [*xs, *leaves])({**self.given(x), **self.split(cost, leaves)}))

    def multipliers(self) -> list[Multiplier]:
        """What the constraints cost at the last accepted point."""
        values = self.constrained(self.base[0])[0]
        return multipliers(self.objective, values, self.lagrangian()[0])


class Interior(Constrained):
    """SciPy's trust-constr: an interior point method (Byrd, Hribar, Nocedal 1999) with exact products of Hessians."""

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        super().__init__(objective, settings, watch, state)
        program, xs = objective.program, list(self.leaves.values())
        with program.graph.derivation.active():
            self.directions = {
                name: make_leaf(name, "direction", x.shape, x.dtype, False) for name, x in self.leaves.items()
            }
            along = list(self.directions.values())
            whole, self.costs = self.multiplied()
            of_loss, of_rows = hessian_products(objective.y, xs, along), hessian_products(whole, xs, along)
        self.of_loss = function_of(program, of_loss, [*xs, *along])
        self.of_rows = function_of(program, of_rows, [*xs, *along, *self.costs])

    def product(self, x: Array, v: Array, cost: Array | None = None) -> Array:
        """The Hessian at x times v: of the loss, or with multipliers of the constraints."""
        given = {**self.given(x), **{self.directions[name]: value for name, value in self.values(v).items()}}
        found = self.of_loss(given) if cost is None else self.of_rows({**given, **self.split(cost, self.costs)})
        return self.vector(dict(zip(self.leaves, found, strict=True)))

    def run(self, optimize: Any) -> str:
        import numpy as np
        from scipy.sparse.linalg import LinearOperator

        start = self.vector(self.start.values)
        units = np.ones(len(start)) if self.units is None else self.units
        scale, weights = self.scale(), 1 / self.tolerances(start)
        shape = (len(start), len(start))

        def loss(x: Array) -> tuple[float, Array]:
            value, gradient = self.trial(x * units)
            return value * scale, gradient * units * scale

        def hessian(x: Array, cost: Array) -> Any:
            return LinearOperator(
                shape,
                lambda v: self.product(x * units, v.reshape(-1) * units, cost * weights) * units,
                dtype=np.float64,
            )

        low = np.where(self.relations == "<=", -np.inf, 0.0)
        high = np.where(self.relations == ">=", np.inf, 0.0)
        given = optimize.NonlinearConstraint(
            lambda x: np.concatenate([v.reshape(-1) for v in self.constrained(x * units)[0]]) * weights, low, high,
            jac=lambda x: self.constrained(x * units)[1] * weights[:, None] * units, hess=hessian,
        )  # fmt: skip
        ends = self.bounds()
        bounds = optimize.Bounds(*[end / units for end in ends]) if np.isfinite(ends).any() else None
        found = optimize.minimize(
            loss, start / units, jac=True, method="trust-constr", callback=lambda x, _: self.stepped(x * units),
            hessp=lambda x, v: self.product(x * units, v * units) * units * scale, constraints=given, bounds=bounds,
            options={"maxiter": sys.maxsize >> 33, "gtol": 0.0, "xtol": TINY, "barrier_tol": TINY},
        )  # fmt: skip
        x = self.base[0]
        near = NEAR * self.sizes_at(x)
        self.stepped(np.where(x - ends[0] <= near, ends[0], np.where(ends[1] - x <= near, ends[1], x)))
        # With gtol = 0, without which it ends before its barrier is low, any rounding of the constraints becomes its message.
        message = "`xtol` termination condition is satisfied" if "gtol" in found.message else found.message
        return f"trust-constr says: {message}"

    def stepped(self, x: Array) -> None:
        """A point of the method, which may be the one before."""
        import numpy as np

        if not np.array_equal(x, self.base[0]):
            self.accepted(x)
