"""The Burgers step in TensorFlow: nested tf.gradients in a tf.function, with XLA or without."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from serving import Data, Job

NU = 0.01 / np.pi


def network(weights: Any, x: Any, t: Any) -> Any:
    h = tf.concat([x, t], 1)
    for k in range(0, len(weights) - 2, 2):
        h = tf.tanh(h @ weights[k] + weights[k + 1])
    return h @ weights[-2] + weights[-1]


def job_of(task: str, data: Data) -> Job:
    layers = sum(name.startswith("W") for name in data)
    tensors = {name: tf.constant(value) for name, value in data.items()}
    weights = [tensors[f"{letter}{k}"] for k in range(1, layers + 1) for letter in "Wb"]
    points = [tensors[name] for name in ("x", "t", "xd", "td", "ud")]

    @tf.function(jit_compile=task == "burgers xla")
    def step(weights: Any, x: Any, t: Any, xd: Any, td: Any, ud: Any) -> Any:
        u = network(weights, x, t)
        u_x, u_t = tf.gradients(u, [x, t])
        (u_xx,) = tf.gradients(u_x, x)
        loss = tf.reduce_mean((network(weights, xd, td) - ud) ** 2) + tf.reduce_mean((u_t + u * u_x - NU * u_xx) ** 2)
        return [loss, *tf.gradients(loss, weights)]

    return lambda: step(weights, *points)
