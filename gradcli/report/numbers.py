"""Numbers as text: the shortest digits that read back exactly, rounding to significant digits, nested brackets."""

from __future__ import annotations

import math
from typing import Any

Array = Any
"""A NumPy array, or a scalar that is a plain number (:mod:`gradcli.execute.plain_numbers`)."""


def tokens(array: Array, nan: str = "nan", inf: str = "inf", minus_inf: str = "-inf") -> list[str]:
    """One text for each entry, in C order: ``true``, ``-7``, ``0.1``, ``1e-07``, ``nan``.

    A float32 has the shortest digits that read back as that float32; -0.0 is written as 0.0.
    """
    special = {"nan": nan, "inf": inf, "-inf": minus_inf}
    if isinstance(array, (int, float)):
        text = str(array + 0)
        return [special.get(text, text)]
    import numpy as np

    flat = array.reshape(-1)
    if flat.dtype.kind == "b":
        return ["true" if entry else "false" for entry in flat.tolist()]
    if flat.dtype.kind in "iu":
        return list(map(str, flat.tolist()))
    flat = flat + flat.dtype.type(0)  # -0.0 + 0.0 is 0.0
    # float64 goes through Python floats, whose repr is faster; a float32 must keep its type to keep its short digits.
    texts = list(map(repr, flat.tolist())) if flat.dtype == np.float64 else list(map(str, flat))
    for position in np.nonzero(~np.isfinite(flat))[0].tolist():
        texts[position] = special[texts[position]]
    return texts


def rounded(array: Array, digits: int) -> Array:
    """Every float rounded to ``digits`` significant decimal digits; integers and booleans as they are."""
    if array.dtype.kind != "f" or array.size == 0:
        return array
    form = f"%.{digits}g"
    if isinstance(array, float):
        number = float(form % array)
        return array if math.isinf(number) else type(array)(number)
    import numpy as np

    entries = [float(form % entry) for entry in array.reshape(-1).tolist()]
    with np.errstate(over="ignore"):
        nearest = np.array(entries, dtype=array.dtype).reshape(array.shape)
    # Rounding up next to the largest float would make it infinite.
    return np.where(np.isinf(nearest) & ~np.isinf(array), array, nearest)


def nested(texts: list[str], shape: tuple[int, ...]) -> str:
    """The entries in brackets, one level for each axis: ``[[1, 2], [3, 4]]``."""
    if not shape:
        return texts[0]
    if 0 in shape:
        brackets = "[]"
        for size in reversed(shape[: shape.index(0)]):
            brackets = "[" + ", ".join([brackets] * size) + "]"
        return brackets
    for size in reversed(shape):
        texts = ["[" + ", ".join(texts[i : i + size]) + "]" for i in range(0, len(texts), size)]
    return texts[0]


def literal(array: Array) -> str:
    """The array as the language writes it; one without entries as ``zeros([0, 3])``, which keeps its shape."""
    if array.size == 0:
        return f"zeros({list(array.shape)})"
    return nested(tokens(array), array.shape)


def json_value(array: Array) -> str:
    """The array as strict JSON, with the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``."""
    return nested(tokens(array, '"NaN"', '"Infinity"', '"-Infinity"'), array.shape)
