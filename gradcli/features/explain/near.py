"""Where y does not use x at all: what comes close, and what to ask or write in its place."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from gradcli.autodiff.connection import ones
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
    program: Elaborated,
    naming: Naming,
    y_names: Sequence[str],
    ys: Sequence[Node],
    x_names: Sequence[str],
    xs: Sequence[Node],
) -> list[list[Near]]:
    """What comes close to a way from each x without one to the ys; what xs have in common is found once."""
    below_ys = cone(ys)
    uses = _these(y_names)
    result: list[list[Near]] = []
    looked_at = zip(
        x_names, xs, _twins(below_ys, xs), _bases(naming, set(below_ys), xs), _users(program, ys, xs), strict=True
    )
    for x_name, x, twins, bases, user in looked_at:
        found = [
            Near(
                f"{uses} {naming.name(twin)}, another node of the same formula as {x_name}",
                program.span(twin),
                _instead(naming, twin, x_name),
            )
            for twin in twins
        ]
        for base in bases if not twins else ():
            name = naming.names[base]
            text = f"{uses} {name}, from which {x_name} is computed"
            found.append(Near(text, program.span(base), f"differentiate by that: `--wrt {name}`"))
        if user is not None:
            help = f"use {user} in {y_names[-1] if y_names else 'y'}, or differentiate it: `--of {user}`"
            found.append(Near(f"{user} uses {x_name}", program.span(_named(program, user)), help))
        if not found:
            help = f"use it in {y_names[-1]}, or leave it out: `--wrt`" if y_names else "name a y: `--of`"
            found.append(Near(f"nothing in the program uses {x_name}", program.span(x), help))
        result.append(found)
    return result


def _these(names: Sequence[str]) -> str:
    return f"{' and '.join(names)} {'use' if len(names) > 1 else 'uses'}"


def _instead(naming: Naming, twin: Node, x_name: str) -> str:
    name = naming.names.get(twin)
    if name is None:
        return f"write `{x_name}` in its place: two operations are two nodes, however alike"
    return f"write `{x_name}` in its place, or differentiate by it: `--wrt {name}`"


def _named(program: Elaborated, name: str) -> Node:
    node = program.names[name]
    assert isinstance(node, Node)
    return node


def _users(program: Elaborated, ys: Sequence[Node], xs: Sequence[Node]) -> list[str | None]:
    """For each x the definition nearest to the ys that does use it."""
    own: dict[Node, int] = {}
    for k, x in enumerate(xs):
        own[x] = own.get(x, 0) | 1 << k
    named = {name: node for name in program.definitions if isinstance(node := program.names[name], Node)}
    depends: dict[Node, int] = {}
    for node in cone(named.values()):
        bits = own.get(node, 0)
        for i in node.inputs:
            bits |= depends[i]
        depends[node] = bits
    users = [(name, node.serial, depends[node] & ~own.get(node, 0)) for name, node in named.items()]
    last = max([y.serial for y in ys], default=0)
    found: list[str | None] = [None] * len(xs)
    left = (1 << len(xs)) - 1
    for some in ([user for user in reversed(users) if user[1] < last], users):
        for name, _, bits in some:
            for k in ones(bits & left):
                found[k] = name
            left &= ~bits
    return found


def _bases(naming: Naming, used: set[Node], xs: Sequence[Node]) -> list[list[Node]]:
    """For each x the named values that it is computed from and that the ys use, while they use none of their inputs."""
    bases: list[Node] = []
    below: dict[Node, int] = {}
    for node in cone(xs):
        bits = 0
        for i in node.inputs:
            bits |= below[i]
        if node in used and node in naming.names and not any([i in used for i in node.inputs]):
            bits |= 1 << len(bases)
            bases.append(node)
        below[node] = bits
    return [[bases[k] for k in islice(ones(below[x]), MOST_BASES)] for x in xs]


def _twins(below_ys: Sequence[Node], xs: Sequence[Node]) -> list[list[Node]]:
    """For each x the nodes that the ys are computed from and that are built as it is, from the same leaves."""
    computed = [x for x in xs if x.op.name != "leaf"]
    if not computed:
        return [[] for _ in xs]
    numbers: dict[Any, int] = {}
    number: dict[Node, int] = {}
    for node in cone([*below_ys, *computed]):
        own = node.serial if not node.op.shareable else None
        attributes = tuple([(name, _key(value)) for name, value in sorted(node.attrs.items())])
        key = (node.op.name, tuple([number[i] for i in node.inputs]), node.shape, node.dtype, attributes, own)
        number[node] = numbers.setdefault(key, len(numbers))
    of_ys: dict[int, list[Node]] = {}
    for node in below_ys:
        of_ys.setdefault(number[node], []).append(node)
    return [[*of_ys.get(number[x], ())] if x.op.name != "leaf" else [] for x in xs]


def _key(value: Any) -> Any:
    if isinstance(value, Data):
        return value.array.shape, value.array.tobytes()
    return repr(value)
