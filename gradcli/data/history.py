"""The history of a fit: NDJSON, an object with ``step``, ``loss`` and other numbers on each line."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from gradcli.data.files import decode, fail
from gradcli.diagnostics import did_you_mean

SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def read_history(data: bytes, name: str, keys: Sequence[str]) -> dict[str, list[float]]:
    """The numbers by key, ``step`` and ``keys``, an entry a line; NaN where a line holds null.

    A last line without an end is one that is being written, and is left out if it is incomplete. Raises GradcliError
    (DataError) for other lines that are no such object, and where there is none.
    """
    lines = decode(data, name).split("\n")
    columns: dict[str, list[float]] = {key: [] for key in ("step", *keys)}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            if number == len(lines) > 1:
                break
            fail(f"{name}, line {number}: not JSON: {line[:40]!r}", "a history is what `gradcli fit --history` writes")
        if not isinstance(record, dict):
            fail(f"{name}, line {number}: it is not an object", 'a line of a history is `{"step": 1, "loss": 0.5}`')
        for key, column in columns.items():
            column.append(_number(record, key, f"{name}, line {number}"))
    if not columns["step"]:
        fail(f"{name} holds no step of a fit", 'a line of a history is `{"step": 1, "loss": 0.5}`')
    return columns


def _number(record: dict[str, Any], key: str, where: str) -> float:
    if key not in record:
        close = did_you_mean(key, record)
        held = ", ".join(list(record)[:8])
        fail(f"{where}: it has no `{key}`", f"did you mean `{close}`?" if close else f"it has {held}" if held else None)
    value = record[key]
    if value is None or (isinstance(value, str) and value in SPECIAL):
        return math.nan if value is None else SPECIAL[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        fail(f"{where}: `{key}` is not a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf
