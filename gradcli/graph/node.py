"""The expression graph: one immutable node type, the table of derived nodes, and orderings without recursion.

A node's serial number is larger than those of its inputs, so sorting by serial number is a topological sort.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from gradcli.graph.types import Shape

if TYPE_CHECKING:
    from gradcli.graph.operation import Operation

Number = bool | int | float
Attrs = Mapping[str, Any]
NO_ATTRS: Attrs = {}

_next_serial = count().__next__


def now() -> int:
    """A serial number above those of all nodes made so far and below those to come."""
    return _next_serial()


class Node:
    """One operation applied to inputs; compared and hashed by identity.

    ``risky`` says that the value may be NaN or infinite although the leaves' values are ordinary numbers, or that a leaf
    below holds NaN, infinity or a number near where floats end: only such nodes need the guards of the strong zero (see :mod:`gradcli.autodiff.reverse`).
    """

    __slots__ = ("__weakref__", "attrs", "dtype", "inputs", "op", "risky", "serial", "shape")

    def __init__(
        self, op: Operation, inputs: tuple[Node, ...], attrs: Attrs, shape: Shape, dtype: str, risky: bool
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.attrs = attrs
        self.shape = shape
        self.dtype = dtype
        self.risky = risky
        self.serial: int = _next_serial()

    @property
    def rank(self) -> int:
        return len(self.shape)

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        """A new node: the same operation on other inputs of the same shapes and dtypes."""
        return Node(self.op, inputs, self.attrs, self.shape, self.dtype, self.risky)

    def __repr__(self) -> str:
        return f"<{self.op.name} #{self.serial} {self.dtype}{list(self.shape)}>"

    def __add__(self, other: Node | Number) -> Node:
        return TABLE["add"](self, other)

    def __radd__(self, other: Number) -> Node:
        return TABLE["add"](other, self)

    def __sub__(self, other: Node | Number) -> Node:
        return TABLE["subtract"](self, other)

    def __rsub__(self, other: Number) -> Node:
        return TABLE["subtract"](other, self)

    def __mul__(self, other: Node | Number) -> Node:
        return TABLE["multiply"](self, other)

    def __rmul__(self, other: Number) -> Node:
        return TABLE["multiply"](other, self)

    def __truediv__(self, other: Node | Number) -> Node:
        return TABLE["divide"](self, other)

    def __rtruediv__(self, other: Number) -> Node:
        return TABLE["divide"](other, self)

    def __pow__(self, other: Node | Number) -> Node:
        return TABLE["pow"](self, other)

    def __neg__(self) -> Node:
        return TABLE["neg"](self)


TABLE: dict[str, Operation] = {}
"""The table of operations, by canonical name; filled by :mod:`gradcli.graph.operation`."""


HISTORY = 1 << 28
"""Bytes of states up to which a loop keeps all of them for its derivative; of longer ones it keeps about the square root."""


class Derivation:
    """The derived nodes of one program.

    While a derivation is active, equal operations on equal inputs are one node, which keeps repeated differentiation
    small. Nodes that a program names are never in it: two operations of the user stay two nodes.
    ``float_dtype`` is the program's precision, for the derivatives of integers that are not integers.
    ``origin`` maps a derived node to the node whose derivative rule made it, so that errors and profiles can name
    a source line. ``bodies`` are those of loops that were made of others,
    and ``history`` the bytes up to which a backward loop reads all states of the forward one.
    """

    def __init__(self, float_dtype: str = "float64") -> None:
        self.float_dtype = float_dtype
        self.nodes: dict[tuple[Any, ...], Node] = {}
        self.origin: dict[Node, Node] = {}
        self.current: Node | None = None
        self.bodies: dict[Any, Any] = {}
        self.history = HISTORY

    def shared(self, node: Node) -> Node:
        """The first node that is equal to this one."""
        attrs, key = node.attrs, (node.op, node.inputs, node.dtype, node.shape)
        return self.nodes.setdefault((*key, *_hashable(attrs)) if attrs else key, node)

    @contextmanager
    def active(self) -> Iterator[None]:
        token = _derivation.set(self)
        try:
            yield
        finally:
            _derivation.reset(token)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What is made meanwhile, in the body of a loop, belongs to operations of the body and not to the loop."""
        outer, self.current = self.current, None
        try:
            yield
        finally:
            self.current = outer

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Nodes made meanwhile are the user's own: not shared."""
        token = _derivation.set(None)
        try:
            yield
        finally:
            _derivation.reset(token)


_derivation: ContextVar[Derivation | None] = ContextVar("derivation", default=None)


def current_derivation() -> Derivation | None:
    """The derivation that derived nodes are noted in now, if there is one."""
    return _derivation.get()


def derived_float() -> str:
    """The float dtype of what is being derived."""
    derivation = _derivation.get()
    return derivation.float_dtype if derivation is not None else "float64"


def _is_risky(op: Operation, inputs: tuple[Node, ...]) -> bool:
    singular = op.singular
    if singular is not False and (singular is True or singular(inputs)):
        return True
    return any([x.risky for x in inputs])


def make(op: Operation, inputs: tuple[Node, ...], attrs: Attrs, shape: Shape, dtype: str) -> Node:
    """A node of a checked operation: a new one, or while a derivation is active the equal derived one."""
    derivation = _derivation.get()
    if derivation is None or not op.shareable:
        return Node(op, inputs, attrs, shape, dtype, _is_risky(op, inputs))
    key = (op, inputs, dtype, shape, *_hashable(attrs)) if attrs else (op, inputs, dtype, shape)
    node = derivation.nodes.get(key)
    if node is None:
        node = Node(op, inputs, attrs, shape, dtype, _is_risky(op, inputs))
        derivation.nodes[key] = node
        if derivation.current is not None:
            derivation.origin[node] = derivation.current
    return node


def _hashable(attrs: Attrs) -> Iterator[Any]:
    for name, value in attrs.items():
        yield name
        if isinstance(value, float):
            yield repr(value)  # 0.0 and -0.0 are equal, and NaN is not equal to itself
        elif isinstance(value, (bool, int)):
            yield type(value), value
        else:
            yield tuple(value) if isinstance(value, list) else value


@contextmanager
def uncollected() -> Iterator[None]:
    """For the making of trees and graphs: many small objects without cycles, among which the collector finds nothing.

    Left on, it looks through all of them again and again, which takes most of the time.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def cone(roots: Iterable[Node], stop: Iterable[Node] = (), since: int = -1) -> list[Node]:
    """All nodes that the roots are computed from, roots included, inputs before users.

    Nodes in ``stop`` are included, their inputs are not followed; inputs with a serial number below ``since`` are left out.
    """
    seen = set(roots)
    stopped = stop if isinstance(stop, (Set, Mapping)) else set(stop)
    todo = list(seen)
    while todo:
        node = todo.pop()
        if node in stopped:
            continue
        for x in node.inputs:
            if x not in seen and x.serial >= since:
                seen.add(x)
                todo.append(x)
    return sorted(seen, key=by_serial)


by_serial = attrgetter("serial")


def rebuilt(
    roots: Sequence[Node],
    new: Mapping[Node, Node],
    made: Callable[[Node, tuple[Node, ...]], Node],
    stop: Iterable[Node] = (),
) -> list[Node]:
    """The roots with other nodes in place of some; what uses these is ``made`` anew, from a node and its inputs.

    Inputs of nodes in ``stop`` are not followed.
    """
    done = {**{x: x for x in stop}, **new}
    for node in cone(roots, done):
        if node not in done:
            inputs = tuple([done[x] for x in node.inputs])
            done[node] = node if inputs == node.inputs else made(node, inputs)
    return [done[root] for root in roots]
