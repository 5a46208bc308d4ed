"""Errors of fitted values: certified ones, those of closed forms and of SciPy, and when there are none."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats

import gradcli
from gradcli.features.fit.errors import t_quantile
from tests.features.certified import PROBLEMS


@pytest.mark.parametrize("name", PROBLEMS)
def test_certified_errors(name):
    problem = PROBLEMS[name]
    found = gradcli.loads(problem.program(1)).fit("loss", errors=True).errors
    np.testing.assert_allclose([e.error for e in found.estimates], problem.errors, rtol=1e-6)
    assert found.statistics["chi2"] == pytest.approx(problem.squares, rel=1e-9)
    assert found.statistics["dof"] == len(problem.x) - len(problem.certified)


LINE = """
constant t = linspace(0, 4, 30); constant y = 2 + 3*t + random_normal([30], seed=1); constant s = 1 + t/4
variable p = [0.0, 0.0]
r = (y - p[0] - p[1]*t)/s
"""


@pytest.mark.parametrize("loss", ["sum(r^2)", "mean(r^2)", "r @ r/2", "sum((y - p[0] - p[1]*t)^2/s^2)", None])
def test_a_weighted_line(loss):
    program = gradcli.loads(LINE if loss is None else f"{LINE}loss = {loss}")
    method = "least-squares" if loss is None else None
    found = program.fit("r" if loss is None else "loss", errors=True, of=["r"], method=method).errors
    data = program.eval(["t", "y", "s"])
    t, y, s = data["t"], data["y"], data["s"]
    there, covariance = optimize.curve_fit(lambda t, a, b: a + b * t, t, y, [0, 0], sigma=s)
    np.testing.assert_allclose([e.value for e in found.estimates], there, rtol=1e-6)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-6)
    assert found.names == ["p[0]", "p[1]"]
    design = np.column_stack([np.ones(30), t]) / s[:, None]
    exact = np.linalg.lstsq(design, y / s)[0]
    chi2 = float(np.sum((y / s - design @ exact) ** 2))
    mean = np.average(y, weights=1 / s**2)
    statistics = {
        "n": 30, "fitted": 2, "dof": 28, "chi2": chi2, "reduced_chi2": chi2 / 28,
        "r2": 1 - chi2 / np.sum(((y - mean) / s) ** 2),
        "aic": 30 * np.log(chi2 / 30) + 4, "bic": 30 * np.log(chi2 / 30) + 2 * np.log(30),
    }  # fmt: skip
    assert found.statistics == pytest.approx(statistics)
    width = stats.t.ppf(0.975, 28) * np.sqrt(covariance[1, 1])
    assert (found.estimates[1].low, found.estimates[1].high) == pytest.approx((there[1] - width, there[1] + width))
    rows = np.einsum("ij,jk,ik->i", design, covariance, design)
    np.testing.assert_allclose([e.error for e in found.derived], np.sqrt(rows), rtol=1e-6)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 10, 37, 100, 999, 1000, 5000, 10**6])
def test_students_quantile(freedom):
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-11)


LOGIT = """
constant X = random_normal([200, 2], seed=1); constant u = random_uniform([200], seed=2)
constant passed = cast(u < sigmoid(X @ [1.0, -2.0] + 0.5), float64)
variable w = [0.0, 0.0]; variable b = 0.0
nll = sum(softplus(X @ w + b) - passed*(X @ w + b)); odds = exp(b)
"""


def test_a_likelihood_has_the_inverse_hessian():
    program = gradcli.loads(LOGIT)
    fitted = program.fit("nll", loglik=True, of="odds")
    assert fitted.method == "newton"
    data = program.eval(["X", "passed"])
    design = np.column_stack([data["X"], np.ones(200)])
    beta = np.zeros(3)
    for _ in range(30):  # iteratively reweighted least squares
        mu = 1 / (1 + np.exp(-design @ beta))
        fisher = design.T @ (design * (mu * (1 - mu))[:, None])
        beta += np.linalg.solve(fisher, design.T @ (data["passed"] - mu))
    covariance = np.linalg.inv(fisher)
    np.testing.assert_allclose([e.value for e in fitted.errors.estimates], beta, rtol=1e-7)
    np.testing.assert_allclose(fitted.errors.covariance, covariance, rtol=1e-6)
    assert fitted.errors.names == ["w[0]", "w[1]", "b"]
    assert fitted.errors.statistics["aic"] == pytest.approx(6 + 2 * fitted.loss)
    (odds,) = fitted.errors.derived
    assert odds.error == pytest.approx(np.exp(beta[2]) * np.sqrt(covariance[2, 2]))
    assert float(fitted.values["odds"]) == odds.value == pytest.approx(np.exp(beta[2]))
    assert "negative log-likelihood" in fitted.errors.basis


DECAY = """
constant t = linspace(0, 4, 30); constant y = 2*exp(-0.7*t) + 0.01*random_normal([30], seed=1)
variable a = 1.0; variable k = 0.5; variable c = 0.1; variable z = 3.0
"""


def test_a_value_at_its_bound_has_no_error():
    program = gradcli.loads(f"{DECAY}loss = sum((y - a*exp(-k*t) - c)^2)")
    found = program.fit("loss", ["a", "k", "c"], bounds={"c": (0.05, 1)}, errors=True, of="k").errors
    assert [e.name for e in found.estimates if e.note] == ["c"]
    assert found.estimates[2].note == "at its bound 0.05"
    assert np.isnan(found.estimates[2].error)
    alone = gradcli.loads(f"{DECAY}loss = sum((y - a*exp(-k*t) - 0.05)^2)").fit("loss", ["a", "k"], errors=True).errors
    np.testing.assert_allclose(found.covariance, alone.covariance, rtol=1e-5)
    assert found.names == ["a", "k"]
    assert found.derived[0].error == found.estimates[1].error


@pytest.mark.parametrize("loglik", [False, True])
def test_what_the_data_do_not_determine_is_named(loglik):
    program = gradcli.loads(f"{DECAY}s = a*c; loss = sum((y - a*c*exp(-k*t) - relu(-z))^2)")
    found = program.fit("loss", errors=True, of=["s", "a"], loglik=loglik).errors
    notes = {e.name: e.note for e in found.estimates}
    together = "determined only together with the others of 2 numbers"
    assert notes == {"a": together, "k": "", "c": together, "z": "without influence here"}
    assert found.names == ["k"]
    assert found.derived[0].note == "of numbers without an error"
    alone = gradcli.loads(f"{DECAY}loss = sum((y - a*exp(-k*t))^2)").fit("loss", ["a", "k"], errors=True, loglik=loglik)
    assert found.estimates[1].error == pytest.approx(alone.errors.estimates[1].error, rel=1e-6)
    assert found.statistics["fitted"] == 2


def test_what_derivatives_know_nothing_of_has_no_error():
    found = gradcli.loads(f"{LOGIT}right = mean(where(X @ w + b > 0, passed, 1 - passed))").fit(
        "nll", loglik=True, of="right"
    )
    (right,) = found.errors.derived
    assert right.note == "its derivative is 0 here"
    assert np.isnan(right.error) and 0.5 < right.value < 1


def test_what_has_no_errors():
    with pytest.raises(gradcli.GradcliError, match="not seen to be a sum of squares") as caught:
        gradcli.loads("variable x = 3.0; y = x - log(x)").fit(errors=True)
    assert "--loglik" in caught.value.help
    with pytest.raises(gradcli.GradcliError, match="2 numbers fitted to 2 residuals"):
        gradcli.loads("variable x = [3.0, 1.0]; y = sum((x - 1)^2)").fit(errors=True)
    with pytest.raises(gradcli.GradcliError, match="is not a minimum"):
        gradcli.loads("variable x = 0.0; y = cos(x)").fit(method="sgd", loglik=True)


def test_the_formats(gradcli):
    Path("d.expr").write_text(f"{DECAY}loss = sum((y - a*exp(-k*t) - c)^2); half = log(2)/k\n")
    common = ["fit", "d.expr", "--minimize", "loss", "--over", "a,k,c", "--errors", "--of", "half"]
    done = gradcli(*common, "--precision", "5", "--cov", "c.csv")
    assert done.status == 0
    values = [line.split(" = ")[0] for line in done.out.splitlines() if not line.startswith("#")]
    assert values == ["a", "k", "c", "half"]
    assert "# name  value" in done.out
    assert (
        "\n# covariance: s²(JᵀJ)⁻¹ with s² = χ²/(n - p), for `loss` is a sum of 30 squares\n# n = 30, fitted = 3, "
        in done.out
    )
    reply = json.loads(gradcli(*common, "--format", "json").out)
    assert list(reply["values"]) == list(reply["errors"]) == values
    names = reply["covariance"]["names"]
    with open("c.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["", *names] and [row[0] for row in rows] == names == ["a", "k", "c"]
    matrix = np.array([row[1:] for row in rows], dtype=float)
    np.testing.assert_array_equal(matrix, reply["covariance"]["matrix"])
    assert reply["errors"]["k"]["error"] == pytest.approx(matrix[1, 1] ** 0.5)
    assert reply["errors"]["half"]["error"] == pytest.approx(
        np.log(2) / reply["values"]["k"]["value"] ** 2 * matrix[1, 1] ** 0.5
    )
    lines = [json.loads(line) for line in gradcli(*common, "--format", "ndjson").out.splitlines()]
    assert {line["name"]: line["error"] for line in lines} == {k: v["error"] for k, v in reply["errors"].items()}
    table = list(csv.DictReader(gradcli(*common, "--format", "csv").out.splitlines()))
    assert [float(row["low"]) for row in table] == [reply["errors"][name]["low"] for name in values]
    assert "correlations\n" in gradcli(*common, "--format", "table").out
    assert gradcli(*common, "--format", "expr").out.startswith("\nconstant t")
    gradcli(*common, "--output", "f.npz")
    with np.load("f.npz") as entries:
        assert float(entries["k/error"]) == reply["errors"]["k"]["error"]


def test_names_at_the_fitted_values(gradcli):
    done = gradcli("fit", "-e", "variable x = 3.0; y = (x - 1)^2; z = [x, 2*x]", "--minimize", "y", "--of", "z")
    assert done.out == "x = 1.0\nz = [1.0, 2.0]\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--cov", "c.txt"], "must end in .csv"),
        (["--errors", "--batch", "1", "--data", "x"], "without --batch"),
        (["--of", "w"], "no value `w`"),
    ],
)
def test_bad_options(gradcli, options, words):
    done = gradcli("fit", "-e", "variable x = 3.0; y = (x - 1)^2", *options)
    assert done.status in (1, 2)
    assert done.out == ""
    assert words in done.err


@pytest.mark.slow
def test_a_table_on_a_terminal(terminal):
    text = f"{DECAY}loss = sum((y - a*exp(-k*t))^2)"
    shown = terminal("fit", "-e", text, "--minimize", "loss", "--over", "a,k", "--errors")
    assert "error in %" in shown
    assert "degrees of freedom = 28" in shown
