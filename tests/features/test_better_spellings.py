"""Each better spelling is right where the formula that it replaces is not, and equal to it elsewhere: against mpmath."""

from __future__ import annotations

import re

import mpmath as mp
import numpy as np
import pytest

import gradcli
from gradcli.features.lint.answer import lint
from gradcli.language.formulas import SPELLINGS

DIGITS = 60

# A formula of x, the same for mpmath, its slope, places where the formula is bad, and places where it is good.
CASES = [
    ("log(1 - exp(-x))", lambda x: mp.log(-mp.expm1(-x)), lambda x: 1 / mp.expm1(x), [1e-17, 1e-9, 1e-300], [0.3, 2.0]),
    ("1 - erf(x)", mp.erfc, lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-x * x), [6.0, 12.0, 20.0], [-2.0, 0.0, 1.0]),
    ("0.5 - 0.5*erf(x)", lambda x: mp.erfc(x) / 2, lambda x: -mp.exp(-x * x) / mp.sqrt(mp.pi), [6.0, 20.0], [-1.0, 0.5]),
    ("log(1 + erf(x))", lambda x: mp.log(mp.erfc(-x)) if x < 0 else mp.log1p(mp.erf(x)),
     lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x) / mp.erfc(-x), [-6.0, -30.0, 1e-12, -1e-12], [-0.5, 0.7, 3.0]),
    ("log(1 - erf(x))", lambda x: mp.log(mp.erfc(x)) if x > 0 else mp.log1p(-mp.erf(x)),
     lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-x * x) / mp.erfc(x), [6.0, 30.0, 1e-12, -1e-12], [0.5, -0.7, -3.0]),
    ("log(0.5*(1 + erf(x/sqrt(2))))", lambda x: mp.log(mp.erfc(-x / mp.sqrt(2)) / 2),
     lambda x: mp.exp(-x * x / 2) * mp.sqrt(2 / mp.pi) / mp.erfc(-x / mp.sqrt(2)), [-9.0, -30.0], [-1.0, 0.0, 2.0]),
    ("log(0.5*(1 - erf(x/sqrt(2))))", lambda x: mp.log(mp.erfc(x / mp.sqrt(2)) / 2),
     lambda x: -mp.exp(-x * x / 2) * mp.sqrt(2 / mp.pi) / mp.erfc(x / mp.sqrt(2)), [9.0, 30.0], [1.0, 0.0, -2.0]),
    ("log(0.5*(1 + erf(x)))", lambda x: mp.log(mp.erfc(-x) / 2),
     lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x) / mp.erfc(-x), [-6.5, -30.0], [-1.0, 1.0]),
    ("log(0.5*(1 - erf(x)))", lambda x: mp.log(mp.erfc(x) / 2),
     lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-x * x) / mp.erfc(x), [6.5, 30.0], [-1.0, 1.0]),
    ("log(cosh(x))", lambda x: mp.log(mp.cosh(x)), mp.tanh, [1e-9, 800.0, -800.0], [0.5, -3.0]),
    ("1 - tanh(x)^2", lambda x: mp.sech(x) ** 2, lambda x: -2 * mp.tanh(x) * mp.sech(x) ** 2, [20.0, -25.0], [0.3, -1.0]),
    ("sin(x)/x", lambda x: mp.sinc(x), lambda x: (mp.cos(x) - mp.sinc(x)) / x if x else mp.mpf(0), [0.0, 1e-9], [0.5, -4.0]),
    ("where(x == 0, 1, sin(pi*x)/(pi*x))", lambda x: mp.sinc(mp.pi * x),
     lambda x: (mp.cos(mp.pi * x) - mp.sinc(mp.pi * x)) / x if x else mp.mpf(0), [1e-9], [0.3, -1.4]),
    ("(1 - cos(x))/x^2", lambda x: mp.sinc(x / 2) ** 2 / 2,
     lambda x: mp.sinc(x / 2) * (mp.cos(x / 2) - mp.sinc(x / 2)) / x if x else mp.mpf(0), [0.0, 1e-9], [0.5, -4.0]),
    ("(cos(x) - 1)/x^2", lambda x: -mp.sinc(x / 2) ** 2 / 2,
     lambda x: -mp.sinc(x / 2) * (mp.cos(x / 2) - mp.sinc(x / 2)) / x if x else mp.mpf(0), [0.0, 1e-9], [0.5, -4.0]),
    ("where(x == 0, 0.5, (1 - cos(x))/x^2)", lambda x: mp.sinc(x / 2) ** 2 / 2,
     lambda x: mp.sinc(x / 2) * (mp.cos(x / 2) - mp.sinc(x / 2)) / x if x else mp.mpf(0), [1e-9], [0.5, -4.0]),
    ("log(1 + x)", mp.log1p, lambda x: 1 / (1 + x), [1e-17, -1e-12], [0.5, 3.0]),
    ("log(1 - x)", lambda x: mp.log1p(-x), lambda x: -1 / (1 - x), [1e-17, -1e-12], [0.5, -3.0]),
    ("exp(x) - 1", mp.expm1, mp.exp, [1e-17, -1e-12], [0.5, -3.0]),
    ("1 - exp(x)", lambda x: -mp.expm1(x), lambda x: -mp.exp(x), [1e-17, -1e-12], [0.5, -3.0]),
    ("log(sigmoid(x))", lambda x: -mp.log1p(mp.exp(-x)), lambda x: 1 / (1 + mp.exp(x)), [-800.0], [0.5, -3.0]),
    ("log(1 - sigmoid(x))", lambda x: -mp.log1p(mp.exp(x)), lambda x: -1 / (1 + mp.exp(-x)), [800.0], [0.5, -3.0]),
    ("log(1 + exp(x))", lambda x: mp.log1p(mp.exp(x)), lambda x: 1 / (1 + mp.exp(-x)), [800.0], [0.5, -3.0]),
    ("log(exp(x) + exp(-x))", lambda x: abs(x) + mp.log1p(mp.exp(-2 * abs(x))), mp.tanh, [800.0, -800.0], [0.5, -3.0]),
    ("1/(1 + exp(-x))", lambda x: 1 / (1 + mp.exp(-x)), lambda x: mp.exp(-x) / (1 + mp.exp(-x)) ** 2, [], [0.5, -3.0]),
    ("1/(1 + exp(x))", lambda x: 1 / (1 + mp.exp(x)), lambda x: -mp.exp(x) / (1 + mp.exp(x)) ** 2, [], [0.5, -3.0]),
    ("sqrt(x^2 + square(3*x))", lambda x: mp.sqrt(10) * abs(x), lambda x: mp.sqrt(10) * mp.sign(x), [0.0], [0.5]),
    ("x^0.5", mp.sqrt, lambda x: 1 / (2 * mp.sqrt(x)), [], [0.5, 3.0]),
]  # fmt: skip
GAPS = {
    "x/expm1(x)": lambda x: x / mp.expm1(x), "expm1(x)/x": lambda x: mp.expm1(x) / x, "log1p(x)/x": lambda x: mp.log1p(x) / x,
    "tanh(x)/x": lambda x: mp.tanh(x) / x, "sinh(x)/x": lambda x: mp.sinh(x) / x, "tan(x)/x": lambda x: mp.tan(x) / x,
    "atan(x)/x": lambda x: mp.atan(x) / x, "asin(x)/x": lambda x: mp.asin(x) / x,
}  # fmt: skip
ARRAYS = {"log-softmax", "logsumexp", "norm", "softmax", "logdet", "solve"}
"""Rules of arrays, whose formulas are compared in another test."""


def better(formula: str, head: str = "variable x = 0.5") -> str:
    """What lint says to write."""
    (finding,) = [f for f in lint(gradcli.loads(f"{head}\ny = {formula}\n")) if not f.code.startswith("unused")]
    written = re.search(r"write `(.*)`$", finding.help)
    assert written, finding.help
    return written[1]


def value_and_slope(formula: str, x: float) -> tuple[float, float]:
    program = gradcli.loads(f"variable x = {x!r}\ny = {formula}\n")
    return float(program.eval()["y"]), float(program.grad()["x"])


@pytest.mark.parametrize(("formula", "value", "slope", "bad", "good"), CASES, ids=[case[0] for case in CASES])
def test_a_better_spelling_is_right(formula, value, slope, bad, good):
    spelled = better(formula)
    with mp.workdps(DIGITS):
        for x in (*bad, *good):
            wanted = float(value(mp.mpf(x))), float(slope(mp.mpf(x)))
            found = value_and_slope(spelled, x)
            np.testing.assert_allclose(found[0], wanted[0], rtol=4e-13 * max(1.0, abs(x)), atol=0, err_msg=f"{x}")
            # At 0, hypot has the slope 0, as norm.
            if not (formula.startswith("sqrt") and x == 0):
                np.testing.assert_allclose(
                    found[1], wanted[1], rtol=4e-13 * max(1.0, x * x if x < 1e3 else 1), atol=1e-300
                )
            if x in good:
                np.testing.assert_allclose(value_and_slope(formula, x), found, rtol=1e-10)
        for x in bad:
            wanted = float(value(mp.mpf(x))), float(slope(mp.mpf(x)))
            old = np.array(value_and_slope(formula, x))
            assert not np.allclose(old, wanted, rtol=1e-10, atol=0), f"the formula is right at {x}"


@pytest.mark.parametrize("formula", GAPS)
def test_a_gap_is_filled_by_the_series(formula):
    reference = GAPS[formula]
    filled = f"where(x == 0, 1.0, {formula})"
    spelled = better(filled)
    assert spelled != filled
    with mp.workdps(DIGITS):
        coefficients = mp.taylor(reference, mp.mpf(10) ** -20, 2)
        for x in (0.0, 1e-9, 0.005, -0.019, 0.0199, 0.021, -0.4, 0.9):
            exact = [
                coefficients[n] * mp.factorial(n) if x == 0 else mp.diff(reference, mp.mpf(x), n) for n in range(3)
            ]
            program = gradcli.loads(f"variable x = {x!r}\ny = {spelled}\n")
            found = [program.eval()["y"], program.grad()["x"], program.grad(order=2)["x"]]
            np.testing.assert_allclose(found[0], float(exact[0]), rtol=4e-16)
            np.testing.assert_allclose(found[1], float(exact[1]), rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(found[2], float(exact[2]), rtol=1e-9, atol=1e-9)


def test_every_rule_is_compared():
    codes = {f.code for formula, *_ in CASES for f in lint(gradcli.loads(f"variable x = 0.5\ny = {formula}\n"))}
    assert {rule.code for rule in SPELLINGS} - ARRAYS - {"filled-gap", "sigmoid"} <= codes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "context", ["{}", "2*{} + 1", "-({})", "sum([{}, x])", "exp({})/3", "w*({})^2", "cos({}) - {}"]
)
@pytest.mark.parametrize(
    "formula", ["1 - erf(x)", "log(cosh(x))", "sin(x)/x", "log(0.5*(1 + erf(x/sqrt(2))))", "1 - tanh(x)^2"]
)
def test_rules_find_formulas_within_larger_ones(formula, context, dtype):
    text = context.format(f"({formula})", f"({formula})")
    found = lint(gradcli.loads(f"dtype {dtype}\nvariable x = 0.5\nvariable w = 2.0\ny = {text}\noutput y, w\n"))
    assert len(found) == context.count("{}")
    assert all(f.edit is not None for f in found)


@pytest.mark.parametrize(
    ("formula", "help"),
    [
        ("where(x == 0, 0, x)", "write `x`"), ("where(0.0 == x, 0, w*x)", "write `w*x`"),
        ("where(x != 2, (x^3 - 8)/(x - 2), 12)", "begins with `12 + 6*(x - 2)`"),
        ("where(x == 0, 1, (x + x^2)/x)", "begins with `1 + 1*x`"),
        ("where(x == 0, 2, 1 + x/expm1(x))", "begins with `2 - 0.5*x`"),
        ("where(x == -1, 0, log(x + 2))", "write `log(x + 2)`"),
        ("where(x == 0, 1, x)", None), ("where(x == 0, 0, x*log(x))", None), ("where(x == 0, 0.0, sqrt(x))", None),
        ("where(x == 0, 0, abs(x))", None), ("where(w == 0, 0, x)", None), ("where(x > 0, 0, x)", None),
        ("where(x == 0, x, x^2)", None), ("where(x == 0, 0, 1/x)", None), ("where(stop_gradient(x) == 0, 0, x)", None),
        ("where(x == 0, w, x + w)", None),
    ],
)  # fmt: skip
def test_a_constant_in_place_of_a_smooth_function(formula, help):
    program = gradcli.loads(f"variable x = 0.7\nvariable w = 3.0\ny = {formula}\noutput y, x, w\n")
    found = [f for f in lint(program) if f.code == "constant-branch"]
    assert len(found) == (help is not None)
    if help is not None:
        assert help in found[0].help
        assert found[0].edit is None, "the slope there is another one"


def test_inverses_of_stacks_are_left_alone():
    text = "variable a = [[[2.0, 1.0], [0.5, 3.0]]]\nvariable b = [[[1.0], [2.0]]]\ny = {}\n"
    assert lint(gradcli.loads(text.format("inv(a) @ b"))) == []
    flat = text.replace("[[[", "[[").replace("]]]", "]]")
    assert [f.code for f in lint(gradcli.loads(flat.format("inv(a) @ b")))] == ["solve"]
