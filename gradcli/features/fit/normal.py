"""The inverse of JᵀJ for a sparse J: its diagonal, and products with it, without writing it out.

Sources: Takahashi, Fagan, Chin, *Formation of a sparse bus impedance matrix* (1973), and Erisman, Tinney (1975), for the
entries of the inverse where the factor has entries, here by blocks of columns; George, Liu, *Computer Solution of Large
Sparse Positive Definite Systems* (1981), for where that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from gradcli.diagnostics import GradcliError, Kind

Array = Any
Sparse = Any

FREE = 64
"""Combinations of numbers that may be undetermined, as the place of a scene in space is; more are refused."""

ROUND = 8
"""Of these so many are looked for at a time."""

MOST = 1 << 28
"""Products of two entries of a row that JᵀJ is added up from, at most."""

PART = 1e-6
"""The part of a combination that a number may have by rounding."""


class Normal:
    """JᵀJ of a sparse J [residuals, numbers], in units in which its diagonal is 1, factored.

    ``unused`` [numbers] says which change nothing, ``lost`` which are determined only together with others, ``rank`` how
    many combinations are determined: those with a curvature above the rounding of JᵀJ, so that 1 : 10⁶ in J is as far as
    it sees. Raises GradcliError where too much is undetermined.
    """

    def __init__(self, matrix: Sparse, rounding: float) -> None:
        from scipy.sparse import diags_array

        size = matrix.shape[1]
        self.scale = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=0)).reshape(-1))
        self.unused = self.scale == 0
        self.lost = np.zeros(size, dtype=bool)
        kept = np.flatnonzero(~self.unused)
        unit = matrix.tocsc()[:, kept] @ diags_array(1 / self.scale[kept])
        square = squared(unit)
        least = 8 * rounding * float(abs(square).sum(axis=0).max()) if len(kept) else 0.0
        while len(kept):
            axes = _flat(square, least)
            if not axes.shape[1]:
                break
            self.lost[kept] |= np.sqrt(np.square(axes).sum(axis=1)) > PART
            if size - len(kept) - int(self.unused.sum()) + axes.shape[1] > FREE:
                raise GradcliError(
                    "ValueError", f"more than {FREE} combinations of the fitted numbers are not determined"
                )  # fmt: skip
            # With as many numbers held fast the others are determined, and what was so before is as well known as before.
            stay = np.ones(len(kept), dtype=bool)
            stay[_pivots(axes)] = False
            kept = kept[stay]
            square = square[stay][:, stay].tocsc()
        self.kept = kept
        self.rank = len(kept)
        self._square = square
        self._factors = factored(square) if self.rank else None

    @property
    def known(self) -> Array:
        """Which numbers have an error [numbers]."""
        return ~(self.unused | self.lost)

    def diagonal(self) -> Array:
        """That of the inverse [numbers]; 0 where a number has no error."""
        found = np.zeros(len(self.scale))
        if self._factors is not None:
            found[self.kept] = _inverse_diagonal(self._square, self._factors) / self.scale[self.kept] ** 2
        return np.where(self.known, found, 0.0)

    def times(self, columns: Array) -> Array:
        """The inverse times columns [numbers, columns]; rows of numbers without an error count as 0."""
        found = np.zeros(columns.shape)
        if self._factors is not None:
            units = self.scale[self.kept][:, None]
            given = np.where(self.known[:, None], columns, 0.0)[self.kept] / units
            found[self.kept] = self._factors.solve(np.ascontiguousarray(given)) / units
        return np.where(self.known[:, None], found, 0.0)


def squared(matrix: Sparse) -> Sparse:
    """JᵀJ in columns. Raises GradcliError (LimitError) where rows are so long that it is not sparse."""
    products = int(np.square(np.diff(matrix.tocsr().indptr).astype(np.int64)).sum())
    if products > MOST:
        raise GradcliError("LimitError", f"JᵀJ is not sparse: it is added up from {products:,} products of entries")
    return (matrix.T @ matrix).tocsc()


def factored(square: Sparse) -> Any:
    """SuperLU's factors of a symmetric positive matrix, without pivoting.

    Raises GradcliError: a LimitError where there is no memory for them, a ValueError where it is not positive.
    """
    from scipy.sparse.linalg import splu

    try:
        found = splu(square, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except (RuntimeError, MemoryError) as problem:
        kind: Kind = "LimitError" if isinstance(problem, MemoryError) else "ValueError"
        raise GradcliError(kind, f"JᵀJ cannot be factored: {problem}") from None
    if not np.array_equal(found.perm_r, found.perm_c) or (found.U.diagonal() <= 0).any():
        raise GradcliError("ValueError", "JᵀJ is not positive definite, even up to rounding")
    return found


def _flat(square: Sparse, least: float) -> Array:
    """Axes [numbers, axes] along which a curvature is at most ``least``: some of them, if there are any."""
    from scipy.sparse import eye_array
    from scipy.sparse.linalg import LinearOperator, eigsh

    size = square.shape[0]
    if size <= 4 * ROUND:
        values, axes = np.linalg.eigh(square.toarray())
        return axes[:, values <= least]
    shifted = factored((square + least * eye_array(size)).tocsc())
    inverse = LinearOperator((size, size), shifted.solve, dtype=np.float64)
    start = np.random.RandomState(0).standard_normal(size)
    found = np.zeros((size, 0))
    for count in (1, ROUND):  # mostly there are none
        axes = eigsh(square, count, sigma=-least, which="LM", OPinv=inverse, v0=start, tol=1e-10)[1]
        # Beside those that are 0 the inverse knows the others to few digits.
        found = axes[:, (axes * (square @ axes)).sum(axis=0) <= least]
        if not found.shape[1]:
            break
    return found


def _pivots(axes: Array) -> list[int]:
    """As many rows as there are axes [rows, axes], which are independent: the largest first."""
    rest = axes.copy()
    found: list[int] = []
    for _ in range(axes.shape[1]):
        sizes = np.square(rest).sum(axis=1)
        sizes[found] = 0.0
        row = int(sizes.argmax())
        found.append(row)
        unit = rest[row] / np.linalg.norm(rest[row])
        rest -= np.outer(rest @ unit, unit)
    return found


def _inverse_diagonal(square: Sparse, factors: Any) -> Array:
    """The diagonal of the inverse, from the last block of columns of the factor to the first.

    With the columns J of a block, the rows R below them, L = [L_JJ; L_RJ] and Y = L_RJ L_JJ⁻¹ the inverse Z has
    Z_RJ = -Z_RR Y and Z_JJ = (L_JJ D_J L_JJᵀ)⁻¹ - Yᵀ Z_RJ; Z_RR is in the blocks of R.
    """
    size = square.shape[0]
    order = np.argsort(factors.perm_c)
    below = _below(square[order][:, order].tocsc())
    starts = _blocks(below)
    block_of = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    lower, pivots = factors.L.tocsc(), factors.U.diagonal()
    rows_of: list[Array] = [np.zeros(0, np.int64)] * (len(starts) - 1)
    inverse: list[Array] = list(rows_of)
    diagonal = np.empty(size)
    for number, (start, end) in reversed(list(enumerate(pairwise(starts)))):
        width, outer = end - start, below[end - 1]
        rows = np.concatenate([np.arange(start, end), outer])
        block = np.zeros((len(rows), width))
        for column in range(start, end):
            part = slice(lower.indptr[column], lower.indptr[column + 1])
            block[np.searchsorted(rows, lower.indices[part]), column - start] = lower.data[part]
        own = np.linalg.inv(block[:width])
        y = block[width:] @ own
        around = np.empty((len(outer), len(outer)))
        at = 0
        while at < len(outer):  # the rows of one block after the other
            k = block_of[outer[at]]
            stop = int(np.searchsorted(outer, starts[k + 1]))
            places = np.searchsorted(rows_of[k], outer[at:])
            around[at:, at:stop] = inverse[k][np.ix_(places, outer[at:stop] - starts[k])]
            around[at:stop, at:] = around[at:, at:stop].T
            at = stop
        z = -around @ y
        whole = own.T @ (own / pivots[start:end, None]) - y.T @ z
        rows_of[number], inverse[number] = rows, np.concatenate([whole, z])
        diagonal[start:end] = np.diag(whole)
    found = np.empty(size)
    found[order] = diagonal
    return found


def _below(square: Sparse) -> list[Array]:
    """For each column the rows below the diagonal where the factor of a symmetric matrix may have entries."""
    size = square.shape[0]
    found: list[Array] = []
    children: list[list[Array]] = [[] for _ in range(size)]
    for column, (start, end) in enumerate(pairwise(square.indptr.tolist())):
        rows = np.unique(np.concatenate([square.indices[start:end].astype(np.int64), *children[column]]))
        rows = rows[rows > column]
        children[column].clear()
        if len(rows):
            children[rows[0]].append(rows)
        found.append(rows)
    return found


def _blocks(below: Sequence[Array]) -> list[int]:
    """Where blocks of columns begin that have the same rows below them, and where the last one ends."""
    starts = [0]
    for column in range(1, len(below)):
        before = below[column - 1]
        if not len(before) or before[0] != column or len(before) != len(below[column]) + 1:
            starts.append(column)
    return [*starts, len(below)]
