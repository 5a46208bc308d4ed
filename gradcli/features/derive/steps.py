"""A derivation rule by rule: what each operation passes on to its inputs, and how that adds up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Any

from gradcli.autodiff import reverse
from gradcli.features.derive.answer import Derived, derive
from gradcli.features.derive.data import Place, named_data
from gradcli.graph.node import Node, cone
from gradcli.program import query
from gradcli.program.loaded import Loaded
from gradcli.rewrite.written import Written
from gradcli.tuples import NamedTuple


class Step(NamedTuple):
    """One operation: its ``node`` as the program has it, and for each input that leads to an x what it gets."""

    node: Node
    gets: list[tuple[Node, Node]]


class WorkedDerivation(NamedTuple):
    """The steps from the ys to the xs.

    Values are the program's own nodes, so that rules and contributions are those of the operations shown; contributions
    are written for a reader. ``named`` gives the values their names, also as the contributions have them, ``cotangents``
    the derivative with respect to each the value that it is of. ``heads`` are the ys with what they begin with; ``sums``
    the contributions to each x, as far as there are any.
    """

    heads: list[tuple[Node, Node]]
    steps: list[Step]
    sums: list[tuple[Node, list[Node]]]
    named: dict[Node, str]
    cotangents: dict[Node, Node]
    derived: Derived


def derivation(
    program: Loaded,
    of: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    seeds: Mapping[str, Any] | None = None,
    stop: Sequence[str] = (),
    place: Place = "defined",
) -> WorkedDerivation:
    """How :func:`gradcli.features.derive.answer.derive` comes to its formulas at order 1."""
    graph = program.graph
    asked = query.question(program, of, wrt, seeds, stop)
    own = {x: name for name, x in reversed(graph.names.items()) if isinstance(x, Node)}
    passed: list[reverse.Passed] = []
    own |= named_data(asked.ys, own, graph.names)
    with graph.derivation.active():
        results = reverse.gradients(asked.ys, asked.xs, asked.heads, asked.stops, passed)
        starts = [reverse.seed(y, head, i) for i, (y, head) in enumerate(zip(asked.ys, asked.heads, strict=True))]
    values = _values(asked.ys, passed, own)
    forward = [x for x in values if x.op.name != "leaf"]
    totals = _totals(passed, {*starts, *forward})
    new = _for_readers(program, [*forward, *totals], [*[p.contribution for p in passed], *starts])
    new |= {x: x for x in values if x.op.name == "leaf"}
    heads = [(y, new[start]) for y, start in zip(asked.ys, starts, strict=True)]
    steps, sums = _added_up(passed, new, heads)
    wanted = [x for x, g in zip(asked.xs, results, strict=True) if g is not None]
    return WorkedDerivation(
        heads,
        steps,
        [(x, sums.get(x) or [start for y, start in heads if y is x]) for x in wanted],
        _names(values, new, own, graph.names),
        {new[total]: x for total, x in totals.items()},
        derive(program, of, wrt, 1, seeds, stop, with_rules=True, place=place),
    )


def _values(ys: Sequence[Node], passed: Sequence[reverse.Passed], own: Collection[Node]) -> list[Node]:
    """What a derivation speaks of: the values that it passes through, and those that have names."""
    met = {x for p in passed for x in (p.node, p.input)} | set(ys)
    return [x for x in cone(ys) if x in met or x in own]


def _totals(passed: Sequence[reverse.Passed], known: Collection[Node]) -> dict[Node, Node]:
    """The total derivative with respect to each value, as a map to that value; without nodes that are known."""
    totals: dict[Node, Node] = {}
    for p in passed:
        if p.total not in known:
            totals.setdefault(p.total, p.node)
    return totals


def _for_readers(program: Loaded, named: Collection[Node], formulas: Sequence[Node]) -> dict[Node, Node]:
    """What has a name, and formulas of that, as they are written."""
    graph = program.graph
    targets = [*named, *formulas]
    with graph.derivation.suspended():
        written = Written(targets, {*named}, (), graph.float_dtype, {*named})
    return dict(zip(targets, written.targets, strict=True))


def _names(
    values: Sequence[Node], new: Mapping[Node, Node], own: Mapping[Node, str], taken: Collection[str]
) -> dict[Node, str]:
    """The names of values, and of what is written for them: those of the program, or new ones."""
    named: dict[Node, str] = {}
    fresh = count(1)
    for x in values:
        name = own[x] if x in own else next(n for n in _candidates(next(fresh)) if n not in taken)
        named[x] = named[new[x]] = name
    return named


def _added_up(
    passed: Sequence[reverse.Passed], new: Mapping[Node, Node], heads: Sequence[tuple[Node, Node]]
) -> tuple[list[Step], dict[Node, list[Node]]]:
    """The steps, and what each value gets in all of them."""
    steps: list[Step] = []
    sums: dict[Node, list[Node]] = {}
    for p in passed:
        if not steps or steps[-1].node is not p.node:
            steps.append(Step(p.node, []))
        steps[-1].gets.append((p.input, new[p.contribution]))
        sums.setdefault(p.input, []).append(new[p.contribution])
    for y, start in heads:
        if y in sums:
            sums[y].append(start)
    return steps, sums


def _candidates(k: int) -> list[str]:
    return [f"{letter}{k}" for letter in ("t", "u", "v", "t_", "u_", "v_")]
