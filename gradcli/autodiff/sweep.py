"""One reverse pass on views: how each sort of rule passes a Jacobian on, contractions in place of rows.

The pass is that of :mod:`gradcli.autodiff.reverse` on views (:mod:`gradcli.autodiff.views`) in place of arrays, with the
same masks for the strong zero. Operations that are not contractions carry the seed axes along; nothing loops over rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradcli.autodiff import reverse, views
from gradcli.autodiff.cotangents import Cotangent, either, guarded, mask_to, product_mask, unless_met
from gradcli.autodiff.views import View
from gradcli.graph.node import Derivation, Node
from gradcli.graph.operation import (
    Contraction,
    Elementwise,
    Linear,
    NoDerivative,
    Product,
    Repeated,
    SameAs,
    Select,
    Tangent,
    Zero,
    cast_to,
)
from gradcli.graph.ops.creation import ones, tangent
from gradcli.graph.ops.elementwise import divide, multiply_no_nan, neg, subtract
from gradcli.graph.ops.linear_algebra import solve
from gradcli.graph.ops.reductions import mean
from gradcli.graph.ops.selection import logical_and, logical_not, not_equal, where, zero
from gradcli.graph.ops.shaping import broadcasted, reshaped, swap, transpose
from gradcli.graph.types import Shape, is_float, size_of
from gradcli.tuples import NamedTuple

MOST_VIEWS = 6
"""Views that a node may receive before they are added up as a dense array."""


def total(parts: Sequence[View], shape: Shape, dtype: str) -> Node:
    """The array that one or more views add up to."""
    result = views.dense(parts[0], shape, dtype)
    for view in parts[1:]:
        result = result + views.dense(view, shape, dtype)
    return result


class Carried(NamedTuple):
    """The cotangents of a node for all seeds: the sum of views, and where the node was selected.

    ``mask`` says so for all seeds alike, None for everywhere; what a view has no entry for is not selected either.
    ``rows`` says it for each seed [*seeds, *shape], where the views alone no longer do: then there is one view, which
    is an array.
    """

    parts: list[View]
    mask: Node | None = None
    rows: Node | None = None


class Sweep:
    """One pass from y; ``seeds`` is y's shape, the shape of the axes that every cotangent has in front."""

    def __init__(self, derivation: Derivation, seeds: Shape, dtype: str) -> None:
        self.derivation = derivation
        self.seeds = seeds
        self.dtype = dtype

    def run(self, roots: Sequence[tuple[Node, Carried]], wanted: set[Node], barriers: set[Node]) -> dict[Node, Carried]:
        order = reverse.active_nodes([y for y, _ in roots], wanted, barriers)
        active = set(order)
        pending: dict[Node, list[Carried]] = {}
        for y, c in roots:
            if y in active:
                pending.setdefault(y, []).append(c)
        found: dict[Node, Carried] = {}
        outer = self.derivation.current
        for node in order:
            received = pending.pop(node, None)
            if received is None:
                continue
            self.derivation.current = outer or node
            c = self._summed(received, node)
            if node in wanted:
                found[node] = c
            if node in barriers:
                continue
            for x, more in self._contributions(node, c, active):
                pending.setdefault(x, []).append(more if x.risky else Carried(more.parts))
        self.derivation.current = outer
        return found

    def _summed(self, received: Sequence[Carried], node: Node) -> Carried:
        parts = [v for c in received for v in c.parts]
        joined = views.merged(parts, self.dtype)
        many = len(joined) > MOST_VIEWS
        mask, rows = self._selected_by(received, node, many) if len(received) > 1 or many else received[0][1:]
        if many or rows is not None:
            joined = [views.dense_view(total(joined, (*self.seeds, *node.shape), self.dtype))]
        return Carried(joined, mask, rows)

    def _selected_by(
        self, received: Sequence[Carried], node: Node, added_up: bool = False
    ) -> tuple[Node | None, Node | None]:
        """The mask and the rows of what several views select; those that are added up as an array no longer say it themselves."""
        if not node.risky or any([c.mask is None and c.rows is None and not _has_deltas(c.parts) for c in received]):
            return None, None
        first = received[0]
        alike = all([c.mask is first.mask and c.rows is None for c in received])
        if alike and not added_up or not any([c.rows is not None or _has_deltas(c.parts) for c in received]):
            mask = first.mask
            for c in received[1:]:
                mask = mask if mask is None or c.mask is mask else either(mask, c.mask) if c.mask is not None else None
            return mask, None
        rows: Node | None = None
        for c in received:
            own = c.rows if c.rows is not None else self._pattern(c, node)
            rows = own if rows is None else either(rows, own)
        return None, rows

    def _pattern(self, c: Carried, node: Node) -> Node:
        """What views select [*seeds, *shape]."""
        pattern = not_equal(total([View(1.0, (), v.out) for v in c.parts], (*self.seeds, *node.shape), self.dtype), 0)
        return pattern if c.mask is None else logical_and(pattern, c.mask)

    def _contributions(self, node: Node, c: Carried, active: set[Node]) -> Iterator[tuple[Node, Carried]]:
        rule = node.op.rule
        inputs = node.inputs
        positions = [i for i in node.op.differentiable_inputs(node) if inputs[i] in active]
        if not positions:
            return
        if c.rows is not None:
            yield from self._row_by_row(node, c, active)
            return
        parts, mask, _ = c
        match rule:
            case Elementwise():
                yield from self._through_partials(node, positions, rule, parts, mask)
            case Product():
                for i in positions:
                    x, scaled = self._scaled_to(node, i, parts, mask, inputs[i ^ 1])
                    yield x, Carried(scaled.parts, mask_to(product_mask(node, i, mask), x.shape))
            case Linear():
                yield from self._through_linear(node, positions, rule, c)
            case Select():
                for i in positions:
                    yield self._selected(node, i, parts, mask)
            case Contraction():
                yield from self._through_contraction(node, positions, rule, c)
            case SameAs():
                expression = rule.expression(node, *inputs)
                yield from self.run([(expression, c)], {inputs[i] for i in positions}, {*inputs, node}).items()
            case Tangent() if rule.adjoint is None:
                yield from self._through_tangent(node, positions, rule, c)
            case Tangent() | Repeated():
                yield from self._row_by_row(node, c, active)
            case NoDerivative():
                return

    # rules

    def _through_partials(
        self, node: Node, positions: Sequence[int], rule: Elementwise, parts: list[View], mask: Node | None
    ) -> Iterator[tuple[Node, Carried]]:
        for i in positions:
            partial = rule.partials[i]
            if partial is None or isinstance(partial, Zero):
                continue
            p = partial(node, *node.inputs)
            own = product_mask(node, i, mask) if node.op is divide and i else mask
            if not isinstance(p, Node):
                yield self._scaled_to(node, i, parts, own, p)
            elif p.op is not zero:
                absorbs = reverse.absorbs_zero(node, i, rule)
                yield (self._absorbed if absorbs else self._scaled_to)(node, i, parts, own, p)

    def _through_tangent(
        self, node: Node, positions: Sequence[int], rule: Tangent, c: Carried
    ) -> Iterator[tuple[Node, Carried]]:
        known = reverse.regular_inputs(node, rule, c.mask)
        for i in positions:
            if i in rule.transposes:
                yield from self._through_solve(node, known[0], c)
                continue
            dx, moved = reverse.moved_by(self.derivation, node, i, rule, known)
            inner = self.run([(moved, c)], {dx}, {*known, *node.inputs, node})
            if dx in inner:
                yield node.inputs[i], inner[dx]

    def _row_by_row(self, node: Node, c: Carried, active: set[Node]) -> Iterator[tuple[Node, Carried]]:
        """What reverse mode passes on for one seed, with an axis for the seeds in front: exact, and blind to the form of views.

        So go loops, functions of matrices that have an adjoint, and what is not selected for each seed alike.
        """
        from gradcli.autodiff.batch import batched  # few programs have loops
        from gradcli.graph.loops import placeholder

        count = size_of(self.seeds)
        dtype = node.dtype if is_float(node.dtype) else self.dtype
        flat = (count, *node.shape)
        g = placeholder(node, dtype=dtype)
        many = {g: cast_to(reshaped(total(c.parts, (*self.seeds, *node.shape), self.dtype), flat), dtype)}
        mask = c.mask
        if c.rows is not None or node.risky and _has_deltas(c.parts):
            mask = placeholder(node, dtype="bool")
            many[mask] = reshaped(c.rows if c.rows is not None else self._pattern(c, node), flat)
        received = reverse.passed_on(self.derivation, node, Cotangent(g, mask), active)
        arrays = batched([c.g for _, c in received], many)
        chosen = iter(batched([c.mask for _, c in received if c.mask is not None], many))
        for (x, own), array in zip(received, arrays, strict=True):
            spread = broadcasted(array, (count, *x.shape)) if array is own.g else array
            parts = [views.dense_view(reshaped(spread, (*self.seeds, *x.shape)))]
            if own.mask is None:
                yield x, Carried(parts)
            elif (some := next(chosen)) is own.mask:
                yield x, Carried(parts, some)
            else:
                wide = broadcasted(some, (count, *x.shape))
                yield x, Carried(parts, None, reshaped(wide, (*self.seeds, *x.shape)))

    def _scaled_to(
        self, node: Node, i: int, parts: list[View], mask: Node | None, p: Node | float
    ) -> tuple[Node, Carried]:
        x = node.inputs[i]
        if isinstance(p, Node):
            p = guarded(p, mask)
        some = [self._to_shape(views.times(v, p, node.shape), node.shape, x.shape) for v in parts]
        return x, Carried(some, mask_to(mask, x.shape))

    def _absorbed(self, node: Node, i: int, parts: list[View], mask: Node | None, p: Node) -> tuple[Node, Carried]:
        """Times a partial that may be infinite, but 0 where the cotangent is 0."""
        x = node.inputs[i]
        p = broadcasted(guarded(p, mask), node.shape)
        some: list[View] = []
        for view in parts:
            if view.factors:
                value, classes = views.flushed(view, self.dtype)
                ((factor, own),) = views.times(View(1.0, (), view.out), p, node.shape).factors or ((p, ()),)
                joint = tuple(dict.fromkeys((*classes, *own)))
                array = multiply_no_nan(_along(factor, own, joint), _along(value, classes, joint))
                view = View(1.0, ((array, joint),), view.out)
            else:
                view = views.times(view, p, node.shape)
            some.append(self._to_shape(view, node.shape, x.shape))
        return x, Carried(some, mask_to(mask, x.shape))

    def _to_shape(self, view: View, shape: Shape, target: Shape) -> View:
        """Summed over the axes along which an input of the target shape was broadcast."""
        if shape == target:
            return view
        front = len(self.seeds)
        extra = len(shape) - len(target)
        stretched = [k for k, n in enumerate(target) if n == 1 and shape[extra + k] != 1]
        gone = [*range(front, front + extra), *(front + extra + k for k in stretched)]
        result = views.without(view, gone, (*self.seeds, *shape))
        fresh = max((*view.out, 0)) + 1
        out = list(result.out)
        for n, k in enumerate(stretched):
            out.insert(front + k, fresh + n)
        return result._replace(out=tuple(out))

    def _selected(self, node: Node, i: int, parts: list[View], mask: Node | None) -> tuple[Node, Carried]:
        condition = node.inputs[0]
        chosen = condition if i == 1 else logical_not(condition)
        x = node.inputs[i]
        some: list[View] = []
        for view in parts:
            if not any([factor.risky for factor, _ in view.factors]):
                # Finite factors stay apart: a mask of 0 and 1 is one more of them.
                some.append(views.times(view, cast_to(chosen, self.dtype), node.shape))
                continue
            value, classes = views.flushed(view, self.dtype)
            bits = views.times(View(1.0, (), view.out), chosen, node.shape)
            if not bits.factors:  # the same branch everywhere
                some.append(view if bits.scale else View(0.0, (), view.out))
                continue
            ((bit, own),) = bits.factors
            joint = tuple(dict.fromkeys((*classes, *own)))
            array = where(_along(bit, own, joint), _along(value, classes, joint), 0)
            some.append(View(1.0, ((array, joint),), view.out))
        some = [self._to_shape(v, node.shape, x.shape) for v in some]
        if not x.risky:
            return x, Carried(some)
        full = broadcasted(chosen, node.shape)
        return x, Carried(some, mask_to(full if mask is None else logical_and(full, mask), x.shape))

    def _through_contraction(
        self, node: Node, positions: Sequence[int], rule: Contraction, c: Carried
    ) -> Iterator[tuple[Node, Carried]]:
        labels, out = rule.labels(node.inputs, dict(node.attrs))
        for i in positions:
            x = node.inputs[i]
            others = [(node.inputs[k], labels[k]) for k in range(len(labels)) if k != i]
            if c.mask is None or not any(b.risky for b, _ in others):
                some = [self.contract(v, node, labels[i], out, others) for v in c.parts]
                mask = reverse.through_contraction(node, i, rule, Cotangent(_blank(node), c.mask)).mask
                yield x, Carried(some, mask if x.risky else None)
            elif _has_deltas(c.parts):
                yield from self._row_by_row(node, c, {x})
            else:
                yield x, self._guarded_contraction(node, i, c.parts, c.mask, labels[i], out, others)

    def contract(
        self,
        view: View,
        node: Node,
        own: Sequence[int],
        out: Sequence[int],
        others: Sequence[tuple[Node, Sequence[int]]],
    ) -> View:
        front = len(self.seeds)
        fresh = max((*view.out, 0)) + 1
        known = dict(zip(out, view.out[front:], strict=True))
        for label in (k for group in (own, *(g for _, g in others)) for k in group):
            if label not in known:
                known[label] = fresh
                fresh += 1
        factors = view.factors
        scale = view.scale
        sizes = dict(zip(out, node.shape, strict=True))
        for b, group in others:
            sizes.update(zip(group, b.shape, strict=True))
            number = views.uniform(b)
            if number is not None and number == number and abs(number) != float("inf"):
                scale *= number
                continue
            factor = views.distinct(*views.without_ones(b, [known[k] for k in group]))
            factors = views.appended(factors, factor)
        target = (*view.out[:front], *(known[k] for k in own))
        held = {c for _, classes in factors for c in classes}
        gone = {c: sizes[label] for label, c in known.items() if c not in target}
        for c, size in gone.items():
            if c not in held:
                scale *= size
        return View(scale, views.contracted(factors, held.intersection(gone)), target)

    def _guarded_contraction(
        self,
        node: Node,
        i: int,
        parts: list[View],
        mask: Node,
        own: Sequence[int],
        out: Sequence[int],
        others: Sequence[tuple[Node, Sequence[int]]],
    ) -> Carried:
        """With an operand that may be NaN under a mask: it counts only where it meets a selected entry."""
        x = node.inputs[i]
        shape = (*self.seeds, *x.shape)
        small = Sweep(self.derivation, (), self.dtype)
        reach = views.dense_view(cast_to(broadcasted(mask, node.shape), self.dtype))

        def beside(operands: Sequence[Node]) -> list[tuple[Node, Sequence[int]]]:
            return [(b, own) for b, (_, own) in zip(operands, others, strict=True)]

        def value(operands: Sequence[Node]) -> Node:
            return total([self.contract(v, node, own, out, beside(operands)) for v in parts], shape, self.dtype)

        def count(operands: Sequence[Node]) -> Node:
            return views.dense(small.contract(reach, node, own, out, beside(operands)), x.shape, self.dtype)

        result = unless_met(value, count, [b for b, _ in others])
        if not x.risky:
            return Carried([views.dense_view(result)])
        reached = count([ones(shape=b.shape, dtype=b.dtype) for b, _ in others])
        return Carried([views.dense_view(result)], not_equal(reached, 0))

    def _through_linear(
        self, node: Node, positions: Sequence[int], rule: Linear, c: Carried
    ) -> Iterator[tuple[Node, Carried]]:
        lost: set[Node] = set()
        for i in positions:
            x = node.inputs[i]
            some = [self._moved(node, i, view) for view in c.parts]
            if None in some and x.risky and _has_deltas(c.parts):
                lost.add(x)
                continue
            parts = [
                view if view is not None else views.dense_view(self._lifted(node, i, rule, old))
                for view, old in zip(some, c.parts, strict=True)
            ]
            picked = x.risky and (c.mask is not None or rule.picks(node))
            mask = reverse.through_linear(node, i, rule, Cotangent(_blank(node), c.mask)).mask if picked else None
            yield x, Carried(parts, mask)
        if lost:
            yield from self._row_by_row(node, c, lost)

    def _moved(self, node: Node, i: int, view: View) -> View | None:
        """A view of an input of a linear operation that keeps the form of views; None where it becomes an array."""
        x, op = node.inputs[i], node.op
        front = len(self.seeds)
        if op.entrywise or op.flow == "entries":
            minus = op is neg or op is subtract and i == 1
            return self._to_shape(views.scaled(view, -1) if minus else view, node.shape, x.shape)
        if op.flow == "accumulated":
            return self._spread(view, node, x)
        if op.flow == "transposed":
            back = [node.attrs["axes"].index(k) for k in range(x.rank)]
            return view._replace(out=(*view.out[:front], *(view.out[front + k] for k in back)))
        return self._ones_moved(view, node.shape, x.shape) if op.flow == "reshaped" else None

    def _lifted(self, node: Node, i: int, rule: Linear, view: View) -> Node:
        g = views.dense(view, (*self.seeds, *node.shape), self.dtype)
        if node.op.flow == "reshaped":
            return reshaped(g, (*self.seeds, *node.inputs[i].shape))
        return views.lifted(node, i, rule, g, self.seeds)

    def _spread(self, view: View, node: Node, x: Node) -> View:
        """Through a sum: the value is constant along the reduced axes, a class of its own for each."""
        front = len(self.seeds)
        axes = node.attrs["axis"]
        fresh = max((*view.out, 0)) + 1
        rest = iter(view.out[front:])
        out = list(view.out[:front])
        for k in range(x.rank):
            if k in axes:
                if node.attrs["keepdims"]:
                    next(rest)
                out.append(fresh)
                fresh += 1
            else:
                out.append(next(rest))
        count = size_of(tuple(x.shape[k] for k in axes)) if node.op is mean else 1
        return view._replace(scale=view.scale / max(count, 1), out=tuple(out))

    def _ones_moved(self, view: View, shape: Shape, target: Shape) -> View | None:
        """A reshape that only adds or removes axes of size 1 keeps the view; None for any other."""
        if [n for n in shape if n != 1] != [n for n in target if n != 1]:
            return None
        front = len(self.seeds)
        rest = iter([c for c, n in zip(view.out[front:], shape, strict=True) if n != 1])
        fresh = max((*view.out, 0)) + 1
        out = list(view.out[:front])
        for n in target:
            if n == 1:
                out.append(fresh)
                fresh += 1
            else:
                out.append(next(rest))
        return view._replace(out=tuple(out))

    def _through_solve(self, node: Node, a: Node, c: Carried) -> Iterator[tuple[Node, Carried]]:
        """To the right-hand side, through the matrix a: seed axes become further right-hand sides."""
        b = node.inputs[1]
        if a.rank > 2 and b.risky and _has_deltas(c.parts):
            yield from self._row_by_row(node, c, {b})
            return
        g = total(c.parts, (*self.seeds, *node.shape), self.dtype)
        front = len(self.seeds)
        if a.rank == 2:
            row = front
            moved = transpose(g, axes=(row, *(k for k in range(g.rank) if k != row)))
            flat = reshaped(moved, (moved.shape[0], size_of(moved.shape[1:])))
            y = reshaped(solve(swap(a), flat), moved.shape)
            back = tuple(k + 1 if k < row else (0 if k == row else k) for k in range(g.rank))
            result = transpose(y, axes=back)
        else:
            lead = (*self.seeds, *a.shape[:-2])
            result = solve(broadcasted(swap(a), (*lead, *a.shape[-2:])), g)
        yield b, Carried([views.dense_view(result)], reverse.solution_mask(node, c.mask, b))


def _has_deltas(parts: Sequence[View]) -> bool:
    """Whether some view is zero by its form where indices differ."""
    return any([len(set(view.out)) < len(view.out) for view in parts])


def _along(node: Node, own: Sequence[int], joint: Sequence[int]) -> Node:
    """A factor with an axis for each class of a larger set, of size 1 where it has none."""
    order = [c for c in joint if c in own]
    moved = transpose(node, axes=tuple(own.index(c) for c in order)) if list(own) != order else node
    sizes = dict(zip(order, moved.shape, strict=True))
    return reshaped(moved, tuple(sizes.get(c, 1) for c in joint))


def _blank(node: Node) -> Node:
    """Any cotangent of a node's shape, where only the mask is of interest."""
    return Node(tangent, (), {}, node.shape, node.dtype if is_float(node.dtype) else "float64", False)
