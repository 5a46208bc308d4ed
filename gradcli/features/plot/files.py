"""Plots written to files, whole or not at all, by what a file's name ends in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from gradcli.diagnostics import GradcliError

if TYPE_CHECKING:
    from gradcli.features.plot.answer import Curves, Field

ENDINGS = (".svg", ".png", ".pdf")


def is_picture(path: str) -> bool:
    """Whether a file's name ends as that of a picture does."""
    return os.path.splitext(path)[1].lower() in ENDINGS


def check_installed() -> None:
    """Raise GradcliError where plots cannot be written."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise missing("matplotlib")


def missing(name: str | None) -> GradcliError:
    """The error that says what plots need."""
    return GradcliError(
        "DataError", f"plots need {name or 'more than there is'}, which is not installed: pip install 'gradcli[plot]'"
    )


def write_plot(path: str, drawn: Curves | Field | Sequence[Curves]) -> None:
    """Write a plot, or several above one another, as .svg, .png or .pdf. Raises GradcliError."""
    try:
        from gradcli.features.plot import figures
    except ImportError as problem:
        raise missing(problem.name) from None
    from gradcli.data import write_atomically
    from gradcli.features.plot.answer import Curves, Field

    format = os.path.splitext(path)[1].lower()[1:]

    def draw(file: IO[bytes]) -> None:
        if isinstance(drawn, Curves):
            figures.write_curves(file, format, drawn)
        elif isinstance(drawn, Field):
            figures.write_field(file, format, drawn)
        else:
            figures.write_stacked(file, format, drawn)

    write_atomically(path, draw)
