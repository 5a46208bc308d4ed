"""Tables in Parquet, Arrow and Feather files: the only module that imports pyarrow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from gradcli.data.commas import MOST_COLUMNS, Item, Missing, chosen_items, fields_of, joined_parts, title_of
from gradcli.data.files import check_sort, fail, unreadable
from gradcli.data.memory import Memory
from gradcli.data.rows import Field, Records, Rows, with_others
from gradcli.diagnostics import GradcliError

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

BATCH = 1 << 13
"""Rows that are looked at together."""

INDEX = "__index_level_0__"
"""The column in which pandas keeps the names of rows."""


class Table:
    """A file, a group of rows at a time. Raises GradcliError for what cannot be read, and without pyarrow."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        try:
            import pyarrow
        except ImportError:
            fail(f"reading {self.name} needs pyarrow, which is not installed", "pip install 'gradcli[arrow]'")
        self._arrow = pyarrow
        self._errors = (pyarrow.ArrowException, OSError, ValueError)
        try:
            check_sort(path, False)
        except (OSError, ValueError) as problem:
            raise unreadable(path, problem) from None
        self.is_parquet = self.name.lower().endswith(".parquet")
        self.group = "row group" if self.is_parquet else "record batch"
        try:
            if self.is_parquet:
                from pyarrow import parquet

                self._file: Any = parquet.ParquetFile(self.name)
                self.schema, self.groups = self._file.schema_arrow, self._file.num_row_groups
            else:
                self._file = pyarrow.ipc.open_file(pyarrow.memory_map(self.name))
                self.schema, self.groups = self._file.schema, self._file.num_record_batches
        except self._errors as problem:
            self._unreadable(problem)
        self.names: list[str] = list(self.schema.names)

    def _unreadable(self, problem: Exception) -> NoReturn:
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        fail(f"{self.name} is not readable as {'Parquet' if self.is_parquet else 'an Arrow file'}: {lines[0]}")

    @property
    def rows(self) -> int | None:
        """The number of rows, where it is known before they are read."""
        return int(self._file.metadata.num_rows) if self.is_parquet else None

    def parts(self, rows: range | None) -> Iterator[tuple[int, range | None]]:
        """The groups that some rows are in, and which of their rows those are; all groups for all rows."""
        before = 0
        for group in range(self.groups):
            if rows is None:
                yield group, None
                continue
            count = int(self._file.metadata.row_group(group).num_rows)
            own = range(max(rows.start - before, 0), min(rows.stop - before, count))
            if own:
                yield group, own
            before += count

    def read(self, group: int, names: Sequence[str]) -> Any:
        """Some columns of a group of rows, as a ``pyarrow.Table``."""
        try:
            if self.is_parquet:
                return self._file.read_row_group(group, columns=list(names))
            return self._arrow.Table.from_batches([self._file.get_batch(group)]).select(list(names))
        except self._errors as problem:
            self._unreadable(problem)

    def is_text(self, name: str) -> bool:
        kind = self.schema.field(name).type
        types = self._arrow.types
        kind = kind.value_type if types.is_dictionary(kind) else kind
        return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))

    def is_number(self, name: str) -> bool:
        kind, types = self.schema.field(name).type, self._arrow.types
        some = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
        return any(test(kind) for test in some)


def read_table(
    path: str | os.PathLike[str],
    memory: Memory,
    columns: str | None = None,
    missing: Missing | None = None,
    rows: range | None = None,
) -> Array:
    """The rows of a table as a float64 array [rows, columns]; ``columns`` and ``missing`` are those of :func:`gradcli.data.commas.parse_csv`.

    Of a Parquet file only some ``rows``, and the groups that they are in, are read if they are given.

    What is null is a gap, and with ``missing`` NaN is one too. Raises GradcliError (DataError, LimitError).
    """

    table = Table(path)
    wanted = fields_of(columns) if columns is not None else None
    gathered = _Gathered(table, _items(table, wanted), missing, memory)
    memory.need(table.name, 8 * len(gathered.items) * (len(rows) if rows is not None else table.rows or 0))
    for group, own in table.parts(rows):
        gathered.add(group, own)
    result = gathered.whole()
    memory.keep(result.nbytes)
    alone = wanted is not None and len(wanted) == 1 and not gathered.items[0].category
    return result[:, 0] if alone else result


def _items(table: Table, wanted: Sequence[str] | None) -> list[Item]:
    """What is taken: all columns but the index of pandas, or those that are ``wanted``. Raises GradcliError."""
    name, names = table.name, table.names
    if wanted is None:
        items = [Item(k) for k, title in enumerate(names) if title != INDEX]
    else:
        items = chosen_items(wanted, names, name)
    if not items:
        fail(f"no column of {name} is named", f"it has {', '.join(names[:MOST_COLUMNS])}")
    for item in items:
        _check(table, item)
    return items


class _Gathered:
    """The columns that are taken of a table, gathered a group of rows at a time; where the first gap is."""

    def __init__(self, table: Table, items: Sequence[Item], missing: Missing | None, memory: Memory) -> None:
        self.table = table
        self.items = items
        self.missing = missing
        self.memory = memory
        self.titles = [table.names[item.column] for item in items]
        self.texts: list[dict[str, int]] = [{} for _ in items]
        self.found: list[list[Array]] = [[] for _ in items]
        self.gap: tuple[int, int, int] | None = None
        self.left_out = False
        self.size = 0

    def add(self, group: int, own: range | None) -> None:
        """Read a group, or its ``own`` rows only."""
        import numpy as np

        part = self.table.read(group, list(dict.fromkeys(self.titles)))
        if own is not None:
            part = part.slice(own.start, len(own))
        self.size += 8 * len(self.items) * part.num_rows
        self.memory.need(self.table.name, self.size)
        columns = [part.column(title) for title in self.titles]
        for item, column in zip(self.items, columns, strict=True):
            null = np.asarray(column.is_null())
            if self.gap is None and null.any():
                self.gap = group, int(null.argmax()) + (own.start if own is not None else 0), item.column
        values = [_values(c, item, known) for c, item, known in zip(columns, self.items, self.texts, strict=True)]
        if self.missing == "drop":
            keep = ~np.any([np.isnan(v) for v in values], axis=0)
            self.left_out |= not keep.all()
            values = [v[keep] for v in values]
        for pieces, value in zip(self.found, values, strict=True):
            pieces.append(value)

    def whole(self) -> Array:
        """The array [rows, columns]. Raises GradcliError where there is none, or a gap that is not allowed."""
        import numpy as np

        name, names = self.table.name, self.table.names
        if self.gap is not None and self.missing is None:
            group, row, column = self.gap
            fail(
                f"{name}, {self.table.group} {group + 1}, row {row + 1}, column {title_of(column, names)}: the value is null",
                '`load("t.parquet", "a,b", missing="drop")` leaves such rows out, and `missing="nan"` makes them NaN',
            )
        columns = [np.concatenate(pieces) if pieces else np.empty(0) for pieces in self.found]
        if not len(columns[0]):
            fail(f"{name} has no rows" + (" without gaps" if self.left_out else ""))
        return joined_parts(columns, self.items, self.texts, names, name)


def rows_in(path: str | os.PathLike[str]) -> int:
    """How many rows a Parquet file has. Raises GradcliError."""
    return Table(path).rows or 0


def _check(table: Table, item: Item) -> None:
    """Raise for a column that does not hold what is asked for."""
    title = table.names[item.column]
    kind = table.schema.field(item.column).type
    where = f"{table.name}, column {title_of(item.column, table.names)}"
    if item.text is not None or item.category:
        if not table.is_text(title):
            fail(f"{where} holds {kind}, and no texts", f"`{title}` takes its numbers")
    elif not table.is_number(title):
        advice = (
            f"`{title}=text` is 1 where that text stands, `{title}[]` has a column for each"
            if table.is_text(title)
            else None
        )
        others = [name for name in table.names if table.is_number(name)]
        if advice is None and others:
            advice = f"name those that hold numbers: {', '.join(others[:MOST_COLUMNS])}"
        fail(f"{where} holds {kind}, and not numbers", advice)


def _values(column: Any, item: Item, known: dict[str, int]) -> Array:
    """The numbers of a column as float64, or those of its texts; NaN for null."""
    import numpy as np
    import pyarrow
    from pyarrow import compute

    if item.text is None and not item.category:
        kind = column.type
        if pyarrow.types.is_boolean(kind):
            column = compute.cast(column, pyarrow.uint8())
        return np.asarray(compute.cast(column, pyarrow.float64(), safe=False).to_numpy(), np.float64)
    encoded = column.combine_chunks()
    if not pyarrow.types.is_dictionary(column.type):
        encoded = encoded.dictionary_encode()
    if isinstance(encoded, pyarrow.ChunkedArray):
        encoded = encoded.unify_dictionaries().chunk(0) if encoded.num_chunks else encoded
    codes = np.array(
        [known.setdefault(str(text), len(known)) for text in encoded.dictionary.to_pylist()] or [0], np.float64
    )
    at = compute.fill_null(encoded.indices, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.where(np.asarray(encoded.is_null()), np.nan, codes[at])


def table_rows(
    path: str,
    field_of: Callable[[str], Field],
    skip_bad: bool = False,
    memory: Memory | None = None,
    keep: Sequence[str] = (),
) -> Iterator[Rows]:
    """The rows of a table in blocks; see :class:`gradcli.data.rows.Stream`. ``read`` counts the bytes of the file in proportion."""
    import numpy as np

    table = Table(path)
    keep = with_others(keep, [name for name in table.names if name != INDEX], field_of)
    absent = next((column for column in keep if column not in table.names), None)
    if absent is not None:
        fail(f"{path} has no column `{absent}` to keep", f"it has {', '.join(table.names)[:200]}")
    names = [name for name in table.names if name != INDEX or name in keep]
    size, total = os.path.getsize(path), table.rows
    place: list[tuple[int, int]] = [(0, 0)]

    def where(number: int) -> str:
        group, before = place[-1]
        return f"{path}, {table.group} {group + 1}, row {number - before}"

    records = Records(field_of, skip_bad, keep, where)
    before = 0
    for group in range(table.groups):
        part = table.read(group, names)
        if memory is not None:
            memory.need(f"a {table.group} of {path}", part.nbytes)
        place[:] = [(group, before)]
        columns = _numbers(part, names, field_of) if not keep else None
        for start in range(0, part.num_rows, BATCH):
            stop = min(start + BATCH, part.num_rows)
            first = before + start + 1
            read = size * (before + stop) // total if total else 0
            if columns is not None:
                some = {name: column[start:stop] for name, column in columns.items()}
                yield Rows(np.arange(first, before + stop + 1), some, read=read, keep=keep)
                continue
            rows = part.slice(start, BATCH).to_pylist()
            cells = [(first + k, {name: _plain(value) for name, value in row.items()}) for k, row in enumerate(rows)]
            for block in records.blocks(cells):
                yield Rows(block.numbers, block.columns, block.bad, read, block.kept, keep)
                if block.bad and not skip_bad:
                    return
        before += part.num_rows
    if not before:
        raise GradcliError("DataError", f"{path} has no rows")


class Tables:
    """The rows of a table in pieces, as :class:`gradcli.data.rows.Stream` has those of a stream."""

    source = None
    state = None

    def __init__(
        self, path: str, field_of: Callable[[str], Field], skip_bad: bool, memory: Memory, keep: Sequence[str]
    ) -> None:
        self._rows = table_rows(path, field_of, skip_bad, memory, keep)
        self.read = 0

    def skip(self, rows: int) -> None:
        """Nothing: rows have their numbers."""

    def pieces(self) -> Iterator[Rows]:
        """Blocks of rows."""
        for rows in self._rows:
            self.read = rows.read
            yield rows

    def rows(self, piece: Rows) -> Iterator[Rows]:
        return iter([piece])


def _numbers(part: Any, names: Sequence[str], field_of: Callable[[str], Field]) -> dict[str, Array] | None:
    """The columns of a group of rows without gaps whose cells are floats, or integers, as they are; None for others."""
    import numpy as np
    import pyarrow

    found: dict[str, Array] = {}
    for name in names:
        column, field, types = part.column(name), field_of(name), pyarrow.types
        integer = types.is_integer(column.type) and column.type != pyarrow.uint64()
        if (
            column.null_count
            or field.shape != ()
            or not (field.kind == "float" and types.is_floating(column.type) or integer)
        ):
            return None
        if field.kind == "bool":
            return None
        found[name] = np.asarray(column.to_numpy()).astype(np.float64 if field.kind == "float" else np.int64)
    return found


def _plain(value: Any) -> Any:
    """A cell as JSON has it: numbers, texts, lists."""
    if value is None or isinstance(value, (bool, int, float, str, list)):
        return value
    from decimal import Decimal

    return float(value) if isinstance(value, Decimal) else str(value)
