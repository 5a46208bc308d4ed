"""Contractions (matmul, einsum and their kin) and dense linear algebra on the last two axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.operation import Contraction, Linear, Operation, Tangent, register, unchanged
from gradcli.graph.ops.contract import einsum_kernel, matmul_labels, matmul_shape, parse_equation
from gradcli.graph.ops.elementwise import multiply
from gradcli.graph.ops.kernels import Ufunc, Wrapping, contracted
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.selection import isnan, where
from gradcli.graph.ops.shaping import reshape, reshaped, swap
from gradcli.graph.types import Shape, show_shape, size_of

if TYPE_CHECKING:
    from gradcli.graph.leading import Led

Inputs = Sequence[Node]
Attrs = dict[str, Any]
Labels = tuple[int, ...]


def with_lapack(matrices: float, arrays: float = 0.0) -> Callable[[Node], float]:
    """The workspace of a kernel that gives LAPACK one matrix of a stack after another.

    Arrays of the size of the stack, which are NumPy's, and of the size of one of its ``matrices``, which are LAPACK's.
    """

    def workspace(node: Node) -> float:
        stack = max([x.shape[:-2] for x in node.inputs], key=len)
        return arrays + matrices / max(size_of(stack), 1)

    return workspace


def _two_copies(node: Node) -> float:
    """Of the matrix and of the right-hand sides."""
    sizes = [size_of(x.shape[-2:]) for x in node.inputs]
    return with_lapack(sum(sizes) / max(*sizes, 1))(node)


def algebra(name: str, spec: str, doc: str, **entry: Any) -> Operation:
    """An entry of the family "linear algebra"."""
    return register(Operation(name, spec, doc, family="linear algebra", **entry))


def _matmul_led(led: Led) -> Node:
    (a, b), (x, y) = led.inputs, led.node.inputs
    if not led.has[1] and x.rank == 1 and y.rank == 2:
        return matmul(a, b)  # all vectors in one product
    if not led.has[0] and x.rank == 2 and y.rank == 1:
        return matmul(b, swap(a))
    # Vectors become matrices of one row or one column, which go again at the end.
    rank = max(x.rank, y.rank, 2)
    rows = x.shape if x.rank > 1 else (1, *x.shape)
    columns = y.shape if y.rank > 1 else (*y.shape, 1)
    for i, shape in enumerate((rows, columns)):
        wide = (led.size, *[1] * (rank - len(shape)), *shape) if led.has[i] else shape
        a, b = (reshaped(a, wide), b) if i == 0 else (a, reshaped(b, wide))
    return reshaped(matmul(a, b), led.shape)


matmul = algebra(
    "matmul", "a, b", "Matrix product; `a @ b` is the same. Leading axes broadcast.", symbol="@", infer=matmul_shape,
    kernel=Ufunc("matmul", contracted), rule=Contraction(matmul_labels), leading=_matmul_led, formula="a @ b",
    example="matmul([[1, 2], [3, 4]], [5, 6])",
)  # fmt: skip


def _contract_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    sizes = {
        k: n for x, labels in zip(inputs, attrs["labels"], strict=True) for k, n in zip(labels, x.shape, strict=True)
    }
    return tuple(sizes[k] for k in attrs["out"]), inputs[0].dtype


def _copies(node: Node) -> float:
    """Two matrices are multiplied as they lie; more axes and operands are brought together first."""
    return 0.0 if len(node.inputs) < 3 and all([x.rank <= 2 for x in node.inputs]) else 2.0


contraction = algebra(
    "contraction", "operands:operands, labels:string, out:string, gram:flag=false",
    "A sum of products over index labels; ``gram`` says that it is Xᵀ diag(s) X with s of no negative entry.",
    hidden=True, infer=_contract_shape, kernel=Wrapping(einsum_kernel, contracted), workspace=_copies, shares="sometimes", formula="einsum(…)",
    rule=Contraction(lambda inputs, attrs: (attrs["labels"], attrs["out"])),
)  # fmt: skip


def contract(operands: Inputs, labels: Sequence[Labels], out: Labels, gram: bool = False) -> Node:
    """The einsum of operands with distinct integer labels each, renumbered in order of appearance."""
    number: dict[int, int] = {}
    for group in labels:
        for k in group:
            number.setdefault(k, len(number))
    renamed = tuple(tuple(number[k] for k in group) for group in labels)
    return contraction(*operands, labels=renamed, out=tuple(number[k] for k in out), gram=gram)


def _einsum(*operands: Node, equation: str) -> Node:
    nodes, labels, out = parse_equation(operands, equation)
    return contract(nodes, labels, out)


einsum = algebra(
    "einsum", "equation:string, operands:operands", "Sum of products over the letters that the result does not have.",
    expand=_einsum, formula="sum of a[i, j] * b[j, k] over j, for \"ij,jk->ik\"",
    example='einsum("ij,j->i", [[1, 2], [3, 4]], [5, 6])',
)  # fmt: skip


def _dot(a: Node, b: Node) -> Node:
    if not a.rank or not b.rank:
        return multiply(a, b)
    if b.rank <= 2:
        return matmul(a, b)
    if a.shape[-1] != b.shape[-2]:
        raise GradcliError(
            "ShapeError",
            f"dot needs the last axis of a and the last but one of b alike, not {show_shape(a.shape)} "
            f"and {show_shape(b.shape)}",
            operands=[(0, f"shape {show_shape(a.shape)}"), (1, f"shape {show_shape(b.shape)}")],
        )
    left = tuple(range(a.rank))
    right = (*range(a.rank, a.rank + b.rank - 2), a.rank - 1, a.rank + b.rank - 2)
    return contract([a, b], [left, right], (*left[:-1], *right[:-2], right[-1]))


dot = algebra(
    "dot", "a, b", "Inner product of vectors, matrix product of matrices (NumPy's dot).", expand=_dot,
    formula="a1*b1 + a2*b2 + …", example="dot([1, 2], [3, 4])",
)  # fmt: skip
outer = algebra(
    "outer", "a, b", "All products of an entry of a and an entry of b.",
    expand=lambda a, b: multiply(reshape(a, shape=(-1, 1)), reshape(b, shape=(1, -1))), formula="y[i, j] = a[i] * b[j]",
    example="outer([1, 2], [3, 4])",
)  # fmt: skip

# diagonals and triangles


def needs_matrix(name: str, x: Node, square: bool = False) -> None:
    """Raise a ShapeError for what is not a matrix, or not a square one."""
    if x.rank < 2 or (square and x.shape[-1] != x.shape[-2]):
        needed = "a square matrix" if square else "a matrix"
        raise GradcliError(
            "ShapeError",
            f"{name} needs {needed}, not shape {show_shape(x.shape)}",
            operands=[(0, f"shape {show_shape(x.shape)}")],
        )


def _diagonal_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    (x,) = inputs
    *batch, rows, columns = x.shape
    k = attrs["k"]
    return (*batch, max(0, min(rows, columns - k) if k >= 0 else min(rows + k, columns))), x.dtype


diagonal = algebra(
    "diagonal", "x, k:int=0", "The k-th diagonal of the last two axes.", hidden=True, accepts="any",
    infer=_diagonal_shape, kernel=lambda xp, x, k: xp.diagonal(x, k, -2, -1), entries="moved", flow="matrices", shares="always", formula="y[i] = x[i, i + k]",
    rule=Linear(lambda i, g, y: embed_diagonal(g, k=y.attrs["k"], rows=y.inputs[0].shape[-2], columns=y.inputs[0].shape[-1]), picks=lambda y: True),
)  # fmt: skip


def embed_kernel(xp: Any, x: Any, k: int, rows: int, columns: int) -> Any:
    """Matrices [..., rows, columns] that have x [..., n] on diagonal k and 0 elsewhere."""
    y = xp.zeros((*x.shape[:-1], rows, columns), dtype=x.dtype)
    i = xp.arange(x.shape[-1])
    y[..., i + max(-k, 0), i + max(k, 0)] = x
    return y


embed_diagonal = algebra(
    "embed_diagonal", "x, k:int, rows:int, columns:int", "A matrix with x as its k-th diagonal, zeros elsewhere.",
    hidden=True, accepts="any", kernel=embed_kernel, entries="placed", flow="matrices", formula="y[i, i + k] = x[i]",
    infer=lambda inputs, attrs: ((*inputs[0].shape[:-1], attrs["rows"], attrs["columns"]), inputs[0].dtype),
    rule=Linear(lambda i, g, y: diagonal(g, k=y.attrs["k"])),
)  # fmt: skip


def _within(k: int, x: Node) -> int:
    """The number of a diagonal, next to the matrix where it is farther outside: NumPy takes no larger numbers."""
    rows, columns = x.shape[-2:]
    return max(-rows, min(k, columns))


def _diag(x: Node, k: int) -> Node:
    if x.rank == 1:
        n = x.shape[0] + abs(k)
        return embed_diagonal(x, k=k, rows=n, columns=n)
    needs_matrix("diag", x)
    return diagonal(x, k=_within(k, x))


diag = algebra(
    "diag", "x, k:int=0", "The matrix with a vector as diagonal, or the diagonal of a matrix.", expand=_diag,
    accepts="any", formula="y[i, i] = x[i]", example="diag([1, 2])",
)  # fmt: skip


def _trace(x: Node) -> Node:
    needs_matrix("trace", x)
    return sum_(diagonal(x, k=0), axis=-1)


trace = algebra(
    "trace", "x", "The sum of the diagonal of the last two axes.", expand=_trace, formula="x[0, 0] + x[1, 1] + …",
    example="trace([[1, 2], [3, 4]])",
)  # fmt: skip


def _triangle(name: str, doc: str) -> Operation:
    def infer(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
        needs_matrix(name, inputs[0])
        attrs["k"] = _within(attrs["k"], inputs[0])
        return unchanged(inputs, attrs)

    return algebra(
        name, "x, k:int=0", doc, infer=infer, accepts="any", kernel=lambda xp, x, k: getattr(xp, name)(x, k),
        rule=Linear(lambda i, g, y: y.op(g, k=y.attrs["k"]), picks=lambda y: True), workspace=0.2, entries="placed", flow="matrices", formula="x, with zeros", example=f"{name}([[1, 2], [3, 4]])",
    )  # fmt: skip


tril = _triangle("tril", "Zeros above the k-th diagonal.")
triu = _triangle("triu", "Zeros below the k-th diagonal.")

# determinants, inverses, factorizations


def of_square(name: str, drop: int = 0) -> Any:
    """A shape rule for square matrices, whose last ``drop`` axes go."""

    def infer(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
        (x,) = inputs
        needs_matrix(name, x, square=True)
        return x.shape[: x.rank - drop], x.dtype

    return infer


def tangent_of(dxs: Sequence[Node | None], i: int) -> Node:
    """The tangent of input i, which is there."""
    dx = dxs[i]
    assert dx is not None
    return dx


def _inv_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    return -matmul(matmul(y, tangent_of(dxs, 0)), y)


inv = algebra(
    "inv", "a", "Inverse of a square matrix; singular is an error.", aliases=("inverse", "matrix_inverse"),
    accepts="float", infer=of_square("inv"), kernel=lambda xp, a: xp.linalg.inv(a), rule=Tangent(_inv_tangent, matrix=True),
    singular=True, workspace=with_lapack(2.0), flow="matrices", formula="a^-1", domain="invertible matrices", example="inv([[2.0, 0.0], [0.0, 4.0]])",
)  # fmt: skip


def logdet_kernel(xp: Any, a: Any) -> Any:
    """The logarithm of the determinant, NaN where that is negative."""
    sign, size = xp.linalg.slogdet(a)
    return xp.where(sign < 0, a.dtype.type(xp.nan), size)


def sum_of_slopes(a: Node, da: Node) -> Node:
    """The derivative of the logarithm of a determinant."""
    return sum_(swap(inv(a)) * da, axis=(-2, -1))


def _logdet_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    slope = sum_of_slopes(xs[0], tangent_of(dxs, 0))
    return slope * where(isnan(y), float("nan"), 1.0)


logdet = algebra(
    "logdet", "a", "Logarithm of the determinant, NaN where that is negative.", accepts="float",
    infer=of_square("logdet", drop=2), rule=Tangent(_logdet_tangent, matrix=True), kernel=logdet_kernel,
    singular=True, workspace=with_lapack(1.0), flow="matrices", formula="log(det(a))", domain="matrices with a positive determinant",
    example="logdet([[2.0, 0.0], [0.0, 3.0]])",
)  # fmt: skip


def _solve_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    a, b = inputs
    needs_matrix("solve", a, square=True)
    n = a.shape[-1]
    if b.rank == 0 or b.shape[0 if b.rank == 1 else -2] != n:
        raise GradcliError(
            "ShapeError",
            f"solve needs a right-hand side with {n} rows, not shape {show_shape(b.shape)}",
            operands=[(0, f"shape {show_shape(a.shape)}"), (1, f"shape {show_shape(b.shape)}")],
        )
    if a.shape[:-2] != b.shape[:-2]:
        raise GradcliError(
            "ShapeError",
            f"solve needs equal leading axes, not {show_shape(a.shape)} and {show_shape(b.shape)}",
            operands=[(0, f"shape {show_shape(a.shape)}"), (1, f"shape {show_shape(b.shape)}")],
            help="repeat one of them: `broadcast_to(b, …)`",
        )
    return b.shape, b.dtype


def _solve_vectors(a: Node, b: Node) -> Node | None:
    """A batch of vectors is one of matrices with one column; what is of a's rank, and one vector, is left as it is."""
    if a.rank < 3 or b.rank != a.rank - 1:
        return None
    if b.shape != a.shape[:-1] or a.shape[-1] != a.shape[-2]:
        raise GradcliError(
            "ShapeError",
            f"solve needs a vector for each matrix, of shape {show_shape(a.shape[:-1])}, not {show_shape(b.shape)}",
            operands=[(0, f"shape {show_shape(a.shape)}"), (1, f"shape {show_shape(b.shape)}")],
            help="one with an axis less than a is a batch of vectors; matrices have as many axes as a",
        )
    return reshape(solve(a, reshape(b, shape=(*b.shape, 1))), shape=b.shape)


def _solve_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    da, db = dxs
    if db is not None:
        return solve(xs[0], db)
    assert da is not None
    return -solve(xs[0], matmul(da, y))


def _solve_led(led: Led) -> Node:
    a, b = led.inputs
    if led.node.inputs[1].rank > 1:
        return solve(led.full(0), led.full(1))
    if not led.has[0]:
        return swap(solve(a, swap(b)))  # one factorization for all
    return reshape(solve(a, reshape(led.full(1), shape=(*led.shape, 1))), shape=led.shape)


solve = algebra(
    "solve", "a, b", "The x with a @ x = b; a singular matrix is an error. A b with an axis less than a is a batch of vectors.",
    aliases=("matrix_solve",), accepts="float", leading=_solve_led, expand=_solve_vectors,
    infer=_solve_shape, kernel=lambda xp, a, b: xp.linalg.solve(a, b), degree="solve", singular=True,
    rule=Tangent(_solve_tangent, {1: lambda i, g, y: solve(swap(y.inputs[0]), g)}, matrix=True), workspace=_two_copies, formula="inv(a) @ b",
    domain="invertible matrices", example="solve([[2.0, 0.0], [0.0, 4.0]], [1.0, 1.0])",
)  # fmt: skip


def _half_triangle(x: Node) -> Node:
    """The lower triangle with half of the diagonal."""
    n = x.shape[-1]
    return tril(x, k=-1) + embed_diagonal(0.5 * diagonal(x, k=0), k=0, rows=n, columns=n)


def _cholesky_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    """dL = L Φ(L⁻¹ dA L⁻ᵀ), Φ the lower triangle with half of the diagonal (Murray, arXiv:1602.07527)."""
    da = tangent_of(dxs, 0)
    inner = solve(y, swap(solve(y, 0.5 * (da + swap(da)))))
    return matmul(y, _half_triangle(swap(inner)))


def cholesky_kernel(xp: Any, a: Any) -> Any:
    """The lower triangular L with L @ L.T = a, of the symmetric part of a."""
    return xp.linalg.cholesky((a + xp.swapaxes(a, -1, -2)) / 2)


cholesky = algebra(
    "cholesky", "a", "The lower L with L @ L.T = (a + a.T)/2; not positive definite is an error.", accepts="float",
    infer=of_square("cholesky"), kernel=cholesky_kernel, rule=Tangent(_cholesky_tangent, matrix=True), singular=True,
    workspace=with_lapack(1.0, 1.1), flow="matrices", triangular=True, formula="L with L @ L.T = a", domain="symmetric positive definite matrices",
    example="cholesky([[4.0, 2.0], [2.0, 5.0]])",
)  # fmt: skip
