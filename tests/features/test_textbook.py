"""Derivatives as a person writes them: the forms that the issue of textbook formulas names, and a corpus beside SymPy's.

``textbook.json`` holds the lengths of what SymPy 1.14's ``simplify`` makes of the same derivatives; ``textbook.py`` says
how it was made. ``python -m tests.features.test_textbook`` prints the table of lengths.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import gradcli
from gradcli.features.derive import formulas
from gradcli.features.derive.answer import derive
from tests.features.textbook import CONSTANTS, FUNCTIONS, ORDERS, POINTS, names_in, variable_of, visible

SYMPY = json.loads((Path(__file__).parent / "textbook.json").read_text())
CORPUS = [y for some in FUNCTIONS.values() for y in some]


def lines_of(text: str, order: int = 1) -> list[str]:
    """The right sides of the lines that compute something."""
    found = formulas.definitions(derive(gradcli.loads(text.replace("; ", "\n")), order=order))
    return [line.partition(" = ")[2] for line in found if not line.startswith("output ")]


@pytest.mark.parametrize(
    ("y", "order", "wanted"),
    [
        ("1/x", 1, "-1 / x^2"), ("1/x", 2, "2 / x^3"), ("4*(1/x^12 - 1/x^6)", 1, "24 / x^7 - 48 / x^13"),
        ("exp(-x^2/2)/sqrt(2*pi)", 1, "-x * exp(-x^2 / 2) / sqrt(2*pi)"),
        ("exp(-x^2/2)/sqrt(2*pi)", 4, "(x^4 - 6 * x^2 + 3) * exp(-x^2 / 2) / sqrt(2*pi)"),
        ("sin(x)^2 + cos(x)^2", 1, "0.0"), ("exp(x)*exp(-x)", 1, "0.0"), ("cosh(x)^2 - sinh(x)^2", 1, "0.0"),
        ("x*log(x)", 1, "log(x) + 1"), ("log(x)", 3, "2 / x^3"), ("log(x)/x", 1, "(1 - log(x)) / x^2"),
        ("2^x", 1, "2^x * log(2)"), ("1/(1+exp(-x))", 1, "exp(-x) / (1 + exp(-x))^2"),
        ("(x-1)*(x-2)*(x-3)", 2, "6 * x - 12"), ("(x+1)^3 - x^3", 3, "0.0"),
        ("sin(-x) + cos(-x)", 1, "-sin(x) - cos(x)"), ("atan(-2*x)", 1, "-2 / (4 * x^2 + 1)"), ("sqrt(x)*sqrt(x)", 1, "x^0"),
        ("x^p", 1, "p * x^(p - 1)"), ("x/abs(x)^2", 1, "-1 / x^2"), ("tan(x)", 1, "1 + tan(x)^2"),
        ("erf(x)", 1, "2 * exp(-x^2) / sqrt(pi)"), ("log(log(x))", 1, "1 / (x * log(x))"), ("sin(pi*x/2)", 1, "pi * cos(pi * x / 2) / 2"),
        ("exp2(x)", 1, "exp2(x) * log(2)"), ("asinh(x)", 1, "1 / sqrt(x^2 + 1)"), ("x^2/x^2.5", 1, "-1 / (2 * x^1.5)"),
    ],
)  # fmt: skip
def test_forms_of_textbooks(y: str, order: int, wanted: str) -> None:
    assert lines_of(f"constant p = 2.5; variable x = 1.5; y = {y}", order) == [wanted]


@pytest.mark.parametrize("start", ["[[2.0, 1.0], [1.0, 3.0]]", "20.0*eye(20) + random_normal([20, 20], seed=1)"])
@pytest.mark.parametrize(
    ("y", "wanted"),
    [
        ("trace(A @ A)", ["2 * A.T"]), ("trace(A.T @ A)", ["2 * A"]),
        ("trace(inv(A))", ["inv(A).T", "-t1 @ t1"]), ("logdet(A)", ["inv(A).T"]),
    ],
)  # fmt: skip
def test_forms_of_matrices(y: str, wanted: str, start: str) -> None:
    """Without zeros off the diagonal of a trace, and without guards for what infinity they would meet."""
    text = f"variable A = {start}; y = {y}"
    assert lines_of(text) == wanted
    program = gradcli.loads(text.replace("; ", "\n"))
    printed = gradcli.loads(program.derive())
    np.testing.assert_allclose(printed.eval(["dy_dA"])["dy_dA"], program.grad()["A"], rtol=1e-10, atol=1e-12)


def test_a_trace_beside_infinity_keeps_its_guards() -> None:
    """The formula gives what the gradient is, where a matrix that is multiplied is infinite."""
    program = gradcli.loads("variable A = eye(2)\nconstant B = [[inf, 1.0], [2.0, 3.0]]\ny = trace(A @ B)\n")
    printed = gradcli.loads(program.derive())
    np.testing.assert_array_equal(printed.eval(["dy_dA"])["dy_dA"], program.grad()["A"])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("variable x = -1.0; y = log(x)", "rsqrt(x)^2"), ("variable x = [-1.0, 2.0]; y = log(x)", "rsqrt(x)^2"),
        ("variable x = 0.0; y = x^p", "where(p != 0 or abs(x) > 8.636168555094445e-78, p * x^(p - 1), 0)"),
        ("variable x = nan; y = sin(x)^2 + cos(x)^2", "2 * sin(x) * cos(x); t1 - t1"),
        ("variable x = 1e8; y = (x - 1)^3 - x^3 + 3*x^2", "6 * x - 3 * x^2 + 3 * (x - 1)^2"),
    ],
)  # fmt: skip
def test_where_numbers_are_not_ordinary_formulas_stay_as_they_are(text: str, wanted: str) -> None:
    """There the short form would have another value, or lose digits."""
    program = gradcli.loads(f"constant p = 0.0\n{text}".replace("; ", "\n"))
    assert "; ".join(lines_of(f"constant p = 0.0; {text}")) == wanted
    (value,) = gradcli.loads(formulas.render(derive(program))).eval().values()
    np.testing.assert_allclose(value, program.grad()["x"])


@cache
def found(y: str) -> list[tuple[gradcli.Program, str]]:
    """The program of a function, and its derivatives as programs."""
    x = variable_of(y)
    given = [f"constant {p} = {CONSTANTS.get(p, 1.0 + 0.1 * i)}" for i, p in enumerate(names_in(y)) if p != x]
    program = gradcli.loads("\n".join([*given, f"variable {x} = {POINTS[0]}", f"y = {y}"]))
    return [(program, formulas.render(derive(program, order=order))) for order in ORDERS]


@pytest.mark.slow
@pytest.mark.parametrize("y", CORPUS)
def test_values_are_those_of_grad_and_the_formula_derives_on(y: str) -> None:
    x = variable_of(y)
    for order, (program, text) in zip(ORDERS, found(y), strict=True):
        printed = gradcli.loads(text)
        for point in POINTS:
            given = {x: point}
            theirs = program.grad(order=order, values=given)[x]
            (ours,) = printed.eval(values=given if x in printed.names else {}).values()
            assert theirs is not None
            np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9, err_msg=text)
        if order == 1 and " None" not in (again := formulas.render(derive(printed))):
            (ours,) = gradcli.loads(again).eval().values()
            np.testing.assert_allclose(ours, program.grad(order=2)[x], rtol=1e-7, atol=1e-9, err_msg=again)


@pytest.mark.parametrize(
    ("y", "wanted"),
    [
        ("(x^2 + 3*x + 2)/(x^2 - 1)", "-3 * (x + 1)^2 / (x^2 - 1)^2"), ("-(x + 1)^2*x/3 - (x + 1)^2/3", "-(x + 1)^2"),
        ("(1 - x)^3*(x - 2)^2/(3 - x)", ""), ("cos(x)^4 - sin(x)^4", "-2 * sin(2 * x)"), ("exp(x)/(x + 1)", "x * exp(x) / (x + 1)^2"),
        ("1/(1 - exp(-x))", ""), ("sin(x)/(1 + cos(x))", "1 / (1 + cos(x))"), ("(x - 3)^3/(2 - x)^2", ""),
    ],
)  # fmt: skip
def test_short_forms_have_their_signs_where_no_value_is_known(y: str, wanted: str) -> None:
    """There nothing compares them with the derivative."""
    program = gradcli.loads(f"variable x\ny = {y}")
    for order in ORDERS:
        text = formulas.render(derive(program, order=order))
        if order == 1 and wanted:
            assert text.splitlines()[1:-1] == [f"dy_dx = {wanted}"]
        for point in (-2.3, 0.3, 0.7, 5.1):
            (found,) = gradcli.loads(text).eval(values={"x": point}).values()
            np.testing.assert_allclose(
                found, program.grad(order=order, values={"x": point})["x"], rtol=1e-6, err_msg=text
            )


def length(text: str) -> int:
    """The visible characters of what the lines of a program compute; a number has no more than its digits."""
    lines = formulas_in(text)
    return sum([visible(line.removesuffix(".0")) for line in lines])


def formulas_in(text: str) -> list[str]:
    lines = [line.partition(" = ")[2] for line in text.splitlines()]
    return [
        line
        for line, whole in zip(lines, text.splitlines(), strict=True)
        if not whole.startswith(("variable ", "constant ", "output "))
    ]


def test_formulas_are_no_longer_than_those_of_sympy() -> None:
    assert list(SYMPY) == CORPUS
    assert len(CORPUS) >= 60
    ratios = {
        (y, order): length(text) / SYMPY[y][order - 1][0]
        for y in CORPUS
        for order, (_, text) in zip(ORDERS, found(y), strict=True)
    }
    assert {case: ratio for case, ratio in ratios.items() if ratio >= 2} == {}
    longer = [case for case, ratio in ratios.items() if ratio > 1]
    assert len(longer) <= len(ratios) / 10, longer


def test_no_word_that_only_derivatives_use_is_printed() -> None:
    words = ("recip", "zero(", "link", "expand_delta", "products", "contraction", "unindex", "_slope")
    for y in CORPUS:
        for _, text in found(y):
            assert not any(word in text for word in words), text


def table_of_lengths() -> str:
    """A line for each function and order: the visible characters of gradcli's derivative and of SymPy's, and the function."""
    rows = [
        (length(text), SYMPY[y][order - 1][0], order, y)
        for y in CORPUS
        for order, (_, text) in zip(ORDERS, found(y), strict=True)
    ]
    lines = [f"{ours:7} {theirs:5} {ours / theirs:5.2f} {order:5}  {y}" for ours, theirs, order, y in rows]
    shorter = sum([ours <= theirs for ours, theirs, _, _ in rows])
    worst = max([ours / theirs for ours, theirs, _, _ in rows])
    total = f"no longer in {shorter} of {len(rows)} ({shorter / len(rows):.1%}), at most {worst:.2f} times as long"
    return "\n".join(["gradcli SymPy ratio order  function", *lines, total])


if __name__ == "__main__":
    print(table_of_lengths())
