"""Results in arrays of the caller's: ``compile(…, out=)``."""

from __future__ import annotations

import numpy as np
import pytest

import gradcli

SMALL = "variable x = [1.0, 2.0, 3.0]\ny = x*x + 1\nn = sum(x)\nsame = y\n"
LARGE = """\
constant n = 200000
variable x = linspace(-1.0, 1.0, 200000)
y = exp(x)*x + sin(x)
view = reshape(y, [400, 500])
total = sum(y*y)
"""
SELECTING = "variable x = linspace(-1.0, 1.0, 100000)\ny = where(x > 0, sqrt(x), x)\n"


def buffers(program, names):
    return {name: np.full_like(value, 7) for name, value in program.eval(names).items()}


@pytest.mark.parametrize("text", [SMALL, LARGE, SELECTING], ids=["small", "large", "selecting"])
@pytest.mark.parametrize("off", ["", "tiles,straight", "order"])
def test_results_are_written_into_arrays_of_the_caller_s(text, off, monkeypatch):
    monkeypatch.setenv("GRADCLI_WITHOUT", off)
    program = gradcli.loads(text)
    names = list(program.eval())
    out = buffers(program, names)
    function = program.compile(names, ["x"], out=out)
    own = program.compile(names, ["x"])
    for scale in (1.0, -0.5):
        x = scale * program.eval(["x"])["x"]
        found, known = function(x=x), own(x=x)
        for name in names:
            assert found[name] is out[name]
            np.testing.assert_array_equal(out[name], known[name], strict=True)


def test_large_results_are_computed_where_they_go(monkeypatch):
    program = gradcli.loads(LARGE)
    out = buffers(program, ["y"])
    function = program.compile(["y", "total"], ["x"], out=out)
    monkeypatch.setattr(np, "copyto", lambda *_: pytest.fail("a copy"))
    found = function(x=np.linspace(0.0, 1.0, 200000))
    assert found["y"] is out["y"]
    assert found["total"] == pytest.approx(np.sum(out["y"] ** 2))


@pytest.mark.parametrize("off", ["", "tiles,straight"])
def test_an_input_may_be_a_result(off, monkeypatch):
    monkeypatch.setenv("GRADCLI_WITHOUT", off)
    program = gradcli.loads("variable x = zeros([300000])\ny = flip(x) + cumsum(x)\n")
    x = np.random.RandomState(0).normal(size=300000)
    known = x[::-1] + np.cumsum(x)
    program.compile(["y"], ["x"], out={"y": x})(x=x)
    np.testing.assert_allclose(x, known, rtol=1e-12, atol=1e-12)


def test_parts_of_arrays_and_other_orders_are_written_to():
    program = gradcli.loads(LARGE)
    known = program.eval(["view"])["view"]
    table = np.zeros((500, 800)).T
    program.compile(["view"], ["x"], out={"view": table[::2]})()
    np.testing.assert_array_equal(table[::2], known)
    assert not table[1::2].any()


def test_values_that_select_otherwise_are_written_too():
    program = gradcli.loads(f"{SELECTING}g = gradients(sum(y), x)\n")
    out = buffers(program, ["g"])
    function = program.compile(["g"], ["x"], out=out)
    x = np.linspace(-1.0, 1.0, 100000)
    x[0] = -np.inf
    assert function(x=x)["g"] is out["g"]
    np.testing.assert_array_equal(out["g"], program.compile(["g"], ["x"])(x=x)["g"])


@pytest.mark.parametrize(
    ("out", "kind", "words"),
    [
        ({"z": np.zeros(3)}, "NameError", "`z` in `out` is not among the results y, n, same"),
        ({"y": [0.0, 0.0, 0.0]}, "TypeError", "`out` has a list for `y`"),
        ({"y": np.zeros(4)}, "ShapeError", "`y` has shape [3], and the array for it in `out` [4]"),
        ({"n": np.zeros(1)}, "ShapeError", "`n` has shape []"),
        ({"y": np.zeros(3, np.float32)}, "TypeError", "`y` is float64, and the array for it in `out` float32"),
        ({"y": np.broadcast_to(0.0, 3)}, "ValueError", "the array for `y` in `out` is read-only"),
        (
            dict.fromkeys(["y", "same"], np.zeros(3)),
            "ValueError",
            "the arrays for `y` and `same` in `out` share memory",
        ),
        ([np.zeros(3)], "TypeError", "out"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_at_once(out, kind, words):
    with pytest.raises(gradcli.GradcliError) as found:
        gradcli.loads(SMALL).compile(["y", "n", "same"], ["x"], out=out)
    assert found.value.kind == kind
    assert words in found.value.message


@pytest.mark.slow
def test_jax_s_results_are_written_too():
    pytest.importorskip("jax")
    program = gradcli.loads(SMALL)
    out = buffers(program, ["y", "n"])
    found = program.compile(["y", "n"], ["x"], backend="jax", out=out)(x=[1.0, 0.0, 2.0])
    assert found["y"] is out["y"] and found["n"] is out["n"]
    np.testing.assert_allclose(out["y"], [2.0, 1.0, 5.0])
    np.testing.assert_allclose(out["n"], 3.0)
