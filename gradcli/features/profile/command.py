"""``--profile`` of eval and grad: where the time and the memory of a run go, in place of its results."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import click

from gradcli.commands.endings import is_terminal
from gradcli.commands.output import screen, write

if TYPE_CHECKING:
    from gradcli.program.loaded import Loaded


def check(format: str | None, output: str | None, points: str | None) -> None:
    """Raises click.UsageError for options that do not go with ``--profile``."""
    if points is not None:
        raise click.UsageError("--profile is about one run, and goes without --points.")
    if output is not None:
        raise click.UsageError("--profile writes to standard output, and goes without --output.")
    if format not in (None, "table", "plain", "json"):
        raise click.UsageError(f"--profile writes table, plain or json, and not --format {format}.")


def deliver(
    program: Loaded, ask: Callable[[Loaded], object], command: Literal["eval", "grad"], format: str | None
) -> None:
    """Answer a question and print the profile: a table on a terminal, plain columns in a pipe."""
    from gradcli.features.profile import look as profiles
    from gradcli.features.profile.answer import compiled, profiled

    terminal = is_terminal(sys.stdout)
    if program.accelerator is not None:
        spent = compiled(program, ask)
        as_json = format == "json"
        name = program.source.name
        write(profiles.compiled_json(spent, command, name) if as_json else profiles.compiled_text(spent))
        return
    profile = profiled(program, ask)
    if format == "json":
        write(profiles.render_json(profile, command, program.source.name))
    else:
        write(profiles.render_table(profile, screen() if terminal and format != "plain" else None))
