"""A loop over tiles: its registers and scratch memory, and its run on several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gradcli.execute import blas, cost, steps
from gradcli.execute.cuts import TILE, Group
from gradcli.execute.plan import VIEWS, bytes_of, working_space
from gradcli.execute.steps import FIRST, PARTS, ROWS, Accumulator, Place, Registers, Run
from gradcli.graph.node import Node
from gradcli.graph.operation import Contraction

Array = Any
Clock = Callable[[], float]

ALIGNMENT = 64
FEWEST_ROWS = 128
"""Rows of a tile with matrix products, which would be slow on fewer."""

WORTH_THREADS = 1_000_000
"""Nanoseconds that a loop must take before starting threads costs less than they save."""

LONG_STEP = 8_000
"""Nanoseconds of a step from which threads gain: for shorter ones they wait for the interpreter's lock most of the time."""

FEW_STEPS = 16
"""Steps of which larger tiles still fit into the cache."""


OVERHEAD = 1 << 18
"""Bytes that a worker's views and NumPy's own buffers take."""


class Failure(Exception):  # noqa: N818  it is no error but the wrapping of one
    """A step that failed, and why."""

    def __init__(self, node: Node, reason: Exception) -> None:
        super().__init__(str(reason))
        self.node = node
        self.reason = reason


class Loop:
    """The nodes of a group as steps on tiles.

    ``reads`` are the values that come from outside, each with the axis along which it is cut (None: taken whole);
    ``writes`` the values that are kept, with their cut axis (None: accumulated), and ``views`` those that are needed
    outside and are parts of one of these in another form. ``scratch`` is the number of bytes that the loop takes beside
    what it writes, while it runs on its ``threads``; with ``keep`` it keeps ``held`` bytes of them for its next run.
    """

    def __init__(self, group: Group, wanted: Iterable[Node], threads: int, keep: bool = False) -> None:
        import numpy as np

        self.nodes = group.nodes
        self.size = group.size
        inside = set(group.nodes)
        needed, self.views = _kept(group, set(wanted))
        slots: dict[tuple[Node, int | None], int] = {}

        def slot(node: Node, axis: int | None) -> int:
            return slots.setdefault((node, axis), FIRST + len(slots))

        self._accumulators: list[tuple[Node, Accumulator]] = []
        self.writes: list[tuple[Node, int | None]] = []
        places: list[Place] = []
        for node in group.nodes:
            piece = group.pieces[node]
            inputs = [slot(x, k) for x, k in zip(node.inputs, piece.inputs, strict=True)]
            places.append(Place(node, inputs, slot(node, piece.axis), piece))
            if node in needed:
                self.writes.append((node, piece.axis))
        self.reads = [(node, axis) for node, axis in slots if node not in inside]
        self._slots = slots
        self._products = any([isinstance(p.node.op.rule, Contraction) for p in places])
        self._rows = self._tile(places)
        self.threads = self._share(places, threads)
        # As many tiles for each thread as for the others.
        tiles = min(-(-self.size // (self._rows * self.threads)) * self.threads, self.size)
        self._rows = -(-self.size // tiles)
        self.tiles = -(-self.size // self._rows)
        self._steps, self._owners = self._linked(np, places)
        self._offsets, self._shapes, self.arena, loose = self._placed(places)
        parts = sum([bytes_of(node) for node, _ in self._accumulators])
        self.scratch = self.threads * (self.arena + loose + 2 * parts + OVERHEAD)
        self.held = self.threads * self.arena if keep else 0
        self._idle: list[Worker] = []
        self._times: list[float] = []

    def _tile(self, places: Sequence[Place]) -> int:
        """The rows of a tile."""
        cut = [p.node for p in places if p.piece.axis is not None] + [x for x, axis in self.reads if axis is not None]
        widest = max([bytes_of(x) // self.size for x in cut], default=1)
        return min(max(TILE // max(widest, 1), FEWEST_ROWS if self._products else 1), self.size)

    def _share(self, places: Sequence[Place], threads: int) -> int:
        """How many threads to use: all where steps are long enough that a thread need not wait for the others'."""
        total = sum([cost.nanoseconds(p.node) for p in places])
        while True:
            step = total * self._rows / self.size / max(len(places), 1)
            if step >= LONG_STEP:
                return threads if total >= WORTH_THREADS else 1
            if len(places) > FEW_STEPS or self._rows * 2 * threads > self.size:
                return 1
            self._rows *= 2  # a short chain takes larger tiles, which leave the second-level cache, not the third

    def _linked(self, np: Any, places: Sequence[Place]) -> tuple[list[Run], list[Node]]:
        """The steps in order, and the node of each."""
        self._kinds: list[steps.Step | None] = []
        runs: list[Run] = []
        for place in places:
            if place.piece.axis is None:
                found = steps.accumulator(np, place)
                runs.append(_adding(len(self._accumulators), found))
                self._accumulators.append((place.node, found))
                self._kinds.append(None)
                continue
            step = steps.step(np, place)
            if (place.node, place.piece.axis) in self.writes and step.result != "out":
                step = _copied(np, step, place.out)
            self._kinds.append(step)
            runs.append(step.run)
        return runs, [place.node for place in places]

    def _placed(self, places: Sequence[Place]) -> tuple[dict[int, int], dict[int, Node], int, int]:
        """Where in a worker's memory each register has its array, the bytes of that memory, and of all other arrays.

        An array is given back after its last use, and its memory taken for the next one of the same width.
        """
        last: dict[int, int] = {}
        base: dict[int, int] = {}
        for j, (place, step) in enumerate(zip(places, self._kinds, strict=True)):
            base[place.out] = place.out
            if step is not None and step.result in ("view", "either"):
                base[place.out] = base.get(place.inputs[0], place.inputs[0])
            for i in (*place.inputs, place.out):
                last[base.get(i, i)] = j
        own = {self._slots[node, axis] for node, axis in self.writes if axis is not None}
        offsets: dict[int, int] = {}
        shapes: dict[int, Node] = {}
        free: dict[int, list[int]] = {}
        top = loose = loosest = 0
        fresh: dict[int, int] = {}
        runs: list[Run] = []
        owners: list[Node] = []
        for j, (place, step) in enumerate(zip(places, self._kinds, strict=True)):
            runs.append(self._steps[j])
            owners.append(place.node)
            width = self._bytes(place.node)
            dying = {b for i in place.inputs if last[b := base.get(i, i)] == j}
            if step is not None and step.result == "out" and place.out not in own:
                reused = next(
                    (i for i in place.inputs if step.in_place and i in dying and i in offsets and _alike(shapes[i], place.node)),
                    None,
                )  # fmt: skip
                if reused is not None:
                    offsets[place.out] = offsets[reused]
                    dying.discard(reused)
                elif free.get(width):
                    offsets[place.out] = free[width].pop()
                else:
                    offsets[place.out] = top
                    top += width
                shapes[place.out] = place.node
            passing = width if step is not None and step.copied else 0
            loosest = max(loosest, loose + passing + working_space(place.node) // self.size * self._rows)
            if step is not None and step.result in ("fresh", "either"):
                loose += width
                loosest = max(loosest, loose)
                if step.result == "fresh":
                    fresh[place.out] = width
            for b in dying | ({place.out} if last[base[place.out]] == j and base[place.out] == place.out else set()):
                if b in offsets:
                    free.setdefault(self._bytes(shapes[b]), []).append(offsets[b])
                elif b in fresh:
                    loose -= fresh[b]
                    runs.append(_dropping(b))
                    owners.append(place.node)
        self._steps, self._owners = runs, owners
        return offsets, shapes, top, loosest

    def _bytes(self, node: Node) -> int:
        """The bytes of a node's tile, aligned."""
        exact = bytes_of(node) // self.size * self._rows
        return -(-exact // ALIGNMENT) * ALIGNMENT

    def run(self, values: Mapping[Node, Array], clock: Clock | None = None) -> dict[Node, Array]:
        """The values that are needed outside.

        ``values`` holds the value of each node in ``reads``. Raises Failure. With a ``clock`` (for profiles) steps are
        timed, on one thread; see :meth:`times`.
        """
        import numpy as np

        results: dict[Node, Array] = {
            node: np.empty(node.shape, node.dtype) for node, axis in self.writes if axis is not None
        }
        count = 1 if clock is not None else min(self.threads, self.tiles)
        workers = [self._worker(np) for _ in range(count)]
        bounds = [self.tiles * k // count for k in range(count + 1)]
        given = {(node, axis): np.asarray(values[node]) for node, axis in self.reads}
        given |= {(node, axis): results[node] for node, axis in self.writes if axis is not None}
        jobs = [
            (lambda w=w, k=k: w.run(given, range(bounds[k], bounds[k + 1]), clock)) for k, w in enumerate(workers)
        ]  # fmt: skip
        with blas.threads(1 if self._products else None):
            failures = _together(jobs)
        for failure in failures:
            if failure is not None:
                raise failure
        for i, (node, how) in enumerate(self._accumulators):
            total = workers[0].parts[i]
            for worker in workers[1:]:
                total = how.combine(total, worker.parts[i])
            results[node] = how.finish(total)
        for node in self.views:
            assert node.op.kernel is not None
            inputs = [results[x] if x in results else values[x] for x in node.inputs]
            results[node] = node.op.kernel(np, *inputs, **node.attrs)
        self._times = workers[0].times
        if self.held:
            for worker in workers:
                worker.rest()
            self._idle += workers
        return results

    def times(self) -> list[tuple[Node, float]]:
        """The nodes of the steps and the seconds that they took in the last run with a clock."""
        return list(zip(self._owners, self._times, strict=True))

    def _worker(self, np: Any) -> Worker:
        try:
            return self._idle.pop()
        except IndexError:
            return Worker(np, self)


class Worker:
    """One thread's share of a loop: its scratch memory, registers for whole and for last tiles, and accumulators."""

    def __init__(self, np: Any, loop: Loop) -> None:
        self.np = np
        self.loop = loop
        self.memory = np.empty(loop.arena, np.uint8)
        self.parts: list[Array] = []
        self.times: list[float] = []
        self._registers: dict[int, Registers] = {}
        self.rest()

    def rest(self) -> None:
        """Forget what the last run held."""
        self.parts = [None] * len(self.loop._accumulators)
        for registers in self._registers.values():
            registers[PARTS] = self.parts
            for key in (*self.loop.reads, *self.loop.writes):
                registers[self.loop._slots[key]] = None

    def _for_rows(self, rows: int) -> Registers:
        if rows not in self._registers:
            loop = self.loop
            registers: Registers = [None] * (FIRST + len(loop._slots))
            registers[PARTS], registers[ROWS] = self.parts, rows
            for (node, axis), slot in loop._slots.items():
                if slot in loop._offsets:
                    assert axis is not None
                    shape = (*node.shape[:axis], rows, *node.shape[axis + 1 :])
                    size = bytes_of(node) // loop.size * rows
                    start = loop._offsets[slot]
                    registers[slot] = self.memory[start : start + size].view(node.dtype).reshape(shape)
            self._registers[rows] = registers
        return self._registers[rows]

    def run(self, given: Mapping[tuple[Node, int | None], Array], tiles: Iterable[int], clock: Clock | None) -> None:
        """Compute some tiles. Raises Failure."""
        loop = self.loop
        whole = [(loop._slots[key], array) for key, array in given.items() if key[1] is None]
        cut = [
            (loop._slots[node, axis], array, (slice(None),) * axis)
            for (node, axis), array in given.items() if axis is not None
        ]  # fmt: skip
        work = loop._steps
        self.times = [0.0] * len(work)
        with self.np.errstate(all="ignore"):
            for tile in tiles:
                start = tile * loop._rows
                stop = min(start + loop._rows, loop.size)
                r = self._for_rows(stop - start)
                for slot, array in whole:
                    r[slot] = array
                for slot, array, before in cut:
                    r[slot] = array[(*before, slice(start, stop))]
                position = 0
                try:
                    if clock is not None:
                        self._timed(r, clock)
                        continue
                    for position, step in enumerate(work):  # noqa: B007
                        step(r)
                except Exception as reason:
                    raise Failure(loop._owners[position], reason) from reason

    def _timed(self, r: Registers, clock: Clock) -> None:
        for i, step in enumerate(self.loop._steps):
            start = clock()
            step(r)
            self.times[i] += clock() - start


def _kept(group: Group, wanted: set[Node]) -> tuple[set[Node], list[Node]]:
    """Which values are written, and which of the wanted ones are only views of those or of what is read."""
    inside = set(group.nodes)
    views: list[Node] = []
    for node in reversed(group.nodes):
        if node in wanted and node.op.name in VIEWS:
            views.append(node)
            wanted.update([x for x in node.inputs if x in inside])
    return wanted.difference(views), views[::-1]


def _together(jobs: Sequence[Callable[[], None]]) -> list[Failure | None]:
    """Run jobs at once, the first one on this thread; what each raised, in their order."""
    failures: list[Failure | None] = [None] * len(jobs)

    def attempt(k: int) -> None:
        try:
            jobs[k]()
        except Failure as failure:
            failures[k] = failure

    threads = []
    if len(jobs) > 1:
        from threading import Thread

        threads = [Thread(target=attempt, args=(k,), daemon=True) for k in range(1, len(jobs))]
    for thread in threads:
        thread.start()
    attempt(0)
    for thread in threads:
        thread.join()
    return failures


def _alike(a: Node, b: Node) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype


def _adding(index: int, how: Accumulator) -> Run:
    part, combine = how.part, how.combine

    def run(r: Registers) -> None:
        parts = r[PARTS]
        more = part(r)
        parts[index] = more if parts[index] is None else combine(parts[index], more)

    return run


def _copied(np: Any, step: steps.Step, slot: int) -> steps.Step:
    """A step whose value goes into the array that the register held."""

    def run(r: Registers) -> None:
        target = r[slot]
        step.run(r)
        target[...] = r[slot]
        r[slot] = target

    return steps.Step(run, "out", copied=True)


def _dropping(slot: int) -> Run:
    def run(r: Registers) -> None:
        r[slot] = None

    return run
