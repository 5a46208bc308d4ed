"""Where a program is not smooth at the point at which it is evaluated, and what its derivatives are taken as there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcli.diagnostics import Span
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.corners import Corner
from gradcli.graph.types import is_float
from gradcli.program import query
from gradcli.results import Kink

if TYPE_CHECKING:
    from gradcli.program.loaded import Loaded

Array = np.ndarray[Any, Any]


def corner_of(node: Node) -> Corner | None:
    """The corner of an operation, if it has one on such inputs."""
    corner = node.op.corner
    return corner if corner is not None and (corner.when is None or corner.when(node)) else None


def suspects(roots: Sequence[Node], xs: Sequence[Node] | None) -> list[Node]:
    """The operations that have a kink somewhere and depend on some x (None: on some float), inputs before users."""
    moving = set(xs or ())
    found: list[Node] = []
    for node in cone(roots):
        if xs is None and is_float(node.dtype) or any([x in moving for x in node.inputs]):
            moving.add(node)
        if corner_of(node) is not None and any([x in moving for x in node.inputs]):
            found.append(node)
    return found


def needed(nodes: Sequence[Node]) -> list[Node]:
    """What must be evaluated to tell whether they are at their kinks."""
    return list(dict.fromkeys([node for suspect in nodes for node in (*suspect.inputs, suspect)]))


def met(nodes: Sequence[Node], values: Mapping[Node, Array], place: Callable[[Node], Span | None]) -> list[Kink]:
    """The kinks on which the point lies exactly, each place once."""
    found: dict[tuple[str, Span | None], Kink] = {}
    for node in nodes:
        corner = node.op.corner
        assert corner is not None
        with np.errstate(all="ignore"):
            on = np.asarray(
                corner.test(np, node, [np.asarray(values[x]) for x in node.inputs], np.asarray(values[node]))
            )
        count = int(np.count_nonzero(on))
        if not count:
            continue
        text = f"{corner.called or node.op.name} {corner.text}"
        span = place(node)
        if (text, span) not in found or found[text, span].entries < count:
            found[text, span] = Kink(text, span, count, on.size, corner.slope.format(**node.attrs))
    return list(found.values())


def of_gradients(
    program: Loaded, of: Sequence[str] | None, wrt: Sequence[str] | None, stop: Sequence[str]
) -> list[Kink]:
    """:func:`at_the_point` of the values that gradients of some names by others are of, in each step of loops."""
    program = program.written_out()
    asked = query.question(program, of, wrt, {}, stop)
    return at_the_point(program, asked.ys, asked.xs)


def of_values(program: Loaded, of: Sequence[str] | None) -> list[Kink]:
    """The same of the values of some names."""
    program = program.written_out()
    return at_the_point(program, query.value_nodes(program, of), None)


def at_the_point(program: Loaded, roots: Sequence[Node], xs: Sequence[Node] | None) -> list[Kink]:
    """The kinks on which the evaluation of the roots sits exactly, those of the program's own operations.

    What depends on a variable without a value, which a gradient may not need, is left out.
    """
    graph = program.graph
    unknown = program.without_value(roots)
    own = [n for n in suspects(roots, xs) if n not in graph.derivation.origin and n not in unknown]
    nodes = needed(own)
    return met(own, dict(zip(nodes, program.evaluate(nodes), strict=True)), graph.span)
