"""Powers: natural ones by multiplication, which is right where the base is 0; even ones of roots; binomial coefficients."""

from __future__ import annotations

from collections.abc import Callable

from gradcli.diagnostics import GradcliError
from gradcli.graph.fold import fold
from gradcli.graph.node import Node
from gradcli.graph.operation import Operation, constant_value, leaves_below
from gradcli.graph.ops.creation import ones
from gradcli.graph.ops.elementwise import add, divide, multiply, neg, power, recip, square
from gradcli.graph.ops.selection import equal, identity, where

LARGEST_NATURAL_POWER = 64
MOST_POWERS = 16


def natural_powers(x: Node, exponent: Node) -> Node | None:
    """x to a literal power, or to an array of a few of them, by multiplication; None where some is not a small integer."""
    if leaves_below(exponent):
        return None
    try:
        value = fold(exponent, lambda leaf: None)
    except GradcliError:
        return None  # a run says what is wrong
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
    """x^p by squaring, so that its series is right where x is 0; of 1/x where p < 0, which vanishes where x^-p overflows."""
    result: Node | None = None
    square, left = recip(x) if p < 0 else x, abs(p)
    while left:
        if left & 1:
            result = square if result is None else multiply(result, square)
        left >>= 1
        if left:
            square = multiply(square, square)
    if result is None:
        return ones(shape=x.shape, dtype=x.dtype)
    return result


def binomial(p: float, k: int) -> float:
    """The generalized binomial coefficient p over k."""
    result = 1.0
    for i in range(k):
        result *= (p - i) / (i + 1)
    return result


# even powers of roots: of norm(x)^2 the derivatives are those of sum(x^2), also at 0, where norm has a kink

MOST_STEPS = 100
"""How many operations of a cotangent are looked through for the root as a factor."""


def even_power(base: Node, exponent: int) -> Node | None:
    """An even power of a root, or of a root times other factors, as the polynomial that it is; None for any other."""
    if exponent < 2 or exponent % 2:
        return None
    square = _square_of_root(base)
    return None if square is None else _natural_power(square, exponent // 2)


def _square_of_root(base: Node) -> Node | None:
    """The square of a root, of its negative, and of its products and quotients with others."""
    factors: list[Node] = []
    while base.op.squared is None:
        if base.op in (neg, identity):
            (base,) = base.inputs
        elif base.op is multiply:
            a, b = base.inputs
            base, other = (a, b) if _leads_to_root(a) else (b, a)
            factors.append(multiply(other, other))
        elif base.op is divide:
            base, other = base.inputs
            factors.append(recip(multiply(other, other)))
        else:
            return None
    square: Node = base.op.squared(base, *base.inputs)
    for factor in factors:
        square = multiply(square, factor)
    return square


def _leads_to_root(x: Node) -> bool:
    while x.op in (neg, identity, divide):
        x = x.inputs[0]
    return x.op.squared is not None


def is_same(a: Node, b: Node) -> bool:
    """Whether two nodes are one, or the same root of the same inputs, named twice."""
    return a is b or a.op is b.op and a.op.squared is not None and a.inputs == b.inputs and a.attrs == b.attrs


class Factored:
    """A cotangent g of a root u as quotient * u + rest; either may be None, which is 0."""

    def __init__(self, g: Node, root: Node) -> None:
        self._root = root
        self._steps = MOST_STEPS
        self.quotient, self.rest = self._split(g)

    def _split(self, g: Node) -> tuple[Node | None, Node | None]:
        """The terms of a sum that have the root as a factor, divided by it, and the others."""
        whole = self._whole(g)
        if whole is not None:
            return whole, None
        self._steps -= 1
        if g.op is not add or self._steps < 0:
            return None, g
        (q, r), (p, s) = (self._split(x) for x in g.inputs)
        return plus(q, p), plus(r, s)

    def _whole(self, g: Node) -> Node | None:
        """g divided by the root, where that is a factor as a whole."""
        if is_same(g, self._root):
            return ones(shape=g.shape, dtype=g.dtype)
        self._steps -= 1
        if self._steps < 0:
            return None
        rule = _DIVIDED.get(g.op)
        return rule(g, self._whole) if rule is not None else None


Whole = Callable[[Node], "Node | None"]


def _product(g: Node, whole: Whole) -> Node | None:
    a, b = g.inputs
    if (q := whole(a)) is not None:
        return q * b
    return None if (q := whole(b)) is None else a * q


def _quotient(g: Node, whole: Whole) -> Node | None:
    a, b = g.inputs
    return None if (q := whole(a)) is None else divide(q, b)


def _power(g: Node, whole: Whole) -> Node | None:
    a, p = g.inputs
    exponent = constant_value(p)
    if exponent is None or exponent < 1 or (q := whole(a)) is None:
        return None
    return q * power(a, exponent - 1)


def _sum(g: Node, whole: Whole) -> Node | None:
    first, second = (whole(x) for x in g.inputs)
    return None if first is None or second is None else first + second


def _choice(g: Node, whole: Whole) -> Node | None:
    condition, *branches = g.inputs
    if all([_is_zero(x) for x in branches]):
        return None
    first, second = (x if _is_zero(x) else whole(x) for x in branches)
    return None if first is None or second is None else where(condition, first, second)


_DIVIDED: dict[Operation, Callable[[Node, Whole], Node | None]] = {
    multiply: _product,
    divide: _quotient,
    neg: lambda g, whole: None if (q := whole(g.inputs[0])) is None else neg(q),
    identity: lambda g, whole: None if (q := whole(g.inputs[0])) is None else identity(q),
    square: lambda g, whole: None if (q := whole(g.inputs[0])) is None else q * g.inputs[0],
    power: _power,
    add: _sum,
    where: _choice,
}
"""What is left of an operation that has the root as a factor, from what is left of its inputs; None where it is no factor."""


def plus(a: Node | None, b: Node | None) -> Node | None:
    """The sum of two nodes; None stands for 0."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _is_zero(x: Node) -> bool:
    return constant_value(x) == 0
