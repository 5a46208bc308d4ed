"""The last touch before a formula is printed: factors in order, signs and numbers in front, only words of the language."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gradcli.graph.node import Node, Number, cone
from gradcli.graph.operation import cast_to, literal
from gradcli.graph.ops.creation import ones, zeros
from gradcli.graph.ops.elementwise import add, multiply, neg, power
from gradcli.graph.ops.linear_algebra import diagonal, embed_diagonal, matmul
from gradcli.graph.ops.shaping import broadcasted, flip, reshape
from gradcli.graph.ops.slicing import expand_delta, index, unindex
from gradcli.graph.types import is_float
from gradcli.rewrite import exact
from gradcli.rewrite.engine import Rule
from gradcli.rewrite.terms import filled, number_of, older_sum, split

# signs and numbers move into the first factor: -x * y, 2 * X.T @ r


def _sign_inside(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.op.name in ("multiply", "divide", "matmul"):
        a, b = x.inputs
        return x.op(neg(a), b)
    value = number_of(x)
    return literal(-value, x.dtype) if value is not None else None


def _number_inside(node: Node) -> Node | None:
    a, b = node.inputs
    if number_of(a) is not None and b.op.name == "matmul":
        left, right = b.inputs
        return matmul(multiply(a, left), right)
    return None


def _transpose_last(node: Node) -> Node | None:
    a, b = node.inputs
    return add(b, a) if a.op.name == "transpose" and a.inputs[0] is b else None


# words that only derivatives use, in words that all programs may use


def _filled(node: Node) -> Node | None:
    value = number_of(node.inputs[0])
    if not is_float(node.dtype) or value not in (0, 1) or str(value) == "-0.0":
        return None
    return (ones if value == 1 else zeros)(shape=node.shape, dtype=node.dtype)


def in_words(node: Node) -> Node:
    """An operation that only derivatives use, as people would write it."""
    assert node.op.written is not None
    return broadcasted(cast_to(node.op.written(node, *node.inputs), node.dtype), node.shape)


def _shorter(node: Node) -> Node:
    assert node.op.plain is not None
    return broadcasted(node.op.plain(node, *node.inputs), node.shape)


def _nothing(node: Node) -> Node | None:
    return filled(0, node)


def _placed(node: Node) -> Node | None:
    """Zeros with x at [items], by steps that all have a name: new axes, reversal, gaps between entries, borders."""
    (x,) = node.inputs
    items, shape = node.attrs["items"], node.attrs["shape"]
    if all([isinstance(item, tuple) and item[2] == 1 and item[1] is not None for item in items]):
        complete = (*items, *((0, n, 1) for n in shape[len(items) :]))
        return None if complete == tuple(items) else unindex(x, items=complete, shape=shape)
    ranges = [_range(item, n) for item, n in zip(_per_axis(items, len(shape)), shape, strict=True)]
    # Axes that an index has dropped come back, axes that newaxis has made go.
    x = reshape(x, shape=tuple(len(r) for r in ranges))
    backwards = [axis for axis, r in enumerate(ranges) if r.step < 0]
    if backwards:
        x = flip(x, axis=backwards)
        ranges = [r[::-1] if r.step < 0 else r for r in ranges]
    for axis, r in enumerate(ranges):
        x = _spaced(x, axis, r.step if len(r) > 1 else 1)
    placed = tuple(
        (r.start if len(r) else 0, (r.start if len(r) else 0) + n, 1) for r, n in zip(ranges, x.shape, strict=True)
    )
    return unindex(x, items=placed, shape=shape)


def _everywhere(node: Node) -> Node | None:
    """What fills the whole."""
    (x,) = node.inputs
    items = _per_axis(node.attrs["items"], x.rank)
    whole = node.shape == x.shape and all([_is_whole(item, n) for item, n in zip(items, x.shape, strict=False)])
    return x if whole and None not in node.attrs["items"] else None


def _is_whole(item: Any, size: int) -> bool:
    return isinstance(item, tuple) and item[2] > 0 and _range(item, size) == range(size)


def _per_axis(items: Sequence[Any], rank: int) -> list[Any]:
    own = [item for item in items if item is not None]
    return own + [(0, None, 1)] * (rank - len(own))


def _range(item: Any, size: int) -> range:
    return range(*slice(*item).indices(size)) if isinstance(item, tuple) else range(item % size, item % size + 1)


def _spaced(x: Node, axis: int, step: int) -> Node:
    """step - 1 zeros between entries."""
    if step == 1:
        return x
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    wide = (*before, n, step, *after)
    place = (*((0, m, 1) for m in before), (0, n, 1), (0, 1, 1), *((0, m, 1) for m in after))
    flat = reshape(
        unindex(reshape(x, shape=(*before, n, 1, *after)), items=place, shape=wide), shape=(*before, n * step, *after)
    )
    return index(flat, items=(*((0, m, 1) for m in before), (0, (n - 1) * step + 1, 1)))


def _diagonal_matrix(node: Node) -> Node | None:
    """A vector on the diagonal of a square matrix has a word; else the square part gets borders."""
    (x,) = node.inputs
    n, k, rows, columns = x.shape[-1], node.attrs["k"], node.attrs["rows"], node.attrs["columns"]
    if x.rank == 1 and rows == columns == n + abs(k):
        return None
    if not n:
        return zeros(shape=node.shape, dtype=node.dtype)
    if x.rank == 1:
        square = embed_diagonal(x, k=0, rows=n, columns=n)
    else:
        square = expand_delta(x, pattern=(*range(x.rank - 1), x.rank - 1, x.rank - 1))
    top, left = max(-k, 0), max(k, 0)
    items = (*((0, m, 1) for m in x.shape[:-1]), (top, top + n, 1), (left, left + n, 1))
    return unindex(square, items=items, shape=node.shape)


def _delta(node: Node) -> Node | None:
    (x,) = node.inputs
    if tuple(node.attrs["pattern"]) != (0, 0):
        return None
    n = x.shape[0]
    return diagonal(x, k=0) if node.op.name == "collect_delta" else embed_diagonal(x, k=0, rows=n, columns=n)


NOTHING: dict[str, list[tuple[str, Rule]]] = {
    "link": [("link(x) -> 0", _nothing)],
    "zero": [("zero(x) -> 0", _nothing)],
}
"""What becomes of zeros that only connect, where they are not a term that is left out."""

FIRST: dict[str, list[tuple[str, Rule]]] = {"multiply": [("2 * (a @ b) -> 2 * a @ b", _number_inside)]}
"""What a formula gets before its factors are put in order."""

FORMS: dict[str, list[tuple[str, Rule]]] = {
    "add": [("a.T + a -> a + a.T", _transpose_last), ("y + x -> x + y where that is there already", older_sum)],
    "neg": [("-(x * y) -> -x * y", _sign_inside)],
    "broadcast_to": [("broadcast_to(1, [n]) -> ones([n])", _filled)],
    "index": [("x[:] -> x", _everywhere)],
    "reshape": exact.RULES["reshape"],
    "unindex": [("pad(x, [[0, 0]]) -> x", _everywhere), ("x placed with gaps -> reshape, pad, flip", _placed)],
    "embed_diagonal": [("a diagonal of a rectangle -> pad(diag(x))", _diagonal_matrix)],
    "expand_delta": [("delta * x -> diag(x)", _delta)],
    "collect_delta": [("diagonal of x -> diag(x)", _delta)],
    "complement": [("complement(x) -> 1 - x", _shorter)],
    "others": [("others(x) -> sum(x) - x", _shorter)],
}
"""What a formula gets just before it is printed, with its algebra."""


def ordered(roots: Sequence[Node], polynomial: Collection[Node]) -> dict[Node, Node]:
    """Products with their factors in order: numbers, names, powers, functions; equal factors as a power.

    Only products that nothing else uses are taken apart. A factor that is a polynomial of a variable is not made a
    power, whose derivatives never end in None.
    """
    nodes = cone(roots)
    users: dict[Node, int] = {}
    inside: set[Node] = set()
    for node in nodes:
        for x in node.inputs:
            users[x] = users.get(x, 0) + 1
    for root in roots:
        users[root] = users.get(root, 0) + 1
    for node in nodes:
        if node.op.name == "multiply":
            inside.update([x for x in node.inputs if _is_product(x) and (users[x] == 1 or _tiny(x, users))])
    new: dict[Node, Node] = {}
    weights: dict[Node, int] = {}
    for node in nodes:
        weights[node] = min(1 + sum([weights[x] for x in node.inputs]), 1000) if node.inputs else 1
        if node.op.name == "multiply" and (node not in inside or users[node] > 1):
            new[node] = _in_order(node, inside, new, weights, polynomial)
        elif node.op.name == "square" and node.inputs[0] not in polynomial:
            new[node] = power(new[node.inputs[0]], 2)
        else:
            new[node] = remade(node, new)
    return new


def _is_product(x: Node) -> bool:
    """Whether factors may be taken out; a number that algebra has left inside stays there."""
    return x.op.name == "multiply" and number_of(x.inputs[0]) is None


def _tiny(x: Node, users: Mapping[Node, int]) -> bool:
    """The product of two names, or of what will have one: little work to do twice."""
    return all([i.shape == x.shape and (not i.inputs or (users[i] > 1 and i.op.name != "matmul")) for i in x.inputs])


def remade(node: Node, new: Mapping[Node, Node]) -> Node:
    """The node on what its inputs have become: itself where they are the same."""
    inputs = tuple([new[x] for x in node.inputs])
    return node if inputs == node.inputs else node.with_inputs(inputs)


def _in_order(
    node: Node, inside: set[Node], new: Mapping[Node, Node], weights: Mapping[Node, int], polynomial: Collection[Node]
) -> Node:
    factors: list[Node] = []
    todo = [node]
    while todo:
        top = todo.pop()
        if top is node or top in inside:
            todo.extend(reversed(top.inputs))
        else:
            factors.append(top)
    counts: dict[Node, Number] = {}
    # A number is not a base: 1e200 * (1e200 * x).
    for f in factors:
        base, n = _base(f)
        counts[base] = counts.get(base, 0) + n
    terms: list[tuple[tuple[int, ...], Node]] = []
    seen: set[Node] = set()
    for f in factors:
        base, n = _base(f)
        total = counts[base]
        if (
            total == n
            or base.op.name == "literal"
            or (base in polynomial and not any([_base(g)[0] is base and g is not base for g in factors]))
        ):
            terms.append((_place(f, weights), new[f]))
        elif base not in seen:
            terms.append((_place(base, weights, 1), power(new[base], literal(total, node.dtype))))
        seen.add(base)
    terms.sort(key=lambda term: term[0])
    result = terms[0][1]
    for _, factor in terms[1:]:
        result = multiply(result, factor)
    return broadcasted(result, node.shape)


def _base(x: Node) -> tuple[Node, Number]:
    """The base and the exponent of a natural power; 1 for what is none."""
    if x.op.name == "pow" and x.inputs[0].dtype == x.dtype and x.inputs[0].shape == x.shape:
        n = number_of(x.inputs[1])
        if n is not None and n >= 2 and float(n).is_integer():
            return x.inputs[0], n
    return x, 1


def _place(x: Node, weights: Mapping[Node, int], more: int = 0) -> tuple[int, ...]:
    """Where a factor stands: numbers, then what is short; of equals scalars first, then matrices before vectors."""
    if x.op.name == "literal":
        return (0,)
    own = weights[x.inputs[0]] if x.op.name == "transpose" else weights[x] - (split(x)[0] == -1)
    return (1 + own + more, x.rank > 0, -x.rank)
