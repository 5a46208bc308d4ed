"""Where a program is not smooth at the point at which it is evaluated, and what its derivatives are taken as there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcli.diagnostics import Span
from gradcli.graph.loops import Body, arguments, results, together
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.corners import Corner
from gradcli.graph.ops.creation import loop
from gradcli.graph.types import is_float, size_of
from gradcli.program import query
from gradcli.program.loaded import array_node
from gradcli.results import Kink
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.program.loaded import Loaded

Array = np.ndarray[Any, Any]

Found = dict[tuple[str, "Span | None"], Kink]

CHUNK = 1 << 22
"""Bytes of the values of steps that are looked at together."""


def corner_of(node: Node) -> Corner | None:
    """The corner of an operation, if it has one on such inputs."""
    corner = node.op.corner
    return corner if corner is not None and (corner.when is None or corner.when(node)) else None


def suspects(roots: Sequence[Node], xs: Sequence[Node] | None) -> list[Node]:
    """The operations that have a kink somewhere and depend on some x (None: on some float), inputs before users."""
    return _suspects(cone(roots), set(xs or ()), xs is None)[0]


def _suspects(nodes: Sequence[Node], moving: set[Node], floats: bool) -> tuple[list[Node], list[Node]]:
    """Those among some nodes, and the results of loops that depend on what moves, or on floats, which ``moving`` gets."""
    found: list[Node] = []
    results: list[Node] = []
    for node in nodes:
        if floats and is_float(node.dtype) or any([x in moving for x in node.inputs]):
            moving.add(node)
        if any([x in moving for x in node.inputs]):
            if node.op is loop:
                results.append(node)
            elif corner_of(node) is not None:
                found.append(node)
    return found, results


def needed(nodes: Sequence[Node]) -> list[Node]:
    """What must be evaluated to tell whether they are at their kinks."""
    return list(dict.fromkeys([node for suspect in nodes for node in (*suspect.inputs, suspect)]))


def met(nodes: Sequence[Node], values: Mapping[Node, Array], place: Callable[[Node], Span | None]) -> list[Kink]:
    """The kinks on which the point lies exactly, each place once."""
    found: Found = {}
    for node in nodes:
        with np.errstate(all="ignore"):
            _add(found, node, np.asarray(_on(node, values)), place)
    return list(found.values())


def _on(node: Node, values: Mapping[Node, Array]) -> Any:
    corner = node.op.corner
    assert corner is not None
    return corner.test(np, node, [np.asarray(values[x]) for x in node.inputs], np.asarray(values[node]))


def _add(found: Found, node: Node, on: Array, place: Callable[[Node], Span | None]) -> None:
    """Note that some entries of an operation sit on its kink."""
    count = int(np.count_nonzero(on))
    corner = node.op.corner
    if not count or corner is None:
        return
    text = f"{corner.called or node.op.name} {corner.text}"
    span = place(node)
    if (text, span) not in found or found[text, span].entries < count:
        found[text, span] = Kink(text, span, count, on.size, corner.slope.format(**node.attrs))


def of_gradients(
    program: Loaded, of: Sequence[str] | None, wrt: Sequence[str] | None, stop: Sequence[str]
) -> list[Kink]:
    """:func:`at_the_point` of the values that gradients of some names by others are of, in each step of loops."""
    asked = query.question(program, of, wrt, {}, stop)
    return at_the_point(program, asked.ys, asked.xs)


def of_values(program: Loaded, of: Sequence[str] | None) -> list[Kink]:
    """The same of the values of some names."""
    return at_the_point(program, query.value_nodes(program, of), None)


def at_the_point(program: Loaded, roots: Sequence[Node], xs: Sequence[Node] | None) -> list[Kink]:
    """The kinks on which the evaluation of the roots sits exactly, those of the program's own operations in every step.

    What depends on a variable without a value, which a gradient may not need, is left out.
    """
    search = _Search(program, program.without_value(roots), xs is None)
    watched = search.among(cone(roots), set(xs or ()))
    search.judge(watched, dict(zip(watched.asked, program.evaluate(watched.asked), strict=True)))
    return list(search.found.values())


class _Watched(NamedTuple):
    """Operations with a kink, and loops, that depend on what moves; ``asked`` are the nodes whose values say what is met."""

    own: list[Node]
    groups: list[list[Node]]
    moving: set[Node]
    asked: list[Node]


class _Search:
    """Kinks that are found in a program and in the steps of its loops.

    Nodes in ``skip`` are left out; with ``floats`` whatever is a float may move.
    """

    def __init__(self, program: Loaded, skip: set[Node], floats: bool) -> None:
        self.program = program
        self.skip = skip
        self.floats = floats
        self.found: Found = {}

    def among(self, nodes: Sequence[Node], moving: set[Node]) -> _Watched:
        """What to look at among nodes, given inputs before users, from what moves."""
        own, results = _suspects(nodes, moving, self.floats)
        left_out = self.program.graph.derivation.origin
        own, results = ([x for x in some if x not in left_out and x not in self.skip] for some in (own, results))
        groups = together(results)
        given = [x for group in groups for x in arguments(group).values()]
        return _Watched(own, groups, moving, list(dict.fromkeys([*needed(own), *given])))

    def judge(self, watched: _Watched, values: Mapping[Node, Array], steps: int | None = None) -> None:
        """Look at the values of one evaluation, or those of so many steps, stacked."""
        place = self.program.graph.span
        with np.errstate(all="ignore"):
            for node in watched.own:
                parts = (node, *node.inputs)
                if steps is None:
                    _add(self.found, node, np.asarray(_on(node, values)), place)
                elif not any([x.shape for x in parts]):
                    _add(self.found, node, np.asarray(np.any(_on(node, values))), place)
                else:
                    for t in range(steps):
                        _add(self.found, node, np.asarray(_on(node, {x: values[x][t] for x in parts})), place)
        for group in watched.groups:
            inner = self._inside(group, watched.moving)
            if inner.asked:
                given = {p: values[x] for p, x in arguments(group).items()}
                for one in [given] if steps is None else [{p: x[t] for p, x in given.items()} for t in range(steps)]:
                    self._in_steps(group[0].attrs["body"], one, inner)

    def _inside(self, group: Sequence[Node], moving: set[Node]) -> _Watched:
        """What to look at in the body of a loop."""
        body: Body = group[0].attrs["body"]
        wanted = [x.attrs["result"] for x in group]
        roots = [*[body.following[i] for i in body.live(wanted)], *[body.root(r) for r in wanted]]
        starts = body.changing([p for p, x in arguments(group).items() if x in moving], "uses")
        nodes = [x for x in cone(roots, body.parameters) if x not in body.number]
        return self.among(nodes, {body.parameters[p] for p in starts})

    def _in_steps(self, body: Body, given: Mapping[int, Array], inner: _Watched) -> None:
        """Look at each step of a loop; the values of as many steps as take up ``CHUNK`` bytes are there at once."""
        first, last = len(body.states), len(body.states) + len(body.elements)
        asked = [*inner.asked, *([] if body.done is None else [body.states[body.done]])]
        most = max(1, CHUNK // (8 * sum([size_of(x.shape) for x in asked])))
        parts: dict[int, Body] = {}
        now = dict(given)
        for start in range(0, body.count, most):
            count = min(most, body.count - start)
            part = parts.setdefault(
                count,
                Body(
                    body.states, body.elements, body.fixed, body.following, asked, count, body.backwards, body.done
                ),
            )  # fmt: skip
            emits = [part.emits(k) for k in range(len(asked))]
            live = part.live(emits)
            rows = (
                slice(body.count - start - count, body.count - start) if body.backwards else slice(start, start + count)
            )
            args = [now.get(p) for p in range(len(body.parameters))]
            nodes = [
                None if x is None else array_node(np.asarray(x[rows] if first <= p < last else x))
                for p, x in enumerate(args)
            ]
            found = self.program.evaluate(results(part, nodes, [*live, *emits]))
            now.update(zip(live, found, strict=False))
            stacks = found[len(live) :]
            if body.done is not None:
                ended = stacks.pop()
                stacks = [x[~ended] for x in stacks]
                count = int(np.count_nonzero(~ended))
            self.judge(inner, dict(zip(inner.asked, stacks, strict=True)), count)
            if body.done is not None and now[body.done]:
                break
