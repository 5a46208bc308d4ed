"""``gradcli ops``: the operations of the language, from the table that the engine uses."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from gradcli.commands.endings import Command, is_terminal
from gradcli.commands.output import screen, write

EPILOG = """\b
Examples:
  gradcli ops
  gradcli ops softmax
  gradcli ops 'reduce_sum' --format json
"""
COLUMNS = ("signature", "formula", "derivative", "domain")


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
        from gradcli.report.columns import aligned

        shown = (*COLUMNS, "doc")
        write(aligned([shown, *([_cell(o, column) for column in shown] for o in operations)]))
    else:
        from gradcli.report import tables

        families: dict[str, list[Any]] = {}
        for operation in operations:
            families.setdefault(operation.family, []).append(operation)
        parts = [
            tables.render_rows(COLUMNS, [[_cell(o, column) for column in COLUMNS] for o in members], screen(), family)
            for family, members in families.items()
        ]
        write("\n".join(parts))


def _find(operations: list[Any], name: str) -> Any:
    by_name = {word: operation for operation in operations for word in (operation.name, *operation.aliases)}
    if name in by_name:
        return by_name[name]
    from gradcli.diagnostics import did_you_mean

    close = did_you_mean(name, by_name)
    raise click.UsageError(f"There is no operation {name!r}." + (f" Did you mean {close!r}?" if close else ""))


def _cell(operation: Any, column: str) -> str:
    return " ".join(str(getattr(operation, column)).split())


def _explained(operation: Any) -> str:
    rows = [
        ("formula", operation.formula),
        ("derivative", operation.derivative),
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
    records = [{field: getattr(o, field) for field in fields} for o in operations]
    return json.dumps(records[0] if one else records, ensure_ascii=False, indent=1) + "\n"
