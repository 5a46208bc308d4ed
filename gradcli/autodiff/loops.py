"""Derivatives of loops are loops: backwards for cotangents, forwards for series; and one more axis in front of a loop.

The backward loop carries the cotangents of the states, adds up those of what is the same in all steps, and stacks those
of the rows; it reads the states before each step, stacked, and does the body's own operations again. What a state's
cotangent has not reached yet, or what is not selected, has a mask (:mod:`gradcli.autodiff.reverse`), a state like others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from math import isqrt
from typing import TYPE_CHECKING, Any

from gradcli.autodiff.cotangents import Cotangent, either
from gradcli.graph.loops import Body, arguments, joins, numbers, placeholder, results
from gradcli.graph.node import Derivation, Node, cone, current_derivation, derived_float
from gradcli.graph.operation import cast_to
from gradcli.graph.ops.creation import zeros
from gradcli.graph.ops.selection import logical_not
from gradcli.graph.ops.shaping import broadcasted, reshape, transpose
from gradcli.graph.ops.slicing import concat, index
from gradcli.graph.types import ITEM_SIZE, is_float, size_of

if TYPE_CHECKING:
    from gradcli.autodiff.series import Series

FEW = 100
"""Steps up to which a loop keeps all states."""

Seeds = Sequence[tuple[Node, Cotangent]]
Pass = Callable[[Derivation, Seeds, set[Node], set[Node]], Mapping[Node, Cotangent]]
"""The reverse pass itself, :func:`gradcli.autodiff.reverse.sweep`."""

Key = tuple[int, int]
"""A parameter and the order of a coefficient of its series, or 0 for the mask of them."""


class _Back:
    """The backward loop of some results of one loop, and what it starts from."""

    def __init__(self, derivation: Derivation, body: Body, received: Mapping[int, Cotangent], to: set[int]) -> None:
        self.derivation = derivation
        self.body = body
        self.to = to
        count = len(body.states)
        self.at_end = {r: c for r, c in received.items() if r < count}
        self.emitted = {r - count: c for r, c in received.items() if count <= r < body.before(0)}
        self.before = {r - body.before(0): c for r, c in received.items() if r >= body.before(0)}
        self.active = self._active()
        # The states with a mask, and those whose cotangent may be NaN or infinite.
        self.masked = {
            i for i in self.active if body.states[i].risky and (i not in self.at_end or self.at_end[i].mask is not None)
        }
        self.risky = {i for i in self.active if i in self.at_end and self.at_end[i].g.risky}

    def _active(self) -> list[int]:
        """The states whose cotangents lead from what is received to a parameter that is asked for."""
        body, states = self.body, len(self.body.states)
        reached = set(self.at_end) | set(self.before)
        reached |= {i for i in numbers(body.below([body.emitted[j] for j in self.emitted])) if i < states}
        below = [numbers(body.below([node])) for node in body.following]
        todo = list(reached)
        while todo:
            for i in below[todo.pop()]:
                if i < states and i not in reached:
                    reached.add(i)
                    todo.append(i)
        return sorted(reached & body.changing(self.to))

    def grows(self, received: Mapping[int, Cotangent | None]) -> bool:
        """Whether states receive a mask, or what may be NaN or infinite, in a step, who had none: from now on they have."""
        masked = {i for i, c in received.items() if self.body.states[i].risky and (c is None or c.mask is not None)}
        risky = {i for i, c in received.items() if c is not None and c.g.risky}
        grown = not (masked <= self.masked and risky <= self.risky)
        self.masked |= masked
        self.risky |= risky
        return grown


def passed_back(derivation: Derivation, group: Seeds, to: set[Node], sweep: Pass) -> list[tuple[Node, Cotangent]]:
    """What results of one loop pass on to some of their inputs."""
    body: Body = group[0][0].attrs["body"]
    given = arguments([node for node, _ in group])
    passes = {p for node, _ in group for p in body.passes(node.attrs["result"])}
    wanted = {p for p in passes if p in given and given[p] in to}
    if not wanted:
        return []
    received: dict[int, Cotangent] = {node.attrs["result"]: c for node, c in group}
    if body.count > FEW and body.count * _bytes_of_states(body, received) > derivation.history:
        parts = _in_parts(body, given, received)
        ends = set(given.values())
        return list(sweep(derivation, [(parts[r], c) for r, c in received.items()], ends & to, ends).items())
    back = _Back(derivation, body, received, wanted)
    while (loop := _step(back, sweep)) is None:
        pass  # with more masks, or more that may be infinite
    places = loop.places()
    args = _arguments(back, loop, given)
    listed = [r for place in places.values() for r in place if r is not None]
    of = dict(zip(listed, results(loop.body, args, listed), strict=True))
    return [(given[p], Cotangent(of[r], None if m is None else of[m])) for p, (r, m) in places.items()]


def _bytes_of_states(body: Body, wanted: Iterable[int]) -> int:
    states = [body.states[i] for i in body.live(wanted)]
    return sum([size_of(x.shape) * ITEM_SIZE[x.dtype] for x in states])


def _in_parts(body: Body, given: Mapping[int, Node], wanted: Iterable[int]) -> dict[int, Node]:
    """Results of a loop from a loop over about as many parts as each part has steps, and from the steps that are left over.

    Only the states before the parts are kept for the derivative; a part's own are computed again when it is their turn.
    Source: Griewank, *Achieving logarithmic growth of temporal and spatial complexity in reverse automatic
    differentiation*, 1992, with one level.
    """
    wanted = list(wanted)
    steps = isqrt(body.count)
    parts, left = divmod(body.count, steps)
    states, rows = len(body.states), len(body.elements)
    live = body.live(wanted)
    stacks = [r for r in wanted if body.stacks(r)]

    def part(count: int) -> Body:
        return Body(
            body.states, body.elements, body.fixed, body.following, body.emitted, count, body.backwards, body.done
        )

    def rows_of(p: int, first: bool) -> Node | None:
        x = given.get(p)
        if x is None:
            return None
        cut = left if body.backwards else body.count - left
        start, stop = (cut, body.count) if first == body.backwards else (0, cut)
        return index(x, items=((start, stop, 1), *[(0, n, 1) for n in x.shape[1:]]))

    inner = part(steps)
    starts = [placeholder(x) for x in body.states]
    elements = [placeholder(x, (steps, *x.shape)) for x in body.elements]
    made = results(inner, [*starts, *elements, *body.fixed], [*live, *stacks])
    after = dict(zip(live, made, strict=False))
    outer = Body(
        starts,
        elements,
        body.fixed,
        [after.get(i, x) for i, x in enumerate(starts)],
        made[len(live) :],
        parts,
        body.backwards,
    )
    args = _listed(body, given)
    for p in range(states, states + rows):
        x = rows_of(p, True)
        args[p] = None if x is None else reshape(x, shape=(parts, steps, *x.shape[1:]))
    found = results(outer, args, [*live, *[outer.emits(j) for j in range(len(stacks))]])
    ends = dict(zip(live, found, strict=False))
    tables = {
        r: reshape(x, shape=(parts * steps, *x.shape[2:])) for r, x in zip(stacks, found[len(live) :], strict=True)
    }
    if left:
        rest = part(left)
        args = _listed(body, given)
        args[:states] = [ends.get(i) for i in range(states)]
        args[states : states + rows] = [rows_of(p, False) for p in range(states, states + rows)]
        last = results(rest, args, [*live, *stacks])
        ends = dict(zip(live, last, strict=False))
        for r, x in zip(stacks, last[len(live) :], strict=True):
            tables[r] = concat(*((x, tables[r]) if body.backwards else (tables[r], x)), axis=0)
    return {r: tables[r] if body.stacks(r) else ends[r] for r in wanted}


Place = tuple[int, int | None]
"""The numbers of what holds a cotangent, and of what holds its mask, if it has one."""


class _Made:
    """The backward body in the making.

    ``starts`` are the arguments of its states. ``stacks`` are those of its elements: a node, or the number of a state or an
    element of the forward loop, whose rows it reads. ``seeds`` are what a step starts from, ``rows`` what it receives for
    states before it. ``at_end`` says in which states the cotangents of parameters are, ``by_row`` where they are in what
    is emitted. ``body`` is there when all is known.
    """

    body: Body

    def __init__(self, back: _Back) -> None:
        self._back = back
        self.states: list[Node] = []
        self.starts: list[Node] = []
        self.following: list[Node] = []
        self.elements: list[Node] = []
        self.stacks: list[Any] = []
        self.emitted: list[Node] = []
        self.at_end: dict[int, Place] = {}
        self.by_row: dict[int, Place] = {}
        body = back.body
        self.seeds: list[tuple[Node, Cotangent]] = [(body.following[i], self._carried(i)) for i in back.active]
        self.seeds += [(body.emitted[j], self._row(body.emitted[j], c)) for j, c in back.emitted.items()]
        self.rows = {i: self._row(body.states[i], c) for i, c in back.before.items()}

    def _state(self, like: Node, dtype: str, start: Node | None, risky: bool = False) -> Node:
        leaf = placeholder(like, like.shape, dtype, risky)
        self.states.append(leaf)
        self.starts.append(start if start is not None else zeros(shape=like.shape, dtype=dtype))
        return leaf

    def _carried(self, i: int) -> Cotangent:
        """The states for the cotangent of state i and for its mask."""
        back = self._back
        leaf, c = back.body.states[i], back.at_end.get(i)
        self.at_end[i] = self._place(len(self.states), i in back.masked)
        dtype = leaf.dtype if is_float(leaf.dtype) else derived_float()
        g = self._state(leaf, dtype, None if c is None else cast_to(c.g, dtype), i in back.risky)
        if i not in back.masked:
            return Cotangent(g, None)
        return Cotangent(g, self._state(leaf, "bool", None if c is None else _everywhere(c.mask, leaf.shape)))

    def _place(self, first: int, masked: bool) -> Place:
        return first, first + 1 if masked else None

    def _row(self, like: Node, c: Cotangent) -> Cotangent:
        """The placeholders of a row of a stacked cotangent and of its mask."""
        leaf = placeholder(like, c.g.shape[1:], c.g.dtype, c.g.risky)
        self.elements.append(leaf)
        self.stacks.append(c.g)
        mask = None
        if c.mask is not None:
            mask = placeholder(like, c.g.shape[1:], "bool", False)
            self.elements.append(mask)
            self.stacks.append(broadcasted(c.mask, c.g.shape))
        return Cotangent(leaf, mask)

    def received(self, i: int, c: Cotangent | None) -> Cotangent | None:
        """What state i receives in a step, after c by the step itself."""
        row = self.rows.get(i)
        return c if row is None else row if c is None else _sum(c, row)

    def follow(self, i: int, c: Cotangent | None) -> None:
        """What a step makes of the cotangent of state i, and of its mask."""
        shape, (r, m) = self._back.body.states[i].shape, self.at_end[i]
        dtype = self.states[r].dtype
        self.following.append(zeros(shape=shape, dtype=dtype) if c is None else cast_to(c.g, dtype))
        if m is not None:
            self.following.append(zeros(shape=shape, dtype="bool") if c is None else _everywhere(c.mask, shape))

    def stack(self, p: int, c: Cotangent) -> None:
        """Each step emits its own row of a cotangent."""
        shape = self._back.body.parameters[p].shape
        self.by_row[p] = self._place(len(self.emitted), c.mask is not None)
        self.emitted += [broadcasted(x, shape) for x in c if x is not None]

    def add_up(self, p: int, c: Cotangent) -> None:
        """The steps add to a cotangent, of what is the same in all of them."""
        leaf = self._back.body.parameters[p]
        self.at_end[p] = self._place(len(self.states), c.mask is not None)
        self.following.append(self._state(leaf, c.g.dtype, None, c.g.risky) + c.g)
        if c.mask is not None:
            self.following.append(either(self._state(leaf, "bool", None), c.mask))

    def finish(self) -> None:
        """The states and rows of the loop that the backward body reads, as rows of it, and the body itself."""
        body = self._back.body
        read = set(cone([*self.following, *self.emitted], [*self.states, *self.elements]))
        for p, leaf in enumerate(body.parameters[: len(body.states) + len(body.elements)]):
            if leaf in read:
                self.elements.append(leaf)
                self.stacks.append(p)
        self.body = Body(
            self.states, self.elements, body.fixed, self.following, self.emitted, body.count, not body.backwards
        )

    def places(self) -> dict[int, Place]:
        """The results with the cotangent of each parameter that is asked for."""
        found = {p: place for p, place in self.at_end.items() if p in self._back.to}
        emits = self.body.emits
        return found | {p: (emits(r), None if m is None else emits(m)) for p, (r, m) in self.by_row.items()}


def _step(back: _Back, sweep: Pass) -> _Made | None:
    """The backward body; None after more states have got a mask, or a cotangent that may be infinite."""
    body, made = back.body, _Made(back)
    others = [p for p in back.to if p >= len(body.states)]
    with back.derivation.inside():
        leaves = {body.parameters[p] for p in (*back.active, *others)}
        found = dict(sweep(back.derivation, made.seeds, leaves, set(body.parameters)))
    received = {i: made.received(i, found.get(body.states[i])) for i in back.active}
    if back.grows(received):
        return None
    for i, c in received.items():
        made.follow(i, c)
    rows = len(body.states) + len(body.elements)
    for p in others:
        got = found.get(body.parameters[p])
        if got is not None:
            (made.stack if p < rows else made.add_up)(p, got)
    made.finish()
    return made


def _sum(a: Cotangent, b: Cotangent) -> Cotangent:
    return Cotangent(a.g + b.g, None if a.mask is None or b.mask is None else either(a.mask, b.mask))


def _arguments(back: _Back, made: _Made, given: dict[int, Node]) -> list[Node | None]:
    body = back.body
    needed = [p for p in made.stacks if isinstance(p, int) and p < len(body.states)]
    known = dict(zip(needed, results(body, _listed(body, given), [body.before(i) for i in needed]), strict=True))
    stacks = [x if isinstance(x, Node) else known[x] if x in known else given.get(x) for x in made.stacks]
    first = len(body.states) + len(body.elements)
    return [*made.starts, *stacks, *[given.get(p) for p in range(first, first + len(body.fixed))]]


def _listed(body: Body, given: Mapping[int, Node]) -> list[Node | None]:
    return [given.get(p) for p in range(len(body.parameters))]


# series


def coefficients(series: Series, node: Node, order: int, known: Mapping[Key, Node]) -> list[Node | None]:
    """The coefficients 1 to ``order`` of a result's series; ``known`` has those of its arguments that are not 0.

    The loop carries the coefficients of its states beside the states, and masks of what no step has reached yet.
    """
    if not known:
        return [None] * order
    body: Body = node.attrs["body"]
    given = arguments([node])
    singular = any([x.risky for x in (*body.following, *body.emitted)])
    found = _Beside(
        series, node, order, known, {p: series.mask(given[p]) if singular else None for p, _ in known}
    ).found()
    return [found.get(j) for j in range(1, order + 1)]


def series_mask(series: Series, node: Node, masks: Mapping[int, Node | None]) -> Node | None:
    """Where the series of a result is selected; ``masks`` has those of the arguments that vary, None for everywhere."""
    return _Beside(series, node, 0, {}, masks).found().get(0)


class _Beside:
    """A loop with more beside its own parameters: coefficients of their series, by parameter and order; as order 0 their masks.

    ``known`` and ``masks`` are those of the arguments; up to ``order`` the coefficients of a result are wanted, or where that
    is 0 its mask. ``_leaves`` stand for what there is before some step, ``_after`` is what a step makes of the states', as far as that is
    neither 0 nor selected everywhere, and ``_emitted`` what each step adds to a stacked result, by order.
    """

    def __init__(
        self, series: Series, node: Node, order: int, known: Mapping[Key, Node], masks: Mapping[int, Node | None]
    ) -> None:
        self._body: Body = node.attrs["body"]
        self._given = arguments([node])
        self._result: int = node.attrs["result"]
        self._order, self._known, self._masks = order, known, masks
        body = self._body
        self._moving = sorted(body.changing(masks))
        self._carried = [p for p in self._moving if p < len(body.states)]
        self._singular = not order or any([x.risky for x in (*body.following, *body.emitted)])
        self._there = set(known)
        if self._singular:
            self._there |= {(p, 0) for p in self._moving if p not in masks or masks[p] is not None}
        self._risky = {key for key, c in known.items() if c.risky or body.parameters[key[0]].risky}
        with (current_derivation() or Derivation()).inside():
            left = body.count - 1
            inner = self._step(series)
            while self._grows(left):
                left -= 1
                inner = self._step(series)
            emits = body.stacks(self._result) and self._result < body.before(0)
            self._emitted = self._made(inner, body.root(self._result)) if emits else {}
        for key in self._after:
            if key not in self._leaves:
                self._leaves[key] = placeholder(body.parameters[key[0]])

    def _step(self, series: Series) -> Series:
        """Work out one step on what there is before it, as far as is known."""
        body, orders = self._body, range(1, self._order + 1)
        self._leaves = {key: self._leaf(*key) for key in sorted(self._there, key=lambda key: (not key[1], key))}
        moved = {body.parameters[p]: [self._leaves.get((p, j)) for j in orders] for p in self._moving}
        inner = series.__class__(moved, [*series.fixed, *body.parameters])
        inner.masks.update({body.parameters[p]: leaf for (p, j), leaf in self._leaves.items() if not j})
        self._after: dict[Key, Node] = {}
        for p in self._carried:
            made = self._made(inner, body.following[p], self._singular)
            self._after.update({(p, j): c for j, c in made.items()})
        return inner

    def _leaf(self, p: int, j: int) -> Node:
        like = self._body.parameters[p]
        return placeholder(like, risky=(p, j) in self._risky) if j else placeholder(like, dtype="bool", risky=False)

    def _made(self, inner: Series, x: Node, singular: bool = False) -> dict[int, Node]:
        """The coefficients and the mask of a node of the body, where there are any."""
        found = {j: c for j in range(1, self._order + 1) if (c := inner.coefficient(x, j)) is not None}
        if (singular or not self._order) and (mask := inner.mask(x)) is not None:
            found[0] = mask
        return found

    def _grows(self, left: int) -> bool:
        """Whether a step makes more than there was before it, which is there before the next one, as long as steps are ``left``."""
        more = {key for key in self._after if key not in self._there and (left > 0 or not key[1])}
        risky = {key for key, c in self._after.items() if key[1] and c.risky} - self._risky
        self._there |= more
        self._risky |= risky
        return bool(more or risky)

    def _start(self, p: int, j: int) -> Node:
        """What the arguments give for a leaf."""
        shape, dtype = self._body.argument_shape(p), self._body.parameters[p].dtype
        if not j:
            return _everywhere(self._masks[p], shape) if p in self._masks else zeros(shape=shape, dtype="bool")
        c = self._known.get((p, j))
        return zeros(shape=shape, dtype=dtype) if c is None else cast_to(c, dtype)

    def _following(self, p: int, j: int) -> Node:
        """What a step makes of a leaf that stands for something of a state."""
        x, c = self._body.states[p], self._after.get((p, j))
        if not j:
            return _everywhere(c, x.shape)
        return zeros(shape=x.shape, dtype=x.dtype) if c is None else cast_to(c, x.dtype)

    def found(self) -> dict[int, Node]:
        """The coefficients of the result by order, as far as they are not 0, or as order 0 its mask, if it has one."""
        body, result = self._body, self._result
        own = [key for key in self._leaves if key[0] in self._carried]
        root = body.root(result)
        made, args = _with_more(
            body,
            self._given,
            [(p, leaf, self._start(p, j)) for (p, j), leaf in self._leaves.items()],
            [self._following(p, j) for p, j in own],
            [cast_to(c, root.dtype) if j else broadcasted(c, root.shape) for j, c in self._emitted.items()],
        )
        if body.stacks(result) and result < body.before(0):
            wanted = {j: made.emits(k) for k, j in enumerate(self._emitted)}
        else:
            state = result - body.before(0) if body.stacks(result) else result
            wanted = {
                j: k for k, (p, j) in enumerate(own, len(body.states)) if p == state and bool(j) == bool(self._order)
            }
            if body.stacks(result):
                wanted = {j: made.before(k) for j, k in wanted.items()}
        return dict(zip(wanted, results(made, args, wanted.values()), strict=True))


def _everywhere(mask: Node | None, shape: Sequence[int]) -> Node:
    """A mask of a shape, everywhere where there is none."""
    shape = tuple(shape)
    return logical_not(zeros(shape=shape, dtype="bool")) if mask is None else broadcasted(mask, shape)


def _with_more(
    body: Body,
    given: Mapping[int, Node],
    more: Sequence[tuple[int, Node, Node]],
    following: Sequence[Node],
    emitted: Sequence[Node],
) -> tuple[Body, list[Node | None]]:
    """A loop with parameters beside its own, and all arguments.

    ``more`` are leaves and their arguments, each with the number of the parameter that it belongs to and is one like:
    states, the ones after a step of which are ``following``, elements, or inputs that stay the same.
    """
    ends = [0, len(body.states), len(body.states) + len(body.elements), len(body.parameters)]
    parameters: list[list[Node]] = []
    args: list[Node | None] = []
    for start, stop in pairwise(ends):
        own = [(leaf, x) for p, leaf, x in more if start <= p < stop]
        parameters.append([*body.parameters[start:stop], *[leaf for leaf, _ in own]])
        args += [*[given.get(p) for p in range(start, stop)], *[x for _, x in own]]
    states, elements, fixed = parameters
    after = [*body.following, *following]
    return Body(states, elements, fixed, after, emitted, body.count, body.backwards, body.done), args


def applied(node: Node, given: Mapping[int, Node]) -> Node:
    """A result of a loop of other arguments, by the numbers of their parameters."""
    body: Body = node.attrs["body"]
    return results(body, _listed(body, given), [node.attrs["result"]])[0]


# one more axis


def with_axis(
    node: Node,
    new: Mapping[Node, Node],
    size: int,
    batched: Callable[[Sequence[Node], Mapping[Node, Node], Iterable[Node]], list[Node]],
    bodies: dict[Any, Any],
) -> Node:
    """A result of a loop some of whose arguments have got an axis of ``size`` entries in front."""
    body: Body = node.attrs["body"]
    given = arguments([node])
    states, rows = len(body.states), len(body.elements)
    has = body.changing([p for p, x in given.items() if x in new], "uses")
    key = (body, frozenset(has), size)
    if key not in bodies:
        leaves = {p: placeholder(body.parameters[p], (size, *body.parameters[p].shape)) for p in has}
        many = {body.parameters[p]: leaf for p, leaf in leaves.items()}
        roots = batched([*body.following, *body.emitted], many, body.parameters)
        following, emitted = roots[:states], roots[states:]
        following = [
            broadcasted(root, (size, *leaf.shape)) if i in has else root
            for i, (root, leaf) in enumerate(zip(following, body.states, strict=True))
        ]
        changed = [leaves.get(p, leaf) for p, leaf in enumerate(body.parameters)]
        bodies[key] = Body(
            changed[:states], changed[states : states + rows], changed[states + rows :], following, emitted,
            body.count, body.backwards,
        )  # fmt: skip
    made: Body = bodies[key]
    args: list[Node | None] = []
    for p in range(len(body.parameters)):
        x = given.get(p)
        if x is None or p not in has:
            args.append(x)
        elif states <= p < states + rows:
            args.append(_swapped(new[x]))
        else:
            args.append(new[x] if x in new else broadcasted(x, (size, *x.shape)))
    result = node.attrs["result"]
    (root,) = results(made, args, [result])
    if made.root(result).shape == body.root(result).shape:
        return broadcasted(root, (size, *node.shape))
    return _swapped(root) if body.stacks(result) else root


def _swapped(x: Node) -> Node:
    """The first two axes exchanged: those of the steps and of the batch."""
    return transpose(x, axes=(1, 0, *range(2, x.rank)))


def grouped(order: Sequence[Node], start: int) -> Sequence[Node]:
    """The results of one loop that stand beside each other in an order, the first at ``start``."""
    node, stop = order[start], start + 1
    known = arguments([node])
    while stop < len(order) and order[stop].op is node.op and joins(order[stop], node.attrs["body"], known):
        stop += 1
    return order[start:stop]
