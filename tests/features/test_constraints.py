"""Constrained fits against closed forms and SciPy's own run; what multipliers say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize

import gradcli

PORTFOLIO = """
variable w = [0.3, 0.3, 0.4]
constant m = [0.1, 0.2, 0.15]; constant S = [[0.04, 0.01, 0.0], [0.01, 0.09, 0.02], [0.0, 0.02, 0.06]]
risk = w @ S @ w; gain = m @ w
"""


METHODS = pytest.mark.parametrize("method", ["slsqp", "trust-constr"])


@METHODS
def test_the_largest_rectangle(method):
    program = gradcli.loads("variable a = 1.0; variable b = 2.0; area = a*b")
    found = program.fit(maximize="area", subject=["2*(a + b) <= 20"], method=None if method == "slsqp" else method)
    assert (float(found.values["a"]), float(found.values["b"])) == pytest.approx((5, 5), rel=1e-7)
    assert (found.loss, found.method, found.problem, found.converged) == (pytest.approx(25), method, None, True)
    (multiplier,) = found.multipliers
    assert multiplier.text == "2*(a + b) <= 20"
    assert float(multiplier.multiplier) == pytest.approx(20 / 8, rel=1e-6)  # of (20/4)^2 by 20
    assert float(multiplier.difference) == pytest.approx(0, abs=1e-9)


def test_a_portfolio_and_what_its_constraints_cost():
    def fitted(gain):
        return gradcli.loads(PORTFOLIO).fit("risk", subject=["sum(w) = 1", "w >= 0", f"gain >= {gain}"])

    found = fitted(0.16)
    data = gradcli.loads(PORTFOLIO).eval(["m", "S"])
    there = optimize.minimize(
        lambda w: w @ data["S"] @ w, [0.3, 0.3, 0.4], method="trust-constr", tol=1e-12,
        bounds=[(0, None)] * 3,
        constraints=[optimize.LinearConstraint(np.ones(3), 1, 1), optimize.LinearConstraint(data["m"], 0.16, np.inf)],
    )  # fmt: skip
    np.testing.assert_allclose(found.values["w"], there.x, atol=1e-5)
    budget, short, gain = found.multipliers
    assert (short.multiplier == 0).all()
    change = (fitted(0.1601).loss - fitted(0.1599).loss) / 2e-4
    assert float(gain.multiplier) == pytest.approx(change, rel=1e-4)
    assert float(budget.multiplier) != 0


@METHODS
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_unit_of_the_loss_does_not_matter(scale, method):
    text = f"variable x = [3.0, 1.0]; y = {scale}*sum((x - [1.0, 2.5])^2)"
    subject = ["x[0] - 2*x[1] + 2 >= 0", "-x[0] - 2*x[1] + 6 >= 0", "x >= 0"]
    found = gradcli.loads(text).fit("y", subject=subject, method=method)
    assert found.converged
    np.testing.assert_allclose(found.values["x"], [1.4, 1.7], rtol=1e-6)  # Nocedal, Wright, example 16.4


@METHODS
def test_bounds_and_nonlinear_equations(method):
    found = gradcli.loads("variable x = [1.0, 0.5]; y = x[0] + 2*x[1]").fit(
        "y", subject=["x[0]^2 + x[1]^2 = 1"], bounds={"x[0]": (0.8, None)}, method=method
    )
    assert found.converged
    np.testing.assert_allclose(found.values["x"], [0.8, -0.6], atol=1e-6)


def test_products_of_hessians_serve_many_numbers():
    """The nearest point to one outside of a sphere, of 400 numbers; its multiplier is (|a| - 1)/(2·1)·2 by the radius squared."""
    text = "constant a = 0.1 + random_uniform([400], seed=1); variable x = zeros([400]) + 0.01; y = sum((x - a)^2)"
    found = gradcli.loads(text).fit("y", subject="sum(x^2) <= 1", method="trust-constr")
    a = gradcli.loads(text).eval("a")["a"]
    np.testing.assert_allclose(found.values["x"], a / np.linalg.norm(a), rtol=1e-6)
    assert found.converged
    assert float(found.multipliers[0].multiplier) == pytest.approx(1 - np.linalg.norm(a), rel=1e-6)


def test_maximize_alone_is_minimize_of_the_opposite():
    program = gradcli.loads("variable a = 1.0; variable b = 2.0; area = 4 - (a - 3)^2 - b^4; loss = -area")
    for method in ("newton", "lbfgs", "adam"):
        up, down = program.fit(maximize="area", method=method, lr=None), program.fit("loss", method=method)
        assert up.loss == -down.loss
        np.testing.assert_array_equal(up.values["a"], down.values["a"])
    loglik = gradcli.loads("constant t = [1.0, 2.0, 4.0]; variable r = 1.0; l = sum(log(r) - r*t); rate = 1/r")
    found = loglik.fit(maximize="l", loglik=True, of="rate")
    assert found.errors.estimates[0].error == pytest.approx(3 / 7 / np.sqrt(3))


def test_the_command(gradcli):
    Path("p.expr").write_text(PORTFOLIO)
    line = ["fit", "p.expr", "--minimize", "risk", "--subject", "sum(w) = 1, w >= 0", "--subject", "gain <= 0.5"]
    done = gradcli(*line)
    assert done.status == 0
    assert "method slsqp: there are constraints\n" in done.err
    assert "all constraints are met\nsum(w) = 1: multiplier 0.0" in done.err
    assert "gain <= 0.5: not active, 0.3" in done.err
    assert gradcli(*line, "--format", "expr").out.startswith("\nvariable w = [0.")
    assert "subject" not in gradcli(*line, "--format", "expr").out
    assert list(json.loads(gradcli(*line, "--format", "json").out)["values"]) == ["w"]
    shown = gradcli("fit", "-e", "variable a = 1.0; y = 3 - a^2", "--maximize", "y").err
    assert "y = 3 after" in shown
    done = gradcli("fit", "-e", "variable x = [3.0, 1.0]; y = sum((x - 1)^2)", "--subject", "x[0] >= 2")
    assert (done.status, "subject_" in done.err) == (0, False)


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--subject", "w + 1"], 1, "`w + 1` is not of the form a = b"),
        (["--subject", "0 <= w <= 1"], 1, "is not of the form a = b"),
        (["--subject", "v >= 0"], 1, "`v`"),
        (["--subject", "w = 2, w = 3"], 1, "no point was found that meets `w = 2`"),
        (["--subject", "w >= 0", "--method", "newton"], 2, "newton knows no constraints"),
        (["--method", "slsqp"], 2, "slsqp is for constraints: give --subject"),
        (["--subject", "w >= 0", "--errors"], 2, "--errors are those of a fit without constraints"),
        (["--maximize", "y", "--minimize", "y"], 2, "exclude each other"),
    ],
)
def test_bad_constraints(gradcli, options, status, words):
    done = gradcli("fit", "-e", "variable w = 1.0; y = w^2", *options)
    assert done.status == status
    assert words in done.err


def test_values_and_constraints_of_other_sizes():
    large = gradcli.loads("variable w = [5e8, 2e8]; y = sum((w/1e9 - 3)^2)").fit("y", subject=["sum(w) = 1e9"])
    np.testing.assert_allclose(large.values["w"], 5e8, rtol=1e-8)
    assert "no minimum" not in large.reason
    small = gradcli.loads("variable w = [0.9, 0.9]; y = sum((w - 3)^2)").fit("y", subject=["1e-9*sum(w) = 1e-9"])
    np.testing.assert_allclose(small.values["w"], 0.5, rtol=1e-8)
    assert float(small.multipliers[0].multiplier) == pytest.approx(-5e9)


@pytest.mark.parametrize(
    ("text", "subject", "doubt"),
    [
        ("variable a = 0.0; variable b = 0.0; y = -a*b", "a + b <= 20", "but `y` is curved downwards along `a`, `b`"),
        ("variable x = 1.0; y = -x", "x >= 0", "is still 1.0e+00 of that at the start"),
        ("variable x = [0.0, 1.0]; y = -x[0]^2 - x[1]", "x[0]^2 + x[1]^2 <= 1", "is curved downwards along `x[0]`"),
    ],
)
def test_the_end_of_a_constrained_search_that_may_be_no_minimum_is_said_to(text, subject, doubt):
    found = gradcli.loads(text).fit("y", subject=[subject])
    assert doubt in found.reason
    assert "so this may be no minimum" in found.reason


def test_multipliers_have_the_signs_of_a_minimum():
    """Where more constraints are active than there are variables."""
    text = "variable x = [1.0, 1.0]; y = -3*x[0] - 2*x[1]"
    found = gradcli.loads(text).fit("y", subject=["x[0] + x[1] <= 4", "x[0] + 3*x[1] <= 6", "x[0] <= 3"])
    assert all(m.multiplier <= 0 for m in found.multipliers)
    assert found.reason.endswith("of that at the start; all constraints are met")
