"""ADBench's programs compute what their definitions say, with whatever order arrays have in memory; nothing here looks at a clock."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from tests.benchmarks import adbench
from tests.benchmarks.setting import Setting


def normals(d):
    """The density of a mixture of normal distributions, with Wishart's of its covariances, matrix by matrix."""
    x, (K, n) = d["x"], d["means"].shape
    p = n + d["m"] + 1
    terms = np.empty((len(x), K))
    prior = 0.0
    for k in range(K):
        q, below = d["icf"][k, :n], iter(d["icf"][k, n:])
        root = np.diag(np.exp(q))
        for column in range(n):
            for row in range(column + 1, n):
                root[row, column] = next(below)
        z = (x - d["means"][k]) @ root.T
        terms[:, k] = d["alphas"][k] + q.sum() - 0.5 * (z**2).sum(axis=1)
        prior += 0.5 * d["gamma"] ** 2 * (root**2).sum() - d["m"] * q.sum()
    gammas = 0.25 * n * (n - 1) * math.log(math.pi) + sum(math.lgamma(0.5 * (p - j)) for j in range(n))
    prior -= K * (p * n * (math.log(d["gamma"]) - 0.5 * math.log(2)) - gammas)
    densities = np.log(np.exp(terms).sum(axis=1)).sum() - len(x) * math.log(np.exp(d["alphas"]).sum())
    return densities - len(x) * n * 0.5 * math.log(2 * math.pi) + prior


def network(d):
    b = d["state"].shape[1]
    states = [row.copy() for row in d["state"]]
    total = 0.0
    for x, after in zip(d["sequence"][:-1], d["sequence"][1:], strict=True):
        x = x * d["extra"][0]
        for k in range(0, len(states), 2):
            (h, c), w, bias = states[k : k + 2], d["main"][k].reshape(4, b), d["main"][k + 1].reshape(4, b)
            forget, taken, given, change = (u * v + e for u, v, e in zip((x, h, x, h), w, bias, strict=True))
            c = c / (1 + np.exp(-forget)) + np.tanh(change) / (1 + np.exp(-taken))
            states[k] = x = np.tanh(c) / (1 + np.exp(-given))
            states[k + 1] = c
        p = x * d["extra"][1] + d["extra"][2]
        total += np.sum(after * (p - np.log(np.sum(np.exp(p)) + 2)))
    return -total / (b * (len(d["sequence"]) - 1))


def seen_by(d, change=0.0):
    """The errors of the observations, one after the other, with a rotation matrix by its series; each camera, point and weight moved by ``change`` times itself."""
    rows = []
    for (i, j), weight, feature in zip(d["seen"], d["weights"], d["features"], strict=True):
        camera, point, w = [x * (1 + change * m) for x, m in ((d["cameras"][i], 1), (d["points"][j], 2), (weight, 3))]
        a, b, c = camera[:3]
        turn, term = np.eye(3), np.eye(3)
        for k in range(1, 30):
            term = term @ np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]]) / k
            turn = turn + term
        v = turn @ (point - camera[3:6])
        u = v[:2] / v[2]
        s = u @ u
        rows.append(w * (u * (1 + camera[9] * s + camera[10] * s**2) * camera[6] + camera[7:9] - feature))
    return np.array(rows)


@pytest.fixture(params=["", "order"])
def without(request, monkeypatch):
    monkeypatch.setenv("GRADCLI_WITHOUT", request.param)


@pytest.mark.parametrize(
    ("problem", "value"),
    [(adbench.gmm(2, 4, 70), normals), (adbench.gmm(3, 2, 3000), normals), (adbench.lstm(2, 7, 3), network)],
    ids=["gmm", "gmm-tiles", "lstm"],
)
def test_values_and_gradients_are_those_of_the_definition(problem, value, tmp_path, without):
    found = problem.compiled(problem.written(tmp_path))()
    assert found[0] == pytest.approx(value({**problem.variables, **problem.constants}), rel=1e-11)
    random = np.random.default_rng(0)
    direction = {name: random.normal(size=x.shape) for name, x in problem.variables.items()}

    def moved(step):
        return value(
            {**{name: x + step * direction[name] for name, x in problem.variables.items()}, **problem.constants}
        )

    slope = found[1:] @ np.concatenate([np.ravel(d) for d in direction.values()])
    quotient = (8 * (moved(1e-4) - moved(-1e-4)) - (moved(2e-4) - moved(-2e-4))) / 12e-4
    assert slope == pytest.approx(quotient, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("observations", [90, 2500], ids=["small", "tiles"])
def test_rows_of_the_jacobian_are_slopes_of_the_errors(observations, tmp_path, without):
    problem = adbench.ba(5, 40, observations)
    found = problem.compiled(problem.written(tmp_path))()
    d = {**problem.variables, **problem.constants}
    parts = np.split(found, np.cumsum([2 * observations * n for n in (1, 11, 3, 1)] + [observations]))
    errors, by_camera, by_point, by_weight = [p.reshape(observations, 2, -1) for p in parts[:4]]
    few = {**d, **{name: d[name][:60] for name in ("seen", "weights", "features")}}
    np.testing.assert_allclose(errors[:60, :, 0], seen_by(few), rtol=1e-9, atol=1e-9)
    slopes = np.einsum("nij,nj->ni", by_camera, d["cameras"][d["seen"][:, 0]])
    slopes += 2 * np.einsum("nij,nj->ni", by_point, d["points"][d["seen"][:, 1]])
    slopes += 3 * by_weight[:, :, 0] * d["weights"][:, None]
    h = 1e-4
    quotient = (8 * (seen_by(few, h) - seen_by(few, -h)) - (seen_by(few, 2 * h) - seen_by(few, -2 * h))) / (12 * h)
    np.testing.assert_allclose(slopes[:60], quotient, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(parts[4], 1 - d["weights"] ** 2)
    np.testing.assert_allclose(parts[5], -2 * d["weights"])


def test_rows_are_kept_as_soon_as_they_are_there(tmp_path):
    rows = []
    setting = Setting(tmp_path, rounds=1, scale=1e-3, keep=rows.append)
    assert setting.noted([1, 2]) == rows == [1, 2]


@pytest.mark.slow
def test_commands_print_what_running_processes_give(setting):
    rows, targets = adbench.section(setting)
    assert Counter([row.who for row in rows]) == {"gradcli": 12, "gradcli native": 6}
    assert all(row.remark == "" for row in rows)
    assert [target.measured for target in targets] == [None] * 12
