"""Running commands: inside the test where that will do, in a process of their own where streams and imports matter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def gradcli(command_line, monkeypatch, tmp_path):
    """Call the command line in an empty folder; without ``stdin`` standard input is a terminal."""
    monkeypatch.chdir(tmp_path)
    return command_line


@pytest.fixture
def process(tmp_path):
    """Call the command line in a process of its own, with pipes for streams."""

    def call(
        *arguments: str, stdin: str = "", python: tuple[str, ...] = (), **options
    ) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "", **options.pop("env", {})}
        command = [sys.executable, *python, "-m", "gradcli", *arguments]
        pipes = {"capture_output": True, **options}
        return subprocess.run(
            command, check=False, input=stdin, text=True, encoding="utf-8", env=env, cwd=tmp_path, timeout=60, **pipes
        )

    return call


@pytest.fixture
def terminal(tmp_path):
    """Call the command line on a terminal of 80 columns, and give what it shows there."""
    pty = pytest.importorskip("pty")

    def call(*arguments: str, env: dict[str, str] | None = None) -> str:
        inherited = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "LINES")}
        shown = {"PYTHONPATH": str(ROOT), "COLUMNS": "80", "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "gradcli", *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env={**inherited, **shown, **(env or {})},
        ) as child:  # fmt: skip
            os.close(theirs)
            seen = b"".join(iter(lambda: _read(ours), b""))
            child.wait(timeout=60)
        os.close(ours)
        return seen.decode().replace("\r\n", "\n")

    return call


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux says that nobody writes any more
        return b""
