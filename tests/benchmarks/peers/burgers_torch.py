"""The Burgers step in PyTorch: nested autograd.grad as one trains such networks, or nested torch.func.grad, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from serving import Data, Job

NU = 0.01 / np.pi


def network(weights: Any, x: Any, t: Any) -> Any:
    h = torch.cat([x, t], 1)
    for k in range(0, len(weights) - 2, 2):
        h = torch.tanh(h @ weights[k] + weights[k + 1])
    return h @ weights[-2] + weights[-1]


def job_of(task: str, data: Data) -> Job:
    layers = sum(name.startswith("W") for name in data)
    tensors = {name: torch.tensor(value) for name, value in data.items()}
    weights = [tensors[f"{letter}{k}"] for k in range(1, layers + 1) for letter in "Wb"]
    points = [tensors[name] for name in ("x", "t", "xd", "td", "ud")]
    step = torch.compile(by_functions) if task == "burgers compiled" else recorded
    return lambda: step(weights, *points)


def recorded(weights: Any, x: Any, t: Any, xd: Any, td: Any, ud: Any) -> Any:
    leaves = [w.detach().requires_grad_() for w in weights]
    x, t = x.detach().requires_grad_(), t.detach().requires_grad_()
    u = network(leaves, x, t)
    u_x, u_t = torch.autograd.grad(u, [x, t], torch.ones_like(u), create_graph=True)
    (u_xx,) = torch.autograd.grad(u_x, x, torch.ones_like(u_x), create_graph=True)
    loss = ((network(leaves, xd, td) - ud) ** 2).mean() + ((u_t + u * u_x - NU * u_xx) ** 2).mean()
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


def by_functions(weights: Any, x: Any, t: Any, xd: Any, td: Any, ud: Any) -> Any:
    def total(weights: Any) -> Any:
        def summed(x: Any, t: Any) -> Any:
            u = network(weights, x, t)
            return u.sum(), u

        def slope(x: Any) -> Any:
            (u_x, u_t), u = torch.func.grad(summed, argnums=(0, 1), has_aux=True)(x, t)
            return u_x.sum(), (u, u_x, u_t)

        u_xx, (u, u_x, u_t) = torch.func.grad(slope, has_aux=True)(x)
        return ((network(weights, xd, td) - ud) ** 2).mean() + ((u_t + u * u_x - NU * u_xx) ** 2).mean()

    gradients, loss = torch.func.grad_and_value(total)(weights)
    return [loss, *gradients]
