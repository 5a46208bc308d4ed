"""What to call a node in a sentence: its name in the program, else a short formula of named nodes."""

from __future__ import annotations

from gradcli.graph.describe import describe_derivative
from gradcli.graph.node import Node
from gradcli.graph.operation import Elementwise, Linear, Product, Zero
from gradcli.graph.ops.elementwise import neg, subtract
from gradcli.graph.ops.words.language import apply, expression
from gradcli.graph.printing import MINUS, POSTFIX, PRODUCT, Text
from gradcli.graph.types import is_float
from gradcli.language.values import Elaborated

DEPTH = 4
LONGEST = 60
MOST_INPUTS = 8

_PRODUCTS = {  # what a product of values of these ranks does to its gradient g, for the first operand and the second
    (2, 2): ("g @ {tight}.T", "{tight}.T @ g"),
    (2, 1): ("outer(g, {other})", "{tight}.T @ g"),
    (1, 2): ("{tight} @ g", "outer({other}, g)"),
    (1, 1): ("g * {tight}", "g * {tight}"),
}


class Naming:
    """The names of a program's nodes, and formulas of the others."""

    def __init__(self, program: Elaborated) -> None:
        self.program = program
        self.names: dict[Node, str] = {}
        for name, value in program.names.items():
            if isinstance(value, Node):
                self.names.setdefault(value, name)
        self._formulas: dict[Node, str] = {}

    def name(self, node: Node) -> str:
        """``h`` or ``tanh(a)``."""
        return self.names.get(node) or self.formula(node)

    def formula(self, node: Node) -> str:
        """``tanh(a)``: the operation of a node on what its inputs are called."""
        if node not in self._formulas:
            self._formulas[node] = self._formula(node)
        return self._formulas[node]

    def _formula(self, node: Node) -> str:
        for depth in range(DEPTH, 0, -1):
            text = self._text(node, depth, whole=True).text
            if len(text) <= LONGEST:
                return text
        return f"{node.op.name}(…)"

    def _text(self, node: Node, depth: int, whole: bool = False) -> Text:
        name = self.names.get(node)
        if name is not None and not whole:
            return Text(name)
        op = node.op.name
        if op == "cast" and is_float(node.dtype) and node.inputs[0].dtype != "bool":
            return self._text(node.inputs[0], depth)  # most often one that nobody wrote
        if op == "identity" and node.inputs[0] in self.program.derivation.origin:
            return self._text(node.inputs[0], depth)  # a gradient in the program
        if op == "leaf":
            return Text(str(node.attrs["name"]) or "…")
        if op == "literal":
            return expression(node, {})
        if op in ("array", "ones", "zeros"):
            return Text({"array": "[…]", "ones": "1", "zeros": "0"}[op])
        if not depth:
            return Text("…")
        if len(node.inputs) > MOST_INPUTS:
            return Text(f"{op}(…)" if op != "loop" else f"loop(…, steps={node.attrs['body'].count})")
        inputs = [self._text(x, depth - 1) for x in node.inputs]
        if op == "recip":
            return Text(f"1 / {inputs[0].at_least(MINUS)}", PRODUCT)
        if op in ("pow", "multiply") and inputs[1].text == "1":
            return inputs[0]
        if op == "multiply" and inputs[0].text == "1":
            return inputs[1]
        return apply(node, inputs)

    def factor(self, node: Node, x: Node) -> str | None:
        """The partial derivative of a node by one of its inputs as a formula; None where it is a linear map."""
        rule = node.op.rule
        positions = [i for i in node.op.differentiable_inputs(node) if node.inputs[i] is x]
        match rule:
            case Product():
                partners = [self._text(node.inputs[i ^ 1], DEPTH - 1) for i in positions]
                twice = len(positions) == 2 and partners[0] == partners[1]
                return f"2 * {partners[0].at_least(MINUS)}" if twice else " + ".join([t.text for t in partners])
            case Elementwise():
                with self.program.derivation.active():
                    return " + ".join([self._partial(node, i, rule) for i in positions])
            case Linear() if node.op.entrywise:
                negative = [node.op is neg or (node.op is subtract and i == 1) for i in positions]
                return str(sum([-1 if minus else 1 for minus in negative]))
        return None

    def linear_map(self, node: Node, x: Node) -> str:
        """What a node does to its gradient g on the way to one of its inputs, where that is not a factor."""
        if node.op.name in ("matmul", "dot") and node.inputs[0] is not node.inputs[1]:
            a, b = node.inputs
            form = _PRODUCTS.get((a.rank, b.rank), ("", ""))[0 if x is a else 1]
            other = self._text(b if x is a else a, 2)
            if form:
                return form.format(other=other.text, tight=other.at_least(POSTFIX))
        if node.op.name == "index":
            return "g in its place, 0 elsewhere"
        words = describe_derivative(node.op, node).removeprefix("linear: ").replace("that of", "slope of")
        return words.replace("the gradient", "g")

    def _partial(self, node: Node, i: int, rule: Elementwise) -> str:
        partial = rule.partials[i]
        if partial is None or isinstance(partial, Zero):
            return "0"
        p = partial(node, *node.inputs)
        if not isinstance(p, Node):
            return str(p)
        if isinstance(p.op.rule, Linear) and p.inputs[-1].op.connects:
            p = p.inputs[0]
        return self.name(p)
