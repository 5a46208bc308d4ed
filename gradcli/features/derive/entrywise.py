"""Formulas of small arrays as formulas of numbers: each entry of an array is a scalar node of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from gradcli.diagnostics import GradcliError
from gradcli.features.derive.unwritten import UnwrittenError
from gradcli.graph.flow import flow
from gradcli.graph.node import TABLE, Derivation, Node, cone, current_derivation
from gradcli.graph.operation import Contraction, cast_to, literal
from gradcli.graph.ops.creation import loop_result, loop_run
from gradcli.graph.ops.elementwise import add, multiply, neg, subtract
from gradcli.graph.ops.words.c import ENTRIES
from gradcli.graph.types import is_float, size_of

Entries = Any
"""An array of NumPy of the shape of a node, whose entries are scalar nodes."""

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
    derivation = Derivation(dtype)
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
                entries = _entries(node, [found[x] for x in node.inputs])
            except (IndexError, ValueError, ArithmeticError) as problem:  # what the kernel says of these indices
                message = str(problem).replace("out of bounds", "out of range")
                raise GradcliError("ValueError", f"{node.op.name} failed: {message}") from problem
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


def _entries(node: Node, inputs: Sequence[Entries]) -> Sequence[Node]:
    op = node.op
    if not node.inputs:
        return _made(node)
    word = ENTRIES.get(op.name)
    if word is not None:
        entries = word(node, *inputs)
        if entries is None:
            raise UnwrittenError(node)
        return [cast_to(x, node.dtype) for x in entries]
    if op.entrywise:
        spread = [np.broadcast_to(x, node.shape).ravel() for x in inputs]
        return [_scalar(node, [x[i] for x in spread]) for i in range(size_of(node.shape))]
    if isinstance(op.rule, Contraction):
        return _contracted(node, inputs, op.rule)
    if op.entries in ("moved", "placed", "repeated") and not op.piecewise:
        return _moved(node, inputs)
    if op.flow == "accumulated" and op.combined in TABLE and len(inputs) == 1:
        return _accumulated(node, inputs[0])
    if op.entries == "added":
        return _scattered(node, inputs)
    raise UnwrittenError(node)


def _made(node: Node) -> list[Node]:
    assert node.op.kernel is not None
    value = np.broadcast_to(node.op.kernel(np, **node.attrs), node.shape)
    return [literal(x, node.dtype) for x in value.ravel().tolist()]


def _scalar(node: Node, inputs: Sequence[Node]) -> Node:
    """An operation on numbers; sums with 0 and products with 1 and, of what is finite, with 0 are worked out."""
    op = node.op
    if len(inputs) == 2 and op in (multiply, add):
        for x, other in (inputs, inputs[::-1]):
            value = x.attrs["value"] if x.op.name == "literal" else None
            if value == (0 if op is add else 1) and other.dtype == node.dtype:
                return other
            if op is multiply and value == 0 and not other.risky and is_float(node.dtype):
                return literal(0.0, node.dtype)
    if op is subtract and is_float(node.dtype):
        a, b = [x.attrs["value"] if x.op.name == "literal" else None for x in inputs]
        if b == 0 and inputs[0].dtype == node.dtype:
            return inputs[0]
        if a == 0:
            return neg(inputs[1])
    if op is neg and inputs[0].op.name == "literal" and inputs[0].attrs["value"] == 0:
        return inputs[0]
    made = Node(op, tuple(inputs), node.attrs, (), node.dtype, node.risky)
    derivation = current_derivation()
    assert derivation is not None
    return derivation.shared(made)


def _moved(node: Node, inputs: Sequence[Entries]) -> list[Node]:
    """Entries of the inputs in places as the kernel moves their numbers, 0 elsewhere; indices are constants."""
    given, every = _numbered(node, inputs)
    assert node.op.kernel is not None
    places = np.broadcast_to(node.op.kernel(np, *given, **node.attrs), node.shape).ravel().tolist()
    zero = literal(False if node.dtype == "bool" else 0, node.dtype)
    return [cast_to(every[int(k) - 1], node.dtype) if k else zero for k in places]


def _numbered(node: Node, inputs: Sequence[Entries]) -> tuple[list[Any], list[Node]]:
    """For each input the numbers from 1 on of its entries, or its values where it holds indices; and all the entries."""
    given: list[Any] = []
    every: list[Node] = []
    for i, x in enumerate(inputs):
        if i in _indices(node):
            given.append(_values(node, x))
            continue
        given.append(np.arange(len(every) + 1.0, len(every) + x.size + 1).reshape(x.shape))
        every += list(x.ravel())
    return given, every


def _indices(node: Node) -> set[int]:
    return {i for i, p in enumerate(node.op.parameters) if p.kind == "indices"}


def _values(node: Node, entries: Entries) -> Any:
    """The numbers that entries are. Raises :class:`UnwrittenError` where they are computed."""
    if any(x.op.name != "literal" for x in entries.ravel()):
        raise UnwrittenError(node)
    return np.asarray([x.attrs["value"] for x in entries.ravel()], "int64").reshape(entries.shape)


def _contracted(node: Node, inputs: Sequence[Entries], rule: Contraction) -> list[Node]:
    """Sums of products."""
    labels, out = rule.labels(node.inputs, dict(node.attrs))
    sizes = {k: n for x, own in zip(node.inputs, labels, strict=True) for k, n in zip(own, x.shape, strict=True)}
    summed = [k for k in sizes if k not in out]
    return [
        _added(
            node,
            [
                _multiplied(node, [x[tuple([at[k] for k in own])] for x, own in zip(inputs, labels, strict=True)])
                for inner in np.ndindex(*[sizes[k] for k in summed])
                for at in [dict(zip([*out, *summed], [*outer, *inner], strict=True))]
            ],
        )
        for outer in np.ndindex(*[sizes[k] for k in out])
    ]


def _multiplied(node: Node, factors: Sequence[Node]) -> Node:
    return _folded(node, multiply, [cast_to(x, node.dtype) for x in factors])


def _added(node: Node, terms: Sequence[Node]) -> Node:
    return _folded(node, add, terms) if terms else literal(0, node.dtype)


def _folded(node: Node, op: Any, parts: Sequence[Node]) -> Node:
    total = parts[0]
    for x in parts[1:]:
        total = _scalar(Node(op, (total, x), {}, (), node.dtype, total.risky or x.risky), [total, x])
    return total


def _accumulated(node: Node, x: Entries) -> list[Node]:
    """What combines the entries along the axes that go."""
    ((own,), out) = flow(node)
    parts: dict[tuple[int, ...], list[Node]] = {}
    for place in np.ndindex(x.shape):
        parts.setdefault(tuple([i for i, k in zip(place, own, strict=True) if k in out]), []).append(x[place])
    if not parts:  # of no entries: what the kernel gives
        assert node.op.kernel is not None
        value = node.op.kernel(np, np.zeros(x.shape, node.dtype), **node.attrs)
        return [literal(v, node.dtype) for v in np.ravel(value).tolist()]
    combine = TABLE[node.op.combined]
    return [_folded(node, combine, [cast_to(x, node.dtype) for x in some]) for some in parts.values()]


def _scattered(node: Node, inputs: Sequence[Entries]) -> list[Node]:
    """Sums of entries, each of which the kernel puts in one place: found by moving them one by one."""
    x = inputs[0]
    indices = [_values(node, other) for other in inputs[1:]]
    sums: list[list[Node]] = [[] for _ in range(size_of(node.shape))]
    assert node.op.kernel is not None
    for k, entry in enumerate(x.ravel()):
        unit = np.zeros(x.size)
        unit[k] = 1
        moved = node.op.kernel(np, unit.reshape(x.shape), *indices, **node.attrs)
        (places,) = np.nonzero(np.ravel(moved))
        for place in places:
            sums[place].append(entry)
    return [_added(node, some) for some in sums]
