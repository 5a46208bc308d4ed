"""Aligned columns: what the ``table`` format is in a pipe. No boxes, no wrapping, nothing elided."""

from __future__ import annotations

from collections.abc import Sequence

from gradcli.report.numbers import literal
from gradcli.report.reply import Reply, title_of
from gradcli.results import Result


def render(reply: Reply) -> str:
    """The results in columns. Values come last, for they have any width; each row of a matrix has a line of its own."""
    parts = []
    for order, results in reply.orders:
        title = title_of(reply, order)
        rows = [["name", "shape", "dtype", "value"]]
        for result in results:
            rows += _rows(result)
        parts.append((f"{title}\n" if title else "") + aligned(rows))
    return "\n".join(parts)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Each row as a line, its cells two spaces apart and below each other."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    lines = []
    for *cells, last in rows:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        lines.append("  ".join([*padded, last]).rstrip() + "\n")
    return "".join(lines)


def _rows(result: Result) -> list[list[str]]:
    if not result.connected:
        reason = f"  ({result.reason.with_line()})" if result.reason else ""
        return [[result.name, "", "", f"None{reason}"]]
    value = result.value
    head = [result.name, str(list(value.shape)), str(value.dtype)]
    if value.ndim < 2 or value.size == 0:
        return [[*head, literal(value)]]
    # Line breaks between the rows as NumPy prints them: the brackets that open before a row are filled up with spaces.
    flat = value.reshape(-1, value.shape[-1])
    lines = []
    for number, row in enumerate(flat):
        opened = _whole_blocks(number, value.shape)
        closed = _whole_blocks(number + 1, value.shape)
        text = " " * (value.ndim - 1 - opened) + "[" * opened + literal(row) + "]" * closed
        lines.append(text + ("," if number + 1 < len(flat) else ""))
    return [[*head, lines[0]], *(["", "", "", line] for line in lines[1:])]


def _whole_blocks(row: int, shape: tuple[int, ...]) -> int:
    """How many of the outer axes begin (or have just ended) at a row."""
    count, size = 0, 1
    for extent in reversed(shape[:-1]):
        size *= extent
        if row % size:
            break
        count += 1
    return count
