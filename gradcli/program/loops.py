"""Loops made ready for a plan: the results of one loop become one run of it, and its body is simplified and planned once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from gradcli.execute.newton import Solver
from gradcli.execute.repeat import Loop
from gradcli.graph.loops import Body, with_runs
from gradcli.graph.node import Node, cone, uncollected
from gradcli.graph.operation import literal
from gradcli.graph.ops.creation import loop, loop_result, loop_run
from gradcli.graph.ops.ruled import System, solution
from gradcli.graph.switches import without
from gradcli.program.apart import taken_apart
from gradcli.rewrite.simplify import Simplified
from gradcli.tuples import NamedTuple


class Runs(NamedTuple):
    """What runs loops and solves systems: from a simplified body, or system, to what is called with the arguments.

    With ``apart`` what steps need not do one after another leaves the loop (:mod:`gradcli.program.apart`).
    """

    loop: Callable[..., Any]
    solver: Callable[..., Any]
    apart: bool = False


NUMPY = Runs(Loop, Solver)
PLANNED = Runs(Loop, Solver, apart=True)

OFTEN = 10
"""Runs for which a plan that is repeated is made ready, at least."""

_solvers: WeakKeyDictionary[System, dict[Runs, Any]] = WeakKeyDictionary()
_made: WeakKeyDictionary[Body, dict[tuple[Runs, tuple[int, ...], tuple[int, ...]], Any]] = WeakKeyDictionary()


def lowered(
    targets: Sequence[Node], known: Collection[Node] = (), runs: int = 1, by: Runs = NUMPY
) -> tuple[list[Node], dict[Node, Node]]:
    """The targets with runs of loops in place of their results, and what each new node stands for.

    They are computed so often (``runs``), as far as is known, ``by`` NumPy or another engine.
    """
    known = set(known)
    nodes = cone(targets, known)
    if not any([node.op in (loop, solution) and node not in known for node in nodes]):
        return list(targets), {}
    parts: dict[Node, Node] = {}
    if by.apart:
        targets, parts = taken_apart(targets, known)
        nodes = cone(targets, known)

    def made(body: Body, wanted: Sequence[int], given: Sequence[int]) -> Any:
        return _function(body, tuple(wanted), tuple(given), runs, by)

    def solved(node: Node, inputs: tuple[Node, ...]) -> Node | None:
        """A run of what solves a system, in place of its solution."""
        if node.op is not solution:
            return None
        run = Node(loop_run, inputs, {"function": solver(node.attrs["system"], by)}, (0,), "bool", False)
        return Node(loop_result, (run,), {"index": 0}, node.shape, node.dtype, node.risky)

    new, original = with_runs(nodes, made, solved, known)
    return [new[node] for node in targets], {**parts, **{x: parts.get(old, old) for x, old in original.items()}}


def simplified(
    nodes: Sequence[Node], known: Collection[Node], by: Runs
) -> tuple[list[Node], set[Node], Mapping[Node, Node]]:
    """Nodes with runs of loops, simplified; the leaves that they need, and what new nodes stand for."""
    with uncollected():
        roots = lowered(nodes, known, OFTEN, by)[0]
        if without("simplify"):
            return roots, {x for x in cone(roots, known) if x.op.name == "leaf"}, {}
        simple = Simplified(roots, known=known)
        return simple.targets, set(simple.leaves), simple.original


def solver(system: System, by: Runs = NUMPY) -> Any:
    """What solves a system, made once."""
    kept = _solvers.setdefault(system, {})
    if by not in kept:
        parts = [x for x in (system.residual, system.matrix, system.objective) if x is not None]
        roots, _ = lowered(parts, [system.x, *system.parameters], by=by)
        residual, matrix, *rest = Simplified(roots, known=[system.x, *system.parameters]).targets
        kept[by] = by.solver(system, residual, matrix, rest[0] if rest else None)
    return kept[by]


def _function(body: Body, wanted: tuple[int, ...], given: tuple[int, ...], runs: int, by: Runs) -> Any:
    kept = _made.setdefault(body, {})
    if (by, wanted, given) not in kept:
        simple, original = _for(body, wanted, runs, by)
        kept[by, wanted, given] = by.loop(simple, wanted, given, original, runs)
    return kept[by, wanted, given]


def _for(body: Body, wanted: Sequence[int], runs: int, by: Runs) -> tuple[Body, dict[Node, Node]]:
    """The body with what some results need, simplified, and what its new nodes stand for.

    What the results do not need keeps its number and is nothing.
    """
    live = body.live(wanted)
    emitted = [j for j in range(len(body.emitted)) if body.emits(j) in wanted]
    roots = [*[body.following[i] for i in live], *[body.emitted[j] for j in emitted]]
    roots, loops = lowered(roots, body.parameters, runs * body.count, by)
    simplified = Simplified(roots, known=body.parameters)
    simple = iter(simplified.targets)
    following, rest = list(body.states), [literal(0.0, "float64")] * len(body.emitted)
    for i in live:
        following[i] = next(simple)
    for j in emitted:
        rest[j] = next(simple)
    made = Body(body.states, body.elements, body.fixed, following, rest, body.count, body.backwards, body.done)
    return made, {**loops, **{new: loops.get(old, old) for new, old in simplified.original.items()}}
