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
    writer = _Writer(roots, names, style, taken, whole, most)
    for node in writer.nodes:
        writer.write(node)
    return Layout(writer.lines, writer.texts)


class _Writer:
    """The lines so far, the texts of nodes, and which of these are as simple as a name."""

    def __init__(
        self,
        roots: Sequence[Node],
        names: Mapping[Node, str],
        style: Style,
        taken: Iterable[str],
        whole: Container[Node],
        most: int | None,
    ) -> None:
        self.nodes = cone(roots)
        self.lines: list[Line] = []
        self.texts: dict[Node, Text] = {}
        self._names, self._style, self._whole = names, style, whole
        self._users = Counter([*roots, *[x for node in self.nodes for x in node.inputs]])
        self._used = {*taken, *names.values()}
        self._simple: set[Node] = set()
        self._few = None if most is None else _longest(self.nodes, self._users, names, whole, most)
        self._apart = set(roots)
        """Numbers that have a text of their own."""
        for node in self.nodes:
            for i, x in enumerate(node.inputs):
                if x.op.name == "literal" and style.literal(x, node, i) is None:
                    self._apart.add(x)

    def write(self, node: Node) -> None:
        """The text of a node, and a line if it is to have one."""
        style, names = self._style, self._names
        if node.op.name == "leaf":
            self.texts[node] = style.leaf(node)
            self._simple.add(node)
            self.lines.append(Line(self.texts[node].text, node, self.texts[node]))
            return
        if node.op.name == "literal" and node not in names and node not in self._apart:
            self._simple.add(node)
            return
        text = style.apply(node, [self._operand(x, node, i) for i, x in enumerate(node.inputs)])
        if node in names or self._has_line(node, text):
            name = names.get(node) or style.fresh(self._used)
            self._used.add(name)
            self.lines.append(Line(name, node, text))
            text = style.named(name)
            self._simple.add(node)
        elif node.op.name == "index" and node.inputs[0] in self._simple and style.length(text.text) <= style.short:
            self._simple.add(node)  # t[0] is as short as a name
        self.texts[node] = text
        if self._few is not None and node.inputs and len(text.text) > UNREADABLE:
            raise GradcliError(
                "LimitError",
                f"with so few named parts a formula has more than {UNREADABLE:,} characters",
                help="allow more of them: `--name-parts 20`",
            )

    def _operand(self, x: Node, user: Node, position: int) -> Text:
        inline = self._style.literal(x, user, position) if x.op.name == "literal" and x not in self._names else None
        return inline or self.texts[x]

    def _has_line(self, node: Node, text: Text) -> bool:
        """Whether a node without a name gets one."""
        if self._few is not None:
            return node in self._few
        short = self._style.short * all([x in self._simple for x in node.inputs])
        room = LONGEST if self._users[node] <= 1 else short
        return self._style.length(text.text) > room and node not in self._whole


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
