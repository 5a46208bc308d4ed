"""Arguments that must be known before anything is evaluated: shapes, axes, sizes, dtypes, words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import did_you_mean
from gradcli.graph.node import Node
from gradcli.graph.operation import Operation
from gradcli.graph.types import DTYPES
from gradcli.language import syntax
from gradcli.language.values import Scope, Weak

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator


def attributes(
    e: Elaborator, op: Operation, bound: Mapping[str, Any], call: syntax.Syntax, scope: Scope
) -> dict[str, Any]:
    """The static attributes of a call, defaults filled in."""
    attrs: dict[str, Any] = {}
    for p in op.parameters:
        if p.one_tensor or p.kind in ("tensors", "operands"):
            continue
        argument = bound.get(p.name)
        if argument is not None:
            _misplaced(e, op, p.kind, argument, bound)
            attrs[p.name] = KINDS[p.kind](e, argument, scope)
            if p.kind == "int" and attrs[p.name] is None and p.default not in (None, "None"):
                e.fail("TypeError", f"`{p.name}` of {op.name} must be an integer, not None", argument)
        if attrs.get(p.name) is None:
            attrs[p.name] = op.defaults.get(p.name)
            if p.kind == "dtype":
                attrs[p.name] = e.float_dtype
            elif p.kind == "seed":
                attrs[p.name] = (e.seed, e.draws)
                e.draws += 1
            elif p.default is None:
                e.fail("TypeError", f"{op.name} needs a value for `{p.name}`, not None", argument or call)
        elif op.name == "arange" and p.kind == "dtype":
            attrs["typed"] = True
    return attrs


def _misplaced(e: Elaborator, op: Operation, kind: str, argument: syntax.Expression, bound: Mapping[str, Any]) -> None:
    """``concat([a], [b])`` and ``ones(2, 3)``: what belongs into one list was given as several arguments."""
    if kind in ("axis", "int") and isinstance(argument, syntax.List):
        if any(p.kind == "tensors" for p in op.parameters):
            help = f"put the values into one list: `{op.name}([a, b], axis)`"
            e.fail("TypeError", f"{op.name} takes a list of values and an axis", argument, help=help)
    elif kind in ("dtype", "number", "seed", "tensor") and isinstance(argument, syntax.Number):
        size = bound.get("shape")
        if kind == "dtype" and isinstance(size, syntax.Number):
            help = f"write `{op.name}([{size.value}, {argument.value}])`"
            e.fail("TypeError", f"{op.name} takes a shape as one list", argument, help=help)


def integer(e: Elaborator, expression: syntax.Expression, scope: Scope) -> int:
    """An integer that is known before anything is evaluated."""
    value = e.static(e.value(expression, scope), expression)
    if isinstance(value, bool) or not isinstance(value, int):
        shown = "a list" if isinstance(value, list) else f"{value}".lower()
        e.fail("TypeError", f"an integer is needed here, not {shown}", expression)
    if abs(value) >= 2**63:
        e.fail("ValueError", "this number does not fit into int64", expression)
    return value


def _axis(e: Elaborator, expression: syntax.Expression, scope: Scope) -> int | None:
    return None if is_none(expression) else integer(e, expression, scope)


def integers(e: Elaborator, expression: syntax.Expression, scope: Scope) -> list[int]:
    """A list of integers, or the entries of a constant array of them."""
    if isinstance(expression, syntax.List):
        return [integer(e, item, scope) for item in expression.items]
    value = e.static(e.value(expression, scope), expression)
    if isinstance(value, list) and all(isinstance(v, int) and not isinstance(v, bool) for v in value):
        return value
    e.fail("TypeError", "integers are needed here", expression, help="write a list: `[2, 3]`")


def _integer_or_integers(e: Elaborator, expression: syntax.Expression, scope: Scope) -> int | list[int]:
    if isinstance(expression, syntax.List):
        return integers(e, expression, scope)
    value = e.static(e.value(expression, scope), expression)
    if isinstance(value, list):
        return integers(e, expression, scope)
    return integer(e, expression, scope)


def _axes(e: Elaborator, expression: syntax.Expression, scope: Scope) -> int | list[int] | None:
    return None if is_none(expression) else _integer_or_integers(e, expression, scope)


def _ints(e: Elaborator, expression: syntax.Expression, scope: Scope) -> int | list[int] | None:
    return _axes(e, expression, scope)


def shape(e: Elaborator, expression: syntax.Expression, scope: Scope) -> tuple[int, ...]:
    """The sizes of a shape."""
    sizes = _integer_or_integers(e, expression, scope)
    return (sizes,) if isinstance(sizes, int) else tuple(sizes)


def sizes(e: Elaborator, expressions: list[syntax.Expression], scope: Scope) -> tuple[int, ...]:
    """The shape of a declaration: one expression per axis."""
    result = []
    for expression in expressions:
        n = integer(e, expression, scope)
        if n < 0:
            e.fail("ShapeError", f"a size cannot be negative: {n}", expression)
        result.append(n)
    return tuple(result)


def _pairs(e: Elaborator, expression: syntax.Expression, scope: Scope) -> tuple[tuple[int, ...], ...]:
    value = e.static(e.value(expression, scope), expression)
    if isinstance(value, list) and all(isinstance(p, list) and all(isinstance(v, int) for v in p) for p in value):
        return tuple(tuple(p) for p in value)
    e.fail(
        "TypeError", "pairs of integers are needed here", expression, help="`[[before, after], …]`, one pair an axis"
    )


def number(e: Elaborator, expression: syntax.Expression, scope: Scope) -> int | float | None:
    """A number that is known before anything is evaluated, or None."""
    if is_none(expression):
        return None
    value = e.static(e.value(expression, scope), expression)
    if isinstance(value, (list, bool)):
        e.fail("TypeError", "a number is needed here", expression)
    return _fitting(e, value, expression)


def _fitting(e: Elaborator, value: int | float, expression: syntax.Expression) -> int | float:
    """The number, which is not an integer beyond those of int64: NumPy would make an object of it."""
    if isinstance(value, int) and abs(value) >= 2**63:
        e.fail("ValueError", "this number does not fit into int64", expression)
    return value


def _parameter(e: Elaborator, expression: syntax.Expression, scope: Scope) -> int | float | Node | None:
    """A number of the text as it is, anything else as a node."""
    if is_none(expression):
        return None
    value = e.value(expression, scope)
    if isinstance(value, Weak):
        return _fitting(e, value.value, expression)
    node = e.node(value, expression)
    if node.dtype == "bool":
        e.fail("TypeError", "a number is needed here, not bool", expression)
    return node


def _mask(e: Elaborator, expression: syntax.Expression, scope: Scope) -> Node | None:
    """Which entries count."""
    if is_none(expression):
        return None
    node = e.node(e.value(expression, scope), expression)
    if node.dtype != "bool":
        e.fail("TypeError", f"where needs bool, not {node.dtype}", expression, help="compare it: `x != 0`")
    return node


def _seed(e: Elaborator, expression: syntax.Expression, scope: Scope) -> int | tuple[int, ...] | None:
    """One integer, or several (as the printer writes those of unseeded calls)."""
    if is_none(expression):
        return None
    seeds = _integer_or_integers(e, expression, scope)
    if seeds == []:
        e.fail("ValueError", "a seed is one integer or several", expression)
    for value in [seeds] if isinstance(seeds, int) else seeds:
        if not 0 <= value < 2**32:
            e.fail("ValueError", f"a seed is an integer from 0 to {2**32 - 1}, not {value}", expression)
    return seeds if isinstance(seeds, int) else tuple(seeds)


def flag(e: Elaborator, expression: syntax.Expression, scope: Scope) -> bool:
    """``true`` or ``false``."""
    value = e.static(e.value(expression, scope), expression)
    if not isinstance(value, bool):
        e.fail("TypeError", "true or false is needed here", expression)
    return value


def dtype(e: Elaborator, expression: syntax.Expression, scope: Scope) -> str | None:
    """The name of a dtype, or None."""
    if is_none(expression):
        return None
    name = expression.id if isinstance(expression, syntax.Name) else None
    if isinstance(expression, syntax.String):
        name = expression.value
    if name in DTYPES:
        return name
    from gradcli.language import foreign

    if isinstance(expression, syntax.Attribute) and expression.name.id in DTYPES:
        similar: str | None = expression.name.id  # np.float32
    else:
        similar = foreign.DTYPES.get(name) or did_you_mean(name, DTYPES) if name else None
    e.fail(
        "TypeError",
        f"`{name}` is not a dtype" if name else "a dtype is needed here",
        expression,
        help=f"did you mean `{similar}`?" if similar else f"one of {', '.join(DTYPES)}",
    )


def string(e: Elaborator, expression: syntax.Expression, scope: Scope) -> str | None:
    """A string, or None."""
    if is_none(expression):
        return None
    if not isinstance(expression, syntax.String):
        e.fail("TypeError", "a string is needed here", expression, help='write it in quotes: `"…"`')
    return expression.value


def is_none(expression: syntax.Syntax) -> bool:
    """Whether an expression is the word ``None``."""
    return isinstance(expression, syntax.Word) and expression.value == "None"


KINDS: dict[str, Callable[[Elaborator, Any, Scope], Any]] = {
    "int": _axis,
    "ints": _ints,
    "axis": _axis,
    "axes": _axes,
    "shape": shape,
    "pairs": _pairs,
    "number": number,
    "parameter": _parameter,
    "mask": _mask,
    "seed": _seed,
    "flag": flag,
    "dtype": dtype,
    "string": string,
}
