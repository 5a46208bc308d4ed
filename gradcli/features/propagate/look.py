"""What uncertainties look like: values with errors, a budget for each result, correlations, remarks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradcli.features.propagate.answer import Propagated, Uncertain
from gradcli.report.estimates import Estimates, Sheet, correlations
from gradcli.report.reply import Reply
from gradcli.results import Result

Array = Any

BUDGETS = 8
"""Results whose budgets people are shown."""

SHARES = 20
"""Inputs of a budget that they are shown, the largest first."""


def estimates(found: Propagated, values: Sequence[Result], file: str) -> Estimates:
    """The answer in every format; ``values`` are those of the names."""
    import numpy as np

    kinds = ["error", "second_order", "shift"]
    if found.draws:
        kinds += ["drawn_mean", "drawn_error", "drawn_low", "drawn_high"]
    errors: dict[str, dict[str, Array]] = {}
    for result in values:
        own = [u for u in found.results if u.of == result.name]
        rows = np.array([[u.error, u.second, u.shift, *(u.drawn or ())] for u in own]).reshape(len(own), len(kinds))
        errors[result.name] = {kind: rows[:, k].reshape(result.value.shape) for k, kind in enumerate(kinds)}
    headers = ["name", "value", "error", "error in %", "second order", "shift of the mean"]
    headers += ["drawn mean", "drawn error", "2.5 %", "97.5 %"] if found.draws else []
    sheets = [Sheet("uncertainties", headers, [_row(u) for u in found.results])]
    for u in found.results[:BUDGETS]:
        parts = sorted(u.budget, key=lambda c: (not c.input, -abs(c.share)))
        parts = [c for c in parts if not c.input or c.error * c.sensitivity != 0][:SHARES]
        rows_: list[list[str | float]] = [
            [c.input or "correlations", c.value, c.error, c.sensitivity, f"{100 * c.share:.3g}"] for c in parts
        ]
        sheets.append(Sheet(f"budget of {u.name}", ["input", "value", "error", "sensitivity", "% of variance"], rows_))
    names = [u.name for u in found.results]
    deviation = np.sqrt(np.diag(found.covariance))
    with np.errstate(all="ignore"):
        together = np.nan_to_num(found.covariance / deviation[:, None] / deviation)
    sheets += filter(None, [correlations(names, together)])
    more = {
        "covariance": {"names": names, "matrix": found.covariance.tolist()},
        "budgets": {
            u.name: [
                {"input": c.input or None, "value": c.value, "error": c.error, "sensitivity": c.sensitivity, "share": c.share}
                for c in u.budget
            ]
            for u in found.results
        },
        "draws": found.draws,
        "remarks": remarks(found),
    }  # fmt: skip
    reply = Reply("propagate", file, [(0, values)])
    return Estimates(reply, errors, sheets, remarks(found), more)


def _row(u: Uncertain) -> list[str | float]:
    part = 100 * u.error / abs(u.value) if u.value else math.nan
    return [u.name, u.value, u.error, "" if math.isnan(part) else f"{part:.3g}", u.second, u.shift, *(u.drawn or ())]


def remarks(found: Propagated) -> list[str]:
    """Sentences: where the first order is not enough, what was not computed, how far draws can be trusted."""
    lines = list(found.remarks)
    for u in found.results:
        if u.first_is_enough:
            continue
        second = "no variance" if math.isnan(u.second) else f"{u.second:.3g}"
        lines.append(
            f"{u.name}: the first order is not enough: with the second the uncertainty is {second} in place of"
            f" {u.error:.3g}, and the mean moves by {u.shift:.2g}"
        )
    if found.draws:
        lines.append(f"{found.draws} draws: their errors are known to {100 / math.sqrt(2 * found.draws):.2g} %")
    return lines
