"""Values and gradients of a program by name: what ``gradcli eval`` and ``gradcli grad`` answer, and the Python interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.graph.node import Node
from gradcli.graph.types import size_of
from gradcli.program import query
from gradcli.program.loaded import Loaded
from gradcli.program.query import Unconnected
from gradcli.results import Result
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class GradReply(NamedTuple):
    """Gradients by order.

    ``of`` names what was differentiated; ``summed`` says that some of it is not a scalar, so that its entries add up.
    """

    of: list[str]
    orders: list[tuple[int, list[Result]]]
    summed: bool


def values(program: Loaded, of: Sequence[str] | None = None, plain: bool = False) -> list[Result]:
    """The results that ``gradcli eval`` prints, None with its reason included.

    With ``plain`` scalars may be those of :mod:`gradcli.execute.plain_numbers` instead of arrays.
    """
    found = query.values(program, of)
    nodes = [value for value in found.values() if isinstance(value, Node)]
    values = iter(program.evaluate(nodes, plain))
    return [
        Result(name, next(values)) if isinstance(value, Node) else Result(name, None, value.reason())
        for name, value in found.items()
    ]


def gradients(
    program: Loaded,
    of: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    order: int = 1,
    *,
    seeds: Mapping[str, str | Array] | None = None,
    stop: Sequence[str] = (),
    unconnected: Unconnected = "none",
    every_order: bool = False,
    plain: bool = False,
) -> GradReply:
    """The results that ``gradcli grad`` prints: all orders up to ``order``, or that one only.

    ``plain`` is that of :func:`values`.
    """
    asked = query.question(program, of, wrt, seeds, stop)
    chosen = query.gradients(
        program, asked, range(1, order + 1) if every_order else (order,), unconnected, numbers=True
    )
    nodes = [g for _, row in chosen for g in row if isinstance(g, Node)]
    values = iter(program.evaluate(nodes, plain))
    rows = [
        (n, [
            Result(name, next(values)) if isinstance(g, Node) else Result(name, None, g)
            for name, g in zip(asked.wrt, row, strict=True)
        ])
        for n, row in chosen
    ]  # fmt: skip
    return GradReply(asked.of, rows, any(size_of(y.shape) != 1 for y in asked.ys))


def values_and_gradients(
    program: Loaded,
    of: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    seeds: Mapping[str, str | Array] | None = None,
    stop: Sequence[str] = (),
    unconnected: Unconnected = "none",
) -> tuple[list[Result], GradReply]:
    """The values of the ys and their gradients of order 1, evaluated together."""
    asked = query.question(program, of, wrt, seeds, stop)
    ((_, row),) = query.gradients(program, asked, (1,), unconnected, numbers=True)
    nodes = [g for g in row if isinstance(g, Node)]
    if not program.sweeps():
        found = program.evaluate([*asked.ys, *nodes])
    else:  # the sweeps have found the gradients, and the values need one more
        found = [*program.evaluate(asked.ys), *program.evaluate(nodes)]
    values = iter(found[len(asked.ys) :])
    results = [
        Result(name, next(values)) if isinstance(g, Node) else Result(name, None, g)
        for name, g in zip(asked.wrt, row, strict=True)
    ]
    ys = [Result(name, value) for name, value in zip(asked.of, found, strict=False)]
    return ys, GradReply(asked.of, [(1, results)], any(size_of(y.shape) != 1 for y in asked.ys))
