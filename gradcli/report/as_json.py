"""The ``json`` and ``ndjson`` formats: strict JSON, in which NaN and the infinities are strings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.report.json_parts import json_text
from gradcli.report.numbers import json_pieces
from gradcli.results import Result

if TYPE_CHECKING:
    from gradcli.report.reply import Reply


def pieces(reply: Reply) -> Iterator[str]:
    """One object for the whole reply, with one line for each result, in pieces."""
    yield f'{{"command": {json_text(reply.command)}, "file": {json_text(reply.file)}'
    if reply.command != "grad":
        yield f', "{"tangents" if reply.command == "jvp" else "values"}": '
        yield from _mapping(reply, reply.orders[0][1])
        yield "}\n"
        return
    yield f', "of": {json_text(list(reply.of))}'
    if not reply.every_order:
        order, results = reply.orders[0]
        yield f', "order": {order}, "gradients": '
        yield from _mapping(reply, results)
        yield "}\n"
        return
    before = ', "orders": [\n'
    for order, results in reply.orders:
        yield f'{before} {{"order": {order}, "gradients": '
        yield from _mapping(reply, results)
        before = "},\n"
    yield "}]}\n"


def line_pieces(reply: Reply) -> Iterator[str]:
    """One object a line for each result, with its ``name`` (and ``order``, where there are several), in pieces."""
    for order, results in reply.orders:
        group = f', "order": {order}' if reply.every_order else ""
        for result in results:
            yield f'{{"name": {json_text(result.name)}{group}, '
            yield from _fields(reply, result)
            yield "}\n"


def _mapping(reply: Reply, results: Sequence[Result]) -> Iterator[str]:
    # A name may have been asked for twice; an object holds it once.
    before = "{\n"
    for result in {result.name: result for result in results}.values():
        yield f"{before} {json_text(result.name)}: {{"
        yield from _fields(reply, result)
        before = "},\n"
    yield "}}" if results else "{}"


def _fields(reply: Reply, result: Result) -> Iterator[str]:
    if not result.connected:
        reason = result.reason.with_place() if result.reason else None
        yield f'"connected": false, "value": null, "reason": {json_text(reason)}'
        return
    if reply.command == "grad":
        yield '"connected": true, '
    yield from leaf(result.value, reply.precision)


def leaf(value: Any, digits: int | None = None) -> Iterator[str]:
    """The fields of an array's record, its numbers rounded to ``digits`` significant digits if given."""
    yield f'"dtype": "{value.dtype}", "shape": {list(value.shape)}, "value": '
    yield from json_pieces(value, digits)
