"""Compares output with what is expected: text exactly, numbers within what another BLAS may change."""

from __future__ import annotations

import math
import re

# Not the digits of a name (w1) or of a dtype (float64).
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.])")


def difference(actual: str, expected: str, tolerance: float = 1e-12) -> str | None:
    """The first line that differs, or None.

    Integers are text. Floats may differ by ``tolerance`` times the largest number of their line, for an entry near zero
    is what large ones have left over.
    """
    ours, theirs = actual.split("\n"), expected.split("\n")
    for number, (a, b) in enumerate(zip(ours, theirs, strict=False), 1):
        if not _same(a, b, tolerance):
            return f"line {number}:\n  expected {b!r}\n  got      {a!r}"
    if len(ours) != len(theirs):
        return f"expected {len(theirs) - 1} lines, got {len(ours) - 1}"
    return None


def _same(a: str, b: str, tolerance: float) -> bool:
    ours, theirs = _floats(a), _floats(b)
    if _frame(a) != _frame(b) or len(ours) != len(theirs):
        return False
    allowed = tolerance * max(map(abs, theirs), default=0.0)
    return all(math.isclose(x, y, rel_tol=0, abs_tol=max(allowed, 1e-15)) for x, y in zip(ours, theirs, strict=True))


def _is_float(text: str) -> bool:
    return not text.lstrip("-").isdigit()


def _floats(line: str) -> list[float]:
    return [float(m[0]) for m in NUMBER.finditer(line) if _is_float(m[0])]


def _frame(line: str) -> str:
    """The line with a hole for each float; how many spaces align columns depends on their digits."""
    holed = NUMBER.sub(lambda m: "#.#" if _is_float(m[0]) else m[0], line)
    return re.sub(r"(?<=\S)  +", "  ", holed)
