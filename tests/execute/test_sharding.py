"""The axis of the data that several devices share follows from the operations, whatever the sizes are."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gradcli
from gradcli.execute.sharding import row_axes
from gradcli.graph.node import cone
from gradcli.program import query

LOGISTIC = """
constant X = random_normal([40, 5], seed=1)
constant label = cast(X[:, 0] > 0, float64)
variable w = zeros([5])
z = X @ w
loss = mean(softplus(z) - label*z)
"""

LYING = """
constant X = random_normal([5, 40], seed=1)
constant label = cast(X[0] > 0, float64)
variable w = zeros([5])
z = w @ X
loss = mean(softplus(z) - label*z)
"""

SQUARE = """
constant D = ones([40, 40])
constant t = ones([40])
constant other = ones([5])
variable w = zeros([40])
loss = sum((D @ w - t)^2) + sum(other*w[:5])
"""


def shared(text, devices, rows=None):
    program = gradcli.loads(text)
    nodes = cone([query.target(program, "loss"), *gradcli_gradients(program)])
    data = [x for x in nodes if x.op.name == "leaf" and x.attrs["kind"] == "constant"]
    chosen = [query.leaf(program, name) for name in rows] if rows else None
    return {x.attrs["name"]: axis for x, axis in row_axes(nodes, data, devices, chosen).items()}


def gradcli_gradients(program):
    asked = query.question(program, ["loss"], None, None, ())
    ((_, row),) = query.gradients(program, asked, (1,))
    return row


def test_rows_go_along_with_one_another():
    assert shared(LOGISTIC, 4) == {"X": 0, "label": 0}
    assert shared(LYING, 4) == {"X": 1, "label": 0}
    assert shared(LOGISTIC, 1) == {}


def test_an_axis_of_the_same_size_is_none_of_the_rows():
    assert shared(SQUARE, 4) == {"D": 0, "t": 0}


def test_an_axis_that_has_equal_parts_is_taken_before_a_larger_one():
    assert shared(LYING.replace("40", "42"), 5) == {"X": 0}


def test_what_a_batch_has_is_shared_where_it_can_be():
    assert shared(LOGISTIC, 4, ["X"]) == {"X": 0, "label": 0}
    assert shared(LOGISTIC, 3, ["X"]) == {}


def test_rows_that_are_no_equal_parts_are_an_error():
    with pytest.raises(gradcli.GradcliError, match="3 devices cannot have equal parts of 40 rows of data") as caught:
        shared(LOGISTIC, 3)
    assert caught.value.help == "take 2 devices, or 39 rows"
    with pytest.raises(gradcli.GradcliError, match="nothing that 4 devices can share"):
        shared("variable x = 1.0\nloss = x^2", 4)


FITS = """
import numpy as np, gradcli
for text, options in (
    ({logistic!r}, {{"method": "momentum", "steps": 20}}),
    ({lying!r}, {{"method": "adam", "steps": 20}}),
    ("samples/spiral.expr", {{"method": "adam", "steps": 60, "data": ["points", "arm"], "batch": 40}}),
    ("samples/spiral.expr", {{"method": "sgd", "steps": 20}}),
    ("samples/burgers_network.expr", {{"method": "adam", "lr": 1e-3, "steps": 5}}),
):
    load = gradcli.load if text.endswith(".expr") else gradcli.loads
    one, four = [load(text, backend="jax", devices=n).fit("loss", **options) for n in (1, 4)]
    np.testing.assert_allclose(four.loss, one.loss, rtol=1e-12)
    for name in one.values:
        np.testing.assert_allclose(four.values[name], one.values[name], rtol=1e-10, atol=1e-12)
try:
    gradcli.load("samples/spiral.expr", backend="jax", devices=4).fit("loss", method="adam", data=["points", "arm"], batch=50)
except gradcli.GradcliError as error:
    assert "equal parts of 50 rows of a batch" in str(error), error
else:
    raise AssertionError
"""


@pytest.mark.slow
def test_fits_on_four_devices_are_those_on_one(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=4")
    code = FITS.format(logistic=LOGISTIC, lying=LYING)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
