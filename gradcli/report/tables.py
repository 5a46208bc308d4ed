"""Tables for a terminal, by Rich."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradcli.report.numbers import rounded, tokens
from gradcli.report.quoting import visible
from gradcli.results import Result

if TYPE_CHECKING:
    from gradcli.report.reply import Reply

# An array with more entries than this is summarised.
LONG = 100


@dataclass(frozen=True, slots=True)
class Screen:
    """What a terminal can show."""

    width: int
    color: bool = False
    unicode: bool = True
    precision: int | None = None
    """Significant digits that were asked for; without them arrays have 8 decimals."""


def render(reply: Reply, screen: Screen) -> str:
    """The results as a table with the columns name, shape, dtype and value, as in a pipe; one table for each order."""
    parts = []
    for order, results in reply.orders:
        table = _table(screen, ("name", "shape", "dtype", "value"), reply.title(order))
        for column in table.columns[1:3]:
            column.no_wrap = True
        room = _room_for_values(screen.width, results)
        for result in results:
            name = Text(result.name, style="bold")
            if result.connected:
                value = result.value if reply.precision is None else rounded(result.value, reply.precision)
                shown = Text(_value(value, room, screen.precision))
                table.add_row(name, Text(str(list(value.shape))), Text(str(value.dtype)), shown)
            else:
                table.add_row(name, "", "", _none(result))
        parts.append(_printed(table, screen))
    return "\n".join(parts)


def render_rows(headers: Sequence[str], rows: Sequence[Sequence[str]], screen: Screen, title: str | None = None) -> str:
    """A table of texts, the first column emphasised."""
    table = _table(screen, headers, title)
    for first, *others in rows:
        table.add_row(Text(visible(first), style="bold"), *(Text(visible(cell)) for cell in others))
    return _printed(table, screen)


def _none(result: Result) -> Text:
    reason = f"  {visible(result.reason.with_line())}" if result.reason else ""
    return Text.assemble(("None", "yellow italic"), (reason, "dim italic"))


def _value(value: Any, room: int, precision: int | None) -> str:
    if value.ndim == 0:
        return tokens(value)[0]
    import numpy as np

    if value.dtype.kind == "f":
        value = value + value.dtype.type(0)  # -0.0 + 0.0 is 0.0
    words = {"bool": lambda entry: "true" if entry else "false"}
    options: Any = {"separator": ", ", "threshold": LONG, "max_line_width": room, "formatter": words}
    if precision is not None:  # numbers are rounded already: show all that is left of them
        options["floatmode"] = "unique"
    return str(np.array2string(value, **options))


def _room_for_values(width: int, results: Sequence[Result]) -> int:
    """How wide an array may be broken into lines, so that Rich has nothing left to wrap."""
    names = max([len("name"), *(len(r.name) for r in results)])
    shapes = max([len("shape"), *(len(str(list(r.value.shape))) for r in results if r.connected)])
    # Five borders, four cells with a space on either side; the longest dtype is float64.
    return max(20, width - min(names, width // 3) - shapes - len("float64") - 13)


def _table(screen: Screen, headers: Sequence[str], title: str | None) -> Table:
    table = Table(
        title=None if title is None else Text(visible(title)),
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=box.ROUNDED if screen.unicode else box.ASCII,
    )
    for header in headers:
        table.add_column(Text(visible(header)), overflow="fold")
    return table


def _printed(table: Table, screen: Screen) -> str:
    file = io.StringIO()
    console = Console(
        file=file,
        width=screen.width,
        force_terminal=screen.color,
        no_color=not screen.color,
        color_system="standard" if screen.color else None,
        legacy_windows=False,
    )
    console.print(table)
    return file.getvalue()
