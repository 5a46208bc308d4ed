"""Jacobians and Hessians: against seeded gradients row by row, and the form in which they come out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import gradcli
from gradcli.autodiff.jacobian import hessian, jacobian
from gradcli.graph.node import cone
from tests.random_programs import programs

VARIABLES = (
    "variable x = [[0.9, 0.2, 0.1], [0.3, 1.4, 0.2], [0.1, 0.5, 1.7]]\n"
    "constant w = [[0.2, 0.3, -1.0], [0.4, 0.5, 0.1], [0.1, -0.3, 0.6]]\n"
    "variable b = [0.3, 0.4, 0.7]\nvariable s = 0.7\nvariable c = [[0.2], [0.4], [0.9]]\nvariable r = [[0.2, 0.3, 0.9]]\n"
)

EXPRESSIONS = [
    "x", "x.T", "sum(x)", "mean(x, axis=0)", "sum(x, axis=1, keepdims=true)", "x@w", "w@x", "x@x", "x@b", "b@x", "x*b",
    "x + c", "x*c*r", "s*x", "x/b", "sin(x)*x", "tanh(x@w + b)@x", "softmax(x@w)", "log_softmax(x@w)",
    "logsumexp(x@x, axis=0)", "norm(x@x)", "inv(x)", "solve(x, w)", "solve(x, b)", "solve(w, x@x)", "det(x)", "logdet(x)",
    "cholesky(x@x.T)", "prod(x, axis=0)", "cumprod(x)", "max(x*x, axis=1)", "sort(sin(x))", "std(x)",
    'einsum("ij,jk,kl->il", x, w, x)', "trace(x@x@x)", "diag(x)", "diag(b)@x", "hypot(x, w)", "atan2(x, w)",
    "maximum(x*x, x)", "where(x > 0.3, x*x, b)", "clip(x*x, 0.2, 1.0)", "leaky_relu(x*x - 0.1)", "x^w", "x[0]*x[1]",
    "x[::-1, 1:]", "x[[0, 0, 2]]*2", "concat([x*x, sin(x)], 1)", "stack([b, b*b, sin(b)])", "divide_no_nan(x, x*x + 1)",
    "xlogy(x, x)", "var(x)", "cumsum(x, axis=1)", "reshape(x, [9])*2", "reshape(x*x, [1, 3, 3])", "tile(x, [2, 1])",
    "roll(x, 1)", "roll(x, 1, axis=1)", "flip(x)", "pad(x, [[1, 0], [0, 2]])", "outer(b, b)", "relu(x@w)",
    "gather(x, [1, 1], axis=1)", "tril(x)@x", "repeat(b, 2)", 'einsum("ii->i", x)', 'einsum("ij,ij->", x, x)',
    "matmul(reshape(x, [1, 3, 3]), stack([x, w]))", "sum(x)*x", "x*x.T", "mse(x, w)", "where(x > 0.3, log(x - 0.3), 0.0)@w",
    "relu(log(x))@x", "broadcast_to(b, [2, 3, 3])*x", "x[0, 1]*x", "gelu(x)", "dot(b, x@b)", "dot(b, b)*b",
    "solve(stack([x, w]), stack([x, x@x]))", "inv(stack([x, x@x + eye(3)]))", "where(x > 0, sum(x), 1.0)", "floor(x)*x",
]  # fmt: skip


def _rows(program: gradcli.Program, name: str, shape: tuple[int, ...], x: str) -> np.ndarray:
    """One seeded gradient for each entry of y."""
    like = program.eval([x])[x]
    rows = []
    for entry in np.ndindex(*shape):
        seed = np.zeros(shape)
        seed[entry] = 1
        rows.append(program.grad([name], [x], seeds={name: seed}, unconnected="zero")[x])
    return np.array(rows).reshape(shape + like.shape)


@pytest.mark.slow
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_rows_of_a_jacobian_are_seeded_gradients(expression: str) -> None:
    text = f"{VARIABLES}y = {expression}\ne = sum(sin(y))\n"
    names = ("x", "b", "s", "c", "r")
    asked = "".join(
        f'J{n} = jacobian(y, {n})\nH{n} = hessian(e, {n})\ng{n} = gradients(e, {n}, unconnected_gradients="zero")\n'
        for n in names
    )
    program = gradcli.loads(text + asked)
    values = program.eval()
    shape = values["y"].shape
    for n in names:
        np.testing.assert_allclose(values[f"J{n}"], _rows(program, "y", shape, n), rtol=1e-9, atol=1e-11)
        rows = _rows(program, f"g{n}", values[f"g{n}"].shape, n)
        np.testing.assert_allclose(values[f"H{n}"], rows, rtol=1e-7, atol=1e-8)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_random_jacobians_are_seeded_gradients(text: str) -> None:
    name = gradcli.loads(text).graph.definitions[-1]
    program = gradcli.loads(text + f"J0 = jacobian({name}, v0)\nJ1 = jacobian({name}, v1)\n")
    values = program.eval([name, "J0", "J1"])
    for x, jac in (("v0", values["J0"]), ("v1", values["J1"])):
        rows = _rows(program, name, values[name].shape, x)
        np.testing.assert_allclose(jac, rows, rtol=1e-8, atol=1e-9 * np.abs(rows).max(initial=1.0))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(programs(smooth=True, statements=5, scalar=True))
def test_a_hessian_is_the_jacobian_of_the_gradient_and_symmetric(text: str) -> None:
    more = 'g = gradients(y, v0, unconnected_gradients="zero")\nH = hessian(y, v0)\nJ = jacobian(g, v0)\n'
    values = gradcli.loads(text + more + "H00, H01, H10, H11 = hessian(y, [v0, v1])\n").eval()
    np.testing.assert_allclose(values["H"], values["J"], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(values["H00"], values["H"], rtol=1e-9, atol=1e-10)
    rank = len(values["H01"].shape) - len(values["H11"].shape) // 2
    turned = np.moveaxis(values["H10"], range(-rank, 0), range(rank)) if rank else values["H10"]
    scale = np.abs(values["H01"]).max(initial=1.0)
    np.testing.assert_allclose(values["H01"], turned, rtol=1e-7, atol=1e-9 * scale)


def test_derivatives_nest() -> None:
    text = (
        "variable x = [0.3, 0.8]\nvariable W = [[0.5, -0.2], [0.1, 0.7]]\n"
        "f = sum(tanh(W @ x))\ng = gradients(f, x)\npenalty = sum(square(g))\n"
        "H = hessian(penalty, W)\nh = hvp(f, x, [1.0, 2.0])\nJ = jacobian(h, W)\n"
        "Hx = hessian(f, x)\nt = sum(Hx*Hx)\ndt = gradients(t, W)\nJx = jacobian(Hx, x)\n"
    )
    program = gradcli.loads(text)
    values = program.eval()
    step = 1e-5

    def difference(name: str, variable: str, at: tuple[int, ...]) -> np.ndarray:
        base = program.eval([variable])[variable]
        moved = []
        for sign in (1, -1):
            changed = base.copy()
            changed[at] += sign * step
            moved.append(program.eval([name], values={variable: changed})[name])
        return (moved[0] - moved[1]) / (2 * step)

    for at in np.ndindex(2, 2):
        np.testing.assert_allclose(values["J"][(..., *at)], difference("h", "W", at), atol=1e-8)
        np.testing.assert_allclose(values["dt"][at], difference("t", "W", at), atol=1e-8)
    for at in np.ndindex(2):
        np.testing.assert_allclose(values["Jx"][(..., *at)], difference("Hx", "x", at), atol=1e-8)
    gradient = "gW = gradients(penalty, W)\n"
    program = gradcli.loads(text + gradient)
    for at in np.ndindex(2, 2):
        np.testing.assert_allclose(values["H"][(..., *at)], difference("gW", "W", at), atol=1e-8)


def _hessian_nodes(text: str, y: str, x: str) -> list[str]:
    graph = gradcli.loads(text).graph
    with graph.derivation.active():
        (((h),),) = hessian(graph.names[y], [graph.names[x]])
    return [node.op.name for node in cone([h])]


def test_the_hessian_of_a_quadratic_form_is_a_plus_its_transpose() -> None:
    assert _hessian_nodes("variable x: [9]\nvariable A: [9, 9]\ny = dot(x, A @ x)", "y", "x") == [
        "leaf",
        "transpose",
        "add",
    ]


def test_the_hessian_of_a_factorization_keeps_its_delta_to_the_end() -> None:
    text = "variable U: [40, 3]\nconstant V: [30, 3]\nconstant T: [40, 30]\nL = sum(square(T - U @ V.T))"
    names = _hessian_nodes(text, "L", "U")
    assert names.count("contraction") == 1 and names[-1] == "expand_delta"


def test_the_hessian_of_a_regression_is_one_contraction() -> None:
    text = "variable w: [4]\nconstant X: [9, 4]\nconstant t: [9]\nz = X @ w\nL = sum(softplus(z) - t*z)"
    names = _hessian_nodes(text, "L", "w")
    assert names.count("contraction") == 1 and "expand_delta" not in names


def test_a_masked_nan_stays_out_of_jacobians() -> None:
    text = "variable x = [-1.0, 0.0, 2.0]\nvariable p = [0.5, 0.0, 2.0]\nconstant A = [[1., 2., 3.], [4., 5., 6.]]\n"
    for expression in ("where(x > 0, log(x), 0.0)", "minimum(1/x, 5)", "where(x > 0, sqrt(x), x)", "relu(log(p))"):
        x = "p" if "p)" in expression else "x"
        values = gradcli.loads(f"{text}y = A @ {expression}\nJ = jacobian(y, {x})\nH = hessian(sum(y), {x})\n").eval()
        assert np.isfinite(values["J"]).all() and np.isfinite(values["H"]).all(), expression


def test_a_hessian_of_a_vector_is_an_error() -> None:
    with pytest.raises(gradcli.GradcliError) as caught:
        gradcli.loads("variable x = [1., 2.]\ny = x*x\nH = hessian(y, x)")
    assert caught.value.kind == "ShapeError" and "sum(y)" in (caught.value.help or "")
    assert caught.value.labels[0].span.text == "y"


def test_a_jacobian_of_what_does_not_depend_on_x_is_zero() -> None:
    graph = gradcli.loads("variable x = [1., 2.]\nvariable z = [3.]\ny = floor(x)").graph
    with graph.derivation.active():
        found = jacobian(graph.names["y"], [graph.names["x"], graph.names["z"]])
    assert [node.shape for node in found] == [(2, 2), (2, 1)]
    assert all(node.op.name == "zeros" for node in found)


def test_integer_programs_have_float_jacobians_never_truncated() -> None:
    values = gradcli.loads("variable x: int64 = 3\ny = 2^x\nJ = jacobian(y, x)").eval(["J"])
    assert values["J"] == pytest.approx(8 * np.log(2))
    values = gradcli.loads("variable x: int64[2] = [2, 2]\ny = max(x)\nJ = jacobian(y, x)").eval(["J"])
    np.testing.assert_array_equal(values["J"], [0.5, 0.5])


def test_a_bool_has_no_gradient() -> None:
    program = gradcli.loads("variable x: bool = true\ny = x\nz = [x, x]\nJ = jacobian(y, x)")
    assert program.grad(["y"], ["x"]) == {"x": None} and program.grad(["z"], ["x"], order=2) == {"x": None}
    assert program.eval(["J"])["J"] == 0


def test_an_error_in_a_derivative_names_the_line_of_its_operation() -> None:
    with pytest.raises(gradcli.GradcliError, match=r"^<string>:2:5: ValueError: logdet: the matrix is singular"):
        gradcli.loads("variable x = ones([4, 4])\ny = logdet(x)\nH = hessian(y, x)").eval(["H"])


@pytest.mark.parametrize(
    "expression",
    ["det(a)", "logdet(a)", "log(det(a))", "trace(inv(safe) @ a)", "sum(solve(safe, a), axis=[1, 2])"],
)
def test_matrices_of_which_nothing_is_selected_may_be_singular_in_a_jacobian(expression: str) -> None:
    """As in a gradient; only where the value of an inverse is needed must the matrix itself be regular."""
    text = (
        "variable a = [[[1.0, 2.0], [2.0, 4.0]], [[2.0, 0.5], [0.1, 1.0]]]\nconstant r = [false, true]\n"
        f"safe = where([[[false]], [[true]]], a, eye(2))\ny = where(r, {expression}, 1.0)\n"
    )
    program = gradcli.loads(text + "J = jacobian(y, a)\ns = sum(y)\ng = gradients(s, a)\nH = hessian(s, a)\n")
    values = program.eval(["J", "g", "H"])
    np.testing.assert_allclose(values["J"].sum(0), values["g"], atol=1e-12)
    assert np.isfinite(values["H"]).all() and not values["J"][:, 0].any()
