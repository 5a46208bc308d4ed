"""Data of a program as the dots of a plot: their places and classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradcli.diagnostics import GradcliError
from gradcli.features.plot.answer import LARGEST, Dots
from gradcli.graph.types import show_shape
from gradcli.program import query
from gradcli.program.loaded import Loaded

MOST_CLASSES = 6
MOST_DOTS = 20_000


def dots(program: Loaded, names: Sequence[str], classes: bool) -> list[Dots]:
    """The rows of some values, vectors [n] or arrays [n, k], side by side: x, y and, where there may be, a class.

    Rows with what is not finite are left out. Raises GradcliError for an unknown name, rows that do not fit, and more
    columns, classes or dots than can be drawn.
    """
    values = program.evaluate([query.target(program, name) for name in names])
    shapes = " and ".join(f"{name} {show_shape(value.shape)}" for name, value in zip(names, values, strict=True))
    columns = sum(value.shape[1] if value.ndim == 2 else 1 for value in values)
    fits = all(value.ndim in (1, 2) and len(value) == len(values[0]) for value in values)
    if not fits or not 2 <= columns <= 2 + classes:
        wanted = "x, y and perhaps a class" if classes else "x and y"
        raise GradcliError("ShapeError", f"dots are rows of {wanted}, and not those of {shapes}")
    if len(values[0]) > MOST_DOTS:
        raise GradcliError("ValueError", f"at most {MOST_DOTS} dots can be told apart, and {shapes} has more rows")
    rows = np.column_stack(values).astype(np.float64)
    rows = rows[np.all(np.abs(rows) < LARGEST, axis=1)]
    x, y, *kinds = np.where(np.abs(rows) < 1 / LARGEST, 0.0, rows).T
    if not kinds:
        return [Dots(names[-1], x, y)]
    found = np.unique(kinds[0])
    if len(found) > MOST_CLASSES:
        raise GradcliError(
            "ValueError", f"{names[-1]} has {len(found)} values; there are at most {MOST_CLASSES} classes"
        )
    return [
        Dots(f"{names[-1]} = {str(kind).removesuffix('.0')}", x[kinds[0] == kind], y[kinds[0] == kind])
        for kind in found.tolist()
    ]
