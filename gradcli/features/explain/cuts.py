"""Where the ways from y to x are cut, and from which order on a derivative is None or 0."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradcli.autodiff import connection, degree
from gradcli.autodiff.connection import Cut
from gradcli.features.explain.explanation import CutPlace, Way
from gradcli.features.explain.ways import find_ways
from gradcli.graph.node import Node
from gradcli.language.reasons import why
from gradcli.language.remedies import remedy
from gradcli.language.values import Elaborated
from gradcli.program.query import Question
from gradcli.tuples import NamedTuple

CUTS_IN_A_ROW = 5


class Orders(NamedTuple):
    """The orders from which a derivative is None, and 0 whatever the values are, and a sentence about them."""

    none_since: int | None
    zero_since: int | None
    note: str | None


def orders_of(asked: Question) -> list[Orders]:
    """What the structure says of all derivatives, by each x."""
    found = degree.orders(asked.ys, asked.xs, asked.stops, asked.heads)
    reached = connection.reached(asked.ys, asked.xs)
    piecewise = 0
    for node in reached:
        if node.op.piecewise:
            piecewise |= reached[node]
    return [
        _orders(asked, name, *bounds, bool(piecewise >> k & 1))
        for k, (name, bounds) in enumerate(zip(asked.wrt, found, strict=True))
    ]


def _orders(asked: Question, name: str, last: float, power: float, piecewise: bool) -> Orders:
    none_since = int(last) + 1 if math.isfinite(last) else None
    zero_since = int(power) + 1 if math.isfinite(power) else None
    if zero_since is not None and none_since is not None and zero_since >= none_since:
        zero_since = None
    if zero_since is None and none_since in (None, 1):
        return Orders(none_since, zero_since, None)
    shape = f"{' + '.join(asked.of)} is {'piecewise ' if piecewise else ''}of degree {power:.0f} in {name}"
    notes = [f"0 since order {zero_since}: {shape}"] if zero_since is not None else []
    if none_since is not None and none_since > 1:
        because = shape if power + 1 == none_since else f"the derivative before it does not use {name}"
        notes.append(f"None since order {none_since}" + ("" if notes else f": {because}"))
    return Orders(none_since, zero_since, ", ".join(notes))


def ways_of(
    program: Elaborated, asked: Question, names: Sequence[str], xs: Sequence[Node], most: int
) -> list[list[Way]]:
    """For each x the ways that are cut, grouped by where; of more than ``most`` groups the last one holds only a number."""
    found: list[list[Way]] = []
    for name, x, ways in zip(names, xs, find_ways(asked.ys, xs, asked.stops, most, CUTS_IN_A_ROW), strict=True):
        own = [_way(program, name, x, [cut, *more]) for cut, more in zip(ways.cuts, ways.further, strict=True)]
        found.append([*own, Way(ways.rest, [], True)] if ways.rest else own)
    return found


def _way(program: Elaborated, name: str, x: Node, cuts: Sequence[Cut]) -> Way:
    places = [CutPlace(why(program, c, name, x), remedy(program, c)) for c in cuts]
    return Way(cuts[0].ways, places, not cuts[-1].last)
