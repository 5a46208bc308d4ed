"""In which order the axes of arrays lie in memory: NumPy's inner loops run along the last one there, which is to be long.

Of an array [10, 1000, 2] NumPy adds 2 numbers at a time, which costs about as much as 50 would, wherever something is
repeated along an axis, or summed up along the last one. With the long axis last in memory the same call on the same
shapes takes a fifth of the time. Shapes stay what they are, and NumPy's results lie as their operands do, so that only
leaves and scratch memory are told how to lie.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from gradcli.execute.sizes import bytes_of
from gradcli.graph.node import Node
from gradcli.graph.operation import Contraction
from gradcli.graph.switches import without
from gradcli.graph.types import Shape, size_of

Array = Any

SHORT = 64
"""Entries of a last axis from which on NumPy's inner loops are long enough."""

LONGER = 4
"""How many times longer another axis must be to be last in memory."""

GAIN = 2
"""How many times as many bytes must be touched in inner loops of a few entries as are put in another order."""

MOST_TERMS = 64
"""Products of single entries up to which a contraction of stacks of small matrices is a sum of products of long arrays."""


@lru_cache(maxsize=4096)
def long_axis(shape: Shape) -> int | None:
    """The axis that is to be last in memory, None where the last one is."""
    if len(shape) < 2 or shape[-1] >= SHORT:
        return None
    longest = max(shape[:-1])
    return shape.index(longest) if longest >= max(SHORT, LONGER * shape[-1]) else None


def shaped(np: Any, memory: Array, shape: Shape, long: int | None) -> Array:
    """An array in the memory of as many entries, of which the ``long`` axis is the last there."""
    if long is None:
        return memory.reshape(shape)
    return np.moveaxis(memory.reshape((*shape[:long], *shape[long + 1 :], shape[long])), -1, long)


def empty(np: Any, shape: Shape, dtype: Any) -> Array:
    """A new array in its order."""
    return shaped(np, np.empty(size_of(shape), dtype), shape, long_axis(shape))


def arranged(np: Any, array: Array) -> Array:
    """An array in its order: itself, if it lies so."""
    axis = long_axis(array.shape) if array.ndim > 1 else None
    if axis is None or array.strides[axis] == array.itemsize:
        return array
    result = empty(np, array.shape, array.dtype)
    np.copyto(result, array)
    return result


def pays(nodes: Sequence[Node], known: Collection[Node], targets: Collection[Node]) -> bool:
    """Whether more is touched in short inner loops than has to be put in order before and after."""
    if without("order"):
        return False
    gain = cost = 0
    for node in nodes:
        if node.op.name == "leaf" or node in known:
            cost += bytes_of(node) if long_axis(node.shape) is not None else 0
        else:
            gain += _short_loops(node)
    cost += sum([bytes_of(node) for node in targets if long_axis(node.shape) is not None])
    return gain > GAIN * cost


def _short_loops(node: Node) -> int:
    """Bytes of what NumPy would do a few entries at a time."""
    if node.op.entrywise:
        alike = all([x.shape in (node.shape, ()) for x in node.inputs])
        return 0 if alike or long_axis(node.shape) is None else bytes_of(node)
    if isinstance(node.op.rule, Contraction):
        return sum([bytes_of(x) for x in (node, *node.inputs) if x.rank > 2 and long_axis(x.shape) is not None])
    axes = node.attrs.get("axis")
    if len(node.inputs) != 1 or axes is None or long_axis(node.inputs[0].shape) is None:
        return 0
    last = node.inputs[0].rank - 1
    return bytes_of(node.inputs[0]) if last in (axes if isinstance(axes, tuple) else (axes,)) else 0
