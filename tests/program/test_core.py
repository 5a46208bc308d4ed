"""The core: an elaborated program that does not change, and questions about it as nodes."""

from __future__ import annotations

import numpy as np
import pytest

import gradcli
from gradcli.graph.node import Node
from gradcli.program import query
from gradcli.results import Reason

TEXT = (
    "variable x = [3.0, 4.0]; variable k = 2.0; constant n = 3; variable w; y = k*sum(x^2) + n; h = floor(x); output y"
)


@pytest.fixture
def program():
    return gradcli.loads(TEXT)


@pytest.mark.parametrize("name", ["graph", "settings", "record", "new"])
def test_a_program_does_not_change(program, name):
    with pytest.raises(AttributeError, match=f"does not change.*`{name}`"):
        setattr(program, name, None)


def test_other_values_are_those_of_another_program(program):
    other = program.with_values({"k": 1.0})
    assert (program.eval()["y"], other.eval()["y"]) == (53.0, 28.0)
    assert (dict(program.settings), list(other.settings)) == ({}, ["k"])
    assert program.with_values({}) is program
    assert other.again(dtype="float32").eval()["y"].dtype == "float32"
    assert program.again(unsafe=["k"]).graph.leaves["k"].risky


def test_values_of_leaves_keep_the_graph(program):
    leaf = program.graph.leaves["w"]
    other = program.with_leaf_values({leaf: np.array(5.0)})
    assert other.graph is program.graph
    assert other.leaf_value(leaf) == 5.0
    assert program.lacks_value(leaf)
    with pytest.raises(gradcli.GradcliError, match="has no value"):
        program.leaf_value(leaf)


def test_a_record_is_that_of_one_program(program):
    from gradcli.execute.profile import Record

    record = Record()
    program.with_record(record).eval()
    assert record.nodes
    assert program.record is None


def test_calls_belong_to_a_graph_of_their_own(program):
    other = gradcli.loads("def f(a) = a^2; variable x = 2.0; y = f(x)").with_every_call()
    assert [frame.name for frame in other.graph.calls] == ["f"]
    assert other.eval() == {"y": 4.0}


# questions


def test_a_question_by_default(program):
    asked = query.question(program)
    assert (asked.of, asked.wrt, asked.heads, asked.stops) == (["y"], ["x", "k", "w"], [None], [])
    assert asked.ys == [program.graph.names["y"]]
    assert asked.xs == [program.graph.leaves[name] for name in asked.wrt]


def test_a_question_with_seeds_and_stops(program):
    asked = query.question(program, ["y", "y"], ["*", "k"], {"y": "2*pi"}, ["h"])
    assert (asked.of, asked.wrt) == (["y"], ["x", "k", "w"])
    assert asked.heads[0] is not None
    assert asked.stops == [program.graph.names["h"]]
    row = query.gradient_nodes(program, asked, 1)
    assert [type(g) for g in row] == [Node, Node, Reason]
    assert program.evaluate(row[:1])[0].tolist() == pytest.approx([24 * np.pi, 32 * np.pi])


def test_what_an_unconnected_x_gets(program):
    asked = query.question(program, wrt=["w"])
    ((order, (zero,)),) = query.gradients(program, asked, (2,), "zero")
    assert (order, program.evaluate([zero])) == (2, [0.0])
    with pytest.raises(gradcli.GradcliError, match="`w` is None"):
        query.gradients(program, asked, (1,), "error")


def test_orders_end_in_none_one_after_the_other(program):
    rows = query.gradients(program, query.question(program, wrt=["k"]), (1, 2))
    assert [type(row[0]) for _, row in rows] == [Node, Reason]
    assert rows[-1][1][0].text.startswith("None since order 2")


def test_matrices_and_directions(program):
    asked = query.question(program, wrt=["x", "k"])
    assert [node.shape for node in query.jacobian(program, asked)] == [(2,), ()]
    assert [node.shape for node in query.hessian(program, asked)] == [(2, 2), (2,), (2,), ()]
    along = query.along(program, {"x": np.array([1.0, 0.0]), "k": "1"})
    assert program.evaluate(list(along.values())) == [12.0 + 25.0]
