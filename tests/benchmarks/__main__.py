"""``python -m tests.benchmarks``: one table of medians and ratios, all of one run."""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks import hessians, order
from tests.benchmarks.competitors import SCRIPTS, Environment, Peer, default_folder
from tests.benchmarks.table import Row, Target, render

SECTIONS = {"order": order.section, "hessian": hessians.section}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line: ``only`` is a list of sections, ``environment`` a folder."""
    parser = argparse.ArgumentParser("python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--only", type=_sections, default=list(SECTIONS), metavar="order,hessian", help="sections to run"
    )
    parser.add_argument("--peers", action="store_true", help="also JAX, TensorFlow, PyTorch and SymPy, installed aside")
    parser.add_argument("--repeat", type=_positive, default=7, metavar="N", help="rounds (default: 7)")
    parser.add_argument(
        "--environment", type=Path, default=default_folder(), metavar="DIR",
        help="where the peers' environment is or will be (default: below the folder for temporary files)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=float, default=20.0, metavar="SECONDS", help="for a peer's first answer (default: 20)"
    )
    return parser.parse_args(arguments)


def _sections(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in SECTIONS:
            raise argparse.ArgumentTypeError(f"no section {name!r}; there are {', '.join(SECTIONS)}")
    return names


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rounds")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
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
                more, limits = SECTIONS[name](peers, options.repeat)
                rows += more
                targets += limits
        finally:
            for peer in peers.values():
                peer.close()
    versions = [f"Python {platform.python_version()}", f"NumPy {np.__version__}"]
    versions += [f"{peer.name} {peer.version}" for peer in peers.values() if peer.version]
    print(
        f"## Benchmarks\n\n{', '.join(versions)}; float64; medians of {options.repeat} rounds in which all take turns.\n"
    )
    print(render(rows))
    print("\n## Targets\n")
    print("\n".join(target.line() for target in targets))
    return 0


if __name__ == "__main__":
    sys.exit(main())
