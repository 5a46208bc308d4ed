"""Plans of a few numbers, run often, as functions of Python's numbers: NumPy's arrays are what comes in and goes out.

A call of NumPy's takes as long as twenty operations on Python's floats, which are the same to the bit; what Python does
not compute so is done by the operation's kernel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradcli.execute.entries import Statements, fits, packed
from gradcli.execute.lower import to_number
from gradcli.execute.plan import Plan
from gradcli.graph.node import Node
from gradcli.graph.switches import without
from gradcli.graph.types import size_of

Array = Any
Function = Callable[..., list[Array]]

FEW = 8
"""Entries of an array from which on NumPy adds them up in another order."""

CALL = re.compile(r"\w\(")
"""What is not arithmetic of Python's: it may warn of what NumPy is to be silent about."""


def numbered(plan: Plan, known: Mapping[Node, Array], inputs: Sequence[Node]) -> Function | None:
    """The targets of a plan as a function of the values of ``inputs``: arrays, or for those without axes also floats.

    ``known`` are all other leaves. None where arrays, or other dtypes than float64 and bool, take part. It raises
    what an operation raises.
    """
    nodes = plan.nodes
    if without("entries") or not all(
        [n.dtype in ("float64", "bool") and size_of(n.shape) < FEW and fits(n) for n in nodes]
    ):
        return None
    import numpy as np

    names = {x: [f"a{k}_{i}" for i in range(size_of(x.shape))] for k, x in enumerate(inputs)}
    given = {x: [f"k{plan.position[x]}_{i}" for i in range(size_of(x.shape))] for x in nodes if x in known}
    numbers = Statements(plan.target_nodes, {**given, **names})
    if numbers.saved < 0:
        return None
    for x, entries in given.items():
        values = [to_number(value, x.dtype) for value in np.ravel(known[x])]
        numbers.scope.names.update(zip(entries, values, strict=True))
    lines = [_read(f"a{k}", x, entries) for k, (x, entries) in enumerate(names.items())]
    lines += numbers.texts()
    results = [packed(numbers.names[x], x) for x in plan.target_nodes]
    compute: Function = numbers.scope.function(
        ", ".join([f"a{k}" for k in range(len(inputs))]), [*lines, f"return [{', '.join(results)}]"]
    )
    if not any([CALL.search(text) for text in numbers.texts()]):
        return compute
    errstate = np.errstate

    def function(*values: Array) -> list[Array]:
        with errstate(all="ignore"):
            return compute(*values)

    return function


def _read(name: str, x: Node, entries: Sequence[str]) -> str:
    """The entries of an input."""
    if not x.shape:
        return f"{entries[0]} = {'float' if x.dtype == 'float64' else 'bool'}({name})"
    return f"{', '.join(entries)}, = {name}.ravel().tolist()"
