"""How one operation is done on one tile: as a function of the registers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradcli.execute.cuts import Piece
from gradcli.execute.lower import Result, accumulated, lowered
from gradcli.graph.node import Node
from gradcli.tuples import NamedTuple

Registers = list[Any]
"""What a worker holds: its accumulators, the number of rows of the tile, then the values of the tile."""

PARTS, ROWS, FIRST = 0, 1, 2
"""Positions of these in the registers."""

Run = Callable[[Registers], None]


class Step(NamedTuple):
    """One operation on a tile: its value is where :class:`Lowered` says, the array for it the one in the register.

    ``copied`` says that the value is made elsewhere first.
    """

    run: Run
    result: Result
    in_place: bool = False
    copied: bool = False


class Accumulator(NamedTuple):
    """A value summed up over tiles: what a tile contributes, how contributions are combined, and the end, if any."""

    part: Callable[[Registers], Any]
    combine: Any
    finish: Callable[[Any], Any] | None = None


class Place(NamedTuple):
    """A node, the registers of its inputs and of its value, and how it is cut."""

    node: Node
    inputs: Sequence[int]
    out: int
    piece: Piece


def step(np: Any, place: Place, ordered: bool = False) -> Step:
    """The step of an operation whose value has the cut axis."""
    node, inputs, o, piece = place
    call, result, in_place, rows, _ = lowered(np, node, piece, ordered)
    if rows:

        def run(r: Registers) -> None:
            r[o] = call(*[r[i] for i in inputs], r[ROWS])

    elif result != "out":

        def run(r: Registers) -> None:
            r[o] = call(*[r[i] for i in inputs])

    elif len(inputs) == 1:
        (a,) = inputs

        def run(r: Registers) -> None:
            call(r[a], out=r[o])

    elif len(inputs) == 2:
        a, b = inputs

        def run(r: Registers) -> None:
            call(r[a], r[b], out=r[o])

    else:

        def run(r: Registers) -> None:
            call(*[r[i] for i in inputs], out=r[o])

    return Step(run, result, in_place)


def accumulator(np: Any, place: Place) -> Accumulator:
    """The sum over tiles of an operation that reduces the cut axis."""
    node, inputs, _, _ = place
    part, combine, finish = accumulated(np, node)
    if len(inputs) == 1:
        (a,) = inputs
        return Accumulator(lambda r: part(r[a]), combine, finish)
    return Accumulator(lambda r: part(*[r[i] for i in inputs]), combine, finish)
