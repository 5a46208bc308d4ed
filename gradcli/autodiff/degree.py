"""How often an expression can be differentiated before the gradient is None, decided without differentiating.

Each node carries a set of pairs (open, closed): *open* counts factors through which a gradient still passes, *closed* the
further passes that come from factors such as ``sign``, whose gradient is a constant zero that forgets where it came
from. Order n is None exactly when n > max(open + closed). One number is not enough: TensorFlow's gradient of ``sign``
is such a zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf

from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Contraction, Linear, NoDerivative, Product, Select

Pair = tuple[float, float]
Pairs = frozenset[Pair]
Classes = dict[Pairs, int]
"""Pairs, and the xs (a bit for each) with regard to which a node has them; for all other xs it has none."""

NOTHING: Pairs = frozenset()
VARIABLE: Pairs = frozenset({(1, 0)})
UNBOUNDED: Pairs = frozenset({(inf, 0)})


def last_order(ys: Sequence[Node], x: Node, stops: Iterable[Node] = (), heads: Sequence[Node | None] = ()) -> float:
    """The highest order at which the gradient of the sum of ys with respect to x is not None; inf if there is none.

    ``heads`` are the head gradients of the ys, which may themselves depend on x.
    """
    return last_orders(ys, [x], stops, heads)[0]


def last_orders(
    ys: Sequence[Node], xs: Sequence[Node], stops: Iterable[Node] = (), heads: Sequence[Node | None] = ()
) -> list[float]:
    """:func:`last_order` for each of some xs, in one pass: xs that a node depends on in the same way are kept together."""
    stopped = set(stops)
    own: dict[Node, int] = {}
    for k, x in enumerate(xs):
        if x.dtype != "bool":
            own[x] = own.get(x, 0) | 1 << k
    classes: dict[Node, Classes] = {}
    for node in cone([*ys, *(h for h in heads if h is not None)], stop=stopped):
        found: Classes = {}
        if node not in stopped:
            found = _combined([classes[i] for i in node.inputs], ~own.get(node, 0), partial(_pairs, node))
        if node in own:
            found[VARIABLE] = found.get(VARIABLE, 0) | own[node]
        classes[node] = found
    best = [0.0] * len(xs)
    for i, y in enumerate(ys):
        head = heads[i] if i < len(heads) else None
        # The first pass does not go through the head gradient, but later ones do.
        through = [classes[y], classes[head] if head is not None else {}]
        for pairs, members in _combined(through, -1, lambda both: _product(*both) if both[0] else NOTHING).items():
            reached = degree(pairs)
            while members:
                k = (members & -members).bit_length() - 1
                best[k] = max(best[k], reached)
                members &= members - 1
    return best


def _combined(below: Sequence[Classes], among: int, function: Callable[[Sequence[Pairs]], Pairs]) -> Classes:
    """What a function makes of the pairs of some nodes, for each set of xs that those agree on."""
    members = 0
    for classes in below:
        for some in classes.values():
            members |= some
    members &= among
    if not members:
        return {}
    parts: list[tuple[int, tuple[Pairs, ...]]] = [(members, ())]
    for classes in below:
        split: list[tuple[int, tuple[Pairs, ...]]] = []
        for left, known in parts:
            for pairs, some in classes.items():
                if common := left & some:
                    split.append((common, (*known, pairs)))
                    left &= ~some
            if left:
                split.append((left, (*known, NOTHING)))
        parts = split
    result: Classes = {}
    for some, known in parts:
        if pairs := function(known):
            result[pairs] = result.get(pairs, 0) | some
    return result


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
