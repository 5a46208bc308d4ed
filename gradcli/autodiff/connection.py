"""Why a gradient is None: where the ways from x to y are cut."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
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


def connections(ys: Sequence[Node], xs: Sequence[Node]) -> list[int]:
    """For each y, from which of the xs, a bit for each, a differentiable path leads to it."""
    found = reached(ys, xs, differentiable=True)
    return [found[y] for y in ys]


def reached(ys: Sequence[Node], xs: Sequence[Node], *, differentiable: bool = False) -> dict[Node, int]:
    """Which of the xs, a bit for each, every node below the ys is computed from; or by a differentiable path only."""
    found: dict[Node, int] = {}
    for i, x in enumerate(xs):
        found[x] = found.get(x, 0) | 1 << i
    for node in cone(ys):
        own = found.get(node, 0)
        inputs = node.inputs
        for x in [inputs[i] for i in node.op.differentiable_inputs(node)] if differentiable else leading(node):
            own |= found.get(x, 0)
        found[node] = own
    return found


def cut_off(ys: Sequence[Node], xs: Sequence[Node], stops: Iterable[Node] = ()) -> list[bool]:
    """For each x whether some way from it to the ys is cut; one pass for all."""
    stopped = set(stops)
    below = reached(ys, xs)
    cut = 0
    open_to = set(ys)
    for node in reversed(cone(ys)):
        if node not in open_to:
            continue
        passing = passed(node, stopped)
        for x in leading(node):
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


def passed(node: Node, stopped: Collection[Node] = ()) -> set[Node]:
    """The inputs that a node passes a gradient on to; none where it is stopped."""
    return set() if node in stopped else {node.inputs[i] for i in node.op.differentiable_inputs(node)}


def leading(node: Node) -> Collection[Node]:
    """The inputs on which ways go on: those of what solves a system lead through its rule, but for its start."""
    inputs = node.inputs
    return dict.fromkeys(inputs[:1] if node.op is solution else inputs)


def first_cuts(ys: Sequence[Node], xs: Sequence[Node], stops: Iterable[Node] = ()) -> list[Cut | None]:
    """For each x the cut that is nearest to y on the ways from it to the ys, or None if some way is open; one pass for all.

    A cut below which the rest of the way to x is open is preferred: removing it connects x. Ways are not counted.
    """
    stopped = set(stops)
    uses: dict[Node, int] = {}
    for k, x in enumerate(xs):
        uses[x] = uses.get(x, 0) | 1 << k
    opens = dict(uses)
    nodes = cone(ys, since=min([x.serial for x in xs], default=0))
    for node in nodes:
        used, open_ = uses.get(node, 0), opens.get(node, 0)
        for x in leading(node):
            used |= uses.get(x, 0)
        for i in node.op.differentiable_inputs(node) if node not in stopped else ():
            open_ |= opens.get(node.inputs[i], 0)
        uses[node], opens[node] = used, open_
    reached = set(ys)
    edges: list[tuple[Node, Node]] = []
    for node in reversed(nodes):
        if node in reached:
            passing = passed(node, stopped)
            below = leading(node)
            reached.update([x for x in below if x in passing])
            edges += [(node, x) for x in below if x not in passing and uses.get(x)]
    edges.sort(key=lambda edge: edge[0].serial)
    found: list[Cut | None] = [None] * len(xs)
    left = 0
    for y in ys:
        left |= uses[y]
    for k in range(len(xs)):
        if not left >> k & 1:
            found[k] = Cut("unused", None)
    for y in ys:
        left &= ~opens[y]
    for last, leads in ((True, opens), (False, uses)):
        for node, x in edges:
            for k in ones(left & leads.get(x, 0)):
                found[k] = Cut("stopped" if node in stopped else "operation", node, x, 0, last)
            left &= ~leads.get(x, 0)
    return found


def ones(bits: int) -> Iterator[int]:
    """The numbers of the bits that are set."""
    while bits:
        k = (bits & -bits).bit_length() - 1
        yield k
        bits &= bits - 1


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
            passing = passed(node)
            for x in [following[node]] if node in following else leading(node):
                if node not in following and x not in passing:
                    found += [Cut("operation", node, x, 1, x in leads[1])] if x in leads[0] else []
                elif x not in seen:
                    seen.add(x)
                    todo.append(x)
        if not found:
            return None
        cut = min(found, key=lambda c: (not c.last, c.node.serial if c.node else 0))
    return cut
