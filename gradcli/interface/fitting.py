"""``Program.fit``: a training run from its options to its result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcli.diagnostics import GradcliError
from gradcli.features.fit import not_finite
from gradcli.features.fit.errors import Estimated
from gradcli.features.fit.objective import NotFiniteError
from gradcli.features.fit.optimizers import Schedule, schedule
from gradcli.features.fit.session import Options, Session
from gradcli.features.fit.subject import Multiplier
from gradcli.program.loaded import Loaded
from gradcli.tuples import NamedTuple

Array = np.ndarray[Any, Any]


class Fitted(NamedTuple):
    """Where a run ended.

    ``values`` are those of all that was asked for, None for a variable without a value; ``loss`` and ``gnorm``, the norm
    of its gradient, belong to them. ``steps`` is the number of updates, ``reason`` why the run ended, ``kept`` why some
    variables stay as they are, ``method`` which one was taken, ``errors`` how well they are known, if that was asked for, ``multipliers`` what constraints cost. ``problem`` is what went wrong, if anything did: the values are those of the step before.
    ``converged`` says that a test of the method ended the run and nothing speaks against a minimum there, or that the
    gradient is as small as ``until`` asks; ``gradient_left`` is the gradient as a part of that at the start.
    """

    values: dict[str, Array | None]
    loss: float
    gnorm: float
    steps: int
    reason: str
    kept: dict[str, str]
    problem: GradcliError | None
    method: str
    errors: Estimated | None = None
    multipliers: Sequence[Multiplier] = ()
    converged: bool = False
    gradient_left: float = math.nan


def fitted(program: Loaded, options: Options) -> Fitted:
    """Minimise; see :meth:`gradcli.Program.fit`. Raises GradcliError where there is nothing to be kept."""
    wrong = options.contradiction(lambda name: name)
    if wrong is not None:
        raise GradcliError("ValueError", wrong)
    session = Session(program, options)
    session.begin()
    try:
        outcome = session.saved(session.run(session.note))
        if isinstance(outcome.problem, NotFiniteError):
            not_finite.explain(session.objective, outcome.problem)
    except NotFiniteError as failure:
        not_finite.explain(session.objective, failure)
        raise
    finally:
        session.close()
    found = session.estimated(outcome) if options.has_errors else None
    return Fitted(
        {r.name: r.value for r in [*session.results(outcome), *session.of(outcome)]}, session.loss(outcome),
        outcome.gnorm, outcome.state.step, outcome.reason, dict(session.objective.kept), outcome.problem,
        session.settings.method, found, outcome.multipliers, outcome.converged, outcome.left,
    )  # fmt: skip


def rate(lr: float | str | None) -> Schedule | None:
    """A learning rate with its schedule. Raises GradcliError."""
    if not isinstance(lr, str):
        return None if lr is None else Schedule(lr)
    try:
        return schedule(lr)
    except ValueError as problem:
        raise GradcliError("ValueError", f"lr: {problem}") from None
