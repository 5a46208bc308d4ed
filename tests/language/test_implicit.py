"""``root`` and ``minimize``: values, derivatives of any order, every command, and searches that do not end."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import gradcli

# Each beside the same by many steps of Newton's method, which are differentiated one by one.
SCALAR = """variable a = 2.0
variable b = 3.0
def f(x) = {body}
{how}
y = x^2 + a*x
"""
NEWTON = "def step(x) = x - ({body}) / ({slope})\nx = iterate(step, 1.0, 30)"

BODIES = [
    ("x^3 + a*x - b", "3*x^2 + a"),
    ("exp(x) - a*b", "exp(x)"),
    ("a*x - b", "a"),
    ("sin(x)*a + x - b/2", "cos(x)*a + 1"),
    ("log(x + a) - b/4", "1/(x + a)"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("body", "slope"), BODIES)
def test_derivatives_are_those_of_many_steps_of_newton(body, slope):
    ours = gradcli.loads(SCALAR.format(body=body, how="x = root(f, 1.0)"))
    steps = gradcli.loads(SCALAR.format(body=body, how=NEWTON.format(body=body, slope=slope)))
    assert ours.eval()["y"] == pytest.approx(steps.eval()["y"], rel=1e-13)
    for order in (1, 2, 3, 4):
        found, expected = ours.grad(order=order), steps.grad(order=order)
        for name, g in expected.items():
            assert (0.0 if found[name] is None else found[name]) == pytest.approx(g, rel=1e-7, abs=1e-9), (name, order)
    for a, row in steps.hessian().items():
        for b, block in row.items():
            np.testing.assert_allclose(ours.hessian()[a][b], block, rtol=1e-9, atol=1e-11, err_msg=f"{a} {b}")
    assert ours.jvp({"a": 1.0, "b": -1.0})["y"] == pytest.approx(steps.jvp({"a": 1.0, "b": -1.0})["y"], rel=1e-10)


SYSTEMS = [
    "variable a = [2.0, 0.5]\nvariable b = 1.5\ndef f(x) = [x[0]^2 + x[1]*b - a[0], exp(x[1]) - x[0] - a[1]]\nx = root(f, [1.0, 1.0])\ny = sum(x^3)\n",
    "variable a = [1.0, 2.0]\nvariable b = 3.0\ndef f(x) = sum((x - a)^4) + b*sum(x^2) + x[0]*x[1]\nx = minimize(f, [0.0, 0.0])\ny = x[0]*x[1] + b\n",
    "variable a = [[4.0, 1.0], [1.0, 3.0]]\nvariable b = [1.0, -1.0]\ndef f(x) = a @ x + 0.1*x^3 - b\nx = root(f, zeros([2]))\ny = sum(x^2)\n",
    "variable a = 0.4\nvariable b = 1.1\ndef g(u) = b*sin(u) + a\ndef f(x) = iterate(g, x, 12) - x\nx = root(f, 1.0)\ny = x^2\n",
    "variable a = 2.0\nvariable b = 0.3\ndef f(x) = { def h(v) = v^3 + v - a*x\n v = root(h, 1.0)\n v^2 + x - 2*a*b }\nx = root(f, 1.0)\ny = exp(x)\n",
    "variable a = 2.0\nvariable b = 0.3\ndef cost(x) = cosh(x - a) + b*x^2\ndef f(z) = z - minimize(cost, 0.0)*z^2 + a\nx = root(f, -1.0)\ny = x*b\n",
]


@pytest.mark.slow
@pytest.mark.parametrize("text", SYSTEMS)
def test_check_compares_with_differences_of_the_whole(text):
    found = gradcli.loads(text).check()
    assert {c.verdict for c in found.comparisons} == {"ok"}
    assert {c.method for c in found.comparisons} == {"forward", "series", "differences"}


@pytest.mark.slow
@pytest.mark.parametrize("text", SYSTEMS)
def test_derive_writes_it_as_a_program_again(text):
    program = gradcli.loads(text)
    for order in (1, 2):
        again = gradcli.loads(str(program.derive(order=order))).eval()
        for (name, g), other in zip(program.grad(order=order).items(), again.values(), strict=True):
            np.testing.assert_allclose(other, g, rtol=1e-9, atol=1e-12, err_msg=f"{name} {order}")


@pytest.mark.parametrize("text", SYSTEMS)
def test_jacobian_and_gradient_of_each_entry_agree(text):
    program = gradcli.loads(text)
    found = program.jacobian("x")["x"]
    one = gradcli.loads(text + "u = sum(x)\n").grad("u")
    for name, block in found.items():
        block = np.asarray(block)
        rank = block.ndim - np.ndim(one[name])
        np.testing.assert_allclose(block.sum(axis=tuple(range(rank))), one[name], rtol=1e-9, atol=1e-12)


def test_many_points_and_map_solve_row_by_row():
    text = "variable a = 2.0\ndef f(x) = x^3 + x - a\nx = root(f, 1.0)\n"
    a = np.array([2.0, 10.0, 30.0, -4.0])
    rows = gradcli.loads(text).points({"a": a}, "x", order=1)
    x = np.array([gradcli.loads(text).eval(values={"a": v})["x"] for v in a])
    np.testing.assert_allclose(np.asarray(rows["a"], dtype=float), 1 / (3 * x**2 + 1), rtol=1e-12)
    many = gradcli.loads(
        "variable a = [2.0, 10.0, 30.0, -4.0]\ndef one(a) = { def f(x) = x^3 + x - a\n root(f, 1.0) }\ny = map(one, a)\nz = sum(y^2)\n"
    )
    np.testing.assert_allclose(many.eval()["y"], x, rtol=1e-13)
    np.testing.assert_allclose(many.grad("z")["a"], 2 * x / (3 * x**2 + 1), rtol=1e-12)


def test_the_start_has_no_derivative():
    text = "variable a = 2.0\nvariable s = 1.0\ndef f(x) = x^2 - a\ny = root(f, s)\n"
    assert gradcli.loads(text).grad() == {"a": pytest.approx(0.5 / math.sqrt(2), rel=1e-14), "s": None}


def test_both_precisions_and_scales():
    for dtype, rel in (("float64", 1e-15), ("float32", 1e-7)):
        for exponent in (-60, -8, 0, 8, 60) if dtype == "float64" else (-8, 0, 8):
            a = 2.0 * 10.0**exponent
            text = f"dtype {dtype}\nvariable a = {a!r}\ndef f(x) = x^2 - a\ny = root(f, {10.0 ** (exponent // 2)!r})\n"
            assert gradcli.loads(text).eval()["y"] == pytest.approx(math.sqrt(a), rel=4 * rel)


def test_no_entries_and_the_identity():
    assert gradcli.loads("def f(x) = x\ny = root(f, zeros([0]))\n").eval()["y"].shape == (0,)
    assert gradcli.loads("def f(x) = x\ny = root(f, 3.0)\n").eval()["y"] == 0.0


def test_a_minimum_from_far_away():
    """Rosenbrock's function; source: *An automatic method for finding the greatest or least value of a function*, 1960."""
    text = "variable a = 1.0\ndef f(x) = (a - x[0])^2 + 100*(x[1] - x[0]^2)^2\ny = minimize(f, [-1.2, 1.0])\n"
    program = gradcli.loads(text)
    np.testing.assert_allclose(program.eval()["y"], [1.0, 1.0], rtol=1e-10)
    np.testing.assert_allclose(program.jacobian()["y"]["a"], [1.0, 2.0], rtol=1e-9)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("def f(x) = x^2 + 1\ny = root(f, 1.0)", "root: the Jacobian has no inverse where f is still 1"),
        ("def f(x) = exp(x)\ny = minimize(f, 1.0)", "minimize: nothing was found within 200 steps"),
        ("def f(x) = x^10 - 2\ny = root(f, 100.0, steps=3)", "nothing was found within 3 steps: f is still 4.24e+18"),
        ("def f(x) = cos(x)\ny = minimize(f, 0.0)", "where f curves down"),
        ("def f(x) = log(x)\ny = root(f, -1.0)", "not finite at x = -1"),
        ("def f(x) = 3.0\ny = root(f, 1.0)", "f does not depend on x"),
        ("def f(x) = 2*x\ny = minimize(f, 1.0)", "f is linear, and has no minimum"),
        ("def f(x) = [x, x]\ny = root(f, 1.0)", "root needs an f of the shape of x"),
        ("def f(x) = [x, x]\ny = minimize(f, 1.0)", "minimize needs a scalar f"),
        ("def f(x) = x, x\ny = root(f, 1.0)", "gives 2 values"),
        ("def f(x) = x > 1\ny = root(f, 1.0)", "gives bool"),
        ("y = root(3, 1.0)", "needs the name of a function"),
        ("def f(x, z) = x\ny = root(f, 1.0)", "a function of one argument"),
        ("def f(x) = x\ny = root(f, 1.0, steps=0)", "takes from 1 to 1,000,000 steps"),
        ("def f(x) = x\ny = root(f, 1.0, tol=2)", "relative to x, above 0 and below 1"),
        ("def f(x) = x\ny = root(f, zeros([3000]))", "at most 2000 entries"),
        ("def f(x) = x - inv([[1.0, 1.0], [1.0, 1.0]])[0, 0]\ny = root(f, 1.0)", "inv: the matrix is singular"),
    ],
)  # fmt: skip
def test_what_cannot_be_solved_is_one_spanned_error(lines, message):
    with pytest.raises(gradcli.GradcliError) as caught:
        gradcli.loads(f"variable a = 1.0\n{lines}\n").eval()
    assert message in caught.value.message
    assert caught.value.span is not None


def test_formulas_for_other_systems_say_that_there_are_none():
    program = gradcli.loads(SYSTEMS[0])
    for format in ("latex", "python"):
        with pytest.raises(gradcli.GradcliError, match="root is a search"):
            program.derive(format=format)


def test_the_sample_has_the_numbers_of_the_book():
    """Harris, *Quantitative Chemical Analysis*: pH 2.17, of the acid 13.6 % dissociated; slopes by the balance itself."""
    program = gradcli.load(Path(__file__).parents[2] / "samples" / "loops" / "weak_acid.expr")
    found = program.eval()
    assert round(float(found["pH"]), 2) == 2.17
    assert round(100 * float(found["dissociated"]), 1) == 13.6
    h, ka, c, kw = 10 ** -float(found["pH"]), 1.07e-3, 0.05, 1e-14
    by_h = 1 + c * ka / (h + ka) ** 2 + kw / h**2
    slope = program.grad("pH")
    assert slope["total"] == pytest.approx(-ka / (h + ka) / by_h / h / math.log(10), rel=1e-10)
    assert slope["pKa"] == pytest.approx(c * h / (h + ka) ** 2 / by_h * ka / h, rel=1e-10)


@pytest.mark.parametrize("inner", ["sign(v)", "1/sign(v)", "abs(v)", "relu(v)", "v"])
@pytest.mark.parametrize("residual", ["u^3 + u - a", "u - a*a", "u*a - 1"])
def test_none_orders_are_those_of_repeated_gradients(inner: str, residual: str) -> None:
    text = f"variable v = 2.0\nn = {inner}\ndef solved(a) = {{ def g(u) = {residual}\n    root(g, 0.0*a + 0.5) }}\n"
    text += "y = solved(n)\ng0 = y\n"
    program = gradcli.loads(text)
    for order in (1, 2, 3, 4):
        found = program.grad(["y"], order=order)["v"]
        text += f"g{order} = gradients(g{order - 1}, v)\n"
        try:
            nested = gradcli.loads(text).eval([f"g{order}"])[f"g{order}"]
        except gradcli.GradcliError as error:
            assert "None" in error.message
            nested = None
        assert (found is None) == (nested is None)
        assert found is None or found == pytest.approx(nested, rel=1e-12)
        if nested is None:
            break
