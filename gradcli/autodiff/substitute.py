"""A graph with some of its nodes replaced, to evaluate it elsewhere than at the point that the program gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradcli.graph.node import Node, rebuilt
from gradcli.graph.operation import NoDerivative
from gradcli.graph.ops.selection import cast
from gradcli.graph.types import is_float, is_integer


def substituted(roots: Sequence[Node], replacements: Mapping[Node, Node]) -> list[Node]:
    """The roots as functions of the replacements, which have the shapes of what they replace.

    An integer may be replaced by a float: what is computed from it then becomes float, as far as gradients pass, since
    derivatives take integers for real numbers.
    """
    return rebuilt(roots, replacements, _on)


def _on(node: Node, inputs: tuple[Node, ...]) -> Node:
    """The node on other inputs, which may be floats where its own are integers."""
    freed = any([is_integer(x.dtype) and is_float(y.dtype) for x, y in zip(node.inputs, inputs, strict=True)])
    if not freed or not is_integer(node.dtype) or isinstance(node.op.rule, NoDerivative):
        return node.with_inputs(inputs)
    if node.op is not cast:
        return Node(node.op, inputs, node.attrs, node.shape, "float64", node.risky)
    return inputs[0] if node.op.differentiable_inputs(node) else node.with_inputs(inputs)
