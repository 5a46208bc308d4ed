"""``gradcli grad``: gradients of a program's outputs, with the semantics of tf.gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gradcli.commands.endings import Command
from gradcli.commands.inputs import (
    Inputs,
    ProgramText,
    backend_options,
    entries_for,
    program_options,
    question_options,
    read_value_file,
    variables_apart,
)
from gradcli.commands.notes import Notes
from gradcli.commands.options import INPUT_FILE, Orders, RowOptions, output_options, points_options, profile_option
from gradcli.commands.output import Destination
from gradcli.diagnostics import GradcliError
from gradcli.features.trace.command import Watch, watching_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradcli.commands.inputs import Value
    from gradcli.data.memory import Memory
    from gradcli.features.trace.answer import Traced
    from gradcli.program.answers import GradReply
    from gradcli.program.loaded import Loaded
    from gradcli.program.query import Unconnected
    from gradcli.results import Kink

EPILOG = """\b
Examples:
  gradcli grad model.expr
  gradcli grad model.expr --of 'loss' --wrt 'W*,b'
  gradcli grad model.expr --set 'x=[1, 2]' --seed 'y=[0, 1]' --stop 'h'
  gradcli grad -e 'variable x = 2; y = x^3' --order 3 --every-order
  gradcli grad late.expr --format json | gradcli grad early.expr --seeds -
  gradcli grad model.expr --points - --format json < rows.ndjson
  gradcli grad model.expr --order 2 --trace --kinks
"""


@click.command("grad", cls=Command, epilog=EPILOG)
@program_options
@backend_options
@question_options
@click.option(
    "--order", "orders", type=Orders(least=1), default="1", show_default=True, metavar="N|A..B",
    help="Differentiate N times; or show the orders A to B.",
)  # fmt: skip
@click.option("--every-order", is_flag=True, help="Show all orders up to --order.")
@click.option(
    "--seeds",
    type=INPUT_FILE,
    metavar="FILE|-",
    help="Head gradients by name, in the same files as --values; the ys are the names that have one."
    " --seed wins over it.",
)
@click.option(
    "--unconnected",
    type=click.Choice(["none", "zero", "error"]),
    default="none",
    show_default=True,
    help="What an x that no y depends on gets.",
)
@watching_options
@points_options
@profile_option
@output_options
def command(
    inputs: Inputs,
    of: list[str] | None,
    wrt: list[str] | None,
    orders: range,
    every_order: bool,
    heads: dict[str, Value],
    seeds: str | None,
    stop: list[str],
    unconnected: Unconnected,
    trace: bool,
    kinks: bool,
    rows: RowOptions,
    profile: bool,
    format: str | None,
    precision: int | None,
    output: str | None,
) -> int:
    """Print the gradients of the outputs of a program with respect to its variables.

    FILE is a program; - or, in a pipe, nothing stands for standard input. Several ys add up; a non-scalar y is summed.
    The gradient is None where no differentiable path leads from x to any y.
    """
    if every_order:
        orders = range(1, orders[-1] + 1)
    every_order = every_order or len(orders) > 1
    many = rows.given
    notes = Notes(inputs.quiet, format in ("json", "ndjson"))
    watch = Watch(trace, kinks, notes.json, notes.quiet)
    if profile:
        from gradcli.features.profile import command as profiling

        watch.refuse_beside("--profile")
        profiling.check(format, output, rows.points)
    elif many:
        watch.refuse_beside("--points")
        from gradcli.features.points.command import RowStream
        from gradcli.features.points.varied import named

        stream = RowStream.chosen(rows, format, precision, output)
    else:
        destination = Destination.chosen(format, precision, output)
    text = inputs.program_text([seeds, rows.points])
    if seeds is not None:
        read = _heads(seeds, inputs.memory(), text, of)
        of = list(read)
        heads = read | heads
    program = inputs.load(text, (of, [*variables_apart(wrt), *stop, *heads]))

    from gradcli.program import answers

    def ask(program: Loaded) -> GradReply:
        found = answers.gradients(
            program,
            of,
            wrt,
            orders[-1],
            seeds=heads,
            stop=stop,
            unconnected=unconnected,
            every_order=every_order,
            plain=True,
        )
        return found._replace(orders=[(n, results) for n, results in found.orders if n in orders])

    if profile:
        profiling.deliver(program, ask, "grad", format)
        return 0
    if many:
        stream.deliver(
            program,
            lambda varied: [
                item
                for n, results in ask(varied).orders
                for item in named(results, f"order{n}/" if every_order else "")
            ],
        )
        return 0
    if watch.found(lambda: _traced(program, of, wrt, orders, heads, stop)):
        return 1
    reply = ask(program)
    from gradcli.report.reply import Reply

    destination.deliver(Reply("grad", program.source.name, reply.orders, reply.of, every_order, reply.summed))
    results = [result for _, group in reply.orders for result in group]
    notes.chosen(program, of, reply.of)
    notes.unconnected(results, destination)
    notes.integers(program, results)
    watch.finish(results, lambda: _kinks(program, of, wrt, stop))
    return 0


def _traced(
    program: Loaded,
    of: list[str] | None,
    wrt: list[str] | None,
    orders: Iterable[int],
    heads: dict[str, Value],
    stop: list[str],
) -> Traced | None:
    from gradcli.features.trace.answer import trace_gradients

    return trace_gradients(program, of, wrt, orders, seeds=heads, stop=stop)


def _kinks(program: Loaded, of: list[str] | None, wrt: list[str] | None, stop: list[str]) -> list[Kink]:
    from gradcli.program.kinks import of_gradients

    return of_gradients(program, of, wrt, stop)


def _heads(path: str, memory: Memory, text: ProgramText, of: list[str] | None) -> dict[str, Value]:
    """The head gradients in a file, restricted to ``of`` if that is given."""
    from gradcli.commands.names import bound

    heads = entries_for(read_value_file(path, memory), lambda: bound(text.text), path, "seeds")
    if not heads:
        source = "<stdin>" if path == "-" else path
        raise GradcliError("DataError", f"{source} has no head gradient, so there is nothing to differentiate")
    if of is None:
        return heads
    unknown = [name for name in of if name not in heads]
    if unknown:
        raise click.UsageError(
            f"--of names {', '.join(unknown)}, but the ys are the names in --seeds: {', '.join(heads)}."
        )
    return {name: heads[name] for name in of}
