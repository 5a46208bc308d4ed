"""The training loop: values of variables that make a loss small, step by step, until something says stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, NamedTuple

from gradcli.diagnostics import GradcliError
from gradcli.graph.types import show_entry
from gradcli.program.objective import Objective, Values
from gradcli.program.optimizers import RULES, Memory, Schedule

Array = Any
CONSTANT = Schedule(0.01)
Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a loss is minimised: by a rule of :data:`RULES`, or by ``lbfgs``, ``newton-cg`` or ``least-squares``.

    ``until`` holds thresholds at which a run ends before its ``steps``: ``gnorm`` (of the gradient), ``loss``,
    ``change`` (of the loss in a step) and ``time`` (in seconds). ``clip`` is the largest norm of a gradient, longer ones
    are shortened to it. ``rate`` and ``clip`` belong to the built-in methods.
    """

    method: str = "sgd"
    rate: Schedule = CONSTANT
    steps: int = 1000
    until: Mapping[str, float] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=dict)
    clip: float | None = None


class State(NamedTuple):
    """All that the rest of a run depends on: after ``step`` updates; ``loss`` is the one before the last update.

    ``begun`` is the step at which SciPy's method began last, where ``memory`` holds the values of it.
    """

    step: int
    values: Values
    memory: Mapping[str, Memory]
    loss: float | None = None
    begun: int | None = None


class Moment(NamedTuple):
    """What a step found before its update: ``gnorm`` is the norm of the gradient, ``rate`` the learning rate, if any.

    A step that a resumed run goes through ``again`` is only shown.
    """

    state: State
    loss: float
    gnorm: float
    rate: float | None
    seconds: float
    again: bool = False


Watch = Callable[[Moment], str | None]
"""Called at each step; an answer ends the run and says why. It may raise GradcliError, which ends the run too."""


class Outcome(NamedTuple):
    """Where a run ended: the last good state, its loss and gradient norm, why it ended, and what went wrong, if so."""

    state: State
    loss: float
    gnorm: float
    reason: str
    problem: GradcliError | None = None


class GivenUp(KeyboardInterrupt):
    """Raised in the middle of a step, it ends the run with the values of the step before."""


def fit(objective: Objective, settings: Settings, watch: Watch, state: State | None = None) -> Outcome:
    """Minimise from the program's values, or from a ``state``: the steps after it are those of the whole run, to the bit.

    Raises GradcliError where there is nothing to be kept: at a start that is out of bounds or has no finite loss.
    """
    if state is None:
        state = State(0, objective.start(), {})
    settings = replace(settings, bounds=_bounds_by_name(objective, settings.bounds))
    import numpy as np

    good: list[Moment] = []

    def seen(moment: Moment) -> str | None:
        reason = watch(moment)
        if not moment.again:
            good[:] = [moment]
        return reason

    with np.errstate(all="ignore"):  # what overflows is seen in the loss
        check_bounds(settings.bounds, state.values)
        try:
            if settings.method in RULES:
                return _descend(objective, settings, seen, state)
            from gradcli.program.minimizers import minimize

            return minimize(objective, settings, seen, state)
        except GivenUp:
            if not good:
                raise
            return Outcome(good[0].state, good[0].loss, good[0].gnorm, "interrupted")


def _bounds_by_name(objective: Objective, bounds: Bounds) -> Bounds:
    """The bounds with patterns such as ``W*`` written out, of which one at least must be fitted.

    Raises GradcliError for what is not.
    """
    found: dict[str, tuple[float, float]] = {}
    for pattern, bound in bounds.items():
        names = objective.program._wanted([pattern])
        fitted = [name for name in names if name in objective.variables]
        if not fitted:
            why = objective.kept.get(names[0], "it is not among what is fitted")
            raise GradcliError("ValueError", f"bounds for `{names[0]}` have no effect: {why}")
        found |= dict.fromkeys(fitted, bound)
    return found


def check_bounds(bounds: Bounds, values: Values) -> None:
    """Raise a ValueError (GradcliError) for a value outside its bounds."""
    import numpy as np

    for name, (low, high) in bounds.items():
        value = values[name]
        outside = np.argwhere(~((value >= low) & (value <= high)))
        if len(outside):
            place = tuple(outside[0].tolist())
            entry = show_entry(name, place)
            raise GradcliError(
                "ValueError", f"`{entry}` starts at {float(value[place])!r}, outside its bounds {low!r}..{high!r}",
                help=f"start inside: `--set '{name}=…'`",
            )  # fmt: skip


def ended(settings: Settings, moment: Moment) -> str | None:
    """Why a run ends at this moment, or None."""
    until = settings.until
    if moment.gnorm <= until.get("gnorm", -1.0):
        return f"gradient norm at most {until['gnorm']!r}"
    if moment.loss <= until.get("loss", -math.inf):
        return f"loss at most {until['loss']!r}"
    before = moment.state.loss
    if before is not None and abs(moment.loss - before) <= until.get("change", -1.0):
        return f"loss changed by at most {until['change']!r}"
    if moment.seconds >= until.get("time", math.inf):
        return f"time of {until['time']:g} s is over"
    return "all steps done" if moment.state.step >= settings.steps else None


def watched(settings: Settings, watch: Watch, moment: Moment, first: bool) -> tuple[str | None, GradcliError | None]:
    """Why a run ends at this moment, if it does, and what went wrong in its watch; at the ``first`` that is raised."""
    try:
        asked = watch(moment)
    except GradcliError as problem:
        if first:
            raise
        return "a file could not be written", problem
    return asked or ended(settings, moment), None


def _descend(objective: Objective, settings: Settings, watch: Watch, state: State) -> Outcome:
    """The built-in methods: a rule of :mod:`gradcli.program.optimizers`, applied to each variable."""
    rule = RULES[settings.method]
    start = monotonic()
    good: Outcome | None = None
    while True:
        try:
            loss, gradients = objective.at(state.values, state.step)
        except GradcliError as failure:  # such as a singular matrix
            if good is None:
                raise
            return good._replace(reason="failed", problem=failure)
        norm = gradient_norm(gradients, state.values, settings.bounds)
        problem = None
        if (
            not (math.isfinite(loss) and math.isfinite(norm)) or settings.bounds
        ):  # the norm leaves out what is at a bound
            problem = _not_finite(objective, loss, gradients, state.step)
        if problem is not None:
            if math.isfinite(loss):  # it is the step from here that has no direction
                return Outcome(state, loss, norm, "not finite", problem)
            if good is None:
                raise problem
            return good._replace(problem=problem)
        rate = settings.rate.at(state.step, settings.steps)
        moment = Moment(state, loss, norm, rate, monotonic() - start)
        reason, problem = watched(settings, watch, moment, good is None)
        if reason is not None:
            return Outcome(state, loss, norm, reason, problem)
        good = Outcome(state, loss, norm, "not finite")
        if settings.clip is not None and (whole := gradient_norm(gradients, {}, {})) > settings.clip:
            gradients = {name: g * (settings.clip / whole) for name, g in gradients.items()}
        values: dict[str, Array] = {}
        memory: dict[str, Memory] = {}
        for name, g in gradients.items():
            x = state.values[name]
            values[name], memory[name] = rule(x, g, rate, state.step, state.memory.get(name, {}))
            if name in settings.bounds:
                values[name] = values[name].clip(*settings.bounds[name])
        state = State(state.step + 1, values, memory, loss)


def gradient_norm(gradients: Values, values: Values, bounds: Bounds) -> float:
    """The Euclidean norm of all entries of a gradient, but for those that push a value out of its bounds."""
    import numpy as np

    total = 0.0
    kept: list[Array] = []
    for name, g in gradients.items():
        if name in bounds:
            low, high = bounds[name]
            x = values[name]
            g = np.where((x <= low) & (g > 0) | (x >= high) & (g < 0), 0, g)
        flat = g.reshape(-1).astype(np.float64, copy=False)
        total += float(flat @ flat)
        kept.append(flat)
    if 1e-280 < total < math.inf:
        return math.sqrt(total)
    # Squares that overflow, or are too small for a float, are those of a gradient that is neither.
    largest = float(np.max([np.abs(flat).max(initial=0) for flat in kept]))  # NaN, if there is one
    if not 0 < largest < math.inf:
        return largest
    return largest * math.sqrt(sum(float(np.square(flat / largest).sum()) for flat in kept))


def _not_finite(objective: Objective, loss: float, gradients: Values, step: int) -> GradcliError | None:
    import numpy as np

    help = "a smaller `--lr` or `--bounds` may do" if step > 0 else None
    if not math.isfinite(loss):
        return objective.not_finite(f"`{objective.name}` is {loss}", step, help)
    for name, g in gradients.items():
        if not np.isfinite(g).all():
            return objective.not_finite(
                f"the gradient of `{objective.name}` with respect to `{name}` is not finite", step, help
            )
    return None
