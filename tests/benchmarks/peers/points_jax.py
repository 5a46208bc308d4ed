"""Values or gradients of one function at every row of a CSV file with jax.vmap: ``points_jax.py eval|grad rows.csv``."""

import sys

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)


def f(x, y, z):
    return (jnp.sin(x * y + z) * x - 0.5 * jnp.tanh(z)) / (1.5 + y * y)


command, path = sys.argv[1:]
columns = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2).T
if command == "eval":
    np.savetxt(sys.stdout, np.asarray(jax.jit(jax.vmap(f))(*columns)), fmt="%.17g", header="f", comments="")
else:
    gradient = jax.jit(jax.vmap(jax.grad(f, argnums=(0, 1, 2))))
    rows = np.column_stack([np.asarray(g) for g in gradient(*columns)])
    np.savetxt(sys.stdout, rows, fmt="%.17g", delimiter=",", header="x,y,z", comments="")
