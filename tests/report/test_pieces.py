"""Results are written in pieces: the memory that their text takes does not grow with them."""

import json
import tracemalloc

import numpy as np
import pytest

from gradcli.commands.options import output_options
from gradcli.data.reading import read_values
from gradcli.features.matrices.look import Matrices
from gradcli.report.reply import Reply
from gradcli.results import Block, Result

ROOM = 3 << 16
"""Bytes for the texts of one part, far less than those of all numbers."""

NUMBERS = np.random.RandomState(0).standard_normal(9_000)
VALUES = {
    "vector": NUMBERS,
    "rows": NUMBERS.reshape(3, -1),
    "columns": NUMBERS.reshape(-1, 2).astype("float32"),
    "turned": NUMBERS.reshape(60, 150).T,
    "integers": np.arange(9_000).reshape(2, 3, -1),
    "truths": NUMBERS > 0,
}


def formats():
    """Every format that a command offers."""
    options = output_options(lambda: None).__click_params__
    return next(option.type.choices for option in options if option.name == "format")


def consumed(pieces):
    """The most memory that the pieces took, and how many characters they have."""
    tracemalloc.start()
    try:
        length = sum(map(len, pieces()))
        return tracemalloc.get_traced_memory()[1], length
    finally:
        tracemalloc.stop()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr("gradcli.report.numbers.PART", 1 << 8)
    monkeypatch.setattr("gradcli.features.matrices.look.PART", 1 << 8)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "digits"), [*((name, None) for name in VALUES), ("rows", 3)])
@pytest.mark.parametrize("format", formats())
def test_results(format, name, digits):
    reply = Reply("grad", "f", [(1, [Result("x", VALUES[name])])], ["y"]).rounded(digits)
    taken, length = consumed(lambda: reply.pieces(format, None))
    assert length > 2 * VALUES[name].size
    assert taken < ROOM


@pytest.mark.parametrize("sparsity", [False, True])
@pytest.mark.parametrize("format", formats())
def test_matrices(format, sparsity):
    value = NUMBERS.reshape(60, 150)
    block = Block("dy/dx", "y", "x", (60,), (10, 15), (value > 0 if sparsity else value).reshape(60, 10, 15))
    taken, length = consumed(lambda: Matrices("jacobian", "f", ["y"], [block], sparsity).pieces(format, None))
    assert length > 8_000
    assert taken < ROOM


@pytest.mark.parametrize("format", ["plain", "json", "ndjson"])
def test_pieces_fit_together(format):
    results = [Result(name, value) for name, value in VALUES.items()]
    text = "".join(Reply("eval", "f", [(0, results)]).pieces(format, None))
    entries = read_values(text.encode(), "<stdin>").entries
    assert list(entries) == list(VALUES)
    for name, value in VALUES.items():
        np.testing.assert_array_equal(entries[name].astype(value.dtype), value)


def test_csv_has_the_index_of_each_entry():
    value = np.arange(7000).reshape(7, 500, 2)
    lines = "".join(Reply("eval", "f", [(0, [Result("x", value)])]).pieces("csv", None)).splitlines()[1:]
    assert lines == [f"x,{i};{j};{k},{entry}" for (i, j, k), entry in np.ndenumerate(value)]


def test_patterns_fit_together():
    pattern = np.random.RandomState(1).rand(80, 60) > 0.9
    blocks = [
        Block("dy/dx", "y", "x", (80,), (60,), pattern),
        Block("dy/dk", "y", "k", (80,), (), pattern[:, 0] & False),
    ]
    reply = json.loads("".join(Matrices("jacobian", "f", ["y"], blocks, True).pieces("json", None)))
    rows, columns = np.nonzero(pattern)
    found = reply["patterns"]["y"]
    assert (found["x"]["rows"], found["x"]["cols"]) == (rows.tolist(), columns.tolist())
    assert (found["k"]["rows"], found["k"]["cols"], found["k"]["nonzero"]) == ([], [], 0)
