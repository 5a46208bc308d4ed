"""The options that commands share, as decorators, and the types of their values."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gradcli.diagnostics import listed
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.execute.cluster import Place

F = TypeVar("F", bound=Callable[..., Any])


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, which help lists in this order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def refuse(*cases: tuple[object, str]) -> None:
    """Raise click.UsageError for the first of the cases that holds, with its message."""
    for holds, message in cases:
        if holds:
            raise click.UsageError(message)


def utf8(text: str, name: str = "the command line") -> str:
    """Text of the command line as what it is, UTF-8, also where the locale says otherwise (``LC_ALL=C``)."""
    if text.isascii():
        return text
    from gradcli.data import decode

    return decode(os.fsencode(text), name)


def named(text: str) -> str:
    """A name of the command line, spelled as programs spell it: letters that Unicode calls compatible are the same."""
    if text.isascii():
        return text
    import unicodedata

    return unicodedata.normalize("NFKC", utf8(text))


def split_outside_brackets(text: str) -> list[str]:
    """The parts of a list, cut at the commas that stand in no brackets: ``x[:,1], y`` is two."""
    parts = [""]
    depth = 0
    for character in text:
        depth = max(0, depth + (character in "([{") - (character in ")]}"))
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def not_a_name(text: str) -> str | None:
    """What to do about an expression that is given where a name belongs; None for a name or a pattern of names."""
    if re.fullmatch(r"([\w*?]|\[[\w!-]+\])+", text) and not re.fullmatch(r"\w+\[[\d-]+\]", text):
        return None
    if re.fullmatch(r"\w+(\s+\w+)+", text):
        return f"put commas between names: `{','.join(text.split())}`."
    whole = re.fullmatch(r"(\w+)\[.+\]", text)
    if whole is None:
        return f"options take names; bind the expression first, `part = {text}`, and name that."
    return (
        f"name the slice first, `part = {text}`, and compute y from it; a gradient can be sliced in its place:"
        f" `g = gradients(y, {whole[1]}){text.removeprefix(whole[1])}`."
    )


class Names(click.ParamType[list[str]]):
    """Names separated by commas."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        if isinstance(value, list):
            return value
        names = [name.strip() for name in split_outside_brackets(named(value)) if name.strip()]
        if not names:
            self.fail("no name is given.", param, ctx)
        for name in names:
            if (advice := not_a_name(name)) is not None:
                self.fail(f"{name!r} is not a name: {advice}", param, ctx)
        return names

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        return listed_names(ctx, param, incomplete)


def listed_names(
    ctx: click.Context, _: click.Parameter, incomplete: str
) -> list[click.shell_completion.CompletionItem]:
    """The names of the program that may end a list of names."""
    from gradcli.commands.names import names_in_file

    done, comma, last = incomplete.rpartition(",")
    names = names_in_file(program_file(ctx))
    return [click.shell_completion.CompletionItem(f"{done}{comma}{name}") for name in names if name.startswith(last)]


def program_file(ctx: click.Context) -> str | None:
    """The FILE of a command line that is being completed."""
    # click has not come to FILE yet while the option before the cursor still lacks its value.
    return ctx.params.get("file") or next((word for word in ctx.args if not word.startswith("-")), None)


def settable_names(ctx: click.Context, incomplete: str, leaves: bool) -> list[click.shell_completion.CompletionItem]:
    """``NAME=`` for the names of the program that begin so, of ``leaves`` for variables and constants only."""
    from gradcli.commands.names import names_in_file

    names = names_in_file(program_file(ctx), leaves)
    return [click.shell_completion.CompletionItem(f"{name}=") for name in names if name.startswith(incomplete)]


def settable_variables(
    ctx: click.Context, _: click.Parameter, incomplete: str
) -> list[click.shell_completion.CompletionItem]:
    """``NAME=`` for the variables and constants that may come next in a list such as ``x=0.1,y``."""
    done, comma, last = incomplete.rpartition(",")
    found = settable_names(ctx, last, leaves=True)
    return [click.shell_completion.CompletionItem(f"{done}{comma}{item.value}") for item in found]


def ends_of_range(text: str) -> tuple[str, str] | None:
    """The two ends of ``a:b`` or ``a..b``; None for anything else. Which of them may be empty is for the caller."""
    between = ".." if ".." in text else ":"
    low, found, high = (part.strip() for part in text.partition(between))
    return (low, high) if found and ":" not in high else None


class Orders(click.ParamType[range]):
    """``N``, or ``A..B`` and ``A:B`` for several; N alone is that one, or where ``first`` is given all from there."""

    name = "orders"

    def __init__(self, first: int | None = None, least: int = 0, most: int = 2000) -> None:
        self.first = first
        self.least = least
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:
        if isinstance(value, range):
            return value
        match = re.fullmatch(r"(?:(\d{1,5})(?:\.\.|:))?(\d{1,5})", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is neither an order such as 2 nor a range of orders such as 1..3.", param, ctx)
        last = int(match[2])
        orders = range(int(match[1]) if match[1] else last if self.first is None else self.first, last + 1)
        if not orders:
            self.fail(f"{value!r} is not an order: it must go upwards.", param, ctx)
        if orders[0] < self.least or orders[-1] > self.most:
            self.fail(
                f"{value!r} is not in the range {self.least}<=x<={self.most}; orders go up to {self.most}.", param, ctx
            )
        return orders


class Columns(click.ParamType[list[str]]):
    """Columns of a table, by any names, separated by commas."""

    name = "columns"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        return value if isinstance(value, list) else [part.strip() for part in utf8(value).split(",") if part.strip()]


INPUT_FILE = click.Path(allow_dash=True, readable=False)
"""The name of a file to read, or ``-``. click does not look at the file: what reads it says what is wrong with it."""

OUTPUT_FILE = click.Path(readable=False)
"""The name of a file to write, which may exist and need not be readable."""


class Setting(click.ParamType[tuple[str, str]]):
    """``NAME=EXPR`` or ``NAME=@FILE``."""

    name = "setting"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, equals, text = (part.strip() for part in value.partition("="))
        if not equals:
            self.fail(f"{value!r} is not of the form NAME=EXPR or NAME=@FILE.", param, ctx)
        name = named(name)
        if not name.isidentifier():
            advice = not_a_name(name)
            self.fail(f"{name!r} is not a name{f': {advice}' if advice else '.'}", param, ctx)
        if not text or text == "@":
            self.fail(f"no value is given for {name}.", param, ctx)
        # The name of a file stays as the system spells it.
        return name, text if text.startswith("@") else utf8(text)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        return settable_names(ctx, incomplete, leaves=param.name == "set_")


class Finite(click.FloatRange):
    """A number in a range; NaN, which no comparison keeps out, and infinity are in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class Bytes(click.ParamType[int]):
    """An amount of memory: ``500M``, ``2G``, ``1.5GiB``."""

    name = "size"
    PATTERN = r"(\d+(?:\.\d*)?|\.\d+)\s*([kmgt]?)(i?b)?"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(self.PATTERN, value.strip(), re.IGNORECASE)
        # "i" without a letter before it is not a unit
        if match is None or (not match[2] and (match[3] or "").lower() == "ib"):
            self.fail(f"{value!r} is not an amount of memory such as 500M or 2G.", param, ctx)
        if len(match[1]) > 30:
            self.fail("it is more than any machine has.", param, ctx)
        size = int(float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " "))
        if size <= 0:
            self.fail("it must be positive.", param, ctx)
        return size


class Device(click.ParamType[str]):
    """``cpu``, ``gpu`` or ``tpu``, perhaps with a number: ``gpu:1``."""

    name = "device"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from gradcli.execute.accelerator import DEVICE

        if not re.fullmatch(DEVICE, value):
            self.fail(f"{value!r} is not cpu, gpu or tpu, perhaps with a number: gpu:1.", param, ctx)
        return str(value)


class Cluster(click.ParamType["Place"]):
    """``auto``, or ``HOST:PORT,N,I``."""

    name = "cluster"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        from gradcli.execute.cluster import Place, place_of

        if isinstance(value, Place):
            return value
        try:
            return place_of(value)
        except ValueError as problem:
            self.fail(f"{problem}.", param, ctx)


def several_names(*declarations: str, help: str) -> Callable[[F], F]:
    """An option with a list of names, which may be given again to add to it."""

    def flattened(_: click.Context, __: click.Parameter, lists: tuple[list[str], ...]) -> list[str] | None:
        return [name for names in lists for name in names] if lists else None

    return click.option(*declarations, type=Names(), multiple=True, callback=flattened, metavar="NAME,...", help=help)


def settings_option(*declarations: str, help: str, metavar: str = "NAME=EXPR|@FILE") -> Callable[[F], F]:
    """An option with ``NAME=EXPR|@FILE``, which may be given again; the last one for a name wins."""

    def collected(_: click.Context, __: click.Parameter, pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
        return dict(pairs)

    return click.option(*declarations, type=Setting(), multiple=True, callback=collected, metavar=metavar, help=help)


precision_option = click.option(
    "--precision",
    type=click.IntRange(1, 100),
    metavar="N",
    help="Round to N significant digits; by default numbers read back exactly.",
)
file_option = click.option(
    "-o", "--output", type=OUTPUT_FILE, metavar="FILE",
    help="Write to a file. It is there whole or not at all, in place of standard output.",
)  # fmt: skip


def output_options(function: F, also: Sequence[str] = ()) -> F:
    """What says in which form the results are written, and where to; ``also`` are formats of one command only."""
    return together(
        click.option(
            "--format",
            "format",
            type=click.Choice(["table", "plain", "value", "json", "ndjson", "csv", *also]),
            help="Form of the results; by default a table on a terminal and plain in a pipe."
            " A value is the bare number, for v=$(…)."
            " In csv the index of an entry is its position along each axis: 0;1.",
        ),
        precision_option,
        click.option(
            "-o",
            "--output",
            type=OUTPUT_FILE,
            metavar="FILE",
            help=f"Write to a {listed(['.npz', '.json', '.csv', *[f'.{form}' for form in also]], 'or')} file. It is there whole or not at all, in place of standard output."
            " An .npz file has no entry for None.",
        ),
    )(function)


def profile_option(function: F) -> F:
    """What asks for the cost of a run in place of its results."""
    return click.option(
        "--profile",
        is_flag=True,
        help="Print the cost of each line in place of the results. It has time, calls and memory, forward and backward:"
        " a table on a terminal, columns in a pipe. Steps are timed one after the other, on one thread.",
    )(function)


class RowOptions(NamedTuple):
    """The options about rows: their file, what becomes of bad ones, the columns to keep, what separates fields.

    ``place`` is which of several processes this is, that share the files.
    """

    points: str | None
    skip_bad: str | None
    keep: Sequence[str]
    delimiter: str
    place: Place | None = None

    @property
    def given(self) -> bool:
        """Whether any of them is."""
        some = self.points is not None or self.skip_bad is not None or self.place is not None
        return some or bool(self.keep) or self.delimiter != ","


class Delimiter(click.ParamType[str]):
    """One character, or ``tab``."""

    name = "delimiter"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        mark = "\t" if value in ("tab", "\\t") else str(value)
        if len(mark) != 1 or not mark.isascii() or mark.isalnum() or mark in '"\r\n.+-_':
            self.fail(f"{value!r} is not one character that can stand between fields, or tab.", param, ctx)
        return mark


def points_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What asks the same question for many rows of values: the argument ``rows`` of the function."""

    @wraps(function)
    def decorated(
        *, points: str | None, skip_bad: str | None, keep: Any, delimiter: str, place: Place | None, **values: Any
    ) -> Any:
        return function(rows=RowOptions(points, skip_bad, keep or (), delimiter, place), **values)

    return together(
        click.option(
            "--points",
            type=INPUT_FILE,
            metavar="FILE|-",
            help="Answer for each row of a CSV file, or of several, which a --cluster shares (a header names variables or constants, scalars below) or of"
            ' NDJSON ({"x": [1, 2]} on each line), one line of csv or json a row, as the rows arrive. Of several files,'
            " part-*.csv, each has an --output of its own, out-*.csv; what is there is not done again.",
        ),
        click.option(
            "--skip-bad",
            type=click.Choice(["skip", "keep"]),
            metavar="[=keep]",
            help="Report rows that have no answer, and go on; else the first one is an error. With =keep they have a"
            " row of their own, which is empty.",
        ),
        click.option(
            "--keep",
            type=Columns(),
            metavar="COLUMN,...",
            help="Columns of --points that stand before the answers. They need not be names of the program; * stands for"
            " all others.",
        ),
        click.option(
            "--delimiter", type=Delimiter(), default=",", metavar="CHAR|tab",
            help="What separates the fields of --points in CSV; by default a comma.",
        ),
        click.option(
            "--cluster", "place", type=Cluster(), metavar="auto|HOST:PORT,N,I",
            help="Answer every N-th file of --points, from number I on; auto asks SLURM, Open MPI or Kubernetes.",
        ),
    )(decorated)  # fmt: skip
