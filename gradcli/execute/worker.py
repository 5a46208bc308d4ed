"""One thread's or process's share of a loop: its scratch memory, its registers, and what it has added up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.execute import order
from gradcli.execute.sizes import bytes_of
from gradcli.execute.steps import FIRST, PARTS, ROWS, Registers
from gradcli.graph.failures import Failure
from gradcli.graph.node import Node

if TYPE_CHECKING:
    from gradcli.execute.loop import Loop

Array = Any
Key = tuple[Node, "int | None"]
"""A value and the axis along which it is cut, None where it is taken whole."""

Clock = Callable[[], float]


class Worker:
    """Scratch memory and registers for whole and for last tiles; ``parts`` are the accumulators."""

    def __init__(self, np: Any, loop: Loop) -> None:
        self._np = np
        self._loop = loop
        self._memory = np.empty(loop.layout.memory, np.uint8)
        self._registers: dict[int, Registers] = {}
        self.parts: list[Array] = []
        self.times: list[float] = []
        self.rest()

    def rest(self) -> None:
        """Forget what the last run held."""
        self.parts = [None] * len(self._loop.accumulated)
        for registers in self._registers.values():
            registers[PARTS] = self.parts
            for key in (*self._loop.reads, *self._loop.writes):
                registers[self._loop.slots[key]] = None

    def run(self, given: Mapping[Key, Array], tiles: Iterable[int], clock: Clock | None = None) -> None:
        """Compute some tiles. Raises Failure.

        ``given`` holds the arrays that are read, and those that are to be filled. With a ``clock`` steps are timed.
        """
        loop = self._loop
        whole = [(loop.slots[key], array) for key, array in given.items() if key[1] is None]
        cut = [
            (loop.slots[node, axis], array, (slice(None),) * axis)
            for (node, axis), array in given.items() if axis is not None
        ]  # fmt: skip
        work = loop.layout.runs
        self.times = [0.0] * len(work)
        with self._np.errstate(all="ignore"):
            for tile in tiles:
                start = tile * loop.rows
                stop = min(start + loop.rows, loop.size)
                r = self._for_rows(stop - start)
                for slot, array in whole:
                    r[slot] = array
                for slot, array, before in cut:
                    r[slot] = array[(*before, slice(start, stop))]
                position = 0
                try:
                    if clock is None:
                        for position, step in enumerate(work):  # noqa: B007
                            step(r)
                        continue
                    for position, step in enumerate(work):
                        since = clock()
                        step(r)
                        self.times[position] += clock() - since
                except Exception as reason:
                    raise Failure(loop.layout.owners[position], reason) from reason

    def _for_rows(self, rows: int) -> Registers:
        if rows not in self._registers:
            loop = self._loop
            registers: Registers = [None] * (FIRST + len(loop.slots))
            registers[PARTS], registers[ROWS] = self.parts, rows
            for (node, axis), slot in loop.slots.items():
                start = loop.layout.offsets.get(slot)
                if start is not None:
                    assert axis is not None
                    size = bytes_of(node) // loop.size * rows
                    shape = (*node.shape[:axis], rows, *node.shape[axis + 1 :])
                    memory = self._memory[start : start + size].view(node.dtype)
                    long = order.long_axis(node.shape) if loop.ordered else None
                    registers[slot] = order.shaped(self._np, memory, shape, long)
            self._registers[rows] = registers
        return self._registers[rows]


def together(jobs: Sequence[Callable[[], None]]) -> None:
    """Run jobs at once, the first one on this thread. Raises the first Failure, in their order."""
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
    for failure in failures:
        if failure is not None:
            raise failure
