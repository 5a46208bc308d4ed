"""Powers for the series: natural ones by multiplication, which is right where the base is 0; binomial coefficients."""

from __future__ import annotations

from gradcli.graph.fold import fold
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.creation import ones
from gradcli.graph.ops.elementwise import multiply, recip
from gradcli.graph.ops.selection import equal, where

LARGEST_NATURAL_POWER = 64
MOST_POWERS = 16


def natural_powers(x: Node, exponent: Node) -> Node | None:
    """x to a literal power, or to an array of a few of them, by multiplication; None where some is no small integer."""
    if any(node.op.name == "leaf" for node in cone([exponent])):
        return None
    value = fold(exponent, lambda leaf: None)
    powers = sorted(set(_flat(value)))
    if not powers or len(powers) > MOST_POWERS:
        return None
    if not all(abs(p) <= LARGEST_NATURAL_POWER and float(p).is_integer() for p in powers):
        return None
    result = _natural_power(x, int(powers[0]))
    for p in powers[1:]:
        result = where(equal(exponent, p), _natural_power(x, int(p)), result)
    return result


def _flat(value: object) -> list[float]:
    """The numbers of a nested list."""
    todo, numbers = [value], []
    while todo:
        item = todo.pop()
        if isinstance(item, list):
            todo += item
        elif isinstance(item, (int, float)):
            numbers.append(item)
    return numbers


def _natural_power(x: Node, p: int) -> Node:
    """x^p by squaring, so that its series is right where x is 0."""
    result: Node | None = None
    square, left = x, abs(p)
    while left:
        if left & 1:
            result = square if result is None else multiply(result, square)
        left >>= 1
        if left:
            square = multiply(square, square)
    if result is None:
        return ones(shape=x.shape, dtype=x.dtype)
    return recip(result) if p < 0 else result


def binomial(exponent: Node, value: float | None, k: int) -> Node | float:
    """The generalized binomial coefficient p over k."""
    if value is not None:
        result = 1.0
        for i in range(k):
            result *= (value - i) / (i + 1)
        return result
    product: Node = exponent * (1 / k)
    for i in range(1, k):
        product = product * ((exponent - i) * (1 / i))
    return product
