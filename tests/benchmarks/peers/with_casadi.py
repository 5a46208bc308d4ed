"""casadi: a program in scalar symbols (SX), which it evaluates fastest, its gradient, and both evaluated; and loops."""

from __future__ import annotations

from typing import Any

import casadi
import numpy as np
from serving import Data, Job, NotPossibleError, serve
from text import function_of


def large(text: str, data: Data) -> Job:
    x = [casadi.SX.sym(f"x{k}") for k in range(len(data["x"]))]
    y = function_of(text, [f"x{k}" for k in range(len(x))], "y", {"sin": casadi.sin})(*x)
    every = casadi.vertcat(*x)
    gradient = casadi.Function("gradient", [every], [casadi.gradient(y, every)])
    return lambda: np.array(gradient(data["x"])).ravel()


def prepare(request: dict[str, Any], data: Data) -> Job:
    if request["task"] == "loop":
        import loops_casadi

        return loops_casadi.job_of(request["case"], data)
    if request["task"] != "large":
        raise NotPossibleError(f"no {request['task']}")
    return large(request["case"], data)


if __name__ == "__main__":
    serve(casadi.__version__, prepare, lambda: large("y = sin(x0)", {"x": np.ones(1)})())
