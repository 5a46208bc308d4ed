"""What expressions stand for: operations applied to values, numbers while they are weak, bracket literals, indices."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError, Label, counted
from gradcli.graph.fold import fold
from gradcli.graph.node import Node
from gradcli.graph.operation import Operation, cast_to, leaves_below, literal
from gradcli.graph.ops import table
from gradcli.graph.ops.shaping import reshape, transpose
from gradcli.graph.ops.slicing import gather, index, ravel_multi_index, stack, without_floats
from gradcli.graph.types import INTEGER_RANGE, is_float, is_integer, is_ordinary, promote, show_shape, size_of
from gradcli.language import statics, syntax
from gradcli.language.values import Scope, Several, Value, Weak

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator, Place

Number = int | float


# ---- operations

Operand = tuple[Value, syntax.Syntax]


def apply(e: Elaborator, op: Operation, operands: Sequence[Operand], attrs: dict[str, Any], at: syntax.Syntax) -> Node:
    """The node of an operation on values, literals in the dtype of what they meet."""
    if op.quick and (node := _quickly(e, op, operands, at)) is not None:
        return node
    nodes = operand_nodes(e, op, operands)

    def build() -> Node:
        return op(*op.prepare(nodes, e.float_dtype), **attrs)

    return guarded(e, build, at, [place for _, place in operands])


def applied(
    e: Elaborator, op: Operation, operands: Sequence[Operand], attrs: dict[str, Any], at: syntax.Syntax
) -> Value:
    """The same for any operation: the node, or the nodes of one that has several values."""
    if not op.several:
        return apply(e, op, operands, attrs, at)
    nodes = operand_nodes(e, op, operands)
    try:
        found = op.each(*op.prepare(nodes, e.float_dtype), **attrs)
    except GradcliError as error:
        raise labelled(e, error, at, [place for _, place in operands]) from None
    return Several(tuple([e.mark(node, (at.start, at.end)) for node in found]))


def _quickly(e: Elaborator, op: Operation, operands: Sequence[Operand], at: syntax.Syntax) -> Node | None:
    """The frequent case: floats of one dtype, and literals beside them."""
    dtype = next((v.dtype for v, _ in operands if v.__class__ is Node), None)
    if dtype is None or not is_float(dtype):
        return None
    nodes: list[Node] = []
    for value, place in operands:
        if value.__class__ is Weak:
            nodes.append(e.literal(value, dtype, place))
        elif value.__class__ is Node:
            nodes.append(value)
        else:
            return None
    node = op.quickly(tuple(nodes))
    return None if node is None else e.mark(node, (at.start, at.end))


def operand_nodes(e: Elaborator, op: Operation, operands: Sequence[Operand]) -> list[Node]:
    """The operands of an operation as nodes, numbers in the dtype of what they meet."""
    apart = op.apart
    dtypes = [v.dtype for i, (v, _) in enumerate(operands) if isinstance(v, Node) and i not in apart]
    meets = promote(dtypes) if dtypes else None
    weak = [v.value for i, (v, _) in enumerate(operands) if isinstance(v, Weak) and i not in apart]
    if op.degree == "power" and _negative_power(operands):
        meets = e.float_dtype
        operands = [
            (cast_to(v, meets), place) if isinstance(v, Node) and not is_float(v.dtype) else (v, place)
            for v, place in operands
        ]
    elif weak and (meets is None or not is_float(meets)):
        if op.accepts == "float" or any(isinstance(v, float) for v in weak):
            meets = e.float_dtype
        elif meets is None or meets == "bool":
            meets = e.integer_dtype
    nodes: list[Node] = []
    for i, (value, place) in enumerate(operands):
        if isinstance(value, Weak):
            node = e.literal(value, None if i in apart else meets, place)
            nodes.append(e.mark(node, (place.start, place.end)))
        else:
            nodes.append(e.node(value, place))
    return nodes


def _negative_power(operands: Sequence[Operand]) -> bool:
    """An integer or bool to a negative literal power is a float."""
    (base, _), (exponent, _) = operands
    return (
        isinstance(exponent, Weak)
        and exponent.value < 0
        and (isinstance(base, Weak) or isinstance(base, Node) and not is_float(base.dtype))
    )


def guarded(e: Elaborator, build: Callable[[], Node], at: syntax.Syntax, operands: Sequence[syntax.Syntax]) -> Node:
    """A node built and marked; an error of the operation is pointed at its operands."""
    try:
        return e.mark(build(), (at.start, at.end))
    except GradcliError as error:
        raise labelled(e, error, at, operands) from None


def labelled(e: Elaborator, error: GradcliError, at: syntax.Syntax, operands: Sequence[syntax.Syntax]) -> GradcliError:
    """An error of the graph's layer, with the places of the operands that it numbers."""
    if error.labels:
        return error
    labels = [Label(e.span(operands[i]), text) for i, text in error.operands if i < len(operands)]
    error.labels = tuple(labels) or (Label(e.span(at)),)
    return error


# ---- literal scalars

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


def literal_node(e: Elaborator, weak: Weak, dtype: str | None, at: syntax.Syntax | Place) -> Node:
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


# ---- bracket literals: arrays of numbers at once, others by stacking


def entries(
    e: Elaborator, expression: syntax.Expression, scope: Scope, may_be_none: bool = False
) -> tuple[list[tuple[Value | None, syntax.Expression]], bool]:
    """The values of a list or of a call that gives several, each with its place, and whether it is one of these."""
    if isinstance(expression, syntax.List):
        return [(None if may_be_none and statics.is_none(x) else e.value(x, scope), x) for x in expression.items], True
    value = e.value(expression, scope)
    if isinstance(value, Several):
        return [(item, expression) for item in value.items], True
    return [(value, expression)], False


def enter_list(e: Elaborator, expression: syntax.List, scope: Scope) -> None:
    """Begin with a bracket literal: an array of numbers at once, else a stack of its entries."""
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
    return _array_of_numbers(e, flat, tuple(n for n in sizes if n is not None), expression)


def _ragged(e: Elaborator, row: syntax.Syntax, label: str) -> None:
    e.fail(
        "ShapeError",
        "the rows of this array differ in length",
        row,
        label=label,
        help="every row needs as many entries",
    )


def _array_of_numbers(e: Elaborator, flat: list[int | float], shape: tuple[int, ...], at: syntax.Syntax) -> Node:
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
        return _array_of_numbers(e, [v.value for v in values if isinstance(v, Weak)], (len(values),), expression)
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
    try:
        return e.mark(stack(*nodes, axis=0), (expression.start, expression.end))
    except GradcliError as error:
        raise labelled(e, error, expression, list(expression.items)) from None


# ---- indices


def apply_index(e: Elaborator, payload: tuple[syntax.Index, Scope]) -> None:
    """Finish an index, whose value is on the stack."""
    expression, scope = payload
    x = e.node(e.values.pop(), expression.base)
    e.values.append(indexed(e, x, expression, scope))


def indexed(e: Elaborator, x: Node, expression: syntax.Index, scope: Scope) -> Node:
    """x at an index."""
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
            e.fail("TypeError", "an index must be an integer, not bool", item, help=_without_mask(e, item))
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


def _without_mask(e: Elaborator, item: syntax.Expression) -> str:
    """What to write in place of a mask as an index: the size of its result would be known only after it is evaluated."""
    mask = e.source.text[item.start : item.end]
    shown = mask if len(mask) < 40 and mask.isprintable() else "mask"
    return f"shapes are known before values are: reduce with `sum(x, where={shown})`, or keep the shape with `where({shown}, x, 0)`"


def _check_array(e: Elaborator, node: Node, size: int, axis: int, item: syntax.Expression) -> None:
    if node.op.name != "array":
        return
    for number in node.attrs["values"] if isinstance(node.attrs["values"], tuple) else ():
        if not -size <= number < size:
            e.fail("ShapeError", f"index {number} is out of range for axis {axis}, of size {size}", item)


def _is_constant(node: Node) -> bool:
    """Whether a scalar is made of literals and constants only, so that its value is known now."""
    return all(x.attrs["kind"] == "constant" for x in leaves_below(node))
