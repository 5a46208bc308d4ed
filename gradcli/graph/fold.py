"""The value of a constant node, by the operations' own kernels; for sizes and other numbers needed before a run."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from types import SimpleNamespace
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
    if all([not x.shape and x.dtype in ("bool", "float64", "int64") for x in nodes]) and (
        (found := _compared(nodes)) is not None
    ):
        return found
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


COMPARISONS: dict[str, Callable[..., bool]] = {
    "equal": operator.eq, "not_equal": operator.ne, "less": operator.lt, "less_equal": operator.le, "greater": operator.gt,
    "greater_equal": operator.ge, "logical_and": lambda a, b: a and b, "logical_or": lambda a, b: a or b,
    "logical_not": operator.not_,
}  # fmt: skip
"""NumPy's functions by which numbers are compared, for Python's."""

_NAMESPACE = SimpleNamespace(**COMPARISONS, abs=abs)


def _compared(nodes: Sequence[Node]) -> bool | None:
    """What a comparison of numbers gives, which needs no NumPy; None for all else."""
    if nodes[-1].dtype != "bool":
        return None
    values: dict[Node, Any] = {}
    for x in nodes:
        if x.op.name == "literal":
            values[x] = x.attrs["value"]
            continue
        if x.op.kernel is None or not x.inputs:
            return None
        try:
            values[x] = x.op.kernel(_NAMESPACE, *[values[i] for i in x.inputs], **x.attrs)
        except AttributeError:  # it needs more of NumPy
            return None
    return bool(values[nodes[-1]])
