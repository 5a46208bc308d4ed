"""Arrays in CSV files, and which line and column is at fault when one is not readable."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from gradcli.data.files import fail
from gradcli.data.memory import Memory
from gradcli.diagnostics import counted, did_you_mean
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


LONG_ROW = 1 << 18
"""Characters of a row from which on it is read in pieces."""

MOST_COLUMNS = 20
"""Of more columns only the first ones are listed in a message."""


class _Row(NamedTuple):
    """The fields of a row, and the lines, counted from 1, on which it begins and ends: a quoted field may hold more."""

    begin: int
    end: int
    fields: list[str]


Lines = Callable[[], Iterator[list[str]]]
"""The lines of a text, from its start on, some at a time, so that no more of it is held."""


def parse_csv(lines: Lines, name: str, memory: Memory, columns: str | None = None) -> Array:
    """The rows of a CSV text as a float64 array [rows, columns]; blank lines and a header of words are skipped.

    ``columns`` are names in the header, ``b,a``, of the columns to take, in that order (``"a, b",c`` where a name holds
    a comma); the others may hold any text. A single name gives an array [rows], and ``a,`` one of [rows, 1].
    """
    import numpy as np

    header = _header(lines, name)
    names = header.fields if header is not None else []
    wanted = _fields(columns) if columns is not None else None
    chosen = _positions(wanted, names, name) if wanted is not None else None
    result = np.empty((0, 0))
    count = 0
    try:
        for rows in _whole_rows(
            lines, header.end if header is not None else 0, lambda n: memory.need(name, result.nbytes + n)
        ):
            if not (rows := [line for line in rows if line.strip()]):
                continue
            numbers = _numbers(rows, chosen)
            if count and numbers.shape[1] != result.shape[1]:
                raise ValueError("its rows differ in length")
            if chosen is not None and _is_ragged(rows, len(names)):
                _blame_csv(lines, name, header, chosen)  # where all columns are read, NumPy counts them
            if count + len(numbers) > len(result):
                # In place: a large array grows without a second one beside it.
                room = max(count + len(numbers), len(result) + len(result) // 8)
                result.resize((room, numbers.shape[1]), refcheck=False)
            result[count : count + len(numbers)] = numbers
            count += len(numbers)
    except ValueError as problem:
        _blame_csv(lines, name, header, chosen)
        fail(f"{name} is not readable as CSV: {problem}")
    if not count:
        fail(f"{name} has no rows of numbers")
    result.resize((count, result.shape[1]), refcheck=False)
    memory.keep(result.nbytes)
    return result[:, 0] if wanted is not None and len(wanted) == 1 else result


def place_in_csv(lines: Lines, name: str, columns: str | None, row: int, column: int) -> str:
    """Where an entry of what :func:`parse_csv` gives stands in the text: ``column `b` of d.csv, line 3``."""
    header = _header(lines, name)
    rows = _rows(lines, name)
    if header is not None:
        next(rows)
    begin = next(islice(rows, row, None)).begin
    titles = header.fields if header is not None else []
    if columns is not None:
        column = _positions(_fields(columns), titles, name)[column]
    title = f"`{titles[column]}`" if column < len(titles) and titles[column] else str(column + 1)
    return f"column {title} of {name}, line {begin}"


def _whole_rows(lines: Lines, skipped: int, need: Callable[[int], None]) -> Iterator[list[str]]:
    """The lines after the first ones, so many at a time that no row is cut: a quoted field may hold ends of lines.

    ``need`` is told how much memory they take while they are read.
    """
    held: list[str] = []
    size = 0
    open_quote = False
    for block in lines():
        if skipped:
            block, skipped = block[skipped:], max(0, skipped - len(block))
        open_quote ^= sum([line.count('"') for line in block]) % 2 == 1
        held += block
        size += sum([60 + 8 * len(line) for line in block])
        need(size)
        if not open_quote:
            yield held
            held, size = [], 0
    if held:
        yield held


def _numbers(rows: list[str], chosen: Sequence[int] | None) -> Array:
    """The numbers of some rows. Raises ValueError."""
    import numpy as np

    def read(rows: list[str]) -> Array:
        return np.loadtxt(
            rows, delimiter=",", ndmin=2, dtype=np.float64, comments=None, quotechar='"', usecols=chosen
        )  # fmt: skip

    if len(rows) > 1 or chosen is not None or len(rows[0]) <= LONG_ROW or '"' in rows[0]:
        return read(rows)
    # NumPy takes thirty bytes for a character of a row, and hears no Ctrl-C before its end.
    (row,) = rows
    pieces = []
    start = 0
    while start <= len(row):
        end = row.find(",", start + LONG_ROW)
        end = len(row) if end < 0 else end
        pieces.append(read([row[start:end] or " ,"]))
        start = end + 1
    return np.concatenate(pieces, axis=1)


def _rows(lines: Lines, name: str) -> Iterator[_Row]:
    """The rows that are not blank."""
    reader = csv.reader(f"{line}\n" for block in lines() for line in block)
    end = 0
    try:
        for fields in reader:
            begin, end = end + 1, reader.line_num
            stripped = [entry.strip() for entry in fields]
            if len(stripped) > 1 or any(stripped):
                yield _Row(begin, end, stripped)
    except csv.Error as problem:
        fail(f"{name}, line {reader.line_num}: not readable as CSV: {problem}")


def _is_ragged(rows: Sequence[str], width: int) -> bool:
    """Whether some row has not so many fields, or cannot be read."""
    try:
        return any(len(fields) != width for fields in csv.reader(rows))
    except csv.Error:
        return True


def _header(lines: Lines, name: str) -> _Row | None:
    """The first row, if it is words: a row in which some fields are numbers is one with a mistake."""
    start = next((line for block in lines() for line in block if line.strip()), "")
    if _is_number(start[: start.find(",", 0, LONG_ROW)]):  # it may be long
        return None
    first = next(_rows(lines, name), None)
    words = first is not None and any(first.fields) and not any(map(_is_number, first.fields))
    return first if words else None


def _fields(columns: str) -> list[str]:
    return [entry.strip() for entry in next(csv.reader([columns], skipinitialspace=True), [""])]


def _positions(columns: Sequence[str], header: Sequence[str], name: str) -> list[int]:
    """Where the named columns stand; an empty name at the end is none."""
    wanted = columns[:-1] if len(columns) > 1 and not columns[-1] else columns
    if not header:
        asked = ",".join(wanted)
        fail(f"{name} has no header, so there is no column {asked!r} in it", "write names on its first line: a,b,…")
    for column in wanted:
        if column not in header:
            shown = [f'"{title}"' if "," in title else title for title in header[:MOST_COLUMNS]]
            if len(header) > MOST_COLUMNS:
                shown.append(f"and {len(header) - MOST_COLUMNS} more")
            close = did_you_mean(column, header)
            help = f"did you mean {close}?" if close else _separator(header[0]) if len(header) == 1 else None
            fail(f"{name} has the columns {', '.join(shown)}, but no {column!r}", help)
        if header.count(column) > 1:
            fail(f"{name} has {header.count(column)} columns called {column!r}")
    return [header.index(column) for column in wanted]


def _separator(text: str) -> str | None:
    """What to say of a field in which there is a mark that others separate fields by."""
    return "fields are separated by commas" if any(mark in text for mark in ";\t") else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _blame_csv(lines: Lines, name: str, header: _Row | None, chosen: Sequence[int] | None) -> None:
    """Raise for the first row that is not as many numbers as the first one, or the header, has."""
    titles = header.fields if header is not None else []
    width = len(titles) if chosen is not None else None
    first = "the header"
    for begin, _, fields in _rows(lines, name):
        if header is not None and begin == header.begin:
            continue
        if width is None:
            width, first = len(fields), f"line {begin}"
        for column, entry in enumerate(fields, 1):
            if not _is_number(entry) and (chosen is None or column - 1 in chosen):
                found = f"{entry[:40]!r} is not a number" if entry else "a field is empty"
                title = f" ({titles[column - 1]})" if column <= len(titles) and titles[column - 1] else ""
                fail(f"{name}, line {begin}, column {column}{title}: {found}", _separator(entry))
        if len(fields) != width:
            fail(f"{name}, line {begin}, column {min(len(fields), width) + 1}: the row has {counted(len(fields), 'field')}, "
                  f"but {first} has {width}")  # fmt: skip
