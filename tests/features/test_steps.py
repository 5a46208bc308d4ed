"""Derivations rule by rule: each step shows an operation of the program, and what its own derivative passes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import gradcli
from gradcli.execute.plan import Plan
from gradcli.execute.run import run
from gradcli.features.derive.derivation import render
from gradcli.features.derive.steps import WorkedDerivation, derivation
from gradcli.graph.node import Node, cone
from gradcli.graph.ops import table
from tests.features.test_derived import SAMPLES, question
from tests.quickly import light
from tests.random_programs import programs

SIDE = 1e-6


def blocks(text: str) -> list[tuple[str, str, list[str]]]:
    """For each step the line that defines it, the operation whose rule it is, and who gets something."""
    found = []
    for block in text.partition("\n\nsimplified:")[0].split("\n\n")[1:-1]:
        definition, rule, *gets = block.split("\n")
        found.append((definition, rule.strip().partition(":")[0], [g.partition(" gets ")[0].strip() for g in gets]))
    return found


def operation(definition: str, values: dict[str, Node], dtype: str = "float64") -> Node:
    """The operation that a line shows, its operands leaves of their own."""
    name, _, text = definition.partition(" = ")
    declared = [f"variable {v}: {x.dtype}{list(x.shape) or ''}" for v, x in values.items() if v != name]
    node = gradcli.loads("\n".join([*declared, f"{name} = {text}"]), dtype=dtype).graph.names[name]
    assert isinstance(node, Node)
    return node


def slope(node: Node, position: int, operands: Sequence[Any], g: Any, direction: Any) -> float:
    """The derivative of sum(g * node) by one operand in a direction: a central difference of the kernel."""
    ends = []
    for side in (SIDE, -SIDE):
        moved = [x + side * direction if i == position else x for i, x in enumerate(operands)]
        ends.append(node.op.kernel(np, *moved, **node.attrs))
    return float(np.sum(g * (ends[0] - ends[1]) / (2 * SIDE)))


def check(program: gradcli.Program, write: Callable[[WorkedDerivation], str] = render, **asked: Any) -> list[str]:
    """Every step against differences of the operation that it shows; the operations."""
    found = derivation(program, **asked)
    nodes = [x for x in cone([y for y, _ in found.heads]) if x in found.named]
    of = {found.named[x]: x for x in nodes}
    known = dict(zip(nodes, program.evaluate(nodes), strict=True))
    received: dict[Node, Any] = {}
    for (y, _), start in zip(found.heads, program.evaluate([start for _, start in found.heads]), strict=True):
        received[y] = received.get(y, 0) + start
    text = write(found)
    shown = blocks(text)
    assert len(shown) == len(found.steps)
    rng = np.random.default_rng(1)
    exact = 1e-7 if program.graph.float_dtype == "float64" else 1e-4
    for step, (definition, name, gets) in zip(found.steps, shown, strict=True):
        node = operation(definition, of, program.graph.float_dtype)
        if name == "custom_gradient":  # the formula is that of the value
            continue
        assert node.op.name == name or table[name].written is not None, definition
        leaves = {x: known[of[x.attrs["name"]]] for x in cone(node.inputs) if x.op.name == "leaf"}
        operands = [x.astype("float64") if x.dtype.kind == "f" else x for x in run(Plan(node.inputs), leaves)]
        passed: dict[str, list[Any]] = {}
        for (x, _), value in zip(step.gets, program.evaluate([g for _, g in step.gets]), strict=True):
            passed.setdefault(found.named[x], []).append(value)
            received[x] = received.get(x, 0) + value
        assert [x.partition("/d")[2] for x in gets] == [found.named[x] for x, _ in step.gets]
        if table[name].written is not None:  # a formula of several operations in place of one that has no name
            continue
        for x, values in passed.items():
            size = np.abs(known[of[x]].astype("float64"))  # entries of a covariance differ by orders of magnitude
            direction = rng.normal(size=of[x].shape) * np.where(size == 0, 1.0, size)
            at = [i for i, operand in enumerate(node.inputs) if operand.attrs.get("name") == x]
            expected = [slope(node, i, operands, received[step.node], direction) for i in at]
            if len(values) == 1:
                expected = [sum(expected)]
            actual = [float(np.sum(value * direction)) for value in values]
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=exact, err_msg=f"{x} in {definition}\n{text}")
    return [name for _, name, _ in shown]


@pytest.mark.parametrize(
    ("text", "operations"),
    [
        ("variable x = 2.0; y = sin(x); z = y + y", ["add", "sin"]),
        ("variable x = 2.0; y = (sin(x) + sin(x)*3)^2", ["pow", "add", "multiply", "sin", "sin"]),
        ("variable x = 2.0; y = x - (-x)", ["subtract", "neg"]),
        ("variable x = 2.0; y = 2*(3*x)*1", ["multiply", "multiply", "multiply"]),
        (
            "variable x = [1.0, 2.0]; y = sum(sum(2*x)*x[1:]/x)",
            ["sum", "divide", "multiply", "index", "sum", "multiply"],
        ),
        ("variable x = [[1.0, 2.0], [3.0, 5.0]]; y = sum(x @ x.T.T)", ["sum", "matmul", "transpose", "transpose"]),
    ],
)
def test_each_step_is_an_operation_of_the_program(text: str, operations: list[str]) -> None:
    assert check(gradcli.loads(text)) == operations


@pytest.mark.slow
@pytest.mark.parametrize("sample", light(SAMPLES), ids=lambda sample: sample.stem)
def test_samples(sample: Path) -> None:
    graph = gradcli.load(sample).graph
    missing = {leaf.attrs["name"]: np.full(leaf.shape, 0.5) for leaf, value in graph.initial.items() if value is None}
    asked = question(sample)
    if sample.stem == "exponential_fit":  # a Jacobian is made of operations that no text can name
        asked["of"] = ["residual"]
    check(gradcli.load(sample, settings=missing), **asked)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, derandomize=True)
@given(programs())
def test_random_programs(text: str) -> None:
    check(gradcli.loads(text))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("z = y + y\n    add", "z = 2 * y\n    multiply"),
        ("z = y + y\n    add", "z = y - y\n    subtract"),
        ("y = sin(x)", "y = cos(x)"),
        ("y = sin(x)", "y = x"),
        ("y = sin(x)\n    sin", "y = tan(x)\n    tan"),
    ],
)
def test_the_text_of_another_operation_is_seen(right: str, wrong: str) -> None:
    def altered(found: WorkedDerivation) -> str:
        text = render(found)
        assert right in text
        return text.replace(right, wrong)

    with pytest.raises(AssertionError, match=r"Not equal to tolerance|'(cos|leaf)' == 'sin'"):
        check(gradcli.loads("variable x = 2.0; y = sin(x); z = y + y"), altered)
