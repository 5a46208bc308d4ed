"""Of which degree y is in x, piece by piece: one more derivative than that is 0 everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Contraction, Linear, NoDerivative, Product, Select
from gradcli.graph.types import size_of


def degree_in(ys: Sequence[Node], x: Node, stops: Iterable[Node] = (), heads: Sequence[Node | None] = ()) -> float:
    """A bound on the degree of the sum of ys times their head gradients; inf where y is no polynomial of x.

    What a gradient does not pass through counts as a constant. A function that is a polynomial on either side of its
    kinks counts as one.
    """
    stopped = set(stops)
    degrees: dict[Node, float] = {}
    for node in cone([*ys, *(h for h in heads if h is not None)], stop=[*stopped, x]):
        if node is x:
            degrees[node] = 1
        else:
            degrees[node] = 0 if node in stopped else _degree(node, [degrees[i] for i in node.inputs])
    best = 0.0
    for i, y in enumerate(ys):
        head = heads[i] if i < len(heads) else None
        best = max(best, degrees[y] + (degrees[head] if head is not None and degrees[y] else 0))
    return best


def _degree(node: Node, below: Sequence[float]) -> float:
    op = node.op
    rule = op.rule
    reached = [below[i] for i in op.differentiable_inputs(node)]
    if isinstance(rule, NoDerivative) or not any(reached) or op.degree == "sign" or op.name == "zero":
        return 0
    if op.degree == "linear" or isinstance(rule, (Linear, Select)) or op.name == "relu":
        return max(reached)
    if isinstance(rule, Product):
        return max([below[i] + below[i + 1] for i in range(0, len(below), 2)])
    if isinstance(rule, Contraction):
        return sum(below)
    match op.name:
        case "square":
            return 2 * below[0]
        case "abs" | "leaky_relu":
            return below[0]
        case "divide" | "divide_no_nan":
            return inf if below[1] else below[0]
        case "solve":
            return inf if below[0] else below[1]
        case "xlogy":
            return inf if below[1] else below[0]
        case "prod" | "cumprod":
            return max(size_of(node.inputs[0].shape), 1) * below[0]
        case "pow":
            exponent = node.inputs[1].attrs.get("value") if node.inputs[1].op.name == "literal" else None
            whole = exponent is not None and exponent >= 0 and float(exponent).is_integer()
            return inf if not whole else float(exponent) * below[0] if exponent else 0
    return inf
