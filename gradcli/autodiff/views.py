"""Cotangents with seed axes: products of factors over index classes, in which deltas are never written out.

The Jacobian of y, seen from a node, is an array over y's axes (the seed axes) and the node's axes. A view holds it as
``scale · factors``, each factor an array whose axes are index classes. ``out`` gives a class to every axis of the array;
two axes of one class are a delta, and a class of no factor is one along which the value is constant. Removing a delta
is then renaming a class, as in Laue, Mitterreiter, Giesen, *Computing Higher Order Derivatives of Matrix and Tensor
Expressions* (NeurIPS 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gradcli.autodiff.batch import batched
from gradcli.graph.node import Node
from gradcli.graph.operation import Linear, literal
from gradcli.graph.ops.creation import tangent
from gradcli.graph.ops.elementwise import add, multiply, neg, subtract
from gradcli.graph.ops.linear_algebra import contract
from gradcli.graph.ops.selection import cast
from gradcli.graph.ops.shaping import broadcasted, reshaped, transpose
from gradcli.graph.ops.slicing import collect_delta, expand_delta
from gradcli.graph.types import Shape, is_float
from gradcli.tuples import NamedTuple

Classes = tuple[int, ...]
Factor = tuple[Node, Classes]


class View(NamedTuple):
    """``value[out] = scale · Π factor[classes]``, zero where axes of one class differ."""

    scale: float
    factors: tuple[Factor, ...]
    out: Classes


def identity_view(shape: Shape) -> View:
    """The Jacobian of a value with respect to itself; an axis of size 1 carries no delta."""
    rank = len(shape)
    return View(1.0, (), (*range(rank), *(i if n != 1 else i + rank for i, n in enumerate(shape))))


MOST_FACTORS = 100
"""Nodes of a product that are looked at; in a longer one some factor is not uniform, or it is not worth the search."""


def uniform(x: Node) -> float | None:
    """The number that fills an array, where that can be seen; None elsewhere."""
    factor = 1.0
    todo = [x]
    for _ in range(MOST_FACTORS):
        if not todo:
            return factor
        x = todo.pop()
        op = x.op
        if not is_float(x.dtype) and (op in (cast, neg, add, multiply)):
            return None  # integers are cut off and wrap
        low, high = op.bounds
        if low == high and not op.connects:
            factor *= low
        elif op.name == "literal":
            factor *= float(x.attrs["value"])
        elif op is neg:
            factor = -factor
            todo += x.inputs
        elif op in (multiply, cast) or op.entries in ("moved", "repeated") and len(x.inputs) == 1:
            todo += x.inputs
        elif op is add:
            # A zero that holds a gradient together; jacobian() sees to it that the connection is not lost.
            others = [i for i in x.inputs if not i.op.connects]
            if len(others) == 2:
                return None
            todo.append(others[0] if others else x.inputs[0])
        else:
            return None
    return None


def scaled(view: View, factor: float) -> View:
    """The view times a number."""
    return view._replace(scale=view.scale * factor)


def times(view: View, p: Node | float, shape: Shape) -> View:
    """A view times a value that broadcasts to the node's shape."""
    if not isinstance(p, Node):
        return scaled(view, p)
    number = uniform(p)
    if number is not None and number == number and abs(number) != float("inf"):
        return scaled(view, number)
    positions = view.out[len(view.out) - len(shape) :]
    own = positions[len(positions) - p.rank :]
    factor = distinct(*without_ones(p, own))
    return view._replace(factors=appended(view.factors, factor))


def without_ones(p: Node, classes: Sequence[int]) -> Factor:
    """The factor without its axes of size 1."""
    kept = [k for k, n in enumerate(p.shape) if n != 1]
    return reshaped(p, tuple(p.shape[k] for k in kept)), tuple(classes[k] for k in kept)


def distinct(p: Node, classes: Classes) -> Factor:
    """A factor with each class once: axes of one class meet on their diagonal."""
    first = tuple(dict.fromkeys(classes))
    if len(first) == len(classes):
        return p, classes
    return collect_delta(p, pattern=tuple(first.index(c) for c in classes)), first


def appended(factors: tuple[Factor, ...], new: Factor) -> tuple[Factor, ...]:
    """One factor more; small factors over the same classes are multiplied at once."""
    node, classes = new
    for i, (other, own) in enumerate(factors):
        if set(own) == set(classes):
            merged = other * _ordered(node, classes, own)
            return (*factors[:i], (merged, own), *factors[i + 1 :])
    return (*factors, new)


def _ordered(node: Node, classes: Classes, order: Classes) -> Node:
    if classes == order:
        return node
    return transpose(node, axes=tuple(classes.index(c) for c in order))


def without(view: View, positions: Sequence[int], sizes: Sequence[int]) -> View:
    """A view summed over some of its axes; ``sizes`` are those of all axes."""
    gone = set(positions)
    out = tuple(c for k, c in enumerate(view.out) if k not in gone)
    scale = view.scale
    summed: set[int] = set()
    for k in positions:
        c = view.out[k]
        if c in out or c in summed:
            continue
        summed.add(c)
        if not any(c in classes for _, classes in view.factors):
            scale *= sizes[k]
    return View(scale, contracted(view.factors, summed & {c for _, own in view.factors for c in own}), out)


def contracted(factors: Sequence[Factor], gone: set[int]) -> tuple[Factor, ...]:
    """Factors summed over classes: those that hold one become one, the others stay as they are."""
    if not gone:
        return tuple(factors)
    inside = [f for f in factors if gone.intersection(f[1])]
    result = [f for f in factors if not gone.intersection(f[1])]
    keep = tuple(dict.fromkeys(c for _, classes in inside for c in classes if c not in gone))
    node = contract([n for n, _ in inside], [c for _, c in inside], keep, gram=_is_gram(inside, gone))
    return appended(tuple(result), (node, keep))


def _is_gram(factors: Sequence[Factor], gone: set[int]) -> bool:
    """Whether this is Xᵀ diag(s) X with s ≥ 0, which is one product of X·√s with itself."""
    if len(factors) != 3:
        return False
    for i, (s, classes) in enumerate(factors):
        (a, own), (b, other) = (f for k, f in enumerate(factors) if k != i)
        if a is b and set(classes) <= gone and len(own) == 2 and len(classes) == 1 and nonnegative(s):
            at = own.index(classes[0]) if classes[0] in own else -1
            return at >= 0 and other[at] == classes[0] and own[1 - at] != other[1 - at] and i == 1
    return False


def nonnegative(x: Node, depth: int = 8) -> bool:
    """Whether no entry can be negative, as far as the last few operations show."""
    op = x.op
    if not is_float(x.dtype):
        return False
    if op.nonnegative:
        return True
    if op.name == "literal":
        return bool(x.attrs["value"] >= 0)
    if not depth:
        return False
    if op is multiply and x.inputs[0] is x.inputs[1]:
        return True
    if op is subtract:  # 1 - t with |t| <= 1, and 1 - t*t
        one, t = x.inputs
        return uniform(one) == 1 and all([_is_at_most_one(f) for f in (t.inputs if t.op is multiply else (t,))])
    below = [b for b in x.inputs if b.dtype == x.dtype]
    return op.closed and bool(below) and all([nonnegative(b, depth - 1) for b in below])


def _is_at_most_one(x: Node) -> bool:
    """Whether the absolute value of no entry is above 1, as far as the operation shows."""
    low, high = x.op.bounds
    return low >= -1 and high <= 1


def canonical(view: View) -> View:
    """Classes renumbered in the order of the axes, so that equal patterns compare equal."""
    number: dict[int, int] = {}
    for c in view.out:
        number.setdefault(c, len(number))
    factors = tuple((node, tuple(number[c] for c in classes)) for node, classes in view.factors)
    return View(view.scale, factors, tuple(number[c] for c in view.out))


def flushed(view: View, dtype: str) -> Factor:
    """The product of scale and factors as one factor."""
    if not view.factors:
        return literal(view.scale, dtype), ()
    if len(view.factors) == 1:
        node, classes = view.factors[0]
    else:
        classes = tuple(dict.fromkeys(c for _, own in view.factors for c in own))
        node = contract([n for n, _ in view.factors], [c for _, c in view.factors], tuple(sorted(classes)))
        classes = tuple(sorted(classes))
    return (node * view.scale if view.scale != 1 else node), classes


def dense(view: View, shape: Shape, dtype: str) -> Node:
    """The array of a view, deltas written out."""
    view = canonical(view)
    node, classes = flushed(view, dtype)
    sizes: dict[int, int] = {}
    for c, n in zip(view.out, shape, strict=True):
        sizes.setdefault(c, n)
    order = tuple(sorted(classes))
    node = _ordered(node, classes, order)
    node = reshaped(node, tuple(sizes[c] if c in order else 1 for c in sizes))
    node = broadcasted(node, tuple(sizes.values()))
    return node if len(sizes) == len(view.out) else expand_delta(node, pattern=view.out)


def dense_view(node: Node) -> View:
    """An array as one factor; as in every factor, axes of size 1 have no class."""
    axes = tuple(range(node.rank))
    return View(1.0, (without_ones(node, axes),), axes)


def merged(views: Sequence[View], dtype: str) -> list[View]:
    """Views of one pattern over the same classes added up."""
    result: list[View] = []
    for view in map(canonical, views):
        for i, other in enumerate(result):
            if other.out == view.out and _span(other) == _span(view):
                result[i] = _sum(other, view, dtype)
                break
        else:
            result.append(view)
    return result


def _span(view: View) -> set[int]:
    return {c for _, own in view.factors for c in own}


def _sum(a: View, b: View, dtype: str) -> View:
    if a.factors == b.factors:
        return a._replace(scale=a.scale + b.scale)
    left, own = flushed(a, dtype)
    right, classes = flushed(b, dtype)
    order = tuple(sorted(own))  # that of the result's axes, so that nothing is transposed at the end
    return View(1.0, ((_ordered(left, own, order) + _ordered(right, classes, order), order),), a.out)


def lifted(node: Node, i: int, rule: Linear, g: Node, seeds: Shape) -> Node:
    """The transpose of a linear operation on a cotangent with seed axes in front: that on one without, for many of them."""
    stages = [Node(tangent, (), {}, g.shape[k:], g.dtype, False) for k in range(len(seeds), 0, -1)] + [g]
    result = rule.transpose(i, stages[0], node)
    for one, many in pairwise(stages):
        (result,) = batched([result], {one: many})
    return result
