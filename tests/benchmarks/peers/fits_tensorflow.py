"""The samples of ``gradcli fit`` in TensorFlow: tf.functions for SciPy's minimizers, or a tf.function that does a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from fitting import Fit, minimized, squares
from serving import Data, Job

NU = 0.01 / np.pi


def exams(p: Any, d: Any) -> Any:
    z = tf.linalg.matvec(d["X"], p["w"]) + p["b"]
    return tf.reduce_sum(tf.math.softplus(z) - d["passed"] * z)


def spiral(p: Any, d: Any) -> Any:
    z = tf.linalg.matvec(tf.tanh(d["points"] @ p["W1"] + p["b1"]), p["W2"]) + p["b2"]
    return tf.reduce_mean(tf.math.softplus(z) - d["arm"] * z)


def rosenbrock(p: Any, d: Any) -> Any:
    x = p["x"]
    return tf.reduce_sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def factorisation(p: Any, d: Any) -> Any:
    apart = p["overall"] + p["reader"] + p["book"] + p["taste"] @ p["style"] - d["ratings"]
    weight = sum(tf.reduce_sum(p[name] ** 2) for name in ("taste", "style", "reader", "book"))
    return tf.reduce_sum(d["train"] * apart**2) / 2 + 0.5 * weight


def decay(p: Any, d: Any) -> Any:
    start, rate, background = tf.unstack(p["p"])
    return (start * tf.exp(-rate * d["t"]) + background - d["counts"]) / tf.sqrt(d["counts"])


def burgers(p: Any, d: Any) -> Any:
    x, t = d["x"], d["t"]

    def network(x: Any, t: Any) -> Any:
        h = tf.concat([x, t], 1)
        for k in "123":
            h = tf.tanh(h @ p[f"W{k}"] + p[f"b{k}"])
        return h @ p["W4"]

    u = -tf.sin(np.pi * x) + t * (1 - x**2) * (network(x, t) - network(-x, t))
    u_x, u_t = tf.gradients(u, [x, t])
    (u_xx,) = tf.gradients(u_x, x)
    return tf.reduce_mean((u_t + u * u_x - NU * u_xx) ** 2)


def parabola(p: Any, d: Any) -> Any:
    return (p["x"] - 1) ** 2


def pair(p: Any, d: Any) -> Any:
    return tf.stop_gradient(p["w1"] * 3) * p["w2"]


LOSSES = {
    "exam_classifier": exams,
    "spiral": spiral,
    "rosenbrock_minimum": rosenbrock,
    "factorisation": factorisation,
    "exponential_fit": decay,
    "burgers_network": burgers,
    "parabola": parabola,
    "pair": pair,
}


def job_of(xla: bool, case: str, data: Data) -> Job:
    fit = Fit(case, data)
    loss = LOSSES[fit.program]
    d = {name: tf.constant(value) for name, value in fit.constants.items()}
    if fit.method in ("sgd", "adam"):
        return descent(fit, xla, loss, d)
    places = list(fit.places())
    vector = tf.TensorSpec([fit.vector().size], tf.float64)

    def f(x: Any) -> Any:
        return loss({name: tf.reshape(x[place], shape) for name, place, shape in places}, d)

    @tf.function(input_signature=[vector], jit_compile=xla)
    def values(x: Any) -> Any:
        return f(x)

    @tf.function(input_signature=[vector], jit_compile=xla)
    def both(x: Any) -> Any:
        y = f(x)
        return y, tf.gradients(y, x)[0]

    @tf.function(input_signature=[vector, vector], jit_compile=xla)
    def along(x: Any, v: Any) -> Any:
        return tf.gradients(tf.reduce_sum(tf.gradients(f(x), x)[0] * v), x)[0]

    @tf.function(input_signature=[vector], jit_compile=xla)
    def matrix(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.jacobian(y, x)

    def pair_of(x: Any) -> Any:
        value, gradient = both(tf.constant(x))
        return float(value.numpy()), gradient.numpy()

    if fit.method == "least-squares":
        return squares(fit, lambda x: values(tf.constant(x)).numpy(), lambda x: matrix(tf.constant(x)).numpy())
    return minimized(fit, pair_of, lambda x, v: along(tf.constant(x), tf.constant(v)).numpy())


def descent(fit: Fit, xla: bool, loss: Any, d: Any) -> Job:
    """A step is one call that changes variables; its number, a variable too, tells which rows and which rate."""
    rates = tf.constant(fit.rates(), tf.float64)
    rows = d.pop("rows", None)
    start = {name: tf.constant(value) for name, value in fit.start.items()}
    p = {name: tf.Variable(value) for name, value in start.items()}
    m = {name: tf.Variable(tf.zeros_like(value)) for name, value in start.items()}
    v = {name: tf.Variable(tf.zeros_like(value)) for name, value in start.items()}
    number = tf.Variable(0, dtype=tf.int64)

    @tf.function(jit_compile=xla)
    def step() -> None:
        k = number.read_value()
        t = tf.cast(k + 1, tf.float64)
        rate = tf.gather(rates, k)  # XLA compiles a[k] anew for each k
        seen = {**d, **{name: tf.gather(d[name], tf.gather(rows, k)) for name in fit.batched}}
        read = {name: x.read_value() for name, x in p.items()}
        gradients = tf.gradients(loss(read, seen), list(read.values()))
        for name, g in zip(read, gradients, strict=True):
            if g is None:
                continue
            if fit.method == "sgd":
                p[name].assign_sub(rate * g)
                continue
            mean = m[name].assign(0.9 * m[name] + 0.1 * g)
            square = v[name].assign(0.999 * v[name] + 0.001 * g**2)
            p[name].assign_sub(rate / (1 - 0.9**t) * mean / (tf.sqrt(square / (1 - 0.999**t)) + 1e-8))
        number.assign_add(1)

    def job() -> Any:
        number.assign(0)
        for name, value in start.items():
            p[name].assign(value)
            m[name].assign(tf.zeros_like(value))
            v[name].assign(tf.zeros_like(value))
        for _ in range(fit.steps):
            step()
        return [x.numpy() for x in p.values()]

    return job
