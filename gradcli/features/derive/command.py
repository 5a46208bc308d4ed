"""``gradcli derive``: derivatives as formulas."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import click

from gradcli.commands.endings import Command
from gradcli.commands.inputs import Inputs, program_options, question_options, value_of
from gradcli.commands.options import Orders, file_option, precision_option, refuse, settings_option
from gradcli.commands.output import send

if TYPE_CHECKING:
    from gradcli.commands.inputs import Value
    from gradcli.features.derive.derivatives import Kind

EPILOG = """\b
Examples:
  gradcli derive model.expr
  gradcli derive model.expr --wrt 'W*,b' | gradcli eval
  gradcli derive -e 'variable x = 2.0; y = sin(x^2)*exp(x)' --order 2
  gradcli derive -e 'variable x = [1.0, 2.0]; y = x[0]^2*x[1]' --hessian
  gradcli derive -e 'variable x = 0.0; y = exp(sin(x))' --taylor 4
  gradcli derive -e 'variable x = 2.0; a = sin(x); y = a*exp(a)' --name-parts 0
  gradcli derive -e 'variable x = 2.0; y = (x^2 - 1)^3' --factor
  gradcli derive model.expr --format python --output gradient.py
  gradcli derive -e 'variable x = 2.0; y = sin(x)/x' --format latex
  gradcli derive -e 'variable x = 2.0; y = sin(x)/x' --steps
"""


@click.command("derive", cls=Command, epilog=EPILOG)
@program_options
@question_options
@click.option("--order", "orders", type=Orders(), metavar="N|A..B",
              help="Differentiate N times, by default once; or write the orders A to B. 0 is the outputs themselves, derivatives in them worked out.")  # fmt: skip
@click.option("--jacobian", is_flag=True, help="Each output by each variable, as `gradcli jacobian` evaluates it.")
@click.option(
    "--hessian", is_flag=True, help="The second derivatives of a scalar, as `gradcli hessian` evaluates them."
)
@click.option("--jvp", is_flag=True, help="Each output along a direction: a constant dx for each x, or --tangent.")
@click.option("--taylor", type=click.IntRange(0, 100), metavar="N",
              help="The Taylor polynomial of degree N of each output about the variables, in a constant dx for each x.")  # fmt: skip
@settings_option(
    "--tangent", help="With --jvp or --taylor: the direction of an x, which then are the only ones. Repeatable."
)
@click.option("--name-parts", type=click.IntRange(min=0), metavar="N",
              help="Name at most N intermediate results; 0 writes each derivative as one formula.")  # fmt: skip
@click.option("--entries/--arrays", default=None,
              help="Write arrays entry by entry, as far as formulas do so, or as arrays; by default small ones as is shorter.")  # fmt: skip
@click.option("--expand", is_flag=True, help="Multiply out: sums of products, as far as that keeps the values.")
@click.option("--factor", is_flag=True, help="Write products of irreducible factors over one denominator.")
@click.option(
    "--format",
    "format",
    type=click.Choice(["expr", "latex", "python", "jax", "c"]),
    default="expr",
    show_default=True,
    help="A program of the language, formulas for LaTeX, a NumPy or a JAX module, or a function of C99.",
)
@click.option("--steps", is_flag=True, help="Show how the derivative is found, rule by rule: as text, or for LaTeX.")
@precision_option
@file_option
def command(
    inputs: Inputs,
    of: list[str] | None,
    wrt: list[str] | None,
    orders: range | None,
    heads: dict[str, Value],
    stop: list[str],
    jacobian: bool,
    hessian: bool,
    jvp: bool,
    taylor: int | None,
    tangent: dict[str, str],
    name_parts: int | None,
    entries: bool | None,
    expand: bool,
    factor: bool,
    format: str,
    steps: bool,
    precision: int | None,
    output: str | None,
) -> None:
    """Print the derivatives of the outputs of a program as formulas, simplified.

    FILE is a program; - or, in a pipe, nothing stands for standard input. The answer is a program in the language again,
    whose outputs are the gradients that `gradcli grad` would evaluate; a gradient that is None is a name that holds
    None, and an output only where all are. Differentiated once more it has the values, and the None, of the next order.
    """
    kind = _kind({"jacobian": jacobian, "hessian": hessian, "jvp": jvp, "taylor": taylor is not None})
    is_matrix_or_direction = kind != "gradient"
    form: Literal["expanded", "factored"] | None = "expanded" if expand else "factored" if factor else None
    refuse(
        (is_matrix_or_direction and orders is not None, f"--{kind} goes without --order."),
        (is_matrix_or_direction and heads, f"--{kind} goes without --seed."),
        (is_matrix_or_direction and steps, f"--{kind} goes without --steps."),
        (tangent and (kind not in ("jvp", "taylor") or wrt), "--tangent is for --jvp and --taylor, in place of --wrt."),
        (expand and factor, "--expand and --factor exclude each other."),
    )
    orders = range(1, 2) if orders is None else orders
    if steps:
        _check_steps(format, orders, entries, precision, form, name_parts)
    refuse(
        (not orders[-1] and (wrt or heads), "--order 0 writes the outputs themselves: leave out --wrt and --seed."),
    )
    program = inputs.load(inputs.program_text())
    from gradcli.features.derive.look import written

    tangents = {name: value_of("--tangent", name, value) for name, value in tangent.items()}
    degree = orders if taylor is None else taylor
    folder = os.path.dirname(output or "")
    text = written(
        program, of, wrt, degree, heads, stop, format, steps, kind, tangents, name_parts, entries, precision, folder,
        form,
    )  # fmt: skip
    send([text], output)


def _kind(asked: dict[Kind, bool]) -> Kind:
    """The kind of derivatives that is asked for: gradients, if no other is."""
    kinds = [kind for kind, is_asked in asked.items() if is_asked]
    if len(kinds) > 1:
        raise click.UsageError(f"--{kinds[0]} and --{kinds[1]} exclude each other.")
    return kinds[0] if kinds else "gradient"


def _check_steps(
    format: str,
    orders: range,
    entries: bool | None,
    precision: int | None,
    form: Literal["expanded", "factored"] | None,
    name_parts: int | None,
) -> None:
    """Raise click.UsageError for options that contradict ``--steps``."""
    given = "expand" if form == "expanded" else "factor"
    refuse(
        (format not in ("expr", "latex"), f"--steps is text or LaTeX: leave out --format {format}."),
        (orders != range(1, 2), "--steps shows one pass: leave out --order, or derive the result again."),
        (entries is not None, "--steps shows arrays: leave out --entries and --arrays."),
        (precision is not None, "--steps shows how formulas come about: leave out --precision."),
        (form, f"--steps shows rules as they are: leave out --{given}."),
        (name_parts is not None, "--steps names each part: leave out --name-parts."),
    )
