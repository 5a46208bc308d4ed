"""The recurrences in casadi: a step in scalar symbols, and ``mapaccum``; as a script ``loops_casadi.py case variables folder``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import casadi
import numpy as np
from serving import Data, Job, NotPossibleError, flat, loaded

Values = dict[str, Any]


def scanned(step: Callable[..., Any], start: Any, rows: Any, parameters: Any) -> Any:
    """The states after every step and what else ``step(state, row, parameters)`` gives, both side by side."""
    state, row, p = (casadi.SX.sym("v", *x.shape) for x in (start, rows[:, 0], parameters))
    function = casadi.Function("step", [state, row, p], list(step(state, row, p)))
    steps = rows.shape[1]
    return function.mapaccum(steps)(start, rows, casadi.repmat(parameters, 1, steps))


def recurrence(d: Values) -> Any:
    def step(s: Any, u: Any, p: Any) -> Any:
        s = casadi.tanh(p[0] * s + p[1] * u)
        return s, s

    s, _ = scanned(step, casadi.MX(0.0), casadi.MX(d["u"]).T, casadi.vertcat(d["a"], d["b"]))
    return casadi.sumsqr(s) / len(d["u"])


def garch(d: Values) -> Any:
    def step(h: Any, e2: Any, p: Any) -> Any:
        h = p[1] + p[2] * e2 + p[3] * h
        return h, h

    e2 = ((casadi.MX(d["r"]) - d["p"][0]) ** 2).T
    before = casadi.sum2(e2) / len(d["r"])
    h, _ = scanned(step, before, casadi.horzcat(before, e2[:, :-1]), d["p"])
    return casadi.sum2(casadi.log(h) + e2 / h) / 2


def kalman(d: Values) -> Any:
    F = casadi.DM([[1.0, 1.0], [0.0, 1.0]])

    def step(state: Any, y: Any, p: Any) -> Any:
        m = F @ state[:2]
        P = F @ casadi.reshape(state[2:], 2, 2) @ F.T + casadi.diag(casadi.exp(p[:2]))
        S = P[0, 0] + casadi.exp(p[2])
        K = P[:, 0] / S
        e = y - m[0]
        after = casadi.vertcat(m + K * e, casadi.vec(P - K @ P[0, :]))
        return after, casadi.log(S) + e**2 / S

    start = casadi.MX([0.0, 0.0, 100.0, 0.0, 0.0, 100.0])
    _, terms = scanned(step, start, casadi.MX(d["flow"]).T, casadi.vertcat(d["q"], d["r"]))
    return casadi.sum2(terms) / 2


def sir(d: Values) -> Any:
    def rates(u: Any, p: Any) -> Any:
        new, gone = p[0] * u[0] * u[1], p[1] * u[1]
        return casadi.vertcat(-new, new - gone, gone)

    def step(u: Any, h: Any, p: Any) -> Any:
        k1 = rates(u, p)
        k2 = rates(u + h / 2 * k1, p)
        k3 = rates(u + h / 2 * k2, p)
        k4 = rates(u + h * k3, p)
        u = u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return u, u[1]

    start = casadi.MX([0.999, 0.001, 0.0])
    _, sick = scanned(step, start, casadi.MX(np.diff(d["t"])).T, d["p"])
    return (casadi.sum2(sick) + start[1]) / len(d["t"])


LOSSES: dict[str, Callable[[Values], Any]] = {"recurrence": recurrence, "garch": garch, "kalman": kalman, "sir": sir}


def job_of(request: str, data: Data) -> Job:
    asked = json.loads(request)
    names = asked["variables"]
    if asked["case"] not in LOSSES:
        raise NotPossibleError(f"no {asked['case']}")
    symbols = [casadi.MX.sym(name, data[name].size) for name in names]
    y = LOSSES[asked["case"]]({**data, **dict(zip(names, symbols, strict=True))})
    function = casadi.Function("value_and_gradient", symbols, [y, *(casadi.gradient(y, x) for x in symbols)])
    values = [data[name] for name in names]
    return lambda: [np.array(found) for found in function(*values)]


if __name__ == "__main__":
    print(*flat(job_of(*loaded(sys.argv))()).tolist())
