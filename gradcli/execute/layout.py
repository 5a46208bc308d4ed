"""Where the arrays of a tile lie in a worker's memory, and what is let go when."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from gradcli.execute.sizes import bytes_of, working_space
from gradcli.execute.steps import Place, Registers, Run, Step
from gradcli.graph.node import Node
from gradcli.tuples import NamedTuple

ALIGNMENT = 64


class Layout(NamedTuple):
    """The steps in order, with those that let go of arrays, and the node of each.

    ``offsets`` maps registers to places in a worker's memory of ``memory`` bytes; ``others`` is the largest number of
    bytes of arrays that NumPy makes meanwhile.
    """

    runs: list[Run]
    owners: list[Node]
    offsets: dict[int, int]
    memory: int
    others: int


def laid_out(
    places: Sequence[Place],
    work: Sequence[tuple[Run, Step | None]],
    given: Collection[int],
    tile_bytes: Callable[[int], int],
) -> Layout:
    """The layout of a tile.

    ``work`` has for each place what is run and its step, None where it is accumulated; ``given`` are registers whose
    arrays come from outside. ``tile_bytes`` gives the bytes in a tile for those of a whole array. An array's memory is
    free after its last use, and taken for the next one of the same size.
    """
    memory = _Memory(places, [step for _, step in work], given, tile_bytes)
    runs: list[Run] = []
    owners: list[Node] = []
    for j, (place, (run, step)) in enumerate(zip(places, work, strict=True)):
        runs.append(run)
        owners.append(place.node)
        dropped = memory.after(j, place, step)
        runs += [_dropping(b) for b in dropped]
        owners += [place.node] * len(dropped)
    return Layout(runs, owners, memory.offsets, memory.top, memory.others)


class _Memory:
    """A worker's memory while the steps of a tile are laid out: which places are free, and what lies elsewhere.

    ``offsets`` are the places of registers, of which ``top`` bytes are in use; ``others`` is the largest number of bytes
    of arrays that NumPy has made meanwhile.
    """

    def __init__(
        self,
        places: Sequence[Place],
        work: Sequence[Step | None],
        given: Collection[int],
        tile_bytes: Callable[[int], int],
    ) -> None:
        self.offsets: dict[int, int] = {}
        self.top = self.others = 0
        self._given = given
        self._tile_bytes = tile_bytes
        self._base, self._last = _lifetimes(places, work)
        self._sizes: dict[int, int] = {}
        self._free: dict[int, list[int]] = {}
        self._loose: dict[int, int] = {}
        # What may be a view is not let go of before the next tile replaces it.
        views = [place for place, step in zip(places, work, strict=True) if step and step.result == "either"]
        self._kept = sum([self._size(place.node) for place in views])

    def _size(self, node: Node) -> int:
        return aligned(self._tile_bytes(bytes_of(node)))

    def after(self, j: int, place: Place, step: Step | None) -> list[int]:
        """Lay out step j; the registers whose arrays, made by NumPy, are let go of after it."""
        base, last, o = self._base, self._last, place.out
        dying = {b for i in place.inputs if last[b := base.get(i, i)] == j}
        self._count(place, step)
        if step is not None and o not in self._given:
            if step.result == "out":
                self._reserve(place, step, dying)
            elif step.result == "fresh":
                self._loose[o] = self._size(place.node)
        if base[o] == o and last[o] == j:
            dying.add(o)
        for b in dying & self.offsets.keys():
            self._free.setdefault(self._sizes[b], []).append(self.offsets[b])
        dropped = [b for b in dying if b in self._loose and b not in self.offsets]
        for b in dropped:
            del self._loose[b]
        return dropped

    def _count(self, place: Place, step: Step | None) -> None:
        """What NumPy makes in a step, beside what there is of it."""
        elsewhere = step is not None and (step.copied or step.result in ("fresh", "either"))
        made = self._size(place.node) if elsewhere else 0
        more = made + self._tile_bytes(working_space(place.node))
        self.others = max(self.others, self._kept + sum(self._loose.values()) + more)

    def _reserve(self, place: Place, step: Step, dying: set[int]) -> None:
        """A place for a result: that of an input that is not needed any more, one that is free, or a new one."""
        size, o = self._size(place.node), place.out
        reused = next((i for i in place.inputs if i in dying and i in self.offsets and _alike(i, place, step)), None)
        if reused is not None:
            self.offsets[o] = self.offsets[reused]
            dying.discard(reused)
        elif self._free.get(size):
            self.offsets[o] = self._free[size].pop()
        else:
            self.offsets[o], self.top = self.top, self.top + size
        self._sizes[o] = size


def _lifetimes(places: Sequence[Place], work: Sequence[Step | None]) -> tuple[dict[int, int], dict[int, int]]:
    """For each register the one whose array it looks at, and for those the last step that needs them."""
    base: dict[int, int] = {}
    last: dict[int, int] = {}
    for j, (place, step) in enumerate(zip(places, work, strict=True)):
        base[place.out] = place.out
        if step is not None and step.result in ("view", "either"):
            base[place.out] = base.get(place.inputs[0], place.inputs[0])
        for i in (*place.inputs, place.out):
            last[base.get(i, i)] = j
    return base, last


def _alike(i: int, place: Place, step: Step) -> bool:
    """Whether the result may take the array of an input."""
    x = place.node.inputs[place.inputs.index(i)]
    return step.in_place and x.shape == place.node.shape and x.dtype == place.node.dtype


def aligned(size: int) -> int:
    """The bytes up to the next place where an array may begin."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def _dropping(slot: int) -> Run:
    def run(r: Registers) -> None:
        r[slot] = None

    return run
