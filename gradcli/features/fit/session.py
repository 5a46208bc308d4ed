"""A fit from its options to what it found: what the command and ``Program.fit`` have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError
from gradcli.features.fit.optimizers import RULES, Schedule

if TYPE_CHECKING:
    from gradcli.data.journal import Journal
    from gradcli.features.fit.checkpoints import Saver
    from gradcli.features.fit.errors import Estimated
    from gradcli.features.fit.training import Moment, Outcome, State, Watch
    from gradcli.program.loaded import Loaded
    from gradcli.results import Result


EVERY = 100
"""Steps from one checkpoint to the next, where nothing else is asked for."""

CONSTRAINED = ("slsqp", "trust-constr")
"""Methods for constraints."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for; see :meth:`gradcli.Program.fit`. ``cov`` and ``plot`` are files of the command."""

    minimize: str | None = None
    maximize: str | None = None
    subject: Sequence[str] = ()
    over: Sequence[str] | None = None
    method: str | None = None
    lr: Schedule | None = None
    steps: int = 1000
    until: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    data: Sequence[str] | None = None
    batch: int | None = None
    clip: float | None = None
    of: Sequence[str] = ()
    errors: bool = False
    loglik: bool = False
    cov: str | None = None
    plot: str | None = None
    history: str | None = None
    checkpoint: str | None = None
    every: int | None = None
    resume: str | None = None
    sparse: bool = False

    @property
    def target(self) -> str | None:
        """What is minimised or maximised, if it is named."""
        return self.maximize if self.maximize is not None else self.minimize

    @property
    def asked_method(self) -> str | None:
        """The method that is asked for: options of the built-in rules ask for sgd; None where the loss decides."""
        some = [self.lr, self.data, self.batch, self.clip]
        return "sgd" if self.method is None and any([option is not None for option in some]) else self.method

    @property
    def has_errors(self) -> bool:
        return self.errors or self.loglik or self.cov is not None

    def contradiction(self, spelled: Callable[[str], str]) -> str | None:
        """Why these options do not go together, each ``spelled`` as its user writes it; None if they do."""
        if self.minimize is not None and self.maximize is not None:
            return f"{spelled('minimize')} and {spelled('maximize')} exclude each other."
        method = self.asked_method
        if method is not None and method not in RULES:
            for option, value in {"lr": self.lr, "batch": self.batch, "clip": self.clip}.items():
                if value is not None:
                    rules = ", ".join(RULES)
                    return f"{spelled(option)} is for {rules}: {spelled('method')} {method} chooses its own steps."
        return self._against_method(method, spelled) or self._against_data(spelled)

    def _against_method(self, method: str | None, spelled: Callable[[str], str]) -> str | None:
        if self.bounds and method in ("newton", "newton-cg"):
            return f"{method} knows no bounds: use lbfgs."
        if self.subject and method not in (None, *CONSTRAINED):
            return f"{method} knows no constraints: leave {spelled('method')} out, or take {' or '.join(CONSTRAINED)}."
        if method in CONSTRAINED and not self.subject:
            return f"{method} is for constraints: give {spelled('subject')}."
        if self.sparse and method not in (None, "least-squares"):
            return f"{spelled('sparse')} is for least-squares."
        if self.sparse and (self.subject or self.loglik or self.plot):
            return f"{spelled('sparse')} goes without {spelled('subject' if self.subject else 'loglik' if self.loglik else 'plot')}."
        if self.subject and self.has_errors:
            return f"{spelled('errors')} are those of a fit without constraints."
        return None

    def _against_data(self, spelled: Callable[[str], str]) -> str | None:
        if (self.data is None) != (self.batch is None):
            return f"{spelled('batch')} N chooses rows of the constants that {spelled('data')} names: give both."
        if self.every is not None and self.checkpoint is None:
            return f"{spelled('every')} says how often the {spelled('checkpoint')} is written, and there is none."
        if self.batch is not None and self.has_errors:
            return f"{spelled('errors')} are those of a fit to all data, without {spelled('batch')}."
        if self.batch is not None and self.plot is not None:
            return f"{spelled('plot')} draws a fit to all data, without {spelled('batch')}."
        return None


class Session:
    """A fit that is ready to run.

    ``objective`` is what is minimised; ``settings`` how; ``why`` a method was chosen, if none was asked for; ``state`` where
    a run that is resumed goes on; of several processes one ``speaks``, which writes for all. Where neither the other
    options nor an output of the program say what is minimised, a name that is alone in ``of`` does (``by_of``); ``also``
    are those that are only evaluated. Raises GradcliError for what cannot be fitted, before anything is computed.
    """

    def __init__(self, program: Loaded, options: Options) -> None:
        from gradcli.features.fit.objective import Objective, only_output
        from gradcli.features.fit.subject import constraints, with_constraints
        from gradcli.features.fit.training import Settings
        from gradcli.program import query

        self.options = options
        self.source = program.source
        cluster = program.accelerator.cluster if program.accelerator is not None else None
        self.speaks = cluster is None or cluster.speaks
        target, self.also = options.target, [*options.of]
        self.by_of = target is None and bool(self.also) and len(set(program.graph.outputs)) != 1
        if self.by_of:
            target, *self.also = self.also
            if self.also:
                names = ", ".join([f"`{name}`" for name in options.of])
                raise GradcliError(
                    "ValueError", f"what is minimised is not said: --of names {names}",
                    help="write `--minimize NAME`, or `output NAME` in the program; --of says what is evaluated at the end",
                )  # fmt: skip
        relations: list[tuple[str, str, str]] = []
        if options.subject:
            target = target if target is not None else only_output(program)
            program, relations = with_constraints(program, options.subject)
        method = options.asked_method
        self.objective = Objective(
            program, target, options.over, squares=method == "least-squares", data=options.data or (),
            batch=options.batch, maximize=options.maximize is not None,
        )  # fmt: skip
        if relations:
            self.objective.constraints = constraints(program, relations)
        self._check()
        for name in self.also:
            query.target(program, name)
        self.why: str | None = None
        if method is None:
            from gradcli.features.fit.choice import as_squares, chosen

            method, self.why = as_squares(self.objective) if options.sparse else chosen(self.objective, options.bounds)
        self.settings = Settings(
            method,
            options.lr or Schedule(0.01),
            options.steps,
            options.until,
            options.bounds,
            options.clip,
            options.sparse,
            (options.every or EVERY) if options.checkpoint is not None else 0,
        )
        self.state: State | None = None
        self._saver: Saver | None = None
        self._journal: Journal | None = None
        self._resume(method)

    def _check(self) -> None:
        """Raise GradcliError where there will be no errors or no picture: before the fit, which may take long."""
        if self.options.has_errors:
            from gradcli.features.fit.errors import check_errors

            try:
                check_errors(self.objective, self.options.loglik)
            except GradcliError as error:
                if self.options.target is None and not self.by_of and not self.objective.program.graph.outputs:
                    last = (
                        f"`{self.objective.name}` is the last definition: `--minimize NAME` says what else the loss is"
                    )
                    error.help = f"{last}; {error.help}"
                raise
        if self.options.plot is not None:
            from gradcli.features.fit.picture import check_picture

            check_picture(self.objective)

    def _resume(self, method: str) -> None:
        options = self.options
        if options.checkpoint is not None or options.resume is not None:
            from gradcli.features.fit import checkpoints

            identity = checkpoints.identity(self.objective, method)
            if options.resume is not None:
                self.state = checkpoints.resume(options.resume, identity, self.objective)
            if options.checkpoint is not None:
                self._saver = checkpoints.Saver(options.checkpoint, self.settings.every, identity, self.speaks)

    def replayed(self) -> range:
        """The steps that a resumed run goes through again."""
        if self.state is None or self.settings.method in RULES:
            return range(0)
        from gradcli.features.fit.search import replayed

        return replayed(self.state, self.settings.steps)

    def begin(self) -> None:
        """Open the history, as late as there is nothing else that can be wrong."""
        if self.options.history is not None and self.speaks:
            from gradcli.features.fit.look import journal_of

            self._journal = journal_of(self.options.history, self.state.step if self.state is not None else None)

    def note(self, moment: Moment) -> None:
        """Write a step into the history, and at times into the checkpoint."""
        if moment.again:
            return
        if self._journal is not None:
            from gradcli.features.fit.look import history_line

            self._journal.write(history_line(moment))
        if self._saver is not None:
            self._saver.step(moment.state)

    def close(self) -> None:
        """Close the history."""
        if self._journal is not None:
            self._journal.close()

    def run(self, watch: Watch) -> Outcome:
        """The fit; ``watch`` is to :meth:`note` its steps. Raises GradcliError where nothing is to be kept."""
        from gradcli.features.fit.answer import fit

        return fit(self.objective, self.settings, watch, self.state)

    def saved(self, outcome: Outcome) -> Outcome:
        """Write the last checkpoint; what goes wrong with that is a problem of the outcome."""
        if self._saver is not None:
            try:
                self._saver.save(outcome.state)
            except GradcliError as failure:
                return outcome._replace(problem=outcome.problem or failure)
        return outcome

    def results(self, outcome: Outcome) -> list[Result]:
        """What was asked for: fitted and other variables."""
        return self.objective.results(outcome.state.values)

    def of(self, outcome: Outcome) -> list[Result]:
        """The other names that were asked for, at the fitted values."""
        if not self.also:
            return []
        from gradcli.features.fit.errors import program_at
        from gradcli.program import answers

        return answers.values(program_at(self.objective, outcome.state.values), self.also)

    def loss(self, outcome: Outcome) -> float:
        """The value of what was to be minimised or maximised."""
        return self.objective.sign * outcome.loss + 0.0

    @cached_property
    def bounds(self) -> Mapping[str, tuple[Any, Any]]:
        """The bounds by the names of variables."""
        from gradcli.features.fit.answer import bounds_by_name

        return bounds_by_name(self.objective, self.options.bounds)

    def estimated(self, outcome: Outcome) -> Estimated:
        """The errors of the fitted values, and those of other names. Raises GradcliError where there are none."""
        from gradcli.features.fit.errors import estimated

        options = self.options
        return estimated(
            self.objective, outcome.state.values, self.bounds, options.loglik, self.also, sparse=options.sparse,
            whole=options.cov is not None or not options.sparse,
        )  # fmt: skip
