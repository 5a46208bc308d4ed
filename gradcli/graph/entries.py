"""Operations on small arrays as operations on their entries, whatever stands for an entry: a name, or a node of its own.

What an operation does with entries follows from its entry of the table: its family, the sort of its rule, its flow and what
an entry of its result is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcli.graph.flow import flow
from gradcli.graph.node import Node
from gradcli.graph.operation import Contraction, Operation, kernel_value
from gradcli.graph.types import size_of

Array = Any

Entry = Any

Entries = Any
"""An array of NumPy of the shape of a node, whose items stand for its entries."""


class Entrywise:
    """From the entries of the inputs to those of a result; what an entry is, and how one is made, subclasses say."""

    def constant(self, value: Any, dtype: str) -> Entry:
        """A number."""
        raise NotImplementedError

    def applied(self, node: Node, given: Sequence[Entry]) -> Entry:
        """The operation of a node on numbers."""
        raise NotImplementedError

    def negated(self, node: Node, entry: Entry) -> Entry:
        """An entry of an input with the other sign."""
        raise NotImplementedError

    def added(self, node: Node, products: Sequence[Sequence[Entry]]) -> Entry:
        """A sum of products, none of them without factors."""
        raise NotImplementedError

    def combines(self, op: Operation) -> bool:
        """Whether :meth:`combined` knows how the operation puts two entries together."""
        raise NotImplementedError

    def combined(self, node: Node, some: Sequence[Entry]) -> Entry:
        """What an ``accumulated`` operation makes of entries, at least one."""
        raise NotImplementedError

    def indices(self, node: Node, entries: Entries) -> Array:
        """The integers that entries are."""
        raise NotImplementedError

    def whole(self, node: Node, inputs: Sequence[Entries]) -> Sequence[Entry]:
        """The entries of what no rule knows."""
        raise NotImplementedError

    def result(self, node: Node, inputs: Sequence[Entries]) -> Sequence[Entry]:
        """The entries of a node, in order, from those of its inputs."""
        import numpy as np

        op = node.op
        if not inputs:
            value = np.broadcast_to(kernel_value(np, node), node.shape)
            return [self.constant(x, node.dtype) for x in value.ravel().tolist()]
        if op.entrywise:
            spread = [np.broadcast_to(x, node.shape).ravel().tolist() for x in inputs]
            return [self.applied(node, given) for given in zip(*spread, strict=True)]
        if isinstance(op.rule, Contraction):
            return self._contracted(node, inputs, op.rule)
        # A sort moves entries by their values.
        if op.entries in ("moved", "negated", "placed", "repeated") and not op.piecewise:
            return self._moved(node, inputs)
        if op.folds and len(inputs) == 1:
            return self._accumulated(node, inputs) if self.combines(op) else self.whole(node, inputs)
        if op.entries == "added":
            return self._scattered(node, inputs)
        return self.whole(node, inputs)

    def _moved(self, node: Node, inputs: Sequence[Entries]) -> list[Entry]:
        """Entries of the inputs, perhaps with the other sign, in places as the kernel moves their numbers; 0 elsewhere."""
        import numpy as np

        given: list[Array] = []
        every: list[Entry] = []
        places = {i for i, p in enumerate(node.op.parameters) if p.kind == "indices"}
        for i, x in enumerate(inputs):
            if i in places:
                given.append(self.indices(node, x))
                continue
            given.append(np.arange(len(every) + 1.0, len(every) + x.size + 1).reshape(x.shape))
            every += x.ravel().tolist()
        numbers = np.broadcast_to(kernel_value(np, node, given), node.shape).ravel().tolist()
        zero = self.constant(False if node.dtype == "bool" else 0, node.dtype)
        found = [every[abs(int(k)) - 1] if k else zero for k in numbers]
        return [self.negated(node, x) if k < 0 else x for k, x in zip(numbers, found, strict=True)]

    def _contracted(self, node: Node, inputs: Sequence[Entries], rule: Contraction) -> list[Entry]:
        import numpy as np

        labels, out = rule.labels(node.inputs, dict(node.attrs))
        sizes = {k: n for x, own in zip(node.inputs, labels, strict=True) for k, n in zip(own, x.shape, strict=True)}
        summed = [k for k in sizes if k not in out]
        found: list[Entry] = []
        for outer in np.ndindex(*[sizes[k] for k in out]):
            products: list[list[Entry]] = []
            for inner in np.ndindex(*[sizes[k] for k in summed]):
                at = dict(zip([*out, *summed], [*outer, *inner], strict=True))
                products.append([x[tuple([at[k] for k in own])] for x, own in zip(inputs, labels, strict=True)])
            found.append(self.added(node, products) if products else self.constant(0, node.dtype))
        return found

    def _accumulated(self, node: Node, inputs: Sequence[Entries]) -> list[Entry]:
        """What combines the entries along the axes that go."""
        import numpy as np

        (x,), ((own,), out) = inputs, flow(node)
        parts: dict[tuple[int, ...], list[Entry]] = {}
        for place in np.ndindex(x.shape):
            parts.setdefault(tuple([i for i, k in zip(place, own, strict=True) if k in out]), []).append(x[place])
        if not parts:
            value = kernel_value(np, node, [np.zeros(x.shape, node.dtype)])
            return [self.constant(v, node.dtype) for v in np.ravel(value).tolist()]
        return [self.combined(node, some) for some in parts.values()]

    def _scattered(self, node: Node, inputs: Sequence[Entries]) -> list[Entry]:
        """Sums of entries, each of which the kernel puts in one place: found by moving them one by one."""
        import numpy as np

        x = inputs[0]
        indices = [self.indices(node, other) for other in inputs[1:]]
        sums: list[list[Entry]] = [[] for _ in range(size_of(node.shape))]
        for k, entry in enumerate(x.ravel()):
            unit = np.zeros(x.size)
            unit[k] = 1
            moved = kernel_value(np, node, [unit.reshape(x.shape), *indices])
            (places,) = np.nonzero(np.ravel(moved))
            for place in places:
                sums[place].append(entry)
        return [self.added(node, [[e] for e in some]) if some else self.constant(0, node.dtype) for some in sums]
