"""Jacobians of many numbers by few: forward mode where reverse mode would write out all by all."""

from __future__ import annotations

import numpy as np
import pytest

import gradcli
from gradcli.autodiff import forward, jacobian
from gradcli.graph.node import cone
from gradcli.graph.types import size_of
from gradcli.program import query

ROWS = 60
GROUPS = f"""
constant g = cast(floor(linspace(0.0, 4.99, {ROWS})), int64)
constant t = linspace(0.0, 1.0, {ROWS})
variable a = [1.0, 2.0, 3.0, 4.0, 5.0]; variable b = 0.5; variable W = [[1.0, 2.0], [3.0, 4.0]]
"""


@pytest.mark.parametrize(
    "y",
    [
        "gather(a, g)*exp(-b*t)", "gather(a, g)^2 + gather(a, 4 - g)", "where(t > 0.5, a[g]*b, sqrt(t)*a[4 - g])",
        "expand_dims(gather(a, g), 1)*sum(W)*ones([1, 2])", "cumsum(gather(a, g)*t)*b", "gather(reshape(W, [4]), minimum(g, 3))",
    ],
)  # fmt: skip
def test_forward_mode_gives_the_same(monkeypatch, y):
    monkeypatch.setattr(jacobian, "WIDE", 0)
    program = gradcli.loads(f"{GROUPS}y = {y}")
    found = program.jacobian("y")["y"]
    nodes = query.jacobian(program, query.question(program, ["y"]))
    shape = program.eval("y")["y"].shape
    assert max(size_of(node.shape) for node in cone(nodes)) < size_of(shape) ** 2 / 2
    monkeypatch.setattr(jacobian, "WIDER", 1e9)
    expected = gradcli.loads(f"{GROUPS}y = {y}").jacobian("y")["y"]
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-14, atol=1e-300)
        assert found[name].dtype == value.dtype


def test_what_is_narrow_stays_in_reverse(monkeypatch):
    monkeypatch.setattr(forward, "jacobian", None)
    monkeypatch.setattr(jacobian, "WIDE", 0)
    gradcli.loads(f"{GROUPS}y = a[0]*exp(-b*t) + t @ reshape(t, [{ROWS}, 1])").jacobian("y")


def test_many_rows_of_few_groups_fit_into_memory():
    text = GROUPS.replace(str(ROWS), "20000") + "r = gather(a, g)*exp(-b*t)"
    found = gradcli.loads(text, max_memory=40_000_000).jacobian("r")["r"]
    assert found["a"].shape == (20000, 5)
    np.testing.assert_array_equal(np.count_nonzero(found["a"], axis=1), 1)


def test_the_hessian_of_least_squares_of_groups():
    text = f"{GROUPS}constant y = random_normal([{ROWS}], seed=1); loss = sum((y - gather(a, g)*exp(-b*t))^2)"
    program = gradcli.loads(text)
    blocks = program.hessian("loss", ["a", "b"])
    for k in range(5):
        step = np.zeros(5)
        step[k] = 1e-6
        up, down = (program.grad("loss", ["b"], values={"a": np.arange(1.0, 6) + s * step})["b"] for s in (1, -1))
        assert blocks["b"]["a"][k] == pytest.approx((up - down) / 2e-6, rel=1e-6)
