"""A graph for many values of some of its nodes at once: whatever depends on them gets a leading axis.

Each operation takes the axis as its entry says (:mod:`gradcli.graph.leading`), so that the result is a graph like any
other: it can be planned, differentiated and batched again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gradcli.graph.leading import Led
from gradcli.graph.node import Derivation, Node, cone, current_derivation
from gradcli.graph.operation import Repeated
from gradcli.graph.ops.ruled import ruled, solution


def batched(
    roots: Sequence[Node],
    many: Mapping[Node, Node],
    stop: Iterable[Node] = (),
    made: dict[Node, Node] | None = None,
) -> list[Node]:
    """The roots as functions of many values of some nodes.

    ``many`` maps a node of shape [...] to the one of shape [n, ...] that takes its place, with the same n for all.
    Returns for each root one of shape [n, ...], or the root itself where it depends on none of these nodes; what does not
    depend on them is shared with the old graph, and so is what nodes in ``stop`` are computed from. ``made`` gets
    the node that took the place of each. Raises NotImplementedError for an operation without a rule.
    """
    if not many:
        return list(roots)
    derivation = current_derivation()
    if derivation is None:
        with Derivation().active():
            return batched(roots, many, stop, made)
    (size,) = {x.shape[0] for x in many.values()}
    before = derivation.current
    new = dict(many)
    stopped = set(stop)
    try:
        for node in cone(roots, [*many, *stop], since=min([x.serial for x in many])):
            has = [x in new for x in node.inputs]
            if any(has) and node not in new and node not in stopped:
                derivation.current = node
                if node.op in (ruled, solution):
                    from gradcli.autodiff import rules  # few programs have these

                    led = rules.with_axis if node.op is ruled else rules.in_rows
                    new[node] = led(node, new, size, batched, derivation.bodies)
                elif isinstance(node.op.rule, Repeated):
                    from gradcli.autodiff.loops import with_axis  # few programs have loops

                    new[node] = with_axis(node, new, size, batched, derivation.bodies)
                else:
                    new[node] = Led(node, [new.get(x, x) for x in node.inputs], has, size).result()
    finally:
        derivation.current = before
    if made is not None:
        made.update(new)
    return [new.get(root, root) for root in roots]
