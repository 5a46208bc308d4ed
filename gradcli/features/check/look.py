"""What ``gradcli check`` found: a line for each comparison, then kinks and notes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradcli.diagnostics import counted
from gradcli.report.columns import aligned
from gradcli.report.json_parts import json_number, json_text
from gradcli.results import Checked, Comparison

if TYPE_CHECKING:
    from gradcli.features.check.claims import Claim
    from gradcli.report.tables import Screen

HEADERS = ("variable", "order", "method", "worst entry", "reverse", "other", "abs error", "rel error", "verdict")


def render(checked: Checked, digits: int | None = None) -> str:
    """Aligned columns, with all digits where no number of them is asked for."""
    rows = [HEADERS, *(_row(c, digits or 17) for c in checked.comparisons)]
    return aligned(rows) + "".join([line + "\n" for line in _lines(checked)])


def render_table(checked: Checked, screen: Screen, digits: int | None = None) -> str:
    """A table for a terminal, with the columns in the same order; the order of derivatives stands above it."""
    from gradcli.report import tables

    headers = ("method", "entry", "reverse", "other", "abs", "rel", "verdict")
    parts = []
    for order in dict.fromkeys(c.order for c in checked.comparisons):
        rows = [_row(c, digits or 5)[2:] for c in checked.comparisons if c.order == order]
        title = f"gradients of {' + '.join(checked.of)}, order {order}"
        parts.append(tables.render_rows(headers, rows, screen, title))
    return "".join(parts) + "".join([line + "\n" for line in _lines(checked)])


def render_json(checked: Checked, file: str) -> str:
    """One object: ``passed``, ``checks``, ``kinks``, ``notes``."""
    checks = [
        {
            "variable": c.variable,
            "order": c.order,
            "method": c.method,
            "entry": c.entry,
            "index": None if c.position is None else list(c.position),
            "reverse": json_number(c.reverse),
            "other": json_number(c.other),
            "absolute": json_number(c.absolute),
            "relative": json_number(c.relative),
            "verdict": c.verdict,
        }
        for c in checked.comparisons
    ]
    kinks = [{"text": k.text, "line": k.span.line if k.span else None, "entries": k.entries} for k in checked.kinks]
    head = {"command": "check", "file": file, "of": checked.of, "passed": checked.passed}
    parts = [json_text(head)[:-1]]
    for key, records in (("checks", checks), ("kinks", kinks), ("notes", checked.notes)):
        lines = ",\n".join([" " + json_text(record) for record in records])
        parts.append(f'"{key}": [\n{lines}]' if records else f'"{key}": []')
    return ", ".join(parts) + "}\n"


def _row(c: Comparison, digits: int) -> list[str]:
    values = [f"{c.reverse:.{digits}g}", f"{c.other:.{digits}g}", "%.2g" % c.absolute, "%.2g" % c.relative]  # noqa: UP031
    return [c.variable, str(c.order), c.method, c.entry, *values, c.verdict]


def _lines(checked: Checked) -> list[str]:
    lines = []
    for kink in checked.kinks:
        count = f" ({kink.entries} entries)" if kink.entries > 1 else ""
        lines.append(f"not smooth here: {kink.with_line()}{count}")
    lines += [f"note: {note}" for note in checked.notes]
    words = [c.verdict for c in checked.comparisons]
    failed, total, unclear = words.count("FAILED"), len(words), words.count("unclear")
    text = f"FAILED: {failed} of {total} comparisons" if failed else f"ok: {total} comparisons"
    return [*lines, text + (f", {unclear} unclear" if unclear else "")]


CLAIMED = ("entry", "gradient", "claimed", "claimed / gradient")


def render_claims(found: Sequence[Claim], screen: Screen | None = None, digits: int | None = None) -> str:
    """For each claim whether it holds, and of one that does not the worst entries and the likely cause."""
    digits = digits or (5 if screen is not None else 17)
    parts: list[str] = []
    for c in found:
        if c.holds:
            parts.append(f"{c.name}: ok, {counted(c.size, 'entry', 'entries')}\n")
            continue
        parts.append(f"{c.name}: FAILED, {c.differing} of {counted(c.size, 'entry', 'entries')}\n")
        rows = [
            [
                w.entry,
                *[f"{x:.{digits}g}" for x in (w.gradient, w.claimed)],
                f"{w.ratio:.6g}" if w.ratio == w.ratio else "",
            ]
            for w in c.wrong
        ]
        if rows and screen is not None:
            from gradcli.report import tables

            parts.append(tables.render_rows(CLAIMED, rows, screen))
        elif rows:
            parts.append(aligned([CLAIMED, *rows]))
        if c.cause is not None:
            parts.append(f"likely cause: {c.cause}\n")
    failed = sum(not c.holds for c in found)
    parts.append(
        f"FAILED: {failed} of {len(found)} gradients\n" if failed else f"ok: {counted(len(found), 'gradient')}\n"
    )
    return "".join(parts)


def render_claims_json(found: Sequence[Claim], file: str) -> str:
    """One object: ``passed``, and for each claim its entries, the worst ones, the ratio of all, and the cause."""
    records = [
        {
            "name": c.name,
            "verdict": "ok" if c.holds else "FAILED",
            "entries": c.size,
            "wrong": c.differing,
            "worst": [
                {
                    "entry": w.entry,
                    "gradient": json_number(w.gradient),
                    "claimed": json_number(w.claimed),
                    "ratio": None if math.isnan(w.ratio) else json_number(w.ratio),
                }
                for w in c.wrong
            ],
            "ratio": None if c.ratio is None else json_number(c.ratio),
            "cause": c.cause,
        }
        for c in found
    ]
    head = {"command": "check", "file": file, "passed": all(c.holds for c in found)}
    lines = ",\n".join([" " + json_text(record) for record in records])
    return json_text(head)[:-1] + f', "claims": [\n{lines}]}}\n'
