"""The samples with loops have the numbers of programs that know nothing of gradcli: their loops are Python's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

import gradcli

Array = Any
SAMPLES = Path(__file__).parents[1] / "samples" / "loops"


def differences(function: Callable[[Array], Array], x: Array, step: float) -> Array:
    """Jacobian of a vector by central differences of fourth order, one column for each entry of x."""
    moves = [step * max(1.0, abs(x[k])) * np.eye(len(x))[k] for k in range(len(x))]
    return np.stack(
        [
            (8 * (function(x + h) - function(x - h)) - (function(x + 2 * h) - function(x - 2 * h))) / (12 * h.sum())
            for h in moves
        ],
        axis=-1,
    )


def runge_kutta(rates: Callable[[Array], Array], y: Array, h: float, steps: int) -> Array:
    """y at the start and after each step, by the classical method."""
    found = [y]
    for _ in range(steps):
        a = rates(y)
        b = rates(y + h / 2 * a)
        c = rates(y + h / 2 * b)
        d = rates(y + h * c)
        y = y + h / 6 * (a + 2 * b + 2 * c + d)
        found.append(y)
    return np.stack(found)


# GARCH(1,1)

RETURNS = np.loadtxt(SAMPLES / "data" / "returns.csv", skiprows=1)


def garch(p: Array) -> tuple[float, Array, Array]:
    """Minus the log-likelihood, its gradient and its Hessian, by recurrences of h and of its derivatives.

    Source: G. Fiorentini, G. Calzolari and L. Panattoni, Journal of Applied Econometrics 11, 1996.
    """
    mu, _, alpha, beta = p
    e = RETURNS - mu
    h = e2 = np.mean(e**2)
    dh, de2 = np.array([-2 * e.mean(), 0, 0, 0]), np.array([-2 * e.mean(), 0, 0, 0])
    ddh = dde2 = np.diag([2.0, 0, 0, 0])
    loss, slope, curvature = 0.0, np.zeros(4), np.zeros((4, 4))
    unit = np.eye(4)
    for residual in e:
        crossed = np.outer(unit[2], de2) + np.outer(unit[3], dh)
        ddh = alpha * dde2 + beta * ddh + crossed + crossed.T
        dh = unit[1] + unit[2] * e2 + unit[3] * h + alpha * de2 + beta * dh
        h = p[1] + alpha * e2 + beta * h
        e2, de2, dde2 = residual**2, -2 * residual * unit[0], 2 * np.outer(unit[0], unit[0])
        loss += (np.log(2 * np.pi) + np.log(h) + e2 / h) / 2
        by_h, by_hh = (1 / h - e2 / h**2) / 2, (-1 / h**2 + 2 * e2 / h**3) / 2
        slope = slope + by_h * dh + de2 / (2 * h)
        mixed = -np.outer(de2, dh) / (2 * h**2)
        curvature = curvature + by_hh * np.outer(dh, dh) + by_h * ddh + dde2 / (2 * h) + mixed + mixed.T
    return loss, slope, curvature


def test_the_derivatives_of_the_likelihood_are_those_of_its_recurrences():
    program = gradcli.load(SAMPLES / "garch.expr")
    p = program.eval(["p"])["p"]
    loss, slope, curvature = garch(p)
    assert program.eval()["loss"] == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(program.grad()["p"], slope, rtol=1e-10)
    np.testing.assert_allclose(program.hessian()["p"]["p"], curvature, rtol=1e-10, atol=1e-8 * np.abs(curvature).max())


def test_garch_finds_the_parameters_of_newton_s_method_with_their_standard_errors():
    """Within three standard errors of those are the parameters with which the returns were made."""
    p = np.array([0.05, 0.02, 0.08, 0.9])
    for _ in range(8):
        _, slope, curvature = garch(p)
        p = p - np.linalg.solve(curvature, slope)
    loss, slope, curvature = garch(p)
    assert np.abs(slope).max() < 1e-7
    errors = np.sqrt(np.diag(np.linalg.inv(curvature)))

    program = gradcli.load(SAMPLES / "garch.expr")
    found = program.fit("loss", method="lbfgs")
    assert found.loss == pytest.approx(loss, rel=1e-9)
    np.testing.assert_allclose(found.values["p"], p, atol=1e-3 * errors.min())
    np.testing.assert_allclose(program.eval(["errors"], values=found.values)["errors"], errors, rtol=1e-3)
    assert np.all(np.abs(found.values["p"] - [0.05, 0.02, 0.08, 0.9]) < 3 * errors)


# an LSTM


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def lstm(x: Array, target: Array, W: Array, b: Array, out: Array) -> tuple[float, Array, dict[str, Array]]:
    """The loss, all outputs of the cell, and the gradients by a backward pass written by hand."""
    n, batch = len(out), x.shape[1]
    h, c = np.zeros((batch, n)), np.zeros((batch, n))
    kept, outputs = [], []
    for row in x:
        joined = np.concatenate([row, h], axis=1)
        z = joined @ W + b
        i, f, o = (sigmoid(z[:, k * n : (k + 1) * n]) for k in range(3))
        new = np.tanh(z[:, 3 * n :])
        before, c = c, f * c + i * new
        h = o * np.tanh(c)
        kept.append((joined, i, f, o, new, before, c))
        outputs.append(h)
    error = h @ out - target
    g_out = 2 * h.T @ error / batch
    gh, gc = 2 * np.outer(error, out) / batch, np.zeros((batch, n))
    gW, gb = np.zeros_like(W), np.zeros_like(b)
    for joined, i, f, o, new, before, c in reversed(kept):
        gc = gc + gh * o * (1 - np.tanh(c) ** 2)
        gz = np.concatenate(
            [
                gc * new * i * (1 - i),
                gc * before * f * (1 - f),
                gh * np.tanh(c) * o * (1 - o),
                gc * i * (1 - new**2),
            ],
            axis=1,
        )
        gW, gb = gW + joined.T @ gz, gb + gz.sum(axis=0)
        gh, gc = (gz @ W.T)[:, -n:], gc * f
    return float(np.mean(error**2)), np.stack(outputs), {"W": gW, "b": gb, "out": g_out}


def test_the_lstm_is_the_one_with_a_backward_pass_by_hand():
    program = gradcli.load(SAMPLES / "lstm.expr")
    given = program.eval(["x", "target", "W", "b", "out"])
    np.testing.assert_array_equal(given["x"][:, :, 1].sum(axis=0), 2.0)  # two numbers are marked
    loss, outputs, gradients = lstm(**given)
    found = program.eval(["loss", "h"])
    assert found["loss"] == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(found["h"], outputs, rtol=1e-12, atol=1e-14)
    for name, gradient in program.grad().items():
        np.testing.assert_allclose(gradient, gradients[name], rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_the_lstm_learns():
    """The numbers alone, whose sum has a variance of 1/6, are known to nobody who does not read the marks."""
    assert gradcli.load(SAMPLES / "lstm.expr").fit("loss", method="lbfgs", steps=60).loss < 0.02


# the double pendulum

GRAVITY = 9.81


def textbook(s: Array) -> Array:
    """Angles and velocities of two equal masses on two equal rods of length 1, from the equations solved by hand."""
    (a, b, u, v), g = s, GRAVITY
    sine, cosine = np.sin(a - b), np.cos(a - b)
    below = 3 - np.cos(2 * a - 2 * b)
    du = -3 * g * np.sin(a) - g * np.sin(a - 2 * b) - 2 * sine * (v**2 + u**2 * cosine)
    dv = 2 * sine * (2 * u**2 + 2 * g * np.cos(a) + v**2 * cosine)
    return np.array([u, v, du / below, dv / below])


def test_the_pendulum_moves_as_the_equations_of_textbooks_say():
    program = gradcli.load(SAMPLES / "double_pendulum.expr")
    found = program.eval(["s", "drift"])
    known = runge_kutta(textbook, np.array([2.0, 1.0, 0.0, 0.5]), 0.002, 1000)
    np.testing.assert_allclose(found["s"], known, rtol=0, atol=1e-10)
    a, b, u, v = known.T
    energy = u**2 + v**2 / 2 + u * v * np.cos(a - b) - GRAVITY * (2 * np.cos(a) + np.cos(b))
    assert found["drift"] == pytest.approx(np.abs(energy - energy[0]).max(), rel=1e-3)
    assert found["drift"] < 2e-8


# SIR


def outbreak(p: Array) -> Array:
    """Boys in bed on days 1 to 14, by SciPy's solver of order 8."""
    beta, gamma = p

    def rates(_: float, y: Array) -> Array:
        new, gone = beta * y[0] * y[1] / 763, gamma * y[1]
        return np.array([-new, new - gone, gone])

    solved = solve_ivp(rates, (0, 14), [762, 1, 0], "DOP853", np.arange(1.0, 15), rtol=1e-12, atol=1e-10)
    return solved.y[1]


def test_an_outbreak_and_its_sensitivities_are_those_of_another_solver():
    found = gradcli.load(SAMPLES / "sir.expr").eval(["sick", "sensitivities", "beta", "gamma"])
    p = np.array([found["beta"], found["gamma"]])
    np.testing.assert_allclose(found["sick"], outbreak(p), rtol=1e-5)
    slopes = differences(outbreak, p, 1e-3)
    np.testing.assert_allclose(found["sensitivities"], slopes.T, atol=1e-5 * np.abs(slopes).max())


@pytest.mark.slow
def test_the_rates_are_those_of_scipy_s_fit_and_about_those_of_the_book():
    """J. D. Murray, Mathematical Biology I, 2002, section 10.2: r = 0.00218 and rho = 202, for a reading of the same figure."""
    program = gradcli.load(SAMPLES / "sir.expr")
    in_bed = program.eval(["in_bed"])["in_bed"]
    known = least_squares(lambda p: outbreak(p) - in_bed, [1.5, 0.5], xtol=1e-12, ftol=1e-12)
    found = program.fit("residual", method="least-squares")
    beta, gamma = found.values["beta"], found.values["gamma"]
    np.testing.assert_allclose([beta, gamma], known.x, rtol=1e-5)
    assert found.loss == pytest.approx(known.cost, rel=1e-5)
    assert beta == pytest.approx(0.00218 * 763, rel=0.02)
    assert gamma == pytest.approx(0.00218 * 202, rel=0.02)


# gradients of examples


def test_gradients_of_examples_are_rows_of_the_jacobian_of_their_losses():
    text = (SAMPLES / "examples.expr").read_text(encoding="utf-8")
    text += "\nlosses = map(cross_entropy, X, y)\nJW = jacobian(losses, W)\nJv = jacobian(losses, v)\n"
    found = gradcli.loads(text).eval(["gW", "gv", "JW", "Jv", "norms", "step", "plain"])
    np.testing.assert_allclose(found["gW"], found["JW"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found["gv"], found["Jv"], rtol=1e-12, atol=1e-15)
    flat = np.concatenate([found["gW"].reshape(40, -1), found["gv"]], axis=1)
    norms = np.linalg.norm(flat, axis=1)
    np.testing.assert_allclose(found["norms"], norms, rtol=1e-12)
    assert np.any(norms < 0.5) and np.any(norms > 0.5)
    cut = flat * np.minimum(1, 0.5 / norms)[:, None]
    np.testing.assert_allclose(found["step"], cut.mean(axis=0)[-4:], rtol=1e-12)


def test_gradients_of_examples_are_those_of_differences():
    program = gradcli.load(SAMPLES / "examples.expr")
    p = program.eval(["X", "y", "W", "v", "gW", "gv"])

    def losses(flat: Array) -> Array:
        z = np.tanh(p["X"] @ flat[:12].reshape(3, 4)) @ flat[12:]
        return np.log1p(np.exp(z)) - p["y"] * z

    slopes = differences(losses, np.concatenate([p["W"].ravel(), p["v"]]), 1e-3)
    np.testing.assert_allclose(np.concatenate([p["gW"].reshape(40, -1), p["gv"]], axis=1), slopes, atol=1e-10)


# a planet


def test_the_orbit_is_that_of_newton_s_force():
    def end(v: Array) -> Array:
        q = np.array([1.0, 0.0])
        for _ in range(2000):
            v = v - 0.005 * q / np.linalg.norm(q) ** 3
            q = q + 0.01 * v
            v = v - 0.005 * q / np.linalg.norm(q) ** 3
        return np.array([np.linalg.norm(q), v @ v / 2 - 1 / np.linalg.norm(q) + 1 - 1.1**2 / 2])

    program = gradcli.load(SAMPLES / "orbit.expr")
    found = program.eval(["distance", "energy"])
    v0 = np.array([0.0, 1.1])
    np.testing.assert_allclose([found["distance"], found["energy"]], end(v0), atol=1e-10)
    np.testing.assert_allclose(program.grad()["v0"], differences(end, v0, 1e-4)[0], rtol=1e-7)
