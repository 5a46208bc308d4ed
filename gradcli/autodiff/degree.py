"""How often an expression can be differentiated before the gradient is None, and before it is 0, without differentiating.

Each node carries a :class:`Bound`. For None it is a set of pairs (open, closed): *open* counts factors through which a
gradient still passes, *closed* the further passes that come from factors such as ``sign``, whose gradient is a constant
zero that forgets where it came from. Order n is None exactly when n > max(open + closed). One number is not enough:
TensorFlow's gradient of ``sign`` is such a zero. For 0 it is the degree of the polynomial that the node is between its
kinks.

Both follow from the word that an operation's entry has for its degree: ``linear`` in all inputs together; ``product`` of
two inputs, of pairs of them added up, or of all (a contraction); ``square``; ``sign``, constant between jumps; ``abs``,
linear on either side of 0 with the slope ``sign``; ``ramp``, the same with a gradient that is never None; ``quotient``,
linear in its first input, not a polynomial of its second; ``solve``, the other way round; ``power`` of the first input;
``entries``, products of entries of the input; ``zero``, 0 whose gradient is never None; ``rule``, as its tangent says;
nothing for any other function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf

from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Contraction, NoDerivative, Repeated, constant_value
from gradcli.graph.types import size_of
from gradcli.tuples import NamedTuple

Pair = tuple[float, float]
Pairs = frozenset[Pair]
NOTHING: Pairs = frozenset()
UNBOUNDED: Pairs = frozenset({(inf, 0)})


class Bound(NamedTuple):
    """What is known of the derivatives of a node by x: the pairs that say when they are None, and the degree in x."""

    pairs: Pairs
    power: float

    @property
    def last(self) -> float:
        """The highest order at which the gradient is not None."""
        return max((o + c for o, c in self.pairs), default=0)


Classes = dict[Bound, int]
"""Bounds, and the xs (a bit for each) with regard to which a node has them; with regard to all others it is constant."""

CONSTANT = Bound(NOTHING, 0)
ITSELF = Bound(frozenset({(1, 0)}), 1)


def last_order(ys: Sequence[Node], x: Node, stops: Iterable[Node] = (), heads: Sequence[Node | None] = ()) -> float:
    """The highest order at which the gradient of the sum of ys with respect to x is not None; inf if there is none.

    ``heads`` are the head gradients of the ys, which may themselves depend on x.
    """
    return last_orders(ys, [x], stops, heads)[0]


def last_orders(
    ys: Sequence[Node], xs: Sequence[Node], stops: Iterable[Node] = (), heads: Sequence[Node | None] = ()
) -> list[float]:
    """:func:`last_order` for each of some xs."""
    return [last for last, _ in orders(ys, xs, stops, heads)]


def orders(
    ys: Sequence[Node], xs: Sequence[Node], stops: Iterable[Node] = (), heads: Sequence[Node | None] = ()
) -> list[tuple[float, float]]:
    """For each x the last order whose gradient is not None, and a bound on the degree of the sum of ys times their heads.

    The degree is inf where some y is not a polynomial of x. What a gradient does not pass through counts as a constant,
    and a function that is a polynomial on either side of its kinks counts as one. It is one pass for all xs: those that a
    node depends on in the same way are kept together.
    """
    stopped = set(stops)
    own: dict[Node, int] = {}
    for k, x in enumerate(xs):
        if x.dtype != "bool":
            own[x] = own.get(x, 0) | 1 << k
    classes: dict[Node, Classes] = {}
    oldest = min([x.serial for x in own], default=0)
    for node in cone([*ys, *(h for h in heads if h is not None)], stop=stopped, since=oldest):
        found: Classes = {}
        if node not in stopped:
            found = _combined([classes.get(i, {}) for i in node.inputs], ~own.get(node, 0), partial(bound, node))
        if node in own:
            found[ITSELF] = found.get(ITSELF, 0) | own[node]
        classes[node] = found
    best = [(0.0, 0.0)] * len(xs)
    for i, y in enumerate(ys):
        head = heads[i] if i < len(heads) else None
        for reached, members in _combined(
            [classes[y], classes[head] if head is not None else {}], -1, _weighed
        ).items():
            while members:
                k = (members & -members).bit_length() - 1
                best[k] = max(best[k][0], reached.last), max(best[k][1], reached.power)
                members &= members - 1
    return best


def _weighed(both: Sequence[Bound]) -> Bound:
    """A y times its head gradient, through which later passes go, but not the first."""
    y, head = both
    if not y.pairs:
        return CONSTANT
    product = _product(y, head)
    return product if y.power else Bound(product.pairs, 0)


def _combined(below: Sequence[Classes], among: int, function: Callable[[Sequence[Bound]], Bound]) -> Classes:
    """What a function makes of the bounds of some nodes, for each set of xs that those agree on."""
    members = 0
    for classes in below:
        for some in classes.values():
            members |= some
    members &= among
    if not members:
        return {}
    parts: list[tuple[int, tuple[Bound, ...]]] = [(members, ())]
    for classes in below:
        split: list[tuple[int, tuple[Bound, ...]]] = []
        for left, known in parts:
            for one, some in classes.items():
                if common := left & some:
                    split.append((common, (*known, one)))
                    left &= ~some
            if left:
                split.append((left, (*known, CONSTANT)))
        parts = split
    result: Classes = {}
    for some, known in parts:
        one = function(known)
        if one.pairs:
            result[one] = result.get(one, 0) | some
    return result


def bound(node: Node, below: Sequence[Bound]) -> Bound:
    """The bound of a node, given those of its inputs."""
    op = node.op
    if isinstance(op.rule, NoDerivative):
        return CONSTANT
    reached = [below[i] for i in op.differentiable_inputs(node)]
    if not any([b.pairs for b in reached]):
        return CONSTANT
    if isinstance(op.rule, Repeated):
        return _repeated(node, below)
    match op.degree:
        case "linear":
            return _sum(reached)
        case "product":
            return _products(node, below)
        case "square":
            return _product(below[0], below[0])
        case "sign":
            return Bound(frozenset({(0, below[0].last)}), 0)
        case "abs":
            pairs, top = below[0].pairs, below[0].last
            return Bound(_pareto((o, max(c, top)) for o, c in pairs), below[0].power)
        case "quotient":
            return _linear_in(below[0], below[1])
        case "solve":
            return _linear_in(below[1], below[0])
        case "rule":
            return _ruled(node, below)
        case _:
            return Bound(_other(reached), _degree(node, below[0].power) if any([b.power for b in reached]) else 0)


def _ruled(node: Node, below: Sequence[Bound]) -> Bound:
    """A value with a derivative of its own: the tangent is linear in each dx, and then has the degree of x for dx."""
    rule = node.attrs["rule"]
    bounds: dict[Node, Bound] = dict(zip(rule.parameters, below[1:], strict=True))
    bounds.update({dx: below[i] for i, dx in rule.tangents.items()})
    if rule.itself is not None:
        bounds[rule.itself] = Bound(_other(below[1:]), inf)
    for x in cone(rule.roots.values(), bounds):
        if x not in bounds:
            bounds[x] = bound(x, [bounds[i] for i in x.inputs])
    return _sum([bounds[root] for root in rule.roots.values()])


MOST_STEPS = 100
"""Steps of a loop after which a bound that still grows is taken for infinite."""


def _repeated(node: Node, below: Sequence[Bound]) -> Bound:
    """What a result of a loop is after its steps; a stack is what its rows are together."""
    body, result = node.attrs["body"], node.attrs["result"]
    bounds = dict.fromkeys(body.parameters, CONSTANT)
    bounds.update(zip([body.parameters[p] for p in node.attrs["given"]], below, strict=True))
    nodes = [x for x in cone([*body.following, *body.emitted], body.parameters) if x not in bounds]
    rows: list[Bound] = []
    highest: list[float] = []
    for step in range(body.count):
        before = {x: bounds[x] for x in body.states}
        highest.append(max([max(b.last, b.power) for b in before.values()], default=0))
        if step == MOST_STEPS:
            if highest[-1] > max(highest[: step // 2]):
                return Bound(UNBOUNDED, inf)
            break
        for x in nodes:
            bounds[x] = bound(x, [bounds[i] for i in x.inputs])
        if body.stacks(result):
            rows.append(bounds[body.root(result)])
        after = [bounds[x] for x in body.following]
        bounds.update(zip(body.states, after, strict=True))
        if all([bounds[x] == before[x] for x in body.states]):
            break
    return _sum(rows or [CONSTANT]) if body.stacks(result) else bounds[body.states[result]]


def _degree(node: Node, below: float) -> float:
    """The degree of a function of a first input of a degree, without a bound on when its gradient is None."""
    match node.op.degree:
        case "ramp":
            return below
        case "entries":
            return max(size_of(node.inputs[0].shape), 1) * below
        case "power":
            exponent = constant_value(node.inputs[1])
            if exponent is None or exponent < 0 or not float(exponent).is_integer():
                return inf
            return float(exponent) * below if exponent else 0
        case "zero":
            return 0
        case _:
            return inf


def _sum(terms: Sequence[Bound]) -> Bound:
    return Bound(_pareto(frozenset().union(*[b.pairs for b in terms])), max([b.power for b in terms]))


def _product(a: Bound, b: Bound) -> Bound:
    power = a.power + b.power
    if not a.pairs or not b.pairs:
        return Bound(a.pairs or b.pairs, power)
    return Bound(_pareto((o1 + o2, max(c1, c2)) for o1, c1 in a.pairs for o2, c2 in b.pairs), power)


def _linear_in(a: Bound, b: Bound) -> Bound:
    """Linear in a, and not a polynomial of b."""
    product = _product(a, b)
    is_open = any(o > 0 for o, _ in b.pairs)
    return Bound(UNBOUNDED if is_open else product.pairs, inf if b.power else a.power)


def _pareto(pairs: Iterable[Pair]) -> Pairs:
    kept = set(pairs)
    return frozenset(p for p in kept if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in kept))


def _other(inputs: Sequence[Bound]) -> Pairs:
    """Any function that is not linear: unbounded as soon as it is open, else as often as what is closed below."""
    joined = frozenset().union(*[b.pairs for b in inputs])
    if any(o > 0 for o, _ in joined):
        return UNBOUNDED
    return frozenset({(0, max(c for _, c in joined))})


def _products(node: Node, below: Sequence[Bound]) -> Bound:
    """A sum of products of pairs of inputs (elementwise), or one product of all (a contraction)."""
    if isinstance(node.op.rule, Contraction):
        result = below[0]
        for factor in below[1:]:
            result = _product(result, factor)
        return result
    return _sum([_product(below[i], below[i + 1]) for i in range(0, len(below), 2)])
