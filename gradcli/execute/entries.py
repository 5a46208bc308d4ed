"""Steps on small arrays as functions of numbers: each entry of an array is a variable of its own.

NumPy takes a microsecond for an operation on three entries as on one, Python 50 ns for a number. Entries that are only
moved cost nothing; sums and products of entries are written out; an operation of which that isn't known is done by its
kernel on an array that is put together for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import isfinite
from typing import Any

from gradcli.execute.scalars import TYPES, Code, to_number
from gradcli.graph.flow import flow
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Contraction
from gradcli.graph.ops.words.python import NUMBERS
from gradcli.graph.types import size_of
from gradcli.tuples import NamedTuple

MOST = 16
"""Entries of an array."""

ARRAY, NUMBER, CALL, PACKED, WRITING = 1000, 50, 900, 3000, 20_000
"""Nanoseconds: an operation on a small array, one on numbers, NumPy's function of a number, a kernel on an array that is put
together, and to write and compile a line."""

Names = Sequence[str]


class Line(NamedTuple):
    """A statement: what it names, what it uses, and the nanoseconds that it takes."""

    names: Names
    text: str
    uses: Names
    takes: int


def fits(node: Node) -> bool:
    """Whether a node's entries can be numbers."""
    return node.dtype in TYPES and 0 < size_of(node.shape) <= MOST and (node.op.kernel is not None or not node.inputs)


class Entries:
    """The statements that compute nodes from the named entries of others, all of which :func:`fits`."""

    def __init__(self, results: Sequence[Node], known: Mapping[Node, Names]) -> None:
        import numpy as np

        self.np = np
        self.code = Code([], {})
        self.names: dict[Node, Names] = dict(known)
        self._lines: list[Line] = []
        self._packed: dict[Node, str] = {}
        self._constants: set[str] = set()
        nodes = [node for node in cone(results, stop=known) if node not in known]
        self.arrays = ARRAY * len([node for node in nodes if node.inputs])
        """Nanoseconds that whole arrays would take."""
        with np.errstate(all="ignore"):
            for node in nodes:
                self.names[node] = self._entries(node)
        self.lines = self._needed([name for node in results for name in self.names[node]])

    def pay(self, runs: int) -> bool:
        """Whether so many runs are quicker than with whole arrays."""
        saves = self.arrays - sum([line.takes for line in self.lines])
        return saves * runs >= WRITING * len(self.lines)

    def texts(self) -> list[str]:
        """The statements, in their order."""
        return [line.text for line in self.lines]

    def function(self, head: str, lines: Sequence[str]) -> Callable[..., Any]:
        """A function of these lines, which see what the statements refer to."""
        return self.code.function(head, lines)

    def _needed(self, names: Names) -> list[Line]:
        """The lines that something needs."""
        needed, kept = set(names), []
        for line in reversed(self._lines):
            if not needed.isdisjoint(line.names):
                needed.update(line.uses)
                kept.append(line)
        return kept[::-1]

    # one operation

    def _entries(self, node: Node) -> Names:
        op, inputs = node.op, node.inputs
        if not inputs:
            assert op.kernel is not None
            value = self.np.broadcast_to(op.kernel(self.np, **node.attrs), node.shape)
            return [self._constant(to_number(x, node.dtype)) for x in value.ravel()]
        if op.entrywise:
            return self._entrywise(node)
        if isinstance(op.rule, Contraction):
            return self._contracted(node, op.rule)
        moved = op.entries in ("moved", "negated", "placed", "repeated")
        if moved and not op.piecewise:  # a sort moves them by their values
            return self._moved(node)
        accumulated = op.flow == "accumulated" and len(inputs) == 1 and op.combined in NUMBERS
        if accumulated and (op.entries == "added" or node.dtype == "bool"):  # a mean does more than that
            return self._accumulated(node)
        return self._whole(node)

    def _constant(self, value: Any) -> str:
        name = f"({value!r})" if type(value) is bool or type(value) is float and isfinite(value) else ""
        if not name:
            name = f"k{len(self.code.scope)}"
            self.code.scope[name] = value
        self._constants.add(name)
        return name

    def _line(self, node: Node, text: str, uses: Names, takes: int) -> str:
        name = f"n{len(self._lines)}"
        self._lines.append(Line([name], f"{name} = {text}", uses, takes))
        return name

    def _entrywise(self, node: Node) -> Names:
        """The operation on each entry of the inputs, spread to the result's shape."""
        np = self.np
        places = [
            np.broadcast_to(np.arange(size_of(x.shape)).reshape(x.shape), node.shape).ravel().tolist()
            for x in node.inputs
        ]
        found: list[str] = []
        for given in zip(*places, strict=True):
            names = [self.names[x][i] for x, i in zip(node.inputs, given, strict=True)]
            text, plain = self.code.expression(node, names)
            if self._constants.issuperset(names):
                found.append(self._constant(eval(text, self.code.scope)))
            else:
                found.append(self._line(node, text, names, NUMBER if plain else CALL))
        return found

    def _moved(self, node: Node) -> Names:
        """Entries of the inputs, with a sign or in places between zeros, as the kernel moves their numbers."""
        np, count = self.np, 0
        given: list[Any] = []
        every: list[str] = []
        for x in node.inputs:
            size = size_of(x.shape)
            given.append(np.arange(count + 1.0, count + size + 1).reshape(x.shape))
            every += self.names[x]
            count += size
        assert node.op.kernel is not None
        numbers = np.broadcast_to(node.op.kernel(np, *given, **node.attrs), node.shape).ravel().tolist()
        zero = self._constant(to_number(0, node.dtype))
        found: list[str] = []
        for k in map(int, numbers):
            name = every[abs(k) - 1] if k else zero
            found.append(name if k >= 0 else self._line(node, f"-{name}", [name], NUMBER))
        return found

    def _contracted(self, node: Node, rule: Contraction) -> Names:
        """Sums of products."""
        labels, out = rule.labels(node.inputs, dict(node.attrs))
        sizes = {
            label: n for x, own in zip(node.inputs, labels, strict=True) for label, n in zip(own, x.shape, strict=True)
        }
        summed = [label for label in sizes if label not in out]
        found: list[str] = []
        for outer in product(*[range(sizes[label]) for label in out]):
            terms: list[list[str]] = []
            for inner in product(*[range(sizes[label]) for label in summed]):
                at = dict(zip([*out, *summed], [*outer, *inner], strict=True))
                terms.append(
                    [self._entry(x, [at[label] for label in own]) for x, own in zip(node.inputs, labels, strict=True)]
                )
            text = " + ".join([" * ".join(term) for term in terms])
            uses = [name for term in terms for name in term]
            found.append(self._line(node, text, uses, NUMBER * len(uses)))
        return found

    def _entry(self, node: Node, place: Sequence[int]) -> str:
        k = 0
        for i, n in zip(place, node.shape, strict=True):
            k = k * n + i
        return self.names[node][k]

    def _accumulated(self, node: Node) -> Names:
        """What combines the entries along the axes that go."""
        (x,), ((own,), out) = node.inputs, flow(node)
        parts: dict[tuple[int, ...], list[str]] = {}
        for place, name in zip(product(*map(range, x.shape)), self.names[x], strict=True):
            parts.setdefault(tuple([i for i, label in zip(place, own, strict=True) if label in out]), []).append(name)
        found: list[str] = []
        for names in parts.values():
            name = names[0]
            for other in names[1:]:
                name = self._line(node, NUMBERS[node.op.combined].format(name, other), [name, other], NUMBER)
            found.append(name)
        return found

    def _whole(self, node: Node) -> Names:
        """The kernel on whole arrays."""
        k = len(self._lines)
        kernel, attrs = f"whole{k}", f"with{k}"
        self.code.scope |= {kernel: node.op.kernel, attrs: node.attrs}
        given = [self._array(x) for x in node.inputs]
        array = self._packed[node] = self._line(node, f"{kernel}(np, {', '.join(given)}, **{attrs})", given, PACKED)
        names = [f"{array}_{i}" for i in range(size_of(node.shape))]
        listed = "list({}.ravel())" if node.dtype == "float32" else "{}.ravel().tolist()"
        self.code.scope["asarray"] = self.np.asarray
        text = f"{', '.join(names)}, = {listed.format(f'asarray({array})')}"
        self._lines.append(Line(names, text, [array], NUMBER))
        return names

    def _array(self, node: Node) -> str:
        """The entries as an array, or as NumPy's number."""
        if node not in self._packed:
            names, dtype = self.names[node], TYPES[node.dtype]
            text = f"array(({', '.join(names)},), {dtype})" if node.shape else f"{dtype}({names[0]})"
            self.code.scope["array"] = self.np.array
            if len(node.shape) > 1:
                text += f".reshape({node.shape})"
            self._packed[node] = self._line(node, text, names, NUMBER)
        return self._packed[node]
