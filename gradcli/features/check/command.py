"""``gradcli check``: gradients by reverse mode against other methods."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import click

from gradcli.commands.endings import Command, is_terminal, report_failure
from gradcli.commands.inputs import (
    Inputs,
    backend_options,
    entries_for,
    program_options,
    read_value_file,
    value_of,
    variables_apart,
    xs_option,
    ys_option,
)
from gradcli.commands.notes import Notes
from gradcli.commands.options import INPUT_FILE, Finite, Orders, file_option, precision_option, settings_option
from gradcli.commands.output import screen, send
from gradcli.diagnostics import GradcliError
from gradcli.report.quoting import visible

EPILOG = """\b
Examples:
  gradcli check model.expr
  gradcli check model.expr --of 'loss' --wrt 'W*,b' --order 1
  gradcli check model.expr --set 'x=[1, 2]' --directions 10 --tolerance 1e-8
  gradcli check model.expr --claim 'W=my_dW' --of loss
  gradcli check model.expr --against torch_grads.npz

\b
Methods:
  forward      forward mode along each entry or direction;
               at order 2 forward over reverse
  series       at order 2 one reverse pass over the series of the sum,
               against two reverse passes
  differences  central differences in 200 digits of small programs, which
               show slopes of any size (pip install 'gradcli[check]');
               else those of falling steps, extrapolated;
               at order 2 those of gradients

At order 1 an entry is a derivative; at order 2 it is one of the Hessian times
a random direction.
"""


class CheckedOrders(Orders):
    """Orders of derivatives, and ``both``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:
        return super().convert("1..2" if value == "both" else value, param, ctx)


@click.command("check", cls=Command, epilog=EPILOG)
@partial(program_options, several=True)
@backend_options
@ys_option
@xs_option
@settings_option(
    "--claim",
    help="Compare only the gradient by NAME with that node of the program, or an array from a file, entry by entry."
    " Repeatable.",
    metavar="NAME=NODE|@FILE",
)
@click.option(
    "--against",
    type=INPUT_FILE,
    metavar="FILE|-",
    help="Compare only with the gradients in a file, entry by entry: .npz, .json or .csv, by name, as `gradcli grad"
    " --output` and others write them.",
)
@click.option(
    "--tolerance",
    type=Finite(min=0, min_open=True),
    metavar="T",
    help="Largest relative error: beside what the program's rounding makes; by default 1e-6, 1e-9 for differences in 200"
    " digits, or 1e-2 where a declaration says float32 (1e-3 for gradients that are given).",
)
@click.option(
    "--directions",
    type=click.IntRange(1, 10_000),
    metavar="K",
    help="Check along K random directions; by default 5 for variables of more than 50 entries, and 3 at order 2.",
)
@click.option("--every-entry", is_flag=True, help="Check order 1 entry by entry, however large a variable is.")
@click.option(
    "--order", "orders", type=CheckedOrders(least=1, most=2), default="both", show_default=True, metavar="N|A..B",
    help="What to check: 1, 2 or both.",
)  # fmt: skip
@click.option(
    "--format",
    "format",
    type=click.Choice(["table", "plain", "json"]),
    help="Form of the results; by default a table on a terminal and plain in a pipe.",
)
@precision_option
@file_option
def command(
    inputs: list[Inputs],
    of: list[str] | None,
    wrt: list[str] | None,
    claim: dict[str, str],
    against: str | None,
    tolerance: float | None,
    directions: int | None,
    every_entry: bool,
    orders: range,
    format: str | None,
    precision: int | None,
    output: str | None,
) -> int:
    """Compare the gradients of a program with forward mode, with series and with differences, at orders 1 and 2.

    FILE is a program, a folder all those in it; - or, in a pipe, nothing stands for standard input. Each line is the
    entry where a variable's gradient differs most from what the method gives. On a kink, such as abs at 0, differences
    from both sides disagree; a gradient that lies between them is not a failure there. With --claim and --against, what you
    have found yourself is compared. The exit status is 1 if anything FAILED.
    """
    if every_entry and directions is not None:
        raise click.UsageError("--every-entry and --directions exclude each other.")
    if (claim or against is not None) and (wrt or every_entry or directions is not None):
        raise click.UsageError(
            "--claim and --against say what is compared: leave out --wrt, --directions, --every-entry."
        )
    if format is None:
        as_json = output is not None and output.lower().endswith(".json")
        format = "json" if as_json else "table" if output is None and is_terminal(sys.stdout) else "plain"
    drawn = format == "table" and output is None and is_terminal(sys.stdout)
    texts: list[str] = []
    passed = True
    for one in inputs:
        try:
            text, holds = (
                _claimed(one, of, claim, against, tolerance, format, precision, drawn)
                if claim or against is not None
                else _checked(
                    one, of, wrt, (tolerance, directions, every_entry, tuple(orders)), format, precision, drawn
                )
            )
        except GradcliError as problem:
            if len(inputs) == 1:
                raise
            # The other files are checked all the same.
            report_failure(problem, as_json=format == "json")
            passed = False
            continue
        passed &= holds
        texts.append((f"{visible(str(one.file))}\n" if len(inputs) > 1 and format != "json" else "") + text)
    send(texts if format == "json" else ["\n".join(texts)], output)
    return 0 if passed else 1


def _checked(
    inputs: Inputs,
    of: list[str] | None,
    wrt: list[str] | None,
    settings: tuple[float | None, int | None, bool, tuple[int, ...]],
    format: str,
    precision: int | None,
    drawn: bool,
) -> tuple[str, bool]:
    """What the methods give for one program, and whether all agree."""
    program = inputs.load(inputs.program_text(), (of, variables_apart(wrt)))
    from gradcli.features.check import look
    from gradcli.features.check.answer import Settings, check

    checked = check(program, of, wrt, Settings(*settings))
    if format == "json":
        return look.render_json(checked, program.source.name), checked.passed
    text = look.render_table(checked, screen(), precision) if drawn else look.render(checked, precision)
    return text, checked.passed


def _claimed(
    inputs: Inputs,
    of: list[str] | None,
    claim: dict[str, str],
    against: str | None,
    tolerance: float | None,
    format: str,
    precision: int | None,
    drawn: bool,
) -> tuple[str, bool]:
    """How gradients that are given compare with those of a program, and whether all are right."""
    text = inputs.program_text([against])
    program = inputs.load(text)
    import numpy as np

    from gradcli.features.check import claims, look

    given: dict[str, Any] = {}
    if against is not None:
        from gradcli.commands.names import bound

        read = entries_for(
            read_value_file(against, inputs.memory()), lambda: bound(text.text), against, "has a gradient for"
        )
        for name, value in read.items():
            if isinstance(value, str):
                raise GradcliError("DataError", f"{against} has an expression for `{name}`, and no number")
            given[name] = np.asarray(value)
        if not given:
            raise GradcliError("DataError", f"{against} has no gradients")
    given |= {n: np.asarray(value_of("--claim", n, text)) for n, text in claim.items() if text.startswith("@")}
    own = {name: node for name, node in claim.items() if not node.startswith("@")}
    given |= claims.nodes(program, own)
    if of is None and own and not program.graph.outputs:
        rest = [name for name in program.graph.definitions if name not in own.values()]
        of = rest[-1:] or None  # what is claimed is not what the claim is about
        if len(rest) > 1:
            notes = Notes(inputs.quiet, format == "json")
            notes.say(f"{rest[-1]} is differentiated, the last definition that is not claimed: --of names another")
    found = claims.claims(program, of, given, tolerance)
    if format == "json":
        shown = look.render_claims_json(found, program.source.name)
    else:
        shown = look.render_claims(found, screen() if drawn else None, precision)
    return shown, all(c.holds for c in found)
