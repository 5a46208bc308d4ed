"""Formulas whose numbers are rounded to significant digits, for people; π, fractions and whole numbers stay what they are."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from gradcli.features.derive.answer import Derived
from gradcli.graph.loops import Body
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.creation import Data, array_of
from gradcli.graph.printing import times_pi
from gradcli.graph.types import is_float
from gradcli.report.numbers import rounded

LARGEST_DENOMINATOR = 1000


def rounded_to(derived: Derived, digits: int) -> Derived:
    """The same with every number rounded that is written with digits, those of initial values and of loops included."""
    new = _Rounding(digits)
    new.add([*derived.roots, *[value for value in derived.initial.values() if isinstance(value, Node)]])
    made = new.nodes

    def initial(value: Any) -> Any:
        return value if value is None else made[value] if isinstance(value, Node) else rounded(value, digits)

    return derived._replace(
        gradients=[g._replace(node=None if g.node is None else made[g.node]) for g in derived.gradients],
        initial={leaf: initial(value) for leaf, value in derived.initial.items()},
        named={name: made[node] for name, node in derived.named.items()},
    )


class _Rounding:
    """The new nodes for those of a graph; leaves stay what they are."""

    def __init__(self, digits: int) -> None:
        self.digits = digits
        self.nodes: dict[Node, Node] = {}
        self._bodies: dict[Body, Body] = {}

    def add(self, roots: Sequence[Node]) -> list[Node]:
        new = self.nodes
        for node in cone(roots):
            if node not in new:
                attrs, inputs = self._attrs(node), tuple([new[x] for x in node.inputs])
                same = attrs is node.attrs and inputs == node.inputs
                new[node] = node if same else Node(node.op, inputs, attrs, node.shape, node.dtype, node.risky)
        return [new[root] for root in roots]

    def _attrs(self, node: Node) -> Any:
        if node.op.name == "literal" and is_float(node.dtype):
            return {**node.attrs, "value": self._number(node.attrs["value"])}
        if node.op.name == "array" and is_float(node.dtype):
            values = node.attrs["values"]
            if isinstance(values, Data) and values.origin is not None:
                return node.attrs
            if isinstance(values, tuple):
                return {**node.attrs, "values": tuple(map(self._number, values))}
            return {**node.attrs, "values": Data(rounded(array_of(node), self.digits))}
        if isinstance(node.attrs.get("body"), Body):
            return {**node.attrs, "body": self._body(node.attrs["body"])}
        return node.attrs

    def _body(self, body: Body) -> Body:
        if body not in self._bodies:
            self._bodies[body] = Body(
                body.states, body.elements, body.fixed, self.add(body.following), self.add(body.emitted), body.count,
                body.backwards, body.done,
            )  # fmt: skip
        return self._bodies[body]

    def _number(self, value: Any) -> Any:
        """A number rounded, unless it is not written as a decimal fraction: one of π, or 1/3, or an integer."""
        if not isinstance(value, float) or value - value != 0 or value == int(value) or times_pi(value) is not None:
            return value
        part = Fraction(value).limit_denominator(LARGEST_DENOMINATOR)
        if part and abs(float(part) - value) <= 4e-16 * abs(value):
            return value
        return float(f"{value:.{self.digits}g}")
