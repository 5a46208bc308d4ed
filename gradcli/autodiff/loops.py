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
    while (made := _step(back, sweep)) is None:
        pass  # with more masks, or more that may be infinite
    found, loop = made
    args = _arguments(back, loop, given)
    outer = results(loop.body, args, [r for _, r, m in found for r in ((r,) if m is None else (r, m))])
    of = dict(zip([r for _, r, m in found for r in ((r,) if m is None else (r, m))], outer, strict=True))
    return [(given[p], Cotangent(of[r], None if m is None else of[m])) for p, r, m in found]


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


class _Made:
    """A backward body in the making.

    ``starts`` are the arguments of its states. ``stacks`` are those of its elements: a node, or the number of a state or an
    element of the forward loop, whose rows it reads. ``body`` is there when all is known.
    """

    body: Body

    def __init__(self) -> None:
        self.states: list[Node] = []
        self.starts: list[Node] = []
        self.following: list[Node] = []
        self.elements: list[Node] = []
        self.stacks: list[Any] = []
        self.emitted: list[Node] = []

    def state(self, like: Node, dtype: str, start: Node | None, risky: bool = False) -> Node:
        leaf = placeholder(like, like.shape, dtype, risky)
        self.states.append(leaf)
        self.starts.append(start if start is not None else zeros(shape=like.shape, dtype=dtype))
        return leaf


def _step(back: _Back, sweep: Pass) -> tuple[list[tuple[int, int, int | None]], _Made] | None:
    """The backward body; None after more states have got a mask, or a cotangent that may be infinite.

    Returns for each parameter that is asked for the results with its cotangent and mask.
    """
    body, made = back.body, _Made()
    seeds: list[tuple[Node, Cotangent]] = []
    carried: dict[int, tuple[Node, Node | None]] = {}
    for i in back.active:
        leaf, c = body.states[i], back.at_end.get(i)
        dtype = leaf.dtype if is_float(leaf.dtype) else derived_float()
        g = made.state(leaf, dtype, None if c is None else cast_to(c.g, dtype), i in back.risky)
        mask = None
        if i in back.masked:
            start = None if c is None else c.mask
            if c is not None and start is None:
                start = logical_not(zeros(shape=leaf.shape, dtype="bool"))
            mask = made.state(leaf, "bool", None if start is None else broadcasted(start, leaf.shape))
        carried[i] = g, mask
        seeds.append((body.following[i], Cotangent(g, mask)))
    rows: dict[int, Cotangent] = {}
    for j, c in back.emitted.items():
        seeds.append((body.emitted[j], _row(made, body.emitted[j], c)))
    for i, c in back.before.items():
        rows[i] = _row(made, body.states[i], c)
    leaves = {body.states[i] for i in back.active}
    others = [p for p in back.to if p >= len(body.states)]
    leaves |= {body.parameters[p] for p in others}
    with back.derivation.inside():
        found = dict(sweep(back.derivation, seeds, leaves, set(body.parameters)))
    grown = False
    ends: list[tuple[int, int, int | None]] = []
    position = {leaf: k for k, leaf in enumerate(made.states)}
    for i in back.active:
        leaf, (g, mask) = body.states[i], carried[i]
        got = found.get(leaf)
        if i in rows:
            got = rows[i] if got is None else _sum(got, rows[i])
        if leaf.risky and i not in back.masked and (got is None or got.mask is not None):
            back.masked.add(i)
            grown = True
        if got is not None and got.g.risky and i not in back.risky:
            back.risky.add(i)
            grown = True
        made.following.append(zeros(shape=leaf.shape, dtype=g.dtype) if got is None else cast_to(got.g, g.dtype))
        if mask is not None:
            nowhere = zeros(shape=leaf.shape, dtype="bool")
            made.following.append(nowhere if got is None else _everywhere(got.mask, leaf.shape))
        if i in back.to:
            ends.append((i, position[g], None if mask is None else position[mask]))
    if grown:
        return None
    emitted: list[tuple[int, int, int | None]] = []
    for p in others:
        leaf, got = body.parameters[p], found.get(body.parameters[p])
        if got is None:
            continue
        if p < len(body.states) + len(body.elements):
            first = len(made.emitted)
            made.emitted.append(broadcasted(got.g, leaf.shape))
            if got.mask is not None:
                made.emitted.append(broadcasted(got.mask, leaf.shape))
            emitted.append((p, first, None if got.mask is None else first + 1))
            continue
        total = made.state(leaf, got.g.dtype, None, got.g.risky)
        made.following.append(total + got.g)
        some = None
        if got.mask is not None:
            chosen = made.state(leaf, "bool", None)
            made.following.append(either(chosen, got.mask))
            some = len(made.states) - 1
        ends.append((p, len(made.states) - (1 if some is None else 2), some))
    _finish(back, made)
    count = len(made.states)
    return [*ends, *[(p, count + r, None if m is None else count + m) for p, r, m in emitted]], made


def _row(made: _Made, like: Node, c: Cotangent) -> Cotangent:
    """The placeholders of a row of a stacked cotangent and of its mask."""
    leaf = placeholder(like, c.g.shape[1:], c.g.dtype, c.g.risky)
    made.elements.append(leaf)
    made.stacks.append(c.g)
    mask = None
    if c.mask is not None:
        mask = placeholder(like, c.g.shape[1:], "bool", False)
        made.elements.append(mask)
        made.stacks.append(broadcasted(c.mask, c.g.shape))
    return Cotangent(leaf, mask)


def _sum(a: Cotangent, b: Cotangent) -> Cotangent:
    return Cotangent(a.g + b.g, None if a.mask is None or b.mask is None else either(a.mask, b.mask))


def _finish(back: _Back, made: _Made) -> None:
    """The states and rows of the loop that the backward body reads, as rows of it, and the body itself."""
    body = back.body
    read = set(cone([*made.following, *made.emitted], [*made.states, *made.elements]))
    for p, leaf in enumerate(body.parameters[: len(body.states) + len(body.elements)]):
        if leaf in read:
            made.elements.append(leaf)
            made.stacks.append(p)
    made.body = Body(
        made.states, made.elements, body.fixed, made.following, made.emitted, body.count, not body.backwards
    )


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


def coefficients(series: Series, node: Node, order: int, known: Mapping[tuple[int, int], Node]) -> list[Node | None]:
    """The coefficients 1 to ``order`` of a result's series; ``known`` has those of its arguments that are not 0.

    The loop carries the coefficients of its states beside the states, and masks of what no step has reached yet.
    """
    if not known:
        return [None] * order
    body: Body = node.attrs["body"]
    given = arguments([node])
    singular = any([x.risky for x in (*body.following, *body.emitted)])
    return _forwards(series, node, order, known, {p: series.mask(given[p]) if singular else None for p, _ in known})[0]


def series_mask(series: Series, node: Node, masks: Mapping[int, Node | None]) -> Node | None:
    """Where the series of a result is selected; ``masks`` has those of the arguments that vary, None for everywhere."""
    return _forwards(series, node, 0, {}, masks)[1]


def _forwards(
    series: Series,
    node: Node,
    order: int,
    known: Mapping[tuple[int, int], Node],
    masks: Mapping[int, Node | None],
) -> tuple[list[Node | None], Node | None]:
    """Coefficients of a result and where they are selected, from those of the arguments."""
    body: Body = node.attrs["body"]
    given = arguments([node])
    each = range(1, order + 1)
    moving = sorted(body.changing(masks))
    carried = [p for p in moving if p < len(body.states)]
    singular = not order or any([x.risky for x in (*body.following, *body.emitted)])
    # What is there before some step: coefficients, those that may be NaN or infinite, masks.
    there, risky = set(known), {key for key, c in known.items() if c.risky or body.parameters[key[0]].risky}
    masked = {p for p in moving if singular and (p not in masks or masks[p] is not None)}
    left = body.count - 1
    with (current_derivation() or Derivation()).inside():
        while True:
            leaves = {(p, j): placeholder(body.parameters[p], risky=(p, j) in risky) for p, j in sorted(there)}
            bits = {p: placeholder(body.parameters[p], dtype="bool", risky=False) for p in sorted(masked)}
            moved = {body.parameters[p]: [leaves.get((p, j)) for j in each] for p in moving}
            inner = series.__class__(moved, [*series.fixed, *body.parameters])
            inner.masks.update({body.parameters[p]: leaf for p, leaf in bits.items()})
            after = {
                (p, j): c for p in carried for j in each if (c := inner.coefficient(body.following[p], j)) is not None
            }
            chosen = {p: inner.mask(body.following[p]) for p in carried} if singular else {}
            grown = (
                set(after) - there if left > 0 else set(),
                {key for key, c in after.items() if c.risky} - risky,
                {p for p, mask in chosen.items() if mask is not None} - masked,
            )
            if not any(grown):
                break
            left -= 1
            there |= grown[0]
            risky |= grown[1]
            masked |= grown[2]
        result = node.attrs["result"]
        emits = body.stacks(result) and result < body.before(0)
        root = body.root(result)
        emitted = {j: c for j in each if emits and (c := inner.coefficient(root, j)) is not None}
        kept = inner.mask(root) if emits and not order else None

    def start(p: int, j: int) -> Node:
        leaf, c = body.parameters[p], known.get((p, j))
        return zeros(shape=body.argument_shape(p), dtype=leaf.dtype) if c is None else cast_to(c, leaf.dtype)

    def first_mask(p: int) -> Node:
        shape = body.argument_shape(p)
        return _everywhere(masks[p], shape) if p in masks else zeros(shape=shape, dtype="bool")

    def next_of(p: int, j: int) -> Node:
        leaf, c = body.parameters[p], after.get((p, j))
        return zeros(shape=leaf.shape, dtype=leaf.dtype) if c is None else cast_to(c, leaf.dtype)

    leaves |= {key: placeholder(body.parameters[key[0]]) for key in after if key not in leaves}
    own = [key for key in leaves if key[0] in carried]
    selected = [p for p in bits if p in carried]
    made, args = _beside(
        body,
        given,
        [
            *[(p, leaf, start(p, j)) for (p, j), leaf in leaves.items()],
            *[(p, leaf, first_mask(p)) for p, leaf in bits.items()],
        ],
        [*[next_of(p, j) for p, j in own], *[_everywhere(chosen[p], body.states[p].shape) for p in selected]],
        [
            *[cast_to(c, root.dtype) for c in emitted.values()],
            *([] if kept is None else [broadcasted(kept, root.shape)]),
        ],
    )
    i = result - body.before(0) if result >= body.before(0) else result
    if emits:
        wanted = {j: made.emits(k) for k, j in enumerate(emitted)}
        if kept is not None:
            wanted[0] = made.emits(len(emitted))
    else:
        wanted = {j: k for k, (p, j) in enumerate(own, len(body.states)) if p == i}
        if not order and i in selected:
            wanted[0] = len(body.states) + len(own) + selected.index(i)
        if body.stacks(result):
            wanted = {j: made.before(k) for j, k in wanted.items()}
    found = dict(zip(wanted, results(made, args, wanted.values()), strict=True))
    return [found.get(j) for j in each], found.get(0)


def _everywhere(mask: Node | None, shape: Sequence[int]) -> Node:
    """A mask of a shape, everywhere where there is none."""
    shape = tuple(shape)
    return logical_not(zeros(shape=shape, dtype="bool")) if mask is None else broadcasted(mask, shape)


def _beside(
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
