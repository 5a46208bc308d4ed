"""Bytes and text from files, and files written whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, NoReturn

from gradcli.diagnostics import GradcliError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path


@contextmanager
def opened(path: str | os.PathLike[str], *, pipes: bool = True) -> Iterator[IO[bytes]]:
    """A binary file to read from; a file that cannot be opened is a DataError that names it.

    Devices are refused, for they may never end; ``pipes`` says whether a FIFO, which may never begin, is opened.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            fail(f"{path} is a device, not a file")
        if stat.S_ISFIFO(mode) and not pipes:
            fail(f"{path} is a pipe, not a file", "copy what comes out of it to a file")
        file = open(path, "rb")  # noqa: SIM115
    except (OSError, ValueError) as problem:
        raise unreadable(path, problem) from None
    with file:
        yield file


def read_bytes(path: str | os.PathLike[str], *, pipes: bool = True) -> bytes:
    """The contents of a file, which is opened as :func:`opened` does; one that cannot be read is a DataError."""
    with opened(path, pipes=pipes) as file:
        try:
            return file.read()
        except OSError as problem:
            raise unreadable(path, problem) from None


def decompressed(data: bytes, name: str) -> bytes:
    """What was compressed by gzip."""
    import gzip
    import zlib

    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as problem:
        fail(f"{name} is not readable as gzip: {problem}")


def decode(data: bytes, name: str) -> str:
    """UTF-8 text, with or without a byte order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
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


def write_atomically(path: str | os.PathLike[str], content: bytes | Callable[[IO[bytes]], None]) -> None:
    """Write a file whole or not at all.

    ``content`` is the bytes, or is called with a binary file to write to. A temporary file beside the target takes its
    place at the end; on failure the target is as it was and the temporary file is gone. What exists and is no regular
    file, such as a device or a pipe, is never replaced. Raises GradcliError.
    """
    import tempfile
    from pathlib import Path

    target = Path(os.path.realpath(path))
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
        with os.fdopen(handle, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
        os.chmod(temporary, _permissions(target))
        os.replace(temporary, target)
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
