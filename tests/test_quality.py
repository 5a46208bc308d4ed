"""The checks that need no running program: style, format, types, the direction of imports, the size of files."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]
CHECKS = {
    "style": ["ruff", "check", "--no-cache", "."],
    "format": ["ruff", "format", "--no-cache", "--check", "."],
    "types": ["mypy"],
    "imports": ["lint-imports", "--no-logo", "--no-cache"],
}

MOST_BRANCHES = 25
"""Branches of a function, those of functions in it, of `and` and `or`, and of comprehensions included."""

FUNCTION = re.compile(r"^( *)(?:async )?def (\w+).*\n(?:\1(?: +|\)).*\n|\s*\n)*", re.MULTILINE)
BRANCH = re.compile(r"\b(?:if|elif|for|while|except|case|and|or)\b")
BRANCHES = (ast.If, ast.For, ast.While, ast.ExceptHandler, ast.IfExp, ast.match_case, ast.AsyncFor)


def tool(name: str) -> str:
    """The tool that is installed beside this Python, else the one on the path."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed: pip install -e '.[dev]'")
    return found


@pytest.mark.parametrize("check", CHECKS)
def test_check(check, tmp_path):
    name, *arguments = CHECKS[check]
    if name == "mypy":
        arguments = [*arguments, "--cache-dir", str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run(
        [tool(name), *arguments], check=False, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_graph_and_its_derivatives_need_no_numpy_to_load():
    code = "import sys, gradcli.graph.ops, gradcli.autodiff.reverse; print('numpy' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], check=True, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n"


def test_prompt_editor_notebook_and_page_are_shells():
    """What they need of the language is in a library that commands use, too."""
    folder = ROOT / "gradcli" / "features"
    shells = [path for name in ("repl", "server", "notebook") for path in (folder / name).glob("*.py")]
    shells += [folder / "graph" / "page.py", folder / "graph" / "page.html"]
    assert sum([path.read_text(encoding="utf-8").count("\n") for path in shells]) < 1500


def branches(function: str) -> int:
    """The cyclomatic complexity of a function's source."""
    count = 1
    for node in ast.walk(ast.parse(dedent(function))):
        if isinstance(node, BRANCHES):
            count += 1
        elif isinstance(node, ast.comprehension):
            count += 1 + len(node.ifs)
        elif isinstance(node, ast.BoolOp):
            count += len(node.values) - 1
    return count


def long_functions(text: str, most: int) -> Iterator[tuple[str, int]]:
    """The functions of a module with more branches. Only those with enough of the words are parsed, which takes time."""
    for function in FUNCTION.finditer(text):
        if len(BRANCH.findall(function[0])) >= most and (count := branches(function[0])) > most:
            yield function[2], count


def test_functions_do_one_thing():
    found = {
        f"{path.name}:{name}": count
        for path in sorted((ROOT / "gradcli").rglob("*.py"))
        for name, count in long_functions(path.read_text(encoding="utf-8"), MOST_BRANCHES)
    }
    assert not found, f"take these apart by what they do: {found}"


def test_branches_are_counted():
    lines = [
        "class A:",
        "    async def f(",
        "        self, x",
        "    ):",
        "        for y in x:",
        "            if y and x or not y:",
        "                yield [z for z in y if z]",
        "        def g(): return 1 if x else 2",
        "",
        "    def h(self): return 0",
    ]
    assert [*long_functions("\n".join(lines) + "\n", 0)] == [("f", 8), ("h", 1)]
