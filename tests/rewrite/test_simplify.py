"""Rules for plans: the form that each leaves, and the same values with and without them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import gradcli
from gradcli.graph.node import Node, cone
from gradcli.graph.ops import table
from gradcli.graph.ops.words.language import expression
from gradcli.rewrite import exact
from gradcli.rewrite.engine import Engine
from gradcli.rewrite.simplify import RULES, Simplified
from tests.random_programs import programs

FORMS = [
    ("identity", "identity(x)", "x"),
    ("stop_gradient", "stop_gradient(x)*s", "x * s"),
    ("multiply", "x*1.0", "x"),
    ("multiply", "1.0*x", "x"),
    ("multiply", "x*ones([2])", "x"),
    ("multiply", "s*ones([2])", "s * ones([2], dtype=float64)"),  # another shape: stays
    ("divide", "x/1.0", "x"),
    ("pow", "x^1.0", "x"),
    ("pow", "x^2.0", "square(x)"),
    ("where", "where(x > 0, x, x)", "x"),
    ("cast", "cast(x, float64)", "x"),
    ("reshape", "reshape(reshape(x, [1, 2]), [2])", "x"),
    ("neg", "-(-x)", "x"),
    ("add", "x + 0.0", "x + 0"),  # -0 + 0 is 0: stays
]


@pytest.mark.parametrize(("operation", "before", "after"), FORMS)
def test_the_form_after_a_rule(operation: str, before: str, after: str) -> None:
    assert operation in {**exact.RULES, **RULES}
    graph = gradcli.loads(f"variable x = [1.0, -2.0]\nvariable s = 3.0\ny = {before}").graph
    y = graph.names["y"]
    assert isinstance(y, Node)
    (node,) = Simplified([y]).targets
    assert expression(node, {leaf: name for name, leaf in graph.leaves.items()}).text == after
    assert (node.shape, node.dtype) == (y.shape, y.dtype)


def test_what_keeps_a_gradient_connected_is_left_out() -> None:
    program = gradcli.loads("variable x = [1.0, -2.0]\ny = relu(x)*3\ng = gradients(y, x)")
    g = program.graph.names["g"]
    assert isinstance(g, Node)
    assert {"link", "zero"} & {node.op.name for node in cone([g])}
    assert not {"link", "zero"} & {node.op.name for node in cone(Simplified([g]).targets)}


def test_equal_operations_are_done_once() -> None:
    program = gradcli.loads("variable x = 1.0\ny = sin(x)*sin(x)")
    y = program.graph.names["y"]
    assert isinstance(y, Node)
    assert [node.op.name for node in cone(Simplified([y]).targets)].count("sin") == 1


def test_random_numbers_are_never_merged() -> None:
    values = gradcli.loads("a = random_normal([3])\nb = random_normal([3])").eval()
    assert not np.array_equal(values["a"], values["b"])


def test_a_value_that_is_needed_stays_needed() -> None:
    program = gradcli.loads("variable x: [2]\ny = relu(x)")
    with pytest.raises(gradcli.GradcliError, match="`x` has no value"):
        program.grad(order=2)


@pytest.mark.slow
@settings(max_examples=80, deadline=None, derandomize=True)
@given(programs(smooth=False, scalar=True))
def test_values_and_gradients_are_the_same_without_the_rules(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADCLI_WITHOUT", "simplify")
        program = gradcli.loads(text)
        plain, plain_gradients = program.eval(), program.grad(order=2)
    program = gradcli.loads(text)
    for name, value in program.eval().items():
        np.testing.assert_allclose(value, plain[name], rtol=1e-13, atol=1e-13)
    for name, gradient in program.grad(order=2).items():
        if gradient is None:
            assert plain_gradients[name] is None
            continue
        scale = np.abs(gradient).max(initial=1.0)
        np.testing.assert_allclose(gradient, plain_gradients[name], rtol=1e-11, atol=1e-12 * scale)


def nodes_of(text: str) -> Node:
    y = gradcli.loads(text).graph.names["y"]
    assert isinstance(y, Node)
    return y


def test_what_a_rule_builds_is_shared() -> None:
    y = nodes_of("variable x = 1.5\ny = x^3 + x^2 + x*x^2")
    (new,) = Simplified([y]).targets
    names = [node.op.name for node in cone([new])]
    assert (names.count("square"), names.count("multiply")) == (1, 1)


def test_every_new_node_stands_for_one_of_the_graph() -> None:
    y = nodes_of("variable x = [1.5, 2.5]\ny = sum(identity(x)^3 + sin(x*1.0)) + sum(sin(x))")
    simple = Simplified([y])
    old, new = set(cone([y])), set(cone(simple.targets))
    assert new - old
    assert new - old <= simple.original.keys()
    assert set(simple.original.values()) <= old
    assert not old & simple.original.keys()


def test_known_nodes_stay_as_they_are() -> None:
    y = nodes_of("variable x = [1.5, 2.5]\ny = exp(identity(x))")
    (known,) = y.inputs
    simple = Simplified([y], known=[known])
    assert cone(simple.targets, [known]) == [known, y]
    assert known.op.name == "identity"


def test_rules_that_undo_one_another_end() -> None:
    flip = {
        "square": [("square(x) -> x * x", lambda node: table["multiply"](*node.inputs * 2))],
        "multiply": [("x * x -> square(x)", lambda node: table["square"](node.inputs[0]))],
    }
    y = nodes_of("variable x = 1.5\ny = exp(square(x))")
    engine = Engine(flip)
    engine.rewrite(cone([y]))
    assert engine.done[y].inputs[0].op.name in ("square", "multiply")
