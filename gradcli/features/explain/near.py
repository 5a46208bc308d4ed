"""Where y does not use x at all: what comes close, and what to ask or write in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcli.diagnostics import Span
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.creation import Data
from gradcli.language.naming import Naming
from gradcli.language.values import Elaborated
from gradcli.tuples import NamedTuple

MOST_BASES = 3


class Near(NamedTuple):
    """Something that comes close to a connection: what it is, where it stands, and what to do about it."""

    text: str
    span: Span | None
    help: str


def near(
    program: Elaborated, naming: Naming, y_names: Sequence[str], ys: Sequence[Node], x_name: str, x: Node
) -> list[Near]:
    """What comes close to a way from x to the ys, where there is none."""
    used = set(cone(ys))
    found = [
        Near(
            f"{_these(y_names)} {naming.name(twin)}, another node of the same formula as {x_name}",
            program.span(twin),
            _instead(naming, twin, x_name),
        )
        for twin in _twins(ys, x)
    ]
    below = [node for node in cone([x]) if node is not x and node in used and node in naming.names]
    bases = [node for node in below if not any([i in used for i in node.inputs])] if not found else []
    for base in bases[:MOST_BASES]:
        name = naming.names[base]
        text = f"{_these(y_names)} {name}, from which {x_name} is computed"
        found.append(Near(text, program.span(base), f"differentiate by that: `--wrt {name}`"))
    found += _users(program, y_names, ys, x_name, x)
    if not found:
        help = f"use it in {y_names[-1]}, or leave it out: `--wrt`" if y_names else "name a y: `--of`"
        found.append(Near(f"nothing in the program uses {x_name}", program.span(x), help))
    return found


def _these(names: Sequence[str]) -> str:
    return f"{' and '.join(names)} {'use' if len(names) > 1 else 'uses'}"


def _instead(naming: Naming, twin: Node, x_name: str) -> str:
    name = naming.names.get(twin)
    if name is None:
        return f"write `{x_name}` in its place: two operations are two nodes, however alike"
    return f"write `{x_name}` in its place, or differentiate by it: `--wrt {name}`"


def _users(program: Elaborated, y_names: Sequence[str], ys: Sequence[Node], x_name: str, x: Node) -> list[Near]:
    """The definition nearest to y that does use x."""
    named = {n: v for n in program.definitions if isinstance(v := program.names[n], Node) and v is not x}
    depends = {x}
    for node in cone(named.values()):
        if any([i in depends for i in node.inputs]):
            depends.add(node)
    users = [name for name, node in named.items() if node in depends]
    if not users:
        return []
    last = max([y.serial for y in ys], default=0)
    before = [name for name in users if named[name].serial < last]
    name = before[-1] if before else users[0]
    y = y_names[-1] if y_names else "y"
    return [
        Near(
            f"{name} uses {x_name}", program.span(named[name]), f"use {name} in {y}, or differentiate it: `--of {name}`"
        )
    ]


def _twins(ys: Sequence[Node], x: Node) -> list[Node]:
    """The nodes that the ys are computed from and that are built as x is, from the same leaves."""
    if x.op.name == "leaf":
        return []
    numbers: dict[Any, int] = {}
    number: dict[Node, int] = {}
    for node in cone([*ys, x]):
        own = node.serial if not node.op.shareable else None
        attributes = tuple([(name, _key(value)) for name, value in sorted(node.attrs.items())])
        key = (node.op.name, tuple([number[i] for i in node.inputs]), node.shape, node.dtype, attributes, own)
        number[node] = numbers.setdefault(key, len(numbers))
    return [node for node in cone(ys) if number[node] == number[x]]


def _key(value: Any) -> Any:
    if isinstance(value, Data):
        return value.array.shape, value.array.tobytes()
    return repr(value)
