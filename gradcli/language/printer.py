"""A graph as a program: text that parses back to the same graph.

Every node that has a name, is used more than once or would make a line too long gets a line of its own; the others are
written where they are used. Iterative: a chain of a million operations prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gradcli.graph.node import Node, cone
from gradcli.graph.printing import Text, apply, number
from gradcli.graph.types import INTEGER_OF
from gradcli.language.values import Elaborated

LONGEST = 80
"""Characters up to which an expression is written where it is used."""


def print_program(program: Elaborated) -> str:
    """The text of an elaborated program: declarations, then definitions in the order in which they are computed."""
    named = {name: value for name, value in program.names.items() if isinstance(value, Node)}
    lines = _Printer(program.float_dtype, named, program.leaves, program.initial).lines()
    head = [] if program.float_dtype == "float64" else [f"dtype {program.float_dtype}"]
    tail = [f"output {', '.join(program.outputs)}"] if program.outputs else []
    return "\n".join([*head, *lines, *tail]) + "\n"


class _Printer:
    def __init__(
        self, float_dtype: str, named: Mapping[str, Node], leaves: Mapping[str, Node], initial: Mapping[Node, Any]
    ) -> None:
        self.float_dtype = float_dtype
        self.named = named
        self.leaves = leaves
        self.initial = initial
        self.names: dict[Node, str] = {}
        for name, node in named.items():
            self.names.setdefault(node, name)
        self.taken = set(named)
        self.fresh = 0
        self.texts: dict[Node, Text] = {}
        self.out: list[str] = []

    def lines(self) -> list[str]:
        roots = [*self.named.values(), *(v for v in self.initial.values() if isinstance(v, Node))]
        nodes = cone(roots)
        users: dict[Node, int] = dict.fromkeys(nodes, 0)
        for node in nodes:
            for x in node.inputs:
                users[x] += 1
        for value in self.initial.values():
            if isinstance(value, Node):
                users[value] += 1
        inlined = self._inlined(nodes, users)
        for node in nodes:
            if node.op.name == "leaf":
                self._declaration(node)
                continue
            text = self._text(node)
            if node in self.names or node not in inlined or len(text.text) > LONGEST:
                name = self.names.get(node) or self._new_name()
                self.out.append(f"{name} = {text.text}")
                text = Text(name)
            self.texts[node] = text
        aliases = [f"{name} = {self.names[node]}" for name, node in self.named.items() if self.names[node] != name]
        return [*self.out, *aliases]

    def _inlined(self, nodes: Iterable[Node], users: Mapping[Node, int]) -> set[Node]:
        """What may be written where it is used: used once, and a literal only beside an operand of its dtype."""
        result = {node for node in nodes if users[node] <= 1}
        for node in nodes:
            literals = [x for x in node.inputs if x.op.name == "literal" and x.dtype != "bool"]
            if not literals:
                continue
            others = [x for x in node.inputs if x.op.name != "literal"]
            apart = {"where": others[1:], "gather": others[1:]}.get(node.op.name, others)
            met = any(x.dtype == literals[0].dtype for x in apart)
            if not met or node.op.accepts == "any":
                result.difference_update(literals)
        return result

    def _text(self, node: Node) -> Text:
        if node.op.name == "literal":
            value, dtype = node.attrs["value"], node.dtype
            shown = number(value, dtype)
            if dtype in (self.float_dtype, INTEGER_OF[self.float_dtype], "bool") or node not in self.names:
                return shown
            return Text(f"cast({shown.text}, {dtype})")
        if node.op.name == "array":
            return Text(_array(node, self.float_dtype))
        return apply(node, [self.texts[x] for x in node.inputs])

    def _declaration(self, leaf: Node) -> None:
        name, kind = leaf.attrs["name"], leaf.attrs["kind"]
        initial = self.initial.get(leaf)
        shape = f"[{', '.join(map(str, leaf.shape))}]" if leaf.shape else ""
        line = f"{kind} {name}: {leaf.dtype}{shape}"
        if isinstance(initial, Node):
            line += f" = {self.texts[initial].text}"
        elif initial is not None:
            line += f" = {_numbers(initial, leaf.dtype)}"
        self.out.append(line)
        self.texts[leaf] = Text(name)

    def _new_name(self) -> str:
        while True:
            self.fresh += 1
            name = f"t{self.fresh}"
            if name not in self.taken:
                self.taken.add(name)
                return name


def _array(node: Node, float_dtype: str) -> str:
    import numpy as np

    values = np.reshape(np.asarray(node.attrs["values"], dtype=node.dtype), node.shape)
    text = _numbers(values, node.dtype)
    return text if node.dtype in (float_dtype, INTEGER_OF[float_dtype], "bool") else f"cast({text}, {node.dtype})"


def _numbers(values: Any, dtype: str) -> str:
    """An array as bracket literals; one without entries by its shape."""
    if values.size == 0 and values.ndim > 1:
        return f"zeros([{', '.join(map(str, values.shape))}], dtype={dtype})"
    if values.ndim == 0:
        return number(values.item(), dtype).text
    return "[" + ", ".join(_numbers(row, dtype) for row in values) + "]"
