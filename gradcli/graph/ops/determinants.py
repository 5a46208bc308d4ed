"""Determinants and their cofactors, which are polynomials and so have derivatives at singular matrices, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.operation import SameAs, Tangent
from gradcli.graph.ops.creation import array, eye, ones
from gradcli.graph.ops.linear_algebra import (
    Attrs,
    Inputs,
    algebra,
    inv,
    matmul,
    needs_matrix,
    of_square,
    tangent_of,
    with_lapack,
)
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.selection import zero
from gradcli.graph.ops.shaping import flip, reshape, roll, swap
from gradcli.graph.ops.slicing import gather, index
from gradcli.graph.types import Shape, show_shape

SMALL = 6
"""Rows up to which cofactors are sums of products of entries: exact for integers, and at every scale of a row."""


def subsets(n: int, r: int) -> list[int]:
    """The sets of r out of n columns, each as a number with a bit for each column, in ascending order."""
    return [s for s in range(1 << n) if s.bit_count() == r]


def expansion(n: int, r: int) -> tuple[list[list[int]], list[list[int]]]:
    """For each set of r columns, the columns and the positions of the sets without one of them: Laplace's expansion."""
    smaller = {s: at for at, s in enumerate(subsets(n, r - 1))}
    columns = [[c for c in range(n) if s >> c & 1] for s in subsets(n, r)]
    rest = [[smaller[s ^ (1 << c)] for c in own] for s, own in zip(subsets(n, r), columns, strict=True)]
    return columns, rest


def small_cofactors_kernel(xp: Any, a: Any) -> Any:
    """The cofactors as sums of products of entries; minors of the first r rows of those that are left, r = 1, 2, …."""
    n = a.shape[-1]
    if n < 2:
        return xp.ones_like(a)
    if n == 3:
        return xp.cross(xp.roll(a, -1, -2), xp.roll(a, -2, -2))
    signs = xp.asarray([(-1) ** k for k in range(2 * n)], dtype=a.dtype)
    others = [[i for i in range(n) if i != k] for k in range(n)]
    minors = left = xp.take(a, others, axis=-2)
    minors = left[..., 0, :]
    for r in range(2, n):
        columns, smaller = expansion(n, r)
        terms = xp.take(left[..., r - 1, :], columns, axis=-1) * xp.take(minors, smaller, axis=-1)
        minors = xp.sum(terms * signs[r - 1 : 2 * r - 1], axis=-1)
    return xp.flip(minors, -1) * xp.outer(signs[:n], signs[:n])


def _minors(a: Node) -> Node:
    """The same as an expression, which is a polynomial of the entries."""
    n = a.shape[-1]
    if n < 2:
        return ones(shape=a.shape, dtype=a.dtype)
    checkered = array(
        values=tuple(float((-1) ** (i + j)) for i in range(n) for j in range(n)), shape=(n, n), dtype=a.dtype
    )
    if n == 2:
        return flip(a, axis=(a.rank - 2, a.rank - 1)) * checkered
    if n == 3:

        def rolled(rows: int, columns: int) -> Node:
            return roll(roll(a, shift=-rows, axis=a.rank - 2), shift=-columns, axis=a.rank - 1)

        return rolled(1, 1) * rolled(2, 2) - rolled(1, 2) * rolled(2, 1)
    whole = [(0, k, 1) for k in a.shape[:-2]]
    left = gather(a, _table([[i for i in range(n) if i != k] for k in range(n)]), axis=a.rank - 2)
    minors = index(left, items=(*whole, (0, n, 1), 0))
    for r in range(2, n):
        columns, smaller = expansion(n, r)
        row = index(left, items=(*whole, (0, n, 1), r - 1))
        signs = array(values=tuple(float((-1) ** (r - 1 + k)) for k in range(r)), shape=(r,), dtype=a.dtype)
        signed = gather(row, _table(columns), axis=a.rank - 1) * signs
        minors = sum_(signed * gather(minors, _table(smaller), axis=a.rank - 1), axis=-1)
    return flip(minors, axis=(a.rank - 1,)) * checkered


def _table(rows: list[list[int]]) -> Node:
    return array(values=tuple(k for row in rows for k in row), shape=(len(rows), len(rows[0])), dtype="int64")


def scaled_svd(xp: Any, a: Any) -> Any:
    """Singular values of matrices whose rows and columns were multiplied by powers of 2, and those exponents.

    Gives u, s, vt, rows, columns with a = 2^rows (u diag(s) vt) 2^columns; a matrix that is not finite counts as 1.
    """
    identity = xp.eye(a.shape[-1], dtype=a.dtype)
    a = xp.where(xp.all(xp.isfinite(a), axis=(-2, -1), keepdims=True), a, identity)
    rows = xp.frexp(xp.max(xp.abs(a), axis=-1, keepdims=True, initial=0))[1]
    a = xp.ldexp(a, -rows)
    columns = xp.frexp(xp.max(xp.abs(a), axis=-2, keepdims=True, initial=0))[1]
    return (*xp.linalg.svd(xp.ldexp(a, -columns)), rows, columns)


def cofactor_kernel(xp: Any, a: Any, y: Any) -> Any:
    """The cofactors; of large matrices from the singular values: finite at singular ones (Stewart 1998)."""
    n = a.shape[-1]
    if n <= SMALL:
        return small_cofactors_kernel(xp, a)
    u, s, vt, rows, columns = scaled_svd(xp, a)
    minors = xp.prod(xp.where(xp.eye(n, dtype=bool), a.dtype.type(1), s[..., None, :]), axis=-1)
    orientation = xp.sign(xp.linalg.det(u) * xp.linalg.det(vt))
    scaled = orientation[..., None, None] * xp.matmul(u * minors[..., None, :], vt)
    exponents = xp.sum(rows, axis=-2, keepdims=True) - rows + xp.sum(columns, axis=-1, keepdims=True) - columns
    finite = xp.all(xp.isfinite(a), axis=(-2, -1), keepdims=True)
    return xp.where(finite, xp.ldexp(scaled, exponents), a.dtype.type(xp.nan))


def completion_kernel(xp: Any, a: Any, k: int) -> Any:
    """What makes matrices regular: r, x, z with a + r regular and x zᵀ the part of r for the k smallest singular values.

    Singular values below a tenth of the largest are raised to it, of others than the k smallest those that are 0; rows
    and columns of another scale do not count as small.
    """
    u, s, vt, rows, columns = scaled_svd(xp, a)
    n, one = a.shape[-1], s.dtype.type(1)
    top = xp.where(s[..., :1] == 0, one, s[..., :1])
    low = xp.where(xp.arange(n) >= n - k, s < top / 10, s <= n * xp.finfo(s.dtype).eps * top)
    x = u * xp.where(low, top - s, 0 * one)[..., None, :]
    z = xp.ldexp(xp.swapaxes(vt, -1, -2), xp.swapaxes(columns, -1, -2))
    return xp.stack([xp.ldexp(xp.matmul(x, vt), rows + columns), xp.ldexp(x, rows), z], axis=-3)


def _completion_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    (a,) = inputs
    needs_matrix("completion", a, square=True)
    return (*a.shape[:-2], 3, *a.shape[-2:]), a.dtype


completion = algebra(
    "completion", "a, k:int", "Matrices r, x, z with a + r regular; the last k columns of x and z are the part of r for the "
    "k smallest singular values.", accepts="float", leading="last", infer=_completion_shape, kernel=completion_kernel, workspace=6.0,
    formula="r, x, z with r = x @ z^T", domain="square matrices; no derivative", example="completion([[1.0, 2.0], [2.0, 4.0]], 1)",
)  # fmt: skip


def _large_cofactors(a: Node) -> Node:
    """The cofactors of det(m) det(1 - zᵀ inv(m) x) = det(m - x zᵀ), with m regular and det(1 - …) a polynomial.

    x and z stand for the ``SMALL`` smallest singular values, which are all that the derivatives up to that order of a
    matrix of whatever rank depend on, and of one that lacks at most so many rows all derivatives.
    """
    n = a.shape[-1]
    whole = [(0, size, 1) for size in a.shape[:-2]]
    parts = completion(a, k=SMALL)
    r, x, z = (index(parts, items=(*whole, i, (0, n, 1), (0 if not i else n - SMALL, n, 1))) for i in range(3))
    m = a + r
    inverse = inv(m)
    right, left = matmul(inverse, x), matmul(swap(inverse), z)
    small = eye(n=SMALL, dtype=a.dtype) - matmul(swap(z), right)
    minors = _minors(small)
    first = [*whole, (0, 1, 1), (0, SMALL, 1)]
    size = sum_(index(small, items=(*first,)) * index(minors, items=(*first,)), axis=(-2, -1), keepdims=True)
    slope = size * swap(inverse) + matmul(matmul(left, minors), swap(right))
    return reshape(det(m, regular=True), shape=(*a.shape[:-2], 1, 1)) * slope


def _cofactors(_: Node, a: Node, y: Node) -> Node:
    """Connected for ever, with a and with y, as TensorFlow's y inv(a)ᵀ is, and without an inverse that may not exist."""
    cofactors = _minors(a) if a.shape[-1] <= SMALL else _large_cofactors(a)
    return cofactors + zero(a) + reshape(zero(y), shape=(*y.shape, 1, 1))


def _cofactor_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    a, y = inputs
    needs_matrix("cofactor", a, square=True)
    if y.shape != a.shape[:-2]:
        raise GradcliError(
            "ShapeError",
            f"cofactor needs one determinant for each matrix, not shape {show_shape(y.shape)}",
            operands=[(0, f"shape {show_shape(a.shape)}"), (1, f"shape {show_shape(y.shape)}")],
        )
    return a.shape, a.dtype


cofactor = algebra(
    "cofactor", "a, y", "The derivative of y = det(a): the matrix of cofactors.", accepts="float", leading="last",
    infer=_cofactor_shape, domain="square matrices", example="cofactor([[1.0, 2.0], [3.0, 4.0]], -2.0)",
    kernel=cofactor_kernel, rule=SameAs(_cofactors),
    singular=True, workspace=lambda node: 20.0 if node.shape[-1] <= SMALL else 5.0, formula="y * inv(a)^T",
)  # fmt: skip


def _det_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    (a,) = xs
    slope = reshape(y, shape=(*y.shape, 1, 1)) * swap(inv(a)) if y.attrs["regular"] else cofactor(a, y)
    return sum_(slope * tangent_of(dxs, 0), axis=(-2, -1))


det = algebra(
    "det", "a, regular:flag=false", "Determinant; a matrix that is known to be regular has the derivative y * inv(a)^T.",
    aliases=("matrix_determinant",),
    accepts="float", infer=of_square("det", drop=2), rule=Tangent(_det_tangent, matrix=True),
    kernel=lambda xp, a, regular: xp.linalg.det(a), singular=True, workspace=with_lapack(1.0), flow="matrices", formula="det(a)",
    domain="square matrices", example="det([[1.0, 2.0], [3.0, 4.0]])",
)  # fmt: skip
