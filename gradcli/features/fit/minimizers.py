"""SciPy's minimizers, given exact gradients, products with the Hessian, or Jacobians, and watched like any other run.

Beside them stands one of our own, :class:`_TrustRegion`, which needs no SciPy.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from functools import partial, reduce
from time import monotonic
from typing import Any, Protocol

from gradcli.autodiff import reverse
from gradcli.autodiff.jacobian import jacobian
from gradcli.data import first_not_finite
from gradcli.diagnostics import GradcliError
from gradcli.features.fit.objective import NotFiniteError, Objective
from gradcli.features.fit.subject import MET, Multiplier, multipliers
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

LAST = 1e-15
"""The same for least squares, whose trust region gets there in a few steps more; smaller ones SciPy refuses."""

DENSE = 300
"""Fitted numbers up to which Newton's method writes the Hessian out; above it multiplies with it."""

NEAR = 0.01
"""The first radius of a trust region, in units of the start: a start far from the minimum is no place for long steps."""

FAR = 1e10
"""How many times the first radius a trust region may grow to, to see whether a flat loss falls farther out."""

ANEW = 1000
"""After so many steps a method begins anew, so that a resumed run has no more than these to go through again."""

SUFFICIENT = 1e-4
"""The part of the fall along the slope that a step must reach, as in SciPy's line searches."""

SEARCHES = 200
"""Trial steps of a line search of L-BFGS-B: what is shortened from beyond all floats must get to where it is finite."""

PAIRS = 50
"""Of x and gradient that L-BFGS keeps, where they are small: networks need fewer steps than with SciPy's 10."""


def minimize(objective: Objective, settings: Settings, watch: Watch, state: State) -> Outcome:
    """Minimise by SciPy's L-BFGS-B, Newton-CG or trust-region least squares, or by Newton's method in a trust region.

    A step is one that the method accepted. SciPy keeps to itself what a method remembers of its steps, so a resumed run
    goes from where the method began last (at most ``ANEW`` steps, which are only shown) to the state, which gives the same bits.
    Sources: Byrd, Lu, Nocedal, Zhu 1995 (``lbfgs``); Nocedal, Wright, *Numerical Optimization*, 2nd ed., algorithm 7.1
    (``newton-cg``); Branch, Coleman, Li 1999 (``least-squares``). Raises GradcliError where SciPy is not installed.
    """
    scipy = None if settings.method == "newton" else _scipy(settings.method)
    for name, value in state.values.items():
        place = first_not_finite(value)
        if place is not None:
            raise GradcliError("ValueError", f"`{show_entry(name, place)}` starts at {float(value[place])}")
    kind = {
        "lbfgs": _Search,
        "newton-cg": _Newton,
        "least-squares": _Squares,
        "newton": _TrustRegion,
        "slsqp": _Constrained,
    }[settings.method]
    search = kind(objective, settings, watch, state)
    while True:
        try:
            if search.good is None:
                search.accepted(search.vector(search.start.values))
            message = search.run(scipy)
            if not search.is_replaying:
                if search.goes_on():
                    continue
                return search.outcome(message)._replace(multipliers=search.multipliers())
        except _Anew:
            continue
        except _Ended as end:
            if not search.is_replaying:
                return end.outcome._replace(multipliers=search.multipliers())
        except GradcliError as failure:
            if not search.is_replaying:
                if search.good is None:
                    raise
                return search.good._replace(reason="failed", problem=failure)
        search.begin(state)  # on another processor the same steps round otherwise, and may lead elsewhere


def _scipy(method: str) -> Any:
    try:
        from scipy import optimize
    except ImportError:
        raise GradcliError(
            "ValueError",
            f"--method {method} needs SciPy, which is not installed: pip install 'gradcli[scipy]'",
            help="`--method newton` is built in",
        ) from None
    return optimize


def _power_of_2(size: float) -> float:
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
        if before is None and self.slope is None:
            self.slope = self.slope_of(x, gradient)
        if steps < ANEW:
            state = state._replace(memory=self.memory(steps > 0), begun=self.start.step if steps > 0 else None)
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
        try:
            reason, problem = watched(self.settings, self.watch, moment, first)
        except GradcliError:  # nothing is lost yet
            self.good = None
            raise
        if reason is not None:
            raise _Ended(self.good._replace(reason=reason, problem=problem))
        if steps == ANEW:
            self.start = state
            raise _Anew

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
            return _power_of_2(size)

        values = {name: value.astype(np.float64) for name, value in self.values(x).items()}
        return self.vector({name: np.full(value.shape, unit(value)) for name, value in values.items()})

    def left(self) -> float:
        """The slope at the last accepted point as a part of that at the start."""
        assert self.good is not None
        slope = self.slope_of(*self.base[::2])
        return slope / self.slope if self.slope else 0.0

    def goes_on(self) -> bool:
        """Whether the method, which has ended, begins anew in units in which its tests mean what they say.

        They are absolute: a loss or curvature that is small in the units of the program passes them at once.
        """
        assert self.good is not None
        before = self.loss(self.vector(self.start.values))[0]
        gain = before - self.good.loss
        if self.left() <= 4096 * self.rounding or self.units is not None and gain <= 10 * self.rounding * abs(before):
            return False
        units = self.values(self.units_at(self.base[0]))
        self.begin(
            self.good.state._replace(memory={name: {"units": value} for name, value in units.items()}, begun=None)
        )
        return True

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
        left = self.left()
        if left <= math.sqrt(self.rounding):
            reason = f"{message.rstrip('.')}; gradient times values is {left:.1e} of that at the start"
        else:
            reason = (
                f"{self.settings.method} finds no step that lowers `{self.objective.title}` by more than rounding; gradient"
                f" times values is still {left:.1e} of that at the start, so this may be no minimum"
            )
        return self.good._replace(reason=reason)

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
        return 1 / _power_of_2(slope) if slope else 1.0

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
        if self.units is None:
            return self.minimized(optimize, "Newton-CG", {"xtol": TINY}, hessp=self.product)
        units, scale = self.units, self.scale()

        def product(x: Array, v: Array) -> Array:
            found = self.product(x * units, v * units) * units * scale
            # Where the curvature is this small SciPy ends at once; the line search finds out how far the step may go.
            curvature = float(v @ found)
            return found + 1e-3 * v if 0 <= curvature < 1e-15 else found

        return self.minimized(optimize, "Newton-CG", {"xtol": TINY}, hessp=product)


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


class _TrustRegion(_Newton):
    """Newton's method in a trust region, with the exact Hessian, or above ``DENSE`` numbers products with it.

    The region is a ball where each number is measured by the root of the largest curvature along it so far. Sources:
    Moré, Sorensen, *Computing a Trust Region Step* (1983), by eigenvalues; Steihaug 1983; Moré 1978 for the scales.
    """

    inside = "a start nearer to the minimum may do, or lbfgs with `--bounds`"

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        _Search.__init__(self, objective, settings, watch, state)
        xs = list(self.leaves.values())
        self.dense = sum(size_of(x.shape) for x in xs) <= DENSE
        if self.dense:
            try:
                self.blocks = Planned(objective.program, objective.hessian(), xs)
            except GradcliError as problem:
                if problem.kind != "LimitError":
                    raise
                self.dense = False  # products need less memory
        if not self.dense:
            super().__init__(objective, settings, watch, state)

    def hessian(self, x: Array) -> Array:
        """The Hessian at x [entries of x, entries of x]. Raises NotFiniteError where it is not finite."""
        import numpy as np

        sizes = [size_of(leaf.shape) for leaf in self.leaves.values()]
        found = iter(self.blocks(self.given(x)))
        whole = np.block([[next(found).reshape(m, n).astype(np.float64) for n in sizes] for m in sizes])
        if not np.isfinite(whole).all():
            raise self.not_finite(f"the Hessian of `{self.objective.name}`", x, order=2)
        return (whole + whole.T) / 2

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
        except _Ended:
            return None
        except GradcliError as problem:
            self.refuse(problem)
            return None


class _Constrained(_Search):
    """SciPy's SLSQP: a quadratic programme for each step (Kraft 1988), with exact gradients of the constraints too."""

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        super().__init__(objective, settings, watch, state)
        xs = list(self.leaves.values())
        nodes = [constraint.difference for constraint in objective.constraints]
        with objective.program.graph.derivation.active():
            blocks = [block for node in nodes for block in jacobian(node, xs)]
        self.differences = Planned(objective.program, [*nodes, *blocks], xs)
        self._seen: tuple[Array, list[Array], Array] | None = None

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
        """The entries of the constraints of a sort, as SciPy has them, from 0 on where they are met; or their Jacobian."""
        import numpy as np

        values, matrix = self.constrained(x)
        found: list[Array] = []
        at = 0
        for constraint, value in zip(self.objective.constraints, values, strict=True):
            part = matrix[at : at + value.size] if jacobian else value.reshape(-1)
            at += value.size
            if (constraint.relation == "=") == equal:
                found.append(-part if constraint.relation == "<=" else part)
        return np.concatenate(found)

    def run(self, optimize: Any) -> str:
        scale = self.scale()
        sorts = {constraint.relation == "=" for constraint in self.objective.constraints}
        given = [
            {
                "type": "eq" if equal else "ineq",
                "fun": partial(self.rows, equal=equal, jacobian=False),
                "jac": partial(self.rows, equal=equal, jacobian=True),
            }
            for equal in sorted(sorts)
        ]

        def loss(x: Array) -> tuple[float, Array]:
            value, gradient = self.trial(x)
            return value * scale, gradient * scale

        found = optimize.minimize(
            loss, self.vector(self.start.values), jac=True, method="SLSQP", callback=self.accepted, constraints=given,
            bounds=optimize.Bounds(*self.bounds()), options={"maxiter": sys.maxsize >> 33, "ftol": LAST},
        )  # fmt: skip
        return f"SLSQP says: {found.message}"

    def goes_on(self) -> bool:
        return False

    def outcome(self, message: str) -> Outcome:
        """Where the run stands; a problem where the constraints are not met."""
        assert self.good is not None
        reason = message.rstrip(".")
        broken = [
            text
            for (text, relation, _), value in zip(
                self.objective.constraints, self.constrained(self.base[0])[0], strict=True
            )
            if not _is_met(relation, value)
        ]
        if not broken:
            return self.good._replace(reason=f"{reason}; all constraints are met")
        problem = GradcliError("ValueError", f"no point was found that meets `{broken[0]}`", help="start nearer to one")
        return self.good._replace(reason=reason, problem=problem)

    def multipliers(self) -> list[Multiplier]:
        """What the constraints cost at the last accepted point."""
        import numpy as np

        x, _, gradient = self.base
        low, high = self.bounds()
        free = (x > low) & (x < high)
        values, matrix = self.constrained(x)
        return multipliers(self.objective, values, np.where(free, gradient, 0), np.where(free, matrix, 0))


def _is_met(relation: str, difference: Array) -> bool:
    """Whether a constraint is met, but for rounding."""
    if relation == "=":
        return bool((abs(difference) <= MET).all())
    return bool((difference <= MET).all() if relation == "<=" else (difference >= -MET).all())


class _Squares(_Search):
    """Half the sum of squares of residuals, by the Jacobian of the residuals."""

    def __init__(self, objective: Objective, settings: Settings, watch: Watch, state: State) -> None:
        super().__init__(objective, settings, watch, state)
        program = objective.program
        xs = list(self.leaves.values())
        with program.graph.derivation.active():
            blocks = jacobian(objective.residuals, xs)
        self.matrix = Planned(program, [objective.residuals, *blocks], xs)
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

    def run(self, optimize: Any) -> str:
        self._begun = False
        found = optimize.least_squares(
            self.residual, self.vector(self.start.values), jac=self.jacobian, bounds=self.bounds(),
            ftol=LAST, xtol=LAST, gtol=None, max_nfev=sys.maxsize >> 1,
        )  # fmt: skip
        if self.refused is not None:
            raise self.given_up()
        return f"least squares say: {found.message}"
