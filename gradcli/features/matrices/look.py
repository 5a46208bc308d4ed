"""Matrices of derivatives in every format: values, and patterns of what may be non-zero."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gradcli.diagnostics import counted
from gradcli.report.as_json import leaf
from gradcli.report.columns import pieces as column_pieces
from gradcli.report.json_parts import json_text
from gradcli.report.numbers import PART, literal_pieces, rounded, tokens
from gradcli.report.reply import Reply
from gradcli.results import Block, Result
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.report.tables import Screen

AXES = {"jacobian": ("y", "x"), "hessian": ("x1", "x2")}
"""What the two names of a block are called in CSV and NDJSON."""

MARKS = (".", "*")

DIGITS = 6
"""Significant digits of an entry; ``--precision`` may ask for fewer."""

MOST_ROWS = 20
MOST_COLUMNS = 20
MOST_ROWS_OF_MARKS = 40


class Matrices(NamedTuple):
    """The answer of ``jacobian`` or ``hessian``; in a pattern (``sparsity``) the values of the blocks are bool."""

    command: Literal["jacobian", "hessian"]
    file: str
    of: Sequence[str]
    blocks: Sequence[Block]
    sparsity: bool = False
    precision: int | None = None

    def rounded(self, digits: int | None) -> Matrices:
        """See :class:`gradcli.report.reply.Answer`. The numbers are rounded where they are written."""
        return self._replace(precision=digits)

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """See :class:`gradcli.report.reply.Answer`: the keys are ``y/x``."""
        for b in self.blocks:
            yield f"{b.row}/{b.column}", b.value if self.precision is None else rounded(b.value, self.precision)

    def pieces(self, format: str, screen: Screen | None) -> Iterator[str]:
        """See :class:`gradcli.report.reply.Answer`."""
        match format:
            case "table" if screen is not None:
                shown = [b._replace(value=value) for b, (_, value) in zip(self.blocks, self.arrays(), strict=True)]
                return iter([drawn(self._replace(blocks=shown), screen)])
            case "json":
                return _json(self)
            case "ndjson":
                return _json_lines(self)
            case "csv":
                return _csv(self)
            case "table" if not self.sparsity:
                results = [Result(b.name, b.value) for b in self.blocks]
                return column_pieces(Reply("eval", self.file, [(0, results)], precision=self.precision))
            case "table" | "plain" | "value":
                return _patterns(self.blocks) if self.sparsity else _plain(self, format == "value")
        raise NotImplementedError(f"there is no form {format} of matrices")


def flattened(block: Block) -> Any:
    """The block as a matrix, one row for each entry of the row's value."""
    rows = int(np.prod(block.row_shape, dtype=int))
    return block.value.reshape(rows, int(np.prod(block.column_shape, dtype=int)))


def heading(block: Block) -> str:
    """``dy/dx: 3 of 6 entries may be non-zero, 2 rows for y [2], 3 columns for x [3]``."""
    matrix = flattened(block)
    rows, columns = matrix.shape
    return (
        f"{block.name}: {np.count_nonzero(matrix)} of {matrix.size} entries may be non-zero, "
        f"{counted(rows, 'row')} for {block.row} {list(block.row_shape)}, "
        f"{counted(columns, 'column')} for {block.column} {list(block.column_shape)}"
    )


def marks(matrix: Any) -> str:
    """A line of stars and dots for each row."""
    return "".join(["".join([MARKS[entry] for entry in row]) + "\n" for row in matrix.tolist()])


def _patterns(blocks: Sequence[Block]) -> Iterator[str]:
    for b in blocks:
        yield f"# {heading(b)}\n"
        matrix = flattened(b)
        rows = max(1, PART // max(1, matrix.shape[1]))
        for start in range(0, len(matrix), rows):
            yield marks(matrix[start : start + rows])


def _plain(reply: Matrices, bare: bool) -> Iterator[str]:
    for b in reply.blocks:
        yield f"{b.name} = " * (not bare)
        yield from literal_pieces(b.value, reply.precision)
        yield "\n"


def _places(block: Block) -> Iterator[tuple[Any, Any]]:
    """The rows and the columns of the non-zeros, some at a time."""
    matrix = flattened(block)
    count = max(1, PART // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), count):
        rows, columns = np.nonzero(matrix[start : start + count])
        for first in range(0, len(rows), PART):
            yield rows[first : first + PART] + start, columns[first : first + PART]


def _fields(block: Block, reply: Matrices) -> Iterator[str]:
    if not reply.sparsity:
        yield from leaf(block.value, reply.precision)
        return
    yield f'"shape": {list(block.value.shape)}, "nonzero": {np.count_nonzero(block.value)}'
    for which, name in enumerate(("rows", "cols")):
        before = f', "{name}": ['
        for places in _places(block):
            if len(places[which]):
                yield before + ", ".join(tokens(places[which]))
                before = ", "
        yield "]" if before == ", " else before + "]"


def _json(reply: Matrices) -> Iterator[str]:
    key = "patterns" if reply.sparsity else f"{reply.command}s"
    yield f'{{"command": "{reply.command}", "file": {json_text(reply.file)}'
    if reply.command == "hessian":
        yield f', "of": {json_text(list(reply.of))}'
    yield f', "{key}": {{'
    after = ""
    for row, blocks in itertools.groupby(reply.blocks, key=lambda b: b.row):
        yield f"{after}\n {json_text(row)}: {{"
        after = ""
        for b in blocks:
            yield f"{after}\n  {json_text(b.column)}: {{"
            yield from _fields(b, reply)
            after = "},"
        after = "}},"
    yield "}}}}\n"


def _json_lines(reply: Matrices) -> Iterator[str]:
    first, second = AXES[reply.command]
    for b in reply.blocks:
        yield f'{{"{first}": {json_text(b.row)}, "{second}": {json_text(b.column)}, '
        yield from _fields(b, reply)
        yield "}\n"


def _csv(reply: Matrices) -> Iterator[str]:
    """``y,x,index,value``, the index along all axes of the block; of a pattern ``y,x,row,col`` of the non-zeros."""
    from gradcli.report.as_csv import entries

    yield ",".join(AXES[reply.command]) + (",row,col\n" if reply.sparsity else ",index,value\n")
    for b in reply.blocks:
        start = f"{b.row},{b.column},"
        if not reply.sparsity:
            yield from entries(start, b.value, reply.precision)
            continue
        for rows, columns in _places(b):
            yield "".join([f"{start}{i},{j}\n" for i, j in zip(rows.tolist(), columns.tolist(), strict=True)])


# on a terminal: numbers between brackets with their rows and columns named, patterns as stars


def drawn(reply: Matrices, screen: Screen) -> str:
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
    from textwrap import fill

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
