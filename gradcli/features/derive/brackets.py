"""Formulas of small arrays written by their entries: ``[2*t[0]*t[1], t[0]^2]``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from gradcli.diagnostics import GradcliError
from gradcli.features.derive.entrywise import entrywise
from gradcli.features.derive.unwritten import UnwrittenError
from gradcli.graph.entries import Entries
from gradcli.graph.node import Derivation, Node, cone, make
from gradcli.graph.ops import table
from gradcli.graph.ops.slicing import index, stack
from gradcli.graph.types import size_of
from gradcli.language.printer import ProgramStyle
from gradcli.rewrite.shortest import Form, Shortest

MOST = 16
"""Entries of the arrays that are written by their entries where that is shorter."""

LONGEST = 1000
"""Visible characters of such a result, if nobody asks for it: longer ones are read by their parts, which arrays share."""

MOST_ASKED = 400
"""Entries of a result that is written by its entries where somebody asks for that."""

MOST_OPERATIONS = 500
"""Operations on numbers up to which entries are worked out, if nobody asks for them: more are longer than what makes them."""


def in_brackets(
    texts: Sequence[Node],
    names: Mapping[Node, str],
    style: ProgramStyle,
    asked: bool | None,
    form: Form = "shortest",
) -> list[Node]:
    """The formulas, those of small arrays by their entries where that is shorter or, as far as it is possible, ``asked``."""
    derivation = Derivation(style.float_dtype)
    shortest = Shortest(style, names, derivation, form)
    result: list[Node] = []
    below = {text: cone([text]) for text in texts}
    used = Counter([x for text in texts for x in below[text]])
    shared = {text for text in texts if used[text] > 1}
    for text in texts:
        parts = not shared.isdisjoint(below[text])  # a formula in another has a name
        entries = None if parts else _entries(text, names, style.float_dtype, MOST_ASKED if asked else MOST)
        if entries is None or not asked and len(cone(entries.ravel().tolist())) > MOST_OPERATIONS:
            result.append(text)
            continue
        most = None if asked else min(shortest.length(text), LONGEST)
        forms = shortest.formulas_within(list(entries.ravel()), most)
        if forms is None:
            result.append(text)
            continue
        if not any([x.op.name == "leaf" for x in cone(forms)]) and any([x.op.name == "leaf" for x in below[text]]):
            result.append(text)  # what connects it with a variable would be lost
            continue
        numbers = {x.attrs["value"] if x.op.name == "literal" else None for x in forms}
        if len(numbers) == 1 and None not in numbers and not asked:
            result.append(text)  # full([2], 0.5)
            continue
        with derivation.active():
            made = _bracket(forms, text.shape)
        result.append(made if most is None or shortest.length(made) < most else text)
    return result


def _entries(text: Node, names: Mapping[Node, str], dtype: str, most: int) -> Entries | None:
    """The entries of a formula as formulas of numbers; None where there are too many, or none are known."""
    if not text.shape or not 0 < size_of(text.shape) <= most:
        return None
    below = cone([text], stop=names)
    if text in names or any([size_of(x.shape) > most or not size_of(x.shape) for x in below]):
        return None
    leaves = {x: _own(x) for x in below if x in names or x.op.name == "leaf"}
    try:
        return entrywise([text], leaves, dtype)[text]
    except (UnwrittenError, GradcliError):
        return None


def _own(x: Node) -> Entries:
    """The entries of a value that has a name: x[0], x[1], …"""
    entries = np.empty(x.shape, object)
    for place in np.ndindex(x.shape):
        entries[place] = index(x, items=place) if place else x
    return entries


def _bracket(entries: Sequence[Node], shape: tuple[int, ...]) -> Node:
    """An array of numbers in brackets; what holds numbers only is a literal."""
    if all([x.op.name == "literal" for x in entries]):
        dtype = entries[0].dtype
        values = tuple([x.attrs["value"] for x in entries])
        return make(table["array"], (), {"values": values, "shape": shape, "dtype": dtype}, shape, dtype)
    if len(shape) == 1:
        return stack(*entries, axis=0)
    step = len(entries) // shape[0]
    return stack(*[_bracket(entries[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])], axis=0)
