"""How often an expression can be differentiated before the gradient is None, decided without differentiating.

Each node carries a set of pairs (open, closed): *open* counts factors through which a gradient still passes, *closed* the
further passes that come from factors such as ``sign``, whose gradient is a constant zero that forgets where it came
from. Order n is None exactly when n > max(open + closed). One number is not enough: TensorFlow's gradient of ``sign``
is such a zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Contraction, Linear, NoDerivative, Product, Select

Pair = tuple[float, float]
Pairs = frozenset[Pair]

NOTHING: Pairs = frozenset()
UNBOUNDED: Pairs = frozenset({(inf, 0)})


def last_order(ys: Sequence[Node], x: Node, stops: Iterable[Node] = (), heads: Sequence[Node | None] = ()) -> float:
    """The highest order at which the gradient of the sum of ys with respect to x is not None; inf if there is none.

    ``heads`` are the head gradients of the ys, which may themselves depend on x.
    """
    if x.dtype == "bool":
        return 0
    stopped = set(stops)
    roots = [*ys, *(h for h in heads if h is not None)]
    pairs: dict[Node, Pairs] = {}
    for node in cone(roots, stop=[*stopped, x]):
        if node is x:
            pairs[node] = frozenset({(1, 0)})
        elif node in stopped:
            pairs[node] = NOTHING
        else:
            pairs[node] = _pairs(node, [pairs[i] for i in node.inputs])
    best = 0.0
    for i, y in enumerate(ys):
        head = heads[i] if i < len(heads) else None
        through = pairs[y]
        if not through:
            continue
        factor = pairs[head] if head is not None else NOTHING
        # The first pass does not go through the head gradient, but later ones do.
        best = max(best, degree(_product(through, factor)))
    return best


def degree(pairs: Pairs) -> float:
    return max((o + c for o, c in pairs), default=0)


def _product(a: Pairs, b: Pairs) -> Pairs:
    if not a or not b:
        return a or b
    return _pareto((o1 + o2, max(c1, c2)) for o1, c1 in a for o2, c2 in b)


def _pareto(pairs: Iterable[Pair]) -> Pairs:
    kept = set(pairs)
    return frozenset(p for p in kept if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in kept))


def _other(inputs: Iterable[Pairs]) -> Pairs:
    """Any function that is not linear: unbounded as soon as it is open, else as often as what is closed below."""
    joined = frozenset().union(*inputs)
    if not joined:
        return NOTHING
    if any(o > 0 for o, _ in joined):
        return UNBOUNDED
    return frozenset({(0, max(c for _, c in joined))})


def _pairs(node: Node, below: Sequence[Pairs]) -> Pairs:
    op = node.op
    rule = op.rule
    if isinstance(rule, NoDerivative) or not any(below):
        return NOTHING
    kind = op.degree
    if not kind:
        if isinstance(rule, (Linear, Select)):
            kind = "linear"
        elif isinstance(rule, (Product, Contraction)):
            kind = "product"
    match kind:
        case "linear":
            reached = [below[i] for i in op.differentiable_inputs(node)]
            return _pareto(frozenset().union(*reached)) if reached else NOTHING
        case "product":
            return _products(node, below)
        case "square":
            return _product(below[0], below[0])
        case "sign":
            return frozenset({(0, degree(below[0]))})
        case "abs":
            top = degree(below[0])
            return _pareto((o, max(c, top)) for o, c in below[0])
        case "quotient":
            return UNBOUNDED if any(o > 0 for o, _ in below[1]) else _product(below[0], below[1])
        case "solve":
            return UNBOUNDED if any(o > 0 for o, _ in below[0]) else _product(below[0], below[1])
        case _:
            return _other([below[i] for i in op.differentiable_inputs(node)])


def _products(node: Node, below: Sequence[Pairs]) -> Pairs:
    """A sum of products of pairs of inputs (elementwise), or one product of all (a contraction)."""
    if isinstance(node.op.rule, Contraction):
        result = NOTHING
        for pairs in below:
            result = _product(result, pairs)
        return result
    terms = [_product(below[i], below[i + 1]) for i in range(0, len(below), 2)]
    return _pareto(frozenset().union(*terms))
