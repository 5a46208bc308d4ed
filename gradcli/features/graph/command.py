"""``gradcli graph``: a program, and its gradient beside it, as a drawing."""

from __future__ import annotations

import shutil
import sys

import click

from gradcli.commands.endings import Command, is_terminal, stream_has_color
from gradcli.commands.inputs import Inputs, program_options, stop_option
from gradcli.commands.options import file_option, precision_option, several_names
from gradcli.commands.output import send

EPILOG = """\b
Examples:
  gradcli graph model.expr
  gradcli graph model.expr --of 'loss' --gradient 'W*,b' --stop 'h'
  gradcli graph model.expr --depth 1 --format dot | dot -Tsvg -o model.svg
  gradcli graph -e 'variable x = 2; y = x^3' --gradient x --format mermaid
  gradcli graph model.expr --format html -o model.html
  gradcli graph model.expr --numbers

In a box, · stands for an operand that has no name. Dashed: no gradient
passes. In a tree, ↑ marks what is drawn above, and ↓ what goes on below.
"""


@click.command("graph", cls=Command, epilog=EPILOG)
@program_options
@several_names("--of", help="Draw only what these need; with --gradient the ys, in place of the outputs. Repeatable.")
@several_names(
    "--wrt", "--gradient", "gradient", help="Draw the gradients by these beside it; * matches variables. Repeatable."
)
@stop_option
@click.option(
    "--numbers", is_flag=True,
    help="Write into each box its value, and the gradient of the outputs by it; --of names others.",
)  # fmt: skip
@click.option(
    "--depth", type=click.IntRange(0, 1000), default=0, show_default=True, metavar="N",
    help="Open calls of functions and of gradients down to N calls in each other; by default each is one box.",
)  # fmt: skip
@click.option(
    "--most", type=click.IntRange(1, 1_000_000), default=200, show_default=True, metavar="N",
    help="Summarise what would be more than N boxes.",
)  # fmt: skip
@click.option(
    "--format", "format", type=click.Choice(["tree", "dot", "mermaid", "json", "html"]), default="tree", show_default=True,
    help="Form of the drawing: html is a page of its own, with values, to unfold, to search and to play step by step.",
)  # fmt: skip
@precision_option
@file_option
def command(
    inputs: Inputs,
    of: list[str] | None,
    gradient: list[str] | None,
    stop: list[str] | None,
    numbers: bool,
    depth: int,
    most: int,
    format: str,
    precision: int | None,
    output: str | None,
) -> None:
    """Draw a program as a graph: as a tree, or for Graphviz (dot) or Mermaid.

    FILE is a program; - or, in a pipe, nothing stands for standard input. Each box is an operation with its shape and
    dtype; the call of a function is one box. With --gradient the operations of the backward pass stand beside it.
    """
    program = inputs.load(inputs.program_text())
    from gradcli.features.graph import look as graphs
    from gradcli.features.graph.answer import picture

    if format == "html":
        from gradcli.features.graph.page import LARGEST, render_page

        drawn = picture(program, of, None, stop or (), 1000, min(most, LARGEST), True, precision)
        send([render_page(drawn, program.source)], output, verbatim=True)
        return
    drawn = picture(program, of, gradient, stop or (), depth, most, numbers, precision)
    name = program.source.name
    if format == "json":
        text = graphs.render_json(drawn, name)
    elif format == "dot":
        text = graphs.render_dot(drawn, name)
    elif format == "mermaid":
        text = graphs.render_mermaid(drawn, name)
    else:
        terminal = output is None and is_terminal(sys.stdout)
        encoding = (sys.stdout.encoding or "ascii").lower() if terminal else "utf-8"
        width = shutil.get_terminal_size().columns if terminal else None
        from gradcli.features.graph import trees

        color = terminal and stream_has_color(sys.stdout)
        text = trees.render_tree(drawn, color, encoding.startswith("utf"), width)
    send([text], output)
