"""Which parts of a formula get a line and a name of their own, for every format in which formulas are written.

What has a name, what is used more than once and what would make a line too long gets a line; the rest is written where it
is used, short parts such as ``x.T`` even more than once. Iterative: a chain of a million operations is laid out.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import count

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node, cone
from gradcli.graph.printing import Text
from gradcli.tuples import NamedTuple

LONGEST = 80
"""Characters up to which an expression is written where it is used."""


class Style(ABC):
    """How one format writes; ``short`` is the length up to which a part is written more than once."""

    part = "t{}"
    """The names of parts that have none, with a number in it."""

    def __init__(self, short: int) -> None:
        self.short = short
        self._numbers = count(1)

    @abstractmethod
    def apply(self, node: Node, operands: Sequence[Text]) -> Text:
        """An operation, from the texts of its inputs."""

    @abstractmethod
    def leaf(self, node: Node) -> Text:
        """The name of a variable or constant."""

    @abstractmethod
    def literal(self, literal: Node, user: Node, position: int) -> Text | None:
        """A number where it is used, or None where it needs a line of its own."""

    def fresh(self, taken: Container[str]) -> str:
        """A name for a part that has none."""
        return next(name for k in self._numbers if (name := self.part.format(k)) not in taken)

    def named(self, name: str) -> Text:
        """A name where it is used."""
        return Text(name)

    def length(self, text: str) -> int:
        """How long a text is to the eye."""
        return len(text)


class Line(NamedTuple):
    """``name = text``, the value of ``node``; for a leaf both are its name."""

    name: str
    node: Node
    text: Text


class Layout(NamedTuple):
    """The lines in order, and for each node the text that stands for it in others."""

    lines: list[Line]
    texts: dict[Node, Text]


def laid_out(
    roots: Sequence[Node],
    names: Mapping[Node, str],
    style: Style,
    taken: Iterable[str] = (),
    whole: Container[Node] = (),
    most: int | None = None,
) -> Layout:
    """The lines that compute the roots, which have one of their own where they have a name.

    ``taken`` are names that are in use. What is in ``whole`` is never too long. Up to ``most`` lines, of what would make
    the rest longest, are for what has no name; None is for any number. Raises GradcliError (LimitError) where few lines
    would be too long to read.
    """
    nodes = cone(roots)
    users = Counter([*roots, *[x for node in nodes for x in node.inputs]])
    used = {*taken, *names.values()}
    apart = set(roots)
    texts: dict[Node, Text] = {}
    simple: set[Node] = set()
    result: list[Line] = []
    own = None if most is None else _longest(nodes, users, names, whole, most)

    def operand(x: Node, user: Node, position: int) -> Text:
        inline = style.literal(x, user, position) if x.op.name == "literal" and x not in names else None
        return inline or texts[x]

    for node in nodes:
        for i, x in enumerate(node.inputs):
            if x.op.name == "literal" and style.literal(x, node, i) is None:
                apart.add(x)
    for node in nodes:
        if node.op.name == "leaf":
            texts[node] = style.leaf(node)
            simple.add(node)
            result.append(Line(texts[node].text, node, texts[node]))
            continue
        if node.op.name == "literal" and node not in names and node not in apart:
            simple.add(node)
            continue
        text = style.apply(node, [operand(x, node, i) for i, x in enumerate(node.inputs)])
        room = LONGEST if users[node] <= 1 else style.short * all([x in simple for x in node.inputs])
        is_long = style.length(text.text) > room and node not in whole if own is None else node in own
        if node in names or is_long:
            name = names.get(node) or style.fresh(used)
            used.add(name)
            result.append(Line(name, node, text))
            text = style.named(name)
            simple.add(node)
        elif node.op.name == "index" and node.inputs[0] in simple and style.length(text.text) <= style.short:
            simple.add(node)  # t[0] is as short as a name
        texts[node] = text
        if own is not None and node.inputs and len(text.text) > UNREADABLE:
            raise GradcliError(
                "LimitError",
                f"with so few named parts a formula has more than {UNREADABLE:,} characters",
                help="allow more of them: `--name-parts 20`",
            )
    return Layout(result, texts)


UNREADABLE = 1_000_000
"""Characters after which a formula that is to be in few lines is given up."""


def _longest(
    nodes: Sequence[Node], users: Mapping[Node, int], names: Container[Node], whole: Container[Node], most: int
) -> set[Node]:
    """The nodes whose names save most of what is written, if the others are written out wherever they are used."""
    size = dict.fromkeys(nodes, 1)
    for node in nodes:
        size[node] = min(1 + sum([1 if x in names else size[x] for x in node.inputs]), sys.maxsize)
    shared = [x for x in nodes if users[x] > 1 and x.inputs and x not in names and x not in whole]
    shared.sort(key=lambda node: (users[node] - 1) * size[node])
    return set(shared[max(len(shared) - most, 0) :])


LARGEST = 2000
"""Characters after which an expression in one piece is cut off."""


def in_one_piece(root: Node, names: Mapping[Node, str], style: Style) -> str:
    """The operation of one node with everything below it that has no name; the rest as an ellipsis where that is long."""
    texts: dict[Node, Text] = {}
    for node in [*cone(root.inputs, stop=names), root]:
        if node in names and node is not root:
            texts[node] = style.named(names[node])
        elif node.op.name == "leaf":
            texts[node] = style.leaf(node)
        else:
            operands = [
                (style.literal(x, node, i) if x.op.name == "literal" and x not in names else None) or texts[x]
                for i, x in enumerate(node.inputs)
            ]
            text = style.apply(node, operands)
            texts[node] = text if len(text.text) <= LARGEST else style.named("…")
    return texts[root].text
