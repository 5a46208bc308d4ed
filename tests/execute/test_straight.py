"""Straight-line functions of plans: the values of the plans, to the bit, in arrays of their own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import gradcli
from gradcli.execute import choose
from gradcli.program import planned
from tests.execute.test_loops import EXPRESSIONS, PREAMBLE
from tests.random_programs import programs

INPUTS = ["x", "z", "w", "v", "cube"]


def slowly(*_):
    raise AssertionError("a call that went through the plan")


def calls(program, names, inputs, count):
    """The results of some calls, by the straight-line function alone."""
    function = program.compile(names, inputs)
    values = program.eval(inputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planned, "run", slowly)
        return [function(**values) for _ in range(count)]


def by_the_plan(program, names, inputs):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADCLI_WITHOUT", "straight")
        return program.compile(names, inputs)(**program.eval(inputs))


def check(text, inputs):
    """A straight-line function against the plan, called often enough to find a result that a later call changes.

    BLAS rounds otherwise where it is handed a transposed matrix in place of a copy.
    """
    program = gradcli.loads(text)
    names = list(program.eval())
    first = by_the_plan(program, names, inputs)
    last, again = calls(program, names, inputs, 2)
    for name in names:
        assert (last[name].dtype, last[name].shape) == (first[name].dtype, first[name].shape)
        assert type(last[name]) is np.ndarray
        assert last[name].flags.c_contiguous
        assert last[name].flags.writeable
        assert not any(np.may_share_memory(last[name], other) for other in (*again.values(), *first.values()))
        np.testing.assert_array_equal(last[name], again[name], strict=True)
        if "@" in text:
            tolerance = 10 * np.finfo(first[name].dtype).eps
            np.testing.assert_allclose(last[name], first[name], rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(last[name], first[name], strict=True)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_operation(expression, dtype):
    """The expression, something computed from it, and its gradients."""
    text = f"dtype {dtype}\n{PREAMBLE}a = {expression}\nc = sum(cast(a, {dtype})*1.5)\n"
    found = gradcli.loads(text).grad(["c"], INPUTS)
    of = [name for name, gradient in found.items() if gradient is not None]
    if of:
        text += f"{', '.join(f'g_{name}' for name in of)}, = gradients(c, [{', '.join(of)}])\n"
    check(text, INPUTS)


SCALARS = """
variable a = 0.7; variable b = -1.3; variable n = 3
y1 = a*b + b/a - a; y2 = where(a > b, sin(a), exp(b)); y3 = a^b; y4 = maximum(a, b)*sigmoid(a); y5 = n*n - 2
y6 = sqrt(b); y7 = 1/(a - a); y8 = a == b; y9 = floor(a) + mod(b, 0.4); y10 = relu(b) + log(a) + a^2; y11 = identity(a)
g, h = gradients(y1 + y2 + y4 + y10, [a, b])
"""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_scalars(dtype):
    check(f"dtype {dtype}\n{SCALARS}", ["a", "b", "n"])


@pytest.mark.slow
@settings(max_examples=300, deadline=None, derandomize=True)
@given(programs(smooth=False, statements=9, scalar=True))
def test_random_programs(text):
    program = gradcli.loads(text)
    check(text, list(program.variables))


def test_the_same_array_twice_is_two_arrays():
    program = gradcli.loads("variable x = [1.0, 2.0]; y = x*3; z = identity(y); w = x")
    found = calls(program, ["y", "z", "w", "y"], ["x"], 1)[-1]
    assert not np.may_share_memory(found["y"], found["z"])
    function = program.compile(["w"], ["x"])
    x = np.ones(2)
    assert not np.may_share_memory(function(x=x)["w"], x)


def test_an_array_that_repeats_another_is_made_where_it_must_be():
    check(
        "variable x = [1.0, 2.0, 3.0]; variable s = 2.0\n"
        "a = broadcast_to(s, [3])\nb = a*x\nc = a @ x\nd = broadcast_to(s, [3]) + broadcast_to(x, [3])\n"
        "m = broadcast_to(x, [2, 3]); p = m*a; q = m @ x; r = sum(m*m)",
        ["x", "s"],
    )


def test_what_fails_says_where():
    program = gradcli.loads("variable x = [[2.0, 0.0], [0.0, 3.0]]\ny = x + x\nz = inv(y)")
    function = program.compile(["z"], ["x"])
    np.testing.assert_array_equal(function(x=np.eye(2))["z"], np.eye(2) / 2)
    with pytest.raises(gradcli.GradcliError, match="singular") as caught:
        function(x=np.zeros((2, 2)))
    assert caught.value.labels[0].span.text == "inv(y)"


@pytest.mark.parametrize("text", ["variable x = zeros([40000]); y = sum(x*2)", "variable x = 1.0; y = sin(cos(x) + x)"])
def test_large_arrays_and_long_programs_keep_their_plans(monkeypatch, text):
    monkeypatch.setattr(choose, "MOST_LINES", 3)
    with pytest.raises(AssertionError, match="went through the plan"):
        calls(gradcli.loads(text), ["y"], ["x"], 1)


def test_a_known_number_of_calls_makes_up_for_a_long_function():
    once = choose.Choice("whole arrays", "")
    engines = [
        choose.of_repeated(once, 8, operations, calls).engine for operations in (10, 10**5) for calls in (0, 1000)
    ]
    assert engines == ["straight line", "straight line", "whole arrays", "straight line"]


def test_it_can_be_turned_off(monkeypatch):
    monkeypatch.setenv("GRADCLI_WITHOUT", "straight")
    with pytest.raises(AssertionError, match="went through the plan"):
        calls(gradcli.loads("variable x = 1.0; y = x*2"), ["y"], ["x"], 1)


def test_arrays_of_other_classes_are_plain_arrays():
    function = gradcli.loads("variable x: float64[2, 2]\ny = x*x; z = sum(y)").compile(["y", "z"], ["x"])
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    for other in (x.view(np.matrix), np.ma.masked_array(x, mask=x > 3)):
        found = function(x=other)
        np.testing.assert_array_equal(found["y"], x * x)
        assert found["z"] == 30


def test_a_mean_whose_sum_overflows():
    x, z = np.array([1e308, 1.5e308]), np.array([[1e308, 1.5e308], [1.0, 2.0]])
    program = gradcli.loads("variable x: [2]; variable z: [2, 2]; y = mean(x); v = mean(z*1, axis=1)")
    found = program.compile(["y", "v"], ["x", "z"])(x=x, z=z)
    assert found["y"] == 1.25e308 and found["v"].tolist() == [1.25e308, 1.5]
