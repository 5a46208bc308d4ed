"""The exponential of a matrix and its derivative in a direction; each is an exponential of a larger matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.operation import Tangent
from gradcli.graph.ops.linear_algebra import Inputs, algebra, needs_matrix, of_square, tangent_of, with_lapack
from gradcli.graph.ops.shaping import swap
from gradcli.graph.ops.slicing import concat, sliced
from gradcli.graph.types import Shape, show_shape

PADE = (64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600, 670442572800,
        33522128640, 1323241920, 40840800, 960960, 16380, 182, 1)  # fmt: skip
LARGEST = 5.37
"""The norm up to which the Padé approximant of degree 13 has all digits of float64."""


def squared_again(xp: Any, y: Any, times: Any) -> Any:
    """Each matrix squared so many times."""
    for k in range(int(xp.max(times, initial=0))):
        y = xp.where(times > k, xp.matmul(y, y), y)
    return y


def expm_kernel(xp: Any, a: Any) -> Any:
    """Scaled by a power of two, a Padé approximant of degree 13, squared again (Higham 2005)."""
    n = a.shape[-1]
    norm = xp.max(xp.sum(xp.abs(a), axis=-2, keepdims=True), axis=-1, keepdims=True, initial=0)
    finite = xp.isfinite(norm)
    doublings = xp.frexp(xp.where(finite, norm, xp.zeros_like(norm)) / a.dtype.type(LARGEST))[1].clip(0, None)
    a = xp.ldexp(xp.where(finite, a, xp.zeros_like(a)), -doublings)
    one = xp.eye(n, dtype=a.dtype)
    b = [a.dtype.type(c / PADE[0]) for c in PADE]
    a2 = xp.matmul(a, a)
    a4 = xp.matmul(a2, a2)
    a6 = xp.matmul(a2, a4)
    odd = xp.matmul(a6, b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * one
    odd = xp.matmul(a, odd)
    even = xp.matmul(a6, b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * one
    y = squared_again(xp, xp.linalg.solve(even - odd, even + odd), doublings)
    return xp.where(finite, y, a.dtype.type(xp.nan))


def expm_frechet_kernel(xp: Any, a: Any, e: Any) -> Any:
    """The upper right block of the exponential of [[a, e], [0, a]]; e is scaled, which it is linear in."""
    n = a.shape[-1]
    size = xp.max(xp.abs(e), axis=(-2, -1), keepdims=True, initial=0)
    size = xp.where((size == 0) | ~xp.isfinite(size), xp.ones_like(size), size)
    above = xp.concatenate([a, e / size], axis=-1)
    below = xp.concatenate([xp.zeros_like(a), a], axis=-1)
    return size * expm_kernel(xp, xp.concatenate([above, below], axis=-2))[..., :n, n:]


def _blocks(a: Node, b: Node | None, c: Node) -> Node:
    """[[a, b], [0, c]]."""
    above = concat(a, b if b is not None else 0 * a, axis=-1)
    return concat(above, concat(0 * c, c, axis=-1), axis=-2)


def _upper_right(x: Node) -> Node:
    n = x.shape[-1] // 2
    return sliced(sliced(x, x.rank - 2, 0, n), x.rank - 1, n, 2 * n)


def _frechet_shape(inputs: Inputs, attrs: dict[str, Any]) -> tuple[Shape, str]:
    a, e = inputs
    needs_matrix("expm_frechet", a, square=True)
    if a.shape != e.shape:
        raise GradcliError(
            "ShapeError",
            f"expm_frechet needs two matrices of one shape, not {show_shape(a.shape)} and {show_shape(e.shape)}",
            operands=[(0, f"shape {show_shape(a.shape)}"), (1, f"shape {show_shape(e.shape)}")],
        )
    return a.shape, a.dtype


def _frechet_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    """Linear in e; by a the derivative is that of the block matrix along [[da, 0], [0, da]] (Najfeld, Havel 1995)."""
    (a, e), (da, de) = xs, dxs
    if de is not None:
        return expm_frechet(a, de)
    assert da is not None
    return _upper_right(expm_frechet(_blocks(a, e, a), _blocks(da, None, da)))


def _frechet_adjoint(i: int, g: Node, y: Node) -> Node | None:
    return expm_frechet(swap(y.inputs[0]), g) if i else None


expm_frechet = algebra(
    "expm_frechet", "a, e", "The derivative of expm at a along e: linear in e.", accepts="float", infer=_frechet_shape,
    kernel=expm_frechet_kernel, rule=Tangent(_frechet_tangent, adjoint=_frechet_adjoint), degree="solve", singular=True, workspace=with_lapack(8.8, 43.2),
    flow="matrices", leading="last", formula="(expm(a + t*e) - expm(a)) / t, for t to 0",
    domain="square matrices", example="expm_frechet([[0.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]])",
)  # fmt: skip
expm = algebra(
    "expm", "a", "The exponential of a square matrix.", aliases=("matrix_exp",), accepts="float", infer=of_square("expm"),
    kernel=expm_kernel, rule=Tangent(lambda y, xs, dxs: expm_frechet(xs[0], tangent_of(dxs, 0))), singular=True, workspace=with_lapack(2.0, 9.1),
    flow="matrices", formula="I + a + a @ a / 2 + a @ a @ a / 6 + …", domain="square matrices",
    example="expm([[0.0, 1.0], [0.0, 0.0]])",
)  # fmt: skip
