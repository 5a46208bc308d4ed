"""``gradcli propagate``: the uncertainty of results from those of what they are computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gradcli.commands.endings import Command
from gradcli.commands.inputs import Inputs, program_options, standard_input
from gradcli.commands.options import (
    INPUT_FILE,
    named,
    output_options,
    settable_variables,
    several_names,
    split_outside_brackets,
    utf8,
)
from gradcli.commands.output import Destination
from gradcli.diagnostics import GradcliError

if TYPE_CHECKING:
    from gradcli.features.propagate.answer import Covariance

EPILOG = """\b
Examples:
  gradcli propagate model.expr --error 'x=0.1,y=2%'
  gradcli propagate model.expr --error 'p=[0.1, 0.2, 0.1]' --of area
  gradcli propagate model.expr --cov covariance.csv --monte-carlo 100000
  gradcli fit decay.expr --errors --cov c.csv --format expr |
    gradcli propagate --cov c.csv --of half_life

\b
Columns:
  error              of the first order: the root of gCg', with the gradient g
                     and the covariance C of the inputs
  second order       the same with the terms of the second derivatives, for
                     inputs that are normal
  shift of the mean  what curvature adds to the mean

A covariance is a CSV file with names in its first row and column, as `gradcli fit --cov` writes it.
"""


class Error(click.ParamType[tuple[tuple[str, str], ...]]):
    """``x=0.1,y=2%``."""

    name = "error"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        found = []
        for entry in split_outside_brackets(utf8(value)):
            name, equals, text = (part.strip() for part in entry.partition("="))
            name = named(name)
            if not equals or not text or not name.isidentifier():
                self.fail(f"{entry.strip()!r} is not of the form NAME=NUMBER or NAME=NUMBER%.", param, ctx)
            found.append((name, text))
        return tuple(found)


def _merged(_: click.Context, __: click.Parameter, given: tuple[Any, ...]) -> dict[str, str]:
    return {name: text for entries in given for name, text in entries}


@click.command("propagate", cls=Command, epilog=EPILOG)
@program_options
@several_names("--of", help="The results, in place of the program's outputs. Repeatable.")
@click.option(
    "--error",
    "errors",
    type=Error(),
    multiple=True,
    callback=_merged,
    metavar="NAME=NUMBER[%],...",
    shell_complete=settable_variables,
    help="Standard uncertainties of variables and constants: a number for all entries, one for each, or a part of the"
    " value. Repeatable.",
)
@click.option("--cov", type=INPUT_FILE, metavar="FILE", help="The covariance of variables and constants: see below.")
@click.option(
    "--monte-carlo",
    "draws",
    type=click.IntRange(2, 100_000_000),
    metavar="N",
    help="Draw N normal values of the inputs as well, as --random-seed says.",
)
@output_options
def command(
    inputs: Inputs,
    of: list[str] | None,
    errors: dict[str, str],
    cov: str | None,
    draws: int | None,
    format: str | None,
    precision: int | None,
    output: str | None,
) -> int:
    """Print each result with its standard uncertainty, and what each input contributes to it.

    FILE is a program; - or, in a pipe, nothing stands for standard input. Uncertainties are found by exact first and second
    derivatives. A remark says where the first order is not enough.
    """
    if not errors and cov is None:
        raise click.UsageError("No uncertainty is given: --error x=0.1,y=2% or --cov FILE.")
    destination = Destination.chosen(format, precision, output)
    text = inputs.program_text([cov])
    covariance = read_covariance(cov, inputs) if cov is not None else None
    covered = [name.partition("[")[0] for name in covariance.names] if covariance is not None else []
    program = inputs.load(text, (of, [*errors, *covered]))
    from gradcli.features.propagate.answer import deviation, propagate
    from gradcli.features.propagate.look import estimates
    from gradcli.program import answers, query

    given = {name: deviation(program, name, text) for name, text in errors.items()}
    names = list(dict.fromkeys(of)) if of is not None else query.printed(program)
    found = propagate(program, given, covariance, names, draws or 0)
    destination.deliver(estimates(found, answers.values(program, names), program.source.name))
    return 0


def read_covariance(path: str, inputs: Inputs) -> Covariance:
    """A covariance from a CSV file, or standard input, with names in its first row and column. Raises GradcliError (DataError)."""
    from gradcli.data import decode, read_bytes
    from gradcli.data.commas import csv_rows
    from gradcli.features.propagate.answer import Covariance

    data = standard_input(inputs.memory()) if path == "-" else read_bytes(path)
    rows = [row.fields for row in csv_rows(decode(data, path), path)]
    names = rows[0][1:] if rows else []
    below = [row[0] for row in rows[1:]]
    try:
        matrix = [[float(entry) for entry in row[1:]] for row in rows[1:]]
    except ValueError as problem:
        raise GradcliError("DataError", f"{path} is not a covariance: {problem}") from None
    if not names or below != names or any(len(row) != len(names) for row in matrix):
        raise GradcliError(
            "DataError", f"{path} is not a covariance: its first row and first column must hold the same names",
            help="`gradcli fit --errors --cov FILE` writes one: `,a,b`, `a,1,0.5`, `b,0.5,2`",
        )  # fmt: skip
    if len(set(names)) < len(names):
        raise GradcliError("DataError", f"{path} names an entry twice")
    return Covariance(names, matrix)
