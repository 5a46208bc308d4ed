"""One more axis in front of values that have a derivative of their own, and of what is solved for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gradcli.graph.loops import Body, placeholder, results
from gradcli.graph.node import Node, make
from gradcli.graph.ops.ruled import Rule, ruled
from gradcli.graph.ops.shaping import broadcasted

Batched = Callable[[Sequence[Node], Mapping[Node, Node], Iterable[Node]], list[Node]]


def with_axis(node: Node, new: Mapping[Node, Node], size: int, batched: Batched, bodies: dict[Any, Any]) -> Node:
    """A value with a rule some of whose inputs have got an axis of ``size`` entries in front."""
    rule: Rule = node.attrs["rule"]
    has = frozenset([i for i, x in enumerate(node.inputs) if x in new])
    key = (rule, has, size)
    if key not in bodies:

        def wide(x: Node) -> Node:
            return placeholder(x, (size, *x.shape))

        many = {p: wide(p) for i, p in enumerate(rule.parameters, 1) if i in has}
        itself = wide(rule.itself) if rule.itself is not None else None
        if rule.itself is not None and itself is not None:
            many[rule.itself] = itself
        tangents = {i: wide(dx) if i in has else dx for i, dx in rule.tangents.items()}
        many.update({rule.tangents[i]: dx for i, dx in tangents.items() if i in has})
        order = list(rule.roots)
        found = batched([rule.roots[i] for i in order], many, [*rule.parameters, *rule.tangents.values()])
        roots = {i: broadcasted(root, (size, *node.shape)) for i, root in zip(order, found, strict=True)}
        parameters = [many.get(p, p) for p in rule.parameters]
        bodies[key] = Rule(parameters, tangents, roots, itself)
    inputs = [new.get(x, x) for x in node.inputs]
    inputs[0] = broadcasted(inputs[0], (size, *node.shape))
    return make(ruled, tuple(inputs), {"rule": bodies[key]}, (size, *node.shape), node.dtype)


def in_rows(node: Node, new: Mapping[Node, Node], size: int, batched: Batched, bodies: dict[Any, Any]) -> Node:
    """What solves a system for each of many parameters: a loop over them."""
    has = frozenset([i for i, x in enumerate(node.inputs) if x in new])
    key = (node.attrs["system"], has, size)
    if key not in bodies:
        leaves = [placeholder(x) for x in node.inputs]
        elements = [leaf for i, leaf in enumerate(leaves) if i in has]
        fixed = [leaf for i, leaf in enumerate(leaves) if i not in has]
        bodies[key] = Body([], elements, fixed, [], [node.with_inputs(tuple(leaves))], size)
    rows = [new[x] for i, x in enumerate(node.inputs) if i in has]
    rest = [x for i, x in enumerate(node.inputs) if i not in has]
    body: Body = bodies[key]
    return results(body, [*rows, *rest], [body.emits(0)])[0]
