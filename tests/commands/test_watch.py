"""``--watch``: a command answers again when what it has read is saved."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def watched(tmp_path):
    """Start a command in an empty folder, and read what it writes into a file, line by line."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        with open(tmp_path / "out", "w") as out, open(tmp_path / "err", "w") as err:
            child = subprocess.Popen(
                [sys.executable, "-m", "gradcli", *arguments, "--watch"],
                cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=out, stderr=err,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )  # fmt: skip
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()


def wait(path: Path, words: str) -> None:
    end = time.monotonic() + 20
    while words not in path.read_text():
        assert time.monotonic() < end, path.read_text()
        time.sleep(0.05)


def test_a_program_and_its_data_are_watched(watched, tmp_path):
    program, data = tmp_path / "f.expr", tmp_path / "data.csv"
    data.write_text("a\n1\n2\n")
    program.write_text('variable k = 2.0\nX = load("data.csv", "a")\ny = k*sum(X)\n')
    child = watched("grad", "f.expr")
    wait(tmp_path / "out", "k = 3.0\n")
    data.write_text("a\n1\n2\n5\n")
    wait(tmp_path / "out", "k = 8.0\n")
    program.write_text("variable k = = 2.0\n")
    wait(tmp_path / "err", "f.expr:1:14")
    replaced = tmp_path / "new"
    replaced.write_text("variable k = 3.0; y = k^2\n")
    replaced.rename(program)  # as editors save
    wait(tmp_path / "out", "k = 6.0\n")
    assert (tmp_path / "out").read_text() == "k = 3.0\nk = 8.0\nk = 6.0\n"
    child.send_signal(signal.SIGINT)
    assert child.wait(20) == 130


@pytest.mark.parametrize("arguments", [["eval", "-e", "1 + 1"], ["eval", "missing.expr"]])
def test_without_a_file_there_is_nothing_to_watch(gradcli, arguments):
    done = gradcli(*arguments, "--watch")
    assert done.status == 2
    assert "this one reads none" in done.err
    assert done.out == ""
