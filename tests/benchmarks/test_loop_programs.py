"""The loops compute what Python's loops compute, and their gradients are slopes of it; nothing here looks at a clock."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tests.benchmarks import loops

SMALL = [loops.recurrence(30), loops.garch(30), loops.lstm(5, 7, 3, inputs=2), loops.kalman(30), loops.sir(30)]


def recurrence(d):
    s, total = 0.0, 0.0
    for u in d["u"]:
        s = np.tanh(d["a"] * s + d["b"] * u)
        total += s**2
    return total / len(d["u"])


def garch(d):
    mu, omega, alpha, beta = d["p"]
    e2 = (d["r"] - mu) ** 2
    h = before = e2.mean()
    total = 0.0
    for e in e2:
        h = omega + alpha * before + beta * h
        total += (np.log(h) + e / h) / 2
        before = e
    return total


def lstm(d):
    n = len(d["out"])
    h = c = np.zeros((d["x"].shape[1], n))
    for x in d["x"]:
        i, f, o, new = np.split(np.concatenate([x, h], axis=1) @ d["W"] + d["b"], 4, axis=1)
        c = c / (1 + np.exp(-f)) + np.tanh(new) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
    return np.mean((h @ d["out"] - d["target"]) ** 2)


def kalman(d):
    """The density of the observations as one normal distribution, without a filter; twice minus its logarithm is halved."""
    n = len(d["flow"])
    F, Q = np.array([[1.0, 1.0], [0.0, 1.0]]), np.diag(np.exp(d["q"]))
    powers = [np.linalg.matrix_power(F, k) for k in range(n + 1)]
    covariance = np.exp(d["r"]) * np.eye(n)
    for s in range(1, n + 1):
        for t in range(1, n + 1):
            shared = powers[s] @ (100.0 * np.eye(2)) @ powers[t].T
            for k in range(1, min(s, t) + 1):
                shared += powers[s - k] @ Q @ powers[t - k].T
            covariance[s - 1, t - 1] += shared[0, 0]
    _, logdet = np.linalg.slogdet(covariance)
    return (logdet + d["flow"] @ np.linalg.solve(covariance, d["flow"])) / 2


def sir(d):
    def rates(u):
        new, gone = d["p"][0] * u[0] * u[1], d["p"][1] * u[1]
        return np.array([-new, new - gone, gone])

    u = np.array([0.999, 0.001, 0.0])
    sick = [u[1]]
    for h in np.diff(d["t"]):
        k1 = rates(u)
        k2 = rates(u + h / 2 * k1)
        k3 = rates(u + h / 2 * k2)
        u = u + h / 6 * (k1 + 2 * k2 + 2 * k3 + rates(u + h * k3))
        sick.append(u[1])
    return np.mean(sick)


VALUES = {"recurrence": recurrence, "garch": garch, "lstm": lstm, "kalman": kalman, "sir": sir}


@pytest.mark.parametrize("problem", SMALL, ids=[problem.case for problem in SMALL])
def test_values_and_gradients_are_those_of_other_programs(problem, tmp_path):
    value = VALUES[problem.case]
    found = problem.compiled(problem.written(tmp_path))()
    assert found[0] == pytest.approx(value({**problem.variables, **problem.constants}), rel=1e-10)
    random = np.random.default_rng(0)
    direction = {name: random.normal(size=x.shape) for name, x in problem.variables.items()}

    def moved(step):
        at = {name: x + step * direction[name] for name, x in problem.variables.items()}
        return value({**at, **problem.constants})

    slope = found[1:] @ np.concatenate([np.ravel(d) for d in direction.values()])
    quotient = (8 * (moved(1e-4) - moved(-1e-4)) - (moved(2e-4) - moved(-2e-4))) / 12e-4
    assert slope == pytest.approx(quotient, rel=1e-6, abs=1e-9)


@pytest.mark.slow
def test_commands_print_what_running_processes_give(setting):
    rows, targets = loops.section(setting)
    assert Counter([row.who for row in rows]) == {"gradcli": 10, "gradcli native": 5}
    assert all(row.remark == "" for row in rows)
    assert [target.measured for target in targets] == [None] * 3
