"""Numbers as text: shortest digits, rounding, nesting."""

import json

import numpy as np
import pytest

from gradcli.report.numbers import json_value, literal, nested, rounded, tokens


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (0.1, "float32", "0.1"),
        (0.1, "float64", "0.1"),
        (1 / 3, "float64", "0.3333333333333333"),
        (1 / 3, "float32", "0.33333334"),
        (-0.0, "float64", "0.0"),
        (-0.0, "float32", "0.0"),
        (6, "float64", "6.0"),
        (6, "int32", "6"),
        (1e300, "float64", "1e+300"),
        (1e-7, "float32", "1e-07"),
        (5e-324, "float64", "5e-324"),
        (float("nan"), "float32", "nan"),
        (float("-inf"), "float64", "-inf"),
        (True, "bool", "true"),
    ],
)
def test_one_number(value, dtype, text):
    assert literal(np.array(value, dtype=dtype)) == text


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_digits_read_back_exactly(dtype):
    bits = np.random.RandomState(0).randint(0, 2**32, size=20000, dtype=np.uint32).view("float32")
    numbers = bits[np.isfinite(bits)].astype(dtype)
    assert np.array_equal(np.array([float(t) for t in tokens(numbers)], dtype=dtype), numbers)


def test_every_form_of_json_number_is_strict():
    array = np.array([[np.nan, np.inf], [-np.inf, -0.0]], dtype="float32")
    text = json_value(array)
    assert json.loads(text, parse_constant=pytest.fail) == [["NaN", "Infinity"], ["-Infinity", 0.0]]


@pytest.mark.parametrize(
    ("shape", "text"), [((0,), "[]"), ((3, 0), "[[], [], []]"), ((0, 3), "[]"), ((2, 1, 0), "[[[]], [[]]]")]
)
def test_arrays_without_entries(shape, text):
    assert json_value(np.zeros(shape)) == text
    assert literal(np.zeros(shape)) == f"zeros({list(shape)})"


def test_nesting():
    for size in (1, 2, 3, 4, 6):
        parts = [list("abcdef"[i : i + size]) for i in range(0, 6, size)]
        assert "".join(nested(parts, (1, 2, 3))) == "[[[a, b, c], [d, e, f]]]"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (2 / 3, 3, "0.667"),
        (123456.0, 2, "120000.0"),
        (1e-9 / 3, 2, "3.3e-10"),
        (0.1, 30, "0.1"),
        (np.float32(0.1), 17, "0.1"),
        (np.inf, 3, "inf"),
        (np.finfo("float64").max, 3, "1.7976931348623157e+308"),
        (123456, 2, "123456"),
    ],
)
def test_rounding_to_significant_digits(value, digits, text):
    assert literal(rounded(np.asarray(value), digits)) == text
