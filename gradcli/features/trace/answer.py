"""Where a NaN or an infinity comes from: the first operation that made one which reaches a result, and what to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gradcli.diagnostics import Label, Span, counted
from gradcli.features.trace.finite import Index, Made, evaluate
from gradcli.features.trace.hints import hint
from gradcli.graph.node import Node, cone
from gradcli.language.naming import Naming
from gradcli.program import query
from gradcli.program.loaded import Loaded
from gradcli.tuples import NamedTuple

HIGHEST = 10
"""Orders up to which it is found out at which one a factor appears first."""

_SOURCES = {"leaf", "literal", "array"}


class Operand(NamedTuple):
    """An input of the operation that is to blame, or its result: entries by index."""

    name: str
    entries: list[tuple[Index, float]]


class Finding(NamedTuple):
    """The first operation that made NaN or infinity.

    ``formula`` is the operation, ``bad`` of its ``size`` entries are not finite. If ``backward`` it is the guilty factor
    in a derivative, of the given ``order`` where that is known. ``operands`` are its inputs, the last one its result.
    ``help`` says what to write, ``fact`` the part of it that no formula with other values belongs to. ``labels`` are the
    operation's place and those of the calls that it was made in.
    """

    message: str
    labels: list[Label]
    formula: str
    backward: bool
    order: int | None
    bad: int
    size: int
    operands: list[Operand]
    help: str | None
    fact: str | None = None

    @property
    def span(self) -> Span | None:
        return self.labels[0].span if self.labels else None


class Traced(NamedTuple):
    """What a trace found; ``harmless`` has a line for each operation that made a NaN or infinity which no result uses."""

    finding: Finding | None
    harmless: list[str]
    operations: int


def trace_values(program: Loaded, of: Sequence[str] | None) -> Traced | None:
    """Trace what ``eval`` evaluates; None where an operation fails, but not because of NaN or infinity."""
    return _trace(program, query.value_nodes(program, of))


def trace_gradients(
    program: Loaded,
    of: Sequence[str] | None,
    wrt: Sequence[str] | None,
    orders: Iterable[int],
    *,
    seeds: Mapping[str, Any] | None = None,
    stop: Sequence[str] = (),
) -> Traced | None:
    """Trace the ys, then their derivatives of some orders; None as for :func:`trace_values`."""
    asked = query.question(program, of, wrt, seeds, stop)
    wanted = list(orders)

    def derivatives(orders: list[int]) -> list[Node]:
        return [g for _, row in query.gradients(program, asked, orders) for g in row if isinstance(g, Node)]

    def order_of(node: Node) -> int | None:
        """The first order whose derivatives are computed from a node."""
        lower = range(1, min(max(wanted), HIGHEST) + 1)
        return next((n for n in lower if node in set(cone(derivatives([n])))), None)

    # A gradient may need less than its y.
    unknown = program.without_value(asked.ys)
    return _trace(program, [*[y for y in asked.ys if y not in unknown], *derivatives(wanted)], order_of)


def _trace(
    program: Loaded, targets: Sequence[Node], order_of: Callable[[Node], int | None] = lambda node: None
) -> Traced | None:
    program.plan(targets)  # refuses what does not fit into memory
    evaluation = evaluate(targets, program.leaf_value)
    if evaluation.failed is not None and evaluation.first is None:
        return None
    naming = Naming(program.graph)
    harmless = [_summary(program, made) for made in evaluation.harmless]
    if evaluation.first is None:
        return Traced(None, list(dict.fromkeys(harmless)), evaluation.operations)
    finding = _finding(program, naming, evaluation.first, targets, order_of)
    if evaluation.failed is not None:
        node, problem = evaluation.failed
        text = getattr(problem, "message", None) or f"{node.op.name} fails: {problem}"
        finding = finding._replace(message=f"{finding.message}; then {text}")
    return Traced(finding, [], evaluation.operations)


def _finding(
    program: Loaded,
    naming: Naming,
    made: Made,
    targets: Sequence[Node],
    order_of: Callable[[Node], int | None],
) -> Finding:
    node = made.node
    origin = _origin(program, node)
    order = order_of(node) if origin is not None else None
    formula = naming.formula(node)
    what, entries = _kinds(made.values), _entries(made)
    help: str | None
    fact: str | None = None
    if node.op.name in _SOURCES:
        name = f"the {node.attrs['kind']} {node.attrs['name']}" if node.op.name == "leaf" else "a number of the program"
        message = f"{name} holds {what}{entries}"
        help = fact = f"give it finite values: `--set '{node.attrs['name']}=…'`" if node.op.name == "leaf" else None
    else:
        users: dict[Node, list[Node]] = {}
        for user in cone(targets):
            for x in user.inputs:
                users.setdefault(x, []).append(user)
        known = hint(naming, made, users, origin)
        help, fact = (known.text, known.fact) if known is not None else (None, None)
        where = f"the derivative of {naming.formula(origin)}" if origin is not None else formula
        if order is not None and order > 1:
            where = f"at order {order}, {where}"
        message = f"{where} makes {what}{entries}{_steps(made)}"
    given = zip(node.inputs, made.inputs, strict=True)
    operands = [Operand(naming.name(x), found) for x, found in given if x.op.name != "literal"]
    operands.append(Operand(formula, list(zip(made.indices, made.values, strict=True))))
    distinct = list({operand.name: operand for operand in operands}.values())
    return Finding(
        message,
        program.graph.labels(node),
        formula,
        origin is not None,
        order,
        made.bad,
        made.size,
        distinct,
        help,
        fact,
    )


def _origin(program: Loaded, node: Node) -> Node | None:
    """The operation of the program whose derivative a node belongs to; None for one of the program."""
    origins = program.graph.derivation.origin
    here = node
    while here in origins and here not in program.graph.places:
        here = origins[here]
    return here if here is not node else None


def _summary(program: Loaded, made: Made) -> str:
    span = program.graph.span(made.node)
    place = f" on line {span.line}" if span else ""
    origin = _origin(program, made.node)
    whose = f"the derivative of {origin.op.name}" if origin is not None else made.node.op.name
    return f"{whose}{place} gives {_kinds(made.values)}{_entries(made)}{_steps(made)}, which no result uses"


def _kinds(values: Sequence[float]) -> str:
    kinds = ["NaN" if math.isnan(v) else "infinity" if v > 0 else "-infinity" for v in values]
    return " and ".join(dict.fromkeys(kinds))


def _entries(made: Made) -> str:
    return "" if made.size == 1 else f" in {made.bad} of {counted(made.size, 'entry', 'entries')}"


def _steps(made: Made) -> str:
    return f" in {', '.join(made.steps)}" if made.steps else ""
