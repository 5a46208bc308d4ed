"""Jacobians, Hessians, their patterns of non-zeros, and directional derivatives of a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from gradcli.autodiff.reverse import zero_gradient
from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.program import query
from gradcli.program.loaded import Array, Loaded, array_node
from gradcli.results import Block, Result
from gradcli.tuples import NamedTuple


@dataclass(frozen=True, slots=True)
class Blocks:
    """The matrices that a command prints, and the names of what was differentiated."""

    of: list[str]
    blocks: list[Block]


def nested(blocks: Sequence[Block]) -> dict[str, dict[str, Array]]:
    """The values by row and column."""
    result: dict[str, dict[str, Array]] = {}
    for block in blocks:
        result.setdefault(block.row, {})[block.column] = block.value
    return result


def jacobians(
    program: Loaded,
    of: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    stop: Sequence[str] = (),
    sparsity: bool = False,
) -> Blocks:
    """A block for each pair of y and x, row by row; with ``sparsity`` where it may be non-zero, as bool."""
    asked = query.question(program, of, wrt, stop=stop)
    pairs = [(row, column, f"d{row}/d{column}") for row in asked.of for column in asked.wrt]
    nodes = (None if sparsity else _by_sweep(program, asked)) or query.jacobian(program, asked)
    return Blocks(asked.of, _blocks(program, asked, pairs, nodes, sparsity, "jvp(y, x, v)"))


def _by_sweep(program: Loaded, asked: query.Question) -> list[Node] | None:
    """The row of one scalar y of a long program of scalars: its gradient, zeros where that is None."""
    if len(asked.ys) != 1 or not program.sweeps() or any([x.dtype != asked.ys[0].dtype for x in asked.xs]):
        return None
    from gradcli.program import swept

    found = swept.gradients(program, asked.ys, asked.xs, [None], asked.stops)
    if found is None:
        return None
    return [zero_gradient(x) if g is None else array_node(g) for x, g in zip(asked.xs, found, strict=True)]


def hessians(
    program: Loaded,
    of: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    stop: Sequence[str] = (),
    sparsity: bool = False,
) -> Blocks:
    """A block for each pair of xs, row by row, of the sum of the ys, which are scalars."""
    asked = query.question(program, of, wrt, stop=stop)
    nodes = query.hessian(program, asked)
    whole = asked.of[0] if len(asked.of) == 1 else f"({'+'.join(asked.of)})"
    pairs = [(row, column, f"d2{whole}/d{row}/d{column}") for row in asked.wrt for column in asked.wrt]
    return Blocks(asked.of, _blocks(program, asked, pairs, nodes, sparsity, "hvp(y, x, v)"))


def tangents_of(
    program: Loaded,
    tangents: Mapping[str, str | Array],
    of: Sequence[str] | None = None,
    stop: Sequence[str] = (),
) -> list[Result]:
    """The derivative of each y along the tangents, which add up; never None."""
    nodes = query.along(program, tangents, of, stop)
    values = program.evaluate(list(nodes.values()))
    return [Result(name, value) for name, value in zip(nodes, values, strict=True)]


class SparseMatrix(NamedTuple):
    """A Jacobian [entries of all ys, entries of all xs] as a ``scipy.sparse.csr_array``, and what its parts are called.

    ``of`` and ``wrt`` are pairs of a name and the row, or the column, at which it begins.
    """

    matrix: Array
    of: list[tuple[str, int]]
    wrt: list[tuple[str, int]]

    def arrays(self) -> list[tuple[str, Array]]:
        """As ``scipy.sparse.load_npz`` reads them, and ``of``, ``of_starts``, ``wrt``, ``wrt_starts``."""
        import numpy as np

        m = self.matrix
        named = [
            pair for key, part in (("of", self.of), ("wrt", self.wrt))
            for pair in ((key, np.array([name for name, _ in part])), (f"{key}_starts", np.array([at for _, at in part])))
        ]  # fmt: skip
        return [
            ("indices", m.indices), ("indptr", m.indptr), ("format", np.array(b"csr")), ("shape", np.array(m.shape)),
            ("data", m.data), *named,
        ]  # fmt: skip


def sparse_jacobian(
    program: Loaded, of: Sequence[str] | None = None, wrt: Sequence[str] | None = None, stop: Sequence[str] = ()
) -> SparseMatrix:
    """The Jacobian of all ys by all xs as a sparse matrix, whose cost is that of its longest rows."""
    from gradcli.graph.ops.shaping import reshaped
    from gradcli.graph.ops.slicing import concat
    from gradcli.graph.types import size_of
    from gradcli.program.sparse import SparseJacobian

    asked = query.question(program, of, wrt, stop=stop)
    with program.graph.derivation.active():
        parts = [reshaped(y, (size_of(y.shape),)) for y in asked.ys]
        whole = parts[0] if len(parts) == 1 else concat(*parts, axis=0)
    values = {x: program.leaf_value(x) for x in asked.xs}
    _, matrix = SparseJacobian(program, whole, asked.xs, asked.stops)(values)
    starts = [[0, *accumulate([size_of(node.shape) for node in nodes])] for nodes in (asked.ys, asked.xs)]
    return SparseMatrix(
        matrix, *[list(zip(names, at, strict=False)) for names, at in zip((asked.of, asked.wrt), starts, strict=True)]
    )


def _blocks(
    program: Loaded,
    asked: query.Question,
    pairs: Sequence[tuple[str, str, str]],
    nodes: Sequence[Node],
    sparsity: bool,
    product: str,
) -> list[Block]:
    shapes = {
        name: node.shape
        for name, node in (*zip(asked.of, asked.ys, strict=True), *zip(asked.wrt, asked.xs, strict=True))
    }
    if sparsity:
        from gradcli.autodiff.sparsity import patterns

        initial = program.graph.initial
        with program.graph.derivation.active():
            nodes = patterns(nodes, asked.xs, lambda leaf: initial[leaf] is not None)
    try:
        values = program.evaluate(nodes)
    except GradcliError as error:
        if error.kind == "LimitError" and not sparsity:
            error.help = (
                f"multiply with vectors in place of the whole matrix: `{product}` in the program, or `gradcli jvp`"
                + (f"; {error.help}" if error.help else "")
            )
        raise
    return [
        Block(name, row, column, shapes[row], shapes[column], value)
        for (row, column, name), value in zip(pairs, values, strict=True)
    ]
