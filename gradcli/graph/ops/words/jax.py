"""What kernels are in JAX's words, where they are not the same functions of ``jax.numpy``, and which of them may fail.

A kernel is called with :class:`Namespace` in place of NumPy while JAX traces it: no entry of an array is known then, arrays
are not written into, and nothing is raised because of a value. What NumPy's kernel would raise is a flag in ``FAILS``
beside the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from gradcli.graph.node import Node
from gradcli.graph.ops import contract, exponential, gamma, kernels, normal, special
from gradcli.graph.types import ITEM_SIZE, Shape, is_float

Array = Any


class Namespace:
    """``jax.numpy``, which takes what kernels say to NumPy; ``lax`` and ``special`` are JAX's other functions, ``host`` is NumPy."""

    host = np
    polynomial = np.polynomial

    def __init__(self, jax: Any) -> None:
        self.numpy = jax.numpy
        self.lax = jax.lax
        self.special = jax.scipy.special
        self.vmap = jax.vmap

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.numpy, name)
        setattr(self, name, found)
        return found

    def sort(self, x: Array, axis: int = -1, kind: str = "") -> Array:
        return self.numpy.sort(x, axis=axis, stable=True)

    def argsort(self, x: Array, axis: int = -1, kind: str = "") -> Array:
        return self.numpy.argsort(x, axis=axis, stable=True)

    def take(self, x: Array, indices: Array, axis: int) -> Array:
        return self.numpy.take(x, self.numpy.asarray(indices), axis=axis)


def made_of(kernel: Callable[..., Array], **parts: Callable[..., Array]) -> Callable[..., Array]:
    """A kernel that calls other functions in place of some of its module's, by their names there."""
    assert isinstance(kernel, FunctionType)
    assert parts.keys() <= set(kernel.__code__.co_names)
    scope = {**kernel.__globals__, **parts}
    return FunctionType(kernel.__code__, scope, kernel.__name__, kernel.__defaults__, kernel.__closure__)


# entry by entry


def _patched(xp: Any, y: Array, where: Array, exact: Callable[..., Array], *inputs: Array) -> Array:
    return xp.where(where, exact(*inputs), y)


FUNCTIONS = {
    math.erf: "erf", math.erfc: "erfc", special.lgamma_of_number: "gammaln", gamma.gamma_of_number: "gamma",
}  # fmt: skip
"""JAX's functions of arrays in place of Python's of one number."""


def _each(xp: Any, function: Any, x: Array) -> Array:
    return getattr(xp.special, FUNCTIONS[function])(x)


def _complement(xp: Any, x: Array) -> Array:
    return xp.special.erfc(x)


_erfcx = made_of(special.erfcx_kernel, complement_kernel=_complement)
_lbeta = made_of(gamma.lbeta_kernel, each=_each)


def _special(name: str) -> Callable[..., Array]:
    return lambda xp, *inputs: getattr(xp.special, name)(*inputs)


def _without_zero(divide: str) -> Callable[..., Array]:
    """A division that gives 0 for an integer over 0, as NumPy's does."""

    def kernel(xp: Any, a: Array, b: Array) -> Array:
        if not xp.issubdtype(xp.result_type(a, b), xp.integer):
            return getattr(xp, divide)(a, b)
        return xp.where(b == 0, 0, getattr(xp, divide)(a, xp.where(b == 0, 1, b)))

    return kernel


def _cross_entropy(xp: Any, labels: Array, logs: Array) -> Array:
    return xp.where((labels == 0) & (logs == -math.inf), 0, labels * logs)


# along axes


def _mean(xp: Any, x: Array, axis: Sequence[int], keepdims: bool) -> Array:
    count = x.dtype.type(math.prod([x.shape[a] for a in axis]))
    y = xp.sum(x, axis=axis, keepdims=keepdims) / count
    if not count:
        return y
    return xp.lax.cond(
        xp.all(xp.isfinite(y)), lambda x, y: y, lambda x, y: xp.sum(x / count, axis=axis, keepdims=keepdims), x, y
    )


def _sum_of_squares(xp: Any, x: Array, axes: Sequence[int]) -> tuple[Array, bool]:
    """Always scaled: whether squares are ordinary is not known."""
    return x, False


def _largest_apart(xp: Any, x: Array, axis: int) -> tuple[Array, Array]:
    largest = xp.max(x, axis=axis, keepdims=True, initial=-math.inf)
    shift = xp.where(xp.isfinite(largest), largest, 0)
    e = xp.exp(x - shift)
    rest = xp.sum(e, axis=axis, keepdims=True)
    alone = (rest < 1.5) & xp.isfinite(largest)
    return shift, xp.where(alone, xp.sum(xp.where(e == 1, 0, e), axis=axis, keepdims=True), rest - 1)


def _others(xp: Any, x: Array, axis: int) -> Array:
    rows = xp.moveaxis(x, axis, -1)
    n = rows.shape[-1]
    if n == 2:
        return xp.flip(x, axis)
    if n <= kernels.FEW:
        y = xp.matmul(rows, xp.asarray(np.ones((n, n), x.dtype) - np.eye(n, dtype=x.dtype)))
        lost = ~xp.all(xp.isfinite(y), axis=-1, keepdims=True)
    else:
        y = xp.sum(rows, axis=-1, keepdims=True) - rows
        lost = ~xp.all(xp.abs(y) >= 0.5 * xp.abs(rows), axis=-1, keepdims=True)

    def exact(rows: Array, y: Array) -> Array:
        edge = xp.zeros_like(rows[..., :1])
        before = xp.concatenate([edge, xp.cumsum(rows[..., :-1], axis=-1)], axis=-1)
        after = xp.concatenate([edge, xp.cumsum(rows[..., :0:-1], axis=-1)], axis=-1)
        return xp.where(lost, before + xp.flip(after, -1), y)

    y = xp.lax.cond(xp.any(lost), exact, lambda rows, y: y, rows, y)
    return xp.moveaxis(y, -1, axis)


def _running(lowest: bool) -> Callable[..., Array]:
    def kernel(xp: Any, x: Array, axis: int) -> Array:
        x = xp.moveaxis(x, axis, -1)
        last = x.ndim - 1
        before = (xp.lax.cummin if lowest else xp.lax.cummax)(x, axis=last)[..., :-1]
        here = x[..., 1:]
        better = (here < before if lowest else here > before) | (xp.isnan(here) & ~xp.isnan(before))
        found = xp.where(better, xp.arange(1, max(x.shape[-1], 1)), 0)
        found = xp.concatenate([xp.zeros((*x.shape[:-1], min(1, x.shape[-1])), found.dtype), found], axis=-1)
        return xp.moveaxis(xp.lax.cummax(found, axis=last), -1, axis)

    return kernel


def _search(xp: Any, row: Array, values: Array, side: str, many: int = 0) -> Array:
    def search(row: Array, values: Array) -> Array:
        return xp.searchsorted(xp.sort(row), values, side=side)

    for _ in range(many):
        search = xp.vmap(search)
    return search(xp.asarray(row), xp.asarray(values))


# what picks and places entries


def _slices(items: Sequence[Any]) -> tuple[Any, ...]:
    return tuple([slice(*item) if isinstance(item, tuple) else item for item in items])


def _unindex(xp: Any, g: Array, items: Sequence[Any], shape: Shape) -> Array:
    return xp.zeros(shape, g.dtype).at[_slices(items)].set(g)


def _embed(xp: Any, x: Array, k: int, rows: int, columns: int) -> Array:
    i = np.arange(x.shape[-1])
    return xp.zeros((*x.shape[:-1], rows, columns), x.dtype).at[..., i + max(-k, 0), i + max(k, 0)].set(x)


def _places(pattern: Sequence[int], sizes: Sequence[int]) -> tuple[Array, ...]:
    """For each axis of the large array the indices of its class, as an open mesh."""
    count = max(pattern) + 1
    return tuple([np.arange(sizes[c]).reshape([-1 if a == c else 1 for a in range(count)]) for c in pattern])


def _expand(xp: Any, x: Array, pattern: Sequence[int]) -> Array:
    return xp.zeros([x.shape[c] for c in pattern], x.dtype).at[_places(pattern, x.shape)].set(x)


def _collect(xp: Any, x: Array, pattern: Sequence[int]) -> Array:
    sizes = dict(zip(pattern, x.shape, strict=True))
    return x[_places(pattern, [sizes[c] for c in range(len(sizes))])]


def _scatter(xp: Any, g: Array, indices: Array, axis: int, size: int) -> Array:
    indices = xp.asarray(indices)
    rows = xp.reshape(g, (*g.shape[:axis], indices.size, *g.shape[axis + indices.ndim :]))
    y = xp.zeros((*g.shape[:axis], size, *rows.shape[axis + 1 :]), g.dtype)
    return y.at[(*[slice(None)] * axis, xp.reshape(indices, -1))].add(rows)


def _scatter_along(xp: Any, g: Array, indices: Array, axis: int, size: int) -> Array:
    indices = xp.broadcast_to(indices, g.shape)
    mesh = [np.arange(n).reshape([-1 if a == k else 1 for a in range(g.ndim)]) for k, n in enumerate(g.shape)]
    shape = (*g.shape[:axis], size, *g.shape[axis + 1 :])
    return xp.zeros(shape, g.dtype).at[(*mesh[:axis], indices, *mesh[axis + 1 :])].add(g)


def _ravel(xp: Any, *indices: Array, dims: Shape) -> Array:
    total = xp.zeros((), "int64")
    for i, n in zip(indices, dims, strict=True):
        total = total * n + xp.where(i < 0, i + n, i)
    return total


# matrices


def _squared_again(xp: Any, y: Array, times: Array) -> Array:
    def squared(k: Array, y: Array) -> Array:
        return xp.where(times > k, xp.matmul(y, y), y)

    return xp.lax.fori_loop(0, xp.max(times, initial=0), squared, y)


_expm = made_of(exponential.expm_kernel, squared_again=_squared_again)

# random numbers


def _drawn(kernel: Callable[..., Array], draw: Callable[[np.random.RandomState, Shape], Array]) -> Callable[..., Array]:
    """NumPy's random numbers, moved by parameters that are values: first and second say how."""

    def kernel_of_values(
        xp: Any, *given: Array, shape: Shape, seed: int, dtype: str, alike: int = 0, **numbers: Any
    ) -> Array:
        first, second = [x if number is None else number for x, number in zip(given, numbers.values(), strict=True)]
        standard = draw(np.random.RandomState(seed), shape[alike:])
        return xp.broadcast_to(kernel(first, second, standard), shape).astype(dtype)

    return kernel_of_values


WORDS: dict[str, Callable[..., Array]] = {
    **{op: made_of(kernel, patched=_patched) for op, kernel in (
        ("multiply_no_nan", kernels.multiply_no_nan_kernel), ("power_slope", kernels.power_slope_kernel),
        ("tanh_slope", kernels.tanh_slope_kernel), ("sigmoid_slope", kernels.sigmoid_slope_kernel),
    )},
    "cross_entropy_terms": _cross_entropy, "pow": lambda xp, a, b: xp.power(a, b),
    "floor_divide": _without_zero("floor_divide"), "mod": _without_zero("mod"),
    **{op: _special(name) for op, name in (
        ("erf", "erf"), ("erfc", "erfc"), ("lgamma", "gammaln"), ("gamma", "gamma"), ("gammainc", "gammainc"),
        ("gammaincc", "gammaincc"), ("betainc", "betainc"),
    )},
    "erfcx": _erfcx, "log_ndtr": made_of(special.log_ndtr_kernel, complement_kernel=_complement, erfcx_kernel=_erfcx),
    "ndtri_slope": made_of(normal.ndtri_slope_kernel, erfcx_kernel=_erfcx), "lbeta": _lbeta,
    "gamma_density": made_of(gamma.gamma_density_kernel, each=_each),
    "beta_density": made_of(gamma.beta_density_kernel, lbeta_kernel=_lbeta),
    "mean": _mean, "norm": lambda xp, x, axis, keepdims: _norm(xp, x, axis, keepdims),
    "direction": lambda xp, x, axis: _direction(xp, x, axis),
    "logsumexp": lambda xp, x, axis, keepdims: _logsumexp(xp, x, axis, keepdims),
    "log_softmax": made_of(kernels.log_softmax_kernel, _largest_apart=_largest_apart),
    "others": _others, "complement": _others, "argcummax": _running(lowest=False), "argcummin": _running(lowest=True),
    "searchsorted": _search, "cast": lambda xp, x, dtype: x.astype(dtype),
    "unindex": _unindex, "embed_diagonal": _embed, "expand_delta": _expand, "collect_delta": _collect,
    "scatter_add": _scatter, "scatter_along": _scatter_along, "ravel_multi_index": _ravel,
    "contraction": lambda xp, *arrays, labels, out, gram=False: contract.einsum_kernel(xp, *arrays, labels=labels, out=out),
    "expm": _expm, "expm_frechet": made_of(exponential.expm_frechet_kernel, expm_kernel=_expm),
    "random_normal": _drawn(lambda mean, stddev, x: mean + stddev * x, lambda r, shape: r.normal(0, 1, shape)),
    "random_uniform": _drawn(lambda low, high, x: low + (high - low) * x, lambda r, shape: r.uniform(0, 1, shape)),
}  # fmt: skip
"""Kernels in JAX's words, by operation."""

_norm = made_of(kernels.norm_kernel, _sum_of_squares=_sum_of_squares)
_direction = made_of(kernels.direction_kernel, _sum_of_squares=_sum_of_squares)
_logsumexp = made_of(kernels.logsumexp_kernel, _largest_apart=_largest_apart)

# what fails because of values

Fails = Callable[..., Array]
"""From the namespace, the node, its value and its inputs to a bool: whether NumPy's kernel may have raised an error."""


def _not_finite(xp: Any, node: Node, y: Array, *inputs: Array) -> Array:
    return ~xp.all(xp.isfinite(y))


def _outside(xp: Any, indices: Array, size: int) -> Array:
    return xp.any((indices < -size) | (indices >= size))


def _impossible_cast(xp: Any, node: Node, y: Array, x: Array) -> Array | None:
    if not node.dtype.startswith("int") or not node.inputs[0].dtype.startswith("float"):
        return xp.any(y != x) if (node.inputs[0].dtype, node.dtype) == ("int64", "int32") else None
    return ~xp.all(kernels.fitting_kernel(xp, x, int(node.dtype[3:])))


def _fraction(xp: Any, node: Node, y: Array, a: Array, b: Array) -> Array | None:
    return xp.any(b < 0) if node.dtype.startswith("int") else None


def _outside_of_several(xp: Any, node: Node, y: Array, *indices: Array) -> Array:
    found = [_outside(xp, i, n) for i, n in zip(indices, node.attrs["dims"], strict=True)]
    return xp.any(xp.stack(found))


def _impossible_normal(xp: Any, node: Node, y: Array, mean: Array, stddev: Array) -> Array:
    return xp.any(stddev < 0)


def _impossible_uniform(xp: Any, node: Node, y: Array, low: Array, high: Array) -> Array:
    return ~xp.all(xp.isfinite(low) & xp.isfinite(high) & (low <= high))


FAILS: dict[str, Fails] = {
    **dict.fromkeys((
        "inv", "solve", "cholesky", "eigvalsh", "eigenvectors", "svdvals", "singular_vectors", "singular_function",
        "spectral", "orthonormal", "pinv", "expm", "expm_frechet",
    ), _not_finite),
    "cast": _impossible_cast, "pow": _fraction, "ravel_multi_index": _outside_of_several,
    **{name: lambda xp, node, y, x, i: _outside(xp, i, x.shape[node.attrs["axis"]]) for name in ("gather", "take_along")},
    **{name: lambda xp, node, y, x, i: _outside(xp, i, node.attrs["size"]) for name in ("scatter_add", "scatter_along")},
    "random_normal": _impossible_normal, "random_uniform": _impossible_uniform,
}  # fmt: skip
"""What may fail. A flag may be set where nothing fails: then NumPy's kernels say what the value is."""


def wrapped(xp: Namespace, node: Node, y: Array, *inputs: Array) -> Array | None:
    """Whether integers have wrapped around (see :func:`gradcli.graph.ops.kernels.check_integers`); None where they cannot."""
    if is_float(node.dtype) or not node.op.wraps:
        return None
    kernel: Any = node.op.kernel
    values = getattr(kernel, "values", None) or len(inputs)
    given = [xp.asarray(x, "float64") if i < values else x for i, x in enumerate(inputs)]
    floats = WORDS.get(node.op.name, kernel.compute)(xp, *given, **node.attrs)
    return xp.any(xp.abs(floats - y) >= 2.0 ** (8 * ITEM_SIZE[node.dtype] - 1))
