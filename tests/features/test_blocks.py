"""Fits by JAX and by C: blocks of steps find what NumPy's steps find, and end where they end."""

from __future__ import annotations

import json

import numpy as np
import pytest

import gradcli
from gradcli.features.fit import blocks

TEXT = """
constant X = random_normal([23, 2], seed=1)
constant t = random_normal([23], seed=2)
variable w = [0.5, -0.5]
variable b = 0.25
loss = mean((tanh(X @ w + b) - t)^2)
"""

RUNS = {
    "sgd": {"method": "sgd", "lr": 0.1, "clip": 0.2},
    "momentum": {"method": "momentum", "lr": "0.05:cosine", "data": ["X", "t"], "batch": 5},
    "adam": {"method": "adam", "lr": "0.05:step=10,0.5", "bounds": {"w": (-0.6, 0.55)}},
}


def history(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(params=["jax", pytest.param("native", marks=pytest.mark.slow)])
def engine(request):
    return request.param


def fits(engine, text=TEXT, **options):
    return [gradcli.loads(text, backend=backend).fit(**options) for backend in ("numpy", engine)]


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
def test_a_fit_is_that_of_numpy(engine, run, tmp_path):
    found = []
    for backend in ("numpy", engine):
        path = tmp_path / f"{backend}.ndjson"
        result = gradcli.loads(TEXT, backend=backend).fit("loss", steps=40, history=path, **RUNS[run])
        found.append((result, history(path)))
    (expected, before), (result, after) = found
    assert (result.steps, result.reason, result.problem) == (expected.steps, expected.reason, None)
    assert len(after) == len(before)
    for one, other in zip(after, before, strict=True):
        assert one["step"] == other["step"]
        np.testing.assert_allclose([one["loss"], one["gnorm"]], [other["loss"], other["gnorm"]], rtol=1e-7, atol=1e-12)
    for name, value in expected.values.items():
        np.testing.assert_allclose(result.values[name], value, rtol=1e-7, atol=1e-9)
        assert result.values[name].dtype == "float64"


def test_a_method_of_scipy_calls_a_compiled_loss(engine):
    expected, result = fits(engine, minimize="loss", method="lbfgs")
    np.testing.assert_allclose(result.values["w"], expected.values["w"], rtol=1e-6)


def test_single_precision_stays_single(engine):
    expected, result = [
        gradcli.loads(TEXT, dtype="float32", backend=backend).fit("loss", method="adam", lr=0.05, steps=20)
        for backend in ("numpy", engine)
    ]
    assert result.values["w"].dtype == "float32"
    np.testing.assert_allclose(result.values["w"], expected.values["w"], rtol=1e-5)


def test_a_run_ends_in_the_middle_of_a_block(engine):
    expected, result = fits(engine, minimize="loss", method="sgd", lr=0.1, steps=1000, until={"gnorm": 0.03})
    assert (result.steps, result.reason) == (expected.steps, expected.reason)
    assert 3 < result.steps < 1000
    np.testing.assert_allclose(result.values["w"], expected.values["w"], rtol=1e-10)


def test_what_is_not_finite_is_explained_as_by_numpy(engine):
    text = "variable x = 1.0\nloss = exp(exp(x^2))"
    expected, result = fits(engine, text, minimize="loss", method="sgd", lr=1.0, steps=50)
    assert expected.problem is not None
    assert (result.steps, result.reason) == (expected.steps, expected.reason)
    assert result.problem.message == expected.problem.message
    np.testing.assert_allclose(result.values["x"], expected.values["x"])


def test_a_singular_matrix_ends_a_run_as_by_numpy(engine):
    text = "variable x = 1.0\nloss = inv([[round(x)]])[0, 0] * x"
    expected, result = fits(engine, text, minimize="loss", method="sgd", lr=0.3, steps=50)
    assert expected.problem is not None
    assert (result.steps, result.reason, result.problem.message) == (
        expected.steps, expected.reason, expected.problem.message,
    )  # fmt: skip


@pytest.mark.slow
def test_a_checkpoint_of_one_engine_is_resumed_by_the_other(engine, tmp_path):
    run = {"minimize": "loss", "method": "adam", "lr": 0.05, "data": ["X", "t"], "batch": 5}
    whole = gradcli.loads(TEXT).fit(steps=30, **run)
    for first, second in ((engine, "numpy"), ("numpy", engine)):
        path = tmp_path / f"{first}.npz"
        gradcli.loads(TEXT, backend=first).fit(steps=13, checkpoint=path, every=5, **run)
        rest = gradcli.loads(TEXT, backend=second).fit(steps=30, resume=path, **run)
        np.testing.assert_allclose(rest.values["w"], whole.values["w"], rtol=1e-12)


def test_data_that_is_too_large_for_a_device_comes_step_by_step(engine, monkeypatch):
    monkeypatch.setattr(blocks, "HELD", 0)
    expected, result = fits(engine, minimize="loss", method="adam", lr=0.05, data=["X", "t"], batch=5, steps=7)
    np.testing.assert_allclose(result.values["w"], expected.values["w"], rtol=1e-10)
