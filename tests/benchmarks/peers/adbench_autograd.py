"""ADBench's problems in autograd; as a script ``adbench_autograd.py case variables folder`` it prints an answer."""

from __future__ import annotations

import json
import sys
from typing import Any

import autograd.numpy as np
from autograd import value_and_grad
from autograd.scipy.special import gammaln, logsumexp
from serving import Data, Job, flat, loaded

Values = dict[str, Any]


def gmm(v: Values) -> Any:
    x, means, gamma, m = v["x"], v["means"], v["gamma"], v["m"]
    (n, d), K = x.shape, len(means)
    q, below = v["icf"][:, :d], v["icf"][:, d:]
    L = np.concatenate([below, np.zeros((K, 1))], axis=1)[:, v["places"]]
    centered = x - means[:, None, :]
    z = np.exp(q)[:, None, :] * centered + np.matmul(centered, np.transpose(L, (0, 2, 1)))
    terms = v["alphas"] + np.sum(q, axis=1) - 0.5 * np.sum(z**2, axis=2).T
    p = d + m + 1
    wishart = p * d * (np.log(gamma) - 0.5 * np.log(2)) - 0.25 * d * (d - 1) * np.log(np.pi)
    wishart = wishart - np.sum(gammaln(0.5 * p - 0.5 * np.arange(d)))
    prior = 0.5 * gamma**2 * (np.sum(np.exp(2 * q)) + np.sum(below**2)) - m * np.sum(q) - K * wishart
    return np.sum(logsumexp(terms, axis=1)) - n * logsumexp(v["alphas"]) - 0.5 * n * d * np.log(2 * np.pi) + prior


def cross(a: Any, b: Any) -> Any:
    a0, a1, a2 = a[:, 0], a[:, 1], a[:, 2]
    b0, b1, b2 = b[:, 0], b[:, 1], b[:, 2]
    return np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=1)


def errors(camera: Any, point: Any, weight: Any, feature: Any) -> Any:
    """The errors of all observations, each a row."""
    r, x = camera[:, :3], point - camera[:, 3:6]
    square = np.sum(r**2, axis=1, keepdims=True)
    angle = np.sqrt(np.where(square > 0, square, 1.0))
    axis = r / angle
    along = axis * ((1 - np.cos(angle)) * np.sum(axis * x, axis=1, keepdims=True))
    turned = x * np.cos(angle) + cross(axis, x) * np.sin(angle) + along
    v = np.where(square > 0, turned, x + cross(r, x))
    u = v[:, :2] / v[:, 2:]
    square = np.sum(u**2, axis=1, keepdims=True)
    distorted = u * (1 + camera[:, 9:10] * square + camera[:, 10:] * square**2)
    return weight[:, None] * (distorted * camera[:, 6:7] + camera[:, 7:9] - feature)


def ba(v: Values) -> list[Any]:
    """Each of the two errors of all observations in one backward pass: no other observation has a part in a row."""
    given = v["cameras"][v["seen"][:, 0]], v["points"][v["seen"][:, 1]], v["weights"]
    rows = []
    for k in range(2):
        row = value_and_grad(lambda given, k=k: np.sum(errors(*given, v["features"])[:, k]))
        rows.append(row(given)[1])
    jacobians = [np.stack(both, axis=1) for both in zip(*rows, strict=True)]
    return [errors(*given, v["features"]), *jacobians, 1 - v["weights"] ** 2, -2 * v["weights"]]


def lstm(v: Values) -> Any:
    b = v["state"].shape[1]
    w = np.reshape(v["main"], (-1, 8, b))
    states = [(v["state"][k], v["state"][k + 1]) for k in range(0, len(v["state"]), 2)]
    total = 0.0
    for x, after in zip(v["sequence"][:-1], v["sequence"][1:], strict=True):
        x = x * v["extra"][0]
        for k, (h, c) in enumerate(states):
            u = w[k]
            forget, taken = sigmoid(x * u[0] + u[4]), sigmoid(h * u[1] + u[5])
            given, change = sigmoid(x * u[2] + u[6]), np.tanh(h * u[3] + u[7])
            c = c * forget + taken * change
            x = given * np.tanh(c)
            states[k] = x, c
        p = x * v["extra"][1] + v["extra"][2]
        total = total + np.sum(after * (p - np.log(np.sum(np.exp(p)) + 2)))
    return -total / (b * (len(v["sequence"]) - 1))


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


LOSSES = {"gmm": gmm, "lstm": lstm}


def job_of(request: str, data: Data) -> Job:
    asked = json.loads(request)
    case, names = asked["case"], asked["variables"]
    variables = {name: data[name] for name in names}
    constants = {name: value for name, value in data.items() if name not in names}
    if case == "ba":
        return lambda: ba({**variables, **constants})
    step = value_and_grad(lambda variables: LOSSES[case]({**variables, **constants}))

    def job() -> Any:
        value, gradients = step(variables)
        return [value, *(gradients[name] for name in names)]

    return job


if __name__ == "__main__":
    print(*flat(job_of(*loaded(sys.argv))()).tolist())
