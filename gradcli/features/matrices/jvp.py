"""``gradcli jvp``: derivatives along a direction, by forward mode."""

from __future__ import annotations

import click

from gradcli.commands.endings import Command
from gradcli.commands.inputs import Inputs, backend_options, program_options, stop_option, value_of
from gradcli.commands.options import RowOptions, output_options, points_options, settings_option, several_names
from gradcli.commands.output import Destination

EPILOG = """\b
Examples:
  gradcli jvp model.expr --tangent 'x=[1, 0]'
  gradcli jvp model.expr --tangent 'W=@step.npy' --tangent 'b=0.5' --of 'loss'
  gradcli jvp model.expr --tangent 'x=1' --points rows.csv
  gradcli jvp -e 'variable x = [1, 2]; y = x^2' --tangent 'x=1' --format json

Formats are those of eval, with the tangent of y in place of the value of y.
"""


@click.command("jvp", cls=Command, epilog=EPILOG)
@program_options
@backend_options
@settings_option(
    "--tangent",
    help="The direction of an x: an array of its shape, or a scalar for all of its entries. Repeatable, several add up.",
)
@several_names("--of", help="The ys, in place of the program's outputs. Repeatable.")
@stop_option
@points_options
@output_options
def command(
    inputs: Inputs,
    tangent: dict[str, str],
    of: list[str] | None,
    stop: list[str] | None,
    rows: RowOptions,
    format: str | None,
    precision: int | None,
    output: str | None,
) -> None:
    """Print the derivatives of the outputs of a program along a direction: the Jacobian times a vector.

    FILE is a program; - or, in a pipe, nothing stands for standard input. No matrix is built: the cost is that of a few
    evaluations. A y that depends on none of the xs has the tangent 0. Seed lines play no part.
    """
    if rows.given:
        from gradcli.features.points.command import RowStream

        stream = RowStream.chosen(rows, format, precision, output)
    else:
        destination = Destination.chosen(format, precision, output)
    if not tangent:
        raise click.UsageError("There is no direction: give --tangent 'x=1'.")
    text = inputs.program_text([rows.points])
    directions = {name: value_of("--tangent", name, value) for name, value in tangent.items()}
    program = inputs.load(text, (of, [*tangent, *(stop or ())]))
    from gradcli.features.matrices.answer import tangents_of

    if rows.given:
        from gradcli.features.points.varied import named

        stream.deliver(program, lambda varied: named(tangents_of(varied, directions, of, stop or ())))
        return
    results = tangents_of(program, directions, of, stop or ())
    from gradcli.report.reply import Reply

    destination.deliver(Reply("jvp", program.source.name, [(0, results)], list(directions)))
