"""A training run in parts: its settings, its state, what a step finds, when it ends, and where it ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.features.fit.objective import Values
from gradcli.features.fit.optimizers import Memory, Schedule
from gradcli.features.fit.subject import Multiplier
from gradcli.tuples import NamedTuple

Array = Any
CONSTANT = Schedule(0.01)
Bounds = Mapping[str, tuple[Any, Any]]
"""A low and a high end by the name of a variable: numbers, or arrays of its shape."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a loss is minimised: by a rule of :data:`RULES`, or by another method of :data:`METHODS`.

    ``until`` holds thresholds at which a run ends before its ``steps``: ``gnorm`` (of the gradient), ``loss``,
    ``change`` (of the loss in a step) and ``time`` (in seconds). ``clip`` is the largest norm of a gradient, longer ones
    are shortened to it. ``rate`` and ``clip`` belong to the built-in methods. With ``sparse`` least squares have Jacobians
    that are sparse matrices. ``every`` is from how many steps to how many a watch may want to keep a state, 0 for none.
    """

    method: str = "sgd"
    rate: Schedule = CONSTANT
    steps: int = 1000
    until: Mapping[str, float] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=dict)
    clip: float | None = None
    sparse: bool = False
    every: int = 0


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
    """Where a run ended: the last good state, its loss and gradient norm, why it ended, and what went wrong, if so.

    ``multipliers`` are those of its constraints, if it has any. ``converged`` says that a test of the method ended it and
    nothing speaks against a minimum there, or that the gradient is as small as was asked for; ``left`` is the gradient as a
    part of that at the start: of gradient times values, or with the built-in rules of the norm. NaN where it is not known.
    """

    state: State
    loss: float
    gnorm: float
    reason: str
    problem: GradcliError | None = None
    multipliers: Sequence[Multiplier] = ()
    converged: bool = False
    left: float = math.nan


def ended(settings: Settings, moment: Moment) -> str | None:
    """Why a run ends at this moment, or None."""
    until = settings.until
    if not until:
        return "all steps done" if moment.state.step >= settings.steps else None
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


def gradient_norm(gradients: Values, values: Values, bounds: Bounds) -> float:
    """The Euclidean norm of all entries of a gradient except those that push a value out of its bounds."""
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
