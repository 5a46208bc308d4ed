"""One more axis in front of what an operation works on, for many values at once: how each sort of operation takes it.

``Operation.leading`` names the sort of an entry; the rule of a single operation stands beside its entry and is given a
:class:`Led`. :mod:`gradcli.autodiff.batch` applies them to a graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradcli.graph.node import Node, make
from gradcli.graph.operation import Contraction, unchanged
from gradcli.graph.ops.linear_algebra import contraction
from gradcli.graph.ops.shaping import broadcast_to, broadcasted, reshape
from gradcli.graph.types import Shape


class Led:
    """An operation on inputs, some with an axis of ``size`` entries in front of their own axes.

    ``node`` is the operation without it, ``inputs`` are the inputs as they are now, and ``has[i]`` says whether input i
    has the axis.
    """

    __slots__ = ("has", "inputs", "node", "size")

    def __init__(self, node: Node, inputs: Sequence[Node], has: Sequence[bool], size: int) -> None:
        self.node = node
        self.inputs = inputs
        self.has = has
        self.size = size

    @property
    def shape(self) -> Shape:
        """The shape of the result."""
        return (self.size, *self.node.shape)

    def full(self, i: int) -> Node:
        """Input i with the axis, repeated along it if need be."""
        x = self.inputs[i]
        return x if self.has[i] else broadcast_to(x, shape=(self.size, *x.shape))

    def aligned(self, i: int) -> Node:
        """Input i with axes of size 1 behind its leading axis, so that it broadcasts with the result."""
        x, own = self.inputs[i], self.node.inputs[i].shape
        missing = self.node.rank - len(own)
        if not self.has[i] or missing <= 0:
            return x
        return reshape(x, shape=(self.size, *[1] * missing, *own))

    def attrs(self) -> dict[str, Any]:
        """The attributes with the axis in front where they number axes or list sizes."""
        return in_front(self.node.attrs, (self.size,))

    def made(self, inputs: Sequence[Node], attrs: Mapping[str, Any]) -> Node:
        """The operation itself, whose result has the leading axis."""
        return make(self.node.op, tuple(inputs), attrs, self.shape, self.node.dtype)

    def result(self) -> Node:
        """What the operation becomes. Raises NotImplementedError where its entry does not say."""
        op = self.node.op
        if callable(op.leading):
            return op.leading(self)
        if op.leading == "broadcast":
            return self._broadcast()
        if op.leading == "counted":
            return self.counted()
        if op.leading == "last":
            return self.made([self.full(i) for i in range(len(self.inputs))], self.node.attrs)
        if isinstance(op.rule, Contraction):
            return self._contracted(op.rule)
        raise NotImplementedError(f"the entry of {op.name} does not say how it takes one more axis in front")

    def counted(self) -> Node:
        """An operation whose attributes number the axes of its inputs, which all get the axis."""
        return self.made([self.full(i) for i in range(len(self.inputs))], self.attrs())

    def _broadcast(self) -> Node:
        inputs = [self.aligned(i) for i in range(len(self.inputs))]
        if self.node.op.infer is unchanged:  # it may look at one input only, and that must be as large as the result
            inputs = [broadcasted(x, self.shape) for x in inputs]
        return self.made(inputs, self.attrs())

    def _contracted(self, rule: Contraction) -> Node:
        """One more label. ``gram`` speaks of two dimensions and is dropped."""
        labels, out = rule.labels(self.node.inputs, dict(self.node.attrs))
        lead = 1 + max([k for own in labels for k in own], default=-1)
        moved = tuple([(lead, *own) if has else tuple(own) for own, has in zip(labels, self.has, strict=True)])
        attrs = {"labels": moved, "out": (lead, *out), "gram": False}
        return make(contraction, tuple(self.inputs), attrs, self.shape, self.node.dtype)


def in_front(attrs: Mapping[str, Any], sizes: Shape) -> dict[str, Any]:
    """Attributes that number axes or list sizes, for more axes of the given sizes in front."""
    extra = len(sizes)
    moved = dict(attrs)
    axis = attrs.get("axis")
    if isinstance(axis, int):
        moved["axis"] = axis + extra
    elif axis is not None:
        moved["axis"] = tuple([a + extra for a in axis])
    if "axes" in attrs:
        moved["axes"] = (*range(extra), *[a + extra for a in attrs["axes"]])
    if "items" in attrs:
        moved["items"] = (*[(0, n, 1) for n in sizes], *attrs["items"])
    if "shape" in attrs:
        moved["shape"] = (*sizes, *attrs["shape"])
    if "pattern" in attrs:
        moved["pattern"] = (*range(extra), *[c + extra for c in attrs["pattern"]])
    return moved
