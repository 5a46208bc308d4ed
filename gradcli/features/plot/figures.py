"""Plots as SVG, PNG and PDF files: the only module that imports matplotlib."""

from __future__ import annotations

import io
import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

# No window is opened, so what a notebook or a user set for windows must not matter.
os.environ["MPLBACKEND"] = "agg"
# What matplotlib says of its caches and fonts is nothing for users.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

import matplotlib as mpl  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.artist import Artist  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.axis import Axis as Ticked  # noqa: E402
from matplotlib.cm import ScalarMappable  # noqa: E402
from matplotlib.collections import PolyCollection  # noqa: E402
from matplotlib.colors import BoundaryNorm, ListedColormap  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import NullLocator  # noqa: E402

from gradcli.features.plot.answer import Band, Curves, Dots, Field, Frame  # noqa: E402
from gradcli.features.plot.axes import Axis, height_of, levels_of, texts_of  # noqa: E402
from gradcli.report.quoting import visible  # noqa: E402

# The same figure is the same file: no dates, no random names, and nobody's own style.
NO_DATE: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}  # fmt: skip
STYLE: Any = {
    "svg.hashsalt": "gradcli",
    "svg.fonttype": "none",  # letters, and not their outlines
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
CLASSES = [("white", "black"), ("black", "white"), ("C3", "white"), ("C1", "black"), ("C6", "black"), ("C9", "black")]


def write_curves(file: IO[bytes], format: str, drawn: Curves) -> None:
    """Write curves as ``svg``, ``png`` or ``pdf``. In an SVG curve k is the group ``curve-k``."""
    with _figure(file, format, drawn.frame) as figure:
        _curves(figure.add_subplot(), drawn)


def write_stacked(file: IO[bytes], format: str, drawn: Sequence[Curves], heights: Sequence[float] = (3.0, 1.2)) -> None:
    """Write plots above one another, which have the same horizontal axis; their curves are numbered through."""
    with _figure(file, format, drawn[0].frame, (7.2, 5.6)) as figure:
        rows = figure.subplots(len(drawn), 1, sharex=True, height_ratios=heights)
        for k, (axes, one) in enumerate(zip(rows, drawn, strict=True)):
            _curves(axes, one, k, legend=k == 0)


def _curves(axes: Axes, drawn: Curves, first: int = 0, legend: bool = True) -> None:
    """Draw curves and data; the first ones have the number ``first``."""
    height = height_of(drawn)
    for k, curve in enumerate(drawn.curves, first):
        if curve.height is not None:
            axes.plot(curve.x, curve.y, color=f"C{k - first}", label=curve.label, gid=f"curve-{k}", linewidth=1.6)
        else:
            nowhere = f"is nowhere {'positive' if drawn.log_y else 'finite'}"
            why = nowhere if curve.missing is None else "= None"
            axes.plot([], [], color="none", label=f"{curve.label} {why}")
    axes.set_xscale("log" if drawn.log_x else "linear")
    axes.set_yscale("log" if drawn.log_y else "linear")
    axes.set_xlim(*drawn.x_range)
    axes.set_ylim(height.low, height.high)
    bands = [_band(axes, band, k) for k, band in enumerate(drawn.bands)]
    _dots(axes, drawn.dots, [("0.55", "0.55"), *CLASSES], first)
    _log_ticks(axes.xaxis, Axis(*drawn.x_range, drawn.log_x))
    _log_ticks(axes.yaxis, height)
    axes.grid(True, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    labels = [*[c.label for c in drawn.curves], *[d.label for d in drawn.dots], *[b.label for b in drawn.bands]]
    if len(labels) > 1 and legend:
        _legend(axes, bands, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _frame(axes, drawn.frame, drawn.title, drawn.x_label, labels[0] if len(labels) == 1 else "")


def write_field(file: IO[bytes], format: str, field: Field) -> None:
    """Write contours, and arrows along the gradient as long as the square root of its size, in the same formats."""
    with _figure(file, format, field.frame) as figure:
        axes = figure.add_subplot()
        levels = levels_of(field)
        z = np.ma.masked_invalid(field.z)
        if levels:
            colors = 0.25 + 0.75 * mpl.colormaps["viridis"](np.linspace(0.15, 1, len(levels) + 1))
            bounds = [min(z.min(), levels[0]), *levels, max(z.max(), levels[-1])]
            # What is above a level is drawn on what is above lower ones: each contour is there once.
            for k, (low, color) in enumerate(zip(bounds[:-1], colors, strict=True)):
                above = axes.contourf(field.x, field.y, z, levels=[low, bounds[-1]], colors=[color], antialiased=True)
                above.set(edgecolor="white", linewidth=0.8, gid=f"contours-{k}")
            shades = ScalarMappable(BoundaryNorm(bounds, len(colors)), ListedColormap(colors))
            bar = figure.colorbar(shades, ax=axes, spacing="uniform", ticks=levels)
            bar.set_label(visible(field.label), parse_math=False)
            bar.minorticks_off()
            bar.set_ticklabels([text.replace("-", "\N{MINUS SIGN}") for text in texts_of(levels)])
        if field.gradient is not None:
            _quiver(axes, field, *field.gradient)
        axes.set_xlim(*field.x[[0, -1]])
        axes.set_ylim(*field.y[[0, -1]])
        if field.dots:
            _dots(axes, field.dots, CLASSES)
            _legend(axes, [], loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=len(field.dots))
        note = "" if levels else f"{field.label} is {np.nanmean(field.z):g} throughout"
        note = note or (f"gradient = {field.missing}" if field.missing is not None else "")
        _frame(axes, field.frame, note or field.title, field.x_label, field.y_label)


def _dots(axes: Axes, dots: Sequence[Dots], colors: Sequence[tuple[str, str]], first: int = 0) -> None:
    """Data within the axes, whole at their edges, below the curves; in an SVG those of class k are the group ``dots-k``."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for k, (one, (face, edge)) in enumerate(zip(dots, colors, strict=False), first):
        inside = (left <= one.x) & (one.x <= right) & (bottom <= one.y) & (one.y <= top)
        (drawn,) = axes.plot(one.x[inside], one.y[inside], "o", label=one.label, gid=f"dots-{k}", zorder=1.9)
        if one.error is not None:
            axes.vlines(
                one.x[inside], (one.y - one.error)[inside], (one.y + one.error)[inside],
                colors=edge, linewidth=1.0, gid=f"errors-{k}", zorder=1.85,
            )  # fmt: skip
        drawn.set(markersize=4.5, markerfacecolor=face, markeredgecolor=edge, markeredgewidth=0.8, clip_on=False)


def _band(axes: Axes, band: Band, k: int) -> PolyCollection:
    """A band below the curves; in an SVG the k-th one is the group ``band-k``."""
    order = np.argsort(band.x, kind="stable")
    x, low, high = band.x[order], band.low[order], band.high[order]
    return axes.fill_between(
        x, low, high, color=f"C{k}", alpha=0.2, linewidth=0, label=band.label, gid=f"band-{k}", zorder=1.5
    )


def _quiver(axes: Axes, field: Field, u: Any, v: Any) -> None:
    """At most 16 by 12 arrows from (x, y) towards (x + u, y + v)."""
    rows, columns = _spread(len(field.y), 12), _spread(len(field.x), 16)
    u, v = u[np.ix_(rows, columns)], v[np.ix_(rows, columns)]
    x, y = np.meshgrid(field.x[columns], field.y[rows])
    length = np.hypot(u, v)
    shown = np.isfinite(length) & (length > 0)
    if not shown.any():
        return
    part = np.maximum(np.sqrt(length[shown] / length[shown].max()), 0.25) / length[shown]
    quiver = axes.quiver(
        x[shown],
        y[shown],
        u[shown] * part,
        v[shown] * part,
        angles="xy",
        color="0.1",
        scale=19,
        width=0.003,
        pivot="mid",
    )
    quiver.set_gid("gradient")


def _log_ticks(drawn: Ticked, axis: Axis) -> None:
    """Plain numbers on a logarithmic axis that is too short for powers of ten."""
    if axis.log and axis.high < 100 * axis.low:
        values, texts = zip(*axis.ticks(6), strict=True)
        drawn.set_ticks(values, texts)
        drawn.set_minor_locator(NullLocator())


def _spread(count: int, most: int) -> Any:
    """Indices of at most that many samples, evenly spaced."""
    step = -(-count // most)
    shown = count // step
    return (count - 1 - (shown - 1) * step) // 2 + step * np.arange(shown)


@contextmanager
def _figure(file: IO[bytes], format: str, frame: Frame, size: tuple[float, float] = (7.2, 4.5)) -> Iterator[Figure]:
    """A figure that is written at the end."""
    with mpl.rc_context(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of letters that a font lacks, of limits that are tried and given up
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        figure = Figure(figsize=frame.size or size, layout="constrained")
        yield figure
        whole = io.BytesIO()
        figure.savefig(whole, format=format, dpi=150, metadata=NO_DATE[format])
        file.write(_shortened(whole.getvalue()) if format == "svg" else whole.getvalue())


def _shortened(svg: bytes) -> bytes:
    """An SVG whose coordinates have two decimals in place of six: nobody sees the others."""

    def rounded(attribute: re.Match[bytes]) -> bytes:
        return re.sub(rb"(\.\d\d)\d+", rb"\1", attribute[0]).replace(b"\nL ", b"L")

    return re.sub(rb' (?:d|x|y)="[^"]*"', rounded, svg)


def _frame(axes: Axes, frame: Frame, title: str, x_label: str, y_label: str) -> None:
    """Title and labels: those that were asked for, or a plot's own; a title that is not a file's name is left out."""
    if frame.title is not None:
        axes.set_title(visible(frame.title), fontsize=11, parse_math=False)
    elif not title.startswith("<"):
        axes.set_title(visible(title), fontsize=9, color="0.4", loc="left", parse_math=False)
    axes.set_xlabel(visible(x_label if frame.x_label is None else frame.x_label), parse_math=False)
    axes.set_ylabel(visible(y_label if frame.y_label is None else frame.y_label), parse_math=False)


def _legend(axes: Axes, others: Sequence[Artist], **place: Any) -> None:
    """A legend of what has a label. Its texts are set in the end, for an underscore in front would hide an entry."""
    drawn = [*axes.get_lines(), *others]
    legend = axes.legend(drawn, [str(k) for k in range(len(drawn))], frameon=False, **place)
    for text, line in zip(legend.get_texts(), drawn, strict=True):
        text.set(text=visible(str(line.get_label())), parse_math=False)
