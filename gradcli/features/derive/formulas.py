"""Derivatives as a program of the language."""

from __future__ import annotations

from gradcli.features.derive.answer import Derived
from gradcli.language.printer import program_lines
from gradcli.report.quoting import comment


def render(derived: Derived, folder: str | None = None) -> str:
    """A complete program whose outputs are the derivatives; in a ``folder``, it loads the data that is there.

    A derivative that is None is a name that holds None, with the reason as a comment; it is an output only where all are.
    """
    lines = _lines(derived, folder)
    known = [g for g in derived.gradients if g.node is not None]
    for g in derived.gradients:
        if g.reason is not None:
            lines.append(f"{g.name} = gradients(0.0, {g.x})  # None: {comment(g.reason.with_line())}")
    outputs = [g.name for g in known or derived.gradients]
    return "\n".join([*lines, f"output {', '.join(outputs)}"]) + "\n"


def definitions(derived: Derived, folder: str | None = None) -> list[str]:
    """The lines of the program that compute something."""
    return [
        line for line in _lines(derived, folder) if not line.startswith(("variable ", "constant ", "dtype ", "    "))
    ]


def _lines(derived: Derived, folder: str | None) -> list[str]:
    known = {g.name: g.node for g in derived.gradients if g.node is not None}
    taken = [g.name for g in derived.gradients]
    return program_lines(
        derived.float_dtype,
        {**derived.named, **known},
        derived.roots,
        derived.initial,
        taken,
        most=derived.parts,
        folder=folder,
    )
