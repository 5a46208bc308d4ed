"""Steps on small arrays as functions of numbers: each entry of an array is a variable of its own.

NumPy takes a microsecond for an operation on three entries as on one, Python 50 ns for a number. Entries that are only
moved cost nothing; sums and products of entries are written out; an operation of which that isn't known is done by its
kernel on an array that is put together for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from gradcli.execute.lower import TYPES, by_kernel, on_numbers, to_number
from gradcli.execute.scalars import scope_of_numbers
from gradcli.graph.entries import Entrywise
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Operation
from gradcli.graph.ops.words.python import NUMBERS
from gradcli.graph.types import size_of
from gradcli.tuples import NamedTuple

MOST = 16
"""Entries of an array."""

ARRAY, NUMBER, CALL, PACKED = 1000, 50, 900, 3000
"""Nanoseconds: an operation on a small array, one on numbers, NumPy's function of a number, and a kernel on an array that is
put together."""

MOVED = 40
"""Nanoseconds for an entry that a step takes from a row or puts on a stack, beside those for a whole array."""

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


class Statements(Entrywise):
    """The statements that compute nodes from the named entries of others, all of which :func:`fits`."""

    def __init__(self, results: Sequence[Node], known: Mapping[Node, Names]) -> None:
        import numpy as np

        self.np = np
        self.scope = scope_of_numbers(np)
        self.names: dict[Node, Names] = dict(known)
        self._lines: list[Line] = []
        self._packed: dict[Node, str] = {}
        self._constants: set[str] = set()
        self._last: Node | None = None
        nodes = [node for node in cone(results, stop=known) if node not in known]
        self.arrays = ARRAY * len([node for node in nodes if node.inputs])
        """Nanoseconds that whole arrays would take."""
        with np.errstate(all="ignore"):
            for node in nodes:
                inputs = [np.array(self.names[x], object).reshape(x.shape) for x in node.inputs]
                self.names[node] = self.result(node, inputs)
        self.lines = self._needed([name for node in results for name in self.names[node]])

    @property
    def saved(self) -> int:
        """Nanoseconds that a run is quicker than with whole arrays."""
        return self.arrays - sum([line.takes for line in self.lines])

    def texts(self) -> list[str]:
        """The statements, in their order."""
        return [line.text for line in self.lines]

    def _needed(self, names: Names) -> list[Line]:
        """The lines that something needs."""
        needed, kept = set(names), []
        for line in reversed(self._lines):
            if not needed.isdisjoint(line.names):
                needed.update(line.uses)
                kept.append(line)
        return kept[::-1]

    # one operation

    def constant(self, value: Any, dtype: str) -> str:
        value = to_number(value, dtype)
        name = f"({value!r})" if type(value) is bool or type(value) is float and isfinite(value) else ""
        if not name:
            name = f"k{len(self._constants)}"
            self.scope.names[name] = value
        self._constants.add(name)
        return name

    def _line(self, text: str, uses: Names, takes: int) -> str:
        name = f"n{len(self._lines)}"
        self._lines.append(Line([name], f"{name} = {text}", uses, takes))
        return name

    def applied(self, node: Node, given: Names) -> str:
        if self._last is not node:
            self._last, self._formula = node, on_numbers(self.np, node)
            self._named = self.scope.named(self._formula, node.serial)
        text = self._formula.text.format(*given, **self._named)
        if self._constants.issuperset(given):
            return self.constant(eval(text, self.scope.names), node.dtype)
        return self._line(text, given, NUMBER if self._formula.plain else CALL)

    def negated(self, node: Node, entry: str) -> str:
        return self._line(f"-{entry}", [entry], NUMBER)

    def added(self, node: Node, products: Sequence[Names]) -> str:
        uses = [name for factors in products for name in factors]
        return self._line(" + ".join([" * ".join(factors) for factors in products]), uses, NUMBER * len(uses))

    def combines(self, op: Operation) -> bool:
        return op.combined in NUMBERS

    def combined(self, node: Node, some: Names) -> str:
        name = some[0]
        for other in some[1:]:
            name = self._line(NUMBERS[node.op.combined].format(name, other), [name, other], NUMBER)
        return name

    def whole(self, node: Node, inputs: Sequence[Any]) -> Names:
        """The kernel on whole arrays."""
        formula = by_kernel(node)
        given = [self._array(x) for x in node.inputs]
        text = formula.text.format(*given, **self.scope.named(formula, node.serial))
        array = self._packed[node] = self._line(text, given, PACKED)
        names = [f"{array}_{i}" for i in range(size_of(node.shape))]
        listed = "list({}.ravel())" if node.dtype == "float32" else "{}.ravel().tolist()"
        text = f"{', '.join(names)}, = {listed.format(f'np.asarray({array})')}"
        self._lines.append(Line(names, text, [array], NUMBER))
        return names

    def _array(self, node: Node) -> str:
        """The entries as an array, or as NumPy's number."""
        if node not in self._packed:
            names = self.names[node]
            text = packed(names, node) if node.shape else f"np.{TYPES[node.dtype]}({names[0]})"
            self._packed[node] = self._line(text, names, NUMBER)
        return self._packed[node]


def packed(names: Names, node: Node) -> str:
    """The array of numbers that are the entries of a node, in the words of :func:`scope_of_numbers`."""
    dtype = TYPES[node.dtype]
    if not node.shape:
        return f"array({names[0]}, {dtype})"
    text = f"array(({', '.join(names)},), {dtype})"
    return text if len(node.shape) == 1 else f"{text}.reshape({node.shape})"
