"""Which nodes are risky: all whose values may be NaN or infinite at ordinary leaves, of every operation of the table."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import gradcli
from gradcli.graph.node import Node, cone
from gradcli.graph.ops import table
from gradcli.graph.ops.creation import SPECIAL
from gradcli.graph.ops.kernels import FromScipy
from gradcli.program import query

ORDINARY = ["0.0", "-0.0", "1.0", "-1.0", "0.5", "2.0", "-3.0", "1000.0", "-1000.0", "1e-300"]
FEW = {1: ORDINARY, 2: ["0.0", "-0.0", "-1.0", "2.0", "1e-300"], 3: ["0.0", "2.0"]}
"""Those that are tried for each of so many arguments."""
ARGUMENTS = {"int": "1", "dtype": "float32"}
"""What stands for a parameter of each kind that is required and no value."""
SCALARS = [
    op
    for op in table.values()
    if not op.hidden
    and op.name not in SPECIAL
    and op.family in ("elementwise", "selection")
    and op.accepts in ("number", "float", "same", "any")
    and op.name != "where"
]


@pytest.mark.slow
@pytest.mark.parametrize("op", SCALARS, ids=lambda op: op.name)
def test_what_may_be_singular_says_so(op):
    """Values, first and second derivatives: what is not finite at ordinary numbers is risky."""
    count = len([p for p in op.parameters if p.kind == "tensor"])
    names = ["a", "b", "c"][:count]
    wrt = names[-1:] if isinstance(op.kernel, FromScipy) else None  # the others have no derivative by a parameter
    rest = iter(names)
    required = [p for p in op.parameters if p.default is None]
    call = f"{op.name}({', '.join([ARGUMENTS.get(p.kind) or next(rest) for p in required])})"
    for values in itertools.product(FEW[count], repeat=count):
        leaves = "".join(f"variable {name} = {value}\n" for name, value in zip(names, values, strict=True))
        program = gradcli.loads(f"{leaves}y = cast({call}, float64)\n")
        y = query.target(program, "y")
        roots = [y]
        for order in (1, 2):
            roots += [
                g
                for g in query.gradient_nodes(program, query.question(program, ["y"], wrt, None, ()), order)
                if isinstance(g, Node)
            ]
        nodes = [node for node in cone(roots) if node.dtype.startswith("float")]
        assert not any(node.risky for node in nodes if node.op.name == "leaf")
        found = program.evaluate(nodes)
        for node, value in zip(nodes, found, strict=True):
            assert np.isfinite(value).all() or node.risky, (node.op.name, values)


@pytest.mark.parametrize(
    ("dtype", "value", "risky"),
    [
        ("float64", "1e70", False), ("float64", "1e100", True), ("float64", "nan", True), ("float64", "-inf", True),
        ("float32", "1e9", False), ("float32", "1e10", True), ("float32", "1e200", True), ("float32", "-1e39", True),
    ],
)  # fmt: skip
def test_numbers_near_where_floats_end_are_risky(dtype, value, risky):
    """As a literal, in an array, as a variable's value, given for one, and in an array that is given."""
    program = gradcli.loads(
        f"dtype {dtype}\nvariable x = 1.0\nvariable v = {value}\nvariable w = [1.0, {value}]\ny = x*{value}"
    )
    for name in ("v", "w", "y"):
        assert query.target(program, name).risky == risky, name
    number = float(value)
    for given in (np.array(number), np.array([number])):
        assert (
            query.target(gradcli.loads(f"dtype {dtype}\nvariable x\ny = x", settings={"x": given}), "x").risky == risky
        )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_products_that_overflow_where_nothing_is_selected(dtype):
    """They contribute nothing, however they are given: with the program, with a compiled call, with a row."""
    large = "1e200" if dtype == "float64" else "1e30"
    text = f"dtype {dtype}\nvariable x = {large}\ny = where(x < 0, square(square(x)), 2*x)\ng = gradients(y, x)\n"
    assert gradcli.loads(text).grad(["y"])["x"] == 2
    program = gradcli.loads(text.replace(large, "1.0", 1))
    assert program.compile(["g"], ["x"])(x=float(large))["g"] == 2
    assert program.grad(["y"], values={"x": float(large)})["x"] == 2
    assert math.isinf(gradcli.loads(text.replace("<", ">")).grad(["y"])["x"])
