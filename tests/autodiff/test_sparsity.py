"""Patterns of what may be non-zero: decided from the graph and the constants, never from the variables' values."""

import numpy as np
import pytest

import gradcli
from gradcli.features.matrices.answer import hessians, jacobians


def pattern(text, kind=jacobians, **options):
    (block,) = kind(gradcli.loads(text), sparsity=True, **options).blocks
    assert block.value.dtype == bool
    matrix = block.value.reshape(int(np.prod(block.row_shape)), int(np.prod(block.column_shape)))
    return ["".join(".*"[entry] for entry in row) for row in matrix.tolist()]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("variable x = [1., 2.]; y = x*x", ["*.", ".*"]),
        # a value that happens to be 0 is not structural, nor is a sum that cancels
        ("variable x = [0., 0.]; y = x*x", ["*.", ".*"]),
        ("variable x = [1., 2.]; y = sin(x) - sin(identity(x))", ["*.", ".*"]),
        # zeros of constants are
        ("variable x = [1., 2.]; y = [[0., 1.], [0., 0.]] @ x", [".*", ".."]),
        ("variable x = [1., 2.]; constant k = [0., 3.]; y = k*x", ["..", ".*"]),
        ("variable x = [1., 2.]; constant k: [2]; y = k*x", ["*.", ".*"]),
        ("variable x = [1., 2.]; y = where([true, false], x, 0)*sin(x)", ["*.", ".."]),
        ("variable x = [1., 2., 3.]; y = cumsum(x)", ["*..", "**.", "***"]),
        ("variable x = [1., 2., 3.]; y = relu(x[:2])", ["*..", ".*."]),
        ("variable x = [1., 2., 3.]; y = norm(x)", ["***"]),
        ("variable x = [1., 2.]; y = gather(x, argsort(x))", ["**", "**"]),
        ("variable x = [1., 2.]; y = stop_gradient(x)", ["..", ".."]),
        ("variable x: [3]; y = x[1:]^2 - x[:-1]", ["**.", ".**"]),
        ("variable x = [1, 2]; y = x*x", ["*.", ".*"]),
    ],
)
def test_jacobians(text, rows):
    assert pattern(text) == rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("variable x: [3]; y = sum(x^3)", ["*..", ".*.", "..*"]),
        ("variable x: [3]; y = x[0]*x[1] + x[2]", [".*.", "*..", "..."]),
        ("variable x: [2]; y = sum(x)", ["..", ".."]),
        ("variable x: [3]; y = sum((x[1:] - x[:-1]^2)^2)", ["**.", "***", ".**"]),
        ("variable x: [2]; y = sum(relu(x))", ["..", ".."]),
    ],
)
def test_hessians(text, rows):
    assert pattern(text, hessians) == rows


def test_a_constant_that_is_differentiated_is_unknown():
    assert pattern("constant k = [0., 3.]; y = k*k", wrt=["k"]) == ["*.", ".*"]


@pytest.mark.parametrize(
    "body",
    ["tanh(x @ x)", "x*x[0] + exp(x)", "softmax(x)*x[:, :1]", "solve(x, [1., 0., 2.])", "cumprod(x)", "max(x, axis=0)",
     "concat([x[1:], x^2])", "cholesky(x @ x.T)", "x/(1 + x.T^2)", "pad(x, [[1, 0], [0, 1]])", "prod(x, axis=1)"],
)  # fmt: skip
def test_patterns_cover_all_non_zeros(body):
    program = gradcli.loads(f"variable x = random_normal([3, 3], seed=1) + 2*eye(3); y = {body}; s = sum(y*y)")
    for kind, of in ((jacobians, ["y"]), (hessians, ["s"])):
        (values,) = kind(program, of).blocks
        (stars,) = kind(program, of, sparsity=True).blocks
        assert not np.any((values.value != 0) & ~stars.value)
