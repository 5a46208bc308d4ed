"""The problems of ADBench: a mixture of Gaussians, bundle adjustment and an LSTM, from their definitions.

Source: F. Srajer, Z. Kukelova, A. Fitzgibbon, *A benchmark of selected algorithmic differentiation tools on some problems in
computer vision and machine learning* (2018). The data are made here in ADBench's shapes, from a seed. A mixture and an LSTM
have a value and its gradient; bundle adjustment has the two errors and the weight's of each observation, and their
Jacobian as ADBench counts it, a row of 15 numbers for each error.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.loops import Problem, cold, warm
from tests.benchmarks.setting import Setting
from tests.benchmarks.table import Row, Target

PEERS = {
    "JAX": "adbench_jax.py",
    "PyTorch": "adbench_torch.py",
    "TensorFlow": "adbench_tensorflow.py",
    "autograd": "adbench_autograd.py",
}
TASK = "adbench"

SHORT = 1e-3
"""Seconds of an answer below which half of JAX's speed is asked for."""

Array = Any

GMM = """\
K, d = shape(means)
n = shape(x)[0]
q = icf[:, :d]
l = icf[:, d:]
L = take(concat([l, zeros([K, 1])], axis=1), places, axis=1)
centered = x - means[:, newaxis, :]
z = exp(q)[:, newaxis, :]*centered + centered @ transpose(L, [0, 2, 1])
terms = alphas + sum(q, axis=1) - 0.5*transpose(sum(z^2, axis=2))
p = d + m + 1.0
wishart = p*d*(log(gamma) - 0.5*log(2)) - 0.25*d*(d - 1)*log(pi) - sum(lgamma(0.5*p - 0.5*arange(1.0*d)))
prior = 0.5*gamma^2*(sum(exp(2*q)) + sum(l^2)) - m*sum(q) - K*wishart
y = sum(logsumexp(terms, axis=1)) - n*logsumexp(alphas) - 0.5*n*d*log(2*pi) + prior
"""

BA = """\
def rotated(r, x) = {
    square = sum(r^2)
    angle = sqrt(square)
    axis = r/angle
    turned = x*cos(angle) + cross(axis, x)*sin(angle) + axis*((1 - cos(angle))*sum(axis*x))
    where(square > 0, turned, x + cross(r, x))
}
def error(camera, point, weight, feature) = {
    v = rotated(camera[:3], point - camera[3:6])
    u = v[:2]/v[2]
    square = sum(u^2)
    distorted = u*(1 + camera[9]*square + camera[10]*square^2)
    weight*(distorted*camera[6] + camera[7:9] - feature)
}
def rows(camera, point, weight, feature) = {
    e = error(camera, point, weight, feature)
    e, jacobian(e, camera), jacobian(e, point), jacobian(e, weight)
}
camera = gather(cameras, seen[:, 0])
point = gather(points, seen[:, 1])
errors, by_camera, by_point, by_weight = map(rows, camera, point, weights, features)
weight_errors = 1 - weights^2
by_own_weight = -2*weights
"""

LSTM = """\
b = shape(state)[1]
def gates(w, h, c, x) = {
    forget = sigmoid(x*w[0] + w[4])
    taken = sigmoid(h*w[1] + w[5])
    given = sigmoid(x*w[2] + w[6])
    change = tanh(h*w[3] + w[7])
    kept = c*forget + taken*change
    given*tanh(kept), kept
}
"""


def gmm(d: int, K: int, n: int) -> Problem:
    """``K`` normal distributions in ``d`` dimensions for ``n`` points; ``icf`` holds the logarithms of the diagonals of the inverse covariances' factors, and then what is below these, column by column."""
    random = np.random.RandomState(4)
    below = d * (d - 1) // 2
    places = np.full((d, d), below)
    columns, rows = np.triu_indices(d, 1)
    places[rows, columns] = np.arange(below)
    variables = {
        "alphas": random.normal(size=K),
        "means": random.uniform(size=(K, d)),
        "icf": random.normal(size=(K, d + below)) / max(d, 4) ** 0.5,
    }
    constants = {"x": random.normal(size=(n, d)), "places": places, "gamma": np.array(1.0), "m": np.array(0.0)}
    return Problem("gmm", f"GMM, d = {d}, K = {K}, n = {n:,}", GMM, variables, constants, PEERS, task=TASK, of_jax=5)


def ba(cameras: int, points: int, observations: int) -> Problem:
    """Cameras have a rotation, a centre, a focal length, a principal point and two numbers of distortion."""
    random = np.random.RandomState(5)
    camera = [0.3 * random.normal(size=(cameras, 3)), random.normal(size=(cameras, 3)) - [0, 0, 9]]
    camera += [random.uniform(800, 1000, (cameras, 1)), random.normal(size=(cameras, 2))]
    camera += [0.01 * random.normal(size=(cameras, 2))]
    variables = {
        "cameras": np.concatenate(camera, axis=1),
        "points": random.normal(size=(points, 3)),
        "weights": random.uniform(0.5, 1, observations),
    }
    seen = np.stack([random.randint(cameras, size=observations), random.randint(points, size=observations)], axis=1)
    constants = {"seen": seen, "features": 100 * random.normal(size=(observations, 2))}
    return Problem(
        "ba",
        f"BA, {cameras} cameras, {points:,} points, {observations:,} observations",
        BA,
        variables,
        constants,
        PEERS,
        task=TASK,
        of_jax=5,
        results=("errors", "by_camera", "by_point", "by_weight", "weight_errors", "by_own_weight"),
    )


def lstm(layers: int, characters: int, bits: int = 14) -> Problem:
    """Of each layer and unit four weights and four biases; ``extra`` are the weights of inputs and outputs, and biases."""
    random = np.random.RandomState(6)
    variables = {"main": random.normal(size=(2 * layers, 4 * bits)), "extra": random.normal(size=(3, bits))}
    constants = {
        "state": random.normal(size=(2 * layers, bits)),
        "sequence": random.randint(2, size=(characters, bits)).astype(float),
    }
    title = f"LSTM, {layers} layers, {characters:,} characters"
    return Problem("lstm", title, LSTM + _layers(layers), variables, constants, PEERS, task=TASK, of_jax=5)


def _layers(count: int) -> str:
    """The network of so many layers, and its loss."""
    every = range(count)
    states = ", ".join([f"h{k}, c{k}" for k in every])
    after = ", ".join([f"n{k}, k{k}" for k in every])
    cells = [f"    n{k}, k{k} = gates(w[{k}], h{k}, c{k}, {f'n{k - 1}' if k else 'x*extra[0]'})\n" for k in every]
    starts = ", ".join([f"state[{k}]" for k in range(2 * count)])
    ends = ", ".join([f"_h{k}, _c{k}" for k in every])
    return f"""\
w = reshape(main, [{count}, 8, b])
def step({states}, _term, x, next) = {{
{"".join(cells)}\
    p = n{count - 1}*extra[1] + extra[2]
    {after}, sum(next*(p - log(sum(exp(p)) + 2)))
}}
{ends}, terms = scan(step, [sequence[:-1], sequence[1:]], [{starts}, 0.0])
y = -sum(terms)/(b*(shape(sequence)[0] - 1))
"""


def problems(setting: Setting) -> list[Problem]:
    """Those of a run."""
    size = setting.size
    mixtures = [gmm(d, K, size(1000)) for d, K in ((2, 10), (10, 25), (64, 25))]
    adjustments = [ba(49, size(7776), size(31843)), ba(161, size(48126), size(182072))]
    return [*mixtures, *adjustments, lstm(2, size(1024))]


def section(setting: Setting) -> tuple[list[Row], list[Target]]:
    """All rows of this section."""
    rows: list[Row] = []
    targets: list[Target] = []
    for problem in problems(setting):
        path = problem.written(setting.folder / problem.case)
        more, measured = warm(problem, path, setting)
        rows += setting.noted(more)
        ratio, short = measured.ratio("JAX", "gradcli"), (measured.median("gradcli") or 0) < SHORT
        of = f"{problem.title}, warm, JAX compiled to gradcli"
        targets.append(Target(of, 0.5 if short else 1, ratio, at_least=True))
        more, limits = cold(problem, path, setting)
        rows += setting.noted(more)
        targets += limits
    return rows, targets
