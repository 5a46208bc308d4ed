"""The package works from a wheel, from an editable install and from a bare checkout, each in an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import gradcli

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "samples" / "stopped_node.expr"


def run(*command: str | Path, cwd: Path) -> str:
    """The output of a command that sees neither the checkout nor what surrounds these tests."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "GRADCLI", "COV"))}
    done = subprocess.run(
        [str(part) for part in command], check=False, cwd=cwd, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def environment(tmp_path):
    """A fresh environment in which the dependencies, but not gradcli, are installed."""
    folder = tmp_path / "environment"
    venv.create(folder, symlinks=os.name != "nt")
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    # Packages are found where the tests' own are; paths in a .pth file have no .pth files of their own.
    Path(paths["purelib"], "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Path(paths["scripts"])


def build(target: str, source: Path, folder: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder, cwd=source)
    (built,) = folder.iterdir()
    return built


def check(scripts: Path, cwd: Path, inside: Path) -> None:
    """The command and the module differentiate a sample; lark finds the grammar, and the saved tables are those of it."""
    code = "import gradcli.language.tables as t; print(t.__file__); print(t.build(t.grammar_text()) == t.load())"
    file, same = run(scripts / "python", "-c", code, cwd=cwd).split("\n")[:2]
    assert Path(file).is_relative_to(inside)
    assert same == "True"
    assert run(scripts / "python", "-m", "gradcli", "grad", SAMPLE, cwd=cwd) == "w1 = None\nw2 = 6.0\n"


def check_script(scripts: Path, cwd: Path) -> None:
    run(scripts / "gradcli", "examples", "stopped_node", "--copy", cwd, cwd=cwd)
    assert (cwd / "samples" / "stopped_node.expr").read_bytes() == SAMPLE.read_bytes()
    assert "stop_gradient" in run(scripts / "gradcli", "help", "none", cwd=cwd)
    assert run(scripts / "gradcli", "grad", SAMPLE, cwd=cwd) == "w1 = None\nw2 = 6.0\n"
    assert run(scripts / "gradcli", "--version", cwd=cwd) == f"gradcli {gradcli.__version__}\n"


def pip(scripts: Path, *arguments: str | Path, cwd: Path) -> None:
    run(sys.executable, "-m", "pip", "--python", scripts / "python", "install", "--no-deps", *arguments, cwd=cwd)


def test_wheel(environment, tmp_path):
    wheel = build("wheel", ROOT, tmp_path / "dist")
    names = zipfile.ZipFile(wheel).namelist()
    own = {"grammar/expr.lark", "language/tables.json", "manual/none.md", "py.typed", "samples/rosenbrock.expr"}
    assert {f"gradcli/{name}" for name in own} <= set(names)
    assert all(name.startswith(("gradcli/", f"gradcli-{gradcli.__version__}.dist-info/")) for name in names)
    pip(environment, wheel, cwd=tmp_path)
    check(environment, tmp_path, environment.parent)
    check_script(environment, tmp_path)


def test_editable(environment, tmp_path):
    pip(environment, "--no-build-isolation", "-e", ROOT, cwd=tmp_path)
    check(environment, tmp_path, ROOT)
    check_script(environment, tmp_path)


def test_bare_checkout(environment):
    check(environment, ROOT, ROOT)


def test_a_source_archive_is_complete(tmp_path):
    archive = build("sdist", ROOT, tmp_path / "dist")
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.glob("gradcli-*")
    for folder in ("gradcli", "grammar", "samples", "tests"):
        ours = {p.relative_to(ROOT) for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts}
        assert ours <= {p.relative_to(unpacked) for p in unpacked.rglob("*")}
    wheel = build("wheel", unpacked, tmp_path / "again")
    assert "gradcli/grammar/expr.lark" in zipfile.ZipFile(wheel).namelist()


def test_the_readme_says_what_ci_does():
    first, second = re.findall(
        r"```sh\n(.+)\n```", (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    )
    assert first == "pip install . && gradcli grad samples/stopped_node.expr"
    install, test = second.split(" && ")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert f"\n{install}\n" in script
    assert f"\n{test} " in script
