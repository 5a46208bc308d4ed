"""How y depends on each x: the contributions that add up to a gradient, or where each way is cut."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gradcli.autodiff import reverse
from gradcli.autodiff.connection import cut_off
from gradcli.autodiff.orders import nth_gradient
from gradcli.autodiff.routes import Edge, Flow, Prefix, Routes, gains, largest_entry, taken
from gradcli.diagnostics import Label
from gradcli.features.explain.cuts import orders_of, ways_of
from gradcli.features.explain.explanation import Contribution, Explained, Explanation, Route, Step, Way
from gradcli.features.explain.near import near
from gradcli.graph.node import Node
from gradcli.graph.ops.selection import cast
from gradcli.graph.ops.slicing import stack
from gradcli.graph.types import size_of
from gradcli.language.naming import Naming
from gradcli.language.reasons import explain as reason_for
from gradcli.program import query
from gradcli.program.loaded import Loaded
from gradcli.program.query import Question
from gradcli.results import Reason

Array = Any
Group = tuple[int, ...]
"""Some of the ys, by number."""

STEPS = 20
"""Steps of a route that are shown: of a longer one the first and the last."""

FORKS = 12
"""Points where a route leaves others that are named: of more the first and the last."""

SMALL = 100
"""Entries up to which the values on the way are given."""

EFFORT = 400_000
"""Steps of routes that are tried, if there are more routes than are shown."""

MOST_SWEPT = 100_000
"""Nodes that are passed for all xs together, up to which what other routes contribute is summed up by itself.

Beyond that it is the difference between the gradient and the routes that are shown.
"""

OUTPUTS = 50
"""Outputs whose contributions are told apart."""


def explain(
    program: Loaded,
    of: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    order: int = 1,
    *,
    seeds: Mapping[str, str | Array] | None = None,
    stop: Sequence[str] = (),
    most: int = 10,
) -> Explained:
    """Explain the gradient of the sum of ``of`` by each of ``wrt``, with up to ``most`` routes for each.

    Raises :class:`GradcliError` as ``grad`` does, for a variable without a value only where a gradient needs it.
    """
    question = _Whole(program, query.question(program, of, wrt, seeds, stop), order, most)
    parts = [_Part(question, k) for k in range(len(question.asked.xs))]
    question.measure([edge for part in parts for edge in part.edges()])
    for phase in (_Part.sizes, _Part.values):
        wanted = [phase(part) for part in parts]
        found = iter(program.evaluate([node for nodes in wanted for node in nodes]))
        for part, nodes in zip(parts, wanted, strict=True):
            part.found = [next(found) for _ in nodes]
    asked = question.asked
    summed = any([size_of(y.shape) != 1 for y in asked.ys])
    return Explained(program.source.name, asked.of, summed, order, [part.explanation() for part in parts])


Described = tuple[str, str, str, list[Label], str, bool]
"""The first fields of a step: of an operation its name, its formula, the input, where it stands, and what it does."""


class _Whole:
    """What the explanations for all xs share: the question, names, gradients, and the sizes of factors."""

    def __init__(self, program: Loaded, asked: Question, order: int, most: int) -> None:
        self.program = program
        self.graph = program.graph
        self.asked = asked
        self.order = order
        self.most = most
        self.naming = Naming(self.graph)
        self.orders = orders_of(asked)
        self.cut = cut_off(asked.ys, asked.xs, asked.stops)
        self.flow = Flow(asked.ys, asked.stops, self.naming.names) if order == 1 else None
        self.gains: dict[Edge, float] = {}
        self.described: dict[Edge, Described] = {}
        self._gradients: dict[Group, list[Node | None]] = {}

    def measure(self, edges: Sequence[Edge]) -> None:
        """Evaluate the sizes of factors, by which routes are chosen where there are too many to try all."""
        distinct = list(dict.fromkeys(edges))
        if distinct:
            (found,) = self.program.evaluate([gains(self.graph.derivation, distinct)])
            self.gains = dict(zip(distinct, found.tolist(), strict=True))

    def gradient(self, group: Group, k: int) -> Node | None:
        """The gradient of some of the ys by the k-th x; one pass serves all xs."""
        if group not in self._gradients:
            asked = self.asked
            ys, heads = [asked.ys[i] for i in group], [asked.heads[i] for i in group]
            with self.graph.derivation.active():
                self._gradients[group] = reverse.gradients(ys, asked.xs, heads, asked.stops)
        return self._gradients[group][k]


class _Part:
    """The explanation for one x, in the making: each phase asks for the values of nodes, and finds them in ``found``."""

    def __init__(self, whole: _Whole, k: int) -> None:
        self.whole = whole
        self.graph = whole.graph
        self.naming = whole.naming
        self.k = k
        self.name = whole.asked.wrt[k]
        self.x = whole.asked.xs[k]
        self.orders = whole.orders[k]
        since = self.orders.none_since
        self.routes = self._routes() if since is None or whole.order < since else None
        self.found: list[Array] = []
        self.ends: list[Prefix] = []
        self.taken: dict[Prefix, set[Node]] = {}
        self.sums: list[tuple[Group, Node, Node]] = []

    def _routes(self) -> Routes:
        asked, n = self.whole.asked, self.whole.order
        ys, heads = asked.ys, asked.heads
        self.labels = asked.of
        if n > 1:
            with self.graph.derivation.active():
                before = nth_gradient(ys, self.x, n - 1, heads, asked.stops)
            ys, heads = [before] if before is not None else [], [None] if before is not None else []
            self.labels = [f"the derivative of order {n - 1}"]
        flow = self.whole.flow or Flow(ys, asked.stops, [*self.naming.names, self.x])
        return Routes(self.graph.derivation, flow, self.x, heads)

    # phases

    def edges(self) -> list[Edge]:
        """The factors whose sizes decide which routes are tried; none if all are."""
        routes = self.routes
        return [] if routes is None or sum(routes.counts) <= self._candidates(routes) else routes.edges()

    def sizes(self) -> list[Node]:
        """The sizes of the contributions of all candidates."""
        if self.routes is None:
            return []
        self.ends = self.routes.largest(self._candidates(self.routes), self.whole.gains)
        if len(self.ends) < 2:
            return []
        with self.graph.derivation.active():
            routes = self.routes
            parts = [routes.contribution(routes.cotangent(end)) for end in self.ends]
            return [stack(*map(largest_entry, parts), axis=0)]

    def values(self) -> list[Node]:
        """The gradient, the contributions and the values along the routes that are shown."""
        routes = self.routes
        if routes is None:
            return []
        if self.found:
            sizes = [math.inf if math.isnan(size) else size for size in self.found[0].tolist()]
            ranked = sorted(range(len(sizes)), key=lambda k: -sizes[k])
            self.ends = [self.ends[k] for k in ranked]
        self.ends = self.ends[: self.whole.most]
        self.taken = taken(self.ends)
        self.total = self._sum(routes, tuple(range(len(routes.ys))))
        groups = self._groups(routes)
        for group in groups:
            whole = self.total if len(groups) == 1 else self._sum(routes, group)
            self.sums.append((group, whole, self._rest(routes, group, whole)))
        return list(self._collected(routes))

    def _rest(self, routes: Routes, group: Group, whole: Node) -> Node:
        """What the routes of some ys contribute that are not shown."""
        if len(routes.order) * len(self.whole.asked.xs) <= MOST_SWEPT:
            return routes.contribution(routes.rest(group, self.ends))
        with self.graph.derivation.active():
            for end in self.ends:
                if end.start in group:
                    whole = whole - routes.contribution(routes.cotangent(end))
        return whole

    def _candidates(self, routes: Routes) -> int:
        """How many routes are tried, to show the largest: fewer where routes are long."""
        most = self.whole.most
        effort = EFFORT // max(len(routes.order) * len(self.whole.asked.xs), 1)
        return max(most, min(2 * most + 40, effort))

    def _sum(self, routes: Routes, group: Group) -> Node:
        """What all routes of some ys contribute, in one pass."""
        if self.whole.order > 1:
            return routes.contribution(routes.rest(group, ()))
        g = self.whole.gradient(group, self.k)
        return g if g is not None else routes.contribution(None)

    def _groups(self, routes: Routes) -> list[Group]:
        """The ys that contribute, those told apart each in a group of its own."""
        some = [k for k, count in enumerate(routes.counts) if count]
        if len(some) <= OUTPUTS:
            return [(k,) for k in some]
        shown = list(dict.fromkeys([end.start for end in self.ends]))[:OUTPUTS]
        return [*((k,) for k in shown), tuple([k for k in some if k not in shown])]

    def _collected(self, routes: Routes) -> dict[Node, None]:
        nodes = [self.total, *[node for _, whole, rest in self.sums for node in (whole, rest)]]
        for end in self.ends:
            nodes.append(routes.contribution(routes.cotangent(end)))
            for before, after in _shown(end)[0]:
                values = _factor(routes, before, after), _arrived(routes, after)
                nodes += [node for node in values if node is not None]
        return dict.fromkeys(nodes)

    # the explanation

    def explanation(self) -> Explanation:
        """The answer, once the values of the last phase are there."""
        if self.routes is None:
            return self._none()
        routes = self.routes
        values = dict(zip(self._collected(routes), self.found, strict=True))
        contributions = [self._contribution(routes, *sums, values) for sums in self.sums]
        ways = self._ways() if self.whole.order == 1 else []
        return Explanation(self.name, values[self.total], None, contributions, ways, [], *self.orders)

    def _none(self) -> Explanation:
        asked = self.whole.asked
        if self.orders.none_since != 1 and self.orders.note is not None:
            return Explanation(self.name, None, Reason(self.orders.note), [], [], [], *self.orders)
        reason = reason_for(self.graph, asked.of, asked.ys, self.name, self.x, asked.stops)
        ways = self._ways()
        close = []
        if not ways and self.x not in asked.ys:
            close = near(self.graph, self.naming, asked.of, asked.ys, self.name, self.x)
        return Explanation(self.name, None, reason, [], ways, close, *self.orders)

    def _ways(self) -> list[Way]:
        whole = self.whole
        return ways_of(self.graph, whole.asked, self.name, self.x, whole.most) if whole.cut[self.k] else []

    def _contribution(
        self, routes: Routes, group: Group, whole: Node, rest: Node, values: Mapping[Node, Array]
    ) -> Contribution:
        shown = [self._route(routes, end, values) for end in self.ends if end.start in group]
        count = sum([routes.counts[k] for k in group])
        others = values[rest] if count > len(shown) else None
        return Contribution([self.labels[k] for k in group], values[whole], count, shown, others)

    def _route(self, routes: Routes, end: Prefix, values: Mapping[Node, Array]) -> Route:
        pairs, omitted = _shown(end)
        steps = [
            Step(
                *self._described(routes, before.node, after.node),
                _at(values, _factor(routes, before, after)),
                _at(values, _arrived(routes, after)),
            )
            for before, after in pairs
        ]
        return Route(values[routes.contribution(routes.cotangent(end))], self._through(end), steps, omitted)

    def _described(self, routes: Routes, node: Node, x: Node) -> Described:
        """What a step says of an operation and one of its inputs, whatever the route."""
        known = self.whole.described
        if (node, x) not in known:
            known[node, x] = (
                node.op.name,
                self.naming.formula(node),
                self.naming.name(x),
                self.graph.labels(node),
                *self._formula(routes, node, x),
            )
        return known[node, x]

    def _through(self, end: Prefix) -> list[str]:
        """What follows on a route where others that are shown go another way; operands of one name are numbered."""
        forks = [(before, after) for before, after in end.steps() if len(self.taken[before]) > 1]
        if len(forks) > FORKS:
            return [*map(self._fork, forks[: FORKS // 2]), "…", *map(self._fork, forks[-FORKS // 2 :])]
        return [*map(self._fork, forks)]

    def _fork(self, edge: tuple[Prefix, Prefix]) -> str:
        before, after = edge
        name = self.naming.name(after.node)
        if [self.naming.name(x) for x in self.taken[before]].count(name) > 1:
            assert self.routes is not None
            inputs = before.node.inputs
            terms = inputs if after.node in inputs else list(self.routes.flow.below[before.node])
            name += f" ({'operand' if terms is inputs else 'term'} {terms.index(after.node) + 1})"
        return name

    def _formula(self, routes: Routes, node: Node, x: Node) -> tuple[str, bool]:
        """The local derivative, or what a linear map does, and whether it is one."""
        if sign := routes.sign(node, x):
            return str(sign), False
        factor = self.naming.factor(node, x)
        if factor == "1" and node.shape != x.shape:
            return f"g is summed to the shape {list(x.shape)}", True
        if factor is not None:
            return factor, False
        return self.naming.linear_map(node, x), not node.op.entrywise


def _shown(end: Prefix) -> tuple[list[tuple[Prefix, Prefix]], int]:
    """The steps of a route that are shown, without conversions, and how many are left out."""
    steps = [(before, after) for before, after in end.steps() if before.node.op is not cast]
    if len(steps) <= STEPS:
        return steps, 0
    return [*steps[: STEPS // 2], *steps[-STEPS // 2 :]], len(steps) - STEPS


def _factor(routes: Routes, before: Prefix, after: Prefix) -> Node | None:
    """The local derivative, entry by entry, where it is one."""
    node, x = before.node, after.node
    if not node.op.entrywise or node.shape != x.shape or size_of(x.shape) > SMALL:
        return None
    return routes.local(node, x)


def _arrived(routes: Routes, prefix: Prefix) -> Node | None:
    c = routes.cotangent(prefix)
    return c.g if c is not None and size_of(c.g.shape) <= SMALL else None


def _at(values: Mapping[Node, Array], node: Node | None) -> Array | None:
    return values[node] if node is not None else None
