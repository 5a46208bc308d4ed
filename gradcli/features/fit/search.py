"""A search for a minimum: one vector of all that is fitted, watched step by step; by itself, SciPy's L-BFGS-B."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.features.fit.judgement import NONE, doubt
from gradcli.features.fit.objective import NotFiniteError, Objective
from gradcli.features.fit.subject import Multiplier
from gradcli.features.fit.training import Moment, Outcome, Settings, State, Watch, gradient_norm, watched
from gradcli.graph.node import Node
from gradcli.graph.types import show_entry, size_of
from gradcli.program.compiled import Function, function_of
from gradcli.tuples import NamedTuple

Array = Any

TINY = 1e-12
"""The relative change at which SciPy's own tests end a run: near what rounding leaves."""

LAST = 1e-15
"""The same for least squares, whose trust region gets there in a few steps more; smaller ones SciPy refuses."""

DENSE = 300
"""Fitted numbers up to which Newton's method writes the Hessian out; above it multiplies with it."""

JUDGED = 100
"""Fitted numbers up to which the end of a search is judged by the Hessian."""

FEW = 20
"""The same where the Hessian is not known from the search and has to take less time than that: or as many as steps."""

SMALL = 1e-5
"""The part of the slope at the start that may be left where the Hessian shows a minimum; without it only rounding may."""

ANEW = 1000
"""Steps after which a method restarts, so that a resumed run repeats no more than these."""

SUFFICIENT = 1e-4
"""The part of the fall along the slope that a step must reach, as in SciPy's line searches."""

SEARCHES = 200
"""Trial steps of a line search of L-BFGS-B: what is shortened from beyond all floats must get to where it is finite."""

PAIRS = 50
"""Of x and gradient that L-BFGS keeps, where they are small: networks need fewer steps than with SciPy's 10."""


def power_of_2(size: float) -> float:
    """The one below a positive number: to multiply with it rounds nothing."""
    return math.ldexp(0.5, min(max(math.frexp(size)[1], -500), 500))


def _kept_slope(state: State) -> float | None:
    """The slope at the start of the run that a checkpoint is of."""
    for memory in state.memory.values():
        if "slope" in memory and memory["slope"].size:
            return float(memory["slope"].flat[0])
    return None


def replayed(state: State, steps: int) -> range:
    """The steps that lead from where the method began to a state; none where it is the last of so many ``steps``."""
    known = all("begun" in state.memory.get(name, {}) for name in state.values)
    return range(state.begun if known and state.begun is not None and state.step < steps else state.step, state.step)


class Ended(Exception):  # noqa: N818  it ends a run, which is not an error
    """Carries the outcome of a run through SciPy."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class Anew(Exception):  # noqa: N818  it ends a part of a run
    """The method begins anew, where the search now starts."""


class Evaluated(NamedTuple):
    """A loss and its gradient [entries of x], or of squares also the residuals [entries of y] and their Jacobian."""

    loss: float
    gradient: Array
    residuals: Array = None
    jacobian: Array = None


class Minimizer:
    """A loss of one vector, in which all variables stand one after the other; by itself, L-BFGS-B."""

    knows_curvature = False
    """Whether steps are found by a Hessian, or by JᵀJ."""

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        import numpy as np

        self.objective = objective
        self.settings = settings
        self.watch = watch
        self.leaves = objective.leaves
        self.resumed = state
        self.clock = monotonic()
        self.rounding = float(np.finfo(objective.program.float_dtype).eps)
        self.slope = _kept_slope(state)
        self.base: tuple[Array, float, Array]
        self.units: Array | None
        """Powers of 2 in which the method sees the variables, and the loss in those of its slope; None: as they are."""
        self._last: tuple[Array, Evaluated] | None = None
        self._hessian: Function | None = None
        self.sizes = self.units_at(self.vector(state.values))
        steps = replayed(state, settings.steps)
        if steps:
            begun = {name: memory["begun"] for name, memory in state.memory.items()}
            self.begin(State(steps.start, begun, state.memory))
        else:
            self.begin(state)

    def begin(self, start: State) -> None:
        """Forget all steps; the method begins at ``start``.

        Where the memory of that has ``units`` it sees the loss in units of the slope at the start, and each variable in
        these; by default all as it is.
        """
        self.start = start
        self.units = None
        if all("units" in start.memory.get(name, {}) for name in self.leaves):
            self.units = self.vector({name: start.memory[name]["units"] for name in self.leaves})
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
            return Anew()
        self.refused.message = f"the search found no step that lowers `{self.objective.title}`: {self.refused.message}"
        return self.ended(self.refused)

    def ended(self, problem: GradcliError) -> Ended:
        """The end of a run at the last accepted point, because of a problem."""
        assert self.good is not None
        reason = "not finite" if isinstance(problem, NotFiniteError) else "failed"
        return Ended(self.good._replace(reason=reason, problem=problem))

    def evaluated(self, x: Array) -> Evaluated:
        loss, gradients = self.objective.at(self.values(x), 0)
        return Evaluated(loss, self.vector(gradients))

    def accepted(self, x: Array) -> None:
        """A point that the method stepped to. Raises Ended where the run ends here, Anew where the method begins anew."""
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
        if before is None and self.slope is None:
            self.slope = self.slope_of(x, gradient)
        if steps < ANEW:
            state = state._replace(memory=self.memory(steps > 0), begun=self.start.step if steps > 0 else None)
        self.good = Outcome(state, loss, self.norm(state.values, gradient), "")
        if step < self.resumed.step:
            if self.watch(Moment(state, loss, self.good.gnorm, None, monotonic() - self.clock, again=True)):
                self.good = self.interrupted()
                raise Ended(self.good)
            return
        first = step == self.resumed.step
        if first:
            if self.vector(state.values).tobytes() != self.vector(self.resumed.values).tobytes():
                self.begin(self.resumed)
                raise Anew
            self.clock = monotonic()
        moment = Moment(state, loss, self.good.gnorm, None, monotonic() - self.clock)
        try:
            reason, problem = watched(self.settings, self.watch, moment, first)
        except GradcliError:  # nothing is lost yet
            self.good = None
            raise
        if reason is not None:
            raise Ended(self.good._replace(reason=reason, problem=problem))
        if steps == ANEW:
            self.start = state
            raise Anew

    def memory(self, begun: bool) -> dict[str, dict[str, Array]]:
        """What a checkpoint keeps of the method: where it began, in which units, and the slope at the start of the run."""
        import numpy as np

        found: dict[str, dict[str, Array]] = {}
        units = None if self.units is None else self.values(self.units)
        for name, leaf in self.leaves.items():
            found[name] = {"slope": np.full(leaf.shape, self.slope, leaf.dtype)}
            if begun:
                found[name]["begun"] = self.start.values[name]
            if units is not None:
                found[name]["units"] = units[name]
        return found

    def slope_of(self, x: Array, gradient: Array) -> float:
        """The norm of the gradient in units of the values, which has the unit of the loss."""
        return self.norm(self.values(x), gradient * self.units_at(x))

    def units_at(self, x: Array) -> Array:
        """For each variable the power of 2 next to the root mean square of its entries; 1 where that is 0."""
        import numpy as np

        def unit(value: Array) -> float:
            largest = float(np.abs(value).max(initial=0))
            size = largest * math.sqrt(float(np.square(value / largest).mean())) if 0 < largest < math.inf else 1.0
            return power_of_2(size)

        values = {name: value.astype(np.float64) for name, value in self.values(x).items()}
        return self.vector({name: np.full(value.shape, unit(value)) for name, value in values.items()})

    def left(self) -> float:
        """The slope at the last accepted point as a part of that at the start."""
        assert self.good is not None
        slope = self.slope_of(*self.base[::2])
        return slope / self.slope if self.slope else 0.0

    def goes_on(self) -> bool:
        """Whether the method, which has ended, restarts in other units, in which its tests are meaningful.

        They are absolute: a loss or curvature that is small in the units of the program passes them at once.
        """
        assert self.good is not None
        before = self.loss(self.vector(self.start.values))[0]
        gain = before - self.good.loss
        if self.left() <= 4096 * self.rounding or self.units is not None and gain <= 10 * self.rounding * abs(before):
            return False
        self.begin_in_units()
        return True

    def begin_in_units(self) -> None:
        """Begin anew at the last accepted point, in units of the values there."""
        assert self.good is not None
        units = self.values(self.units_at(self.base[0]))
        memory = {name: {"units": value} for name, value in units.items()}
        self.begin(self.good.state._replace(memory=memory, begun=None))

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
        """Where a run stands that the method itself ended, and what speaks against that being a minimum."""
        assert self.good is not None
        left = self.left()
        doubt = self.doubt() if left <= SMALL else None
        if left > (SMALL if doubt is not None else math.sqrt(self.rounding)):
            converged = False
            reason = (
                f"{self.settings.method} finds no step that lowers `{self.objective.title}` by more than rounding; gradient"
                f" times values is still {left:.1e} of that at the start, {NONE}"
            )
        else:
            converged = not doubt or NONE not in doubt
            reason = f"{message.rstrip('.')}; gradient times values is {left:.1e} of that at the start"
            if doubt:
                reason += f", but `{self.objective.title}` {doubt}"
        return self.good._replace(reason=reason, converged=converged)

    def doubt(self) -> str | None:
        """See :func:`gradcli.features.fit.judgement.doubt`; None where so many numbers are fitted that it takes long."""
        import numpy as np

        x, loss, gradient = self.base
        low, high = self.bounds()
        free = (x > low) & (x < high)
        if free.sum() > (JUDGED if self.knows_curvature else min(JUDGED, max(FEW, self.step))):
            return None
        try:
            hessian = self.curvature(x)
        except GradcliError:  # there is none, or no memory for it
            return None
        return doubt(
            np.array(self.entries())[free].tolist(), self.sizes_at(x)[free], loss, gradient[free], hessian[np.ix_(free, free)],
            self.rounding,
        )  # fmt: skip

    def sizes_at(self, x: Array) -> Array:
        """How large each number is, here or where the run began."""
        import numpy as np

        found: Array = np.maximum(np.maximum(self.units_at(x), self.sizes), np.abs(x))
        return found

    def entries(self) -> list[str]:
        """What the numbers of the vector are called."""
        import numpy as np

        return [show_entry(name, place) for name, leaf in self.leaves.items() for place in np.ndindex(leaf.shape)]

    def curvature(self, x: Array) -> Array:
        """The Hessian at x [entries of x, entries of x]. Raises GradcliError where there is none."""
        if self._hessian is None:
            self._hessian = function_of(self.objective.program, self.objective.hessian(), list(self.leaves.values()))
        return self.square(self._hessian(self.given(x)))

    def square(self, blocks: Sequence[Array]) -> Array:
        """Blocks of a Hessian, row by row, as one matrix."""
        import numpy as np

        sizes = [size_of(leaf.shape) for leaf in self.leaves.values()]
        found = iter(blocks)
        whole = np.block([[next(found).reshape(m, n).astype(np.float64) for n in sizes] for m in sizes])
        return (whole + whole.T) / 2

    def multipliers(self) -> list[Multiplier]:
        """What constraints cost; there are none."""
        return []

    def run(self, optimize: Any) -> str:
        """Hand the search to SciPy, and say why that ended it."""
        x = self.vector(self.start.values)
        limits = {
            "maxfun": sys.maxsize >> 1, "gtol": TINY, "ftol": 1e-15, "maxcor": PAIRS if len(x) <= 100_000 else 10,
            "maxls": SEARCHES,
        }  # fmt: skip
        ends = [end if self.units is None else end / self.units for end in self.bounds()]
        return self.minimized(optimize, "L-BFGS-B", limits, bounds=optimize.Bounds(*ends))

    def scale(self) -> float:
        """The power of 2 that makes the slope about 1 where the method began."""
        x = self.vector(self.start.values)
        slope = self.slope_of(x, self.loss(x)[1])
        return 1 / power_of_2(slope) if slope else 1.0

    def minimized(self, optimize: Any, method: str, limits: dict[str, Any], **more: Any) -> str:
        x = self.vector(self.start.values)
        if self.units is None:
            loss, accepted = self.trial, self.accepted
        else:
            units, scale = self.units, self.scale()
            x = x / units

            def loss(x: Array) -> tuple[float, Array]:
                y, gradient = self.trial(x * units)
                return y * scale, gradient * units * scale

            def accepted(x: Array) -> None:
                self.accepted(x * units)

        found = optimize.minimize(
            loss, x, jac=True, method=method, callback=accepted,
            options={"maxiter": sys.maxsize >> 1, **limits}, **more,
        )  # fmt: skip
        if self.refused is not None:
            raise self.given_up()
        return f"{method} says: {found.message}"
