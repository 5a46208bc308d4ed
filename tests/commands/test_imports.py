"""What each command imports where all goes well: its own modules and few packages, as the lists in imports/ say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTS = Path(__file__).parent / "imports"

SCALAR = "variable x = 2.0; variable k = 3.0; y = k*sin(x)*x^2"
MATRICES = "variable W = ones([2, 3]); constant X = [[1.0, 2.0], [3.0, 4.0]]; y = sum((X @ W - 1)^2)"

COMMANDS = {
    "help": ["--help"],
    "version": ["--version"],
    "ops": ["ops"],
    "ops_one": ["ops", "softplus"],
    "eval": ["eval", "-e", SCALAR],
    "grad": ["grad", "-e", SCALAR],
    "grad_matrices": ["grad", "-e", MATRICES],
    "grad_order_20": ["grad", "-e", "variable x = 0.3; y = tanh(2*x + sin(x*x))", "--order", "20"],
    "grad_json": ["grad", "-e", SCALAR, "--format", "json"],
    "grad_csv": ["grad", "-e", SCALAR, "--set", "x=1/3", "--every-order", "--precision", "3", "--format", "csv"],
    "grad_table": ["grad", "-e", SCALAR, "--format", "table"],
    "hessian": ["hessian", "-e", SCALAR],
    "jacobian": ["jacobian", "-e", "variable x = [1.0, 2.0]; y = x^2"],
    "jvp": ["jvp", "-e", "variable x = [1.0, 2.0]; y = x^2", "--tangent", "x=[1, 0]"],
    "points_eval": ["eval", "-e", SCALAR, "--points", "-"],
    "points_grad": ["grad", "-e", SCALAR, "--points", "-"],
}
"""The list's name, and the command line in a pipe; ``--points`` reads :data:`ROWS`."""

ROWS = "x,k\n1.0,2.0\n3.0,0.5\n"

WITHOUT_NUMPY = {
    "help", "version", "ops", "ops_one", "eval", "grad", "grad_order_20", "grad_json", "grad_csv", "grad_table",
}  # fmt: skip

# The modules that were there before do not count: site's, and what other packages' .pth files load.
CODE = """\
import sys
before = set(sys.modules)
from gradcli.commands.main import run
status = run(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write("\\n".join(set(sys.modules) - before))
sys.exit(status)
"""


def imported(arguments: list[str], folder: Path) -> list[str]:
    """gradcli's modules by full name and other packages by their first, without the standard library's; sorted."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GRADCLI"))}
    path = folder / "modules"
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path), *arguments],
        check=False,
        cwd=folder,
        env={**env, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
        input=ROWS,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    return sorted({_listed(name) for name in path.read_text().split()} - sys.stdlib_module_names)


def _listed(module: str) -> str:
    package = module.partition(".")[0]
    return module if package == "gradcli" else package


def message(name: str, new: set[str], gone: set[str]) -> str:
    changes = [f"  + {module}" for module in sorted(new)] + [f"  - {module}" for module in sorted(gone)]
    return "\n".join(
        [
            f"`gradcli {' '.join(COMMANDS[name])}` imports other modules than {LISTS.name}/{name}.txt lists:",
            *changes,
            "Each costs time at every start. If they are needed: pytest tests/commands/test_imports.py --refresh-golden",
        ]
    )


@pytest.fixture(scope="module", params=COMMANDS)
def command(request, tmp_path_factory):
    """A command's name, and what it imported."""
    return request.param, imported(COMMANDS[request.param], tmp_path_factory.mktemp("imports"))


def test_imports_are_those_listed(command, request):
    name, modules = command
    path = LISTS / f"{name}.txt"
    if request.config.getoption("--refresh-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{module}\n" for module in modules), encoding="utf-8")
    listed = set(path.read_text(encoding="utf-8").split()) if path.exists() else set()
    new, gone = set(modules) - listed, listed - set(modules)
    assert not new | gone, message(name, new, gone)


def test_packages_are_those_that_the_command_needs(command):
    """What no refreshed list can allow."""
    name, modules = command
    packages = {module for module in modules if not module.startswith("gradcli")}
    assert packages <= ({"click"} if name in WITHOUT_NUMPY else {"click", "numpy"})


def test_no_command_imports_another(command):
    name, modules = command
    others = {"check", "eval", "grad", "hessian", "jacobian", "jvp", "ops"} - {COMMANDS[name][0]}
    assert not {f"gradcli.commands.{other}" for other in others} & set(modules)


def test_no_list_without_its_command():
    assert {path.stem for path in LISTS.glob("*.txt")} == set(COMMANDS)


def test_a_new_module_is_named():
    text = message("grad", {"gradcli.report.tables", "rich"}, {"gradcli.report.plain"})
    assert "+ gradcli.report.tables\n  + rich\n  - gradcli.report.plain\n" in text
    assert "--refresh-golden" in text
