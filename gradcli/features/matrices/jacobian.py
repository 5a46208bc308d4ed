"""``gradcli jacobian``: all derivatives of the entries of the ys by those of the xs."""

from __future__ import annotations

from typing import Any

import click

from gradcli.commands.endings import Command
from gradcli.commands.options import OUTPUT_FILE
from gradcli.features.matrices.command import answer, matrix_options

EPILOG = """\b
Examples:
  gradcli jacobian model.expr
  gradcli jacobian model.expr --of 'y' --wrt 'W*,b' --format json
  gradcli jacobian -e 'variable x = [1, 2]; y = [x[0]*x[1], x[0]^2]'
  gradcli jacobian model.expr --sparsity
  gradcli jacobian model.expr --set 'x=[1, 2]' --output J.npz
  gradcli jacobian model.expr --of residuals --sparse J.npz
  gradcli jacobian model.expr --trace --kinks
  gradcli jacobian model.expr --points rows.csv

\b
Formats:
  plain   one line 'NAME = LITERAL' a block, NAME as in dy/dx
  json    {"jacobians": {"y": {"x": {"dtype": …, "shape": …, "value": …}}}}
  csv     y,x,index,value, the index along all axes of the block: 0;1
  npz     keys y/x

With --sparsity there is a line of stars and dots for each row; in json, under
"patterns", are the positions in the block as a matrix, {"shape": …,
"nonzero": …, "rows": …, "cols": …}; in csv y,x,row,col.

The file of --sparse names its parts, too: of and wrt, and the row or column
at which each begins, of_starts and wrt_starts.
"""


@click.command("jacobian", cls=Command, epilog=EPILOG)
@matrix_options("The ys, in place of the program's outputs. Repeatable.")
@click.option(
    "--sparse", type=OUTPUT_FILE, metavar="FILE.npz",
    help="Write one matrix of all ys and xs for scipy.sparse.load_npz, in place of blocks: of programs that work row by"
    " row, at the cost of their longest rows.",
)  # fmt: skip
def command(**options: Any) -> int:
    """Print the Jacobian of each output of a program with respect to each of its variables.

    FILE is a program; - or, in a pipe, nothing stands for standard input. The block of y and x has the shape of y
    followed by that of x. Its entries are zeros where y does not depend on x, never None. Seed lines play no part.
    """
    return answer("jacobian", **options)
