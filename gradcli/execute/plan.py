"""The order of evaluation, what to free when, and the memory that a run will need, before anything is allocated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from gradcli.data.memory import free_memory, show_bytes
from gradcli.diagnostics import GradcliError
from gradcli.execute import choose, order
from gradcli.execute.sizes import HEAVY, Means, bytes_of, processors, working_space
from gradcli.graph.node import Node, cone

if TYPE_CHECKING:
    from gradcli.execute.choose import Choice
    from gradcli.execute.loop import Loop


class Plan:
    """The units of one evaluation: operations on whole arrays, and loops over tiles.

    ``nodes`` are in order of evaluation; a unit is a position among them or a loop. ``frees[i]`` are the positions whose
    arrays are not needed after unit i, ``peak`` the largest number of bytes alive at once (scratch memory and the
    targets' copies included), ``largest`` the node with the largest array, and ``choice`` says what runs it and why. Where the targets were rewritten,
    ``original`` maps a new node to the one that it stands for, and ``leaves`` are those that the targets needed before: a
    value that a program needs stays needed, however it is simplified. ``known`` are nodes whose values are given, and
    ``ordered`` says that arrays lie as :mod:`gradcli.execute.order` says.
    """

    def __init__(
        self,
        targets: Sequence[Node],
        original: Mapping[Node, Node] | None = None,
        leaves: Sequence[Node] | None = None,
        means: Means | None = None,
        known: Iterable[Node] = (),
    ) -> None:
        self.target_nodes = list(targets)
        self.original = original or {}
        self.known = set(known)
        means = means or Means()
        self.means = means._replace(threads=means.threads or processors())
        nodes = cone(targets, self.known)
        self.ordered = order.pays(nodes, self.known, self.target_nodes)
        self.leaves = [n for n in nodes if n.op.name == "leaf"] if leaves is None else list(leaves)
        self.units: list[int | Loop] = list(range(len(nodes)))
        sizes = [bytes_of(node) for node in nodes]
        self.largest = nodes[max(range(len(sizes)), key=sizes.__getitem__)] if sizes else None
        self.choice = choose.of_arrays(max(sizes, default=0))
        if self.choice.engine == "tiles":
            nodes = self._grouped(nodes)
            if not any([not isinstance(unit, int) for unit in self.units]):
                self.choice = choose.of_arrays(max(sizes), loops=False)
            sizes = [bytes_of(node) for node in nodes]
        self.nodes = nodes
        self.position = {node: i for i, node in enumerate(nodes)}
        self.targets = [self.position[node] for node in targets]
        self.inputs = [[self.position[x] for x in node.inputs] if node not in self.known else [] for node in nodes]
        self.frees = self._last_uses()
        self.peak = self._peak(sizes)
        self._heavy = max(sizes, default=0) >= HEAVY and any(
            [isinstance(unit, int) and nodes[unit].op.family == "linear algebra" for unit in self.units]
        )

    def _grouped(self, nodes: list[Node]) -> list[Node]:
        """The nodes in the order of units, some of which are loops now."""
        from gradcli.execute.cuts import groups

        found = groups(nodes, self.known)
        if found is None:
            return nodes
        from gradcli.execute.loop import Loop

        users: dict[Node, set[int]] = {node: {-1} for node in self.target_nodes}
        for k, group in enumerate(found):
            for node in group.nodes:
                for x in node.inputs:
                    users.setdefault(x, set()).add(k)
        ordered: list[Node] = []
        self.units = []
        for k, group in enumerate(found):
            if group.size:
                wanted = [node for node in group.nodes if users.get(node, set()) - {k}]
                self.units.append(Loop(group, wanted, self.means, self.ordered, self.target_nodes))
            else:
                self.units += range(len(ordered), len(ordered) + len(group.nodes))
            ordered += group.nodes
        return ordered

    def _uses(self, unit: int | Loop) -> Iterable[int]:
        if isinstance(unit, int):
            return self.inputs[unit]
        return [self.position[node] for node, _ in unit.reads]

    def _makes(self, unit: int | Loop) -> Iterable[int]:
        if isinstance(unit, int):
            return (unit,)
        return [self.position[node] for node in (*[node for node, _ in unit.writes], *unit.views)]

    def _last_uses(self) -> list[list[int]]:
        last: dict[int, int] = {}
        for i, unit in enumerate(self.units):
            for x in (*self._makes(unit), *self._uses(unit)):
                last[x] = i
        for x in self.targets:
            last.pop(x, None)
        frees: list[list[int]] = [[] for _ in self.units]
        for x, i in last.items():
            frees[i].append(x)
        return frees

    def _peak(self, sizes: list[int]) -> int:
        """Bytes alive at once; a view counts for nothing but keeps what it looks at alive."""
        base, users = self._looked_at()
        given = {i for i, node in enumerate(self.nodes) if node.op.name == "leaf" or node in self.known}
        held = sum([unit.held for unit in self.units if not isinstance(unit, int)])
        peak = alive = sum([sizes[i] for i in given]) + held
        for unit, frees in zip(self.units, self.frees, strict=True):
            alive += sum([sizes[i] for i in self._makes(unit) if base[i] == i and i not in given])
            more = unit.scratch - unit.held if not isinstance(unit, int) else working_space(self.nodes[unit])
            peak = max(peak, alive + more)
            for dead in frees:
                root = base[dead]
                users[root] -= 1
                if not users[root] and root not in given:
                    alive -= sizes[root]
        # What is not an array of its own is copied at the end.
        own = {i for i in self.targets if base[i] == i and i not in given and self.nodes[i].op.shares != "sometimes"}
        copied = sum([sizes[i] for i in self.targets]) - sum([sizes[i] for i in own])
        return max(peak, alive + copied)

    def _looked_at(self) -> tuple[list[int], list[int]]:
        """For each position the one whose array it looks at, and for those how many look at them, themselves included."""
        base = list(range(len(self.nodes)))
        users = [1] * len(base)
        for i in sorted([i for unit in self.units for i in self._makes(unit)]):
            node = self.nodes[i]
            if node.op.shares == "always" and node not in self.known:
                base[i] = base[self.inputs[i][0]]
                users[base[i]] += 1
        return base, users

    def when_repeated(self, calls: int = 0) -> Choice:
        """What runs the plan again and again, at least so many times, and why."""
        largest = bytes_of(self.largest) if self.largest is not None else 0
        return choose.of_repeated(self.choice, largest, len(self.nodes), calls)

    def blas(self) -> AbstractContextManager[None]:
        """Threads for the matrix products that are done whole, if some is worth it."""
        if not self._heavy:
            return nullcontext()
        from gradcli.execute import blas

        return blas.threads(self.means.threads)

    def check_memory(self, limit: int | None) -> GradcliError | None:
        """The LimitError of a run that would need more than ``limit`` bytes (default: what is free now), if so."""
        available = limit if limit is not None else free_memory()
        if available is None or self.peak <= available or self.largest is None:
            return None
        error = too_large(
            self.peak, "--max-memory allows" if limit is not None else "free are", available, self.largest
        )
        if limit is not None:
            error.help = f"{error.help}, or raise --max-memory"
        return error


def too_large(bytes: int, source: str, available: int, largest: Node) -> GradcliError:
    """The LimitError of what needs more bytes than the ``source`` says there are."""
    return GradcliError(
        "LimitError",
        f"this needs {show_bytes(bytes)} of memory at once, {source} {show_bytes(available)}; the largest "
        f"array has shape {list(largest.shape)} and takes {show_bytes(bytes_of(largest))}",
        help="use smaller shapes, or `--dtype float32`",
    )
