"""How a command that cannot go on ends: its message on standard error and its exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import click

from gradcli.diagnostics import GradcliError

JSON = ("json", "ndjson")
WATCH = "gradcli.watch"
"""Where click's context has what runs a command again and again."""


class Command(click.Command):
    """A command whose failures are rendered in the format that it was asked for, and which ``--watch`` runs again."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = list(args)
        try:
            return super().parse_args(ctx, _spelled_out(words))
        except GradcliError as problem:
            ctx.exit(report_failure(problem, as_json=_asks_for_json(words)))

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from gradcli.commands.helping import WHOLE, write_text

        if ctx.obj == WHOLE:
            super().format_help_text(ctx, formatter)
        else:
            write_text(self, ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from gradcli.commands.helping import write_options

        write_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from gradcli.commands.helping import write_epilog

        write_epilog(self, ctx, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        if (watch := ctx.meta.pop(WATCH, None)) is not None:
            watch(lambda: self._status(ctx))
        return self._invoked(ctx)

    def _status(self, ctx: click.Context) -> int:
        """The exit status of a run that others follow."""
        try:
            status = self._invoked(ctx)
        except click.exceptions.Exit as end:
            return end.exit_code
        except click.ClickException as problem:
            problem.show()
            return problem.exit_code
        return status if isinstance(status, int) else 0

    def _invoked(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            # A reader that has seen enough, such as head, is not a failure; click would make it one.
            silence_standard_output()
            ctx.exit(0)
        except Exception as problem:  # noqa: BLE001  whatever it is, users get a message and no traceback
            ctx.exit(report_failure(problem, as_json=ctx.params.get("format") in JSON))


def _spelled_out(words: Sequence[str]) -> list[str]:
    """The words with a value for ``--skip-bad`` where it has none: what follows is the next argument."""
    stop = words.index("--") if "--" in words else len(words)
    return [f"{word}=skip" if word == "--skip-bad" and i < stop else word for i, word in enumerate(words)]


def _asks_for_json(words: Sequence[str]) -> bool:
    """Whether a command line that has not been understood asks for JSON."""
    return any([f"--format={form}" in words or ("--format", form) in pairwise(words) for form in JSON])


def report_failure(problem: Exception, as_json: bool) -> int:
    """Say on standard error what went wrong; the exit status is always 1."""
    if os.environ.get("GRADCLI_DEBUG") == "1":
        import traceback

        traceback.print_exception(problem)
    error = as_error(problem)
    if error is None:
        message = f"internal error: {type(problem).__name__}: {problem}".replace("\n", " ")
        tell(f"{message}\nPlease report it; GRADCLI_DEBUG=1 shows where it happened.\n")
        return 1
    from gradcli.report import errors

    tell(errors.render_json(error) if as_json else errors.render(error, stream_has_color(sys.stderr)))
    return 1


def tell(text: str) -> None:
    """Write to standard error, with nothing in it that a terminal would obey but colours."""
    click.echo(for_people(text, sys.stderr), err=True, nl=False, color=stream_has_color(sys.stderr))


def for_people(text: str, stream: Any) -> str:
    """A text for a stream: characters that a terminal would obey become visible, colours stay where it has them."""
    if text.replace("\n", "").isprintable():
        return text
    from gradcli.report import quoting

    return quoting.for_people(text, stream_has_color(stream))


def as_error(problem: Exception) -> GradcliError | None:
    """The error to show for an exception, or None if it is a mistake in gradcli."""
    if isinstance(problem, GradcliError):
        return problem
    if isinstance(problem, MemoryError):
        return GradcliError(
            "LimitError", "there is not enough memory for this run", help="use smaller arrays, or float32"
        )
    if isinstance(problem, RecursionError):
        return GradcliError(
            "LimitError", "the program is nested too deeply", help="name parts of it on lines of their own"
        )
    if isinstance(problem, OSError):
        what = f"read or write {problem.filename}" if problem.filename else "write to standard output"
        return GradcliError("DataError", f"cannot {what}: {problem.strerror or problem}")
    return None


def stream_has_color(stream: Any) -> bool:
    """Colour goes to a terminal that can show it, unless https://no-color.org is asked for."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and is_terminal(stream)


def is_terminal(stream: Any) -> bool:
    """Whether a standard stream is a terminal; a closed one is not."""
    try:
        return bool(stream is not None and stream.isatty())
    except ValueError:
        return False


def silence_standard_output() -> None:
    """Let what is still buffered for standard output go nowhere, so that nothing complains at exit."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
