"""``--trace`` and ``--kinks``: messages on standard error about how a result came about."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gradcli.commands.endings import stream_has_color, tell
from gradcli.commands.options import together
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.features.trace.answer import Traced
    from gradcli.results import Kink, Result

F = TypeVar("F", bound=Callable[..., Any])


def watching_options(function: F) -> F:
    """What asks how a result came about."""
    return together(
        click.option(
            "--trace",
            is_flag=True,
            help="Find the first operation whose NaN or infinity reaches a result. It may be one of values or derivatives."
            " If there is one it is shown on standard error, nothing is printed, and the exit status is 1.",
        ),
        click.option(
            "--kinks",
            is_flag=True,
            help="List points without a derivative that are hit. Those on which the evaluation sits exactly stand on"
            " standard error, with what the derivative is taken as there.",
        ),
    )(function)


class Watch(NamedTuple):
    """The options of :func:`watching_options`; with ``json`` what is said is JSON, ``quiet`` says only what is asked for."""

    trace: bool
    kinks: bool
    json: bool = False
    quiet: bool = False

    def refuse_beside(self, option: str) -> None:
        """Raises click.UsageError where one of the options is given beside another that it does not go with."""
        if self.trace or self.kinks:
            raise click.UsageError(f"--trace and --kinks look at one evaluation, and go without {option}.")

    def found(self, ask: Callable[[], Traced | None]) -> bool:
        """Trace, if that is wanted, and say what is found; whether there is anything."""
        if not self.trace:
            return False
        from gradcli.features.trace import look as report

        traced = ask()
        if traced is None:  # the run itself will say why
            return False
        color = stream_has_color(sys.stderr)
        self._say(report.render_json(traced) if self.json else report.render(traced, color))
        return traced.finding is not None

    def finish(self, results: Iterable[Result], ask: Callable[[], list[Kink]]) -> None:
        """Say on which kinks the results sit, if that is wanted, and that a trace helps where one is not finite.

        A trace that found nothing names them, too: there a derivative may be another one than a reader expects.
        """
        if self.kinks or self.trace:
            from gradcli.features.trace import look as report

            kinks = ask()
        if self.kinks or self.trace and kinks:
            self._say(report.render_kinks_json(kinks) if self.json else report.render_kinks(kinks))
        names = [] if self.trace or self.quiet else list(dict.fromkeys([r.name for r in results if not r.finite]))
        if names:
            from gradcli.features.trace import look as report

            text = report.suggestion(names)
            self._say(report.render_note_json(text) if self.json else report.render_note(text))

    def _say(self, text: str) -> None:
        tell(text)
