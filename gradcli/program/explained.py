"""How y depends on each x: the contributions that add up to a gradient, or where each way is cut."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gradcli.autodiff import degree, reverse
from gradcli.autodiff.connection import Cut, find_cut, find_ways
from gradcli.autodiff.orders import nth_gradient
from gradcli.autodiff.polynomial import degree_in
from gradcli.autodiff.routes import Edge, Prefix, Routes
from gradcli.diagnostics import Span
from gradcli.graph.node import Node
from gradcli.graph.operation import cast_to, literal
from gradcli.graph.ops.elementwise import absolute
from gradcli.graph.ops.reductions import max_
from gradcli.graph.ops.slicing import stack
from gradcli.graph.types import size_of
from gradcli.language.naming import Naming
from gradcli.language.reasons import explain as reason_for
from gradcli.language.reasons import why
from gradcli.language.remedies import remedy
from gradcli.program.near import Near, near
from gradcli.program.program import Program, Question
from gradcli.results import Reason

Array = Any

STEPS = 20
"""Steps of a route that are shown: of a longer one the first and the last."""

SMALL = 100
"""Entries up to which the values on the way are given."""

EFFORT = 400_000
"""Steps of routes that are tried, if there are more routes than are shown."""

OUTPUTS = 50
"""Outputs whose contributions are told apart."""

CUTS_IN_A_ROW = 5

_ENTRYWISE = {"elementwise", "selection"}
_KINKED = {"abs", "relu", "leaky_relu", "where", "maximum", "minimum", "max", "min", "sort", "mod"}


class Step(NamedTuple):
    """One factor of a route, from a node to one of its inputs.

    ``text`` is the node (``tanh(a)``), ``to`` the input (``a``), ``span`` the node's place. ``formula`` is the local
    derivative and ``factor`` its value; of a ``linear`` map it is what happens to the gradient g. ``gradient`` is what
    has arrived at the input. Large arrays are None.
    """

    operation: str
    text: str
    to: str
    span: Span | None
    formula: str
    linear: bool
    factor: Array | None
    gradient: Array | None


class Route(NamedTuple):
    """A path from y down to x, what it contributes, and its steps; ``omitted`` are left out in the middle."""

    value: Array
    steps: list[Step]
    omitted: int


class Contribution(NamedTuple):
    """What some of the ys contribute: ``routes`` of them all, the largest ``shown``, and what the others add up to."""

    of: list[str]
    value: Array
    routes: int
    shown: list[Route]
    rest: Array | None


class CutPlace(NamedTuple):
    """A cut: what it is and where, and the edit that lets a gradient pass."""

    reason: Reason
    help: str


class Way(NamedTuple):
    """Ways from x to y that are first cut at one place, then at further ones below it if there are several."""

    ways: int
    cuts: list[CutPlace]
    more: bool


class Explanation(NamedTuple):
    """How the ys depend on one x at one order.

    ``value`` is the gradient, or None for ``reason``. ``none_since`` and ``zero_since`` are the orders from which it is
    None, and 0 whatever the values are; ``note`` says why.
    """

    name: str
    value: Array | None
    reason: Reason | None
    contributions: list[Contribution]
    ways: list[Way]
    near: list[Near]
    none_since: int | None
    zero_since: int | None
    note: str | None


class Explained(NamedTuple):
    """The answer of ``gradcli explain``."""

    file: str
    of: list[str]
    summed: bool
    order: int
    explanations: list[Explanation]


def explain(
    program: Program,
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
    asked = program.question(of, wrt, seeds, stop)
    parts = [_Part(program, asked, name, x, order, most) for name, x in zip(asked.wrt, asked.xs, strict=True)]
    for phase in (_Part.gains, _Part.sizes, _Part.values):
        wanted = [phase(part) for part in parts]
        found = iter(program._evaluate([node for nodes in wanted for node in nodes]))
        for part, nodes in zip(parts, wanted, strict=True):
            part.got([next(found) for _ in nodes])
    summed = any([size_of(y.shape) != 1 for y in asked.ys])
    return Explained(program.source.name, asked.of, summed, order, [part.explanation() for part in parts])


class _Part:
    """The explanation for one x, in the making: each phase asks for the values of nodes and gets them."""

    def __init__(self, program: Program, asked: Question, name: str, x: Node, order: int, most: int) -> None:
        self.program = program
        self.graph = program._graph
        self.naming = Naming(self.graph)
        self.asked = asked
        self.name = name
        self.x = x
        self.order = order
        self.most = most
        self.last = degree.last_order(asked.ys, x, asked.stops, asked.heads)
        self.routes: Routes | None = None
        self.found: list[Array] = []
        self.edges: list[Edge] = []
        self.ends: list[Prefix] = []
        self.sums: list[tuple[list[int], Node, Node]] = []
        self.labels = asked.of
        ys, heads = asked.ys, asked.heads
        if order > self.last:
            return
        if order > 1:
            with self.graph.derivation.active():
                before = nth_gradient(ys, x, order - 1, heads, asked.stops)
            ys, heads = [before] if before is not None else [], [None] if before is not None else []
            self.labels = [f"the derivative of order {order - 1}"]
        with self.graph.derivation.active():
            (g,) = reverse.gradients(ys, [x], heads, asked.stops)
            self.total = reverse.zero_gradient(x) if g is None else g
        self.routes = Routes(self.graph.derivation, ys, x, heads, asked.stops)

    # phases

    def got(self, values: list[Array]) -> None:
        self.found = values

    def gains(self) -> list[Node]:
        """The sizes of the factors, by which routes are chosen where there are too many to try all."""
        if self.routes is None or sum(self.routes.counts) <= self._candidates:
            return []
        self.edges = self.routes.edges()
        sizes = self.routes.gains(self.edges)
        return [] if sizes is None else [sizes]

    def sizes(self) -> list[Node]:
        """The sizes of the contributions of all candidates."""
        if self.routes is None:
            return []
        gains = dict(zip(self.edges, self.found[0].tolist(), strict=True)) if self.found else {}
        self.ends = self.routes.largest(self._candidates, gains)
        if len(self.ends) < 2:
            return []
        with self.graph.derivation.active():
            return [stack(*[self._size(end) for end in self.ends], axis=0)]

    def values(self) -> list[Node]:
        """The gradient, the contributions and the values along the routes that are shown."""
        if self.routes is None:
            return []
        if self.found:
            sizes = [math.inf if math.isnan(size) else size for size in self.found[0].tolist()]
            ranked = sorted(range(len(sizes)), key=lambda k: -sizes[k])
            self.ends = [self.ends[k] for k in ranked]
        self.ends = self.ends[: self.most]
        contribution, rest = self.routes.contribution, self.routes.rest
        self.sums = [
            (group, contribution(rest(group, ())), contribution(rest(group, self.ends))) for group in self._groups()
        ]
        return list(self._collected())

    @property
    def _candidates(self) -> int:
        """How many routes are tried, of which the largest are shown: fewer where routes are long."""
        length = len(self.routes.order) if self.routes is not None else 1
        return max(self.most, min(2 * self.most + 40, EFFORT // max(length, 1)))

    def _size(self, end: Prefix) -> Node:
        assert self.routes is not None
        g = self.routes.contribution(self.routes.cotangent(end))
        return cast_to(max_(absolute(g), axis=None), "float64") if size_of(g.shape) else literal(0.0, "float64")

    def _groups(self) -> list[list[int]]:
        """The numbers of the ys that contribute, those told apart each in a group of its own."""
        assert self.routes is not None
        some = [k for k, count in enumerate(self.routes.counts) if count]
        if len(some) <= OUTPUTS:
            return [[k] for k in some]
        shown = list(dict.fromkeys([end.start for end in self.ends]))[:OUTPUTS]
        return [*([k] for k in shown), [k for k in some if k not in shown]]

    def _collected(self) -> dict[Node, None]:
        routes = self.routes
        assert routes is not None
        nodes = [self.total, *[node for _, whole, rest in self.sums for node in (whole, rest)]]
        for end in self.ends:
            nodes.append(routes.contribution(routes.cotangent(end)))
            for before, after in _shown(end)[0]:
                nodes += [n for n in (self._factor(before, after), self._arrived(after)) if n is not None]
        return dict.fromkeys(nodes)

    def _factor(self, before: Prefix, after: Prefix) -> Node | None:
        """The local derivative, entry by entry, where it is one."""
        node, x = before.node, after.node
        if node.op.family not in _ENTRYWISE or node.shape != x.shape or size_of(x.shape) > SMALL:
            return None
        assert self.routes is not None
        return self.routes.local(node, x)

    def _formula(self, node: Node, x: Node) -> tuple[str, bool]:
        factor = self.naming.factor(node, x)
        return (
            (factor, False)
            if factor is not None
            else (self.naming.linear_map(node, x), node.op.family not in _ENTRYWISE)
        )

    def _arrived(self, prefix: Prefix) -> Node | None:
        assert self.routes is not None
        c = self.routes.cotangent(prefix)
        return c.g if c is not None and size_of(c.g.shape) <= SMALL else None

    # the explanation

    def explanation(self) -> Explanation:
        none_since = int(self.last) + 1 if math.isfinite(self.last) else None
        asked = self.asked
        power = degree_in(asked.ys, self.x, asked.stops, asked.heads)
        zero_since = int(power) + 1 if math.isfinite(power) else None
        if zero_since is not None and none_since is not None and zero_since >= none_since:
            zero_since = None
        note = self._note(none_since, zero_since, power)
        if self.routes is None:
            return self._none(none_since, zero_since, note)
        values = dict(zip(self._collected(), self.found, strict=True))
        return Explanation(
            self.name, values[self.total], None, [self._contribution(*sums, values) for sums in self.sums],
            self._ways() if self.order == 1 else [], [], none_since, zero_since, note,
        )  # fmt: skip

    def _note(self, none_since: int | None, zero_since: int | None, power: float) -> str | None:
        y = " + ".join(self.asked.of)
        nodes = reverse.dependents(self.asked.ys, self.x)
        piecewise = "piecewise " if any([n.op.name in _KINKED for n in nodes]) else ""
        shape = f"{y} is {piecewise}of degree {power:.0f} in {self.name}"
        notes: list[str] = []
        if zero_since is not None:
            notes.append(f"0 since order {zero_since}: {shape}")
        if none_since is not None and none_since > 1:
            why = shape if power + 1 == none_since else f"the derivative before it does not use {self.name}"
            notes.append(f"None since order {none_since}" + ("" if notes else f": {why}"))
        return ", ".join(notes) or None

    def _none(self, none_since: int | None, zero_since: int | None, note: str | None) -> Explanation:
        asked = self.asked
        if none_since != 1 and note is not None:
            return Explanation(self.name, None, Reason(note), [], [], [], none_since, zero_since, note)
        reason = reason_for(self.graph, asked.of, asked.ys, self.name, self.x, asked.stops)
        ways = self._ways()
        close = [] if ways or self.x in asked.ys else near(
            self.graph, self.naming, asked.of, asked.ys, self.name, self.x
        )  # fmt: skip
        return Explanation(self.name, None, reason, [], ways, close, none_since, zero_since, note)

    def _ways(self) -> list[Way]:
        found = find_ways(self.asked.ys, self.x, self.asked.stops).cuts
        ways = [self._way(cut) for cut in found[: self.most]]
        rest = sum([cut.ways for cut in found[self.most :]])
        return [*ways, Way(rest, [], True)] if rest else ways

    def _way(self, cut: Cut) -> Way:
        cuts = [cut]
        while not cuts[-1].last and len(cuts) < CUTS_IN_A_ROW:
            below = cuts[-1].below
            following = find_cut([below], self.x, self.asked.stops) if below is not None else None
            if following is None or following.node is None:
                break
            cuts.append(following)
        places = [CutPlace(why(self.graph, c, self.name, self.x), remedy(self.graph, c)) for c in cuts]
        return Way(cut.ways, places, not cuts[-1].last)

    def _contribution(self, group: list[int], whole: Node, rest: Node, values: Mapping[Node, Array]) -> Contribution:
        routes = self.routes
        assert routes is not None
        ends = [end for end in self.ends if end.start in group]
        count = sum([routes.counts[k] for k in group])
        shown = [self._route(end, values) for end in ends]
        others = values[rest] if count > len(shown) else None
        return Contribution([self.labels[k] for k in group], values[whole], count, shown, others)

    def _route(self, end: Prefix, values: Mapping[Node, Array]) -> Route:
        assert self.routes is not None
        pairs, omitted = _shown(end)
        steps = [
            Step(
                before.node.op.name,
                self.naming.formula(before.node),
                self.naming.name(after.node),
                self.graph.span(before.node),
                *self._formula(before.node, after.node),
                _at(values, self._factor(before, after)),
                _at(values, self._arrived(after)),
            )
            for before, after in pairs
        ]
        return Route(values[self.routes.contribution(self.routes.cotangent(end))], steps, omitted)


def _shown(end: Prefix) -> tuple[list[tuple[Prefix, Prefix]], int]:
    """The steps of a route that are shown, without conversions, and how many are left out."""
    steps = [(before, after) for before, after in end.steps() if before.node.op.name != "cast"]
    if len(steps) <= STEPS:
        return steps, 0
    return [*steps[: STEPS // 2], *steps[-STEPS // 2 :]], len(steps) - STEPS


def _at(values: Mapping[Node, Array], node: Node | None) -> Array | None:
    return values[node] if node is not None else None
