"""Gradients and Hessians of functions of matrices beside JAX's own, of quantities that no choice of signs changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradcli

pytestmark = pytest.mark.slow

A = np.array([[2.0, 0.3, -0.4], [0.1, 1.5, 0.6], [-0.2, 0.5, 1.1]])
SYMMETRIC = "S = A @ A.T + diag([1.0, 2.0, 4.0]); "

CASES: dict[str, tuple[str, Callable[..., Any]]] = {
    "cholesky": (SYMMETRIC + "y = sum(cholesky(S) * W)", lambda n, j, S, A, W: n.sum(n.linalg.cholesky(S) * W)),
    "cross": ("y = sum(cross(A, W)^2)", lambda n, j, S, A, W: n.sum(n.cross(A, W) ** 2)),
    "det": ("y = det(A)^2", lambda n, j, S, A, W: n.linalg.det(A) ** 2),
    "eigh": (
        SYMMETRIC + "values, vectors = eigh(S); y = sum(sin(values)) + sum((vectors * vectors)[:, 0] * W[0])",
        lambda n, j, S, A, W: (lambda e: n.sum(n.sin(e[0])) + n.sum(e[1][:, 0] ** 2 * W[0]))(n.linalg.eigh(S)),
    ),
    "eigvalsh": (SYMMETRIC + "y = sum(eigvalsh(S) * W[0])", lambda n, j, S, A, W: n.sum(n.linalg.eigvalsh(S) * W[0])),
    "expm": ("y = sum(expm(A) * W)", lambda n, j, S, A, W: n.sum(j.scipy.linalg.expm(A) * W)),
    "inv": ("y = sum(inv(A) * W)", lambda n, j, S, A, W: n.sum(n.linalg.inv(A) * W)),
    "kron": ("y = sum(kron(A, W)^3)", lambda n, j, S, A, W: n.sum(n.kron(A, W) ** 3)),
    "lstsq": (
        "y = sum(lstsq(A[:, :2], W[0])^2)",
        lambda n, j, S, A, W: n.sum(n.linalg.solve(A[:, :2].T @ A[:, :2], A[:, :2].T @ W[0]) ** 2),
    ),
    "matrix_power": (
        "y = sum(matrix_power(A, 5) * W)",
        lambda n, j, S, A, W: n.sum(n.linalg.matrix_power(A, 5) * W),
    ),
    "pinv": ("y = sum(pinv(A[:, :2]) * W[:2])", lambda n, j, S, A, W: n.sum(n.linalg.pinv(A[:, :2]) * W[:2])),
    "qr": (
        "q, r = qr(A); y = sum((q * q) * W) + sum((r * r) * W)",
        lambda n, j, S, A, W: (lambda f: n.sum(f[0] ** 2 * W) + n.sum(f[1] ** 2 * W))(n.linalg.qr(A)),
    ),
    "slogdet": ("s, l = slogdet(A); y = s * l^2", lambda n, j, S, A, W: (lambda f: f[0] * f[1] ** 2)(n.linalg.slogdet(A))),
    "solve": ("y = sum(solve(A, W)^2)", lambda n, j, S, A, W: n.sum(n.linalg.solve(A, W) ** 2)),
    "svd": (
        "u, s, v = svd(A); y = sum(u[:, 0] * u[:, 0] * W[0]) + sum(v[:, 1] * v[:, 1] * W[1]) + sum(s * W[2])",
        lambda n, j, S, A, W: (
            lambda f: n.sum(f[0][:, 0] ** 2 * W[0]) + n.sum(f[2][1] ** 2 * W[1]) + n.sum(f[1] * W[2])
        )(n.linalg.svd(A, full_matrices=False)),
    ),
    "svdvals": ("y = sum(svdvals(A[:, :2])^3)", lambda n, j, S, A, W: n.sum(j.numpy.linalg.svd(A[:, :2], compute_uv=False) ** 3)),
}  # fmt: skip


@pytest.fixture(scope="module")
def jax():
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        yield jax


@pytest.mark.parametrize("name", CASES)
def test_gradients_and_hessians_are_those_of_jax(jax: Any, name: str) -> None:
    text, function = CASES[name]
    W = np.cos(np.arange(9.0)).reshape(3, 3)

    def loss(A: Any) -> Any:
        S = A @ A.T + np.diag([1.0, 2.0, 4.0])
        return function(jax.numpy, jax, S, A, W)

    program = gradcli.loads(f"variable A: [3, 3]\nconstant W: [3, 3]\n{text}", settings={"A": A, "W": W})
    value, gradient, hessian = jax.jit(lambda A: (loss(A), jax.grad(loss)(A), jax.hessian(loss)(A)))(A)
    np.testing.assert_allclose(program.eval(["y"])["y"], value, rtol=1e-12)
    np.testing.assert_allclose(program.grad(["y"], ["A"])["A"], gradient, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(program.hessian(["y"], ["A"])["A"]["A"], hessian, rtol=1e-8, atol=1e-10)
