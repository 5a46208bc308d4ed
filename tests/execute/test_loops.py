"""Loops over tiles: the same values as whole arrays have, whatever the operation, the tile and the threads."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

import gradcli
from gradcli.execute.loop import Loop
from gradcli.graph.node import Node
from gradcli.program import query
from tests.random_programs import programs

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.expr"))

pytestmark = pytest.mark.usefixtures("shrunk")


@pytest.fixture(scope="module")
def shrunk(tiny_tiles):
    tiny_tiles()


def loops(program, names):
    return [
        unit for unit in program.plan([query.target(program, name) for name in names]).units if isinstance(unit, Loop)
    ]


def whole(monkeypatch, text, names):
    """The values when every operation is done on whole arrays."""
    with monkeypatch.context() as patch:
        patch.setenv("GRADCLI_WITHOUT", "tiles,halfangle")
        program = gradcli.loads(text)
        assert loops(program, names) == []
        return program.eval(names)


PREAMBLE = """
variable x = random_uniform([23, 4], minval=0.2, maxval=0.9, seed=1)
variable z = random_uniform([23, 4], minval=-1, maxval=1, seed=2)
variable w = random_uniform([4, 5], minval=-1, maxval=1, seed=3)
variable v = random_uniform([4], minval=-1, maxval=1, seed=4)
variable cube = random_uniform([3, 23, 4], minval=-1, maxval=1, seed=5)
constant rows = cast(floor(random_uniform([23], minval=0, maxval=22.9, seed=6)), int64)
"""

EXPRESSIONS = [
    "x + z*x - v/x", "sin(x) + cos(z)*cos(3*z)", "where(x > z, x, z)", "relu(z)", "sigmoid(5*z)", "softplus(z)",
    "cast(x, float32)", "cast(3*x, int64)", "floor(5*z)", "abs(z)^1.5", "z^3", "maximum(x, z)", "isnan(log(z))",
    "x @ w", "x @ v", "w.T @ x.T", "sum(x @ w, axis=1)", "einsum(\"ij,jk,ij->ik\", x, w, z)", "x.T @ z", "z.T @ (x @ w)",
    "sum(x)", "sum(x, axis=0)", "sum(x, axis=1, keepdims=true)", "mean(x)", "mean(x, axis=0, keepdims=true)",
    "max(z, axis=0)", "min(z)", "prod(x, axis=0)", "any(z > 0.5, axis=0)", "all(z > -2)", "norm(x, axis=1)",
    "norm(x, axis=0)", "logsumexp(z, axis=0)", "logsumexp(z, axis=1)", "softmax(z)", "softmax(z, axis=0)",
    "log_softmax(z)", "argmax(z, axis=0)", "argmax(z, axis=1)", "cumsum(x, axis=0)", "cumsum(x, axis=1)",
    "cumprod(x, axis=1)", "sort(z, axis=1)", "sort(z, axis=0)", "argsort(z, axis=1)", "x.T", "x.T + 1.0",
    "reshape(x, [23, 2, 2])*2.0", "reshape(x, [92])*2.0", "reshape(x, [1, 23, 4, 1]) + cube[0:1, :, :, newaxis]",
    "broadcast_to(v, [23, 4])", "broadcast_to(x, [3, 23, 4]) + cube", "x[:, 1] + z[:, 0]", "x[2:5]*2.0", "x[::-1]*2.0",
    "x[:, newaxis, 1:3]*2.0", "pad(x, [[0, 0], [1, 2]])*2.0", "pad(x, [[1, 0], [0, 0]])*2.0", "concat([x, z], axis=1)",
    "concat([x, z], axis=0)*2.0", "stack([x, z], axis=1)*2.0", "stack([x, z])*2.0", "gather(x, rows)*2.0",
    "gather(x, [0, 0, 3], axis=1)*2.0", "gather(v, rows % 4)" , "flip(x, 0) + x", "flip(x, 1) + x", "roll(x, 1, axis=1)",
    "tile(x, [1, 2])", "repeat(x, 2, axis=1)", "diag(x @ x.T)", "trace(x @ x.T)", "tril(x @ x.T)", "x @ x.T",
    "exp(x) + zeros_like(z)", "x*ones([23, 4])", "x + random_normal([23, 4], seed=9)", "cube*x + v", "cube @ w",
    "sum(cube, axis=[0, 2])", "sum(cube, axis=1)", "matmul(cube, transpose(cube, [0, 2, 1]))", "var(x, axis=0)",
    "std(z)", "clip(z, -0.3, 0.3)", "gelu(z)", "leaky_relu(z)", "elu(z)", "xlogy(x, x)", "hypot(x, z)", "atan2(x, z)",
    "mod(z, 0.3)", "divide_no_nan(x, relu(z))", "erf(z)", "cbrt(z)", "one_hot(rows, 5)*2.0", "mse(x, z)",
    "softmax_cross_entropy(x, z)", "logical_and(x > 0.5, not (z > 0))", "stop_gradient(x)*2.0 + identity(z)",
]  # fmt: skip
EXPRESSIONS = [text.replace("rows % 4", "mod(rows, 4)") for text in EXPRESSIONS]


@pytest.mark.slow
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_operation(expression, monkeypatch):
    """The expression, something large computed from it, and its gradient."""
    text = f"{PREAMBLE}a = {expression}\nb = cast(a, float64)*1.5\nc = sum(b)\n"
    names = ["a", "b", "c"]
    graph = gradcli.loads(text)
    if any(g is not None for g in graph.grad(["c"]).values()):
        text += 'gx, gz = gradients(c, [x, z], unconnected_gradients="zero")\n'
        names += ["gx", "gz"]
    want = whole(monkeypatch, text, names)
    for threads in (1, 3):
        program = gradcli.loads(text, threads=threads)
        assert loops(program, names)
        for name, value in program.eval(names).items():
            assert (value.dtype, value.shape) == (want[name].dtype, want[name].shape)
            np.testing.assert_allclose(value, want[name], rtol=1e-12, atol=1e-13, err_msg=name)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(programs(smooth=False, statements=9, scalar=True))
def test_random_programs_with_all_optimisations_and_with_none(text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADCLI_WITHOUT", "simplify,tiles,halfangle,sweep,repeated,scalars,straight")
        plain = gradcli.loads(text)
        values, gradients, seconds = plain.eval(), plain.grad(), plain.grad(order=2)
    program = gradcli.loads(text)
    for found, want in ((program.eval(), values), (program.grad(), gradients), (program.grad(order=2), seconds)):
        assert [k for k, v in found.items() if v is None] == [k for k, v in want.items() if v is None]
        for name, value in found.items():
            if value is not None:
                assert (value.dtype, value.shape) == (want[name].dtype, want[name].shape)
                scale = np.abs(want[name]).max(initial=1.0)
                np.testing.assert_allclose(value, want[name], rtol=1e-10, atol=1e-11 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.stem for sample in SAMPLES])
def test_samples_with_all_optimisations_and_with_none(sample, monkeypatch):
    def answers():
        """The results where all variables have values, and the gradients by all variables and constants."""
        program = gradcli.load(sample)
        graph = program.graph
        values = program.eval() if None not in graph.initial.values() else {}
        of = [name for name in query.differentiated(program) if isinstance(graph.names[name], Node)]
        return [values, program.grad(of, list(graph.leaves)) if graph.leaves else {}]

    all_on = answers()
    monkeypatch.setenv("GRADCLI_WITHOUT", "simplify,tiles,halfangle,sweep,repeated,scalars,straight")
    tolerance = 2e-5 if "\ndtype float32\n" in sample.read_text() else 1e-11
    for found, want in zip(all_on, answers(), strict=True):
        assert [k for k, v in found.items() if v is None] == [k for k, v in want.items() if v is None]
        for name, value in found.items():
            if value is not None:
                scale = np.abs(want[name]).max(initial=1.0)
                np.testing.assert_allclose(value, want[name], rtol=tolerance, atol=tolerance * scale)


NETWORK = """
variable w1 = random_normal([3, 4], seed=1); variable b1 = random_normal([4], seed=2)
variable w2 = random_normal([4, 2], seed=3); variable b2 = zeros([2])
constant x = random_normal([57, 3], seed=4); constant t = random_normal([57, 2], seed=5)
u = tanh(x @ w1 + b1) @ w2 + b2
loss = mean(square(u - t))
g1, h1, g2, h2 = gradients(loss, [w1, b1, w2, b2])
"""
NETWORK_GRADIENTS = ["g1", "h1", "g2", "h2"]


def test_a_network_and_its_gradient_are_one_loop_in_which_weight_gradients_add_up(monkeypatch):
    program = gradcli.loads(NETWORK)
    (loop,) = [loop for loop in loops(program, ["loss", *NETWORK_GRADIENTS]) if loop.size == 57]
    assert all(axis is None for _, axis in loop.writes)  # nothing of the batch is kept
    want = whole(monkeypatch, NETWORK, NETWORK_GRADIENTS)
    for name, value in program.eval(NETWORK_GRADIENTS).items():
        np.testing.assert_allclose(value, want[name], rtol=1e-12)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_are_the_same_at_each_run_with_the_same_threads(threads):
    run = gradcli.loads(NETWORK, threads=threads).compile(NETWORK_GRADIENTS, inputs=["x"])
    x = gradcli.loads(NETWORK).eval(["x"])["x"]
    first = run(x=x)
    for _ in range(5):
        again = run(x=x)
        assert all(np.array_equal(first[name], again[name]) for name in NETWORK_GRADIENTS)


def test_what_a_loop_waits_for_is_ready():
    """The second use of x needs the sum over all of x: two loops, and the right numbers."""
    program = gradcli.loads("variable x = random_normal([40], seed=1)\ny = x / sum(x*x) + cumsum(x)\n")
    x = program.eval(["x"])["x"]
    np.testing.assert_allclose(program.eval(["y"])["y"], x / np.sum(x * x) + np.cumsum(x), rtol=1e-12)


def test_a_compiled_function_runs_in_several_threads_at_once():
    run = gradcli.loads(NETWORK, threads=2).compile(["g1"], inputs=["x"])
    data = [np.random.RandomState(k).normal(size=(57, 3)) for k in range(6)]
    want = [run(x=x)["g1"] for x in data]
    found: list[np.ndarray | None] = [None] * len(data)

    def call(k):
        for _ in range(20):
            found[k] = run(x=data[k])["g1"]

    threads = [threading.Thread(target=call, args=(k,)) for k in range(len(data))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(found, want, strict=True))


def test_results_are_the_callers_own():
    run = gradcli.loads("variable x = zeros([50])\ny = x + 1.0\nz = y*2.0\n").compile(["y", "z"], inputs=["x"])
    first = run(x=np.zeros(50))
    second = run(x=np.ones(50))
    assert first["y"].tolist() == [1.0] * 50 and second["y"].tolist() == [2.0] * 50
    assert first["z"].flags.writeable and first["z"].flags.owndata


@pytest.mark.parametrize("threads", [1, 3])
def test_a_failure_in_a_tile_names_its_line(threads):
    text = "variable x = linspace(0, 1, 40)\nz = x*2.0\ny = cast(log(x - 0.5)*z, int64)\n"
    with pytest.raises(gradcli.GradcliError, match="cannot convert nan to int64") as caught:
        gradcli.loads(text, threads=threads).eval(["y"])
    assert [label.span.line for label in caught.value.labels] == [3]


def test_what_is_not_selected_stays_out(monkeypatch):
    text = """
variable x = linspace(-1, 1, 41)
y = sum(where(x > 0, sqrt(x), x*x))
g = gradients(y, x)
"""
    want = whole(monkeypatch, text, ["g"])["g"]
    assert np.isfinite(want).all()
    np.testing.assert_allclose(gradcli.loads(text).eval(["g"])["g"], want, rtol=1e-14)
