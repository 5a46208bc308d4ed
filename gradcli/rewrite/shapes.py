"""Shapes, selection and conversions as a person would write them: nothing repeated, turned or converted in vain."""

from __future__ import annotations

from gradcli.diagnostics import GradcliError
from gradcli.graph.fold import fold
from gradcli.graph.node import TABLE, Node
from gradcli.graph.operation import literal
from gradcli.graph.ops.creation import Data
from gradcli.graph.ops.elementwise import multiply
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.selection import logical_or, where
from gradcli.graph.ops.shaping import broadcasted, reshaped, stretched_axes, transpose
from gradcli.graph.types import is_float, reduce_shape, size_of
from gradcli.rewrite.engine import Rule
from gradcli.rewrite.terms import filled, filling, number_of, scaled, split, usable


def _broadcast_outside(node: Node) -> Node | None:
    """Entry by entry: computed before it is repeated."""
    if not any([x.op.name == "broadcast_to" for x in node.inputs]):
        return None
    inner = [x.inputs[0] if x.op.name == "broadcast_to" else x for x in node.inputs]
    return broadcasted(node.op(*inner, **node.attrs), node.shape)


def _broadcast_sum(node: Node) -> Node | None:
    (y,) = node.inputs
    if y.op.name != "broadcast_to":
        return None
    (x,), axes = y.inputs, node.attrs["axis"]
    if not set(axes) <= set(stretched_axes(y.shape, x.shape)):
        return None
    count = size_of(tuple(y.shape[k] for k in axes))
    if not usable(count, node.dtype):
        return None
    once = (1,) * (y.rank - x.rank) + x.shape
    kept = reduce_shape(once, axes, node.attrs["keepdims"])
    return broadcasted(reshaped(scaled(count, x), kept), node.shape)


def _trivial_sum(node: Node) -> Node | None:
    (x,) = node.inputs
    if all([x.shape[k] == 1 for k in node.attrs["axis"]]):
        return reshaped(x, node.shape)
    if not node.shape and x.op.name in ("reshape", "transpose"):
        return sum_(x.inputs[0], axis=None)
    if x.op.name == "sum" and not node.attrs["keepdims"] and not x.attrs["keepdims"]:
        left = [k for k in range(x.inputs[0].rank) if k not in x.attrs["axis"]]
        return sum_(x.inputs[0], axis=[*x.attrs["axis"], *(left[k] for k in node.attrs["axis"])])
    return None


def _number_outside(node: Node) -> Node | None:
    """Linear operations: a number in front stays in front."""
    c, x = split(node.inputs[0])
    if c == 1:
        return None
    return scaled(c, node.op(x, *node.inputs[1:], **node.attrs))


def _number_outside_right(node: Node) -> Node | None:
    a, b = node.inputs
    c, x = split(b)
    return None if c == 1 else scaled(c, node.op(a, x))


def _turned(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.rank == 2 and x.shape == node.shape[::-1] and 1 in x.shape:
        return transpose(x, axes=(1, 0))
    if x.op.name == "broadcast_to" and size_of(x.inputs[0].shape) == 1:
        return broadcasted(reshaped(x.inputs[0], ()), node.shape)
    return broadcasted(x, node.shape) if not x.shape else None


def _broadcast(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.rank and size_of(x.shape) == size_of(node.shape):
        return reshaped(x, node.shape)
    if x.op.name == "broadcast_to":
        return broadcasted(x.inputs[0], node.shape)
    if x.op.name == "reshape" and size_of(x.shape) == 1:
        return broadcasted(reshaped(x, ()), node.shape)
    return None


def _transpose(node: Node) -> Node | None:
    (x,) = node.inputs
    axes = tuple(node.attrs["axes"])
    if axes == tuple(range(node.rank)):
        return x
    if x.op.name == "transpose":
        return transpose(x.inputs[0], axes=tuple(x.attrs["axes"][k] for k in axes))
    if x.op.name == "broadcast_to" and not x.inputs[0].shape:
        return broadcasted(x.inputs[0], node.shape)
    if x.op.name == "multiply" and axes == (1, 0):
        for a, b in (x.inputs, x.inputs[::-1]):
            if a.shape == x.shape and b.op.name == "reshape" and b.shape == (x.shape[0], 1) and b.inputs[0].rank == 1:
                return multiply(transpose(a, axes=axes), b.inputs[0])
    return None


def _entry(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.op.name != "index" or not all([isinstance(item, int) for item in x.attrs["items"]]):
        return None
    return node.op(x.inputs[0], items=(*x.attrs["items"], *node.attrs["items"]))


# selection and logic


def _where(node: Node) -> Node | None:
    c, a, b = node.inputs
    constant = c.inputs[0] if c.op.name == "broadcast_to" else c
    if constant.op.name == "literal":
        return broadcasted(a if constant.attrs["value"] else b, node.shape)
    if c.op.name == "logical_not":
        return where(c.inputs[0], b, a)
    for position, x in ((1, a), (2, b)):
        if x.op.name == "where" and x.inputs[0] is c:
            branches = [a, b]
            branches[position - 1] = x.inputs[position]
            return broadcasted(where(c, *branches), node.shape)
    return None


FEW, SMALL = 16, 100
"""Nodes, and entries of each, up to which a condition without variables is decided."""


def decided(node: Node) -> Node | None:
    """What is true, or false, in all entries whatever the variables are, by the operations' own kernels."""
    nodes = {node}
    todo = [node]
    while todo:
        x = todo.pop()
        if not x.op.shareable or size_of(x.shape) > SMALL or len(nodes) > FEW:
            return None
        new = [i for i in x.inputs if i not in nodes]
        nodes.update(new)
        todo += new
    try:
        found = fold(node, lambda _: None)
    except GradcliError:
        return None  # a run says what is wrong
    if found is None:
        return None
    for _ in node.shape[1:]:
        found = [entry for row in found for entry in row]
    values = set(found if node.shape else [found])
    return broadcasted(literal(values.pop(), "bool"), node.shape) if len(values) == 1 else None


def _not(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.op.name == "logical_not":
        return x.inputs[0]
    if x.op.name == "logical_and" and all([i.op.name == "logical_not" for i in x.inputs]):
        return logical_or(*[i.inputs[0] for i in x.inputs])
    known = _known(x)
    return None if known is None else broadcasted(literal(not known, "bool"), node.shape)


def _known(x: Node) -> bool | None:
    """What a condition is everywhere, if that is a literal."""
    x = x.inputs[0] if x.op.name == "broadcast_to" else x
    return x.attrs["value"] if x.op.name == "literal" else None


def _joined_with(decisive: bool) -> Rule:
    """What two conditions are together where one is known, or both are the same; one that is ``decisive`` is the result."""

    def rule(node: Node) -> Node | None:
        a, b = node.inputs
        if a is b:
            return a
        for x, other in ((a, b), (b, a)):
            known = _known(x)
            if known is not None:
                return broadcasted(x if known == decisive else other, node.shape)
            if x.op.name == "logical_not" and x.inputs[0] is other:
                return broadcasted(literal(decisive, "bool"), node.shape)
        return None

    return rule


def _mask(node: Node) -> Node | None:
    a, b = node.inputs
    if filling(b) != 0:
        return None
    if a.op.name == "reshape" and a.inputs[0].op.name == "cast" and a.inputs[0].inputs[0].dtype == "bool":
        return broadcasted(reshaped(a.inputs[0].inputs[0], a.shape), node.shape)
    if a.op.name == "cast" and a.inputs[0].dtype == "bool":
        return broadcasted(a.inputs[0], node.shape)
    return None


# conversions


def _cast_number(node: Node) -> Node | None:
    value = number_of(node.inputs[0])
    return literal(float(value), node.dtype) if value is not None and is_float(node.dtype) else None


def _array_of_one(node: Node) -> Node | None:
    if node.shape or node.dtype == "bool":
        return None
    values = node.attrs["values"]
    values = values.array.item() if isinstance(values, Data) else values[0]
    return literal(float(values) if is_float(node.dtype) else int(values), node.dtype)


def _zeros(node: Node) -> Node | None:
    return filled(False if node.dtype == "bool" else 0, node)


def _ones(node: Node) -> Node | None:
    return filled(True if node.dtype == "bool" else 1, node)


RULES: dict[str, list[tuple[str, Rule]]] = {
    "array": [("an array without axes -> its number", _array_of_one)],
    "cast": [("cast(2, float64) -> 2.0", _cast_number)],
    "sum": [
        ("sum(broadcast_to(x, [n])) -> n * x", _broadcast_sum), ("sum(sum(x)) -> sum(x)", _trivial_sum),
        ("sum(2 * x) -> 2 * sum(x)", _number_outside),
    ],
    "reshape": [("reshape(column) -> column.T", _turned), ("reshape(2 * x) -> 2 * reshape(x)", _number_outside)],
    "broadcast_to": [("broadcast_to(broadcast_to(x)) -> broadcast_to(x)", _broadcast)],
    "index": [("x[0][1] -> x[0, 1]", _entry)],
    "transpose": [("x.T.T -> x, (x * column).T -> x.T * row", _transpose), ("(2 * x).T -> 2 * x.T", _number_outside)],
    "matmul": [
        ("(2 * a) @ b -> 2 * (a @ b)", _number_outside), ("a @ (2 * b) -> 2 * (a @ b)", _number_outside_right),
    ],
    "where": [("where(c, where(c, x, y), z) -> where(c, x, z)", _where)],
    "logical_not": [("not not x -> x, not (not x and not y) -> x or y, not true -> false", _not)],
    "logical_and": [("x and x -> x, true and x -> x, x and not x -> false", _joined_with(decisive=False))],
    "logical_or": [("x or x -> x, false or x -> x, x or not x -> true", _joined_with(decisive=True))],
    "not_equal": [("cast(x, float64) != 0 -> x, reshape(cast(x)) != 0 -> reshape(x)", _mask), ("2 > 0 -> true", decided)],
    **{
        name: [("2 > 0 -> true", decided)]
        for name in ("less", "less_equal", "greater", "greater_equal", "equal", "isnan", "isfinite")
    },
    "zeros": [("zeros([n]) -> broadcast_to(0, [n])", _zeros)],
    "ones": [("ones([n]) -> broadcast_to(1, [n])", _ones)],
}  # fmt: skip
"""For each operation the rules that may replace it, with their algebra."""

ENTRYWISE: dict[str, list[tuple[str, Rule]]] = {
    op.name: [("f(broadcast_to(x)) -> broadcast_to(f(x))", _broadcast_outside)]
    for op in TABLE.values()
    if op.entrywise and op.expand is None
}
"""What holds for every operation that works entry by entry."""
