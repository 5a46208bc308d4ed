"""Kernels in JAX's words: every operation of the table can be traced, and has the value and the failures of its kernel."""

from __future__ import annotations

import numpy as np
import pytest

from gradcli.diagnostics import GradcliError
from gradcli.execute.accelerator import precise
from gradcli.graph.ops import table
from gradcli.graph.ops.words.jax import FAILS, WORDS, Namespace
from tests.graph.examples import Example, every

UNOPTIMISED = {
    "xla_disable_hlo_passes": "fusion", "xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True,
}  # fmt: skip
"""For functions that are called once: XLA's compiler takes a third of the time."""


def some() -> list[Example]:
    """Examples with inputs, two of an operation: what has none is evaluated by NumPy."""
    return [e for e in every(2) if e.inputs]


def traced(xp, example: Example, inputs):
    """The value and the flag of an example."""
    name = example.name
    y = WORDS.get(name, example.node.op.kernel)(xp, *inputs, **example.node.attrs)
    failed = FAILS[name](xp, example.node, y, *inputs) if name in FAILS else None
    failed = xp.zeros((), bool) if failed is None else failed
    assert (y.shape, failed.shape) == (example.node.shape, ())
    return y, failed


def compiled(jax, examples: list[Example], untraced: dict[str, str]):
    """A function of the inputs of all examples that gives values and flags; ``untraced`` gets what JAX does not trace."""
    xp = Namespace(jax)

    def function(*all):
        found = []
        for example, given in zip(examples, all, strict=True):
            try:
                found.append(traced(xp, example, given))
            except Exception as problem:  # noqa: BLE001  whatever tracing does not like
                untraced[example.name] = str(problem).split("\n")[0]
                found.append((xp.zeros(example.node.shape, example.node.dtype), xp.zeros((), bool)))
        return found

    return jax.jit(function).lower(*[e.inputs for e in examples]).compile(UNOPTIMISED)


def test_words_are_for_operations_that_exist():
    assert set(WORDS) | set(FAILS) <= table.keys()


def apart(example: Example, y) -> str | None:
    """What is wrong with a value beside that of the kernel."""
    expected = example.value()
    if expected.dtype.kind != "f":
        return None if np.array_equal(y, expected) else f"{y} {expected}"
    close = np.allclose(y, expected, rtol=3e-12, atol=1e-14, equal_nan=True)
    return None if close else f"{y} {expected}"


def unfit(example: Example) -> list[tuple]:
    """Inputs of which many are refused: zeros, negative numbers, NaN, and indices that are too large."""
    floats = [i for i, x in enumerate(example.inputs) if x.dtype.kind == "f"]
    integers = [i for i, x in enumerate(example.inputs) if x.dtype.kind == "i"]
    changed = [(i, np.full_like(example.inputs[i], value)) for i in floats for value in (0.0, -3.0, np.nan, np.inf)]
    changed += [(i, np.full_like(example.inputs[i], value)) for i in integers for value in (-9999, 9999, -1)]
    return [example.with_input(i, x) for i, x in changed]


def refused(example: Example) -> list[tuple]:
    """The unfit inputs that the kernel refuses."""
    found = []
    for inputs in unfit(example):
        try:
            example.value(*inputs)
        except (GradcliError, np.linalg.LinAlgError, IndexError, ValueError, ArithmeticError):
            found.append(inputs)
    return found


@pytest.mark.slow
def test_values_and_failures_are_those_of_the_kernels():
    """A new operation whose kernel is not a function of jax.numpy needs words of JAX, one that raises an entry in FAILS."""
    examples = some()
    unfits = [refused(e) for e in examples]
    assert {e.name for e, some in zip(examples, unfits, strict=True) if some} >= {"inv", "cholesky", "cast", "gather"}
    untraced: dict[str, str] = {}
    with precise() as jax:
        call = compiled(jax, examples, untraced)
        assert not untraced, "operations that want words in graph/ops/words/jax.py"
        found = jax.device_get(call(*[e.inputs for e in examples]))
        assert not [(e.name, wrong) for e, (y, _) in zip(examples, found, strict=True) if (wrong := apart(e, y))]
        assert not [e.name for e, (_, failed) in zip(examples, found, strict=True) if failed]
        for k in range(max(map(len, unfits))):
            given = [some[k] if k < len(some) else e.inputs for e, some in zip(examples, unfits, strict=True)]
            flags = [failed for _, failed in jax.device_get(call(*given))]
            expected = [k < len(some) for some in unfits]
            silent = [e.name for e, flag, right in zip(examples, flags, expected, strict=True) if flag != right]
            assert not silent, "operations whose flag is not what their kernel says: an entry of FAILS"
