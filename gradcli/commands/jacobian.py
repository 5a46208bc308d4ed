"""``gradcli jacobian``: all derivatives of the entries of the ys by those of the xs."""

from __future__ import annotations

import click

from gradcli.commands.endings import Command
from gradcli.commands.inputs import Inputs
from gradcli.commands.options import output_options, points_options, program_options, several_names
from gradcli.commands.output import Destination

EPILOG = """\b
Examples:
  gradcli jacobian model.expr
  gradcli jacobian model.expr --of 'y' --wrt 'W*,b' --format json
  gradcli jacobian -e 'variable x = [1, 2]; y = [x[0]*x[1], x[0]^2]'
  gradcli jacobian model.expr --sparsity
  gradcli jacobian model.expr --set 'x=[1, 2]' --output J.npz

\b
Formats:
  plain   one line 'NAME = LITERAL' a block, NAME as in dy/dx
  json    {"jacobians": {"y": {"x": {"dtype": …, "shape": …, "value": …}}}}
  csv     y,x,index,value, the index along all axes of the block: 0;1
  npz     keys y/x
  With --sparsity: a line of stars and dots for each row; in json, under "patterns", the positions
  {"shape": …, "nonzero": …, "rows": …, "cols": …} in the block as a matrix; in csv y,x,row,col.
"""


@click.command("jacobian", cls=Command, epilog=EPILOG)
@program_options
@several_names("--of", help="The ys, in place of the program's outputs. Repeatable.")
@several_names("--wrt", help="The xs, in place of all variables; * matches variables. Repeatable.")
@several_names("--stop", help="Nodes that are treated as constants (stop_gradients). Repeatable.")
@click.option(
    "--sparsity",
    is_flag=True,
    help="Show which entries may be non-zero, decided from the graph and the constants, whatever the variables are.",
)
@points_options
@output_options
def command(
    file: str | None,
    inline: tuple[str, ...],
    set_: dict[str, str],
    values: str | None,
    dtype: str | None,
    random_seed: int,
    max_memory: int | None,
    of: list[str] | None,
    wrt: list[str] | None,
    stop: list[str] | None,
    sparsity: bool,
    points: str | None,
    skip_bad: bool,
    format: str | None,
    precision: int | None,
    output: str | None,
) -> None:
    """Print the Jacobian of each output of a program with respect to each of its variables.

    FILE is a program; - or, in a pipe, nothing stands for standard input. The block of y and x has the shape of y
    followed by that of x. Its entries are zeros where y does not depend on x, never None. Seed lines play no part.
    """
    inputs = Inputs(file, inline, set_, values, dtype, random_seed, max_memory)
    if points is not None or skip_bad:
        from gradcli.commands.points import RowStream, blocks

        if sparsity:
            raise click.UsageError("--sparsity does not depend on values, and goes without --points.")
        rows = RowStream.chosen(points, skip_bad, format, precision, output)
        program = inputs.load(inputs.program_text([points]))
        from gradcli.program.matrices import jacobians

        rows.deliver(program, lambda varied: blocks(jacobians(varied, of, wrt, stop or ()).blocks))
        return
    destination = Destination.chosen(format, precision, output)
    program = inputs.load(inputs.program_text())
    from gradcli.program.matrices import jacobians

    found = jacobians(program, of, wrt, stop or (), sparsity)
    from gradcli.report.matrices import Matrices

    destination.deliver(Matrices("jacobian", program.source.name, found.of, found.blocks, sparsity))
