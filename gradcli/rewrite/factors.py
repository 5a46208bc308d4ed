"""Irreducible factors of polynomials with whole coefficients.

A polynomial of several variables becomes one of a single variable t by Kronecker's substitution of powers of t, high
enough that no two terms meet. That is factored after Yun (powers of the same factor), Cantor and Zassenhaus (modulo a
prime beyond Mignotte's bound on the coefficients of factors); products of a few of those factors that divide the
polynomial are its own. The methods are those of Geddes, Czapor and Labahn, Algorithms for Computer Algebra (1992), chapter 8.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, count
from math import comb, gcd, isqrt, prod

Polynomial = dict[tuple[int, ...], int]
"""Coefficients by the exponents of the variables."""

Row = list[int]
"""The coefficients of a polynomial of one variable, from the constant on; the last one is not 0."""

LARGEST_DEGREE = 150
"""The degree in t up to which factors are looked for."""

MOST_TRIALS = 3000
"""Products of factors that are tried."""


def factors(f: Mapping[tuple[int, ...], int]) -> list[tuple[Polynomial, int]]:
    """Factors with their powers, each without a common divisor of its coefficients, without the constant and without its sign.

    What is too large to be looked through is one factor as it is.
    """
    left = _primitive(dict(f))
    n = len(next(iter(left)))
    lowest = tuple([min([m[i] for m in left]) for i in range(n)])
    found = [({_unit(n, i): 1}, k) for i, k in enumerate(lowest) if k]
    left = {tuple([a - b for a, b in zip(m, lowest, strict=True)]): c for m, c in left.items()}
    sizes = [max([m[i] for m in left]) + 1 for i in range(n)]
    if prod(sizes) > LARGEST_DEGREE + 1:
        return [*found, (left, 1)] if _is_more_than_one(left) else found
    pieces = [g for g, k in _of_one(_to_row(left, sizes)) for _ in range(k)]
    trials = 0
    size = 1
    while 2 * size <= len(pieces) and trials < MOST_TRIALS:
        for chosen in combinations(range(len(pieces)), size):
            trials += 1
            candidate = _primitive(_from_row(_product([pieces[i] for i in chosen]), sizes))
            power = 0
            while _is_more_than_one(candidate) and (quotient := divided(left, candidate)) is not None:
                left, power = quotient, power + 1
            if power:
                found.append((candidate, power))
                pieces = [g for g, k in _of_one(_to_row(left, sizes)) for _ in range(k)]
                break
            if trials >= MOST_TRIALS:
                break
        else:
            size += 1
    return [*found, (_primitive(left), 1)] if _is_more_than_one(left) else found


def divided(f: Mapping[tuple[int, ...], int], g: Mapping[tuple[int, ...], int]) -> Polynomial | None:
    """f / g where that has whole coefficients and no rest, else None."""
    rest, quotient = dict(f), {}
    top = max(g)
    while rest:
        first = max(rest)
        shift = tuple([a - b for a, b in zip(first, top, strict=True)])
        c, remainder = divmod(rest[first], g[top])
        if remainder or min(shift) < 0:
            return None
        quotient[shift] = c
        for m, d in g.items():
            at = tuple([a + b for a, b in zip(m, shift, strict=True)])
            value = rest.get(at, 0) - c * d
            if value:
                rest[at] = value
            else:
                rest.pop(at, None)
    return quotient


def _unit(n: int, i: int) -> tuple[int, ...]:
    return tuple([int(k == i) for k in range(n)])


def _is_more_than_one(f: Polynomial) -> bool:
    return any([any(m) for m in f])


def _primitive(f: Polynomial) -> Polynomial:
    c = gcd(*f.values()) * (-1 if f[max(f)] < 0 else 1)
    return {m: v // c for m, v in f.items()}


def _to_row(f: Polynomial, sizes: Sequence[int]) -> Row:
    steps = [prod(sizes[:i]) for i in range(len(sizes))]
    places = {sum([a * b for a, b in zip(m, steps, strict=True)]): c for m, c in f.items()}
    return [places.get(k, 0) for k in range(max(places) + 1)]


def _from_row(f: Row, sizes: Sequence[int]) -> Polynomial:
    found: Polynomial = {}
    for k, c in enumerate(f):
        if c:
            m = []
            for size in sizes:
                k, digit = divmod(k, size)
                m.append(digit)
            m[-1] += k * sizes[-1]
            found[tuple(m)] = c
    return found


# polynomials of one variable


def _of_one(f: Row) -> list[tuple[Row, int]]:
    """Irreducible factors of a polynomial, and their powers: Yun's separation of powers, then Zassenhaus."""
    f = _without_content(f)
    if len(f) < 2:
        return []
    found: list[tuple[Row, int]] = []
    slope = _slope(f)
    common = _common(f, slope)
    b, c = _quotient(f, common), _quotient(slope, common)
    for power in count(1):
        d = _sum(c, _slope(b), -1)
        if len(b) < 2:
            return found
        a = _common(b, d)
        found += [(g, power) for g in _irreducible(a)] if len(a) > 1 else []
        b, c = _quotient(b, a), _quotient(d, a)
    return found


def _irreducible(f: Row) -> list[Row]:
    """The factors of a polynomial without multiple ones."""
    if len(f) < 3:
        return [f]
    n = len(f) - 1
    bound = comb(n, n // 2) * (isqrt(sum([c * c for c in f])) + 1) * abs(f[-1])
    p = next(p for p in _primes(2 * bound) if f[-1] % p and len(_common_mod(f, _slope(f), p)) == 1)
    parts = _modular(_monic(f, p), p)
    found: list[Row] = []
    size, trials = 1, 0
    while 2 * size <= len(parts) and trials < MOST_TRIALS:
        for chosen in combinations(range(len(parts)), size):
            trials += 1
            g = [f[-1] % p]
            for i in chosen:
                g = _times(g, parts[i], p)
            g = _without_content([c - p if 2 * c > p else c for c in g])
            whole = _divmod(f, g)
            if whole is not None:
                f = whole
                found.append(g)
                parts = [h for i, h in enumerate(parts) if i not in chosen]
                break
            if trials >= MOST_TRIALS:
                break
        else:
            size += 1
    return [*found, f] if len(f) > 1 else found


def _slope(f: Row) -> Row:
    return _trimmed([k * c for k, c in enumerate(f)][1:])


def _trimmed(f: Row) -> Row:
    n = len(f)
    while n and not f[n - 1]:
        n -= 1
    return f[:n]


def _sum(f: Row, g: Row, factor: int) -> Row:
    n = max(len(f), len(g))
    return _trimmed([a + factor * b for a, b in zip(f + [0] * (n - len(f)), g + [0] * (n - len(g)), strict=True)])


def _product(rows: Sequence[Row]) -> Row:
    result = [1]
    for f in rows:
        result = _multiplied(result, f)
    return result


def _multiplied(f: Row, g: Row) -> Row:
    result = [0] * (len(f) + len(g) - 1) if f and g else []
    for i, a in enumerate(f):
        if a:
            for j, b in enumerate(g):
                result[i + j] += a * b
    return result


def _without_content(f: Row) -> Row:
    c = gcd(*f) * (-1 if f and f[-1] < 0 else 1)
    return [v // c for v in f] if c else f


def _divmod(f: Row, g: Row) -> Row | None:
    """f / g where that has whole coefficients and no rest."""
    rest, quotient = list(f), [0] * max(len(f) - len(g) + 1, 0)
    for k in range(len(f) - len(g), -1, -1):
        c, remainder = divmod(rest[k + len(g) - 1], g[-1])
        if remainder:
            return None
        quotient[k] = c
        for j, b in enumerate(g):
            rest[k + j] -= c * b
    return None if any(rest) else quotient


def _quotient(f: Row, g: Row) -> Row:
    """f / g for a divisor without content."""
    found = _divmod(f, g) if f else []
    assert found is not None
    return found


def _common(f: Row, g: Row) -> Row:
    """The greatest common divisor, without its content: pseudo-remainders, each made primitive."""
    f, g = _without_content(f), _without_content(g)
    while g:
        rest = f
        while len(rest) >= len(g):
            shift = [0] * (len(rest) - len(g))
            rest = _trimmed(_sum([c * g[-1] for c in rest], [*shift, *g], -rest[-1]))
        f, g = g, _without_content(rest)
    return f


# modulo a prime


def _primes(least: int) -> Iterator[int]:
    """Odd numbers from ``least`` on that pass Fermat's test to several bases."""
    return (p for p in count(max(least, 50) | 1, 2) if all([pow(b, p - 1, p) == 1 for b in (2, 3, 5, 7, 11, 13)]))


def _monic(f: Row, p: int) -> Row:
    f = _trimmed([c % p for c in f])
    inverse = pow(f[-1], -1, p)
    return [c * inverse % p for c in f]


def _times(f: Row, g: Row, p: int) -> Row:
    return _trimmed([c % p for c in _multiplied(f, g)])


def _rest(f: Row, g: Row, p: int) -> tuple[Row, Row]:
    """Quotient and rest by a polynomial with leading coefficient 1."""
    rest, quotient = list(f), [0] * max(len(f) - len(g) + 1, 0)
    for k in range(len(f) - len(g), -1, -1):
        c = quotient[k] = rest[k + len(g) - 1] % p
        if c:
            for j, b in enumerate(g):
                rest[k + j] -= c * b
    return quotient, _trimmed([c % p for c in rest[: len(g) - 1]])


def _common_mod(f: Row, g: Row, p: int) -> Row:
    f, g = _trimmed([c % p for c in f]), _trimmed([c % p for c in g])
    while g:
        g = _monic(g, p)
        f, g = g, _rest(f, g, p)[1]
    return _monic(f, p)


def _power(f: Row, e: int, modulus: Row, p: int) -> Row:
    result = [1]
    for bit in bin(e)[2:]:
        result = _rest(_multiplied(result, result), modulus, p)[1]
        if bit == "1":
            result = _rest(_multiplied(result, f), modulus, p)[1]
    return result


def _modular(f: Row, p: int) -> list[Row]:
    """The factors modulo p: those of each degree together, then each by itself."""
    found: list[Row] = []
    x = [0, 1]
    power = x
    for degree in count(1):
        if len(f) - 1 < 2 * degree:
            break
        power = _power(power, p, f, p)
        g = _common_mod(f, _sum(power, x, -1), p)
        if len(g) > 1:
            found += _equal(g, degree, p)
            f = _rest(f, g, p)[0]
            power = _rest(power, f, p)[1]
    return [*found, f] if len(f) > 1 else found


def _equal(f: Row, degree: int, p: int) -> list[Row]:
    """The factors of a product of ones of the same degree."""
    todo, found = [f], []
    for k in count(1):
        if not todo:
            break
        rest: list[Row] = []
        for g in todo:
            if len(g) - 1 == degree:
                found.append(g)
                continue
            start = [k * k + 1, k, 1][: max(2, min(3, len(g) - 1))]
            h = _common_mod(g, _sum(_power(start, (p**degree - 1) // 2, g, p), [1], -1), p)
            rest += [h, _rest(g, h, p)[0]] if 1 < len(h) < len(g) else [g]
        todo = rest
    return found
