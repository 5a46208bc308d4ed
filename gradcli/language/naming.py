"""What to call a node in a sentence: its name in the program, else a short formula of named nodes."""

from __future__ import annotations

from gradcli.graph.node import Node
from gradcli.graph.operation import Elementwise, Linear, Product, Zero
from gradcli.graph.printing import MINUS, PRODUCT, Text, apply, expression
from gradcli.language.values import Elaborated

DEPTH = 4
LONGEST = 60
MOST_INPUTS = 8


class Naming:
    """The names of a program's nodes, and formulas of the others."""

    def __init__(self, program: Elaborated) -> None:
        self.program = program
        self.names: dict[Node, str] = {}
        for name, value in program.names.items():
            if isinstance(value, Node):
                self.names.setdefault(value, name)

    def name(self, node: Node) -> str:
        """``h`` or ``tanh(a)``."""
        return self.names.get(node) or self.formula(node)

    def formula(self, node: Node) -> str:
        """``tanh(a)``: the operation of a node on what its inputs are called."""
        for depth in range(DEPTH, 0, -1):
            text = self._text(node, depth, whole=True).text
            if len(text) <= LONGEST:
                return text
        return f"{node.op.name}(…)"

    def _text(self, node: Node, depth: int, whole: bool = False) -> Text:
        name = self.names.get(node)
        if name is not None and not whole:
            return Text(name)
        if node.op.name == "leaf":
            return Text(str(node.attrs["name"]))
        if node.op.name == "literal":
            return expression(node, {})
        if not depth or node.op.name == "array":
            return Text("[…]" if node.op.name == "array" else "…")
        if node.op.name == "recip" and node.attrs.get("positive"):
            return Text(f"1 / {self._text(node.inputs[0], depth - 1).at_least(MINUS)}", PRODUCT)
        if len(node.inputs) > MOST_INPUTS:
            return Text(f"{node.op.name}(…)")
        return apply(node, [self._text(x, depth - 1) for x in node.inputs])

    def factor(self, node: Node, x: Node) -> str | None:
        """The partial derivative of a node by one of its inputs as a formula; None where it is a linear map."""
        rule = node.op.rule
        positions = [i for i in node.op.differentiable_inputs(node) if node.inputs[i] is x]
        match rule:
            case Product():
                return " + ".join([self.name(node.inputs[i ^ 1]) for i in positions])
            case Elementwise():
                with self.program.derivation.active():
                    return " + ".join([self._partial(node, i, rule) for i in positions])
            case Linear() if node.op.name in ("add", "subtract", "neg", "identity", "cast"):
                negative = [node.op.name == "neg" or (node.op.name == "subtract" and i == 1) for i in positions]
                total = sum([-1 if minus else 1 for minus in negative])
                return str(total)
        return None

    def _partial(self, node: Node, i: int, rule: Elementwise) -> str:
        partial = rule.partials[i]
        if partial is None or isinstance(partial, Zero):
            return "0"
        p = partial(node, *node.inputs)
        if not isinstance(p, Node):
            return str(p)
        if p.op.name == "add" and p.inputs[1].op.name == "link":
            p = p.inputs[0]
        return self.name(p)
