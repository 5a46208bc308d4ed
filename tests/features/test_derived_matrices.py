"""Jacobians, Hessians, derivatives along a direction and Taylor polynomials as formulas, and how many lines have names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import gradcli
from tests.features.test_derived import assert_equal
from tests.features.test_latex import check
from tests.features.test_numpy_module import gradient_of
from tests.random_programs import programs

PROGRAM = """
variable x = [0.5, 2.0]
variable t = 0.3
constant k = 3.0
r = sin(t)*x[0]
u = [r*x[1], exp(x[0]*t), k]
v = sum(u)*r
"""


def names_of(program: gradcli.Program) -> set[str]:
    """Names of what is computed."""
    return {name for name in program.graph.names if name not in program.graph.leaves}


def test_jacobian() -> None:
    program = gradcli.loads(PROGRAM)
    printed = gradcli.loads(program.derive(["u", "v"], jacobian=True))
    expected = program.jacobian(["u", "v"])
    for y, row in expected.items():
        for x, value in row.items():
            assert_equal(printed.eval([f"d{y}_d{x}"])[f"d{y}_d{x}"], value, f"{y} by {x}")
    module = gradient_of(program.derive(["u", "v"], jacobian=True, format="python"))()
    assert list(module) == ["du_dx", "du_dt", "dv_dx", "dv_dt"]
    assert_equal(module["du_dx"], expected["u"]["x"], "a module")
    assert printed.graph.outputs == ["du_dx", "du_dt", "dv_dx", "dv_dt"]


def test_hessian_with_cross_blocks() -> None:
    program = gradcli.loads(PROGRAM)
    printed = gradcli.loads(program.derive("v", hessian=True))
    for a, row in program.hessian("v").items():
        for b, value in row.items():
            assert_equal(printed.eval([f"d2v_d{a}_d{b}"])[f"d2v_d{a}_d{b}"], value, f"{a}, {b}")


def test_the_hessian_of_no_scalar_is_an_error() -> None:
    with pytest.raises(gradcli.GradcliError, match="a Hessian is that of a scalar"):
        gradcli.loads(PROGRAM).derive("u", hessian=True)


def test_along_a_direction() -> None:
    program = gradcli.loads(PROGRAM)
    tangents = {"x": np.array([1.0, -2.0]), "t": np.array(0.5)}
    expected = program.jvp(tangents, ["u", "v"])
    free = gradcli.loads(program.derive(["u", "v"], jvp=True))
    assert_equal(free.eval(["du"], values={"dx": tangents["x"], "dt": 0.5})["du"], expected["u"], "free")
    fixed = gradcli.loads(program.derive(["u", "v"], jvp=True, tangents=tangents))
    for y, value in expected.items():
        assert_equal(fixed.eval([f"d{y}"])[f"d{y}"], value, y)
    only = gradcli.loads(program.derive("v", jvp=True, tangents={"t": 2.0}))
    assert "dx" not in only.names
    assert_equal(only.eval(["dv"])["dv"], program.jvp({"t": 2.0}, "v")["v"], "one x")


def test_names_that_tangents_meet() -> None:
    program = gradcli.loads("variable x = 2.0; variable dx = 3.0; y = x*dx")
    text = program.derive(jvp=True)
    assert "constant dx_\n" in text and "constant ddx\n" in text
    printed = gradcli.loads(text)
    assert printed.eval(["dy"], values={"dx_": 1.0, "ddx": 10.0})["dy"] == 23
    assert "dx_ = dx\n" in gradcli.loads("variable x = 2.0").derive(["x"], jvp=True)


@pytest.mark.parametrize("formula", ["exp(sin(x))", "1/(1 + x)", "x^3 - 2*x", "log(x)*x", "5 + 0*x"])
def test_taylor_polynomials_of_one_number(formula: str) -> None:
    program = gradcli.loads(f"variable x = 0.7; y = {formula}")
    orders = [program.eval(["y"])["y"], *[program.grad(order=n, unconnected="zero")["x"] for n in range(1, 5)]]
    h = 0.25
    expected = sum(g * h**n / math.factorial(n) for n, g in enumerate(orders))
    printed = gradcli.loads(program.derive(taylor=4))
    assert printed.eval(["y_taylor4"], values={"dx": h})["y_taylor4"] == pytest.approx(expected, rel=1e-12)
    assert gradcli.loads(program.derive(taylor=0)).eval()["y_taylor0"] == pytest.approx(orders[0])


def test_taylor_polynomials_of_several_and_of_arrays() -> None:
    """The remainder shrinks with the power of the step that comes next."""
    program = gradcli.loads("variable x = [0.5, 0.2]; variable t = 0.3; y = exp(x[0]*t)*sin(x[1]) + t^2*x")
    printed = gradcli.loads(program.derive(taylor=2))
    steps = {"dx": np.array([0.1, -0.2]), "dt": np.array(0.15)}
    errors = []
    for scale in (0.1, 0.05):
        moved = {"x": [0.5, 0.2] + scale * steps["dx"], "t": 0.3 + scale * steps["dt"]}
        y = program.eval(["y"], values=moved)["y"]
        found = printed.eval(["y_taylor2"], values={k: scale * v for k, v in steps.items()})["y_taylor2"]
        errors.append(np.abs(found - y).max())
    assert errors[0] / errors[1] == pytest.approx(8, rel=0.1)
    entrywise = gradcli.loads("variable x = [1.0, 2.0]; y = x^3").derive(taylor=3)
    assert "dx^3" in entrywise


def test_a_taylor_polynomial_reads_as_one() -> None:
    assert gradcli.loads("variable x = 0.0; y = x^2").derive(taylor=2, name_parts=0).endswith("output y_taylor2\n")
    text = gradcli.loads("variable x = 0.0; y = exp(x)").derive(taylor=2)
    assert "dx^2" in text
    with pytest.raises(gradcli.GradcliError, match="needs a float x"):
        gradcli.loads("variable n = 3; y = n*1.0").derive(taylor=2)


NAMED = "variable x = 0.4; a = sin(x); b = exp(a)*a; c = b^2 + a; y = c*b + tanh(c)*c"


@pytest.mark.parametrize("format", ["expr", "python", "latex", "c"])
def test_parts_are_named_as_far_as_that_is_allowed(format: str) -> None:
    program = gradcli.loads(NAMED)
    counts = []
    for most in (0, 1, 2, 3, 50):
        text = program.derive(name_parts=most, format=format)  # type: ignore[arg-type]
        if format == "expr":
            printed = gradcli.loads(text)
            counts.append(len(names_of(printed)) - 1)
            assert_equal(printed.eval()["dy_dx"], program.grad()["x"], text)
        elif format == "python":
            counts.append(sum(" = " in line and "np.asarray" not in line for line in text.splitlines()) - 1)
            assert_equal(gradient_of(text)()["x"], program.grad()["x"], text)
        elif format == "c":
            counts.append(text.count("    const double") - 2 * ("const double y =" in text))
        else:
            check(text)
            counts.append(text.count("&=") - 1)
        assert counts[-1] <= most
    assert counts[-1] > counts[1]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_one_formula_means_what_many_lines_mean(text: str) -> None:
    program = gradcli.loads(text)
    try:
        printed = gradcli.loads(program.derive(name_parts=0))
    except gradcli.GradcliError as error:
        assert error.kind == "LimitError"
        return
    many = gradcli.loads(program.derive())
    known = many.eval()
    assert names_of(printed) <= {*known, *(n for n in names_of(many) if "_d" in n), *names_of(program)}
    for name, value in printed.eval().items():
        assert_equal(value, known[name], text)


def test_one_formula_that_nobody_could_read_is_refused() -> None:
    lines = [f"x{i + 1} = x{i}*sin(x{i})" for i in range(40)]
    program = gradcli.loads("variable x0 = 0.9\n" + "\n".join(lines))
    with pytest.raises(gradcli.GradcliError, match="more than 1,000,000 characters") as found:
        program.derive(name_parts=0)
    assert found.value.help
    assert len(program.derive(name_parts=100)) < 10_000


def test_a_none_of_an_intermediate_value_keeps_its_name() -> None:
    program = gradcli.loads("variable x = 2.0; a = floor(x); b = floor(a); y = b*x")
    printed = gradcli.loads(program.derive(wrt=["x", "a"], name_parts=0))
    assert printed.eval(["dy_da"]) == {"dy_da": None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jacobian", "--hessian"], "--jacobian and --hessian exclude each other"),
        (["--jacobian", "--order", "1"], "--jacobian goes without --order"),
        (["--taylor", "2", "--seed", "y=1"], "--taylor goes without --seed"),
        (["--jvp", "--steps"], "--jvp goes without --steps"),
        (["--tangent", "x=1"], "--tangent is for --jvp and --taylor"),
        (["--jvp", "--tangent", "x=1", "--wrt", "x"], "in place of --wrt"),
        (["--steps", "--name-parts", "1"], "leave out --name-parts"),
        (["--taylor", "101"], "--taylor"),
        (["--name-parts", "-1"], "--name-parts"),
        (["--steps", "--format", "c"], "leave out --format c"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], message: str, command_line: Any) -> None:
    done = command_line("derive", "-e", "variable x = 2.0; y = x^2", *arguments)
    assert (done.status, done.out) == (2, "")
    assert message in " ".join(done.err.split())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"jacobian": True, "jvp": True}, "exclude each other"),
        ({"jacobian": True, "seeds": {"y": 1.0}}, "seeds are for gradients"),
        ({"tangents": {"x": 1.0}}, "tangents are for"),
        ({"jvp": True, "tangents": {"x": 1.0}, "wrt": "x"}, "leave out wrt"),
        ({"jvp": True, "tangents": {"x": [1.0, 2.0]}}, "the tangent of x needs its shape"),
        ({"taylor": -1}, "taylor"),
        ({"name_parts": -1}, "name_parts"),
    ],
)
def test_what_python_cannot_ask_together(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(gradcli.GradcliError, match=message):
        gradcli.loads("variable x = 2.0; y = x^2").derive(**asked)
