"""Arrays of a program in a plot: lines, points with error bars, and bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcli.diagnostics import GradcliError
from gradcli.features.plot.answer import LARGEST, Band, Curve, Curves, Dots, drawable, height
from gradcli.features.plot.dots import MOST_CLASSES, MOST_DOTS
from gradcli.graph.types import show_shape
from gradcli.program import query
from gradcli.program.loaded import Loaded
from gradcli.tuples import NamedTuple

Array = np.ndarray[Any, Any]


MOST_LINES = 20


class Asked(list[tuple[str, list[str]]]):
    """What is drawn: ``line``, ``points`` or ``band``, each with the names of its arrays, in the order of the options."""

    def names(self) -> list[str]:
        """The names of all arrays, each once."""
        return list(dict.fromkeys([name for _, names in self for name in names]))

    def x(self) -> str:
        """The name of the horizontal axis: the x of the first points, else of the first of all."""
        return next((names[0] for kind, names in self if kind == "points"), self[0][1][0])

    def with_x(self, band: list[str]) -> list[str]:
        """A band's names with an x, which may be that of the first line, or else of the first points."""
        if len(band) == 3:
            return band
        for kind in ("line", "points"):
            for other, names in self:
                if other == kind:
                    return [names[0], *band]
        lower, upper = band
        raise GradcliError(
            "ValueError", f"the band {lower},{upper} lies above no x", help=f"name it: `--band x,{lower},{upper}`"
        )


def with_arrays(program: Loaded, asked: Asked, drawn: Curves | None, log: str) -> Curves:
    """A plot with vectors [n] of a program, alone or above the curves that are ``drawn`` already.

    A line is x and y, points are x, y and perhaps the half height of their error bars, a band x, its lower and its upper
    edge; without an x it lies above the x of the first one. A scalar, except as x, stands for as many equal entries.
    Raises GradcliError for an unknown name, for shapes that do not fit, and where nothing can be drawn.
    """
    names = asked.names()
    known = dict(zip(names, program.evaluate([query.target(program, name) for name in names]), strict=True))
    log_x, log_y = "x" in log, "y" in log
    added = _Added(
        list(drawn.curves) if drawn is not None else [], list(drawn.dots) if drawn is not None else [], []
    )  # fmt: skip
    for kind, group in asked:
        x, *others = _vectors(known, asked.with_x(group) if kind == "band" else group)
        added.draw(kind, group, drawable(x, log_x), others, log_y)
    added.check_counts()
    if drawn is not None:
        return drawn._replace(curves=added.curves, dots=added.dots, bands=added.bands)
    at = added.finite_x()
    if not len(at) or added.is_empty:
        where = "finite and positive" if log_x or log_y else "finite"
        raise GradcliError("ValueError", f"there is nothing to draw: {', '.join(names)} are nowhere {where}")
    range_of_x = x_range(at, log_x, bool(added.dots))
    return Curves(program.source.name, asked.x(), range_of_x, added.curves, log_x, log_y, added.dots, added.bands)


class _Added(NamedTuple):
    """What stands in a plot so far."""

    curves: list[Curve]
    dots: list[Dots]
    bands: list[Band]

    def draw(self, kind: str, group: Sequence[str], x: Array, others: Sequence[Array], log_y: bool) -> None:
        """Add a line, points or a band at the x [n]; ``others`` are y, y and half heights, or edges."""
        if kind == "line":
            y = drawable(others[0], log_y)
            self.curves.append(Curve(group[1], x, y, height(y, False)))
        elif kind == "band":
            edges = [drawable(edge, False) for edge in others]
            if log_y:  # down to the axis
                edges = [np.where(edge <= 0, 1 / LARGEST, edge) for edge in edges]
            self.bands.append(Band(f"{group[-2]} to {group[-1]}", x, *edges))
        else:
            self.dots.append(_points(group, x, drawable(others[0], log_y), others[1] if len(others) > 1 else None))

    def check_counts(self) -> None:
        """Raise a ValueError (GradcliError) for more than can be told apart."""
        counts = (("lines", len(self.curves), MOST_LINES), ("sorts of points", len(self.dots), MOST_CLASSES))
        for what, count, most in counts:
            if count > most:
                raise GradcliError("ValueError", f"these are {count} {what}; the most are {most}")

    def finite_x(self) -> Array:
        """The x of everything, in one row."""
        xs = [*[c.x for c in self.curves], *[d.x for d in self.dots], *[b.x for b in self.bands]]
        return np.concatenate([x[np.isfinite(x)] for x in xs])

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see."""
        return not (any([c.height for c in self.curves]) or any([len(d.x) for d in self.dots]) or self.bands)


def x_range(at: Array, log: bool, room: bool) -> tuple[float, float]:
    """The range of an axis from the least of some values to the largest, with ``room`` at both ends, or around a single one."""
    low, high = float(at.min()), float(at.max())
    if log:
        more = 2.0 if low == high else (high / low) ** 0.03 if room else 1.0
        return low / more, high * more
    more = max(1.0, abs(low)) / 2 if low == high else 0.03 * (high - low) if room else 0.0
    return low - more, high + more


def _points(group: Sequence[str], x: Array, y: Array, error: Array | None) -> Dots:
    if len(x) > MOST_DOTS:
        raise GradcliError("ValueError", f"at most {MOST_DOTS} points can be told apart, and `{group[0]}` has {len(x)}")
    kept = np.isfinite(x) & np.isfinite(y)
    if error is not None:
        if (error < 0).any():
            raise GradcliError("ValueError", f"`{group[2]}` is negative somewhere, and error bars have a length")
        error = np.where(np.abs(error) < 1e100, error, 0.0)[kept]
    label = group[1] if error is None else f"{group[1]} ± {group[2]}"
    return Dots(label, x[kept], y[kept], error)


def _vectors(known: dict[str, Array], group: Sequence[str]) -> list[Array]:
    x = known[group[0]]
    if x.ndim != 1 or any(known[name].shape not in ((), x.shape) for name in group) or any(known[n].dtype == bool for n in group):  # fmt: skip
        shapes = " and ".join(f"{name} {show_shape(known[name].shape)}" for name in group)
        raise GradcliError(
            "ShapeError", f"what is drawn together are vectors of numbers of one length, and not {shapes}"
        )
    return [np.broadcast_to(known[name], x.shape).astype(np.float64) for name in group]
