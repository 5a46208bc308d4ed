"""TensorFlow: nested tf.gradients in a graph, run in a session; array programs as a tf.function, with XLA or without."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from serving import Data, Job, NotPossibleError, serve
from text import function_of

tf1 = tf.compat.v1

FUNCTIONS = {
    "tanh": lambda x, d: tf.tanh(2 * x + tf.sin(x * x)),
    "sigmoid": lambda x, d: tf.sigmoid(3 * x) * tf.cos(x),
    "network": lambda x, d: tf.tanh(tf.tanh(x @ d["A"] + d["b"]) @ d["B"] + d["c"]),
}


def job_of(case: str, n: int, data: Data) -> Job:
    graph = tf.Graph()
    with graph.as_default():
        x = tf1.placeholder(tf.float64, data["x"].shape)
        constants = {name: tf.constant(value) for name, value in data.items() if name != "x"}
        g = FUNCTIONS[case](x, constants)
        for _ in range(n):
            (g,) = tf1.gradients(g, x)
        session = tf1.Session(graph=graph)
    return lambda: session.run(g, {x: data["x"]})


def chain(text: str, gradient: bool, xla: bool, data: Data) -> Job:
    f = function_of(text, ["x"], "y", {"sin": tf.sin, "tanh": tf.tanh})
    x = tf.constant(data["x"])

    @tf.function(jit_compile=xla)
    def run(x: Any) -> Any:
        return tf.gradients(f(x), x)[0] if gradient else f(x)

    return lambda: run(x)  # it waits; numpy() would copy


def prepare(request: dict[str, Any], data: Data) -> Job:
    task, _, xla = request["task"].partition(" ")
    if task in ("values", "gradient"):
        return chain(request["case"], task == "gradient", xla == "xla", data)
    if task == "burgers":
        import burgers_tensorflow

        return burgers_tensorflow.job_of(request["task"], data)
    if task == "fit":
        import fits_tensorflow

        return fits_tensorflow.job_of(xla == "xla", request["case"], data)
    if task == "adbench":
        import adbench_tensorflow

        return adbench_tensorflow.job_of(request["case"], data)
    if task != "nested":
        raise NotPossibleError(f"no {task}")
    return job_of(request["case"], request["order"], data)


if __name__ == "__main__":
    import numpy as np

    serve(tf.__version__, prepare, lambda: job_of("tanh", 1, {"x": np.ones(4)})())
