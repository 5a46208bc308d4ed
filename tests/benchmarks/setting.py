"""What a section is given: the competitors, how often and how large, and an installed gradcli for cold commands."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.benchmarks.competitors import Environment, Peer
from tests.benchmarks.table import Row

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """A Python that has NumPy, and the command line that starts gradcli there."""

    python: Path
    gradcli: tuple[str, ...]


@dataclass
class Setting:
    """``scale`` multiplies the sizes of programs and arrays; ``folder`` is for temporary files, ``keep`` gets each row."""

    folder: Path
    rounds: int
    peers: Mapping[str, Peer] = field(default_factory=dict)
    environment: Environment | None = None
    scale: float = 1.0
    keep: Callable[[Row], None] | None = None

    def noted(self, rows: list[Row]) -> list[Row]:
        """Rows, kept as soon as they are there: what is measured later may be ended."""
        for row in rows if self.keep is not None else ():
            self.keep(row)
        return rows

    @cached_property
    def installed(self) -> Installed:
        return install(self.folder / "installed")

    def among(self, names: Mapping[str, str]) -> dict[str, Peer]:
        """The competitors of a section, in its order."""
        return {name: self.peers[name] for name in names if name in self.peers}

    def size(self, full: int) -> int:
        return max(2, round(full * self.scale))


def install(folder: Path) -> Installed:
    """gradcli's wheel in a new environment that sees the packages of this one; bytecode is compiled by pip."""
    dist, place = folder / "dist", folder / "environment"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist)]
    subprocess.run(build, check=True, cwd=ROOT, env=clean(), capture_output=True)
    (wheel,) = dist.iterdir()
    venv.create(place, symlinks=os.name != "nt")
    paths = sysconfig.get_paths(vars={"base": str(place), "platbase": str(place)})
    # Paths in a .pth file have no .pth files of their own, so an editable gradcli here is not seen there.
    Path(paths["purelib"], "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    scripts = Path(paths["scripts"])
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run([*pip, "--disable-pip-version-check"], check=True, cwd=folder, env=clean())
    return Installed(python, (str(scripts / "gradcli"),))


def clean() -> dict[str, str]:
    """The environment's variables without those that change what Python imports or gradcli prints."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GRADCLI", "COV"))}


def process(command: Sequence[str | Path], folder: Path) -> Callable[[], bytes]:
    """Runs a command as a new process, with a pipe for its output, and gives what it printed."""
    texts = [str(part) for part in command]
    env = clean()
    return lambda: subprocess.run(texts, check=True, cwd=folder, env=env, capture_output=True).stdout


# The measured command is a grandchild: between fork and exec a child still counts the memory of this process as its own.
PEAK = """\
import os, sys
command = sys.argv[1:]
out = os.open(os.devnull, os.O_WRONLY)
child = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak_memory(command: Sequence[str | Path], folder: Path) -> int | None:
    """The largest resident size of a command's process in bytes; None where the system does not tell."""
    if not hasattr(os, "posix_spawn"):
        return None
    measured = process([sys.executable, "-c", PEAK, *command], folder)
    return int(measured())
