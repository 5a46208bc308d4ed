"""The parts of every command's JSON apart from arrays: texts and records, numbers, places in the source."""

from __future__ import annotations

import json
import math
from typing import Any

from gradcli.diagnostics import Span


def json_text(value: Any) -> str:
    """Texts, finite numbers, None, and lists and records of them as JSON on one line.

    Characters stand as they are; those that cannot be seen are escaped.
    """
    text = json.dumps(value, ensure_ascii=False)
    if text.isascii() and "\x7f" not in text:
        return text
    from gradcli.report.quoting import json_escaped

    return json_escaped(text)


def json_number(value: float) -> float | str:
    """A number as strict JSON holds it: NaN and the infinities are the strings that ``numbers.json_value`` writes."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def json_place(span: Span | None) -> dict[str, Any]:
    """The fields ``file``, ``line`` and ``column``, which are counted from 1; null where there is no place."""
    if span is None:
        return {"file": None, "line": None, "column": None}
    return {"file": span.source.name, "line": span.line, "column": span.column}
