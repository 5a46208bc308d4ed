"""Derivatives of order n, and forward mode: which way to take, and the passes around the series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import factorial, frexp, ldexp, lgamma, log

from gradcli.autodiff import degree, reverse
from gradcli.autodiff.series import Series
from gradcli.graph.node import Derivation, Node, cone, current_derivation
from gradcli.graph.operation import cast_to, literal
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.shaping import broadcasted, reshaped
from gradcli.graph.types import is_float, size_of

SMALLER = 4
"""How many times smaller than the ys a gradient of order 1 is from which the series starts instead."""

NESTED_UP_TO = 3
"""Orders that nested reverse passes reach with fewer nodes than the series."""


def nth_gradient(
    ys: Sequence[Node], x: Node, n: int, heads: Sequence[Node | None] | None = None, stops: Iterable[Node] = ()
) -> Node | None:
    """The result of n repeated passes from the ys to x, each summing as ``tf.gradients`` does; None as they would be.

    Head gradients belong to the first pass, stops to every pass. The result has x's shape and float dtype.
    """
    return nth_gradients(ys, [x], n, heads, stops)[0]


def nth_gradients(
    ys: Sequence[Node],
    xs: Sequence[Node],
    n: int,
    heads: Sequence[Node | None] | None = None,
    stops: Iterable[Node] = (),
    limits: Sequence[float] | None = None,
    first: Sequence[Node | None] | None = None,
) -> list[Node | None]:
    """:func:`nth_gradient` for each of some xs, which share the first pass.

    ``limits`` are what :func:`degree.last_orders` says of them, and ``first`` their gradients of order 1, where known.
    """
    heads = list(heads) if heads is not None else [None] * len(ys)
    stops = list(stops)
    limits = degree.last_orders(ys, xs, stops, heads) if limits is None else limits
    derivation = current_derivation() or Derivation()
    with derivation.active():
        nested = [
            n <= limit and (n <= NESTED_UP_TO or not is_float(x.dtype)) for x, limit in zip(xs, limits, strict=True)
        ]
        if any(nested) and first is None:
            first = reverse.gradients(ys, xs, heads, stops)
        results: list[Node | None] = []
        size = len(cone(ys)) if len(xs) > 1 and not all(nested) else 0
        for k, x in enumerate(xs):
            if n > limits[k]:
                results.append(None)
            elif nested[k] and first is not None:
                results.append(_repeated(first[k], x, n - 1, stops))
            elif (g := first[k] if first else None) is not None and SMALLER * len(cone([g])) < size:
                results.append(_by_series([g], x, n - 1, [None], stops))
            else:
                results.append(_by_series(ys, x, n, heads, stops))
        return results


def _by_series(ys: Sequence[Node], x: Node, n: int, heads: Sequence[Node | None], stops: list[Node]) -> Node | None:
    if any(h is not None and x in reverse.dependents([h], [x]) for h in heads):
        (first,) = reverse.gradients(ys, [x], heads, stops)
        assert first is not None
        ys, heads, n = [first], [None], n - 1
    # For an x of one entry, or entrywise ys, the n-th coefficient is the answer; else the last pass is a reverse one.
    degree_of_series = n if size_of(x.shape) == 1 or entrywise(ys, x, stops) else n - 1
    step = step_for(degree_of_series, x.dtype)
    series = Series({x: [along_ones(x, step)]}, stops)
    terms = [(series.coefficient(y, degree_of_series), h) for y, h in zip(ys, heads, strict=True)]
    present = [(c, h) for c, h in terms if c is not None]
    if not present:
        return reverse.zero_gradient(x)
    if degree_of_series == n:
        return derivative(_added_up(present, x), n, step)
    (g,) = reverse.gradients([c for c, _ in present], [x], [h for _, h in present], stops)
    return reverse.zero_gradient(x) if g is None else derivative(g, n - 1, step)


def entrywise(ys: Sequence[Node], x: Node, stops: Sequence[Node]) -> bool:
    """Whether each entry of the ys depends on the same entry of x only: operations entry by entry, all of x's shape."""
    reached = reverse.active_nodes(ys, {x}, set(stops) - {x})
    return all(node is x or node.shape == x.shape and node.op.entrywise for node in reached)


def _added_up(terms: Sequence[tuple[Node, Node | None]], x: Node) -> Node:
    """Some values times their head gradients in x's shape: entry by entry, or all entries into an x of one."""
    total: Node | None = None
    for c, head in terms:
        weighted = c if head is None else c * cast_to(head, c.dtype)
        if weighted.shape != x.shape:  # then x has one entry
            whole = broadcasted(weighted, c.shape)
            weighted = reshaped(whole if size_of(c.shape) == 1 else sum_(whole, axis=None), x.shape)
        total = weighted if total is None else total + weighted
    assert total is not None
    return cast_to(total, x.dtype)


def nested_gradient(
    ys: Sequence[Node], x: Node, n: int, heads: Sequence[Node | None] | None = None, stops: Iterable[Node] = ()
) -> Node | None:
    """The same by n reverse passes, each over the graph of the last: the oracle, and the quickest way at low orders."""
    stops = list(stops)
    (g,) = reverse.gradients(ys, [x], heads, stops)
    return _repeated(g, x, n - 1, stops)


def _repeated(g: Node | None, x: Node, n: int, stops: Sequence[Node]) -> Node | None:
    """The gradient of a gradient, n times."""
    for _ in range(n):
        if g is None:
            return None
        (g,) = reverse.gradients([g], [x], None, stops)
    return g


def step_for(n: int, dtype: str) -> float:
    """The step s of a series of degree n: near (n!)^(1/n), so that the n-th coefficient is about the n-th derivative.

    Without it the coefficients of high order underflow where the derivatives do not. A power of two, which is exact,
    as long as what is left of n!/s^n fits into the dtype.
    """
    if n < 2:
        return 1.0
    exponent = lgamma(n + 1) / log(2) / n
    if n * abs(exponent - round(exponent)) < (20 if dtype == "float32" else 200):
        return 2.0 ** round(exponent)
    mantissa, power = frexp(2.0**exponent)
    return ldexp(round(mantissa * 1024) / 1024, power)


def along_ones(x: Node, step: float) -> Node:
    """The direction of the series that repeated passes take, in steps."""
    return broadcasted(literal(step, x.dtype), x.shape)


def derivative(coefficient: Node, n: int, step: float) -> Node:
    """The n-th derivative from the n-th coefficient of a series in steps: n!/step^n times it."""
    if n < 2 and step == 1:
        return coefficient
    from fractions import Fraction  # for high orders only: start-up is dear

    factor = Fraction(factorial(n)) / Fraction(step) ** n
    return coefficient if factor == 1 else coefficient * float(factor)


def taylor(y: Node, tangents: Mapping[Node, Node], n: int, stops: Sequence[Node] = ()) -> Node:
    """The Taylor polynomial of degree n of y where each x is moved by its tangent, a value of its shape.

    Of one x, each entry of which moves entries of y alone, it is a sum of powers of the tangent with derivatives as
    factors; in general of directional derivatives. Zeros where y is structurally 0.
    """
    derivation = current_derivation() or Derivation()
    with derivation.active():
        ((x, v), *others) = tangents.items()
        alone = not others and (size_of(x.shape) == 1 or entrywise([y], x, stops))
        series = Series({x: [along_ones(x, 1.0)]} if alone else {x: [v] for x, v in tangents.items()}, stops)
        step = reshaped(v, ()) if size_of(x.shape) == 1 else v
        total: Node | None = None
        for k in range(n + 1):
            term = series.coefficient(y, k)
            if term is not None:
                term = term * (step if k == 1 else step**k) if alone and k else term
                total = term if total is None else total + term
        return total if total is not None else reverse.zero_gradient(y)


def jvp(y: Node, x: Node, v: Node, stops: Iterable[Node] = ()) -> Node:
    """The directional derivative of y along v, a value of x's shape: forward mode. Zeros where y does not use x."""
    return jvps([y], {x: v}, stops)[0]


def jvps(ys: Sequence[Node], along: Mapping[Node, Node], stops: Iterable[Node] = ()) -> list[Node]:
    """The derivative of each y where xs move together, each along a value of its shape; one pass for all.

    No x may be computed from another one. Zeros where a y uses none of them.
    """
    derivation = current_derivation() or Derivation()
    with derivation.active():
        directions = {
            x: [broadcasted(cast_to(v, x.dtype) if is_float(x.dtype) else v, x.shape)] for x, v in along.items()
        }
        series = Series(directions, stops)
        return [c if (c := series.coefficient(y, 1)) is not None else reverse.zero_gradient(y) for y in ys]


def hvp(y: Node, x: Node, v: Node) -> Node:
    """The Hessian of a scalar y times v, forward over reverse; v counts as a constant."""
    derivation = current_derivation() or Derivation()
    with derivation.active():
        (g,) = reverse.gradients([y], [x])
        return reverse.zero_gradient(x) if g is None else jvp(g, x, v)
