"""The check of derivatives against central differences, at orders 1 and 2, for the tests of every room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import gradcli

Array = Any

STEP = 1e-3


def check_gradient(
    program: str, point: Mapping[str, Array], of: str = "y", seed: int = 0, tolerance: float = 1e-7
) -> None:
    """Assert that first and second derivatives of ``of`` agree with differences of it and of its first derivatives.

    ``program`` declares float64 variables of the names and shapes of ``point``. Differences are central, of fourth
    order, along one random direction per variable; derivatives are along random head gradients, so that wrong entries
    cannot cancel. Raises AssertionError that names the order and the variable.
    """
    names = list(point)
    wanted = ["first", "second", *(f"{letter}_{name}" for letter in "gh" for name in names)]
    run = gradcli.loads(_with_derivatives(program, names, of, seed)).compile(wanted, inputs=names)
    at = run(**point)
    rng = np.random.default_rng(seed)
    for name in names:
        x = np.asarray(point[name], dtype="float64")
        direction = rng.standard_normal(x.shape)
        moved = {k: run(**{**point, name: x + k * STEP * direction}) for k in (-2, -1, 1, 2)}
        for order, value, letter in ((1, "first", "g"), (2, "second", "h")):
            gradient = at[f"{letter}_{name}"]
            what = f"order {order} with respect to {name}"
            assert gradient.shape == x.shape, f"{what}: shape {gradient.shape}, not {x.shape}"
            near = moved[1][value] - moved[-1][value]
            far = moved[2][value] - moved[-2][value]
            numeric = (8 * near - far) / (12 * STEP)
            symbolic = np.sum(gradient * direction)
            scale = max(1.0, abs(numeric), *(abs(values[value]) for values in moved.values()))
            assert abs(symbolic - numeric) <= tolerance * scale, f"{what}: {symbolic} is not {numeric}"


def _with_derivatives(program: str, names: list[str], of: str, seed: int) -> str:
    """The program with its gradients along random head gradients, and the gradients of those."""

    def listed(letter: str) -> str:
        return ", ".join(f"{letter}_{name}" for name in names)

    xs = ", ".join(names)
    heads = "\n".join(f"u_{name} = random_normal(shape({name}), seed={seed + 1 + i})" for i, name in enumerate(names))
    along = " + ".join(f"sum(u_{name} * g_{name})" for name in names)
    zero = 'unconnected_gradients="zero"'
    return f"""{program}
head = random_normal(shape({of}), seed={seed})
{heads}
{listed("g")} = gradients({of}, [{xs}], grad_ys=head, {zero})
{listed("h")} = gradients([{listed("g")}], [{xs}], grad_ys=[{listed("u")}], {zero})
first = sum(head * {of})
second = {along}
"""
