"""``gradcli format``: programs in one style, with the same tokens and comments."""

from __future__ import annotations

import click

from gradcli.commands.endings import Command, report_failure, tell
from gradcli.commands.inputs import Inputs, programs_in
from gradcli.commands.options import INPUT_FILE, file_option
from gradcli.commands.output import send
from gradcli.diagnostics import GradcliError, Source, counted

EPILOG = """\b
Examples:
  gradcli format model.expr other.expr
  gradcli format model.expr --diff
  gradcli format *.expr --check
  gradcli format - < model.expr > neat.expr
"""


@click.command("format", cls=Command, epilog=EPILOG)
@click.argument("files", nargs=-1, metavar="[FILE|FOLDER]...", type=INPUT_FILE)
@click.option("-e", "inline", multiple=True, metavar="TEXT", help="The program itself: in place of FILE.")
@click.option("--check", is_flag=True, help="Write nothing; the exit status is 1 if a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing but what would change, as a unified diff.")
@file_option
def command(files: tuple[str, ...], inline: tuple[str, ...], check: bool, diff: bool, output: str | None) -> int:
    """Set the spaces, indentation and blank lines of programs; names, numbers and comments stay, and so does the graph.

    FILE is a program, which is written in its place, or to --output; a folder all those in it; - or, in a pipe, nothing
    stands for standard input, whose program goes to standard output, as that of -e does. A file that has a syntax error
    is left as it is.
    """
    from gradcli.data import rewrite_program
    from gradcli.language.formatting import formatted
    from gradcli.report.changes import unified

    if files.count("-") > 1:
        raise click.UsageError("Only one thing can be read from standard input (-).")
    chosen = programs_in(files) or (None,)
    if output is not None and (check or len(chosen) > 1 and not diff):
        raise click.UsageError("--output takes one program, or --diff of several; --check writes nothing.")
    changed = 0
    failed = False
    pieces: list[str] = []
    for file in chosen:
        try:
            text, name, *_ = Inputs(file, inline).program_text()
            new = formatted(Source(name, text))
            if new != text and file not in (None, "-") and output is None and not check and not diff:
                rewrite_program(file, new)
        except GradcliError as problem:
            # The other files are formatted all the same.
            report_failure(problem, as_json=False)
            failed = True
            continue
        changed += new != text
        if diff:
            pieces.append(unified(name, text, new))
        elif output is not None or not check and file in (None, "-"):
            pieces.append(new)
    if pieces:
        send(pieces, output, verbatim=not diff)
    if changed and check:
        tell(f"{counted(changed, 'file')} would change\n")
    return 1 if failed or changed and check else 0
