"""Reverse mode: gradients as graph, with the contract of TensorFlow's ``tf.gradients`` and the strong zero.

A cotangent is a pair (g, mask). The mask says where the node was selected by every ``where`` on the way from y; None
means everywhere. What is not selected must contribute exactly nothing, so each factor that multiplies g and may be NaN
or infinite is replaced by 0 where the mask is false. Those guards are ordinary ``where`` nodes, so that a gradient can
be differentiated again; nodes that cannot be singular get none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from gradcli.autodiff.cotangents import (
    Cotangent,
    either,
    guarded,
    is_indicator,
    mask_to,
    product_mask,
    unless_met,
)
from gradcli.autodiff.powers import Factored
from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Derivation, Node, Number, by_serial, cone, current_derivation
from gradcli.graph.operation import (
    Contraction,
    Elementwise,
    Linear,
    Product,
    Repeated,
    SameAs,
    Select,
    Tangent,
    Zero,
    cast_to,
    constant_value,
)
from gradcli.graph.ops.creation import eye, ones, tangent, zeros
from gradcli.graph.ops.elementwise import divide, multiply, multiply_no_nan, recip
from gradcli.graph.ops.linear_algebra import contract
from gradcli.graph.ops.reductions import any_, sum_
from gradcli.graph.ops.selection import guard, link, logical_and, logical_not, not_equal, where, zero
from gradcli.graph.ops.shaping import broadcast_to, broadcasted, reshape, reshaped, unbroadcast
from gradcli.graph.types import Shape, is_float, show_shape
from gradcli.tuples import NamedTuple


class Passed(NamedTuple):
    """What ``node``, whose cotangent is ``total``, passed on to one of its inputs."""

    node: Node
    total: Node
    input: Node
    contribution: Node


def gradients(
    ys: Sequence[Node],
    xs: Sequence[Node],
    grad_ys: Sequence[Node | None] | None = None,
    stops: Iterable[Node] = (),
    passed: list[Passed] | None = None,
) -> list[Node | None]:
    """The derivative of the sum of ``ys`` with respect to each of ``xs``.

    Each result has the shape of its x, and its dtype if that is a float; it is None exactly when no path of
    differentiable operations leads from x to some y; so it is for a bool x. ``grad_ys`` holds head gradients of the shapes of the ys (a scalar
    broadcasts, None means ones). A node of ``stops`` passes nothing on to its inputs. ``passed`` is filled with
    every contribution in the order in which they are made. Raises GradcliError (ShapeError) for a head gradient of another shape. Source: TensorFlow, ``python/ops/gradients_util.py``.
    """
    derivation = current_derivation() or Derivation()
    with derivation.active():
        heads = grad_ys if grad_ys is not None else [None] * len(ys)
        seeds = [(y, Cotangent(seed(y, head, i), None)) for i, (y, head) in enumerate(zip(ys, heads, strict=True))]
        found = sweep(derivation, seeds, {x for x in xs if x.dtype != "bool"}, set(stops), passed)
        results: list[Node | None] = []
        for x in xs:
            c = found.get(x)
            g = c.g if c else None
            results.append(cast_to(g, x.dtype) if g is not None and is_float(x.dtype) else g)
        return results


def seed(y: Node, head: Node | None, position: int = 0) -> Node:
    """The head gradient of y: ones by default, else of y's shape exactly; in y's dtype where that is a float."""
    if head is None:
        return ones(shape=y.shape, dtype="float64" if y.dtype == "bool" else y.dtype)
    if head.shape not in ((), y.shape):
        raise GradcliError(
            "ShapeError",
            f"a head gradient needs the shape of its y, {show_shape(y.shape)}, not {show_shape(head.shape)}",
            operands=[(position, f"shape {show_shape(head.shape)}")],
        )
    g = cast_to(head, y.dtype) if is_float(y.dtype) else head
    return broadcasted(g, y.shape)


def zero_gradient(x: Node) -> Node:
    """Zeros like x, for ``unconnected_gradients="zero"``."""
    return zeros(shape=x.shape, dtype="float64" if x.dtype == "bool" else x.dtype)


def dependents(roots: Iterable[Node], xs: Iterable[Node]) -> set[Node]:
    """The nodes that the roots are computed from and that depend on some of the xs, those included."""
    wanted = set(xs)
    found: set[Node] = set()
    for node in cone(roots, since=min([x.serial for x in wanted], default=0)):
        if node in wanted or any([i in found for i in node.inputs]):
            found.add(node)
    return found


def active_nodes(roots: Iterable[Node], wanted: set[Node], barriers: set[Node]) -> list[Node]:
    """The nodes with a differentiable path to a wanted node, users before inputs; none is older than what is wanted."""
    oldest = min([x.serial for x in wanted], default=0)
    seen = set(roots)
    todo = list(seen)
    through: dict[Node, list[Node]] = {}
    while todo:
        node = todo.pop()
        if node in barriers:
            continue
        inputs = node.inputs
        reached = through[node] = [inputs[i] for i in node.op.differentiable_inputs(node)]
        for x in reached:
            if x not in seen and x.serial >= oldest:
                seen.add(x)
                todo.append(x)
    active: set[Node] = set()
    order = sorted(seen, key=by_serial)
    for node in order:
        if node in wanted or any([x in active for x in through.get(node, ())]):
            active.add(node)
    return [node for node in reversed(order) if node in active]


def sweep(
    derivation: Derivation,
    seeds: Sequence[tuple[Node, Cotangent]],
    wanted: set[Node],
    barriers: set[Node],
    passed: list[Passed] | None = None,
) -> dict[Node, Cotangent]:
    """Cotangents of the wanted nodes. A barrier receives a cotangent but passes nothing on."""
    order = active_nodes([y for y, _ in seeds], wanted, barriers)
    active = set(order)
    pending: dict[Node, list[Cotangent]] = {}
    for y, c in seeds:
        if y in active:
            pending.setdefault(y, []).append(c)
    found: dict[Node, Cotangent] = {}
    outer = derivation.current
    for k, node in enumerate(order):
        if node not in pending:
            continue
        derivation.current = outer or node
        totals = []
        for x in _run_together(order, k) if isinstance(node.op.rule, Repeated) else (node,):
            if x in pending:
                total = summed(pending.pop(x))
                if x in wanted:
                    found[x] = total
                if x not in barriers:
                    totals.append((x, total))
        for x, c in _passed_on(derivation, totals, active) if totals else ():
            pending.setdefault(x, []).append(c)
            if passed is not None:
                passed.append(Passed(totals[0][0], totals[0][1].g, x, c.g))
    derivation.current = outer
    return found


def _run_together(order: Sequence[Node], start: int) -> Sequence[Node]:
    from gradcli.autodiff.loops import grouped  # few programs have loops

    return grouped(order, start)


def passed_on(derivation: Derivation, node: Node, c: Cotangent, to: set[Node]) -> list[tuple[Node, Cotangent]]:
    """What a node passes on to some of its inputs, which may be named more than once; it is the origin of what is made."""
    return _passed_on(derivation, [(node, c)], to)


def _passed_on(
    derivation: Derivation, totals: Sequence[tuple[Node, Cotangent]], to: set[Node]
) -> list[tuple[Node, Cotangent]]:
    """The same of one node, or of results of one loop together."""
    node, c = totals[0]
    outer = derivation.current
    derivation.current = outer or node
    if isinstance(node.op.rule, Repeated):
        from gradcli.autodiff.loops import passed_back

        received = passed_back(derivation, totals, to, sweep)
    else:
        received = list(contributions(derivation, node, c, to))
    derivation.current = outer
    return [(x, c if x.risky or c.mask is None else Cotangent(c.g, None)) for x, c in received]


def summed(received: Sequence[Cotangent]) -> Cotangent:
    """The sum of what a node received."""
    g, mask = received[0]
    for c in received[1:]:
        g = g + c.g
        if mask is not None:
            mask = None if c.mask is None else either(mask, c.mask)
    return Cotangent(g, mask)


def contributions(
    derivation: Derivation, node: Node, c: Cotangent, active: set[Node]
) -> Iterator[tuple[Node, Cotangent]]:
    """What a node passes on to each of its active inputs."""
    rule = node.op.rule
    inputs = node.inputs
    positions = [i for i in node.op.differentiable_inputs(node) if inputs[i] in active]
    if not positions:
        return
    if node.op.squared is not None and is_float(node.dtype):
        factored = Factored(c.g, node)
        if factored.quotient is not None:
            yield from _through_square(derivation, node, c, factored.quotient, {inputs[i] for i in positions})
            if factored.rest is None:
                return
            c = Cotangent(factored.rest, c.mask)
    through = _THROUGH.get(type(rule))
    if through is not None:
        for i in positions:
            yield inputs[i], through(node, i, rule, c)
    elif isinstance(rule, SameAs):
        expression = rule.expression(node, *inputs)
        inner = sweep(derivation, [(expression, c)], {inputs[i] for i in positions}, {*inputs, node})
        for x, got in inner.items():
            yield x, Cotangent(got.g + link(node), got.mask) if rule.link else got
    elif isinstance(rule, Tangent):
        yield from _through_tangent(derivation, node, positions, rule, c)


def _through_tangent(
    derivation: Derivation, node: Node, positions: Sequence[int], rule: Tangent, c: Cotangent
) -> Iterator[tuple[Node, Cotangent]]:
    known = regular_inputs(node, rule, c.mask)
    for i in positions:
        x = node.inputs[i]
        if i in rule.transposes:
            solution = node.op(*known)
            yield x, Cotangent(rule.transposes[i](i, c.g, solution), solution_mask(solution, c.mask, x))
        elif rule.adjoint is not None and (passed := rule.adjoint(i, c.g, node)) is not None:
            yield x, Cotangent(passed, solution_mask(node, c.mask, x))
        else:
            dx, moved = moved_by(derivation, node, i, rule, known)
            inner = sweep(derivation, [(moved, c)], {dx}, {*known, *node.inputs, node})
            if dx in inner:
                yield x, inner[dx]


def moved_by(derivation: Derivation, node: Node, i: int, rule: Tangent, known: Sequence[Node]) -> tuple[Node, Node]:
    """A dx in place of input i, and the tangent by a rule of the ``known`` inputs, which is linear in it."""
    dx = placeholder(derivation, node.inputs[i])
    moved: list[Node | None] = [None] * len(node.inputs)
    moved[i] = dx
    return dx, rule.tangent(node, known, moved)


def _through_square(
    derivation: Derivation, node: Node, c: Cotangent, quotient: Node, xs: set[Node]
) -> Iterator[tuple[Node, Cotangent]]:
    """What a root u passes on of a cotangent quotient * u: u du = d(u^2) / 2, and u^2 is a polynomial.

    What keeps the slope connected as that of the root would be is added as a zero.
    """
    assert node.op.squared is not None
    square = node.op.squared(node, *node.inputs)
    inner = sweep(derivation, [(square, Cotangent(0.5 * quotient, c.mask))], xs, {*node.inputs, node})
    kept = link(c.g) if node.op.degree == "abs" else zero(node)
    for x, got in inner.items():
        yield x, Cotangent(got.g + _spread(kept, x.shape), got.mask)


def _spread(kept: Node, shape: Shape) -> Node:
    """A zero in the shape of an input, larger or smaller."""
    return broadcasted(kept if kept.shape == shape else sum_(kept, axis=None), shape)


def placeholder(derivation: Derivation, x: Node) -> Node:
    """The node that stands for dx in a tangent rule; it never remains in the result, which is linear in it."""
    key = ("tangent", x.shape, x.dtype, x.risky)
    node = derivation.nodes.get(key)
    if node is None:
        node = Node(tangent, (), {}, x.shape, x.dtype, x.risky)
        derivation.nodes[key] = node
    return node


def _to_shape(c: Cotangent, shape: Shape) -> Cotangent:
    """Summed over the axes along which the input was broadcast: the only place where that is done."""
    return Cotangent(unbroadcast(c.g, shape), mask_to(c.mask, shape))


def _through_elementwise(node: Node, i: int, rule: Elementwise, c: Cotangent) -> Cotangent:
    own = Cotangent(c.g, product_mask(node, i, c.mask)) if node.op is divide and i else c
    return _to_shape(_through_partial(node, i, rule, own), node.inputs[i].shape)


def _through_product(node: Node, i: int, rule: Product, c: Cotangent) -> Cotangent:
    g = c.g * guarded(node.inputs[i ^ 1], c.mask)
    return _to_shape(Cotangent(g, product_mask(node, i, c.mask)), node.inputs[i].shape)


def _through_partial(node: Node, i: int, rule: Elementwise, c: Cotangent) -> Cotangent:
    slope = rule.partials[i]
    assert slope is not None
    if isinstance(slope, Zero):
        nothing = zeros(shape=node.shape, dtype=c.g.dtype)
        return Cotangent(nothing, _nowhere(node.shape))
    p: Node | Number = slope(node, *node.inputs)
    if not isinstance(p, Node):
        return c if p == 1 else Cotangent(c.g * p, c.mask)
    factors = p.inputs if rule.factors and p.op is multiply else (p,)
    if absorbs_zero(node, i, rule) and not _is_never_zero(c.g):
        g = c.g
        for factor in factors:
            g = multiply_no_nan(guarded(factor, c.mask), g)
        return Cotangent(broadcasted(g, node.shape), c.mask)
    if p.op is recip and not p.attrs.get("positive") and not (c.mask is not None and p.risky):
        return Cotangent(broadcasted(divide(c.g, p.inputs[0]), node.shape), c.mask)
    if p.op is zero:
        # What multiplies a zero that only connects is not selected: infinity times it is 0.
        return Cotangent(broadcasted(where(_nowhere(node.shape), c.g, 0) * p, node.shape), _nowhere(node.shape))
    g = c.g
    for factor in factors:
        g = g * guarded(factor, c.mask)
    return Cotangent(broadcasted(g, node.shape), c.mask)


def absorbs_zero(node: Node, i: int, rule: Elementwise) -> bool:
    """Whether an input gets 0 where the incoming gradient is 0, whatever the partial is.

    Of quotients that holds of 1/x; it does not hold of the slope of a logarithm.
    """
    if node.op is divide and constant_value(node.inputs[0]) != 1:
        return False
    return i in rule.absorbs and not node.attrs.get("positive")


def _is_never_zero(g: Node) -> bool:
    """Whether an incoming gradient is a number other than 0, everywhere."""
    while g.op in (broadcast_to, reshape):
        g = g.inputs[0]
    return g.op is ones or bool(constant_value(g))


def _nowhere(shape: Shape) -> Node:
    return zeros(shape=shape, dtype="bool")


def through_linear(node: Node, i: int, rule: Linear, c: Cotangent) -> Cotangent:
    """What a linear operation passes on to input i: the transpose, and a mask of what is selected."""
    x = node.inputs[i]
    g = rule.transpose(i, c.g, node)
    if node.op.entrywise:
        return _to_shape(Cotangent(g, c.mask), x.shape)
    if not x.risky or c.mask is None and not rule.picks(node):
        return Cotangent(g, None)
    if c.mask is None:
        selected = ones(shape=node.shape, dtype=c.g.dtype)
    else:
        selected = cast_to(broadcasted(c.mask, node.shape), c.g.dtype)
    return Cotangent(g, not_equal(rule.transpose(i, selected, node), 0))


def _chosen_matrices(node: Node, mask: Node) -> Node:
    """Of which matrices of a stack some result is selected, as a mask of the stack's shape with matrices of size 1."""
    batch = node.inputs[0].shape[:-2]
    mask = broadcasted(mask, node.shape)
    some = any_(mask, axis=tuple(range(len(batch), node.rank)), keepdims=False)
    return reshaped(some, (*batch, 1, 1))


def regular_inputs(node: Node, rule: Tangent, mask: Node | None) -> tuple[Node, ...]:
    """The inputs for a tangent rule: the identity in place of each matrix that is not selected at all."""
    if not rule.matrix or mask is None:
        return node.inputs
    a, *rest = node.inputs
    return where(_chosen_matrices(node, mask), a, eye(n=a.shape[-1], dtype=a.dtype)), *rest


def solution_mask(node: Node, mask: Node | None, x: Node) -> Node | None:
    """The mask of a right-hand side: where some entry of a solution is selected, all of them are."""
    if mask is None or not x.risky:
        return None
    chosen = _chosen_matrices(node, mask)
    rest = (1,) * (x.rank - chosen.rank + 2)
    return broadcasted(reshaped(chosen, (*x.shape[: chosen.rank - 2], *rest)), x.shape)


def _through_select(node: Node, i: int, rule: Select, c: Cotangent) -> Cotangent:
    condition, x = node.inputs[0], node.inputs[i]
    g = where(condition, c.g, 0) if i == 1 else where(condition, 0, c.g)
    if not x.risky:
        return _to_shape(Cotangent(g, None), x.shape)
    chosen = broadcasted(condition if i == 1 else logical_not(condition), node.shape)
    return _to_shape(Cotangent(g, chosen if c.mask is None else logical_and(chosen, c.mask)), x.shape)


class _Transposed:
    """A contraction turned round: with the cotangent in place of input i it gives what is passed on to that."""

    def __init__(self, node: Node, i: int, rule: Contraction) -> None:
        labels, self._out = rule.labels(node.inputs, dict(node.attrs))
        self._node, self._x = node, node.inputs[i]
        self._own = tuple(labels[i])
        self.operands = [b for k, b in enumerate(node.inputs) if k != i]
        self._labels = [tuple(own) for k, own in enumerate(labels) if k != i]
        present = set(self._out).union(*self._labels)
        self._kept = tuple([k for k in self._own if k in present])

    def __call__(self, g: Node, operands: Sequence[Node]) -> Node:
        """What is passed on of g, with ``operands`` in place of the other inputs."""
        y = contract([g, *operands], [self._out, *self._labels], self._kept)
        return self._spread(y, self._kept, self._own, self._x)

    def met(self, n: int, selected: Node) -> Node:
        """Which entries of the n-th of the other inputs take part in a selected entry of the contraction."""
        own = self._labels[n]
        kept = tuple([k for k in own if k in self._out])
        return self._spread(not_equal(contract([selected], [self._out], kept), 0), kept, own, self.operands[n])

    def _spread(self, y: Node, labels: Sequence[int], own: Sequence[int], like: Node) -> Node:
        """An array with some of the axes of an input, repeated along the others."""
        if labels == own:
            return y
        sizes = dict(zip(labels, y.shape, strict=True))
        return broadcasted(reshaped(y, tuple([sizes.get(k, 1) for k in own])), like.shape)


def through_contraction(node: Node, i: int, rule: Contraction, c: Cotangent) -> Cotangent:
    """What a contraction passes on to input i: the contraction of the cotangent with the other inputs."""
    passed = _Transposed(node, i, rule)
    operands, x = passed.operands, node.inputs[i]
    indicators = x.risky and any([is_indicator(b) for b in operands])
    if c.mask is None and not indicators:
        return Cotangent(passed(c.g, operands), None)
    dtype = x.dtype if is_float(x.dtype) else "float64"
    taken = [
        cast_to(not_equal(b, 0), dtype) if indicators and is_indicator(b) else ones(shape=b.shape, dtype=dtype)
        for b in operands
    ]
    if c.mask is None:
        reached = passed(ones(shape=node.shape, dtype=dtype), taken)
        return Cotangent(passed(c.g, operands), not_equal(reached, 0))
    selected = cast_to(broadcasted(c.mask, node.shape), dtype)
    # An entry of an operand that meets no selected entry of g is not selected either.
    met = [guard(passed.met(n, selected), b, 0) if b.risky else b for n, b in enumerate(operands)]
    g = unless_met(partial(passed, c.g), partial(passed, selected), met)
    return Cotangent(g, not_equal(passed(selected, taken), 0) if x.risky else None)


_THROUGH: dict[type, Callable[[Node, int, Any, Cotangent], Cotangent]] = {
    Elementwise: _through_elementwise,
    Product: _through_product,
    Linear: through_linear,
    Select: _through_select,
    Contraction: through_contraction,
}
"""By the sort of a rule, what a node passes on to its input i; the others have no such function for each input."""
