"""What all tests share: the flag that renews golden files, and the command line run inside the test."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from gradcli.commands.main import run as run_command

# What JAX compiles is kept from one run of the tests to the next, and not among the user's files.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "jax"))

# Started in the background of a shell, the tests would pass on to commands that Ctrl-C is ignored.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--refresh-golden",
        action="store_true",
        help="write what is expected anew: samples/*.out, tests/commands/imports, what commands print in README.md and gradcli/manual",
    )


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


def pytest_collection_modifyitems(items):
    """What takes minutes begins first, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: "burgers" not in item.nodeid)


@pytest.fixture
def command_line(capsys, monkeypatch):
    """Call the command line in the current folder; without ``stdin`` standard input is a terminal."""
    monkeypatch.delenv("GRADCLI_DEBUG", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: str, stdin: str | bytes | None = None) -> Done:
        content = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", Input(content or b"", terminal=stdin is None))
        status = run_command(arguments)
        return Done(status, *capsys.readouterr())

    return call
