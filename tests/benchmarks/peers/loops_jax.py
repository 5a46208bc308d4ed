"""The loops in JAX, as scans, compiled; as a script ``loops_jax.py case variables folder`` it prints an answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from serving import Data, Job, flat, loaded

jax.config.update("jax_enable_x64", True)

Values = dict[str, Any]


def recurrence(d: Values) -> Any:
    def step(s: Any, u: Any) -> Any:
        s = jnp.tanh(d["a"] * s + d["b"] * u)
        return s, s

    _, s = lax.scan(step, 0.0, d["u"])
    return jnp.mean(s**2)


def garch(d: Values) -> Any:
    mu, omega, alpha, beta = d["p"]
    e2 = (d["r"] - mu) ** 2
    before = jnp.mean(e2)

    def step(h: Any, e2: Any) -> Any:
        h = omega + alpha * e2 + beta * h
        return h, h

    _, h = lax.scan(step, before, jnp.concatenate([before[None], e2[:-1]]))
    return jnp.sum(jnp.log(h) + e2 / h) / 2


def lstm(d: Values) -> Any:
    n = len(d["out"])

    def cell(state: Any, x: Any) -> Any:
        h, c = state
        z = jnp.concatenate([x, h], axis=1) @ d["W"] + d["b"]
        c = jax.nn.sigmoid(z[:, n : 2 * n]) * c + jax.nn.sigmoid(z[:, :n]) * jnp.tanh(z[:, 3 * n :])
        return (jax.nn.sigmoid(z[:, 2 * n : 3 * n]) * jnp.tanh(c), c), None

    nothing = jnp.zeros((d["x"].shape[1], n))
    (h, _), _ = lax.scan(cell, (nothing, nothing), d["x"])
    return jnp.mean((h @ d["out"] - d["target"]) ** 2)


def kalman(d: Values) -> Any:
    F, Q, noise = jnp.array([[1.0, 1.0], [0.0, 1.0]]), jnp.diag(jnp.exp(d["q"])), jnp.exp(d["r"])

    def step(state: Any, y: Any) -> Any:
        m, P = state
        m, P = F @ m, F @ P @ F.T + Q
        S = P[0, 0] + noise
        K = P[:, 0] / S
        e = y - m[0]
        return (m + K * e, P - jnp.outer(K, P[0])), jnp.log(S) + e**2 / S

    _, terms = lax.scan(step, (jnp.zeros(2), 100.0 * jnp.eye(2)), d["flow"])
    return jnp.sum(terms) / 2


def sir(d: Values) -> Any:
    def rates(u: Any) -> Any:
        new, gone = d["p"][0] * u[0] * u[1], d["p"][1] * u[1]
        return jnp.stack([-new, new - gone, gone])

    def step(u: Any, h: Any) -> Any:
        k1 = rates(u)
        k2 = rates(u + h / 2 * k1)
        k3 = rates(u + h / 2 * k2)
        k4 = rates(u + h * k3)
        u = u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return u, u[1]

    start = jnp.array([0.999, 0.001, 0.0])
    _, sick = lax.scan(step, start, jnp.diff(d["t"]))
    return jnp.mean(jnp.append(sick, start[1]))


LOSSES: dict[str, Callable[[Values], Any]] = {
    "recurrence": recurrence,
    "garch": garch,
    "lstm": lstm,
    "kalman": kalman,
    "sir": sir,
}


def job_of(request: str, data: Data) -> Job:
    asked = json.loads(request)
    loss, names = LOSSES[asked["case"]], asked["variables"]
    arrays = {name: jax.device_put(value) for name, value in data.items()}
    variables = {name: arrays.pop(name) for name in names}
    step = jax.jit(jax.value_and_grad(lambda variables, constants: loss({**variables, **constants})))

    def job() -> Any:
        value, gradients = jax.block_until_ready(step(variables, arrays))
        return [value, *(gradients[name] for name in names)]

    return job


if __name__ == "__main__":
    print(*flat(job_of(*loaded(sys.argv))()).tolist())
