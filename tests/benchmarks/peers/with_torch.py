"""PyTorch: nested torch.autograd.grad, which records and differentiates anew for every answer, or torch.compile."""

from __future__ import annotations

from typing import Any

import torch
from serving import Data, Job, NotPossibleError, serve
from text import function_of

FUNCTIONS = {
    "tanh": lambda x, d: torch.tanh(2 * x + torch.sin(x * x)),
    "sigmoid": lambda x, d: torch.sigmoid(3 * x) * torch.cos(x),
    "network": lambda x, d: torch.tanh(torch.tanh(x @ d["A"] + d["b"]) @ d["B"] + d["c"]),
}


def job_of(case: str, n: int, data: Data) -> Job:
    constants = {name: torch.tensor(value) for name, value in data.items() if name != "x"}

    def job() -> Any:
        x = torch.tensor(data["x"], requires_grad=True)
        g = FUNCTIONS[case](x, constants)
        for k in range(n):
            (g,) = torch.autograd.grad(g.sum(), x, create_graph=k < n - 1)
        return g.detach().numpy()

    return job


def chain(text: str, gradient: bool, compiled: bool, data: Data) -> Job:
    f = function_of(text, ["x"], "y", {"sin": torch.sin, "tanh": torch.tanh})
    f = torch.compile(f) if compiled else f
    x = torch.tensor(data["x"], requires_grad=gradient)
    if not gradient:
        return lambda: f(x).numpy()
    return lambda: torch.autograd.grad(f(x).sum(), x)[0].numpy()


def large(text: str, data: Data) -> Job:
    names = [f"x{k}" for k in range(len(data["x"]))]
    f = function_of(text, names, "y", {"sin": torch.sin})

    def job() -> Any:
        x = [torch.tensor(value, requires_grad=True) for value in data["x"]]
        return [g.numpy() for g in torch.autograd.grad(f(*x), x, materialize_grads=True)]

    return job


def prepare(request: dict[str, Any], data: Data) -> Job:
    task, _, how = request["task"].partition(" ")
    if task in ("values", "gradient"):
        return chain(request["case"], task == "gradient", how == "compiled", data)
    if task == "large":
        return large(request["case"], data)
    if task == "burgers":
        import burgers_torch

        return burgers_torch.job_of(request["task"], data)
    if task == "fit":
        import fits_torch

        return fits_torch.job_of(how == "compiled", request["case"], data)
    if task == "loop":
        import loops_torch

        return loops_torch.job_of(request["case"], data)
    if task == "adbench":
        import adbench_torch

        return adbench_torch.job_of(request["case"], data)
    if task != "nested":
        raise NotPossibleError(f"no {task}")
    return job_of(request["case"], request["order"], data)


if __name__ == "__main__":
    import numpy as np

    serve(torch.__version__, prepare, lambda: job_of("tanh", 1, {"x": np.ones(4)})())
