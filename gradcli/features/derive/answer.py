"""The derivatives of a program as formulas: simplified, named, and with what a complete program needs around them.

What holds of them, differentiated once more: they have the same None pattern as the graphs that they were written from,
for zeros that simplification drops are put back (``zero(x)``, ``link(x)``) where without them a variable would no longer
be connected. Beyond that order values agree, but a formula such as ``6 * x`` may end in None where the slope of ``x^3`` is
a zero that stays connected, or the other way round where a square of a function was written as a power. As in every
gradient, guards against NaN are there for variables whose values hold NaN or infinity when the formula is made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gradcli.autodiff import degree
from gradcli.autodiff.connection import connections
from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import cast_to
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.selection import link, zero
from gradcli.graph.ops.shaping import broadcasted
from gradcli.graph.types import is_float, size_of
from gradcli.program import query
from gradcli.program.loaded import Loaded
from gradcli.program.query import Question
from gradcli.results import Reason
from gradcli.rewrite.written import Written
from gradcli.tuples import NamedTuple

MOST_NUMBERS = 10_000
"""Entries of an array that are looked at for numbers near the ends of what floats hold."""


class Gradient(NamedTuple):
    """The derivative with respect to ``x`` as a node, or the reason why it is None; ``name`` is what it is called."""

    x: str
    name: str
    node: Node | None
    reason: Reason | None


class Derived(NamedTuple):
    """Derivatives of the sum of ``of``, of one order.

    ``leaves`` are the variables and constants to declare, in order, ``initial`` their values; ``named`` gives nodes of the
    formulas the names that they have in the program. At order 0 the ``gradients`` are the ys themselves.
    """

    source: str
    float_dtype: str
    of: list[str]
    order: int
    summed: bool
    gradients: list[Gradient]
    leaves: list[Node]
    initial: dict[Node, Any]
    named: dict[str, Node]

    @property
    def roots(self) -> list[Node]:
        """Every node that is to be written."""
        return [*self.leaves, *self.named.values(), *(g.node for g in self.gradients if g.node is not None)]


def derive(
    program: Loaded,
    of: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    order: int = 1,
    seeds: Mapping[str, Any] | None = None,
    stop: Sequence[str] = (),
    with_rules: bool = False,
) -> Derived:
    """The derivatives that ``gradcli grad`` would evaluate, as formulas. Raises GradcliError as that does.

    ``with_rules`` keeps values apart to which the program gives derivatives of their own.
    """
    program = program if with_rules else program.written_out()
    graph = program.graph
    if not order and of is None:  # outputs that are None are no formulas
        of = [name for name in query.differentiated(program) if isinstance(graph.names[name], Node)] or None
    asked = query.question(program, of, wrt if order else [], seeds, stop)
    row: list[Node | Reason] = query.gradient_nodes(program, asked, order) if order else list(asked.ys)
    found = [g for g in row if isinstance(g, Node)]
    own = {
        node: name for name, node in reversed(graph.names.items()) if isinstance(node, Node) and node.op.name != "leaf"
    }
    wanted = [x for x, g in zip(asked.xs, row, strict=False) if order and isinstance(g, Reason) and x in own]
    stopped = [x for x in asked.stops if x.op.name != "leaf"]
    plain = _plain(program, found)
    with graph.derivation.suspended():
        apart = asked.xs if order else ()
        as_made = _has_extremes(program, found)
        written = Written([*found, *wanted], own, stopped, graph.float_dtype, apart, plain, as_made, with_rules)
        texts = written.targets[: len(found)]
        texts = _connected(asked, found, texts, written, program)
    named = {own[node]: new for node, new in written.names.items()}
    new = iter(texts)
    names = _names(asked, order, graph.names)
    gradients = [
        Gradient(x, name, next(new), None) if isinstance(g, Node) else Gradient(x, name, None, g)
        for x, name, g in zip(asked.wrt if order else asked.of, names, row, strict=True)
    ]
    leaves = _declared(program, [*texts, *named.values()], asked.xs)
    return Derived(
        program.source.name,
        graph.float_dtype,
        asked.of,
        order,
        any(size_of(y.shape) != 1 for y in asked.ys),
        gradients,
        leaves,
        {leaf: graph.initial[leaf] for leaf in leaves},
        named,
    )


def _plain(program: Loaded, found: Sequence[Node]) -> list[Node]:
    """The nodes for which a shorter formula does at the values of the program, or everywhere where it has none."""
    short = [node for node in cone(found) if node.op.plain is not None]
    inputs = list(dict.fromkeys(x for node in short for x in node.inputs))
    if not short or any([x.op.name == "leaf" and program.lacks_value(x) for x in cone(inputs)]):
        return short
    import numpy as np

    try:
        values = dict(zip(inputs, program.evaluate(inputs), strict=True))
    except GradcliError:  # whoever evaluates the program sees it
        return short
    with np.errstate(all="ignore"):
        return [node for node in short if node.op.is_plain is None or _holds(np, node, values)]


def _has_extremes(program: Loaded, found: Sequence[Node]) -> bool:
    """Whether some number of the program has a cube that floats do not hold, or that is 0."""
    initial = [program.graph.initial[x] for x in cone(found) if x.op.name == "leaf"]
    nodes = cone([*found, *[x for x in initial if isinstance(x, Node)]])
    largest = 1e13 if any([x.dtype == "float32" for x in nodes]) else 1e103
    numbers = [x.attrs["value"] for x in nodes if x.op.name == "literal"]
    for x in nodes:
        if x.op.name == "array" and isinstance(x.attrs["values"], tuple):
            numbers += x.attrs["values"]
    for x in initial:
        if x is not None and not isinstance(x, Node):
            numbers += x.ravel()[:MOST_NUMBERS].tolist()
    return any([isinstance(v, float) and (0 < abs(v) < 1 / largest or largest < abs(v) < math.inf) for v in numbers])


def _holds(np: Any, node: Node, values: Mapping[Node, Any]) -> bool:
    assert node.op.is_plain is not None
    return bool(np.all(node.op.is_plain(np, *[values[x] for x in node.inputs], **node.attrs)))


def _connected(
    asked: Question, found: Sequence[Node], texts: Sequence[Node], written: Written, program: Loaded
) -> list[Node]:
    """The formulas with a zero for each variable that only simplification has disconnected."""
    xs = list(dict.fromkeys([*(program.graph.leaves[name] for name in program.variables), *asked.xs]))
    new = [written.names.get(x, x) for x in xs]
    result: list[Node] = []
    for g, text, before, after in zip(found, texts, connections(found, xs), connections(texts, new), strict=True):
        for x, now, was, still in zip(xs, new, before, after, strict=True):
            # A gradient that is x itself needs no zero; neither does an x that a stop has cut off.
            if was and not still and x.dtype != "bool" and degree.last_order([g], x, asked.stops) >= 1:
                kept = link if degree.last_order([g], x, asked.stops) == 1 else zero
                text = text + _nothing(kept(now), text)
        result.append(text)
    return result


def _nothing(zeros: Node, like: Node) -> Node:
    if zeros.shape != like.shape:
        zeros = sum_(zeros, axis=None)
    return broadcasted(cast_to(zeros, like.dtype) if is_float(like.dtype) else zeros, like.shape)


def _names(asked: Question, order: int, taken: Iterable[str]) -> list[str]:
    """dy_dx, d2y_dx2; without the y where there are several; with underscores where that is taken."""
    if not order:
        return list(asked.of)
    used = set(taken)
    y = asked.of[0] if len(asked.of) == 1 else ""
    top, bottom = (f"d{order}{y}", str(order)) if order > 1 else (f"d{y}", "")
    names: list[str] = []
    for x in asked.wrt:
        name = f"{top}_d{x}{bottom}"
        while name in used:
            name += "_"
        used.add(name)
        names.append(name)
    return names


def _declared(program: Loaded, roots: Sequence[Node], xs: Sequence[Node]) -> list[Node]:
    """All variables, and the constants that the formulas or initial values need, in order of declaration."""
    graph = program.graph
    needed = {*(x for x in cone([*roots, *xs]) if x.op.name == "leaf"), *(graph.leaves[v] for v in program.variables)}
    todo = list(needed)
    while todo:
        initial = graph.initial[todo.pop()]
        inner = [x for x in cone([initial]) if x.op.name == "leaf"] if isinstance(initial, Node) else []
        todo.extend([x for x in inner if x not in needed])
        needed.update(inner)
    return [leaf for leaf in graph.leaves.values() if leaf in needed]
