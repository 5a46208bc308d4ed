"""``gradcli lint``: what is likely a mistake in programs, and what has a better spelling."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from gradcli.commands.endings import Command, report_failure, stream_has_color, tell
from gradcli.commands.inputs import Inputs, programs_in
from gradcli.commands.options import INPUT_FILE, file_option, refuse
from gradcli.commands.output import send
from gradcli.diagnostics import GradcliError
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.features.lint.answer import Finding

EPILOG = """\b
Examples:
  gradcli lint model.expr
  gradcli lint models/ other.expr --fix
  gradcli lint models/ --diff
  gradcli lint --explain softplus
  gradcli lint - --fix < model.expr > mended.expr
  gradcli lint -e 'variable x = 1000.0; y = log(1 + exp(x))' --format json

A comment '# lint: ignore[CODE]' behind a statement, or on a line of its own
for the whole program, leaves findings out.
"""


class _Checked(NamedTuple):
    findings: list[Finding]
    done: list[Finding]
    mended: str | None


@click.command("lint", cls=Command, epilog=EPILOG)
@click.argument("files", nargs=-1, metavar="[FILE|FOLDER]...", type=INPUT_FILE)
@click.option("-e", "inline", multiple=True, metavar="TEXT", help="The program itself: in place of FILE.")
@click.option(
    "--fix", is_flag=True,
    help="Write the better spellings into the files: where shapes, dtypes, None and values stay as they are. A program"
    " from standard input or -e is written to standard output.",
)  # fmt: skip
@click.option("--diff", is_flag=True, help="Print what --fix would change, as a unified diff, and write nothing.")
@click.option("--rules", is_flag=True, help="List the rules, by their codes.")
@click.option("--explain", metavar="CODE", shell_complete=lambda _, __, word: _codes(word),
              help="Explain a rule: what it finds, why that matters, and an example.")  # fmt: skip
@click.option(
    "--format", "format", type=click.Choice(["plain", "text", "json", "github"]), default="plain", show_default=True,
    help="Form of the findings: for people (plain, also called text), programs, or as annotations of GitHub's checks.",
)  # fmt: skip
@file_option
def command(
    files: tuple[str, ...],
    inline: tuple[str, ...],
    fix: bool,
    diff: bool,
    rules: bool,
    explain: str | None,
    format: str,
    output: str | None,
) -> int:
    """Find unused names, variables without influence, integers that are differentiated, and unstable formulas.

    FILE is a program, a folder all those in it; - or, in a pipe, nothing stands for standard input. The exit status is 1
    if anything is found, and with --fix if anything is left.
    """
    if rules or explain is not None:
        send([_about_rules(explain, format == "json")], output)
        return 0
    _check_options(files, fix, diff, output)
    if output is not None and output.lower().endswith(".json") and not diff:
        format = "json"
    checked, said, failed = _check_all(files, inline, fix, diff, format)
    if not checked:
        if said:
            send(said, output)
        return 1
    mended = [c.mended for c in checked if c.mended is not None]
    if diff:
        send(mended, output)
        return 1 if failed or any(mended) else 0
    # Where the program is what standard output holds, all else goes to standard error.
    if mended:
        send(mended, output, verbatim=True)
    findings = [f for c in checked for f in c.findings]
    done = [f for c in checked for f in c.done]
    shown = _shown(findings, done, format, sys.stderr if mended else None if output else sys.stdout)
    if mended:
        tell(shown)
    else:
        send([*said, shown], output)
    return 1 if findings or failed else 0


def _check_options(files: tuple[str, ...], fix: bool, diff: bool, output: str | None) -> None:
    """Raise click.UsageError for options that contradict each other."""
    target = os.path.abspath(output) if output is not None else None
    refuse(
        (files.count("-") > 1, "Only one thing can be read from standard input (-)."),
        (fix and diff, "--fix writes, --diff only shows: leave one out."),
        (
            target is not None and target in map(os.path.abspath, programs_in(files)),
            f"--output {output} would take the place of a program; --fix writes into it.",
        ),
    )


def _check_all(
    files: tuple[str, ...], inline: tuple[str, ...], fix: bool, diff: bool, format: str
) -> tuple[list[_Checked], list[str], bool]:
    """Each program, what annotations say of those that cannot be read, and whether there are such."""
    checked: list[_Checked] = []
    said: list[str] = []
    failed = False
    for file in programs_in(files) or (None,):
        try:
            checked.append(_check(Inputs(file, inline), fix, diff))
        except GradcliError as problem:
            # The other files are checked all the same.
            failed = True
            if format == "github":
                from gradcli.features.lint.look import render_github_error

                said.append(render_github_error(problem))
            else:
                report_failure(problem, as_json=format == "json")
    return checked, said, failed


def _codes(word: str) -> list[str]:
    from gradcli.features.lint.rules import rules

    return [code for code in rules() if code.startswith(word)]


def _about_rules(code: str | None, as_json: bool) -> str:
    """The list of rules, or one of them."""
    from gradcli.features.lint import look
    from gradcli.features.lint.rules import rules

    known = rules()
    if code is None:
        return look.rules_json(known.values()) if as_json else look.listed_rules(known.values())
    if code not in known:
        from gradcli.diagnostics import did_you_mean

        close = did_you_mean(code, known)
        hint = f" Did you mean {close!r}?" if close else " `gradcli lint --rules` lists them."
        raise click.UsageError(f"There is no rule {code!r}.{hint}")
    return look.rules_json([known[code]]) if as_json else look.explained_rule(known[code])


def _check(inputs: Inputs, fix: bool, diff: bool) -> _Checked:
    text = inputs.program_text()
    if not fix and not diff:
        from gradcli.features.lint.answer import lint
        from gradcli.program.loaded import from_text

        return _Checked(lint(from_text(text.text, text.name, text.folder)), [], None)
    from gradcli.features.lint.mended import mend

    mended = mend(text.text, text.name, text.folder)
    if diff:
        from gradcli.report.changes import unified

        return _Checked(mended.left, mended.done, unified(text.name, text.text, mended.text))
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
    if format == "github":
        return report.render_github(findings)
    changes = report.render_changes(done)
    text = report.render(findings, stream_has_color(stream))
    summary = report.render_summary(findings, done) if findings or done else ""
    return changes + ("\n" if changes and text else "") + text + ("\n" if text and summary else "") + summary
