"""Every block of the README and of the manual is run: commands with their output, the language on one screen, Python."""

from __future__ import annotations

import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from golden import difference

import gradcli
from gradcli.commands.main import COMMANDS
from gradcli.commands.main import run as run_command
from gradcli.graph.ops import table

ROOT = Path(__file__).parents[1]
FILES = {path.stem: path for path in (ROOT / "README.md", *sorted((ROOT / "gradcli" / "manual").glob("*.md")))}
PAGES = {name: path.read_text(encoding="utf-8") for name, path in FILES.items()}
README = PAGES["README"]

RUN = {"console", "expr", "pycon"}
SHOWN = {"elisp", "js", "json", "lua", "sh", "text", "toml", "vim"}
"""Languages of blocks."""

SHELL = re.compile(r"[|&;<>$`\n]")
"""What a shell does more than to split a line into words."""


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def answered(page: str, shell: Callable[[str], str]) -> str:
    """The page with what the commands of its console blocks print now; lines that begin with ``> `` go on with a command.

    What differs only by the rounding of another machine stays as it is.
    """

    def command(match: re.Match[str]) -> str:
        line, output = match.groups()
        actual = shell(re.sub(r"\n> ?", "\n", line).strip("\n"))
        return f"$ {line}{output if difference(actual, output) is None else actual}"

    def block(match: re.Match[str]) -> str:
        return re.sub(r"^\$ (.*\n(?:> ?.*\n)*)((?:(?!\$ ).*\n)*)", command, match[0], flags=re.MULTILINE)

    return re.sub(r"^```console\n.*?^```$", block, page, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(tmp_path_factory, monkeypatch):
    """Run a command line in a folder with the samples, in which gradcli is this checkout's; output and messages are one text.

    A line that needs no shell is run inside the test.
    """
    folder = tmp_path_factory.mktemp("page")
    script = folder / "scripts" / "gradcli"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m gradcli \"$@\"\n")
    script.chmod(0o755)
    for name in ("samples", "tests"):
        (folder / name).symlink_to(ROOT / name)
    env = {**os.environ, "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    monkeypatch.chdir(folder)

    def run(command: str) -> str:
        if command.startswith("gradcli ") and not SHELL.search(re.sub("'[^'\n]*'", "", command)):
            return inside(shlex.split(command)[1:])
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            check=False, cwd=folder, env=env, timeout=60, text=True, encoding="utf-8",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.stdout

    def inside(arguments: list[str]) -> str:
        with io.TextIOWrapper(io.BytesIO(), encoding="utf-8") as stream, monkeypatch.context() as patched:
            for name in ("stdout", "stderr"):
                patched.setattr(sys, name, stream)
            patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
            run_command(arguments)
            stream.flush()
            return stream.buffer.getvalue().decode()

    return run


@pytest.mark.parametrize("name", PAGES)
def test_commands_print_what_a_page_says(shell, name, request):
    page = PAGES[name]
    actual = answered(page, shell)
    if request.config.getoption("--refresh-golden"):
        FILES[name].write_text(actual, encoding="utf-8")
    else:
        assert actual == page
    for program in blocks(page, "expr"):
        gradcli.loads(program).eval()


def test_a_wrong_page_is_found(shell):
    page = (
        "a\n```console\n$ gradcli eval -e '1+1'\n{}\n$ cat <<'END' | gradcli eval\n> y = 2*3\n>\n> END\n{}\n```\n"
        "```text\n$ gradcli eval -e '1+1'\n3\n```\n"
    )
    assert answered(page.format("3", "z = 6\nw = 8"), shell) == page.format("2", "y = 6")


def test_the_language_on_one_screen(tmp_path):
    (program,) = blocks(README, "text")
    (tmp_path / "data.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "screen.expr").write_text(program)
    values = gradcli.load(tmp_path / "screen.expr", settings={"b": "0.5"}).eval()
    assert {name: value.shape for name, value in values.items()} == {"y": (2,), "z": (2,)}


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if blocks(page, "pycon")])
def test_python(name):
    for session in blocks(PAGES[name], "pycon"):
        examples = doctest.DocTestParser().get_doctest(session, {}, name, name, 0)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
        assert runner.run(examples).failed == 0


def test_what_pages_name_is_there():
    for name, page in PAGES.items():
        for path in re.findall(r"`((?:samples|grammar|gradcli|tests|\.ci)/[\w./]*)`", page):
            assert (ROOT / path).exists(), path
        for topic in re.findall(r"`gradcli help (\w+)`", page):
            assert topic in {*PAGES, *COMMANDS, *table, "operations"}, (name, topic)
        for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page):
            sample = f"samples/{Path(picture).stem}.expr"
            assert f"`{sample}`:\n\n![" in page and f"--output {picture}\n\n" in (ROOT / sample).read_text(
                encoding="utf-8"
            )
            assert (ROOT / picture).exists()
    for name in COMMANDS:
        assert any(f"gradcli {name}" in page for page in PAGES.values()), name


def test_pages_have_headings_and_blocks_of_known_languages():
    for name, page in PAGES.items():
        assert re.match(r"# \S.*\n\n\S", page), name
        opened = re.findall(r"^```(\w*)$", page, re.MULTILINE)[::2]
        assert set(opened) <= RUN | SHOWN, name
    assert len(README.splitlines()) < 200
