"""Many floats from text and to text at once: to the last bit what Python reads and writes one by one."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gradcli.data import decimals
from gradcli.data.decimals import read, written

Array = np.ndarray


@cache
def families() -> dict[str, Array]:
    """Floats of every kind, by name."""
    rng = np.random.default_rng(7)
    tens, twos = 10.0 ** np.arange(-320, 309), 2.0 ** np.arange(-1074, 1024)
    special = [0.0, -0.0, 0.1, 0.3, 1 / 3, 1e15, 1e16, 123456789012345680.0, 99999999999999.99, 9999999999999998.0,
               9.999999999999999e-5, 1e22, 1e23, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan]  # fmt: skip
    return {
        "uniform": rng.uniform(-2, 2, 50_000),
        "of all sizes": rng.normal(size=50_000) * 10.0 ** rng.integers(-60, 60, 50_000),
        "any bits": rng.integers(-(2**63), 2**63, 50_000).view(np.float64),
        "integers": rng.integers(-(10**17), 10**17, 20_000).astype(float),
        "thousandths": rng.integers(-(10**6), 10**6, 20_000) / 1000,
        "from float32": rng.uniform(0, 1, 20_000).astype(np.float32).astype(float),
        "15 digits": np.array([float(f"{x:.15g}") for x in rng.uniform(0, 10, 10_000)]),
        "16 digits": np.array([float(f"{x:.16g}") for x in rng.uniform(0, 10, 10_000)]),
        "powers of ten": tens,
        "beside powers of ten": np.concatenate([np.nextafter(tens, 0), np.nextafter(tens, np.inf)]),
        "powers of two": twos,
        "beside powers of two": np.concatenate([np.nextafter(twos, 0), np.nextafter(twos, np.inf)]),
        "special": np.array(special),
    }


@pytest.mark.parametrize("name", families())
def test_texts_are_those_of_repr_and_read_back(name):
    values = families()[name]
    texts = written(values)
    assert texts == [repr(x + 0.0) for x in values.tolist()]
    finite = np.isfinite(values)
    found = read("\n".join(map(repr, values[finite].tolist())).encode(), 1)
    assert found is not None
    assert found[:, 0].tobytes() == values[finite].tobytes()


def test_most_are_written_and_read_without_python(monkeypatch):
    """Else this would be slow, and nobody would see it."""
    values = np.concatenate([families()["uniform"], np.zeros(100)])

    def none(*_):
        raise AssertionError("one by one")

    monkeypatch.setattr(decimals, "float", none, raising=False)
    text = "\n".join(map(repr, values.tolist())).encode()
    assert len(text) > 20 * 40_000
    found = read(text, 1)
    monkeypatch.undo()
    assert found is not None
    calls: list[float] = []
    monkeypatch.setattr(decimals, "repr", lambda x: calls.append(x) or repr(x), raising=False)
    written(values)
    assert len(calls) < 10


@pytest.mark.parametrize(
    "form", ["%.18e", "%.17g", "%.20f", "%.3f", "%g", "%+.5e", "%d", "%.0f.", "%.16E", "%030.20f", "%050.20f"]
)
def test_other_ways_to_write_a_number(form):
    texts = [form % x for x in 100 * np.random.default_rng(1).normal(size=5000)]
    found = read("\n".join(texts).encode(), 1)
    if form == "%050.20f":
        assert found is None  # longer than what is read together
        return
    assert found is not None
    assert found[:, 0].tolist() == [float(text) for text in texts]


def test_halves_between_two_floats():
    rng = np.random.default_rng(3)
    low = np.floor(rng.uniform(2**54, 2**62, 2000))
    middle = [(int(x) + int(y)) // 2 for x, y in zip(low, np.nextafter(low, np.inf), strict=True)]
    texts = [str(m + k) for m in middle for k in (-1, 0, 1)]
    found = read("\n".join(texts).encode(), 1)
    assert found is not None
    assert found[:, 0].tolist() == [float(text) for text in texts]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.text("0123456789+-.eE", max_size=8), min_size=1, max_size=4), st.integers(1, 3))
@example(["1e5."], 1)
@example(["1e+-5"], 1)
@example(["1.2.3"], 1)
@example(["", "1"], 2)
@example([".5", "5.", "-.5e1", "1e400", "1e-400", "00012"], 1)
@example(["."], 1)
def test_what_python_does_not_read_is_not_read(fields, columns):
    """The same numbers as Python's, or None; and None wherever Python raises."""
    text = "".join([f + ("\n" if k % columns == columns - 1 else ",") for k, f in enumerate(fields)])
    found = read(text.encode(), columns)
    try:
        expected = [float(field) for field in fields]
    except ValueError:
        assert found is None
        return
    if len(fields) % columns:
        assert found is None
    elif found is not None:
        assert found.ravel().tolist() == expected


def test_lines_that_differ_in_length():
    assert read(b"1,2\n3,4", 2).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    for text in (b"1,2\n3\n", b"1,2\n3,4,5\n6\n", b"1,2\n\n3,4\n", b"1\n2\n", b"", b"nan,1\n", b"1, 2\n", b'"1",2\n'):
        assert read(text, 2) is None
