"""Paths from nodes down to several xs at once: a table has a row for each node on them and a column for each x."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradcli.autodiff.connection import MANY
from gradcli.graph.node import Node, by_serial

Array = np.ndarray[Any, Any]
Edge = tuple[Node, Node]

COLUMNS, CELLS = 256, 4_000_000
"""Xs in one table, and its size: of more xs there are several tables, each with the nodes above its own xs only."""


class Steps:
    """Which nodes a path may go on to from each node, inputs before users; ``users`` is the other way round."""

    def __init__(self, below: Mapping[Node, Collection[Node]]) -> None:
        self.below = below
        self.users: dict[Node, list[Node]] = {}
        for node, inputs in below.items():
            for x in inputs:
                self.users.setdefault(x, []).append(node)

    def above(self, xs: Iterable[Node]) -> list[Node]:
        """The nodes from which paths lead to some of the xs, inputs before users, xs included where they are on one."""
        found = {x for x in xs if x in self.below}
        todo = list(found)
        while todo:
            for user in self.users.get(todo.pop(), ()):
                if user not in found:
                    found.add(user)
                    todo.append(user)
        return sorted(found, key=by_serial)


class Paths:
    """The paths down to some xs. A path to an x ends there, also where another x lies below it."""

    def __init__(self, steps: Steps, xs: Sequence[Node]) -> None:
        self.xs = xs
        self.nodes = steps.above(xs)
        self.row = {node: r for r, node in enumerate(self.nodes)}
        row = self.row
        self.below = [[row[x] for x in steps.below[node] if x in row] for node in self.nodes]
        self._ends = [(row[x], k) for k, x in enumerate(xs) if x in row]

    def counts(self) -> Array:
        """How many paths lead from each node to each x, MANY for more: floats hold all these numbers exactly."""
        table = self._table(0.0)
        for r, k in self._ends:
            table[r, k] = 1.0
        for r, below in enumerate(self.below):
            if below:
                own = table[r]
                own += table[below[0]] if len(below) == 1 else table[below].sum(axis=0)
                np.minimum(own, MANY, out=own)
        return table

    def lengths(self, steps: Mapping[Edge, float]) -> Array:
        """The largest sum of what the steps of a path add, 0 for one that is not named; -inf where there is no path."""
        table = self._table(-np.inf)
        for r, k in self._ends:
            table[r, k] = 0.0
        for r, below in enumerate(self.below):
            if below:
                node, own = self.nodes[r], table[r]
                added = [steps.get((node, self.nodes[i]), 0.0) for i in below]
                if len(below) == 1:
                    np.maximum(own, table[below[0]] + added[0], out=own)
                else:
                    np.maximum(own, (table[below] + np.array(added)[:, None]).max(axis=0), out=own)
        return table

    def _table(self, value: float) -> Array:
        return np.full((len(self.nodes), len(self.xs)), value)


def by_tables(steps: Steps, xs: Sequence[Node]) -> Iterator[Paths]:
    """The paths to many xs, in order, a table at a time."""
    columns = max(min(COLUMNS, CELLS // max(len(steps.below), 1)), 1)
    for start in range(0, len(xs), columns):
        yield Paths(steps, xs[start : start + columns])
