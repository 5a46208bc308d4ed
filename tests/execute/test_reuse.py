"""Results that nobody holds give their memory to the next ones; what somebody holds, stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gradcli
from gradcli.execute import reuse

SIZE = 100_000
TEXT = f"variable x: [{SIZE}]\ny = tanh(x)*x + 1\ng = gradients(y, x)\n"


@pytest.fixture(scope="module")
def run():
    return gradcli.loads(TEXT).compile(["y", "g"], ["x"])


def expected(x):
    return np.tanh(x) * x + 1


def where(array):
    return array.__array_interface__["data"][0]


def test_what_is_held_stays(run):
    x = np.linspace(-2, 2, SIZE)
    first = run(x=x)
    view = run(x=2 * x)["y"].reshape(100, -1)[3:].T
    for k in range(4):
        run(x=(3 + k) * x)
    np.testing.assert_allclose(first["y"], expected(x), rtol=1e-14)
    np.testing.assert_allclose(view.T, expected(2 * x).reshape(100, -1)[3:], rtol=1e-14)
    assert first["y"].flags.owndata and first["y"].flags.writeable


@pytest.mark.skipif(not reuse.can_count(), reason="this interpreter does not count references")
def test_what_is_dropped_is_used_again(run):
    x = np.linspace(-2, 2, SIZE)
    places = set()
    for _ in range(12):
        found = run(x=x)
        places.add(where(found["y"]))
        del found
    assert len(places) <= reuse.MOST


def test_threads_have_arrays_of_their_own(run):
    def one(k):
        x = np.linspace(-k, k, SIZE)
        return k, run(x=x)["y"]

    with ThreadPoolExecutor(4) as pool:
        for k, y in pool.map(one, range(1, 13)):
            np.testing.assert_allclose(y, expected(np.linspace(-k, k, SIZE)), rtol=1e-14)


def test_an_interpreter_that_counts_no_references_makes_new_arrays(monkeypatch):
    monkeypatch.setattr(reuse, "can_count", lambda: False)
    kept = reuse.Kept()
    made = [kept.array("y", lambda: np.empty(3)) for _ in range(3)]
    assert len({id(array) for array in made}) == 3
