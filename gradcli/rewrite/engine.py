"""Applies rules to a graph until none fits: iterative, equal operations made once, shapes and dtypes held.

A rule is a function that gives a better node or None, listed with its algebra under the operation that it replaces. What
a rule builds is rewritten in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gradcli.graph.node import Derivation, Node, make
from gradcli.graph.ops.elementwise import recip
from gradcli.graph.types import is_float

Rule = Callable[[Node], "Node | None"]
Rules = Mapping[str, Sequence[tuple[str, Rule]]]


def joined(*several: Rules) -> Rules:
    """All rules for each operation, in the order given."""
    result: dict[str, list[tuple[str, Rule]]] = {}
    for rules in several:
        for name, own in rules.items():
            result.setdefault(name, []).extend(own)
    return result


class Engine:
    """Rules applied to nodes from the leaves upwards.

    ``careful`` rules may exchange 0 and -0; they are left out while ``exposed`` is set, which is for nodes that a singular
    operation is computed from (1/x tells the two apart). ``positive`` and ``polynomial`` are what is known of nodes: never
    negative and never -0, and a polynomial of some variable (whose derivatives end in None).
    """

    def __init__(self, rules: Rules, careful: Rules | None = None, derivation: Derivation | None = None) -> None:
        self.rules = rules
        self.careful = careful or {}
        self.derivation = derivation or Derivation()
        self.exposed = False
        self.positive: set[Node] = set()
        self.polynomial: set[Node] = set()
        self._done: dict[tuple[Node, bool], Node] = {}

    def settled(self, node: Node, given: Mapping[Node, Node] | None = None) -> Node:
        """The node after all rules; ``given`` are nodes that are done, and what they became."""
        known = given if given is not None else {}
        becomes: dict[Node, Node] = {}
        todo = [node]
        with self.derivation.active():
            while todo:
                top = todo[-1]
                if self._result(top, known) is not None:
                    todo.pop()
                    continue
                if top in becomes:
                    self._done[top, self.exposed] = self._finished(becomes[top], known)
                    continue
                missing = [x for x in top.inputs if self._result(x, known) is None]
                if missing:
                    todo.extend(missing)
                    continue
                new = make(
                    top.op, tuple([self._finished(x, known) for x in top.inputs]), top.attrs, top.shape, top.dtype
                )
                if not top.op.shareable:
                    new = top
                better = self._better(new)
                if better is None or better in becomes:  # rules that undo one another end here
                    self._learn(new)
                    self._done[new, self.exposed] = self._done[top, self.exposed] = new
                    continue
                assert (better.shape, better.dtype) == (new.shape, new.dtype), (new, better)
                becomes[top] = better
                todo.append(better)
        return self._finished(node, known)

    def _result(self, node: Node, known: Mapping[Node, Node]) -> Node | None:
        return known.get(node) or self._done.get((node, self.exposed))

    def _finished(self, node: Node, known: Mapping[Node, Node]) -> Node:
        result = self._result(node, known)
        assert result is not None
        return result

    def _better(self, node: Node) -> Node | None:
        for _, rule in self.rules.get(node.op.name, ()):
            better = rule(node)
            if better is not None and better is not node:
                return better
        if node.op is recip and node.attrs.get("positive") and node.inputs[0] in self.positive:
            return node.op(node.inputs[0], positive=False)
        if not self.exposed:
            for _, rule in self.careful.get(node.op.name, ()):
                better = rule(node)
                if better is not None and better is not node:
                    return better
        return None

    def _learn(self, node: Node) -> None:
        if _positive(node, self.positive):
            self.positive.add(node)
        own = node.op.name == "leaf" and node.attrs["kind"] != "named"
        if own or any([x in self.polynomial for x in _degree_from(node)]):
            self.polynomial.add(node)


def _degree_from(node: Node) -> tuple[Node, ...]:
    """The inputs of which the result may be a polynomial: of a quotient the numerator only, of xlogy the first."""
    match node.op.degree:
        case "quotient":
            return node.inputs[:1]
        case "solve":
            return node.inputs[1:]
        case "linear" | "product" | "square" | "abs":
            return node.inputs
        case _:
            return ()


def _positive(node: Node, known: set[Node]) -> bool:
    op = node.op
    if not is_float(node.dtype):
        return False
    if op.name == "literal":
        return bool(node.attrs["value"] >= 0) and str(node.attrs["value"]) != "-0.0"
    if op.degree == "power":
        exponent = node.inputs[1]
        return exponent.op.name == "literal" and exponent.attrs["value"] > 0 and exponent.attrs["value"] % 2 == 0
    below = [x for x in node.inputs if x.dtype == node.dtype]
    return op.positive or (op.closed and bool(below) and all([x in known for x in below]))
