"""Kernels that have a name, most of more than one line; each takes the array namespace ``xp`` first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from gradcli.diagnostics import GradcliError

Array = Any


class Ufunc:
    """A kernel that is one of NumPy's universal functions, by name: a plan may have it write into a given array."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, xp: Any, *inputs: Array) -> Array:
        return getattr(xp, self.name)(*inputs)


def recip_kernel(xp: Any, x: Array, positive: bool = False) -> Array:
    if not positive:
        return xp.true_divide(x.dtype.type(1), x)
    return xp.where(x < 0, x.dtype.type(math.nan), xp.true_divide(x.dtype.type(1), xp.abs(x)))


def divide_no_nan_kernel(xp: Any, a: Array, b: Array) -> Array:
    """a / b, and 0 where b is 0."""
    return xp.where(b == 0, xp.zeros_like(b), a / xp.where(b == 0, xp.ones_like(b), b))


def xlogy_kernel(xp: Any, a: Array, b: Array) -> Array:
    """a * log(b), and 0 where a is 0."""
    return xp.where(a == 0, xp.zeros_like(b), a * xp.log(xp.where(a == 0, xp.ones_like(b), b)))


def elu_kernel(xp: Any, x: Array) -> Array:
    return xp.where(x > 0, x, xp.expm1(xp.minimum(x, x.dtype.type(0))))


def leaky_relu_kernel(xp: Any, x: Array, alpha: float) -> Array:
    return xp.where(x > 0, x, x.dtype.type(alpha) * x)


def sigmoid_kernel(xp: Any, x: Array) -> Array:
    """exp never sees a positive argument, so nothing overflows and small values keep their digits."""
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, x.dtype.type(1), small) / (1 + small)


def softplus_kernel(xp: Any, x: Array) -> Array:
    return xp.maximum(x, x.dtype.type(0)) + xp.log1p(xp.exp(-xp.abs(x)))


def has_scipy() -> bool:
    from importlib.util import find_spec

    return find_spec("scipy") is not None


def erf_kernel(xp: Any, x: Array) -> Array:
    """SciPy's where it is installed, else the standard library's, entry by entry."""
    try:
        from scipy.special import erf
    except ImportError:
        if not getattr(x, "shape", ()):
            return x.dtype.type(math.erf(x))
        flat = [math.erf(v) for v in xp.ravel(x).tolist()]
        return xp.asarray(flat, dtype=x.dtype).reshape(x.shape)
    return erf(x)


def power_kernel(xp: Any, a: Array, b: Array) -> Array:
    """NumPy's power, which an integer to a negative integer has not."""
    try:
        return xp.power(a, b)
    except ValueError:
        raise GradcliError(
            "ValueError", "an integer to a negative power is no integer", help="make it a float: `cast(x, float64)^n`"
        ) from None


def mod_kernel(xp: Any, a: Array, b: Array) -> Array:
    return xp.mod(a, b)


def integer_safe(name: str) -> Callable[..., Array]:
    """A rounding function that leaves integers as they are."""
    return lambda xp, x: x if x.dtype.kind in "iub" else getattr(xp, name)(x)


def cast_kernel(xp: Any, x: Array, dtype: str) -> Array:
    """Conversion; a float that no integer can hold (NaN, infinity, too large) is an error."""
    if dtype in ("int32", "int64") and x.dtype.kind == "f":
        limit = 2.0 ** (31 if dtype == "int32" else 63)
        bad = ~((x > -limit - 1 if dtype == "int32" else x >= -limit) & (x < limit))
        if bad.any():
            value = float(x[bad].flat[0] if getattr(x, "shape", ()) else x)
            raise GradcliError(
                "ValueError",
                f"cannot convert {value!r} to {dtype}",
                help="keep it in the range of the integers: `clip(x, lo, hi)`"
                if math.isfinite(value)
                else "select the finite entries before the conversion: `where(isfinite(x), x, 0)`",
            )
    return x.astype(dtype)


def products_kernel(xp: Any, *factors: Array) -> Array:
    y = factors[0] * factors[1]
    for i in range(2, len(factors), 2):
        y = y + factors[i] * factors[i + 1]
    return y


def norm_kernel(xp: Any, x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    """Scaled by the largest entry, so that squares neither overflow nor vanish."""
    largest = xp.max(xp.abs(x), axis=tuple(axes), keepdims=True, initial=0)
    scale = xp.where((largest == 0) | ~xp.isfinite(largest), xp.ones_like(largest), largest)
    y = scale * xp.sqrt(xp.sum(xp.square(x / scale), axis=tuple(axes), keepdims=True))
    return y if keepdims else xp.squeeze(y, axis=tuple(axes))


def logsumexp_kernel(xp: Any, x: Array, axes: Sequence[int], keepdims: bool) -> Array:
    largest = xp.max(x, axis=tuple(axes), keepdims=True, initial=-math.inf)
    shift = xp.where(xp.isfinite(largest), largest, xp.zeros_like(largest))
    y = xp.log(xp.sum(xp.exp(x - shift), axis=tuple(axes), keepdims=True)) + shift
    return y if keepdims else xp.squeeze(y, axis=tuple(axes))


def softmax_kernel(xp: Any, x: Array, axis: int) -> Array:
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True, initial=-math.inf))
    return e / xp.sum(e, axis=axis, keepdims=True)


def log_softmax_kernel(xp: Any, x: Array, axis: int) -> Array:
    shifted = x - xp.max(x, axis=axis, keepdims=True, initial=-math.inf)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


def cumulative_kernel(xp: Any, x: Array, axis: int, exclusive: bool, reverse: bool, product: bool = False) -> Array:
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
