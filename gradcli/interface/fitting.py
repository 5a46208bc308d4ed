"""``Program.fit``: a training run from its options to its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradcli.diagnostics import GradcliError
from gradcli.features.fit import checkpoints, not_finite
from gradcli.features.fit.answer import bounds_by_name, fit
from gradcli.features.fit.choice import chosen
from gradcli.features.fit.errors import Estimated, check_errors, estimated, program_at
from gradcli.features.fit.look import history_line, journal_of
from gradcli.features.fit.objective import NotFiniteError, Objective, only_output
from gradcli.features.fit.optimizers import Schedule, schedule
from gradcli.features.fit.subject import Multiplier, constraints, with_constraints
from gradcli.features.fit.training import Moment, Settings, asked_method, contradiction
from gradcli.program import answers, query
from gradcli.program.loaded import Loaded
from gradcli.tuples import NamedTuple

Array = np.ndarray[Any, Any]


class Fitted(NamedTuple):
    """Where a run ended.

    ``values`` are those of all that was asked for, None for a variable without a value; ``loss`` and ``gnorm``, the norm
    of its gradient, belong to them. ``steps`` is the number of updates, ``reason`` why the run ended, ``kept`` why some
    variables stay as they are, ``method`` which one was taken, ``errors`` how well they are known, if that was asked for, ``multipliers`` what constraints cost. ``problem`` is what went wrong, if anything did: the values are those of the step before.
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


def fitted(
    program: Loaded,
    minimize: str | None,
    over: Sequence[str] | None,
    *,
    method: str | None,
    lr: float | str | None,
    steps: int,
    until: Mapping[str, float],
    bounds: Mapping[str, tuple[float, float]],
    data: Sequence[str] | None,
    batch: int | None,
    clip: float | None,
    history: str | None,
    checkpoint: str | None,
    every: int | None,
    resume: str | None,
    of: Sequence[str] = (),
    errors: bool = False,
    loglik: bool = False,
    maximize: str | None = None,
    subject: Sequence[str] = (),
) -> Fitted:
    """Minimise; see :meth:`gradcli.Program.fit`. Raises GradcliError where there is nothing to be kept."""
    method = asked_method(method, lr, data, batch, clip)
    errors = errors or loglik
    wrong = contradiction(
        method, lr, bounds, data, batch, clip, checkpoint, every, lambda name: name, subject, errors or None
    )
    if minimize is not None and maximize is not None:
        wrong = "minimize and maximize exclude each other"
    if wrong is not None:
        raise GradcliError("ValueError", wrong)
    target = maximize if maximize is not None else minimize
    relations: list[tuple[str, str, str]] = []
    if subject:
        target = target if target is not None else only_output(program)
        program, relations = with_constraints(program, subject)
    objective = Objective(
        program, target, over, squares=method == "least-squares", data=data or (), batch=batch,
        maximize=maximize is not None,
    )  # fmt: skip
    if relations:
        objective.constraints = constraints(program, relations)
    if errors and batch is not None:
        raise GradcliError("ValueError", "errors are those of a fit to all data, without batch")
    if errors:
        check_errors(objective, loglik)
    for name in of:
        query.target(program, name)
    if method is None:
        method = chosen(objective, bounds).method
    identity = checkpoints.identity(objective, method) if checkpoint or resume else {}
    state = checkpoints.resume(resume, identity, objective) if resume is not None else None
    saver = checkpoints.Saver(checkpoint, every or 100, identity) if checkpoint is not None else None
    journal = journal_of(history, state.step if state is not None else None) if history is not None else None

    def watch(moment: Moment) -> None:
        if journal is not None and not moment.again:
            journal.write(history_line(moment))
        if saver is not None and not moment.again:
            saver.step(moment.state)

    settings = Settings(method, _rate(lr), steps, until, bounds, clip)
    try:
        outcome = fit(objective, settings, watch, state)
        problem = outcome.problem
        if saver is not None:
            try:
                saver.save(outcome.state)
            except GradcliError as failure:
                problem = problem or failure
        if isinstance(problem, NotFiniteError):
            not_finite.explain(objective, problem)
    except NotFiniteError as failure:
        not_finite.explain(objective, failure)
        raise
    finally:
        if journal is not None:
            journal.close()
    values = {r.name: r.value for r in objective.results(outcome.state.values)}
    found = None
    if errors:
        found = estimated(objective, outcome.state.values, bounds_by_name(objective, bounds), loglik, of)
    if of:
        values |= {r.name: r.value for r in answers.values(program_at(objective, outcome.state.values), of)}
    return Fitted(
        values, objective.sign * outcome.loss + 0.0, outcome.gnorm, outcome.state.step, outcome.reason, dict(objective.kept), problem, method,
        found, outcome.multipliers,
    )  # fmt: skip


def _rate(lr: float | str | None) -> Schedule:
    if not isinstance(lr, str):
        return Schedule(0.01 if lr is None else lr)
    try:
        return schedule(lr)
    except ValueError as problem:
        raise GradcliError("ValueError", f"lr: {problem}") from None
