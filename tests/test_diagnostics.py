"""Suggestions: a word that is near, and none where nothing is."""

from __future__ import annotations

import pytest

from gradcli.diagnostics import did_you_mean
from gradcli.graph.ops import table

NAMES = [name for op in table.values() if not op.hidden for name in (op.name, *op.aliases)]


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("sinn", "sin"), ("sine", "sin"), ("Sin", "sin"), ("snum", "sum"), ("summ", "sum"), ("arcsine", "arcsin"),
        ("sofmax", "softmax"), ("sotfmax", "softmax"), ("ReduceSum", "reduce_sum"), ("log_sum_exp", "logsumexp"),
        ("stopgradient", "stop_gradient"), ("gradeint", "gradients"), ("concatinate", "concatenate"),
        ("tranpose", "transpose"), ("matmlu", "matmul"), ("reashape", "reshape"), ("chloesky", "cholesky"),
    ],
)  # fmt: skip
def test_near_names(word: str, near: str) -> None:
    assert did_you_mean(word, NAMES) == near


@pytest.mark.parametrize("word", ["foo", "bar", "baz", "f", "fn", "loggamma", "airy", "schur", "lu", "hankel"])
def test_what_is_near_to_nothing_gets_no_suggestion(word: str) -> None:
    assert did_you_mean(word, NAMES) is None


@pytest.mark.parametrize(
    ("word", "candidates", "near"),
    [
        ("yy", ["x", "y"], "y"), ("w3", ["w1", "w2"], None), ("ab", ["abs"], None), ("los", ["loss"], "loss"),
        ("x", ["X"], "X"), ("learning", ["learning_rate"], None), ("", ["x"], None), ("wieght_1", ["weight_1"], "weight_1"),
        ("hieght", ["weight", "height"], "height"), ("_", ["__"], None),
    ],
)  # fmt: skip
def test_short_and_long_names(word: str, candidates: list[str], near: str | None) -> None:
    assert did_you_mean(word, candidates) == near


@pytest.mark.parametrize("name", NAMES)
def test_one_slip_in_a_long_name_is_found(name: str) -> None:
    if len(name) >= 8:
        for at in range(len(name) - 1):
            swapped = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
            assert did_you_mean(swapped, [name]) == name
            assert did_you_mean(name[:at] + name[at + 1 :], [name]) == name
