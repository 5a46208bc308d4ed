"""All ways from xs to ys, through whatever operations: how many, on which no gradient passes, and where those are cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gradcli.autodiff.connection import MANY, Cut, Kind, leading, passed
from gradcli.features.explain.paths import Edge, Paths, Steps, by_tables
from gradcli.graph.node import Node, cone
from gradcli.tuples import NamedTuple

Array = np.ndarray[Any, Any]


class Ways(NamedTuple):
    """The ways from x to some ys: whether a gradient passes on some, and where the others are cut.

    ``further`` has for each cut those that come below it, in a row. ``rest`` counts ways that are cut elsewhere.
    """

    open: bool
    cuts: list[Cut]
    further: list[list[Cut]]
    rest: int


def find_ways(
    ys: Sequence[Node],
    xs: Sequence[Node],
    stops: Iterable[Node] = (),
    most: int | None = None,
    in_a_row: int = 1,
) -> list[Ways]:
    """All ways from each of some xs to the ys. One that is cut belongs to the cut that is met first on it, coming from y.

    Cuts below which some way is open come first, then in the order of the program, up to ``most`` of them; up to
    ``in_a_row`` are found below each other, until a way is open. There are none where no way exists.
    """
    search = _Search(ys, stops, min([x.serial for x in xs], default=0))
    found: list[Ways] = []
    for paths in by_tables(search.steps, xs):
        table = _Table(search, paths)
        found += [table.ways(column, most, in_a_row) for column in range(len(paths.xs))]
    return found


class _Search:
    """What is common to all xs: where ways go on, where they are cut, and how many come there from the ys."""

    def __init__(self, ys: Sequence[Node], stops: Iterable[Node], oldest: int) -> None:
        self.ys = ys
        self.stopped = set(stops)
        nodes = cone(ys, since=oldest)
        self.steps = Steps({node: leading(node) for node in nodes})
        self.passed = {node: passed(node, self.stopped) for node in nodes}
        self.coming: dict[Node, int] = {}
        for y in ys:
            self.coming[y] = self.coming.get(y, 0) + 1
        for node in reversed(nodes):
            for x in leading(node) if node in self.coming else ():
                if x in self.passed[node]:
                    self.coming[x] = min(self.coming.get(x, 0) + self.coming[node], MANY)


class _Table:
    """The same with regard to the xs of a table. Edges through which no gradient passes are numbered in program order."""

    def __init__(self, search: _Search, paths: Paths) -> None:
        self.search = search
        self.paths = paths
        row = paths.row
        self.counts = paths.counts()
        self.through = [[i for i in below if paths.nodes[i] in search.passed[node]] for node, below in self._rows()]
        self.edges: list[Edge] = []
        self.of: list[range] = []
        for node, below in self._rows():
            before = len(self.edges)
            self.edges += [(node, x) for i in below if (x := paths.nodes[i]) not in search.passed[node]]
            self.of.append(range(before, len(self.edges)))
        self.below = np.array([row[x] for _, x in self.edges], "int64")
        self.coming = np.array([search.coming.get(node, 0) for node, _ in self.edges], "float64")
        self.opens = self._opens()
        self._nearest: Array | None = None

    def _rows(self) -> Iterable[tuple[Node, list[int]]]:
        return zip(self.paths.nodes, self.paths.below, strict=True)

    def _opens(self) -> Array:
        """From which nodes a gradient reaches which x."""
        paths = self.paths
        table = np.zeros(self.counts.shape, "bool")
        for column, x in enumerate(paths.xs):
            if x in paths.row:
                table[paths.row[x], column] = True
        for r, node in enumerate(paths.nodes):
            below = [paths.row[x] for x in self.search.passed[node] if x in paths.row]
            if below:
                table[r] |= table[below].any(axis=0)
        return table

    def ways(self, column: int, most: int | None, in_a_row: int) -> Ways:
        """The ways to one x."""
        paths = self.paths
        is_open = any([self.opens[paths.row[y], column] for y in self.search.ys if y in paths.row])
        number = np.minimum(self.coming * self.counts[self.below, column], MANY)
        some = np.flatnonzero(number)
        last = self.opens[self.below[some], column]
        some = np.concatenate([some[last], some[~last]])
        shown = some[:most].tolist()
        cuts = [self._cut(e, column, int(number[e])) for e in shown]
        rest = int(number[some[len(shown) :]].sum())
        return Ways(is_open, cuts, [self._further(cut, column, in_a_row) for cut in cuts], rest)

    def _cut(self, e: int, column: int, number: int = 0) -> Cut:
        node, below = self.edges[e]
        kind: Kind = "stopped" if node in self.search.stopped else "operation"
        return Cut(kind, node, below, number, bool(self.opens[self.below[e], column]))

    def _further(self, cut: Cut, column: int, in_a_row: int) -> list[Cut]:
        found: list[Cut] = []
        while not cut.last and len(found) + 1 < in_a_row:
            assert cut.below is not None
            e = self._nearest_cuts()[self.paths.row[cut.below], column]
            if e == np.inf:
                break
            cut = self._cut(int(e) % len(self.edges), column)
            found.append(cut)
        return found

    def _nearest_cuts(self) -> Array:
        """The edge that cuts off each x from each node, by its number; plus the number of edges where it is not the last cut."""
        if self._nearest is None:
            table = self._nearest = np.full(self.counts.shape, np.inf)
            for r, through in enumerate(self.through):
                for e in self.of[r]:
                    i = self.below[e]
                    own = np.where(self.opens[i], e, e + len(self.edges))
                    np.minimum(table[r], np.where(self.counts[i] > 0, own, np.inf), out=table[r])
                if through:
                    np.minimum(table[r], table[through].min(axis=0), out=table[r])
        return self._nearest
