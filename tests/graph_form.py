"""A graph up to the identity of its nodes, to compare those of two texts."""

from __future__ import annotations

from gradcli.graph.node import Node, cone
from gradcli.language.values import Elaborated


def form(graph: Elaborated) -> tuple[dict[str, int], list[tuple[object, ...]]]:
    """The graph up to the identity of its nodes: each node by its operation and the numbers of its inputs."""
    named = {name: value for name, value in graph.names.items() if isinstance(value, Node)}
    roots = [*named.values(), *(v for v in graph.initial.values() if isinstance(v, Node))]
    number: dict[Node, int] = {}
    forms: list[tuple[object, ...]] = []
    for node in cone(roots):
        attrs = tuple(sorted((k, str(v).partition(" object at ")[0]) for k, v in node.attrs.items() if k != "values"))
        form = (node.op.name, tuple(number[x] for x in node.inputs), attrs, node.shape, node.dtype)
        # Equal nodes are numbered alike but counted, so that two operations do not become one unseen.
        number[node] = hash(form)
        forms.append(form)
    return {name: number[node] for name, node in named.items()}, sorted(forms, key=repr)
