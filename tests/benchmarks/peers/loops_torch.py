"""The loops in PyTorch, loops of Python's; as a script ``loops_torch.py case variables folder`` it prints an answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import torch
from serving import Data, Job, flat, loaded

Values = dict[str, Any]


def recurrence(d: Values) -> Any:
    s, every = torch.tensor(0.0, dtype=torch.float64), []
    for u in d["u"]:
        s = torch.tanh(d["a"] * s + d["b"] * u)
        every.append(s)
    return torch.mean(torch.stack(every) ** 2)


def garch(d: Values) -> Any:
    mu, omega, alpha, beta = d["p"]
    e2 = (d["r"] - mu) ** 2
    h, every = torch.mean(e2), []
    for before in torch.cat([h[None], e2[:-1]]):
        h = omega + alpha * before + beta * h
        every.append(h)
    h = torch.stack(every)
    return torch.sum(torch.log(h) + e2 / h) / 2


def lstm(d: Values) -> Any:
    n = len(d["out"])
    h = c = torch.zeros((d["x"].shape[1], n), dtype=torch.float64)
    for x in d["x"]:
        z = torch.cat([x, h], dim=1) @ d["W"] + d["b"]
        c = torch.sigmoid(z[:, n : 2 * n]) * c + torch.sigmoid(z[:, :n]) * torch.tanh(z[:, 3 * n :])
        h = torch.sigmoid(z[:, 2 * n : 3 * n]) * torch.tanh(c)
    return torch.mean((h @ d["out"] - d["target"]) ** 2)


def kalman(d: Values) -> Any:
    F = torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    Q, noise = torch.diag(torch.exp(d["q"])), torch.exp(d["r"])
    m, P, total = torch.zeros(2, dtype=torch.float64), 100.0 * torch.eye(2, dtype=torch.float64), 0.0
    for y in d["flow"]:
        m, P = F @ m, F @ P @ F.T + Q
        S = P[0, 0] + noise
        K = P[:, 0] / S
        e = y - m[0]
        m, P = m + K * e, P - torch.outer(K, P[0])
        total = total + torch.log(S) + e**2 / S
    return total / 2


def sir(d: Values) -> Any:
    def rates(u: Any) -> Any:
        new, gone = d["p"][0] * u[0] * u[1], d["p"][1] * u[1]
        return torch.stack([-new, new - gone, gone])

    u = torch.tensor([0.999, 0.001, 0.0], dtype=torch.float64)
    sick = [u[1]]
    for h in torch.diff(d["t"]):
        k1 = rates(u)
        k2 = rates(u + h / 2 * k1)
        k3 = rates(u + h / 2 * k2)
        k4 = rates(u + h * k3)
        u = u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        sick.append(u[1])
    return torch.mean(torch.stack(sick))


LOSSES: dict[str, Callable[[Values], Any]] = {
    "recurrence": recurrence,
    "garch": garch,
    "lstm": lstm,
    "kalman": kalman,
    "sir": sir,
}


def job_of(request: str, data: Data) -> Job:
    asked = json.loads(request)
    loss, names = LOSSES[asked["case"]], asked["variables"]
    tensors = {name: torch.tensor(value, requires_grad=name in names) for name, value in data.items()}

    def job() -> Any:
        value = loss(tensors)
        gradients = torch.autograd.grad(value, [tensors[name] for name in names])
        return [value.detach().numpy(), *(g.numpy() for g in gradients)]

    return job


if __name__ == "__main__":
    print(*flat(job_of(*loaded(sys.argv))()).tolist())
