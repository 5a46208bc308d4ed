"""The comparison of golden files notices what it must, and nothing else."""

import pytest
from golden import difference


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ("x = 1.0\n", "x = 1.0\n"),
        ("x = [0.1, 2e-05]\n", "x = [0.10000000000000002, 2.0000000000000003e-05]\n"),
        ("x = [1.0, 1e-17]\n", "x = [1.0, 0.0]\n"),
        ("x = -1e-16\n", "x = 0.0\n"),
        ("w1  [2]  float64  [0.3, 1.0]\n", "w1  [2]  float64  [0.30000000000000004, 1.0]\n"),
        ("x = nan\ny = -inf\n", "x = nan\ny = -inf\n"),
    ],
)
def test_alike(actual, expected):
    assert difference(actual, expected) is None


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ("x = 1.00000000001\n", "x = 1.0\n"),
        ("x = [1.0, 1e-11]\n", "x = [1.0, 0.0]\n"),
        ("x = 0.0\n", "x = None\n"),
        ("x = nan\n", "x = 0.0\n"),
        ("x = inf\n", "x = -inf\n"),
        ("x = 1\n", "x = 1.0\n"),
        ("x = 100000000000001\n", "x = 100000000000000\n"),
        ("w1 = 2.0\n", "w2 = 2.0\n"),
        ("x = -2.0\n", "x = 2.0\n"),
        ("x = [[1.0], [2.0]]\n", "x = [1.0, 2.0]\n"),
        ("x = [1.0]\n", "x = [1.0, 1.0]\n"),
        ("x = 1.0\ny = 2.0\n", "x = 1.0\n"),
        ("x = 1.0\n", "x = 1.0\ny = 2.0\n"),
        ("x = 1.0", "x = 1.0\n"),
    ],
)
def test_different(actual, expected):
    assert difference(actual, expected) is not None


def test_the_tolerance_is_a_choice():
    assert difference("x = 0.019731998\n", "x = 0.01973224\n", 2e-5) is None
    assert difference("x = 0.019731998\n", "x = 0.01973224\n") is not None
