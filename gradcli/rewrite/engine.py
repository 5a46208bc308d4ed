"""Applies rules to a graph until none fits: iterative, equal operations made once, shapes and dtypes held.

A rule is a function that gives a better node or None. A rule set is data: for each operation its rules, each with its
algebra. What a rule builds is rewritten in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from gradcli.graph.node import Derivation, Node

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

    ``done`` maps nodes to what they have become; what is put there before stays. ``original`` maps a new node to the one
    of the graph that it stands for.
    """

    def __init__(self, rules: Rules, derivation: Derivation | None = None) -> None:
        self.rules = rules
        self.derivation = derivation or Derivation()
        self.done: dict[Node, Node] = {}
        self.original: dict[Node, Node] = {}

    def rewrite(self, nodes: Iterable[Node]) -> None:
        """Rewrite all nodes of a graph, inputs before users."""
        done, rules, original = self.done, self.rules, self.original
        with self.derivation.active():
            for node in nodes:
                if node in done:
                    continue
                new = self.renewed(node)
                if new is not node:
                    if new in done:
                        done[node] = done[new]
                        continue
                    original[new] = node
                better = self.better(new) if new.op.name in rules else None
                done[node] = done[new] = new if better is None else self._settled(better, node)

    def settled(self, node: Node) -> Node:
        """What a node becomes."""
        return self.all_settled([node])[0]

    def all_settled(self, nodes: Iterable[Node]) -> list[Node]:
        """What nodes become."""
        with self.derivation.active():
            return [self._settled(node, None) for node in nodes]

    def becomes(self, node: Node) -> Node:
        """The same of one, while the derivation is active."""
        return self._settled(node, None)

    def _settled(self, node: Node, source: Node | None) -> Node:
        """What a node becomes; ``source`` is the one of the graph that it is made for, if any."""
        done = self.done
        if node in done:
            return done[node]
        becomes: dict[Node, Node] = {}
        todo = [node]
        if all([x in done for x in node.inputs]):  # as most are: what is below has been rewritten
            new = self.renewed(node)
            if new in done:
                done[node] = done[new]
                return done[node]
            if source is not None:
                self.original[new] = source
            better = self.better(new)
            if better is None:
                self.learn(new)
                done[node] = done[new] = new
                return new
            becomes[node] = better
            todo.append(better)
        while todo:
            top = todo[-1]
            if top in done:
                todo.pop()
                continue
            if top in becomes:
                done[top] = done[becomes[top]]
                continue
            missing = [x for x in top.inputs if x not in done]
            if missing:
                todo.extend(missing)
                continue
            new = self.renewed(top)
            if new in done:
                done[top] = done[new]
                continue
            if source is not None:
                self.original[new] = source
            better = self.better(new)
            if better is None or better in becomes:  # rules that undo one another end here
                self.learn(new)
                done[top] = done[new] = new
                continue
            becomes[top] = better
            todo.append(better)
        return done[node]

    def renewed(self, node: Node) -> Node:
        """The node on what its inputs have become: itself where they are the same, or one made before that is equal."""
        if not node.op.shareable:
            return node
        inputs = tuple(map(self.done.__getitem__, node.inputs))
        return self.derivation.shared(node if inputs == node.inputs else node.with_inputs(inputs))

    def better(self, node: Node) -> Node | None:
        """What the first rule that fits makes of a node."""
        for _, rule in self.rules.get(node.op.name, ()):
            better = rule(node)
            if better is not None and better is not node and self.allowed(better):
                assert (better.shape, better.dtype) == (node.shape, node.dtype), (node, better)
                return better
        return None

    def allowed(self, better: Node) -> bool:
        """Whether what a rule has made may be taken."""
        return True

    def learn(self, node: Node) -> None:
        """Note what is known of a node that stays."""
