"""Numbers with their errors in every format: the answers of ``fit --errors`` and ``propagate``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.report.columns import aligned
from gradcli.report.json_parts import json_number, json_text
from gradcli.report.numbers import json_value, rounded, tokens
from gradcli.report.reply import Reply
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.report.tables import Screen

Array = Any

SHOWN = 6
"""Significant digits on a terminal, where none are asked for."""


class Sheet(NamedTuple):
    """A table of texts and numbers, under a title."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str | float]]


class Estimates(NamedTuple):
    """A reply whose results have errors.

    ``errors`` gives for the name of a result arrays of its shape, by what they are (``error``, ``low``, ``high``), NaN
    where there is none. ``sheets`` and ``lines`` are for people, ``more`` what JSON holds beside the results.
    """

    reply: Reply
    errors: Mapping[str, Mapping[str, Array]]
    sheets: Sequence[Sheet]
    lines: Sequence[str]
    more: Mapping[str, Any]

    def rounded(self, digits: int | None) -> Estimates:
        """See :class:`gradcli.report.reply.Answer`."""
        if digits is None:
            return self
        errors = {
            name: {key: rounded(array, digits) for key, array in arrays.items()} for name, arrays in self.errors.items()
        }
        return self._replace(reply=self.reply.rounded(digits), errors=errors)

    def pieces(self, format: str, screen: Screen | None) -> Iterator[str]:
        """See :class:`gradcli.report.reply.Answer`. In ``plain`` all but the values is a comment."""
        digits = self.reply.precision
        if format == "table" and screen is not None:
            from gradcli.report import tables

            for sheet in self.sheets:
                yield tables.render_rows(sheet.headers, _texts(sheet, digits or SHOWN), screen, sheet.title)
            yield "".join([line + "\n" for line in self.lines])
        elif format == "table":
            yield self._text(digits)
        elif format == "value":
            yield from self.reply.pieces(format, None)
        elif format == "plain":
            yield from self.reply.pieces(format, None)
            yield "".join([f"# {line}".rstrip() + "\n" for line in self._text(digits).splitlines()])
        elif format == "json":
            *first, last = self.reply.pieces(format, None)
            yield from first
            errors = [
                f" {json_text(name)}: {{" + ", ".join([f'"{key}": {json_value(a)}' for key, a in arrays.items()]) + "}"
                for name, arrays in self.errors.items()
            ]
            yield last.removesuffix("}\n") + ', "errors": {\n' + ",\n".join(errors) + "}"
            for key, value in self.more.items():
                yield f",\n {json_text(key)}: {json_text(strict(value))}"
            yield "}\n"
        elif format == "csv":
            kinds = list(next(iter(self.errors.values()), {}))
            yield ",".join(["name", "index", "value", *kinds]) + "\n"
            for result in self.reply.orders[0][1]:
                yield from self._rows(result.name, result.value, kinds)
        elif format == "ndjson":
            for result in self.reply.orders[0][1]:
                line = "".join(self.reply._replace(orders=[(0, [result])]).pieces(format, None))
                arrays = self.errors.get(result.name, {})
                more = "".join([f', "{key}": {json_value(array)}' for key, array in arrays.items()])
                yield line.removesuffix("}\n") + more + "}\n"
        else:
            raise NotImplementedError(f"there is no form {format} of results with errors")

    def _rows(self, name: str, value: Array, kinds: Sequence[str]) -> Iterator[str]:
        import numpy as np

        if value is None:
            yield f"{name},," + "," * len(kinds) + "\n"
            return
        digits = self.reply.precision
        value = value if digits is None else rounded(value, digits)
        arrays = [value, *(self.errors.get(name, {}).get(kind, np.full(value.shape, math.nan)) for kind in kinds)]
        texts = zip(*[tokens(array) for array in arrays], strict=True)
        for place, row in zip(np.ndindex(value.shape), texts, strict=True):
            yield ",".join([name, ";".join(map(str, place)), *["" if text == "nan" else text for text in row]]) + "\n"

    def _text(self, digits: int | None) -> str:
        parts = [sheet.title + "\n" + aligned([sheet.headers, *_texts(sheet, digits)]) for sheet in self.sheets]
        return "\n".join(parts) + "".join([line + "\n" for line in self.lines])

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """See :class:`gradcli.report.reply.Answer`; errors are ``NAME/error`` and so on."""
        yield from self.reply.arrays()
        for name, arrays in self.errors.items():
            for key, array in arrays.items():
                yield f"{name}/{key}", array


def _texts(sheet: Sheet, digits: int | None) -> list[list[str]]:
    return [[cell if isinstance(cell, str) else number_text(cell, digits) for cell in row] for row in sheet.rows]


def number_text(number: float, digits: int | None = None) -> str:
    """A number with that many significant digits, by default as many as read back; empty for NaN."""
    if math.isnan(number):
        return ""
    if isinstance(number, int):
        return str(number)
    return f"{number:.{digits}g}" if digits is not None else repr(float(number))


def strict(value: Any) -> Any:
    """A record whose numbers strict JSON can hold."""
    if isinstance(value, float):
        return json_number(value)
    if isinstance(value, Mapping):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    return value


def matrix_text(names: Sequence[str], matrix: Array) -> str:
    """A symmetric matrix as CSV with its names above and before: ``,a,b``, ``a,1.0,0.5``, …; names may need quotes."""
    quoted = [f'"{name}"' if "," in name else name for name in names]
    rows = [",".join([name, *tokens(row)]) for name, row in zip(quoted, matrix, strict=True)]
    return "\n".join([",".join(["", *quoted]), *rows]) + "\n"


MOST_NAMES = 10
"""Of more numbers only the largest correlations are shown."""


def correlations(names: Sequence[str], matrix: Array) -> Sheet | None:
    """The lower triangle of correlations, or of many names the largest ones; None for less than two names."""
    count = len(names)
    if count < 2:
        return None
    if count <= MOST_NAMES:
        rows: list[list[str | float]] = [
            [names[i], *[f"{matrix[i, j]:.4f}" for j in range(i)], *[""] * (count - 1 - i)] for i in range(1, count)
        ]
        return Sheet("correlations", ["", *names[:-1]], rows)
    pairs = sorted([(-abs(float(matrix[i, j])), i, j) for i in range(count) for j in range(i)])[:MOST_NAMES]
    return Sheet(
        f"the largest of {count * (count - 1) // 2} correlations", ["", "and", ""],
        [[names[j], names[i], f"{matrix[i, j]:.4f}"] for _, i, j in pairs],
    )  # fmt: skip
