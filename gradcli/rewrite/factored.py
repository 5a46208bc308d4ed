"""Sums of products as products of irreducible factors, over one denominator."""

from __future__ import annotations

from fractions import Fraction
from math import lcm, prod

from gradcli.rewrite import sums
from gradcli.rewrite.factors import Polynomial, factors
from gradcli.rewrite.sums import Algebra, E, Exponent, Product, Rational, Sum, number, rational


def irreducible(a: Algebra, of: Sum) -> Sum:
    """The sum as one product; what isn't a power of a polynomial is a variable, such as ``sin(x)`` and ``x^n``."""
    if len(of) < 2:
        return a.multiply(number(next(iter(of.values()), 0)), _refined(a, next(iter(of), ())), out=True)
    below = tuple([(b, e) for b, e in sums.common(of) if isinstance(e, Rational) and e < 0 and b != E])
    above = a.expanded(a.multiply(of, a.power({below: 1}, -1), out=True) if below else of)
    return a.multiply(_polynomial(a, above), _refined(a, below), out=True)


def _refined(a: Algebra, product: Product) -> Sum:
    """A product with the sums in it taken apart."""
    result = number(1)
    for base, e in product:
        inner = a.inner[base]
        part: Sum = {((base, e),): 1}
        if inner is not None and sums.whole(e):
            part = a.power(irreducible(a, a.expanded(inner)), e)
        result = a.multiply(result, part, out=True)
    return result


def _polynomial(a: Algebra, of: Sum) -> Sum:
    """A sum without negative powers as a product of factors."""
    if len(of) < 2:
        return of
    variables = _variables(of)
    c = sums.content(of)
    given: Polynomial = {}
    for product, v in of.items():
        row = dict([_power_of(pair, variables) for pair in product])
        given[tuple([row.get(key, 0) for key in variables])] = int(v / c)
    found = factors(given)
    first = Fraction(given[max(given)], prod([f[max(f)] ** k for f, k in found]))
    result = number(c * first)
    for f, k in sorted(found, key=lambda pair: _reading_order(pair[0])):
        terms: Sum = {_product_of(m, variables): v for m, v in f.items()}
        result = a.multiply(result, a.power(terms, k, factor=True), out=True)
    return result


def _reading_order(f: Polynomial) -> tuple[object, ...]:
    """Where a factor stands: those of low degree first, of equals from small numbers on: (x - 2) * (x - 1) * (x + 1)."""
    return max([sum(m) for m in f]), len(f), sorted([(m, c) for m, c in f.items()])


Variable = tuple[int, Exponent | None]
"""A base of whole or broken powers, or a base with its exponent."""


def _variables(of: Sum) -> dict[Variable, int]:
    """What a polynomial is one of, and by what its powers are broken: 2 for sqrt(x)."""
    found: dict[Variable, int] = {}
    for base, e in dict.fromkeys(pair for product in of for pair in product):
        if base == E or not isinstance(e, Rational):
            found[base, e] = 1
        else:
            found[base, None] = lcm(found.get((base, None), 1), e.denominator)
    return found


def _power_of(pair: tuple[int, Exponent], variables: dict[Variable, int]) -> tuple[Variable, int]:
    base, e = pair
    if base == E or not isinstance(e, Rational):
        return (base, e), 1
    return (base, None), int(e * variables[base, None])


def _product_of(powers: tuple[int, ...], variables: dict[Variable, int]) -> Product:
    found: dict[int, Exponent] = {}
    for (base, e), n in zip(variables, powers, strict=True):
        if n:
            own = (
                rational(Fraction(n, variables[base, None]))
                if e is None
                else sums.exponent(sums.scale(sums.as_sum(e), n))
            )
            found[base] = sums.plus(found[base], own) if base in found else own
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))
