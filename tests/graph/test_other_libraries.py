"""Functions of NumPy, SciPy's special functions, densities and linear algebra in gradcli's words: values and gradients.

The names are those whose gradients the tests of the autograd project cover (test_numpy, test_systematic, test_linalg,
test_scipy). ``WORDS`` has what a program writes for each, as gradcli has it or as a formula of a line; ``WITHOUT`` has
the others, and why.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.signal
import scipy.special as sp
import scipy.stats as st

import gradcli

Array = Any

POINT = {
    "v": np.array([0.4, -1.2, 0.7, 2.1]),
    "w": np.array([1.3, 0.2, -0.5, 0.8]),
    "p": np.array([0.3, 0.9, 1.7, 2.5]),
    "q": np.array([0.15, 0.4, 0.63, 0.91]),
    "A": np.array([[2.0, 0.3, -0.4], [0.1, 1.5, 0.6], [-0.2, 0.5, 1.1]]),
    "B": np.array([[0.5, -1.0, 2.0, 0.1], [1.5, 0.7, -0.3, 0.9]]),
    "T": np.linspace(-1.0, 1.3, 24).reshape(2, 3, 4) ** 3,
}
"""Any numbers in v and w, positive ones in p, numbers between 0 and 1 in q, a regular matrix, a matrix, a tensor."""

SPD = "(A @ A.T + eye(3))"


def spd(A: Array) -> Array:
    return A @ A.T + np.eye(3)


WORDS: dict[str, tuple[str, Callable[..., Array]]] = {
    # arrays
    "append": ("concat([v, w], axis=0)", lambda v, w: np.append(v, w)),
    "array": ("stack([v[0], w[1], 2.0])", lambda v, w: np.array([v[0], w[1], 2.0])),
    "array_split": ("v[:2] * v[2:]", lambda v: np.multiply(*np.array_split(v, 2))),
    "atleast_2d": ("expand_dims(v, 0)", lambda v: np.atleast_2d(v)),
    "clip": ("clip(v, -1.0, 0.5)", lambda v: np.clip(v, -1, 0.5)),
    "column_stack": ("stack([v, w], axis=1)", lambda v, w: np.column_stack([v, w])),
    "concatenate": ("concatenate([B, B^2], axis=1)", lambda B: np.concatenate([B, B**2], axis=1)),
    "cumsum": ("cumsum(B, axis=1)", lambda B: np.cumsum(B, axis=1)),
    "diag": ("diag(v)", lambda v: np.diag(v)),
    "diagonal": ('einsum("ii->i", A)', lambda A: np.diagonal(A)),
    "diff": ("v[1:] - v[:-1]", lambda v: np.diff(v)),
    "einsum": ('einsum("abc,dc->abd", T, B)', lambda T, B: np.einsum("abc,dc->abd", T, B)),
    "expand_dims": ("expand_dims(v, 1)", lambda v: np.expand_dims(v, 1)),
    "flatten, ravel": ("reshape(B, [-1])", lambda B: B.ravel()),
    "fliplr": ("flip(B, axis=1)", lambda B: np.fliplr(B)),
    "flipud": ("flip(B, axis=0)", lambda B: np.flipud(B)),
    "gradient": (
        "concat([v[1:2] - v[:1], (v[2:] - v[:-2])/2, v[-1:] - v[-2:-1]], axis=0)",
        lambda v: np.gradient(v),
    ),
    "hsplit": ("B[:, :2] * B[:, 2:]", lambda B: np.multiply(*np.hsplit(B, 2))),
    "hstack": ("concat([v, w], axis=0)", lambda v, w: np.hstack([v, w])),
    "index with a slice": ("T[0, ::2, 1:]", lambda T: T[0, ::2, 1:]),
    "index with integers": ("B[1, [0, 3, 3]]", lambda B: B[1, [0, 3, 3]]),
    "linspace": ("linspace(0.0, 1.0, 5) * v[0]", lambda v: np.linspace(0, 1, 5) * v[0]),
    "make_diagonal": ("diag(w)", lambda w: np.diag(w)),
    "max": ("max(B, axis=0)", lambda B: np.max(B, axis=0)),
    "mean": ("mean(T, axis=[0, 2])", lambda T: np.mean(T, axis=(0, 2))),
    "min": ("min(B)", lambda B: np.min(B)),
    "moveaxis": ("transpose(T, [1, 2, 0])", lambda T: np.moveaxis(T, 0, -1)),
    "nan_to_num": ("where(isfinite(v), v, 0)", lambda v: np.nan_to_num(v)),
    "pad": ("pad(B, [[1, 0], [0, 2]])", lambda B: np.pad(B, [(1, 0), (0, 2)])),
    "partition": ("sort(v)", lambda v: np.partition(v, (0, 1, 2, 3))),
    "prod": ("prod(B, axis=1)", lambda B: np.prod(B, axis=1)),
    "repeat": ("repeat(B, 2, axis=1)", lambda B: np.repeat(B, 2, axis=1)),
    "reshape": ("reshape(B, [4, 2])", lambda B: np.reshape(B, (4, 2))),
    "roll": ("roll(B, 1, axis=1)", lambda B: np.roll(B, 1, axis=1)),
    "rollaxis": ("transpose(T, [2, 0, 1])", lambda T: np.rollaxis(T, 2)),
    "rot90": ("flip(transpose(B), axis=0)", lambda B: np.rot90(B)),
    "select": (
        "where(v > 1, v^2, where(v > 0, 3*v, w))",
        lambda v, w: np.select([v > 1, v > 0], [v**2, 3 * v], w),
    ),
    "sort": ("sort(B, axis=0)", lambda B: np.sort(B, axis=0)),
    "split": ("v[:1] * v[1:2]", lambda v: np.multiply(*np.split(v, 4)[:2])),
    "dsplit": ("T[:, :, :2] + T[:, :, 2:]", lambda T: np.add(*np.dsplit(T, 2))),
    "squeeze": ("squeeze(reshape(v, [1, 4, 1]))", lambda v: np.squeeze(v.reshape(1, 4, 1))),
    "stack": ("stack([v, w], axis=0)", lambda v, w: np.stack([v, w])),
    "std": ("std(B, axis=1)", lambda B: np.std(B, axis=1)),
    "sum": ("sum(T, axis=1)", lambda T: np.sum(T, axis=1)),
    "swapaxes": ("transpose(T, [0, 2, 1])", lambda T: np.swapaxes(T, 1, 2)),
    "tile": ("tile(B, [2, 1])", lambda B: np.tile(B, (2, 1))),
    "trace": ("trace(A)", lambda A: np.trace(A)),
    "transpose": ("transpose(T)", lambda T: np.transpose(T)),
    "tril": ("tril(A)", lambda A: np.tril(A)),
    "triu": ("triu(A, 1)", lambda A: np.triu(A, 1)),
    "var with ddof": ("var(B) * 8 / 7", lambda B: np.var(B, ddof=1)),
    "vsplit": ("B[:1] * B[1:]", lambda B: np.multiply(*np.vsplit(B, 2))),
    "vstack": ("stack([v, w], axis=0)", lambda v, w: np.vstack([v, w])),
    "where": ("where(v > w, v^2, w)", lambda v, w: np.where(v > w, v**2, w)),
    # elementwise
    "abs, fabs": ("abs(v)", lambda v: np.abs(v)),
    "arccosh": ("arccosh(1 + p)", lambda p: np.arccosh(1 + p)),
    "arcsinh": ("arcsinh(v)", lambda v: np.arcsinh(v)),
    "arctanh": ("arctanh(q)", lambda q: np.arctanh(q)),
    "ceil": ("ceil(v) * w", lambda v, w: np.ceil(v) * w),
    "cos": ("cos(v)", lambda v: np.cos(v)),
    "cosh": ("cosh(v)", lambda v: np.cosh(v)),
    "deg2rad, radians": ("v * (pi/180)", lambda v: np.deg2rad(v)),
    "rad2deg, degrees": ("v * (180/pi)", lambda v: np.rad2deg(v)),
    "exp": ("exp(v)", lambda v: np.exp(v)),
    "exp2": ("exp2(v)", lambda v: np.exp2(v)),
    "expm1": ("expm1(v)", lambda v: np.expm1(v)),
    "floor": ("floor(v) * w", lambda v, w: np.floor(v) * w),
    "fmax, maximum": ("maximum(v, w)", lambda v, w: np.fmax(v, w)),
    "fmin, minimum": ("minimum(v, w)", lambda v, w: np.fmin(v, w)),
    "log": ("log(p)", lambda p: np.log(p)),
    "log10": ("log10(p)", lambda p: np.log10(p)),
    "log1p": ("log1p(p)", lambda p: np.log1p(p)),
    "log2": ("log2(p)", lambda p: np.log2(p)),
    "logaddexp": ("logaddexp(v, w)", lambda v, w: np.logaddexp(v, w)),
    "logaddexp2": ("logaddexp(v*log(2.0), w*log(2.0)) / log(2.0)", lambda v, w: np.logaddexp2(v, w)),
    "mod, remainder": ("mod(v, p)", lambda v, p: np.mod(v, p)),
    "power": ("p ^ v", lambda p, v: np.power(p, v)),
    "sign": ("sign(v) * w", lambda v, w: np.sign(v) * w),
    "sin": ("sin(v)", lambda v: np.sin(v)),
    "sinc": ("sinc(v)", lambda v: np.sinc(v)),
    "sinh": ("sinh(v)", lambda v: np.sinh(v)),
    "sqrt": ("sqrt(p)", lambda p: np.sqrt(p)),
    "square": ("square(v)", lambda v: np.square(v)),
    "tan": ("tan(v)", lambda v: np.tan(v)),
    "tanh": ("tanh(v)", lambda v: np.tanh(v)),
    "true_divide": ("v / p", lambda v, p: np.true_divide(v, p)),
    # linear algebra
    "cholesky": (f"cholesky{SPD}", lambda A: np.linalg.cholesky(spd(A))),
    "cross": ("cross(A[0], A[1])", lambda A: np.cross(A[0], A[1])),
    "det": ("det(A)", lambda A: np.linalg.det(A)),
    "dot": ("dot(v, w)", lambda v, w: np.dot(v, w)),
    "eigh": (f"eigvalsh{SPD}", lambda A: np.linalg.eigvalsh(spd(A))),
    "inner": ("B @ transpose(B)", lambda B: np.inner(B, B)),
    "inv": ("inv(A)", lambda A: np.linalg.inv(A)),
    "kron": ("kron(A, B)", lambda A, B: np.kron(A, B)),
    "matmul": ("T @ transpose(B)", lambda T, B: np.matmul(T, B.T)),
    "norm": ("norm(B)", lambda B: np.linalg.norm(B)),
    "norm, nuclear": ("sum(svdvals(B))", lambda B: np.linalg.norm(B, "nuc")),
    "norm of an order": ("sum(abs(v)^3)^(1/3)", lambda v: np.linalg.norm(v, 3)),
    "outer": ("outer(v, w)", lambda v, w: np.outer(v, w)),
    "pinv": ("pinv(B)", lambda B: np.linalg.pinv(B)),
    "slogdet": ("logabsdet(A)", lambda A: np.linalg.slogdet(A)[1]),
    "solve": ("solve(A, p[:3])", lambda A, p: np.linalg.solve(A, p[:3])),
    "solve_banded": (
        "solve([[p[0] + 2, v[0], 0.0], [v[1], p[1] + 2, v[2]], [0.0, v[3], p[2] + 2]], w[:3])",
        lambda p, v, w: scipy.linalg.solve_banded(
            (1, 1), np.array([[0, v[0], v[2]], [p[0] + 2, p[1] + 2, p[2] + 2], [v[1], v[3], 0]]), w[:3]
        ),
    ),
    "solve_sylvester": (
        "reshape(solve(kron(A, eye(3)) + kron(eye(3), A.T), reshape(A^2, [9])), [3, 3])",
        lambda A: scipy.linalg.solve_sylvester(A, A, A**2),
    ),
    "sqrtm of a symmetric matrix": (
        "(basis * sqrt(squares)) @ basis.T",
        lambda A: np.real(scipy.linalg.sqrtm(spd(A))),
    ),
    "svd": ("svdvals(B)", lambda B: np.linalg.svd(B, compute_uv=False)),
    "tensordot": ('einsum("abc,abd->cd", T, T[:, :, :2])', lambda T: np.tensordot(T, T[:, :, :2], ((0, 1), (0, 1)))),
    # special functions
    "beta": ("beta(p, 1.5)", lambda p: sp.beta(p, 1.5)),
    "betainc": ("betainc(1.2, 2.3, q)", lambda q: sp.betainc(1.2, 2.3, q)),
    "betaln": ("betaln(p, 1.5)", lambda p: sp.betaln(p, 1.5)),
    "digamma, psi": ("digamma(p)", lambda p: sp.digamma(p)),
    "erf": ("erf(v)", lambda v: sp.erf(v)),
    "erfc": ("erfc(v)", lambda v: sp.erfc(v)),
    "erfcinv": ("-ndtri(q/2) / sqrt(2.0)", lambda q: sp.erfcinv(q)),
    "erfinv": ("erfinv(q)", lambda q: sp.erfinv(q)),
    "expit": ("expit(v)", lambda v: sp.expit(v)),
    "gamma": ("gamma(p)", lambda p: sp.gamma(p)),
    "gammainc": ("gammainc(1.7, p)", lambda p: sp.gammainc(1.7, p)),
    "gammaincc": ("gammaincc(1.7, p)", lambda p: sp.gammaincc(1.7, p)),
    "gammaln": ("gammaln(p)", lambda p: sp.gammaln(p)),
    "i0": ("bessel_i0e(v) * exp(abs(v))", lambda v: sp.i0(v)),
    "i1": ("bessel_i1e(v) * exp(abs(v))", lambda v: sp.i1(v)),
    "ive": ("bessel_ie(1, v)", lambda v: sp.ive(1, v)),
    "j0": ("j0(v)", lambda v: sp.j0(v)),
    "j1": ("j1(v)", lambda v: sp.j1(v)),
    "jn": ("jn(2, v)", lambda v: sp.jn(2, v)),
    "logit": ("logit(q)", lambda q: sp.logit(q)),
    "logsumexp": ("logsumexp(B, axis=1)", lambda B: sp.logsumexp(B, axis=1)),
    "multigammaln": (
        "0.5*log(pi) + lgamma(p + 1) + lgamma(p + 0.5)",
        lambda p: np.array([sp.multigammaln(x + 1, 2) for x in p]),
    ),
    "polygamma": ("polygamma(2, p)", lambda p: sp.polygamma(2, p)),
    "rgamma": ("1 / gamma(p)", lambda p: sp.rgamma(p)),
    # densities and distributions
    "beta.cdf": ("betainc(1.2, 2.3, q)", lambda q: st.beta.cdf(q, 1.2, 2.3)),
    "beta.logpdf": ("0.2*log(q) + 1.3*log1p(-q) - lbeta(1.2, 2.3)", lambda q: st.beta.logpdf(q, 1.2, 2.3)),
    "chi2.cdf": ("gammainc(1.5, p/2)", lambda p: st.chi2.cdf(p, 3)),
    "chi2.logpdf": ("0.5*log(p) - p/2 - lgamma(1.5) - 1.5*log(2.0)", lambda p: st.chi2.logpdf(p, 3)),
    "dirichlet.logpdf": (
        "sum((p - 1) * log_softmax(v)) - sum(lgamma(p)) + lgamma(sum(p))",
        lambda p, v: st.dirichlet.logpdf(sp.softmax(v), p),
    ),
    "gamma.cdf": ("gammainc(1.7, p)", lambda p: st.gamma.cdf(p, 1.7)),
    "gamma.logpdf": ("0.7*log(p) - p - lgamma(1.7)", lambda p: st.gamma.logpdf(p, 1.7)),
    "multivariate_normal.entropy": (
        f"0.5*logdet{SPD} + 1.5*log(2*pi) + 1.5",
        lambda A: st.multivariate_normal.entropy(np.zeros(3), spd(A)),
    ),
    "multivariate_normal.logpdf": (
        f"-0.5*dot(v[:3], solve({SPD}, v[:3])) - 0.5*logdet{SPD} - 1.5*log(2*pi)",
        lambda A, v: st.multivariate_normal.logpdf(v[:3], np.zeros(3), spd(A)),
    ),
    "norm.cdf": ("ndtr(v)", lambda v: st.norm.cdf(v)),
    "norm.logcdf": ("log_ndtr(v)", lambda v: st.norm.logcdf(v)),
    "norm.logpdf": ("-0.5*v^2 - 0.5*log(2*pi)", lambda v: st.norm.logpdf(v)),
    "norm.logsf": ("log_ndtr(-v)", lambda v: st.norm.logsf(v)),
    "norm.pdf": ("exp(-0.5*v^2) / sqrt(2*pi)", lambda v: st.norm.pdf(v)),
    "norm.sf": ("ndtr(-v)", lambda v: st.norm.sf(v)),
    "poisson.cdf": ("gammaincc(3.0, p)", lambda p: st.poisson.cdf(2, p)),
    "poisson.logpmf": ("2*log(p) - p - lgamma(3.0)", lambda p: st.poisson.logpmf(2, p)),
    "t.cdf": (
        "where(v < 0, 0.5*betainc(1.5, 0.5, 3/(3 + v^2)), 1 - 0.5*betainc(1.5, 0.5, 3/(3 + v^2)))",
        lambda v: st.t.cdf(v, 3),
    ),
    "t.logpdf": (
        "lgamma(2.0) - lgamma(1.5) - 0.5*log(3*pi) - 2*log1p(v^2/3)",
        lambda v: st.t.logpdf(v, 3),
    ),
    # signals and differential equations
    "convolve": (
        "reshape(conv1d(reshape(B[0], [1, 4, 1]), reshape(flip(w[:2], 0), [2, 1, 1])), [3])",
        lambda B, w: scipy.signal.convolve(B[0], w[:2], "valid"),
    ),
    "odeint": (
        "odeint(f, v[:2], linspace(0.0, 1.0, 101))[-1]",
        lambda v, p: scipy.integrate.odeint(
            lambda y, t: [y[1], -p[0] * y[0]], v[:2], np.linspace(0, 1, 101), rtol=1e-12, atol=1e-12
        )[-1],
    ),
}

WITHOUT = {
    "angle, conj, imag, real": "numbers are real",
    "fft and its kin": "numbers are real",
    "eig": "eigenvalues of a matrix that is not symmetric are complex",
    "sqrtm": "of a symmetric matrix by eigh; of others it may be complex",
    "y0, y1, yn": "Bessel functions of the second kind are not in the table",
    "iv": "of orders 0 and 1 only",
    "gammasgn": "the sign of gamma(x), `sign(gamma(x))`; it has no derivative",
    "array of objects, boxes, len, dtype": "a program's values are arrays of numbers",
}

DECLARED = "".join(f"variable {name}: {list(x.shape)}\n" for name, x in POINT.items())
BEFORE = f"""def f(y, t) = stack([y[1], -p[0]*y[0]])
squares, basis = eigh{SPD}
"""


def arguments(function: Callable[..., Array], at: dict[str, Array]) -> list[Array]:
    code = function.__code__
    return [at[name] for name in code.co_varnames[: code.co_argcount]]


@pytest.fixture(scope="module")
def program() -> gradcli.Program:
    lines = [f"value{k} = {text}\n" for k, (text, _) in enumerate(WORDS.values())]
    weighed = []
    for k, (_, function) in enumerate(WORDS.values()):
        weights = np.cos(np.arange(np.size(value := function(*arguments(function, POINT))))).reshape(np.shape(value))
        weighed.append(f"sum{k} = sum(value{k} * {json.dumps(weights.tolist())})\n")
    return gradcli.loads(DECLARED + BEFORE + "".join(lines + weighed), settings=POINT)


@pytest.mark.parametrize("name", WORDS)
def test_the_words_for_a_function_have_its_values_and_gradients(program: gradcli.Program, name: str) -> None:
    k = list(WORDS).index(name)
    function = WORDS[name][1]
    value = np.asarray(function(*arguments(function, POINT)))
    weights = np.cos(np.arange(value.size)).reshape(value.shape)
    loose = 1e-7 if name == "odeint" else 1e-12  # Runge and Kutta's method of 100 steps
    np.testing.assert_allclose(program.eval([f"value{k}"])[f"value{k}"], value, rtol=loose, atol=loose)
    gradients = program.grad([f"sum{k}"])
    rng = np.random.default_rng(k)
    used = function.__code__.co_varnames[: function.__code__.co_argcount]
    for x in used:
        direction = rng.standard_normal(POINT[x].shape)

        def along(step: float, x: str = x, direction: Array = direction) -> float:
            return float(np.sum(weights * function(*arguments(function, {**POINT, x: POINT[x] + step * direction}))))

        h = 1e-4
        numeric = (8 * (along(h) - along(-h)) - along(2 * h) + along(-2 * h)) / (12 * h)
        found = gradients[x]
        slope = 0.0 if found is None else float(np.sum(found * direction))
        assert slope == pytest.approx(numeric, rel=1e-6, abs=1e-7)


def test_every_function_is_told_once() -> None:
    assert not set(WORDS) & set(WITHOUT)
    assert len(WORDS) >= 130
