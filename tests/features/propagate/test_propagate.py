"""Uncertainties: the GUM's example, closed forms of polynomials, and numbers that are drawn."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

import gradcli as package
from gradcli.features.propagate.answer import Covariance, propagate

# JCGM 100:2008, H.2, tables H.2 to H.4: an impedance from five simultaneous measurements.
VOLTS = [5.007, 4.994, 5.005, 4.990, 4.999]
AMPERES = [19.663e-3, 19.639e-3, 19.640e-3, 19.685e-3, 19.678e-3]
PHASES = [1.0456, 1.0438, 1.0468, 1.0428, 1.0433]
IMPEDANCE = """
variable V = 4.9990; variable I = 19.6610e-3; variable phi = 1.04446
R = V/I*cos(phi); X = V/I*sin(phi); Z = V/I
"""


def written(names, matrix):
    rows = [f"{name},{','.join(map(repr, row))}" for name, row in zip(names, np.asarray(matrix).tolist(), strict=True)]
    return "\n".join([f",{','.join(names)}", *rows]) + "\n"


def test_the_impedance_of_the_gum(gradcli):
    covariance = np.cov([VOLTS, AMPERES, PHASES]) / 5
    deviations = np.sqrt(np.diag(covariance))
    assert [f"{u:.2g}" for u in deviations] == ["0.0032", "9.5e-06", "0.00075"]
    Path("c.csv").write_text(written(["V", "I", "phi"], covariance))
    reply = json.loads(gradcli("propagate", "-e", IMPEDANCE, "--cov", "c.csv", "--format", "json").out)
    assert [f"{reply['values'][name]['value']:.3f}" for name in "RXZ"] == ["127.732", "219.847", "254.260"]
    errors = [reply["errors"][name]["error"] for name in "RXZ"]
    # The GUM prints 0.295 for X, which is what its second approach gives (0.29549, below). The law of propagation gives
    # 0.29558, and 0.2957 with uncertainties and correlations rounded as the GUM prints them: no digit was cut off.
    assert [f"{u:.3f}" for u in errors] == ["0.071", "0.296", "0.236"]
    matrix = np.array(reply["covariance"]["matrix"])
    correlations = matrix / np.outer(errors, errors)
    assert [f"{correlations[i, j]:.3f}" for i, j in ((0, 1), (0, 2), (1, 2))] == ["-0.588", "-0.485", "0.993"]
    assert reply["remarks"] == []


def test_the_second_approach_of_the_gum():
    """H.2.4: the results of each measurement, their means and the standard deviations of these."""
    names = {"V": VOLTS, "I": AMPERES, "phi": PHASES}
    text = "".join(f"constant {name} = {values}\n" for name, values in names.items()) + IMPEDANCE.splitlines()[2]
    found = package.loads(text).eval(["R", "X", "Z"])
    assert [f"{found[name].mean():.3f}" for name in "RXZ"] == ["127.732", "219.847", "254.260"]
    assert [f"{found[name].std(ddof=1) / 5**0.5:.3f}" for name in "RXZ"] == ["0.071", "0.295", "0.236"]
    correlations = np.corrcoef([found[name] for name in "RXZ"])
    assert [f"{correlations[i, j]:.3f}" for i, j in ((0, 1), (0, 2), (1, 2))] == ["-0.588", "-0.485", "0.993"]


SAMPLE = Path(__file__).parents[3] / "samples" / "impedance.expr"


def test_the_sample_has_what_the_gum_prints(gradcli):
    """One command on the measurements as published; X by the first approach is 0.29558, where the GUM has 0.295."""
    found = json.loads(gradcli("eval", str(SAMPLE), "--format", "json").out)["values"]
    shown = {name: [f"{x:.3f}" for x in np.ravel(record["value"])] for name, record in found.items()}
    assert [shown[name][0] for name in "RXZ"] == shown["mean_of_each"] == ["127.732", "219.847", "254.260"]
    assert shown["uncertainty_of_each"] == ["0.071", "0.295", "0.236"]
    assert shown["uncertainty"] == ["0.071", "0.296", "0.236"]
    assert f"{found['uncertainty']['value'][1]:.5f}" == "0.29558"
    assert [shown["correlation"][k] for k in (1, 2, 5)] == ["-0.588", "-0.485", "0.993"]
    table = np.loadtxt(SAMPLE.parent / "data" / "impedance.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(table, np.transpose([VOLTS, np.multiply(AMPERES, 1000), PHASES]), rtol=1e-15)
    path = str(SAMPLE.parent / "data" / "impedance_covariance.csv")
    again = json.loads(gradcli("propagate", str(SAMPLE), "--cov", path, "--of", "R,X,Z", "--format", "json").out)
    np.testing.assert_allclose(
        [again["errors"][name]["error"] for name in "RXZ"], found["uncertainty"]["value"], rtol=1e-9
    )


def test_products_and_quotients_add_relative_uncertainties(gradcli):
    done = gradcli(
        "propagate", "-e", "variable x = 4.0; variable k = 2.0; y = x/k", "--error", "x=3%,k=0.08", "--format", "csv"
    )
    (row,) = csv.DictReader(io.StringIO(done.out))
    assert float(row["error"]) == pytest.approx(2 * 0.05)
    assert (row["name"], row["index"], row["value"]) == ("y", "", "2.0")


def test_the_second_order_of_polynomials_is_exact():
    x, u = 0.3, 0.2
    found = propagate(package.loads(f"variable x = {x}; y = x^2; z = x^3"), {"x": np.array(u)})
    y, z = found.results
    assert (y.error, y.shift) == pytest.approx((2 * x * u, u**2))
    assert y.second == pytest.approx(np.sqrt(4 * x**2 * u**2 + 2 * u**4))  # of a normal x
    assert z.shift == pytest.approx(3 * x * u**2)
    assert z.second == pytest.approx(np.sqrt(9 * x**4 * u**2 + 36 * x**2 * u**4))  # but for 15 u^6
    assert not y.first_is_enough


def test_the_second_order_of_correlated_inputs_is_that_of_normal_ones():
    c = np.array([[0.04, -0.01], [-0.01, 0.09]])
    found = propagate(package.loads("variable p = [1.0, 2.0]; y = p[0]*p[1]"), {}, Covariance(["p[0]", "p[1]"], c))
    (y,) = found.results
    g = np.array([2.0, 1.0])
    assert y.error**2 == pytest.approx(g @ c @ g)
    assert y.second**2 == pytest.approx(g @ c @ g + c[0, 0] * c[1, 1] + c[0, 1] ** 2)
    assert y.shift == pytest.approx(c[0, 1])
    shares = {part.input: part.share for part in y.budget}
    assert shares["p[0]"] == pytest.approx(4 * 0.04 / y.error**2)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares[""] == pytest.approx(2 * 2 * -0.01 / y.error**2)


PROGRAMS = {
    "pendulum": ("variable l = 0.8; variable T = 1.79; g = 4*pi^2*l/T^2", {"l": 0.01, "T": 0.02}),
    "density": ("variable m = 5.0; variable d = 0.02; rho = m/(pi*d^3/6)", {"m": 0.1, "d": 4e-4}),
    "lens": ("variable g = 0.3; variable b = 0.2; f = 1/(1/g + 1/b)", {"g": 0.01, "b": 0.01}),
    "exponential": ("variable k = 0.5; variable t = 2.0; y = exp(-k*t)", {"k": 0.05, "t": 0.1}),
    "square at 0": ("variable x = 0.0; y = x^2 + 1", {"x": 0.3}),
    "array": ("variable p = [1.0, 2.0, 3.0]; y = sum(p^2); z = p*cumsum(p)", {"p": 0.1}),
    "where": ("variable x = 3.0; y = where(x > 0, log(x), 0)", {"x": 0.3}),
    "matrix": ("variable A = [[2.0, 0.3], [0.1, 1.0]]; y = det(A); z = solve(A, [1.0, 2.0])", {"A": 0.02}),
    "loop": ("variable r = 0.3; def f(x) = x + r*x*(1 - x)\ny = iterate(f, 0.1, 12)", {"r": 0.02}),
    "special": ("variable x = 0.4; y = erf(x) + lgamma(x + 1)", {"x": 0.05}),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_drawn_numbers_agree(name):
    text, errors = PROGRAMS[name]
    found = package.loads(text).propagate(errors, monte_carlo=40_000)
    for u in found.results:
        mean, deviation, low, high = u.drawn
        scale = max(u.second, u.error)
        assert deviation == pytest.approx(u.second, rel=0.03)
        assert mean == pytest.approx(u.value + u.shift, abs=0.03 * scale)
        assert low < mean < high


def test_constants_and_single_precision():
    found = package.loads("dtype float32; constant c = 2.0; variable x = 3.0; y = c*x").propagate({"c": 0.1, "x": "1%"})
    assert found.results[0].error == pytest.approx(np.hypot(0.3, 0.06), rel=1e-6)


def test_what_a_fit_gives_goes_on(gradcli):
    text = "constant t = linspace(0, 4, 30); constant y = 2*exp(-0.7*t) + 0.01*random_normal([30], seed=1)\n"
    text += "variable p = [1.0, 0.5]; loss = sum((y - p[0]*exp(-p[1]*t))^2); half = log(2)/p[1]\n"
    Path("d.expr").write_text(text)
    common = ["fit", "d.expr", "--minimize", "loss", "--cov", "c.csv", "--of", "half"]
    fitted = json.loads(gradcli(*common, "--format", "json").out)
    Path("f.expr").write_text(gradcli(*common, "--format", "expr").out)
    found = json.loads(gradcli("propagate", "f.expr", "--cov", "c.csv", "--of", "half", "--format", "json").out)
    assert found["errors"]["half"]["error"] == pytest.approx(fitted["errors"]["half"]["error"], rel=1e-9)
    assert found["values"]["half"] == fitted["values"]["half"]


def test_what_people_read(gradcli, terminal):
    line = ["propagate", "-e", "variable x = 0.1; variable k = 2.0; y = k*x^2", "--error", "x=0.1,k=2%"]
    done = gradcli(*line, "--precision", "3")
    assert done.out.startswith("y = 0.02\n# uncertainties\n# name  value  error  error in %")
    assert (
        "# budget of y\n# input  value  error  sensitivity  % of variance\n# x      0.1    0.1    0.4          100\n"
        in done.out
    )
    assert (
        "# y: the first order is not enough: with the second the uncertainty is 0.049 in place of 0.04, and" in done.out
    )
    drawn = gradcli(*line, "--monte-carlo", "2000", "--format", "table").out
    assert "2000 draws: their errors are known to 1.6 %" in drawn
    assert drawn == gradcli(*line, "--monte-carlo", "2000", "--format", "table").out
    assert "budget of y" in terminal(*line)
    gradcli(*line, "--output", "u.npz")
    with np.load("u.npz") as entries:
        assert float(entries["y/error"]) == pytest.approx(0.04, rel=1e-3)


TWO = "variable x = 1.0; variable p = [1.0, 2.0]; constant n = 3; y = x*sum(p)*n"


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ([], 2, "No uncertainty is given"),
        (["--error", "x"], 2, "'x' is not of the form NAME=NUMBER"),
        (["--error", "x=-1"], 1, "a number from 0 on"),
        (["--error", "x=nan"], 1, "a number from 0 on"),
        (["--error", "z=1"], 1, "no variable or constant `z`"),
        (["--error", "y=1"], 1, "`y` is computed"),
        (["--error", "n=1"], 1, "`n` is int64, and only floats have uncertainties"),
        (["--error", "p=[1, 2, 3]"], 1, "needs its shape, [2], or none, not [3]"),
        (["--cov", "good.csv", "--error", "x=1"], 1, "`x` has an uncertainty of its own and one in the covariance"),
        (["--cov", "unknown.csv"], 1, "the covariance is of `p[7]`, and the program has no such entry"),
        (["--cov", "skew.csv"], 1, "the covariance is not symmetric"),
        (["--cov", "negative.csv"], 1, "some combination has a negative variance"),
        (["--cov", "words.csv"], 1, "words.csv is not a covariance: could not convert"),
        (["--cov", "other.csv"], 1, "its first row and first column must hold the same names"),
        (["--cov", "long.csv"], 1, "long.csv, line 2: not readable as CSV"),
        (["--cov", "none.csv"], 1, "there is no file none.csv"),
    ],
)
def test_bad_uncertainties(gradcli, options, status, words):
    Path("good.csv").write_text(written(["x", "p[1]"], [[1.0, 0.5], [0.5, 1.0]]))
    Path("unknown.csv").write_text(written(["x", "p[7]"], [[1.0, 0.5], [0.5, 1.0]]))
    Path("skew.csv").write_text(written(["x", "p[1]"], [[1.0, 0.5], [0.4, 1.0]]))
    Path("negative.csv").write_text(written(["x", "p[1]"], [[1.0, 1.5], [1.5, 1.0]]))
    Path("words.csv").write_text(",x\nx,big\n")
    Path("other.csv").write_text(",x\nz,1\n")
    Path("long.csv").write_text(f",x\nx,{'1' * 200_000}\n")
    done = gradcli("propagate", "-e", TWO, *options)
    assert (done.status, done.out) == (status, "")
    assert words in done.err
    assert gradcli("propagate", "-e", TWO, "--cov", "good.csv").status == 0


def test_where_there_are_many_entries_only_the_first_order_is_found(monkeypatch):
    monkeypatch.setattr("gradcli.features.propagate.answer.SECOND", 8)
    found = package.loads("variable p = [1.0, 2.0, 3.0]; y = sum(p^2)").propagate({"p": 0.1})
    assert np.isnan(found.results[0].second)
    assert found.results[0].first_is_enough
    assert "for which the second order is not computed" in found.remarks[0]
