"""The other libraries: a throw-away environment for them, and conversations with the programs that run in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import Any, TextIO

from tests.benchmarks.timing import Calls

PEERS = Path(__file__).parent / "peers"

REQUIREMENTS = {
    "JAX": ["jax"],
    "TensorFlow": ["tensorflow-cpu"],
    "PyTorch": ["torch==2.13.0"],
    "SymPy": ["sympy"],
    "casadi": ["casadi"],
    "autograd": ["autograd"],
    "symengine": ["symengine"],
    "numexpr": ["numexpr"],
    "SciPy": ["scipy"],
}
"""What pip is asked for; the newest PyTorch brings gigabytes of CUDA, so one release is named.

SciPy's minimizers run the others' fits."""

SCRIPTS = {
    "JAX": "with_jax.py",
    "JAX jet": "with_jax.py",
    "JAX forward": "with_jax.py",
    "TensorFlow": "with_tensorflow.py",
    "TensorFlow XLA": "with_tensorflow.py",
    "PyTorch": "with_torch.py",
    "PyTorch compiled": "with_torch.py",
    "SymPy": "with_sympy.py",
    "casadi": "with_casadi.py",
    "autograd": "with_autograd.py",
    "numexpr": "with_numexpr.py",
}
"""The program of each competitor in a running process; the first word of its name is the library's."""

IMPORTS = {
    **{name: name.lower() for name in REQUIREMENTS},
    "PyTorch": "torch",
}

PATIENCE = {"casadi": 6.0, "PyTorch compiled": 4.0}
"""How many times the limit is waited for whom targets compare with, or who runs another compiler."""

START_LIMIT = 180.0
"""Seconds that a library may take to be imported and warmed up."""


class PeerError(Exception):
    """A competitor has no answer; the message is the remark in the table."""


class TooSlowError(PeerError):
    """The time limit was exceeded."""


class Environment:
    """A virtual environment with what can be installed of the libraries; ``problems`` says what cannot, and why."""

    def __init__(self, folder: Path, log: TextIO = sys.stderr) -> None:
        self.folder = folder
        self.problems: dict[str, str] = {}
        scripts = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = scripts / ("python.exe" if os.name == "nt" else "python")
        if not self.python.exists():
            print(f"making an environment in {folder}", file=log, flush=True)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        for name, requirements in REQUIREMENTS.items():
            if self._has(name):
                continue
            print(f"installing {name}", file=log, flush=True)
            problem = self._install(["numpy", *requirements])
            if problem is not None:
                self.problems[name] = f"not installed: {problem}"
            elif not self._has(name):
                self.problems[name] = "installed, but cannot be imported"

    def _has(self, name: str) -> bool:
        code = (
            f"import importlib.util as u, sys; sys.exit(not (u.find_spec({IMPORTS[name]!r}) and u.find_spec('numpy')))"
        )
        return subprocess.run([str(self.python), "-c", code], check=False, capture_output=True).returncode == 0

    def _install(self, requirements: list[str]) -> str | None:
        command = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode == 0:
            return None
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        return lines[-1].removeprefix("ERROR: ")[:80]


def default_folder() -> Path:
    return Path(tempfile.gettempdir()) / "gradcli-benchmark-peers"


class Peer:
    """One library's program: started when it is first needed, ended and started anew when it exceeds a time limit."""

    def __init__(self, name: str, environment: Environment, limit: float, folder: Path) -> None:
        self.name = name
        self.environment = environment
        self.limit = limit * PATIENCE.get(name, 1)
        self.folder = folder
        self.version = ""
        self._process: subprocess.Popen[str] | None = None
        self._lines: Queue[str] = Queue()

    def prepare(self, task: str, case: str, data: dict[str, Any], order: int = 1) -> tuple[float, Any]:
        """Seconds to the first answer, and the answer. Raises PeerError."""
        library = self.name.split()[0]
        if library in self.environment.problems:
            raise PeerError(self.environment.problems[library])
        import numpy as np

        inputs, answer = self.folder / "inputs.npz", self.folder / "answer.npy"
        np.savez(inputs, **data)
        request = {"do": "prepare", "task": task, "case": case, "order": order}
        reply = self._ask({**request, "data": str(inputs), "answer": str(answer)}, self.limit)
        if "problem" in reply:
            raise PeerError(reply["problem"])
        return reply["first"], np.load(answer)

    def calls(self) -> Calls:
        """Runs what was prepared."""
        return lambda n: self._ask({"do": "run", "calls": n}, self.limit * n + 10)["times"]

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, request: dict[str, Any], limit: float) -> dict[str, Any]:
        if self._process is None:
            self._start()
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._reply(limit, f"> {limit:.0f} s")

    def _start(self) -> None:
        script = PEERS / SCRIPTS[self.name]
        # What PyTorch compiled in another run may be for another processor.
        env = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(self.folder / "inductor")}
        with (self.folder / f"{self.name}.log").open("w") as log:
            self._process = subprocess.Popen(
                [str(self.environment.python), str(script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=env,
            )
        self._lines = Queue()
        threading.Thread(target=_read, args=(self._process, self._lines), daemon=True).start()
        self.version = self._reply(START_LIMIT, "does not start")["version"]

    def _reply(self, limit: float, late: str) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=limit)
        except Empty:
            self.close()
            raise TooSlowError(late) from None
        if not line:
            self.close()
            raise PeerError("ended without an answer")
        reply: dict[str, Any] = json.loads(line)
        return reply


def _read(process: subprocess.Popen[str], lines: Queue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put("")
