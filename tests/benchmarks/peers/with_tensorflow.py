"""TensorFlow: nested tf.gradients in a graph, run in a session."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from serving import Data, Job, NotPossibleError, serve

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


def prepare(request: dict[str, Any], data: Data) -> Job:
    if request["task"] != "nested":
        raise NotPossibleError(f"no {request['task']}")
    return job_of(request["case"], request["order"], data)


if __name__ == "__main__":
    import numpy as np

    serve(tf.__version__, prepare, lambda: job_of("tanh", 1, {"x": np.ones(4)})())
