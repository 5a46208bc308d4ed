"""Derivatives as formulas: the printed program evaluates to what `grad` gives, and parses back to the same graph."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import gradcli
from gradcli.graph.node import Node, cone
from gradcli.program.derived import Derived, derive
from gradcli.report import formulas
from tests.random_programs import programs

TESTS = Path(__file__).parents[1]
SAMPLES = sorted((TESTS.parent / "samples").glob("*.expr"))
CASES = [json.loads(line) for line in (TESTS / "conformance" / "tensorflow.jsonl").read_text().splitlines()]


def assert_equal(ours: Any, theirs: Any, what: str) -> None:
    if theirs is None:
        assert ours is None, what
        return
    assert ours is not None, what
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), what
    finite = theirs[np.isfinite(theirs)]
    scale = np.abs(finite).max(initial=1.0)
    tolerance = 1e-4 if theirs.dtype == "float32" else 1e-9
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * scale, err_msg=what)


def compare(program: gradcli.Program, order: int, values: dict[str, Any] | None = None, **asked: Any) -> str:
    """The formulas of a program, after their values were found to be those of `grad`."""
    found = derive(program, order=order, **asked)
    text = formulas.render(found)
    expected = program.grad(order=order, values=values, **asked)
    names = [g.name for g in found.gradients]
    printed = gradcli.loads(text)
    known = {name: v for name, v in (values or {}).items() if name in printed.names}
    actual = printed.eval(names, values=known)
    assert [g.x for g in found.gradients] == list(expected)
    for g in found.gradients:
        assert_equal(actual[g.name], expected[g.x], f"{g.name} of\n{text}")
    assert_same_graph(found, text)
    return text


def numbered(roots: Sequence[Node]) -> list[int]:
    """A number for each root that depends on the structure below it only."""
    number: dict[Node, int] = {}
    for node in cone(roots):
        attrs = tuple(sorted((k, repr(v)) for k, v in node.attrs.items() if k not in ("values", "kind")))
        number[node] = hash((node.op.name, tuple(number[x] for x in node.inputs), attrs, node.shape, node.dtype))
    return [number[root] for root in roots]


def assert_same_graph(found: Derived, text: str) -> None:
    graph = gradcli.loads(text)._graph
    known = [g for g in found.gradients if g.node is not None]
    parsed = [graph.names[g.name] for g in known]
    assert numbered(parsed) == numbered([g.node for g in known]), text


def question(sample: Path) -> dict[str, Any]:
    """What to ask of a sample, where it does not say so itself."""
    program = gradcli.load(sample)
    asked: dict[str, Any] = {}
    if not program.variables:
        asked["wrt"] = [name for name in ("x", "t", "X", "a") if name in program.names]
    if sample.stem == "straight_through":
        asked["of"] = ["estimated"]
    return asked


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_samples(sample: Path, order: int) -> None:
    compare(gradcli.load(sample), order, **question(sample))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_conformance_programs(case: dict[str, Any]) -> None:
    program = gradcli.loads(case["program"])
    try:
        program.grad()
    except gradcli.GradcliError:
        return
    compare(program, 1)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_random_programs(text: str) -> None:
    program = gradcli.loads(text)
    for order in (1, 2):
        compare(program, order)


def compare_again(program: gradcli.Program, **asked: Any) -> None:
    """The printed formula of each gradient differentiated once more is the gradient of order 2, None included."""
    found = derive(program, **asked)
    text = formulas.render(found)
    expected = program.grad(order=2, **asked)
    for g in found.gradients:
        if g.node is None:
            assert expected[g.x] is None
            continue
        (second,) = gradcli.loads(text).grad(of=[g.name], wrt=[g.x]).values()
        assert_equal(second, expected[g.x], f"again {g.name} of\n{text}")


@settings(max_examples=250, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_random_programs_derived_again(text: str) -> None:
    compare_again(gradcli.loads(text))
