"""``gradcli export``: a program with its gradients, compiled for other processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gradcli.commands.endings import Command, tell
from gradcli.commands.inputs import Inputs, program_options, question_options
from gradcli.commands.options import file_option, several_names
from gradcli.commands.output import send

if TYPE_CHECKING:
    from gradcli.commands.inputs import Value

EPILOG = """\b
Examples:
  gradcli export model.expr --output model.stablehlo
  gradcli export model.expr --of 'loss' --wrt 'W*,b' --output model.stablehlo
  gradcli export model.expr --rows x,t --output model.stablehlo
  gradcli export -e 'variable x = 2.0; y = sin(x)' --format mlir

\b
In Python, with JAX and without gradcli:
  import jax
  jax.config.update("jax_enable_x64", True)
  function = jax.export.deserialize(open("model.stablehlo", "rb").read()).call
  function({"x": 2.0})["gradients"]["x"]
"""


@click.command("export", cls=Command, epilog=EPILOG)
@program_options
@question_options
@several_names(
    "--rows",
    help="Variables and constants that have a row for each point: a call gives any number of rows, and gets as many results. Repeatable.",
)
@click.option(
    "--format",
    "format",
    type=click.Choice(["stablehlo", "mlir"]),
    default="stablehlo",
    show_default=True,
    help="StableHLO as a file for `jax.export.deserialize`, or as text to read.",
)
@file_option
def command(
    inputs: Inputs,
    of: list[str] | None,
    wrt: list[str] | None,
    heads: dict[str, Value],
    stop: list[str],
    rows: list[str] | None,
    format: str,
    output: str | None,
) -> None:
    """Write the outputs of a program and their gradients as one function of StableHLO, for CPUs, GPUs and TPUs.

    FILE is a program; - or, in a pipe, nothing stands for standard input. The function takes a dict with the variables, and
    gives one with "values", "gradients" (None where there is none) and "failed": whether something failed because of its
    values, such as a singular matrix. It needs JAX to be made, and JAX or what else reads StableHLO to be called.
    """
    if output is None and format == "stablehlo":
        raise click.UsageError("StableHLO is not text: give --output FILE, or take --format mlir.")
    program = inputs.load(inputs.program_text())
    from gradcli.features.export.answer import exported

    found = exported(program, of, wrt, heads, stop, rows or ())
    for name, reason in found.none.items():
        tell(f"the gradient with respect to {name} is None: {reason.with_line()}\n")
    if format == "mlir":
        send([found.text], output, verbatim=True)
        return
    from gradcli.data import write_atomically

    assert output is not None
    write_atomically(output, bytes(found.serialized))
