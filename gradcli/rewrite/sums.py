"""Sums of products with exact coefficients: the arithmetic in which formulas are compared, apart from any graph.

A ``Sum`` maps products to coefficients, a ``Product`` is a row of (base, exponent) in the order of the bases. Bases are
numbered by an :class:`Algebra`: e (number 0, whose exponents are sums), a thing that is looked up elsewhere, or a sum of
several terms that isn't multiplied out. The method is that of textbooks on computer algebra (Geddes, Czapor and Labahn
1992, chapters 2 and 3); powers are collected as for numbers of the ordinary domain of the formula: ``sqrt(x)^2`` is ``x``,
while ``sqrt(x^2)`` stays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from math import gcd, isqrt, lcm
from operator import itemgetter
from typing import TypeVar

Rational = int | Fraction
"""Whole numbers are ints, whose arithmetic is quick: one that is equal to a Fraction is the same key."""

HALF = Fraction(1, 2)

Sum = dict["Product", Rational]
Product = tuple[tuple[int, "Exponent"], ...]

ONE: Product = ()
E = 0
"""The number of the base e."""

MOST, MOST_FACTORS = 40, 12
"""Terms that a sum may have, and factors that a product may have."""

HIGHEST = 8
"""The power up to which a sum is multiplied out."""


class TooMuchError(Exception):
    """The formula is better left as it is: it has too many terms, or a division by 0."""


class Symbolic:
    """An exponent that is not a number."""

    __slots__ = ("key", "sum")

    def __init__(self, terms: Sum) -> None:
        self.sum = terms
        self.key = frozenset(terms.items())

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbolic) and self.key == other.key


Exponent = Rational | Symbolic


def exponent(terms: Sum) -> Exponent:
    """A sum as an exponent."""
    value = constant(terms)
    return Symbolic(terms) if value is None else value


def as_sum(e: Exponent) -> Sum:
    """An exponent as a sum."""
    return e.sum if isinstance(e, Symbolic) else number(e)


def rational(c: Rational) -> Rational:
    """The number, as an int where it is whole."""
    return c if type(c) is int or c.denominator != 1 else c.numerator


def raised(c: Rational, n: int) -> Rational:
    """c^n, for any integer n."""
    return rational(Fraction(c) ** n)


def number(c: Rational) -> Sum:
    """A number as a sum."""
    return {ONE: c} if c else {}


def base_to(base: int, e: Rational = 1) -> Sum:
    """A power of a base."""
    return {((base, e),): 1}


def constant(terms: Sum) -> Rational | None:
    """The number that a sum is, or None."""
    if not terms:
        return 0
    return terms[ONE] if len(terms) == 1 and ONE in terms else None


def add(a: Sum, b: Sum, factor: Rational = 1, most: int = MOST) -> Sum:
    """a + factor * b. Raises :class:`TooMuchError` where there are too many terms."""
    result = dict(a)
    for product, c in b.items():
        put(result, product, c if factor == 1 else c * factor)
    if len(result) > most:
        raise TooMuchError
    return result


def put(result: Sum, product: Product, c: Rational) -> None:
    """Add a term to a sum, in place."""
    total = result.get(product)
    total = c if total is None else total + c
    if total:
        result[product] = total
    else:
        result.pop(product, None)


Coefficient = TypeVar("Coefficient", int, Rational)


def take(
    rest: dict[tuple[int, ...], Coefficient],
    terms: Mapping[tuple[int, ...], Coefficient],
    shift: Sequence[int],
    c: Coefficient,
) -> None:
    """Subtract c times some terms from a polynomial by exponents, in place; the exponents are raised by ``shift``."""
    for powers, d in terms.items():
        at = tuple([i + k for i, k in zip(powers, shift, strict=True)])
        value = rest.get(at, 0) - c * d
        if value:
            rest[at] = value
        else:
            rest.pop(at, None)


def scale(a: Sum, c: Rational) -> Sum:
    """A sum times a number."""
    return {product: rational(v * c) for product, v in a.items()} if c else {}


def plus(a: Exponent, b: Exponent) -> Exponent:
    """The sum of two exponents."""
    if isinstance(a, Rational) and isinstance(b, Rational):
        return rational(a + b)
    return exponent(add(as_sum(a), as_sum(b)))


def whole(e: Exponent) -> bool:
    """Whether an exponent is an integer."""
    return isinstance(e, Rational) and e.denominator == 1


def root(c: Rational, e: Rational) -> Rational | None:
    """c^e where that is a rational number, for square roots."""
    if e.denominator != 2 or c < 0:
        return None
    top, bottom = isqrt(c.numerator), isqrt(c.denominator)
    if top * top != c.numerator or bottom * bottom != c.denominator:
        return None
    return raised(Fraction(top, bottom), e.numerator)


def content(a: Sum) -> Fraction:
    """The greatest rational number, without its sign, by which all coefficients are divided to whole ones."""
    over = lcm(*[c.denominator for c in a.values()])
    return Fraction(gcd(*[int(c * over) for c in a.values()]), over)


def common(a: Sum) -> Product:
    """What all terms of a sum have in common: of each base the lowest power, of e what is the same everywhere."""
    lowest: dict[int, Exponent] = {}
    rows = [dict(product) for product in a]
    for base in dict.fromkeys(base for row in rows for base in row):
        powers = [row.get(base, 0) for row in rows]
        if all([p == powers[0] for p in powers]):
            lowest[base] = powers[0]
        elif base != E and all([isinstance(p, Rational) for p in powers]):
            least = min([p for p in powers if isinstance(p, Rational)])
            if least:
                lowest[base] = least
    return tuple(sorted(lowest.items(), key=lambda pair: pair[0]))


class Algebra:
    """The bases of some formulas, and products and powers of sums over them.

    ``positive`` says of a thing whether it is never negative. ``work`` counts products of terms up to ``limit``; sums
    have up to ``most`` terms, and are multiplied out up to the ``highest`` power.
    """

    def __init__(
        self, positive: Callable[[Hashable], bool], limit: int, most: int = MOST, highest: int = HIGHEST
    ) -> None:
        self.things: list[Hashable] = [None]
        self.inner: list[Sum | None] = [None]
        self._numbers: dict[Hashable, int] = {}
        self._plain: dict[int, bool] = {}
        self._powers: dict[int, list[Sum]] = {}
        self._positive = positive
        self.limit = limit
        self._most, self._highest = most, highest
        self.work = 0

    def base(self, thing: Hashable, inner: Sum | None = None) -> int:
        """The number of a base."""
        found = self._numbers.get(thing)
        if found is None:
            found = self._numbers[thing] = len(self.things)
            self.things.append(thing)
            self.inner.append(inner)
        return found

    def thing(self, thing: Hashable) -> Sum:
        """What isn't looked into, as a sum."""
        return base_to(self.base(thing))

    def sum_base(self, terms: Sum) -> int:
        return self.base(frozenset(terms.items()), terms)

    def is_positive(self, base: int) -> bool:
        if base == E:
            return True
        inner = self.inner[base]
        if inner is None:
            return self._positive(self.things[base])
        return all([c > 0 and all([whole(e) and self.is_positive(b) for b, e in p]) for p, c in inner.items()])

    def spend(self, n: int) -> None:
        """Count work. Raises :class:`TooMuchError` where it is more than the formulas are worth."""
        self.work += n
        if self.work > self.limit:
            raise TooMuchError

    # products

    def multiply(self, a: Sum, b: Sum, out: bool = False) -> Sum:
        """The product of two sums; one of two sums of several terms is multiplied ``out``, or has the sums as factors."""
        if not a or not b:
            return {}
        if not out and len(a) > 1 and len(b) > 1:
            return self._product(self._factor(a), self._factor(b))
        if not out and len(a) != len(b):
            one, many = (a, b) if len(a) == 1 else (b, a)
            if ONE not in one:
                return self._product(one, self._factor(many))
        return self._product(a, b)

    def _factor(self, a: Sum) -> Sum:
        """A sum of several terms as a power of one base."""
        return self.power(a, 1, factor=True) if len(a) > 1 else a

    def _product(self, a: Sum, b: Sum) -> Sum:
        if len(a) * len(b) > 40 * self._most:
            raise TooMuchError
        self.spend(len(a) * len(b))
        result: Sum = {}
        for p, c in a.items():
            for q, d in b.items():
                merged, loose = self._merged(p, q)
                if not loose:
                    put(result, merged, c * d)
                    continue
                term: Sum = {merged: c * d}
                for base, e in loose:
                    inner = self.inner[base]
                    assert inner is not None
                    term = self._product(term, self.power(inner, e))
                for product, v in term.items():
                    put(result, product, v)
        if len(result) > self._most:
            raise TooMuchError
        return result

    def _merged(self, p: Product, q: Product) -> tuple[Product, Sequence[tuple[int, Rational]]]:
        """The product of two products, and powers of roots that have become whole, to be worked out."""
        if not p or not q:
            return p or q, ()
        powers = dict(p)
        touched: list[int] = []
        for base, e in q:
            old = powers.get(base)
            if old is None:
                powers[base] = e
            else:
                powers[base] = old + e if type(old) is int and type(e) is int else plus(old, e)
                touched.append(base)
        if len(powers) > MOST_FACTORS:
            raise TooMuchError
        loose: list[tuple[int, Rational]] = []
        for base in touched:
            e = powers[base]
            if not e:
                del powers[base]
            elif self.inner[base] is not None and isinstance(e, Rational):
                plain = self._is_plain(base)
                if e.denominator == 1 and not plain:
                    loose.append((base, e))
                    del powers[base]
                elif self._is_number(base) and not -HALF <= e <= HALF:
                    loose.append((base, int(e)))
                    powers[base] = e - int(e)
        return tuple(sorted(powers.items(), key=itemgetter(0))), loose

    def _is_number(self, base: int) -> bool:
        inner = self.inner[base]
        return inner is not None and len(inner) == 1

    def _is_plain(self, base: int) -> bool:
        """Whether a base is a sum as whole powers have it: of several terms, without a common factor."""
        found = self._plain.get(base)
        if found is None:
            inner = self.inner[base]
            if inner is None or len(inner) < 2:
                found = inner is None
            else:
                found = content(inner) == 1 and not common(inner) and self.leading(inner) > 0
            self._plain[base] = found
        return found

    def leading(self, a: Sum) -> Rational:
        """The coefficient whose sign decides about a sum and its negative."""
        return a[max(a, key=self.order)]

    def order(self, product: Product) -> tuple[object, ...]:
        degree = sum([e for b, e in product if isinstance(e, Rational) and b != E], start=0)
        return (degree, [(-b, e if isinstance(e, Rational) else 0) for b, e in product])

    # powers

    def power(self, a: Sum, e: Exponent, factor: bool = False) -> Sum:
        """a^e; a sum of several terms stays one, as a ``factor`` also with the exponent 1."""
        if e == 1 and not factor:
            return a
        if not e:
            return number(1)
        if not a:
            if isinstance(e, Rational) and e > 0:
                return {}
            raise TooMuchError
        if isinstance(e, Rational) and not -500 <= e <= 500:
            raise TooMuchError
        if len(a) == 1 and (whole(e) or all([self.inner[b] is None for b, _ in next(iter(a))])):
            return self._power_of_product(a, e)
        if not whole(e):
            a = self._out(a)
            if len(a) == 1:
                return self._power_of_product(a, e)
            c = root(content(a), e) if isinstance(e, Rational) else None
            if c is not None and c != 1:
                return {((self.sum_base(scale(a, 1 / content(a))), e),): c}
            return {((self.sum_base(a), e),): 1}
        assert isinstance(e, Rational)
        a = self._out(a)
        if len(a) < 2:
            return self.power(a, e)
        c = content(a)
        shared = common(a)
        if shared:
            a = self._product(a, {self._inverse(shared): 1})
        if self.leading(a) < 0:
            c = -c
        a = scale(a, 1 / c)
        result: Sum = {((self.sum_base(a), e),): raised(c, int(e))}
        return self._product(result, self._power_of_product({shared: 1}, e)) if shared else result

    def _inverse(self, product: Product) -> Product:
        return tuple([(b, -e if isinstance(e, Rational) else exponent(scale(e.sum, -1))) for b, e in product])

    def _power_of_product(self, a: Sum, e: Exponent) -> Sum:
        ((product, c),) = a.items()
        if whole(e):
            assert isinstance(e, Rational)
            if c.numerator.bit_length() * abs(int(e)) > 4000:
                raise TooMuchError
            return self._times(product, e, raised(c, int(e)))
        if product == ONE and c == 1:
            return a
        taken = 1 if c == 1 else root(c, e) if isinstance(e, Rational) else None
        if taken is not None and product and self._may_distribute(product, e):
            return self._times(product, e, taken)
        if taken is not None and not product:
            return number(taken)
        if c > 0 and isinstance(e, Rational) and c != 1 and len(product) == 1 and product[0][0] == E:
            return self._product(self._power_of_product({ONE: c}, e), self._times(product, e, 1))
        return {((self.sum_base(a), e),): 1}

    def _may_distribute(self, product: Product, e: Exponent) -> bool:
        unsure = [(b, k) for b, k in product if not self.is_positive(b)]
        if len(unsure) > 1:
            return False
        if not unsure:
            return all([b == E or self.inner[b] is None for b, _ in product]) or len(product) == 1
        ((_, k),) = unsure
        return len(product) == 1 and isinstance(k, Rational) and (k.denominator != 1 or k.numerator % 2 == 1)

    def _times(self, product: Product, e: Exponent, c: Rational) -> Sum:
        """c times a product with all exponents multiplied by e."""
        result: Sum = {ONE: c}
        for base, k in product:
            if isinstance(k, Rational) and isinstance(e, Rational):
                new: Exponent = rational(k * e)
            else:
                new = exponent(self.multiply(as_sum(k), as_sum(e), out=True))
            # The merge works out what has become whole.
            part: Sum = {((base, new),): 1}
            inner = self.inner[base] if base != E else None
            if inner is not None and isinstance(new, Rational) and new.denominator == 1 and not self._is_plain(base):
                part = self.power(inner, new)
            result = self._product(result, part)
        return result

    def exponential(self, a: Sum) -> Sum:
        """e^a; what is a multiple of a logarithm is a power of its own."""
        return {((E, exponent(a)),): 1} if a else number(1)

    # sums multiplied out, and taken apart

    def expanded(self, a: Sum) -> Sum:
        """The sum with all whole powers of sums multiplied out."""
        result: Sum = {}
        for product, c in a.items():
            sums = [(b, e) for b, e in product if b != E and self.inner[b] is not None and whole(e) and e > 0]  # type: ignore[operator]
            if not sums:
                put(result, product, c)
                continue
            rest = tuple([pair for pair in product if pair not in sums])
            term: Sum = {rest: c}
            for base, e in sums:
                assert isinstance(e, Rational)
                term = self._product(term, self._multiplied_out(base, int(e)))
            result = add(result, term, most=self._most)
        return result

    def _multiplied_out(self, base: int, e: int) -> Sum:
        """A natural power of a sum."""
        if e > self._highest:
            raise TooMuchError
        inner = self.inner[base]
        assert inner is not None
        powers = self._powers.setdefault(base, [])
        if not powers:
            powers.append(self.expanded(inner))
        while len(powers) < e:
            powers.append(self._product(powers[-1], powers[0]))
        return powers[e - 1]

    def _out(self, a: Sum) -> Sum:
        """The sum multiplied out, unless that is too much."""
        try:
            return self.expanded(a)
        except TooMuchError:
            return a

    def divided(self, a: Sum, b: Sum) -> Sum | None:
        """a / b where that is a sum without a rest, else None. Both are polynomials, with natural powers of bases only."""
        if len(b) < 2 or len(a) < len(b):
            return None
        bases = {base: i for i, base in enumerate(bases_of([*a, *b]))}
        rest, divisor = _by_powers(a, bases), _by_powers(b, bases)
        if rest is None or divisor is None:
            return None
        top, last = max(divisor), min(divisor)
        if not _divides(top, max(rest)) or not _divides(last, min(rest)):
            return None
        self.spend(len(a))
        quotient: Sum = {}
        names = list(bases)
        for _ in range(2 * MOST):
            if not rest:
                return quotient
            first = max(rest)
            if not _divides(top, first):
                return None
            c = rational(Fraction(rest[first]) / divisor[top])
            shift = [i - k for i, k in zip(first, top, strict=True)]
            quotient[tuple(sorted([(names[i], e) for i, e in enumerate(shift) if e]))] = c
            take(rest, divisor, shift, c)
        return None

    def substituted(self, a: Sum, base: int, square: Sum) -> Sum:
        """The sum with the square of a base replaced, as often as whole powers hold it."""
        result: Sum = {}
        self.spend(len(a))
        for product, c in a.items():
            e = dict(product).get(base)
            if e is None or not isinstance(e, Rational) or e.denominator != 1 or not 2 <= e <= HIGHEST:
                put(result, product, c)
                continue
            left = e % 2
            rest = tuple([(b, k if b != base else left) for b, k in product if b != base or left])
            term: Sum = {rest: c}
            for _ in range(int(e) // 2):
                term = self._product(term, square)
            result = add(result, term)
        return result


def _by_powers(a: Sum, bases: Mapping[int, int]) -> dict[tuple[int, ...], Rational] | None:
    """Coefficients by the powers of bases; None where some are not natural."""
    found: dict[tuple[int, ...], Rational] = {}
    for product, c in a.items():
        powers = [0] * len(bases)
        for base, e in product:
            if type(e) is not int or e < 0 or base == E:
                return None
            powers[bases[base]] = e
        found[tuple(powers)] = c
    return found


def _divides(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether no power is higher than the other of the same base."""
    return all([i <= k for i, k in zip(a, b, strict=True)])


def bases_of(a: Iterable[Product]) -> Collection[int]:
    """The numbers of the bases in a sum."""
    return dict.fromkeys(base for product in a for base, _ in product)
