"""From Enter to the answer: new processes, output in a pipe, gradcli from a wheel."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.setting import Setting, process
from tests.benchmarks.table import Row, Target, times
from tests.benchmarks.timing import calls, interleaved

SCALAR = "variable x = 0.7\nvariable k = 1.3\ny = k*tanh(2*x + sin(x*x))\n"

MATRICES = """\
variable W = [[0.1, -0.2], [0.3, 0.4], [-0.5, 0.6]]
constant X = reshape(linspace(-1, 1, 24), [8, 3])
constant Y = ones([8, 2])
y = sum((X @ W - Y)^2)
"""

ORDERS = "variable x = 0.3\ny = tanh(2*x + sin(x*x))\n"

PROGRAMS = {
    "scalar gradient": (SCALAR, ()),
    "matrix gradient": (MATRICES, ()),
    "order 1": (ORDERS, ()),
    "order 20": (ORDERS, ("--order", "20")),
}

SCRIPTS = {
    "casadi": "cold_casadi.py",
    "symengine": "cold_symengine.py",
    "autograd": "cold_autograd.py",
    "SymPy": "cold_sympy.py",
    "JAX": "cold_jax.py",
    "PyTorch": "cold_torch.py",
    "TensorFlow": "cold_tensorflow.py",
}
"""The scalar gradient as a person would write it with each library."""

SLOW = ("SymPy", "JAX", "PyTorch", "TensorFlow")
"""Who takes most of a second and more, and has fewer rounds for that."""

PEERS = Path(__file__).parent / "peers"
TITLE = "cold process"
AGREEMENT = 1e-5
QUICK_ROUNDS = 3
"""Rounds of short processes for each round of the rest: their time varies more."""

# Not the digits of a name.
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def numbers(printed: bytes) -> list[float]:
    return [float(text) for text in NUMBER.findall(printed.decode())]


def commands(setting: Setting) -> dict[str, list[str | Path]]:
    """Bare Python, NumPy's import and gradcli's commands."""
    installed = setting.installed
    found: dict[str, list[str | Path]] = {
        "bare python": [installed.python, "-c", "pass"],
        "import numpy": [installed.python, "-c", "import numpy"],
    }
    for name, (text, options) in PROGRAMS.items():
        path = setting.folder / f"{name.replace(' ', '_')}.expr"
        path.write_text(text, encoding="utf-8")
        found[f"gradcli, {name}"] = [*installed.gradcli, "grad", path, *options]
    return found


def scripts(setting: Setting) -> tuple[dict[str, list[str | Path]], list[Row]]:
    """The libraries' scripts, and rows for those that cannot be had."""
    if setting.environment is None:
        return {}, []
    python, problems = setting.environment.python, setting.environment.problems
    found: dict[str, list[str | Path]] = {"bare python, peers' environment": [python, "-c", "pass"]}
    found.update({name: [python, PEERS / script] for name, script in SCRIPTS.items() if name not in problems})
    return found, [Row(TITLE, name, remark=problems[name]) for name in SCRIPTS if name in problems]


def remarks(setting: Setting, programs: Mapping[str, list[str | Path]]) -> dict[str, str]:
    """What is to be said of each library that fails, or prints something else than gradcli."""
    own = numbers(process(programs["gradcli, scalar gradient"], setting.folder)())
    found: dict[str, str] = {}
    for name in programs.keys() & SCRIPTS.keys():
        try:
            printed = numbers(process(programs[name], setting.folder)())
        except subprocess.CalledProcessError as failure:
            found[name] = f"ends with status {failure.returncode}"
            continue
        same = len(printed) == len(own) and all(abs(a - b) <= AGREEMENT for a, b in zip(printed, own, strict=True))
        if not same:
            found[name] = "values differ"
    return found


def section(setting: Setting) -> tuple[list[Row], list[Target]]:
    """All rows of this section."""
    programs = commands(setting)
    peers, missing = scripts(setting)
    programs.update(peers)
    remark = remarks(setting, programs)
    missing += [Row(TITLE, name, remark=text) for name, text in remark.items()]
    programs = {name: command for name, command in programs.items() if name not in remark}
    runs = {name: calls(process(command, setting.folder)) for name, command in programs.items()}
    slow = {name: run for name, run in runs.items() if name in SLOW}
    quick = {name: run for name, run in runs.items() if name not in SLOW}
    measured = interleaved(quick, QUICK_ROUNDS * setting.rounds, single=True)
    late = (
        interleaved({"import numpy": runs["import numpy"], **slow}, setting.rounds, single=True) if slow else measured
    )
    rows: list[Row] = []
    for name in programs:
        which = late if name in slow else measured
        ratio = which.ratio(name, "import numpy")
        assert ratio is not None
        rows.append(Row(TITLE, name, which.median(name), ratio=f"{times(ratio)} x import numpy"))
    scalar = "gradcli, scalar gradient"
    return setting.noted([*rows, *missing]), [
        Target("cold matrix gradient to import numpy", 1.6, measured.ratio("gradcli, matrix gradient", "import numpy")),
        Target("cold order 20 to order 1", 1.25, measured.ratio("gradcli, order 20", "gradcli, order 1")),
        Target("cold scalar gradient to casadi's", 1, measured.ratio(scalar, "casadi")),
        Target("cold scalar gradient to symengine's", 1, measured.ratio(scalar, "symengine")),
    ]
