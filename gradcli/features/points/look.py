"""Results of many points: a line for each row, as CSV or JSON, or a table of a few."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product, repeat
from typing import TYPE_CHECKING, Any

from gradcli.report.json_parts import json_text
from gradcli.report.numbers import MANY, nested, rounded, tokens

if TYPE_CHECKING:
    from gradcli.report.tables import Screen

Array = Any
Labels = Sequence[str]
Paths = Sequence[tuple[str, ...]]
Values = Sequence[Array | None]
"""For each result an array [rows, …], or None."""


def headings(labels: Labels, values: Values) -> list[str]:
    """The columns: ``y`` of a scalar or None, ``g[0]``, ``g[1,2]`` of the entries of an array."""
    names: list[str] = []
    for label, value in zip(labels, values, strict=True):
        if value is None or value.ndim == 1:
            names.append(label)
        else:
            places = product(*[map(str, range(n)) for n in value.shape[1:]])
            names += [f"{label}[{','.join(place)}]" for place in places]
    return names


def csv_header(labels: Labels, values: Values, kept: Sequence[str] = ()) -> str:
    """The first line; a name with a comma in it is quoted."""
    names = [*kept, *headings(labels, values)]
    if not all(map(str.isidentifier, names)):
        from gradcli.report.quoting import csv_field

        names = list(map(csv_field, names))
    return ",".join(names) + "\n"


def csv_fields(texts: Sequence[Any]) -> str:
    """Fields and a comma after each, quoted where that is needed."""
    from gradcli.report.quoting import csv_field

    return "".join([csv_field("" if text is None else str(text)) + "," for text in texts])


def after_kept(lines: str, names: Sequence[str], kept: Iterable[Sequence[Any]]) -> list[str]:
    """Lines of JSON objects, each with the kept values of its row in front."""
    found = []
    for line, values in zip(lines.splitlines(), kept, strict=True):
        head = ", ".join([f"{json_text(name)}: {json_text(value)}" for name, value in zip(names, values, strict=False)])
        found.append("{" + head + (", " if head and line != "{}" else "") + line[1:] + "\n")
    return found


def csv_lines(values: Values, rows: int) -> str:
    """A line of numbers for each row; None is empty."""
    if rows * len(values) >= MANY and any([value is not None for value in values]):
        return _many_csv_lines(values, rows)
    columns = [column for value in values for column in _columns(value, "")]
    return "".join(_joined(map(",".join, zip(*columns, strict=False)))) if _finite(columns) else "\n" * rows


def _many_csv_lines(values: Values, rows: int) -> str:
    """The same for many rows, as an array of characters [rows, columns, WIDTH]."""
    import numpy as np

    from gradcli.data.decimals import WIDTH, characters, text_of

    def fields(value: Array | None) -> Array:
        if value is None:
            return np.zeros((rows, 1, WIDTH), np.uint8)
        flat = value.reshape(-1)
        if flat.dtype != np.float64:
            texts = np.array(tokens(flat), f"S{WIDTH}")
            return texts.view(np.uint8).reshape(rows, -1, WIDTH)
        return characters(flat).reshape(rows, -1, WIDTH)

    lines = np.concatenate([fields(value) for value in values], axis=1)
    lines[:, :-1, -1] = ord(",")
    lines[:, -1, -1] = ord("\n")
    return text_of(lines)


def json_lines(paths: Paths, values: Values, rows: int) -> str:
    """An object for each row, strict JSON: ``{"y": 1.0, "g": [2.0, null]}``; two names of a path are two levels."""
    special = ('"NaN"', '"Infinity"', '"-Infinity"')
    columns = [column for value in values if value is not None for column in _columns(value, "", special)]
    fields: dict[str, Any] = {}
    for path, value in zip(paths, values, strict=True):
        level = fields
        for name in path[:-1]:
            level = level.setdefault(name, {})
        shape = None if value is None else value.shape[1:]
        level[path[-1]] = "null" if shape is None else "".join(nested([["%s"] * _size(shape)], shape))
    template = _object(fields)
    if not columns:
        return (template % () + "\n") * rows
    return "".join(_joined(map(template.__mod__, zip(*columns, strict=True))))


def cells(values: Values, rows: int) -> list[tuple[str, ...]]:
    """The texts of a table, row by row."""
    columns = [column for value in values for column in _columns(value, "None")]
    return list(zip(*columns, strict=False)) if _finite(columns) else [tuple(["None"] * len(columns))] * rows


def rounded_to(values: Values, digits: int | None) -> Values:
    """The values with every number rounded to that many significant digits; None leaves them as they are."""
    return values if digits is None else [None if v is None else rounded(v, digits) for v in values]


def table(header: Sequence[str], numbers: Sequence[int], rows: Sequence[Sequence[str]], screen: Screen | None) -> str:
    """A table with a first column of row numbers; without a screen aligned columns."""
    first = [str(number) for number in numbers]
    lines = [(number, *row) for number, row in zip(first, rows, strict=True)]
    if screen is None:
        from gradcli.report.columns import aligned

        return aligned([("row", *header), *lines])
    from gradcli.report.tables import render_rows

    return render_rows(("row", *header), lines, screen)


def _columns(value: Array | None, none: str, special: tuple[str, str, str] = ("nan", "inf", "-inf")) -> list[Any]:
    """The texts of each entry, one for each row."""
    if value is None:
        return [repeat(none)]
    width = _size(value.shape[1:])
    texts = tokens(value, *special)
    return [texts[j::width] for j in range(width)]


def _finite(columns: Sequence[Any]) -> bool:
    """Whether some column ends: those of None go on for ever."""
    return any(isinstance(column, list) for column in columns)


def _size(shape: Sequence[int]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def _joined(lines: Iterable[str]) -> list[str]:
    return [line + "\n" for line in lines]


def _object(fields: Mapping[str, Any]) -> str:
    entries = []
    for name, value in fields.items():
        text = _object(value) if isinstance(value, dict) else value
        entries.append(f"{json_text(name).replace('%', '%%')}: {text}")
    return "{" + ", ".join(entries) + "}"
