"""What plans do before products, join and move aside computes the same as what is written; a plan says by its nodes that it does so."""

from __future__ import annotations

import numpy as np
import pytest

import gradcli
from gradcli.graph.node import cone
from gradcli.program import query
from gradcli.rewrite.simplify import Simplified

HEAD = """
variable x = random_normal([40, 3], seed=1)
variable w = random_normal([3, 5], seed=2)
variable q = random_normal([3, 3], seed=3)
variable v = random_normal([3], seed=4)
variable c = random_normal([40, 1], seed=5)
variable s = random_normal([2, 40, 3], seed=6)
variable Q = random_normal([2, 3, 3], seed=7)
variable r = random_normal([2, 1, 3], seed=8)
"""

CASES = {  # the expression, and operations of which its plan has none on arrays of more than 60 entries
    "sum(x @ w, axis=0)": ("matmul",),
    "sum(x @ q + x*v, axis=0)": ("matmul", "multiply", "add"),
    "sum(x @ q - (x*v - x @ q), axis=0)": ("matmul", "multiply", "add"),
    "sum(s @ Q, axis=1)": ("matmul",),
    "sum(s @ Q, axis=1, keepdims=true)": ("matmul",),
    "x @ q + x*v": ("multiply", "add"),
    "v*x + x @ q": ("multiply", "add"),
    "s @ Q + r*s": ("multiply", "add"),
    "sum(2*x, axis=0)": ("multiply",),
    "sum(-x, axis=0)": ("neg",),
    "(4*x)*v": (),
    "sum(x @ w)": (),
    "sum(x @ q + x*c, axis=0)": (),
    "x @ q + x*c": (),
    "sum(x*v + x, axis=0)": (),
    "s @ q + s*v": (),
}


@pytest.mark.parametrize("expression", CASES)
def test_values_and_gradients_are_those_of_what_is_written(expression, monkeypatch):
    text = f"{HEAD}y = {expression}\nz = sum(tanh(y))\n"
    names = ["x", "w", "q", "v", "c", "s", "Q", "r"]
    program = gradcli.loads(text)
    found, gradients = program.eval("y"), program.grad("z", names)
    monkeypatch.setenv("GRADCLI_WITHOUT", "simplify")
    plain = gradcli.loads(text)
    np.testing.assert_allclose(found["y"], plain.eval("y")["y"], rtol=1e-12, atol=1e-12)
    for name, expected in plain.grad("z", names).items():
        if expected is None:
            assert gradients[name] is None
        else:
            np.testing.assert_allclose(gradients[name], expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("expression", [case for case, gone in CASES.items() if gone])
def test_large_arrays_are_not_made(expression):
    program = gradcli.loads(f"{HEAD}y = {expression}\n")
    nodes = cone(Simplified([query.target(program, "y")]).targets)
    large = {node.op.name for node in nodes if np.prod(node.shape) > 60}
    assert large.isdisjoint(CASES[expression])


def test_slices_that_were_added_up_are_joined():
    text = "variable p = arange(0.0, 12.0)\ny = sum(p[:3]^2) + sum(p[3:7]^3) + p[9] + sum(p[10:]*2)\n"
    program = gradcli.loads(text)
    expected = [0, 2, 4, 27, 48, 75, 108, 0, 0, 1, 2, 2]
    np.testing.assert_array_equal(program.grad("y", "p")["p"], expected)
    overlapping = gradcli.loads("variable p = arange(0.0, 5.0)\ny = sum(p[:3]^2) + sum(p[2:]*3)\n")
    np.testing.assert_array_equal(overlapping.grad("y", "p")["p"], [0, 2, 7, 3, 3])


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_stays_so(wrong, monkeypatch):
    text = f"{HEAD}y = sum(x @ q + x*v, axis=0)\nu = x @ q + x*v\n"
    x = np.ones((40, 3))
    x[4, 1] = wrong
    found = gradcli.loads(text).eval(["y", "u"], {"x": x})
    monkeypatch.setenv("GRADCLI_WITHOUT", "simplify")
    plain = gradcli.loads(text).eval(["y", "u"], {"x": x})
    for name in ("y", "u"):
        np.testing.assert_array_equal(np.isfinite(found[name]), np.isfinite(plain[name]))


@pytest.mark.parametrize(
    "values",
    [
        {"x": [[0.0]] + [[1.0]] * 15, "w": [[np.inf]], "v": [[2.0]]},
        {"x": [[1e308]] * 16, "w": [[1e-10]], "v": [[1e-10]]},
        {"x": [[1e-10]] * 16, "w": [[1e308]], "v": [[1e308]]},
        {"x": [[0.0]] + [[1.0]] * 15, "w": [[np.nan]], "v": [[-np.inf]]},
    ],
)
def test_infinity_is_where_it_is_written(values, monkeypatch):
    text = "variable x: [16, 1]; variable w: [1, 1]; variable v: [1, 1]\ny = sum(x @ w)\nu = x @ w + x*v\n"
    found = gradcli.loads(text).eval(["y", "u"], values)
    monkeypatch.setenv("GRADCLI_WITHOUT", "simplify")
    plain = gradcli.loads(text).eval(["y", "u"], values)
    for name in ("y", "u"):
        np.testing.assert_allclose(found[name], plain[name], rtol=1e-14)


@pytest.mark.parametrize("q", [1000.0, 709.7, -1000.0])
def test_a_row_that_overflows_does_so_in_its_column_alone(q, monkeypatch):
    values = {"x": [[0.0, 1.0]] + [[1.0, 0.5]] * 15, "w": [[1.0, 2.0], [3.0, -4.0]], "q": [q, 1.0]}
    text = "variable x: [16, 2]; variable w: [2, 2]; variable q: [2]\ny = x @ w + x*exp(q)\n"
    program = gradcli.loads(text)
    assert "multiply" not in {n.op.name for n in cone(Simplified([query.target(program, "y")]).targets)}
    found = program.eval("y", values)["y"]
    monkeypatch.setenv("GRADCLI_WITHOUT", "simplify")
    np.testing.assert_allclose(found, gradcli.loads(text).eval("y", values)["y"], rtol=1e-14)
