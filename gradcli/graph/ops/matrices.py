"""Products and powers of matrices that are composed of the others."""

from __future__ import annotations

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.operation import Operation, register
from gradcli.graph.ops.creation import eye
from gradcli.graph.ops.linear_algebra import inv, matmul
from gradcli.graph.ops.selection import zero
from gradcli.graph.ops.shaping import broadcasted, reshaped, roll
from gradcli.graph.types import broadcast, show_shape


def _kron(a: Node, b: Node) -> Node:
    rank = max(a.rank, b.rank)
    m, n = [(1,) * (rank - x.rank) + x.shape for x in (a, b)]
    left = reshaped(a, tuple(size for k in m for size in (k, 1)))
    right = reshaped(b, tuple(size for k in n for size in (1, k)))
    return reshaped(left * right, tuple(i * j for i, j in zip(m, n, strict=True)))


def _cross(a: Node, b: Node) -> Node:
    shape = broadcast([a.shape, b.shape], "cross")
    if not a.rank or not b.rank or a.shape[-1] != 3 or b.shape[-1] != 3:
        raise GradcliError(
            "ShapeError",
            f"cross needs vectors of 3 entries along the last axis, not shapes {show_shape(a.shape)} and {show_shape(b.shape)}",
            operands=[(0, f"shape {show_shape(a.shape)}"), (1, f"shape {show_shape(b.shape)}")],
        )
    a, b = broadcasted(a, shape), broadcasted(b, shape)
    one, two = [[roll(x, shift=-k, axis=-1) for x in (a, b)] for k in (1, 2)]
    return one[0] * two[1] - two[0] * one[1]


def _matrix_power(a: Node, n: int) -> Node:
    if a.rank < 2 or a.shape[-1] != a.shape[-2]:
        raise GradcliError(
            "ShapeError",
            f"matrix_power needs square matrices, not shape {show_shape(a.shape)}",
            operands=[(0, f"shape {show_shape(a.shape)}")],
        )
    square, left = (inv(a) if n < 0 else a), abs(n)
    result: Node | None = None
    while left:
        if left & 1:
            result = square if result is None else matmul(result, square)
        left >>= 1
        if left:
            square = matmul(square, square)
    return result if result is not None else eye(n=a.shape[-1], dtype=a.dtype) + zero(a)


kron = register(Operation(
    "kron", "a, b", "The Kronecker product: each entry of a times the whole of b.", family="linear algebra", expand=_kron,
    formula="a[i, j] * b[k, l]", example="kron([[1, 2]], [[1, 1]])",
))  # fmt: skip
cross = register(Operation(
    "cross", "a, b", "The cross product of vectors of 3 entries along the last axis.", family="linear algebra",
    expand=_cross, formula="(a1*b2 - a2*b1, a2*b0 - a0*b2, a0*b1 - a1*b0)", example="cross([1, 0, 0], [0, 1, 0])",
))  # fmt: skip
matrix_power = register(Operation(
    "matrix_power", "a, n:int", "A square matrix to an integer power, by squaring; negative powers of its inverse.",
    family="linear algebra", accepts="float", expand=_matrix_power, formula="a @ a @ …",
    example="matrix_power([[1.0, 1.0], [0.0, 1.0]], 5)",
))  # fmt: skip
