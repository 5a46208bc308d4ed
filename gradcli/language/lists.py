"""Bracket literals: arrays of numbers at once, other lists by stacking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradcli.diagnostics import GradcliError, counted
from gradcli.graph.node import Node
from gradcli.graph.types import INTEGER_RANGE, is_float, is_ordinary, promote
from gradcli.language import syntax
from gradcli.language.application import labelled
from gradcli.language.values import Scope, Value, Weak

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator


def enter(e: Elaborator, expression: syntax.List, scope: Scope) -> None:
    numbers = _numbers(e, expression) if id(expression) not in e.mixed_lists else None
    if numbers is not None:
        e.values.append(numbers)
        return
    e.push(lambda items, _: _stack(e, expression), expression.items)
    for item in reversed(expression.items):
        e.push(e.enter, item, scope)


def _numbers(e: Elaborator, expression: syntax.List) -> Node | None:
    """A literal of plain numbers as one array; None if it holds anything else."""
    flat: list[int | float] = []
    sizes: list[int | None] = []
    around: list[syntax.List] = []  # the lists that the item is in
    todo: list[tuple[syntax.Expression, int]] = [(expression, 0)]
    while todo:
        item, depth = todo.pop()
        kind = type(item)
        if kind is syntax.List:
            assert isinstance(item, syntax.List)
            if depth == len(sizes):
                sizes.append(len(item.items))
            elif sizes[depth] != len(item.items):
                if sizes[depth] is None:
                    _ragged(e, item, "numbers and lists are mixed")
                _ragged(
                    e,
                    item,
                    f"this row has {counted(len(item.items), 'entry', 'entries')}, the first has {sizes[depth]}",
                )
            todo.extend([(x, depth + 1) for x in reversed(item.items)])
            around[depth:] = [item]
            continue
        sign = 1
        if kind is syntax.Unary and item.operator == "-":  # type: ignore[attr-defined]
            sign, item = -1, item.operand  # type: ignore[attr-defined]
            kind = type(item)
        if kind is not syntax.Number:
            # Looked for again in each of them, it would take quadratic time.
            e.mixed_lists.update([(id(x), x) for x in around[1:depth]])
            return None
        if depth == len(sizes):
            sizes.append(None)
        elif sizes[depth] is not None:
            _ragged(e, item, "numbers and lists are mixed")
        assert isinstance(item, syntax.Number)
        flat.append(sign * item.value)
    return _literal(e, flat, tuple(n for n in sizes if n is not None), expression)


def _ragged(e: Elaborator, row: syntax.Syntax, label: str) -> None:
    e.fail(
        "ShapeError",
        "the rows of this array differ in length",
        row,
        label=label,
        help="every row needs as many entries",
    )


def _literal(e: Elaborator, flat: list[int | float], shape: tuple[int, ...], at: syntax.Syntax) -> Node:
    if flat and all([type(v) is int for v in flat]):
        dtype = e.integer_dtype
        low, high = INTEGER_RANGE[dtype]
        for v in flat:
            if not low <= v <= high:
                shown = v if abs(v) < 10**30 else "an integer in this array"
                e.fail("ValueError", f"{shown} does not fit into {dtype}", at, help="write it as a float: add `.0`")
        values: list[int | float] = flat
    else:
        dtype = e.float_dtype
        try:
            values = [float(v) for v in flat]
        except OverflowError:
            e.fail("ValueError", f"an integer in this array does not fit into {dtype}", at)
    node = e.array(tuple(values), shape, dtype, (at.start, at.end))
    if is_float(dtype) and not all([is_ordinary(v, dtype) for v in values]):
        node.risky = True
    return node


def _stack(e: Elaborator, expression: syntax.List) -> None:
    values = e.take(len(expression.items))
    e.values.append(stacked(e, values, expression))


def stacked(e: Elaborator, values: list[Value], expression: syntax.List) -> Node:
    """The array of some values of one shape."""
    if all(isinstance(v, Weak) for v in values):
        return _literal(e, [v.value for v in values if isinstance(v, Weak)], (len(values),), expression)
    dtypes = [v.dtype for v in values if isinstance(v, Node)]
    dtype = promote(dtypes) if dtypes else None
    float_literal = any(isinstance(v, Weak) and isinstance(v.value, float) for v in values)
    if dtype is not None and not is_float(dtype) and float_literal:
        dtype = e.float_dtype
    nodes: list[Node] = []
    for value, item in zip(values, expression.items, strict=True):
        nodes.append(
            e.mark(e.literal(value, dtype, item), (item.start, item.end))
            if isinstance(value, Weak)
            else e.node(value, item)
        )
    from gradcli.graph.ops.slicing import stack

    try:
        return e.mark(stack(*nodes, axis=0), (expression.start, expression.end))
    except GradcliError as error:
        raise labelled(e, error, expression, list(expression.items)) from None
