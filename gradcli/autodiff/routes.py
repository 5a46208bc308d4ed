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
from gradcli.graph.ops.elementwise import absolute, add, subtract
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


class Flow:
    """By which nodes gradients pass on below some ys, for all xs; those below a stop are left out.

    ``below`` has for each node where its gradient goes on to, and the sign that it goes on with as it is, or 0 where an
    operation makes another one of it. A sum of many terms, as far as its parts have no name (are not ``kept``) and no
    other use, is one node with all its terms: of ``a + b + c`` the part ``a + b`` is not a node on its own.
    """

    def __init__(self, ys: Sequence[Node], stops: Iterable[Node], kept: Iterable[Node]) -> None:
        self.ys = ys
        self.stops = set(stops)
        kept = {*kept, *ys, *self.stops}
        uses: dict[Node, int] = {}
        through: dict[Node, list[Node]] = {}
        todo = list(dict.fromkeys(ys))
        for y in todo:
            uses[y] = 0
        while todo:
            node = todo.pop()
            passing = node.op.differentiable_inputs(node) if node not in self.stops else ()
            through[node] = list(dict.fromkeys([node.inputs[i] for i in passing]))
            for x in through[node]:
                if x not in uses:
                    todo.append(x)
                uses[x] = uses.get(x, 0) + 1
        self.below: dict[Node, dict[Node, int]] = {}
        for node in sorted(through, key=lambda node: node.serial):
            first, second = node.inputs if node.op in (add, subtract) else (None, None)
            if first is second or any([(x.shape, x.dtype) != (node.shape, node.dtype) for x in node.inputs]):
                self.below[node] = dict.fromkeys(through[node], 0)
                continue
            terms: dict[Node, int] = {}
            if first in through[node]:
                part = self.below[first] if uses[first] == 1 and first not in kept else {}
                whole = all(part.values()) and second not in part and len(part) > 0
                terms = self.below.pop(first) if whole else {first: 1}
            if second in through[node]:
                terms[second] = 1 if node.op is add else -1
            self.below[node] = terms
        self.users: dict[Node, list[Node]] = {}
        for node, terms in self.below.items():
            for x in terms:
                self.users.setdefault(x, []).append(node)

    def above(self, x: Node) -> list[Node]:
        """The nodes from which gradients pass on to x, users before inputs, x included; none if there is no way."""
        if x not in self.below:
            return []
        found = {x}
        todo = [x]
        while todo:
            for user in self.users.get(todo.pop(), ()):
                if user not in found:
                    found.add(user)
                    todo.append(user)
        return sorted(found, key=lambda node: -node.serial)


class Routes:
    """The differentiable routes from ys to x; ``counts[i]`` is the number of those of the i-th y."""

    def __init__(self, derivation: Derivation, flow: Flow, x: Node, heads: Sequence[Node | None]) -> None:
        self.derivation = derivation
        self.flow = flow
        self.ys = flow.ys
        self.x = x
        with derivation.active():
            self.seeds = [Cotangent(reverse.seed(y, h), None) for y, h in zip(self.ys, heads, strict=True)]
        self.order = flow.above(x)
        active = set(self.order)
        self.below: dict[Node, list[Node]] = {}
        counts: dict[Node, int] = {}
        for node in reversed(self.order):
            self.below[node] = [i for i in flow.below[node] if i in active] if node is not x else []
            counts[node] = 1 if node is x else min(sum([counts[i] for i in self.below[node]]), MANY)
        self.counts = [counts.get(y, 0) for y in self.ys]
        self._found: dict[Prefix, Cotangent | None] = {}

    # sizes

    def edges(self) -> list[Edge]:
        """The edges whose factor is not 1, as far as their operation tells."""
        return [
            (node, i)
            for node in self.order
            for i in self.below[node]
            if not self.sign(node, i) and not _is_unit(node, i)
        ]

    def sign(self, node: Node, i: Node) -> int:
        """1 or -1 where a gradient passes on as it is, up to the sign, from a sum to a term; else 0."""
        return self.flow.below[node][i]

    def local(self, node: Node, i: Node) -> Node:
        """What becomes of ones along an edge: entry by entry the local derivative of an elementwise operation."""
        with self.derivation.active():
            if sign := self.sign(node, i):
                return reverse.seed(i, None) if sign > 0 else -reverse.seed(i, None)
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
                self._found[here] = self._passed(here.parent.node, here.node, before) if before is not None else None
        return self._found[prefix]

    def _passed(self, node: Node, i: Node, c: Cotangent) -> Cotangent | None:
        if sign := self.sign(node, i):
            return Cotangent(c.g if sign > 0 else -c.g, c.mask if i.risky else None)
        return along(self.derivation, node, i, c)

    def rest(self, starts: Sequence[int], shown: Iterable[Prefix]) -> Cotangent | None:
        """What all routes of some ys, by number, but those shown contribute; None if that is nothing."""
        ends = [end for end in shown if end.start in starts]
        with self.derivation.active():
            begun = {end.start for end in ends}
            seeds = [(self.ys[k], self.seeds[k]) for k in starts if k not in begun]
            for before, nodes in taken(ends).items():
                c = self.cotangent(before)
                others = [i for i in self.below[before.node] if i not in nodes] if c is not None else []
                passed = [(i, self._passed(before.node, i, c)) for i in others if c is not None]
                seeds += [(i, got) for i, got in passed if got is not None]
            return reverse.sweep(self.derivation, seeds, {self.x}, self.flow.stops).get(self.x)


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
