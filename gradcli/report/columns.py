"""Aligned columns: what the ``table`` format is in a pipe. No boxes, no wrapping, nothing elided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from gradcli.report.numbers import literal_pieces
from gradcli.results import Result

if TYPE_CHECKING:
    from gradcli.report.reply import Reply


def pieces(reply: Reply) -> Iterator[str]:
    """The results in columns, in pieces. Values come last, for they have any width; each row of a matrix has a line of its own."""
    between = ""
    for order, results in reply.orders:
        title = reply.title(order)
        yield between + (f"{title}\n" if title else "")
        heads = [("name", "shape", "dtype"), *map(_head, results)]
        widths = [max(map(len, column)) for column in zip(*heads, strict=True)]
        yield from _line(heads[0], widths, ["value"])
        for head, result in zip(heads[1:], results, strict=True):
            for line in _values(result, reply.precision):
                yield from _line(head, widths, line)
                head = ("", "", "")
        between = "\n"


def _line(cells: Sequence[str], widths: Sequence[int], last: Iterable[str]) -> Iterator[str]:
    yield "".join([f"{cell.ljust(width)}  " for cell, width in zip(cells, widths, strict=True)])
    yield from last
    yield "\n"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Each row as a line, its cells two spaces apart and below each other."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    lines = []
    for *cells, last in rows:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        lines.append("  ".join([*padded, last]).rstrip() + "\n")
    return "".join(lines)


def _head(result: Result) -> tuple[str, str, str]:
    if not result.connected:
        return result.name, "", ""
    return result.name, str(list(result.value.shape)), str(result.value.dtype)


def _values(result: Result, digits: int | None) -> Iterator[Iterable[str]]:
    """What stands in the last column, line by line, each in pieces."""
    value = result.value
    if not result.connected:
        yield [f"None  ({result.reason.with_line()})" if result.reason else "None"]
        return
    if value.ndim < 2 or value.size == 0:
        yield literal_pieces(value, digits)
        return
    # Line breaks between the rows as NumPy prints them: the brackets that open before a row are filled up with spaces.
    width = value.shape[-1]
    rows = value.size // width
    flat = value.reshape(rows, width)
    for number in range(rows):
        opened = _whole_blocks(number, value.shape)
        closed = _whole_blocks(number + 1, value.shape)
        end = "]" * closed + ("," if number + 1 < rows else "")
        yield chain([" " * (value.ndim - 1 - opened) + "[" * opened], literal_pieces(flat[number], digits), [end])


def _whole_blocks(row: int, shape: tuple[int, ...]) -> int:
    """How many of the outer axes begin (or have just ended) at a row."""
    count, size = 0, 1
    for extent in reversed(shape[:-1]):
        size *= extent
        if row % size:
            break
        count += 1
    return count
