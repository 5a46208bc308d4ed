"""A user's program, for mypy: what the interface takes and gives, with the types that its annotations promise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, assert_type

import numpy as np

import gradcli

Array = np.ndarray[Any, Any]


def use(path: Path, rows: list[float], names: tuple[str, ...]) -> float:
    try:
        p = gradcli.load(path, dtype="float32", threads=2, settings={"x": rows, "k": "2*pi", "n": 3})
    except gradcli.GradcliError as error:
        assert_type(error.help, str | None)
        assert_type(error.line, int | None)
        raise
    again = gradcli.loads("y = 1", "there", folder=path.parent, max_memory=1 << 30)
    assert_type(again, gradcli.Program)
    assert_type(again.variables, list[str])
    values = p.eval("y", {"x": np.array(rows)})
    assert_type(values, dict[str, Array | None])
    gradients = p.grad(["y"], names, 2, seeds={"y": 1.0}, stop="h", unconnected="zero", values={"x": [1, 2]})
    assert_type(gradients, dict[str, Array | None])
    assert_type(p.jacobian("y", "x", stop=names), dict[str, dict[str, Array]])
    assert_type(p.hessian(wrt={"x"}, values={}), dict[str, dict[str, Array]])
    assert_type(p.jvp({"x": np.ones(3)}, of="y"), dict[str, Array])
    assert_type(p.value_and_grad("y", names), tuple[dict[str, Array], dict[str, Array | None]])
    assert_type(p.points({"x": np.ones((4, 3))}, order=1, skip_bad=True), dict[str, Array | None])
    assert_type(p.derive(format="latex", steps=True), str)
    assert_type(p.explain(wrt="x", most=3).explanations[0].name, str)
    assert_type(p.check(order=1, tolerance=1e-8).passed, bool)
    fitted = p.fit("y", method="lbfgs", until={"gnorm": 1e-6}, bounds={"x": (0.0, None)}, history=path)
    assert_type(fitted.values, dict[str, Array | None])
    assert_type(fitted.problem, gradcli.GradcliError | None)
    run = p.compile("y", inputs=names, processes=False)
    assert_type(run, Callable[..., dict[str, Array]])
    y = gradients["x"]
    return float(run(x=rows)["y"]) if y is None else float(y.sum())


def misuse(p: gradcli.Program) -> None:
    p.grad(order="2")  # type: ignore[arg-type]
    p.grad(unconnected="zeros")  # type: ignore[arg-type]
    p.grad(["y"])["x"].sum()  # type: ignore[union-attr]
    p.fit(method="bfgs")  # type: ignore[arg-type]
    p.derive(format="tex")  # type: ignore[arg-type]
    p.eval("y")["y"].sum()  # type: ignore[union-attr]
    p.jvp()  # type: ignore[call-arg]
    gradcli.loads("y = 1", dtype="float16")  # type: ignore[arg-type]
    gradcli.load(3)  # type: ignore[arg-type]
