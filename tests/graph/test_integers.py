"""Integer results that do not fit their dtype are errors, in every engine; NumPy would wrap around."""

from __future__ import annotations

import numpy as np
import pytest

import gradcli
from gradcli.graph.ops import table

LIMIT = 2**63 - 1


PROGRAMS = {
    "add": "n + n", "subtract": "n - (0 - n)", "neg": "-(-n - 1)", "abs": "abs(-n - 1)", "square": "square(n)", "multiply": "n * 3",
    "pow": "n^2", "floor_divide": "floor_divide(-n - 1, -1)", "sum": "sum([n, n, n])", "prod": "prod([n, n])",
    "cumsum": "cumsum([n, n])", "cumprod": "cumprod([n, 2])", "matmul": "[n, n] @ [1, 1]",
    "contraction": 'einsum("i,i->", [n, n], [1, 1])', "scatter_add": "scatter_add([n, n], [0, 0], 0, 1)",
    "scatter_along": "scatter_along([n, n], [0, 0], 0, 1)", "cast": "cast(n, int32)", "products": "n*2 + n*2",
    "ravel_multi_index": "ravel_multi_index([[3], [3]], [n, n])",
}  # fmt: skip
"""Programs of n, the largest int64, whose result does not fit."""


def fails(text: str, **asked: object) -> gradcli.GradcliError:
    with pytest.raises(gradcli.GradcliError) as caught:
        gradcli.loads(text).eval(["y"], **asked)
    return caught.value


def test_there_is_a_program_for_each_of_them():
    assert PROGRAMS.keys() - {"cast"} == {op.name for op in table.values() if op.wraps}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("without", ["", "plain", "simplify"])
def test_a_result_that_does_not_fit_is_an_error_with_its_place(name, without, monkeypatch):
    monkeypatch.setenv("GRADCLI_WITHOUT", without)
    error = fails(f"constant n = {LIMIT}\ny = {PROGRAMS[name]}")
    assert error.kind == "ValueError"
    assert "does not fit into int" in error.message
    assert error.labels
    assert error.help is not None and "float" in error.help


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "ravel_multi_index"])
def test_in_a_straight_line(name):
    program = gradcli.loads(f"constant n: int64\ny = {PROGRAMS[name]}")
    run = program.compile(["y"], inputs=["n"])
    run(n=1)
    with pytest.raises(gradcli.GradcliError, match="does not fit into int"):
        run(n=LIMIT)


def test_for_many_rows():
    program = gradcli.loads("constant n = 3\ny = n^2; z = [n, n] @ [n, n]")
    with pytest.raises(gradcli.GradcliError, match="does not fit into int64") as caught:
        program.points({"n": [1, LIMIT, 2]}, ["y"])
    assert "2" in caught.value.message
    found = program.points({"n": [1, LIMIT, 2]}, ["z"], skip_bad=True)["z"]
    assert found is not None
    np.testing.assert_array_equal(found, [2, np.nan, 8])


@pytest.mark.parametrize(
    "expression", ["n + n", "n * n", "sum(n)", "sum(n*1, 0)", "cumsum(n)", "-n - 2", "n @ n", "n^3"]
)
def test_of_large_arrays(expression):
    many = 1 << 16
    program = gradcli.loads(f"variable n: int64[{many}]\ny = {expression}")
    small = program.eval(["y"], values={"n": np.arange(many) % 7})["y"]
    n = np.arange(many) % 7
    assert np.array_equal(small, eval(expression.replace("^", "**"), {"n": n, "sum": np.sum, "cumsum": np.cumsum}))
    n = np.full(many, LIMIT)
    with pytest.raises(gradcli.GradcliError, match="does not fit into int64") as caught:
        program.eval(["y"], values={"n": n})
    assert caught.value.labels


@pytest.mark.parametrize("name", ["add", "pow", "sum", "matmul", "cast", "scatter_add"])
def test_compiled_by_jax(name):
    pytest.importorskip("jax")
    program = gradcli.loads(f"constant n: int64\ny = {PROGRAMS[name]}", backend="jax", device="cpu")
    plain = gradcli.loads(f"constant n: int64\ny = {PROGRAMS[name]}")
    np.testing.assert_array_equal(program.eval(values={"n": 4})["y"], plain.eval(values={"n": 4})["y"])
    with pytest.raises(gradcli.GradcliError, match="does not fit into int"):
        program.eval(values={"n": LIMIT})


def test_in_the_steps_of_a_loop_and_in_derivatives():
    error = fails("constant n = 3\ndef f(s) = s*s + 1\ny = iterate(f, n, 200)")
    assert "does not fit into int64" in error.message
    error = fails("variable n = 3000000000\nz = n*n/n\ny = gradients(n^3, n)")
    assert "does not fit into int64" in error.message


def test_constants_that_are_folded():
    with pytest.raises(gradcli.GradcliError, match="does not fit into int64") as caught:
        gradcli.loads("constant n = 5000000000; m = n*n; x = zeros([m])")
    assert caught.value.labels


@pytest.mark.parametrize("without", ["", "plain"])
def test_what_just_fits_is_no_error(without, monkeypatch):
    monkeypatch.setenv("GRADCLI_WITHOUT", without)
    program = gradcli.loads(
        f"constant n = {LIMIT}\na = n + 0; b = -n - 1; c = sum([n, n, -n]); d = [n, 1] @ [1, 0]; e = 3037000499^2; f = 2^62*n^0"
    )
    assert {k: int(v) for k, v in program.eval().items()} == {
        "a": LIMIT, "b": -LIMIT - 1, "c": LIMIT, "d": LIMIT, "e": 3037000499**2, "f": 2**62,
    }  # fmt: skip


def test_the_error_says_which_number_to_write_as_a_float():
    error = fails("variable x = 100000\ny = x^5")
    assert error.help == "make it a float: `x = 100000.0`"
    assert "pow" in error.message
    assert gradcli.loads("variable x = 100000.0\ny = x^5").eval()["y"] == 1e25
