"""``python -m tests.benchmarks``: one table of medians and ratios, all of one run."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.competitors import SCRIPTS, Environment, Peer, default_folder
from tests.benchmarks.table import Row, Target, render

if TYPE_CHECKING:
    from types import ModuleType

SECTIONS = {"order": "order", "hessian": "hessians"}
"""The sections' names, and the modules that measure them."""

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
    parser = argparse.ArgumentParser("python -m tests.benchmarks", description=__doc__)
    add = parser.add_argument
    add("--only", type=_sections, default=list(SECTIONS), metavar="order,hessian", help="sections to run")
    add("--peers", action="store_true", help="also JAX, TensorFlow, PyTorch and SymPy, installed aside")
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
    with tempfile.TemporaryDirectory() as folder:
        if options.peers:
            environment = Environment(options.environment)
            peers = {name: Peer(name, environment, options.limit, Path(folder)) for name in SCRIPTS}
        try:
            for name in options.only:
                print(f"measuring {name}", file=sys.stderr, flush=True)
                more, limits = _section(name).section(peers, options.repeat)
                rows += more
                targets += limits
        finally:
            for peer in peers.values():
                peer.close()
    threads = "threads as each library likes" if options.threads is None else f"threads: {options.threads}"
    print(f"## Benchmarks\n\n{', '.join(_versions(list(peers.values())))}; {threads}; float64;")
    print(f"medians of {options.repeat} rounds in which all take turns.\n\n{render(rows)}")
    print("\n## Targets\n")
    print("\n".join(target.line() for target in targets))
    return 0


def _versions(peers: Sequence[Peer]) -> list[str]:
    import numpy as np

    own = [f"Python {platform.python_version()}", f"NumPy {np.__version__}"]
    return [*own, *dict.fromkeys(f"{peer.name.split()[0]} {peer.version}" for peer in peers if peer.version)]


if __name__ == "__main__":
    sys.exit(main())
