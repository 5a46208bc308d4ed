"""Why a gradient is None: where the ways from x to y are cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from gradcli.graph.node import Node, cone


class Cut(NamedTuple):
    """An edge through which no gradient passes.

    ``kind`` is ``unused`` (y does not depend on x at all; ``node`` is None), ``stopped`` (``node`` is one of the stops)
    or ``operation`` (``node``'s operation has no derivative for that input).
    """

    kind: Literal["unused", "stopped", "operation"]
    node: Node | None


def connections(ys: Sequence[Node], xs: Sequence[Node]) -> list[list[bool]]:
    """For each y, from which of the xs a differentiable path leads to it."""
    reached: dict[Node, int] = {}
    for i, x in enumerate(xs):
        reached[x] = reached.get(x, 0) | 1 << i
    for node in cone(ys):
        found = reached.get(node, 0)
        for i in node.op.differentiable_inputs(node):
            found |= reached.get(node.inputs[i], 0)
        reached[node] = found
    return [[bool(reached[y] >> i & 1) for i in range(len(xs))] for y in ys]


def find_cut(ys: Sequence[Node], x: Node, stops: Iterable[Node] = ()) -> Cut | None:
    """The cut that is nearest to y on the ways from x to the ys, or None if some way is open.

    A cut below which the rest of the way to x is open is preferred: removing it connects x.
    """
    stopped = set(stops)
    nodes = cone(ys)
    depends = {x}
    opens = {x}
    for node in nodes:
        if node is x:
            continue
        if any([i in depends for i in node.inputs]):
            depends.add(node)
        if node not in stopped and any([node.inputs[i] in opens for i in node.op.differentiable_inputs(node)]):
            opens.add(node)
    if not any(y in depends for y in ys):
        return Cut("unused", None)
    if any(y in opens for y in ys):
        return None
    reached = set(ys)
    cuts: list[tuple[bool, int, Cut]] = []
    for node in reversed(nodes):
        if node not in reached or node is x:
            continue
        passing = () if node in stopped else node.op.differentiable_inputs(node)
        for i, below in enumerate(node.inputs):
            if i in passing:
                reached.add(below)
            elif below in depends:
                kind: Literal["stopped", "operation"] = "stopped" if node in stopped else "operation"
                cuts.append((below in opens, -node.serial, Cut(kind, node)))
    return max(cuts, key=lambda c: c[:2])[2] if cuts else Cut("unused", None)
