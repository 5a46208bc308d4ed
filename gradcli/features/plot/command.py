"""``gradcli plot``: functions and their derivatives as curves, functions of two variables as contours, losses of fits."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from gradcli.commands.endings import Command, is_terminal, stream_has_color
from gradcli.commands.inputs import Inputs, ProgramText, backend_options, program_options
from gradcli.commands.options import (
    INPUT_FILE,
    OUTPUT_FILE,
    Orders,
    ends_of_range,
    listed_names,
    named,
    refuse,
    settable_names,
    several_names,
    utf8,
)
from gradcli.commands.output import write
from gradcli.features.plot.files import is_picture, missing
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.features.plot.answer import Curves, Field, Variable
    from gradcli.program.loaded import Loaded

EPILOG = """\b
Examples:
  gradcli plot -e 'variable x = 0; y = x*sin(x)' --x 'x=-2*pi:2*pi'
  gradcli plot model.expr --x 'x=-3:3' --order 3 --of 'y' --output y.svg
  gradcli plot model.expr --x 'w[0]=-1:1' --x 'w[1]=-1:1' --of 'loss'
  gradcli plot model.expr --x 't=0:9' --data 'times,counts' --order 0
  gradcli plot model.expr --points t,y,sigma --line t,fit --band low,high
  gradcli plot --history h.ndjson --of 'loss,gnorm' --output loss.png

What is not finite leaves a gap, and jumps are not joined. Without --output
the plot is of Unicode characters, in a pipe too, there without color; it has
the size of the terminal, or that of COLUMNS and LINES.
"""

MOST_CURVES = 20
LARGEST = 50
"""Inches of a picture: at this size it has 200 MB of dots."""


class Range(NamedTuple):
    """``--x NAME=LOW:HIGH``, or of an entry: ``NAME[0,1]=LOW:HIGH``; the bounds are expressions."""

    name: str
    entry: tuple[int, ...] | None
    low: str
    high: str


class Content(NamedTuple):
    """What is drawn. ``groups`` are the names of arrays that are drawn together, each with ``line``, ``points`` or ``band``."""

    ranges: tuple[Range, ...]
    of: list[str] | None
    orders: range | None
    data: list[str] | None
    groups: list[tuple[str, list[str]]]
    samples: int | None
    log: str | None


class RangeType(click.ParamType[Range]):
    name = "range"
    LEFT = re.compile(r"(\w+)\s*(?:\[\s*([-+]?\d+(?:\s*,\s*[-+]?\d+)*)\s*,?\s*\])?")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Range:
        if isinstance(value, Range):
            return value
        left, equals, right = named(value).partition("=")
        low, high = ends_of_range(right) or ("", "")
        match = self.LEFT.fullmatch(left.strip())
        if not equals or not low or not high:
            self.fail(f"{value!r} is not of the form NAME=LOW:HIGH, such as x=-3:3 or x=-3..3.", param, ctx)
        if match is None or not match[1].isidentifier():
            self.fail(f"{left.strip()!r} is neither a name nor an entry such as w[0].", param, ctx)
        return Range(match[1], tuple(map(int, match[2].split(","))) if match[2] else None, low, high)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        return settable_names(ctx, incomplete, leaves=True)


class PlotOrders(Orders):
    """``N``, which is 0 to N, or ``A..B``; as many as there is room for curves."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:
        orders = super().convert(value, param, ctx)
        if len(orders) > MOST_CURVES:
            self.fail(f"{value!r} would be {len(orders)} curves; the most are {MOST_CURVES}.", param, ctx)
        return orders


class GroupType(click.ParamType[list[str]]):
    """``x,y``: names of arrays that are drawn together."""

    name = "names"

    def __init__(self, *counts: int) -> None:
        self.counts = counts

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        if isinstance(value, list):
            return value
        names = [named(name.strip()) for name in value.split(",")]
        if len(names) not in self.counts or not all(name.isidentifier() for name in names):
            counts = " or ".join(map(str, self.counts))
            self.fail(f"{value!r} is not {counts} names, such as {','.join('xyzw'[: self.counts[0]])}.", param, ctx)
        return names

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        return listed_names(ctx, param, incomplete)


class LimitsType(click.ParamType[tuple[float, float]]):
    """``LOW:HIGH`` or ``LOW..HIGH``, two numbers."""

    name = "limits"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        try:
            low, high = map(float, ends_of_range(value) or ())
        except ValueError:
            self.fail(f"{value!r} is not of the form LOW:HIGH, such as -1:2.5.", param, ctx)
        if not (abs(low) < 1e100 and abs(high) < 1e100 and low < low + (high - low) / 2 < high):
            self.fail(f"{value!r} is not a range: it must be finite and go upwards.", param, ctx)
        return low, high


class SizeType(click.ParamType[tuple[float, float]]):
    """``7.2x4.5``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        try:
            width, height = map(float, value.lower().replace("×", "x").split("x"))
        except ValueError:
            self.fail(f"{value!r} is not of the form WIDTHxHEIGHT, such as 7x4.5.", param, ctx)
        if not (0 < width <= 1000 and 0 < height <= 1000):
            self.fail(f"{value!r} is not a size: both are above 0, and at most 1000.", param, ctx)
        return width, height


@click.command("plot", cls=Command, epilog=EPILOG)
@program_options
@backend_options
@click.option(
    "--x", "ranges", type=RangeType(), multiple=True, metavar="NAME=LOW:HIGH",
    help="The variable or constant, or its entry 'w[0]', that runs through a range. Twice: contours over two of them.",
)  # fmt: skip
@several_names(
    "--of", help="What is drawn, in place of the program's outputs; of a history the keys, by default loss. Repeatable."
)
@click.option(
    "--order", "orders", type=PlotOrders(first=0), metavar="N|A..B",
    help="Draw derivatives up to order N, or those of orders A to B only; by default 1, the function and its first"
    " derivative. Over two variables 0 leaves the gradient out.",
)  # fmt: skip
@several_names(
    "--data",
    help="Data of the program as dots: the names of x and y, or of one array with both as columns; over two variables"
    " perhaps of a class, too. Repeatable.",
)
@click.option(
    "--line", "lines", type=GroupType(2), multiple=True, metavar="X,Y",
    help="Two arrays of the program as a line, alone or above the curves of --x. Repeatable.",
)  # fmt: skip
@click.option(
    "--points", type=GroupType(2, 3), multiple=True, metavar="X,Y[,ERROR]",
    help="Arrays as points, perhaps with error bars. Repeatable.",
)  # fmt: skip
@click.option(
    "--band", "bands", type=GroupType(2, 3), multiple=True, metavar="[X,]LOWER,UPPER",
    help="A band between two arrays, by default above the x of the first --line or --points. Repeatable.",
)  # fmt: skip
@click.option("--history", type=INPUT_FILE, metavar="FILE|-",
              help="Draw the loss of a fit by step, from what `gradcli fit --history` wrote, in place of a program.")  # fmt: skip
@click.option(
    "--samples", type=click.IntRange(2, 1_000_000), metavar="N",
    help="Points along each --x; by default 400 for a curve, 120 for contours, and as many as a terminal shows.",
)  # fmt: skip
@click.option(
    "--log", type=click.Choice(["x", "y", "xy", "none"]),
    help="Axes that are logarithmic; by default y for the positive losses of a history, else none.",
)  # fmt: skip
@click.option("--title", metavar="TEXT", help="A title, in place of the name of the program.")
@click.option("--xlabel", metavar="TEXT", help="What is written at the horizontal axis.")
@click.option("--ylabel", metavar="TEXT", help="What is written at the vertical axis.")
@click.option("--xlim", type=LimitsType(), metavar="LOW:HIGH", help="What of the horizontal axis is shown.")
@click.option("--ylim", type=LimitsType(), metavar="LOW:HIGH", help="What of the vertical axis is shown.")
@click.option(
    "--size", type=SizeType(), metavar="WIDTHxHEIGHT",
    help="In inches, with 150 dots an inch in a .png; in a terminal columns and lines. By default 7.2x4.5.",
)  # fmt: skip
@click.option("-o", "--output", type=OUTPUT_FILE, metavar="FILE",
              help="Write a .svg, .png or .pdf file, whole or not at all, in place of standard output.")  # fmt: skip
def command(
    inputs: Inputs,
    ranges: tuple[Range, ...],
    of: list[str] | None,
    orders: range | None,
    data: list[str] | None,
    lines: tuple[list[str], ...],
    points: tuple[list[str], ...],
    bands: tuple[list[str], ...],
    history: str | None,
    samples: int | None,
    log: str | None,
    title: str | None,
    xlabel: str | None,
    ylabel: str | None,
    xlim: tuple[float, float] | None,
    ylim: tuple[float, float] | None,
    size: tuple[float, float] | None,
    output: str | None,
) -> None:
    """Draw a scalar of a program and its derivatives over a range, or contours with the gradient over two, or arrays.

    FILE is a program; - or, in a pipe, nothing stands for standard input. The other variables keep their values. Needs
    the extra gradcli[plot].
    """
    refuse(
        (
            output is not None and size is not None and max(size) > LARGEST,
            f"--size: a file is at most {LARGEST} inches wide and high.",
        ),
        (
            output is not None and not is_picture(output),
            f"--output {output}: the file must end in .svg, .png or .pdf.",
        ),
    )
    groups = [*[("line", g) for g in lines], *[("points", g) for g in points], *[("band", g) for g in bands]]
    content = Content(ranges, of, orders, data, groups, samples, log)
    if history is not None:
        drawn: Curves | Field = _history(inputs, history, content)
    elif groups and not ranges:
        drawn = _arrays(inputs, content)
    else:
        drawn = _over_ranges(inputs, content, output is not None)
    _deliver(_framed(drawn, title, xlabel, ylabel, xlim, ylim, size), output)


def _arrays(inputs: Inputs, content: Content) -> Curves:
    """Arrays of a program alone."""
    if content.of or content.data or content.orders is not None or content.samples is not None:
        raise click.UsageError("--of, --order, --data and --samples go with --x, and there is none.")
    from gradcli.features.plot.arrays import Asked, with_arrays

    arrays = Asked(content.groups)
    program = inputs.load(inputs.program_text(), (arrays.names(), []))
    return with_arrays(program, arrays, None, content.log or "none")


def _over_ranges(inputs: Inputs, content: Content, in_file: bool) -> Curves | Field:
    """A function over one range as curves, or over two as contours, with data and arrays above them."""
    ranges, data, groups = content.ranges, content.data, content.groups
    _check(content)
    text = inputs.program_text()
    inputs = _with_free_names(inputs, text, ranges)
    others = [*(chosen.name for chosen in ranges), *(data or ()), *(name for _, group in groups for name in group)]
    program = inputs.load(text, (content.of, others))
    drawn: Curves | Field
    if len(ranges) == 1:
        samples = content.samples or _samples(in_file, 400)
        drawn = _curves(program, content.of, ranges[0], content.orders or range(2), samples, content.log or "none")
    else:
        samples = content.samples or _samples(in_file, 120)
        drawn = _field(program, content.of, ranges, content.orders != range(1), samples)
    if data:
        from gradcli.features.plot.dots import dots

        drawn = drawn._replace(dots=dots(program, data, classes=len(ranges) == 2))
    if groups:
        from gradcli.features.plot.answer import Curves as Above
        from gradcli.features.plot.arrays import Asked, with_arrays

        assert isinstance(drawn, Above)
        drawn = with_arrays(program, Asked(groups), drawn, content.log or "none")
    return drawn


def _framed(
    drawn: Curves | Field,
    title: str | None,
    x_label: str | None,
    y_label: str | None,
    xlim: tuple[float, float] | None,
    ylim: tuple[float, float] | None,
    size: tuple[float, float] | None,
) -> Curves | Field:
    """The plot with what is asked for around it."""
    from gradcli.features.plot.answer import Curves, Frame

    title, x_label, y_label = [None if text is None else utf8(text) for text in (title, x_label, y_label)]
    frame = Frame(title, x_label, y_label, xlim, ylim, size)
    if isinstance(drawn, Curves):
        for name, limits, log in (("--xlim", xlim, drawn.log_x), ("--ylim", ylim, drawn.log_y)):
            if limits is not None and log and limits[0] <= 0:
                raise click.UsageError(f"{name}: on a logarithmic axis it must be positive.")
        return drawn._replace(frame=frame, x_range=xlim or drawn.x_range)
    if xlim or ylim:
        raise click.UsageError("Over two variables the ranges are those of --x, and there is no --xlim nor --ylim.")
    return drawn._replace(frame=frame)


def _with_free_names(inputs: Inputs, text: ProgramText, ranges: tuple[Range, ...]) -> Inputs:
    """In a program that was typed, a name of ``--x`` that nothing binds is a variable: ``plot -e 'sin(x)' --x x=0:6``."""
    if not text.inline:
        return inputs
    from gradcli.commands.names import bound

    known = {*bound(text.text), *inputs.set_}
    free = {r.name: f"1.0*({r.low})" for r in ranges if r.entry is None and r.name not in known}
    used = {name: low for name, low in free.items() if re.search(rf"\b{name}\b", text.text)}
    return inputs._replace(set_={**used, **inputs.set_})


def _check(content: Content) -> None:
    """Raise click.UsageError for options that contradict each other."""
    ranges = content.ranges
    refuse(
        (not ranges, "Give the variable and its range: --x 'x=-3:3'; or arrays: --line x,y."),
        (len(ranges) > 2, f"A plot has one --x or two, and not {len(ranges)}."),
    )
    if len(ranges) == 2:
        refuse(
            (ranges[0][:2] == ranges[1][:2], f"Both --x are about {ranges[0].name}."),
            (
                content.orders not in (None, range(1), range(2)),
                "Over two variables --order is 0, for contours only, or 1, for the gradient too.",
            ),
            (content.log not in (None, "none"), "--log is about curves, and goes with one --x."),
            (content.groups, "--line, --points and --band go with one --x or none; dots over two are --data."),
        )


def _curves(program: Loaded, of: list[str] | None, chosen: Range, orders: range, samples: int, log: str) -> Curves:
    from gradcli.features.plot.answer import curves

    x = _variable(program, chosen, "x" in log)
    if of is not None and len(set(of)) * len(orders) > MOST_CURVES:
        raise click.UsageError(f"These are {len(set(of)) * len(orders)} curves; the most are {MOST_CURVES}.")
    return curves(program, of, x, orders, samples, "y" in log)


def _field(program: Loaded, of: list[str] | None, chosen: tuple[Range, ...], gradient: bool, samples: int) -> Field:
    from gradcli.features.plot.answer import field

    if samples > 2000:
        raise click.UsageError("--samples over two variables is at most 2000 along each.")
    x, y = [_variable(program, one, False) for one in chosen]
    return field(program, of, x, y, (samples, samples), gradient)


def _variable(program: Loaded, chosen: Range, log: bool) -> Variable:
    """The range in numbers. Raises click.UsageError for ends that are not a range."""
    from gradcli.features.plot.answer import LARGEST, Variable, number

    low, high = (number(program, chosen.name, text) for text in (chosen.low, chosen.high))
    x = Variable(chosen.name, chosen.entry, low, high, log)
    if not (abs(low) <= LARGEST and abs(high) <= LARGEST):
        _no_range(x, f"its ends must be finite, and at most {LARGEST:g}")
    if not low < high:
        _no_range(
            x, f"write the smaller end first: {x.label}={chosen.high}:{chosen.low}" if low > high else "it is empty"
        )
    if log and low < 1 / LARGEST:
        _no_range(x, "on a logarithmic axis it must be positive")
    if high - low < 1 / LARGEST or low + (high - low) / 2 in (low, high):
        _no_range(x, "its ends are too near to each other")
    return x


def _no_range(x: Variable, why: str) -> NoReturn:
    raise click.UsageError(f"--x {x.label}: {x.low:g} to {x.high:g} is not a range: {why}.")


def _history(inputs: Inputs, path: str, content: Content) -> Curves:
    """What a fit wrote down of its steps."""
    of_program = content.ranges or content.data or content.groups or content.orders is not None
    if of_program or content.samples is not None or inputs.file is not None or inputs.inline:
        raise click.UsageError(
            "--history draws a file that is there, and goes without a program, --x, --order, --data, --samples"
            " and arrays."
        )
    from gradcli.commands.inputs import standard_input
    from gradcli.data import read_bytes
    from gradcli.data.history import read_history
    from gradcli.data.memory import Memory
    from gradcli.features.plot.answer import series

    name = "<stdin>" if path == "-" else path
    keys = content.of or ["loss"]
    if "step" in keys:
        raise click.UsageError("--of step: what a history holds is drawn by its steps.")
    data = standard_input(Memory()) if path == "-" else read_bytes(path)
    columns = read_history(data, name, list(dict.fromkeys(keys)))
    return series(name, "step", columns, content.log)


def _samples(in_file: bool, of_file: int) -> int:
    """How many points along an axis can be seen."""
    return of_file if in_file else max(2 * shutil.get_terminal_size().columns, 40)


def _deliver(drawn: Curves | Field, output: str | None) -> None:
    from gradcli.features.plot.answer import Curves

    if output is not None:
        from gradcli.features.plot.files import write_plot

        write_plot(output, drawn)
        return
    try:
        from gradcli.features.plot import look as plots
    except ImportError as problem:
        raise missing(problem.name) from None
    columns, lines = shutil.get_terminal_size()
    asked = drawn.frame.size
    size = (round(asked[0]), round(asked[1])) if asked else (columns, min(lines - 1, max(columns // 3, 12)))
    terminal = is_terminal(sys.stdout)
    unicode = not terminal or (sys.stdout.encoding or "ascii").lower().startswith("utf")
    color = stream_has_color(sys.stdout)
    if isinstance(drawn, Curves):
        write(plots.render_curves(drawn, size, color, unicode))
    else:
        write(plots.render_field(drawn, size, color, unicode))
