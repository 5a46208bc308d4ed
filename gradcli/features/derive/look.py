"""Derivatives of a program as text: what ``gradcli derive`` prints, and ``Program.derive`` gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from gradcli.diagnostics import GradcliError

if TYPE_CHECKING:
    from gradcli.features.derive.answer import Derived, Kind
    from gradcli.features.derive.data import Place
    from gradcli.program.loaded import Loaded

Format = Literal["expr", "latex", "python", "jax", "c"]
"""A program of the language, formulas for LaTeX, a NumPy or a JAX module, or a function of C99."""

PLACES: dict[str, Place] = {
    "expr": "defined",
    "latex": "arguments",
    "python": "given",
    "jax": "given",
    "c": "arguments",
}
"""Where each has the data of the program."""


def written(
    program: Loaded,
    of: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    order: int | range = 1,
    seeds: Mapping[str, Any] | None = None,
    stop: Sequence[str] = (),
    format: str = "expr",
    steps: bool = False,
    kind: Kind = "gradient",
    tangents: Mapping[str, Any] | None = None,
    name_parts: int | None = None,
    entries: bool | None = None,
    precision: int | None = None,
    folder: str = "",
    form: Literal["expanded", "factored"] | None = None,
) -> str:
    """The derivatives of an order or another ``kind``, simplified; with ``steps`` how they are found, rule by rule.

    ``order`` may be a range of orders, up to which all are written. At order 0 these are the ys themselves, derivatives
    in them worked out. ``precision`` rounds numbers to so many significant digits. Raises GradcliError as ``gradcli grad`` does,
    and a ValueError for what cannot be asked together. Small arrays are written by their ``entries`` where that is
    shorter, or as asked; modules for other languages take arrays of other shapes, and have them only where asked. A
    program that is to stand in a ``folder``, by default the current one, loads the data that is there.
    ``form`` is that of the formulas: the shortest, or sums of products (``expanded``), or products of irreducible factors
    (``factored``), where that has the same values at the numbers of the program.
    """
    if steps and (format not in ("expr", "latex") or order not in (1, range(1, 2)) or kind != "gradient"):
        raise GradcliError("ValueError", "steps are those of one pass, as text or for LaTeX")
    if kind == "gradient" and order in (0, range(1)) and (wrt or seeds):
        raise GradcliError("ValueError", "order 0 writes the outputs themselves, without wrt and seeds")
    if kind != "gradient" and seeds:
        raise GradcliError("ValueError", "seeds are for gradients: matrices and directions go without them")
    if kind not in ("jvp", "taylor") and tangents:
        raise GradcliError("ValueError", "tangents are for directional derivatives and Taylor polynomials")
    if tangents and wrt:
        raise GradcliError("ValueError", "tangents name the xs: leave out wrt")
    if format not in ("expr", "latex", "c"):
        program.check_room_to_write_out("this format")
    if steps:
        from gradcli.features.derive.derivation import render, render_latex
        from gradcli.features.derive.steps import derivation

        found = derivation(program, of, wrt, seeds, stop, PLACES[format])
        return render_latex(found) if format == "latex" else render(found, folder)
    from gradcli.features.derive.answer import derive

    with_rules = format == "expr"
    if entries is None and format not in ("expr", "latex"):
        entries = False
    derived = derive(
        program,
        of,
        wrt,
        order,
        seeds,
        stop,
        with_rules,
        kind,
        tangents,
        name_parts,
        format == "c",
        format in ("latex", "c"),
        entries,
        PLACES[format],
        form or ("nested" if format in ("python", "jax", "c") else "shortest"),
    )
    if precision is not None:
        from gradcli.features.derive.rounding import rounded_to

        derived = rounded_to(derived, precision)
    from gradcli.features.derive.unwritten import located

    if format == "c":
        return _c(program, derived)
    if format == "latex":
        from gradcli.features.derive import latex

        return latex.render(derived)
    if format == "python":
        from gradcli.features.derive import numpy_module

        with located(program, "NumPy", "write it as a program: leave the format out"):
            return numpy_module.render(derived)
    if format == "jax":
        from gradcli.features.derive import jax_module

        with located(program, "JAX", "NumPy has one: `--format python`"):
            return jax_module.render(derived)
    from gradcli.features.derive import formulas

    return formulas.render(derived, folder)


def _c(program: Loaded, derived: Derived) -> str:
    from gradcli.features.derive import c_function
    from gradcli.features.derive.unwritten import located
    from gradcli.graph.node import Node

    given: list[Node] = []
    nodes: list[Node] = []
    for leaf in derived.leaves:
        initial = derived.initial[leaf]
        if leaf.attrs["kind"] == "constant" and initial is not None:
            given.append(leaf)
            nodes.append(program.graph.leaves.get(str(leaf.attrs["name"])) or initial)
    values = program.evaluate(nodes)
    with located(program, "C99", "NumPy has one: `--format python`"):
        return c_function.render(derived, dict(zip(given, values, strict=True)))
