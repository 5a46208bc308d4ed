"""Uncertainties of results by exact derivatives of the first and second order, and by drawing numbers.

For inputs that are normal with the covariance C, and g, H the gradient and Hessian of a result y there,

    mean of y = y + tr(H C)/2 + …,    variance of y = gᵀ C g + tr(H C H C)/2 + gᵀ C ∇tr(H C) + …

The first term of each is the first order, the others are those of the second. Source: JCGM 100:2008 (GUM), 5.1.2, 5.2.2
and the note to 5.1.2, for correlated inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from gradcli.autodiff.batch import batched
from gradcli.autodiff.jacobian import jacobian
from gradcli.data.memory import Memory
from gradcli.diagnostics import GradcliError, did_you_mean
from gradcli.graph.node import Node
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.ops.elementwise import add, multiply
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.types import is_float, show_entry, show_shape, size_of
from gradcli.program import query
from gradcli.program.loaded import Loaded, array_node
from gradcli.program.planned import Planned
from gradcli.tuples import NamedTuple

Array = Any

SECOND = 4_000_000
"""Entries of all second derivatives up to which they are computed."""

BLOCK = 4096
"""Draws that are evaluated at the same time."""

CHANGED = 0.05
"""A second order that changes an uncertainty by more than this part of it, or the value by twice that, is worth a remark."""


class Contribution(NamedTuple):
    """What an input, or all correlations (``input`` is empty), adds to the variance of a result: ``share`` of it."""

    input: str
    value: float
    error: float
    sensitivity: float
    share: float


class Uncertain(NamedTuple):
    """A result with its standard uncertainty.

    ``error`` is of the first order; ``second`` with the terms of the second, NaN where they were not computed or make
    the variance negative; ``shift`` is what curvature adds to the mean. ``drawn`` is (mean, standard deviation, 2.5 %,
    97.5 %) of numbers that were drawn, if any were.
    """

    of: str
    name: str
    value: float
    error: float
    second: float
    shift: float
    budget: list[Contribution]
    drawn: tuple[float, float, float, float] | None = None

    @property
    def first_is_enough(self) -> bool:
        """Whether the second order changes neither uncertainty nor value much."""
        if math.isnan(self.second) and math.isnan(self.shift):
            return True
        return abs(self.second - self.error) <= CHANGED * self.error and abs(self.shift) <= 2 * CHANGED * self.error


class Propagated(NamedTuple):
    """Results with uncertainties, the covariance [results, results] of the first order, and remarks."""

    results: list[Uncertain]
    covariance: Array
    draws: int
    remarks: list[str]


class Covariance(NamedTuple):
    """A covariance by the names of entries: ``b1``, ``p[0]``."""

    names: Sequence[str]
    matrix: Array


def deviation(program: Loaded, name: str, text: str) -> Array:
    """The standard uncertainty in ``0.1``, ``2%`` or ``[0.1, 0.2]``, an array. Raises GradcliError."""
    import numpy as np

    leaf = query.leaf(program, name)
    part = text.endswith("%")
    (value,) = program.evaluate([program.given(text.removesuffix("%"), f"--error {name}")])
    return value / 100 * np.abs(program.leaf_value(leaf)) if part else value


def propagate(
    program: Loaded,
    errors: Mapping[str, Array],
    covariance: Covariance | None = None,
    of: Sequence[str] | None = None,
    draws: int = 0,
) -> Propagated:
    """The uncertainties of names, by default those that ``eval`` prints.

    ``errors`` are standard uncertainties of variables and constants, arrays of their shape or scalars for all entries;
    ``covariance`` is that of others. ``draws`` is how many normal values of the inputs are drawn too. Raises GradcliError.
    """
    import numpy as np

    names = list(dict.fromkeys(of)) if of is not None else query.printed(program)
    ys = [query.target(program, name) for name in names]
    leaves, whole = _inputs(program, errors, covariance)
    xs = list(leaves.values())
    values = [program.leaf_value(x) for x in xs]
    entries = [
        (show_entry(name, place), float(number))
        for name, value in zip(leaves, values, strict=True)
        for place, number in np.ndenumerate(value)
    ]
    results: list[Uncertain] = []
    rows: list[Array] = []
    remarks: list[str] = []
    with np.errstate(all="ignore"):
        for name, y in zip(names, ys, strict=True):
            found, gradients, remark = _of_one(program, name, y, xs, entries, whole)
            results += found
            rows.append(gradients)
            remarks += remark
        joint = np.concatenate([np.zeros((0, len(entries))), *rows])
        if draws and results:
            results = _with_draws(program, results, ys, xs, values, whole, draws)
    return Propagated(results, joint @ whole @ joint.T, draws, remarks)


def _inputs(
    program: Loaded, errors: Mapping[str, Array], covariance: Covariance | None
) -> tuple[dict[str, Node], Array]:
    """The variables and constants that have uncertainties, and the covariance of all of their entries."""
    import numpy as np

    if not errors and covariance is None:
        raise GradcliError("ValueError", "no uncertainty is given", help="`--error x=0.1,y=2%` or `--cov FILE`")
    given = {} if covariance is None else {name: k for k, name in enumerate(covariance.names)}
    wanted = list(dict.fromkeys([*errors, *(name.partition("[")[0] for name in given)]))
    leaves = {name: query.leaf(program, name) for name in wanted}
    names: list[str] = []
    deviations: list[float] = []
    for name, leaf in leaves.items():
        if not is_float(leaf.dtype):
            raise GradcliError("TypeError", f"`{name}` is {leaf.dtype}, and only floats have uncertainties")
        own = [show_entry(name, place) for place in np.ndindex(leaf.shape)]
        twice = next((entry for entry in own if entry in given), None)
        if name in errors:
            if twice is not None:
                raise GradcliError("ValueError", f"`{twice}` has an uncertainty of its own and one in the covariance")
            error = np.asarray(errors[name], dtype=np.float64)
            if error.shape not in ((), leaf.shape):
                raise GradcliError(
                    "ShapeError",
                    f"the uncertainty of `{name}` needs its shape, {show_shape(leaf.shape)}, or none, not {show_shape(error.shape)}",
                )
            if not (np.isfinite(error).all() and (error >= 0).all()):
                raise GradcliError("ValueError", f"an uncertainty is a number from 0 on, and that of `{name}` is not")
            deviations += np.broadcast_to(error, leaf.shape).reshape(-1).tolist()
        else:
            deviations += [0.0] * len(own)
        names += own
    whole = np.diag(np.square(deviations))
    if covariance is not None:
        place = {name: k for k, name in enumerate(names)}
        for name in given:
            if name not in place:
                close = did_you_mean(name, names)
                raise GradcliError(
                    "NameError", f"the covariance is of `{name}`, and the program has no such entry",
                    help=f"did you mean `{close}`?" if close else None,
                )  # fmt: skip
        matrix = np.asarray(covariance.matrix, dtype=np.float64)
        if matrix.shape != (len(given), len(given)):
            raise GradcliError(
                "ShapeError", f"the covariance of {len(given)} entries needs {len(given)} rows and columns, not the shape {show_shape(matrix.shape)}"
            )  # fmt: skip
        _check_covariance(matrix)
        at = [place[name] for name in given]
        whole[np.ix_(at, at)] = matrix
    return leaves, whole


def _check_covariance(matrix: Array) -> None:
    import numpy as np

    if not np.isfinite(matrix).all():
        raise GradcliError("ValueError", "the covariance is not finite")
    size = np.sqrt(np.abs(np.diag(matrix)))
    unit = np.where(size > 0, size, 1)
    scaled = matrix / unit[:, None] / unit
    if not np.allclose(scaled, scaled.T, rtol=0, atol=1e-9):
        raise GradcliError("ValueError", "the covariance is not symmetric")
    if np.linalg.eigvalsh((scaled + scaled.T) / 2).min(initial=0) < -1e-9 * len(matrix):
        raise GradcliError("ValueError", "the matrix is not a covariance: some combination has a negative variance")


def _of_one(
    program: Loaded, name: str, y: Node, xs: Sequence[Node], entries: Sequence[tuple[str, float]], whole: Array
) -> tuple[list[Uncertain], Array, list[str]]:
    """The results of one name, their gradients [entries of y, entries of xs], and remarks."""
    import numpy as np

    count, size = size_of(y.shape), len(entries)
    sizes = [size_of(x.shape) for x in xs]
    remarks: list[str] = []
    with program.graph.derivation.active():
        first = jacobian(y, xs)
        second = _SecondOrder(first, xs, y.shape, whole) if count * size * size <= SECOND else None
        if second is None:
            remarks.append(f"`{name}` has {count} entries of {size} inputs, for which the second order is not computed")
        found = iter(program.evaluate([y, *first, *(second.nodes if second is not None else ())]))
    value = np.asarray(next(found), dtype=np.float64).reshape(-1)
    g = _blocks(found, (count,), sizes)
    variance = np.einsum("ki,ij,kj->k", g, whole, g)
    shift = more = np.full(count, math.nan)
    if second is not None:
        shift, more = second.added(found, g)
    deviations = np.sqrt(np.diag(whole))
    correlated = bool(np.any(whole != np.diag(np.diag(whole))))
    results = []
    for k, place in enumerate(np.ndindex(y.shape)):
        total = float(variance[k] + more[k])
        results.append(
            Uncertain(
                name,
                show_entry(name, place),
                float(value[k]),
                math.sqrt(max(float(variance[k]), 0.0)),
                math.sqrt(total) if total >= 0 else math.nan,
                float(shift[k]),
                _budget(entries, deviations, g[k], float(variance[k]), correlated),
            )
        )
    return results, g, remarks


def _blocks(found: Iterator[Any], before: tuple[int, ...], sizes: Sequence[int]) -> Array:
    """The next arrays, one for each x, beside each other [*before, entries of xs]."""
    import numpy as np

    return np.concatenate([np.asarray(next(found), dtype=np.float64).reshape(*before, n) for n in sizes], axis=-1)


def _budget(
    entries: Sequence[tuple[str, float]], deviations: Array, g: Array, variance: float, correlated: bool
) -> list[Contribution]:
    """What each input adds to the variance of a result whose gradient is g [entries of xs], and what correlations do."""
    import numpy as np

    shares = np.square(g * deviations) / variance if variance > 0 else np.zeros(len(entries))
    budget = [
        Contribution(entry, number, float(u), float(c), float(share))
        for (entry, number), u, c, share in zip(entries, deviations, g, shares, strict=True)
    ]
    if correlated:
        rest = 1 - float(shares.sum()) if variance > 0 else 0.0
        budget.append(Contribution("", math.nan, math.nan, math.nan, rest))
    return budget


class _SecondOrder:
    """What curvature adds: to the mean half the trace of H·C, to the variance tr((H·C)²)/2 and gᵀ·C·∇tr(H·C).

    H are the Hessians of the entries of y, C the covariance of the inputs (``whole``), g the gradients.
    """

    def __init__(self, first: Sequence[Node], xs: Sequence[Node], shape: Sequence[int], whole: Array) -> None:
        import numpy as np

        self._whole = whole
        self._count = size_of(tuple(shape))
        self._sizes = [size_of(x.shape) for x in xs]
        starts = np.cumsum([0, *self._sizes])
        rows = [jacobian(g, xs) for g in first]
        weighted = []
        for i, row in enumerate(rows):
            for j, block in enumerate(row):
                part = whole[starts[i] : starts[i + 1], starts[j] : starts[j + 1]]
                if part.any():
                    c = array_node(part.reshape((*xs[i].shape, *xs[j].shape)))
                    axes = tuple(range(len(shape), len(block.shape)))
                    weighted.append(sum_(multiply(block, c), axis=axes) if axes else multiply(block, c))
        self._trace = reduce(add, weighted) if weighted else None
        self.nodes = [block for row in rows for block in row]
        if self._trace is not None:
            self.nodes += [self._trace, *jacobian(self._trace, xs)]

    def added(self, found: Iterator[Any], g: Array) -> tuple[Array, Array]:
        """What is added to the mean and to the variance [entries of y]; ``found`` gives the values of the nodes."""
        import numpy as np

        count, sizes = self._count, self._sizes
        h = np.concatenate([_blocks(found, (count, m), sizes) for m in sizes], axis=1)
        hc = h @ self._whole
        shift, more = np.zeros(count), np.einsum("kij,kji->k", hc, hc) / 2
        if self._trace is not None:
            shift = np.asarray(next(found), dtype=np.float64).reshape(count) / 2
            more = more + np.einsum("ki,ij,kj->k", g, self._whole, _blocks(found, (count,), sizes))
        return shift, more


def _with_draws(
    program: Loaded,
    results: Sequence[Uncertain],
    ys: Sequence[Node],
    xs: Sequence[Node],
    values: Sequence[Array],
    whole: Array,
    draws: int,
) -> list[Uncertain]:
    """The results with what normal values of the inputs, ``draws`` of them, give; what is not finite there makes it NaN."""
    import numpy as np

    Memory(program.max_memory).need(f"{draws} draws", 8 * draws * len(results))
    random = np.random.RandomState(program.random_seed)
    curvatures, axes = np.linalg.eigh(whole)
    root = axes * np.sqrt(np.maximum(curvatures, 0))
    center = np.concatenate([np.asarray(v, dtype=np.float64).reshape(-1) for v in values])
    inputs = [make_leaf(f"draw{k}", "draws", (BLOCK, *x.shape), x.dtype, True) for k, x in enumerate(xs)]
    try:
        with program.graph.derivation.active():
            nodes = batched(ys, dict(zip(xs, inputs, strict=True)))
    except NotImplementedError:
        raise GradcliError(
            "ValueError", "an operation of this program cannot be evaluated for many draws at once"
        ) from None
    run = Planned(program, nodes, inputs)
    drawn: list[Array] = []
    for start in range(0, draws, BLOCK):
        rows = center + random.standard_normal((BLOCK, len(center))) @ root.T
        given = {}
        at = 0
        for x, leaf in zip(xs, inputs, strict=True):
            size = size_of(x.shape)
            given[leaf] = rows[:, at : at + size].reshape(leaf.shape).astype(leaf.dtype)
            at += size
        found = [
            np.broadcast_to(a if node is not y else a[None], (BLOCK, *y.shape)).reshape(BLOCK, -1)
            for a, node, y in zip(run(given), nodes, ys, strict=True)
        ]
        drawn.append(np.concatenate(found, axis=1)[: min(BLOCK, draws - start)].astype(np.float64))
    table = np.concatenate(drawn)
    low, high = np.quantile(table, [0.025, 0.975], axis=0)
    mean, deviation = table.mean(axis=0), table.std(axis=0, ddof=1) if draws > 1 else np.full(table.shape[1], np.nan)
    return [
        result._replace(drawn=(float(m), float(s), float(a), float(b)))
        for result, m, s, a, b in zip(results, mean, deviation, low, high, strict=True)
    ]
