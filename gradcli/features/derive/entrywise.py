"""Formulas of small arrays as formulas of numbers: each entry of an array is a scalar node of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from gradcli.diagnostics import GradcliError
from gradcli.features.derive.unwritten import UnwrittenError
from gradcli.graph.entries import Entries, Entrywise
from gradcli.graph.failures import explained
from gradcli.graph.fold import fold
from gradcli.graph.node import TABLE, Derivation, Node, cone, current_derivation
from gradcli.graph.operation import Contraction, Operation, cast_to, constant_value, literal
from gradcli.graph.ops.creation import loop_result, loop_run
from gradcli.graph.ops.elementwise import add, multiply, neg, subtract
from gradcli.graph.ops.selection import cast, logical_and, logical_or, where
from gradcli.graph.ops.words.c import ENTRIES
from gradcli.graph.types import is_float, size_of

MOST = 20_000
"""Operations on numbers up to which arrays are written entry by entry."""


class Runs(Protocol):
    """What makes runs of loops entries (:mod:`gradcli.features.derive.c_loops`)."""

    def run(self, node: Node, found: Mapping[Node, Entries], leaves: Mapping[Node, Entries]) -> None: ...

    def result(self, node: Node) -> Entries: ...


def entrywise(
    roots: Sequence[Node], leaves: Mapping[Node, Entries], dtype: str, runs: Runs | None = None
) -> dict[Node, Entries]:
    """For each node below the roots its entries, from those of the leaves; ``runs`` are for those of loops.

    Raises :class:`UnwrittenError` for an operation whose entries no formula gives, and GradcliError where an operation
    fails on constants (an index out of range) or where that makes too many operations (LimitError).
    """
    scalars, derivation = Scalars(), Derivation(dtype)
    found: dict[Node, Entries] = dict(leaves)
    total = 0
    with derivation.active(), np.errstate(all="ignore"):
        for node in cone(roots, stop=leaves):
            if node in found:
                continue
            if runs is not None and node.op is loop_run:
                runs.run(node, found, leaves)
                continue
            if runs is not None and node.op is loop_result:
                found[node] = runs.result(node)
                continue
            total += _operations(node)
            if total > MOST:
                raise GradcliError(
                    "LimitError",
                    f"C writes each entry of an array by itself, and here that makes more than {MOST:,} operations",
                    help="a module of arrays has no such limit: `--format python` or `--format jax`",
                )
            try:
                entries = scalars.result(node, [found[x] for x in node.inputs])
            except (IndexError, ValueError, ArithmeticError) as problem:  # what the kernel says of these indices
                raise explained(np, node.op.name, problem) from problem
            array = np.empty(size_of(node.shape), object)
            array[:] = entries
            found[node] = array.reshape(node.shape)
    return found


def _operations(node: Node) -> int:
    """How many operations on numbers an operation on arrays takes, from above."""
    if not any([x.shape for x in (node, *node.inputs)]):
        return 0
    if isinstance(node.op.rule, Contraction):
        labels, _ = node.op.rule.labels(node.inputs, dict(node.attrs))
        sizes = {k: n for x, own in zip(node.inputs, labels, strict=True) for k, n in zip(own, x.shape, strict=True)}
        return 2 * math.prod(sizes.values())
    return max([size_of(x.shape) for x in (node, *node.inputs)])


class Scalars(Entrywise):
    """Entries that are scalar nodes; raises :class:`UnwrittenError` for what no formula gives."""

    def result(self, node: Node, inputs: Sequence[Entries]) -> Sequence[Node]:
        word = ENTRIES.get(node.op.name) if inputs else None
        if word is None:
            return super().result(node, inputs)
        entries = word(node, *inputs)
        if entries is None:
            raise UnwrittenError(node)
        return [cast_to(x, node.dtype) for x in entries]

    def constant(self, value: Any, dtype: str) -> Node:
        return literal(value, dtype)

    def applied(self, node: Node, given: Sequence[Node]) -> Node:
        """The operation; sums with 0 and products with 1 and, of what is finite, with 0 are worked out."""
        op = node.op
        if len(given) == 2 and op in (multiply, add):
            for x, other in (given, given[::-1]):
                value = constant_value(x)
                if value == (0 if op is add else 1) and other.dtype == node.dtype:
                    return other
                if op is multiply and value == 0 and not other.risky and is_float(node.dtype):
                    return literal(0.0, node.dtype)
        if op is subtract and is_float(node.dtype):
            a, b = [constant_value(x) for x in given]
            if b == 0 and given[0].dtype == node.dtype:
                return given[0]
            if a == 0:
                return neg(given[1])
        if op is neg and is_float(node.dtype) and (value := constant_value(given[0])) is not None:
            return literal(-value, node.dtype) if value else given[0]
        if op is where and given[0].op.name == "literal":
            return cast_to(given[1] if given[0].attrs["value"] else given[2], node.dtype)
        made = Node(op, tuple(given), node.attrs, (), node.dtype, node.risky)
        if (known := _decided(made)) is not None:
            return known
        derivation = current_derivation()
        assert derivation is not None
        return derivation.shared(made)

    def negated(self, node: Node, entry: Node) -> Node:
        return neg(entry)

    def added(self, node: Node, products: Sequence[Sequence[Node]]) -> Node:
        typed = [[cast_to(x, node.dtype) for x in factors] for factors in products]
        return self._folded(node, add, [self._folded(node, multiply, factors) for factors in typed])

    def combines(self, op: Operation) -> bool:
        return op.combined in TABLE

    def combined(self, node: Node, some: Sequence[Node]) -> Node:
        return self._folded(node, TABLE[node.op.combined], [cast_to(x, node.dtype) for x in some])

    def _folded(self, node: Node, op: Operation, parts: Sequence[Node]) -> Node:
        total = parts[0]
        for x in parts[1:]:
            total = self.applied(Node(op, (total, x), {}, (), node.dtype, total.risky or x.risky), [total, x])
        return total

    def indices(self, node: Node, entries: Entries) -> Any:
        if any(x.op.name != "literal" for x in entries.ravel()):
            raise UnwrittenError(node)
        return np.asarray([x.attrs["value"] for x in entries.ravel()], "int64").reshape(entries.shape)

    def whole(self, node: Node, inputs: Sequence[Entries]) -> Sequence[Node]:
        raise UnwrittenError(node)


def _decided(node: Node) -> Node | None:
    """A condition on numbers, or what it is as a number: what a mask of zeros and ones lets through is known."""
    values = [x.attrs["value"] for x in node.inputs if x.op.name == "literal"]
    if node.op in (logical_or, logical_and) and values:
        if bool(values[0]) == (node.op is logical_or):
            return literal(bool(values[0]), "bool")
        return next((x for x in node.inputs if x.op.name != "literal"), node.inputs[-1])
    if not (node.dtype == "bool" or node.op is cast) or not node.inputs or len(values) < len(node.inputs):
        return None
    try:
        return literal(fold(node, lambda _: None), node.dtype)
    except GradcliError:  # whoever computes it sees it
        return None
