"""Running commands: inside the test where that will do, in a process of their own where streams and imports matter."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from gradcli.commands.main import run as run_command

ROOT = Path(__file__).parents[2]


class Done(NamedTuple):
    status: int
    out: str
    err: str


class Input(io.TextIOWrapper):
    def __init__(self, content: bytes, terminal: bool) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def gradcli(capsys, monkeypatch, tmp_path):
    """Call the command line in an empty folder; without ``stdin`` standard input is a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRADCLI_DEBUG", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: str, stdin: str | bytes | None = None) -> Done:
        content = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", Input(content or b"", terminal=stdin is None))
        status = run_command(arguments)
        return Done(status, *capsys.readouterr())

    return call


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
