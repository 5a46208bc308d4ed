"""A graph as a person would write it: named parts kept, everything between them simplified."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gradcli.graph.node import Derivation, Node, cone
from gradcli.graph.ops import table
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.ops.reductions import complement, others
from gradcli.graph.ops.selection import stop_gradient
from gradcli.graph.ops.shaping import broadcasted
from gradcli.rewrite import algebra, contractions, shapes
from gradcli.rewrite.engine import Engine, Rules, joined
from gradcli.rewrite.forms import FIRST, FORMS, NOTHING, in_words, ordered, remade

LATE = (complement, others)
"""Operations whose shorter formula waits: they are recognized in larger formulas first."""

WORDS: Rules = {
    op.name: [(f"{op.name} -> {op.formula}", in_words)]
    for op in table.values()
    if op.written is not None and op not in LATE
}
"""What only derivatives use, in operations that people know."""


class Written:
    """Targets rewritten in operations that the language has.

    ``named`` are nodes that have a name: they stay nodes, and nothing looks through them. ``stopped`` are those of them
    that pass no gradient on, ``apart`` those that stay nodes of their own where they only stand for another. ``plain``
    are nodes for which the shorter formula of their operation does. ``as_made`` leaves products and sums as they are: of
    numbers near the ends of what floats hold, those in another order may overflow or vanish. ``targets`` are the new nodes in the order of the old, ``names`` the new node of each named
    one that the targets need.
    """

    def __init__(
        self,
        targets: Sequence[Node],
        named: Collection[Node] = (),
        stopped: Collection[Node] = (),
        dtype: str = "float64",
        apart: Collection[Node] = (),
        plain: Collection[Node] = (),
        as_made: bool = False,
    ) -> None:
        self._plain = frozenset(plain)
        self._apart = frozenset(apart)
        self._derivation = Derivation(dtype)
        self._as_made = as_made
        self._rules = joined(
            WORDS,
            algebra.SPELLED,
            algebra.IN_ORDER if as_made else algebra.RULES,
            shapes.RULES,
            contractions.RULES,
            shapes.ENTRYWISE,
        )
        self._engine = Engine(self._rules, None if as_made else algebra.CAREFUL, self._derivation)
        self._stand_ins: dict[Node, Node] = {}
        self._definitions: dict[Node, Node] = {}
        new = self._simplified(targets, frozenset(named), frozenset(stopped))
        self.names: dict[Node, Node] = {}
        self._made: set[Node] = set()
        self.targets = self._composed([new[node] for node in targets])

    def _simplified(
        self, targets: Sequence[Node], named: frozenset[Node], stopped: frozenset[Node]
    ) -> dict[Node, Node]:
        engine = self._engine
        nodes = cone(targets)
        exposed = _exposed(nodes)
        new: dict[Node, Node] = {}
        for node in nodes:
            engine.exposed = node in exposed
            chosen = node.op.written if node.op in LATE else node.op.plain
            if chosen is not None and (node in self._plain) != (node.op in LATE):
                with self._derivation.active():
                    formula = chosen(node, *[new[x] for x in node.inputs])
                    result = engine.settled(broadcasted(formula, node.shape))
            else:
                result = engine.settled(node, new)
            if node in named and node.op.name != "leaf":
                if node in stopped:
                    result = stop_gradient(result)
                stand_in = make_leaf("", "named", node.shape, node.dtype, node.risky)
                self._definitions[stand_in] = result
                self._stand_ins[stand_in] = node
                for facts in (engine.positive, engine.polynomial):
                    if result in facts:
                        facts.add(stand_in)
                result = stand_in
            new[node] = result
        return new

    def _composed(self, targets: Sequence[Node]) -> list[Node]:
        """Stand-ins replaced by what they stand for, as far as it is needed; products in order."""
        needed: list[Node] = []
        roots = list(targets)
        seen: set[Node] = set()
        while roots:
            found = [x for x in cone(roots) if x in self._definitions and x not in seen]
            seen.update(found)
            needed.extend(found)
            roots = [self._definitions[x] for x in found]
        needed.sort(key=lambda x: self._stand_ins[x].serial)
        roots = [*[self._definitions[x] for x in needed], *targets]
        if any([node.op.name in NOTHING for node in cone(roots)]):
            # What is still there of zeros that only connect: numbers like any other.
            again = Engine(joined(NOTHING, self._rules), derivation=self._derivation)
            roots = [again.settled(root) for root in roots]
        first = Engine(FIRST, derivation=self._derivation)
        roots = [first.settled(root) for root in roots]
        with self._derivation.active():
            in_order = {root: root for root in roots} if self._as_made else ordered(roots, self._engine.polynomial)
        forms = Engine(FORMS, derivation=self._derivation)
        formed = [forms.settled(in_order[root]) for root in roots]
        made: dict[Node, Node] = {}
        for stand_in, root in zip([*needed, *([None] * len(targets))], formed, strict=True):
            _make(root, made)
            if stand_in is not None:
                original = self._stand_ins[stand_in]
                made[stand_in] = self.names[original] = self._own(made[root], original)
        return [made[root] for root in formed[len(needed) :]]

    def _own(self, node: Node, original: Node) -> Node:
        """A node that no other name has, also where two names have one formula, or a name only stands for another."""
        if original not in self._apart or (node.inputs and node not in self._made):
            self._made.add(node)
            return node
        if node.op.name == "leaf" or node in self._made:
            return Node(table["identity"], (node,), {}, node.shape, node.dtype, node.risky)
        return node.with_inputs(node.inputs)


def _make(root: Node, made: dict[Node, Node]) -> None:
    """The nodes below a root with what stands for others replaced, inputs first."""
    todo = [root]
    while todo:
        node = todo[-1]
        missing = [x for x in node.inputs if x not in made]
        if node not in made and missing:
            todo.extend(missing)
            continue
        todo.pop()
        if node not in made:
            made[node] = remade(node, made)


def _exposed(nodes: Sequence[Node]) -> set[Node]:
    """What a singular operation is computed from: there, 0 and -0 may lead to different infinities."""
    found: set[Node] = set()
    for node in reversed(nodes):
        singular = node.op.singular
        if node in found or singular is True or (callable(singular) and singular(node.inputs)):
            found.update(node.inputs)
    return found
