"""Arrays in JSON: nested lists, and records with dtype and shape as gradcli writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gradcli.data.arrays import standard
from gradcli.data.files import fail
from gradcli.graph.types import MOST_AXES

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


def cost(data: bytes) -> int:
    """Bytes that the text takes as bytes, as characters and as numbers and lists of Python: at least half of them."""
    return 2 * len(data) + 40 * data.count(b",") + 60 * (data.count(b"[") + data.count(b"{"))


def parse_json(text: str, name: str) -> Any:
    """The document in a JSON text; NaN and Infinity without quotes, as Python writes them, are read too."""
    # A call of Python's for each number lets Ctrl-C be heard, which takes a third of the speed.
    slow: Any = {"parse_float": lambda digits: float(digits), "parse_int": lambda digits: int(digits)}
    try:
        return json.loads(text, **(slow if len(text) > LONG else {}))
    except json.JSONDecodeError as problem:
        fail(f"{name}, line {problem.lineno}, column {problem.colno}: not JSON: {problem.msg}")
    except RecursionError:
        fail(f"{name} is nested too deeply")
    except ValueError as problem:  # an integer of more than 4300 digits
        fail(f"{name} is not readable JSON: {problem}")


LONG = 1 << 24
"""Characters of a text that is read in about a tenth of a second."""


def is_record(entry: Any) -> bool:
    """Whether an entry is a value as gradcli writes it, with its dtype or whether it is connected."""
    return isinstance(entry, dict) and "value" in entry and ("dtype" in entry or "connected" in entry)


def json_value(entry: Any, what: str) -> Array | None:
    """A nested list or number, or a record ``{"dtype": …, "shape": …, "value": …}``; None for null."""
    import numpy as np

    if entry is None:
        return None
    if not isinstance(entry, dict):
        return standard(array_of(entry, what), what)
    if not is_record(entry):
        fail(f"{what} is an object, but needs a number or a list of numbers")
    if entry["value"] is None or entry.get("connected") is False:
        return None
    dtype = entry.get("dtype")
    if dtype is not None and dtype not in ("bool", "int32", "int64", "float32", "float64"):
        fail(f"{what} has an unknown dtype, {dtype!r}")
    try:
        array = array_of(entry["value"], what)
        if dtype is not None:
            # An empty list has no dtype of its own; numbers with a fraction never become integers.
            with np.errstate(over="ignore"):
                typed = array.astype(np.dtype(dtype), casting="same_kind" if array.size else "unsafe")
            if array.size and dtype == "int32" and (typed != array).any():
                fail(f"{what} has an integer that does not fit in int32")
            array = typed
        return standard(array.reshape(entry["shape"]) if "shape" in entry else array, what)
    except (ValueError, TypeError) as problem:
        fail(f"{what} is not what its dtype and shape say: {problem}")


def array_of(entry: Any, what: str) -> Array:
    """A nested list of numbers, booleans and the texts that stand for NaN and infinities, in NumPy's dtype for it."""
    import numpy as np

    depth, first = 0, entry
    while isinstance(first, list):
        depth, first = depth + 1, first[0] if first else None
    if depth > MOST_AXES:
        fail(f"{what} has {depth} axes, and NumPy has at most {MOST_AXES}")
    try:
        array = np.array(entry)
        if array.dtype.kind in "US":
            array = np.array(_without_strings(entry, what))
    except (ValueError, OverflowError, RecursionError):
        fail(f"{what} is ragged: its rows differ in length")
    if array.dtype.kind == "O":
        has_null = any(item is None for item in array.reshape(-1).tolist())
        found = "null" if has_null else "something else than numbers, or integers that do not fit in int64"
        fail(f"{what} holds {found}")
    return array


SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def _without_strings(entry: Any, what: str) -> Any:
    if isinstance(entry, list):
        return [_without_strings(item, what) for item in entry]
    if isinstance(entry, str):
        if entry not in SPECIAL:
            fail(f"{what} holds the text {entry!r}, but needs numbers",
                  'the only texts that stand for numbers are "NaN", "Infinity" and "-Infinity"')  # fmt: skip
        return SPECIAL[entry]
    return entry
