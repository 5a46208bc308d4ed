"""Plans of a few numbers as functions of Python's numbers: the values of whole arrays, to the bit, without a warning."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import gradcli
from gradcli.execute import numbered as module

TEXT = """
variable x = 3.0
variable v = [1.0, -2.0, 0.5]
variable W = [[1.0, 2.0, -1.0], [0.25, 0.0, 3.0]]
a = (x - 1)^2/(x*x + 1) + 1/x
u = where(v > 0, v*x, exp(v)) + W[0]*W[1]
m = sum(W, axis=0)*max(v) - v/x
y = a + sum(u*m) + norm(v)*log(x)
p = x > 1
ga, gv, gW = gradients(y, [x, v, W])
"""
NAMES = ["a", "u", "m", "y", "p", "ga", "gv", "gW", "v"]
INPUTS = ["x", "v", "W"]


def found(values, *switches):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADCLI_WITHOUT", ",".join(switches))
        return gradcli.loads(TEXT).compile(NAMES, INPUTS)(**values)


@pytest.mark.parametrize("x", [3.0, 0.0, -1.5, 1e200, np.inf, np.nan])
def test_values_are_those_of_whole_arrays(x):
    values = {
        "x": np.array(x),
        "v": np.array([1.0, -2.0, 0.5]) * x,
        "W": np.array([[1.0, 2.0, -1.0], [0.25, 0.0, 3.0]]),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = found(values)
    whole = found(values, "straight", "entries")
    for name in NAMES:
        assert type(written[name]) is np.ndarray
        np.testing.assert_array_equal(written[name], whole[name], strict=True)
        assert not any(np.may_share_memory(written[name], value) for value in values.values())


def test_what_comes_in_need_not_be_an_array():
    program = gradcli.loads("variable x = 3.0\nvariable k = 2.0\ny = (x - 1)^2*k\ng = gradients(y, x)\n")
    run = program.compile(["y", "g"], ["x"])
    for x in (np.array(3.0), 3.0, 3, np.float32(3), [3.0][0], np.array(3)):
        assert [v.item() for v in run(x=x).values()] == [8.0, 8.0]
        assert all(type(v) is np.ndarray for v in run(x=x).values())
    assert run()["y"] == 8.0
    for wrong in ({"x": "three"}, {"x": [1.0, 2.0]}, {"z": 1.0}):
        with pytest.raises(gradcli.GradcliError):
            run(**wrong)


def test_a_failure_says_where():
    program = gradcli.loads("variable A = [[1.0, 2.0], [2.0, 4.0]]\ny = inv(A)*2.0\n")
    with pytest.raises(gradcli.GradcliError, match="singular"):
        program.compile(["y"], ["A"])(A=np.array([[1.0, 2.0], [2.0, 4.0]]))


def test_numbers_are_written_for_numbers_alone(monkeypatch):
    made = []
    real = module.Statements
    monkeypatch.setattr(module, "Statements", lambda *given: made.append(real(*given)) or made[-1])
    for text, count in (
        ("variable x = 1.0\ny = x*x + 1\n", 1),
        ("variable x = zeros([7])\ny = x*2.0\n", 2),
        ("variable x = zeros([8])\ny = x*2.0\n", 2),
        ("dtype float32\nvariable x = 1.0\ny = x*x + 1.0\n", 2),
    ):
        gradcli.loads(text).compile(["y"], ["x"])
        assert len(made) == count
