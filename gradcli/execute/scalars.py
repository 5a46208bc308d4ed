"""Small graphs of scalars as Python functions of Python numbers.

NumPy needs a microsecond to apply an operation to a scalar, Python 50 ns. What Python computes exactly as NumPy does
(arithmetic, comparisons, selection) is written as Python; everything else calls the operation's own kernel, so that
values do not depend on how they are computed. Functions are to be called within ``np.errstate(all="ignore")``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradcli.execute.lower import TYPES, Scope, on_numbers, to_number
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import kernel_value

Number = Any
Function = Callable[..., Any]


class Code:
    """The statements that compute nodes from named numbers, and what they refer to."""

    def __init__(self, results: Sequence[Node], known: dict[Node, str]) -> None:
        import numpy as np

        self.scope = scope_of_numbers(np)
        self.names = dict(known)
        self.used: set[str] = set()
        self.lines: list[str] = []
        for node in cone(results, stop=known):
            if node not in self.names:
                self._add(np, node)
        self.used.update([self.names[node] for node in results])

    def _add(self, np: Any, node: Node) -> None:
        name = f"t{len(self.names)}"
        given = [self.names[x] for x in node.inputs]
        self.used.update(given)
        self.names[node] = name
        if given:
            formula = on_numbers(np, node)
            self.lines.append(f"{name} = {formula.text.format(*given, **self.scope.named(formula, node.serial))}")
        else:
            self.scope.names[name] = to_number(kernel_value(np, node), node.dtype)


def scope_of_numbers(np: Any) -> Scope:
    """What functions of numbers refer to, whatever they compute."""
    dtypes = {name: np.dtype(dtype) for dtype, name in TYPES.items()}
    return Scope(np=np, to_number=to_number, array=np.array, **dtypes)


def function_of(arguments: Sequence[Node], result: Node) -> Function:
    """The number of a node as a function of the arguments' numbers."""
    names = {node: f"x{i}" for i, node in enumerate(arguments)}
    code = Code([result], names)
    return code.scope.function(", ".join(names.values()), [*code.lines, f"return {code.names[result]}"])


def passing_of(node: Node, g: Node, passed: dict[int, tuple[Node, Node | None]]) -> Function:
    """A function ``step(node, g, values, found)`` that adds what a node like this one passes on to its inputs.

    ``passed[i]`` is what goes to input i, and a mask of whether it is selected, as graphs of the node, its inputs and
    g. ``values`` has the numbers of all nodes; in ``found``, None says that a node is reached but not selected, as it
    does for g.
    """
    names = {node: "y", **{x: f"x{i}" for i, x in enumerate(node.inputs)}, g: "g"}
    code = Code([x for pair in passed.values() for x in pair if x is not None], names)
    lines = [f"{', '.join([f'n{i}' for i in range(len(node.inputs))])}, = node.inputs", "if g is None:"]
    lines += [*[f"    found.setdefault(n{i})" for i in passed], "    return"]
    places = {"y": "node", **{f"x{i}": f"n{i}" for i in range(len(node.inputs))}}
    lines += [f"{name} = values[{place}]" for name, place in places.items() if name in code.used]
    lines += code.lines
    for i, (c, mask) in passed.items():
        add = [
            f"old = found.get(n{i})",
            f"found[n{i}] = {code.names[c]} if old is None else old + {code.names[c]}",
        ]
        if mask is not None:
            add = [f"if {code.names[mask]}:", *[f"    {line}" for line in add], f"else: found.setdefault(n{i})"]
        lines += add
    return code.scope.function("node, g, values, found", lines)
