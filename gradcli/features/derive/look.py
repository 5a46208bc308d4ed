"""Derivatives of a program as text: what ``gradcli derive`` prints, and ``Program.derive`` gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from gradcli.diagnostics import GradcliError
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.features.derive.answer import Derived
    from gradcli.features.derive.data import Place
    from gradcli.features.derive.derivatives import Kind
    from gradcli.program.loaded import Loaded
    from gradcli.rewrite.shortest import Form

Format = Literal["expr", "latex", "python", "jax", "c"]
"""A program of the language, formulas for LaTeX, a NumPy or a JAX module, or a function of C99."""


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
    target = TARGETS[format]
    _check(format, steps, kind, order, wrt, seeds, tangents)
    if steps:
        from gradcli.features.derive.derivation import render, render_latex
        from gradcli.features.derive.steps import derivation

        found = derivation(program, of, wrt, seeds, stop, target.place)
        return render_latex(found) if format == "latex" else render(found, folder)
    from gradcli.features.derive.answer import derive

    derived = derive(
        program,
        of,
        wrt,
        order,
        seeds,
        stop,
        target.has_rules,
        kind,
        tangents,
        name_parts,
        target.has_values,
        target.entries if entries is None else entries,
        target.place,
        form or target.form,
    )
    if precision is not None:
        from gradcli.features.derive.rounding import rounded_to

        derived = rounded_to(derived, precision)
    return target.render(program, derived, folder)


def _check(
    format: str,
    steps: bool,
    kind: Kind,
    order: int | range,
    wrt: Sequence[str] | None,
    seeds: Mapping[str, Any] | None,
    tangents: Mapping[str, Any] | None,
) -> None:
    """Raise a ValueError (GradcliError) for what cannot be asked together."""
    is_gradient, has_direction = kind == "gradient", kind in ("jvp", "taylor")
    has_steps = is_gradient and order in (1, range(1, 2)) and format in ("expr", "latex")
    wrong = {
        "steps are those of one pass, as text or for LaTeX": steps and not has_steps,
        "order 0 writes the outputs themselves, without wrt and seeds": (
            is_gradient and order in (0, range(1)) and (wrt or seeds)
        ),
        "seeds are for gradients: matrices and directions go without them": seeds and not is_gradient,
        "tangents are for directional derivatives and Taylor polynomials": tangents and not has_direction,
        "tangents name the xs: leave out wrt": tangents and wrt,
    }
    for message, is_wrong in wrong.items():
        if is_wrong:
            raise GradcliError("ValueError", message)


# each format: its modules are imported where they are needed


def _expr(_: Loaded, derived: Derived, folder: str) -> str:
    from gradcli.features.derive import formulas

    return formulas.render(derived, folder)


def _latex(_: Loaded, derived: Derived, __: str) -> str:
    from gradcli.features.derive import latex

    return latex.render(derived)


def _python(program: Loaded, derived: Derived, _: str) -> str:
    from gradcli.features.derive import numpy_module
    from gradcli.features.derive.unwritten import located

    with located(program, "NumPy", "write it as a program: leave the format out"):
        return numpy_module.render(derived)


def _jax(program: Loaded, derived: Derived, _: str) -> str:
    from gradcli.features.derive import jax_module
    from gradcli.features.derive.unwritten import located

    with located(program, "JAX", "NumPy has one: `--format python`"):
        return jax_module.render(derived)


def _c(program: Loaded, derived: Derived, _: str) -> str:
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


class Target(NamedTuple):
    """What a format needs of formulas: its ``place`` for data, and what becomes of arrays, rules and values.

    ``render`` takes the program, the derivatives and a folder. Of small arrays the ``entries`` are written where that is
    shorter (None), or never.
    """

    place: Place
    render: Callable[[Loaded, Derived, str], str]
    entries: bool | None = None
    form: Form = "shortest"
    has_rules: bool = False
    has_values: bool = False


TARGETS = {
    "expr": Target("defined", _expr, has_rules=True),
    "latex": Target("arguments", _latex),
    "python": Target("given", _python, entries=False, form="nested"),
    "jax": Target("given", _jax, entries=False, form="nested"),
    "c": Target("arguments", _c, entries=False, form="nested", has_values=True),
}
