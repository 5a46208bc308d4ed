"""Kernels that have a name, most of more than one line; each takes the array namespace ``xp`` first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from gradcli.diagnostics import GradcliError

Array = Any


class IntegerOverflowError(ArithmeticError):
    """An integer result that its dtype cannot hold, where NumPy would wrap around; ``value`` is about what it is."""

    def __init__(self, value: float, dtype: str) -> None:
        what = f"a result of about {value:.4g}" if math.isfinite(value) else "an infinite or very large result"
        super().__init__(f"{what} does not fit into {dtype}")


Bound = Callable[[Sequence[int], int], float]
"""The largest magnitude that an integer result may have, from those of the inputs and the product of their numbers of entries."""


def added(magnitudes: Sequence[int], entries: int) -> float:
    """The bound of a sum of the inputs."""
    return sum(magnitudes)


def multiplied(magnitudes: Sequence[int], entries: int) -> float:
    """The bound of a product of the inputs."""
    return math.prod(magnitudes)


def summed(magnitudes: Sequence[int], entries: int) -> float:
    """The bound of the sum of all entries of the first input."""
    return magnitudes[0] * entries


def contracted(magnitudes: Sequence[int], entries: int) -> float:
    """The bound of a sum of products of entries."""
    return math.prod(magnitudes) * entries


def unbounded(magnitudes: Sequence[int], entries: int) -> float:
    """The bound of what may grow beyond any number."""
    return math.inf


def check_integers(
    xp: Any, y: Array, compute: Callable[..., Array], inputs: Sequence[Array], attrs: Any, bound: Bound
) -> None:
    """Raise IntegerOverflowError where y, integers of NumPy's that a kernel computed, has wrapped around.

    Small inputs cannot. Of others the same in float64 tells: what has wrapped is off by a multiple of 2^64 (2^32),
    rounding errors are far smaller.
    """
    if getattr(xp, "__name__", "") != "numpy" or y.dtype.kind != "i":
        return
    limit = 2.0 ** (8 * y.dtype.itemsize - 1)
    if bound is not unbounded and bound([_magnitude(x) for x in inputs], math.prod([x.size for x in inputs])) < limit:
        return
    with xp.errstate(all="ignore"):
        floats = compute(xp, *[x.astype(xp.float64) if x.dtype.kind == "i" else x for x in inputs], **attrs)
        wrapped = xp.abs(floats - y) >= limit
    if wrapped.any():
        raise IntegerOverflowError(float(xp.ravel(floats)[xp.ravel(wrapped)][0]), y.dtype.name)


def _magnitude(x: Array) -> int:
    """The largest magnitude of some integers."""
    if not x.shape:
        return abs(int(x))
    return max(int(x.max()), -int(x.min())) if x.size else 0


class Ufunc:
    """A kernel that is one of NumPy's universal functions, by name: a plan may have it write into a given array.

    With a ``bound`` NumPy's integers may wrap around where the result does not fit: here that is an error.
    """

    __slots__ = ("bound", "name")

    def __init__(self, name: str, bound: Bound | None = None) -> None:
        self.name = name
        self.bound = bound

    @property
    def wraps(self) -> bool:
        return self.bound is not None

    def compute(self, xp: Any, *inputs: Array) -> Array:
        return getattr(xp, self.name)(*inputs)

    def __call__(self, xp: Any, *inputs: Array) -> Array:
        y = getattr(xp, self.name)(*inputs)
        if self.bound is not None:
            check_integers(xp, y, self.compute, inputs, {}, self.bound)
        return y


class Wrapping:
    """Another kernel whose integers would wrap around, as an error there; the inputs from ``values`` on are indices."""

    __slots__ = ("bound", "compute", "values")
    wraps = True

    def __init__(self, compute: Callable[..., Array], bound: Bound = unbounded, values: int | None = None) -> None:
        self.compute = compute
        self.bound = bound
        self.values = values

    def __call__(self, xp: Any, *inputs: Array, **attrs: Any) -> Array:
        y = self.compute(xp, *inputs, **attrs)
        if self.values is None:
            check_integers(xp, y, self.compute, inputs, attrs, self.bound)
        else:
            given, places = inputs[: self.values], inputs[self.values :]

            def computed(xp: Any, *values: Array, **attrs: Any) -> Array:
                return self.compute(xp, *values, *places, **attrs)

            check_integers(xp, y, computed, given, attrs, self.bound)
        return y


def patched(xp: Any, y: Array, where: Array, exact: Callable[..., Array], *inputs: Array) -> Array:
    """y with ``exact(*inputs)`` at the entries ``where``, for which alone it is computed; y is a new array or a scalar."""
    if not any([getattr(x, "ndim", 0) for x in (y, *inputs)]):
        return exact(*inputs) if where else y
    if any([x.shape != y.shape for x in inputs]):
        shape = xp.broadcast_shapes(*[xp.shape(x) for x in (y, *inputs)])
        inputs = tuple([xp.broadcast_to(x, shape) for x in inputs])
        if shape != y.shape:
            y, where = xp.broadcast_to(y, shape).copy(), xp.broadcast_to(where, shape)
    if where.any():
        y[where] = exact(*[x[where] for x in inputs])
    return y


def recip_kernel(xp: Any, x: Array, positive: bool = False) -> Array:
    """1 / x; with ``positive`` 1 / |x|, and NaN for negative x."""
    if not positive:
        return xp.true_divide(x.dtype.type(1), x)
    return xp.where(x < 0, x.dtype.type(math.nan), xp.true_divide(x.dtype.type(1), xp.abs(x)))


def divide_no_nan_kernel(xp: Any, a: Array, b: Array) -> Array:
    """a / b, and 0 where b is 0."""
    return xp.where(b == 0, xp.zeros_like(b), a / xp.where(b == 0, xp.ones_like(b), b))


def xlogy_kernel(xp: Any, a: Array, b: Array) -> Array:
    """a * log(b), and 0 where a is 0."""
    return xp.where(a == 0, xp.zeros_like(b), a * xp.log(xp.where(a == 0, xp.ones_like(b), b)))


def multiply_no_nan_kernel(xp: Any, a: Array, b: Array) -> Array:
    """a * b, and 0 where b is 0, whatever a is."""
    y = a * b
    return patched(xp, y, xp.isnan(y), lambda a, b: xp.where(b == 0, xp.zeros_like(b), a * b), a, b)


def cross_entropy_kernel(xp: Any, labels: Array, logs: Array) -> Array:
    """labels * logs, and 0 where a label is 0 and its logarithm -infinity."""
    y = labels * logs
    impossible = xp.isnan(y)
    if impossible.any():
        impossible &= (labels == 0) & (logs == -math.inf)
    return patched(xp, y, impossible, xp.zeros_like, y)


def elu_kernel(xp: Any, x: Array) -> Array:
    """x where it is positive, exp(x) - 1 elsewhere."""
    return xp.where(x > 0, x, xp.expm1(xp.minimum(x, x.dtype.type(0))))


def leaky_relu_kernel(xp: Any, x: Array, alpha: float) -> Array:
    """x where it is positive, alpha * x elsewhere."""
    return xp.where(x > 0, x, x.dtype.type(alpha) * x)


def sigmoid_kernel(xp: Any, x: Array) -> Array:
    """exp(x)/(1 + exp(x)), which keeps the digits of small values; from 40 on it is 1, long before exp overflows."""
    e = xp.exp(xp.minimum(x, 40.0))
    return e / (1.0 + e)


def sigmoid_slope_kernel(xp: Any, y: Array, x: Array) -> Array:
    """y * (1 - y), from x where y is near 1: there the difference has lost its digits."""

    def far(x: Array) -> Array:
        small = xp.exp(-xp.abs(x))
        below = 1 + small
        below *= below
        small /= below
        return small

    return patched(xp, y * (1 - y), y > 0.97, far, x)


def tanh_slope_kernel(xp: Any, y: Array, x: Array) -> Array:
    """1 - y^2, from x where y is near 1 or -1: there the difference has lost its digits."""

    def far(x: Array) -> Array:
        small = xp.exp(-2 * xp.abs(x))
        below = 1 + small
        below *= below
        small *= 4
        small /= below
        return small

    slope = 1 - y * y
    return patched(xp, slope, slope < 0.1, far, x)


def exp2_slope_kernel(xp: Any, y: Array, x: Array) -> Array:
    """log(2) * 2^x, finite just above the largest x for which 2^x is."""
    return (2 * math.log(2)) * xp.exp2(x - 1)


def power_slope_kernel(xp: Any, y: Array, a: Array, p: Array) -> Array:
    """y * log(a) with y = a^p, and 0 for a <= 0; finite also where y is a little too large."""
    slope = y * xp.where(a > 0, xp.log(xp.where(a > 0, a, xp.ones_like(a))), xp.zeros_like(a))

    def halves(a: Array, p: Array) -> Array:
        root = xp.power(a, p / 2)
        return root * xp.log(a) * root

    large = (xp.abs(y) == math.inf) & (a > 0) & (a < math.inf) & (p == p)
    return patched(xp, slope, large, halves, a, p)


def hypot_slope_kernel(xp: Any, a: Array, b: Array) -> Array:
    """a / hypot(a, b), and 0 at the origin; scaled by the larger one, since hypot may overflow."""
    largest = xp.maximum(xp.abs(a), xp.abs(b))
    scale = xp.where((largest == 0) | xp.logical_not(xp.isfinite(largest)), xp.ones_like(largest), largest)
    a, b = xp.true_divide(a, scale), xp.true_divide(b, scale)
    return divide_no_nan_kernel(xp, a, xp.hypot(a, b))


def softplus_kernel(xp: Any, x: Array) -> Array:
    """log(1 + exp(x)), which does not overflow."""
    return xp.maximum(x, x.dtype.type(0)) + xp.log1p(xp.exp(-xp.abs(x)))


def has_scipy() -> bool:
    """Whether SciPy is installed."""
    from importlib.util import find_spec

    return find_spec("scipy") is not None


class Special:
    """A kernel that is one of SciPy's functions where it is installed, else one of Python's numbers, entry by entry.

    ``scipy`` is None where SciPy's has fewer digits.
    """

    __slots__ = ("of_number", "scipy")

    def __init__(self, scipy: str | None, of_number: Callable[[float], float]) -> None:
        self.scipy = scipy
        self.of_number = of_number

    def __call__(self, xp: Any, x: Array) -> Array:
        if self.scipy is not None:
            try:
                import scipy.special
            except ImportError:
                pass
            else:
                return getattr(scipy.special, self.scipy)(x)
        if not getattr(x, "shape", ()):
            return x.dtype.type(self.of_number(x))
        return xp.asarray([self.of_number(v) for v in xp.ravel(x).tolist()], dtype=x.dtype).reshape(x.shape)


class FromScipy:
    """A kernel that is one of SciPy's functions. Raises GradcliError where SciPy is not installed."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, xp: Any, *inputs: Array) -> Array:
        try:
            import scipy.special
        except ImportError:
            raise GradcliError(
                "ValueError", f"{self.name} needs SciPy, which is not installed: pip install 'gradcli[scipy]'"
            ) from None
        return xp.asarray(getattr(scipy.special, self.name)(*inputs), dtype=xp.result_type(*inputs))


def power_kernel(xp: Any, a: Array, b: Array) -> Array:
    """NumPy's power, which an integer to a negative integer has not."""
    try:
        return xp.power(a, b)
    except ValueError:
        raise GradcliError(
            "ValueError",
            "an integer to a negative power is not an integer",
            help="make it a float: `cast(x, float64)^n`",
        ) from None


def mod_kernel(xp: Any, a: Array, b: Array) -> Array:
    """The remainder with the sign of b."""
    return xp.mod(a, b)


def integer_safe(name: str) -> Callable[..., Array]:
    """A rounding function that leaves integers as they are."""
    return lambda xp, x: x if x.dtype.kind in "iub" else getattr(xp, name)(x)


def fitting_kernel(xp: Any, x: Array, bits: int) -> Array:
    """Which floats an integer of so many bits can hold, rounded towards 0."""
    limit = 2.0 ** (bits - 1)
    return (x > -limit - 1 if bits == 32 else x >= -limit) & (x < limit)


def cast_kernel(xp: Any, x: Array, dtype: str) -> Array:
    """Conversion; a number that an integer cannot hold (NaN, infinity, too large) is an error."""
    if dtype in ("int32", "int64") and x.dtype.kind == "f":
        bad = ~fitting_kernel(xp, x, 32 if dtype == "int32" else 64)
        if bad.any():
            value = float(x[bad].flat[0] if getattr(x, "shape", ()) else x)
            raise GradcliError(
                "ValueError",
                f"cannot convert {value!r} to {dtype}",
                help="keep it in the range of the integers: `clip(x, lo, hi)`"
                if math.isfinite(value)
                else "select the finite entries before the conversion: `where(isfinite(x), x, 0)`",
            )
    y = x.astype(dtype)
    if dtype == "int32" and x.dtype.kind == "i" and (wrapped := y != x).any():
        raise IntegerOverflowError(int(xp.ravel(x)[xp.ravel(wrapped)][0]), dtype)
    return y


def integers_kernel(xp: Any, x: Array, dtype: Any) -> Array:
    """Floats as integers; a ValueError where there is none, such as for NaN."""
    x = xp.asarray(x)
    if not xp.all(fitting_kernel(xp, x, 8 * xp.dtype(dtype).itemsize)):
        raise ValueError("some of these numbers are not integers of this size")
    return x.astype(dtype)


def products_kernel(xp: Any, *factors: Array) -> Array:
    """The sum of the products of factors 0 and 1, 2 and 3, …."""
    y = factors[0] * factors[1]
    for i in range(2, len(factors), 2):
        y = y + factors[i] * factors[i + 1]
    return y


def mean_kernel(xp: Any, x: Array, axis: Sequence[int], keepdims: bool) -> Array:
    """The sum over the count; where the sum overflows, the sum of the entries over the count."""
    count = x.dtype.type(math.prod([x.shape[a] for a in axis]))
    y = xp.true_divide(xp.sum(x, axis=axis, keepdims=keepdims), count)
    if not xp.isfinite(y).all() and count:
        return xp.sum(x / count, axis=axis, keepdims=keepdims)
    return y


def _scale(xp: Any, x: Array, axes: Sequence[int]) -> Array:
    """The largest entry along axes, 1 where that is 0 or not finite: of what is divided by it, squares stay in range."""
    largest = xp.max(xp.abs(x), axis=tuple(axes), keepdims=True, initial=0)
    return xp.where((largest == 0) | ~xp.isfinite(largest), xp.ones_like(largest), largest)


def _sum_of_squares(xp: Any, x: Array, axes: Sequence[int]) -> tuple[Array, bool]:
    """The sum along axes, and whether it is far from where squares overflow or vanish."""
    squares = xp.sum(xp.square(x), axis=tuple(axes), keepdims=True)
    if x.dtype.kind != "f":  # numbers of another library have no limits
        return squares, False
    limits = xp.finfo(x.dtype)
    low, high = math.sqrt(float(limits.smallest_normal)), math.sqrt(float(limits.max))
    return squares, bool(((squares > low) & (squares < high)).all())


def norm_kernel(xp: Any, x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    """Scaled by the largest entry where squares overflow or vanish."""
    squares, ordinary = _sum_of_squares(xp, x, axes)
    if ordinary:
        y = xp.sqrt(squares)
    else:
        scale = _scale(xp, x, axes)
        squared = x / scale
        squared *= squared
        y = scale * xp.sqrt(xp.sum(squared, axis=tuple(axes), keepdims=True))
    return y if keepdims else xp.squeeze(y, axis=tuple(axes))


def direction_kernel(xp: Any, x: Array, axes: Sequence[int]) -> Array:
    """x / norm(x), and 0 where the norm is 0; finite also where the norm is not."""
    squares, ordinary = _sum_of_squares(xp, x, axes)
    if ordinary:
        return x / xp.sqrt(squares)
    scaled = x / _scale(xp, x, axes)
    return divide_no_nan_kernel(xp, scaled, xp.sqrt(xp.sum(xp.square(scaled), axis=tuple(axes), keepdims=True)))


def _largest_apart(xp: Any, x: Array, axis: int) -> tuple[Array, Array]:
    """The largest entry m along an axis, and the sum of exp(x - m) over all entries but one that is m.

    logsumexp is m + log1p(rest), which keeps the digits of a small rest. Where m is infinite, 0 stands for it.
    """
    largest = xp.max(x, axis=axis, keepdims=True, initial=-math.inf)
    finite = xp.isfinite(largest)
    shift = largest if finite.all() else xp.where(finite, largest, xp.zeros_like(largest))
    e = xp.exp(x - shift)
    rest = xp.sum(e, axis=axis, keepdims=True)
    alone = rest < 1.5  # then one entry is 1, and the others have digits that their sum with it loses
    rest -= 1
    if (alone & finite).any():
        e[e == 1] = 0
        xp.copyto(rest, xp.sum(e, axis=axis, keepdims=True), where=alone & finite)
    return shift, rest


def logsumexp_kernel(xp: Any, x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    """The largest entry plus the logarithm of 1 and the rest."""
    kept = [k for k in range(x.ndim) if k not in axes]
    count = math.prod([x.shape[k] for k in axes])
    flat = xp.transpose(x, (*kept, *axes)).reshape((*(x.shape[k] for k in kept), count))
    shift, rest = _largest_apart(xp, flat, -1)
    y = (shift + xp.log1p(rest))[..., 0]
    return y.reshape(tuple(1 if k in axes else n for k, n in enumerate(x.shape))) if keepdims else y[()]


def softmax_kernel(xp: Any, x: Array, axis: int) -> Array:
    """exp(x - max x) over its sum along an axis."""
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True, initial=-math.inf))
    return e / xp.sum(e, axis=axis, keepdims=True)


def log_softmax_kernel(xp: Any, x: Array, axis: int) -> Array:
    """The logarithm of softmax, which keeps the digits of small ones."""
    shift, rest = _largest_apart(xp, x, axis)
    return (x - shift) - xp.log1p(rest)


FEW = 64
"""Up to so many entries sums over the others are a product with ones beside a diagonal of zeros."""


@lru_cache(64)
def _beside_diagonal(n: int, dtype: str) -> Array:
    import numpy as np

    return np.ones((n, n), dtype) - np.eye(n, dtype=dtype)


def others_kernel(xp: Any, x: Array, axis: int) -> Array:
    """For each entry the sum of the others along an axis.

    Of many entries it is their sum less the entry. In rows in which that cancels digits, or is not finite, it is the sum
    of those before and of those after.
    """
    rows = xp.moveaxis(x, axis, -1)
    n = rows.shape[-1]
    if n == 2:
        return xp.flip(x, axis).copy()
    if n <= FEW:
        y = xp.matmul(rows, _beside_diagonal(n, x.dtype.name))
        lost = ~xp.isfinite(y).all(axis=-1)
    else:
        y = xp.sum(rows, axis=-1, keepdims=True) - rows
        lost = ~(xp.abs(y) >= 0.5 * xp.abs(rows)).all(axis=-1)
    if lost.any():
        bad = rows[lost]
        total, after = xp.zeros_like(bad), xp.zeros_like(bad)
        xp.cumsum(bad[:, :-1], axis=-1, out=total[:, 1:])
        xp.cumsum(bad[:, :0:-1], axis=-1, out=after[:, -2::-1])
        total += after
        y[lost] = total
    return xp.moveaxis(y, -1, axis)


def cumulative_kernel(xp: Any, x: Array, axis: int, exclusive: bool, reverse: bool, product: bool = False) -> Array:
    """Running sums or products along an axis; ``exclusive`` leaves the entry itself out, ``reverse`` begins at the end."""
    if reverse:
        x = xp.flip(x, axis)
    y = (xp.cumprod if product else xp.cumsum)(x, axis=axis, dtype=x.dtype)
    if exclusive and x.shape[axis]:
        before = [slice(None)] * x.ndim
        before[axis] = slice(0, 1)
        start = xp.full_like(x[tuple(before)], 1 if product else 0)
        before[axis] = slice(0, -1)
        y = xp.concatenate([start, y[tuple(before)]], axis=axis)
    return xp.flip(y, axis) if reverse else y
