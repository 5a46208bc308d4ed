"""What a plan may leave out: identities, factors of one, added zeros, and operations that are there twice.

Rules are for plans only. They may drop the nodes that keep a gradient connected (``link``, ``zero``), because whether a
gradient is None has been decided by then; no rule turns a NaN or an infinity into a number.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import frexp

from gradcli.graph.node import Node, Number, cone, now
from gradcli.graph.ops import half_angle
from gradcli.graph.ops.elementwise import multiply, square
from gradcli.graph.types import is_float, size_of
from gradcli.rewrite import exact
from gradcli.rewrite.engine import Engine, Rule, Rules, joined
from gradcli.rewrite.terms import number_of, scaled, split, unshaped, usable


def _add_nothing(node: Node) -> Node | None:
    a, b = node.inputs
    if a.shape == node.shape and unshaped(b).op.connects:
        return a
    return b if b.shape == node.shape and unshaped(a).op.connects else None


def _power(node: Node) -> Node | None:
    base, exponent = node.inputs
    n = number_of(exponent)
    if n not in (2, 3) or base.dtype != node.dtype:
        return None
    return square(base) if n == 2 else multiply(base, square(base))


def _exact_factor(x: Node) -> tuple[Number, Node]:
    """The coefficient of a term, if it is a power of two or its negative, and the rest: products with it round nothing."""
    c, rest = split(x)
    exact = c != 1 and is_float(x.dtype) and rest.shape == x.shape and frexp(abs(c))[0] == 0.5 and usable(c, x.dtype)
    return (c, rest) if exact else (1, x)


def _factor_outside(node: Node) -> Node | None:
    c, x = _exact_factor(node.inputs[0])
    return None if c == 1 else scaled(c, node.op(x, **node.attrs))


def _sum_inside(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.rank < 2 or len(x.inputs) != 2 or size_of(node.shape) * 8 > size_of(x.shape):
        return None
    from gradcli.rewrite.inside import sum_inside

    return sum_inside(node)


def _one_product(node: Node) -> Node | None:
    if node.rank < 2 or not is_float(node.dtype) or {x.op.name for x in node.inputs} != {"matmul", "multiply"}:
        return None
    from gradcli.rewrite.inside import one_product

    return one_product(node)


def _factor_aside(node: Node) -> Node | None:
    """A factor of the larger array, which goes to what is smaller before it is repeated."""
    if len(node.inputs) != 2 or not node.shape:
        return None
    for a, b in (node.inputs, node.inputs[::-1]):
        small = b.inputs[0] if b.op.name == "broadcast_to" else b
        if a.shape != node.shape or a.dtype != small.dtype or 2 * size_of(small.shape) > size_of(a.shape):
            continue
        c, x = _exact_factor(a)
        if c != 1 and number_of(small) is None:
            return multiply(x, scaled(c, small))
    return None


def _joined(node: Node) -> Node | None:
    from gradcli.rewrite.pieces import joined

    return joined(node) if any([x.op.name == "unindex" for x in node.inputs]) else None


def _contraction(node: Node) -> Node | None:
    labels = [set(own) for own in node.attrs["labels"]]
    summed = set().union(*labels).difference(node.attrs["out"])
    if len(labels) == 2 and summed and summed <= labels[0] & labels[1]:
        return None  # a product of matrices
    from gradcli.rewrite.contractions import in_steps

    return in_steps(node)


def _by_half_angle(node: Node) -> Node | None:
    if not half_angle.pays(node):
        return None
    (x,) = node.inputs
    t = half_angle.half_tangent(x)
    return half_angle.sine(t) if node.op.name == "sin" else half_angle.cosine(t, x)


RULES: dict[str, list[tuple[str, Rule]]] = {
    "stop_gradient": [("stop_gradient(x) -> x", lambda node: node.inputs[0])],
    "custom_gradient": [("custom_gradient(x, …) -> x", lambda node: node.inputs[0])],
    "add": [
        ("x + link(y) -> x", _add_nothing),
        ("x in y[:2] + x in y[2:] -> concat", _joined),
        ("x @ w + x*v -> x @ (w + diag(v))", _one_product),
    ],
    "products": [("products(x, 1) -> x", exact.times_one), ("products(2 * x, y) -> x * (2 * y)", _factor_aside)],
    "multiply": [("(2 * x) * y -> x * (2 * y), where y is smaller", _factor_aside)],
    "sum": [("sum(2 * x) -> 2 * sum(x)", _factor_outside), ("sum(x @ w) -> sum(x) @ w", _sum_inside)],
    "contraction": [('einsum("ij,j->ij", a, b) -> a * b', _contraction)],
    "pow": [("x^2 -> square(x), x^3 -> x * square(x)", _power)],
}
"""For each operation the rules that may replace it in a plan, beside the exact ones."""

HALF_ANGLES: dict[str, list[tuple[str, Rule]]] = {
    "sin": [("sin(x) -> 2*t/(1 + t^2), t = tan(x/2)", _by_half_angle)],
    "cos": [("cos(x) -> (1 - t^2)/(1 + t^2), t = tan(x/2)", _by_half_angle)],
}
"""Sines and cosines of large arrays, from one tangent."""

_SETS = {wanted: joined(exact.RULES, RULES, HALF_ANGLES if wanted else {}) for wanted in (False, True)}


class _Beyond(Engine):
    """Rules for a graph of which some nodes are known: what these were made from is not computed again."""

    def __init__(self, rules: Rules, known: Collection[Node]) -> None:
        super().__init__(rules)
        self.done.update({node: node for node in known})
        self._known = bool(known)
        self._since = now()

    def allowed(self, better: Node) -> bool:
        if not self._known:
            return True
        old = [x for node in cone([better], self.done, self._since) for x in (node, *node.inputs)]
        return all([x.serial >= self._since or x in self.done for x in (better, *old)])


class Simplified:
    """Targets rewritten.

    ``original`` maps a new node to the one that it stands for, so that errors find their line; ``leaves`` are those that
    the targets are computed from as they were. With ``half_angles`` sines and cosines of large arrays are computed from
    one tangent. ``known`` nodes have values already, and stay as they are.
    """

    def __init__(self, targets: Sequence[Node], half_angles: bool = False, known: Collection[Node] = ()) -> None:
        engine = _Beyond(_SETS[half_angles], known)
        nodes = cone(targets, known)
        engine.rewrite(nodes)
        self.original = engine.original
        self.leaves = [node for node in nodes if node.op.name == "leaf"]
        self.targets = [engine.done[node] for node in targets]
