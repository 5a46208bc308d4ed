"""``gradcli ops``: the operations of the language, from the table that the engine uses."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import click

from gradcli.commands.endings import Command, is_terminal
from gradcli.commands.output import screen, write

if TYPE_CHECKING:
    from gradcli.report.tables import Screen

EPILOG = """\b
Examples:
  gradcli ops
  gradcli ops softmax
  gradcli ops 'reduce_sum' --format json
"""
COLUMNS = {"signature": 30, "formula": 26, "derivative": 34, "domain": 20, "aliases": 14, "doc": 0}
"""What the list shows in a pipe, and how many columns each takes if that is enough."""


@click.command("ops", cls=Command, epilog=EPILOG)
@click.argument("name", required=False)
@click.option(
    "--format",
    "format",
    type=click.Choice(["table", "plain", "json"]),
    help="Form of the list; by default a table on a terminal and plain in a pipe.",
)
def command(name: str | None, format: str | None) -> None:
    """List the operations with signature, formula, derivative and domain, or explain the one called NAME."""
    from gradcli.graph.ops import table

    terminal = is_terminal(sys.stdout)
    format = format or ("table" if terminal else "plain")
    operations = [operation for operation in table.values() if not operation.hidden]
    if name is not None:
        operation = _find(operations, name)
        write(_json([operation], one=True) if format == "json" else _explained(operation))
        return
    if format == "json":
        write(_json(operations))
    elif format == "plain" or not terminal:
        write("".join([_line(row) for row in [tuple(COLUMNS), *([_cell(o, c) for c in COLUMNS] for o in operations)]]))
    else:
        families: dict[str, list[Any]] = {}
        for operation in operations:
            families.setdefault(operation.family, []).append(operation)
        shown = screen()
        write("\n".join([_family(family, members, shown) for family, members in families.items()]))


def _find(operations: list[Any], name: str) -> Any:
    by_name = {word: operation for operation in operations for word in (operation.name, *operation.aliases)}
    if name in by_name:
        return by_name[name]
    from gradcli.diagnostics import did_you_mean

    close = did_you_mean(name, by_name)
    raise click.UsageError(f"There is no operation {name!r}." + (f" Did you mean {close!r}?" if close else ""))


def _cell(operation: Any, column: str) -> str:
    value = _field(operation, column)
    return ",".join(value) if column == "aliases" else " ".join(str(value).split())


def _field(operation: Any, column: str) -> Any:
    """What the table says of an operation; its derivative is worded from its rule."""
    if column == "derivative":
        from gradcli.graph.describe import describe_derivative

        return describe_derivative(operation)
    return getattr(operation, column)


def _line(cells: Sequence[str]) -> str:
    """Cells below each other as far as they fit; a long one moves the rest of its own line only."""
    text, column = "", 0
    for cell, width in zip(cells, COLUMNS.values(), strict=True):
        text = f"{text.ljust(column)}{cell or '-'}  "
        column += width
    return text.rstrip() + "\n"


def _family(family: str, members: Sequence[Any], screen: Screen) -> str:
    """A paragraph for each operation, in lines that are broken between words."""
    bold, plain = ("\x1b[1m", "\x1b[0m") if screen.color else ("", "")

    def wrapped(text: str, indent: str) -> str:
        width = max(screen.width - 1, 40)
        return fill(
            text, width, initial_indent="  ", subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )

    lines = [f"{bold}{family.upper()}{plain}"]
    for o in members:
        names = f"{bold}{o.signature}{plain}"
        also = f"   also {', '.join(o.aliases)}" if o.aliases else ""
        lines.append(
            "\n" + (names + also if len(o.signature) + len(also) < screen.width else f"{names}\n  {also.strip()}")
        )
        lines.append(wrapped(_cell(o, "doc"), "  "))
        cells = [(column, _cell(o, column)) for column in ("formula", "derivative", "domain")]
        lines += [wrapped(f"{column:<11} {cell}", " " * 14) for column, cell in cells if cell]
    return "\n".join(lines) + "\n"


def _explained(operation: Any) -> str:
    rows = [
        ("formula", operation.formula),
        ("derivative", _field(operation, "derivative")),
        ("domain", operation.domain),
        ("also", ", ".join(operation.aliases)),
        ("family", operation.family),
        ("example", operation.example),
    ]
    # What has several lines is set below its first one.
    lines = [f"  {label:<12}" + str(text).replace("\n", "\n" + " " * 14) for label, text in rows if text]
    return "\n".join([operation.signature, f"  {operation.doc}", "", *lines]) + "\n"


def _json(operations: list[Any], one: bool = False) -> str:
    fields = ("name", "aliases", "family", "signature", "doc", "formula", "derivative", "domain", "example")
    records = [{field: _field(o, field) for field in fields} for o in operations]
    return json.dumps(records[0] if one else records, ensure_ascii=False, indent=1) + "\n"
