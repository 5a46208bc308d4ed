"""The routes by which ys depend on x, as paths of nodes: how many there are, the largest, and what each contributes.

A gradient is the sum over all routes of the head gradient carried along the route. Their number may be exponential in
the size of the graph: they are counted by dynamic programming, and only those asked for are written out. What all
others contribute together is one reverse pass over what branches off from these.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

from gradcli.autodiff import reverse
from gradcli.autodiff.connection import MANY
from gradcli.autodiff.cotangents import Cotangent
from gradcli.graph.node import Derivation, Node
from gradcli.graph.operation import cast_to, literal
from gradcli.graph.ops.elementwise import absolute
from gradcli.graph.ops.reductions import max_
from gradcli.graph.ops.selection import cast
from gradcli.graph.ops.slicing import stack
from gradcli.graph.types import is_float, size_of

Edge = tuple[Node, Node]

LARGE = 1e6
"""The logarithm that stands for that of infinity."""


class Prefix:
    """The beginning of a route: a node and the way to it from the y of number ``start``."""

    __slots__ = ("node", "parent", "start")

    def __init__(self, node: Node, parent: Prefix | None, start: int) -> None:
        self.node = node
        self.parent = parent
        self.start = start

    def steps(self) -> list[tuple[Prefix, Prefix]]:
        """The edges from y on, each as the beginnings before and after it."""
        found: list[tuple[Prefix, Prefix]] = []
        here = self
        while here.parent is not None:
            found.append((here.parent, here))
            here = here.parent
        return found[::-1]


class Routes:
    """The differentiable routes from ys to x; ``counts[i]`` is the number of those of the i-th y."""

    def __init__(
        self,
        derivation: Derivation,
        ys: Sequence[Node],
        x: Node,
        heads: Sequence[Node | None],
        stops: Iterable[Node] = (),
    ) -> None:
        self.derivation = derivation
        self.ys = ys
        self.x = x
        self.stops = set(stops)
        with derivation.active():
            self.seeds = [Cotangent(reverse.seed(y, h), None) for y, h in zip(ys, heads, strict=True)]
        self.order = reverse.active_nodes(ys, {x}, self.stops)
        active = set(self.order)
        self.below: dict[Node, list[Node]] = {}
        counts: dict[Node, int] = {}
        for node in reversed(self.order):
            inputs = node.inputs
            follow = () if node is x or node in self.stops else node.op.differentiable_inputs(node)
            self.below[node] = list(dict.fromkeys([inputs[i] for i in follow if inputs[i] in active]))
            counts[node] = 1 if node is x else min(sum([counts[i] for i in self.below[node]]), MANY)
        self.counts = [counts.get(y, 0) for y in ys]
        self._found: dict[Prefix, Cotangent | None] = {}

    # sizes

    def edges(self) -> list[Edge]:
        """The edges whose factor is not 1, as far as their operation tells."""
        return [
            (node, i) for node in self.order for i in self.below[node] if not _is_unit(node, i)
        ]  # fmt: skip

    def local(self, node: Node, i: Node) -> Node:
        """What becomes of ones along an edge: entry by entry the local derivative of an elementwise operation."""
        with self.derivation.active():
            return local(self.derivation, node, i)

    # routes

    def largest(self, most: int, gains: Mapping[Edge, float]) -> list[Prefix]:
        """Up to so many whole routes, those with the largest product of gains first (an edge without one has 1).

        Best first, with the exact size of the best rest of a route: each step of a route is taken once.
        """
        size = {edge: _logarithm(gain) for edge, gain in gains.items()}
        best: dict[Node, float] = {}
        for node in reversed(self.order):
            rest = [size.get((node, i), 0.0) + best[i] for i in self.below[node]]
            best[node] = max(rest, default=0.0)
        queue: list[tuple[float, int, float, Prefix]] = []

        number = itertools.count()

        def put(prefix: Prefix, so_far: float) -> None:
            heapq.heappush(queue, (-(so_far + best[prefix.node]), next(number), so_far, prefix))

        for k, y in enumerate(self.ys):
            if self.counts[k]:
                put(Prefix(y, None, k), 0.0)
        found: list[Prefix] = []
        while queue and len(found) < most:
            _, _, so_far, here = heapq.heappop(queue)
            while here.node is not self.x:
                node = here.node
                after = [(so_far + size.get((node, i), 0.0), Prefix(i, here, here.start)) for i in self.below[node]]
                so_far, here = max(after, key=lambda pair: pair[0] + best[pair[1].node])
                for length, prefix in after:
                    if prefix is not here:
                        put(prefix, length)
            found.append(here)
        return found

    # contributions

    def contribution(self, c: Cotangent | None) -> Node:
        """A cotangent of x as a gradient: of x's float dtype, and zeros where nothing arrives."""
        with self.derivation.active():
            if c is None:
                return reverse.zero_gradient(self.x)
            return cast_to(c.g, self.x.dtype) if is_float(self.x.dtype) else c.g

    def cotangent(self, prefix: Prefix) -> Cotangent | None:
        """What arrives at the end of a beginning of a route; None if nothing does."""
        todo = [prefix]
        while (parent := todo[-1].parent) is not None and todo[-1] not in self._found:
            todo.append(parent)
        with self.derivation.active():
            for here in reversed(todo):
                if here in self._found:
                    continue
                if here.parent is None:
                    self._found[here] = self.seeds[here.start]
                    continue
                before = self._found[here.parent]
                self._found[here] = (
                    along(self.derivation, here.parent.node, here.node, before) if before is not None else None
                )
        return self._found[prefix]

    def rest(self, starts: Sequence[int], shown: Iterable[Prefix]) -> Cotangent | None:
        """What all routes of some ys, by number, but those shown contribute; None if that is nothing."""
        ends = [end for end in shown if end.start in starts]
        with self.derivation.active():
            begun = {end.start for end in ends}
            seeds = [(self.ys[k], self.seeds[k]) for k in starts if k not in begun]
            for before, nodes in taken(ends).items():
                c = self.cotangent(before)
                others = {i for i in self.below[before.node] if i not in nodes}
                if c is not None and others:
                    seeds += reverse.passed_on(self.derivation, before.node, c, others)
            return reverse.sweep(self.derivation, seeds, {self.x}, self.stops).get(self.x)


def _is_unit(node: Node, i: Node) -> bool:
    """Whether each entry of an input goes into one entry of the result at most, with the factor 1 or -1."""
    once = node.op.entries in ("moved", "negated", "placed", "added") or node.op is cast
    return once and (node.shape == i.shape or not node.op.entrywise)


def taken(ends: Iterable[Prefix]) -> dict[Prefix, set[Node]]:
    """By which nodes some routes go on after each beginning that they share."""
    found: dict[Prefix, set[Node]] = {}
    for end in ends:
        for before, after in end.steps():
            found.setdefault(before, set()).add(after.node)
    return found


def along(derivation: Derivation, node: Node, i: Node, c: Cotangent) -> Cotangent | None:
    """What a node passes on to one of its inputs; None if that is nothing."""
    received = [got for _, got in reverse.passed_on(derivation, node, c, {i})]
    return reverse.summed(received) if received else None


def local(derivation: Derivation, node: Node, i: Node) -> Node:
    """What becomes of ones along an edge; to be called while the derivation is active."""
    c = along(derivation, node, i, Cotangent(reverse.seed(node, None), None))
    return reverse.zero_gradient(i) if c is None else c.g


def gains(derivation: Derivation, edges: Sequence[Edge]) -> Node:
    """How much larger a cotangent can become along each edge, as a vector: the largest of what becomes of ones."""
    with derivation.active():
        return stack(*[largest_entry(local(derivation, node, i)) for node, i in edges], axis=0)


def largest_entry(g: Node) -> Node:
    """The largest absolute value in an array as a float64; 0 of an empty one."""
    return cast_to(max_(absolute(g), axis=None), "float64") if size_of(g.shape) else literal(0.0, "float64")


def _logarithm(gain: float) -> float:
    if math.isnan(gain):
        return LARGE
    return -LARGE if gain <= 0 else min(math.log(gain), LARGE)
