"""Matrices of derivatives in every format: values, and patterns of what may be non-zero."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from gradcli.diagnostics import counted
from gradcli.report.as_json import leaf
from gradcli.report.columns import pieces as column_pieces
from gradcli.report.json_parts import json_text
from gradcli.report.numbers import PART, literal_pieces, rounded, tokens
from gradcli.report.reply import Reply
from gradcli.results import Block, Result

if TYPE_CHECKING:
    from gradcli.report.tables import Screen

AXES = {"jacobian": ("y", "x"), "hessian": ("x1", "x2")}
"""What the two names of a block are called in CSV and NDJSON."""

MARKS = (".", "*")


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
                from gradcli.report import drawings

                shown = [b._replace(value=value) for b, (_, value) in zip(self.blocks, self.arrays(), strict=True)]
                return iter([drawings.render(self._replace(blocks=shown), screen)])
            case "json":
                return _json(self)
            case "ndjson":
                return _json_lines(self)
            case "csv":
                return _csv(self)
            case "table" if not self.sparsity:
                results = [Result(b.name, b.value) for b in self.blocks]
                return column_pieces(Reply("eval", self.file, [(0, results)], precision=self.precision))
        return _patterns(self.blocks) if self.sparsity else _plain(self)


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


def _plain(reply: Matrices) -> Iterator[str]:
    for b in reply.blocks:
        yield f"{b.name} = "
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
