"""Arrays in CSV files, and which line and column is at fault when one is not readable."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradcli.data.files import fail
from gradcli.diagnostics import counted, did_you_mean

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


def parse_csv(text: str, name: str, columns: str | None = None) -> Array:
    """The rows of a CSV text as a float64 array [rows, columns]; blank lines and a header of words are skipped.

    ``columns`` are names in the header, ``b,a``, of the columns to take, in that order; the others may hold any text.
    A single name gives an array [rows], and ``a,`` one of [rows, 1].
    """
    import numpy as np

    lines = text.splitlines()
    filled = [number for number, line in enumerate(lines) if line.strip()]
    header: list[str] = []
    if filled and _is_header(lines[filled[0]]):
        header = _fields(lines[filled[0]])
        filled = filled[1:]
    chosen = _positions(columns, header, name) if columns is not None else None
    if not filled:
        fail(f"{name} has no rows of numbers")
    rows = [lines[number] for number in filled]
    try:
        array = np.loadtxt(
            rows, delimiter=",", ndmin=2, dtype=np.float64, comments=None, quotechar='"', usecols=chosen
        )  # fmt: skip
    except ValueError as problem:
        _blame_csv(lines, filled, name, header, chosen)
        fail(f"{name} is not readable as CSV: {problem}")
    if chosen is not None and any(len(fields) != len(header) for fields in csv.reader(rows)):
        _blame_csv(lines, filled, name, header, chosen)  # where all columns are read, NumPy counts them
    return array[:, 0] if columns is not None and "," not in columns else array


def _positions(columns: str, header: Sequence[str], name: str) -> list[int]:
    """Where the named columns stand."""
    if not header:
        fail(f"{name} has no header, so there is no column {columns!r} in it", "write names on its first line: a,b,…")
    wanted = [column.strip() for column in columns.split(",")]
    if len(wanted) > 1 and not wanted[-1]:
        del wanted[-1]
    for column in wanted:
        if column not in header:
            close = did_you_mean(column, header)
            fail(
                f"{name} has the columns {', '.join(header)}, but no {column!r}",
                f"did you mean {close}?" if close else None,
            )
        if header.count(column) > 1:
            fail(f"{name} has {header.count(column)} columns called {column!r}")
    return [header.index(column) for column in wanted]


def _is_header(line: str) -> bool:
    """Whether no field is a number; a row in which some are is a row with a mistake."""
    return not any(_is_number(entry) or not entry for entry in _fields(line))


def _fields(line: str) -> list[str]:
    return [entry.strip() for entry in next(csv.reader([line]))]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _blame_csv(
    lines: list[str], filled: list[int], name: str, header: Sequence[str], chosen: Sequence[int] | None
) -> None:
    """Raise for the first row that is not as many numbers as the first one, or the header, has."""
    width = len(header) if chosen is not None else len(_fields(lines[filled[0]]))
    for number in filled:
        fields = _fields(lines[number])
        for column, entry in enumerate(fields, 1):
            if not _is_number(entry) and (chosen is None or column - 1 in chosen):
                found = f"{entry!r} is not a number" if entry else "a field is empty"
                separator = next((mark for mark in ";\t" if mark in entry), None)
                help = "fields are separated by commas" if separator else None
                title = f" ({header[column - 1]})" if column <= len(header) else ""
                fail(f"{name}, line {number + 1}, column {column}{title}: {found}", help)
        if len(fields) != width:
            first = "the header" if chosen is not None else f"line {filled[0] + 1}"
            fail(f"{name}, line {number + 1}, column {min(len(fields), width) + 1}: the row has {counted(len(fields), 'field')}, "
                  f"but {first} has {width}")  # fmt: skip
