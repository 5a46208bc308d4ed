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
from gradcli.data import first_not_finite
from gradcli.diagnostics import GradcliError
from gradcli.features.fit.objective import NotFiniteError, Objective
from gradcli.features.fit.training import Moment, Outcome, Settings, State, Watch, gradient_norm, watched
from gradcli.graph.node import Node
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.ops.elementwise import add
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.types import show_entry, size_of
from gradcli.program.compiled import Planned, constant_parts
from gradcli.tuples import NamedTuple

Array = Any

TINY = 1e-12
"""The relative change at which SciPy's own tests end a run: near what rounding leaves."""

ANEW = 1000
"""After so many steps a method begins anew, so that a resumed run has no more than these to go through again."""

SUFFICIENT = 1e-4
"""The part of the fall along the slope that a step must reach, as in SciPy's line searches."""

SEARCHES = 200
"""Trial steps of a line search of L-BFGS-B: what is shortened from beyond all floats must get to where it is finite."""

PAIRS = 50
"""Of x and gradient that L-BFGS keeps, where they are small: networks need fewer steps than with SciPy's 10."""


def minimize(objective: Objective, settings: Settings, watch: Watch, state: State) -> Outcome:
    """Minimise by SciPy's L-BFGS-B, Newton-CG or trust-region least squares.

    A step is one that the method accepted. SciPy keeps to itself what a method remembers of its steps, so a resumed run
    goes from where the method began last (at most ``ANEW`` steps, which are only shown) to the state, which gives the same bits.
    Sources: Byrd, Lu, Nocedal, Zhu 1995 (``lbfgs``); Nocedal, Wright, *Numerical Optimization*, 2nd ed., algorithm 7.1
    (``newton-cg``); Branch, Coleman, Li 1999 (``least-squares``). Raises GradcliError where SciPy is not installed.
    """
    try:
        from scipy import optimize
    except ImportError:
        raise GradcliError(
            "ValueError",
            f"--method {settings.method} needs SciPy, which is not installed: pip install 'gradcli[scipy]'",
        ) from None
    for name, value in state.values.items():
        place = first_not_finite(value)
        if place is not None:
            raise GradcliError("ValueError", f"`{show_entry(name, place)}` starts at {float(value[place])}")
    kind = {"lbfgs": _Search, "newton-cg": _Newton, "least-squares": _Squares}[settings.method]
    search = kind(objective, settings, watch, state)
    while True:
        try:
            if search.good is None:
                search.accepted(search.vector(search.start.values))
            message = search.run(optimize)
            if not search.is_replaying:
                return search.outcome(message)
        except _Anew:
            continue
        except _Ended as end:
            if not search.is_replaying:
                return end.outcome
        except GradcliError as failure:
            if not search.is_replaying:
                if search.good is None:
                    raise
                return search.good._replace(reason="failed", problem=failure)
        search.begin(state)  # on another processor the same steps round otherwise, and may lead elsewhere


def replayed(state: State, steps: int) -> range:
    """The steps that lead from where the method began to a state; none where it is the last of so many ``steps``."""
    known = all("begun" in state.memory.get(name, {}) for name in state.values)
    return range(state.begun if known and state.begun is not None and state.step < steps else state.step, state.step)


class _Ended(Exception):  # noqa: N818  it ends a run, which is no error
    """Carries the outcome of a run through SciPy."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class _Anew(Exception):  # noqa: N818  it ends a part of a run
    """The method begins anew, where the search now starts."""


class Evaluated(NamedTuple):
    """A loss and its gradient [entries of x], or of squares also the residuals [entries of y] and their Jacobian."""

    loss: float
    gradient: Array
    residuals: Array = None
    jacobian: Array = None


class _Search:
    """A loss of one vector, in which all variables stand one after the other; by itself, L-BFGS-B."""

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        self.objective = objective
        self.settings = settings
        self.watch = watch
        self.leaves = objective.leaves
        self.resumed = state
        self.clock = monotonic()
        self.base: tuple[Array, float, Array]
        self._last: tuple[Array, Evaluated] | None = None
        steps = replayed(state, settings.steps)
        if steps:
            self.begin(State(steps.start, {name: memory["begun"] for name, memory in state.memory.items()}, {}))
        else:
            self.begin(state)

    def begin(self, start: State) -> None:
        """Forget all steps; the method begins at ``start``."""
        self.start = start
        self.good: Outcome | None = None
        self.refused: GradcliError | None = None
        self.lowest: tuple[Array, float] | None = None

    @property
    def is_replaying(self) -> bool:
        """Whether the steps are those that led to the state that the run was resumed from."""
        return self.step < self.resumed.step

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
        """The loss and its gradient. Raises GradcliError where they are not finite, or cannot be evaluated."""
        return self.at(x)[:2]

    def at(self, x: Array) -> Evaluated:
        """The same with the residuals and their Jacobian, if there are any."""
        import numpy as np

        if self._last is None or not np.array_equal(self._last[0], x):
            found = self.evaluated(x)
            if not math.isfinite(found.loss):
                raise self.not_finite(f"`{self.objective.title}`", x)
            if not np.isfinite(found.gradient).all():
                raise self.not_finite(f"the gradient of `{self.objective.title}`", x)
            self._last = x.copy(), found
        return self._last[1]

    def not_finite(self, what: str, x: Array, order: int = 1) -> GradcliError:
        """The error that says so; :attr:`inside` tells how such points are avoided."""
        help = self.inside if self.good is not None else None
        return self.objective.not_finite(f"{what} is not finite in the search", self.step, help, self.values(x), order)

    inside = "`--bounds` may keep the values where it is finite"

    def trial(self, x: Array) -> tuple[float, Array]:
        """The loss and its gradient for a line search, which goes back where they are not finite.

        There they are those of the parabola along the step s that has the loss f and the slope g·s < 0 of the last
        accepted point, and its minimum at s/4: f - g·s, with the slope -3g·s. Line searches interpolate by parabolas
        and cubics, so a quarter of the step is the next trial, and no point that is not finite is accepted.
        """
        import numpy as np

        before, loss, gradient = self.base
        step = x - before
        slope = abs(float(gradient @ step))
        try:
            found = self.loss(x)
        except GradcliError as problem:
            self.refuse(problem)
            if not np.isfinite(step).all():
                raise self.ended(problem) from None
        else:
            if found[0] < min(loss - SUFFICIENT * slope, self.lowest[1] if self.lowest is not None else math.inf):
                self.lowest = x.copy(), found[0]
            return found
        largest = float(np.abs(step).max(initial=0)) or 1.0
        unit = step / largest
        slope = min(max(slope, 8 * math.ulp(loss)), 1e300)  # what rounding takes for no rise would be accepted
        return loss + slope, 3 * slope / (largest * float(unit @ unit)) * unit

    def refuse(self, problem: GradcliError) -> None:
        """Remember why a trial point cannot be stepped to; at the start, and for any other reason, raise it."""
        if self.good is None or problem.kind != "ValueError":
            raise problem
        self.refused = problem

    def given_up(self) -> Exception:
        """What to raise where the method ends after a trial point that was not finite.

        It begins anew at the lowest trial point, if that is lower: the loss may fall so steeply towards the end of its
        domain that no step fulfils the other condition of a line search, that of a slope that is less steep.
        """
        assert self.good is not None
        assert self.refused is not None
        if self.lowest is not None:
            self.accepted(self.lowest[0])
            self.start = self.good.state._replace(memory={}, begun=None)
            return _Anew()
        self.refused.message = f"the search found no step that lowers `{self.objective.title}`: {self.refused.message}"
        return self.ended(self.refused)

    def ended(self, problem: GradcliError) -> _Ended:
        """The end of a run at the last accepted point, because of a problem."""
        assert self.good is not None
        reason = "not finite" if isinstance(problem, NotFiniteError) else "failed"
        return _Ended(self.good._replace(reason=reason, problem=problem))

    def evaluated(self, x: Array) -> Evaluated:
        loss, gradients = self.objective.at(self.values(x), 0)
        return Evaluated(loss, self.vector(gradients))

    def accepted(self, x: Array) -> None:
        """A point that the method stepped to. Raises _Ended where the run ends here, _Anew where the method begins anew."""
        import numpy as np

        loss, gradient = self.loss(x)
        if self.refused is not None and np.array_equal(x, self.base[0]):
            return  # the step was shortened until rounding made it none
        self.refused = self.lowest = None
        self.base = x.copy(), loss, gradient
        before = self.good
        step = self.step if before is None else self.step + 1
        steps = step - self.start.step
        state = State(step, self.values(x), {}, self.start.loss if before is None else before.loss)
        if 0 < steps < ANEW:
            memory = {name: {"begun": value} for name, value in self.start.values.items()}
            state = state._replace(memory=memory, begun=self.start.step)
        self.good = Outcome(state, loss, self.norm(state.values, gradient), "")
        if step < self.resumed.step:
            if self.watch(Moment(state, loss, self.good.gnorm, None, monotonic() - self.clock, again=True)):
                self.good = self.interrupted()
                raise _Ended(self.good)
            return
        first = step == self.resumed.step
        if first:
            if self.vector(state.values).tobytes() != self.vector(self.resumed.values).tobytes():
                self.begin(self.resumed)
                raise _Anew
            self.clock = monotonic()
        moment = Moment(state, loss, self.good.gnorm, None, monotonic() - self.clock)
        reason, problem = watched(self.settings, self.watch, moment, first)
        if reason is not None:
            raise _Ended(self.good._replace(reason=reason, problem=problem))
        if steps == ANEW:
            self.start = state
            raise _Anew

    def interrupted(self) -> Outcome:
        """The run as it was resumed: nobody waits until the steps that led there are gone through again."""
        loss, gradient = self.loss(self.vector(self.resumed.values))
        return Outcome(self.resumed, loss, self.norm(self.resumed.values, gradient), "interrupted")

    def norm(self, values: Mapping[str, Array], gradient: Array) -> float:
        """See :func:`gradcli.features.fit.training.gradient_norm`."""
        return gradient_norm(self.values(gradient), values, self.settings.bounds)

    def bounds(self) -> tuple[Array, Array]:
        """The lowest and the highest vector."""
        import numpy as np

        ends = {name: self.settings.bounds.get(name, (-np.inf, np.inf)) for name in self.leaves}
        low, high = (
            self.vector({name: np.full(leaf.shape, ends[name][k], leaf.dtype) for name, leaf in self.leaves.items()})
            for k in (0, 1)
        )
        return low, high

    def outcome(self, message: str) -> Outcome:
        """Where a run stands that the method itself ended."""
        assert self.good is not None
        return self.good._replace(reason=message.rstrip("."))

    def run(self, optimize: Any) -> str:
        """Hand the search to SciPy, and say why that ended it."""
        x = self.vector(self.start.values)
        limits = {
            "maxfun": sys.maxsize >> 1, "gtol": TINY, "ftol": 1e-15, "maxcor": PAIRS if len(x) <= 100_000 else 10,
            "maxls": SEARCHES,
        }  # fmt: skip
        return self.minimized(optimize, "L-BFGS-B", limits, bounds=optimize.Bounds(*self.bounds()))

    def minimized(self, optimize: Any, method: str, limits: dict[str, Any], **more: Any) -> str:
        found = optimize.minimize(
            self.trial, self.vector(self.start.values), jac=True, method=method, callback=self.accepted,
            options={"maxiter": sys.maxsize >> 1, **limits}, **more,
        )  # fmt: skip
        if self.refused is not None:
            raise self.given_up()
        return f"{method} says: {found.message}"


class _Newton(_Search):
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
        directions = list(self.directions.values())
        # What depends on x alone is the same for all directions of a step.
        self.parts = constant_parts(products, set(directions))
        self.evaluated_parts = Planned(program, self.parts, xs)
        self.products = Planned(program, products, [*xs, *directions], known=self.parts)
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
        return self.minimized(optimize, "Newton-CG", {"xtol": TINY}, hessp=self.product)


class _Squares(_Search):
    """Half the sum of squares of residuals, by the Jacobian of the residuals."""

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        super().__init__(objective, settings, watch, state)
        program = objective.program
        xs = list(self.leaves.values())
        with program.graph.derivation.active():
            blocks = jacobian(objective.y, xs)
        self.matrix = Planned(program, [objective.y, *blocks], xs)
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
        return np.full(size_of(self.objective.y.shape), np.nan)

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

    def run(self, optimize: Any) -> str:
        self._begun = False
        found = optimize.least_squares(
            self.residual, self.vector(self.start.values), jac=self.jacobian, bounds=self.bounds(),
            ftol=TINY, xtol=TINY, gtol=TINY, max_nfev=sys.maxsize >> 1,
        )  # fmt: skip
        if self.refused is not None:
            raise self.given_up()
        return f"least squares say: {found.message}"
