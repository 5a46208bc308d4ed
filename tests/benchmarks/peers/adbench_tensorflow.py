"""ADBench's problems in TensorFlow's graph mode; as a script ``adbench_tensorflow.py case variables folder`` it prints an answer."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np
import tensorflow as tf
from serving import Data, Job, flat, loaded

Values = dict[str, Any]


def gmm(v: Values) -> Any:
    x, means, gamma, m = v["x"], v["means"], v["gamma"], v["m"]
    (n, d), K = x.shape, means.shape[0]
    q, below = v["icf"][:, :d], v["icf"][:, d:]
    L = tf.gather(tf.concat([below, tf.zeros((K, 1), x.dtype)], 1), v["places"], axis=1)
    centered = x - means[:, None, :]
    z = tf.exp(q)[:, None, :] * centered + tf.matmul(centered, L, transpose_b=True)
    terms = v["alphas"] + tf.reduce_sum(q, 1) - 0.5 * tf.transpose(tf.reduce_sum(z**2, 2))
    p = d + m + 1
    wishart = p * d * (tf.math.log(gamma) - 0.5 * math.log(2)) - 0.25 * d * (d - 1) * math.log(math.pi)
    wishart -= tf.reduce_sum(tf.math.lgamma(0.5 * p - 0.5 * tf.range(d, dtype=x.dtype)))
    squares = tf.reduce_sum(tf.exp(2 * q)) + tf.reduce_sum(below**2)
    prior = 0.5 * gamma**2 * squares - m * tf.reduce_sum(q) - K * wishart
    one = tf.reduce_logsumexp(v["alphas"])
    return tf.reduce_sum(tf.reduce_logsumexp(terms, 1)) - n * one - 0.5 * n * d * math.log(2 * math.pi) + prior


def errors(camera: Any, point: Any, weight: Any, feature: Any) -> Any:
    """The errors of all observations, each a row."""
    r, x = camera[:, :3], point - camera[:, 3:6]
    square = tf.reduce_sum(r**2, 1, keepdims=True)
    angle = tf.sqrt(tf.where(square > 0, square, 1.0))
    axis = r / angle
    along = axis * ((1 - tf.cos(angle)) * tf.reduce_sum(axis * x, 1, keepdims=True))
    turned = x * tf.cos(angle) + tf.linalg.cross(axis, x) * tf.sin(angle) + along
    v = tf.where(square > 0, turned, x + tf.linalg.cross(r, x))
    u = v[:, :2] / v[:, 2:]
    square = tf.reduce_sum(u**2, 1, keepdims=True)
    distorted = u * (1 + camera[:, 9:10] * square + camera[:, 10:] * square**2)
    return weight[:, None] * (distorted * camera[:, 6:7] + camera[:, 7:9] - feature)


def ba(v: Values) -> list[Any]:
    """Each of the two errors of all observations in one backward pass: no other observation has a part in a row."""
    given = [tf.gather(v["cameras"], v["seen"][:, 0]), tf.gather(v["points"], v["seen"][:, 1]), v["weights"]]
    e = errors(*given, v["features"])
    rows = [tf.gradients(e[:, k], given) for k in range(2)]
    return [e, *[tf.stack(both, 1) for both in zip(*rows, strict=True)], 1 - v["weights"] ** 2, -2 * v["weights"]]


def lstm(v: Values) -> Any:
    b = v["state"].shape[1]
    w = tf.reshape(v["main"], (-1, 8, b))
    layers = w.shape[0]

    def step(before: Any, both: Any) -> Any:
        (x, after), states = both, []
        x = x * v["extra"][0]
        for k in range(layers):
            h, c, u = before[2 * k], before[2 * k + 1], w[k]
            forget, taken = tf.sigmoid(x * u[0] + u[4]), tf.sigmoid(h * u[1] + u[5])
            given, change = tf.sigmoid(x * u[2] + u[6]), tf.tanh(h * u[3] + u[7])
            c = c * forget + taken * change
            x = given * tf.tanh(c)
            states += [x, c]
        p = x * v["extra"][1] + v["extra"][2]
        return (*states, tf.reduce_sum(after * (p - tf.math.log(tf.reduce_sum(tf.exp(p)) + 2))))

    sequence = v["sequence"]
    start = (*[v["state"][k] for k in range(2 * layers)], tf.zeros((), sequence.dtype))
    terms = tf.scan(step, (sequence[:-1], sequence[1:]), start)[-1]
    return -tf.reduce_sum(terms) / (b * (sequence.shape[0] - 1))


LOSSES = {"gmm": gmm, "lstm": lstm}


def job_of(request: str, data: Data) -> Job:
    asked = json.loads(request)
    case, names = asked["case"], asked["variables"]
    tensors = {name: tf.constant(value) for name, value in data.items()}
    variables = {name: tensors.pop(name) for name in names}

    @tf.function
    def step(variables: Values) -> Any:
        values = {**variables, **tensors}
        if case == "ba":
            return ba(values)
        value = LOSSES[case](values)
        return [value, *tf.gradients(value, list(variables.values()))]

    return lambda: [np.asarray(x) for x in step(variables)]


if __name__ == "__main__":
    print(*flat(job_of(*loaded(sys.argv))()).tolist())
