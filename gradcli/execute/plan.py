"""The order of evaluation, what to free when, and the memory that a run will need, before anything is allocated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node, cone
from gradcli.graph.types import ITEM_SIZE, size_of

VIEWS = {"reshape", "transpose", "broadcast_to", "index", "identity", "stop_gradient", "diagonal", "flip"}
"""Operations whose NumPy kernel returns a view: they take no memory and keep their input alive."""


def bytes_of(node: Node) -> int:
    if not node.shape:
        return ITEM_SIZE[node.dtype]
    return size_of(node.shape) * ITEM_SIZE[node.dtype]


class Plan:
    """The steps of one evaluation.

    ``nodes`` are in order of evaluation, ``inputs[i]`` the positions of step i's inputs, ``frees[i]`` the positions
    whose arrays are not needed after it, ``peak`` the largest number of bytes alive at once (the targets' copies
    included) and ``largest`` the node with the largest array. Where the targets were rewritten, ``original`` maps a
    new node to the one that it stands for, and ``leaves`` are those that the targets needed before: a value that a
    program needs stays needed, however it is simplified.
    """

    def __init__(
        self,
        targets: Sequence[Node],
        original: Mapping[Node, Node] | None = None,
        leaves: Sequence[Node] | None = None,
    ) -> None:
        self.target_nodes = list(targets)
        self.original = original or {}
        self.nodes = cone(targets)
        self.leaves = [n for n in self.nodes if n.op.name == "leaf"] if leaves is None else list(leaves)
        position = {node: i for i, node in enumerate(self.nodes)}
        self.targets = [position[node] for node in targets]
        self.inputs = [[position[x] for x in node.inputs] for node in self.nodes]
        self.frees: list[list[int]] = [[] for _ in self.nodes]
        last = list(range(len(self.nodes)))
        for i, inputs in enumerate(self.inputs):
            for x in inputs:
                last[x] = i
        for x in self.targets:
            last[x] = x
        for x, i in enumerate(last):
            if i != x:
                self.frees[i].append(x)
        sizes = [bytes_of(node) for node in self.nodes]
        self.largest = self.nodes[max(range(len(sizes)), key=sizes.__getitem__)] if sizes else None
        self.peak = self._peak(sizes)

    def _peak(self, sizes: list[int]) -> int:
        """Arrays alive at once; a view counts for nothing but keeps what it looks at alive."""
        base = list(range(len(sizes)))
        users = [1] * len(sizes)
        for i, node in enumerate(self.nodes):
            if node.op.name in VIEWS:
                base[i] = base[self.inputs[i][0]]
                users[base[i]] += 1
        peak = alive = 0
        for i, frees in enumerate(self.frees):
            if base[i] == i:
                alive += sizes[i]
                if alive > peak:
                    peak = alive
            for dead in frees:
                root = base[dead]
                users[root] -= 1
                if not users[root]:
                    alive -= sizes[root]
        return max(peak, alive + sum([sizes[x] for x in self.targets]))

    def check_memory(self, limit: int | None) -> GradcliError | None:
        """The LimitError of a run that would need more than ``limit`` bytes (default: what is free now), if so."""
        available = limit if limit is not None else free_memory()
        if available is None or self.peak <= available or self.largest is None:
            return None
        source = "--max-memory allows" if limit is not None else "free are"
        return GradcliError(
            "LimitError",
            f"this needs {show_bytes(self.peak)} of memory at once, {source} {show_bytes(available)}; the largest "
            f"array has shape {list(self.largest.shape)} and takes {show_bytes(bytes_of(self.largest))}",
            help="use smaller shapes, or `--dtype float32`" + (", or raise --max-memory" if limit is not None else ""),
        )


def show_bytes(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024 or unit == "PiB":
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"
        size /= 1024
    raise AssertionError


def free_memory() -> int | None:
    """Bytes that can be allocated without swapping and within the process's own limit, where the system tells."""
    known = [n for n in (_free_of_system(), _free_of_process()) if n is not None]
    return min(known, default=None)


def _free_of_process() -> int | None:
    """What is left of the limit on address space (``ulimit -v``)."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return None
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return max(limit - pages * resource.getpagesize(), 0)
    except (ImportError, OSError, ValueError):
        return None


def _free_of_system() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        import os

        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
