"""The samples of an installation, what each shows, and copies of them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import gradcli
from gradcli.data import decode, read_bytes, write_atomically
from gradcli.diagnostics import GradcliError
from gradcli.tuples import NamedTuple

LEFT_BEHIND = ("pictures", "__pycache__")
"""Folders beside the samples that running them does not need."""


class Sample(NamedTuple):
    """A program in the folder of samples."""

    name: str
    path: str
    text: str

    def about(self) -> str:
        """The first sentence of its comments."""
        first = " ".join([line.lstrip("# ") for line in self.text.partition("\n#\n")[0].split("\n")])
        return re.split(r"(?<=[.:])\s", first)[0].rstrip(".:")

    def commands(self) -> list[str]:
        """The command lines in its comments, which are given beside the folder of samples."""
        return re.findall(r"^# \$ (gradcli .+)$", self.text, re.MULTILINE)


def folder() -> str:
    """The samples: of the installed package if it has them, else of the checkout."""
    package = os.path.dirname(gradcli.__file__)
    for parent in (package, os.path.dirname(package)):
        path = os.path.join(parent, "samples")
        if os.path.isdir(path):
            return path
    raise GradcliError("DataError", "this installation of gradcli has no samples")


def files() -> dict[str, str]:
    """Every file that a copy has: its path below the folder, and the path it is read from."""
    root = folder()
    found = {}
    for place, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - set(LEFT_BEHIND))
        for name in sorted(names):
            if not name.endswith((".out", ".pyc")):
                path = os.path.join(place, name)
                found[os.path.relpath(path, root).replace(os.sep, "/")] = path
    return found


def samples() -> dict[str, Sample]:
    """All samples by name: the path below the folder without its ending."""
    return {
        path.removesuffix(".expr"): Sample(path.removesuffix(".expr"), path, decode(read_bytes(full), path))
        for path, full in files().items()
        if path.endswith(".expr")
    }


def needed(sample: Sample, available: Mapping[str, str]) -> dict[str, str]:
    """The file of a sample, and those of the folder that its text names."""
    beside = sample.path.rpartition("/")[0]
    named = {
        path
        for path in available
        if (own := path.removeprefix(f"{beside}/") if beside else path) in sample.text
        or f"samples/{path}" in sample.text
        if not own.endswith(".expr") or f"samples/{path}" in sample.text
    }
    return {path: available[path] for path in sorted({sample.path, *named})}


def copy(chosen: Mapping[str, str], target: str) -> int:
    """Write files into ``target/samples`` and give how many are new. Nothing is written where one of them has been changed."""
    contents = {os.path.join(target, "samples", path): read_bytes(full) for path, full in chosen.items()}
    new = {path: content for path, content in contents.items() if not os.path.lexists(path)}
    for path, content in contents.items():
        if path not in new and read_bytes(path, pipes=False) != content:
            raise GradcliError("DataError", f"{path} exists and is another file", help="choose another folder")
    for path, content in new.items():
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        except (OSError, ValueError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else str(problem)
            raise GradcliError("DataError", f"cannot make the folder {os.path.dirname(path)}: {reason}") from None
        write_atomically(path, content)
    return len(new)
