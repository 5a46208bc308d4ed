"""Nodes of every operation of the table with values for their inputs, found in the specs and in their derivatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

import gradcli
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.types import is_float
from gradcli.program import query
from gradcli.program.loaded import array_node
from gradcli.rewrite.simplify import Simplified
from tests.graph.test_operations import SPECS

Array = Any


class Example(NamedTuple):
    """A node, and the values of its inputs at the point of a spec."""

    node: Node
    inputs: tuple[Array, ...]

    @property
    def name(self) -> str:
        return self.node.op.name

    def value(self, *inputs: Array) -> Array:
        """What the kernel gives for these inputs, by default for the example's own."""
        return value_of(self.node, inputs or self.inputs)

    def with_input(self, i: int, x: Array) -> tuple[Array, ...]:
        return (*self.inputs[:i], np.asarray(x, self.node.inputs[i].dtype), *self.inputs[i + 1 :])

    @property
    def floats(self) -> list[int]:
        """The inputs that can move: floats with entries."""
        return [i for i, x in enumerate(self.node.inputs) if is_float(x.dtype) and 0 not in x.shape]


def value_of(node: Node, inputs: tuple[Array, ...]) -> Array:
    assert node.op.kernel is not None
    with np.errstate(all="ignore"):
        return np.asarray(node.op.kernel(np, *[x[()] for x in inputs], **node.attrs))


def evaluate(node: Node, given: Mapping[Node, Array] | None = None) -> Array:
    """The value of a node by kernels alone; ``given`` holds values of leaves and whatever else is known."""
    values = dict(given or {})
    for x in cone([node], values):
        if x not in values:
            values[x] = _start(x) if x.op.name == "literal" else value_of(x, tuple([values[i] for i in x.inputs]))
    return values[node]


def on_arrays(example: Example, arrays: Sequence[Array] | None = None) -> Node:
    """The example's node on constants that hold its values; literals stay literals, which rules look at."""
    inputs = [
        x if x.op.name == "literal" else array_node(np.asarray(value, x.dtype))
        for x, value in zip(example.node.inputs, example.inputs if arrays is None else arrays, strict=True)
    ]
    return example.node.with_inputs(tuple(inputs))


def on_leaves(example: Example, kind: str = "variable") -> Node:
    """The example's node on a leaf for each input that can move, and on constants for the others."""
    inputs = list(on_arrays(example).inputs)
    for i in example.floats:
        if inputs[i].op.name != "literal":
            inputs[i] = make_leaf(f"x{i}", kind, inputs[i].shape, inputs[i].dtype, False)
    return example.node.with_inputs(tuple(inputs))


def _start(node: Node) -> Array:
    return np.asarray(node.attrs["value"], node.dtype)


def _nodes(program: gradcli.Program) -> list[Node]:
    """The nodes of y, of its first and second gradients, and of what a plan makes of them."""
    found = [query.target(program, "y")]
    if program.variables:
        asked = query.question(program, ["y"], None, None, [])
        for order in (1, 2):
            found += [g for g in query.gradient_nodes(program, asked, order) if isinstance(g, Node)]
    return cone([*found, *Simplified(found).targets])


def _key(node: Node) -> tuple[Any, ...]:
    """What tells examples of one operation from one another."""
    inputs = [(x.dtype, x.shape, repr(x.attrs) if x.op.name == "literal" else "") for x in node.inputs]
    return (node.op, node.dtype, node.shape, repr(node.attrs), *inputs)


OWN_DERIVATIVE = (
    "variable x: [2]\nvariable k: [2]\ndef f(x, k) = x*k\ntangent f(x, k, dx) = x*k*dx\ny = f(x, k)\n",
    {"x": np.array([0.3, 1.7]), "k": np.array([2.5, -0.4])},
)
"""A value whose derivative the program gives: no call of an operation makes one."""


@cache
def examples() -> Mapping[str, Sequence[Example]]:
    """For every operation with a kernel some nodes, all of them different, with the values of their inputs."""
    found: dict[tuple[Any, ...], Example] = {}
    apart = ("load(", "root(", "minimize(")  # files, and searches, which no kernel does
    specs = [spec for specs in SPECS.values() for spec in specs if not any([word in spec.expression for word in apart])]
    for text, point in [*[(spec.program(), spec.point()) for spec in specs], OWN_DERIVATIVE]:
        program = gradcli.loads(text).written_out()
        values = {query.target(program, name): x for name, x in point.items()}
        for node in _nodes(program):
            if node in values:
                continue
            if node.op.name in ("leaf", "literal"):
                values[node] = _start(node) if node.op.name == "literal" else program.leaf_value(node)
                continue
            inputs = tuple([values[x] for x in node.inputs])
            values[node] = value_of(node, inputs)
            found.setdefault(_key(node), Example(node, inputs))
    by_name: dict[str, list[Example]] = {}
    for example in found.values():
        by_name.setdefault(example.name, []).append(example)
    return by_name


def every(most: int | None = None) -> Iterator[Example]:
    """All examples, or up to ``most`` of each operation, from all of its specs."""
    for some in examples().values():
        yield from some[:: -(-len(some) // most)] if most else some
