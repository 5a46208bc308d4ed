"""What changes no value: identities, factors and exponents of one, shapes that are there already.

No rule turns a NaN or an infinity into a number, or exchanges 0 and -0; plans and formulas use them alike.
"""

from __future__ import annotations

from gradcli.graph.node import Node
from gradcli.graph.ops.shaping import broadcasted, reshaped
from gradcli.rewrite.engine import Rule
from gradcli.rewrite.terms import filling, number_of


def _input(node: Node) -> Node:
    return node.inputs[0]


def _same_dtype(node: Node) -> Node | None:
    return node.inputs[0] if node.inputs[0].dtype == node.dtype else None


def _reshape(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.shape == node.shape:
        return x
    return reshaped(x.inputs[0], node.shape) if x.op.name == "reshape" else None


def times_one(node: Node) -> Node | None:
    """x for x * 1 and 1 * x."""
    if len(node.inputs) != 2:
        return None
    a, b = node.inputs
    if a.shape == node.shape and filling(b) == 1:
        return a
    return b if b.shape == node.shape and filling(a) == 1 else None


def _by_one(node: Node) -> Node | None:
    a, b = node.inputs
    return broadcasted(a, node.shape) if filling(b) == 1 else None


def _first_power(node: Node) -> Node | None:
    base, exponent = node.inputs
    same = base.dtype == node.dtype and base.shape == node.shape
    return base if same and number_of(exponent) == 1 else None


def _where(node: Node) -> Node | None:
    _, a, b = node.inputs
    return broadcasted(a, node.shape) if a is b else None


def _twice_negative(node: Node) -> Node | None:
    (x,) = node.inputs
    return x.inputs[0] if x.op.name == "neg" else None


RULES: dict[str, list[tuple[str, Rule]]] = {
    "identity": [("identity(x) -> x", _input)],
    "cast": [("cast(x, its own dtype) -> x", _same_dtype)],
    "reshape": [("reshape(reshape(x)) -> reshape(x)", _reshape)],
    "multiply": [("x * 1 -> x", times_one)],
    "divide": [("x / 1 -> x", _by_one)],
    "pow": [("x^1 -> x", _first_power)],
    "where": [("where(c, x, x) -> x", _where)],
    "neg": [("-(-x) -> x", _twice_negative)],
}
"""For each operation the rules that may replace it, with their algebra."""
