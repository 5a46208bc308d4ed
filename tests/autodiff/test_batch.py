"""A batched graph gives for each row what the graph gives, whatever the operation and whichever inputs have rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from random_programs import programs

import gradcli
from gradcli.autodiff import batch, reverse
from gradcli.autodiff.batch import batched
from gradcli.graph.node import Derivation, Node, cone
from gradcli.graph.operation import Contraction, Operation, unchanged
from gradcli.graph.ops import table
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.ops.elementwise import multiply, sin
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.ruled import ruled
from tests.graph.examples import Array, Example, evaluate, every

ROWS = 3


def leaf(shape, dtype: str = "float64") -> Node:
    return make_leaf("x", "variable", tuple(shape), dtype, False)


def many(example: Example, i: int) -> Array:
    """Values near the example's for an input, as valid as its own."""
    x = np.asarray(example.inputs[i], example.node.inputs[i].dtype)
    if x.dtype.kind == "f":
        return np.stack([x * x.dtype.type(1 + 0.07 * k) for k in range(ROWS)])
    if x.dtype.kind == "b":
        return np.stack([x ^ bool(k % 2) for k in range(ROWS)])
    return np.stack([np.roll(x, k, axis=-1) if x.ndim else x for k in range(ROWS)])


def check_node(node: Node) -> None:
    """A node is what the entry of its operation makes of its inputs and attributes."""
    if node.op.infer is not None and node.inputs:
        assert node.op.infer(node.inputs, dict(node.attrs)) == (node.shape, node.dtype), node


@pytest.mark.slow
def test_every_operation_with_any_of_its_inputs_in_rows():
    wrong = []
    for example in every(25):
        inputs = [x if x.op.name == "literal" else leaf(x.shape, x.dtype) for x in example.node.inputs]
        node = example.node.with_inputs(tuple(inputs))
        for size in range(1, min(len(inputs), 3) + 1):
            for chosen in itertools.combinations(range(min(len(inputs), 4)), size):
                values = {i: many(example, i) for i in chosen}
                rows = {inputs[i]: leaf(values[i].shape, str(values[i].dtype)) for i in chosen}
                (found,) = batched([node], rows)
                for made in cone([found]):
                    check_node(made)
                known = {x: np.asarray(v, x.dtype) for x, v in zip(inputs, example.inputs, strict=True)}
                value = evaluate(found, known | {rows[inputs[i]]: values[i] for i in chosen})
                each = [
                    example.value(*[values[i][k] if i in values else v for i, v in enumerate(example.inputs)])
                    for k in range(ROWS)
                ]
                assert found.shape == (ROWS, *node.shape)
                if not np.allclose(value, np.array(each), 1e-11, 1e-11, equal_nan=True) or value.shape != found.shape:
                    wrong.append((example.name, chosen))
    assert wrong == []


def test_every_operation_has_a_rule():
    with_inputs = [
        op for op in table.values()
        if op.kernel is not None and any(p.one_tensor or p.kind in ("tensors", "operands", "parameter") for p in op.parameters)
    ]  # fmt: skip
    assert len(with_inputs) > 100
    without = [op for op in with_inputs if op.leading is None and not isinstance(op.rule, Contraction)]
    assert without == [ruled], "a value with a derivative of its own takes its rule along, as test_tangents.py says"


def test_an_operation_without_a_rule_is_an_error_that_names_it():
    odd = Operation("odd", "x", "", family="networks", infer=unchanged, kernel=lambda xp, x: x)
    x = leaf([2])
    with pytest.raises(NotImplementedError, match="the entry of odd"):
        batched([odd(x)], {x: leaf([4, 2])})


def test_what_does_not_depend_on_the_rows_is_shared():
    x, c = leaf([]), leaf([2])
    fixed = sin(c)
    y = multiply(x, fixed)
    rows = leaf([5])
    found, same, itself = batched([y, fixed, x], {x: rows})
    assert same is fixed
    assert itself is rows
    assert fixed in cone([found])
    assert x not in cone([found])
    assert batched([y], {}) == [y]


def test_nodes_are_traced_back_to_those_that_they_stand_for():
    x, a = leaf([2]), leaf([2, 2])
    y = table["matmul"](a, x)
    derivation = Derivation()
    with derivation.active():
        (found,) = batched([y], {x: leaf([7, 2])})
    made = [node for node in cone([found]) if node.inputs]
    assert len(made) > 1
    assert {derivation.origin[node] for node in made} == {y}


def sampled(text: str) -> tuple[Node, dict[str, Node], dict[Node, Array]]:
    """The node y of a program, its variables, and their values; other leaves are given, too."""
    program = gradcli.loads(text)
    y = program.graph.names["y"]
    values = {x: np.asarray(program.leaf_value(x)) for x in cone([y]) if x.op.name == "leaf"}
    return y, {name: program.graph.leaves[name] for name in program.variables}, values


@settings(max_examples=60, deadline=None, derandomize=True)
@given(text=programs(smooth=True, scalar=True, statements=4))
def test_gradients_of_a_batched_graph_are_those_of_its_rows(text):
    """What is batched can be differentiated: the gradient of the sum over the rows holds that of each row."""
    y, leaves, values = sampled(text)
    xs = [x for x in leaves.values() if x in values]
    slopes = reverse.gradients([y], xs)
    random = np.random.RandomState(1)
    rows = {x: leaf((ROWS, *x.shape), x.dtype) for x in xs}
    given = {x: values[x] + 0.1 * random.normal(size=(ROWS, *x.shape)) for x in xs}
    (many,) = batched([y], rows)
    found = reverse.gradients([sum_(many, axis=None)], [rows[x] for x in xs])
    known = values | {rows[x]: v for x, v in given.items()}
    for x, g, each in zip(xs, found, slopes, strict=True):
        if each is None:
            assert g is None
            continue
        expected = np.array([evaluate(each, values | {x: v[k] for x, v in given.items()}) for k in range(ROWS)])
        np.testing.assert_allclose(evaluate(g, known), expected, rtol=1e-7, atol=1e-7, err_msg=str(x))


def test_batches_of_batches():
    x, y = leaf([3]), leaf([])
    z = table["softmax"](multiply(x, y), axis=0)
    rows = {y: leaf([2])}
    (once,) = batched([z], rows)
    (twice,) = batched([once], {x: leaf([4, 3])})
    assert twice.shape == (4, 2, 3)
    a, b = np.random.RandomState(0).normal(size=(4, 3)), np.array([0.5, 2.0])
    inner = next(n for n in cone([twice]) if n.op.name == "leaf" and n.shape == (4, 3))
    value = evaluate(twice, {inner: a, rows[y]: b})
    powers = np.exp(a[:, None, :] * b[:, None])
    np.testing.assert_allclose(value, powers / powers.sum(-1, keepdims=True), rtol=1e-14)


def test_what_is_older_than_what_varies_is_not_walked(monkeypatch):
    """A derivative of one of many steps costs what the step costs, however long the history before it."""
    walked = []

    def counted(*given, **more):
        walked.append(cone(*given, **more))
        return walked[-1]

    monkeypatch.setattr(batch, "cone", counted)
    old = make_leaf("x", "variable", (), "float64", False)
    for _ in range(300):
        old = sin(old)
    new = make_leaf("z", "variable", (), "float64", False)
    batched([old * new], {new: make_leaf("z", "variable", (3,), "float64", False)})
    assert max([len(some) for some in walked]) <= 3
