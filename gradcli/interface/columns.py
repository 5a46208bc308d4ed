"""Columns of numbers that Python gives in place of a file of rows, and the answers to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradcli.data.rows import Rows
from gradcli.diagnostics import GradcliError
from gradcli.features.points.answer import Points
from gradcli.graph.types import show_shape
from gradcli.program.loaded import given_array

Array = np.ndarray[Any, Any]

KINDS = {"float": "iuf", "int": "iu", "number": "iuf", "bool": "b"}
"""The kinds of arrays that a column takes, by what it holds."""


def rows_of(points: Points, columns: Mapping[str, Any]) -> Rows:
    """The rows of arrays [rows, …] by name. Raises GradcliError for what is not what a program declares."""
    found = {name: _column(points, name, value) for name, value in columns.items()}
    if not found:
        raise GradcliError("ValueError", "there are no columns", help='give a name its values: `columns={"x": [1, 2]}`')
    first, count = next((name, len(column)) for name, column in found.items())
    for name, column in found.items():
        if len(column) != count:
            raise GradcliError("ShapeError", f"`{first}` has {count} rows, and `{name}` has {len(column)}")
    return Rows(np.arange(1, count + 1), found)


def _column(points: Points, name: str, value: Any) -> Array:
    field = points.field_of(name)
    array = np.asarray(given_array(value, name))
    shape = array.shape[1:] if field.shape is None else field.shape
    if array.ndim == 0 or array.shape[1:] != shape:
        raise GradcliError(
            "ShapeError",
            f"`{name}` has shape {show_shape(shape)} in each row, and the column has {show_shape(array.shape)}",
            help="the first axis of a column counts the rows",
        )
    if array.dtype.kind not in KINDS[field.kind]:
        raise GradcliError("TypeError", f"`{name}` is {field.kind} in each row, and the column is {array.dtype}")
    if field.kind == "float" or array.dtype.kind == "f":
        return array.astype(np.float64)
    return array.astype(bool if field.kind == "bool" else np.int64)


def answered(points: Points, rows: Rows, skip_bad: bool) -> dict[str, Array | None]:
    """The answers to all rows by name, in arrays [rows, …]; NaN in bad rows, which are an error unless they are skipped."""
    pieces = list(points.answers(rows))
    for piece in pieces:
        for _, problem in piece.bad:
            if not skip_bad:
                raise problem
    results: dict[str, Array | None] = {}
    for k, item in enumerate(pieces[0].items):
        values = [piece.values[k] for piece in pieces]
        present = [value for value in values if value is not None]
        if not present:
            results[item.label] = None
        elif not skip_bad:
            results[item.label] = np.concatenate(present)
        else:
            whole = np.full((len(rows.numbers), *present[0].shape[1:]), np.nan)
            for piece, value in zip(pieces, values, strict=True):
                if value is not None:
                    whole[piece.numbers - 1] = value
            results[item.label] = whole
    return results
