"""What ``--trace`` and ``--kinks`` found, for standard error: messages, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradcli.report.json_parts import json_number, json_place, json_text

if TYPE_CHECKING:
    from gradcli.features.trace.answer import Finding, Operand, Traced
    from gradcli.results import Kink


def render(traced: Traced, color: bool) -> str:
    """The finding as an error is shown, or a line that says that there is nothing."""
    f = traced.finding
    if f is None:
        lines = [f"trace: {text}" for text in traced.harmless]
        lines.append(f"trace: nothing: {traced.operations} operations, and no NaN or infinity reaches a result")
        return "".join([line + "\n" for line in lines])
    from gradcli.report.errors import diagnostic

    notes = [f"the guilty factor is {f.formula}"] if f.backward else []
    notes += [_operand(operand) for operand in f.operands]
    return diagnostic("trace", f.message, f.labels, f.help, color, notes)


def _operand(operand: Operand) -> str:
    """``x[0] = 0.0, x[3] = -1.0``."""
    name = operand.name if operand.name.replace("_", "").isalnum() else f"({operand.name})"
    return ", ".join(
        [
            f"{name if index else operand.name}{list(index) if index else ''} = {value}"
            for index, value in operand.entries
        ]
    )


def render_json(traced: Traced) -> str:
    """One object with ``trace``, whose ``found`` says whether there is anything."""
    f = traced.finding
    fields: dict[str, Any] = {"found": f is not None, "operations": traced.operations, "harmless": traced.harmless}
    if f is not None:
        fields |= _finding(f)
    return json_text({"trace": fields}) + "\n"


def _finding(f: Finding) -> dict[str, Any]:
    operands = [
        {"name": o.name, "entries": [{"index": list(index), "value": json_number(value)} for index, value in o.entries]}
        for o in f.operands
    ]
    return {
        "message": f.message,
        **json_place(f.span),
        **({"call": json_place(f.labels[1].span)} if len(f.labels) > 1 else {}),
        "operation": f.formula,
        "backward": f.backward,
        "order": f.order,
        "entries": f.bad,
        "size": f.size,
        "operands": operands,
        "help": f.help,
    }


def render_kinks(kinks: Sequence[Kink]) -> str:
    """A line for each: ``kink: relu at 0, line 4, 3 of 20 entries: derivative taken as 0, one-sided 0 and 1``."""
    lines = [
        f"kink: {k.with_line()}" + (f", {k.entries} of {k.size} entries" if k.size != 1 else "") + f": {k.slope}"
        for k in kinks
    ]
    return "".join([line + "\n" for line in lines or ["kinks: none"]])


def render_kinks_json(kinks: Sequence[Kink]) -> str:
    """One object with ``kinks``."""
    records = [
        {
            "text": k.text,
            **json_place(k.span),
            "entries": k.entries,
            "size": k.size,
            "slope": k.slope,
        }
        for k in kinks
    ]
    return json_text({"kinks": records}) + "\n"


def suggestion(names: Sequence[str]) -> str:
    """What to say where the results of these names are NaN or infinite."""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    verb = "is" if len(names) == 1 else "are"
    return f"{shown} {verb} NaN or infinite; --trace shows the operation where that begins"


def render_note(text: str) -> str:
    """A line of its own."""
    return f"note: {text}\n"


def render_note_json(text: str) -> str:
    """One object with ``note``."""
    return json_text({"note": text}) + "\n"
