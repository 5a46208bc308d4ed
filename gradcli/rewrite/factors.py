"""Irreducible factors of polynomials with whole coefficients.

A polynomial of several variables whose images with numbers in place of all variables but one have no factors has none
itself. Else it becomes one of a single variable t by Kronecker's substitution of powers of t, high enough that no two
terms meet. That is factored after Yun (powers of the same factor), Cantor and Zassenhaus (modulo a small prime, lifted
after Hensel beyond Mignotte's bound on the coefficients of factors); products of a few of those factors that divide the
polynomial are its own. The methods are those of Geddes, Czapor and Labahn, Algorithms for Computer Algebra (1992), chapters
6 and 8.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, count
from math import comb, gcd, isqrt, prod

from gradcli.rewrite.sums import take

Polynomial = dict[tuple[int, ...], int]
"""Coefficients by the exponents of the variables."""

Row = list[int]
"""The coefficients of a polynomial of one variable, from the constant on; the last one is not 0."""

LARGEST_DEGREE = 150
"""The degree in t up to which factors are looked for."""

MOST_TRIALS = 1000
"""Products of factors that are tried."""

PRIMES = 4
"""How many primes say of which degrees factors may be."""

NUMBERS = (3, 5, -7, 11, -13, 2, 17, -19, 23, 29)
"""What stands for variables in images of one variable."""


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
    if not _is_more_than_one(left):
        return found
    if prod(sizes) > LARGEST_DEGREE + 1 or _is_surely_irreducible(left):
        return [*found, (left, 1)]
    pieces = [g for g, k in _of_one(_to_row(left, sizes)) for _ in range(k)]
    trials = 0
    size = 1
    while 2 * size <= len(pieces) and trials < MOST_TRIALS:
        for chosen in _of_fitting_degrees(pieces, size, left, sizes):
            trials += 1
            candidate = _primitive(_from_row(_product([pieces[i] for i in chosen]), sizes))
            power = 0
            while _is_more_than_one(candidate) and (quotient := divided(left, candidate)) is not None:
                left, power = quotient, power + 1
            if power:
                found.append((candidate, power))
                used = [pieces[i] for i in chosen]
                for g in used * power:
                    pieces.remove(g)
                break
            if trials >= MOST_TRIALS:
                break
        else:
            size += 1
    return [*found, (_primitive(left), 1)] if _is_more_than_one(left) else found


def _of_fitting_degrees(
    pieces: Sequence[Row], size: int, left: Polynomial, sizes: Sequence[int]
) -> Iterator[tuple[int, ...]]:
    """Choices of pieces whose product may divide a polynomial: its leading term divides the leading term."""
    leading = _digits(len(_to_row(left, sizes)) - 1, sizes)
    for chosen in combinations(range(len(pieces)), size):
        degree = sum([len(pieces[i]) - 1 for i in chosen])
        if all([a <= b for a, b in zip(_digits(degree, sizes), leading, strict=True)]):
            yield chosen


def _is_surely_irreducible(f: Polynomial) -> bool:
    """Whether images of one variable show that a polynomial of several has no factors.

    Where images of the same degree in each variable have none, each variable is in one factor only. Then, an image that
    changes with what stands for another variable shows that both are in the same.
    """
    n = len(next(iter(f)))
    used = [i for i in range(n) if any([m[i] for m in f])]
    if len(used) < 2:
        return False
    first = _image_without_factors(f, used[0])
    if first is None or any([_image_without_factors(f, i) is None for i in used[1:]]):
        return False
    image, values = first
    others = [[v + (i == k) for i, v in enumerate(values)] for k in used[1:]]
    return all([_image(f, used[0], changed) != image for changed in others])


def _image_without_factors(f: Polynomial, main: int) -> tuple[Row, list[int]] | None:
    """An image of the same degree in a variable that has no factors, and what stands for the others, if one is soon found."""
    n = len(next(iter(f)))
    degree = max([m[main] for m in f])
    for attempt in range(2):
        values = [NUMBERS[(i + 3 * attempt) % len(NUMBERS)] for i in range(n)]
        image = _image(f, main, values)
        if len(image) - 1 == degree and _has_no_factors(image):
            return image, values
    return None


def _image(f: Polynomial, main: int, values: Sequence[int]) -> Row:
    """A polynomial with numbers in place of all variables but one, without content."""
    row = [0] * (max([m[main] for m in f]) + 1)
    for m, c in f.items():
        row[m[main]] += c * prod([v**k for i, (v, k) in enumerate(zip(values, m, strict=True)) if i != main])
    return _without_content(_trimmed(row))


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
        take(rest, g, shift, c)
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
            found[_digits(k, sizes)] = c
    return found


def _digits(k: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """The exponents of the variables that a power of t stands for."""
    m = []
    for size in sizes:
        k, digit = divmod(k, size)
        m.append(digit)
    m[-1] += k * sizes[-1]
    return tuple(m)


# polynomials of one variable


def _of_one(f: Row) -> list[tuple[Row, int]]:
    """Irreducible factors of a polynomial, and their powers: Yun's separation of powers, then Zassenhaus."""
    f = _without_content(f)
    if len(f) < 2:
        return []
    if next(iter(_good_primes(f, PRIMES)), None) is not None:
        return [(g, 1) for g in _irreducible(f)]
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


def _good_primes(f: Row, most: int) -> Iterator[int]:
    """Those of the first primes modulo which a polynomial keeps its degree and has no multiple factors."""
    slope = _slope(f)
    for p, _ in zip(_primes(50), range(most), strict=False):
        if f[-1] % p and len(_common_mod(f, slope, p)) == 1:
            yield p


def _has_no_factors(f: Row) -> bool:
    """Whether small primes show that a polynomial is irreducible."""
    possible = -1
    for p in _good_primes(f, PRIMES):
        possible &= _possible_degrees(_by_degree(_monic(f, p), p))
        if possible == _only(f):
            return True
    return len(f) == 2


def _only(f: Row) -> int:
    """The degrees of the factors of an irreducible polynomial, as bits: 0 and its own."""
    return 1 | 1 << len(f) - 1


def _possible_degrees(groups: Sequence[tuple[Row, int]]) -> int:
    """The degrees that products of factors have, as bits, for factors of each degree together."""
    bits = 1
    for g, degree in groups:
        for _ in range((len(g) - 1) // degree):
            bits |= bits << degree
    return bits


def _irreducible(f: Row) -> list[Row]:
    """The factors of a polynomial without multiple ones."""
    if len(f) < 3:
        return [f]
    possible = -1
    rows: list[tuple[int, int, list[tuple[Row, int]]]] = []
    for p in _good_primes(f, 1000):
        groups = _by_degree(_monic(f, p), p)
        possible &= _possible_degrees(groups)
        if possible == _only(f):
            return [f]
        rows.append((sum([(len(g) - 1) // degree for g, degree in groups]), p, groups))
        if len(rows) == PRIMES:
            break
    _, p, groups = min(rows)
    n = len(f) - 1
    bound = 2 * comb(n, n // 2) * (isqrt(sum([c * c for c in f])) + 1) * abs(f[-1])
    parts, q = _lifted(f, [g for product, degree in groups for g in _equal(product, degree, p)], p, bound)
    found: list[Row] = []
    size, trials = 1, 0
    while 2 * size <= len(parts) and trials < MOST_TRIALS:
        for chosen in combinations(range(len(parts)), size):
            if not possible >> sum([len(parts[i]) - 1 for i in chosen]) & 1:
                continue
            trials += 1
            g = [f[-1] % q]
            for i in chosen:
                g = _times(g, parts[i], q)
            g = _without_content([c - q if 2 * c > q else c for c in g])
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


def _lifted(f: Row, parts: Sequence[Row], p: int, bound: int) -> tuple[list[Row], int]:
    """Factors modulo p, with leading coefficient 1, as ones modulo a power of p beyond a bound; and that power.

    Hensel's lifting: what is left of f, divided by the power that has been reached, is shared out in partial fractions.
    """
    others = [_rest(_product([g for g in parts if g is not own]), own, p)[1] for own in parts]
    shares = [_inverse(_trimmed([c % p for c in h]), own, p) for h, own in zip(others, parts, strict=True)]
    found = [list(g) for g in parts]
    q = p
    while q <= bound:
        inverse = pow(f[-1], -1, q * p)
        product = [1]
        for g in found:
            product = _times(product, g, q * p)
        left = [(c * inverse - d) % (q * p) // q for c, d in zip(f, product, strict=True)]
        for i, (share, own) in enumerate(zip(shares, parts, strict=True)):
            change = _rest(_multiplied(_rest(left, own, p)[1], share), own, p)[1]
            found[i] = [c + q * d for c, d in zip(found[i], [*change, *[0] * len(found[i])], strict=False)]
        q *= p
    return found, q


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
    return (p for p in count(least | 1, 2) if all([pow(b, p - 1, p) == 1 for b in (2, 3, 5, 7, 11, 13)]))


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


def _inverse(f: Row, modulus: Row, p: int) -> Row:
    """The inverse of a polynomial modulo another that has no factor in common with it, after Euclid."""
    a, b = list(modulus), f
    x, y = [], [1]
    while len(b) > 1:
        scale = pow(b[-1], -1, p)
        quotient, rest = _rest(a, [c * scale % p for c in b], p)
        quotient = [c * scale % p for c in quotient]
        a, b = b, rest
        x, y = y, _trimmed([c % p for c in _sum(x, _multiplied(quotient, y), -1)])
    scale = pow(b[0], -1, p)
    return _rest([c * scale for c in y], modulus, p)[1]


def _by_degree(f: Row, p: int) -> list[tuple[Row, int]]:
    """The products of the factors modulo p that have the same degree, each with that degree."""
    found: list[tuple[Row, int]] = []
    x = [0, 1]
    power = x
    for degree in count(1):
        if len(f) - 1 < 2 * degree:
            break
        power = _power(power, p, f, p)
        g = _common_mod(f, _sum(power, x, -1), p)
        if len(g) > 1:
            found.append((g, degree))
            f = _rest(f, g, p)[0]
            power = _rest(power, f, p)[1]
    return [*found, (f, len(f) - 1)] if len(f) > 1 else found


def _equal(f: Row, degree: int, p: int) -> list[Row]:
    """The factors of a product of ones of the same degree."""
    todo, found = [f], []
    numbers = random.Random(degree)
    while todo:
        g = todo.pop()
        if len(g) - 1 == degree:
            found.append(g)
            continue
        start = _trimmed([numbers.randrange(p) for _ in g[1:]])
        h = _common_mod(g, _sum(_power(start, (p**degree - 1) // 2, g, p), [1], -1), p) if len(start) > 1 else []
        todo += [h, _rest(g, h, p)[0]] if 1 < len(h) < len(g) else [g]
    return found
