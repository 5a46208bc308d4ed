"""Numbers as text: the shortest digits that read back exactly, rounding to significant digits, nested brackets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

Array = Any
"""A NumPy array, or a scalar that is a plain number (:mod:`gradcli.execute.plain_numbers`)."""

PART = 1 << 14
"""Entries that are texts at the same time."""

MANY = 500
"""Floats that are sooner written together than one by one."""


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
    if flat.dtype != np.float64:
        texts = list(map(str, flat))  # a float32 must keep its type to keep its short digits
    elif len(flat) < MANY:
        texts = list(map(repr, flat.tolist()))
    else:
        from gradcli.data.decimals import written

        texts = written(flat)
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

    if array.size > PART:
        result = np.empty(array.shape, array.dtype)
        flat = result.reshape(-1)
        for number, part in enumerate(parts(array, digits)):
            flat[number * PART : (number + 1) * PART] = part
        return result
    entries = [float(form % entry) for entry in array.reshape(-1).tolist()]
    with np.errstate(over="ignore"):
        nearest = np.array(entries, dtype=array.dtype).reshape(array.shape)
    # Rounding up next to the largest float would make it infinite.
    return np.where(np.isinf(nearest) & ~np.isinf(array), array, nearest)


def parts(array: Array, digits: int | None = None) -> Iterator[Array]:
    """The entries in C order, some at a time as flat arrays, rounded to ``digits`` significant digits if given.

    Who writes them as text holds the texts of one part at a time, which take ten times the memory of the numbers.
    """
    if isinstance(array, (int, float)):
        yield array if digits is None else rounded(array, digits)
        return
    flat = array.reshape(-1) if array.flags.c_contiguous else array.flat
    for start in range(0, array.size, PART):
        part = flat[start : start + PART]
        yield part if digits is None else rounded(part, digits)


def nested(texts: Iterable[list[str]], shape: tuple[int, ...]) -> Iterator[str]:
    """The entries, given in parts, in brackets, one level for each axis: ``[[1, 2], [3, 4]]``, a piece for each part."""
    if 0 in shape:
        brackets = "[]"
        for size in reversed(shape[: shape.index(0)]):
            brackets = "[" + ", ".join([brackets] * size) + "]"
        yield brackets
        return
    start = 0
    for part in texts:
        count, size = len(part), 1
        for extent in reversed(shape):
            size *= extent
            first, last = -start % size, (-start - 1) % size
            part[first::size] = ["[" + text for text in part[first::size]]
            part[last::size] = [text + "]" for text in part[last::size]]
        yield (", " if start else "") + ", ".join(part)
        start += count


def literal_pieces(array: Array, digits: int | None = None) -> Iterator[str]:
    """The pieces of :func:`literal`, of numbers rounded to ``digits`` significant digits if given."""
    if array.size == 0:
        return iter([f"zeros({list(array.shape)})"])
    return nested((tokens(part) for part in parts(array, digits)), array.shape)


def literal(array: Array) -> str:
    """The array as the language writes it; one without entries as ``zeros([0, 3])``, which keeps its shape."""
    return "".join(literal_pieces(array))


def json_pieces(array: Array, digits: int | None = None) -> Iterator[str]:
    """The pieces of :func:`json_value`, of numbers rounded to ``digits`` significant digits if given."""
    texts = (tokens(part, '"NaN"', '"Infinity"', '"-Infinity"') for part in parts(array, digits))
    return nested(texts, array.shape)


def json_value(array: Array) -> str:
    """The array as strict JSON, with the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``."""
    return "".join(json_pieces(array))
