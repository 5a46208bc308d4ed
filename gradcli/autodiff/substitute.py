"""A graph with some of its nodes replaced, to evaluate it elsewhere than at the point that the program gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradcli.graph.node import Node, cone
from gradcli.graph.operation import NoDerivative
from gradcli.graph.ops.selection import cast
from gradcli.graph.types import is_float, is_integer


def substituted(roots: Sequence[Node], replacements: Mapping[Node, Node]) -> list[Node]:
    """The roots as functions of the replacements, which have the shapes of what they replace.

    An integer may be replaced by a float: what is computed from it then becomes float, as far as gradients pass, since
    derivatives take integers for real numbers.
    """
    new: dict[Node, Node] = dict(replacements)
    for node in cone(roots, stop=replacements):
        if node in new:
            continue
        inputs = tuple([new[x] for x in node.inputs])
        if inputs == node.inputs:
            new[node] = node
            continue
        dtype = node.dtype
        freed = any([is_integer(x.dtype) and is_float(y.dtype) for x, y in zip(node.inputs, inputs, strict=True)])
        if freed and is_integer(dtype) and not isinstance(node.op.rule, NoDerivative):
            if node.op is cast:
                if node.op.differentiable_inputs(node):
                    new[node] = inputs[0]
                    continue
            else:
                dtype = "float64"
        new[node] = Node(node.op, inputs, node.attrs, node.shape, dtype, node.risky)
    return [new[root] for root in roots]
