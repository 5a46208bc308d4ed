"""Every sample does what its header says, with its picture, and its gradients are those of central differences and closed forms."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from golden import difference
from pictures import mismatch
from scipy.optimize import curve_fit

import gradcli
from gradcli.features.fit.answer import fit
from gradcli.features.fit.objective import Objective
from gradcli.features.fit.training import Settings
from gradcli.program import query

ROOT = Path(__file__).parents[1]
SAMPLES = sorted((ROOT / "samples").rglob("*.expr"))
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
SLOW = {"burgers_network"}
"""What takes minutes; a shorter run of it is tested below."""

TOLERANCES = {"burgers_network": 0.01}
"""How far a picture may be off, as a part of its axes, where other rounding leads to another network as good."""

HEADER = re.compile(r"(?:#[^\n]*\n)+")
COMMAND = re.compile(r"^# \$ (gradcli .+)$", re.MULTILINE)
# A SIMD tanh may be off by a unit of the last place, which 1 - tanh^2 magnifies.
FLOAT32_TOLERANCE = 2e-5


def header(sample: Path) -> str:
    match = HEADER.match(sample.read_text(encoding="utf-8"))
    assert match, f"{sample.name} begins with a comment that says what it shows"
    return match[0]


def commands(sample: Path) -> list[str]:
    """The command lines in a sample's header; the output of the first one is kept, the others make a picture."""
    found = COMMAND.findall(header(sample))
    assert found
    return found


def command(sample: Path) -> str:
    """The first command line in a sample's header."""
    return commands(sample)[0]


def output_of(line: str) -> str:
    return shlex.split(line)[-1]


def picture(sample: Path) -> Path:
    return sample.parent / "pictures" / f"{sample.stem}.svg"


@pytest.fixture
def shell(command_line, monkeypatch, tmp_path):
    """Run pipelines of gradcli commands beside a copy of the samples; a fit that comes again is not run again."""
    copied = shutil.ignore_patterns("pictures", "*.out")
    shutil.copytree(ROOT / "samples", tmp_path / "samples", ignore=copied)
    for sample in FITS:
        (tmp_path / picture(sample).relative_to(ROOT)).parent.mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    fits: dict[str, str] = {}

    def run(line: str) -> str:
        text: str | None = None
        for part in line.split(" | "):
            name, *arguments = shlex.split(part)
            assert name == "gradcli"
            if arguments[0] == "fit":  # it says on standard error how it went
                if part not in fits:
                    process = [sys.executable, "-m", "gradcli", *arguments]
                    fits[part] = subprocess.run(
                        process, check=True, capture_output=True, text=True, timeout=600, env=ENVIRONMENT
                    ).stdout
                text = fits[part]
                continue
            done = command_line(*arguments, stdin=text)
            assert done.status == 0
            assert all(said.startswith("note: ") for said in done.err.splitlines()), done.err
            text = done.out
        assert text is not None
        return text

    return run


def pytest_generate_tests(metafunc):
    if "sample" in metafunc.fixturenames:
        slow = pytest.mark.slow if metafunc.function is test_expected_output else ()
        samples = [pytest.param(s, id=s.stem, marks=slow if s.stem in SLOW else ()) for s in SAMPLES]
        metafunc.parametrize("sample", samples)


def test_expected_output(sample, shell, request):
    refresh = request.config.getoption("--refresh-golden")
    first, *others = commands(sample)
    actual = shell(first)
    golden = sample.with_suffix(".out")
    if refresh:
        golden.write_text(actual, encoding="utf-8")
    tolerance = FLOAT32_TOLERANCE if "\ndtype float32\n" in sample.read_text(encoding="utf-8") else 1e-12
    assert difference(actual, golden.read_text(encoding="utf-8"), tolerance) is None
    for line in others:
        assert shell(line) == ""
        drawn = Path(output_of(line)).read_text(encoding="utf-8")
        if refresh:
            picture(sample).write_text(drawn, encoding="utf-8")
        assert mismatch(drawn, picture(sample).read_text(encoding="utf-8"), TOLERANCES.get(sample.stem, 0.004)) is None


def test_no_expected_output_without_its_sample():
    assert {path.stem for path in (ROOT / "samples").rglob("*.out")} == {sample.stem for sample in SAMPLES}


FITS = [sample for sample in SAMPLES if any(" fit " in line for line in commands(sample))]


def test_each_fit_has_a_picture_of_moderate_size():
    assert len(FITS) >= 6
    for sample in FITS:
        (line,) = commands(sample)[1:]
        assert " | gradcli plot " in f" | {line}" and output_of(line) == picture(sample).relative_to(ROOT).as_posix()
        assert 5_000 < picture(sample).stat().st_size < 100_000
    assert set((ROOT / "samples").rglob("pictures/*")) == {picture(sample) for sample in FITS}


def is_smooth_at_its_values(sample: Path) -> bool:
    """Whether difference quotients say what its gradients are: nothing is stopped, every variable has a value."""
    text = sample.read_text(encoding="utf-8").removeprefix(header(sample))
    variables = re.findall(r"^variable .*", text, re.MULTILINE)
    own = "stop_gradient(" in text or "\ntangent " in text
    return not own and bool(variables) and all("=" in line for line in variables)


SMOOTH = [sample for sample in SAMPLES if is_smooth_at_its_values(sample)]


@pytest.mark.slow
@pytest.mark.parametrize("smooth", SMOOTH, ids=[sample.stem for sample in SMOOTH])
def test_first_gradients_are_those_of_central_differences(smooth):
    program = gradcli.load(smooth, dtype="float64")
    at = {name: value.astype(float) for name, value in program.eval(program.variables).items()}
    outputs = query.question(program).of
    random = np.random.RandomState(0)
    direction = {name: random.normal(size=value.shape) for name, value in at.items()}
    gradient = program.grad(unconnected="zero")
    slope = sum(np.sum(gradient[name] * direction[name]) for name in at)

    def total(step: float) -> float:
        values = {name: value + step * direction[name] for name, value in at.items()}
        return sum(float(np.sum(value)) for value in program.eval(outputs, values=values).values())

    quotient = (8 * (total(1e-5) - total(-1e-5)) - (total(2e-5) - total(-2e-5))) / 12e-5
    assert slope == pytest.approx(quotient, rel=1e-7, abs=1e-9)


def test_enough_samples_are_differenced():
    names = {
        "black_scholes",
        "burgers_residual",
        "gradient_penalty",
        "logistic_regression",
        "neural_network",
        "rosenbrock",
    }
    assert names <= {sample.stem for sample in SMOOTH}


def test_the_residual_is_that_of_difference_quotients():
    program = gradcli.load(ROOT / "samples" / "burgers_residual.expr")
    p = program.eval([*program.variables, "x", "t", "u", "residual", "nu"])

    def u(x, t):
        h1 = np.tanh(np.hstack([x, t]) @ p["W1"] + p["b1"])
        return np.tanh(h1 @ p["W2"] + p["b2"]) @ p["W3"] + p["b3"]

    x, t, h = p["x"], p["t"], 1e-4
    np.testing.assert_allclose(p["u"], u(x, t), rtol=1e-12)
    u_x = (u(x + h, t) - u(x - h, t)) / (2 * h)
    u_t = (u(x, t + h) - u(x, t - h)) / (2 * h)
    u_xx = (u(x + h, t) - 2 * u(x, t) + u(x - h, t)) / h**2
    np.testing.assert_allclose(p["residual"], u_t + u(x, t) * u_x - p["nu"] * u_xx, atol=1e-6)


def test_greeks_are_the_closed_forms():
    p = gradcli.load(ROOT / "samples" / "black_scholes.expr").eval()
    r, spot, sigma, years = 0.03, 100.0, 0.2, 0.5
    for i, strike in enumerate((90.0, 100.0, 110.0)):
        d1 = (math.log(spot / strike) + (r + sigma**2 / 2) * years) / (sigma * math.sqrt(years))
        d2 = d1 - sigma * math.sqrt(years)
        density = math.exp(-(d1**2) / 2) / math.sqrt(2 * math.pi)
        below1, below2 = ((1 + math.erf(d / math.sqrt(2))) / 2 for d in (d1, d2))
        owed = strike * math.exp(-r * years)
        expected = {
            "call": spot * below1 - owed * below2,
            "delta": below1,
            "gamma": density / (spot * sigma * math.sqrt(years)),
            "vega": spot * density * math.sqrt(years),
            "theta": -spot * density * sigma / (2 * math.sqrt(years)) - r * owed * below2,
        }
        assert {name: p[name][i] for name in expected} == pytest.approx(expected, rel=1e-11)


SCRIPTS = sorted((ROOT / "samples").rglob("data/make_*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_data_are_what_their_script_writes(tmp_path, script):
    copy = tmp_path / script.name
    copy.write_text(script.read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run([sys.executable, copy], check=True, timeout=60)
    name = script.stem.removeprefix("make_") + ".csv"
    assert difference((tmp_path / name).read_text(), (script.parent / name).read_text()) is None


PUBLISHED = {"impedance"}
"""Data that a publication prints."""


def test_all_data_have_a_script():
    data = {path.with_suffix("") for path in (ROOT / "samples").rglob("data/*.*") if path.suffix != ".py"}
    made = {script.with_name(script.stem.removeprefix("make_")) for script in SCRIPTS}
    assert {path for path in data if path.name not in PUBLISHED} == made


def printed(sample: str) -> dict[str, list[tuple[float, float]]]:
    """The values and errors in the table of a sample's output by the names of variables."""
    rows = re.findall(r"^# (\w+)(?:\[\d+\])?  +(\S+)  +(\S+)  +\S+  +\S+  +\S+$", (ROOT / "samples" / f"{sample}.out").read_text(), re.MULTILINE)  # fmt: skip
    found: dict[str, list[tuple[float, float]]] = {}
    for name, value, error in rows:
        found.setdefault(name, []).append((float(value), float(error)))
    return found


def test_the_errors_of_the_classifier_are_those_of_reweighted_least_squares():
    table = np.loadtxt(ROOT / "samples" / "data" / "exams.csv", delimiter=",", skiprows=1)
    features, passed = table[:, :2], table[:, 2]
    design = np.column_stack([(features - features.mean(axis=0)) / features.std(axis=0), np.ones(len(table))])
    beta = np.zeros(3)
    for _ in range(30):
        p = 1 / (1 + np.exp(-design @ beta))
        information = design.T @ (design * (p * (1 - p))[:, None])
        beta += np.linalg.solve(information, design.T @ (passed - p))
    deviations = np.sqrt(np.diag(np.linalg.inv(information)))
    shown = printed("exam_classifier")
    np.testing.assert_allclose([*shown["w"], *shown["b"]], np.column_stack([beta, deviations]), rtol=1e-4)


def fitted(name: str, method: str, minimize: str, steps: int = 1000) -> gradcli.Program:
    """A sample after a fit."""
    program = gradcli.load(ROOT / "samples" / f"{name}.expr")
    objective = Objective(program, minimize, squares=method == "least-squares")
    outcome = fit(objective, Settings(method, steps=steps), lambda _: None)
    return program.with_values(outcome.state.values)


def test_the_parameters_of_the_decay_are_those_of_scipy():
    def model(t, start, rate, background):
        return start * np.exp(-rate * t) + background

    p = fitted("exponential_fit", "least-squares", "residual").eval()
    t, counts = np.loadtxt(ROOT / "samples" / "data" / "decay.csv", delimiter=",", skiprows=1).T
    known, covariance = curve_fit(model, t, counts, [500, 0.1, 100], np.sqrt(counts), absolute_sigma=True)
    np.testing.assert_allclose(p["p"], known, rtol=1e-5)
    np.testing.assert_allclose(p["covariance"], covariance, rtol=1e-4, atol=1e-10)
    relative = curve_fit(model, t, counts, [500, 0.1, 100], np.sqrt(counts))[1]
    shown = printed("exponential_fit")
    np.testing.assert_allclose(shown["p"], np.column_stack([known, np.sqrt(np.diag(relative))]), rtol=1e-4)
    np.testing.assert_allclose([value for value, _ in shown["errors"]], p["errors"], rtol=1e-4)
    # What the data were made with lies within three standard errors.
    assert np.all(np.abs(p["p"] - [900, 1 / 25, 60]) < 3 * p["errors"])


@pytest.mark.slow
def test_a_network_learns_the_equation():
    before = gradcli.load(ROOT / "samples" / "burgers_network.expr").eval(["loss", "relative_error"])
    after = fitted("burgers_network", "lbfgs", "loss", steps=40).eval(["loss", "relative_error"])
    assert after["loss"] < before["loss"] / 2
    assert after["relative_error"] < before["relative_error"]


def test_a_fitted_classifier_has_no_slope_left():
    program = fitted("exam_classifier", "lbfgs", "loss")
    assert all(np.abs(g).max() < 1e-8 for g in program.grad(["loss"]).values())
    assert program.eval(["accuracy"])["accuracy"] > 0.8
