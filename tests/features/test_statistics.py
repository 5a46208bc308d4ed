"""What special functions and decompositions are for: likelihoods and fits, beside SciPy's and NumPy's numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.signal
import scipy.stats

import gradcli

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(12)
DESIGN = np.column_stack([np.ones(40), RNG.normal(size=(40, 2))])
COUNTS = RNG.negative_binomial(3, 0.4, 40)
CHOICES = (DESIGN @ np.array([0.3, 1.0, -0.7]) + RNG.normal(size=40) > 0).astype(float)
TIMES = np.exp(DESIGN @ np.array([0.5, 0.4, -0.2]) + 0.6 * RNG.normal(size=40))
SEEN = TIMES < 2.5

DATA = {"X": DESIGN}


def program(text: str, **data: Array) -> gradcli.Program:
    declared = "".join(f"constant {name}: {list(x.shape)}\n" for name, x in data.items())
    return gradcli.loads(declared + text, settings=data)


def slopes(f: Callable[[Array], float], at: Array, h: float = 1e-5) -> Array:
    """Central differences of fourth order."""
    rows = np.eye(len(at)) * h
    return np.array([(8 * (f(at + r) - f(at - r)) - f(at + 2 * r) + f(at - 2 * r)) / (12 * h) for r in rows])


def check(text: str, name: str, f: Callable[[Array], float], at: Array, data: dict[str, Array]) -> gradcli.Program:
    """The value at a point, its gradient, and the point where SciPy finds it the least."""
    found = program(text, **data)
    values = {name: at}
    assert found.eval(["loss"], values)["loss"] == pytest.approx(f(at), rel=1e-11)
    np.testing.assert_allclose(found.grad(["loss"], [name], values=values)[name], slopes(f, at), rtol=1e-7, atol=1e-7)
    best = scipy.optimize.minimize(
        lambda x: float(found.eval(["loss"], {name: x})["loss"]), at, method="BFGS",
        jac=lambda x: found.grad(["loss"], [name], values={name: x})[name],
    )  # fmt: skip
    other = scipy.optimize.minimize(
        f, at, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 9000}
    )
    np.testing.assert_allclose(best.x, other.x, rtol=1e-4, atol=1e-4)
    return found


def test_a_negative_binomial_regression() -> None:
    text = """variable b: [4]
mu = exp(X @ b[:3]); r = exp(b[3])
loss = -sum(lgamma(n + r) - lgamma(r) - lgamma(n + 1.0) + r*log(r/(r + mu)) + n*log(mu/(r + mu)))"""

    def loss(b: Array) -> float:
        mu, r = np.exp(DESIGN @ b[:3]), np.exp(b[3])
        return -float(np.sum(scipy.stats.nbinom.logpmf(COUNTS, r, r / (r + mu))))

    check(text, "b", loss, np.array([1.0, 0.1, -0.1, 0.7]), DATA | {"n": COUNTS.astype(float)})


def test_a_probit_with_marginal_effects() -> None:
    text = """variable b: [3]
z = X @ b
loss = -sum(where(y > 0.5, log_ndtr(z), log_ndtr(-z)))
effect = mean(ndtr(z)); slopes = gradients(effect, b)"""

    def loss(b: Array) -> float:
        return -float(np.sum(scipy.stats.norm.logcdf((2 * CHOICES - 1) * (DESIGN @ b))))

    at = np.array([0.2, 0.5, -0.3])
    found = check(text, "b", loss, at, DATA | {"y": CHOICES})
    expected = scipy.stats.norm.pdf(DESIGN @ at) @ DESIGN / 40
    np.testing.assert_allclose(found.eval(["slopes"], {"b": at})["slopes"], expected, rtol=1e-12)


def test_a_censored_log_normal() -> None:
    text = """variable b: [4]
s = exp(b[3]); z = (log(t) - X @ b[:3])/s
loss = -sum(-z^2/2 - log(s*t) - log(2*pi)/2, where=seen > 0) - sum(log_ndtr(-z), where=seen == 0)"""
    times = np.minimum(TIMES, 2.5)

    def loss(b: Array) -> float:
        s, mu = np.exp(b[3]), DESIGN @ b[:3]
        known = scipy.stats.lognorm.logpdf(times, s, scale=np.exp(mu))
        return -float(np.sum(np.where(SEEN, known, scipy.stats.lognorm.logsf(times, s, scale=np.exp(mu)))))

    check(text, "b", loss, np.array([0.4, 0.3, -0.1, -0.4]), DATA | {"t": times, "seen": SEEN.astype(float)})


def test_vibrations_from_the_eigenvalues_of_a_hessian() -> None:
    """Three masses between springs: the squares of the frequencies of a chain are 4 sin^2(k*pi/8), and their slopes by a spring."""
    found = gradcli.loads(
        "variable x: [3] = zeros([3]); variable k = 1.0\n"
        "energy = (k*x[0]^2 + sum((x[1:] - x[:-1])^2) + x[2]^2)/2\nw = eigvalsh(hessian(energy, x))\nslope = jacobian(w, k)"
    ).eval(["w", "slope"])
    modes = np.arange(1, 4) * np.pi / 8
    np.testing.assert_allclose(found["w"], 4 * np.sin(modes) ** 2, rtol=1e-13)
    np.testing.assert_allclose(found["slope"], np.sin(2 * modes) ** 2 / 2, rtol=1e-12)


def test_a_fit_by_singular_values() -> None:
    """Of ridge regression the prediction, and its degrees of freedom with their slope by the penalty."""
    text = """variable c = 0.7
u, s, v = svd(X); shrunk = s^2/(s^2 + c)
fit = u @ (shrunk*(u.T @ t)); freedom = sum(shrunk); slope = gradients(freedom, c)"""
    found = program(text, X=DESIGN, t=TIMES).eval(["fit", "freedom", "slope"])
    inverse = np.linalg.inv(DESIGN.T @ DESIGN + 0.7 * np.eye(3))
    np.testing.assert_allclose(found["fit"], DESIGN @ inverse @ DESIGN.T @ TIMES, rtol=1e-12)
    assert found["freedom"] == pytest.approx(np.trace(DESIGN @ inverse @ DESIGN.T), rel=1e-12)
    assert found["slope"] == pytest.approx(-np.trace(DESIGN @ inverse @ inverse @ DESIGN.T), rel=1e-11)
    least = program("x = lstsq(X, t)", X=DESIGN, t=TIMES).eval(["x"])["x"]
    np.testing.assert_allclose(least, np.linalg.lstsq(DESIGN, TIMES)[0], rtol=1e-12)


def test_a_small_convolution() -> None:
    image, kernel = RNG.normal(size=(6, 5)), RNG.normal(size=(3, 2))
    text = """variable f: [3, 2]
y = conv2d(reshape(x, [1, 6, 5, 1]), reshape(f, [3, 2, 1, 1]))[0, :, :, 0]
loss = sum(relu(y)^2)"""
    found = program(text, x=image)
    y = scipy.signal.correlate2d(image, kernel, mode="valid")
    np.testing.assert_allclose(found.eval(["y"], {"f": kernel})["y"], y, rtol=1e-12)
    expected = scipy.signal.correlate2d(image, 2 * np.maximum(y, 0), mode="valid")
    np.testing.assert_allclose(found.grad(["loss"], ["f"], values={"f": kernel})["f"], expected, rtol=1e-12)
