"""``gradcli eval``: the values of a program's outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gradcli.commands.endings import Command
from gradcli.commands.inputs import Inputs, backend_options, program_options
from gradcli.commands.notes import Notes
from gradcli.commands.options import RowOptions, output_options, points_options, profile_option, several_names
from gradcli.commands.output import Destination
from gradcli.features.trace.command import Watch, watching_options

if TYPE_CHECKING:
    from gradcli.features.trace.answer import Traced
    from gradcli.program.loaded import Loaded
    from gradcli.results import Kink

EPILOG = """\b
Examples:
  gradcli eval model.expr
  gradcli eval model.expr --of 'loss,accuracy' --format json
  gradcli eval model.expr --set 'x=[1, 2]' --set 'w=@weights.npy'
  gradcli eval -e 'y = sqrt(2) * [1, 2, 3]'
  echo 'y = 1/3' | gradcli eval --precision 3
  gradcli eval model.expr --points rows.csv > results.csv
  gradcli eval model.expr --profile
  gradcli eval model.expr --trace
"""


@click.command("eval", cls=Command, epilog=EPILOG)
@program_options
@backend_options
@several_names("--of", help="The names to print, in place of the program's outputs. Repeatable.")
@watching_options
@points_options
@profile_option
@output_options
def command(
    inputs: Inputs,
    of: list[str] | None,
    trace: bool,
    kinks: bool,
    rows: RowOptions,
    profile: bool,
    format: str | None,
    precision: int | None,
    output: str | None,
) -> int:
    """Print the values of the outputs of a program.

    FILE is a program; - or, in a pipe, nothing stands for standard input. Without an output line every definition is
    printed.
    """
    from gradcli.program import answers

    notes = Notes(inputs.quiet, format in ("json", "ndjson"))
    watch = Watch(trace, kinks, notes.json, notes.quiet)
    if profile:
        from gradcli.features.profile import command as profiling

        watch.refuse_beside("--profile")
        profiling.check(format, output, rows.points)
        program = inputs.load(inputs.program_text(), (of, ()))
        profiling.deliver(program, lambda program: answers.values(program, of, plain=True), "eval", format)
        return 0
    if rows.given:
        watch.refuse_beside("--points")
        from gradcli.features.points.command import RowStream
        from gradcli.features.points.varied import named

        stream = RowStream.chosen(rows, format, precision, output)
        stream.deliver(
            inputs.load(inputs.program_text([rows.points]), (of, ())), lambda varied: named(answers.values(varied, of))
        )
        return 0
    destination = Destination.chosen(format, precision, output)
    program = inputs.load(inputs.program_text(), (of, ()))
    if watch.found(lambda: _traced(program, of)):
        return 1
    results = answers.values(program, of, plain=True)
    from gradcli.report.reply import Reply

    alone = [result.name for result in results] == [program.answer]
    destination.deliver(Reply("eval", program.source.name, [(0, results)], alone=alone))
    notes.unconnected(results, destination)
    watch.finish(results, lambda: _kinks(program, of))
    return 0


def _traced(program: Loaded, of: list[str] | None) -> Traced | None:
    from gradcli.features.trace.answer import trace_values

    return trace_values(program, of)


def _kinks(program: Loaded, of: list[str] | None) -> list[Kink]:
    from gradcli.program.kinks import of_values

    return of_values(program, of)
