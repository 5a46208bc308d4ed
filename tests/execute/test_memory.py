"""The memory that a plan announces: never less than what its arrays take, and at most half more."""

from __future__ import annotations

import ctypes
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradcli
from gradcli.execute import blas
from gradcli.execute.run import run
from gradcli.execute.sizes import bytes_of, working_space
from gradcli.graph.node import cone
from gradcli.graph.operation import kernel_value
from gradcli.graph.ops import table
from gradcli.program import query

NUMPY_BUFFERS = 1 << 18
"""Bytes that NumPy takes for itself in some operations, whatever the size of the arrays."""

THP_DISABLE = 41
"""Linux's number for `prctl`, which says whether a process gets huge pages."""

SLACK = 3 << 19
"""Bytes by which the memory of a process is more or less than what is asked for: pages, and buffers of BLAS."""

PREAMBLE = """
variable x = random_uniform([1000, 1000], minval=0.1, maxval=0.9, seed=1)
variable z = random_uniform([1000, 1000], minval=0.1, maxval=0.9, seed=2)
constant rows = cast(floor(random_uniform([1000], maxval=999.0, seed=3)), int64)
"""

EXPRESSIONS = [
    "x + z*x - x/z", "sin(x)", "cos(x)", "exp(x)", "x^1.5", "rsqrt(x)", "where(x > z, x, z)", "maximum(x, z)", "relu(x)",
    "sigmoid(x)", "softplus(x)", "leaky_relu(x)", "elu(x)", "gelu(x)", "silu(x)", "erf(x)", "hypot(x, z)", "xlogy(x, z)",
    "divide_no_nan(x, z)", "mod(x, z)", "clip(x, 0.2, 0.5)", "cast(x, float32)", "cast(x, int64)", "isnan(x)",
    "logical_and(x > 0.5, z > 0.5)", "sum(x)", "sum(x, axis=0)", "mean(x, axis=1)", "max(x, axis=0)", "norm(x)",
    "norm(x, axis=0)", "std(x)", "var(x, axis=0)", "logsumexp(x)", "logsumexp(x, axis=1)", "softmax(x)", "log_softmax(x)",
    "softmax(x, axis=0)", "argmax(x, axis=0)", "cumsum(x, axis=0)", "cumsum(x, axis=1, reverse=true)", "sort(x)",
    "argsort(x)", "x @ z", "x.T @ z", "x @ z.T", "sum(x @ z)", "einsum(\"ij,jk,kl->il\", x, z, x)", "trace(x @ z)",
    "diag(x)", "tril(x)", "inv(x)", "solve(x, z)", "det(x)", "cholesky(x @ x.T + 1000.0*eye(1000))", "x.T", "x.T + z",
    "reshape(x, [-1])", "x[::2, 1:]", "concat([x, z])", "stack([x, z], axis=2)", "pad(x, [[1, 1], [2, 2]])",
    "gather(x, rows)", "tile(x, [2, 1])", "repeat(x, 2)", "roll(x, 1)", "roll(x, 5, axis=0)", "flip(x)",
    "broadcast_to(x, [3, 1000, 1000])", "one_hot(rows, 1000)", "outer(x[0], z[0])", "mse(x, z)",
    "softmax_cross_entropy(x, z)", "random_normal([1000, 1000])", "zeros([1000, 1000])", "eye(1000)",
    "scatter_along(x, broadcast_to(rows, [1000, 1000]), 1, 1000)", "linspace(0, 1, 1_000_000)", "arange(1_000_000)", "argmin(x, axis=0)", "cumprod(x, axis=1)", "triu(x)",
    "logdet(x + 1000.0*eye(1000))", "scatter_add(x, rows, 0, 1000)", "take_along(x, argsort(x, 1), 1)",
    *[f"{name}(x[:300, :300])" for name in ("eigvalsh", "eigenvectors", "svdvals", "singular_vectors", "orthonormal", "detsign",
                                            "logabsdet", "pinv", "expm")],
    "spectral(x[0, :300], x[:300, :300])", "singular_function(x[0, :300], x[:300, :300])", "expm_frechet(x[:300, :300], z[:300, :300])", "reciprocal_gaps(x[0, :700])", "argcummax(x, axis=1)", "argcummin(x)", "searchsorted(x[0], z)", "ravel_multi_index([rows, rows], [1000, 1000])",
]  # fmt: skip

PROGRAMS = {
    "chain": "y = sum(sin(tanh(sin(x)*z + x)*x)*tanh(z*x))\ng, h = gradients(y, [x, z])",
    "layer": "y = sum(softmax(relu(x @ z))^2)\ng, h = gradients(y, [x, z])",
    "transposed": "s = softmax(x.T)\ny = sum(logsumexp(s, axis=0)*norm(x, axis=1))\ng = gradients(y, x)\nh = x.T*2.0",
    "waiting": "y = sum(cumsum(sin(x))*x) / sum(z)\ng, h = gradients(y, [x, z])",
    "network": """
w = random_normal([1000, 20], stddev=0.03, seed=7); v = random_normal([20, 20], seed=8)
u = tanh(tanh(x @ w) @ v) @ v
y = mean(square(u)); g = gradients(y, w); h = gradients(y, v)""",
}


def measured(text: str, names: list[str]) -> tuple[int, int]:
    """What the plan announces, and the most that the arrays of its run took."""
    program = gradcli.loads(text)
    plan = program.plan([query.target(program, name) for name in names])
    leaves = program.leaf_values(plan)
    run(plan, leaves)  # modules that a kernel imports are not arrays
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        kept = run(plan, leaves)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert len(kept) == len(names)
    if plan.choice.engine != "tiles" and any(node.op.name in lapack() for node in plan.nodes):
        del kept
        peak = max(peak, resident(lambda: run(plan, leaves)) - SLACK)
    return plan.peak, peak + sum(value.nbytes for value in leaves.values())


def lapack() -> set[str]:
    """The operations whose kernels call LAPACK, which takes memory that Python does not see."""
    return {
        name
        for name, op in table.items()
        if op.family == "linear algebra" and op.workspace and op.name != "contraction"
    }


def resident(function: Callable[[], Any]) -> int:
    """The most bytes that a call takes of the system's memory, those of its result included; 0 where the system cannot say."""
    system = ctypes.CDLL(None)
    try:
        system.prctl(THP_DISABLE, 1, 0, 0, 0)  # huge pages hold more than what is asked for
        system.malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # from now on the peak counts anew
        before = _status("VmRSS")
        function()
        return max(_status("VmHWM") - before, 0)
    except (AttributeError, OSError):
        return 0
    finally:
        if hasattr(system, "prctl"):
            system.prctl(THP_DISABLE, 0, 0, 0, 0)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))


def check(announced: int, taken: int) -> None:
    assert taken <= announced + NUMPY_BUFFERS
    assert announced <= 1.5 * taken + NUMPY_BUFFERS


@pytest.mark.slow
@pytest.mark.skipif(not resident(lambda: bytearray(1 << 24)), reason="the system does not tell the peak of its memory")
def test_lapack_takes_what_is_announced():
    """Of each operation that calls it, kernel by kernel: what it takes disappears in the arrays of a whole plan."""
    wrong, met = [], set()
    for expression in EXPRESSIONS:
        program = gradcli.loads(f"{PREAMBLE}y = {expression}\n")
        for node in cone([query.target(program, "y")]):
            if node.op.name not in lapack() - met:
                continue
            met.add(node.op.name)
            inputs = program.evaluate(list(node.inputs))
            with np.errstate(all="ignore"), blas.threads(1):
                kernel_value(np, node, inputs)  # what BLAS takes once is no array
                taken = resident(partial(kernel_value, np, node, inputs))
            announced = bytes_of(node) + working_space(node)
            if not announced / 1.15 - NUMPY_BUFFERS <= taken <= announced + NUMPY_BUFFERS:
                wrong.append((node.op.name, taken, announced))
    assert wrong == []
    assert met >= lapack() - {"cofactor", "completion"}


@pytest.mark.slow
@pytest.mark.parametrize("without", ["", "tiles,halfangle"])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_operation(expression, without, monkeypatch):
    monkeypatch.setenv("GRADCLI_WITHOUT", without)
    check(*measured(f"{PREAMBLE}y = {expression}\n", ["y"]))


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name, threads, monkeypatch):
    monkeypatch.setattr("gradcli.execute.plan.processors", lambda: threads)
    check(*measured(PREAMBLE + PROGRAMS[name], ["y", "g", "h"]))


def test_what_needs_more_than_allowed_is_refused_before_it_starts():
    text = PREAMBLE + PROGRAMS["chain"]
    announced, _ = measured(text, ["g", "h"])
    assert gradcli.loads(text, max_memory=announced).eval(["g", "h"])["g"].shape == (1000, 1000)
    with pytest.raises(gradcli.GradcliError, match="memory at once") as caught:
        gradcli.loads(text, max_memory=announced - 1).eval(["g", "h"])
    assert caught.value.kind == "LimitError"


def test_every_operation_that_announces_a_workspace_is_measured():
    """Here or, where it works entry by entry, by the tests of facts."""
    seen: set[str] = set()
    for expression in EXPRESSIONS:
        program = gradcli.loads(f"{PREAMBLE}y = {expression}\n")
        seen.update(node.op.name for node in program.plan([query.target(program, "y")]).nodes)
    announced = {op.name for op in table.values() if op.workspace and op.family not in ("elementwise", "selection")}
    for text in PROGRAMS.values():
        program = gradcli.loads(PREAMBLE + text)
        seen.update(node.op.name for node in program.plan([query.target(program, name) for name in "ygh"]).nodes)
    # The singular values of a large matrix take seconds.
    assert announced - seen <= {"cofactor", "completion"}
