"""ADBench's problems in JAX, compiled; as a script ``adbench_jax.py case variables folder`` it prints an answer."""

from __future__ import annotations

import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import gammaln, logsumexp
from serving import Data, Job, flat, loaded

jax.config.update("jax_enable_x64", True)

Values = dict[str, Any]


def gmm(v: Values) -> Any:
    x, means, gamma, m = v["x"], v["means"], v["gamma"], v["m"]
    (n, d), K = x.shape, len(means)
    q, below = v["icf"][:, :d], v["icf"][:, d:]
    L = jnp.take(jnp.concatenate([below, jnp.zeros((K, 1))], axis=1), v["places"], axis=1)
    centered = x - means[:, None, :]
    z = jnp.exp(q)[:, None, :] * centered + centered @ jnp.transpose(L, (0, 2, 1))
    terms = v["alphas"] + jnp.sum(q, axis=1) - 0.5 * jnp.sum(z**2, axis=2).T
    p = d + m + 1
    wishart = p * d * (jnp.log(gamma) - 0.5 * jnp.log(2)) - 0.25 * d * (d - 1) * jnp.log(jnp.pi)
    wishart -= jnp.sum(gammaln(0.5 * p - 0.5 * jnp.arange(d)))
    prior = 0.5 * gamma**2 * (jnp.sum(jnp.exp(2 * q)) + jnp.sum(below**2)) - m * jnp.sum(q) - K * wishart
    return jnp.sum(logsumexp(terms, axis=1)) - n * logsumexp(v["alphas"]) - 0.5 * n * d * jnp.log(2 * jnp.pi) + prior


def rotated(r: Any, x: Any) -> Any:
    square = jnp.sum(r**2)
    angle = jnp.sqrt(jnp.where(square > 0, square, 1.0))
    axis = r / angle
    turned = x * jnp.cos(angle) + jnp.cross(axis, x) * jnp.sin(angle) + axis * ((1 - jnp.cos(angle)) * (axis @ x))
    return jnp.where(square > 0, turned, x + jnp.cross(r, x))


def error(camera: Any, point: Any, weight: Any, feature: Any) -> Any:
    v = rotated(camera[:3], point - camera[3:6])
    u = v[:2] / v[2]
    square = u @ u
    distorted = u * (1 + camera[9] * square + camera[10] * square**2)
    return weight * (distorted * camera[6] + camera[7:9] - feature)


def ba(v: Values) -> list[Any]:
    def errors_twice(*values: Any) -> Any:
        e = error(*values)
        return e, e

    camera, point = v["cameras"][v["seen"][:, 0]], v["points"][v["seen"][:, 1]]
    rows = jax.vmap(jax.jacrev(errors_twice, argnums=(0, 1, 2), has_aux=True))
    jacobians, errors = rows(camera, point, v["weights"], v["features"])
    return [errors, *jacobians, 1 - v["weights"] ** 2, -2 * v["weights"]]


def lstm(v: Values) -> Any:
    b = v["state"].shape[1]
    w = v["main"].reshape(-1, 8, b)

    def step(state: Any, both: Any) -> Any:
        (x, after), states = both, []
        x = x * v["extra"][0]
        for (h, c), u in zip(state, w, strict=True):
            forget, taken = jax.nn.sigmoid(x * u[0] + u[4]), jax.nn.sigmoid(h * u[1] + u[5])
            given, change = jax.nn.sigmoid(x * u[2] + u[6]), jnp.tanh(h * u[3] + u[7])
            c = c * forget + taken * change
            x = given * jnp.tanh(c)
            states.append((x, c))
        p = x * v["extra"][1] + v["extra"][2]
        return states, jnp.sum(after * (p - jnp.log(jnp.sum(jnp.exp(p)) + 2)))

    start = [(v["state"][k], v["state"][k + 1]) for k in range(0, len(v["state"]), 2)]
    _, terms = lax.scan(step, start, (v["sequence"][:-1], v["sequence"][1:]))
    return -jnp.sum(terms) / (b * (len(v["sequence"]) - 1))


LOSSES = {"gmm": gmm, "lstm": lstm}


def job_of(request: str, data: Data) -> Job:
    asked = json.loads(request)
    case, names = asked["case"], asked["variables"]
    arrays = {name: jax.device_put(value) for name, value in data.items()}
    variables = {name: arrays.pop(name) for name in names}
    if case == "ba":
        jacobian = jax.jit(lambda variables, constants: ba({**variables, **constants}))
        return lambda: jax.block_until_ready(jacobian(variables, arrays))
    step = jax.jit(jax.value_and_grad(lambda variables, constants: LOSSES[case]({**variables, **constants})))

    def job() -> Any:
        value, gradients = jax.block_until_ready(step(variables, arrays))
        return [value, *(gradients[name] for name in names)]

    return job


if __name__ == "__main__":
    print(*flat(job_of(*loaded(sys.argv))()).tolist())
