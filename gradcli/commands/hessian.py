"""``gradcli hessian``: the second derivatives of a scalar, cross blocks included."""

from __future__ import annotations

import click

from gradcli.commands.endings import Command
from gradcli.commands.inputs import Inputs
from gradcli.commands.options import output_options, points_options, program_options, several_names
from gradcli.commands.output import Destination

EPILOG = """\b
Examples:
  gradcli hessian model.expr
  gradcli hessian model.expr --of 'loss' --wrt 'W,b' --format json
  gradcli hessian -e 'variable x = [1, 2]; y = x[0]^3 * x[1]'
  gradcli hessian model.expr --sparsity
  gradcli hessian model.expr --set 'x=[1, 2]' --output H.npz

\b
Formats:
  plain   one line 'NAME = LITERAL' a block, NAME as in d2y/dx1/dx2
  json    {"hessians": {"x1": {"x2": {"dtype": …, "shape": …, "value": …}}}}
  csv     x1,x2,index,value, the index along all axes of the block: 0;1
  npz     keys x1/x2
  With --sparsity: a line of stars and dots for each row; in json, under "patterns", the positions
  {"shape": …, "nonzero": …, "rows": …, "cols": …} in the block as a matrix; in csv x1,x2,row,col.
"""


@click.command("hessian", cls=Command, epilog=EPILOG)
@program_options
@several_names("--of", help="The scalar y, in place of the program's outputs; several add up. Repeatable.")
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
    """Print the second derivatives of a scalar output with respect to each pair of variables.

    FILE is a program; - or, in a pipe, nothing stands for standard input. The block of x1 and x2 has the shape of x1
    followed by that of x2. Its entries are zeros, never None. Seed lines play no part.
    """
    inputs = Inputs(file, inline, set_, values, dtype, random_seed, max_memory)
    if points is not None or skip_bad:
        from gradcli.commands.points import RowStream, blocks

        if sparsity:
            raise click.UsageError("--sparsity does not depend on values, and goes without --points.")
        rows = RowStream.chosen(points, skip_bad, format, precision, output)
        program = inputs.load(inputs.program_text([points]))
        from gradcli.program.matrices import hessians

        rows.deliver(program, lambda varied: blocks(hessians(varied, of, wrt, stop or ()).blocks))
        return
    destination = Destination.chosen(format, precision, output)
    program = inputs.load(inputs.program_text())
    from gradcli.program.matrices import hessians

    found = hessians(program, of, wrt, stop or (), sparsity)
    from gradcli.report.matrices import Matrices

    destination.deliver(Matrices("hessian", program.source.name, found.of, found.blocks, sparsity))
