"""``gradcli check``: gradients by reverse mode against other methods."""

from __future__ import annotations

import sys

import click

from gradcli.commands.endings import Command, is_terminal
from gradcli.commands.inputs import Inputs, backend_options, program_options, variables_apart, xs_option, ys_option
from gradcli.commands.options import Finite, file_option, precision_option
from gradcli.commands.output import screen, send

EPILOG = """\b
Examples:
  gradcli check model.expr
  gradcli check model.expr --of 'loss' --wrt 'W*,b' --order 1
  gradcli check model.expr --set 'x=[1, 2]' --directions 10 --tolerance 1e-8
  gradcli check -e 'variable x = [0, 1]; y = abs(x)' --format json

\b
Methods:
  forward      forward mode along each entry or direction;
               at order 2 forward over reverse
  series       at order 2 one reverse pass over the series of the sum,
               against two reverse passes
  differences  central differences in 200 digits of small programs, which
               show slopes of any size (pip install 'gradcli[check]');
               else those of falling steps, extrapolated;
               at order 2 those of gradients

At order 1 an entry is a derivative; at order 2 it is one of the Hessian times
a random direction.
"""


@click.command("check", cls=Command, epilog=EPILOG)
@program_options
@backend_options
@ys_option
@xs_option
@click.option(
    "--tolerance",
    type=Finite(min=0, min_open=True),
    metavar="T",
    help="Largest relative error beside what the program's rounding makes; by default 1e-6, 1e-9 for differences in 200"
    " digits, or 1e-2 where a declaration says float32.",
)
@click.option(
    "--directions",
    type=click.IntRange(1, 10_000),
    metavar="K",
    help="Check along K random directions; by default 5 for variables of more than 50 entries, and 3 at order 2.",
)
@click.option("--every-entry", is_flag=True, help="Check order 1 entry by entry, however large a variable is.")
@click.option(
    "--order", type=click.Choice(["1", "2", "both"]), default="both", show_default=True, help="What to check."
)
@click.option(
    "--format",
    "format",
    type=click.Choice(["table", "plain", "json"]),
    help="Form of the results; by default a table on a terminal and plain in a pipe.",
)
@precision_option
@file_option
def command(
    inputs: Inputs,
    of: list[str] | None,
    wrt: list[str] | None,
    tolerance: float | None,
    directions: int | None,
    every_entry: bool,
    order: str,
    format: str | None,
    precision: int | None,
    output: str | None,
) -> int:
    """Compare the gradients of a program with forward mode, with series and with differences, at orders 1 and 2.

    FILE is a program; - or, in a pipe, nothing stands for standard input. Each line is the entry where a variable's
    gradient differs most from what the method gives. On a kink, such as abs at 0, differences from both sides disagree;
    a gradient that lies between them is no failure there. The exit status is 1 if anything FAILED.
    """
    if every_entry and directions is not None:
        raise click.UsageError("--every-entry and --directions exclude each other.")
    program = inputs.load(inputs.program_text(), (of, variables_apart(wrt)))
    from gradcli.features.check.answer import Settings, check

    orders = (1, 2) if order == "both" else (int(order),)
    checked = check(program, of, wrt, Settings(tolerance, directions, every_entry, orders))
    from gradcli.features.check import look as checks

    if format == "json" or format is None and output is not None and output.lower().endswith(".json"):
        text = checks.render_json(checked, program.source.name)
    elif format == "plain" or output is not None or not is_terminal(sys.stdout):
        text = checks.render(checked, precision)
    else:
        text = checks.render_table(checked, screen(), precision)
    send([text], output)
    return 0 if checked.passed else 1
