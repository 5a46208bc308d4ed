"""Eigenvalues, singular values and QR: values and vectors, each with its own derivative, and what is made of them.

Functions of all eigenvalues that treat them alike, such as their sum of squares, are smooth where eigenvalues coincide,
though the eigenvalues themselves are not. Where the slopes by the eigenvalues are the same rational function of each, such
as 2x, reverse mode passes on that function of the matrix, which has derivatives of every order. Else it passes on
V diag(g) V^T, whose derivative has the divided differences of g, which are slopes where eigenvalues coincide (Daleckii,
Krein 1965); the derivatives of that need eigenvectors, and are NaN there.

Sources: Giles, *Collected matrix derivative results for forward and reverse mode AD* (2008); Townsend, *Differentiating
the singular value decomposition* (2016); Walter, Lehmann, *Algorithmic differentiation of linear algebra functions* (2012).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from math import inf
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.operation import (
    Elementwise,
    NoDerivative,
    Operation,
    Product,
    SameAs,
    Tangent,
    Zero,
    constant_value,
    literal,
)
from gradcli.graph.ops.creation import eye, ones
from gradcli.graph.ops.elementwise import (
    absolute,
    add,
    divide,
    multiply,
    neg,
    power,
    products,
    recip,
    recip_no_nan,
    square,
    subtract,
)
from gradcli.graph.ops.linear_algebra import (
    Attrs,
    Inputs,
    algebra,
    diagonal,
    embed_diagonal,
    inv,
    matmul,
    needs_matrix,
    of_square,
    solve,
    sum_of_slopes,
    tangent_of,
    tril,
    triu,
    with_lapack,
)
from gradcli.graph.ops.reductions import any_
from gradcli.graph.ops.selection import less, less_equal, not_equal, where, zero
from gradcli.graph.ops.shaping import broadcast_to, broadcasted, expand_dims, reshaped, swap
from gradcli.graph.ops.slicing import concat, sliced
from gradcli.graph.types import Shape, show_shape


def _symmetric(a: Node) -> Node:
    return 0.5 * (a + swap(a))


def symmetric_kernel(xp: Any, a: Any) -> Any:
    """The symmetric part."""
    return (a + xp.swapaxes(a, -1, -2)) / 2


# a function of a matrix from that of its eigenvalues or singular values

Part = tuple[str, Node]
"""A value that is the same for all eigenvalues (``scalar``), a function of a matrix (``even``), or an odd one of a singular
value: a matrix times a function of its Gram matrix (``odd``). Where there is ``nothing``, that is the number 0."""


class _Functions:
    """Functions of eigenvalues or singular values as the same of matrices; ``n`` is the size of square ones."""

    def __init__(self, n: int, dtype: str) -> None:
        self.n = n
        self.dtype = dtype

    def scalar(self, s: Node) -> Node:
        """A number for each matrix, as a factor of it."""
        return reshaped(s, (*s.shape, 1)) if s.rank else s

    def even(self, p: Part) -> Node:
        """A value as a function of the matrix."""
        kind, x = p
        if kind == "even":
            return x
        # Not a product with the identity, whose zeros would count as what selects x.
        return embed_diagonal(broadcasted(x, (*x.shape[:-1], self.n)), k=0, rows=self.n, columns=self.n)

    def plus(self, p: Part, q: Part, sign: int = 1) -> Part | None:
        if q[0] == "nothing":
            return p
        if p[0] == "nothing":
            return q if sign > 0 else (q[0], -q[1])
        if p[0] == q[0]:
            return p[0], p[1] + q[1] if sign > 0 else p[1] - q[1]
        if "odd" in (p[0], q[0]):
            return None
        a, b = self.even(p), self.even(q)
        return "even", a + b if sign > 0 else a - b

    def times(self, p: Part, q: Part) -> Part:
        (kind, a), (other, b) = p, q
        if "nothing" in (kind, other):
            return p if kind == "nothing" else q
        if kind == "scalar" or other == "scalar":
            if kind == other:
                return "scalar", a * b
            return (other, self.scalar(a) * b) if kind == "scalar" else (kind, a * self.scalar(b))
        if kind == other == "odd":
            return "even", matmul(swap(a), b)
        if other == "odd":
            a, b, other = b, a, kind
            kind = "odd"
        return kind, matmul(a, b)

    def over(self, p: Part) -> Part | None:
        """1 over a value."""
        kind, a = p
        if kind == "nothing":
            return None
        if kind == "scalar":
            return "scalar", recip(a)
        if kind == "even":
            return "even", inv(a)
        return "odd", matmul(a, inv(matmul(swap(a), a)))

    def power(self, p: Part, n: int) -> Part | None:
        if n < 0:
            base = self.over(p)
            return None if base is None else self.power(base, -n)
        result: Part = ("scalar", literal(1.0, self.dtype))
        for _ in range(n):
            result = self.times(result, p)
        return result


MOST_FACTORS = 64


def _sum_of_products(f: _Functions, node: Node, parts: Sequence[Part]) -> Part | None:
    total: Part | None = ("nothing", literal(0.0, f.dtype))
    for i in range(0, len(parts), 2):
        if total is not None:
            total = f.plus(total, f.times(parts[i], parts[i + 1]))
    return total


def _reciprocal(f: _Functions, node: Node, parts: Sequence[Part]) -> Part | None:
    found = f.over(parts[0])
    if found is None or not node.attrs.get("positive"):
        return found
    negative = any_(less(node.inputs[0], 0), axis=-1, keepdims=True)
    return f.times(found, ("scalar", where(negative, math.nan, literal(1.0, f.dtype))))


def _ratio(f: _Functions, node: Node, parts: Sequence[Part]) -> Part | None:
    below = f.over(parts[1])
    return None if below is None else f.times(parts[0], below)


def _whole_power(f: _Functions, node: Node, parts: Sequence[Part]) -> Part | None:
    exponent = constant_value(node.inputs[1])
    if exponent is None or not float(exponent).is_integer() or abs(exponent) > MOST_FACTORS:
        return None
    return f.power(parts[0], int(exponent))


_RATIONAL: dict[Operation, Callable[[_Functions, Node, Sequence[Part]], Part | None]] = {
    add: lambda f, node, parts: f.plus(parts[0], parts[1]),
    subtract: lambda f, node, parts: f.plus(parts[0], parts[1], -1),
    neg: lambda f, node, parts: (parts[0][0], -parts[0][1]),
    multiply: lambda f, node, parts: f.times(*parts),
    square: lambda f, node, parts: f.times(parts[0], parts[0]),
    products: _sum_of_products, recip: _reciprocal, divide: _ratio, power: _whole_power,
}  # fmt: skip
"""Operations entry by entry that may be rational functions, of matrices then; None where one is none."""


def _alike(node: Node) -> bool:
    """Whether a value is one number for each matrix."""
    return not node.rank or node.shape[-1] == 1


def _everywhere(node: Node) -> Node | None:
    """The number for each matrix that a value is at every entry, if it is so."""
    if node.op is ones:
        return literal(1.0, node.dtype)
    if _alike(node):
        return node
    return node.inputs[0] if node.op is broadcast_to and _alike(node.inputs[0]) else None


def _is(node: Node, y: Node) -> bool:
    return node is y or (node.op is y.op and node.inputs == y.inputs)


def _beginning(node: Node, y: Node, start: Part) -> Part | None:
    """The values y and what does not depend on them; None for all else."""
    if _is(node, y):
        return start
    if node.op.connects:
        return "nothing", literal(0.0, node.dtype)
    number = _everywhere(node)
    return None if number is None else ("scalar", number)


def as_matrix(g: Node, y: Node, start: Part, n: int) -> Part | None:
    """The function g of values y of a matrix as one of the matrix, where it is the same rational function of each of them.

    ``start`` stands for y. None where g is another function.
    """
    functions = _Functions(n, g.dtype)
    known: dict[Node, Part] = {}
    todo = [g]
    while todo:
        node = todo[-1]
        if node in known:
            todo.pop()
            continue
        found = _beginning(node, y, start)
        if found is None:
            if node.shape != g.shape or node.op not in _RATIONAL:
                return None
            missing = [x for x in node.inputs if x not in known]
            if missing:
                todo += missing
                continue
            found = _RATIONAL[node.op](functions, node, [known[x] for x in node.inputs])
            if found is None:
                return None
        known[node] = found
    return known[g]


# derivatives of functions of all values: divided differences


def _row(x: Node) -> Node:
    return expand_dims(x, axis=-2) if x.rank else x


def _column(x: Node) -> Node:
    return expand_dims(x, axis=-1) if x.rank else x


def divided_differences(g: Node, y: Node) -> Node:
    """The matrix of (g[j] - g[i])/(y[j] - y[i]), 0 on the diagonal, for values y of a matrix.

    Where y[i] and y[j] are close it is the slope of g, as far as g is made of y by operations entry by entry and of numbers
    that are the same for all of y; for any other g it is NaN there.
    """
    found = _differences(g, y)
    if found is None:
        found = (_row(g) - _column(g)) * reciprocal_gaps(y)
    n = y.shape[-1]
    return where(not_equal(eye(n=n, dtype=y.dtype), 0), 0, broadcasted(found, (*g.shape, n)))


_SUMS = (add, subtract, neg)


def _differences(g: Node, y: Node) -> Node | None:
    apart = _row(y) - _column(y)
    digits = 1e-5 if y.dtype == "float64" else 5e-3
    close = less_equal(absolute(apart), digits * (absolute(_row(y)) + absolute(_column(y))))
    apart = where(close, 1, apart)
    known: dict[Node, Node | None] = {}
    written: dict[Node, Node] = {}
    todo = [g]
    while todo:
        node = todo[-1]
        if node in known:
            todo.pop()
        elif _is(node, y):
            known[node] = literal(1.0, y.dtype)
        elif node.op.connects or _everywhere(node) is not None:
            known[node] = None
        elif not node.inputs or node.shape != g.shape:
            return None
        elif isinstance(node.op.rule, SameAs):
            if node not in written:
                written[node] = node.op.rule.expression(node, *node.inputs)
            same = written[node]
            if same in known:
                known[node] = known[same]
            else:
                todo.append(same)
        elif node.op not in _SUMS and not isinstance(node.op.rule, (Elementwise, Product)):
            return None
        elif missing := [x for x in node.inputs if x not in known]:
            todo += missing
        elif node.op in (*_SUMS, multiply, products):
            known[node] = _difference(node, [known[x] for x in node.inputs])
        else:
            slope = _slope(node, [known[x] for x in node.inputs])
            if slope is None:
                return None
            known[node] = where(close, slope, (_row(node) - _column(node)) / apart)
    found = known[g]
    return literal(0.0, y.dtype) if found is None else found


def _difference(node: Node, parts: Sequence[Node | None]) -> Node | None:
    """The divided differences of a sum or product from those of its inputs; None stands for 0."""
    op, inputs = node.op, node.inputs
    terms: list[Node] = []
    if op is multiply or op is products:
        for k in range(0, len(inputs), 2):
            a, b = parts[k : k + 2]
            terms += [] if b is None else [_column(inputs[k]) * b]
            terms += [] if a is None else [a * _row(inputs[k + 1])]
    else:
        terms = [
            -part if op is neg or (op is subtract and k) else part for k, part in enumerate(parts) if part is not None
        ]
    return reduce(add, terms) if terms else None


def _slope(node: Node, parts: Sequence[Node | None]) -> Node | None:
    """What the differences of any other operation come near to, from those of its inputs; None where it is not known."""
    rule = node.op.rule
    total: Node = literal(0.0, node.dtype)
    for k, part in enumerate(parts):
        if part is None:
            continue
        if isinstance(rule, Product):
            other = node.inputs[k ^ 1]
        elif isinstance(rule, Elementwise):
            partial = rule.partials[k]
            found = partial(node, *node.inputs) if partial is not None and not isinstance(partial, Zero) else 0
            if not isinstance(found, Node):
                total = total + part * found
                continue
            other = found
        else:
            return None
        total = total + 0.5 * (_row(other) + _column(other)) * part
    return total


# symmetric matrices


def _values_shape(name: str) -> Callable[[Inputs, Attrs], tuple[Shape, str]]:
    def infer(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
        (a,) = inputs
        needs_matrix(name, a)
        return (*a.shape[:-2], min(a.shape[-2:])), a.dtype

    return infer


def reciprocal_gaps_kernel(xp: Any, x: Any) -> Any:
    """1 over the differences, 0 on the diagonal, NaN where two values differ by rounding errors only."""
    n = x.shape[-1]
    apart = x[..., None, :] - x[..., :, None]
    size = xp.max(xp.abs(x), axis=-1, initial=0)[..., None, None]
    same = xp.abs(apart) <= n * xp.finfo(x.dtype).eps * size
    y = 1 / xp.where(same, xp.ones_like(apart), apart)
    y = xp.where(same, xp.full_like(y, xp.nan), y)
    return xp.where(xp.eye(n, dtype=bool), xp.zeros_like(y), y)


def _gaps_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    (x,) = inputs
    if not x.shape:
        raise GradcliError("ShapeError", "reciprocal_gaps needs a vector, not a scalar", operands=[(0, "a scalar")])
    return (*x.shape, x.shape[-1]), x.dtype


def _gaps_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    dx = tangent_of(dxs, 0)
    return -y * y * (expand_dims(dx, axis=-2) - expand_dims(dx, axis=-1))


reciprocal_gaps = algebra(
    "reciprocal_gaps", "x", "1 over the differences of the entries of a vector: NaN where two are equal, 0 on the diagonal.",
    accepts="float", infer=_gaps_shape,
    kernel=reciprocal_gaps_kernel, rule=Tangent(_gaps_tangent), singular=True, workspace=3.9, flow="matrices", leading="last",
    formula="y[i, j] = 1 / (x[j] - x[i])", domain="vectors of different entries", example="reciprocal_gaps([1.0, 3.0])",
)  # fmt: skip


def _eigenvectors_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    """dV = V (F * (V^T dA V)), F the reciprocal gaps of the eigenvalues (Giles 2008, 3.1)."""
    moved = matmul(matmul(swap(y), _symmetric(tangent_of(dxs, 0))), y)
    return matmul(y, reciprocal_gaps(eigvalsh(xs[0])) * moved)


eigenvectors = algebra(
    "eigenvectors", "a", "The eigenvectors of (a + a.T)/2 as columns, of norm 1, in ascending order of the eigenvalues.",
    accepts="float", infer=of_square("eigh"), kernel=lambda xp, a: xp.linalg.eigh(symmetric_kernel(xp, a))[1],
    rule=Tangent(_eigenvectors_tangent), singular=True, workspace=with_lapack(3.0, 1.1), flow="matrices", formula="V with a @ V = V @ diag(eigvalsh(a))",
    domain="symmetric matrices; the derivative is NaN where eigenvalues coincide", example="eigenvectors([[2.0, 0.0], [0.0, 3.0]])",
)  # fmt: skip


def _eigenvalues_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    v = eigenvectors(xs[0])
    return diagonal(matmul(matmul(swap(v), tangent_of(dxs, 0)), v), k=0)


def _eigenvalues_adjoint(i: int, g: Node, y: Node) -> Node | None:
    (a,) = y.inputs
    n = a.shape[-1]
    functions = _Functions(n, a.dtype)
    found = as_matrix(g, y, ("even", _symmetric(a)), n)
    if found is None:
        return spectral(g, a)
    return broadcasted(functions.even(found), a.shape) + zero(a)


def _spectral_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    g, a = inputs
    needs_matrix("spectral", a, square=True)
    _one_for_each("spectral", g, a)
    return a.shape, a.dtype


def _one_for_each(name: str, g: Node, a: Node) -> None:
    needed = (*a.shape[:-2], min(a.shape[-2:]))
    if g.shape != needed:
        raise GradcliError(
            "ShapeError",
            f"{name} needs values of shape {show_shape(needed)}, not {show_shape(g.shape)}",
            operands=[(0, f"shape {show_shape(g.shape)}"), (1, f"shape {show_shape(a.shape)}")],
        )


def spectral_kernel(xp: Any, g: Any, a: Any) -> Any:
    """V diag(g) V^T with the eigenvectors V of a symmetric a [..., n, n], for g [..., n]."""
    v = xp.linalg.eigh(symmetric_kernel(xp, a))[1]
    return xp.matmul(v * g[..., None, :], xp.swapaxes(v, -1, -2))


def _spectral_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    (g, a), (dg, da) = xs, dxs
    if dg is not None:
        return spectral(dg, a)
    v = eigenvectors(a)
    moved = matmul(matmul(swap(v), _symmetric(tangent_of([da], 0))), v)
    return matmul(matmul(v, divided_differences(g, eigvalsh(a)) * moved), swap(v))


def _spectral_adjoint(i: int, c: Node, y: Node) -> Node | None:
    if i:
        return None
    v = eigenvectors(y.inputs[1])
    return diagonal(matmul(matmul(swap(v), c), v), k=0)


spectral = algebra(
    "spectral", "g, a", "v @ diag(g) @ v.T with the eigenvectors v of a: a function of a matrix that is g at its eigenvalues.",
    accepts="float", infer=_spectral_shape, kernel=spectral_kernel, rule=Tangent(_spectral_tangent, adjoint=_spectral_adjoint),
    degree="quotient", singular=True, workspace=with_lapack(2.0, 2.1), flow="matrices", leading="last", formula="v @ diag(g) @ v.T",
    domain="symmetric matrices", example="spectral([1.0, 2.0], [[2.0, 0.0], [0.0, 3.0]])",
)  # fmt: skip
eigvalsh = algebra(
    "eigvalsh", "a", "The eigenvalues of (a + a.T)/2 in ascending order.", aliases=("self_adjoint_eigvals",), accepts="float", infer=of_square("eigvalsh", drop=1),
    kernel=lambda xp, a: xp.linalg.eigvalsh(symmetric_kernel(xp, a)), rule=Tangent(_eigenvalues_tangent, adjoint=_eigenvalues_adjoint),
    singular=True, workspace=with_lapack(1.0, 1.1), flow="matrices", formula="x with det(a - x*I) = 0",
    domain="symmetric matrices", example="eigvalsh([[2.0, 1.0], [1.0, 2.0]])",
)  # fmt: skip
eigh = algebra(
    "eigh", "a", "The eigenvalues of (a + a.T)/2 in ascending order and the eigenvectors as columns: two values.", aliases=("self_adjoint_eig",), accepts="float",
    expand=lambda a: (eigenvectors(a), eigvalsh(a))[::-1], several=True, formula="w, v with a @ v = v @ diag(w)",
    domain="symmetric matrices; derivatives of eigenvectors are NaN where eigenvalues coincide",
    example="w, v = eigh([[2.0, 0.0], [0.0, 3.0]])",
)  # fmt: skip

# singular values


def singular_vectors_kernel(xp: Any, a: Any) -> Any:
    """The left singular vectors above the right ones."""
    u, _, vt = xp.linalg.svd(a, full_matrices=False)
    return xp.concatenate([u, xp.swapaxes(vt, -1, -2)], axis=-2)


def _vectors_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    (a,) = inputs
    needs_matrix("singular_vectors", a)
    m, n = a.shape[-2:]
    return (*a.shape[:-2], m + n, min(m, n)), a.dtype


def _two(y: Node, a: Node) -> tuple[Node, Node]:
    """The left and the right singular vectors."""
    m, n = a.shape[-2:]
    return sliced(y, y.rank - 2, 0, m), sliced(y, y.rank - 2, m, m + n)


def _vectors_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    """With P = U^T dA V and F = 1/(s[j]^2 - s[i]^2) (Townsend 2016, 15-18).

    dU = U (F * (P S + S P^T)) + (1 - U U^T) dA V / S, where there are more rows than columns, and dV likewise.
    """
    (a,), da = xs, tangent_of(dxs, 0)
    m, n = a.shape[-2:]
    u, v = _two(y, a)
    s = svdvals(a)
    row, column = expand_dims(s, axis=-2), expand_dims(s, axis=-1)
    f = reciprocal_gaps(s) * recip_no_nan(row + column)
    p = matmul(matmul(swap(u), da), v)
    du = matmul(u, f * (p * row + column * swap(p)))
    dv = matmul(v, f * (column * p + swap(p) * row))
    if m > n:
        rest = matmul(da, v)
        du = du + (rest - matmul(u, matmul(swap(u), rest))) / row
    if n > m:
        rest = matmul(swap(da), u)
        dv = dv + (rest - matmul(v, matmul(swap(v), rest))) / row
    return concat(du, dv, axis=-2)


singular_vectors = algebra(
    "singular_vectors", "a", "The left singular vectors as columns, the right ones below them, as many as there are singular values.",
    accepts="float", infer=_vectors_shape, kernel=singular_vectors_kernel, rule=Tangent(_vectors_tangent), singular=True,
    workspace=with_lapack(1.9, 1.1), flow="matrices", formula="u above v with a = u @ diag(svdvals(a)) @ v.T",
    domain="the derivative is NaN where singular values coincide", example="singular_vectors([[2.0, 0.0], [0.0, 3.0]])",
)  # fmt: skip


def _singular_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    (a,) = xs
    u, v = _two(singular_vectors(a), a)
    return diagonal(matmul(matmul(swap(u), tangent_of(dxs, 0)), v), k=0)


def _singular_adjoint(i: int, g: Node, y: Node) -> Node | None:
    (a,) = y.inputs
    m, n = a.shape[-2:]
    found = as_matrix(g, y, ("odd", a if m >= n else swap(a)), min(m, n))
    if found is None or found[0] not in ("odd", "nothing"):
        return singular_function(g, a)
    if found[0] == "nothing":
        return zero(a)
    return (found[1] if m >= n else swap(found[1])) + zero(a)


def _singular_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    g, a = inputs
    needs_matrix("singular_function", a)
    _one_for_each("singular_function", g, a)
    return a.shape, a.dtype


def singular_function_kernel(xp: Any, g: Any, a: Any) -> Any:
    """U diag(g) V^T with the singular vectors U, V of a [..., n, m], for g [..., min(n, m)]."""
    u, _, vt = xp.linalg.svd(a, full_matrices=False)
    return xp.matmul(u * g[..., None, :], vt)


def _singular_function_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    """Divided differences of g for the symmetric part of P = U^T dA V, (g[i] + g[j])/(s[i] + s[j]) for the other.

    What of dA is not between the singular vectors is multiplied by g/s.
    """
    (g, a), (dg, da) = xs, dxs
    if dg is not None:
        return singular_function(dg, a)
    da = tangent_of([da], 0)
    m, n = a.shape[-2:]
    u, v = _two(singular_vectors(a), a)
    s = svdvals(a)
    p = matmul(matmul(swap(u), da), v)
    turned = (_row(g) + _column(g)) * recip_no_nan(_row(s) + _column(s))
    inner = divided_differences(g, s) * (0.5 * (p + swap(p))) + turned * (0.5 * (p - swap(p)))
    result = matmul(matmul(u, inner), swap(v))
    ratio = _row(g * recip_no_nan(s))
    if m > n:
        rest = matmul(da, v)
        result = result + matmul((rest - matmul(u, p)) * ratio, swap(v))
    if n > m:
        rest = matmul(swap(da), u)
        result = result + matmul(u * ratio, swap(rest - matmul(v, swap(p))))
    return result


def _singular_function_adjoint(i: int, c: Node, y: Node) -> Node | None:
    if i:
        return None
    a = y.inputs[1]
    u, v = _two(singular_vectors(a), a)
    return diagonal(matmul(matmul(swap(u), c), v), k=0)


singular_function = algebra(
    "singular_function", "g, a", "u @ diag(g) @ v.T with the singular vectors u and v of a.", accepts="float", infer=_singular_shape,
    kernel=singular_function_kernel, rule=Tangent(_singular_function_tangent, adjoint=_singular_function_adjoint),
    degree="quotient", singular=True, workspace=with_lapack(3.9, 3.1), flow="matrices", leading="last", formula="u @ diag(g) @ v.T",
    example="singular_function([1.0, 2.0], [[3.0, 0.0], [0.0, 2.0]])",
)  # fmt: skip
svdvals = algebra(
    "svdvals", "a", "The singular values in descending order.", accepts="float", infer=_values_shape("svdvals"),
    kernel=lambda xp, a: xp.linalg.svd(a, compute_uv=False), rule=Tangent(_singular_tangent, adjoint=_singular_adjoint),
    singular=True, workspace=with_lapack(1.3), bounds=(-0.0, inf), flow="matrices", formula="sqrt(eigvalsh(a.T @ a))", example="svdvals([[3.0, 0.0], [4.0, 0.0]])",
)  # fmt: skip


def _svd(a: Node) -> tuple[Node, Node, Node]:
    needs_matrix("svd", a)
    u, v = _two(singular_vectors(a), a)
    return u, svdvals(a), v


svd = algebra(
    "svd", "a", "Singular values s with a = u @ diag(s) @ v.T: three values u, s, v, with as many columns as there are singular values.",
    accepts="float", expand=_svd, several=True, formula="u, s, v with a = u @ diag(s) @ v.T",
    domain="derivatives of u and v are NaN where singular values coincide", example="u, s, v = svd([[2.0, 0.0], [0.0, 3.0]])",
)  # fmt: skip

# QR


def _tall_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    (a,) = inputs
    needs_matrix("qr", a)
    return (*a.shape[:-1], min(a.shape[-2:])), a.dtype


def _orthonormal_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    """dQ = Q (L - L^T) + (1 - Q Q^T) dA R^-1, L the lower part of Q^T dA R^-1 (Walter, Lehmann 2012, 3.1).

    Of a matrix with more columns than rows Q is that of the first square part.
    """
    (a,), da = xs, tangent_of(dxs, 0)
    m, n = a.shape[-2:]
    if n > m:
        a, da = [sliced(x, x.rank - 1, 0, m) for x in (a, da)]
    r = triu(matmul(swap(y), a))
    moved = swap(solve(swap(r), swap(da)))
    inner = matmul(swap(y), moved)
    lower = tril(inner, k=-1)
    turned = matmul(y, lower - swap(lower))
    return turned + (moved - matmul(y, inner)) if m > n else turned


orthonormal = algebra(
    "orthonormal", "a", "Q of a = Q @ R: columns of norm 1 at right angles, of which the first k span what the first k of a do.",
    accepts="float", infer=_tall_shape, kernel=lambda xp, a: xp.linalg.qr(a)[0], rule=Tangent(_orthonormal_tangent), singular=True,
    workspace=with_lapack(1.1, 2.2), flow="matrices", formula="Q with a = Q @ R, R upper triangular", domain="matrices of full rank",
    example="orthonormal([[3.0, 1.0], [4.0, 2.0]])",
)  # fmt: skip


def _qr(a: Node) -> tuple[Node, Node]:
    q = orthonormal(a)
    return q, triu(matmul(swap(q), a))


qr = algebra(
    "qr", "a", "Q with columns at right angles and the upper triangle R with a = q @ r: two values.", accepts="float",
    expand=_qr, several=True, formula="q, r with a = q @ r", domain="matrices of full rank",
    example="q, r = qr([[3.0, 1.0], [4.0, 2.0]])",
)  # fmt: skip

# determinants of any sign

detsign = algebra(
    "detsign", "a", "The sign of the determinant, 0 of a singular matrix.", accepts="float", infer=of_square("slogdet", drop=2),
    kernel=lambda xp, a: xp.linalg.slogdet(a)[0], rule=NoDerivative(), workspace=with_lapack(1.0), flow="matrices", formula="sign(det(a))",
    domain="square matrices; no derivative", example="detsign([[0.0, 1.0], [1.0, 0.0]])",
)  # fmt: skip
logabsdet = algebra(
    "logabsdet", "a", "Logarithm of the absolute value of the determinant.", accepts="float", infer=of_square("slogdet", drop=2),
    kernel=lambda xp, a: xp.linalg.slogdet(a)[1], rule=Tangent(lambda y, xs, dxs: sum_of_slopes(xs[0], tangent_of(dxs, 0)), matrix=True),
    singular=True, workspace=with_lapack(1.0), flow="matrices", formula="log(abs(det(a)))", domain="invertible matrices",
    example="logabsdet([[0.0, 2.0], [3.0, 0.0]])",
)  # fmt: skip
slogdet = algebra(
    "slogdet", "a", "The sign of the determinant and the logarithm of its absolute value: two values.", accepts="float",
    expand=lambda a: (detsign(a), logabsdet(a)), several=True, formula="sign(det(a)), log(abs(det(a)))", domain="invertible matrices",
    example="sign, size = slogdet([[0.0, 2.0], [3.0, 0.0]])",
)  # fmt: skip

# least squares


def pinv_kernel(xp: Any, a: Any) -> Any:
    """Singular values below rounding errors of the largest count as 0."""
    return xp.linalg.pinv(a, max(a.shape[-2:]) * float(xp.finfo(a.dtype).eps))


def _pinv_tangent(y: Node, xs: Inputs, dxs: Sequence[Node | None]) -> Node:
    """-P dA P + P P^T dA^T (1 - A P) + (1 - P A) dA^T P^T P, where the rank stays (Golub, Pereyra 1973)."""
    (a,), da = xs, tangent_of(dxs, 0)
    m, n = a.shape[-2:]
    moved = -matmul(matmul(y, da), y)
    if m > n or m == n:
        outer = matmul(matmul(y, swap(y)), swap(da))
        moved = moved + (outer - matmul(matmul(outer, a), y))
    if n > m or m == n:
        inner = matmul(matmul(swap(da), swap(y)), y)
        moved = moved + (inner - matmul(y, matmul(a, inner)))
    return moved


pinv = algebra(
    "pinv", "a", "The pseudo-inverse (Moore, Penrose).", accepts="float",
    infer=lambda inputs, attrs: _pinv_shape(inputs), kernel=pinv_kernel, rule=Tangent(_pinv_tangent), singular=True, workspace=with_lapack(3.9, 3.1),
    flow="matrices", formula="inv(a.T @ a) @ a.T, for independent columns", domain="matrices near which the rank stays",
    example="pinv([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])",
)  # fmt: skip


def _pinv_shape(inputs: Inputs) -> tuple[Shape, str]:
    (a,) = inputs
    needs_matrix("pinv", a)
    return (*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype


def _lstsq(a: Node, b: Node) -> Node:
    needs_matrix("lstsq", a)
    if a.rank > 2 and b.rank == a.rank - 1:
        return reshaped(matmul(pinv(a), expand_dims(b, axis=-1)), (*a.shape[:-2], a.shape[-1]))
    return matmul(pinv(a), b)


lstsq = algebra(
    "lstsq", "a, b", "The x of least norm for which a @ x - b has the least norm. A b with an axis less than a is a batch of vectors.",
    aliases=("matrix_lstsq",), accepts="float", expand=_lstsq, formula="pinv(a) @ b", domain="matrices near which the rank stays",
    example="lstsq([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [1.0, 2.0, 4.0])",
)  # fmt: skip
