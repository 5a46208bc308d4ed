"""The training loop: values of variables that make a loss small, step by step, until something says stop."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.features.fit.descent import descended
from gradcli.features.fit.objective import Objective, Values
from gradcli.features.fit.optimizers import RULES
from gradcli.features.fit.training import Bounds, Moment, Outcome, Settings, State, Watch
from gradcli.graph.types import show_entry
from gradcli.program import query

Array = Any


ENTRY = re.compile(r"(\w+)\[\s*(-?\d+(?:\s*,\s*-?\d+)*)\s*\]")
"""An entry of an array by its indices: ``p[0]``, ``W[1, -1]``."""


class GivenUp(KeyboardInterrupt):
    """Raised in the middle of a step, it ends the run with the values of the step before."""


def fit(objective: Objective, settings: Settings, watch: Watch, state: State | None = None) -> Outcome:
    """Minimise from the program's values, or from a ``state``: the steps after it are those of the whole run, to the bit.

    Raises GradcliError where there is nothing to be kept: at a start that is out of bounds or has no finite loss.
    """
    if state is None:
        state = State(0, objective.start(), {})
    settings = replace(settings, bounds=bounds_by_name(objective, settings.bounds))
    import numpy as np

    good: list[Moment] = []
    norms: list[float] = []

    def seen(moment: Moment) -> str | None:
        reason = watch(moment)
        if not norms:
            norms.append(moment.gnorm)
        if not moment.again:
            good[:] = [moment]
        return reason

    with np.errstate(all="ignore"):  # what overflows is seen in the loss
        check_bounds(settings.bounds, state.values)
        try:
            if settings.method in RULES:
                accelerator = objective.program.accelerator
                if accelerator is not None:
                    from gradcli.features.fit.blocks import descend as run
                else:
                    run = descended
                outcome = run(objective, settings, seen, state)
                if norms:
                    outcome = outcome._replace(left=outcome.gnorm / norms[0] if norms[0] else 0.0)
            else:
                from gradcli.features.fit.minimizers import minimize

                outcome = minimize(objective, settings, seen, state)
        except GivenUp:
            if not good:
                raise
            outcome = Outcome(good[0].state, good[0].loss, good[0].gnorm, "interrupted")
    small = outcome.gnorm <= settings.until.get("gnorm", -1.0)
    return outcome._replace(converged=outcome.problem is None and (outcome.converged or small))


def bounds_by_name(objective: Objective, bounds: Bounds) -> Bounds:
    """The bounds with patterns such as ``W*`` written out; each must name something that is fitted.

    Those of entries, ``p[0]``, become arrays of the shape of the variable. Raises GradcliError for what is not fitted.
    """
    import numpy as np

    found: dict[str, tuple[Any, Any]] = {}
    for pattern, bound in sorted(bounds.items(), key=lambda item: "[" in item[0] and item[0].endswith("]")):
        if entry := ENTRY.fullmatch(pattern):
            name = entry[1]
            if name not in objective.leaves:
                query.target(objective.program, name)
                why = objective.kept.get(name, "it is not among what is fitted")
                raise GradcliError("ValueError", f"bounds for `{pattern}` have no effect: {why}")
            shape = objective.leaves[name].shape
            place = tuple(int(k) for k in entry[2].split(","))
            if len(place) != len(shape) or any(not -n <= k < n for k, n in zip(place, shape, strict=True)):
                raise GradcliError("ShapeError", f"bounds for `{pattern}`: `{name}` has shape {list(shape)}")
            low, high = (
                np.array(np.broadcast_to(end, shape), objective.leaves[name].dtype)
                for end in found.get(name, (-np.inf, np.inf))
            )
            low[place], high[place] = bound
            found[name] = low, high
            continue
        names = query.wanted(objective.program, [pattern])
        fitted = [name for name in names if name in objective.variables]
        if not fitted:
            why = objective.kept.get(names[0], "it is not among what is fitted")
            raise GradcliError("ValueError", f"bounds for `{names[0]}` have no effect: {why}")
        found |= dict.fromkeys(fitted, bound)
    return found


def check_bounds(bounds: Bounds, values: Values) -> None:
    """Raise a ValueError (GradcliError) for a value outside its bounds."""
    import numpy as np

    for name, ends in bounds.items():
        value = values[name]
        low, high = (np.broadcast_to(np.asarray(end, value.dtype), value.shape) for end in ends)
        outside = np.argwhere(~((value >= low) & (value <= high)))
        if len(outside):
            place = tuple(outside[0].tolist())
            entry = show_entry(name, place)
            raise GradcliError(
                "ValueError", f"`{entry}` starts at {float(value[place])!r}, outside its bounds {float(low[place])!r}..{float(high[place])!r}",
                help=f"start inside: `--set '{name}=…'`",
            )  # fmt: skip
