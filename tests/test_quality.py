"""The checks that need no running program: style, format, types, the direction of imports, the size of files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECKS = {
    "style": ["ruff", "check", "--no-cache", "."],
    "format": ["ruff", "format", "--no-cache", "--check", "."],
    "types": ["mypy"],
    "imports": ["lint-imports", "--no-logo", "--no-cache"],
}


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
