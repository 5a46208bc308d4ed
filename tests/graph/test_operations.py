"""Every operation of the table: its values by a second way, its shapes and dtypes, its derivatives by differences."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.special
import scipy.stats

import gradcli
from gradcli.graph.describe import describe_derivative
from gradcli.graph.node import cone
from gradcli.graph.ops import table
from gradcli.graph.ops.words.language import apply
from gradcli.graph.printing import Text
from gradcli.language.builtin import OPERATIONS
from tests.finite_differences import check_gradient

Array = Any
Shape = tuple[int, ...]
Domain = tuple[float, float] | Callable[[np.random.Generator, Shape], Array]

DATA = np.array([[0.5, -1.5], [2.0, 3.25]])
"""What ``load("data.npy")`` reads."""

# where a variable is drawn from: an interval, or a function of a generator and a shape


def apart(rng: np.random.Generator, shape: Shape) -> Array:
    """Entries at least 0.4 from one another and never near 0: no difference meets a tie or a kink."""
    count = math.prod(shape)
    return (0.4 * (rng.permutation(count) - count // 2) + 0.1).reshape(shape)


def away(rng: np.random.Generator, shape: Shape) -> Array:
    """Of both signs, at least 0.4 from 0."""
    return rng.uniform(0.4, 2.0, shape) * rng.choice([-1.0, 1.0], shape)


def between_integers(rng: np.random.Generator, shape: Shape) -> Array:
    return rng.integers(-3, 3, shape) + rng.uniform(0.1, 0.4, shape)


def regular(rng: np.random.Generator, shape: Shape) -> Array:
    """Matrices far from singular, not symmetric."""
    return rng.uniform(-1, 1, shape) + 3 * np.eye(shape[-1])


def definite(rng: np.random.Generator, shape: Shape) -> Array:
    a = rng.uniform(-1, 1, shape)
    return a @ np.swapaxes(a, -1, -2) + 2 * np.eye(shape[-1])


def separate(rng: np.random.Generator, shape: Shape) -> Array:
    """Matrices whose eigenvalues and singular values are far from one another and from 0."""
    *_, m, n = shape
    return rng.uniform(-0.5, 0.5, shape) + np.diag(2.0 * np.arange(1, max(m, n) + 1))[:m, :n]


POSITIVE = (0.3, 2.5)
UNIT = (-0.9, 0.9)


@dataclass(frozen=True)
class Case:
    """An expression of variables, the same in NumPy or SciPy, and where the variables are drawn from.

    The expression may follow statements, separated by ``; ``. ``result`` holds the dtypes of the value in a float64 and
    in a float32 program. ``derivative`` is false where no gradient passes.
    """

    expression: str
    reference: Callable[..., Array]
    domain: Domain | dict[str, Domain] = (-2.0, 2.0)
    shapes: dict[str, Shape] = field(default_factory=dict)
    result: tuple[str, str] = ("float64", "float32")
    derivative: bool = True

    def program(self, dtype: str = "float64") -> str:
        declared = "".join(f"variable {name}: {list(shape)}\n" for name, shape in self.shapes.items())
        *before, last = self.expression.split("; ")
        return "\n".join([f"dtype {dtype}", declared, *before, f"y = {last}"])

    def point(self) -> dict[str, Array]:
        rng = np.random.default_rng(zlib.crc32(self.expression.encode()))
        drawn: dict[str, Array] = {}
        for name, shape in self.shapes.items():
            domain = self.domain.get(name, (-2.0, 2.0)) if isinstance(self.domain, dict) else self.domain
            drawn[name] = domain(rng, shape) if callable(domain) else rng.uniform(*domain, shape)
        return drawn


def case(expression: str, reference: Callable[..., Array], domain: Any = (-2.0, 2.0), **shapes: Shape) -> Case:
    return Case(expression, reference, domain, shapes)


def inverse_of_cube_and_line(x: Array) -> Array:
    """The u with u^3 + u = x; source: Cardano's formula."""
    root = np.sqrt(x * x / 4 + 1 / 27)
    return np.cbrt(x / 2 + root) + np.cbrt(x / 2 - root)


def flat(expression: str, reference: Callable[..., Array], result: str | tuple[str, str] = "bool", /, *,
         domain: Any = (-2.0, 2.0), **shapes: Shape) -> Case:  # fmt: skip
    """A case through which no gradient passes."""
    dtypes = (result, result) if isinstance(result, str) else result
    return Case(expression, reference, domain, shapes, dtypes, derivative=False)


def function(name: str, reference: Callable[[Array], Array], domain: Any = (-2.0, 2.0)) -> list[Case]:
    """A function of one real variable: a scalar, a matrix, inside another function, with nothing in it."""
    return [
        case(f"{name}(x)", reference, domain, x=()),
        case(f"{name}(x)", reference, domain, x=(2, 3)),
        case(f"{name}(x) * x + {name}(x)", lambda x: reference(x) * x + reference(x), domain, x=(4,)),
        case(f"{name}(x)", reference, domain, x=(0, 2)),
    ]


def binary(name: str, reference: Callable[[Array, Array], Array], domain: Any = (-2.0, 2.0)) -> list[Case]:
    """A function of two variables: scalars, equal shapes, every sort of broadcasting, one variable twice."""
    call = f"{name}(a, b)"
    return [
        case(call, reference, domain, a=(), b=()),
        case(call, reference, domain, a=(2, 3), b=(2, 3)),
        case(call, reference, domain, a=(2, 3), b=()),
        case(call, reference, domain, a=(), b=(3,)),
        case(call, reference, domain, a=(2, 1), b=(3,)),
        case(call, reference, domain, a=(2, 3), b=(1, 3)),
        case(call, reference, domain, a=(1, 1), b=(2,)),
        case(call, reference, domain, a=(3,), b=(2, 1, 1)),
        case(
            f"{name}(a, b) * {name}(b + 0.01, a)",
            lambda a, b: reference(a, b) * reference(b + 0.01, a),
            domain,
            a=(2,),
            b=(2,),
        ),
    ]


MASK = np.array([[True, False, True, True], [False, False, True, True], [True, True, False, True]])


def listed(mask: Array) -> str:
    return str(mask.tolist()).lower()


def reference_where(
    reference: Callable[..., Array], x: Array, mask: Array, axis: int | None = None, keepdims: bool = False
) -> Array:
    """A reduction row by row, each of the entries that are kept."""
    kept = np.broadcast_to(mask, x.shape)
    if axis is None:
        return reference(x[kept])
    rows = [reference(row[k]) for row, k in zip(np.moveaxis(x, axis, -1), np.moveaxis(kept, axis, -1), strict=True)]
    return np.expand_dims(np.array(rows), axis) if keepdims else np.array(rows)


def reduction(name: str, reference: Callable[..., Array], domain: Any = (-2.0, 2.0)) -> list[Case]:
    """A reduction over everything, over one and several axes, negative axes, with and without keepdims."""

    def over(arguments: str, shape: Shape, **options: Any) -> Case:
        return case(f"{name}(x{arguments})", lambda x: reference(x, **options), domain, x=shape)

    return [
        over("", ()),
        over("", (4,)),
        over("", (2, 3)),
        over(", axis=0", (3, 2), axis=0),
        over(", axis=-1", (2, 3), axis=-1),
        over(", axis=-1, keepdims=true", (2, 3), axis=-1, keepdims=True),
        over(", keepdims=true", (2, 3), keepdims=True),
        over(", axis=[0, 2]", (2, 3, 2), axis=(0, 2)),
        over(", axis=[-1, 0], keepdims=true", (2, 3, 2), axis=(-1, 0), keepdims=True),
        over(", axis=1", (2, 1, 3), axis=1),
        over(", axis=1", (1, 5), axis=1),
        *[
            case(
                f"constant m = {listed(mask)}; {name}(x, where=m{arguments})",
                lambda x, mask=mask, options=options: reference_where(reference, x, mask, **options),
                domain,
                x=(3, 4),
            )
            for mask, arguments, options in (
                (MASK, "", {}),
                (MASK, ", axis=0", {"axis": 0}),
                (MASK[:1], ", axis=-1, keepdims=true", {"axis": -1, "keepdims": True}),
            )
        ],
    ]


def rowwise(name: str, reference: Callable[..., Array]) -> list[Case]:
    return [
        case(f"{name}(x)", lambda x: reference(x, axis=-1), x=(4,)),
        case(f"{name}(x)", lambda x: reference(x, axis=-1), x=(2, 3)),
        case(f"{name}(x, axis=0)", lambda x: reference(x, axis=0), x=(2, 3)),
        case(f"{name}(x, axis=1)", lambda x: reference(x, axis=1), x=(2, 3, 2)),
        case(f"{name}(x, axis=-2)", lambda x: reference(x, axis=-2), x=(2, 3, 2)),
        case(f"{name}(x)", lambda x: reference(x, axis=-1), x=(1,)),
    ]


def running(name: str, ufunc: np.ufunc) -> list[Case]:
    first = ufunc.identity

    def reference(x: Array, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Array:
        """Entry by entry, as the definition reads."""
        x = np.moveaxis(x, axis, 0)[:: -1 if reverse else 1]
        rows = [ufunc.reduce(x[: k + (not exclusive)], axis=0, initial=first) for k in range(len(x))]
        y = np.array(rows).reshape(x.shape)[:: -1 if reverse else 1]
        return np.moveaxis(y, 0, axis)

    return [
        case(f"{name}(x)", reference, x=(5,)),
        case(f"{name}(x)", reference, x=(1,)),
        case(f"{name}(x, axis=1)", lambda x: reference(x, 1), x=(2, 3)),
        case(f"{name}(x, axis=-2)", lambda x: reference(x, -2), x=(2, 3, 2)),
        case(f"{name}(x, reverse=true)", lambda x: reference(x, reverse=True), x=(4, 2)),
        case(f"{name}(x, exclusive=true)", lambda x: reference(x, exclusive=True), x=(4,)),
        case(f"{name}(x, -1, true, true)", lambda x: reference(x, -1, True, True), x=(2, 3)),
    ]


def rounding(name: str, reference: Callable[[Array], Array]) -> list[Case]:
    return [flat(f"{name}(x)", reference, ("float64", "float32"), domain=between_integers, x=s) for s in ((), (2, 3))]


def comparison(name: str, symbol: str, reference: Callable[[Array, Array], Array]) -> list[Case]:
    return [
        flat(f"{name}(a, b)", reference, a=(), b=()),
        flat(f"a {symbol} b", reference, a=(2, 1), b=(3,)),
        flat(f"round(a) {symbol} round(b)", lambda a, b: reference(np.round(a), np.round(b)), a=(9,), b=(9,)),
    ]


def erf(x: Array) -> Array:
    return scipy.special.erf(x)


def logdet(a: Array) -> Array:
    return np.log(np.linalg.det(a))


def std(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    return np.std(x, axis=axis, keepdims=keepdims)


def norm(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


def solve(a: Array, b: Array) -> Array:
    return np.linalg.inv(a) @ b


def cholesky(a: Array) -> Array:
    return scipy.linalg.cholesky((a + a.T) / 2, lower=True)


def psi2(x: Array) -> Array:
    return scipy.special.polygamma(2, x)


def beta_density(a: Array, b: Array, x: Array) -> Array:
    return scipy.stats.beta.pdf(x, a, b)


def symmetric(a: Array) -> Array:
    return (a + np.swapaxes(a, -1, -2)) / 2


def eigenvalues(a: Array) -> Array:
    return np.sort(np.linalg.eigvals(symmetric(a)).real)


def spectral(g: Array, a: Array) -> Array:
    v = np.linalg.eigh(symmetric(a))[1]
    return np.einsum("...ik,...k,...jk->...ij", v, g, v)


def between_singular_vectors(g: Array, a: Array) -> Array:
    u, _, vt = np.linalg.svd(a, full_matrices=False)
    return np.einsum("...ik,...k,...kj->...ij", u, g, vt)


def singular_values(a: Array) -> Array:
    square = a @ np.swapaxes(a, -1, -2) if a.shape[-1] > a.shape[-2] else np.swapaxes(a, -1, -2) @ a
    return np.sqrt(eigenvalues(square))[..., ::-1]


def left_and_right(a: Array) -> Array:
    """The squares of the entries of singular vectors, from the eigenvectors of a @ a.T and a.T @ a."""
    k = min(a.shape[-2:])
    other = np.swapaxes(a, -1, -2)
    parts = [np.linalg.eigh(m)[1][..., ::-1][..., :k] for m in (a @ other, other @ a)]
    return np.concatenate(parts, axis=-2) ** 2


def gaps(x: Array) -> Array:
    apart = x[..., None, :] - x[..., :, None]
    return np.divide(1, apart, out=np.zeros_like(apart), where=apart != 0)


def frechet(a: Array, b: Array) -> Array:
    return scipy.linalg.expm_frechet(a, b, compute_expm=False)


def pooled(x: Array) -> Array:
    return np.take(x, [2, 0, 0, -1], axis=0)


def correlated(x: Array, f: Array) -> Array:
    """The products of filters with windows of a field, without a border."""
    axes = f.ndim - 2
    windows = np.lib.stride_tricks.sliding_window_view(x, f.shape[:axes], tuple(range(-axes - 1, -1)))
    places = "kl"[:axes]
    return np.einsum(f"...c{places},{places}co->...o", windows, f)


SPECS: dict[str, list[Case]] = {
    # arithmetic
    "add": [*binary("add", lambda a, b: a + b), case("a + b", lambda a, b: a + b, a=(2, 1), b=(1, 3))],
    "subtract": [*binary("subtract", lambda a, b: a - b), case("a - b", lambda a, b: a - b, a=(2, 1), b=(1, 3))],
    "neg": [*function("neg", lambda x: -x), case("-x", lambda x: -x, x=(3,))],
    "multiply": [*binary("multiply", lambda a, b: a * b), case("x*x*x", lambda x: x**3, x=(3,))],
    "divide": [
        *binary("divide", lambda a, b: a / b, away),
        case("1/x/x", lambda x: x**-2, away, x=(3,)),
        case("x/x", lambda x: np.ones_like(x), away, x=(3,)),
    ],
    "divide_no_nan": binary("divide_no_nan", lambda a, b: a / b, away),
    "pow": [
        *binary("pow", lambda a, b: a**b, POSITIVE),
        case("x^3", lambda x: x * x * x, x=(2, 3)),
        case("x^-2", lambda x: 1 / x / x, away, x=(3,)),
        case("x**0.5", np.sqrt, POSITIVE, x=(3,)),
        case("x^1", lambda x: x, x=(3,)),
        case("x^0", lambda x: np.ones_like(x), x=(3,)),
        case("2^x", lambda x: np.exp(x * np.log(2)), x=(3,)),
        case("x^x", lambda x: np.exp(x * np.log(x)), POSITIVE, x=(3,)),
        case("x^[0.0, 1.0, 2.0, 3.5]", lambda x: x ** np.array([0, 1, 2, 3.5]), POSITIVE, x=(4,)),
        case("constant k = 3.0; x^k", lambda x: x**3, POSITIVE, x=(4,)),
    ],
    "square": function("square", lambda x: x * x),
    "abs": function("abs", lambda x: np.where(x < 0, -x, x), away),
    "sign": [case("sign(x)", np.sign, away, x=s) for s in ((), (2, 3))] + [case("sign(x) * x", np.abs, away, x=(3,))],
    # elementary functions
    "sqrt": function("sqrt", lambda x: x**0.5, POSITIVE),
    "rsqrt": function("rsqrt", lambda x: x**-0.5, POSITIVE),
    "cbrt": function("cbrt", lambda x: np.sign(x) * np.abs(x) ** (1 / 3), away),
    "exp": function("exp", np.exp),
    "expm1": function("expm1", lambda x: np.exp(x) - 1),
    "exp2": function("exp2", lambda x: np.exp(x * np.log(2))),
    "log": function("log", np.log, POSITIVE),
    "log1p": function("log1p", lambda x: np.log(1 + x), (-0.7, 2)),
    "log2": function("log2", lambda x: np.log(x) / np.log(2), POSITIVE),
    "log10": function("log10", lambda x: np.log(x) / np.log(10), POSITIVE),
    "sin": function("sin", np.sin, (-7, 7)),
    "cos": function("cos", np.cos, (-7, 7)),
    "tan": function("tan", lambda x: np.sin(x) / np.cos(x), (-1.2, 1.2)),
    "asin": function("asin", lambda x: np.pi / 2 - np.arccos(x), UNIT),
    "acos": function("acos", lambda x: np.pi / 2 - np.arcsin(x), UNIT),
    "atan": function("atan", lambda x: np.arctan2(x, 1), (-5, 5)),
    "atan2": binary("atan2", lambda y, x: np.angle(x + 1j * y), away),
    "sinh": function("sinh", lambda x: (np.exp(x) - np.exp(-x)) / 2),
    "cosh": function("cosh", lambda x: (np.exp(x) + np.exp(-x)) / 2),
    "tanh": function("tanh", lambda x: 1 - 2 / (np.exp(2 * x) + 1), (-4, 4)),
    "asinh": function("asinh", lambda x: np.log(x + np.sqrt(x * x + 1)), (-5, 5)),
    "acosh": function("acosh", lambda x: np.log(x + np.sqrt(x * x - 1)), (1.2, 4)),
    "atanh": function("atanh", lambda x: np.log((1 + x) / (1 - x)) / 2, UNIT),
    "hypot": binary("hypot", lambda a, b: np.sqrt(a * a + b * b), away),
    "erf": function("erf", erf, (-3, 3)),
    "erfc": function("erfc", scipy.special.erfc, (-3, 3)),
    "multiply_no_nan": binary("multiply_no_nan", np.multiply, away),
    "erfcx": [
        *function("erfcx", scipy.special.erfcx, (-1, 4)),
        case("erfcx(x, order=1)", lambda x: 2 * x * scipy.special.erfcx(x) - 2 / np.sqrt(np.pi), (-1, 4), x=(3,)),
    ],
    "log_ndtr": function("log_ndtr", lambda x: np.log(scipy.special.ndtr(x)), (-5, 3)),
    "log_cosh": function("log_cosh", lambda x: np.log(np.cosh(x)), (-3, 3)),
    "lgamma": function("lgamma", scipy.special.gammaln, (0.3, 6)),
    "digamma": function("digamma", scipy.special.digamma, (0.3, 6)),
    "polygamma": [case("polygamma(2, x)", lambda x: scipy.special.polygamma(2, x), (0.3, 6), x=(3,))],
    "sinc": [
        *function("sinc", np.sinc, (-4, 4)),
        case("sinc(x, 1)", lambda x: (np.cos(np.pi * x) - np.sinc(x)) / x, away, x=(3,)),
    ],
    "gamma": [
        *function("gamma", scipy.special.gamma, (0.3, 5)),
        case("gamma(x)", scipy.special.gamma, (-2.8, -2.2), x=(2,)),
    ],
    "factorial": function("factorial", scipy.special.factorial, (0.1, 5)),
    "lbeta": binary("lbeta", scipy.special.betaln, (0.3, 14)),
    "beta": binary("beta", scipy.special.beta, POSITIVE),
    "digamma_rise": [
        *binary("digamma_rise", lambda a, b: scipy.special.psi(a + b) - scipy.special.psi(a), POSITIVE),
        case("digamma_rise(a, b, 2)", lambda a, b: psi2(a + b) - psi2(a), (0.5, 3), a=(2,), b=(2,)),
    ],
    "gamma_density": binary("gamma_density", lambda a, x: scipy.stats.gamma.pdf(x, a), (0.4, 14)),
    "beta_density": [
        case("beta_density(a, b, x)", beta_density, {"a": (0.4, 3), "b": (0.4, 3), "x": (0.1, 0.9)}, a=(), b=(), x=()),
        case(
            "beta_density(a, b, x)", beta_density, {"a": (9, 12), "b": (9, 12), "x": (0.1, 0.9)}, a=(3,), b=(), x=(2, 1)
        ),
    ],
    "gammainc": [
        case("gammainc(2.5, x)", lambda x: scipy.stats.gamma.cdf(x, 2.5), POSITIVE, x=(2, 3)),
        case("gammainc(0.5, x*x)", lambda x: scipy.special.erf(x), POSITIVE, x=()),
    ],
    "gammaincc": [
        case("gammaincc(2.5, x)", lambda x: scipy.stats.gamma.sf(x, 2.5), POSITIVE, x=(2, 3)),
        case("gammaincc(1, x)", lambda x: np.exp(-x), POSITIVE, x=()),
    ],
    "betainc": [
        case("betainc(2, 3.5, x)", lambda x: scipy.stats.beta.cdf(x, 2, 3.5), (0.1, 0.9), x=(2, 3)),
        case("betainc(1, 1, x)", lambda x: x, (0.1, 0.9), x=()),
    ],
    "ndtr": function("ndtr", scipy.special.ndtr, (-4, 4)),
    "ndtri": function("ndtri", scipy.special.ndtri, (0.1, 0.95)),
    "erfinv": function("erfinv", scipy.special.erfinv, UNIT),
    "bessel_j": [
        case("bessel_j(3, x)", lambda x: scipy.special.jv(3, x), (-9, 9), x=(2, 3)),
        case("bessel_j(2, x) * x", lambda x: x * scipy.special.jv(2, x), (28, 40), x=()),
    ],
    "bessel_j0": function("bessel_j0", scipy.special.j0, (-9, 9)),
    "bessel_j1": function("bessel_j1", scipy.special.j1, (-9, 9)),
    "bessel_ie": [
        case("bessel_ie(0, x)", scipy.special.i0e, away, x=(2, 3)),
        case("bessel_ie(1, x)", scipy.special.i1e, (-4, 40), x=(2,)),
        case("bessel_ie(0, x, 1)", lambda x: scipy.special.i1e(x) - scipy.special.i0e(x), POSITIVE, x=()),
    ],
    "bessel_i0e": function("bessel_i0e", scipy.special.i0e, away),
    "bessel_i1e": function("bessel_i1e", scipy.special.i1e, away),
    "sigmoid": function("sigmoid", scipy.special.expit, (-5, 5)),
    "logaddexp": binary("logaddexp", np.logaddexp),
    "log1mexp": function("log1mexp", lambda x: np.log(1 - np.exp(-x)), (0.2, 3.0)),
    "logit": function("logit", scipy.special.logit, (0.1, 0.9)),
    "log_sigmoid": function("log_sigmoid", scipy.special.log_expit, (-5, 5)),
    "softplus": function("softplus", lambda x: np.logaddexp(x, 0), (-5, 5)),
    "link": [case("link(x) + x", lambda x: x, x=s) for s in ((), (2, 3))],
    "zero": [case("zero(x) + x*x", lambda x: x * x, x=s) for s in ((), (2, 3))],
    "recip": [
        *function("recip", lambda x: 1 / x, away),
        case("recip(x, positive=true)", lambda x: 1 / x, POSITIVE, x=(3,)),
    ],
    "floor_divide": [
        flat("floor_divide(x, 0.7)", lambda x: np.floor(x / 0.7), ("float64", "float32"), x=(3,)),
        flat("floor_divide(cast(trunc(x), int64), 2)", lambda x: np.trunc(x).astype(int) // 2, "int64", x=(3,)),
    ],
    "relu": function("relu", lambda x: np.where(x > 0, x, 0), away),
    "leaky_relu": [
        *function("leaky_relu", lambda x: np.where(x > 0, x, 0.2 * x), away),
        case("leaky_relu(x, 0.05)", lambda x: np.where(x > 0, x, 0.05 * x), away, x=(5,)),
        case("leaky_relu(x, alpha=-1)", np.abs, away, x=(5,)),
    ],
    "elu": function("elu", lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1), away),
    "gelu": function("gelu", lambda x: x * scipy.special.ndtr(x), (-3, 3)),
    "silu": function("silu", lambda x: x / (1 + np.exp(-x)), (-5, 5)),
    "mod": [
        *binary("mod", lambda a, b: a - np.floor(a / b) * b, {"a": between_integers, "b": (4, 5)})[:8],
        case("mod(x, 3)", lambda x: x - np.floor(x / 3) * 3, between_integers, x=(6,)),
        case("mod(x, -3)", lambda x: x - np.floor(x / -3) * -3, between_integers, x=(6,)),
    ],
    "xlogy": [
        *binary("xlogy", scipy.special.xlogy, POSITIVE),
        case("xlogy(a, b)", scipy.special.xlogy, {"b": POSITIVE}, a=(3,), b=(3,)),
    ],
    "clip": [
        case("clip(x, -1, 1)", lambda x: np.clip(x, -1, 1), apart, x=(7,)),
        case(
            "clip(x, -0.5, hi)", lambda x, hi: np.clip(x, -0.5, hi), {"x": apart, "hi": (0.6, 0.8)}, x=(3, 3), hi=(3,)
        ),
        case(
            "clip(x, lo, hi)", np.clip, {"x": apart, "lo": (-1.05, -0.95), "hi": (0.95, 1.05)}, x=(7,), lo=(), hi=(7,)
        ),
    ],
    "floor": rounding("floor", np.floor),
    "ceil": rounding("ceil", np.ceil),
    "round": [
        *rounding("round", np.rint),
        flat("round(2*x)/2 + 0.5", lambda x: np.rint(2 * x) / 2 + 0.5, ("float64", "float32"), x=(5,)),
    ],
    "trunc": rounding("trunc", lambda x: np.sign(x) * np.floor(np.abs(x))),
    # selection
    "where": [
        case("where(x > 0, x*x, sin(x))", lambda x: np.where(x > 0, x * x, np.sin(x)), apart, x=(3, 3)),
        case(
            "constant c = [true, false, true]; where(c, a, b)",
            lambda a, b: np.where([True, False, True], a, b),
            a=(3,),
            b=(3,),
        ),
        case(
            "constant c = [true, false, true]; where(c, a, b)",
            lambda a, b: np.where([True, False, True], a, b),
            a=(2, 1),
            b=(),
        ),
        case(
            "constant c = [true, false, true]; where(c, a, 1)", lambda a: np.where([True, False, True], a, 1), a=(2, 1)
        ),
        case("where(a > b, a, b)", np.maximum, a=(3,), b=(2, 1)),
    ],
    "maximum": binary("maximum", lambda a, b: np.where(a > b, a, b))[:8],
    "minimum": binary("minimum", lambda a, b: np.where(a < b, a, b))[:8],
    "less": comparison("less", "<", lambda a, b: a < b),
    "less_equal": comparison("less_equal", "<=", lambda a, b: a <= b),
    "greater": comparison("greater", ">", lambda a, b: a > b),
    "greater_equal": comparison("greater_equal", ">=", lambda a, b: a >= b),
    "equal": comparison("equal", "==", lambda a, b: a == b),
    "not_equal": comparison("not_equal", "!=", lambda a, b: a != b),
    "logical_and": [
        flat("logical_and(a > 0, b > 0)", lambda a, b: (a > 0) & (b > 0), a=(5, 1), b=(5,)),
        flat("a > 0 and b > 0", lambda a, b: (a > 0) & (b > 0), a=(5,), b=(5,)),
    ],
    "logical_or": [
        flat("logical_or(a > 0, b > 0)", lambda a, b: (a > 0) | (b > 0), a=(5, 1), b=(5,)),
        flat("a > 0 or b > 0", lambda a, b: (a > 0) | (b > 0), a=(5,), b=(5,)),
    ],
    "logical_not": [flat("logical_not(x > 0)", lambda x: ~(x > 0), x=(5,)), flat("not x > 0", lambda x: x <= 0, x=())],
    "isnan": [flat("isnan(log(x))", lambda x: x < 0, domain=away, x=(5,)), flat("isnan(x)", np.isnan, x=())],
    "isfinite": [flat("isfinite(1/(x - x))", lambda x: x != x, x=(5,)), flat("isfinite(x)", lambda x: x == x, x=())],
    "isinf": [flat("isinf(1/(x - x))", lambda x: x == x, x=(5,)), flat("isinf(x)", lambda x: x != x, x=())],
    "cast": [
        Case("cast(x, float64)", lambda x: x, shapes={"x": (2, 3)}, result=("float64", "float64")),
        Case("cast(x, float64) * x", lambda x: x * x, shapes={"x": ()}, result=("float64", "float64")),
        flat("cast(x, int32)", np.trunc, "int32", x=(4,)),
        flat("cast(10*x, int64)", lambda x: np.trunc(10 * x), "int64", x=(4,)),
        flat("cast(x, bool)", lambda x: x != 0, x=(4,)),
        flat("cast(x > 0, float32)", lambda x: x > 0, "float32", x=(4,)),
    ],
    "identity": [case("identity(x)", lambda x: x, x=s) for s in ((), (2, 3))],
    "stop_gradient": [flat("stop_gradient(x)", lambda x: x, ("float64", "float32"), x=s) for s in ((), (2, 3))],
    # reductions
    "sum": [*reduction("sum", np.sum), flat("sum(x > 0)", lambda x: np.count_nonzero(x > 0), "int64", x=(5,))],
    "mean": reduction("mean", np.mean),
    "prod": [*reduction("prod", np.prod), case("prod(x, axis=1)", lambda x: np.prod(x, 1), x=(2, 7))],
    "max": reduction("max", np.max, apart),
    "min": reduction("min", np.min, apart),
    "var": reduction("var", np.var),
    "std": [c for c in reduction("std", std) if c.shapes["x"] not in ((), (2, 1, 3))],
    "norm": reduction("norm", norm, away),
    "logsumexp": reduction(
        "logsumexp", lambda x, axis=None, keepdims=False: np.log(np.sum(np.exp(x), axis, keepdims=keepdims))
    ),
    "any": [
        flat("any(x > 1)", lambda x: np.max(x) > 1, x=(4,)),
        flat("any(x > 1, where=x < 1.5)", lambda x: np.any(x > 1, where=x < 1.5), x=(4,)),
        flat("any(x > 1, axis=-1, keepdims=true)", lambda x: np.max(x, -1, keepdims=True) > 1, x=(3, 4)),
    ],
    "all": [
        flat("all(x > -1)", lambda x: np.min(x) > -1, x=(4,)),
        flat("all(x > -1, where=x > -1.5)", lambda x: np.all(x > -1, where=x > -1.5), x=(4,)),
        flat("all(x > -1, axis=[0, 2])", lambda x: np.min(x, (0, 2)) > -1, x=(2, 3, 2)),
    ],
    "argmax": [
        flat("argmax(x)", lambda x: np.argsort(x)[-1], "int64", x=(5,)),
        flat("argmax(x)", lambda x: np.argsort(x, 0)[-1], "int64", x=(3, 4)),
        flat("argmax(x, axis=-1, keepdims=true)", lambda x: np.argsort(x)[:, -1:], "int64", x=(3, 4)),
    ],
    "argmin": [
        flat("argmin(x)", lambda x: np.argsort(x, 0)[0], "int64", x=(3, 4)),
        flat("argmin(x, 1)", lambda x: np.argsort(x)[:, 0], "int64", x=(3, 4)),
    ],
    "cumsum": running("cumsum", np.add),
    "cumprod": running("cumprod", np.multiply),
    # linear algebra
    "matmul": [
        case("matmul(a, b)", lambda a, b: np.einsum("ij,jk", a, b), a=(2, 3), b=(3, 4)),
        case("a @ b", lambda a, b: np.einsum("i,i", a, b), a=(3,), b=(3,)),
        case("a @ b", lambda a, b: np.einsum("i,ij", a, b), a=(3,), b=(3, 2)),
        case("a @ b", lambda a, b: np.einsum("ij,j", a, b), a=(2, 3), b=(3,)),
        case("a @ b", lambda a, b: np.einsum("bij,bjk->bik", a, b), a=(2, 2, 3), b=(2, 3, 2)),
        case("a @ b", lambda a, b: np.einsum("bij,jk->bik", a, b), a=(2, 2, 3), b=(3, 2)),
        case("a @ b", lambda a, b: np.einsum("ij,bjk->bik", a, b), a=(2, 3), b=(2, 3, 2)),
        case("a @ b", lambda a, b: np.einsum("bij,j->bi", a, b), a=(2, 2, 3), b=(3,)),
        case("a @ b", lambda a, b: np.einsum("j,bjk->bk", a, b), a=(3,), b=(2, 3, 2)),
        case("a @ b", lambda a, b: np.einsum("axij,bjk->abik", a, b), a=(2, 1, 2, 2), b=(3, 2, 2)),
        case("a @ b", lambda a, b: np.einsum("xij,bjk->bik", a, b), a=(1, 2, 2), b=(3, 2, 2)),
        case("x @ x", lambda x: np.einsum("ij,jk", x, x), x=(2, 2)),
        case("x.T @ x", lambda x: np.einsum("ji,jk", x, x), x=(3, 2)),
        case("a @ b", lambda a, b: np.zeros((2, 2)), a=(2, 0), b=(0, 2)),
    ],
    "dot": [
        case("dot(a, b)", lambda a, b: np.sum(a * b), a=(3,), b=(3,)),
        case("dot(a, b)", lambda a, b: a * b, a=(), b=(2, 2)),
        case("dot(a, b)", np.dot, a=(2, 3), b=(3,)),
        case("dot(a, b)", np.dot, a=(2, 3), b=(3, 2)),
        case("dot(a, b)", np.dot, a=(2, 3), b=(2, 3, 2)),
        case("dot(a, b)", np.dot, a=(3,), b=(2, 3, 2)),
    ],
    "outer": [
        case("outer(a, b)", np.outer, a=(2,), b=(3,)),
        case("outer(a, b)", np.outer, a=(2, 2), b=(3, 1)),
        case("outer(x, x)", lambda x: np.outer(x, x), x=(3,)),
    ],
    "einsum": [
        case('einsum("ij,jk->ik", a, b)', lambda a, b: a @ b, a=(2, 3), b=(3, 2)),
        case('einsum("ij,kj", a, b)', lambda a, b: a @ b.T, a=(2, 3), b=(4, 3)),
        case('einsum("ii->i", x)', np.diag, x=(3, 3)),
        case('einsum("i->ii", x)', np.diag, x=(3,)),
        case('einsum("ij,j->jij", a, b)', lambda a, b: np.einsum("ij,j,jk->jik", a, b, np.eye(3)), a=(2, 3), b=(3,)),
        case('einsum("ii", x)', np.trace, x=(3, 3)),
        case('einsum("ij->", x)', np.sum, x=(2, 3)),
        case('einsum("ij->ji", x)', np.transpose, x=(2, 3)),
        case('einsum("iji->j", x)', lambda x: x[0, :, 0] + x[1, :, 1], x=(2, 3, 2)),
        case('einsum("i,i,i->i", a, b, c)', lambda a, b, c: a * b * c, a=(3,), b=(3,), c=(3,)),
        case('einsum("ab,bc,cd->da", a, b, c)', lambda a, b, c: (a @ b @ c).T, a=(2, 3), b=(3, 2), c=(2, 4)),
        case('einsum("...ij,...jk->...ik", a, b)', np.matmul, a=(2, 2, 3), b=(3, 2)),
        case('einsum("...i,i->...", a, b)', lambda a, b: a @ b, a=(2, 2, 3), b=(3,)),
        case('einsum("i,jk->", a, b)', lambda a, b: np.sum(a) * np.sum(b), a=(2,), b=(2, 3)),
        case('einsum("ij,ij->j", a, b)', lambda a, b: np.sum(a * b, 0), a=(1, 3), b=(2, 3)),
        case('einsum("i,i->i", x, x)', lambda x: x * x, x=(3,)),
        case('einsum(",i->i", a, b)', lambda a, b: a * b, a=(), b=(3,)),
        case('einsum("ij, j -> i", a, b)', lambda a, b: a @ b, a=(2, 3), b=(3,)),
    ],
    "transpose": [
        case("transpose(x)", lambda x: np.moveaxis(x, 0, 1), x=(2, 3)),
        case("x.T", lambda x: x.swapaxes(0, 2), x=(2, 3, 4)),
        case("transpose(x, [1, 2, 0])", lambda x: np.moveaxis(x, 0, -1), x=(2, 3, 4)),
        case("transpose(x, [0, -1, 1])", lambda x: x.swapaxes(1, 2), x=(2, 3, 4)),
        case("transpose(x, perm=[1, 0])", lambda x: np.moveaxis(x, 0, 1), x=(2, 3)),
        case("x.T", lambda x: x, x=(3,)),
        case("x.T", lambda x: x, x=()),
    ],
    "trace": [
        case("trace(x)", lambda x: np.sum(np.diag(x)), x=(3, 3)),
        case("trace(x)", lambda x: x[0, 0] + x[1, 1], x=(2, 3)),
        case("trace(x)", lambda x: np.einsum("bii->b", x), x=(2, 3, 3)),
    ],
    "diag": [
        case("diag(x)", lambda x: np.eye(3) * x, x=(3,)),
        case("diag(x, 1)", lambda x: np.diag(x, 1), x=(2,)),
        case("diag(x, k=-2)", lambda x: np.diag(x, -2), x=(2,)),
        case("diag(x)", lambda x: np.array([x[0, 0], x[1, 1]]), x=(3, 2)),
        case("diag(x, -1)", lambda x: np.diag(x, -1), x=(3, 2)),
        case("diag(x, k=1)", lambda x: np.diagonal(x, 1, 1, 2), x=(2, 3, 3)),
    ],
    "tril": [
        case("tril(x)", lambda x: np.where(np.arange(3)[:, None] >= np.arange(3), x, 0), x=(3, 3)),
        case("tril(x, -1)", lambda x: np.tril(x, -1), x=(2, 3, 2)),
        case("tril(x, k=1)", lambda x: np.tril(x, 1), x=(2, 4)),
    ],
    "triu": [
        case("triu(x)", lambda x: np.where(np.arange(3)[:, None] <= np.arange(3), x, 0), x=(3, 3)),
        case("triu(x, k=-1)", lambda x: np.triu(x, -1), x=(2, 3, 2)),
        case("triu(x, 1)", lambda x: np.triu(x, 1), x=(2, 4)),
    ],
    "kron": [
        case("kron(a, b)", np.kron, a=(2, 3), b=(2, 1)),
        case("kron(a, b)", np.kron, a=(2,), b=(3, 2)),
        case("kron(a, b)", np.kron, a=(2,), b=(3,)),
    ],
    "cross": [
        case("cross(a, b)", np.cross, a=(3,), b=(3,)),
        case("cross(a, b)", np.cross, a=(2, 3), b=(3,)),
    ],
    "matrix_power": [
        case("matrix_power(a, 3)", lambda a: a @ a @ a, a=(2, 2)),
        case("matrix_power(a, -2)", lambda a: np.linalg.matrix_power(a, -2), regular, a=(2, 3, 3)),
        case("matrix_power(a, 1)", lambda a: a, a=(2, 2)),
        case("matrix_power(a, 0)", lambda a: np.eye(2) + 0 * a, a=(2, 2)),
    ],
    "det": [
        case("det(a)", lambda a: a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0], a=(2, 2)),
        case("det(a)", scipy.linalg.det, a=(3, 3)),
        case("det(a)", np.linalg.det, regular, a=(2, 2, 2)),
        case("det(a)", lambda a: a[0, 0], a=(1, 1)),
        case("det(a @ a.T)", lambda a: scipy.linalg.det(a) ** 2, regular, a=(3, 3)),
        case("det(outer(a, a))", lambda a: 0.0, a=(4,)),
        case("det(a)", scipy.linalg.det, regular, a=(8, 8)),
        case("det(a, regular=true)", scipy.linalg.det, regular, a=(3, 3)),
    ],
    "cofactor": [
        case("cofactor(a, det(a))", lambda a: scipy.linalg.det(a) * scipy.linalg.inv(a).T, regular, a=(3, 3)),
        case("cofactor(a, det(a))", lambda a: scipy.linalg.det(a) * scipy.linalg.inv(a).T, regular, a=(4, 4)),
        case("cofactor(a, det(a))", lambda a: np.array([b[::-1, ::-1] * [[1, -1], [-1, 1]] for b in a]), a=(3, 2, 2)),
    ],
    "completion": [
        flat("a = outer(x, x); det(a + completion(a, 2)[0]) != 0", lambda x: True, domain=POSITIVE, x=(3,)),
        flat("completion(a, 1)[:, 0]", lambda a: 0 * a, ("float64", "float32"), domain=regular, a=(2, 3, 3)),
        flat("a = outer(x, x); t = completion(a, 1); max(abs(t[1] @ t[2].T - t[0])) < 1e-5", lambda x: True, x=(3,)),
    ],
    "logdet": [
        case("logdet(a)", logdet, regular, a=(3, 3)),
        case("logdet(a)", logdet, regular, a=(2, 2, 2)),
        case("logdet(a @ a.T)", lambda a: 2 * logdet(a), regular, a=(2, 2)),
    ],
    "eigvalsh": [
        case("eigvalsh(a)", eigenvalues, separate, a=(3, 3)),
        case("eigvalsh(a)", eigenvalues, separate, a=(2, 2, 2)),
        case("eigvalsh(a)", lambda a: a[0], away, a=(1, 1)),
        case(
            "sum(eigvalsh(a)^3, axis=-1) + sum(1/(5 + eigvalsh(a)), axis=-1)",
            lambda a: np.sum(eigenvalues(a) ** 3 + 1 / (5 + eigenvalues(a)), -1),
            separate,
            a=(2, 3, 3),
        ),
        case(
            "sum(exp(0.1*eigvalsh(a)))", lambda a: np.trace(scipy.linalg.expm(0.1 * symmetric(a))), separate, a=(3, 3)
        ),
    ],
    "spectral": [
        case("spectral(g, a)", spectral, {"a": separate}, g=(3,), a=(3, 3)),
        case("spectral(g, a)", spectral, {"a": separate}, g=(2, 2), a=(2, 2, 2)),
        case("spectral(exp(0.1*eigvalsh(a)), a)", lambda a: scipy.linalg.expm(0.1 * symmetric(a)), separate, a=(3, 3)),
    ],
    "singular_function": [
        case("singular_function(g, a)", between_singular_vectors, {"a": separate}, g=(2,), a=(3, 2)),
        case("singular_function(g, a)", between_singular_vectors, {"a": separate}, g=(2,), a=(2, 3)),
        case("singular_function(g, a)", between_singular_vectors, {"a": separate}, g=(2, 2), a=(2, 2, 2)),
        case("singular_function(svdvals(a)^3, a)", lambda a: a @ a.T @ a, separate, a=(3, 2)),
    ],
    "eigenvectors": [
        case("v = eigenvectors(a); v*v", lambda a: np.linalg.eigh(symmetric(a))[1] ** 2, separate, a=(3, 3)),
        case("v = eigenvectors(a); v*v", lambda a: np.linalg.eigh(symmetric(a))[1] ** 2, separate, a=(2, 2, 2)),
    ],
    "eigh": [
        case("w, v = eigh(a); v @ diag(w*w) @ v.T", lambda a: symmetric(a) @ symmetric(a), separate, a=(3, 3)),
        case("w, v = eigh(a); w", eigenvalues, separate, a=(2, 2, 2)),
    ],
    "reciprocal_gaps": [
        case("reciprocal_gaps(x)", gaps, apart, x=(3,)),
        case("reciprocal_gaps(x)", gaps, apart, x=(2, 3)),
    ],
    "svdvals": [
        case("svdvals(a)", singular_values, separate, a=(3, 2)),
        case("svdvals(a)", singular_values, separate, a=(2, 3)),
        case("svdvals(a)", singular_values, separate, a=(2, 2, 2)),
        case("sum(svdvals(a)^4)", lambda a: np.sum(np.square(a.T @ a)), separate, a=(2, 3)),
    ],
    "singular_vectors": [
        case("u = singular_vectors(a); u*u", left_and_right, separate, a=(3, 2)),
        case("u = singular_vectors(a); u*u", left_and_right, separate, a=(2, 2, 3)),
        case("u = singular_vectors(a); u*u", left_and_right, separate, a=(2, 2)),
    ],
    "svd": [
        case("u, s, v = svd(a); u @ diag(s*s*s) @ v.T", lambda a: a @ a.T @ a, separate, a=(3, 2)),
        case("u, s, v = svd(a); u @ diag(s*s*s) @ v.T", lambda a: a @ a.T @ a, separate, a=(2, 3)),
        case("u, s, v = svd(a); s", singular_values, separate, a=(2, 2, 2)),
    ],
    "orthonormal": [
        case("orthonormal(a)", lambda a: scipy.linalg.qr(a, mode="economic")[0], separate, a=(3, 2)),
        case("orthonormal(a)", lambda a: scipy.linalg.qr(a)[0], separate, a=(2, 3)),
        case("orthonormal(a)", lambda a: np.linalg.qr(a)[0], separate, a=(2, 2, 2)),
    ],
    "qr": [
        case("q, r = qr(a); r", lambda a: scipy.linalg.qr(a, mode="economic")[1], separate, a=(3, 2)),
        case("q, r = qr(a); r", lambda a: scipy.linalg.qr(a)[1], separate, a=(2, 3)),
        case("q, r = qr(a); q @ (r*r)", lambda a: (lambda q, r: q @ (r * r))(*np.linalg.qr(a)), separate, a=(2, 2, 2)),
    ],
    "detsign": [
        flat("detsign(a)", lambda a: np.sign(np.linalg.det(a)), ("float64", "float32"), a=(3, 3)),
        flat("detsign(a)", lambda a: np.sign(np.linalg.det(a)), ("float64", "float32"), a=(4, 2, 2)),
    ],
    "logabsdet": [
        case("logabsdet(a)", lambda a: np.log(np.abs(np.linalg.det(a))), away, a=(3, 3)),
        case("logabsdet(-a)", lambda a: np.log(np.linalg.det(a)), regular, a=(2, 3, 3)),
    ],
    "slogdet": [
        case("s, x = slogdet(a); s*exp(x)", scipy.linalg.det, away, a=(3, 3)),
    ],
    "pinv": [
        case("pinv(a)", np.linalg.pinv, separate, a=(3, 2)),
        case("pinv(a)", np.linalg.pinv, separate, a=(2, 3)),
        case("pinv(a)", np.linalg.inv, regular, a=(2, 2, 2)),
        case("pinv(outer(x, x))", lambda x: np.outer(x, x) / np.sum(x * x) ** 2, POSITIVE, x=(2,)),
    ],
    "lstsq": [
        case("lstsq(a, b)", lambda a, b: np.linalg.lstsq(a, b)[0], {"a": separate}, a=(3, 2), b=(3,)),
        case("lstsq(a, b)", lambda a, b: np.linalg.lstsq(a, b)[0], {"a": separate}, a=(2, 3), b=(2, 2)),
        case(
            "lstsq(a, b)",
            lambda a, b: np.einsum("kij,kj->ki", np.linalg.pinv(a), b),
            {"a": separate},
            a=(2, 3, 2),
            b=(2, 3),
        ),
    ],
    "expm": [
        case("expm(a)", scipy.linalg.expm, a=(3, 3)),
        case("expm(a)", scipy.linalg.expm, a=(2, 2, 2)),
        case("expm(9*a)", lambda a: scipy.linalg.expm(9 * a), (-0.3, 0.3), a=(2, 2)),
        case("expm(a)", np.exp, a=(1, 1)),
    ],
    "expm_frechet": [
        case("expm_frechet(a, b)", frechet, a=(2, 2), b=(2, 2)),
        case(
            "expm_frechet(a, b)",
            lambda a, b: np.stack([frechet(m, n) for m, n in zip(a, b, strict=True)]),
            a=(2, 2, 2),
            b=(2, 2, 2),
        ),
    ],
    "inv": [
        case("inv(a)", lambda a: np.linalg.solve(a, np.eye(3)), regular, a=(3, 3)),
        case("inv(a)", lambda a: scipy.linalg.inv(a), regular, a=(2, 2, 2)),
        case("inv(inv(a))", lambda a: a, regular, a=(2, 2)),
        case("inv(a)", lambda a: 1 / a, regular, a=(1, 1)),
    ],
    "solve": [
        case("solve(a, b)", solve, {"a": regular}, a=(3, 3), b=(3,)),
        case("solve(a, b)", solve, {"a": regular}, a=(3, 3), b=(3, 2)),
        case("solve(a, b)", solve, {"a": regular}, a=(2, 3, 3), b=(2, 3, 2)),
        case(
            "solve(a, b)",
            lambda a, b: np.einsum("kij,kj->ki", np.linalg.inv(a), b),
            {"a": regular},
            a=(2, 3, 3),
            b=(2, 3),
        ),
        case(
            "solve(a, b)",
            lambda a, b: np.einsum("mkij,mkj->mki", np.linalg.inv(a), b),
            {"a": regular},
            a=(2, 1, 2, 2),
            b=(2, 1, 2),
        ),
        case("solve(a, a.T @ a.T)", lambda a: solve(a, a.T @ a.T), regular, a=(2, 2)),
    ],
    "cholesky": [
        case("cholesky(a)", cholesky, definite, a=(3, 3)),
        case("cholesky(a)", lambda a: np.stack([cholesky(m) for m in a]), definite, a=(2, 2, 2)),
        case("cholesky(a)", np.sqrt, POSITIVE, a=(1, 1)),
        case("cholesky(a @ a.T + eye(2))", lambda a: cholesky(a @ a.T + np.eye(2)), a=(2, 2)),
    ],
    # shapes
    "reshape": [
        case("reshape(x, [3, 2])", lambda x: np.array(x.ravel()).reshape(3, 2), x=(2, 3)),
        case("reshape(x, [-1])", np.ravel, x=(2, 3)),
        case("reshape(x, [2, -1, 1])", lambda x: x[:, :, None], x=(2, 3)),
        case("reshape(x, [])", lambda x: x[0], x=(1,)),
        case("reshape(x, 4)", np.ravel, x=(2, 2)),
        case("reshape(x, shape(transpose(x)))", lambda x: np.array(x.ravel()).reshape(3, 2), x=(2, 3)),
    ],
    "broadcast_to": [
        case("broadcast_to(x, [2, 3])", lambda x: np.array([x, x]), x=(3,)),
        case("broadcast_to(x, [2, 3])", lambda x: x * np.ones((1, 3)), x=(2, 1)),
        case("broadcast_to(x, [2, 2])", lambda x: x * np.ones((2, 2)), x=()),
        case("broadcast_to(x, [4, 2, 3])", lambda x: x + np.zeros((4, 2, 3)), x=(1, 2, 1)),
    ],
    "expand_dims": [
        case("expand_dims(x, 0)", lambda x: x[None], x=(2, 3)),
        case("expand_dims(x, axis=-1)", lambda x: x[..., None], x=(2, 3)),
        case("expand_dims(x, -2)", lambda x: x[:, None, :], x=(2, 3)),
        case("expand_dims(x, 0)", lambda x: np.array([x]), x=()),
    ],
    "squeeze": [
        case("squeeze(x)", lambda x: x[0, :, 0], x=(1, 3, 1)),
        case("squeeze(x, 0)", lambda x: x[0], x=(1, 3, 1)),
        case("squeeze(x, axis=[-1])", lambda x: x[..., 0], x=(1, 3, 1)),
    ],
    "tile": [
        case("tile(x, [2, 1])", lambda x: np.concatenate([x, x]), x=(2, 3)),
        case("tile(x, [3])", lambda x: np.concatenate([x, x, x]), x=(2,)),
        case("tile(x, [2, 2])", lambda x: np.tile(x, [2, 2]), x=(3,)),
        case("tile(x, [2])", lambda x: np.concatenate([x, x], -1), x=(2, 3)),
    ],
    "repeat": [
        case("repeat(x, 2)", lambda x: np.stack([x.ravel()] * 2, -1).ravel(), x=(2, 3)),
        case("repeat(x, 3, axis=0)", lambda x: x[[0, 0, 0, 1, 1, 1]], x=(2, 3)),
        case("repeat(x, [2, 0, 1], -1)", lambda x: x[:, [0, 0, 2]], x=(2, 3)),
    ],
    "concat": [
        case("concat([a, b], 0)", lambda a, b: np.vstack([a, b]), a=(1, 2), b=(3, 2)),
        case("concat([a, b], axis=-1)", lambda a, b: np.hstack([a, b]), a=(2, 1), b=(2, 3)),
        case("concat([x, x*x, 1.0*x], 1)", lambda x: np.hstack([x, x * x, x]), x=(2, 1)),
        case("concat([a, b])", lambda a, b: np.append(a, b), a=(2,), b=(0,)),
    ],
    "stack": [
        case("stack([a, b])", lambda a, b: np.array([a, b]), a=(3,), b=(3,)),
        case("stack([a, b], axis=-1)", lambda a, b: np.array([a, b]).T, a=(3,), b=(3,)),
        case("stack([x, 2*x, x*x], 1)", lambda x: np.stack([x, 2 * x, x * x], 1), x=(2, 2)),
        case("[[a, 1], [b, a*b]]", lambda a, b: np.array([[a, 1], [b, a * b]]), a=(), b=()),
    ],
    "pad": [
        case("pad(x, [[1, 2]])", lambda x: np.array([0, *x, 0, 0]), x=(2,)),
        case("pad(x, [[0, 1], [2, 0]])", lambda x: np.pad(x, [(0, 1), (2, 0)]), x=(2, 3)),
        case("pad(x, [[1, 1]], 7)", lambda x: np.array([7, *x, 7]), x=(3,)),
        case("pad(x, [[1, 1]], constant_values=b)", lambda x, b: np.array([b, *x, b]), x=(3,), b=()),
    ],
    "flip": [
        case("flip(x)", lambda x: x[::-1, ::-1], x=(2, 3)),
        case("flip(x, axis=0)", lambda x: x[::-1], x=(2, 3)),
        case("flip(x, [-1])", lambda x: x[:, ::-1], x=(2, 3)),
    ],
    "roll": [
        case("roll(x, 1)", lambda x: np.concatenate([x[-1:], x[:-1]]), x=(4,)),
        case("roll(x, -1)", lambda x: np.roll(x, -1), x=(2, 3)),
        case("roll(x, 2, axis=-1)", lambda x: x[:, [1, 2, 0]], x=(2, 3)),
        case("roll(x, [1, -1], [0, 1])", lambda x: np.roll(x, (1, -1), (0, 1)), x=(3, 4)),
        case("roll(x, 5, axis=0)", lambda x: x[[1, 0]], x=(2, 3)),
    ],
    "gather": [
        case("gather(x, [2, 0, 0, -1])", pooled, x=(3,)),
        case("gather(x, [2, 0, 0, -1])", pooled, x=(3, 2)),
        case("gather(x, [[0, 1], [1, 1]], axis=-1)", lambda x: x[:, [[0, 1], [1, 1]]], x=(2, 3)),
        case("x[[1, 1, 0]]", lambda x: np.array([x[1], x[1], x[0]]), x=(2, 2)),
        case("x[:, [1, 1, 0]]", lambda x: np.array([x[:, 1], x[:, 1], x[:, 0]]).T, x=(2, 2)),
        case("x[[0, 0]][[1, 1, 1]] * x[0]", lambda x: x[0] * x[[0, 0, 0]], x=(2, 2)),
        case("gather(x, argsort(x))", np.sort, apart, x=(4,)),
        case("x[1:, ::2, newaxis]", lambda x: x[1:, ::2][:, :, None], x=(3, 3)),
        case("x[-1]", lambda x: x[len(x) - 1], x=(3, 2)),
        case("x[::-1] * x", lambda x: x[::-1] * x, x=(3,)),
        case("x[..., 0] + x[1, ..., ::-2]", lambda x: x[:, :, 0] + x[1, :, [2, 0]].T, x=(2, 2, 3)),
    ],
    "scatter_add": [
        case("scatter_add(x, [0, 2, 2], 0, 4)", lambda x: np.array([x[0], 0 * x[0], x[1] + x[2], 0 * x[0]]), x=(3,)),
        case("scatter_add(x, [0, 2, -1], 0, 3)", lambda x: np.array([x[0], 0 * x[0], x[1] + x[2]]), x=(3, 2)),
        case(
            "scatter_add(x, [[0, 1], [1, 1]], 1, 2)",
            lambda x: np.stack([x[:, 0, 0], x[:, 0, 1] + x[:, 1].sum(1)], 1),
            x=(2, 2, 2),
        ),
    ],
    "cummax": [
        case("cummax(x)", np.maximum.accumulate, apart, x=(6,)),
        case("cummax(x, axis=-1)", lambda x: np.maximum.accumulate(x, -1), apart, x=(2, 4)),
        case("cummax(x)", np.maximum.accumulate, apart, x=(0,)),
    ],
    "cummin": [
        case("cummin(x)", np.minimum.accumulate, apart, x=(6,)),
        case("cummin(x, axis=1)", lambda x: np.minimum.accumulate(x, 1), apart, x=(2, 4)),
    ],
    "argcummax": [
        flat("argcummax(x)", lambda x: [int(np.argmax(x[: k + 1])) for k in range(5)], "int64", domain=apart, x=(5,)),
        flat("argcummax([1.0, nan, 2.0, nan])", lambda: [0, 1, 1, 1], "int64"),
        flat("argcummax([2, 1, 2, 3])", lambda: [0, 0, 0, 3], "int64"),
    ],
    "argcummin": [
        flat(
            "argcummin(x, axis=1)",
            lambda x: [[int(np.argmin(r[: k + 1])) for k in range(4)] for r in x],
            "int64",
            domain=apart,
            x=(2, 4),
        ),
    ],
    "quantile": [
        case("quantile(x, 0.3)", lambda x: np.quantile(x, 0.3), apart, x=(5,)),
        case("quantile(x, [0.0, 0.4, 1.0], axis=1)", lambda x: np.quantile(x, [0, 0.4, 1], axis=1), apart, x=(2, 4)),
        case(
            "quantile(x, 0.7, [0, 2], true)", lambda x: np.quantile(x, 0.7, (0, 2), keepdims=True), apart, x=(2, 2, 3)
        ),
        case("quantile(x, 0.5)", lambda x: x[0], apart, x=(1,)),
        case("quantile(x, q)", np.quantile, {"x": apart, "q": (0.3, 0.45)}, x=(3,), q=()),
    ],
    "top_k": [
        case("v, i = top_k(x, 2); v", lambda x: np.sort(x)[[-1, -2]], apart, x=(5,)),
        case("v, i = top_k(x, 3, axis=0); v*v", lambda x: np.sort(x, 0)[::-1] ** 2, apart, x=(3, 2)),
        case("v, i = top_k(x, 1); v + x[:, :1]", lambda x: x.max(1, keepdims=True) + x[:, :1], apart, x=(2, 3)),
        flat("v, i = top_k(x, 2); i", lambda x: np.argsort(-x)[:2], "int64", domain=apart, x=(5,)),
        flat("v, i = top_k([3, 1, 3, 2], 3); i", lambda: [0, 2, 3], "int64"),
    ],
    "meshgrid": [
        case("a, b = meshgrid(x, w); a*b", lambda x, w: np.prod(np.meshgrid(x, w), 0), x=(2,), w=(3,)),
        case(
            'a, b, c = meshgrid(x, w, 1.5, indexing="ij"); a/c + b',
            lambda x, w: (x[:, None] / 1.5 + w)[..., None],
            x=(2,),
            w=(3,),
        ),
        case(
            "a, b, c = meshgrid(x, x, x); a*b*c*c",
            lambda x: np.einsum("abc,b,a,c,c->abc", np.ones((2, 2, 2)), x, x, x, x),
            x=(2,),
        ),
    ],
    "median": [
        case("median(x)", np.median, apart, x=(5,)),
        case("median(x, axis=0)", lambda x: np.median(x, 0), apart, x=(4, 3)),
        case("median(x, keepdims=true)", lambda x: np.median(x, keepdims=True), apart, x=(2, 3)),
    ],
    "searchsorted": [
        flat("searchsorted([-1.0, 0.5, 1.0], x)", lambda x: np.digitize(x, [-1, 0.5, 1]), "int64", x=(2, 3)),
        flat('searchsorted([1, 2, 2, 3], [2, 5], side="right")', lambda: [3, 4], "int64"),
        flat("searchsorted([1, 2, 2, 3], 2)", lambda: 1, "int64"),
    ],
    "interp": [
        case("interp(x, [-1.0, 0.25, 0.75], f)", lambda x, f: np.interp(x, [-1, 0.25, 0.75], f), x=(2, 3), f=(3,)),
        case(
            "interp(0.4, p, f)",
            lambda p, f: np.interp(0.4, p, f),
            {"p": lambda r, n: np.sort(apart(r, n))},
            p=(5,),
            f=(5,),
        ),
        case("interp([-1.0, 3.0], [0.0], f)", lambda f: f[[0, 0]], f=(1,)),
        case("interp(x, [0.0, 1.0], f)", lambda x, f: np.interp(x, [0, 1], f), x=(3,), f=(2,)),
    ],
    "ravel_multi_index": [
        flat("ravel_multi_index([[0, 1], [2, -1]], [2, 3])", lambda: [2, 5], "int64"),
        flat("ravel_multi_index([[[1], [0]], [0, 3]], [2, 4])", lambda: [[4, 7], [0, 3]], "int64"),
        case(
            "x[[0, 1, 0], [2, -1, 2]] + 0*x[ravel_multi_index([0], [1]), 0]",
            lambda x: x[[0, 1, 0], [2, -1, 2]],
            x=(2, 3),
        ),
    ],
    "take_along": [
        case("take_along(x, argsort(x), 0)", np.sort, apart, x=(4,)),
        case("take_along(x, [[1, 0], [0, 1]], -1)", lambda x: np.array([x[0, ::-1], x[1]]), x=(2, 2)),
        case("take_along(x, [[-1, 1, 1, 0]], 1)", lambda x: x[:, [2, 1, 1, 0]], x=(2, 3)),
    ],
    "scatter_along": [
        case("scatter_along(x, [0, 2, -1], 0, 3)", lambda x: np.array([x[0], 0, x[1] + x[2]]), x=(3,)),
        case(
            "scatter_along(x, [[0, 1], [1, 1]], 1, 3)",
            lambda x: np.array([[x[0, 0], x[0, 1], 0], [0, x[1, 0] + x[1, 1], 0]]),
            x=(2, 2),
        ),
    ],
    "expand_delta": [
        case("expand_delta(x, [0, 0])", np.diag, x=(3,)),
        case("expand_delta(x, [0, 1, 0])", lambda x: np.einsum("ij,ik->ijk", x, np.eye(2)), x=(2, 3)),
    ],
    "collect_delta": [
        case("collect_delta(x, [0, 0])", np.diag, x=(3, 3)),
        case("collect_delta(x, [0, 1, 0])", lambda x: np.einsum("iji->ij", x), x=(2, 3, 2)),
    ],
    "sort": [
        case("sort(x)", lambda x: np.array(sorted(x)), apart, x=(5,)),
        case("sort(x)", lambda x: np.sort(x, -1), apart, x=(2, 4)),
        case("sort(x, axis=0)", lambda x: np.sort(x, 0), apart, x=(3, 2)),
        case("sort(x, 1) * x", lambda x: np.sort(x, 1) * x, apart, x=(2, 3, 2)),
    ],
    "argsort": [
        flat("argsort(x)", lambda x: [list(x).index(v) for v in sorted(x)], "int64", domain=apart, x=(5,)),
        flat(
            "argsort(x, axis=0)",
            lambda x: np.array([[list(c).index(v) for v in sorted(c)] for c in x.T]).T,
            "int64",
            domain=apart,
            x=(3, 2),
        ),
    ],
    # creation
    "zeros": [
        flat("zeros([2, 3])", lambda: np.zeros((2, 3)), ("float64", "float32")),
        flat("zeros(3, int32)", lambda: [0, 0, 0], "int32"),
        case("x + zeros([2, 1])", lambda x: np.array([x, x]), x=(2,)),
    ],
    "ones": [
        flat("ones([2, 3])", lambda: np.ones((2, 3)), ("float64", "float32")),
        flat("ones([], dtype=bool)", lambda: True, "bool"),
        case("x * ones([2, 1])", lambda x: np.array([x, x]), x=(2,)),
    ],
    "full": [
        flat("full([2], 2)", lambda: [2, 2], ("int64", "int32")),
        flat("full([1, 2], 2.5)", lambda: [[2.5, 2.5]], ("float64", "float32")),
        case("full([2, 3], x)", lambda x: x * np.ones((2, 3)), x=()),
    ],
    "eye": [
        flat("eye(3)", lambda: np.diag([1, 1, 1]), ("float64", "float32")),
        flat("eye(2, 3, dtype=int64)", lambda: [[1, 0, 0], [0, 1, 0]], "int64"),
        case("x * eye(2)", np.diag, x=(2,)),
    ],
    "arange": [
        flat("arange(4)", lambda: [0, 1, 2, 3], ("int64", "int32")),
        flat("arange(1, 8, 3)", lambda: [1, 4, 7], ("int64", "int32")),
        flat("arange(5, 0, -2)", lambda: [5, 3, 1], ("int64", "int32")),
        flat("arange(0, 1, 0.25)", lambda: [0, 0.25, 0.5, 0.75], ("float64", "float32")),
        flat("arange(3, dtype=float32)", lambda: [0, 1, 2], "float32"),
        flat("arange(2, 1)", list, ("int64", "int32")),
        case("x ^ arange(3)", lambda x: np.array([1, x, x * x]), POSITIVE, x=()),
    ],
    "linspace": [
        flat("linspace(0, 1, 5)", lambda: [0, 0.25, 0.5, 0.75, 1], ("float64", "float32")),
        flat("linspace(1, -1, 3)", lambda: [1, 0, -1], ("float64", "float32")),
        flat("linspace(2, 3, 1)", lambda: [2], ("float64", "float32")),
    ],
    "zeros_like": [flat("zeros_like(x)", lambda x: 0 * x, ("float64", "float32"), x=s) for s in ((), (2, 3))],
    "ones_like": [flat("ones_like(x)", lambda x: 0 * x + 1, ("float64", "float32"), x=s) for s in ((), (2, 3))],
    "random_normal": [
        flat(
            "random_normal([2, 3], seed=7)",
            lambda: np.random.RandomState(7).normal(0, 1, (2, 3)),
            ("float64", "float32"),
        ),
        flat(
            "random_normal([3], 10, 0.5, seed=1)",
            lambda: 10 + 0.5 * np.random.RandomState(1).normal(0, 1, 3),
            ("float64", "float32"),
        ),
        case(
            "random_normal([2, 3], m, s, seed=4)",
            lambda m, s: m + s * np.random.RandomState(4).normal(0, 1, (2, 3)),
            POSITIVE,
            m=(),
            s=(2, 1),
        ),
        case(
            "random_normal([3], stddev=s, seed=4)",
            lambda s: s * np.random.RandomState(4).normal(0, 1, 3),
            POSITIVE,
            s=(3,),
        ),
    ],
    "random_uniform": [
        flat(
            "random_uniform([2, 3], seed=7)",
            lambda: np.random.RandomState(7).uniform(0, 1, (2, 3)),
            ("float64", "float32"),
        ),
        flat(
            "random_uniform([3], -1, 1, seed=1)",
            lambda: 2 * np.random.RandomState(1).uniform(0, 1, 3) - 1,
            ("float64", "float32"),
        ),
        case(
            "random_uniform([2, 3], -a, b, seed=4)",
            lambda a, b: -a + (a + b) * np.random.RandomState(4).uniform(0, 1, (2, 3)),
            POSITIVE,
            a=(3,),
            b=(),
        ),
    ],
    "one_hot": [
        flat("one_hot([0, 2], 3)", lambda: [[1, 0, 0], [0, 0, 1]], ("float64", "float32")),
        flat("one_hot([[1, -1], [5, 0]], 2, dtype=int32)", lambda: [[[0, 1], [0, 0]], [[0, 0], [1, 0]]], "int32"),
        flat("one_hot(argmax(x), 3)", lambda x: np.eye(3)[np.argmax(x)], ("float64", "float32"), x=(3,)),
    ],
    # networks
    "softmax": rowwise("softmax", scipy.special.softmax),
    "log_softmax": rowwise("log_softmax", scipy.special.log_softmax),
    "softmax_cross_entropy": [
        case("softmax_cross_entropy([0, 1, 0], x)", lambda x: -np.log(np.exp(x[1]) / np.sum(np.exp(x))), x=(3,)),
        case(
            "softmax_cross_entropy(a, b)",
            lambda a, b: -np.sum(a * scipy.special.log_softmax(b, -1), -1),
            {"a": (0, 1)},
            a=(2, 3),
            b=(2, 3),
        ),
        case(
            "softmax_cross_entropy(a, b)",
            lambda a, b: -np.sum(a * scipy.special.log_softmax(b, -1), -1),
            a=(3,),
            b=(2, 2, 3),
        ),
        case(
            "softmax_cross_entropy(labels=eye(2), logits=x)",
            lambda x: -np.diag(scipy.special.log_softmax(x, -1)),
            x=(2, 2),
        ),
    ],
    "mse": [
        case("mse(a, b)", lambda a, b: np.sum((a - b) ** 2) / 6, a=(2, 3), b=(2, 3)),
        case("mse(a, b)", lambda a, b: np.sum((a - b) ** 2) / 6, a=(3,), b=(2, 1)),
        case("mse(x, 1)", lambda x: (x - 1) ** 2, x=()),
    ],
    "conv1d": [
        case("conv1d(x, f)", correlated, x=(2, 5, 3), f=(2, 3, 2)),
        case("conv1d(x, f, 2)", lambda x, f: correlated(x, f)[:, ::2], x=(1, 6, 1), f=(3, 1, 2)),
        case(
            'conv1d(x, f, padding="SAME")',
            lambda x, f: correlated(np.pad(x, [(0, 0), (0, 1), (0, 0)]), f),
            x=(1, 4, 2),
            f=(2, 2, 1),
        ),
        case(
            'conv1d(x, f, 2, "SAME")',
            lambda x, f: correlated(np.pad(x, [(1, 1), (0, 0)]), f)[::2],
            x=(5, 2),
            f=(3, 2, 1),
        ),
        case(
            "conv1d(x, f, dilations=2)",
            lambda x, f: correlated(x, f[[0, 0, 1]] * [[[1]], [[0]], [[1]]]),
            x=(1, 5, 1),
            f=(2, 1, 2),
        ),
        case("conv1d(x, f)", lambda x, f: np.zeros((2, 0, 1)), x=(2, 2, 1), f=(3, 1, 1)),
    ],
    "conv2d": [
        case("conv2d(x, f)", correlated, x=(2, 4, 3, 2), f=(2, 2, 2, 3)),
        case("conv2d(x, f, [2, 1])", lambda x, f: correlated(x, f)[:, ::2], x=(1, 5, 3, 1), f=(2, 2, 1, 1)),
        case(
            'conv2d(x, f, 2, "SAME")',
            lambda x, f: correlated(np.pad(x, [(0, 0), (0, 1), (1, 1), (0, 0)]), f)[:, ::2, ::2],
            x=(1, 4, 3, 1),
            f=(3, 3, 1, 1),
        ),
    ],
    # words of the language
    "load": [
        flat('load("data.npy")', lambda: DATA, "float64"),
        Case('x * load("data.npy")', lambda x: x * DATA, shapes={"x": (2,)}, result=("float64", "float64")),
    ],
    "shape": [
        flat("shape(x)", lambda x: [2, 3], ("int64", "int32"), x=(2, 3)),
        flat("shape(x)", lambda x: [], ("int64", "int32"), x=()),
    ],
    "rank": [flat("rank(x)", lambda x: 2, ("int64", "int32"), x=(2, 3))],
    "size": [flat("size(x)", lambda x: 6, ("int64", "int32"), x=(2, 3))],
    "iterate": [
        case("iterate(sin, x, 3)", lambda x: np.sin(np.sin(np.sin(x))), x=(2,)),
        case("iterate(tanh, x, 0) * 2", lambda x: 2 * x, x=(2,)),
        case("iterate(sin, x, 12)", lambda x: reduce(lambda y, _: np.sin(y), range(12), x), x=(2,)),
    ],
    "scan": [case("scan(multiply, a, b)", lambda a, b: b * np.cumprod(a), a=(4,), b=())],
    "map": [case("map(sum, x)", lambda x: x.sum(axis=(1, 2)), x=(3, 2, 2))],
    "odeint": [
        case(
            "odeint(multiply, a, [0.0, 0.05, 0.1], 40)",
            lambda a: a[None] * np.exp(np.array([0, 0.00125, 0.005]))[:, None],
            a=(2,),
        ),
    ],
    "root": [
        case("def f(u) = u*u*u + u - x; root(f, 0.0*x)", inverse_of_cube_and_line, x=(2,)),
        case("def f(u) = u*u*u + u - x; root(f, 1.0) * x", lambda x: inverse_of_cube_and_line(x) * x, x=()),
    ],
    "minimize": [
        case("def f(u) = sum(u*u*u*u/4 + u*u/2 - u*x); minimize(f, 0.0*x)", inverse_of_cube_and_line, x=(2,)),
    ],
    "jacobian": [
        case("s = x*x*x; jacobian(s, x)", lambda x: np.diag(3 * x**2), x=(2,)),
        case(
            "s = square(a @ b); jacobian(s, a)",
            lambda a, b: np.einsum("i,ij,k->ijk", 2 * a @ b, np.eye(2), b),
            a=(2, 3),
            b=(3,),
        ),
    ],
    "hessian": [
        case("s = sum(x*x*x*x); hessian(s, x)", lambda x: np.diag(12 * x**2), x=(3,)),
        case("s = square(x @ x); hessian(s, x)", lambda x: 8 * np.outer(x, x) + 4 * (x @ x) * np.eye(3), x=(3,)),
    ],
    "jvp": [
        case("s = x*x*x; jvp(s, x, v)", lambda x, v: 3 * x**2 * v, x=(2,), v=(2,)),
        case("s = sin(x); jvp(s, x, 1.0)", np.cos, x=()),
    ],
    "hvp": [
        case("s = sum(x*x*x); hvp(s, x, v)", lambda x, v: 6 * x * v, x=(2,), v=(2,)),
        case("s = square(x @ x); hvp(s, x, v)", lambda x, v: 8 * x * (x @ v) + 4 * (x @ x) * v, x=(3,), v=(3,)),
    ],
    "taylor": [
        case("s = x*x*x; taylor(s, x, 3)", lambda x: np.array([x**3, 3 * x**2, 6 * x, 6 + 0 * x]), x=(2,)),
        case("s = exp(2*x); taylor(s, x, 4)", lambda x: np.exp(2 * x) * np.array([1, 2, 4, 8, 16]), x=()),
    ],
    "gradients": [
        case("s = x*x*x; gradients(s, x)", lambda x: 3 * x**2, x=(2,)),
        case("s = x*x*x; gradients(s, x, grad_ys=x)", lambda x: 3 * x**3, x=(2,)),
    ],
}

CASES = [pytest.param(c, id=f"{name}-{i}") for name, specs in SPECS.items() for i, c in enumerate(specs)]
DERIVED = [p for p in CASES if p.values[0].derivative]
FLAT = [p for p in CASES if not p.values[0].derivative]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data")
    np.save(path / "data.npy", DATA)
    return path


@pytest.fixture(autouse=True)
def _in_the_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)


def test_every_operation_of_the_table_has_a_spec():
    missing = {op.name for op in table.values() if not op.hidden} - SPECS.keys()
    assert missing == set(), "an operation wants a line in SPECS of this file, from which all tests of the table run"
    assert SPECS.keys() <= table.keys()


@pytest.mark.parametrize("name", SPECS)
def test_every_spec_uses_its_operation_and_every_alias_is_the_same_operation(name):
    op = table[name]
    for alias in (op.name, *op.aliases):
        assert OPERATIONS[alias] is op
    assert any(f"{name}(" in c.expression for c in SPECS[name])


@pytest.mark.parametrize("spec", CASES)
def test_values_shapes_and_dtypes_agree_with_a_second_way(spec):
    point = spec.point()
    for dtype, result, tolerance in (("float64", spec.result[0], 1e-11), ("float32", spec.result[1], 2e-4)):
        program = gradcli.loads(spec.program(dtype))
        y = program.eval(["y"], {name: x.astype(dtype) for name, x in point.items()})["y"]
        expected = np.asarray(spec.reference(*point.values()))
        assert y.dtype == result
        assert y.shape == expected.shape
        np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("spec", DERIVED)
def test_derivatives_of_orders_1_and_2_agree_with_differences(spec):
    check_gradient(spec.program(), spec.point())


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_arrays_without_entries_have_values_and_gradients(name):
    """Each length of a spec is made 0 in turn; where the shapes still fit, nothing fails in a kernel."""
    for spec in SPECS[name]:
        point = spec.point()
        for length in sorted({n for shape in spec.shapes.values() for n in shape}):
            shapes = {x: tuple([0 if n == length else n for n in shape]) for x, shape in spec.shapes.items()}
            try:
                program = gradcli.loads(replace(spec, shapes=shapes).program())
            except gradcli.GradcliError:
                continue  # they don't fit
            values = {x: np.resize(point[x], shape) for x, shape in shapes.items()}
            y = program.eval(["y"], values)["y"]
            assert (y.shape, y.dtype) == (program.graph.names["y"].shape, spec.result[0])
            for x, g in program.grad(of=["y"], wrt=list(shapes), values=values).items():
                assert g is None or g.shape == shapes[x]


@pytest.mark.slow
@pytest.mark.parametrize("spec", DERIVED)
def test_a_gradient_has_the_shape_and_the_float_dtype_of_its_x(spec):
    point = {name: x.astype("float32") for name, x in spec.point().items()}
    gradients = gradcli.loads(spec.program("float32")).grad(of=["y"], wrt=list(point), values=point)
    for name, x in point.items():
        assert gradients[name] is not None
        assert gradients[name].dtype == "float32"
        assert gradients[name].shape == x.shape


@pytest.mark.parametrize("spec", FLAT)
def test_no_gradient_passes_where_there_is_no_derivative(spec):
    program = gradcli.loads(spec.program())
    if spec.shapes:
        assert set(program.grad(of=["y"], values=spec.point()).values()) == {None}
    else:
        assert program.variables == []


@pytest.mark.parametrize("name", [name for name, op in table.items() if op.example])
def test_the_example_of_the_table_runs(name):
    assert name in table[name].example or name == "array"
    values = gradcli.loads(table[name].example if table[name].several else f"y = {table[name].example}").eval()
    assert len(values) > table[name].several
    assert all(value is not None for value in values.values())


def described(spec: Case, name: str) -> tuple[str, dict[str, Array], list[tuple[str, str]]] | None:
    """A program with what the derivative text of an operation says and what it says it of, and a point; None of words.

    The node is one whose inputs are variables of one shape, with the attributes that it has there.
    """
    graph = gradcli.loads(spec.program()).graph
    node = next((n for n in cone([graph.names["y"]]) if n.op.name == name and n.inputs), None)
    if node is None or any(x.op.name != "leaf" for x in node.inputs) or len({x.shape for x in node.inputs}) > 1:
        return None
    text = describe_derivative(node.op, node)
    if not text.startswith("d") or "(da + da.T)" in text:
        return None
    names = [p.name for p in node.op.parameters if p.kind == "tensor"]
    result = "result" if "y" in names else "y"
    text = text.partition(f" ({result} = ")[0].partition("; ")[0]
    point = {name: spec.point()[str(x.attrs["name"])] for name, x in zip(names, node.inputs, strict=True)}
    lines = [f"variable {n}: {list(x.shape)}" for n, x in zip(names, node.inputs, strict=True)]
    lines += [f"constant d{n} = full({list(x.shape)}, 0.7)" for n, x in zip(names, node.inputs, strict=True)]
    lines.append(f"{result} = {apply(node, [Text(n) for n in names]).text}")
    pairs: list[tuple[str, str]] = []
    if text.startswith("dy = "):
        lines += [f"said = {text[5:]}", f"right = {' + '.join(f'jvp({result}, {n}, d{n})' for n in names)}"]
        pairs.append(("said", "right"))
    else:
        for part in re.split(r", (?=d/d\w+ = )", text):
            n, said = part[3:].split(" = ", 1)
            lines += [
                f"said_{n} = {said} + 0*{n}",
                f'right_{n} = gradients({result}, {n}, unconnected_gradients="zero")',
            ]
            pairs.append((f"said_{n}", f"right_{n}"))
    return "\n".join(lines), point, pairs


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_the_text_of_a_derivative_is_the_derivative(name):
    """With the attributes of the node: of `leaky_relu(x, 0.05)` the slope 0.05."""
    for spec in SPECS[name]:
        if spec.derivative and (found := described(spec, name)) is not None:
            text, point, pairs = found
            values = gradcli.loads(text).eval(values=point)
            for said, right in pairs:
                np.testing.assert_allclose(values[said], values[right], rtol=1e-9, atol=1e-12, err_msg=text)


def test_such_texts_are_found():
    found = {name for name, specs in SPECS.items() for s in specs if s.derivative and described(s, name) is not None}
    assert found >= {
        "leaky_relu",
        "norm",
        "softmax",
        "log_softmax",
        "logsumexp",
        "sin",
        "atan2",
        "pow",
        "det",
        "add",
        "subtract",
        "neg",
        "multiply",
    }
