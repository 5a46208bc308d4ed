"""What an operation does not take contributes exactly nothing, and even powers of roots are polynomials."""

from __future__ import annotations

import numpy as np
import pytest

import gradcli
from gradcli.autodiff import reverse
from gradcli.graph.node import cone
from gradcli.graph.operation import Linear
from gradcli.graph.ops.creation import ones
from tests.graph.test_operations import SPECS

# every linear operation says whether it leaves entries out


@pytest.mark.slow
def test_a_linear_operation_that_leaves_entries_out_says_so():
    met = set()
    for case in (case for cases in SPECS.values() for case in cases):
        if "load(" in case.expression:
            continue
        program = gradcli.loads(case.program())
        graph = program.graph
        y = graph.names["y"]
        with graph.derivation.active():
            gradients = [g for g in reverse.gradients([y], list(graph.leaves.values())) if g is not None]
            for node in cone([y, *gradients]):
                rule = node.op.rule
                if not isinstance(rule, Linear) or not node.dtype.startswith("float"):
                    continue
                for i in node.op.differentiable_inputs(node):
                    back = rule.transpose(i, ones(shape=node.shape, dtype=node.dtype), node)
                    if any(x.op.name == "leaf" for x in cone([back])):
                        continue
                    met.add(node.op.name)
                    (value,) = program.evaluate([back])
                    assert np.all(value != 0) or rule.picks(node), (node.op.name, case.expression)
    assert met >= {
        "index",
        "gather",
        "take_along",
        "diagonal",
        "tril",
        "cumsum",
        "unindex",
        "concat",
        "transpose",
        "sum",
    }


SINGULAR = {  # a function, a point where its slope is singular, and one where it is not, with the slope there
    "sqrt(x)": (0.0, 4.0, 0.25), "log(x)": (0.0, 4.0, 0.25), "1/x": (0.0, 2.0, -0.25), "rsqrt(x)": (0.0, 4.0, -0.0625),
    "x^0.5": (0.0, 4.0, 0.25), "acos(x)": (1.0, 0.0, -1.0), "asin(x)": (2.0, 0.0, 1.0), "log(-x)": (4.0, -4.0, -0.25),
    "atanh(x)": (1.0, 0.0, 1.0), "cbrt(x)": (0.0, 8.0, 1 / 12), "x^-2": (0.0, 2.0, -0.25), "log(sin(x))": (0.0, np.pi / 4, 1.0),
}  # fmt: skip

TAKING = [  # what is taken of f = [singular, regular], each once
    "f[1]", "f[-1:]", "f[1::2]", "gather(f, [1])", "gather(f, [-1], axis=0)", "f[[1]]", "reshape(f, [2, 1])[1, 0]",
    "sum(one_hot(1, 2)*f)", "sum(f*cast([false, true], float64))", "sum(2*one_hot(1, 2)*f)/2", "one_hot(1, 2) @ f",
    "sum(one_hot([1], 2) @ f)", 'einsum("i,i->", one_hot(1, 2), f)', "diag(concat([[f], [f]], 0), 1)[0]",
    "diag(stack([f, f]))[1]", "trace(stack([[1.0, 1.0], f]))",
    "tril(stack([f[1:], f[:1]], axis=1), -1)[0, 0] + f[1]", "sum(cumsum(f[::-1], exclusive=true))",
    "sum(triu(stack([[2.0, 3.0], f])))", "concat([f, [1.0]])[1]", "pad(f, [[1, 1]])[2]", "stack([f, f])[0, 1]",
    "roll(f, 1)[0]", "flip(f)[0]", "tile(f, [2])[3]", "repeat(f, [0, 1])[0]", "take_along(f, [1], 0)[0]", "f.T[1]",
    "broadcast_to(f, [3, 2])[0, 1]", "where([false, true], f, 0)[1]", "sum(where([false, true], f, 0))",
    "identity(f)[1]", "cast(f, float64)[1]", "expand_dims(f, 0)[0, 1]", "squeeze(f[newaxis])[1]",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("function", SINGULAR)
def test_what_is_not_taken_contributes_nothing(function):
    bad, good, slope = SINGULAR[function]
    program = f"variable x = [{bad!r}, {good!r}]\nf = {function}\n"
    for expression in TAKING:
        text = f"{program}y = {expression}\ng = gradients(y, x)\nJ = jacobian(y, x)\nt = jvp(y, x, [1.0, 1.0])\n"
        text += 'h = gradients(g, x, unconnected_gradients="zero")\n'
        values = gradcli.loads(text).eval(["g", "J", "t", "h"])
        for key in "gJ":
            assert values[key].ravel().tolist() == pytest.approx([0, slope]), (expression, key)
        assert values["t"] == pytest.approx(slope), expression
        assert values["h"][0] == 0 and np.isfinite(values["h"]).all(), expression


@pytest.mark.parametrize(
    ("expression", "x", "expected"),
    [
        ("sum([0.0, 1.0, 1.0]*sqrt(x))", [0.0, 1.0, 4.0], [0, 0.5, 0.25]),
        ("x*sqrt(x)", 0.0, 0.0),
        ("sum(x*rsqrt(x))", [0.0, 4.0], [np.inf, 0.25]),
        ("sum([0.0, 1.0]*rsqrt(x))", [0.0, 4.0], [0, -0.0625]),
        ("sum([0.0, 1.0]*recip(x))", [0.0, 2.0], [0, -0.25]),
        ("sum([0.0, 1.0]*(1/x))", [0.0, 2.0], [0, -0.25]),
        ("sum([0.0, 1.0]*log(x))", [0.0, 2.0], [np.nan, 0.5]),
        ("sum([0.0, 1.0]*x^0.5)", [0.0, 4.0], [np.nan, 0.25]),
    ],
)
def test_roots_and_reciprocals_pass_0_where_the_incoming_gradient_is_0(expression, x, expected):
    program = gradcli.loads(f"variable x = {x}\ny = {expression}\nJ = jacobian(y, x)")
    np.testing.assert_allclose(program.grad(["y"])["x"], expected)
    np.testing.assert_allclose(program.eval(["J"])["J"], expected)


def test_an_operand_that_is_infinite_counts_whatever_another_that_might_be_is():
    text = """
variable x = [1.0, 2.0, 3.0]
variable a = [0.0, 1.0, 0.0]
variable b = [3.0, 5.0, 7.0]
y = where([true, true, false], einsum("i,i,i->i", x, 1/a, log(b)), 0.0)
g = gradients(y, x)
J = jacobian(y, x)
t = jvp(y, x, [1.0, 1.0, 1.0])
"""
    values = gradcli.loads(text).eval(["g", "J", "t"])
    expected = np.array([np.inf, np.log(5), 0])
    np.testing.assert_allclose(values["g"], expected)
    np.testing.assert_allclose(values["J"], np.diag(expected))
    np.testing.assert_allclose(values["t"], expected)


# even powers of roots

ROOTS = {
    "norm(x)^2": "sum(x*x)", "norm(x)*norm(x)": "sum(x*x)", "square(norm(x))": "sum(x*x)", "norm(x)^4": "sum(x*x)^2",
    "norm(x)^2.0": "sum(x*x)", "(2*norm(x))^2": "4*sum(x*x)", "(norm(x)/3)^2": "sum(x*x)/9", "(-norm(x))^2": "sum(x*x)",
    "(w*norm(x))^2": "w^2*sum(x*x)", "0.5*norm(x - r)^2": "0.5*sum((x - r)^2)", "exp(-norm(x)^2)": "exp(-sum(x*x))",
    "std(x)^2": "var(x)", "mean(std(reshape(x, [1, 3]), axis=1)^2)": "mean(var(reshape(x, [1, 3]), axis=1))",
    "sum(abs(x)^2)": "sum(x*x)", "sum(abs(x)*abs(x))": "sum(x*x)", "sum(square(abs(x)))": "sum(x*x)",
    "sum(abs(x)^4)": "sum(x^4)", "sum(abs(x)^6)": "sum(x^6)", "hypot(x[0], x[1])^2": "x[0]^2 + x[1]^2",
    "sum(hypot(x, x)^2)": "2*sum(x*x)", "sum(norm(reshape(x, [3, 1]), axis=1)^2)": "sum(x*x)",
    "sum(norm(reshape(x, [1, 3]), axis=1, keepdims=true)^2)": "sum(x*x)", "norm(x)^2 + norm(x)^4": "sum(x*x) + sum(x*x)^2",
    "where(norm(x) < 1, 0.5*norm(x)^2, norm(x))": "0.5*sum(x*x)", "log(1 + norm(x)^2)": "log(1 + sum(x*x))",
    "cos(norm(x)^2)*norm(x)^2": "cos(sum(x*x))*sum(x*x)",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("point", [[0.0, 0.0, 0.0], [1.0, -2.0, 0.5]])
@pytest.mark.parametrize(("root", "polynomial"), ROOTS.items())
def test_an_even_power_of_a_root_has_the_derivatives_of_a_polynomial(root, polynomial, point):
    if point[0] and "where" in root:
        point = [0.25, -0.5, 0.125]
    start = f"variable x = {point}\nvariable w = 1.5\nconstant r = {point if '- r' in root else [0.0, 0.0, 0.0]}\n"
    found = []
    for expression in (root, polynomial):
        text = f"{start}y = {expression}\nH = hessian(y, x)\nv = hvp(y, x, [1.0, 2.0, -1.0])\nt = taylor(y, x, 3)\n"
        text += "u = jvp(jvp(y, x, [1.0, 2.0, -1.0]), x, [1.0, 2.0, -1.0])\n"
        program = gradcli.loads(text)
        orders = [program.grad(["y"], ["x"], order=n)["x"] for n in (1, 2, 3, 4)]
        found.append([*program.eval(["H", "v", "t", "u"]).values(), *[0 if g is None else g for g in orders]])
    for got, right in zip(*found, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-12, atol=1e-12)


def test_a_root_that_is_asked_for_keeps_its_own_gradient():
    program = gradcli.loads("variable x = [3.0, 4.0]\nr = norm(x)\ny = r^2 + r")
    gradients = program.grad(["y"], ["x", "r"])
    np.testing.assert_allclose(gradients["x"], [6.6, 8.8])
    assert gradients["r"] == pytest.approx(11.0)


LEAVING_OUT = ["relu(x)", "maximum(x, 0)", "where(x > 0, x, 0)", "clip(x, 0, 9)", "sum(reshape(relu(x), [2, 1]), axis=1)",
            "where(x > 0, 2*x, 0)/2"]  # fmt: skip
"""What makes 0 of x = -1 and keeps x = 2."""


@pytest.mark.parametrize("left", LEAVING_OUT)
@pytest.mark.parametrize(
    "function",
    [
        "log({})",
        "sqrt({})",
        "rsqrt({})",
        "({})^0.5",
        "({})^-2",
        "1/{}",
        "3/{}",
        "acos(1 - {}/4)",
        "atanh({}/4 - 1)",
        "xlogy(2.0, {})",
    ],
)
def test_both_modes_pass_0_to_what_is_not_selected(function, left):
    """The slope is infinite at the number that stands in place of x, whatever the order."""
    program = gradcli.loads(f"variable x = [-1.0, 2.0]; y = {function.format(left)}")
    for order in (1, 4):
        backward = program.grad(["y"], order=order)["x"]
        assert backward[0] == 0, order
        assert np.isfinite(backward[1]), order
    ahead = program.jvp({"x": [1.0, 0.0]}, ["y"])["y"]
    assert ahead[0] == 0
    both = program.jvp({"x": [1.0, 1.0]}, ["y"])["y"]
    np.testing.assert_allclose(both, program.grad(["y"])["x"], rtol=1e-12)
