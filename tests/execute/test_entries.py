"""Steps on the entries of small arrays give what the operations give on whole arrays: each operation, and whole loops."""

from __future__ import annotations

import numpy as np
import pytest

import gradcli
from gradcli.execute import choose, entries
from gradcli.execute.entries import Statements, fits
from gradcli.execute.lower import to_number
from gradcli.execute.plan import Plan
from gradcli.execute.run import run
from gradcli.graph.node import cone
from tests.graph.test_operations import CASES as ALL
from tests.language.test_looping import assert_alike, everything, loops
from tests.quickly import some
from tests.random_loops import loop_program


def by_entries(roots, values):
    """The roots as arrays, computed from numbers alone."""
    names = {leaf: [f"x{k}_{i}" for i in range(leaf_value.size)] for k, (leaf, leaf_value) in enumerate(values.items())}
    found = Statements(roots, names)
    results = [name for root in roots for name in found.names[root]]
    head = ", ".join([name for some in names.values() for name in some])
    function = found.scope.function(head, [*found.texts(), f"return [{', '.join(results)}]"])
    numbers = [to_number(x, leaf.dtype) for leaf, value in values.items() for x in value.ravel()]
    with np.errstate(all="ignore"):
        ends = function(*numbers)
    for root in roots:
        size = int(np.prod(root.shape))
        yield np.array(ends[:size], root.dtype).reshape(root.shape)
        ends = ends[size:]


def compared(text, point):
    """The number of values that were compared: of y, and of the gradients of the sum of its entries by their place."""
    program = gradcli.loads(text)
    y = program.graph.names["y"]
    if y.dtype.startswith("float") and point:
        of = [x for x, g in program.grad(["y"], list(point), values=point).items() if g is not None]
        if of:
            weights = f"cast(reshape(1.0 + arange(1.0*size(y)), shape(y)), {y.dtype})"
            text += f"\n{', '.join(f'g_{x}' for x in of)}, = gradients(sum(y*{weights}), [{', '.join(of)}])"
            program = gradcli.loads(text)
    names = program.graph.names
    roots = [node for name, node in names.items() if name == "y" or name.startswith("g_")]
    values = {names[x]: np.asarray(value, names[x].dtype) for x, value in point.items()}
    roots = [
        root
        for root in roots
        if all(fits(node) and (node in values or node.op.name != "leaf") for node in cone([root]))
    ]
    expected = run(Plan(roots), values) if roots else []
    for found, whole in zip(by_entries(roots, values), expected, strict=True):
        eps = np.finfo(whole.dtype if whole.dtype.kind == "f" else "float64").eps
        np.testing.assert_allclose(found, whole, rtol=100 * eps, atol=10 * eps, err_msg=text)
    return len(roots)


CASES = [param for param in ALL if "load(" not in param.values[0].expression]


PARTS = 6


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_each_operation(part):
    """And enough of them are compared, with their gradients."""
    specs = [param.values[0] for param in CASES[part::PARTS]]
    counts = [min([compared(spec.program(dtype), spec.point()) for dtype in ("float64", "float32")]) for spec in specs]
    assert sum([count > 0 for count in counts]) > 0.5 * len(specs)
    assert sum([count > 1 for count in counts]) > 0.3 * len(specs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", some(range(90), 6))
def test_random_loops(seed, monkeypatch):
    text = loop_program(seed)
    with loops(True):
        monkeypatch.setattr(entries, "ARRAY", 10**12)
        monkeypatch.setattr(choose, "WRITING", 0)
        ours = everything(text)
        monkeypatch.setenv("GRADCLI_WITHOUT", "entries")
        others = everything(text)
    assert_alike(ours, others, text, 1e-9)


PENDULUM = """
variable x = [1.0, 0.5]
def f(x, k) = { a = [[2.0, x[0]], [x[0], 3.0]]; 0.9*x + 0.1*solve(a, [x[1], sin(x[0])])*k, k }
y, k = iterate(f, [x, 1.0], 50)
"""


def test_a_kernel_on_an_array_that_is_put_together(monkeypatch):
    program = gradcli.loads(PENDULUM)
    x = np.array([1.0, 0.5])
    for _ in range(50):
        x = 0.9 * x + 0.1 * np.linalg.solve([[2.0, x[0]], [x[0], 3.0]], [x[1], np.sin(x[0])])
    np.testing.assert_allclose(program.eval(["y"])["y"], x, rtol=1e-12)
    gradient = program.grad(["y"])["x"]
    monkeypatch.setenv("GRADCLI_WITHOUT", "entries")
    np.testing.assert_allclose(gradient, gradcli.loads(PENDULUM).grad(["y"])["x"], rtol=1e-12)


def test_what_fails_in_a_kernel_is_named_with_its_step():
    text = "variable x = 4.0\ndef f(x) = x + solve([[x, 0.0], [0.0, 1.0]], [-1.0*x, 1.0])[0]\ny = iterate(f, x, 300)"
    with pytest.raises(gradcli.GradcliError, match=r"singular.*step 5 of 300") as caught:
        gradcli.loads(text).eval(["y"])
    assert caught.value.labels[0].span.text == "solve([[x, 0.0], [0.0, 1.0]], [-1.0*x, 1.0])"


def test_what_nothing_needs_is_not_computed():
    graph = gradcli.loads("variable x: [3]\ny = (sin(x)*cos(x))[0]").graph.names
    found = Statements([graph["y"]], {graph["x"]: ["a", "b", "c"]})
    assert len(found.lines) == 3
    assert {name for line in found.lines for name in line.uses} & {"a", "b", "c"} == {"a"}
