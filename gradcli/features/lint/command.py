"""``gradcli lint``: what is likely a mistake in programs, and what has a better spelling."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

import click

from gradcli.commands.endings import Command, report_failure, stream_has_color, tell
from gradcli.commands.inputs import Inputs
from gradcli.commands.options import INPUT_FILE
from gradcli.commands.output import write
from gradcli.diagnostics import GradcliError
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.features.lint.answer import Finding

EPILOG = """\b
Examples:
  gradcli lint model.expr
  gradcli lint model.expr other.expr --fix
  gradcli lint - --fix < model.expr > mended.expr
  gradcli lint -e 'variable x = 1000.0; y = log(1 + exp(x))' --format json

A comment '# lint: ignore CODE' behind a statement, or on a line of its own
for the whole program, leaves findings out.
"""


class _Checked(NamedTuple):
    findings: list[Finding]
    done: list[Finding]
    mended: str | None


@click.command("lint", cls=Command, epilog=EPILOG)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=INPUT_FILE)
@click.option("-e", "inline", multiple=True, metavar="TEXT", help="The program itself, in place of FILE.")
@click.option(
    "--fix", is_flag=True,
    help="Write the better spellings into the files, where shapes, dtypes, None and values stay as they are. A program"
    " from standard input or -e is written to standard output.",
)  # fmt: skip
@click.option(
    "--format", "format", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="Form of the findings.",
)  # fmt: skip
def command(files: tuple[str, ...], inline: tuple[str, ...], fix: bool, format: str) -> int:
    """Find unused names, variables without influence, integers that are differentiated, and unstable formulas.

    FILE is a program; - or, in a pipe, nothing stands for standard input. The exit status is 1 if anything is found, and
    with --fix if anything is left.
    """
    if files.count("-") > 1:
        raise click.UsageError("Only one thing can be read from standard input (-).")
    checked: list[_Checked] = []
    failed = False
    for file in files or (None,):
        try:
            checked.append(_check(Inputs(file, inline), fix))
        except GradcliError as problem:
            # The other files are checked all the same.
            report_failure(problem, as_json=format == "json")
            failed = True
    if not checked:
        return 1
    # Where the program is what standard output holds, all else goes to standard error.
    piped = [c.mended for c in checked if c.mended is not None]
    for text in piped:
        write(text, verbatim=True)
    findings = [f for c in checked for f in c.findings]
    done = [f for c in checked for f in c.done]
    shown = _shown(findings, done, format, sys.stderr if piped else sys.stdout)
    if piped:
        tell(shown)
    else:
        write(shown)
    return 1 if findings or failed else 0


def _check(inputs: Inputs, fix: bool) -> _Checked:
    if inputs.file is not None and os.path.isdir(inputs.file):
        programs = f"{shlex.quote(inputs.file.rstrip('/'))}/*.expr"
        raise GradcliError(
            "DataError", f"{inputs.file} is a folder, not a file", help=f"name its programs: `{programs}`"
        )
    text = inputs.program_text()
    if not fix:
        from gradcli.features.lint.answer import lint
        from gradcli.program.loaded import from_text

        return _Checked(lint(from_text(text.text, text.name, text.folder)), [], None)
    from gradcli.features.lint.mended import mend

    mended = mend(text.text, text.name, text.folder)
    if inputs.file is None or inputs.file == "-":
        return _Checked(mended.left, mended.done, mended.text)
    if mended.done:
        from gradcli.data import rewrite_program

        rewrite_program(inputs.file, mended.text)
    return _Checked(mended.left, mended.done, None)


def _shown(findings: list[Finding], done: list[Finding], format: str, stream: object) -> str:
    from gradcli.features.lint import look as report

    if format == "json":
        return report.render_json(findings, done)
    changes = report.render_changes(done)
    text = report.render(findings, stream_has_color(stream))
    summary = report.render_summary(findings, done) if findings or done else ""
    return changes + ("\n" if changes and text else "") + text + ("\n" if text and summary else "") + summary
