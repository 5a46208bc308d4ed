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
    base, last = _lifetimes(places, [step for _, step in work])
    offsets: dict[int, int] = {}
    sizes: dict[int, int] = {}
    free: dict[int, list[int]] = {}
    loose: dict[int, int] = {}
    runs: list[Run] = []
    owners: list[Node] = []
    # What may be a view is not let go of before the next tile replaces it.
    kept = sum(
        [
            aligned(tile_bytes(bytes_of(place.node)))
            for place, (_, step) in zip(places, work, strict=True)
            if step and step.result == "either"
        ]
    )
    top = most = 0
    for j, (place, (run, step)) in enumerate(zip(places, work, strict=True)):
        runs.append(run)
        owners.append(place.node)
        o = place.out
        size = aligned(tile_bytes(bytes_of(place.node)))
        dying = {b for i in place.inputs if last[b := base.get(i, i)] == j}
        made = size if step is not None and (step.copied or step.result in ("fresh", "either")) else 0
        most = max(most, kept + sum(loose.values()) + made + tile_bytes(working_space(place.node)))
        if step is None or o in given:
            pass
        elif step.result == "out":
            reused = next((i for i in place.inputs if i in dying and i in offsets and _alike(i, place, step)), None)
            if reused is not None:
                offsets[o] = offsets[reused]
                dying.discard(reused)
            elif free.get(size):
                offsets[o] = free[size].pop()
            else:
                offsets[o], top = top, top + size
            sizes[o] = size
        elif step.result == "fresh":
            loose[o] = size
        if base[o] == o and last[o] == j:
            dying.add(o)
        for b in dying:
            if b in offsets:
                free.setdefault(sizes[b], []).append(offsets[b])
            elif b in loose:
                del loose[b]
                runs.append(_dropping(b))
                owners.append(place.node)
    return Layout(runs, owners, offsets, top, most)


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
