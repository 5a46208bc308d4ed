"""TensorFlow's cases and the samples by JAX: values and derivatives are NumPy's to rounding, with the same None."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradcli
from gradcli.execute.accelerator import Accelerator, precise
from gradcli.graph.node import cone
from gradcli.program import jitted
from tests.conformance import test_conformance as conformance

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
UNOPTIMISED = {
    "xla_disable_hlo_passes": "fusion", "xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True,
}  # fmt: skip
"""For functions that are called once: XLA's compiler takes a tenth of the time."""

STRIDE = 6
"""Every so many-th case of TensorFlow: all of them take half a minute to compile."""

SAMPLES = sorted((ROOT / "samples").rglob("*.expr"))
STEP = 4
"""Every so many-th sample: all of them take a minute."""


@pytest.fixture
def asked(monkeypatch):
    """Whatever a program by JAX is asked to evaluate, with NumPy's values, which it is given meanwhile."""
    found = []

    def evaluate(program, nodes):
        values = program.with_accelerator(None).evaluate(nodes) if nodes else []
        found.append((program, list(nodes), values))
        return values

    monkeypatch.setattr(jitted, "evaluate", evaluate)
    return found


def by_jax(questions):
    """The values by one compiled function of all."""
    functions, arguments = [], []
    for program, nodes, _ in questions:
        below = cone(nodes)
        given = [x for x in below if x.op.given and x.op.name not in ("leaf", "literal") and not x.inputs]
        leaves = [x for x in below if x.op.name == "leaf"]
        traced = jitted.Traced(program, nodes, leaves, given)
        values = dict(zip(given, program.with_accelerator(None).evaluate(given), strict=True)) if given else {}
        values |= {x: program.leaf_value(x) for x in leaves if x in traced.leaves}
        functions.append(traced)
        arguments.append(([values[x] for x in traced.moving], traced.held))
    with precise() as jax:

        def function(arguments):
            return [f.values(jax, *given) for f, given in zip(functions, arguments, strict=True)]

        return jax.device_get(jax.jit(function).lower(arguments).compile(UNOPTIMISED)(arguments))


def check(questions, name):
    """Where a flag is set NumPy says what the value is, as for a matrix that may be singular."""
    for (_, _, expected), (found, failed) in zip(questions, by_jax(questions), strict=True):
        for x, y in zip(expected, found, strict=True) if not failed else ():
            assert (x.dtype, x.shape) == (y.dtype, y.shape), name
            precision = 1e-4 if x.dtype == "float32" else 1e-10
            scale = np.abs(x[np.isfinite(x)]).max(initial=0.0) if x.size else 0.0
            np.testing.assert_allclose(y, x, rtol=precision, atol=precision * max(scale, 1e-5), err_msg=name)


def test_the_cases_of_tensorflow(asked, monkeypatch):
    loads = gradcli.loads
    monkeypatch.setattr(gradcli, "loads", lambda text: loads(text).with_accelerator(Accelerator()))
    for case in list(conformance.cases())[::STRIDE]:
        program, spec = case.values
        conformance.answer(program, *spec["args"])
    assert len(asked) > 100 // STRIDE  # of others there is nothing but None
    check(asked, "a case of TensorFlow")


def said(program):
    """The error of values and gradients, if there is one."""
    try:
        program.value_and_grad() if program.variables else program.eval()
    except gradcli.GradcliError as error:
        return str(error)
    return None


def test_the_samples(asked):
    for path in SAMPLES[::STEP]:
        says = [said(gradcli.load(path, backend=backend)) for backend in ("jax", "numpy")]
        assert says[0] == says[1], path  # such as that a variable is given on the command line
        if asked:
            check(asked, path.stem)
        asked.clear()
