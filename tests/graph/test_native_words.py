"""Every operation of the table by C: values, infinities, NaN, the sign of zeros and failures are those of its kernel."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np
import pytest

from gradcli.diagnostics import GradcliError
from gradcli.execute import native
from gradcli.execute.compiler import built
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.types import is_float
from tests.graph.examples import Example, every

TIES = ("min", "max", "elu", "mean", "relu")
"""Where 0 and -0 are equal, and NumPy gives either, or a sum of nothing but -0."""

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, np.inf, -np.inf, np.nan, 1e-300, 700.0, -700.0, 1e16]


def on_leaves(example: Example) -> tuple[Node, list[Node]]:
    """The node as C is given it, on a leaf for each input that is not a number of the text."""
    node = example.node
    inputs = [x if x.op.name == "literal" else make_leaf("x", "constant", x.shape, x.dtype, True) for x in node.inputs]
    (made,) = native.expanded([node.with_inputs(tuple(inputs))], inputs)
    return made, [x for x in inputs if x.op.name != "literal"]


def written(example: Example) -> bool:
    if not example.inputs or 0 in example.node.shape:
        return False
    node, leaves = on_leaves(example)
    return all([native.is_written(x) for x in cone([node], leaves) if x not in leaves])


@cache
def some(most: int) -> list[Example]:
    return [e for e in every(most) if written(e)]


def moving(example: Example) -> list[int]:
    return [i for i in example.floats if example.node.inputs[i].op.name != "literal"]


class Library:
    """The functions of some examples, compiled in one go."""

    def __init__(self, examples):
        writer = native.Writer()
        functions, self.leaves = [], []
        for k, example in enumerate(examples):
            node, leaves = on_leaves(example)
            functions.append(native.function(writer, f"f{k}", [node], leaves))
            self.leaves.append([i for i, x in enumerate(example.node.inputs) if x.op.name != "literal"])
        self.memory = np.zeros(max(writer.reserved, 1), np.uint8)
        self.library = built(native.text(writer, functions)).library
        self.examples = examples

    def __call__(self, k, inputs=None):
        """The value of an example, and whether it failed."""
        example = self.examples[k]
        given = example.inputs if inputs is None else inputs
        arrays = [np.ascontiguousarray(given[i], example.node.inputs[i].dtype) for i in self.leaves[k]]
        y = np.full(example.node.shape, 77, example.node.dtype)
        pointers = (ctypes.c_void_p * (len(arrays) + 1))(*[a.ctypes.data for a in (*arrays, y)])
        failed = self.library[f"f{k}"](pointers, ctypes.c_void_p(self.memory.ctypes.data))
        return y, failed


def apart(example: Example, y, expected) -> str | None:
    if expected.dtype.kind != "f":
        return None if np.array_equal(y, expected) else f"{y} {expected}"
    close = np.allclose(y, expected, rtol=1e-13 if expected.dtype == np.float64 else 1e-5, atol=1e-15, equal_nan=True)
    return None if close else f"{y} {expected}"


@pytest.mark.slow
def test_values_are_those_of_the_kernels():
    examples = some(2)
    library = Library(examples)
    wrong = []
    for k, example in enumerate(examples):
        y, failed = library(k)
        if failed or (problem := apart(example, y, example.value())):
            wrong.append((example.name, example.node.attrs, failed or problem))
    assert not wrong


@pytest.mark.slow
def test_special_values_are_those_of_the_kernels():
    examples = [e for e in some(2) if moving(e)]
    library = Library(examples)
    wrong = []
    for k, example in enumerate(examples):
        for i in moving(example):
            x = example.inputs[i]
            for shift in range(0, len(SPECIAL), max(1, x.size)):
                numbers = np.resize(np.roll(SPECIAL, -shift), x.shape)
                with np.errstate(all="ignore"):
                    given = example.with_input(i, numbers)
                try:
                    expected = example.value(*given)
                except (GradcliError, IndexError, ValueError, ArithmeticError):
                    continue
                y, failed = library(k, given)
                if failed and not np.isfinite(expected).all():
                    continue
                zero = (expected == 0) & (y == 0)
                signs = example.name not in TIES and is_float(example.node.dtype)
                signs = signs and not np.array_equal(np.signbit(y)[zero], np.signbit(expected)[zero])
                if failed or signs or apart(example, y, expected):
                    wrong.append((example.name, dict(example.node.attrs), numbers.tolist(), y, expected, failed))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.slow
def test_long_arrays_of_special_values_are_those_of_the_kernels():
    """Where C computes several entries at once, in other functions than it computes one."""
    examples = {e.name: e for e in some(1) if e.node.op.entrywise and len(moving(e)) == 1 == len(e.inputs)}
    x = np.concatenate([np.resize(SPECIAL, 40), np.linspace(-3, 3, 27)])
    made = [e for e in examples.values() if e.node.inputs[0].dtype == "float64"]
    long = []
    for e in made:
        leaf = make_leaf("x", "constant", x.shape, "float64", True)
        node = Node(e.node.op, (leaf,), e.node.attrs, x.shape, e.node.dtype, True)
        long.append(Example(node, (x,)))
    library = Library(long)
    wrong = []
    for k, example in enumerate(long):
        try:
            expected = example.value()
        except GradcliError:
            continue
        y, failed = library(k)
        zero = (expected == 0) & (y == 0)
        signs = example.name not in TIES and not np.array_equal(
            np.signbit(1.0 * y)[zero], np.signbit(1.0 * expected)[zero]
        )
        if failed or signs or (problem := apart(example, y, expected)):
            wrong.append((example.name, failed or signs or problem))
    assert not wrong, "\n".join(map(str, wrong))
