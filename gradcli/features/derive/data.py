"""Data of a program: what comes from files or is random, and long lists of numbers. Formulas refer to it by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Any, Literal

from gradcli.graph.node import Node, cone
from gradcli.graph.operation import substituted
from gradcli.graph.ops.creation import data_of, make_leaf, random_normal, random_uniform
from gradcli.graph.types import size_of

SMALL = 12
"""Entries of a bracket literal up to which it is a part of the formula."""

Place = Literal["defined", "given", "arguments"]
"""Where a written program has its data: in lines of its own, as parameters with a value, or as parameters without one.

What comes from a file is never the value of a parameter.
"""


def is_data(node: Node) -> bool:
    """Whether a node is data of the program."""
    return not node.inputs and (
        node.op in (random_normal, random_uniform) or (node.op.name == "array" and _is_long(node))
    )


def _is_long(array: Node) -> bool:
    return size_of(array.shape) > SMALL or _is_from_file(array)


def _is_from_file(x: Node) -> bool:
    data = data_of(x)
    return data is not None and data.origin is not None


def named_data(roots: Sequence[Node], named: Collection[Node], taken: Collection[str]) -> dict[Node, str]:
    """New names for the data of formulas that the program gives none: data1, data2, …"""
    found = [x for x in cone(roots) if x not in named and is_data(x)]
    free = (name for k in count(1) if (name := f"data{k}") not in taken)
    return dict(zip(found, free, strict=False))


def as_parameters(
    texts: Sequence[Node], named: Mapping[str, Node], initial: Mapping[Node, Any], place: Place
) -> tuple[list[Node], dict[str, Node], dict[Node, Any]]:
    """Formulas, what is named in them and the values of leaves, with data that has a name as constants like others."""
    values = {leaf: None if _is_argument(value, place) else value for leaf, value in initial.items()}
    own: dict[Node, Node] = {}
    for name, node in named.items():
        if is_data(node) and node not in own:
            own[node] = leaf = make_leaf(name, "constant", node.shape, node.dtype, node.risky)
            values[leaf] = None if place == "arguments" or _is_argument(node, place) else node
    rest = {name: node for name, node in named.items() if node not in own}
    new = substituted([*texts, *rest.values()], own)
    return new[: len(texts)], dict(zip(rest, new[len(texts) :], strict=True)), values


def _is_argument(value: Any, place: Place) -> bool:
    """Whether the value of a leaf is data that only a caller has."""
    if not isinstance(value, Node):
        return False
    return any([_is_from_file(x) or (place == "arguments" and is_data(x)) for x in cone([value])])
