"""A loop over tiles: what it reads and writes, how it is cut, and its run by several workers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from gradcli.execute import blas, choose, cost, order, processes, steps
from gradcli.execute.choose import Workers
from gradcli.execute.cuts import TILE, Group
from gradcli.execute.layout import laid_out
from gradcli.execute.processes import Team
from gradcli.execute.reuse import Kept
from gradcli.execute.sizes import Means, bytes_of
from gradcli.execute.steps import FIRST, PARTS, Accumulator, Place, Registers, Run
from gradcli.execute.worker import Clock, Key, Worker, together
from gradcli.graph.node import Node
from gradcli.graph.operation import Contraction, kernel_value
from gradcli.graph.types import size_of

Array = Any
NOTHING: Mapping[Node, Array] = {}

FEWEST_ROWS = 128
"""Rows of a tile with matrix products, which would be slow on fewer."""

LONGER_STEP = 30_000
"""What loops of few steps are given by larger tiles, which leave the second-level cache but not the third."""

SHORTEST_STEP = 5_000
LARGEST_OF_SHORT = 1 << 20
"""Nanoseconds of a step below which calls take as long as the work, and bytes of the widest array of tiles that are larger for it."""

FEW_STEPS = 48
LARGEST_TILE = 1 << 19

OVERHEAD = 1 << 18
"""Bytes that a worker's views and NumPy's own buffers take."""


class Loop:
    """The nodes of a group as steps on tiles of ``rows`` entries of the axis that is cut.

    ``reads`` are the values that come from outside, each with its cut axis (None: taken whole); ``writes`` those that
    are kept (None: accumulated), and ``views`` those that are needed outside and are parts of one of these in another
    form. ``scratch`` is the number of bytes that the loop takes beside what it writes, of which it keeps ``held`` for
    its next run. With ``ordered`` arrays lie as :mod:`gradcli.execute.order` says, but
    for ``targets``, which callers have.
    """

    def __init__(
        self, group: Group, wanted: Iterable[Node], means: Means, ordered: bool = False, targets: Collection[Node] = ()
    ) -> None:
        import numpy as np

        self.ordered = ordered
        self._targets = set(targets)
        self._kept = Kept() if means.repeated else None
        self.nodes = group.nodes
        self.size = group.size
        needed, self.views = _kept(group, set(wanted))
        self.slots: dict[Key, int] = {}
        places: list[Place] = []
        for node in group.nodes:
            piece = group.pieces[node]
            inputs = [self._slot(x, axis) for x, axis in zip(node.inputs, piece.inputs, strict=True)]
            places.append(Place(node, inputs, self._slot(node, piece.axis), piece))
        inside = set(group.nodes)
        self.reads = [key for key in self.slots if key[0] not in inside]
        self.writes = [key for key in self.slots if key[0] in needed]
        self._products = any([isinstance(node.op.rule, Contraction) for node in group.nodes])
        self.rows, self.workers = self._share(means, self._tile())
        self.threads, self._forks = self.workers.number, self.workers.processes
        # As many tiles for each worker as for the others.
        tiles = min(-(-self.size // (self.rows * self.threads)) * self.threads, self.size)
        self.rows = -(-self.size // tiles)
        self.tiles = -(-self.size // self.rows)
        self.accumulated: list[Node] = []
        self._how: list[Accumulator] = []
        given = {self.slots[key] for key in self.writes if key[1] is not None}
        self.layout = laid_out(places, [self._work(np, place, given) for place in places], given, self._in_tile)
        parts = sum([bytes_of(node) for node in self.accumulated])
        shared = processes.shared_bytes(self) if self._forks else 0
        self.scratch = self.threads * (self.layout.memory + self.layout.others + 2 * parts + OVERHEAD) + shared
        self.held = self.threads * self.layout.memory + shared if means.repeated else 0
        self._idle: list[Worker] = []
        self._team: Team | None = None
        self._times: list[float] = []

    def _slot(self, node: Node, axis: int | None) -> int:
        return self.slots.setdefault((node, axis), FIRST + len(self.slots))

    def _tile(self) -> int:
        """Rows with which the widest array is as large as a tile may be."""
        return min(max(TILE // max(self._widest(), 1), FEWEST_ROWS if self._products else 1), self.size)

    def _widest(self) -> int:
        """The largest number of bytes of a row."""
        return max([bytes_of(node) // self.size for node, axis in self.slots if axis is not None], default=1)

    def _in_tile(self, whole: int) -> int:
        return whole // self.size * self.rows

    def _share(self, means: Means, rows: int) -> tuple[int, Workers]:
        """The rows of a tile, and the workers.

        Threads gain where steps are long enough that one need not wait for the others': for those of few steps, tiles
        are larger.
        """
        total = sum([cost.nanoseconds(node) for node in self.nodes])
        shared = sum([bytes_of(node) for node, _ in [*self.reads, *self.writes]])
        step = total / self.size / len(self.nodes)
        while step * rows < SHORTEST_STEP and rows * 2 <= self.size and self._widest() * rows * 2 <= LARGEST_OF_SHORT:
            rows *= 2
        larger = rows
        if len(self.nodes) <= FEW_STEPS and means.threads > 1:
            most = min(rows * LARGEST_TILE // TILE, self.size // means.threads)
            while step * larger < LONGER_STEP and larger * 2 <= most:
                larger *= 2
        workers = choose.workers(means, total, step * larger, shared, processes.are_possible())
        return rows if workers.processes else larger, workers

    def _work(self, np: Any, place: Place, given: set[int]) -> tuple[Run, steps.Step | None]:
        """What is run for a node, and its step if it is not accumulated."""
        if place.piece.axis is None:
            how = steps.accumulator(np, place)
            run = _adding(len(self.accumulated), how)
            self.accumulated.append(place.node)
            self._how.append(how)
            return run, None
        step = steps.step(np, place, self.ordered)
        if place.out in given and step.result != "out":
            step = _copied(step, place.out)
        return step.run, step

    def tiles_of(self, k: int, count: int) -> range:
        """The tiles of worker k of a number of them."""
        return range(self.tiles * k // count, self.tiles * (k + 1) // count)

    def _result(self, np: Any, node: Node) -> Array:
        """The array for a value that is kept: as callers have it, or as it is quickest where it is needed again."""

        def fresh() -> Array:
            return np.empty(node.shape, node.dtype)

        def flat() -> Array:
            return np.empty(size_of(node.shape), node.dtype)

        long = order.long_axis(node.shape) if self.ordered and node not in self._targets else None
        make = fresh if long is None else flat
        array = make() if self._kept is None else self._kept.array(node, make)
        return array if long is None else order.shaped(np, array, node.shape, long)

    def run(
        self, values: Mapping[Node, Array], clock: Clock | None = None, out: Mapping[Node, Array] = NOTHING
    ) -> dict[Node, Array]:
        """The values that are needed outside, in arrays of ``out`` where there are some.

        ``values`` holds the value of each node in ``reads``. Raises Failure. With a ``clock`` (for profiles) steps are
        timed, on one thread; see :meth:`times`.
        """
        import numpy as np

        results: dict[Node, Array] = {
            node: out[node] if node in out else self._result(np, node) for node, axis in self.writes if axis is not None
        }
        given = {key: np.asarray(values[key[0]]) for key in self.reads}
        given |= {(node, axis): results[node] for node, axis in self.writes if axis is not None}
        with blas.threads(1 if self._products else None):
            parts = self._by_processes(given) if self._forks and clock is None else None
            if parts is None:
                parts = self._by_threads(given, clock)
        for i, (node, how) in enumerate(zip(self.accumulated, self._how, strict=True)):
            total = parts[0][i]
            for others in parts[1:]:
                total = how.combine(total, others[i])
            results[node] = total if how.finish is None else how.finish(total)
        for node in self.views:
            results[node] = kernel_value(np, node, [results[x] if x in results else values[x] for x in node.inputs])
        return results

    def _by_threads(self, given: Mapping[Key, Array], clock: Clock | None) -> list[Sequence[Array]]:
        """What each worker has added up."""
        count = 1 if clock is not None else min(self.threads, self.tiles)
        workers = [self.new_worker() for _ in range(count)]

        def job(k: int) -> Callable[[], None]:
            return lambda: workers[k].run(given, self.tiles_of(k, count), clock)

        together([job(k) for k in range(count)])
        self._times = workers[0].times
        return [self._released(worker) for worker in workers]

    def _by_processes(self, given: Mapping[Key, Array]) -> list[Sequence[Array]] | None:
        """The same by processes that wait for it; None where they cannot."""
        if self._team is None:
            try:
                self._team = Team(self)
            except OSError:  # no more processes, or no memory to share
                self._forks = False
                return None
        own = self.new_worker()
        parts = self._team.run(self, own, given)
        return None if parts is None else [self._released(own), *parts[1:]]

    def new_worker(self) -> Worker:
        """One that has rested, or a new one."""
        try:
            return self._idle.pop()
        except IndexError:
            import numpy as np

            return Worker(np, self)

    def _released(self, worker: Worker) -> Sequence[Array]:
        """What a worker has added up; it is kept for the next run if there is one."""
        parts = worker.parts
        if self.held:
            worker.rest()
            self._idle.append(worker)
        return parts

    def times(self) -> list[tuple[Node, float]]:
        """The nodes of the steps and the seconds that they took in the last run with a clock."""
        return list(zip(self.layout.owners, self._times, strict=True))


def _kept(group: Group, wanted: set[Node]) -> tuple[set[Node], list[Node]]:
    """Which values are written, and which of the wanted ones are only views of those or of what is read."""
    inside = set(group.nodes)
    views: list[Node] = []
    for node in reversed(group.nodes):
        if node in wanted and node.op.shares == "always":
            views.append(node)
            wanted.update([x for x in node.inputs if x in inside])
    return wanted.difference(views), views[::-1]


def _adding(index: int, how: Accumulator) -> Run:
    part, combine = how.part, how.combine

    def run(r: Registers) -> None:
        parts = r[PARTS]
        more = part(r)
        parts[index] = more if parts[index] is None else combine(parts[index], more)

    return run


def _copied(step: steps.Step, slot: int) -> steps.Step:
    """A step whose value goes into the array that the register held."""

    def run(r: Registers) -> None:
        target = r[slot]
        step.run(r)
        target[...] = r[slot]
        r[slot] = target

    return steps.Step(run, "out", copied=True)
