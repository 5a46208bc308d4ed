"""Scalars without NumPy: its answers, operation by operation and program by program."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradcli
from gradcli.execute import plain_numbers
from gradcli.execute.plain_numbers import NAMESPACE, TYPES, Float, Integer
from gradcli.graph.node import Node
from gradcli.graph.ops import table
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.ops.kernels import IntegerOverflowError
from gradcli.program import query
from gradcli.program.answers import gradients as gradients_of
from gradcli.program.answers import values as results_of
from gradcli.report.numbers import json_value, literal, rounded
from gradcli.results import Result
from tests.quickly import light
from tests.random_programs import scalar_programs

PLAIN = {name: op for name, op in table.items() if op.numbers and op.kernel is not None and op.spec[0] != "n"}
PLAIN = {name: op for name, op in PLAIN.items() if any(p.one_tensor or p.kind == "operands" for p in op.parameters)}
LOGIC = {name for name, op in PLAIN.items() if op.accepts == "bool"} | {"where"}
BOTH = {name for name, op in PLAIN.items() if op.numbers == "any" and op.accepts != "bool"}
FLOATS = PLAIN.keys() - LOGIC | {"where"}

SAMPLES = sorted((Path(__file__).parents[2] / "samples").rglob("*.expr"))

FLOAT_VALUES = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.0, -2.0, 2.5, -2.5, 3.0, -3.0, 7.0, 710.0, -710.0, 1000.0, -1000.0, 1e-9,
    5e-324, -5e-324, 1e-310, 1e16, -1e16, 1.7e308, -1.7e308, math.inf, -math.inf, math.nan,
]  # fmt: skip
INTEGER_VALUES = [0, 1, -1, 2, -2, 3, 7, -7, 63, 64, 10**9, 2**53 + 1, 2**63 - 1, -(2**63)]
BOOL_VALUES = [True, False]
VALUES: dict[str, list[Any]] = {"float64": FLOAT_VALUES, "int64": INTEGER_VALUES, "bool": BOOL_VALUES}

ATTRS: dict[str, list[dict[str, Any]]] = {
    "recip": [{}, {"positive": True}],
    "leaky_relu": [{"alpha": 0.2}],
    "cast": [{"dtype": "float64"}],
}
ARITIES = {"products": 4}


def arity(name: str) -> int:
    return ARITIES.get(name) or len([p for p in table[name].spec.split(",") if ":" not in p])


def inputs_of(name: str) -> Iterator[tuple[str, ...]]:
    """The dtypes that an operation is computed for."""
    if name == "where":
        yield from [("bool", "float64", "float64"), ("bool", "int64", "int64")]
        return
    if name in LOGIC:
        yield ("bool",) * arity(name)
    if name == "cast":
        yield ("bool",)
    if name in FLOATS:
        yield ("float64",) * arity(name)
    if name in BOTH:
        yield ("int64",) * arity(name)


CASES = [
    pytest.param(name, dtypes, attrs, id="-".join([name, dtypes[0], *map(str, attrs.values())]))
    for name in sorted(FLOATS | LOGIC)
    for dtypes in inputs_of(name)
    for attrs in ATTRS.get(name, [{}])
]


def plain(value: Any, dtype: str) -> Any:
    return TYPES[dtype](value)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dtypes", "attrs"), CASES)
def test_special_values_are_those_of_numpy(name: str, dtypes: tuple[str, ...], attrs: dict[str, Any]) -> None:
    kernel = table[name].kernel
    assert kernel is not None
    choices = [VALUES[dtype] for dtype in dtypes]
    if name == "products":
        choices = [choice[::4] for choice in choices]
    for values in itertools.product(*choices):
        with np.errstate(all="ignore"):
            arrays = [np.asarray(v, dtype=dtype)[()] for v, dtype in zip(values, dtypes, strict=True)]
            try:
                expected = kernel(np, *arrays, **attrs)
            except (gradcli.GradcliError, IntegerOverflowError):
                expected = None
        literals = [Node(table["literal"], (), {"value": v}, (), d, True) for v, d in zip(values, dtypes, strict=True)]
        leaves = [make_leaf("x", "constant", (), dtype, True) for dtype in dtypes]
        # The result's dtype is NumPy's; a bool is seen through a selection, for no result is one.
        dtype = "int64" if expected is None else str(np.asarray(expected).dtype)
        node = Node(table[name], tuple(leaves), attrs, (), dtype, True)
        if dtype == "bool":
            one, none = (Node(table["literal"], (), {"value": v}, (), "float64", True) for v in (1.0, 0.0))
            node = Node(table["where"], (node, one, none), {}, (), "float64", True)
            expected = np.where(expected, 1.0, 0.0)
        found = plain_numbers.evaluate([node], dict(zip(leaves, literals, strict=True)))
        if found is None:  # the ordinary way says what is wrong, or gives what NumPy does
            assert expected is None or (name in ("floor_divide", "mod") and 0 in values[1:])
            continue
        (value,) = found
        assert isinstance(value, (Float, Integer))
        assert (str(value.dtype), value.shape) == (str(np.asarray(expected).dtype), ())
        np.testing.assert_allclose(float(value), float(expected), rtol=1e-15, atol=1e-322, err_msg=f"{name}{values}")
        assert math.copysign(1, value) == math.copysign(1, expected) or expected != 0, (name, values)
        if dtype == "int64":
            assert int(value) == int(expected), (name, values)


def test_every_operation_is_made_of_functions_that_exist() -> None:
    assert len(PLAIN) > 80
    for op in PLAIN.values():
        name = getattr(op.kernel, "name", None)
        assert name is None or hasattr(NAMESPACE, name), op.name


# programs


def answers(text: str, order: int, monkeypatch: pytest.MonkeyPatch, plainly: bool) -> tuple[list[Result] | str, int]:
    """The results of a program (order 0) or its gradients, and how many are plain numbers."""
    monkeypatch.setenv("GRADCLI_WITHOUT", "" if plainly else "plain")
    try:
        program = gradcli.loads(text)
        if order:
            results = gradients_of(program, order=order, plain=True).orders[0][1]
        else:
            results = results_of(program, plain=True)
    except gradcli.GradcliError as error:
        return f"{error.kind}: {error}", 0
    return results, sum(isinstance(r.value, (Float, Integer)) for r in results)


def compared(text: str, order: int, monkeypatch: pytest.MonkeyPatch, tolerance: float = 1e-13) -> int:
    ours, count = answers(text, order, monkeypatch, True)
    others, none = answers(text, order, monkeypatch, False)
    assert none == 0
    if isinstance(ours, str) or isinstance(others, str):
        assert ours == others
        return count
    for mine, other in zip(ours, others, strict=True):
        assert (mine.name, mine.reason, mine.finite) == (other.name, other.reason, other.finite)
        if other.value is None:
            assert mine.value is None
            continue
        assert (mine.value.shape, str(mine.value.dtype)) == (other.value.shape, str(other.value.dtype))
        # Sums of terms that cancel are as exact as their terms.
        np.testing.assert_allclose(np.asarray(mine.value), other.value, rtol=tolerance, atol=tolerance)
    return count


@pytest.mark.slow
@settings(max_examples=300, deadline=None, derandomize=True)
@given(scalar_programs(), st.integers(0, 3))
def test_random_programs(text: str, order: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        program = gradcli.loads(text)
        asked = query.question(program, None, None, None, ())
        wanted = len(results_of(program)) if not order else len(asked.xs)
        nones = 0
        if order:
            nones = sum(not r.connected for r in gradients_of(program, order=order).orders[0][1])
        assert compared(text, order, monkeypatch, 1e-12) == wanted - nones


SPECIAL = [
    "variable x = 0.0; y = log(x)*x", "variable x = -1.0; y = log(x) + sqrt(x)", "variable x = 0.0; y = 1/x",
    "variable x = 0.0; y = sqrt(x)", "variable x = 0.0; y = x^0.5", "variable x = -0.0; y = 1/x",
    "variable x = 1000.0; y = exp(x)*exp(-x)", "variable x = -2.0; y = x^3 + x^-2", "variable x = nan; y = relu(x)",
    "variable x = 0.0; y = where(x > 0, log(x), x)", "variable x = 1.0; variable k = 2.0; y = floor(k)*x",
    "variable x = 0; y = xlogy(x, x) + divide_no_nan(x, x)", "variable x = 0.0; y = hypot(x, x)",
    "variable x = 2.5; y = mod(x, 0.7)", "variable x = 0.3; y = gelu(x)*silu(x)", "variable x = 0.2; y = clip(x, 0, 0.2)",
]  # fmt: skip


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("text", SPECIAL)
def test_special_programs(text: str, order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compared(text, order, monkeypatch)
    assert answers(text, 0, monkeypatch, True)[1] > 0


@pytest.mark.slow
@pytest.mark.parametrize("path", light(SAMPLES, {"double_pendulum", "orbit"}), ids=lambda path: path.stem)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_samples_that_need_no_file(path: Path, order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compared(path.read_text(encoding="utf-8"), order, monkeypatch)


def test_orders_up_to_20(monkeypatch: pytest.MonkeyPatch) -> None:
    for order in (5, 10, 20):
        text = "variable x = 0.3; y = tanh(2*x + sin(x*x)) + erf(x)/x + x^2.5"
        assert compared(text, order, monkeypatch, 1e-9) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("variable x = 3; y = x^2 + 1", 10),
        ("variable n = 9223372036854775806; y = n + 1", 2**63 - 1),
        ("variable n = -2; y = n^63 + n^2", -(2**63) + 4),
        ("constant a = 1/4; constant b = a + 1; variable x = b*2; y = x", 2.5),
        ("variable x: float64 = 3; y = x/2", 1.5),
    ],
)
def test_integers_and_initial_values(text: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    results, count = answers(text, 0, monkeypatch, True)
    assert count == len(results)
    assert results[-1].value == value
    compared(text, 0, monkeypatch)


@pytest.mark.parametrize(
    "text",
    [
        "dtype float32; variable x = 0.1; y = sin(x)",
        "variable x = [1.0, 2.0]; y = sum(x)",
        "variable x = 0.1; y = x > 0",
        "variable n = 7; y = mod(n, 0)",
        "variable n = 7; y = floor_divide(n, 0)",
        "variable n = 9223372036854775807; y = n + 1",
        "variable n = -2; y = n^63 - n^2",
        "variable n = 7; y = n^(n - 9)",
        "variable x = 0.5; y = cast(x, int32)",
        "variable x; y = x",
    ],
)
def test_the_rest_is_numpys(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compared(text, 0, monkeypatch) == 0


def test_the_interface_gives_arrays() -> None:
    program = gradcli.loads("variable x = 2.0; y = x^2")
    assert isinstance(program.eval()["y"], np.ndarray)
    assert isinstance(program.grad()["x"], np.ndarray)


@pytest.mark.parametrize("value", [*FLOAT_VALUES, 0.1, 1 / 3, 123456.789, 1e22, 1.7976931348623157e308])
def test_numbers_print_as_arrays_do(value: float) -> None:
    number, array = Float(value), np.asarray(value)
    assert literal(number) == literal(array)
    assert json_value(number) == json_value(array)
    for digits in (1, 3, 17):
        assert literal(rounded(number, digits)) == literal(rounded(array, digits))


@pytest.mark.parametrize("value", INTEGER_VALUES)
def test_integers_print_as_arrays_do(value: int) -> None:
    assert literal(Integer(value)) == literal(np.asarray(value)) == str(value)
    assert rounded(Integer(value), 2) == value
