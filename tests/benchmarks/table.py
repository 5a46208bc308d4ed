"""The table that a run prints: one row for each competitor in each case, and the targets that were met or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COLUMNS = ("case", "who", "first, ms", "again, ms", "ratio", "difference", "remark")


@dataclass(frozen=True, slots=True)
class Row:
    """What one competitor did; times in seconds.

    ``first`` is the time from source text or function to the first answer, building and compiling included, ``again``
    that of a further answer. ``difference`` is the largest one from the reference, in parts of its largest entry.
    """

    case: str
    who: str
    first: float | None = None
    again: float | None = None
    ratio: str = ""
    difference: float | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A limit from the issue, and what was measured: a ratio."""

    what: str
    limit: float
    measured: float | None
    at_least: bool = False

    @property
    def met(self) -> bool:
        if self.measured is None:
            return False
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def line(self) -> str:
        sign = ">=" if self.at_least else "<="
        wanted = f"{self.what} {sign} {self.limit:g}"
        if self.measured is None:
            return f"- {wanted}: not measured"
        return f"- {wanted}: {'met' if self.met else 'NOT met'}, {times(self.measured)}"


def times(ratio: float) -> str:
    """A ratio to three digits."""
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.3g}"


def milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def render(rows: Sequence[Row]) -> str:
    """A Markdown table, aligned; a case is named on its first row only."""
    cells: list[tuple[str, ...]] = []
    before = ""
    for row in rows:
        cells.append(
            (
                row.case if row.case != before else "",
                row.who,
                milliseconds(row.first),
                milliseconds(row.again),
                row.ratio,
                "" if row.difference is None else f"{row.difference:.0e}",
                row.remark,
            )
        )
        before = row.case
    widths = [max(len(line[k]) for line in [COLUMNS, *cells]) for k in range(len(COLUMNS))]
    numeric = {2, 3, 5}

    def line(texts: Sequence[str]) -> str:
        padded = [
            t.rjust(w) if k in numeric else t.ljust(w) for k, (t, w) in enumerate(zip(texts, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * (w - 1) + ":" if k in numeric else "-" * w for k, w in enumerate(widths)]
    return "\n".join([line(COLUMNS), line(rule), *map(line, cells)])
