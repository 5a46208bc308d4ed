"""Matrices drawn on a terminal: numbers between brackets with their rows and columns named, patterns as stars."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcli.report.matrices import Matrices, flattened, heading, marks
from gradcli.report.numbers import rounded, tokens
from gradcli.results import Block

if TYPE_CHECKING:
    from gradcli.report.tables import Screen

DIGITS = 6
"""Significant digits of an entry; ``--precision`` may ask for fewer."""

MOST_ROWS = 20
MOST_COLUMNS = 20
MOST_ROWS_OF_MARKS = 40


def render(reply: Matrices, screen: Screen) -> str:
    """Every block below its title; a large one is summarised."""
    draw = _pattern if reply.sparsity else _matrix
    return "\n".join([draw(block, screen) for block in reply.blocks])


def entry_name(name: str, shape: Sequence[int], position: int) -> str:
    """``W[2, 0]``, the entry of a value at a flat position; the name alone for a scalar."""
    if not shape:
        return name
    return f"{name}[{', '.join(str(i) for i in np.unravel_index(position, tuple(shape)))}]"


def _title(text: str, screen: Screen) -> str:
    text = _wrapped(text, screen, "")
    return f"\x1b[1m{text}\x1b[0m\n" if screen.color else f"{text}\n"


def _wrapped(text: str, screen: Screen, indent: str) -> str:
    return fill(text, screen.width, initial_indent=indent, subsequent_indent="  ")


def _dim(text: str, screen: Screen) -> str:
    return f"\x1b[2m{text}\x1b[0m" if screen.color and text.strip() else text


def _matrix(block: Block, screen: Screen) -> str:
    value = block.value
    if value.ndim == 0:
        return _title(f"{block.name} = {tokens(value)[0]}", screen)
    matrix = flattened(block)
    title = (
        f"{block.name}   rows {block.row} {list(block.row_shape)}, columns {block.column} "
        f"{list(block.column_shape)}, {value.dtype}"
    )
    if matrix.size == 0:
        return _title(title, screen) + "  no entries\n"
    dots = "…" if screen.unicode else "..."
    rows = _ends(matrix.shape[0], MOST_ROWS)
    labels = [dots if i is None else entry_name(block.row, block.row_shape, i) for i in rows]
    room = screen.width - max(map(len, labels)) - 5
    cells, named = _fitting(block, matrix, rows, room, dots, screen.precision or DIGITS)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = max(map(len, labels))
    lines = []
    for number, row in enumerate(cells):
        line = "  ".join([cell.rjust(width) for cell, width in zip(row, widths, strict=True)])
        if named and number == 0:
            lines.append(_dim(" " * (left + 3) + line, screen))
            continue
        at = number - named
        opened, closed = _brackets(at, len(rows), screen.unicode)
        lines.append(f"{_dim(labels[at].rjust(left), screen)} {opened} {line} {closed}")
    text = _title(title, screen) + "".join([line.rstrip() + "\n" for line in lines])
    shown = sum(i is not None for i in rows) * sum(cell != dots for cell in cells[0])
    return text + (_summary(matrix, screen) if shown < matrix.size else "")


def _fitting(
    block: Block, matrix: Any, rows: Sequence[int | None], room: int, dots: str, digits: int
) -> tuple[list[list[str]], bool]:
    """The cells of the columns that fit, with the columns' names above where there is room for these too."""
    most = min(matrix.shape[1], MOST_COLUMNS)
    for count in range(most, 0, -1):
        columns = _ends(matrix.shape[1], count)
        cells = [[dots if i is None or j is None else "" for j in columns] for i in rows]
        kept_rows = [(k, i) for k, i in enumerate(rows) if i is not None]
        kept_columns = [(m, j) for m, j in enumerate(columns) if j is not None]
        picked = matrix[[i for _, i in kept_rows]][:, [j for _, j in kept_columns]]
        texts = iter(tokens(rounded(picked, digits)))
        for k, _ in kept_rows:
            for m, _ in kept_columns:
                cells[k][m] = next(texts)
        names = [dots if j is None else entry_name(block.column, block.column_shape, j) for j in columns]
        whole = count == matrix.shape[1]
        for head in ([names], []) if whole else ([names],):
            table = [*head, *cells]
            if count == 1 or sum(max(map(len, c)) + 2 for c in zip(*table, strict=True)) - 2 <= room:
                return table, bool(head)
    raise AssertionError


def _ends(size: int, most: int) -> list[int | None]:
    """All positions, or the first and last ones around a gap."""
    if size <= most:
        return list(range(size))
    tail = (most - 1) // 2
    return [*range(most - 1 - tail), None, *range(size - tail, size)]


def _brackets(row: int, count: int, unicode: bool) -> tuple[str, str]:
    if not unicode or count == 1:
        return "[", "]"
    return ("⎡", "⎤") if row == 0 else ("⎣", "⎦") if row == count - 1 else ("⎢", "⎥")


def _summary(matrix: Any, screen: Screen) -> str:
    rows, columns = matrix.shape
    text = f"{rows} by {columns} entries, {np.count_nonzero(matrix)} of them not 0"
    if matrix.dtype.kind == "f" and np.isfinite(matrix).any():
        finite = matrix[np.isfinite(matrix)]
        low, high = tokens(rounded(np.array([finite.min(), finite.max()]), DIGITS))
        text += f", from {low} to {high}"
        if finite.size < matrix.size:
            text += f"; {matrix.size - finite.size} not finite"
    return _wrapped(text, screen, "  ") + "\n"


def _pattern(block: Block, screen: Screen) -> str:
    matrix = flattened(block)
    rows, columns = matrix.shape
    high = -(-rows // MOST_ROWS_OF_MARKS) or 1
    wide = -(-columns // max(screen.width - 2, 10)) or 1
    text = _title(heading(block), screen)
    if high > 1 or wide > 1:
        text += f"  each mark stands for {high} by {wide} entries\n"
        matrix = np.pad(matrix, ((0, -rows % high), (0, -columns % wide)))
        matrix = matrix.reshape(matrix.shape[0] // high, high, matrix.shape[1] // wide, wide).any(axis=(1, 3))
    return text + "".join([f"  {line}\n" for line in marks(matrix).splitlines()])
