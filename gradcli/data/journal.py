"""A file that grows by whole lines, whatever ends the process that writes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from gradcli.data.files import fail, read_bytes, write_atomically


class Journal:
    """A text file to which lines are appended, each in one write.

    It starts empty, or with those lines of the file before for which ``keep`` is true. Raises GradcliError (DataError)
    where it cannot be written.
    """

    def __init__(self, path: str, keep: Callable[[str], bool] | None = None) -> None:
        self._path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        if keep is None:
            flags |= os.O_TRUNC
        elif os.path.exists(path):
            lines = read_bytes(path).decode("utf-8", errors="replace").splitlines(keepends=True)
            write_atomically(path, "".join([line for line in lines if keep(line)]).encode())
        try:
            self._file = os.open(path, flags, 0o666)
        except (OSError, ValueError) as problem:
            fail(f"cannot write {path}: {getattr(problem, 'strerror', None) or problem}")

    def write(self, line: str) -> None:
        """Append a line, with its newline, or nothing of it."""
        data = line.encode()
        written = 0
        try:
            written = os.write(self._file, data)
            if written < len(data):  # the disk is nearly full: the rest says why
                os.write(self._file, data[written:])
        except OSError as problem:
            with suppress(OSError):
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            fail(f"cannot write {self._path}: {problem.strerror or problem}")

    def close(self) -> None:
        os.close(self._file)
