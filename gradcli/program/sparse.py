"""Jacobians as sparse matrices of SciPy: the graph says which entries there are; columns that share no row are found together.

Source: Curtis, Powell, Reid, *On the estimation of sparse Jacobian matrices* (1974).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from gradcli.autodiff import orders
from gradcli.autodiff.batch import batched
from gradcli.data.memory import check_room
from gradcli.diagnostics import GradcliError
from gradcli.graph.flow import flow
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Linear
from gradcli.graph.ops.creation import tangent
from gradcli.graph.ops.shaping import broadcasted
from gradcli.graph.types import is_float, size_of
from gradcli.program.compiled import function_of
from gradcli.program.loaded import Loaded, array_node

Array = Any
Sparse = Any
"""A ``scipy.sparse.csr_array``."""

MOVED = ("moved", "placed", "repeated")
"""What a linear operation that adds nothing up may do with the entries of its inputs."""


class SparseJacobian:
    """A node y and its Jacobian by some xs, as a function of values: planned once.

    ``pattern`` [entries of y, entries of all xs] says where it may be non-zero, and ``directions`` along how many
    directions y is differentiated: about as many as the longest row has entries. Raises GradcliError where SciPy is not
    installed, where y or an x is not a float, where an operation takes no axis of directions, and for what does not fit.
    """

    def __init__(self, program: Loaded, y: Node, xs: Sequence[Node], stops: Sequence[Node] = ()) -> None:
        for node in (y, *xs):
            if not is_float(node.dtype):
                raise GradcliError("TypeError", f"sparse Jacobians are those of floats, and not of {node.dtype}")
        self.xs = list(xs)
        self.pattern = pattern(program, y, xs, stops)
        self._rows = np.repeat(np.arange(self.pattern.shape[0]), np.diff(self.pattern.indptr))
        colors = np.empty(self.pattern.shape[1], np.int64)
        nodes = [y]
        start = self.directions = 0
        with program.graph.derivation.active():
            for x in xs:
                end = start + size_of(x.shape)
                own = colored(self.pattern[:, start:end])
                count = int(own.max(initial=-1)) + 1
                colors[start:end] = own + self.directions
                check_memory(program, f"{count} directions take", 16 * count * (end - start + self.pattern.shape[0]))
                if count:
                    nodes.append(_along(y, x, own, count, stops))
                self.directions += count
                start = end
        self._places = colors[self.pattern.indices]
        self._planned = function_of(program, nodes, self.xs)

    def __call__(self, values: Mapping[Node, Array]) -> tuple[Array, Sparse]:
        """The value of y, in its shape, and its Jacobian [entries of y, entries of all xs]."""
        from scipy.sparse import csr_array

        y, *found = self._planned(values)
        columns = np.concatenate([part.reshape(len(part), -1) for part in found]) if found else np.zeros((0, y.size))
        data = columns[self._places, self._rows].astype(np.float64, copy=False)
        return y, csr_array((data, self.pattern.indices, self.pattern.indptr), self.pattern.shape)


def check_memory(program: Loaded, what: str, size: int) -> None:
    """Raise a LimitError for a Jacobian that is not sparse enough."""
    help = "products with it need less: `gradcli jvp`"
    check_room(program.max_memory, f"a Jacobian with long rows: {what}", size, help)


def _along(y: Node, x: Node, colors: Array, count: int, stops: Sequence[Node]) -> Node:
    """The derivatives of y along the sums of the columns of each color [colors, *shape of y]."""
    direction = Node(tangent, (), {}, x.shape, x.dtype, False)
    (at,) = np.nonzero(colors >= 0)
    seeds = np.zeros((count, len(colors)), x.dtype)
    seeds[colors[at], at] = 1
    along = orders.jvp(y, x, direction, stops)
    try:
        (columns,) = batched([along], {direction: array_node(seeds.reshape(count, *x.shape))})
    except NotImplementedError:
        raise GradcliError(
            "ValueError", "an operation of this program cannot be differentiated along many directions at once"
        ) from None
    return broadcasted(along, (count, *y.shape)) if columns is along else columns


def colored(pattern: Sparse) -> Array:
    """A color for each column [columns], so that no row has two entries of one color: the first that is free; -1 without entries."""
    columns = pattern.tocsc()
    used = [0] * pattern.shape[0]
    colors = np.empty(pattern.shape[1], np.int64)
    indices, ends = columns.indices.tolist(), columns.indptr.tolist()
    for column, (start, end) in enumerate(pairwise(ends)):
        taken = 0
        for row in indices[start:end]:
            taken |= used[row]
        free = ~taken & (taken + 1)
        for row in indices[start:end]:
            used[row] |= free
        colors[column] = free.bit_length() - 1 if end > start else -1
    return colors


def pattern(program: Loaded, y: Node, xs: Sequence[Node], stops: Sequence[Node] = ()) -> Sparse:
    """Where the Jacobian [entries of y, entries of all xs] may be non-zero, as a bool ``csr_array``.

    Whatever values the xs have; all else has the value that it has. Raises GradcliError.
    """
    try:
        from scipy.sparse import csr_array
    except ImportError:
        raise GradcliError(
            "ValueError", "sparse Jacobians need SciPy, which is not installed: pip install 'gradcli[scipy]'"
        ) from None
    nodes = cone([y])
    touched: set[Node] = set(xs)
    for node in nodes:
        if any([x in touched for x in node.inputs]):
            touched.add(node)
    positions = _positions(program, nodes, touched)
    stopped = set(stops)
    uses = Counter([x for node in nodes for x in node.inputs])
    uses[y] += 1
    found: dict[Node, Sparse] = {}
    width = sum([size_of(x.shape) for x in xs])
    start = 0
    for x in xs:
        size = size_of(x.shape)
        ones = np.ones(size, bool)
        found[x] = csr_array((ones, (np.arange(size), start + np.arange(size))), (size, width))
        start += size
    for node in nodes:
        if node in touched and node not in found and node not in stopped:
            passing = [x for k, x in enumerate(node.inputs) if k in node.op.differentiable_inputs(node) and x in found]
            if passing:
                found[node] = _of(node, passing, found, positions.get(node), program)
        for x in node.inputs:
            uses[x] -= 1
            if not uses[x] and x is not y:
                found.pop(x, None)
    whole = found.get(y)
    if whole is None:
        return csr_array((size_of(y.shape), width), dtype=bool)
    whole.sort_indices()
    return whole


def _positions(program: Loaded, nodes: Sequence[Node], touched: set[Node]) -> dict[Node, Array]:
    """For nodes that only move entries: of each entry the place, from 1 on, among the entries of all inputs, 0 for none."""
    asked: dict[Node, Node] = {}
    for node in nodes:
        op = node.op
        if node not in touched or not isinstance(op.rule, Linear) or op.entries not in MOVED:
            continue
        passing = op.differentiable_inputs(node)
        if any([x in touched for k, x in enumerate(node.inputs) if k not in passing]):
            continue
        inputs = []
        start = 1
        for k, x in enumerate(node.inputs):
            if k in passing:
                size = size_of(x.shape)
                inputs.append(array_node(np.arange(start, start + size, dtype=np.float64).reshape(x.shape)))
                start += size
            else:
                inputs.append(x)
        asked[node] = Node(op, tuple(inputs), node.attrs, node.shape, "float64", node.risky)
    values = program.evaluate(list(asked.values())) if asked else []
    return {node: np.asarray(value).reshape(-1).astype(np.int64) for node, value in zip(asked, values, strict=True)}


def _of(
    node: Node, passing: Sequence[Node], found: Mapping[Node, Sparse], positions: Array | None, program: Loaded
) -> Sparse:
    """The pattern of a node by those of its inputs."""
    from scipy.sparse import csr_array, vstack

    if positions is not None:
        width = found[passing[0]].shape[1]
        kept = node.op.differentiable_inputs(node)
        parts = [
            found.get(x, csr_array((size_of(x.shape), width), dtype=bool))
            for k, x in enumerate(node.inputs)
            if k in kept
        ]
        return vstack([csr_array((1, width), dtype=bool), *parts], format="csr")[positions]
    labels, out = flow(node)
    whole: Sparse = None
    for k, x in enumerate(node.inputs):
        if x not in passing or k not in node.op.differentiable_inputs(node):
            continue
        part = _spread(found[x], x, labels[k], node, out, program)
        whole = part if whole is None else whole + part
    return whole


def _spread(
    own: Sparse, x: Node, labels: Sequence[int | None], node: Node, out: Sequence[int | None], program: Loaded
) -> Sparse:
    """What an input passes on: entries with other labels than the result has are all in each entry of it."""
    from scipy.sparse import coo_array

    kept = [axis for axis, label in enumerate(labels) if label is not None and label in out]
    shape = [x.shape[axis] for axis in kept]
    if len(kept) < x.rank:
        places = np.indices(x.shape, sparse=True)
        groups = np.zeros(x.shape, np.int64)
        for axis in kept:
            groups = groups * x.shape[axis] + places[axis]
        entries = own.tocoo()
        rows = groups.reshape(-1)[entries.coords[0]]
        own = coo_array(
            (np.ones(len(rows), bool), (rows, entries.coords[1])), (int(np.prod(shape)), own.shape[1])
        ).tocsr()
    source = np.zeros(node.shape, np.int64)
    places = np.indices(node.shape, sparse=True)
    for axis, size in zip(kept, shape, strict=True):
        source = source * size + places[list(out).index(labels[axis])]
    source = source.reshape(-1)
    if len(source) == own.shape[0] and np.array_equal(source, np.arange(len(source))):
        return own
    check_memory(program, "the pattern takes", 9 * int(np.diff(own.indptr)[source].sum()))
    return own[source]
