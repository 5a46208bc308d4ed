"""Rows of a CSV or NDJSON stream, a block at a time: columns of numbers, and which rows are not numbers and why."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol

from gradcli.data.arrays import standard
from gradcli.data.documents import array_of
from gradcli.data.files import decode, fail
from gradcli.data.memory import Memory
from gradcli.diagnostics import GradcliError

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

CHUNK = 1 << 18
"""Bytes that are read at a time; what a slow pipe holds so far is taken as it is."""

COST = 8
"""Bytes that are taken for a byte of a row while it is understood, at least."""

MANY = 1 << 12
"""Bytes of lines from which numbers are read faster together than one by one."""

EXACT = 2.0**53
"""2^53: above it not every integer has an exact float."""

TRUTH = {"true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True, slots=True)
class Field:
    """What a column holds.

    ``kind``: floats; integers only (``int``); numbers that are integers as long as all of them are (``number``); or
    ``bool``. ``shape`` is that of a cell, or None where the first row decides.
    """

    kind: Literal["float", "int", "number", "bool"]
    shape: tuple[int, ...] | None = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """A block of rows with the same columns.

    ``numbers`` [rows] are their 1-based places in the stream, ``columns`` arrays [rows, …] of float64, int64 or bool
    (a ``number`` column is int64 if all of the block's cells are integers). ``bad`` are rows that could not be read,
    at most one unless bad rows are passed over. ``read`` counts the bytes of the stream up to here. ``kept`` has for each
    row, bad ones too, the texts of the columns that are to be kept (of NDJSON their values): of ``keep``, once it is known.
    """

    numbers: Array
    columns: dict[str, Array]
    bad: list[tuple[int, GradcliError]] = field(default_factory=list)
    read: int = 0
    kept: dict[int, list[Any]] = field(default_factory=dict)
    keep: Sequence[str] | None = None


class _Format(Protocol):
    count: int
    """Rows that were there."""

    @property
    def keep(self) -> Sequence[str]:
        """The columns to keep, with ``*`` written out as soon as there is a row."""

    @property
    def state(self) -> object:
        """What the meaning of further lines depends on."""

    def blocks(self, data: bytes) -> Iterator[Rows]:
        """The rows in some lines, which follow those of the last call."""


class Stream:
    """The rows of a stream, in blocks as they arrive.

    A stream whose first character is ``{`` is NDJSON, an object for each row; anything else is CSV with a header, of
    which an empty block is yielded at once. Blank lines are not rows. A block ends where the stream has nothing more to
    read at the moment, so a slow producer's rows are not held back. ``field_of`` tells what a column of a name holds,
    or raises; a column to ``keep`` for which it raises sets nothing, and ``*`` among them stands for all other such
    columns. Fields of CSV are separated by ``delimiter``.
    Without ``skip_bad`` the block of the first bad row is the last one.
    """

    def __init__(
        self,
        stream: IO[bytes],
        name: str,
        field_of: Callable[[str], Field],
        skip_bad: bool = False,
        memory: Memory | None = None,
        keep: Sequence[str] = (),
        delimiter: str = ",",
    ) -> None:
        self._stream = stream
        self._name = name
        self._field_of = field_of
        self._skip_bad = skip_bad
        self._memory = memory or Memory()
        self._keep = keep
        self._delimiter = delimiter
        self._format: _Format | None = None
        self.read = 0
        """Bytes that were read."""

    @property
    def source(self) -> int | None:
        """A descriptor from which something can be read when the stream has more; None where only reading shows that."""
        try:
            return self._stream.fileno()
        except (OSError, ValueError):
            return None

    @property
    def state(self) -> object:
        """What the meaning of further lines depends on."""
        return None if self._format is None else self._format.state

    def skip(self, rows: int) -> None:
        """Count rows that somebody else has understood."""
        if self._format is not None:
            self._format.count += rows

    def pieces(self) -> Iterator[bytes]:
        """Complete lines as they arrive; nothing where a part of one has arrived.

        Raises GradcliError: a DataError for a stream that cannot be read, is empty or has no usable header, a LimitError for
        a row that ``memory`` (by default what is free) does not hold.
        """
        for data in _complete_lines(self._stream, self._name, self._memory):
            self.read += len(data)
            yield data
        if self._format is None:
            fail(f"{self._name} is empty", 'the first line names the columns: `x,y`, or is an object: `{"x": 1}`')

    def rows(self, data: bytes) -> Iterator[Rows]:
        """The rows in some lines, which follow those of the last call. Raises GradcliError for a header that is not usable."""
        if self._format is None:
            first, rest = _first_line(data.removeprefix(b"\xef\xbb\xbf"))
            if not first:
                return
            if first.lstrip().startswith(b"{"):
                self._format = _Ndjson(self._name, self._field_of, self._skip_bad, self._keep)
            else:
                csv = _Csv(self._name, self._field_of, self._skip_bad, first, self._keep, self._delimiter)
                self._format, data = csv, rest
                yield csv.nothing()
        for rows in self._format.blocks(data):
            yield Rows(rows.numbers, rows.columns, rows.bad, self.read, rows.kept, self._format.keep)


def _complete_lines(stream: IO[bytes], name: str, memory: Memory) -> Iterator[bytes]:
    """What has arrived, up to the last end of a line, or nothing; the rest once it is complete."""
    read = getattr(stream, "read1", stream.read)
    pending: list[bytes] = []
    while True:
        try:
            data = read(CHUNK)
        except OSError as problem:
            fail(f"cannot read {name}: {problem.strerror or problem}")
        if not data:
            break
        cut = data.rfind(b"\n") + 1
        if cut:
            yield b"".join([*pending, data[:cut]])
            pending = []
        if cut < len(data):
            pending.append(data[cut:])
            memory.need(f"a row of {name}", COST * CHUNK * len(pending))
        if not cut:
            yield b""
    if pending:
        yield b"".join(pending)


def _lines(data: bytes) -> list[bytes]:
    """All lines that are not blank."""
    return [line for line in data.splitlines() if line and not line.isspace()]


def _first_line(data: bytes) -> tuple[bytes, bytes]:
    """The first line that is not blank, and what follows it; nothing where there is none."""
    lines = data.splitlines(keepends=True)
    for k, line in enumerate(lines):
        if not line.isspace():
            return line.rstrip(b"\r\n"), b"".join(lines[k + 1 :])
    return b"", b""


def _integers(column: Array) -> Array:
    """The column as int64 if each entry is an integer that a float holds exactly, else as it is."""
    import numpy as np

    if column.dtype.kind != "f" or not bool(np.all((column == np.trunc(column)) & (np.abs(column) <= EXACT))):
        return column
    return column.astype(np.int64)


def _entries(line: str, where: str, delimiter: str = ",") -> list[str]:
    try:
        return [
            entry.strip() for entry in next(csv.reader([line], delimiter=delimiter, skipinitialspace=delimiter != " "))
        ]
    except csv.Error as problem:
        fail(f"{where}: {problem}")


class _Csv:
    """Lines of numbers, by default separated by commas.

    ``names`` are the columns that set something, ``used`` their places among all of them.
    """

    def __init__(
        self,
        name: str,
        field_of: Callable[[str], Field],
        skip_bad: bool,
        header: bytes,
        keep: Sequence[str],
        delimiter: str,
    ) -> None:
        self.name = name
        self.skip_bad = skip_bad
        self.delimiter = delimiter
        self.count = 0
        text = decode(header, name)
        self.header = _entries(text, f"{name}, header", delimiter)
        self.keep = keep = with_others(keep, self.header, field_of)
        missing = next((column for column in keep if column not in self.header), None)
        if missing is not None:
            fail(f"{name} has no column `{missing}` to keep", f"it has {', '.join(self.header)[:200]}")
        self.kept = [self.header.index(column) for column in keep]
        found = {j: _field_if_known(field_of, self.header[j]) for j in self.kept}
        self.used = [j for j in range(len(self.header)) if j not in found or found[j] is not None]
        self.names = [self.header[j] for j in self.used]
        self._check_header(text)
        if not self.names:
            fail(f"no column of {name} is a variable or constant of the program")
        self.fields = [found.get(j) or field_of(self.header[j]) for j in self.used]
        for column, kind in zip(self.names, self.fields, strict=True):
            if kind.shape:
                fail(
                    f"{name}: `{column}` has shape {list(kind.shape)}, and a column of a CSV file holds scalars",
                    f'use NDJSON, an object for each row: `{{"{column}": [1, 2]}}`',
                )
        self.has_bools = any(f.kind == "bool" for f in self.fields)
        self.integers = [j for j, f in enumerate(self.fields) if f.kind in ("int", "number")]

    def _check_header(self, text: str) -> None:
        seen: set[str] = set()
        for number, column in enumerate(self.names, 1):
            if not column.isidentifier():
                if not any(c.isidentifier() for c in self.names):
                    fail(
                        f"the first line of {self.name} must name the columns, and {column[:40]!r} is not a name",
                        self._other_mark(text) or "write the names of variables: `x,y`",
                    )
                fail(f"{self.name}: column {number} is called {column!r}, which is not a name")
            if column in seen:
                fail(f"{self.name} has two columns `{column}`")
            seen.add(column)

    def _other_mark(self, text: str) -> str | None:
        """What to do where fields seem to be separated otherwise."""
        mark = next((m for m in ",;\t" if m in text and m != self.delimiter), None)
        now = "commas" if self.delimiter == "," else repr(self.delimiter)
        other = "tab" if mark == "\t" else repr(mark)
        return mark and f"fields are separated by {now}; `--delimiter {other}` says otherwise"

    @property
    def state(self) -> None:
        """The header has said it all."""

    def nothing(self) -> Rows:
        """The block without rows."""
        import numpy as np

        dtypes = {"float": "float64", "int": "int64", "number": "int64", "bool": "bool"}
        columns = {c: np.empty(0, dtypes[f.kind]) for c, f in zip(self.names, self.fields, strict=True)}
        return Rows(np.empty(0, np.int64), columns, keep=self.keep)

    def blocks(self, data: bytes) -> Iterator[Rows]:
        import numpy as np

        table = self._plain_table(data)
        lines = _lines(data) if table is None else []
        if table is None and not lines:
            return
        numbers = self.count + 1 + np.arange(len(lines) if table is None else len(table))
        self.count += len(numbers)
        texts = self._texts(lines, numbers)
        if table is None and not self.has_bools and all(map(self._is_whole, lines if self.kept else ())):
            try:
                table = np.loadtxt(
                    lines, delimiter=self.delimiter, ndmin=2, dtype=np.float64, comments=None, quotechar='"',
                    usecols=self.used if self.kept else None,
                )  # fmt: skip
            except ValueError:  # some row is bad: which one, and why, is found below
                pass
        if table is None or table.shape != (len(numbers), len(self.names)) or self._is_inexact(np, table):
            yield self._one_by_one(np, lines or _lines(data), numbers)
            return
        columns = {c: np.ascontiguousarray(table[:, j]) for j, c in enumerate(self.names)}
        for j in self.integers:
            column = columns[self.names[j]] = _integers(table[:, j])
            if self.fields[j].kind == "int" and column.dtype.kind == "f":
                yield self._one_by_one(np, lines or _lines(data), numbers)
                return
        yield Rows(numbers, columns, kept=texts)

    def _is_whole(self, line: bytes) -> bool:
        """Whether a row has as many fields as the header, as far as their number shows without quotes."""
        return line.count(self.delimiter.encode()) == len(self.header) - 1

    def _texts(self, lines: Sequence[bytes], numbers: Array) -> dict[int, list[Any]]:
        """What is kept of each row; of one that is too short the rest is empty."""
        if not self.kept:
            return {}
        found: dict[int, list[Any]] = {}
        for line, number in zip(lines, numbers.tolist(), strict=True):
            try:
                entries = _entries(line.decode("utf-8", errors="replace"), self.name, self.delimiter)
            except GradcliError:
                entries = []
            found[number] = [entries[j] if j < len(entries) else "" for j in self.kept]
        return found

    def _plain_table(self, data: bytes) -> Array | None:
        """The numbers [rows, columns] of many lines in which there is nothing else."""
        if self.has_bools or self.kept or self.delimiter != "," or len(data) < MANY:
            return None
        from gradcli.data.decimals import read

        return read(data.replace(b"\r\n", b"\n"), len(self.names))

    def _is_inexact(self, np: Any, table: Array) -> bool:
        """Whether an integer is too large to have been read as a float."""
        return any(bool(np.any(np.abs(table[:, j]) >= EXACT)) for j in self.integers)

    def _one_by_one(self, np: Any, lines: list[bytes], numbers: Array) -> Rows:
        """Row by row, cell by cell: for bad rows, large integers, and ``true`` and ``false``."""
        kept: list[int] = []
        cells: list[list[Any]] = []
        bad: list[tuple[int, GradcliError]] = []
        for number, line in zip(numbers.tolist(), lines, strict=True):
            try:
                cells.append(self._cells(line, f"{self.name}, row {number}"))
                kept.append(number)
            except GradcliError as problem:
                bad.append((number, problem))
                if not self.skip_bad:
                    break
        columns = {}
        for column, kind, values in zip(
            self.names, self.fields, zip(*cells, strict=True) if cells else [], strict=False
        ):
            columns[column] = np.array(values, dtype="bool" if kind.kind == "bool" else None)
            if kind.kind == "float" or not all(type(value) is int for value in values) and kind.kind != "bool":
                columns[column] = columns[column].astype(np.float64)
        texts = self._texts(lines, numbers)
        return Rows(np.array(kept, np.int64), columns or self.nothing().columns, bad, kept=texts)

    def _cells(self, line: bytes, where: str) -> list[float | int | bool]:
        texts = _entries(line.decode("utf-8", errors="replace"), where, self.delimiter)
        if len(texts) != len(self.header):
            fail(f"{where}: it has {len(texts)} fields, and the header has {len(self.header)}")
        return [
            _cell(texts[j], kind, f"{where}, column {self.header[j]}", self._other_mark)
            for j, kind in zip(self.used, self.fields, strict=True)
        ]


def _field_if_known(field_of: Callable[[str], Field], name: str) -> Field | None:
    try:
        return field_of(name)
    except GradcliError:
        return None


def with_others(keep: Sequence[str], columns: Sequence[str], field_of: Callable[[str], Field]) -> list[str]:
    """Columns to keep, with ``*`` written out: all others that set nothing in the program."""
    if "*" not in keep:
        return list(keep)
    rest = [c for c in columns if c not in keep and _field_if_known(field_of, c) is None]
    found = [column for name in keep for column in (rest if name == "*" else [name])]
    return list(dict.fromkeys(found))


def _cell(text: str, column: Field, where: str, other_mark: Callable[[str], str | None]) -> float | int | bool:
    if not text:
        fail(f"{where}: the field is empty", "leave the column out to keep the program's value")
    if column.kind == "bool":
        truth = TRUTH.get(text.lower())
        if truth is None:
            fail(f"{where}: {text!r} is neither true nor false")
        return truth
    try:
        if "_" in text or not text.isascii():
            raise ValueError
        value: float | int = float(text)
        if column.kind != "float" and value == value and abs(value) != float("inf"):
            whole = int(text) if text.lstrip("+-").isdigit() else int(value)
            if whole == value or text.lstrip("+-").isdigit():
                value = whole if -(2**63) <= whole < 2**63 else value
    except ValueError:
        fail(f"{where}: {text!r} is not a number", other_mark(text))
    if column.kind == "int" and isinstance(value, float):
        fail(f"{where}: {text} is not an integer of 64 bits")
    return value


class Records:
    """Rows as mappings from the names of columns to cells, as JSON has them; rows may differ in their names."""

    def __init__(
        self,
        field_of: Callable[[str], Field],
        skip_bad: bool,
        keep: Sequence[str],
        where: Callable[[int], str],
    ) -> None:
        self.field_of = field_of
        self.keep = keep
        self.unused = self._unused()
        self.skip_bad = skip_bad
        self.where = where
        self.fields: dict[str, Field] = {}

    def blocks(self, rows: Sequence[tuple[int, dict[str, Any]]]) -> Iterator[Rows]:
        """The rows, with their numbers, in blocks of those that have the same names."""
        import numpy as np

        if "*" in self.keep and rows:
            self.keep = with_others(self.keep, list(rows[0][1]), self.field_of)
            self.unused = self._unused()
        kept = {number: [row.get(column) for column in self.keep] for number, row in rows}
        used = [(n, {name: value for name, value in row.items() if name not in self.unused}) for n, row in rows]
        for _, group in groupby(used, key=lambda row: row[1].keys()):
            members = list(group)
            block = self._block(np, members)
            yield Rows(block.numbers, block.columns, block.bad, kept={n: kept[n] for n, _ in members})
            if block.bad and not self.skip_bad:
                return

    def _unused(self) -> set[str]:
        return {column for column in self.keep if _field_if_known(self.field_of, column) is None}

    def _block(self, np: Any, rows: list[tuple[int, dict[str, Any]]]) -> Rows:
        names = list(rows[0][1])
        for name in names:
            if name not in self.fields:
                self.fields[name] = self.field_of(name)
        try:
            columns = {name: self._column(np, name, [row[name] for _, row in rows], "") for name in names}
            return Rows(np.array([number for number, _ in rows], np.int64), columns)
        except GradcliError:
            return self._one_by_one(np, rows, names)

    def _one_by_one(self, np: Any, rows: list[tuple[int, dict[str, Any]]], names: Sequence[str]) -> Rows:
        """Row by row, to find out which ones are bad."""
        kept: list[int] = []
        cells: dict[str, list[Array]] = {name: [] for name in names}
        bad: list[tuple[int, GradcliError]] = []
        for number, row in rows:
            try:
                found = [self._column(np, name, [row[name]], f"{self.where(number)}: ") for name in names]
            except GradcliError as problem:
                bad.append((number, problem))
                if not self.skip_bad:
                    break
                continue
            kept.append(number)
            for name, column in zip(names, found, strict=True):
                cells[name].append(column)
        columns = {name: np.concatenate(pieces) for name, pieces in cells.items()} if kept else {}
        return Rows(np.array(kept, np.int64), columns, bad)

    def _column(self, np: Any, name: str, values: list[Any], where: str) -> Array:
        """The cells of a column as an array [rows, …]; a GradcliError if some are not what it holds."""
        column = self.fields[name]
        what = f"{where}{name}"
        array = array_of(values, what)
        if column.shape is None:
            column = self.fields[name] = Field(column.kind, array.shape[1:])
        if array.shape[1:] != column.shape:
            fail(f"{what} needs shape {list(column.shape or ())}, not {list(array.shape[1:])}")
        if column.kind == "bool":
            if array.size and array.dtype.kind != "b" and not np.isin(array, (0, 1)).all():
                fail(f"{what} needs true or false")
            return array.astype(np.bool_)
        if array.dtype.kind == "b" or bool in set(map(type, values)):
            fail(f"{what} needs a number, not true or false")
        array = standard(array, what)
        if column.kind == "float":
            return array.astype(np.float64, copy=False)
        array = _integers(array)
        if column.kind == "int" and array.size and array.dtype.kind == "f":
            fail(f"{what} needs integers")
        return array


class _Ndjson:
    """A JSON object on each line, whose keys are the columns."""

    def __init__(self, name: str, field_of: Callable[[str], Field], skip_bad: bool, keep: Sequence[str]) -> None:
        self.name = name
        self.skip_bad = skip_bad
        self.count = 0
        self.records = Records(field_of, skip_bad, keep, lambda number: f"{name}, row {number}")

    @property
    def keep(self) -> Sequence[str]:
        return self.records.keep

    @property
    def state(self) -> object:
        return tuple(self.records.fields.items()), tuple(self.keep)

    def blocks(self, data: bytes) -> Iterator[Rows]:
        import numpy as np

        rows: list[tuple[int, dict[str, Any]]] = []
        bad: list[tuple[int, GradcliError]] = []
        lines = _lines(data)
        self.count += len(lines)
        for number, line in enumerate(lines, self.count - len(lines) + 1):
            try:
                rows.append((number, self._object(line, f"{self.name}, row {number}")))
            except GradcliError as problem:
                bad.append((number, problem))
                if not self.skip_bad:
                    break
        for block in self.records.blocks(rows):
            yield block
            if block.bad and not self.skip_bad:
                return
        if bad:
            yield Rows(np.empty(0, np.int64), {}, bad)

    def _object(self, line: bytes, where: str) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            fail(f"{where}: not JSON: {line[:40].decode('utf-8', errors='replace')!r}")
        if not isinstance(row, dict):
            fail(f"{where}: it is not an object", 'write one for each row: `{"x": 1, "y": 2}`')
        return row
