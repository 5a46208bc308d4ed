"""Arrays in NumPy's own ``.npy`` and ``.npz`` formats, and which dtypes they may have."""

from __future__ import annotations

import stat
from collections.abc import Callable, Collection, Iterable
from typing import IO, TYPE_CHECKING, Any

from gradcli.data.files import fail
from gradcli.data.memory import Memory
from gradcli.diagnostics import GradcliError, counted
from gradcli.graph.types import DTYPES, ORDINARY

MAPPED_BYTES = 1 << 24
"""From this size on a file is worth not being read as a whole."""

FLOATS = {"f": "float32", "d": "float64"}
"""The dtypes of floats by NumPy's characters, which cost a tenth of their names to ask for."""

FEW = 1 << 10
"""Entries up to which the sum of their squares is quicker than two searches for the largest."""

if TYPE_CHECKING:
    from pathlib import Path

    import numpy

    Array = numpy.ndarray[Any, Any]


def write_npz(file: IO[bytes], arrays: Iterable[tuple[str, Array]]) -> None:
    """The arrays as an ``.npz`` file; unlike ``numpy.savez`` it takes any name, ``file`` included."""
    import zipfile

    import numpy as np

    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def standard(array: Array, what: str) -> Array:
    """The array in one of the five dtypes of the language, C-ordered; a DataError about ``what`` if there is none."""
    import numpy as np

    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "b":
        dtype = "bool"
    elif kind in "iu":
        if array.dtype == np.uint64 and array.size and int(array.max()) >= 2**63:
            fail(f"{what} has an integer that does not fit in int64: {array.max()}")
        dtype = "int32" if kind == "i" and size == 4 else "int64"
    elif kind == "f":
        dtype = "float32" if size <= 4 else "float64"
    else:
        fail(f"{what} has dtype {array.dtype}, but needs real numbers or booleans")
    with np.errstate(over="ignore"):  # a long double that float64 does not hold becomes infinite
        return np.asarray(array, dtype=dtype, order="C")


def first_not_finite(array: Array) -> tuple[int, ...] | None:
    """The indices of the first NaN or infinity, or None; read in blocks, for the array may be memory-mapped."""
    import numpy as np

    if array.dtype.kind != "f":
        return None
    flat = array.reshape(-1)
    for start in range(0, flat.size, 1 << 20):
        finite = np.isfinite(flat[start : start + (1 << 20)])
        released(array)
        if not finite.all():
            return tuple(int(i) for i in np.unravel_index(start + int(np.argmin(finite)), array.shape))
    return None


def is_ordinary(array: Array, dtype: str | None = None) -> bool:
    """Whether an array, in a dtype (its own), holds no NaN, no infinity and nothing so large that products overflow.

    Read in blocks, for the array may be memory-mapped.
    """
    limit = ORDINARY.get(dtype or FLOATS.get(array.dtype.char, ""))
    if limit is None or array.dtype.kind != "f":
        return True
    flat = array.reshape(-1)
    if flat.size <= FEW:
        import numpy as np

        with np.errstate(all="ignore"):
            squares = flat.dot(flat)
        if float(squares) <= limit * limit:  # not so where an entry is NaN
            return True
    for start in range(0, flat.size, 1 << 20):
        block = flat[start : start + (1 << 20)]
        ordinary = float(block.max()) <= limit and float(block.min()) >= -limit
        released(array)
        if not ordinary:
            return False
    return True


def ordinary_rows(rows: Array, dtype: str) -> Array:
    """Which rows of an array hold ordinary numbers only (see :func:`is_ordinary`)."""
    limit = ORDINARY[dtype]
    flat: Any = rows.reshape(len(rows), -1)
    found: Array = ((flat <= limit) & (flat >= -limit)).all(axis=1)
    return found


def released(array: Array) -> None:
    """Give back the memory into which parts of a mapped file were read; they are read again where they are used.

    Only of one that nobody can have written to: in another mode that would undo what was written.
    """
    import mmap

    base: Any = array
    read_only = False
    while hasattr(base, "base"):
        read_only = getattr(base, "mode", None) == "r"
        base = base.base
    if read_only and isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


LONGEST_HEADER = 1 << 20
"""Bytes of a header that describes one array; NumPy itself takes 10,000 characters."""


def parse_npy(stream: IO[bytes], size: int | None, what: str, memory: Memory) -> Array:
    """One array in NumPy's own format, from a file of ``size`` bytes, if that is known.

    The header says how much memory it takes: a LimitError before anything is read where that is too much.
    """
    import zlib

    import numpy as np

    damage = "its header is damaged"
    try:
        start = stream.read(12)
        if int.from_bytes(start[8:10] if start[6:7] == b"\1" else start[8:12], "little") > LONGEST_HEADER:
            raise ValueError
        stream.seek(0)
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
        if dtype.hasobject:
            fail(f"{what} holds Python objects, which are never read", "save it with a numeric dtype")
        # A damaged header must not make NumPy allocate what the file cannot fill.
        needed = dtype.itemsize
        for extent in shape:
            needed *= extent
        if size is not None and needed > size:
            fail(f"{what} is cut short: its header promises {counted(needed, 'byte')} of numbers, the file has {size}")
        converted = 0 if dtype.name in DTYPES and dtype.isnative else needed // max(dtype.itemsize, 1) * 8
        memory.need(what, needed + converted)
        stream.seek(0)
        damage = "its numbers are damaged"
        array = np.lib.format.read_array(stream, allow_pickle=False)
    except (GradcliError, MemoryError, EOFError, OSError, zlib.error):  # who has opened the stream knows more
        raise
    except Exception:  # noqa: BLE001  NumPy reads a header with Python's tokenizer: anything may come out
        fail(f"{what} is not a readable .npy array: {damage}", "save it anew with numpy.save")
    array = standard(array, what)
    memory.keep(array.nbytes)
    return array


def mapped_npy(path: Path, least: int | None = None) -> Array | None:
    """An ``.npy`` file of at least that many bytes as an array that is read from the file where it is used; None where that is impossible."""
    try:
        status = path.stat()
        if status.st_size < (MAPPED_BYTES if least is None else least) or not stat.S_ISREG(status.st_mode):
            return None
        import numpy as np

        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception:  # noqa: BLE001  whatever it is, reading the file says what is wrong
        return None
    known = array.dtype.name in DTYPES and array.dtype.isnative and array.flags.c_contiguous
    return np.asarray(array) if known else None


def parse_npz(
    file: IO[bytes], name: str, memory: Memory, choose: Callable[[list[str]], Collection[str]] = list
) -> dict[str, Array]:
    """The arrays of an archive by name: those that ``choose`` takes of all names."""
    import zipfile
    import zlib

    damages = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, OSError, EOFError)
    try:
        archive = zipfile.ZipFile(file)
    except damages as problem:
        fail(f"{name} is not a readable .npz file: {problem}")
    arrays = {}
    with archive:
        members = {m.filename.removesuffix(".npy"): m for m in archive.infolist() if m.filename.endswith(".npy")}
        for label in choose(list(members)):
            member = members[label]
            try:
                with archive.open(member) as stream:
                    arrays[label] = parse_npy(stream, member.file_size, f"{label} of {name}", memory)
            except damages as problem:
                fail(f"{label} of {name} cannot be read: {problem}")
    return arrays
