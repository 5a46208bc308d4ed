"""``gradcli format``: programs in one style, with the same tokens and comments."""

from __future__ import annotations

import click

from gradcli.commands.endings import Command, report_failure, tell
from gradcli.commands.inputs import Inputs
from gradcli.commands.options import INPUT_FILE
from gradcli.commands.output import write
from gradcli.diagnostics import GradcliError, Source, counted

EPILOG = """\b
Examples:
  gradcli format model.expr other.expr
  gradcli format model.expr --diff
  gradcli format *.expr --check
  gradcli format - < model.expr > neat.expr
"""


@click.command("format", cls=Command, epilog=EPILOG)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=INPUT_FILE)
@click.option("--check", is_flag=True, help="Write nothing; the exit status is 1 if a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing but what would change, as a unified diff.")
def command(files: tuple[str, ...], check: bool, diff: bool) -> int:
    """Set the spaces, indentation and blank lines of programs; names, numbers and comments stay, and so does the graph.

    FILE is a program, which is written in its place; - stands for standard input, whose program goes to standard output.
    A file that has a syntax error is left as it is.
    """
    if files.count("-") > 1:
        raise click.UsageError("Only one thing can be read from standard input (-).")
    changed = 0
    failed = False
    for file in files:
        try:
            changed += _format(file, check, diff)
        except GradcliError as problem:
            # The other files are formatted all the same.
            report_failure(problem, as_json=False)
            failed = True
    if changed and check:
        tell(f"{counted(changed, 'file')} would change\n")
    return 1 if failed or changed and check else 0


def _format(file: str, check: bool, diff: bool) -> bool:
    """Format a file, or show what would change; whether something changes."""
    from gradcli.language.formatting import formatted

    text, name, *_ = Inputs(file, ()).program_text()
    new = formatted(Source(name, text))
    if diff:
        from gradcli.report.changes import unified

        write(unified(name, text, new))
    elif file == "-" and not check:
        write(new, verbatim=True)
    elif new != text and not check:
        from gradcli.data import rewrite_program

        rewrite_program(file, new)
    return new != text
