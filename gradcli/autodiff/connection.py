"""Why a gradient is None: where the ways from x to y are cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Repeated
from gradcli.graph.ops.ruled import solution
from gradcli.tuples import NamedTuple

Kind = Literal["unused", "stopped", "operation"]

MANY = 10**15
"""Ways are counted up to this number: there may be exponentially many."""


class Cut(NamedTuple):
    """An edge through which no gradient passes, the first one on some ways from y down to x.

    ``kind`` is ``unused`` (y does not depend on x at all; ``node`` is None), ``stopped`` (``node`` is one of the stops)
    or ``operation`` (``node``'s operation has no derivative for its input ``below``). ``ways`` counts the ways on
    which it is the first cut; ``last`` says that some of them are open below it, so that removing it connects x.
    """

    kind: Kind
    node: Node | None
    below: Node | None = None
    ways: int = 0
    last: bool = False


class Ways(NamedTuple):
    """The ways from x to some ys: whether a gradient passes on some, and where the others are cut."""

    open: bool
    cuts: list[Cut]


def connections(ys: Sequence[Node], xs: Sequence[Node]) -> list[list[bool]]:
    """For each y, from which of the xs a differentiable path leads to it."""
    found = reached(ys, xs, differentiable=True)
    return [[bool(found[y] >> i & 1) for i in range(len(xs))] for y in ys]


def reached(ys: Sequence[Node], xs: Sequence[Node], *, differentiable: bool = False) -> dict[Node, int]:
    """Which of the xs, a bit for each, every node below the ys is computed from; or by a differentiable path only."""
    found: dict[Node, int] = {}
    for i, x in enumerate(xs):
        found[x] = found.get(x, 0) | 1 << i
    for node in cone(ys):
        own = found.get(node, 0)
        inputs = node.inputs
        for x in [inputs[i] for i in node.op.differentiable_inputs(node)] if differentiable else _below(node):
            own |= found.get(x, 0)
        found[node] = own
    return found


def cut_off(ys: Sequence[Node], xs: Sequence[Node], stops: Iterable[Node] = ()) -> list[bool]:
    """For each x whether some way from it to the ys is cut, as :func:`find_ways` has it; one pass for all."""
    stopped = set(stops)
    below = reached(ys, xs)
    cut = 0
    open_to = set(ys)
    for node in reversed(cone(ys)):
        if node not in open_to:
            continue
        passing = set() if node in stopped else {node.inputs[i] for i in node.op.differentiable_inputs(node)}
        for x in _below(node):
            if x in passing:
                open_to.add(x)
            else:
                cut |= below[x]
    return [bool(cut >> k & 1) for k in range(len(xs))]


def connected(ys: Sequence[Node]) -> set[Node]:
    """The nodes from which a gradient leads to one of the ys."""
    reached = set(ys)
    todo = list(reached)
    while todo:
        node = todo.pop()
        for i in node.op.differentiable_inputs(node):
            x = node.inputs[i]
            if x not in reached:
                reached.add(x)
                todo.append(x)
    return reached


def _below(node: Node) -> Iterable[Node]:
    """The inputs on which ways go on: those of what solves a system lead through its rule, but for its start."""
    inputs = node.inputs
    return dict.fromkeys(inputs[:1] if node.op is solution else inputs)


def find_cut(ys: Sequence[Node], x: Node, stops: Iterable[Node] = ()) -> Cut | None:
    """The cut that is nearest to y on the ways from x to the ys, or None if some way is open.

    A cut below which the rest of the way to x is open is preferred: removing it connects x.
    """
    found = find_ways(ys, x, stops)
    if found.open:
        return None
    return found.cuts[0] if found.cuts else Cut("unused", None)


def find_ways(ys: Sequence[Node], x: Node, stops: Iterable[Node] = ()) -> Ways:
    """All ways from x to the ys. Each that is cut belongs to the cut that is met first on it, coming from y.

    Cuts below which some way is open come first, then in the order of the program. There are none where no way exists.
    """
    stopped = set(stops)
    nodes = cone(ys, since=x.serial)
    if x not in nodes:
        return Ways(False, [])
    ways = {x: 1}
    opens = {x}
    for node in nodes:
        if node is x:
            continue
        count = sum([ways[i] for i in _below(node) if i in ways])
        if count:
            ways[node] = min(count, MANY)
        if node not in stopped and any([node.inputs[i] in opens for i in node.op.differentiable_inputs(node)]):
            opens.add(node)
    reached: dict[Node, int] = {}
    for y in ys:
        reached[y] = reached.get(y, 0) + 1
    cuts: list[Cut] = []
    for node in reversed(nodes):
        if node not in reached or node is x:
            continue
        passing = set() if node in stopped else {node.inputs[i] for i in node.op.differentiable_inputs(node)}
        for below in _below(node):
            if below in passing:
                reached[below] = min(reached.get(below, 0) + reached[node], MANY)
            elif below in ways:
                kind: Kind = "stopped" if node in stopped else "operation"
                cuts.append(Cut(kind, node, below, min(reached[node] * ways[below], MANY), below in opens))
    cuts.sort(key=lambda cut: (not cut.last, cut.node.serial if cut.node else 0))
    return Ways(any([y in opens for y in ys]), cuts)


def in_body(cut: Cut) -> Cut | None:
    """Where a result of a loop is cut in its body; the cut itself of another operation, None where too few steps are the reason."""
    from gradcli.graph.loops import Body, arguments  # few programs have loops

    while cut.node is not None and cut.below is not None and isinstance(cut.node.op.rule, Repeated):
        body: Body = cut.node.attrs["body"]
        p = next(p for p, x in arguments([cut.node]).items() if x is cut.below)
        following = dict(zip(body.states, body.following, strict=True))
        root = body.root(cut.node.attrs["result"])
        leads = [{body.parameters[i] for i in body.changing([p], through)} for through in ("uses", "gradients")]
        nodes = cone([*body.following, root], body.parameters)
        for node in nodes:
            if any([x in leads[0] for x in node.inputs]):
                leads[0].add(node)
            if any([node.inputs[i] in leads[1] for i in node.op.differentiable_inputs(node)]):
                leads[1].add(node)
        found: list[Cut] = []
        todo, seen = [root], {root}
        while todo:
            node = todo.pop()
            passing = {node.inputs[i] for i in node.op.differentiable_inputs(node)}
            for x in [following[node]] if node in following else _below(node):
                if node not in following and x not in passing:
                    found += [Cut("operation", node, x, 1, x in leads[1])] if x in leads[0] else []
                elif x not in seen:
                    seen.add(x)
                    todo.append(x)
        if not found:
            return None
        cut = min(found, key=lambda c: (not c.last, c.node.serial if c.node else 0))
    return cut
