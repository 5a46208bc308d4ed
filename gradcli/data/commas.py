"""Arrays in CSV files, and which line and column is at fault when one is not readable."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from gradcli.data.files import fail
from gradcli.diagnostics import counted

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


def parse_csv(text: str, name: str) -> Array:
    """The rows of a CSV text as a float64 array [rows, columns]; blank lines and a header of words are skipped."""
    import numpy as np

    lines = text.splitlines()
    filled = [number for number, line in enumerate(lines) if line.strip()]
    if filled and _is_header(lines[filled[0]]):
        filled = filled[1:]
    if not filled:
        fail(f"{name} has no rows of numbers")
    rows = [lines[number] for number in filled]
    try:
        return np.loadtxt(rows, delimiter=",", ndmin=2, dtype=np.float64, comments=None, quotechar='"')
    except ValueError as problem:
        _blame_csv(lines, filled, name)
        fail(f"{name} is not readable as CSV: {problem}")


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


def _blame_csv(lines: list[str], filled: list[int], name: str) -> None:
    """Raise for the first row that is not as many numbers as the first one has."""
    width = len(_fields(lines[filled[0]]))
    for number in filled:
        fields = _fields(lines[number])
        for column, entry in enumerate(fields, 1):
            if not _is_number(entry):
                found = f"{entry!r} is not a number" if entry else "a field is empty"
                separator = next((mark for mark in ";\t" if mark in entry), None)
                help = "fields are separated by commas" if separator else None
                fail(f"{name}, line {number + 1}, column {column}: {found}", help)
        if len(fields) != width:
            fail(f"{name}, line {number + 1}, column {min(len(fields), width) + 1}: the row has {counted(len(fields), 'field')}, "
                  f"but line {filled[0] + 1} has {width}")  # fmt: skip
