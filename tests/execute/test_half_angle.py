"""Sines and cosines from one tangent: within four units in the last place of the true values, whatever the argument."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from gradcli.graph.ops import half_angle
from gradcli.graph.switches import without

UNITS = 4.0


def units(found, x, function):
    """The largest error in units in the last place."""
    with mpmath.workprec(1200):
        true = [function(mpmath.mpf(v)) for v in x]
        near = np.array([float(v) for v in true])
        return max(
            float(abs(mpmath.mpf(f) - t)) / np.spacing(abs(n)) for f, t, n in zip(found, true, near, strict=True)
        )


@pytest.mark.parametrize("scale", [1e-300, 1e-8, 1.0, 30.0, 1e6, 1e15, 1e300])
def test_sine_and_cosine(scale):
    x = np.random.RandomState(1).normal(size=300) * scale
    t = half_angle.half_tangent.kernel(np, x)
    assert units(half_angle.sine.kernel(np, t), x, mpmath.sin) <= UNITS
    assert units(half_angle.cosine.kernel(np, t, x), x, mpmath.cos) <= UNITS


def test_near_the_zeros_of_the_cosine():
    x = np.pi / 2 + np.arange(-40, 40) * np.pi + np.random.RandomState(2).normal(size=80) * 1e-9
    t = half_angle.half_tangent.kernel(np, x)
    assert units(half_angle.cosine.kernel(np, t, x), x, mpmath.cos) <= UNITS


def test_special_values():
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan])
    with np.errstate(all="ignore"):
        t = half_angle.half_tangent.kernel(np, x)
        sine, cosine = half_angle.sine.kernel(np, t), half_angle.cosine.kernel(np, t, x)
        np.testing.assert_array_equal(sine, np.sin(x))
        np.testing.assert_array_equal(cosine, np.cos(x))
    assert np.signbit(sine[:2]).tolist() == [False, True]


def test_a_cosine_is_written_to_any_layout():
    x = np.linspace(-9, 9, 60).reshape(6, 10)
    out = np.empty((10, 6)).T
    t = half_angle.half_tangent.kernel(np, x)
    np.testing.assert_allclose(half_angle.cosine_into(np, t, x, out), np.cos(x), atol=1e-15)


def test_it_can_be_left_out(monkeypatch):
    monkeypatch.setenv("GRADCLI_WITHOUT", "halfangle,tiles")
    assert without("halfangle") and without("tiles") and not without("simplify")
