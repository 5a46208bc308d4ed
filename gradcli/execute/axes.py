"""Which axes of the nodes of a graph go along with each other, so that all of them can be cut at the same places."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count

from gradcli.graph.flow import flow
from gradcli.graph.node import Node


class Axes:
    """The classes of axes that go along with each other, as one number for each axis of each node."""

    def __init__(self, nodes: Sequence[Node], known: Collection[Node] = ()) -> None:
        self.flows = {node: flow(node) for node in nodes}
        number = count().__next__
        first = {node: [number() for _ in node.shape] for node in nodes}
        parent = list(range(number()))

        def root(i: int) -> int:
            while parent[i] != i:
                parent[i] = i = parent[parent[i]]
            return i

        for node in nodes:
            if node in known:
                continue
            inputs, out = self.flows[node]
            seen = {label: i for label, i in zip(out, first[node], strict=True) if label is not None}
            for x, labels in zip(node.inputs, inputs, strict=True):
                for label, i in zip(labels, first[x], strict=True):
                    if label is None:
                        continue
                    if label in seen:
                        parent[root(i)] = root(seen[label])
                    else:
                        seen[label] = i
        self.of: Mapping[Node, tuple[int, ...]] = {node: tuple([root(i) for i in own]) for node, own in first.items()}
