"""Kernels in JAX's words: every operation of the table can be traced, and has the value and the failures of its kernel."""

from __future__ import annotations

from functools import cache

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


@cache
def some(most: int) -> list[Example]:
    """Examples with inputs: what has none is evaluated by NumPy."""
    return [e for e in every(most) if e.inputs]


def traced(xp, example: Example, inputs):
    """The value and the flag of an example."""
    name = example.name
    y = WORDS.get(name, example.node.op.kernel)(xp, *inputs, **example.node.attrs)
    failed = FAILS[name](xp, example.node, y, *inputs) if name in FAILS else None
    return y, xp.zeros((), bool) if failed is None else failed


def compiled(examples, inputs):
    """Values and flags of all examples, in one function."""
    with precise() as jax:
        xp = Namespace(jax)

        def function(*all):
            return [traced(xp, example, given) for example, given in zip(examples, all, strict=True)]

        return jax.device_get(jax.jit(function).lower(*inputs).compile(UNOPTIMISED)(*inputs))


def test_words_are_for_operations_that_exist():
    assert set(WORDS) | set(FAILS) <= table.keys()


@pytest.mark.slow
def test_every_operation_can_be_traced():
    """A new operation whose kernel is not a function of jax.numpy is found here: it needs words of JAX."""
    wrong = {}
    with precise() as jax:
        xp = Namespace(jax)
        for example in some(1):
            shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in example.inputs]
            try:
                y, failed = jax.eval_shape(lambda *xs, e=example: traced(xp, e, xs), *shapes)
            except Exception as problem:  # noqa: BLE001  whatever tracing does not like
                wrong[example.name] = str(problem).split("\n")[0]
                continue
            if (y.shape, failed.shape) != (example.node.shape, ()):
                wrong[example.name] = (y.shape, failed.shape)
    assert not wrong


def apart(example: Example, y) -> str | None:
    """What is wrong with a value beside that of the kernel."""
    expected = example.value()
    if expected.dtype.kind != "f":
        return None if np.array_equal(y, expected) else f"{y} {expected}"
    close = np.allclose(y, expected, rtol=3e-12, atol=1e-14, equal_nan=True)
    return None if close else f"{y} {expected}"


QUICK = {
    "mean", "norm", "logsumexp", "others", "direction", "floor_divide", "mod", "scatter_add", "scatter_along", "unindex", "argcummax",
    "expand_delta", "collect_delta", "embed_diagonal", "searchsorted", "cross_entropy_terms", "multiply_no_nan", "gather", "pow",
}  # fmt: skip
"""Operations in other words that are compiled quickly."""


@pytest.mark.slow
def test_values_in_other_words_are_those_of_the_kernels():
    examples = [e for e in some(2) if e.name in QUICK]
    found = compiled(examples, [e.inputs for e in examples])
    assert not [(e.name, wrong) for e, (y, _) in zip(examples, found, strict=True) if (wrong := apart(e, y))]
    assert not [e.name for e, (_, failed) in zip(examples, found, strict=True) if failed]


@pytest.mark.slow
def test_values_are_those_of_the_kernels():
    examples = some(2)
    found = compiled(examples, [e.inputs for e in examples])
    assert not [(e.name, wrong) for e, (y, _) in zip(examples, found, strict=True) if (wrong := apart(e, y))]
    assert not [e.name for e, (_, failed) in zip(examples, found, strict=True) if failed]


def unfit(example: Example) -> list[tuple]:
    """Inputs of which many are refused: zeros, negative numbers, NaN, and indices that are too large."""
    floats = [i for i, x in enumerate(example.inputs) if x.dtype.kind == "f"]
    integers = [i for i, x in enumerate(example.inputs) if x.dtype.kind == "i"]
    changed = [(i, np.full_like(example.inputs[i], value)) for i in floats for value in (0.0, -3.0, np.nan, np.inf)]
    changed += [(i, np.full_like(example.inputs[i], value)) for i in integers for value in (-9999, 9999, -1)]
    return [example.with_input(i, x) for i, x in changed]


@pytest.mark.slow
def test_where_a_kernel_refuses_its_values_a_flag_says_so():
    """Of every operation, that is: one whose kernel raises needs an entry in FAILS."""
    cases = [(e, inputs) for e in some(2) for inputs in unfit(e)]
    refused = []
    for example, inputs in cases:
        try:
            example.value(*inputs)
        except (GradcliError, np.linalg.LinAlgError, IndexError, ValueError, ArithmeticError):
            refused.append((example, inputs))
    assert {e.name for e, _ in refused} >= {"inv", "cholesky", "cast", "gather"}
    found = compiled([e for e, _ in refused], [inputs for _, inputs in refused])
    assert not [e.name for (e, _), (_, failed) in zip(refused, found, strict=True) if not failed]
