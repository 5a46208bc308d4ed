"""The check against differences is itself checked: it must find rules that are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from gradcli.autodiff import reverse
from gradcli.graph.operation import Elementwise, Linear, NoDerivative, Product, SameAs
from gradcli.graph.ops import table
from gradcli.graph.ops.selection import stop_gradient, where
from gradcli.graph.ops.slicing import index
from tests.finite_differences import check_gradient

ONE = ("variable x: [3]\ny = tanh(x) * x", {"x": np.array([0.3, -1.1, 0.8])})
ROW = ("variable a: [2, 3]\nvariable b: [3]\ny = a * b", {"a": np.ones((2, 3)), "b": np.array([1.0, 2.0, 3.0])})


def wrong(monkeypatch, name: str, rule) -> None:
    monkeypatch.setattr(table[name], "rule", rule)


@pytest.mark.parametrize("program", [ONE, ROW])
def test_right_rules_pass(program):
    check_gradient(*program)


def test_a_rule_that_is_wrong_at_first_order_is_found(monkeypatch):
    wrong(monkeypatch, "tanh", Elementwise((lambda y, x: 1 - y,)))
    with pytest.raises(AssertionError, match="order 1 with respect to x"):
        check_gradient(*ONE)


def test_a_small_error_is_found(monkeypatch):
    wrong(monkeypatch, "tanh", Elementwise((lambda y, x: (1 - y * y) * (1 + 1e-6),)))
    with pytest.raises(AssertionError, match="order 1 with respect to x"):
        check_gradient(*ONE)


def test_a_rule_that_is_wrong_at_second_order_only_is_found(monkeypatch):
    wrong(monkeypatch, "tanh", Elementwise((lambda y, x: 1 - stop_gradient(y) * y,)))
    with pytest.raises(AssertionError, match="order 2 with respect to x"):
        check_gradient(*ONE)


def test_a_rule_with_the_wrong_sign_is_found(monkeypatch):
    wrong(monkeypatch, "subtract", Linear(lambda i, g, y: g))
    with pytest.raises(AssertionError, match="order 1 with respect to b"):
        check_gradient("variable a: [2]\nvariable b: [2]\ny = a - b", {"a": np.ones(2), "b": np.ones(2)})


def test_a_rule_that_selects_the_wrong_branch_is_found(monkeypatch):
    wrong(monkeypatch, "maximum", SameAs(lambda y, a, b: where(table["less"](a, b), a, b)))
    with pytest.raises(AssertionError, match="order 1"):
        check_gradient("variable a: [2]\nvariable b: [2]\ny = maximum(a, b)", {"a": np.ones(2), "b": np.zeros(2)})


def test_a_missing_rule_is_found(monkeypatch):
    wrong(monkeypatch, "tanh", NoDerivative())
    with pytest.raises(AssertionError, match="order 1 with respect to x"):
        check_gradient(*ONE)


def test_a_rule_that_ignores_the_incoming_gradient_is_found(monkeypatch):
    wrong(monkeypatch, "reshape", Linear(lambda i, g, y: table["ones_like"](y.inputs[0])))
    with pytest.raises(AssertionError, match="order 1 with respect to x"):
        check_gradient("variable x: [4]\ny = reshape(x, [2, 2])", {"x": np.ones(4)})


def test_a_rule_that_drops_the_sum_over_a_broadcast_is_found(monkeypatch):
    """A broadcast's transpose takes the first row where it should add them up."""
    wrong(monkeypatch, "broadcast_to", Linear(lambda i, g, y: index(g, items=(0,))))
    with pytest.raises(AssertionError, match="order 1 with respect to x"):
        check_gradient("variable x: [3]\ny = broadcast_to(x, [2, 3])", {"x": np.ones(3)})


def test_an_engine_that_drops_the_sum_over_a_broadcast_is_found(monkeypatch):
    def first(g, shape):
        return index(g, items=(0,) * (g.rank - len(shape)))

    monkeypatch.setattr(reverse, "unbroadcast", first)
    with pytest.raises(AssertionError, match="order 1 with respect to b"):
        check_gradient(*ROW)


def test_an_exchange_of_two_cross_terms_is_found(monkeypatch):
    """The first gradient of a product is right, and the second belongs to a sum of squares."""
    wrong(monkeypatch, "multiply", Elementwise((lambda y, a, b: b, lambda y, a, b: stop_gradient(a))))
    with pytest.raises(AssertionError, match="order 2"):
        check_gradient(*ROW)
    wrong(monkeypatch, "multiply", Product())
    check_gradient(*ROW)
