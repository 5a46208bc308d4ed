"""What a plan may leave out: identities, factors of one, added zeros, and operations that are there twice.

Rules are for plans only. They may drop the nodes that keep a gradient connected (``link``, ``zero``), because whether a
gradient is None has been decided by then; no rule turns a NaN or an infinity into a number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from gradcli.graph.node import Node, cone
from gradcli.graph.ops import half_angle, table

Rule = Callable[[Node], "Node | None"]


def _is_constant(x: Node, value: float) -> bool:
    """Whether an array is filled with one number, as far as its operation shows."""
    while x.op.name in ("broadcast_to", "reshape"):
        x = x.inputs[0]
    if x.op.name == "literal":
        return bool(x.attrs["value"] == value)
    return x.op.name == ("ones" if value == 1 else "zeros") and value in (0, 1)


def _is_nothing(x: Node) -> bool:
    """A zero that holds a gradient together; plain zeros may be added to -0 and are left alone."""
    while x.op.name in ("broadcast_to", "reshape", "sum"):
        x = x.inputs[0]
    return x.op.name in ("link", "zero")


def _like(result: Node, x: Node) -> Node | None:
    """x in place of a result, if it has the same shape and dtype."""
    return x if x.shape == result.shape and x.dtype == result.dtype else None


def _add_nothing(node: Node) -> Node | None:
    a, b = node.inputs
    if _is_nothing(b):
        return _like(node, a)
    return _like(node, b) if _is_nothing(a) else None


def _times_one(node: Node) -> Node | None:
    if len(node.inputs) != 2:
        return None
    a, b = node.inputs
    if _is_constant(b, 1):
        return _like(node, a)
    return _like(node, b) if _is_constant(a, 1) else None


def _power(node: Node) -> Node | None:
    base, exponent = node.inputs
    if exponent.op.name != "literal" or base.dtype != node.dtype:
        return None
    if exponent.attrs["value"] == 1:
        return base
    if exponent.attrs["value"] == 2:
        return table["square"](base)
    return base * table["square"](base) if exponent.attrs["value"] == 3 else None


RULES: dict[str, list[tuple[str, Rule]]] = {
    "identity": [("identity(x) -> x", lambda node: node.inputs[0])],
    "stop_gradient": [("stop_gradient(x) -> x", lambda node: node.inputs[0])],
    "add": [("x + link(y) -> x", _add_nothing)],
    "multiply": [("x * 1 -> x", _times_one)],
    "products": [("x * 1 -> x", _times_one)],
    "divide": [("x / 1 -> x", lambda node: _like(node, node.inputs[0]) if _is_constant(node.inputs[1], 1) else None)],
    "pow": [("x^1 -> x, x^2 -> square(x), x^3 -> x*square(x)", _power)],
    "where": [("where(c, x, x) -> x", lambda n: _like(n, n.inputs[1]) if n.inputs[1] is n.inputs[2] else None)],
    "cast": [("cast(x, its own dtype) -> x", lambda node: _like(node, node.inputs[0]))],
    "reshape": [("reshape(reshape(x)) -> reshape(x)", lambda node: _outermost(node))],
    "neg": [("-(-x) -> x", lambda n: n.inputs[0].inputs[0] if n.inputs[0].op.name == "neg" else None)],
}
"""For each operation the rules that may replace it, with their algebra."""


def _outermost(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.shape == node.shape:
        return x
    if x.op.name != "reshape":
        return None
    (inner,) = x.inputs
    return inner if inner.shape == node.shape else table["reshape"](inner, shape=node.shape)


class Simplified:
    """Targets rewritten.

    ``original`` maps a new node to the one that it stands for, so that errors find their line; ``leaves`` are those that
    the targets are computed from as they were. With ``half_angles`` sines and cosines of large arrays are computed from
    one tangent. ``known`` nodes have values already, and stay as they are.
    """

    def __init__(self, targets: Sequence[Node], half_angles: bool = False, known: Collection[Node] = ()) -> None:
        self._half_angles = half_angles
        self.original: dict[Node, Node] = {}
        self._unique: dict[tuple[Any, ...], Node] = {}
        replaced: dict[Node, Node] = {}
        nodes = cone(targets, known)
        for node in nodes:
            replaced[node] = node if node in known else self._rewritten(node, replaced)
        self.leaves = [node for node in nodes if node.op.name == "leaf"]
        self.targets = [replaced[node] for node in targets]

    def _rewritten(self, node: Node, replaced: dict[Node, Node]) -> Node:
        if not node.inputs and not node.op.shareable:
            return node
        inputs = tuple([replaced[x] for x in node.inputs])
        new = node
        if inputs != node.inputs:
            new = node.with_inputs(inputs)
            self.original[new] = node
        for _, rule in RULES.get(new.op.name, ()):
            better = rule(new)
            if better is not None:
                if better not in self.original and better not in replaced:
                    self.original[better] = node
                return better
        if self._half_angles and new.op.name in ("sin", "cos") and half_angle.pays(new):
            new = self._by_half_angle(new, node)
        return self._shared(new)

    def _shared(self, node: Node) -> Node:
        """The first node that is equal to this one."""
        return self._unique.setdefault((node.op, node.inputs, node.dtype, node.shape, *_frozen(node)), node)

    def _by_half_angle(self, node: Node, original: Node) -> Node:
        """sin(x) -> 2*t/(1 + t^2), cos(x) -> (1 - t^2)/(1 + t^2), with t = tan(x/2)."""
        (x,) = node.inputs
        t = self._shared(half_angle.half_tangent(x))
        new = half_angle.sine(t) if node.op.name == "sin" else half_angle.cosine(t, x)
        for made in (t, new):
            self.original.setdefault(made, original)
        return new


def _frozen(node: Node) -> tuple[Any, ...]:
    """Attributes as part of a key; 0.0 and -0.0 differ."""
    if not node.attrs:
        return ()
    return tuple((k, repr(v) if isinstance(v, float) else _hashable(v)) for k, v in node.attrs.items())


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else (type(value), value)
