"""``--points 'part-*.csv'``: the files of a pattern, the output of each, and which of them a process answers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gradcli.diagnostics import GradcliError
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.execute.cluster import Place


class Files(NamedTuple):
    """Files of rows with their outputs, those that are left to do; ``done`` counts the others."""

    left: list[tuple[str, str]]
    done: int


def files_of(pattern: str, output: str, number: int = 0, processes: int = 1) -> Files:
    """The files of a pattern in order of their names, of several ``processes`` those that process ``number`` answers.

    ``output`` has a ``*`` too, for what the one of the pattern stands for. An output that is not older than its rows is
    done, and no output is read as rows. Raises GradcliError (DataError) where no file matches.
    """
    from glob import escape, glob

    before, _, after = pattern.partition("*")
    found = sorted(path for path in glob(f"{escape(before)}*{escape(after)}") if os.path.isfile(path))
    left, _, right = output.partition("*")
    outputs = {path: left + path[len(before) : len(path) - len(after)] + right for path in found}
    written = {os.path.realpath(target) for target in outputs.values()}
    pairs = [(path, target) for path, target in outputs.items() if os.path.realpath(path) not in written]
    if not pairs:
        raise GradcliError("DataError", f"no file matches {pattern}")
    own = pairs[number::processes]
    to_do = [(path, target) for path, target in own if not _is_done(path, target)]
    return Files(to_do, len(own) - len(to_do))


def _is_done(path: str, output: str) -> bool:
    try:
        return os.path.getmtime(output) >= os.path.getmtime(path)
    except OSError:
        return False


def numbered(place: Place | None) -> tuple[int, int]:
    """Which process this is, and of how many. Raises GradcliError where nobody knows."""
    if place is None:
        return 0, 1
    if place.number is not None and place.processes is not None:
        return place.number, place.processes  # files need no more of one another
    from gradcli.execute.cluster import joined

    with joined(place) as cluster:
        return cluster.index, cluster.count
