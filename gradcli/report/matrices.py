"""Matrices of derivatives in every format: values, and patterns of what may be non-zero."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from gradcli.diagnostics import counted
from gradcli.report.as_json import leaf
from gradcli.report.columns import render as render_columns
from gradcli.report.json_parts import json_text
from gradcli.report.numbers import literal, rounded, tokens
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

    def rounded(self, digits: int | None) -> Matrices:
        """See :class:`gradcli.report.reply.Answer`."""
        if digits is None:
            return self
        return self._replace(blocks=[b._replace(value=rounded(b.value, digits)) for b in self.blocks])

    def arrays(self) -> dict[str, Any]:
        """See :class:`gradcli.report.reply.Answer`: the keys are ``y/x``."""
        return {f"{b.row}/{b.column}": b.value for b in self.blocks}

    def render(self, format: str, screen: Screen | None) -> str:
        """See :class:`gradcli.report.reply.Answer`."""
        match format:
            case "table" if screen is not None:
                from gradcli.report import drawings

                return drawings.render(self, screen)
            case "json":
                return _json(self)
            case "ndjson":
                return _json_lines(self)
            case "csv":
                return _csv(self)
            case "table" if not self.sparsity:
                return render_columns(Reply("eval", self.file, [(0, [Result(b.name, b.value) for b in self.blocks])]))
        if self.sparsity:
            return "".join([f"# {heading(b)}\n{marks(flattened(b))}" for b in self.blocks])
        return "".join([f"{b.name} = {literal(b.value)}\n" for b in self.blocks])


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


def _fields(block: Block, sparsity: bool) -> str:
    if not sparsity:
        return leaf(block.value)
    rows, columns = np.nonzero(flattened(block))
    return (
        f'"shape": {list(block.value.shape)}, "nonzero": {len(rows)}, "rows": {rows.tolist()}, '
        f'"cols": {columns.tolist()}'
    )


def _json(reply: Matrices) -> str:
    key = "patterns" if reply.sparsity else f"{reply.command}s"
    head = f'{{"command": "{reply.command}", "file": {json_text(reply.file)}'
    if reply.command == "hessian":
        head += f', "of": {json_text(list(reply.of))}'
    groups = []
    for row, blocks in itertools.groupby(reply.blocks, key=lambda b: b.row):
        entries = [f"  {json_text(b.column)}: {{{_fields(b, reply.sparsity)}}}" for b in blocks]
        groups.append(f" {json_text(row)}: {{\n" + ",\n".join(entries) + "}")
    return f'{head}, "{key}": {{\n' + ",\n".join(groups) + "}}\n"


def _json_lines(reply: Matrices) -> str:
    first, second = AXES[reply.command]
    return "".join(
        [
            f'{{"{first}": {json_text(b.row)}, "{second}": {json_text(b.column)}, {_fields(b, reply.sparsity)}}}\n'
            for b in reply.blocks
        ]
    )


def _csv(reply: Matrices) -> str:
    """``y,x,index,value``, the index along all axes of the block; of a pattern ``y,x,row,col`` of the non-zeros."""
    parts = [",".join(AXES[reply.command]) + (",row,col\n" if reply.sparsity else ",index,value\n")]
    for b in reply.blocks:
        start = f"{b.row},{b.column},"
        if reply.sparsity:
            parts += [f"{start}{i},{j}\n" for i, j in np.argwhere(flattened(b)).tolist()]
            continue
        indices = itertools.product(*[list(map(str, range(size))) for size in b.value.shape])
        parts += [f"{start}{';'.join(i)},{t}\n" for i, t in zip(indices, tokens(b.value), strict=True)]
    return "".join(parts)
