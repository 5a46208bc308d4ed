"""ADBench's problems in PyTorch; as a script ``adbench_torch.py case variables folder`` it prints an answer."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import torch
from serving import Data, Job, flat, loaded

Values = dict[str, Any]


def gmm(v: Values) -> Any:
    x, means, gamma, m = v["x"], v["means"], v["gamma"], v["m"]
    (n, d), K = x.shape, len(means)
    q, below = v["icf"][:, :d], v["icf"][:, d:]
    L = torch.cat([below, torch.zeros((K, 1), dtype=x.dtype)], dim=1)[:, v["places"]]
    centered = x - means[:, None, :]
    z = torch.exp(q)[:, None, :] * centered + centered @ L.transpose(1, 2)
    terms = v["alphas"] + q.sum(1) - 0.5 * (z**2).sum(2).T
    p = d + m + 1
    wishart = p * d * (torch.log(gamma) - 0.5 * math.log(2)) - 0.25 * d * (d - 1) * math.log(math.pi)
    wishart = wishart - torch.lgamma(0.5 * p - 0.5 * torch.arange(d, dtype=x.dtype)).sum()
    prior = 0.5 * gamma**2 * (torch.exp(2 * q).sum() + (below**2).sum()) - m * q.sum() - K * wishart
    one = torch.logsumexp(v["alphas"], 0)
    return torch.logsumexp(terms, 1).sum() - n * one - 0.5 * n * d * math.log(2 * math.pi) + prior


def errors(camera: Any, point: Any, weight: Any, feature: Any) -> Any:
    """The errors of all observations, each a row."""
    r, x = camera[:, :3], point - camera[:, 3:6]
    square = (r**2).sum(1, keepdim=True)
    angle = torch.sqrt(torch.where(square > 0, square, 1.0))
    axis = r / angle
    along = axis * ((1 - torch.cos(angle)) * (axis * x).sum(1, keepdim=True))
    turned = x * torch.cos(angle) + torch.linalg.cross(axis, x) * torch.sin(angle) + along
    v = torch.where(square > 0, turned, x + torch.linalg.cross(r, x))
    u = v[:, :2] / v[:, 2:]
    square = (u**2).sum(1, keepdim=True)
    distorted = u * (1 + camera[:, 9:10] * square + camera[:, 10:] * square**2)
    return weight[:, None] * (distorted * camera[:, 6:7] + camera[:, 7:9] - feature)


def ba(v: Values) -> list[Any]:
    """Each of the two errors of all observations in one backward pass: no other observation has a part in a row."""
    given = v["cameras"][v["seen"][:, 0]], v["points"][v["seen"][:, 1]], v["weights"]
    given = [x.detach().requires_grad_() for x in given]
    e = errors(*given, v["features"])
    rows = [torch.autograd.grad(e[:, k].sum(), given, retain_graph=not k) for k in range(2)]
    jacobians = [torch.stack(both, 1) for both in zip(*rows, strict=True)]
    return [x.detach().numpy() for x in (e, *jacobians, 1 - v["weights"] ** 2, -2 * v["weights"])]


def lstm(v: Values) -> Any:
    b = v["state"].shape[1]
    w = v["main"].reshape(-1, 8, b)
    states = [(v["state"][k], v["state"][k + 1]) for k in range(0, len(v["state"]), 2)]
    total = 0.0
    for x, after in zip(v["sequence"][:-1], v["sequence"][1:], strict=True):
        x = x * v["extra"][0]
        for k, ((h, c), u) in enumerate(zip(states, w, strict=True)):
            forget, taken = torch.sigmoid(x * u[0] + u[4]), torch.sigmoid(h * u[1] + u[5])
            given, change = torch.sigmoid(x * u[2] + u[6]), torch.tanh(h * u[3] + u[7])
            c = c * forget + taken * change
            x = given * torch.tanh(c)
            states[k] = x, c
        p = x * v["extra"][1] + v["extra"][2]
        total = total + (after * (p - torch.log(torch.exp(p).sum() + 2))).sum()
    return -total / (b * (len(v["sequence"]) - 1))


LOSSES = {"gmm": gmm, "lstm": lstm}


def job_of(request: str, data: Data) -> Job:
    asked = json.loads(request)
    case, names = asked["case"], asked["variables"]
    tensors = {name: torch.tensor(value, requires_grad=name in names) for name, value in data.items()}
    if case == "ba":
        return lambda: ba(tensors)

    def job() -> Any:
        value = LOSSES[case](tensors)
        gradients = torch.autograd.grad(value, [tensors[name] for name in names])
        return [value.detach().numpy(), *(g.numpy() for g in gradients)]

    return job


if __name__ == "__main__":
    print(*flat(job_of(*loaded(sys.argv))()).tolist())
