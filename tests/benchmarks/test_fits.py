"""Fits are those of the samples, by hand and in the peers' minimizers too; nothing here looks at a clock."""

from __future__ import annotations

import re
from importlib import import_module

import numpy as np
import pytest

from tests.benchmarks import fits
from tests.benchmarks.competitors import PEERS


@pytest.mark.slow
def test_fits(setting):
    rows, targets = fits.section(setting)
    tiny = ["gradcli", "gradcli native", "gradcli --history", "NumPy by hand"]
    assert [row.who for row in rows] == ["gradcli", "gradcli native"] * len(fits.SAMPLES) + tiny * len(fits.TINY)
    assert all(re.match(r"[\d,]+ steps/s$|[\d.e+]+ us a step$", row.remark) for row in rows)
    assert len((setting.folder / "history.ndjson").read_text().splitlines()) == 3
    assert [target.measured for target in targets] == [None] * (len(fits.SAMPLES) + len(fits.TINY))


@pytest.mark.parametrize("what", fits.TINY, ids=[f"{what.program} {what.method}" for what in fits.TINY])
def test_steps_by_hand_are_gradcli_s(what):
    found, seconds = fits.Run(what, 50, what.objective())()
    assert found == pytest.approx(fits.by_hand(what, 50)(), rel=1e-12)
    assert seconds > 0


def test_peers_get_the_rows_that_a_step_sees():
    (what,) = [what for what in fits.SAMPLES if what.batched]
    objective = what.objective()
    data = what.data(7, objective)
    assert data["rows"].shape == (7, what.batch)
    for step, rows in enumerate(data["rows"]):
        seen = objective.batches.chosen(step)
        assert all(np.array_equal(data[name][rows], seen[name]) for name in what.batched)
    assert all(np.array_equal(data[name], start) for name, start in objective.start().items())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["factorisation", "rosenbrock_minimum", "exponential_fit"])
def test_minimizers_of_peers_have_the_options_of_gradcli_s(name, monkeypatch):
    """With functions of gradcli's they reach the same point; after 25 steps it depends on how many L-BFGS keeps."""
    monkeypatch.syspath_prepend(PEERS)
    fitting = import_module("fitting")
    (what,) = [what for what in fits.SAMPLES if what.program == name]
    objective, steps = what.objective(), min(what.steps, 25)
    found, _ = fits.Run(what, steps, objective)()
    asked = fitting.Fit(what.request(steps, objective), what.data(steps, objective))
    program = objective.program

    def values(x):
        return {name: x[place].reshape(shape) for name, place, shape in asked.places()}

    def loss(x):
        value, gradients = objective.at(values(x), 0)
        return value, np.concatenate([np.ravel(g) for g in gradients.values()])

    if what.method == "least-squares":
        job = fitting.squares(
            asked,
            lambda x: program.eval([what.target], values(x))[what.target],
            lambda x: program.jacobian(["residual"], values=values(x))["residual"]["p"],
        )
    else:
        job = fitting.minimized(asked, loss, lambda x, v: program.hessian(["y"], values=values(x))["x"]["x"] @ v)
    assert job() == pytest.approx(found, rel=1e-9)
    assert job() == pytest.approx(found, rel=1e-9)
