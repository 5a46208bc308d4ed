"""The Burgers step in JAX, compiled: inner derivatives of the whole batch backward (grad) or forward (jvp)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from serving import Data, Job

NU = 0.01 / np.pi

Solution = Callable[[Any, Any], Any]
"""u of x and t."""


def network(weights: Any, x: Any, t: Any) -> Any:
    h = jnp.concatenate([x, t], axis=-1)
    *hidden, (W, b) = weights
    for V, c in hidden:
        h = jnp.tanh(h @ V + c)
    return h @ W + b


def forward(u: Solution, x: Any, t: Any) -> Any:
    ones = jnp.ones_like(x)

    def along_x(x: Any) -> Any:
        return jax.jvp(lambda x: u(x, t), (x,), (ones,))

    (value, u_x), (_, u_xx) = jax.jvp(along_x, (x,), (ones,))
    _, u_t = jax.jvp(lambda t: u(x, t), (t,), (ones,))
    return u_t + value * u_x - NU * u_xx


def backward(u: Solution, x: Any, t: Any) -> Any:
    def total(x: Any, t: Any) -> Any:
        value = u(x, t)
        return jnp.sum(value), value

    def slope(x: Any) -> Any:
        (u_x, u_t), value = jax.grad(total, argnums=(0, 1), has_aux=True)(x, t)
        return jnp.sum(u_x), (value, u_x, u_t)

    u_xx, (value, u_x, u_t) = jax.grad(slope, has_aux=True)(x)
    return u_t + value * u_x - NU * u_xx


RESIDUALS: dict[str, Callable[..., Any]] = {"burgers": backward, "burgers forward": forward}


def job_of(task: str, data: Data) -> Job:
    layers = sum(name.startswith("W") for name in data)
    arrays = {name: jax.device_put(value) for name, value in data.items()}
    weights = [(arrays[f"W{k}"], arrays[f"b{k}"]) for k in range(1, layers + 1)]
    points = [arrays[name] for name in ("x", "t", "xd", "td", "ud")]
    residual = RESIDUALS[task]

    def loss(weights: Any, x: Any, t: Any, xd: Any, td: Any, ud: Any) -> Any:
        apart = network(weights, xd, td) - ud
        return jnp.mean(apart**2) + jnp.mean(residual(lambda x, t: network(weights, x, t), x, t) ** 2)

    step = jax.jit(jax.value_and_grad(loss))

    def job() -> Any:
        value, gradients = jax.block_until_ready(step(weights, *points))
        return [value, *(g for layer in gradients for g in layer)]

    return job
