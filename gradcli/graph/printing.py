"""Pieces of text of the language, and numbers, attributes, indices and equations as such."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from gradcli.graph.node import Node
from gradcli.graph.types import is_float
from gradcli.tuples import NamedTuple

OR, AND, NOT, COMPARISON, SUM, PRODUCT, MINUS, POWER, POSTFIX, ATOM = range(10)
"""How tightly a text binds, loosest first."""


class Text(NamedTuple):
    """A piece of program text and how tightly it binds."""

    text: str
    binds: int = ATOM

    def at_least(self, binds: int) -> str:
        return self.text if self.binds >= binds else f"({self.text})"


def number(value: float | int | bool, dtype: str) -> Text:
    """A literal that reads back as the same number; floats always show that they are floats."""
    if isinstance(value, bool) or dtype == "bool":
        return Text("true" if value else "false")
    if not is_float(dtype):
        return Text(str(value), ATOM if value >= 0 else MINUS)
    value = float(value)
    if math.isnan(value):
        return Text("nan")
    sign = math.copysign(1.0, value)
    size = "inf" if math.isinf(value) else repr(abs(value))
    return Text(size) if sign > 0 else Text("-" + size, MINUS)


def times_pi(value: float) -> tuple[Fraction, int] | None:
    """A fraction and a power of pi, 1 or 2, whose product a number is; None for others."""
    if not 1e-3 < abs(value) < 1e6 or len(repr(value)) < 14:
        return None
    for k in (1, 2):
        part = Fraction(value / math.pi**k).limit_denominator(1000)
        if part and part.numerator * math.pi**k / part.denominator == value:
            return part, k
    return None


def attribute(value: Any) -> str:
    """A static argument: true, 3, 0.5, [0, 1], float32."""
    if value is None:
        return "None"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(attribute(v) for v in value) + "]"
    if isinstance(value, float):
        return number(value, "float64").text
    return str(value)


def items_text(items: Sequence[Any], shape: Sequence[int], new: str = "newaxis") -> str:
    """What stands between the brackets of an index; ``new`` is the word for a new axis."""
    shown: list[str] = []
    axis = 0
    for item in items:
        if item is None:
            shown.append(new)
            continue
        if isinstance(item, int):
            shown.append(str(item))
        else:
            start, stop, step = item
            size = shape[axis]
            backwards = step < 0
            lower = "" if start == (size - 1 if backwards else 0) else str(start)
            upper = "" if stop is None or (stop == size and not backwards) else str(stop)
            shown.append(f"{lower}:{upper}" + (f":{step}" if step != 1 else ""))
        axis += 1
    return ", ".join(shown)


def equation(node: Node) -> str:
    """The einsum equation of a contraction."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    groups = ["".join(letters[k] for k in group) for group in node.attrs["labels"]]
    return ",".join(groups) + "->" + "".join(letters[k] for k in node.attrs["out"])
