"""``tangent``: derivatives that the program gives, in every mode, and rules that are wrong."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import gradcli
from gradcli.commands.main import cli
from gradcli.features.lint.answer import lint

STRAIGHT = """variable x = 1.3
variable k = 2.0
def soft_round(x, k) = x + sin(2*pi*x)/(2*pi*k)
tangent soft_round(x, k, dx) = dx
y = soft_round(x, k)^2
"""

# A rule that says what the function's own derivative is: all modes must agree with the program without it.
PAIRS = [
    ("exp(2*u)*v", "2*exp(2*u)*v*du + exp(2*u)*dv", "f(x, z)"),
    ("u^3*v^2", "3*u^2*v^2*du + 2*u^3*v*dv", "f(x, z) * f(z, x)"),
    ("sin(u)/v", "(cos(u)*du - sin(u)/v*dv)/v", "sum([f(x, z), f(f(x, z), z)])"),
    ("sum(u*v)", "sum(du*v) + sum(u*dv)", "f([x, x^2], [z, x*z])"),
    ("u @ v", "du @ v + u @ dv", "sum(f([[x, z], [z, x]], [[z, 1.0], [x, x*z]]))"),
    ("where(u > 0, u, 2*u)*v", "where(u > 0, du, 2*du)*v + where(u > 0, u, 2*u)*dv", "f(x, z)"),
    ("solve([[2.0, u[0]], [u[1], 3.0]], v)", "solve([[2.0, u[0]], [u[1], 3.0]], dv - [du[0]*solve([[2.0, u[0]], [u[1], 3.0]], v)[1], "
     "du[1]*solve([[2.0, u[0]], [u[1], 3.0]], v)[0]])", "sum(f([x, z], [z, x*z])^2)"),
]  # fmt: skip


def program(body, tangent, call):
    rule = f"tangent f(u, v, du, dv) = {tangent}\n" if tangent else ""
    return gradcli.loads(f"variable x = 0.7\nvariable z = 1.9\ndef f(u, v) = {body}\n{rule}y = {call}\n")


@pytest.mark.parametrize(("body", "tangent", "call"), PAIRS)
def test_a_rule_that_is_the_derivative_agrees_in_every_mode(body, tangent, call):
    own, without = program(body, tangent, call), program(body, None, call)
    assert own.eval() == without.eval()
    for order in (1, 2, 3, 5):
        a, b = own.grad(order=order), without.grad(order=order)
        assert {n: g is None for n, g in a.items()} == {n: g is None for n, g in b.items()}, order
        for name, g in b.items():
            if g is not None:
                assert a[name] == pytest.approx(g, rel=1e-9, abs=1e-12), (name, order)
    for a, row in without.hessian().items():
        for b, block in row.items():
            np.testing.assert_allclose(own.hessian()[a][b], block, rtol=1e-10, atol=1e-12, err_msg=f"{a} {b}")
    ours, theirs = [p.jvp({"x": 1.0, "z": -2.0})["y"] for p in (own, without)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize(("body", "tangent", "call"), PAIRS)
def test_check_passes_such_a_rule(body, tangent, call):
    found = program(body, tangent, call).check()
    assert found.passed
    assert "own rule" not in [c.verdict for c in found.comparisons]


def test_values_are_those_of_the_function_and_slopes_those_of_the_rule():
    own = gradcli.loads(STRAIGHT)
    value = 1.3 + math.sin(2 * math.pi * 1.3) / (4 * math.pi)
    assert own.eval()["y"] == pytest.approx(value**2, rel=1e-15)
    assert own.grad() == {"x": pytest.approx(2 * value, rel=1e-15), "k": None}
    assert own.grad(order=2) == {"x": 2.0, "k": None}
    assert own.grad(order=3) == {"x": 0.0, "k": None}


def test_the_order_at_which_a_gradient_is_none_is_that_of_the_rule():
    text = "variable x = 3.0\ndef f(x) = exp(x)\ntangent f(x, dx) = x*dx\ny = f(x)\n"
    own, half = gradcli.loads(text), gradcli.loads("variable x = 3.0\ny = x*x/2\n")
    for order in (1, 2, 3, 4, 6):
        assert own.grad(order=order) == half.grad(order=order), order


def test_a_rule_in_a_loop_and_of_a_function_in_a_block():
    text = """variable a = 0.3
def step(s) = {
  def clipped(u) = clip(u, -1, 1)
  tangent clipped(u, du) = 2*du
  clipped(s*a) + 1
}
y = iterate(step, 0.1, 40)
"""
    ours = gradcli.loads(text).grad()["a"]
    s, ds = 0.1, 0.0
    for _ in range(40):
        s, ds = min(max(s * 0.3, -1), 1) + 1, 2 * (ds * 0.3 + s)
    assert ours == pytest.approx(ds, rel=1e-12)


def test_points_and_map_take_rules_along():
    text = "variable x = [0.4, -1.7, 2.6]\ndef r(u) = round(u)\ntangent r(u, du) = cos(u)*du\ndef g(u) = r(u)^2\ny = sum(map(g, x))\n"
    x = np.array([0.4, -1.7, 2.6])
    np.testing.assert_allclose(gradcli.loads(text).grad()["x"], 2 * np.round(x) * np.cos(x), rtol=1e-14)
    rows = gradcli.loads("variable x = 0.0\ndef r(u) = round(u)\ntangent r(u, du) = cos(u)*du\ny = r(x)^2\n").points(
        {"x": x}, order=1
    )
    np.testing.assert_allclose(np.asarray(rows["x"], dtype=float), 2 * np.round(x) * np.cos(x), rtol=1e-14)


def test_a_rule_that_is_not_selected_contributes_nothing():
    """The slope of f is infinite where it is not taken."""
    text = "variable x = 0.0\ndef f(x) = x\ntangent f(x, dx) = dx/x\ny = where(x > 1, f(x), 3*x)\nz = f(x*[1.0, 2.0])[1:]*0\n"
    program = gradcli.loads(text)
    assert program.grad("y") == {"x": 3.0}
    assert program.jacobian("y")["y"]["x"] == 3.0
    assert program.jvp({"x": 1.0}, "y")["y"] == 3.0
    assert program.grad("y", order=2) == {"x": 0.0}
    assert program.grad("y", order=4) == {"x": 0.0}


def test_several_values_have_a_tangent_each():
    text = "variable x = 0.7\ndef f(x) = x^2, exp(x)\ntangent f(x, dx) = 3*dx, x*dx\na, b = f(x)\ny = a*b\n"
    assert gradcli.loads(text).grad()["x"] == pytest.approx(3 * math.exp(0.7) + 0.7 * 0.49, rel=1e-14)


def test_derive_writes_a_program_that_keeps_the_rule():
    text = str(gradcli.loads(STRAIGHT).derive())
    assert "tangent" in text
    again = gradcli.loads(text)
    assert again.eval(["dy_dx"])["dy_dx"] == pytest.approx(gradcli.loads(STRAIGHT).grad()["x"], rel=1e-14)
    assert again.grad("dy_dx") == {"x": 2.0, "k": None}


def test_check_says_which_rule_is_another_derivative():
    found = gradcli.loads(STRAIGHT).check()
    assert found.passed
    assert {c.verdict for c in found.comparisons if c.method == "differences"} == {"own rule"}
    assert any("line 5" in note and "`tangent`" in note for note in found.notes)


def test_lint_asks_nothing_of_the_parameters_of_a_rule():
    assert [f.code for f in lint(gradcli.loads(STRAIGHT))] == ["no-influence"]


@pytest.mark.parametrize(
    ("rule", "message", "place"),
    [
        ("tangent f(x, k, dx) = x*dx^2", "not linear in `dx`", "dx^2"),
        ("tangent f(x, k, dx) = exp(dx)", "not linear", "exp(dx)"),
        ("tangent f(x, k, dx) = dx + 1", "not linear", "dx + 1"),
        ("tangent f(x, k, dx, dk) = dx*dk", "not linear in `dx` and `dk`", "dx*dk"),
        ("tangent f(x, k, dx) = x/dx", "not linear", "x/dx"),
        ("tangent f(x, k, dx) = maximum(dx, 0)", "not linear", "maximum(dx, 0)"),
        ("tangent f(x, k, dx) = where(dx > 0, dx, 0)", "not linear", "dx > 0"),
        ("tangent f(x, k, dx) = x", "does not use its tangents", "f"),
        ("tangent f(x, dx) = dx", "repeats the parameters", "dx"),
        ("tangent f(x, k) = x", "names tangents for the first of the 2 parameters", "f"),
        ("tangent f(x, k, dx, dk, dz) = dx", "here are 3", "f"),
        ("tangent f(x, k, dx=1) = dx", "no defaults", "dx"),
        ("tangent f(x, k, x) = x", "two parameters", "x"),
        ("tangent g(x, dx) = dx", "no `def g` stands above", "g"),
        ("tangent f(x, k, dx) = [dx, dx]", "has the shape of its value", "f"),
        ("tangent f(x, k, dx) = dx\ntangent f(x, k, dx) = dx", "has a derivative already", "f"),
    ],
)
def test_a_rule_that_is_wrong_is_one_spanned_error(rule, message, place):
    text = f"variable x = 1.5\nvariable k = 2.0\ndef f(x, k) = x^2*k\n{rule}\ny = f(x, k)\n"
    with pytest.raises(gradcli.GradcliError) as caught:
        gradcli.loads(text).grad()
    assert message in caught.value.message
    assert caught.value.span.text == place


def test_a_rule_below_a_call_is_refused():
    text = "variable x = 1.5\ndef f(x) = x^2\ny = f(x)\ntangent f(x, dx) = dx\n"
    with pytest.raises(gradcli.GradcliError, match="called before its derivative is known"):
        gradcli.loads(text)


def test_tangent_is_a_name_elsewhere():
    assert gradcli.loads("variable tangent = 3.0\ny = tangent^2\n").grad() == {"tangent": 6.0}


def test_none_names_the_rule(tmp_path):
    path = tmp_path / "ste.expr"
    path.write_text(STRAIGHT)
    told = CliRunner().invoke(cli, ["explain", str(path), "--wrt", "k", "--format", "plain"]).output
    assert "left out by the `tangent`" in told
    assert "tangent f(x, k, dx, dk)" in told


def test_the_sample_is_trained_through_signs():
    program = gradcli.load(Path(__file__).parents[2] / "samples" / "binary_weights.expr")
    x, target, w = np.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]]), np.array([1.0, -1.0]), np.array([0.61, -0.18, 1.33])
    slope = x.T @ (x @ np.sign(w) - target)
    np.testing.assert_allclose(program.grad()["w"], np.where(np.abs(w) <= 1, slope, 0.0), rtol=1e-14)
