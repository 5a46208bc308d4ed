"""``x[…]``: NumPy's basic indexing, and arrays of integers as indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradcli.graph.node import Node
from gradcli.graph.operation import leaves_below
from gradcli.graph.ops.shaping import reshape, transpose
from gradcli.graph.ops.slicing import gather, index, ravel_multi_index, without_floats
from gradcli.graph.types import is_integer, show_shape, size_of
from gradcli.language import syntax
from gradcli.language.application import guarded
from gradcli.language.values import Scope, Weak

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator


def apply(e: Elaborator, payload: tuple[syntax.Index, Scope]) -> None:
    expression, scope = payload
    x = e.node(e.values.pop(), expression.base)
    e.values.append(indexed(e, x, expression, scope))


def indexed(e: Elaborator, x: Node, expression: syntax.Index, scope: Scope) -> Node:
    place = (expression.start, expression.end)
    items: list[Any] = []
    chosen: list[tuple[Node, int, syntax.Syntax]] = []
    axis = 0
    taken = [i for i in expression.items if not isinstance(i, syntax.Dots) and not _is_newaxis(i)]
    dots = [i for i in expression.items if isinstance(i, syntax.Dots)]
    if len(dots) > 1:
        e.fail("ShapeError", "an index can hold `...` once", dots[1])
    if len(taken) > x.rank:
        e.fail(
            "ShapeError",
            f"too many indices: {len(taken)} for a value of rank {x.rank}",
            expression,
            label=f"shape {show_shape(x.shape)}",
        )
    for item in expression.items:
        if isinstance(item, syntax.Dots):
            for _ in range(x.rank - len(taken)):
                items.append((0, x.shape[axis], 1))
                axis += 1
            continue
        if _is_newaxis(item):
            items.append(None)
            continue
        size = x.shape[axis]
        if isinstance(item, syntax.Slice):
            items.append(_slice(e, item, size, scope))
        else:
            assert isinstance(item, syntax.Expression)
            at = _entry(e, item, size, axis, scope)
            if isinstance(at, Node):
                chosen.append((at, len([i for i in items if not isinstance(i, int)]), item))
                items.append((0, size, 1))
            else:
                items.append(at)
        axis += 1
    if not chosen:
        return e.mark(index(x, items=tuple(items)), place)
    if any(isinstance(i, int) or i is None or i != (0, n, 1) for i, n in zip(items, x.shape, strict=False)):
        x = e.mark(index(x, items=tuple(items)), place)
    arrays, axes, places = zip(*chosen, strict=True)
    if len(chosen) == 1:
        return guarded(e, lambda: gather(x, arrays[0], axis=axes[0]), expression, [expression.base, places[0]])
    return guarded(e, lambda: _together(x, arrays, axes), expression, places)


def _together(x: Node, arrays: Sequence[Node], axes: Sequence[int]) -> Node:
    """The entries at the indices of several axes at once, as in NumPy: in place of the axes, or in front where they are apart."""
    first, count = axes[0], len(axes)
    if list(axes) != list(range(first, first + count)):
        x = transpose(x, axes=(*axes, *[a for a in range(x.rank) if a not in axes]))
        first = 0
    dims = x.shape[first : first + count]
    rows = reshape(x, shape=(*x.shape[:first], size_of(dims), *x.shape[first + count :]))
    return gather(rows, ravel_multi_index(*arrays, dims=dims), axis=first)


def _is_newaxis(item: syntax.Syntax) -> bool:
    return isinstance(item, syntax.Word) and item.value in ("newaxis", "None")


def _integer(e: Elaborator, expression: syntax.Expression, scope: Scope) -> int:
    value = e.static(e.value(expression, scope), expression)
    if not isinstance(value, int) or isinstance(value, bool):
        e.fail("TypeError", "an index must be an integer", expression)
    return value


def _slice(e: Elaborator, item: syntax.Slice, size: int, scope: Scope) -> tuple[int, int | None, int]:
    """The slice with non-negative bounds for an axis of a known size; a stop of None runs to the start, backwards."""
    lower, upper, step = (None if p is None else _integer(e, p, scope) for p in (item.lower, item.upper, item.step))
    if step == 0:
        assert item.step is not None
        e.fail("ValueError", "a slice needs a step other than 0", item.step)
    start, stop, step = slice(lower, upper, step).indices(size)
    if not range(start, stop, step):
        return 0, 0, 1
    return start, (stop if stop >= 0 else None), step


def _entry(e: Elaborator, item: syntax.Expression, size: int, axis: int, scope: Scope) -> int | Node:
    """One index: a static integer, checked against the axis, or a node of integers."""
    value = e.value(item, scope)
    if isinstance(value, Weak):
        number: Any = value.value
    else:
        node = without_floats(e.node(value, item))
        if node.dtype == "bool":
            e.fail(
                "TypeError", "an index must be an integer, not bool", item, help="select with `where(condition, x, 0)`"
            )
        if not is_integer(node.dtype):
            e.fail("TypeError", f"an index must be an integer, not {node.dtype}", item, help="`cast(i, int64)`")
        if node.rank or not _is_constant(node):
            _check_array(e, node, size, axis, item)
            return node
        number = e.static(node, item)
    if isinstance(number, float):
        e.fail("TypeError", "an index must be an integer, not a float", item)
    if not -size <= number < size:
        e.fail("ShapeError", f"index {number} is out of range for axis {axis}, of size {size}", item)
    return int(number) % size


def _check_array(e: Elaborator, node: Node, size: int, axis: int, item: syntax.Expression) -> None:
    if node.op.name != "array":
        return
    for number in node.attrs["values"] if isinstance(node.attrs["values"], tuple) else ():
        if not -size <= number < size:
            e.fail("ShapeError", f"index {number} is out of range for axis {axis}, of size {size}", item)


def _is_constant(node: Node) -> bool:
    """Whether a scalar is made of literals and constants only, so that it can be known now."""
    return all(x.attrs["kind"] == "constant" for x in leaves_below(node))
