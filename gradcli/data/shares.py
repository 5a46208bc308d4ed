"""Files whose rows several processes share: each reads its own, and all know how many there are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from gradcli.data.arrays import is_ordinary, mapped_npy
from gradcli.data.commas import Lines, has_header, parse_csv
from gradcli.data.files import CHUNK, decode
from gradcli.data.memory import Memory
from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.ops.creation import Data, Origin, array
from gradcli.graph.types import Shape

if TYPE_CHECKING:
    from pathlib import Path

    import numpy

    Array = numpy.ndarray[Any, Any]

SHARED_BYTES = 1 << 20
"""The size of a file from which each process reads only its own rows."""


class Readers(Protocol):
    """The processes that share files: this is number ``index`` of ``count``, with ``devices`` in all."""

    index: int
    count: int
    devices: int
    kept: dict[Any, Any]

    def told(self, *numbers: int) -> list[list[int]]:
        """Some numbers of each process, which all tell at this place."""

    def added(self, own: Array) -> Array:
        """The sum of an array of bytes of each process."""


class Rows(Data):
    """An array whose rows processes share: this one has ``part``, from row ``start`` on; ``ordinary`` is about all rows."""

    __slots__ = ("dtype", "ordinary", "part", "readers", "shape", "start")

    def __init__(self, part: Array, start: int, shape: Shape, readers: Readers, origin: Origin) -> None:
        self.part = part
        self.start = start
        self.shape = shape
        self.dtype = part.dtype
        self.readers = readers
        self.origin: Origin = origin
        self.ordinary = all([flag for (flag,) in readers.told(int(is_ordinary(part)))])

    @property
    def array(self) -> NoReturn:
        raise GradcliError(
            "ValueError", f"each process has its own rows of {os.path.basename(self.origin.path)}, and this needs all of them at once",
            help="only what is fitted to data may be computed from its rows; smaller files are read by each process as a whole",
        )  # fmt: skip

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.array

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of all rows."""
        return self.part.nbytes * self.readers.count

    def astype(self, dtype: str) -> Rows:
        """The same in another precision, in which all rows may be less ordinary."""
        if dtype == self.dtype:
            return self
        return Rows(self.part.astype(dtype), self.start, self.shape, self.readers, self.origin)

    def node(self) -> Node:
        """What stands for all rows in a graph."""
        found = array(values=self, shape=self.shape, dtype=str(self.dtype))
        found.risky = not self.ordinary
        return found

    def chosen(self, rows: Array) -> Array:
        """Some rows, whoever has them; all processes ask for them at this place."""
        import numpy as np

        found = np.zeros((len(rows), *self.shape[1:]), self.dtype)
        own = (rows >= self.start) & (rows < self.start + len(self.part))
        found[own] = self.part[rows[own] - self.start]
        content = self.readers.added(np.frombuffer(found.tobytes(), np.uint8))
        return np.frombuffer(content.tobytes(), self.dtype).reshape(found.shape)


def shared_rows(path: Path, key: str | None, missing: str | None, memory: Memory, readers: Readers) -> Rows | None:
    """The rows of an ``.npy``, ``.csv`` or ``.parquet`` file in equal parts; None for what each process reads as a whole.

    That is what is small, compressed, left out in places, or has not as many rows for each device. Raises GradcliError.
    """
    place = (str(path), key, missing)
    if place not in readers.kept:
        readers.kept[place] = _read(path, key, missing, memory, readers)
    found: Rows | None = readers.kept[place]
    return found


def _read(path: Path, key: str | None, missing: str | None, memory: Memory, readers: Readers) -> Rows | None:
    try:
        size = os.path.getsize(path)
    except (OSError, ValueError):
        return None  # who reads it says why it cannot
    ending = path.suffix.lower()
    suits = size >= SHARED_BYTES and path.is_file() and missing is None and ending in (".npy", ".csv", ".parquet")
    sizes = {row[0] for row in readers.told(size if suits else 0)}
    if len(sizes) > 1:
        raise GradcliError("DataError", f"{path} is not the same file in all processes: its size differs")
    if sizes == {0}:
        return None
    part: tuple[Array, int] | None
    if ending == ".npy":
        part = _of_npy(path, readers)
    elif ending == ".csv":
        part = _of_csv(path, size, key, memory, readers)
    else:
        from gradcli.data.arrow import read_table, rows_in

        rows = _own(rows_in(path), readers)
        part = None if rows is None or key is not None and _makes_columns(key) else (
            read_table(path, memory, key, rows=rows), rows.start
        )  # fmt: skip
    if part is None:
        return None
    own, start = part
    shapes = {tuple(row) for row in readers.told(own.ndim, *own.shape[1:2])}
    if len(shapes) > 1:
        raise GradcliError("DataError", f"the rows of {path} differ in length")
    return Rows(own, start, (len(own) * readers.count, *own.shape[1:]), readers, Origin(str(path), key))


def _own(count: int, readers: Readers) -> range | None:
    """The rows of this process, if all devices can have as many."""
    if not count or count % readers.devices:
        return None
    each = count // readers.count
    return range(readers.index * each, (readers.index + 1) * each)


def _makes_columns(key: str) -> bool:
    """Whether columns are made of texts, all of which must be known."""
    return "=" in key or "[]" in key


def _of_npy(path: Path, readers: Readers) -> tuple[Array, int] | None:
    array = mapped_npy(path, SHARED_BYTES)
    rows = _own(len(array), readers) if array is not None and array.ndim else None
    return None if array is None or rows is None else (array[rows.start : rows.stop], rows.start)


def _of_csv(path: Path, size: int, key: str | None, memory: Memory, readers: Readers) -> tuple[Array, int] | None:
    """The rows of a CSV file: each process counts those in its part of the bytes, then it knows where its own begin."""
    with open(path, "rb") as file:
        head = file.read(CHUNK).split(b"\n")[:-1]
        first = next((line for line in head if _is_row(line)), b"")
        suits = bool(first) and b'"' not in first and not (key is not None and _makes_columns(key))
        header = first if suits and has_header(lambda: iter([_texts(head, str(path))]), str(path)) else None
        ends = [_begin(file, size * k // readers.count, size) for k in range(readers.count + 1)]
        found = _count(file, ends[readers.index], ends[readers.index + 1]) if suits else None
        told = readers.told(*((1, found) if found is not None else (0, 0)))
        if not all([flag for flag, _ in told]):
            return None
        counts = [n for _, n in told]
        if header is not None:
            counts[0] -= 1
        rows = _own(sum(counts), readers)
        if rows is None:
            return None
        part, before = 0, 0
        while before + counts[part] <= rows.start:
            before += counts[part]
            part += 1
        skipped = rows.start - before + (header is not None and part == 0)

        def lines() -> Iterator[list[str]]:
            if header is not None:
                yield _texts([header], str(path))
            file.seek(ends[part])
            yield from _some(file, skipped, len(rows), str(path))

        return _parsed(lines, path, key, memory), rows.start


def _parsed(lines: Lines, path: Path, key: str | None, memory: Memory) -> Array:
    """The numbers of some rows; errors in them are told by the process that reads the file from its first line on."""
    try:
        return parse_csv(lines, str(path), memory, key)
    except GradcliError as problem:
        if problem.kind != "LimitError":
            from gradcli.data.reading import read_array

            read_array(path, key, memory=memory)
        raise


def _is_row(line: bytes) -> bool:
    return bool(line.strip()) and not line.startswith(b"#")


def _texts(lines: list[bytes], name: str) -> list[str]:
    return [line.rstrip("\r") for line in decode(b"\n".join(lines), name).split("\n")]


def _begin(file: Any, at: int, size: int) -> int:
    """Where the first line begins that begins at a place of a file or after it."""
    if at in (0, size):
        return at
    file.seek(at - 1)
    file.readline()
    return int(file.tell())


def _count(file: Any, start: int, stop: int) -> int | None:
    """The rows between two places; None where a quote may hold more lines, or lines end as on old machines."""
    file.seek(start)
    count, rest = 0, b""
    while start < stop:
        data = file.read(min(CHUNK, stop - start))
        if not data or b'"' in data:
            return None
        start += len(data)
        *lines, rest = (rest + data).split(b"\n")
        if len(lines) < data.count(b"\r"):
            return None
        count += sum([_is_row(line) for line in lines])
    return count + _is_row(rest)


def _some(file: Any, skipped: int, wanted: int, name: str) -> Iterator[list[str]]:
    """That many rows from here on, without the first ones."""
    rest = b""
    while wanted > 0:
        data = file.read(CHUNK)
        *lines, rest = (rest + data).split(b"\n")
        if not data:
            lines, rest = [rest], b""
        rows = [line for line in lines if _is_row(line)]
        chosen = rows[skipped : skipped + wanted]
        skipped = max(0, skipped - len(rows))
        wanted -= len(chosen)
        if chosen:
            yield _texts(chosen, name)
        if not data:
            return
