"""JAX: nested grad and jet for high orders, jax.jit(jax.hessian(f)) for Hessians, programs from text; in float64, compiled.

Large programs alone are not compiled, which would take minutes for a thousand statements.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from serving import Data, Job, NotPossibleError, serve
from text import function_of

jax.config.update("jax_enable_x64", True)

from jax.experimental import jet  # noqa: E402 - after the precision is set

FUNCTIONS = {
    "tanh": lambda x, d: jnp.tanh(2 * x + jnp.sin(x * x)),
    "sigmoid": lambda x, d: jax.nn.sigmoid(3 * x) * jnp.cos(x),
    "network": lambda x, d: jnp.tanh(jnp.tanh(x @ d["A"] + d["b"]) @ d["B"] + d["c"]),
}


def relu_network(w: Any, d: Any) -> Any:
    h = jax.nn.relu(d["X"] @ w)
    last = d["Ws"].shape[0] - 1
    for k in range(last + 1):
        h = h @ d["Ws"][k]
        h = h if k == last else jax.nn.relu(h)
    return jnp.sum((h - d["T"]) ** 2)


def logistic(w: Any, d: Any) -> Any:
    z = d["X"] @ w
    return jnp.sum(jax.nn.softplus(z) - d["t"] * z)


SCALARS = {
    "quadratic": ("x", lambda x, d: jnp.dot(x, d["A"] @ x)),
    "logistic": ("w", logistic),
    "factorisation": ("U", lambda u, d: jnp.sum((d["T"] - u @ d["V"].T) ** 2)),
    "relu": ("W", relu_network),
}


def nested(case: str, n: int) -> Any:
    def f(x: Any, d: Any) -> Any:
        return jnp.sum(FUNCTIONS[case](x, d))

    for _ in range(n):
        f = summed_gradient(f)
    return f


def summed_gradient(f: Any) -> Any:
    return jax.grad(lambda x, d: jnp.sum(f(x, d)))


def by_jet(case: str, n: int) -> Any:
    """The (n-1)-th derivative along ones by Taylor mode, then one gradient: what n nested gradients give."""

    def along(x: Any, d: Any) -> Any:
        if n == 1:
            return jnp.sum(FUNCTIONS[case](x, d))
        series = [jnp.ones_like(x), *[jnp.zeros_like(x)] * (n - 2)]
        _, terms = jet.jet(lambda v: FUNCTIONS[case](v, d), (x,), (series,))
        return jnp.sum(terms[-1])

    return jax.grad(along)


def chain(text: str, gradient: bool, data: Data) -> Job:
    f = function_of(text, ["x"], "y", {"sin": jnp.sin, "tanh": jnp.tanh})
    compiled = jax.jit(jax.grad(lambda x: jnp.sum(f(x))) if gradient else f)
    x = jax.device_put(data["x"])
    return lambda: compiled(x).block_until_ready()


def large(text: str, data: Data) -> Job:
    names = [f"x{k}" for k in range(len(data["x"]))]
    f = function_of(text, names, "y", {"sin": jnp.sin})
    gradient = jax.grad(lambda x: f(*x))
    return lambda: np.array(gradient([float(value) for value in data["x"]]))


def prepare(request: dict[str, Any], data: Data) -> Job:
    case, task = request["case"], request["task"]
    if task in ("values", "gradient"):
        return chain(case, task == "gradient", data)
    if task == "large":
        return large(case, data)
    if task.startswith("burgers"):
        import burgers_jax

        return burgers_jax.job_of(task, data)
    if task.startswith("fit"):
        import fits_jax

        return fits_jax.job_of(task, case, data)
    if task == "loop":
        import loops_jax

        return loops_jax.job_of(case, data)
    if task == "adbench":
        import adbench_jax

        return adbench_jax.job_of(case, data)
    arrays = {name: jax.device_put(value) for name, value in data.items()}
    if task == "hessian":
        name, f = SCALARS[case]
        compiled = jax.jit(jax.hessian(f))
        x = arrays.pop(name)
    elif task == "nested":
        compiled, x = jax.jit(nested(case, request["order"])), arrays.pop("x")
    elif task == "jet":
        compiled, x = jax.jit(by_jet(case, request["order"])), arrays.pop("x")
    else:
        raise NotPossibleError(f"no {task}")
    return lambda: compiled(x, arrays).block_until_ready()


if __name__ == "__main__":
    serve(jax.__version__, prepare, lambda: jax.jit(jax.grad(jnp.tanh))(np.float64(0.5)).block_until_ready())
