"""The ``json`` and ``ndjson`` formats: strict JSON, in which NaN and the infinities are strings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcli.report.json_parts import json_text
from gradcli.report.numbers import json_value
from gradcli.report.reply import Reply
from gradcli.results import Result


def render(reply: Reply) -> str:
    """One object for the whole reply, with one line for each result."""
    head = f'{{"command": {json_text(reply.command)}, "file": {json_text(reply.file)}'
    if reply.command != "grad":
        key = "tangents" if reply.command == "jvp" else "values"
        return f'{head}, "{key}": {_mapping(reply, reply.orders[0][1])}}}\n'
    head += f', "of": {json_text(list(reply.of))}'
    if not reply.every_order:
        order, results = reply.orders[0]
        return f'{head}, "order": {order}, "gradients": {_mapping(reply, results)}}}\n'
    groups = [f' {{"order": {order}, "gradients": {_mapping(reply, results)}}}' for order, results in reply.orders]
    return f'{head}, "orders": [\n' + ",\n".join(groups) + "]}\n"


def render_lines(reply: Reply) -> str:
    """One object a line for each result, with its ``name`` (and ``order``, where there are several)."""
    lines = []
    for order, results in reply.orders:
        group = f', "order": {order}' if reply.every_order else ""
        lines += [f'{{"name": {json_text(r.name)}{group}, {_fields(reply, r)}}}\n' for r in results]
    return "".join(lines)


def _mapping(reply: Reply, results: Sequence[Result]) -> str:
    # A name may have been asked for twice; an object holds it once.
    entries = {r.name: f" {json_text(r.name)}: {{{_fields(reply, r)}}}" for r in results}
    return "{\n" + ",\n".join(entries.values()) + "}" if entries else "{}"


def _fields(reply: Reply, result: Result) -> str:
    if not result.connected:
        reason = result.reason.with_place() if result.reason else None
        return f'"connected": false, "value": null, "reason": {json_text(reason)}'
    connected = '"connected": true, ' if reply.command == "grad" else ""
    return connected + leaf(result.value)


def leaf(value: Any) -> str:
    """The fields of an array's record."""
    return f'"dtype": "{value.dtype}", "shape": {list(value.shape)}, "value": {json_value(value)}'
