"""Decimal text of many floats at once, both ways: what ``float`` reads and ``repr`` writes, to the last bit.

Why: to convert one float takes Python half a microsecond, most of what a row of numbers costs. Here a number times a power
of ten is the sum of two floats (Dekker 1971), exact to 104 bits; whether its nearest float, or the shortest digits that
read back, are certain is then seen from the second one. The few numbers for which they are not, and those far from 1, are
left to Python.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

MOST_DIGITS = 19
"""Digits of an integer that 64 bits hold."""

LONGEST = 24
"""Digits before a point, or behind it, that are read; of more than 19 digits the first ones must be 0 for that to be quick."""

SCALE = 64
"""The exponent of the largest power of ten that numbers are multiplied by; its negative is that of the smallest one."""

PART = 1 << 13
"""Numbers that are written at a time: few enough to stay in the cache."""

UNSURE = 1e-6
"""Units of the 17th digit within which a decision is left to Python; errors are below 1e-14."""

DOT, MINUS, PLUS, COMMA, NEWLINE, ZERO, EXPONENT = b".-+,\n0e"


@cache
def _powers() -> tuple[Array, Array]:
    """10^k for k from -SCALE to SCALE as sums of two floats."""
    import numpy as np

    high, low = [], []
    for k in range(-SCALE, SCALE + 1):
        above, below = (10**k, 1) if k >= 0 else (1, 10**-k)
        nearest = above / below
        p, q = nearest.as_integer_ratio()
        high.append(nearest)
        low.append((above * q - p * below) / (below * q))
    return np.array(high), np.array(low)


def _times(x: Array, high: Array, low: Array) -> tuple[Array, Array]:
    """x times the sum of two floats, as such a sum: a float and what is left."""
    split = 134217729.0 * x
    a = split - (split - x)
    b = x - a
    split = 134217729.0 * high
    c = split - (split - high)
    d = high - c
    y = x * high
    rest = (((a * c - y) + a * d) + b * c) + b * d
    rest += x * low
    total = y + rest
    return total, rest - (total - y)


# from text


def read(data: bytes, columns: int) -> Array | None:
    """Lines of that many plain numbers between commas as an array [lines, columns].

    None where some line is anything else, and may still be numbers: between quotes or spaces, infinite, or too long.
    """
    import numpy as np

    if not data or data.translate(None, b"0123456789+-.eE,\n"):
        return None
    if not data.endswith(b"\n"):
        data += b"\n"
    text = _Text(data)
    ends = text.places((text.bytes == COMMA) | (text.bytes == NEWLINE))
    if len(ends) % columns or np.any(
        (text.at(ends).reshape(-1, columns) == NEWLINE) != (np.arange(columns) == columns - 1)
    ):
        return None
    starts = np.concatenate(([LONGEST], ends[:-1] + 1))
    stops, scale = ends, np.zeros(len(ends), np.int64)
    if b"e" in data or b"E" in data:
        marks = text.places(text.bytes | 32 == EXPONENT)
        fields = np.searchsorted(ends, marks)
        negative, begins = text.signs(marks + 1)
        exponents = text.digits(begins, ends[fields], 4)
        if exponents is None or np.any(np.diff(fields) == 0) or np.any(begins >= ends[fields]):
            return None
        stops = ends.copy()
        stops[fields] = marks
        scale[fields] = np.where(negative, -1, 1) * exponents[0].astype(np.int64)
    found = _decimals(text, starts, ends, stops)
    if found is None:
        return None
    whole, behind, negative, short = found
    scale -= behind
    with np.errstate(all="ignore"):
        values, sure = _scaled(whole, np.clip(scale, -SCALE, SCALE))
    values = np.where(negative, -values, values)
    for k in np.flatnonzero(~(sure & short) | (np.abs(scale) > SCALE)).tolist():
        values[k] = float(text.between(starts[k], ends[k]))
    return values.reshape(-1, columns)


class _Decimals(NamedTuple):
    """Digits as integers, how many stand behind a point, where there is a minus, and where 64 bits do."""

    whole: Array
    behind: Array
    negative: Array
    short: Array


def _decimals(text: _Text, starts: Array, ends: Array, stops: Array) -> _Decimals | None:
    """What a text says from starts to stops: a sign or none, then digits and at most one point; fields end at ``ends``.

    None where some say anything else.
    """
    import numpy as np

    negative, starts = text.signs(starts)
    points = dots = text.places(text.bytes == DOT)
    if len(dots) == len(ends) and np.all((starts <= dots) & (dots < stops)):
        behind = stops - dots - 1
    else:
        fields = np.searchsorted(ends, dots)
        points, behind = stops.copy(), np.zeros(len(ends), np.int64)
        points[fields] = dots
        behind[fields] = stops[fields] - dots - 1
        if np.any(np.diff(fields) == 0) or np.any(behind < 0) or np.any(points < starts):
            return None
    if np.any(points - starts + behind < 1):
        return None
    fraction, integer = text.digits(stops - behind, stops, LONGEST), text.digits(starts, points, LONGEST)
    if fraction is None or integer is None:
        return None
    limit, power = _limits()
    (whole, fits), (above, fits_above) = _joined(fraction), _joined(integer)
    short = fits & fits_above & (above < limit[behind])
    return _Decimals(whole + above * power[behind], behind, negative, short)


@cache
def _limits() -> tuple[Array, Array]:
    """For each number of digits behind a point: below what the integer before it must be for 19 digits, and that power of ten."""
    import numpy as np

    limit = [10 ** max(MOST_DIGITS - k, 0) for k in range(LONGEST + 1)]
    power = [10 ** min(k, MOST_DIGITS) for k in range(LONGEST + 1)]
    return np.array(limit, np.uint64), np.array(power, np.uint64)


def _joined(parts: list[Array]) -> tuple[Array, Any]:
    """Integers from their digits, eight at a time from the last ones on, and whether they have at most 19 of them."""
    import numpy as np

    total = parts[0]
    for k, part in enumerate(parts[1:], 1):
        total = total + part * np.uint64(10 ** (8 * k))
    return total, parts[2] < 1000 if len(parts) > 2 else True


@cache
def _masks() -> Array:
    """Of a word the last so many of its eight bytes, from 0 to 8."""
    import numpy as np

    return np.array([(1 << 64) - (1 << (64 - 8 * k)) for k in range(9)], np.uint64)


class _Text:
    """A text of which words of eight bytes are looked at, from any place on; places count from the padding in front."""

    def __init__(self, data: bytes) -> None:
        import numpy as np

        self._data = b"".join((bytes(LONGEST), data, bytes(8 + -len(data) % 8)))
        self._words = np.frombuffer(self._data, "<u8")
        self._all = np.frombuffer(self._data, np.uint8)
        self.bytes = self._all[LONGEST : LONGEST + len(data)]

    def places(self, where: Array) -> Array:
        """The places of some bytes of the text."""
        import numpy as np

        found: Array = np.flatnonzero(where)
        found += LONGEST
        return found

    def at(self, places: Array) -> Array:
        found: Array = self._all[places]
        return found

    def between(self, start: int, stop: int) -> bytes:
        return self._data[start:stop]

    def signs(self, starts: Array) -> tuple[Array, Array]:
        """Where there is a minus, and where what follows a sign, if there is one, begins."""
        first = self.at(starts)
        negative = first == MINUS
        return negative, starts + (negative | (first == PLUS))

    def digits(self, starts: Array, stops: Array, most: int) -> list[Array] | None:
        """The numbers that the digits from starts to stops are, eight of them at a time from the last ones on; at least one part.

        None where there is anything but digits, or more than ``most`` of them. Source of the arithmetic on words:
        Lemire, *Quickly parsing eight digits* (2018).
        """
        import numpy as np

        length = stops - starts
        if length.max() > most or length.min() < 0:
            return None
        at, shift = stops >> 3, ((stops & 7) << 3).astype(np.uint64)
        back = 63 - shift
        above = self._words[at]
        parts: list[Array] = []
        odd = np.zeros(len(starts), np.uint64)
        for k in range(-(-int(length.max()) // 8)):
            below = self._words[at - (1 + k)]
            word = above << 1
            word <<= back
            word |= below >> shift
            above = below
            word ^= 0x3030303030303030
            word &= _masks()[np.clip(length - 8 * k, 0, 8)]
            odd |= word + 0x7676767676767676
            for factor, places, mask in ((2561, 8, 0x00FF00FF00FF00FF), (6553601, 16, 0x0000FFFF0000FFFF)):
                word *= factor
                word >>= places
                word &= mask
            word *= 42949672960001
            word >>= 32
            parts.append(word)
        if np.any(odd & 0x8080808080808080):
            return None
        return parts or [odd]


def _scaled(whole: Array, scale: Array) -> tuple[Array, Array]:
    """The floats nearest to integers times powers of ten, and whether each is certain."""
    import numpy as np

    high, low = (power[scale + SCALE] for power in _powers())
    x = whole.astype(np.float64)
    left = (whole - x.astype(np.uint64)).view(np.int64).astype(np.float64)
    y, rest = _times(x, high, low)
    rest += left * high
    total = y + rest
    rest -= total - y
    half = np.abs(np.spacing(total)) / 2
    apart = np.abs(rest)
    clear = (np.abs(apart - half) > half * 1e-9) & (np.abs(apart - half / 2) > half * 1e-9)
    return total, clear | (whole == 0)


# to text


def written(values: Array) -> list[str]:
    """For each float64 of a flat array what ``repr`` gives for it, with ``0.0`` for -0.0."""
    texts: list[str] = []
    for start in range(0, len(values), PART):
        lines = characters(values[start : start + PART])
        lines[:, -1] = NEWLINE
        texts += text_of(lines).split("\n")[:-1]
    return texts


def text_of(characters: Array) -> str:
    """The text of an array of characters, without those that are 0."""
    return characters.tobytes().translate(None, b"\0").decode()


def characters(values: Array) -> Array:
    """The same texts as bytes [values, WIDTH], filled with zeros; the last byte of each is free."""
    import numpy as np

    texts = np.empty((len(values), WORDS), "<u8")
    with np.errstate(all="ignore"):
        for start in range(0, len(values), PART):
            part = values[start : start + PART]
            size = np.abs(part)
            plain, zero = (size > 1e-45) & (size < 1e45), size == 0
            digits, exponent, kept, sure = _shortest(np.where(plain, size, 1.0))
            digits *= ~zero
            own = texts[start : start + PART]
            _lay_out(own, part < 0, digits, exponent, kept)
            rest = np.flatnonzero(~(plain & sure | zero))
            if len(rest):
                others = [repr(value).encode() for value in (part[rest] + 0.0).tolist()]
                own[rest] = np.array(others, f"S{WIDTH}").view("<u8").reshape(-1, WORDS)
    return texts.view(np.uint8)


def _shortest(x: Array) -> tuple[Array, Array, Array, Array]:
    """The shortest digits that read back as x > 0, as an integer of 17 digits, the decimal exponent of the first one.

    Then how many digits count, zeros at the end not among them, and whether all this is certain.
    """
    import numpy as np

    powers, more = _powers()
    bits = x.view(np.int64)
    binary = (bits >> 52) - 1023
    exponent = (binary * 315653) >> 20  # times log10(2): right, or 1 too low
    exponent += x * powers[SCALE + 16 - exponent] >= 1e17
    high = powers[SCALE + 16 - exponent]
    y, rest = _times(x, high, more[SCALE + 16 - exponent])
    below = np.floor(rest)
    whole = y.astype(np.int64) + below.astype(np.int64)
    rest -= below
    # x is read from all decimals that are less than this away; below a power of two only from half as many.
    reach = (bits & (0x7FF << 52)).view(np.float64) * 2.0**-53 * high
    edge = bits & ((1 << 52) - 1) == 0
    reach = np.where(edge, reach / 2, reach)
    found = []
    for unit in (100, 10):
        count = whole // unit
        over = (whole - count * unit) + rest
        up = over > unit / 2
        apart = np.abs(over - unit * up)
        found.append(
            ((count + up) * unit, apart < reach, np.abs(apart - reach) > UNSURE, np.abs(over - unit / 2) > UNSURE)
        )
    (fifteen, is_fifteen, sure15, _), (sixteen, is_sixteen, sure16, single) = found
    seventeen = whole + (rest > 0.5)
    digits = np.where(is_fifteen, fifteen, np.where(is_sixteen, sixteen, seventeen))
    sure = sure15 & (is_fifteen | (sure16 & single & (np.abs(rest - 0.5) > UNSURE) & ~edge))
    sure &= (whole >= 10**16) & (whole < 10**17)
    long = digits >= 10**17  # rounded up to 1000…
    digits = np.where(long, digits // 10, digits)
    kept = np.where(is_sixteen, 16, 17)
    rows = np.flatnonzero(is_fifteen)
    if len(rows):
        some, left = digits[rows], np.full(len(rows), 17)
        for step in (8, 4, 2, 1, 1):
            none = some % 10**step == 0
            some = np.where(none, some // 10**step, some)
            left -= step * none
        kept[rows] = left
    return digits, exponent + long, kept, sure


WORDS = 4
WIDTH = 8 * WORDS
"""Bytes of a text: a sign, what stands in front, 17 digits and a point, an exponent, and one that is free."""

NO_POINT = 17
"""The place of a point that is not among the digits."""


class _Words(NamedTuple):
    """Words of eight characters, the first one in the lowest byte, that texts are put together from.

    ``four`` are the numbers below 10000; ``first`` keep the first so many characters, from 0 to 8; ``before`` [2, places]
    keep what stands before a point at a place among the digits after the first one, ``point`` [2, places] is that point; ``front``
    stands before the digits of numbers below 1, by the exponent's size; and ``exponent`` are those from -SCALE to SCALE.
    """

    four: Array
    first: Array
    before: Array
    point: Array
    front: Array
    exponent: Array


@cache
def _words() -> _Words:
    import numpy as np

    def words(texts: list[bytes], size: int = 8) -> Array:
        return (
            np.frombuffer(b"".join([text.ljust(size, b"\0") for text in texts]), "<u8").reshape(len(texts), -1).T.copy()
        )

    places = range(NO_POINT + 1)
    return _Words(
        words([b"%04d" % k for k in range(10000)])[0],
        words([b"\xff" * k for k in range(9)])[0],
        words([b"\xff" * min(k, 16) for k in places], 16),
        words([b"\0" * k + b"." if k < 16 else b"" for k in places], 16),
        words([b"\0" + b"0.000"[: k + 1] if k else b"" for k in range(5)])[0],
        words([b"\0e%+03d" % e for e in range(-SCALE, SCALE + 1)])[0],
    )


def _eight_digits(x: Array) -> Array:
    """The characters of integers below 10^8."""
    four = _words().four
    above = x // 10**4
    found: Array = four[x - above * 10**4] << 32
    found |= four[above]
    return found


def _lay_out(texts: Array, negative: Array, digits: Array, exponent: Array, kept: Array) -> None:
    """Fill in texts [numbers, WORDS] from their 17 digits (the first ``kept`` are written) and the exponent of the first one."""
    import numpy as np

    words = _words()
    high = digits // 10**8
    low = digits - high * 10**8
    first = high // 10**8
    high -= first * 10**8
    integral = (exponent >= 0) & (exponent < 16)
    small = (exponent < 0) & (exponent > -5)
    kept = np.where(integral, np.maximum(kept, exponent + 2), kept)  # 100.0
    place = np.where(integral, exponent, np.where(small | (kept == 1), NO_POINT, 0))
    texts[:, 0] = words.front[np.where(small, -exponent, 0)]
    texts[:, 0] |= (first + ZERO).astype(np.uint64) << 56 | negative * np.uint64(MINUS)
    # The digits after the first one are two words: those before the point stay, the others make room for it.
    after: Array = np.zeros(len(digits), np.uint64)
    for k, part in enumerate((high, low)):
        some = _eight_digits(part)
        some &= words.first[np.clip(kept - (1 + 8 * k), 0, 8)]
        before = some & words.before[k][place]
        some ^= before
        texts[:, 1 + k] = before | words.point[k][place] | some << 8 | after
        after = some >> 56
    powers = np.flatnonzero(~(integral | small))
    after[powers] |= words.exponent[exponent[powers] + SCALE]
    texts[:, 3] = after
