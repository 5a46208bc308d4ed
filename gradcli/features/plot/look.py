"""Plots in a terminal, of Braille dots: the only module that imports plotille and contourpy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import contourpy
import numpy as np
from plotille import Canvas

from gradcli.features.plot.answer import Curve, Curves, Dots, Field
from gradcli.features.plot.axes import Axis, height_of, levels_of, texts_of
from gradcli.report.quoting import visible

Array = np.ndarray[Any, Any]

COLORS = ("bright_blue", "bright_red", "bright_green", "bright_yellow", "bright_magenta", "bright_cyan", "white")
ARROWS = "→↗↑↖←↙↓↘"
DOTS = "○●◆◇▲△"
LEAST = (24, 8)
"""Columns and lines below which there is nothing to see."""

EMPTY = "\u2800"


class _Sheet:
    """A canvas within axes."""

    def __init__(self, x: Axis, y: Axis, size: tuple[int, int], above: int, color: bool) -> None:
        columns, lines = max(size[0], LEAST[0]), max(size[1], LEAST[1])
        self.lines = max(lines - above - 2, 4)
        self.x, self.y = x, y
        self.color = color
        self.y_ticks = y.ticks(max(2, self.lines // 3))
        self.margin = max([len(text) for _, text in self.y_ticks], default=0)
        self.columns = max(columns - self.margin - 2, 10)
        # Coordinates of the canvas are its dots, two in a column and four in a line.
        self.dots = (2 * self.columns - 1, 4 * self.lines - 1)
        self.canvas = Canvas(self.columns, self.lines, 0, 0, 2 * self.columns, 4 * self.lines)
        self.taken: set[tuple[int, int]] = set()

    def line(self, x: Array, y: Array, color: str) -> None:
        """A line through points; NaN is a gap."""
        # Beyond the canvas only the direction counts, and not how far.
        across = np.clip(self.x.place(x), -1, 2) * self.dots[0]
        up = np.clip(self.y.place(y), -1, 2) * self.dots[1]
        shown = np.isfinite(across) & np.isfinite(up)
        fg = color if self.color else None
        points = [(a, b) if s else None for a, b, s in zip(across.tolist(), up.tolist(), shown.tolist(), strict=True)]
        for start, end in zip([None, *points[:-1]], points, strict=True):
            if end is not None:
                self.canvas.line(*(start or end), *end, color=fg)

    def dashes(self, x: Array, y: Array, color: str) -> None:
        """A dashed line through points: a column of it, and one that is left out."""
        order = np.argsort(x, kind="stable")
        low, high = (self.x.low, self.x.high)
        at = (np.geomspace if self.x.log else np.linspace)(low, high, 4 * self.columns)
        with np.errstate(all="ignore"):
            edge = np.interp(at, x[order], y[order], left=np.nan, right=np.nan)
        edge[np.arange(len(at)) % 8 >= 4] = np.nan
        self.line(at, edge, color)

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        """The column and line, counted from below, of a point; None outside."""
        if not (np.isfinite(x) and np.isfinite(y)):
            return None
        across, up = float(self.x.place(np.asarray(x))), float(self.y.place(np.asarray(y)))
        if not (-1e-9 <= across <= 1 + 1e-9 and -1e-9 <= up <= 1 + 1e-9):
            return None
        return round(across * self.dots[0]) // 2, round(up * self.dots[1]) // 4

    def write(self, cell: tuple[int, int] | None, text: str, color: str | None = None) -> bool:
        """A text that starts in a cell, where nothing is written yet, nor right beside it; whether it found room."""
        if cell is None or not 0 <= cell[0] <= self.columns - len(text) or not 0 <= cell[1] < self.lines:
            return False
        cells = [(cell[0] + i, cell[1]) for i in range(len(text))]
        if self.taken.intersection(cells):
            return False
        self.taken.update(cells, [(cell[0] - 1, cell[1]), (cell[0] + len(text), cell[1])])
        self.canvas.text(2 * cell[0], 4 * cell[1], text, color=color if self.color else None)
        return True

    def show(self, x_label: str) -> list[str]:
        """The lines of the canvas with its axes."""
        ticks = {cell[1]: text for value, text in self.y_ticks if (cell := self.cell(self.x.low, value))}
        rows = self.canvas.plot("\n").replace(EMPTY, " ").split("\n")
        shown = [
            f"{ticks.get(n, ''):>{self.margin}} {'┤' if n in ticks else '│'}{row}".rstrip()
            for n, row in zip(range(self.lines - 1, -1, -1), rows, strict=True)
        ]
        axis, labels = ["─"] * self.columns, [" "] * (self.columns + 1)
        end = len(labels) - len(x_label) - 1
        labels[end + 1 :] = x_label
        for value, text in self.x.ticks(max(2, self.columns // 10)):
            cell = self.cell(value, self.y.low)
            start = max(0, cell[0] + 1 - len(text) // 2) if cell else end
            if cell and start + len(text) < end and not "".join(labels[max(start - 1, 0) : start + len(text)]).strip():
                axis[cell[0]] = "┬"
                labels[start : start + len(text)] = text
        indent = " " * self.margin
        return [*shown, f"{indent} └{''.join(axis)}", f"{indent} {''.join(labels)}".rstrip()]


def render_curves(drawn: Curves, size: tuple[int, int], color: bool = False, unicode: bool = True) -> str:
    """Curves in a number of columns and lines. Several are told apart by numbers on them, and by color."""
    frame = drawn.frame
    legend = [visible(text) for text in (frame.title, frame.y_label) if text is not None]
    legend += _legend(drawn.curves, size[0], color, drawn.log_y) + _legend_of_dots(drawn.dots)
    legend += [f"between {'┄' * 3}: {visible(band.label)}" for band in drawn.bands]
    sheet = _Sheet(Axis(*drawn.x_range, drawn.log_x), height_of(drawn), size, len(legend), color)
    for k, band in enumerate(drawn.bands):
        for edge in (band.low, band.high):
            sheet.dashes(band.x, edge, _color(k))
    present = [k for k, curve in enumerate(drawn.curves) if curve.height is not None]
    for k in reversed(present):  # the first one on top
        sheet.line(drawn.curves[k].x, drawn.curves[k].y, _color(k))
    for place, k in enumerate(present if len(drawn.curves) > 1 else ()):
        _number(sheet, drawn.curves[k], str(k), _color(k), (place + 0.5) / len(present))
    _draw_dots(sheet, drawn.dots)
    return _joined(
        [*legend, *sheet.show(visible(frame.x_label if frame.x_label is not None else drawn.x_label))], unicode
    )


def _number(sheet: _Sheet, curve: Curve, text: str, color: str, phase: float) -> None:
    """A curve's number at some places of it that are not those of others."""
    at = sheet.x.place(curve.x)
    for third in range(3):
        nearest = np.argsort(np.abs(at - (third + phase) / 3), kind="stable")
        for i in nearest[: len(at) // 6 + 1].tolist():
            if sheet.write(sheet.cell(curve.x[i], curve.y[i]), text, color):
                break


def _color(k: int) -> str:
    return COLORS[k % len(COLORS)]


def _legend(curves: Sequence[Curve], columns: int, color: bool, log: bool) -> list[str]:
    """Lines that name the curves, and one for each that is not there."""
    lines: list[str] = []
    missing: list[str] = []
    used = columns
    for k, curve in enumerate(curves):
        label = visible(curve.label)
        text = f"{k}: {label}" if len(curves) > 1 else label
        if curve.missing is not None:
            missing.append(f"{text} = {visible(curve.missing)}")
        elif curve.height is None:
            missing.append(f"{text} is nowhere {'positive' if log else 'finite'}")
        else:
            painted = _painted(text, _color(k)) if color else text
            if used + 3 + len(text) > columns:
                lines.append(painted)
                used = len(text)
            else:
                lines[-1] += "   " + painted
                used += 3 + len(text)
    return lines + missing


def _painted(text: str, color: str) -> str:
    from plotille import color as paint

    return str(paint(text, fg=color))


def render_field(field: Field, size: tuple[int, int], color: bool = False, unicode: bool = True) -> str:
    """Contours with their levels on them, and arrows from (x, y) towards (x + u, y + v)."""
    levels = levels_of(field, 7)
    frame = field.frame
    legend = [visible(text) for text in (frame.title,) if text is not None]
    legend += [
        f"contours of {visible(field.label)}" + ("" if levels else f", which is {np.nanmean(field.z):g} throughout")
    ]
    if field.missing is not None:
        legend.append(f"gradient = {visible(field.missing)}")
    elif field.gradient is not None and levels:
        legend[-1] += ", arrows along its gradient"
    legend += _legend_of_dots(field.dots)
    x, y = Axis(*field.x[[0, -1]].tolist()), Axis(*field.y[[0, -1]].tolist())
    # One line more, for the name of the vertical axis.
    sheet = _Sheet(x, y, size, len(legend) + 1, color)
    generator = contourpy.contour_generator(
        field.x, field.y, np.ma.masked_invalid(field.z), line_type=contourpy.LineType.Separate
    )
    for k, (level, text) in enumerate(zip(levels, texts_of(levels), strict=True)):
        shade = COLORS[k % len(COLORS)]
        pieces: list[Array] = sorted(generator.lines(level), key=len, reverse=True)  # type: ignore[arg-type]
        for piece in pieces:
            sheet.line(piece[:, 0], piece[:, 1], shade)
        _write_level(sheet, pieces, text, shade)
    if field.gradient is not None:
        _draw_arrows(sheet, field, *field.gradient)
    _draw_dots(sheet, field.dots)
    y_label = visible(frame.y_label if frame.y_label is not None else field.y_label)
    above = f"{y_label:>{sheet.margin + 2}}"
    x_label = visible(frame.x_label if frame.x_label is not None else field.x_label)
    return _joined([*legend, above, *sheet.show(x_label)], unicode)


def _write_level(sheet: _Sheet, pieces: Sequence[Array], text: str, color: str) -> None:
    for piece in pieces:
        for part in (0.5, 0.25, 0.75, 0.1, 0.9):
            x, y = piece[int(part * (len(piece) - 1))].tolist()
            cell = sheet.cell(x, y)
            if cell and sheet.write((cell[0] - len(text) // 2, cell[1]), text, color):
                return


def _draw_arrows(sheet: _Sheet, field: Field, u: Array, v: Array) -> None:
    """An arrow for every eight columns and four lines; a line is about as high as two columns are wide."""
    across = u / (sheet.x.high - sheet.x.low) * sheet.columns
    up = v / (sheet.y.high - sheet.y.low) * sheet.lines * 2
    for line in range(1, sheet.lines, 4):
        for column in range(4, sheet.columns, 8):
            i = round((line + 0.5) / sheet.lines * (len(field.y) - 1))
            j = round((column + 0.5) / sheet.columns * (len(field.x) - 1))
            a, b = float(across[i, j]), float(up[i, j])
            if np.isfinite(a) and np.isfinite(b) and (a or b):
                sheet.write((column, line), ARROWS[round(np.arctan2(b, a) / (np.pi / 4)) % 8])


def _legend_of_dots(dots: Sequence[Dots]) -> list[str]:
    return ["   ".join(f"{sign} {visible(one.label)}" for sign, one in zip(DOTS, dots, strict=False))] if dots else []


def _draw_dots(sheet: _Sheet, dots: Sequence[Dots]) -> None:
    for one in dots:
        if one.error is not None:
            for x, y, error in zip(one.x, one.y, one.error, strict=True):
                if sheet.cell(x, y):
                    low = max(y - error, sheet.y.low) if sheet.y.log else y - error
                    sheet.line(np.array([x, x]), np.array([low, y + error]), "white")
    for sign, one in zip(DOTS, dots, strict=False):
        for x, y in zip(one.x.tolist(), one.y.tolist(), strict=True):
            if cell := sheet.cell(x, y):
                sheet.canvas.text(2 * cell[0], 4 * cell[1], sign)


ASCII = str.maketrans("│┤└─┬┄" + ARROWS + DOTS, "||+-+-" + ">/^\\</v\\" + "o@x%=#") | {ord("±"): "+-"}


def _joined(lines: Sequence[str], unicode: bool) -> str:
    text = "\n".join(lines) + "\n"
    if unicode:
        return text
    return re.sub("[\u2801-\u28ff]", "*", text.translate(ASCII))
