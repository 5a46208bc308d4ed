"""What a command or an interface call answers: one record per name, a value or None with its reason."""

from __future__ import annotations

import math
from typing import Any

from gradcli.diagnostics import Span
from gradcli.tuples import NamedTuple


class Reason(NamedTuple):
    """Why a gradient is None.

    ``text`` is a phrase without a place (``cut by stop_gradient(a)``), ``tail`` what follows the place;
    ``span`` is the place in the source, if there is one.
    """

    text: str
    span: Span | None = None
    tail: str = ""

    def with_line(self) -> str:
        """For a terminal: ``passes through floor on line 3, which has no derivative``."""
        place = f" on line {self.span.line}" if self.span else ""
        return self.text + place + self.tail

    def with_place(self) -> str:
        """For JSON: ``cut by stop_gradient(a), f.expr:5:12``."""
        place = f", {self.span.source.name}:{self.span.line}:{self.span.column}" if self.span else ""
        return self.text + self.tail + place


class Result(NamedTuple):
    """A named result.

    ``value`` is a NumPy array (0-dimensional for a scalar) whose dtype is one of bool, int32, int64, float32, float64,
    or a plain number with such a dtype and the shape of a scalar (:mod:`gradcli.execute.plain_numbers`), or None where there is none; then ``reason`` says why. A gradient with a value is *connected*.
    """

    name: str
    value: Any
    reason: Reason | None = None

    @property
    def connected(self) -> bool:
        return self.value is not None

    @property
    def finite(self) -> bool:
        """Whether no entry is NaN or infinite; None counts as finite."""
        if self.value is None or self.value.dtype.kind != "f":
            return True
        if isinstance(self.value, float):
            return math.isfinite(self.value)
        import numpy as np

        return bool(np.isfinite(self.value).all())


class Block(NamedTuple):
    """A matrix of derivatives: of the entries of ``row`` by those of ``column``.

    ``value`` has the shape ``row_shape + column_shape``. In a pattern of non-zeros it is bool.
    """

    name: str
    row: str
    column: str
    row_shape: tuple[int, ...]
    column_shape: tuple[int, ...]
    value: Any


class Kink(NamedTuple):
    """A place at which the program is not smooth: ``abs at 0``, met by so many entries of ``size``.

    ``slope`` says what the derivative is taken as, and what it is on both sides.
    """

    text: str
    span: Span | None
    entries: int
    size: int = 1
    slope: str = ""

    def with_line(self) -> str:
        """``abs at 0, line 4``."""
        return self.text + (f", line {self.span.line}" if self.span else "")


class Comparison(NamedTuple):
    """The gradient with respect to one variable, by reverse mode and by another method, where they differ most.

    ``entry`` names that place (``W[2, 0]``, ``W along direction 1``), ``position`` its indices, or None in a
    direction. ``verdict`` is ``ok``; ``kink`` where differences from both sides disagree and reverse mode lies between
    them; ``unclear`` where differences give no number; or ``FAILED``.
    """

    variable: str
    order: int
    method: str
    entry: str
    position: tuple[int, ...] | None
    reverse: float
    other: float
    absolute: float
    relative: float
    verdict: str


class Checked(NamedTuple):
    """What a check found. ``notes`` say what a reader must know to judge it, in sentences."""

    of: list[str]
    comparisons: list[Comparison]
    kinks: list[Kink]
    notes: list[str]

    @property
    def passed(self) -> bool:
        return all(c.verdict != "FAILED" for c in self.comparisons)
