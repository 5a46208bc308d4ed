"""What ``gradcli fit`` does while it runs: history, checkpoints, progress on standard error, and Ctrl-C."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from gradcli.commands import stopping
from gradcli.commands.endings import is_terminal, stream_has_color, tell

if TYPE_CHECKING:
    from gradcli.commands.inputs import Inputs
    from gradcli.features.fit.objective import NotFiniteError, Objective
    from gradcli.features.fit.training import Moment
    from gradcli.report.progress import Steps

LOG_SECONDS = 5.0
"""How often a line is written to standard error where that is not a terminal."""

DRAWN_SECONDS = 0.1
"""Seconds between two drawings of the bar on a terminal."""


STEP_SECONDS = 0.5
"""How long a step may take after Ctrl-C."""

LONGEST_COMMAND = 400
"""Characters of a command line that a message still shows."""


def say(text: str) -> None:
    """A line on standard error, if there is anybody to read it: a run goes on without."""
    with suppress(OSError):
        tell(f"{text}\n")


class Watcher:
    """Called at each step (:data:`gradcli.features.fit.training.Watch`), which it shows, if it ``speaks``, and has noted.

    Where it is not ``alone`` a step is never given up: other processes make it too.
    """

    def __init__(self, steps: int, note: Callable[[Moment], None], speaks: bool = True, alone: bool = True) -> None:
        self.interrupted: signal.Signals | None = None
        self._steps = steps
        self._speaks = speaks
        self._alone = alone
        self._note = note
        self._bar: Steps | None = None
        self._shown = self._begun = monotonic()
        self._first: int | None = None
        self._before: dict[signal.Signals, Any] = {}
        self.first_loss: float | None = None

    def __call__(self, moment: Moment) -> str | None:
        if self._first is None:
            self._first = moment.state.step
            self.first_loss = moment.loss
            self._shown = self._begun = monotonic()
        self._note(moment)
        if self.interrupted is not None:
            _set_alarm(0)
        self._show(moment, monotonic())
        return "interrupted" if self.interrupted is not None else None

    def _show(self, moment: Moment, now: float) -> None:
        if not self._speaks or now - self._shown < (LOG_SECONDS if self._bar is None else DRAWN_SECONDS):
            return
        from gradcli.features.fit.look import progress_line, progress_text

        self._shown = now
        assert self._first is not None
        rate = (moment.state.step - self._first) / max(now - self._begun, 1e-9)
        if self._bar is not None:
            self._bar.update(moment.state.step, progress_text(moment, self._steps, rate))
        else:
            say(progress_line(moment, self._steps, rate))

    @contextmanager
    def running(self) -> Iterator[None]:
        """A bar, if there is a terminal for it; the first Ctrl-C or SIGTERM lets the step end, a second one ends at once.

        A step that takes longer than a moment is given up, and the run ends with the values of the one before.
        """
        before = stopping.tolerated
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is signal.SIG_IGN:
                continue
            with suppress(ValueError):  # signals belong to the main thread
                self._before[number] = signal.signal(number, self._interrupt)
                stopping.tolerated = max(before, 1)
        try:
            if not self._speaks or not is_terminal(sys.stderr):
                yield
                return
            from gradcli.report.progress import Steps

            with Steps(sys.stderr, self._steps, stream_has_color(sys.stderr)) as self._bar:
                yield
        finally:
            _set_alarm(0)
            if self.interrupted is not None and not before:
                stopping.settle()
            stopping.tolerated = before
            self._restore()

    def _interrupt(self, number: int, _: object) -> None:
        self.interrupted = signal.Signals(number)
        self._restore()
        if self._alone:
            _set_alarm(STEP_SECONDS)

    def _restore(self) -> None:
        for number, before in self._before.items():
            with suppress(ValueError):
                signal.signal(number, before)


def _set_alarm(seconds: float) -> None:
    """Give up the step after this many seconds; 0 cancels that."""
    if hasattr(signal, "setitimer"):
        with suppress(ValueError):
            if seconds:
                signal.signal(signal.SIGALRM, _give_up)
            signal.setitimer(signal.ITIMER_REAL, seconds)


def _give_up(*_: object) -> None:
    from gradcli.features.fit.answer import GivenUp

    raise GivenUp


def explained(inputs: Inputs, objective: Objective, problem: NotFiniteError, at_start: bool) -> None:
    """Complete a problem by where it comes from, and by how to see more of that."""
    from gradcli.features.fit.not_finite import explain

    explain(objective, problem)
    problem.help = "; ".join(filter(None, [problem.help, _trace_command(inputs, objective, problem, at_start)]))


def _decoded(word: str) -> str:
    """A word of the command line as what it is, UTF-8, also where the locale says otherwise."""
    try:
        return os.fsencode(word).decode("utf-8", errors="replace")
    except UnicodeEncodeError:  # it is decoded already
        return word


def _trace_command(inputs: Inputs, objective: Objective, problem: NotFiniteError, at_start: bool) -> str:
    """The command line that shows where NaN or infinity comes from, if it is short and needs no rows of a batch."""
    from gradcli.report.numbers import literal

    anywhere = "`gradcli grad --trace` looks for it at any values"
    values = {} if at_start or problem.values is None else problem.values
    if objective.batches is not None or not (values or at_start):
        return anywhere
    if any(value.size > LONGEST_COMMAND for value in values.values()):
        return anywhere
    program = [word for text in inputs.inline for word in ("-e", text)] or [inputs.file or "-"]
    words = ["gradcli", "grad", *program, "--of", objective.name]
    if problem.order > 1:
        words += ["--order", str(problem.order)]
    if objective.variables != objective.program.variables:
        words += ["--wrt", ",".join(objective.variables)]
    options = {"--values": inputs.values, "--dtype": inputs.dtype, "--random-seed": inputs.random_seed or None}
    words += [word for option, value in options.items() if value is not None for word in (option, str(value))]
    settings = {**inputs.set_, **{name: literal(value) for name, value in values.items()}}
    words += [word for name, text in settings.items() for word in ("--set", f"{name}={text}")]
    command = shlex.join([*map(_decoded, words), "--trace"])
    return f"`{command}` shows more" if len(command) <= LONGEST_COMMAND else anywhere
