"""Irreducible factors of polynomials, beside products of ones that are known to be irreducible."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradcli
from gradcli.graph.node import Node
from gradcli.rewrite.factors import Polynomial, divided, factors
from tests.features.test_derived import assert_equal
from tests.random_programs import programs


def product(polynomials: list[Polynomial]) -> Polynomial:
    result: Polynomial = {(0, 0): 1}
    for f in polynomials:
        found: Polynomial = {}
        for m, c in result.items():
            for n, d in f.items():
                at = (m[0] + n[0], m[1] + n[1])
                found[at] = found.get(at, 0) + c * d
        result = {m: c for m, c in found.items() if c}
    return result


def of_x(*coefficients: int) -> Polynomial:
    """A polynomial of x, from the constant on."""
    return {(k, 0): c for k, c in enumerate(coefficients) if c}


IRREDUCIBLE = [
    of_x(0, 1), of_x(1, 1), of_x(-1, 2), of_x(1, 0, 1), of_x(-2, 0, 1), of_x(1, 1, 1, 1, 1), of_x(1, 0, -10, 0, 1), of_x(2, 0, 0, 3),
    {(1, 0): 1, (0, 1): 1}, {(1, 0): 1, (0, 1): -2}, {(2, 0): 1, (0, 2): 1, (0, 0): -1}, {(1, 1): 3, (0, 0): 1}, {(0, 1): 1},
]  # fmt: skip


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(range(len(IRREDUCIBLE))), min_size=1, max_size=5), st.sampled_from([1, -6, 4]))
def test_factors_of_products(chosen: list[int], c: int) -> None:
    f = product([*[IRREDUCIBLE[i] for i in chosen], {(0, 0): c}])
    found = factors(f)
    expected = {i: chosen.count(i) for i in chosen}
    assert sorted((sorted(g.items()), k) for g, k in found) == sorted(
        (sorted(IRREDUCIBLE[i].items()), k) for i, k in expected.items()
    )
    left = divided(f, product([g for g, k in found for _ in range(k)]))
    assert left == {(0, 0): c}


@pytest.mark.parametrize(
    ("y", "factored", "expanded"),
    [
        ("x^4 - 5*x^2 + 4", "(x - 2) * (x - 1) * (x + 1) * (x + 2)", "x^4 - 5 * x^2 + 4"),
        ("(x + 1)^3 - 1", "x * (x^2 + 3 * x + 3)", "x^3 + 3 * x^2 + 3 * x"),
        ("1/x + 1/(x + 1)", "(2 * x + 1) / (x * (x + 1))", "1 / (x + 1) + 1 / x"),
        ("(x^2 - 1)/(x - 1)", "x + 1", "x^2 / (x - 1) - 1 / (x - 1)"),
        ("x^3 - 3*x^2*t + 3*x*t^2 - t^3", "(x - t)^3", "x^3 - 3 * x^2 * t + 3 * x * t^2 - t^3"),
        ("sin(x)^2 - t^2", "(sin(x) - t) * (t + sin(x))", "sin(x)^2 - t^2"),
        ("exp(x)*(x + t)*t", "t * (x + t) * exp(x)", "x * t * exp(x) + t^2 * exp(x)"),
        ("x^n*(x^n - 1)", "x^n * (x^n - 1)", "x^(2 * n) - x^n"),
    ],
)  # fmt: skip
def test_forms_that_are_asked_for(y: str, factored: str, expanded: str) -> None:
    program = gradcli.loads(f"constant n = 2.0\nvariable x = 2.5\nvariable t = 0.5\ny = {y}")
    for form, wanted in (("factor", factored), ("expand", expanded)):
        text = program.derive(order=0, **{form: True})  # type: ignore[arg-type]
        assert f"y = {wanted}\n" in text
        again = gradcli.loads(text)
        assert abs(again.eval()["y"] - program.eval(["y"])["y"]) < 1e-12
        derived = gradcli.loads(program.derive(**{form: True})).eval()  # type: ignore[arg-type]
        for name, g in program.grad().items():
            assert g is None or abs(derived[f"dy_d{name}"] - g) < 1e-10


@pytest.mark.parametrize(
    ("declared", "y"),
    [("x = nan", "(x^2 - 1)^3"), ("x = -1.0", "log(x)*(x + 1)"), ("x = [1.0, -2.0]", "x*(x + 1)^2"), ("x: float32 = 2.0", "x*(x + 1)")],
)  # fmt: skip
def test_forms_keep_values_none_shape_and_dtype(declared: str, y: str) -> None:
    program = gradcli.loads(f"variable {declared}\nvariable z = 1.0\ny = {y}")
    for form in ("factor", "expand"):
        printed = gradcli.loads(program.derive(**{form: True}))  # type: ignore[arg-type]
        found = printed.eval(["dy_dx"])["dy_dx"]
        expected = program.grad()["x"]
        assert expected is not None
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert printed.names and "dy_dz = gradients(0.0, z)" in program.derive(**{form: True})  # type: ignore[arg-type]
        assert abs(found - expected).max() < 1e-10 if (expected == expected).all() else (found != found).all()


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True)
@given(programs(smooth=False))
def test_forms_of_random_programs(text: str) -> None:
    """Values, None, NaN, dtypes and shapes are those of the gradients; what is printed is a program."""
    program = gradcli.loads(text)
    for order in (1, 2):
        expected = program.grad(order=order)
        for form in ("factor", "expand"):
            printed = program.derive(order=order, **{form: True})  # type: ignore[arg-type]
            again = gradcli.loads(printed)
            for name, node in again.graph.names.items():
                if f"_d{name}" not in program.graph.names and name.startswith("d") and "_d" in name:
                    x = name.rpartition("_d")[2].removesuffix("2" if order == 2 else "")
                    found = again.eval([name])[name] if isinstance(node, Node) else None
                    assert_equal(found, expected[x], f"{name} of\n{printed}")


def test_polynomials_in_code_take_few_operations() -> None:
    program = gradcli.loads("variable x = 2.0\ny = x^5 - 3*x^3 + x^2 - 7")
    assert "((5 * x ** 2 - 9) * x + 2) * x" in program.derive(format="python")
