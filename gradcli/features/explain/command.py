"""``gradcli explain``: how a program's outputs depend on its variables, and why a gradient is None."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from gradcli.commands.endings import Command, is_terminal
from gradcli.commands.inputs import Inputs, program_options, question_options
from gradcli.commands.options import Orders, file_option, precision_option
from gradcli.commands.output import screen, send

if TYPE_CHECKING:
    from gradcli.commands.inputs import Value

DIGITS = 6
"""Significant digits on a terminal."""

EPILOG = """\b
Examples:
  gradcli explain model.expr
  gradcli explain model.expr --of 'loss' --wrt 'W*,b' --most 3
  gradcli explain model.expr --stop 'h' --format plain
  gradcli explain -e 'variable x = 2; y = x*x + sin(x)' --order 2

A gradient is the sum over the routes from y down to x of the head gradient
times the factors on the route. The largest routes are shown, each with the
points where it leaves the others and without its factors 1, then what all
others add up to. A gradient that is None has ways that are cut: each is shown
where it is cut first, coming from y, with an edit that lets a gradient pass.
Where y does not use x at all, what comes close is shown.

In json an explanation has contributions, one for each y: "routes" is how many
there are, "shown" the largest of them with all steps, "rest" what the others
add up to. Its "ways" are those that carry no gradient: "routes" is how many
are first cut at one place, "cuts" that place and those below it, "more" says
that there are further ones. Above 10^15 "routes" is null.
"""


@click.command("explain", cls=Command, epilog=EPILOG)
@program_options
@question_options
@click.option("--order", "orders", type=Orders(least=1), default="1", show_default=True, metavar="N|A..B",
              help="Explain the N-th derivative; or those of the orders A to B.")  # fmt: skip
@click.option("--most", type=click.IntRange(1, 1000), default=10, show_default=True, metavar="N",
              help="Show N routes for each x, the largest first, and N cuts.")  # fmt: skip
@click.option(
    "--format",
    "format",
    type=click.Choice(["table", "plain", "json"]),
    help="Form of the results; by default a table and a tree on a terminal and plain in a pipe.",
)
@precision_option
@file_option
def command(
    inputs: Inputs,
    of: list[str] | None,
    wrt: list[str] | None,
    orders: range,
    heads: dict[str, Value],
    stop: list[str],
    most: int,
    format: str | None,
    precision: int | None,
    output: str | None,
) -> None:
    """Say how the outputs of a program depend on its variables, and why a gradient is None.

    FILE is a program; - or, in a pipe, nothing stands for standard input.
    """
    program = inputs.load(inputs.program_text())
    from gradcli.features.explain.answer import explain

    found = [explain(program, of, wrt, order, seeds=heads, stop=stop, most=most) for order in orders]
    from gradcli.features.explain import look as report

    drawn = output is None and is_terminal(sys.stdout) and format in (None, "table")
    found = [report.rounded_to(explained, precision or (DIGITS if drawn else None)) for explained in found]
    if format == "json" or format is None and output is not None and output.lower().endswith(".json"):
        send(report.json_pieces(found), output)
    else:
        shown = screen() if drawn else None
        send(["\n".join([report.render(explained, shown) for explained in found])], output)
