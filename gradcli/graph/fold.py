"""The value of a constant node, by the operations' own kernels; for sizes and other numbers needed before a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradcli.graph.node import Node, cone

LIMIT = 1_000_000
"""Entries that a folded array may have: sizes are small, and nothing large is evaluated before it is planned."""


def fold(node: Node, leaf_value: Callable[[Node], Any]) -> Any:
    """The node's value as a Python number or nested list, or None if it depends on more than constants.

    ``leaf_value`` gives a leaf's value as an array, or None where it has none that is constant. An operation that fails
    on its values is a GradcliError.
    """
    if node.op.name == "literal":
        return node.attrs["value"]
    nodes = cone([node])
    from gradcli.graph.operation import kernel_value
    from gradcli.graph.types import size_of

    if any(size_of(x.shape) > LIMIT for x in nodes):
        return None
    import numpy as np

    values: dict[Node, Any] = {}
    with np.errstate(all="ignore"):
        for x in nodes:
            if x.op.name == "leaf":
                value = leaf_value(x)
                if value is None:
                    return None
                values[x] = value
            elif x.op.kernel is None:
                return None
            else:
                try:
                    values[x] = kernel_value(np, x, [values[i] for i in x.inputs])
                except (ValueError, IndexError, ArithmeticError) as problem:
                    from gradcli.graph.failures import explained

                    raise explained(np, x.op.name, problem) from None
    return np.asarray(values[node]).tolist()
