"""``python -m tests.benchmarks``: one table of medians and ratios, all of one run.

Ratios need a machine that does nothing else: libraries whose threads wait for each other by spinning (PyTorch) suffer most
from what else runs, by factors of ten.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from tests.benchmarks.competitors import REQUIREMENTS, SCRIPTS, Environment, Peer, default_folder
from tests.benchmarks.processor import FEATURES, without_avx512
from tests.benchmarks.setting import ROOT, Setting
from tests.benchmarks.table import Row, Target, render

if TYPE_CHECKING:
    from types import ModuleType

SECTIONS = {
    "cold": "cold",
    "large": "large",
    "arrays": "arrays",
    "burgers": "burgers",
    "fits": "fits",
    "points": "points",
    "order": "order",
    "hessian": "hessians",
    "jax": "backend",
    "loops": "loops",
    "adbench": "adbench",
    "optimisations": "optimisations",
}
"""The sections' names, and the modules that measure them."""

OF_ARRAYS = ("arrays", "burgers")
"""Those that run once more without AVX-512."""

THREADS = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NPROC",  # JAX
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
"""What tells NumPy's BLAS and the other libraries how many threads to use, if it is set before they are imported."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line: ``only`` is a list of sections, ``environment`` a folder."""
    parser = argparse.ArgumentParser("python -m tests.benchmarks", description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--only", type=_sections, default=list(SECTIONS), metavar=",".join(SECTIONS), help="sections to run")
    add("--peers", action="store_true", help=f"also {', '.join(REQUIREMENTS)}, installed aside")
    add("--repeat", type=_positive, default=7, metavar="N", help="rounds (default: 7)")
    add(
        "--threads",
        type=_positive,
        metavar="N",
        help="threads of every library (default: their own choice); 1 is steadier where other programs run",
    )
    add(
        "--environment",
        type=Path,
        default=default_folder(),
        metavar="DIR",
        help="where the peers' environment is or will be (default: below the folder for temporary files)",
    )
    add("--limit", type=float, default=20.0, metavar="SECONDS", help="for a peer's first answer (default: 20)")
    add("--scale", type=_share, default=1.0, metavar="F", help="multiplies the sizes of programs, arrays and files")
    add(
        "--rows",
        type=Path,
        default=Path(tempfile.gettempdir()) / "gradcli-benchmarks.ndjson",
        metavar="FILE",
        help="where each row is written as soon as it is measured (default: %(default)s)",
    )
    add("--without-avx512", action="store_true", help=f"then {' and '.join(OF_ARRAYS)} again with AVX-512 off")
    return parser.parse_args(arguments)


def _sections(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in SECTIONS:
            raise argparse.ArgumentTypeError(f"no section {name!r}; there are {', '.join(SECTIONS)}")
    return names


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 up to 1")
    return value


def _section(name: str) -> ModuleType:
    """A section's module, imported once the threads are set: it imports NumPy."""
    return import_module(f"tests.benchmarks.{SECTIONS[name]}")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    if options.threads is not None:
        os.environ.update(dict.fromkeys(THREADS, str(options.threads)))
    rows: list[Row] = []
    targets: list[Target] = []
    peers: dict[str, Peer] = {}
    journal = Rows(options)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = Environment(options.environment) if options.peers else None
        if environment is not None:
            peers = {name: Peer(name, environment, options.limit, folder) for name in SCRIPTS}
        setting = Setting(folder, options.repeat, peers, environment, options.scale, journal.keep)
        try:
            for section in options.only:
                with journal.timed(section):
                    more, limits = _section(section).section(setting)
                rows += more
                targets += limits
        finally:  # what was measured is printed, whatever ends the run
            for peer in peers.values():
                peer.close()
            print(f"## Benchmarks\n\n{_conditions(options, list(peers.values()))}\n\n{render(rows)}\n\n## Targets\n")
            print("\n".join(target.line() for target in targets), flush=True)
    return _again_without_avx512(options) if options.without_avx512 else 0


class Rows:
    """A file of JSON lines, to which a run adds its rows and the seconds of its sections; a run like one before knows how long they take."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.path: Path = options.rows
        self._run = {name: getattr(options, name) for name in ("peers", "repeat", "scale", "threads")}
        self._took: dict[str, float] = {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                if "seconds" in entry and entry["run"] == self._run:
                    self._took[entry["section"]] = entry["seconds"]
        print(f"rows go to {self.path}", file=sys.stderr, flush=True)

    def _add(self, entry: dict[str, object]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def keep(self, row: Row) -> None:
        self._add(asdict(row))

    @contextmanager
    def timed(self, section: str) -> Iterator[None]:
        """Says how long a section took the last time, and then how long it has taken."""
        last = self._took.get(section)
        print(f"measuring {section}{f', about {last:.0f} s' if last else ''}", file=sys.stderr, flush=True)
        start = monotonic()
        yield
        seconds = monotonic() - start
        print(f"{section} took {seconds:.0f} s", file=sys.stderr, flush=True)
        self._add({"section": section, "seconds": seconds, "run": self._run})


def _again_without_avx512(options: argparse.Namespace) -> int:
    """The array sections in a process whose libraries are told before they start."""
    variables = without_avx512()
    sections = [name for name in options.only if name in OF_ARRAYS]
    if not variables or not sections:
        print("\nnothing to run without AVX-512", flush=True)
        return 0
    command = [sys.executable, "-m", "tests.benchmarks", "--only", ",".join(sections)]
    for name in ("repeat", "threads", "environment", "limit", "scale", "rows"):
        if getattr(options, name) is not None:
            command += [f"--{name}", str(getattr(options, name))]
    command += ["--peers"] if options.peers else []
    print(flush=True)
    return subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, **variables}).returncode


def _conditions(options: argparse.Namespace, peers: Sequence[Peer]) -> str:
    """Versions, and what else a reader has to know about the run."""
    threads = "threads as each library likes" if options.threads is None else f"threads: {options.threads}"
    size = "" if options.scale == 1 else f" sizes times {options.scale:g};"
    features = f" without {os.environ[FEATURES]};" if FEATURES in os.environ else ""
    return (
        f"{', '.join(_versions(peers))}; {threads};{size}{features} float64 unless a case says otherwise;\n"
        f"medians of {options.repeat} rounds in which all take turns."
    )


def _versions(peers: Sequence[Peer]) -> list[str]:
    import numpy as np

    own = [f"Python {platform.python_version()}", f"NumPy {np.__version__}"]
    return [*own, *dict.fromkeys(f"{peer.name.split()[0]} {peer.version}" for peer in peers if peer.version)]


if __name__ == "__main__":
    sys.exit(main())
