"""Derivatives of a program as text: what ``gradcli derive`` prints, and ``Program.derive`` gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from gradcli.diagnostics import GradcliError

if TYPE_CHECKING:
    from gradcli.program.loaded import Loaded

Format = Literal["expr", "latex", "python"]
"""A program of the language, formulas for LaTeX, or a NumPy module."""


def written(
    program: Loaded,
    of: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    order: int = 1,
    seeds: Mapping[str, Any] | None = None,
    stop: Sequence[str] = (),
    format: str = "expr",
    steps: bool = False,
) -> str:
    """The derivatives of an order, simplified; with ``steps`` how they are found, rule by rule.

    At order 0 these are the ys themselves, derivatives in them worked out. Raises GradcliError as ``gradcli grad`` does,
    and a ValueError for what cannot be asked together.
    """
    if steps and (format == "python" or order != 1):
        raise GradcliError("ValueError", "steps are those of one pass, as text or for LaTeX")
    if not order and (wrt or seeds):
        raise GradcliError("ValueError", "order 0 writes the outputs themselves, without wrt and seeds")
    if steps or format != "expr":
        program.check_room_to_write_out("a derivation" if steps else "this format")
    if steps:
        from gradcli.features.derive.derivation import render, render_latex
        from gradcli.features.derive.steps import derivation

        found = derivation(program, of, wrt, seeds, stop)
        return render_latex(found) if format == "latex" else render(found)
    from gradcli.features.derive.answer import derive

    derived = derive(program, of, wrt, order, seeds, stop, with_rules=format == "expr")
    if format == "latex":
        from gradcli.features.derive import latex

        return latex.render(derived)
    if format == "python":
        from gradcli.features.derive import numpy_module

        return numpy_module.render(derived)
    from gradcli.features.derive import formulas

    return formulas.render(derived)
