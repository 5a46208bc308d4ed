"""``--watch``: a command runs again whenever a file that it has read is saved; what it answered last stays in sight."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from gradcli.commands.endings import is_terminal

PAUSE = 0.2
"""Seconds between two looks at the files."""


class _Held(io.TextIOWrapper):
    """A stream that keeps what is written to it, and is a terminal where the real one is."""

    def __init__(self, real: Any) -> None:
        super().__init__(io.BytesIO(), encoding=getattr(real, "encoding", None) or "utf-8", write_through=True)
        self._terminal = is_terminal(real)

    def isatty(self) -> bool:
        return self._terminal

    def kept(self) -> bytes:
        self.flush()
        return self.buffer.getvalue()  # type: ignore[attr-defined,no-any-return]


def again_and_again(run: Callable[[], int]) -> NoReturn:
    """Run, and run again when a file changes that was opened for reading, until Ctrl-C; the answer of a run that succeeds is shown.

    Where one fails, its message is shown below the last good answer. Raises click.UsageError if no file was read.
    """
    opened: set[str] = set()
    recording = False

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if recording and event == "open" and isinstance(arguments[0], (str, os.PathLike)):
            path, mode, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR) if isinstance(flags, int) else 0
            if not writes and not set("wax+") & set(mode or "r"):
                opened.add(os.path.abspath(path))

    sys.addaudithook(note)
    good = b""
    while True:
        opened.clear()
        recording = True
        with _held() as (out, err):
            status = run()
        recording = False
        watched = {path: _state(path) for path in opened if not _is_code(path) and os.path.isfile(path)}
        if not watched:
            sys.stderr.write(err.kept().decode(errors="replace"))
            raise click.UsageError("--watch runs a command again when a file is saved, and this one reads none.")
        good = out.kept() if status == 0 else good
        _show(good if status == 0 or is_terminal(sys.stdout) else b"", err.kept())
        while all([_state(path) == state or not os.path.exists(path) for path, state in watched.items()]):
            time.sleep(PAUSE)


@contextmanager
def _held() -> Iterator[tuple[_Held, _Held]]:
    real = sys.stdout, sys.stderr
    held = _Held(real[0]), _Held(real[1])
    sys.stdout, sys.stderr = held
    try:
        yield held
    finally:
        sys.stdout, sys.stderr = real


def _show(answer: bytes, said: bytes) -> None:
    """Both, on a terminal in place of what is there."""
    if is_terminal(sys.stdout):
        sys.stdout.write("\x1b[2J\x1b[H")
        sys.stdout.flush()
    for stream, data in ((sys.stdout, answer), (sys.stderr, said)):
        stream.flush()
        stream.buffer.write(data)
        stream.flush()


def _state(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _is_code(path: str) -> bool:
    """Whether a file belongs to Python, a package or gradcli: a command reads these too."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folders = ("/proc", "/sys", "/dev", sys.prefix, sys.base_prefix, package, os.path.join(package, "..", "grammar"))
    return any([path.startswith(os.path.abspath(folder) + os.sep) for folder in folders])
