"""``gradcli fit``: values of variables that make a scalar small."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from gradcli.commands.endings import Command
from gradcli.commands.inputs import Inputs, backend_options, program_options, variables_apart
from gradcli.commands.notes import Notes
from gradcli.commands.options import (
    INPUT_FILE,
    OUTPUT_FILE,
    Finite,
    ends_of_range,
    listed_names,
    named,
    output_options,
    settable_variables,
    several_names,
    split_outside_brackets,
    utf8,
)
from gradcli.commands.output import ENDINGS, Destination
from gradcli.diagnostics import GradcliError
from gradcli.features.fit.optimizers import METHODS, RULES

if TYPE_CHECKING:
    from gradcli.execute.cluster import Cluster as Processes
    from gradcli.features.fit.look import Fitted
    from gradcli.features.fit.optimizers import Schedule
    from gradcli.features.fit.session import Options, Session
    from gradcli.features.fit.training import Outcome

FEW = 8
"""Numbers that a table on a terminal shows well."""

EPILOG = """\b
Examples:
  gradcli fit model.expr --minimize loss --method adam --lr 0.01:cosine
  gradcli fit model.expr --over 'W*,b' --method lbfgs --until gnorm=1e-6
  gradcli fit model.expr --method least-squares --bounds 'rate=0..1'
  gradcli fit model.expr --set 'X=@X.npy' --data X,y --batch 32
  gradcli fit model.expr --history run.ndjson --format expr > fitted.expr
  gradcli fit portfolio.expr --maximize gain --subject 'sum(w) = 1, w >= 0'
  gradcli fit decay.expr --minimize loss --errors --of half_life --cov V.csv
  gradcli fit decay.expr --plot decay.svg
  gradcli fit model.expr --resume run.npz --checkpoint run.npz --steps 5000

\b
Methods:
  sgd            x - lr*g
  momentum       v = 0.9*v + g; x - lr*v
  adam           with the usual constants 0.9, 0.999 and 1e-8
  newton         Newton's method in a trust region, with the exact Hessian
  lbfgs          SciPy's L-BFGS-B, with gradients
  newton-cg      SciPy's Newton-CG, with products of the Hessian
  least-squares  SciPy's least_squares, with Jacobians: half the sum of
                 the squares of what --minimize names
  slsqp          SciPy's SLSQP, for constraints (--subject)
  trust-constr   SciPy's trust-constr, for constraints: an interior point
                 method with products of Hessians, for many numbers

\b
Without --method a sum of squares is given to least-squares, another loss of
up to 300 numbers to newton, and what is larger or has --bounds to lbfgs;
without SciPy to newton, or with --bounds to adam.

The history has an object a step: {"step": 0, "loss": 1.5, "gnorm": 2.0, "lr": 0.1, "seconds": 0.01}; only sgd, momentum
and adam have an "lr".

A checkpoint is an .npz file, from which --resume goes on to the same numbers, to the bit, with the same options. SciPy's
methods begin anew every 1000 steps, and a resumed run goes through the steps since then again.
"""


class Rate(click.ParamType["Schedule"]):
    """``0.1``, ``0.1:linear``, ``0.1:cosine`` or ``0.1:step=100,0.5``."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Schedule:
        from gradcli.features.fit.optimizers import Schedule, schedule

        if isinstance(value, Schedule):
            return value
        try:
            return schedule(value)
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


class Until(click.ParamType[dict[str, float]]):
    """``gnorm=1e-6,time=30s``."""

    name = "until"
    SECONDS: Mapping[str, float] = {"s": 1, "m": 60, "min": 60, "h": 3600}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, float]:
        if isinstance(value, dict):
            return value
        found: dict[str, float] = {}
        for entry in value.split(","):
            name, _, text = (part.strip() for part in entry.partition("="))
            if name not in ("gnorm", "loss", "change", "time"):
                self.fail(f"{entry!r} is none of gnorm=…, loss=…, change=… and time=….", param, ctx)
            match = re.fullmatch(r"(.*?)\s*(s|min|m|h)?", text)
            unit = match[2] if match and name == "time" else None
            number = _number(match[1] if match and unit else text)
            if number is None or (number < 0 and name != "loss"):
                self.fail(f"{text!r} is not a number for {name}.", param, ctx)
            found[name] = number * self.SECONDS.get(unit or "s", 1)
        return found


class Bound(click.ParamType[tuple[str, tuple[float, float]]]):
    """``x=0..1``, ``x=0..``, ``x=..1`` or, of an entry, ``x[0]=0..1``."""

    name = "bounds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[float, float]]:
        if isinstance(value, tuple):
            return value
        name, _, text = (part.strip() for part in named(value).partition("="))
        low, high = ends_of_range(text) or ("", "")
        ends = _number(low or "-inf"), _number(high or "inf")
        if not name or not (low or high) or ends[0] is None or ends[1] is None:
            self.fail(f"{value!r} is not of the form NAME=LOW..HIGH, where one end may be left out.", param, ctx)
        if ends[0] >= ends[1]:
            self.fail(f"the bounds of {name} leave nothing between them: {text}.", param, ctx)
        return name, (ends[0], ends[1])


def _number(text: str) -> float | None:
    from gradcli.features.fit.optimizers import number_of

    return number_of(text)


def _merged(_: click.Context, __: click.Parameter, given: tuple[dict[str, float], ...]) -> dict[str, float]:
    return {name: value for entry in given for name, value in entry.items()}


@click.command("fit", cls=Command, epilog=EPILOG)
@program_options
@partial(backend_options, cluster=True)
@click.option(
    "--minimize",
    callback=lambda _, __, name: name and named(name),
    metavar="NAME",
    shell_complete=listed_names,
    help="The loss, in place of the program's output.",
)
@click.option(
    "--maximize",
    callback=lambda _, __, name: name and named(name),
    metavar="NAME",
    shell_complete=listed_names,
    help="What is made large, in place of --minimize.",
)
@click.option(
    "--subject",
    multiple=True,
    callback=lambda _, __, given: [
        part for text in given for part in split_outside_brackets(utf8(text)) if part.strip()
    ],
    metavar="a = b,c <= d",
    help="Constraints: between expressions of the program, kept to by slsqp. Repeatable.",
)
@several_names(
    "--wrt", "--over", "over", help="What is fitted, in place of all variables; * matches variables. Repeatable."
)
@click.option(
    "--method",
    type=click.Choice(METHODS, case_sensitive=False),
    metavar="METHOD",
    help="See below; by default what suits the loss, or sgd with --lr, --batch or --clip.",
)
@click.option(
    "--lr",
    type=Rate(),
    metavar="RATE[:SCHEDULE]",
    help="Learning rate. Of sgd, momentum and adam, 0.01 by default; it falls to 0 over --steps with linear or cosine,"
    " or is multiplied by FACTOR (0.1) after EVERY steps: step=EVERY,FACTOR.",
)
@click.option("--steps", type=click.IntRange(1), default=1000, show_default=True, metavar="N", help="Steps at most.")
@click.option(
    "--until",
    type=Until(),
    multiple=True,
    callback=_merged,
    metavar="NAME=VALUE,...",
    help="Stop earlier: at a gradient norm (gnorm=1e-6), a loss (loss=0.1), a change of the loss in a step"
    " (change=1e-9) or after a time (time=30s). Repeatable.",
)
@click.option(
    "--bounds",
    type=Bound(),
    multiple=True,
    callback=lambda _, __, pairs: dict(pairs),
    metavar="NAME=LOW..HIGH",
    shell_complete=settable_variables,
    help="Keep a variable between bounds. It may be an entry such as x[0]; one end may be left out; * matches variables."
    " Repeatable.",
)
@several_names("--data", help="Constants whose rows --batch chooses from. Repeatable.")
@click.option(
    "--batch",
    type=click.IntRange(1),
    metavar="N",
    help="Rows of --data that a step sees; each epoch shuffles them anew, as --random-seed says.",
)
@click.option("--clip", type=Finite(0, min_open=True), metavar="NORM", help="Shorten longer gradients to it.")
@click.option(
    "--sparse",
    is_flag=True,
    help="Give least-squares a sparse Jacobian: for residuals each of which depends on few numbers.",
)
@several_names(
    "--of",
    help="Print these names, too, at the fitted values. One alone is the loss where neither --minimize nor an output line"
    " says which that is. Repeatable.",
)
@click.option(
    "--errors",
    is_flag=True,
    help="Print standard errors. With 95 % intervals, correlations and statistics: of least squares, or with --loglik.",
)
@click.option("--loglik", is_flag=True, help="The loss is a negative log-likelihood: its Hessian gives the errors.")
@click.option(
    "--cov", type=OUTPUT_FILE, metavar="FILE", help="Write the covariance of what is fitted: with names, as .csv."
)
@click.option(
    "--plot",
    type=OUTPUT_FILE,
    metavar="FILE",
    help="Draw the fit: data, the fitted curve with its 95 % confidence band, and residuals, as .svg, .png or .pdf.",
)
@click.option("--history", type=OUTPUT_FILE, metavar="FILE", help="Write each step as a line of NDJSON.")
@click.option("--checkpoint", type=OUTPUT_FILE, metavar="FILE", help="Save the state of the run, at its end too.")
@click.option("--every", type=click.IntRange(1), metavar="N", help="Steps from one --checkpoint to the next: 100.")
@click.option("--resume", type=INPUT_FILE, metavar="FILE", help="Go on from a checkpoint of the same program.")
@partial(output_options, also=("expr",))
def command(
    inputs: Inputs,
    minimize: str | None,
    maximize: str | None,
    subject: list[str],
    over: list[str] | None,
    method: str | None,
    lr: Schedule | None,
    steps: int,
    until: dict[str, float],
    bounds: dict[str, tuple[float, float]],
    data: list[str] | None,
    batch: int | None,
    clip: float | None,
    sparse: bool,
    of: list[str] | None,
    errors: bool,
    loglik: bool,
    cov: str | None,
    plot: str | None,
    history: str | None,
    checkpoint: str | None,
    every: int | None,
    resume: str | None,
    format: str | None,
    precision: int | None,
    output: str | None,
) -> int:
    """Find values of variables that make a scalar small, and print them.

    FILE is a program; - or, in a pipe, nothing stands for standard input. The values come in the usual formats, or, with
    --format expr, as the program with the values written into its declarations. A variable whose gradient is None stays
    as it is. Progress goes to standard error. Ctrl-C ends the run after its step, with exit status 130; so
    does SIGTERM, with 143.
    """
    from gradcli.features.fit.session import Options

    options = Options(
        minimize, maximize, subject, over, method, lr, steps, until, bounds, data, batch, clip, of or [], errors, loglik,
        cov, plot, history, checkpoint, every, resume, sparse,
    )  # fmt: skip
    _check(options, inputs, output)
    destination = Destination.chosen(format, precision, output, (*ENDINGS, ".expr"))
    with inputs.joined() as own:
        return _run(own, options, destination)


def _run(inputs: Inputs, options: Options, destination: Destination) -> int:
    """Fit, print, and give the exit status."""
    text = inputs.program_text()
    if inputs.processes is not None:
        _check_same(inputs, inputs.processes, options, text.text)
    bounded = [name.partition("[")[0] for name in options.bounds]
    others = [*variables_apart(options.over), *bounded, *(options.data or ()), *options.of]
    whole = bool(options.subject)
    program = inputs.load(text, None if whole else ([options.target] if options.target else None, others))
    from gradcli.features.fit.objective import NotFiniteError
    from gradcli.features.fit.running import Watcher, explained
    from gradcli.features.fit.session import Session

    session = Session(program, options)
    talks = inputs.speaks and not inputs.quiet
    if talks:
        _announce(session, destination)
    session.begin()
    if inputs.processes is not None:
        inputs.processes.told()  # all of them are ready
    watcher = Watcher(options.steps, session.note, talks, inputs.processes is None)
    try:
        with watcher.running():
            outcome = session.run(watcher)
    except NotFiniteError as failure:
        if inputs.processes is None:
            explained(inputs, session.objective, failure, session.state is None)
        raise
    finally:
        session.close()
    if talks:
        _conclude(session, outcome, watcher.first_loss)
    outcome = session.saved(outcome)
    problem = outcome.problem
    answer = _answer(session, outcome)
    try:
        answer = _with_errors(answer, session, outcome)
    except GradcliError as failure:
        problem = problem or failure
    if options.plot is not None:
        try:
            _draw(options.plot, session, outcome)
        except GradcliError as failure:
            problem = problem or failure
    if inputs.speaks:
        _deliver(answer, destination)
    if isinstance(problem, NotFiniteError) and inputs.processes is None:
        explained(inputs, session.objective, problem, False)
    if problem is not None:
        problem.message += f"; the values written are those of step {outcome.state.step}"
        raise problem
    return 0 if watcher.interrupted is None else 128 + watcher.interrupted


def _check(options: Options, inputs: Inputs, output: str | None) -> None:
    """Raises click.UsageError where options contradict each other, or a file would be overwritten."""
    wrong = options.contradiction(lambda name: f"--{name}")
    if wrong is not None:
        raise click.UsageError(wrong)
    if inputs.cluster is not None:
        inputs.accelerator()  # what is wrong with the other options of it
        _check_cluster(options)
    if options.cov is not None and not options.cov.lower().endswith(".csv"):
        raise click.UsageError(f"--cov {options.cov}: the file must end in .csv.")
    if options.plot is not None:
        from gradcli.features.plot.files import check_installed, is_picture

        if not is_picture(options.plot):
            raise click.UsageError(f"--plot {options.plot}: the file must end in .svg, .png or .pdf.")
        check_installed()
    written = {"--history": options.history, "--checkpoint": options.checkpoint}
    _check_files({"FILE": inputs.file, "--values": inputs.values}, written)
    _check_files({"--output": output}, {**written, "--cov": options.cov, "--plot": options.plot})


def _check_same(inputs: Inputs, processes: Processes, options: Options, text: str) -> None:
    """Raise a GradcliError where other processes were given something else: they would wait for one another."""
    from dataclasses import replace
    from zlib import crc32

    checkpoint, resume = ["" if path is not None else None for path in (options.checkpoint, options.resume)]
    same = replace(options, history=None, checkpoint=checkpoint, resume=resume)
    given = (text, sorted(inputs.set_.items()), inputs.values is None, inputs.dtype, inputs.random_seed, same)
    if len({number for (number,) in processes.told(crc32(repr(given).encode()))}) > 1:
        raise GradcliError("ValueError", "the processes of the cluster were given different programs or options")


def _check_cluster(options: Options) -> None:
    """Raises click.UsageError for what is not done by several processes."""
    method = options.asked_method
    if method not in RULES:
        given = f"--method {method}" if method is not None else "without --method"
        raise click.UsageError(f"--cluster is for --method {', '.join(RULES)}, not {given}.")
    alone = {"--errors": options.errors, "--loglik": options.loglik, "--cov": options.cov, "--plot": options.plot}
    if name := next((name for name, value in alone.items() if value), None):
        raise click.UsageError(f"{name} goes without --cluster: it is for one process, with --values of the fit.")


def _announce(session: Session, destination: Destination) -> None:
    """Say what is going to be done."""
    if not session.by_of and session.options.target is None and not session.options.subject:
        Notes(False).chosen(session.objective.program, None, [session.objective.name], "minimised")
    from gradcli.features.fit.running import say
    from gradcli.graph.types import size_of

    if again := session.replayed():
        say(f"going through steps {again.start} to {again.stop} again")
    if session.by_of:
        say(f"`{session.objective.name}` is minimised, which --of names")
    if session.why is not None:
        say(f"method {session.settings.method}: {session.why}")
    for name, reason in session.objective.kept.items():
        say(f"{name} stays as it is: {reason}")
    if destination.is_drawn() and sum(size_of(leaf.shape) for leaf in session.objective.leaves.values()) > FEW:
        say("on a terminal values are shortened; --output FILE keeps all digits")


def _conclude(session: Session, outcome: Outcome, first: float | None) -> None:
    """Say where the run ended, and what else there is to know of it."""
    from gradcli.features.fit.look import afterthought, multiplier_text, summary
    from gradcli.features.fit.running import say

    objective, batch = session.objective, session.options.batch
    title = objective.title if objective.sign > 0 else objective.name
    shown = outcome._replace(loss=session.loss(outcome))
    say(summary(title if batch is None else f"{title} of a batch", shown))
    for multiplier in outcome.multipliers:
        say(f"{multiplier.text}: {multiplier_text(multiplier)}")
    if batch is None and objective.sign > 0 and not objective.constraints and (remark := afterthought(outcome, first)):
        say(remark)
    if session.settings.method == "least-squares" and objective.residuals is objective.y and not objective.y.shape:
        say(f"{objective.name} is one number, and its square was minimised; where it is a loss, use lbfgs")


def _check_files(others: Mapping[str, str | None], written: Mapping[str, str | None]) -> None:
    """Raises click.UsageError where a file that a run writes takes the place of another one of it."""
    places: dict[str, str] = {}
    for option, path in {**others, **written}.items():
        if path == "-" and option in written:
            raise click.UsageError(f"{option} is a file: standard output gets the values.")
        if path is None or path == "-" or (os.path.exists(path) and not os.path.isfile(path)):
            continue
        place = os.path.realpath(path)
        if place in places and option in written:
            raise click.UsageError(f"{option} {path} would overwrite the file of {places[place]}.")
        places[place] = option


def _with_errors(answer: Fitted, session: Session, outcome: Outcome) -> Fitted:
    """The answer with the values of more names, and with errors. Raises GradcliError."""
    more = session.of(outcome)
    if not session.options.has_errors:
        ((order, results),) = answer.reply.orders
        return answer._replace(reply=answer.reply._replace(orders=[(order, [*results, *more])])) if more else answer
    from gradcli.features.fit.look import estimates

    found = session.estimated(outcome)
    if session.options.cov is not None:
        from gradcli.data import write_atomically
        from gradcli.report.estimates import matrix_text

        write_atomically(session.options.cov, matrix_text(found.names, found.covariance).encode())
    return estimates(answer, found, more)


def _draw(path: str, session: Session, outcome: Outcome) -> None:
    """Write the picture of a fit. Raises GradcliError."""
    from gradcli.features.fit.errors import estimated
    from gradcli.features.fit.picture import picture
    from gradcli.features.fit.running import say
    from gradcli.features.plot.files import write_plot

    values = outcome.state.values
    try:
        found = estimated(session.objective, values, session.bounds, False)
    except GradcliError as problem:
        say(f"the curve has no confidence band: {problem.message}")
        found = None
    write_plot(path, picture(session.objective, values, found, session.source.name))


def _answer(session: Session, outcome: Outcome) -> Fitted:
    from gradcli.features.fit.look import Ending, Fitted
    from gradcli.report.reply import Reply
    from gradcli.results import Result

    objective = session.objective
    return Fitted(
        Reply("fit", session.source.name, [(0, session.results(outcome))], [objective.name]),
        session.source,
        objective.as_written(),
        [Result(name, value) for name, value in objective.given().items()],
        objective.program.float_dtype,
        Ending(
            outcome.converged, outcome.reason, session.settings.method, outcome.state.step, session.loss(outcome),
            outcome.gnorm, outcome.left,
        ),
    )  # fmt: skip


def _deliver(answer: Fitted, destination: Destination) -> None:
    try:
        destination.deliver(answer)
    except GradcliError:
        if destination.path is not None:  # what took long to find is not lost with the file
            destination._replace(format="plain", path=None).deliver(answer)
        raise
