"""A graph as a person would write it: named parts kept, everything between them simplified."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from gradcli.graph.node import Derivation, Node, cone, make
from gradcli.graph.operation import literal
from gradcli.graph.ops import table
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.ops.elementwise import absolute, divide, divide_no_nan, log, power_slope, recip
from gradcli.graph.ops.linear_algebra import contraction
from gradcli.graph.ops.reductions import complement, direction, norm, others
from gradcli.graph.ops.selection import GUARDS, greater, isnan, logical_or, not_equal, stop_gradient, where
from gradcli.graph.ops.shaping import broadcasted
from gradcli.graph.types import is_float, size_of
from gradcli.rewrite import algebra, contractions, exact, shapes
from gradcli.rewrite.engine import Engine, Rules, joined
from gradcli.rewrite.forms import FIRST, FORMS, NOTHING, in_words, ordered, remade
from gradcli.rewrite.terms import filling

LATE = (complement, others)
"""Operations whose shorter formula waits: they are recognized in larger formulas first."""


WORDS: Rules = {
    op.name: [(f"{op.name} -> {op.formula}", in_words)]
    for op in table.values()
    if op.written is not None and op not in LATE
}
"""What only derivatives use, in operations that people know."""


def _unguarded(node: Node) -> Node | None:
    """The slope of a power by its base, guarded for the exponent 0 and a base near 0; what is NaN where another is."""
    c, x, y = node.inputs
    if c.op is isnan and str(filling(x)) == "nan":
        return broadcasted(y, node.shape)
    c = c.inputs[0] if c.op is logical_or else c
    return broadcasted(x, node.shape) if y.op.connects and c.op is not_equal and filling(c.inputs[1]) == 0 else None


def _over_norm(node: Node) -> Node | None:
    """The slope of a norm, guarded for the zero vector."""
    x, y = node.inputs
    if y.op is not norm or size_of(y.shape) != 1 or len(y.attrs["axis"]) != y.inputs[0].rank:
        return None
    return broadcasted(divide(x, norm(y.inputs[0], axis=None)), node.shape)


def _ordinary_power(node: Node) -> Node | None:
    """The same guard at every order, as the power has it: the exponent isn't 0, or the base is not next to 0."""
    a, b = node.inputs
    limits = (2.0**-256, 2.0**-32)
    if a.op is not_equal and b.op is greater and b.inputs[0].op is absolute and filling(b.inputs[1]) in limits:
        return broadcasted(literal(True, "bool"), node.shape)
    return None


ORDINARY: Rules = {
    "logical_or": [("p != 0 or abs(x) > 2^-256 -> true", _ordinary_power), ("false or true -> true", shapes.decided)],
    "logical_and": [("true and true -> true", shapes.decided)],
    "where": [("where(p != 0, p * x^(p - 1), zero(x)) -> p * x^(p - 1)", _unguarded)],
    divide_no_nan.name: [("divide_no_nan(x, norm(x)) -> x / norm(x)", _over_norm)],
    "power_slope": [("power_slope(y, x, p) -> y * log(x)", lambda node: node.inputs[0] * log(node.inputs[1]))],
    "recip": [("recip(x, positive=true) -> 1 / x", lambda node: divide(1, node.inputs[0]))],
    "contraction": [("diag(v) @ a -> v * a, by rows", contractions.on_diagonal)],
}
"""Slopes without the guards that they have for bases of powers and arguments of logarithms that are 0 or negative, and
without zeros that only matter where they meet infinity."""


def has_guards(nodes: Iterable[Node]) -> bool:
    """Whether some slopes have guards that :data:`ORDINARY` leaves out."""
    return any(
        [
            node.op is power_slope
            or (node.op is recip and node.attrs.get("positive"))
            or (node.op is logical_or and _ordinary_power(node) is not None)
            or (node.op is where and (node.inputs[2].op.connects or node.inputs[0].op is isnan))
            or node.op is direction
            or node in GUARDS
            or node.op is contraction
            and contractions.on_diagonal(node) is not None
            for node in nodes
        ]
    )


class Formulas(Engine):
    """Rules for formulas. Nodes are made anew, so that what is rewritten first has the lower serial number.

    ``careful`` rules may exchange 0 and -0; they are left out while ``exposed`` is set, which is for nodes that a singular
    operation is computed from (1/x tells the two apart). ``positive`` and ``polynomial`` are what is known of nodes: never
    negative and never -0, and a polynomial of some variable (whose derivatives end in None).
    """

    def __init__(self, rules: Rules, careful: Rules, derivation: Derivation) -> None:
        bare = joined(rules, {"recip": [("recip(x, positive=true) -> recip(x) where x is positive", self._recip)]})
        super().__init__(joined(bare, careful), derivation)
        self._exposed = False
        self._others: tuple[Rules, dict[Node, Node]] = bare, {}
        self.positive: set[Node] = set()
        self.polynomial: set[Node] = set()

    @property
    def exposed(self) -> bool:
        return self._exposed

    @exposed.setter
    def exposed(self, value: bool) -> None:
        """What nodes become where they are exposed, and where not, is kept apart."""
        if value != self._exposed:
            self._exposed = value
            (self.rules, self.done), self._others = self._others, (self.rules, self.done)

    def known(self, node: Node, result: Node) -> None:
        """Say what a node becomes, exposed or not."""
        self.done[node] = self._others[1][node] = result

    def renewed(self, node: Node) -> Node:
        if not node.op.shareable:
            return node
        return make(node.op, tuple([self.done[x] for x in node.inputs]), node.attrs, node.shape, node.dtype)

    def _recip(self, node: Node) -> Node | None:
        (x,) = node.inputs
        return recip(x, positive=False) if node.attrs.get("positive") and x in self.positive else None

    def learn(self, node: Node) -> None:
        if _positive(node, self.positive):
            self.positive.add(node)
        known, inputs = self.polynomial, node.inputs
        if not inputs:
            if node.op.name == "leaf" and node.attrs["kind"] != "named":
                known.add(node)
            return
        # For a quotient the numerator only, for xlogy the first.
        some = POLYNOMIAL_IN.get(node.op.degree)
        if some is not None and any([x in known for x in inputs[some]]):
            known.add(node)


POLYNOMIAL_IN = {
    "quotient": slice(1),
    "solve": slice(1, None),
    **dict.fromkeys(("linear", "product", "square", "abs", "rule"), slice(None)),
}
"""The inputs in which a result may be a polynomial, by the sort of its degree."""


class Forms(Formulas):
    """Rules after which nothing is asked of what nodes are."""

    def learn(self, node: Node) -> None:
        pass


def _positive(node: Node, known: set[Node]) -> bool:
    op = node.op
    if not (op.positive or op.closed or op.degree == "power" or not node.inputs) or not is_float(node.dtype):
        return False
    if op.name == "literal":
        return bool(node.attrs["value"] >= 0) and str(node.attrs["value"]) != "-0.0"
    if op.degree == "power":
        exponent = node.inputs[1]
        return exponent.op.name == "literal" and exponent.attrs["value"] > 0 and exponent.attrs["value"] % 2 == 0
    below = [x for x in node.inputs if x.dtype == node.dtype]
    return op.positive or (op.closed and bool(below) and all([x in known for x in below]))


class Written:
    """Targets rewritten in operations that the language has.

    ``named`` are nodes that have a name: they stay nodes, and nothing looks through them. ``stopped`` are those of them
    that pass no gradient on, ``apart`` those that stay nodes of their own where they only stand for another. ``plain``
    are nodes for which the shorter formula of their operation does. ``as_made`` leaves products and sums as they are: of
    numbers near the ends of what floats hold, those in another order may overflow or vanish. ``with_rules`` keeps what
    has a derivative of its own, ``ordinary`` leaves guards out (:data:`ORDINARY`). ``targets`` are the new nodes in the order of the old, ``names`` the new node of each named
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
        with_rules: bool = False,
        ordinary: bool = False,
    ) -> None:
        self._plain = frozenset(plain)
        self._apart = frozenset(apart)
        self._derivation = Derivation(dtype)
        self._as_made = as_made
        self._ordinary = ordinary
        self._rules = joined(
            ORDINARY if ordinary else {},
            WORDS,
            {} if with_rules else {"custom_gradient": [("custom_gradient(x, …) -> x", lambda node: node.inputs[0])]},
            algebra.SPELLED,
            exact.RULES,
            algebra.IN_ORDER if as_made else algebra.RULES,
            shapes.RULES,
            contractions.RULES,
            shapes.ENTRYWISE,
        )
        self._engine = Formulas(self._rules, {} if as_made else algebra.CAREFUL, self._derivation)
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
        with self._derivation.active():
            for node in nodes:
                engine.exposed = node in exposed
                chosen = node.op.written if node.op in LATE else node.op.plain
                if self._ordinary and node in GUARDS:
                    result = new[node.inputs[1]]
                elif chosen is not None and (node in self._plain) != (node.op in LATE):
                    formula = chosen(node, *[new[x] for x in node.inputs])
                    result = engine.becomes(broadcasted(formula, node.shape))
                else:
                    result = engine.becomes(node)
                if node in named and node.op.name != "leaf":
                    result = self._stand_in(node, result, node in stopped)
                new[node] = result
                engine.known(node, result)
        return new

    def _stand_in(self, node: Node, result: Node, is_stopped: bool) -> Node:
        """A leaf in place of a named node that has become something, of which the same is known."""
        if is_stopped:
            with self._derivation.suspended():
                result = stop_gradient(result)
        stand_in = make_leaf("", "named", node.shape, node.dtype, node.risky)
        self._definitions[stand_in] = result
        self._stand_ins[stand_in] = node
        for facts in (self._engine.positive, self._engine.polynomial):
            if result in facts:
                facts.add(stand_in)
        return stand_in

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
            again = Formulas(joined(NOTHING, self._rules), {}, self._derivation)
            roots = again.all_settled(roots)
        first = Forms(FIRST, {}, self._derivation)
        roots = first.all_settled(roots)
        with self._derivation.active():
            in_order = {root: root for root in roots} if self._as_made else ordered(roots, self._engine.polynomial)
        forms = Forms(FORMS, {}, self._derivation)
        formed = forms.all_settled([in_order[root] for root in roots])
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
