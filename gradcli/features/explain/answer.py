"""How y depends on each x: the contributions that add up to a gradient, or where each way is cut."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from gradcli.autodiff import reverse
from gradcli.autodiff.connection import cut_off
from gradcli.autodiff.orders import NESTED_UP_TO, nth_gradient, nth_gradients
from gradcli.diagnostics import Label
from gradcli.features.explain.cuts import orders_of, ways_of
from gradcli.features.explain.explanation import Contribution, Explained, Explanation, Route, Step, Way
from gradcli.features.explain.near import Near, near
from gradcli.features.explain.paths import Edge
from gradcli.features.explain.routes import Flow, Forks, Prefix, Routes, gains, largest, largest_entry, routes_to
from gradcli.graph.node import Node
from gradcli.graph.ops.selection import cast
from gradcli.graph.ops.slicing import stack
from gradcli.graph.types import size_of
from gradcli.language.naming import Naming
from gradcli.language.reasons import reasons
from gradcli.program import query
from gradcli.program.loaded import Loaded
from gradcli.program.query import Question
from gradcli.results import Reason
from gradcli.tuples import NamedTuple

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
    parts = question.parts()
    for phase in (_Part.sizes, _Part.values):
        wanted = [phase(part) for part in parts]
        found = iter(program.evaluate([node for nodes in wanted for node in nodes]))
        for part, nodes in zip(parts, wanted, strict=True):
            part.found = [next(found) for _ in nodes]
    asked = question.asked
    summed = any([size_of(y.shape) != 1 for y in asked.ys])
    return Explained(program.source.name, asked.of, summed, order, question.explanations(parts))


Described = tuple[str, str, str, list[Label], str, bool]
"""The first fields of a step: of an operation its name, its formula, the input, where it stands, and what it does."""


class _Whole:
    """What the explanations for all xs share: the question, names, routes, gradients, and where ways are cut."""

    def __init__(self, program: Loaded, asked: Question, order: int, most: int) -> None:
        self.program = program
        self.graph = program.graph
        self.derivation = program.graph.derivation
        self.asked = asked
        self.order = order
        self.most = most
        self.naming = Naming(self.graph)
        self.orders = orders_of(asked)
        self.all: Group = tuple(range(len(asked.ys) if order == 1 else 1))
        self.described: dict[Edge, Described] = {}
        self._gradients: dict[Group, dict[Node, Node | None]] = {}

    def parts(self) -> list[_Part]:
        """The explanations in the making, the largest routes of each found."""
        parts = [_Part(self, k) for k in range(len(self.asked.xs))]
        self.connected = [part for part in parts if (since := part.orders.none_since) is None or self.order < since]
        flows: list[tuple[Flow, list[_Part]]] = []
        if self.order == 1:
            flows.append((self._flow(self.asked.ys, self.asked.heads), self.connected))
        else:
            for part, before in zip(self.connected, self._before([part.x for part in self.connected]), strict=True):
                ys = [before] if before is not None else []
                flows.append((self._flow(ys, [None] * len(ys)), [part]))
        for flow, some in flows:
            for part, routes in zip(some, routes_to(flow, [part.x for part in some]), strict=True):
                part.routes = routes
        self.xs_of: dict[int, list[Node]] = {}
        for part in self.connected:
            for start in part.routes.counts if part.routes is not None else ():
                self.xs_of.setdefault(start, []).append(part.x)
        gains = self._measured([edge for flow, some in flows for edge in flow.edges(_with_choice(some))])
        for _, some in flows:
            all_routes = [part.routes for part in some if part.routes is not None]
            for part, ends in zip(some, largest(all_routes, [part.candidates for part in some], gains), strict=True):
                part.ends = ends
        return parts

    def _flow(self, ys: Sequence[Node], heads: Sequence[Node | None]) -> Flow:
        return Flow(self.derivation, ys, heads, self.asked.stops, self.naming.names)

    def _before(self, xs: Sequence[Node]) -> list[Node | None]:
        """The derivatives of the order before."""
        ys, heads, stops, n = self.asked.ys, self.asked.heads, self.asked.stops, self.order - 1
        with self.derivation.active():
            if n <= NESTED_UP_TO:
                return nth_gradients(ys, xs, n, heads, stops)
            return [nth_gradient(ys, x, n, heads, stops) for x in xs]

    def _measured(self, edges: Sequence[Edge]) -> dict[Edge, float]:
        """The sizes of factors, by which routes are chosen where there are too many to try all."""
        distinct = list(dict.fromkeys(edges))
        if not distinct:
            return {}
        (found,) = self.program.evaluate([gains(self.derivation, distinct)])
        return dict(zip(distinct, found.tolist(), strict=True))

    def gradient(self, group: Group, x: Node) -> Node | None:
        """The gradient of some of the ys by an x; one pass serves all xs that they lead to."""
        known = self._gradients.setdefault(group, {})
        if x not in known:
            asked = self.asked
            ys, heads = [asked.ys[i] for i in group], [asked.heads[i] for i in group]
            xs = asked.xs if group == self.all else self.xs_of[group[0]] if len(group) == 1 else [x]
            with self.derivation.active():
                known.update(zip(xs, reverse.gradients(ys, xs, heads, asked.stops), strict=True))
        return known[x]

    def explanations(self, parts: Sequence[_Part]) -> list[Explanation]:
        """The answers, once all values are there."""
        asked = self.asked
        cut = cut_off(asked.ys, asked.xs, asked.stops)
        some = [part for part in parts if cut[part.k] and (self.order == 1 if part.routes else part.is_never_connected)]
        for part, ways in zip(some, self._ways(some), strict=True):
            part.ways = ways
        unexplained = [part for part in parts if part.routes is None and part.is_never_connected]
        for part, reason in zip(unexplained, self._reasons(unexplained), strict=True):
            part.reason = reason
        unused = [part for part in unexplained if not part.ways and part.x not in set(asked.ys)]
        for part, close in zip(unused, self._near(unused), strict=True):
            part.close = close
        return [part.explanation() for part in parts]

    def _ways(self, parts: Sequence[_Part]) -> list[list[Way]]:
        names, xs = [part.name for part in parts], [part.x for part in parts]
        return ways_of(self.graph, self.asked, names, xs, self.most) if parts else []

    def _reasons(self, parts: Sequence[_Part]) -> list[Reason]:
        names, xs = [part.name for part in parts], [part.x for part in parts]
        return reasons(self.graph, self.asked.of, self.asked.ys, names, xs, self.asked.stops)

    def _near(self, parts: Sequence[_Part]) -> list[list[Near]]:
        names, xs = [part.name for part in parts], [part.x for part in parts]
        return near(self.graph, self.naming, self.asked.of, self.asked.ys, names, xs) if parts else []


def _with_choice(parts: Sequence[_Part]) -> list[Node]:
    """The xs to which more routes lead than are tried."""
    return [part.x for part in parts if part.count > part.candidates]


class _Shown(NamedTuple):
    """A route that is shown: its contribution, each step with its factor and what has arrived after it, and how many are left out."""

    contribution: Node
    steps: list[tuple[Prefix, Prefix, Node | None, Node | None]]
    omitted: int


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
        self.labels = whole.asked.of if whole.order == 1 else [f"the derivative of order {whole.order - 1}"]
        self.routes: Routes | None = None
        self.found: list[Array] = []
        self.ends: list[Prefix] = []
        self.sums: list[tuple[Group, Node, Node | None]] = []
        self.shown: dict[Prefix, _Shown] = {}
        self.ways: list[Way] = []
        self.reason: Reason | None = None
        self.close: list[Near] = []

    @property
    def count(self) -> int:
        """How many routes there are."""
        return sum(self.routes.counts.values()) if self.routes is not None else 0

    @property
    def candidates(self) -> int:
        """How many routes are tried, to show the largest: fewer where routes are long."""
        most = self.whole.most
        effort = EFFORT // max(self._effort, 1)
        return max(most, min(2 * most + 40, effort))

    @property
    def _effort(self) -> int:
        return self.routes.passed * len(self.whole.asked.xs) if self.routes is not None else 0

    @property
    def is_never_connected(self) -> bool:
        """Whether the gradient is None at every order, and not only from some order on."""
        return self.orders.none_since == 1 or self.orders.note is None

    # phases

    def sizes(self) -> list[Node]:
        """The sizes of the contributions of all candidates, if they are more than are shown."""
        routes = self.routes
        if routes is None or len(self.ends) <= self.whole.most:
            return []
        with self.whole.derivation.active():
            return [stack(*[largest_entry(routes.along(end)) for end in self.ends], axis=0)]

    def values(self) -> list[Node]:
        """The gradient, the contributions and the values along the routes that are shown."""
        routes = self.routes
        if routes is None:
            return []
        if self.found:
            self.ends = _ranked(self.ends, self.found[0].tolist())[: self.whole.most]
        self.forks = Forks(self.ends)
        self.total = self._sum(routes, self.whole.all)
        groups = self._groups(routes)
        for group in groups:
            shown = sum([end.start in group for end in self.ends])
            whole = self.total if len(groups) == 1 else self._part(routes, group)
            rest = self._rest(routes, group, whole) if _count(routes, group) > shown else None
            self.sums.append((group, whole, rest))
        self.wanted = self._collected(routes)
        return self.wanted

    def _rest(self, routes: Routes, group: Group, whole: Node) -> Node:
        """What the routes of some ys contribute that are not shown."""
        if self._effort <= MOST_SWEPT:
            return routes.rest(group, self.ends)
        with self.whole.derivation.active():
            for end in self.ends:
                if end.start in group:
                    whole = whole - routes.along(end)
        return whole

    def _part(self, routes: Routes, group: Group) -> Node:
        """What the routes of some ys contribute, of many that are not told apart what others leave."""
        if len(group) == 1 or self._effort <= MOST_SWEPT:
            return self._sum(routes, group)
        whole = self.total
        with self.whole.derivation.active():
            for _, other, _ in self.sums:
                whole = whole - other
        return whole

    def _sum(self, routes: Routes, group: Group) -> Node:
        """What all routes of some ys contribute, in one pass."""
        if self.whole.order > 1:
            return routes.rest(group[: len(routes.flow.ys)], ())
        g = self.whole.gradient(group, self.x)
        return g if g is not None else routes.contribution(None)

    def _groups(self, routes: Routes) -> list[Group]:
        """The ys that contribute, those told apart each in a group of its own."""
        some = list(routes.counts)
        if len(some) <= OUTPUTS:
            return [(k,) for k in some]
        shown = list(dict.fromkeys([end.start for end in self.ends]))[:OUTPUTS]
        return [*((k,) for k in shown), tuple([k for k in some if k not in shown])]

    def _collected(self, routes: Routes) -> list[Node]:
        nodes: list[Node | None] = [self.total, *[node for _, *pair in self.sums for node in pair]]
        for end in self.ends:
            pairs, omitted = _shown(end)
            steps = [
                (before, after, _factor(routes, before, after), _arrived(routes, after)) for before, after in pairs
            ]
            self.shown[end] = _Shown(routes.along(end), steps, omitted)
            nodes += [self.shown[end].contribution, *[node for step in steps for node in step[2:]]]
        return list(dict.fromkeys([node for node in nodes if node is not None]))

    # the explanation

    def explanation(self) -> Explanation:
        """The answer, once the values of the last phase are there."""
        routes = self.routes
        if routes is None:
            reason = self.reason or Reason(self.orders.note or "")
            return Explanation(self.name, None, reason, [], self.ways, self.close, *self.orders)
        values = dict(zip(self.wanted, self.found, strict=True))
        own = [values[self.shown[end].contribution] for end in self.ends]
        self.ends = _ranked(self.ends, [float(abs(value).max(initial=0)) for value in own])
        contributions = [self._contribution(routes, *sums, values) for sums in self.sums]
        return Explanation(self.name, values[self.total], None, contributions, self.ways, [], *self.orders)

    def _contribution(
        self, routes: Routes, group: Group, whole: Node, rest: Node | None, values: Mapping[Node, Array]
    ) -> Contribution:
        shown = [self._route(routes, end, values) for end in self.ends if end.start in group]
        of = [self.labels[k] for k in group]
        return Contribution(of, values[whole], _count(routes, group), shown, _at(values, rest))

    def _route(self, routes: Routes, end: Prefix, values: Mapping[Node, Array]) -> Route:
        shown = self.shown[end]
        steps = [
            Step(*self._described(routes, before.node, after.node), _at(values, factor), _at(values, arrived))
            for before, after, factor, arrived in shown.steps
        ]
        return Route(values[shown.contribution], self._through(routes, end), steps, shown.omitted)

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

    def _through(self, routes: Routes, end: Prefix) -> list[str]:
        """What follows on a route where others that are shown go another way; operands of one name are numbered."""
        forks = self.forks.on[end]
        shown = forks if len(forks) <= FORKS else [*forks[: FORKS // 2], *forks[-FORKS // 2 :]]
        names = [self._fork(routes, before, after) for before, after in shown]
        return names if len(forks) <= FORKS else [*names[: FORKS // 2], "…", *names[FORKS // 2 :]]

    def _fork(self, routes: Routes, before: Prefix, after: Prefix) -> str:
        name = self.naming.name(after.node)
        if [self.naming.name(x) for x in self.forks.taken[before]].count(name) > 1:
            inputs = before.node.inputs
            terms = inputs if after.node in inputs else list(routes.flow.below[before.node])
            name += f" ({'operand' if terms is inputs else 'term'} {terms.index(after.node) + 1})"
        return name

    def _formula(self, routes: Routes, node: Node, x: Node) -> tuple[str, bool]:
        """The local derivative, or what a linear map does, and whether it is one."""
        if sign := routes.flow.sign(node, x):
            return str(sign), False
        factor = self.naming.factor(node, x)
        if factor == "1" and node.shape != x.shape:
            return f"g is summed to the shape {list(x.shape)}", True
        if factor is not None:
            return factor, False
        return self.naming.linear_map(node, x), not node.op.entrywise


def _ranked(ends: Sequence[Prefix], sizes: Sequence[float]) -> list[Prefix]:
    """Routes by the sizes of their contributions, the largest first, NaN before all."""
    order = sorted(range(len(ends)), key=lambda k: -math.inf if math.isnan(sizes[k]) else -sizes[k])
    return [ends[k] for k in order]


def _count(routes: Routes, group: Group) -> int:
    """How many routes come from some of the ys."""
    return sum([routes.counts[k] for k in group])


def _shown(end: Prefix) -> tuple[list[tuple[Prefix, Prefix]], int]:
    """The steps of a route that are shown, without conversions, and how many are left out."""
    if end.visible <= STEPS:
        return _visible(end, STEPS), 0
    return [*_visible(end.first, STEPS // 2), *_visible(end, STEPS // 2)], end.visible - STEPS


def _visible(end: Prefix, most: int) -> list[tuple[Prefix, Prefix]]:
    """The last steps of a route that are no conversions, from y down."""
    return [*islice((step for step in end.steps() if step[0].node.op is not cast), most)][::-1]


def _factor(routes: Routes, before: Prefix, after: Prefix) -> Node | None:
    """The local derivative, entry by entry, where it is one."""
    node, x = before.node, after.node
    if not node.op.entrywise or node.shape != x.shape or size_of(x.shape) > SMALL:
        return None
    return routes.flow.local(node, x)


def _arrived(routes: Routes, prefix: Prefix) -> Node | None:
    c = routes.flow.cotangent(prefix)
    return c.g if c is not None and size_of(c.g.shape) <= SMALL else None


def _at(values: Mapping[Node, Array], node: Node | None) -> Array | None:
    return values[node] if node is not None else None
