"""``gradcli ops``: the operations of the language, from the table that the engine uses."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from gradcli.commands.endings import Command, is_terminal
from gradcli.commands.options import file_option
from gradcli.commands.output import screen, send

if TYPE_CHECKING:
    from gradcli.graph.operation import Operation

EPILOG = """\b
Examples:
  gradcli ops
  gradcli ops softmax
  gradcli ops bessel
  gradcli ops --family 'linear algebra'
  gradcli ops 'reduce_sum' --format json
  gradcli ops --format markdown > operations.md
"""


def _beginning_with(word: str) -> list[str]:
    from gradcli.language.builtin import OPERATIONS

    return [name for name in OPERATIONS if name.startswith(word)]


@click.command("ops", cls=Command, epilog=EPILOG)
@click.argument("search", required=False, shell_complete=lambda _, __, word: _beginning_with(word))
@click.option("--family", help="Only those of a family, such as 'linear algebra'.")
@click.option(
    "--format",
    "format",
    type=click.Choice(["table", "plain", "json", "markdown"]),
    help="Form of the list; by default a table on a terminal and plain in a pipe. Markdown is the reference.",
)
@file_option
def command(search: str | None, family: str | None, format: str | None, output: str | None = None) -> None:
    """List the operations, explain the one called SEARCH, or list those in whose name or description SEARCH occurs."""
    from gradcli.features.ops import look
    from gradcli.graph.ops import table

    terminal = output is None and is_terminal(sys.stdout)
    if format is None and output is not None and output.lower().endswith(".json"):
        format = "json"
    format = format or ("table" if terminal else "plain")
    operations = [operation for operation in table.values() if not operation.hidden]
    if family is not None:
        operations = _of_family(operations, family)
    if search is not None:
        operation = next((o for o in operations if search in (o.name, *o.aliases)), None)
        if operation is not None and format != "markdown":
            near = [o.name for o in _found(operations, operation.name, names_only=True) if o is not operation]
            one = format == "json"
            send([look.as_json([operation], one=True) if one else look.explained(operation, near)], output)
            return
        operations = [operation] if operation is not None else _search(operations, search)
    if format == "json":
        send([look.as_json(operations)], output)
    elif format == "markdown":
        send(look.markdown(operations), output)
    elif format == "plain" or not terminal:
        send([look.columns(operations)], output)
    else:
        send([look.paragraphs(operations, screen())], output)


def _of_family(operations: Sequence[Operation], family: str) -> list[Operation]:
    families = list(dict.fromkeys([o.family for o in operations]))
    chosen = [o for o in operations if o.family == family.strip().lower()]
    if not chosen:
        raise click.UsageError(f"There is no family {family!r}. The families are {', '.join(families)}.")
    return chosen


def _found(operations: Sequence[Operation], search: str, names_only: bool = False) -> list[Operation]:
    """The operations in whose names, or else in whose descriptions, a text occurs."""
    text = search.casefold()
    named = [o for o in operations if any([text in name.casefold() for name in (o.name, *o.aliases)])]
    if named or names_only:
        return named
    return [o for o in operations if text in o.doc.casefold()]


def _search(operations: Sequence[Operation], search: str) -> list[Operation]:
    found = _found(operations, search)
    if not found:
        from gradcli.diagnostics import did_you_mean

        close = did_you_mean(search, [name for o in operations for name in (o.name, *o.aliases)])
        raise click.UsageError(f"There is no operation {search!r}." + (f" Did you mean {close!r}?" if close else ""))
    return found
