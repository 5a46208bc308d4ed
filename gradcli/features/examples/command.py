"""``gradcli examples``: the samples, which are installed with gradcli."""

from __future__ import annotations

import os

import click

from gradcli.commands.endings import Command, tell
from gradcli.commands.options import OUTPUT_FILE, file_option
from gradcli.commands.output import send

EPILOG = """\b
Examples:
  gradcli examples
  gradcli examples rosenbrock
  gradcli examples rosenbrock | gradcli grad
  gradcli examples spiral --copy .
  gradcli examples --copy 'my samples'
"""


def _beginning_with(word: str) -> list[str]:
    from gradcli.features.examples import answer

    return [name for name in answer.samples() if name.startswith(word)]


@click.command("examples", cls=Command, epilog=EPILOG)
@click.argument("name", required=False, shell_complete=lambda _, __, word: _beginning_with(word))
@click.option(
    "--copy",
    "target",
    type=OUTPUT_FILE,
    metavar="DIR",
    help="Write the sample with its data, or all of them, into DIR/samples, where the commands in their first lines run.",
)
@file_option
def command(name: str | None, target: str | None, output: str | None) -> None:
    """List the samples, or print the one called NAME.

    The first lines of a sample say what it shows and how it is run.
    """
    from gradcli.features.examples import answer

    samples = answer.samples()
    sample = None
    if name is not None:
        asked = name.removeprefix("samples/").removesuffix(".expr")
        sample = samples.get(asked) or next((s for s in samples.values() if s.name.rpartition("/")[2] == asked), None)
        if sample is None:
            from gradcli.diagnostics import did_you_mean

            close = did_you_mean(asked, samples)
            speaking = [s.name for s in samples.values() if asked.strip() and asked.casefold() in s.text.casefold()][:6]
            raise click.UsageError(
                f"There is no sample {name!r}."
                + (f" Did you mean {close!r}?" if close else "")
                + (f" Samples that speak of it: {', '.join(speaking)}." if speaking else "")
                + (" `gradcli examples` lists them." if not close and not speaking else "")
            )
    if target is not None:
        if output is not None:
            raise click.UsageError("--copy writes files into a folder, --output one of them: leave one out.")
        if not target:
            raise click.UsageError("--copy needs a folder, such as '.'.")
        available = answer.files()
        chosen = available if sample is None else answer.needed(sample, available)
        new = answer.copy(chosen, target)
        tell(f"{new} of {len(chosen)} files written to {os.path.join(target, 'samples')}\n")
        if sample is not None:
            tell("".join([f"$ {line}\n" for line in sample.commands()]))
    elif sample is not None:
        send([sample.text], output, verbatim=True)
    else:
        formatter = click.HelpFormatter(width=80)
        formatter.write_dl([(s.name, s.about()) for s in samples.values()])
        send([formatter.getvalue()], output)
