"""The samples of ``gradcli fit`` in PyTorch: recorded anew for every answer, or torch.compile; descent by torch.optim."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from fitting import Fit, minimized, squares
from serving import Data, Job

NU = 0.01 / np.pi


def softplus(z: Any) -> Any:
    return torch.nn.functional.softplus(z, threshold=40.0)  # 20, the default, is wrong by 2e-9


def exams(p: Any, d: Any) -> Any:
    z = d["X"] @ p["w"] + p["b"]
    return (softplus(z) - d["passed"] * z).sum()


def spiral(p: Any, d: Any) -> Any:
    z = torch.tanh(d["points"] @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
    return (softplus(z) - d["arm"] * z).mean()


def rosenbrock(p: Any, d: Any) -> Any:
    x = p["x"]
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def factorisation(p: Any, d: Any) -> Any:
    apart = p["overall"] + p["reader"] + p["book"] + p["taste"] @ p["style"] - d["ratings"]
    weight = sum((p[name] ** 2).sum() for name in ("taste", "style", "reader", "book"))
    return (d["train"] * apart**2).sum() / 2 + 0.5 * weight


def decay(p: Any, d: Any) -> Any:
    start, rate, background = p["p"]
    return (start * torch.exp(-rate * d["t"]) + background - d["counts"]) / torch.sqrt(d["counts"])


def network_solution(p: Any, x: Any, t: Any) -> Any:
    def network(x: Any, t: Any) -> Any:
        h = torch.cat([x, t], 1)
        for k in "123":
            h = torch.tanh(h @ p[f"W{k}"] + p[f"b{k}"])
        return h @ p["W4"]

    return -torch.sin(math.pi * x) + t * (1 - x**2) * (network(x, t) - network(-x, t))


def burgers_recorded(p: Any, d: Any) -> Any:
    x, t = d["x"].detach().requires_grad_(), d["t"].detach().requires_grad_()
    u = network_solution(p, x, t)
    u_x, u_t = torch.autograd.grad(u, [x, t], torch.ones_like(u), create_graph=True)
    (u_xx,) = torch.autograd.grad(u_x, x, torch.ones_like(u_x), create_graph=True)
    return ((u_t + u * u_x - NU * u_xx) ** 2).mean()


def burgers(p: Any, d: Any) -> Any:
    def summed(x: Any, t: Any) -> Any:
        u = network_solution(p, x, t)
        return u.sum(), u

    def slope(x: Any) -> Any:
        (u_x, u_t), u = torch.func.grad(summed, argnums=(0, 1), has_aux=True)(x, d["t"])
        return u_x.sum(), (u, u_x, u_t)

    u_xx, (u, u_x, u_t) = torch.func.grad(slope, has_aux=True)(d["x"])
    return ((u_t + u * u_x - NU * u_xx) ** 2).mean()


def parabola(p: Any, d: Any) -> Any:
    return (p["x"] - 1) ** 2


def pair(p: Any, d: Any) -> Any:
    return (p["w1"] * 3).detach() * p["w2"]


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
RECORDED = {**LOSSES, "burgers_network": burgers_recorded}


def job_of(compiled: bool, case: str, data: Data) -> Job:
    fit = Fit(case, data)
    loss = (LOSSES if compiled else RECORDED)[fit.program]
    d = {name: torch.tensor(value) for name, value in fit.constants.items()}
    if fit.method in ("sgd", "adam"):
        return descent(fit, compiled, loss, d)
    places = list(fit.places())

    def f(x: Any) -> Any:
        return loss({name: x[place].reshape(shape) for name, place, shape in places}, d)

    def product(x: Any, v: Any) -> Any:
        return torch.func.grad(lambda x: torch.func.grad(f)(x) @ v)(x)

    if compiled:
        values, both, along, matrix = map(
            torch.compile, (f, torch.func.grad_and_value(f), product, torch.func.jacfwd(f))
        )
    else:
        values, both, along, matrix = f, recorded(f), recorded_product(f), torch.func.jacfwd(f)

    def pair_of(x: Any) -> Any:
        gradient, value = both(torch.from_numpy(x))
        return value.item(), gradient.numpy()

    if fit.method == "least-squares":
        return squares(
            fit, lambda x: values(torch.from_numpy(x)).numpy(), lambda x: matrix(torch.from_numpy(x)).numpy()
        )
    return minimized(fit, pair_of, lambda x, v: along(torch.from_numpy(x), torch.from_numpy(v)).numpy())


def recorded(f: Any) -> Any:
    def both(x: Any) -> Any:
        x = x.detach().requires_grad_()
        y = f(x)
        return torch.autograd.grad(y, x)[0], y

    return both


def recorded_product(f: Any) -> Any:
    def along(x: Any, v: Any) -> Any:
        x = x.detach().requires_grad_()
        (g,) = torch.autograd.grad(f(x), x, create_graph=True)
        return torch.autograd.grad(g, x, v)[0]

    return along


def descent(fit: Fit, compiled: bool, loss: Any, d: Any) -> Job:
    """A step is that of torch.optim, whose rate is written for each step."""
    rates, rows = fit.rates(), d.pop("rows", None)
    value = torch.compile(loss) if compiled else loss

    def job() -> Any:
        p = {name: torch.tensor(start, requires_grad=True) for name, start in fit.start.items()}
        parameters = list(p.values())
        rule = torch.optim.SGD if fit.method == "sgd" else torch.optim.Adam
        optimizer = rule(parameters, lr=rates[0])
        for k, rate in enumerate(rates):
            if fit.cosine:
                optimizer.param_groups[0]["lr"] = rate
            seen = {**d, **{name: d[name][rows[k]] for name in fit.batched}}
            optimizer.zero_grad()
            value(p, seen).backward()
            optimizer.step()
        return [x.detach().numpy() for x in parameters]

    return job
