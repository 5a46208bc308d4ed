"""Derivatives as a program of the language."""

from __future__ import annotations

from gradcli.language.printer import program_lines
from gradcli.program.derived import Derived


def render(derived: Derived) -> str:
    """A complete program whose outputs are the derivatives.

    A derivative that is None is a name that holds None, with the reason as a comment; it is an output only where all are.
    """
    known = [g for g in derived.gradients if g.node is not None]
    named = {**derived.named, **{g.name: g.node for g in known if g.node is not None}}
    taken = [g.name for g in derived.gradients]
    lines = program_lines(derived.float_dtype, named, derived.roots, derived.initial, taken)
    for g in derived.gradients:
        if g.reason is not None:
            lines.append(f"{g.name} = gradients(0.0, {g.x})  # None: {g.reason.with_line()}")
    outputs = [g.name for g in known or derived.gradients]
    return "\n".join([*lines, f"output {', '.join(outputs)}"]) + "\n"
