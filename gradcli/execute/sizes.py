"""Bytes of arrays, and what an evaluation may use."""

from __future__ import annotations

import os

from gradcli.graph.node import Node
from gradcli.graph.types import ITEM_SIZE, is_float, size_of
from gradcli.tuples import NamedTuple

HEAVY = 1 << 16
"""Bytes of an array from which products of matrices are worth more than one thread."""


def processors() -> int:
    """The processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def bytes_of(node: Node) -> int:
    """Bytes of a node's array."""
    if not node.shape:
        return ITEM_SIZE[node.dtype]
    return size_of(node.shape) * ITEM_SIZE[node.dtype]


def working_space(node: Node) -> int:
    """Bytes that a kernel takes beside its result while it runs."""
    checks = 0
    if node.op.wraps and not is_float(node.dtype):  # all of it in float64, the difference, and where that is large
        checks = 8 * sum([size_of(x.shape) for x in node.inputs]) + 17 * size_of(node.shape)
    arrays = node.op.workspace
    if not arrays:
        return checks
    if not isinstance(arrays, float):
        arrays = arrays(node)
    return checks + int(arrays * max([bytes_of(x) for x in (node, *node.inputs)]))


class Means(NamedTuple):
    """What a plan may use: so many threads (by default one for each processor), or processes where those gain more.

    A plan that is ``repeated`` keeps its scratch memory from one run to the next; only then processes pay.
    """

    threads: int = 0
    repeated: bool = False
    processes: bool = False
