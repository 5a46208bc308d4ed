"""Bytes and text from files, and files written whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, NoReturn

from gradcli.data.memory import Memory
from gradcli.diagnostics import GradcliError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 1 << 20
"""Bytes that are read at a time."""


@contextmanager
def opened(path: str | os.PathLike[str], *, pipes: bool = True) -> Iterator[IO[bytes]]:
    """A binary file to read from; a file that cannot be opened is a DataError that names it (see :func:`check_sort`)."""
    try:
        check_sort(path, pipes)
        file = open(path, "rb")  # noqa: SIM115
    except (OSError, ValueError) as problem:
        raise unreadable(path, problem) from None
    with file:
        yield file


Cost = Callable[[bytes], int]


def read_bytes(
    path: str | os.PathLike[str], memory: Memory | None = None, *, pipes: bool = True, cost: Cost = len
) -> bytes:
    """The contents of a file, decompressed where its name ends in ``.gz``.

    A file that cannot be read is a DataError that names it, a too large one a LimitError. Devices are refused, for they may never end; ``pipes`` says whether a FIFO, which may never begin, is read. ``cost``
    says how much memory some bytes of it take while they are understood.
    """
    if is_compressed(path):
        return Content(path, memory or Memory(), pipes=pipes).read(cost)
    return _stored(path, memory or Memory(), pipes, cost)


def is_compressed(path: str | os.PathLike[str]) -> bool:
    """Whether the name of a file says that it is compressed."""
    return os.fspath(path).lower().endswith(".gz")


def _stored(path: str | os.PathLike[str], memory: Memory, pipes: bool, cost: Cost = len) -> bytes:
    """The bytes of a file as they are."""
    try:
        check_sort(path, pipes)
        with open(path, "rb") as file:
            return read_all(file, str(path), memory, cost)
    except (OSError, ValueError) as problem:
        raise unreadable(path, problem) from None


def check_sort(path: str | os.PathLike[str], pipes: bool) -> bool:
    """Whether a file is a FIFO; a DataError for what is not read. Raises OSError where there is none."""
    mode = os.stat(path).st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        fail(f"{path} is a device, not a file")
    if stat.S_ISFIFO(mode) and not pipes:
        fail(f"{path} is a pipe, not a file", "copy what comes out of it to a file")
    return stat.S_ISFIFO(mode)


def read_all(stream: IO[bytes], name: str, memory: Memory, cost: Cost = len) -> bytes:
    """All that a stream gives, as long as there is memory for it: LimitError. Ctrl-C is heard between its pieces."""
    pieces = bytearray()
    total = 0
    while data := stream.read(CHUNK):
        total += cost(data)
        memory.need(name, total)
        pieces += data
    return bytes(pieces) if len(pieces) < CHUNK else pieces  # type: ignore[return-value]


TABLES = (".parquet", ".arrow", ".feather")
"""What names of tables end in that :mod:`gradcli.data.arrow` reads."""


def is_table(path: str | os.PathLike[str]) -> bool:
    """Whether a file is such a table."""
    return os.fspath(path).lower().endswith(TABLES)


class Content:
    """The bytes of a file, decompressed where its name ends in ``.gz``, as a stream that can be begun anew.

    Raises DataError for a file that cannot be read, LimitError for a pipe that does not fit into memory.
    """

    def __init__(self, path: str | os.PathLike[str], memory: Memory, *, pipes: bool = True) -> None:
        self.name = str(path)
        self.memory = memory
        self.compressed = is_compressed(path)
        self._path = path
        self._held: bytes | None = None
        try:
            if check_sort(path, pipes):
                self._held = _stored(path, memory, pipes)
        except (OSError, ValueError) as problem:
            raise unreadable(path, problem) from None

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The stream, from the start; what is wrong with the file while it is read is a DataError."""
        import io

        try:
            with io.BytesIO(self._held) if self._held is not None else open(self._path, "rb") as file:
                if not self.compressed:
                    yield file
                    return
                import gzip
                import zlib

                try:
                    with gzip.GzipFile(fileobj=file, mode="rb") as stream:
                        yield stream  # type: ignore[misc]
                except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
                    fail(f"{self.name} is not readable as gzip: {problem}")
        except OSError as problem:
            raise unreadable(self._path, problem) from None

    def size(self) -> int | None:
        """The number of bytes, where that is known without reading them."""
        if self.compressed:
            return None
        return len(self._held) if self._held is not None else os.stat(self._path).st_size

    def read(self, cost: Cost = len) -> bytes:
        """All of it (see :func:`read_all`)."""
        with self.opened() as stream:
            return read_all(stream, self.name, self.memory, cost)

    def lines(self) -> Iterator[list[str]]:
        """The lines of a UTF-8 text without their ends, some thousand at a time."""
        with self.opened() as stream:
            pending: list[bytes] = []
            number = 1
            while True:
                data = stream.read(CHUNK)
                cut = max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1
                if data and not cut:
                    pending.append(data)
                    self.memory.need(self.name, 4 * CHUNK * len(pending))
                    continue
                text = b"".join([*pending, data[:cut]])
                pending = [data[cut:]]
                if text:
                    # Words of a text column may hold other marks that Unicode takes for the end of a line.
                    lines = decode(text, self.name, number).replace("\r\n", "\n").replace("\r", "\n").split("\n")
                    if not lines[-1] and cut:
                        lines.pop()
                    number += len(lines)
                    yield lines
                if not data:
                    return


def decode(data: bytes, name: str, line: int = 1) -> str:
    """UTF-8 text, with or without a byte order mark; messages count lines from ``line`` on."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line += data.count(b"\n", 0, problem.start)
        fail(f"{name} is not UTF-8 text: byte 0x{data[problem.start]:02x} on line {line}", "save it as UTF-8")


def unreadable(path: str | os.PathLike[str], problem: Exception) -> GradcliError:
    """What to say of a file that could not be read; for a missing one, which name in its folder comes closest."""
    from pathlib import Path

    if not os.fspath(path):
        return GradcliError("DataError", "the name of the file is empty")
    path = Path(path)
    help = None
    if isinstance(problem, FileNotFoundError):
        message = f"there is no file {path}"
        if path.is_symlink():
            message += f": it is a link to {os.readlink(path)}, which is missing"
        with suppress(OSError):
            close = did_you_mean(path.name, os.listdir(path.parent))
            help = f"did you mean {path.parent / close}?" if close and close != path.name else None
    elif isinstance(problem, IsADirectoryError):
        message = f"{path} is a folder, not a file"
    elif isinstance(problem, PermissionError):
        message = f"there is no permission to read {path}"
    else:
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        message = f"cannot read {path}: {reason}"
    return GradcliError("DataError", message, help=help)


unfinished: set[str] = set()
"""The temporary files that are being written."""


def remove_unfinished() -> None:
    """What a process that ends in the middle of writing leaves behind."""
    for temporary in list(unfinished):
        with suppress(OSError):
            os.unlink(temporary)


def rewrite_program(path: str, text: str) -> None:
    """Write a program back to its file, with the byte order mark that is there; a DataError for a compressed one."""
    import codecs

    if is_compressed(path):
        fail(f"{path} is compressed, and only read", "decompress it first")
    mark = codecs.BOM_UTF8 if read_bytes(path).startswith(codecs.BOM_UTF8) else b""
    write_atomically(path, mark + text.encode())


def write_atomically(path: str | os.PathLike[str], content: bytes | Callable[[IO[bytes]], None]) -> None:
    """Write a file whole or not at all.

    ``content`` is the bytes, or is called with a binary file to write to. A temporary file beside the target takes its
    place at the end; on failure the target is as it was and the temporary file is gone. What exists and is not a regular
    file, such as a device or a pipe, is never replaced. Raises GradcliError.
    """
    import tempfile
    from pathlib import Path

    try:
        target = Path(os.path.realpath(path))
    except ValueError as problem:  # such as a NUL character
        fail(f"cannot write {os.fspath(path)!r}: {problem}")
    temporary: str | None = None
    try:
        if target.is_dir():
            raise IsADirectoryError
        if target.exists() and not target.is_file():
            fail(
                f"cannot write {path}: it is a device or a pipe, not a file",
                "choose another name, or leave --output out",
            )
        if target.exists() and not os.access(target, os.W_OK):
            fail(f"cannot write {path}: it is read-only", f"allow it: `chmod u+w {path}`")
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        unfinished.add(temporary)
        with os.fdopen(handle, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
        os.chmod(temporary, _permissions(target))
        os.replace(temporary, target)
        unfinished.discard(temporary)
        temporary = None
    except OSError as problem:
        if isinstance(problem, IsADirectoryError):
            reason = "it is a folder"
        elif isinstance(problem, FileNotFoundError):
            parent = target.parent
            reason = "no file can be made there" if parent.is_dir() else f"there is no folder {parent}"
        else:
            reason = problem.strerror or str(problem)
        fail(f"cannot write {path}: {reason}")
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
            unfinished.discard(temporary)


def fail(message: str, help: str | None = None) -> NoReturn:
    """Raise a DataError."""
    raise GradcliError("DataError", message, help=help)


def _permissions(target: Path) -> int:
    """Those that the file has, or those that any new file would get: a temporary file is private."""
    try:
        return target.stat().st_mode & 0o7777
    except OSError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
