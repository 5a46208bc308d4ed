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

LONGEST = 26
"""Digits and a point that are read; of more than 19 digits the first ones must be 0 for that to be quick."""

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
    text = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero((text == COMMA) | (text == NEWLINE))
    if len(ends) % columns or np.any(
        (text[ends].reshape(-1, columns) == NEWLINE) != (np.arange(columns) == columns - 1)
    ):
        return None
    starts = np.concatenate(([0], ends[:-1] + 1))
    stops, scale = ends, np.zeros(len(ends), np.int64)
    marks = np.flatnonzero(text | 32 == EXPONENT)
    if len(marks):
        fields = np.searchsorted(ends, marks)
        exponents = _decimals(text, marks + 1, ends[fields], 4)
        if exponents is None or np.any(np.diff(fields) == 0) or np.any(exponents.behind >= 0):
            return None
        stops = ends.copy()
        stops[fields] = marks
        scale[fields] = np.where(exponents.negative, -1, 1) * exponents.whole.astype(np.int64)
    found = _decimals(text, starts, stops, LONGEST)
    if found is None:
        return None
    whole, behind, negative, short = found
    scale -= np.maximum(behind, 0)
    with np.errstate(all="ignore"):
        values, sure = _scaled(whole, np.clip(scale, -SCALE, SCALE))
    values = np.where(negative, -values, values)
    for k in np.flatnonzero(~(sure & short) | (np.abs(scale) > SCALE)).tolist():
        values[k] = float(data[starts[k] : ends[k]])
    return values.reshape(-1, columns)


class _Decimals(NamedTuple):
    """Digits as integers, how many stand behind a point (-1 without one), where there is a minus, where 64 bits do."""

    whole: Array
    behind: Array
    negative: Array
    short: Array


def _decimals(text: Array, starts: Array, stops: Array, width: int) -> _Decimals | None:
    """The parts of a text from starts to stops: a sign or none, then digits and at most one point, up to ``width`` of them.

    None where some are anything else.
    """
    import numpy as np

    first = text[np.minimum(starts, len(text) - 1)]
    negative = first == MINUS
    starts = starts + (negative | (first == PLUS))
    length = stops - starts
    if length.min() < 1 or length.max() > width:
        return None
    width = min(width, int(length.max() + length.max() % 2))
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate((np.zeros(width, np.uint8), text)), width)
    characters = np.ascontiguousarray(windows[stops].T)  # [width, numbers]: those before each stop
    digits = characters - np.uint8(ZERO)
    digits *= np.arange(width)[:, None] >= width - length
    places, fields = np.divmod(np.flatnonzero((characters == DOT) & (digits > 0)), len(length))
    point = np.full(len(length), -1)
    point[fields] = places
    behind = np.where(point < 0, -1, width - 1 - point)
    if np.any(length == (point >= 0)):
        return None
    if len(fields):
        # What stands before the point moves one place on, over it; a second one is too large a digit.
        before = np.arange(width)[:, None] <= point
        moved = digits[:-1] * before[1:]
        digits *= ~before
        digits[1:] |= moved
    if digits.max() > 9:
        return None
    short = ~digits[: max(width - MOST_DIGITS, 0)].any(axis=0)
    pairs = digits[::2] * np.uint8(10) + digits[1::2]
    whole = np.zeros(len(length), np.uint64)
    for pair in pairs:
        whole *= np.uint64(100)
        whole += pair
    return _Decimals(whole, behind, negative, np.asarray(short))


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

    texts = np.empty((len(values), WIDTH), np.uint8)
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
                own[rest] = np.array(others, f"S{WIDTH}").view(np.uint8).reshape(-1, WIDTH)
    return texts


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


@cache
def _four_digits() -> Array:
    """The text of each number below 10000 as the bytes of an integer."""
    import numpy as np

    return np.frombuffer(b"".join([b"%04d" % k for k in range(10000)]), np.uint32)


FRONT = b"0.000"
"""What stands before the digits of the smallest number without an exponent."""

WIDTH = 1 + len(FRONT) + 18 + 5 + 1
"""Bytes of a text: a sign, what stands in front, 17 digits and a point, an exponent, and one that is free."""


@cache
def _exponents() -> Array:
    """The text of exponents from -SCALE to SCALE, filled with bytes of 0."""
    import numpy as np

    texts = [(b"e%+03d" % e).ljust(5, b"\0") for e in range(-SCALE, SCALE + 1)]
    return np.frombuffer(b"".join(texts), np.uint8).reshape(-1, 5)


def _lay_out(texts: Array, negative: Array, digits: Array, exponent: Array, kept: Array) -> None:
    """Fill in the texts of numbers from their 17 digits (the first ``kept`` are written) and the exponent of the first one."""
    import numpy as np

    table = _four_digits()
    count = len(digits)
    shown = np.empty((20, count), np.uint8)
    high, low = np.divmod(digits, 10**8)
    first, high = np.divmod(high, 10**8)
    for k, part in enumerate([first, *np.divmod(high, 10**4), *np.divmod(low, 10**4)]):
        shown[4 * k : 4 * k + 4] = table[part].view(np.uint8).reshape(count, 4).T
    shown = shown[3:]
    integral = (exponent >= 0) & (exponent < 16)
    small = (exponent < 0) & (exponent > -len(FRONT))
    kept = np.where(integral, np.maximum(kept, exponent + 2), kept)  # 100.0
    places = np.arange(17, dtype=np.uint8)[:, None]
    shown *= places < kept.astype(np.uint8)
    # Each byte of the texts in a row of its own, which NumPy is quick at.
    start, stop = 1 + len(FRONT), WIDTH - 6
    lines = np.zeros((WIDTH, count), np.uint8)
    lines[0] = negative * np.uint8(MINUS)
    for k, character in enumerate(FRONT, 1):
        lines[k] = (small & (exponent < min(2 - k, 0))) * np.uint8(character)
    before = np.where(small, 16, np.where(integral, exponent, 0)).astype(np.uint8)
    ahead = places <= before
    lines[start : stop - 1] = shown * ahead
    lines[start + 1 : stop] |= shown * ~ahead
    lines[start + 1 + before, np.arange(count)] = np.where(integral | ~small & (shown[1] > 0), DOT, 0)
    powers = np.flatnonzero(~(integral | small))
    if len(powers):
        lines[stop : stop + 5, powers] = _exponents()[exponent[powers] + SCALE].T
    for k, line in enumerate(lines):
        texts[:, k] = line
