"""What is exported gives values and gradients in a process without gradcli."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import gradcli
from gradcli.execute.accelerator import precise
from gradcli.features.export.answer import exported

TEXT = """
constant c = [[2.0, 1.0], [1.0, 3.0]]
constant k
variable x = [1.0, 2.0]
variable unused = 1.0
def step(s) = s*0.9 + sin(s)*0.1
y = sum(iterate(step, x, 200)^2)*k + logdet(c*x[0]) + x @ inv(c) @ x
"""

CALL = """
import json, sys
import jax, jax.export
jax.config.update("jax_enable_x64", True)
made = jax.export.deserialize(bytearray(open(sys.argv[1], "rb").read()))
found = made.call({"x": jax.numpy.array([1.5, -0.5]), "k": jax.numpy.array(2.0)})
assert not any(name.startswith("gradcli") for name in sys.modules)
print(json.dumps(jax.tree.map(lambda a: a.tolist(), found)))
"""


@pytest.mark.slow
def test_a_process_without_gradcli_calls_it(command_line, tmp_path):
    path = tmp_path / "y.stablehlo"
    (tmp_path / "model.expr").write_text(TEXT)
    done = command_line("export", str(tmp_path / "model.expr"), "--output", str(path))
    assert (done.status, done.out) == (0, "")
    assert "unused is None: y does not use unused" in done.err
    assert str(tmp_path).encode() not in path.read_bytes()
    assert b".py" not in path.read_bytes()
    run = subprocess.run(
        [sys.executable, "-c", CALL, str(path)], capture_output=True, text=True, timeout=120, check=True, cwd=tmp_path
    )
    found = json.loads(run.stdout)
    values = {"x": np.array([1.5, -0.5]), "k": 2.0}
    y, gradients = gradcli.loads(TEXT).value_and_grad("y", values=values)
    np.testing.assert_allclose(found["values"]["y"], y["y"], rtol=1e-12)
    np.testing.assert_allclose(found["gradients"]["x"], gradients["x"], rtol=1e-12)
    assert found["gradients"]["unused"] is None
    assert found["failed"] is False


def test_what_fails_is_told():
    with precise() as jax:
        made = jax.export.deserialize(exported(gradcli.loads("variable a = [[1.0]]\ny = inv(a)")).serialized)
        for entry, failed in ((2.0, False), (0.0, True)):
            assert bool(made.call({"a": np.array([[entry]])})["failed"]) is failed


def test_as_text_it_is_printed(command_line):
    done = command_line("export", "-e", "variable x = 2.0; y = sin(x)", "--format", "mlir")
    assert done.status == 0
    assert "stablehlo.cosine" in done.out
    assert ".py" not in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [([], "give --output FILE"), (["--output", "no/where.stablehlo"], "no/where.stablehlo")],
)
def test_files_are_needed_and_written_whole(command_line, options, message):
    done = command_line("export", "-e", "variable x = 2.0; y = sin(x)", *options)
    assert done.status in (1, 2)
    assert message in done.err


def test_what_is_given_as_a_seed_or_stopped_counts(command_line):
    found = exported(gradcli.loads("variable x = 2.0\nh = x*x\ny = h*x"), seeds={"y": "3"}, stop=["h"])
    with precise() as jax:
        result = jax.export.deserialize(found.serialized).call({"x": np.array(2.0)})
    assert float(result["gradients"]["x"]) == 12.0


ROWS = """
variable w = [0.5, -1.0]
variable W = [[2.0, 0.5], [0.5, 1.0]]
constant x: [2]
constant t = 0.0
h = tanh(w @ x) - t
y = h^2 + x @ inv(W) @ x + max(x)
"""


@pytest.mark.slow
def test_rows_are_as_many_as_a_call_gives(command_line, tmp_path):
    path = tmp_path / "rows.stablehlo"
    done = command_line("export", "-e", ROWS, "--wrt", "w,W", "--rows", "x,t", "--output", str(path))
    assert (done.status, done.err) == (0, "")
    program = gradcli.loads(ROWS)
    w, W = np.array([0.3, 0.7]), np.array([[3.0, 1.0], [1.0, 2.0]])
    with precise() as jax:
        call = jax.jit(jax.export.deserialize(bytearray(path.read_bytes())).call)
        for count in (1, 5):
            x, t = np.random.RandomState(count).normal(size=(count, 2)), np.linspace(-1, 1, count)
            found = jax.device_get(call({"w": w, "W": W, "x": x, "t": t}))
            assert found["failed"].shape == (count,)
            for k in range(count):
                values, gradients = program.value_and_grad(
                    "y", ["w", "W"], values={"w": w, "W": W, "x": x[k], "t": t[k]}
                )
                np.testing.assert_allclose(found["values"]["y"][k], values["y"], rtol=1e-12)
                for name, g in gradients.items():
                    np.testing.assert_allclose(found["gradients"][name][k], g, rtol=1e-12)


def test_what_has_rows_must_count(command_line):
    done = command_line(
        "export", "-e", "variable x = 1.0; constant k = 1.0; y = x^2", "--rows", "k", "--format", "mlir"
    )
    assert done.status == 1
    assert "nothing that is exported depends on `k`" in done.err
    assert command_line("export", "-e", "variable x = 1.0; y = x^2", "--rows", "z", "--format", "mlir").status == 1
