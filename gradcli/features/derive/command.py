"""``gradcli derive``: derivatives as formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gradcli.commands.endings import Command
from gradcli.commands.inputs import Inputs, program_options, question_options
from gradcli.commands.options import OUTPUT_FILE
from gradcli.commands.output import write

if TYPE_CHECKING:
    from gradcli.commands.inputs import Value

EPILOG = """\b
Examples:
  gradcli derive model.expr
  gradcli derive model.expr --wrt 'W*,b' | gradcli eval
  gradcli derive -e 'variable x = 2.0; y = sin(x^2)*exp(x)' --order 2
  gradcli derive model.expr --format python --output gradient.py
  gradcli derive -e 'variable x = 2.0; y = sin(x)/x' --format latex
  gradcli derive -e 'variable x = 2.0; y = sin(x)/x' --steps
"""


@click.command("derive", cls=Command, epilog=EPILOG)
@program_options
@question_options
@click.option("--order", type=click.IntRange(0, 2000), default=1, show_default=True, metavar="N",
              help="Differentiate N times; 0 writes the outputs themselves, derivatives in them worked out.")  # fmt: skip
@click.option(
    "--format",
    "format",
    type=click.Choice(["expr", "latex", "python"]),
    default="expr",
    show_default=True,
    help="A program of the language, formulas for LaTeX, or a NumPy module.",
)
@click.option("--steps", is_flag=True, help="Show how the derivative is found, rule by rule: as text, or for LaTeX.")
@click.option(
    "--output",
    type=OUTPUT_FILE,
    metavar="FILE",
    help="Write to a file, whole or not at all, in place of standard output.",
)
def command(
    inputs: Inputs,
    of: list[str] | None,
    wrt: list[str] | None,
    order: int,
    heads: dict[str, Value],
    stop: list[str],
    format: str,
    steps: bool,
    output: str | None,
) -> None:
    """Print the derivatives of the outputs of a program as formulas, simplified.

    FILE is a program; - or, in a pipe, nothing stands for standard input. The answer is a program in the language again,
    whose outputs are the gradients that `gradcli grad` would evaluate; a gradient that is None is a name that holds
    None, and an output only where all are. Differentiated once more it has the values, and the None, of the next order.
    """
    if steps and format == "python":
        raise click.UsageError("--steps is text or LaTeX: leave out --format python.")
    if steps and order != 1:
        raise click.UsageError("--steps shows one pass: leave out --order, or derive the result again.")
    if not order and (wrt or heads):
        raise click.UsageError("--order 0 writes the outputs themselves: leave out --wrt and --seed.")
    program = inputs.load(inputs.program_text())
    from gradcli.features.derive.look import written

    text = written(program, of, wrt, order, heads, stop, format, steps)
    if output is None:
        write(text)
        return
    from gradcli.data import write_atomically

    write_atomically(output, text.encode())
