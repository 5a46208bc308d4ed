"""The samples of ``gradcli fit`` in JAX: compiled functions for SciPy's minimizers, or a compiled step of descent."""

from __future__ import annotations

from typing import Any

import burgers_jax
import jax
import jax.numpy as jnp
import numpy as np
from fitting import Fit, minimized, squares
from serving import Data, Job


def exams(p: Any, d: Any) -> Any:
    z = d["X"] @ p["w"] + p["b"]
    return jnp.sum(jax.nn.softplus(z) - d["passed"] * z)


def spiral(p: Any, d: Any) -> Any:
    z = jnp.tanh(d["points"] @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
    return jnp.mean(jax.nn.softplus(z) - d["arm"] * z)


def rosenbrock(p: Any, d: Any) -> Any:
    x = p["x"]
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def factorisation(p: Any, d: Any) -> Any:
    apart = p["overall"] + p["reader"] + p["book"] + p["taste"] @ p["style"] - d["ratings"]
    weight = sum(jnp.sum(p[name] ** 2) for name in ("taste", "style", "reader", "book"))
    return jnp.sum(d["train"] * apart**2) / 2 + 0.5 * weight


def decay(p: Any, d: Any) -> Any:
    start, rate, background = p["p"]
    return (start * jnp.exp(-rate * d["t"]) + background - d["counts"]) / jnp.sqrt(d["counts"])


def burgers(residual: Any) -> Any:
    def loss(p: Any, d: Any) -> Any:
        def network(x: Any, t: Any) -> Any:
            h = jnp.concatenate([x, t], axis=-1)
            for k in "123":
                h = jnp.tanh(h @ p[f"W{k}"] + p[f"b{k}"])
            return h @ p["W4"]

        def u(x: Any, t: Any) -> Any:
            return -jnp.sin(jnp.pi * x) + t * (1 - x**2) * (network(x, t) - network(-x, t))

        return jnp.mean(residual(u, d["x"], d["t"]) ** 2)

    return loss


def parabola(p: Any, d: Any) -> Any:
    return (p["x"] - 1) ** 2


def pair(p: Any, d: Any) -> Any:
    return jax.lax.stop_gradient(p["w1"] * 3) * p["w2"]


LOSSES = {
    "exam_classifier": exams,
    "spiral": spiral,
    "rosenbrock_minimum": rosenbrock,
    "factorisation": factorisation,
    "exponential_fit": decay,
    "burgers_network": burgers(burgers_jax.backward),
    "parabola": parabola,
    "pair": pair,
}


def job_of(task: str, case: str, data: Data) -> Job:
    fit = Fit(case, data)
    loss = burgers(burgers_jax.forward) if task == "fit forward" else LOSSES[fit.program]
    d = {name: jax.device_put(value) for name, value in fit.constants.items()}
    if fit.method in ("sgd", "adam"):
        return descent(fit, loss, d)
    places = list(fit.places())

    def f(x: Any, d: Any) -> Any:
        return loss({name: x[place].reshape(shape) for name, place, shape in places}, d)

    if fit.method == "least-squares":
        values, matrix = jax.jit(f), jax.jit(jax.jacfwd(f))
        return squares(fit, lambda x: np.asarray(values(x, d)), lambda x: np.asarray(matrix(x, d)))
    both = jax.jit(jax.value_and_grad(f))
    along = jax.jit(lambda x, v, d: jax.jvp(lambda x: jax.grad(f)(x, d), (x,), (v,))[1])

    def pair_of(x: Any) -> Any:
        value, gradient = both(x, d)
        return float(value), np.asarray(gradient)

    return minimized(fit, pair_of, lambda x, v: np.asarray(along(x, v, d)))


def descent(fit: Fit, loss: Any, d: Any) -> Job:
    """A step is one call, which knows by its number which rows and which rate; nobody looks at the loss in between."""
    rates = jnp.array(fit.rates())
    rows = d.pop("rows", None)

    def gradient(k: Any, p: Any, d: Any) -> Any:
        return jax.grad(loss)(p, {**d, **{name: d[name][rows[k]] for name in fit.batched}})

    def sgd(state: Any, d: Any) -> Any:
        k, p = state
        g = gradient(k, p, d)
        return k + 1, {name: p[name] - rates[k] * g[name] for name in p}

    def adam(state: Any, d: Any) -> Any:
        k, p, m, v = state
        g = gradient(k, p, d)
        m = {name: 0.9 * m[name] + 0.1 * g[name] for name in p}
        v = {name: 0.999 * v[name] + 0.001 * g[name] ** 2 for name in p}
        rate, fair = rates[k] / (1 - 0.9 ** (k + 1)), 1 - 0.999 ** (k + 1)
        return k + 1, {name: p[name] - rate * m[name] / (jnp.sqrt(v[name] / fair) + 1e-8) for name in p}, m, v

    step = jax.jit(sgd if fit.method == "sgd" else adam)
    p = {name: jax.device_put(value) for name, value in fit.start.items()}
    nothing = jax.tree.map(jnp.zeros_like, p)
    start = (jnp.asarray(0), p) if fit.method == "sgd" else (jnp.asarray(0), p, nothing, nothing)

    def job() -> Any:
        state = start
        for _ in range(fit.steps):
            state = step(state, d)
        found = jax.block_until_ready(state)[1]
        return [found[name] for name in fit.start]

    return job
