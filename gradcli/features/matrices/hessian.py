"""``gradcli hessian``: the second derivatives of a scalar, cross blocks included."""

from __future__ import annotations

from typing import Any

import click

from gradcli.commands.endings import Command
from gradcli.features.matrices.command import answer, matrix_options

EPILOG = """\b
Examples:
  gradcli hessian model.expr
  gradcli hessian model.expr --of 'loss' --wrt 'W,b' --format json
  gradcli hessian -e 'variable x = [1, 2]; y = x[0]^3 * x[1]'
  gradcli hessian model.expr --sparsity
  gradcli hessian model.expr --set 'x=[1, 2]' --output H.npz
  gradcli hessian model.expr --trace --kinks
  gradcli hessian model.expr --points rows.csv

\b
Formats:
  plain   one line 'NAME = LITERAL' a block, NAME as in d2y/dx1/dx2
  json    {"hessians": {"x1": {"x2": {"dtype": …, "shape": …, "value": …}}}}
  csv     x1,x2,index,value, the index along all axes of the block: 0;1
  npz     keys x1/x2

With --sparsity there is a line of stars and dots for each row; in json, under
"patterns", are the positions in the block as a matrix, {"shape": …,
"nonzero": …, "rows": …, "cols": …}; in csv x1,x2,row,col.
"""


@click.command("hessian", cls=Command, epilog=EPILOG)
@matrix_options("The scalar y, in place of the program's outputs; several add up. Repeatable.")
def command(**options: Any) -> int:
    """Print the second derivatives of a scalar output with respect to each pair of variables.

    FILE is a program; - or, in a pipe, nothing stands for standard input. The block of x1 and x2 has the shape of x1
    followed by that of x2. Its entries are zeros, never None. Seed lines play no part.
    """
    return answer("hessian", **options)
