"""Arrays in CSV files, and which line and column is at fault when one is not readable.

Fields are separated by commas, semicolons or tabs, whichever suits the first lines; with the last two a number may have a
decimal comma. Lines that begin with # are comments.
"""

from __future__ import annotations

import csv
import re
from array import array as numbers_of
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from gradcli.data.files import fail
from gradcli.data.memory import Memory
from gradcli.diagnostics import counted, did_you_mean
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


LONG_ROW = 1 << 18
"""Characters of a row from which it is read in pieces."""

MOST_COLUMNS = 20
"""Of more columns only the first ones are listed in a message."""


class Row(NamedTuple):
    """The fields of a row, and the lines, counted from 1, on which it begins and ends: a quoted field may hold more."""

    begin: int
    end: int
    fields: list[str]
    names_rows: bool = False
    """Of a header: whether the first column has no name and holds those of the rows."""


Lines = Callable[[], Iterator[list[str]]]
"""The lines of a text, from its start on, some at a time, so that no more of it is held."""


Missing = Literal["drop", "nan"]
"""How gaps are treated: rows with some are left out, or they are NaN."""

GAPS = ("", "NA", "N/A", "null", "NULL", "None")
"""Texts that stand for an unknown value."""


class Item(NamedTuple):
    """What is taken of a column: its numbers, 1 where it holds a ``text``, or for a ``category`` a column for each text."""

    column: int
    text: str | None = None
    category: bool = False


def parse_csv(
    lines: Lines, name: str, memory: Memory, columns: str | None = None, missing: Missing | None = None
) -> Array:
    """The rows of a CSV text as a float64 array [rows, columns]; blank lines and a header of words are skipped.

    ``columns`` are names in the header, ``b,a``, of the columns to take, in that order (``"a, b",c`` where a name holds
    a comma); the others may hold any text. A single name gives an array [rows], and ``a,`` one of [rows, 1].
    ``sex=female`` is 1 where that text stands, else 0; ``prog[]`` such a column for each text of it, in their order.
    A first column without a name that holds texts is left out, as are names of rows that the header has no field for. ``missing`` says what becomes of empty fields and ``NA`` in these columns;
    without it they are an error.
    """

    lines = _canonical(lines, name)
    header = _header(lines, name)
    wanted = fields_of(columns) if columns is not None else None
    items = items_of(wanted, header, name)
    if missing is not None or any([item.text is not None or item.category for item in items or ()]):
        found = _selected(lines, name, memory, header, items, missing)
    else:
        found = _all_numbers(
            lines, name, memory, header, [item.column for item in items] if items is not None else None
        )
    memory.keep(found.nbytes)
    alone = wanted is not None and len(wanted) == 1 and items is not None and not items[0].category
    return found[:, 0] if alone else found


def _all_numbers(lines: Lines, name: str, memory: Memory, header: Row | None, chosen: Sequence[int] | None) -> Array:
    """The rows as float64 [rows, columns], of all columns or some; without gaps, so that NumPy reads them."""
    import numpy as np

    width = len(header.fields) if header is not None else 0
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
            if chosen is not None and _is_ragged(rows, width):
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
    return result


def has_header(lines: Lines, name: str) -> bool:
    """Whether the first row is words."""
    return _header(_canonical(lines, name), name) is not None


def place_in_csv(lines: Lines, name: str, columns: str | None, row: int, column: int) -> str:
    """Where an entry of what :func:`parse_csv` gives stands in the text: ``column `b` of d.csv, line 3``."""
    lines = _canonical(lines, name)
    header = _header(lines, name)
    rows = _rows(lines, name)
    if header is not None:
        next(rows)
    begin = next(islice(rows, row, None)).begin
    titles = header.fields if header is not None else []
    items = items_of(fields_of(columns) if columns is not None else None, header, name)
    if items is not None:
        column = items[column].column
    title = f"`{titles[column]}`" if column < len(titles) and titles[column] else str(column + 1)
    return f"column {title} of {name}, line {begin}"


COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")
"""A number with a decimal comma."""

LOOKED_AT = 20
"""Lines that show what separates fields."""


def _canonical(lines: Lines, name: str) -> Lines:
    """The same lines separated by commas and without comments, which are blank."""
    heads: list[str] = []
    for block in lines():
        heads += [line[:LONG_HEAD] for line in block[: 10 * LOOKED_AT] if line.strip() and not line.startswith("#")]
        if len(heads) >= LOOKED_AT:
            break
    mark = _delimiter(heads[:LOOKED_AT])

    def canonical() -> Iterator[list[str]]:
        number = 0
        open_quote = False
        for block in lines():
            if mark != "," or any([line.startswith("#") for line in block]):
                changed: list[str] = []
                for line in block:
                    number += 1
                    if line.startswith("#") and not open_quote:
                        changed.append("")
                        continue
                    open_quote ^= line.count('"') % 2 == 1
                    if open_quote and mark != ",":
                        fail(
                            f"{name}, line {number}: a quoted field ends on another line, which is read between commas only"
                        )
                    changed.append(line if mark == "," else _with_commas(line, mark))
                block = changed
            else:
                number += len(block)
                open_quote ^= sum([line.count('"') for line in block]) % 2 == 1
            yield block

    return canonical


LONG_HEAD = 1 << 12
"""Characters of a line that are looked at."""


def _delimiter(heads: Sequence[str]) -> str:
    """What separates the fields of some lines: the mark that gives rows of one length and the most numbers."""
    best, found = (False, -1.0), ","
    for mark in (",", ";", "\t"):
        try:
            rows = [row for row in csv.reader(heads, delimiter=mark) if row]
        except csv.Error:
            continue
        body = rows[1:] or rows
        widths = {len(row) for row in body}
        if not rows or max(widths) < 2 or len(rows[0]) < 2:
            continue
        fields = [field for row in body for field in row]
        count = sum([_is_number(f) or mark != "," and COMMA.fullmatch(f) is not None for f in fields])
        score = len(widths) == 1 and widths <= {len(rows[0]), len(rows[0]) + 1}, count / len(fields)
        if score > best:
            best, found = score, mark
    return found


def _with_commas(line: str, mark: str) -> str:
    """A line with commas between its fields, and points in its numbers."""
    fields = next(csv.reader([line], delimiter=mark), []) if '"' in line else line.split(mark)
    return ",".join([_field(field) for field in fields])


def _field(text: str) -> str:
    if "," in text:
        text = text.replace(",", ".") if COMMA.fullmatch(text) else f'"{text}"' if '"' not in text else text
    if '"' in text and not (text[0] == text[-1] == '"'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _selected(
    lines: Lines,
    name: str,
    memory: Memory,
    header: Row | None,
    items: Sequence[Item] | None,
    missing: Missing | None,
) -> Array:
    """Columns of numbers and of texts, row by row, as float64 [rows, columns]."""
    titles = header.fields if header is not None else []
    rows = _rows(lines, name)
    if header is not None:
        next(rows, None)
    gathered: _Gathered | None = None
    width, first = len(titles), "the header"
    for row in rows:
        if gathered is None:
            if not titles:
                width, first = len(row.fields), "the first row"
            gathered = _Gathered(name, titles, items or [Item(column) for column in range(width)], missing)
        if len(row.fields) != width:
            _wrong_width(name, row, width, first)
        gathered.add(row)
        if gathered.count % 4096 == 0:
            memory.need(name, 2 * 8 * len(gathered.items) * gathered.count)
    if gathered is None:
        fail(f"{name} has no rows of numbers")
    return gathered.whole()


class _Gathered:
    """Numbers, and numbers of texts, of the columns that are taken, row by row; on which lines they have gaps."""

    def __init__(self, name: str, titles: Sequence[str], items: Sequence[Item], missing: Missing | None) -> None:
        self.name = name
        self.titles = titles
        self.items = items
        self.missing = missing
        self.columns: list[numbers_of[float]] = [numbers_of("d") for _ in items]
        self.texts: list[dict[str, int]] = [{} for _ in items]
        self.gaps: dict[int, list[int]] = {}

    @property
    def count(self) -> int:
        return len(self.columns[0])

    def add(self, row: Row) -> None:
        found = [self._value(row, item, known) for item, known in zip(self.items, self.texts, strict=True)]
        gaps = [item.column for item, value in zip(self.items, found, strict=True) if value != value]
        for column in gaps:
            self.gaps.setdefault(column, []).append(row.begin)
        if gaps and self.missing == "drop":
            return
        for values, value in zip(self.columns, found, strict=True):
            values.append(value)

    def _value(self, row: Row, item: Item, known: dict[str, int]) -> float:
        """A number, the number of a text in the order in which texts come, or NaN for a gap. Raises GradcliError."""
        text = row.fields[item.column]
        if text in GAPS:
            return float("nan")
        if item.text is not None or item.category:
            return float(known.setdefault(text, len(known)))
        if not _is_number(text):
            _not_a_number(self.name, row, item.column, self.titles)
        return float(text)

    def whole(self) -> Array:
        """The array [rows, columns]. Raises GradcliError where it has no rows, or gaps that are not allowed."""
        import numpy as np

        if self.gaps and self.missing is None:
            _gaps(self.name, self.gaps, self.titles)
        if not self.count:
            fail(f"{self.name} has no rows of numbers" + (" without gaps" if self.gaps else ""))
        columns = [np.array(values) for values in self.columns]
        return joined_parts(columns, self.items, self.texts, self.titles, self.name)


def joined_parts(
    columns: Sequence[Array], items: Sequence[Item], texts: Sequence[dict[str, int]], titles: Sequence[str], name: str
) -> Array:
    """What the items ask for of columns [rows], with the numbers of their texts, beside each other [rows, columns]."""
    import numpy as np

    parts = [
        _part(column, item, known, f"column {title_of(item.column, titles)} of {name}")
        for column, item, known in zip(columns, items, texts, strict=True)
    ]
    return np.concatenate(parts, axis=1)


def _part(values: Array, item: Item, known: dict[str, int], where: str) -> Array:
    """The columns that an item asks for [rows, columns]: numbers, or of the numbers of texts what is 1 and what 0."""
    import numpy as np

    if item.category:
        order = sorted(known)
        rank = np.array([order.index(text) for text in known] or [0])
        codes = np.where(np.isnan(values), 0, values).astype(np.int64)
        one: Array = (rank[codes][:, None] == np.arange(len(order))).astype(np.float64)
        one[np.isnan(values)] = np.nan
        return one
    if item.text is None:
        return values[:, None]
    if item.text not in known:
        close = did_you_mean(item.text, known)
        shown = ", ".join(sorted(known)[:MOST_COLUMNS])
        fail(f"{where} has {shown}, but no {item.text!r}", f"did you mean {close}?" if close else None)
    found: Array = np.where(np.isnan(values), np.nan, values == known[item.text])[:, None]
    return found


def _not_a_number(name: str, row: Row, column: int, titles: Sequence[str]) -> NoReturn:
    """Raise for a field that is not a number."""
    entry = row.fields[column][:40]
    help = "fields are separated by commas" if any([mark in row.fields[column] for mark in ";\t"]) else None
    if help is None and column < len(titles) and titles[column]:
        title = titles[column]
        help = f"`{title}={entry}` is 1 where that text stands, and `{title}[]` has a column for each text"
    fail(f"{name}, line {row.begin}, column {title_of(column, titles)}: {entry!r} is not a number", help)


def _wrong_width(name: str, row: Row, width: int, first: str) -> NoReturn:
    """Raise for a row that is longer or shorter than the ``first`` one."""
    count = len(row.fields)
    fail(
        f"{name}, line {row.begin}, column {min(count, width) + 1}: the row has {counted(count, 'field')}, but {first} has {width}"
    )


def _gaps(name: str, gaps: dict[int, list[int]], titles: Sequence[str]) -> NoReturn:
    """Raise for columns in which something is missing, each with the lines of that."""
    columns = []
    for column, lines in sorted(gaps.items()):
        shown = ", ".join(map(str, lines[:5])) + (f" and {len(lines) - 5} more" if len(lines) > 5 else "")
        columns.append(f"{title_of(column, titles)} on line{'s' if len(lines) > 1 else ''} {shown}")
    first = min(lines[0] for lines in gaps.values())
    column = min(column for column, lines in gaps.items() if lines[0] == first)
    fail(
        f"{name}, line {first}, column {title_of(column, titles)}: a field is empty or NA; gaps are in {'; '.join(columns)}",
        '`load("t.csv", "a,b", missing="drop")` leaves such rows out, and `missing="nan"` makes them NaN',
    )


def title_of(column: int, titles: Sequence[str]) -> str:
    """The number of a column from 1, and its title if it has one."""
    return f"{column + 1} ({titles[column]})" if column < len(titles) and titles[column] else str(column + 1)


def items_of(wanted: Sequence[str] | None, row: Row | None, name: str) -> list[Item] | None:
    """What is taken, in order; None for all columns. Raises GradcliError for missing columns."""
    header = row.fields if row is not None else []
    if wanted is None:
        return [Item(column) for column in range(1, len(header))] if row is not None and row.names_rows else None
    return chosen_items(wanted, header, name)


def chosen_items(wanted: Sequence[str], header: Sequence[str], name: str) -> list[Item]:
    """What is taken of columns with these names, in order: ``a``, ``a=text`` or ``a[]``. Raises GradcliError."""
    plain: list[str] = []
    for entry in wanted:
        column = entry
        if entry not in header:
            title, equals, _ = entry.partition("=")
            column = title.strip() if equals else entry.removesuffix("[]")
        plain.append(column)
    return [
        Item(
            place, entry.partition("=")[2].strip() if entry != column and "=" in entry else None,
            entry != column and "=" not in entry,
        )
        for entry, column, place in zip(wanted, plain, _positions(plain, header, name), strict=False)
    ]  # fmt: skip


def _whole_rows(lines: Lines, skipped: int, need: Callable[[int], None]) -> Iterator[list[str]]:
    """The lines after the first ones, as many at a time as keep rows whole: a quoted field may hold ends of lines.

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


def _rows(lines: Lines, name: str) -> Iterator[Row]:
    """The rows that are not blank."""
    reader = csv.reader(f"{line}\n" for block in lines() for line in block)
    end = 0
    try:
        for fields in reader:
            begin, end = end + 1, reader.line_num
            stripped = [entry.strip() for entry in fields]
            if len(stripped) > 1 or any(stripped):
                yield Row(begin, end, stripped)
    except csv.Error as problem:
        fail(f"{name}, line {reader.line_num}: not readable as CSV: {problem}")


def csv_rows(text: str, name: str) -> Iterator[Row]:
    """The rows of a text that are not blank, whose fields are separated by commas. Raises a DataError (GradcliError)."""
    return _rows(lambda: iter([text.splitlines()]), name)


def _is_ragged(rows: Sequence[str], width: int) -> bool:
    """Whether some row has another number of fields, or cannot be read."""
    try:
        return any(len(fields) != width for fields in csv.reader(rows))
    except csv.Error:
        return True


def _header(lines: Lines, name: str) -> Row | None:
    """The first row, if it is words: a row in which some fields are numbers is one with a mistake."""
    start = next((line for block in lines() for line in block if line.strip()), "")
    if _is_number(start[: start.find(",", 0, LONG_ROW)]):  # it may be long
        return None
    first = next(_rows(lines, name), None)
    words = first is not None and any(first.fields) and not any(map(_is_number, first.fields))
    if first is None or not words:
        return None
    raw = list(islice((line for block in lines() for line in block if line.strip()), 1, 4))
    below = [row for row in csv.reader(raw) if row] if all([len(line) < LONG_HEAD for line in raw]) else []
    if below and len(first.fields) > 1 and all([len(row) == len(first.fields) + 1 for row in below]):
        return first._replace(fields=["", *first.fields], names_rows=True)
    return first._replace(names_rows=bool(below) and not first.fields[0] and not _is_number(below[0][0]))


def fields_of(columns: str) -> list[str]:
    """The names in a row of a CSV file."""
    return [entry.strip() for entry in next(csv.reader([columns], skipinitialspace=True), [""])]


def _positions(columns: Sequence[str], header: Sequence[str], name: str) -> list[int]:
    """Where the named columns stand; an empty name at the end does not count."""
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
            help = f"did you mean {close}?" if close else None
            fail(f"{name} has the columns {', '.join(shown)}, but no {column!r}", help)
        if header.count(column) > 1:
            fail(f"{name} has {header.count(column)} columns called {column!r}")
    return [header.index(column) for column in wanted]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _blame_csv(lines: Lines, name: str, header: Row | None, chosen: Sequence[int] | None) -> None:
    """Raise for the first row that is not as many numbers as the first one, or the header, has."""
    titles = header.fields if header is not None else []
    width = len(titles) if chosen is not None else None
    first = "the header"
    gaps: dict[int, list[int]] = {}
    for row in _rows(lines, name):
        if header is not None and row.begin == header.begin:
            continue
        if width is None:
            width, first = len(row.fields), f"line {row.begin}"
        for column, entry in enumerate(row.fields):
            if not _is_number(entry) and (chosen is None or column in chosen):
                if entry not in GAPS:
                    _not_a_number(name, row, column, titles)
                gaps.setdefault(column, []).append(row.begin)
        if len(row.fields) != width:
            _wrong_width(name, row, width, first)
    if gaps:
        _gaps(name, gaps, titles)
