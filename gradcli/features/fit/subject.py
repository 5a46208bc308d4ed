"""Constraints of a fit: relations between expressions of the program, which a minimum must fulfil."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError, Source
from gradcli.graph.node import Node
from gradcli.program import query
from gradcli.program.loaded import Loaded
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.features.fit.objective import Objective

Array = Any

RELATION = re.compile(r"(?<![<>=!])(<=|>=|==|=)(?!=)")
MET = 1e-6
"""How far a constraint may be from being met, in units of its gradient times the values; as it is where that is 0."""


class Constraint(NamedTuple):
    """``difference``, left less right, is 0 (``=``), at most 0 (``<=``) or at least 0 (``>=``), entry by entry."""

    text: str
    relation: str
    difference: Node


class Multiplier(NamedTuple):
    """A constraint at the end of a fit.

    ``difference`` is left less right; ``multiplier`` says by how much the minimum changes where the right side grows by 1,
    0 where the constraint is not active.
    """

    text: str
    difference: Array
    multiplier: Array


def with_constraints(program: Loaded, texts: Sequence[str]) -> tuple[Loaded, list[tuple[str, str, str]]]:
    """The program with a line more for each constraint, and of each its text, relation and the name of the difference.

    Raises GradcliError for what is not a relation, and for what the program cannot make sense of.
    """
    lines: list[str] = []
    found: list[tuple[str, str, str]] = []
    for number, text in enumerate(texts, 1):
        sides = RELATION.split(text)
        if len(sides) != 3 or not sides[0].strip() or not sides[2].strip():
            raise GradcliError(
                "SyntaxError", f"`{text}` is not of the form a = b, a <= b or a >= b", help="`--subject 'sum(w) = 1, w >= 0'`"
            )  # fmt: skip
        name = f"subject_{number}"
        while name in program.graph.names:
            name += "_"
        lines.append(f"{name} = ({sides[0].strip()}) - ({sides[2].strip()})")
        found.append((text.strip(), "=" if sides[1] == "==" else sides[1], name))
    text = program.source.text.rstrip("\n") + "\n" + "\n".join(lines) + "\n"
    extended = type(program)(
        Source(program.source.name, text), program.folder, program.dtype, program.random_seed, program.settings,
        program.max_memory, (), program.threads, None, program.origins,
    )  # fmt: skip
    return extended, found


def constraints(program: Loaded, found: Sequence[tuple[str, str, str]]) -> list[Constraint]:
    """The constraints as nodes of the extended program."""
    return [Constraint(text, relation, query.target(program, name)) for text, relation, name in found]


def multipliers(objective: Objective, differences: Sequence[Array], cost: Array) -> list[Multiplier]:
    """The constraints with what they cost what is minimised [entries of all differences]."""
    found: list[Multiplier] = []
    at = 0
    for constraint, difference in zip(objective.constraints, differences, strict=True):
        own = objective.sign * cost[at : at + difference.size].reshape(difference.shape) + 0.0
        found.append(Multiplier(constraint.text, difference, own))
        at += difference.size
    return found
