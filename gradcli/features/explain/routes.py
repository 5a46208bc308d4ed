"""The routes by which ys depend on x, as paths of nodes: how many there are, the largest, and what each contributes.

A gradient is the sum over all routes of the head gradient carried along the route. Their number may be exponential in
the size of the graph: they are counted by dynamic programming, for many xs at once, and only those asked for are
written out; what xs share of a route is there once. What all others contribute together is one reverse pass over what
branches off from these.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter, itemgetter

import numpy as np

from gradcli.autodiff import reverse
from gradcli.autodiff.cotangents import Cotangent
from gradcli.features.explain.paths import Edge, Paths, Steps, by_tables
from gradcli.graph.node import Derivation, Node, by_serial
from gradcli.graph.operation import cast_to, literal
from gradcli.graph.ops.elementwise import absolute, add, subtract
from gradcli.graph.ops.reductions import max_
from gradcli.graph.ops.selection import cast
from gradcli.graph.ops.slicing import stack
from gradcli.graph.types import is_float, size_of

LARGE = 1e6
"""The logarithm that stands for that of infinity."""

WIDE = 16
"""Terms of a sum from which on those that lead to x are looked for all at once."""

FIRST = 10
"""Steps that make up the beginning of a route."""


class Prefix:
    """The beginning of a route: a node and the way to it from the y of number ``start``.

    ``depth`` counts its steps, ``visible`` those of them that are not conversions. ``first`` is the beginning of up to
    ``FIRST`` visible steps.
    """

    __slots__ = ("after", "cotangent", "depth", "first", "node", "parent", "start", "visible")

    def __init__(self, node: Node, parent: Prefix | None, start: int) -> None:
        self.node = node
        self.parent = parent
        self.start = start
        self.after: dict[Node, Prefix] = {}
        self.depth = self.visible = 0
        self.first = self
        if parent is not None:
            self.depth = parent.depth + 1
            self.visible = parent.visible + (parent.node.op is not cast)
            if self.visible > FIRST:
                self.first = parent.first

    def to(self, node: Node) -> Prefix:
        """The route one step further: one object, whichever way leads on from there."""
        found = self.after.get(node)
        if found is None:
            found = self.after[node] = Prefix(node, self, self.start)
        return found

    def steps(self) -> Iterator[tuple[Prefix, Prefix]]:
        """The edges from the end up to y, each as the beginnings before and after it."""
        here = self
        while here.parent is not None:
            yield here.parent, here
            here = here.parent


class Flow:
    """By which nodes gradients pass on below some ys, for all xs; those below a stop are left out.

    ``steps`` has for each node where its gradient goes on to, and the sign that it goes on with as it is, or 0 where an
    operation makes another one of it. A sum of many terms, as far as its parts have no name (are not ``kept``) and no
    other use, is one node with all its terms: of ``a + b + c`` the part ``a + b`` is not a node on its own.
    """

    def __init__(
        self,
        derivation: Derivation,
        ys: Sequence[Node],
        heads: Sequence[Node | None],
        stops: Iterable[Node],
        kept: Container[Node],
    ) -> None:
        self.derivation = derivation
        self.ys = ys
        self.stops = set(stops)
        with derivation.active():
            self.seeds = [Cotangent(reverse.seed(y, h), None) for y, h in zip(ys, heads, strict=True)]
        self.starts = [Prefix(y, None, k) for k, y in enumerate(ys)]
        self._locals: dict[Edge, Node] = {}
        self._arrived: dict[Prefix, Cotangent | None] = dict(zip(self.starts, self.seeds, strict=True))
        self.below = self._below({*ys, *self.stops}, kept)
        self.steps = Steps(self.below)

    def _below(self, ends: set[Node], kept: Container[Node]) -> dict[Node, dict[Node, int]]:
        uses: dict[Node, int] = dict.fromkeys(self.ys, 0)
        through: dict[Node, list[Node]] = {}
        todo = list(uses)
        while todo:
            node = todo.pop()
            passing = node.op.differentiable_inputs(node) if node not in self.stops else ()
            through[node] = list(dict.fromkeys([node.inputs[i] for i in passing]))
            for x in through[node]:
                if x not in uses:
                    todo.append(x)
                uses[x] = uses.get(x, 0) + 1
        below: dict[Node, dict[Node, int]] = {}
        for node in sorted(through, key=by_serial):
            first, second = node.inputs if node.op in (add, subtract) else (None, None)
            if first is second or any([(x.shape, x.dtype) != (node.shape, node.dtype) for x in node.inputs]):
                below[node] = dict.fromkeys(through[node], 0)
                continue
            terms: dict[Node, int] = {}
            if first in through[node]:
                part = below[first] if uses[first] == 1 and first not in ends and first not in kept else {}
                whole = all(part.values()) and second not in part and len(part) > 0
                terms = below.pop(first) if whole else {first: 1}
            if second in through[node]:
                terms[second] = 1 if node.op is add else -1
            below[node] = terms
        return below

    # along an edge

    def edges(self, xs: Iterable[Node]) -> list[Edge]:
        """The edges on routes to some xs whose factor is not 1, as far as their operation tells."""
        above = self.steps.above(xs)
        active = set(above)
        return [
            (node, i)
            for node in reversed(above)
            for i in self.below[node]
            if i in active and not self.sign(node, i) and not _is_unit(node, i)
        ]

    def sign(self, node: Node, i: Node) -> int:
        """1 or -1 where a gradient passes on as it is, up to the sign, from a sum to a term; else 0."""
        return self.below[node][i]

    def local(self, node: Node, i: Node) -> Node:
        """What becomes of ones along an edge: entry by entry the local derivative of an elementwise operation."""
        if (node, i) not in self._locals:
            with self.derivation.active():
                if sign := self.sign(node, i):
                    self._locals[node, i] = reverse.seed(i, None) if sign > 0 else -reverse.seed(i, None)
                else:
                    self._locals[node, i] = local(self.derivation, node, i)
        return self._locals[node, i]

    def cotangent(self, prefix: Prefix) -> Cotangent | None:
        """What arrives at the end of a beginning of a route; None if nothing does."""
        arrived = self._arrived
        todo: list[Prefix] = []
        here: Prefix | None = prefix
        while here is not None and here not in arrived:
            todo.append(here)
            here = here.parent
        with self.derivation.active():
            for here in reversed(todo):
                assert here.parent is not None
                before = arrived[here.parent]
                arrived[here] = None if before is None else self.passed(here.parent.node, here.node, before)
        return arrived[prefix]

    def passed(self, node: Node, i: Node, c: Cotangent) -> Cotangent | None:
        """What a cotangent becomes along an edge; to be called while the derivation is active."""
        if sign := self.sign(node, i):
            return Cotangent(c.g if sign > 0 else -c.g, c.mask if i.risky else None)
        return along(self.derivation, node, i, c)


class Routes:
    """The differentiable routes to x; ``counts`` has the number of those of each y, by number, from which there are any.

    ``passed`` is how many nodes are on them.
    """

    def __init__(self, flow: Flow, x: Node, counts: dict[int, int], passed: int) -> None:
        self.flow = flow
        self.x = x
        self.counts = counts
        self.passed = passed

    def contribution(self, c: Cotangent | None) -> Node:
        """A cotangent of x as a gradient: of x's float dtype, and zeros where nothing arrives."""
        with self.flow.derivation.active():
            if c is None:
                return reverse.zero_gradient(self.x)
            return cast_to(c.g, self.x.dtype) if is_float(self.x.dtype) else c.g

    def along(self, end: Prefix) -> Node:
        """What one route contributes."""
        return self.contribution(self.flow.cotangent(end))

    def rest(self, starts: Collection[int], shown: Iterable[Prefix]) -> Node:
        """What all routes of some ys, by number, but those shown contribute."""
        flow = self.flow
        active = set(flow.steps.above([self.x]))
        ends = [end for end in shown if end.start in starts]
        with flow.derivation.active():
            begun = {end.start for end in ends}
            seeds = [(flow.ys[k], flow.seeds[k]) for k in starts if k not in begun]
            for before, nodes in taken(ends).items():
                c = flow.cotangent(before)
                others = [i for i in flow.below[before.node] if i in active and i not in nodes] if c is not None else []
                passed = [(i, flow.passed(before.node, i, c)) for i in others if c is not None]
                seeds += [(i, got) for i, got in passed if got is not None]
            found = reverse.sweep(flow.derivation, seeds, {self.x}, flow.stops)
        return self.contribution(found.get(self.x))


def routes_to(flow: Flow, xs: Sequence[Node]) -> list[Routes]:
    """The routes of a flow to each of some xs."""
    found: list[Routes] = []
    for paths in by_tables(flow.steps, xs):
        counts = paths.counts()
        passed = np.count_nonzero(counts, axis=0)
        ys = [(k, paths.row[y]) for k, y in enumerate(flow.ys) if y in paths.row]
        starts = np.array([k for k, _ in ys], "int64")
        of_ys = counts[[r for _, r in ys]]
        for column, x in enumerate(paths.xs):
            some = np.flatnonzero(of_ys[:, column])
            numbers = dict(zip(starts[some].tolist(), map(int, of_ys[some, column].tolist()), strict=True))
            found.append(Routes(flow, x, numbers, int(passed[column])))
    return found


def largest(routes: Sequence[Routes], most: Sequence[int], gains: Mapping[Edge, float]) -> list[list[Prefix]]:
    """Of the routes of one flow to each x up to ``most``, those with the largest product of gains first, 1 where there is none.

    Best first, with the exact size of the best rest of a route: each step of a route is taken once.
    """
    sizes = {edge: _logarithm(gain) for edge, gain in gains.items()}
    found: list[list[Prefix]] = []
    if routes:
        pairs = zip(routes, most, strict=True)
        for paths in by_tables(routes[0].flow.steps, [some.x for some in routes]):
            search = _Search(paths, sizes)
            found += [search.largest(column, *next(pairs)) for column in range(len(paths.xs))]
    return found


class _Search:
    """Routes along the paths of a table, given the logarithms of gains."""

    def __init__(self, paths: Paths, sizes: Mapping[Edge, float]) -> None:
        self.paths = paths
        self.rest = paths.lengths(sizes)
        self.sizes = [
            [sizes.get((node, paths.nodes[r]), 0.0) for r in below]
            for node, below in zip(paths.nodes, paths.below, strict=True)
        ]

    def largest(self, column: int, routes: Routes, most: int) -> list[Prefix]:
        nodes, row, below, sizes = self.paths.nodes, self.paths.row, self.paths.below, self.sizes
        queue: list[tuple[float, int, float, Prefix, int]] = []
        number = itertools.count()
        for start in routes.counts:
            here = routes.flow.starts[start]
            r = row[here.node]
            heapq.heappush(queue, (-self.rest.item(r, column), next(number), 0.0, here, r))
        found: list[Prefix] = []
        while queue and len(found) < most:
            _, _, so_far, here, r = heapq.heappop(queue)
            if here.node is not nodes[r]:
                here = here.to(nodes[r])
            while here.node is not routes.x:
                if len(below[r]) == 1:
                    so_far, r = so_far + sizes[r][0], below[r][0]
                else:
                    after = self._after(r, column, so_far, most)
                    _, so_far, r = max(after, key=itemgetter(0))
                    for whole, length, other in after:
                        if other != r:
                            heapq.heappush(queue, (-whole, next(number), length, here, other))
                here = here.to(nodes[r])
            found.append(here)
        return found

    def _after(self, r: int, column: int, so_far: float, most: int) -> list[tuple[float, float, int]]:
        """Where routes go on: the size of the best one there, that of its beginning, and the row."""
        below, sizes = self.paths.below[r], self.sizes[r]
        if len(below) <= WIDE:
            rest = self.rest.item
            return [
                (so_far + size + best, so_far + size, i)
                for size, i in zip(sizes, below, strict=True)
                if (best := rest(i, column)) > -math.inf
            ]
        lengths = so_far + np.array(sizes)
        whole = lengths + self.rest[below, column]
        some = np.flatnonzero(whole > -math.inf)
        if len(some) > most:  # no other is among the largest routes
            some = np.sort(some[np.argsort(-whole[some], kind="stable")[:most]])
        return [(whole.item(k), lengths.item(k), below[k]) for k in some.tolist()]


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


class Forks:
    """Where some routes part. Each step that they share is looked at once.

    ``taken`` has the beginnings after which they go on by several nodes, and these; ``on`` for each route its steps from
    such beginnings on, from y down.
    """

    def __init__(self, ends: Sequence[Prefix]) -> None:
        self.taken: dict[Prefix, set[Node]] = {}
        self.on: dict[Prefix, list[tuple[Prefix, Prefix]]] = {}
        following: dict[Prefix, tuple[Prefix, Prefix]] = {}
        joined: dict[Prefix, tuple[Prefix, Prefix, Prefix]] = {}
        parted: dict[Prefix, list[Prefix]] = {end: [] for end in ends}
        for end in ends:
            for before, after in end.steps():
                if before in following:
                    other, first = following[before]
                    if before not in self.taken:
                        self.taken[before] = {other.node}
                        parted[first].append(before)
                    self.taken[before].add(after.node)
                    joined[end] = before, after, first
                    break
                following[before] = after, end
        for end in ends:
            own = self.on[end] = []
            if end in joined:
                before, after, first = joined[end]
                own += [pair for pair in self.on[first] if pair[0].depth < before.depth]
                own.append((before, after))
            own += [(before, following[before][0]) for before in sorted(parted[end], key=attrgetter("depth"))]


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
