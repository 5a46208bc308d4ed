"""Literal scalars: arithmetic on them while they are weak, and the nodes that they become."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

from gradcli.graph.fold import fold
from gradcli.graph.node import Node
from gradcli.graph.operation import literal
from gradcli.graph.ops import table
from gradcli.graph.types import INTEGER_RANGE, is_float, is_integer
from gradcli.language import syntax
from gradcli.language.values import Weak

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator, Place

Number = int | float

SIMPLE = {"+": operator.add, "-": operator.sub, "*": operator.mul}
MOST_BITS = 4096
"""Of an integer on the way: larger ones fit into nothing, and would take ever longer."""


def arithmetic(e: Elaborator, expression: syntax.Binary, a: Number, b: Number) -> Number | None:
    """Arithmetic as the operations themselves would do it, on float64 and large integers; None for other operators."""
    try:
        result = _calculated(expression.operator, a, b)
    except OverflowError:
        if expression.operator == "^":
            e.fail("ValueError", "this power fits neither into an integer nor into a float", expression)
        e.fail("ValueError", "a number in this expression does not fit into a float", expression)
    if isinstance(result, int) and result.bit_length() > MOST_BITS:
        e.fail("ValueError", "this fits neither into an integer nor into a float", expression)
    return result


def _calculated(sign: str, a: Number, b: Number) -> Number | None:
    if sign in SIMPLE:
        result: Number = SIMPLE[sign](a, b)
        return result
    if sign == "/":
        if b != 0:
            return a / b
        if a == 0 or a != a:
            return math.nan
        return math.copysign(math.inf, b) if a > 0 else -math.copysign(math.inf, b)
    if sign != "^":
        return None
    if isinstance(a, int) and isinstance(b, int) and b >= 0:
        if abs(a) > 1 and b * a.bit_length() > 2 * MOST_BITS:
            raise OverflowError
        power: int = a**b
        return power
    return float(fold(table["pow"](literal(float(a), "float64"), literal(float(b), "float64")), lambda _: None))


def node_of(e: Elaborator, weak: Weak, dtype: str | None, at: syntax.Syntax | Place) -> Node:
    """A literal in the dtype that it meets (None: its own default)."""
    value = weak.value
    if isinstance(value, float):
        return literal(value, dtype if dtype is not None and is_float(dtype) else e.float_dtype)
    if dtype is None or dtype == "bool":
        dtype = e.integer_dtype
    if is_integer(dtype):
        low, high = INTEGER_RANGE[dtype]
        if not low <= value <= high:
            shown = value if abs(value) < 10**30 else "this number"
            e.fail("ValueError", f"{shown} does not fit into {dtype}", at, help=_as_float(e, value, at))
    else:
        try:
            float(value)
        except OverflowError:
            e.fail("ValueError", f"this integer does not fit into {dtype}", at)
    return literal(value, dtype)


def _as_float(e: Elaborator, value: int, at: syntax.Syntax | Place) -> str:
    """How to write an integer that is too large as a float, if it is not too large for that too."""
    if abs(value) >= 10**308:
        return "it is too large for a float, too"
    if isinstance(at, syntax.Binary) and at.operator == "^" and isinstance(at.left, syntax.Number):
        exponent = e.source.text[at.right.start : at.right.end]
        return f"write it as a float: `{at.left.value}.0^{exponent}`"
    return f"write it as a float: `{value}.0`" if abs(value) < 10**30 else "write its numbers as floats, with `.0`"
