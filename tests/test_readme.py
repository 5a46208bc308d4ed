"""Every block of the README is run: commands with their output, the language on one screen, Python."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from golden import difference

import gradcli
from gradcli.commands.main import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def sessions() -> list[tuple[str, str]]:
    """Each command of the console blocks, with the output below it."""
    found = []
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A shell in the checkout, in which gradcli is this checkout's."""
    scripts = tmp_path_factory.mktemp("scripts")
    script = scripts / "gradcli"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m gradcli \"$@\"\n")
    script.chmod(0o755)
    env = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            check=False, cwd=ROOT, env=env, timeout=60, text=True, encoding="utf-8",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.stdout

    return run


@pytest.mark.parametrize(("command", "output"), sessions(), ids=[command for command, _ in sessions()])
def test_command(shell, command, output):
    assert difference(shell(command), output) is None


def test_the_language_on_one_screen(tmp_path):
    (program,) = blocks("text")
    (tmp_path / "data.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "screen.expr").write_text(program)
    values = gradcli.load(tmp_path / "screen.expr", settings={"b": "0.5"}).eval()
    assert {name: value.shape for name, value in values.items()} == {"y": (2,), "z": (2,)}


def test_python():
    (session,) = blocks("pycon")
    examples = doctest.DocTestParser().get_doctest(session, {}, "README.md", str(ROOT / "README.md"), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert runner.run(examples).failed == 0


def test_what_the_readme_names_is_there():
    for path in re.findall(r"`((?:samples|grammar|gradcli|tests|\.ci)/[\w./]*)`", README):
        assert (ROOT / path).exists(), path
    for name in COMMANDS:
        assert f"gradcli {name}" in README
    for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README):
        sample = f"samples/{Path(picture).stem}.expr"
        assert f"`{sample}`:\n\n![" in README and f"--output {picture}\n\n" in (ROOT / sample).read_text(
            encoding="utf-8"
        )
        assert (ROOT / picture).exists()
    assert len(README.splitlines()) <= 360
