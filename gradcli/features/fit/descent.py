"""The built-in methods of a fit, step by step: an update rule, applied to each variable."""

from __future__ import annotations

import math
from time import monotonic
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.features.fit.objective import Objective, Values
from gradcli.features.fit.optimizers import RULES, Memory
from gradcli.features.fit.training import Moment, Outcome, Settings, State, Watch, gradient_norm, watched

Array = Any


def descended(
    objective: Objective, settings: Settings, watch: Watch, state: State, good: Outcome | None = None
) -> Outcome:
    """The built-in methods: a rule of :mod:`gradcli.features.fit.optimizers`, applied to each variable.

    ``good`` is where a run would have ended before this state.
    """
    rule = RULES[settings.method]
    start = monotonic()
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
        moment = Moment(state, loss, norm, rate, monotonic() - start, False)  # all fields in their order are quickest
        reason, problem = watched(settings, watch, moment, good is None)
        if reason is not None:
            return Outcome(state, loss, norm, reason, problem)
        good = Outcome(state, loss, norm, "not finite", None, (), False, math.nan)
        if settings.clip is not None and (whole := gradient_norm(gradients, {}, {})) > settings.clip:
            gradients = {name: g * (settings.clip / whole) for name, g in gradients.items()}
        values: dict[str, Array] = {}
        memory: dict[str, Memory] = {}
        numbers = rule.numbers(rate, state.step)
        for name, g in gradients.items():
            x = state.values[name]
            values[name], memory[name] = rule.update(x, g, numbers, state.memory.get(name, {}))
            if name in settings.bounds:
                values[name] = values[name].clip(*settings.bounds[name])
        state = State(state.step + 1, values, memory, loss, None)


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
