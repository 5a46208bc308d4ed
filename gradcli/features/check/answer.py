"""Reverse mode compared with forward mode, with the series and with differences, at orders 1 and 2.

What is checked is the weighted sum of the ys, the weights being the head gradients. What ``stop_gradient`` holds back is
held fixed in the differences too. At order 2 the Hessian is compared times random directions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial, reduce
from typing import Any

import numpy as np

from gradcli.autodiff import orders, reverse
from gradcli.diagnostics import GradcliError
from gradcli.features.check.differences import central, one_sided
from gradcli.features.check.digits import (
    SAFETY,
    WORK,
    Differences,
    Slope,
    UnknownError,
    UnresolvedError,
    available,
    noise,
)
from gradcli.features.check.judge import TINY, Judge, Verdict
from gradcli.features.check.point import Point
from gradcli.graph.node import Node
from gradcli.graph.ops.elementwise import add
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.types import is_float, show_entry
from gradcli.program.loaded import Loaded
from gradcli.program.loops import lowered
from gradcli.results import Checked, Comparison

Array = np.ndarray[Any, Any]
Moves = Sequence[Array]
"""How far each of some xs moves, an array of its shape for each."""

EVERY_ENTRY_UP_TO = 50
"""Entries up to which a variable is checked entry by entry, unless something else is asked for."""

DIRECTIONS = 5
SECOND_ORDER_DIRECTIONS = 3


@dataclass(frozen=True, slots=True)
class Settings:
    """How thorough a check is; None leaves the choice to it."""

    tolerance: float | None = None
    directions: int | None = None
    every_entry: bool = False
    orders: tuple[int, ...] = (1, 2)


def check(
    program: Loaded, of: Sequence[str] | None = None, wrt: Sequence[str] | None = None, how: Settings | None = None
) -> Checked:
    """Check the gradients of the sum of ``of`` with respect to ``wrt``; a float32 program is checked in float64."""
    notes: list[str] = []
    if program.graph.float_dtype == "float32" or program.dtype == "float32":
        program = program.again(program.settings, "float64")
        notes.append("the program is float32, and was checked in float64")
    if not available():
        notes.append("differences are those of float64: pip install 'gradcli[check]' for hundreds of digits")
    with np.errstate(all="ignore"):  # differences of overflowing values are NaN or infinite, and are judged as such
        return _Check(Point(program.written_out_if_short(), of, wrt, notes), how or Settings()).run()


class _Check:
    """One check at a point."""

    def __init__(self, point: Point, how: Settings) -> None:
        self.point = point
        self.how = how
        default, eps = (1e-2, 6e-8) if point.coarse else (1e-6, 1.1e-16)
        self.precise = available() and not point.coarse
        self.judge = Judge(
            how.tolerance or default, eps, bool(point.kinks), how.tolerance or 1e-9, point.meets_infinity
        )

    def run(self) -> Checked:
        point = self.point
        comparisons: list[Comparison] = []
        if 1 in self.how.orders:
            for group in self._groups():
                comparisons += self._first_order(group)
        if 2 in self.how.orders:
            comparisons += self._second_order()
        return Checked(point.of, self._on_purpose(comparisons), point.kinks, point.notes)

    def _on_purpose(self, comparisons: list[Comparison]) -> list[Comparison]:
        """Set apart what differs because the program gives a function another derivative than that of its value."""
        point = self.point
        found: list[Comparison] = []
        lines: set[int] = set()
        for c in comparisons:
            if c.method == "differences" and c.verdict == "FAILED":
                moved = [point.names.index(c.variable)] if c.variable in point.names else range(len(point.xs))
                own = point.with_own_rules([point.xs[i] for i in moved])
                c = c._replace(verdict="own rule") if own else c
                lines |= own
            found.append(c)
        if lines:
            where = f"line{'s' * (len(lines) > 1)} {', '.join(map(str, sorted(lines)))}"
            point.notes.append(f"own rule: a `tangent` that {where} uses is not the derivative of its function's value")
        return found

    def _groups(self) -> list[list[int]]:
        """The xs that are checked together, by number: each by itself, or many variables as the entries of one."""
        point = self.point
        together = [i for i, x in enumerate(point.xs) if is_float(x.dtype)]
        if not point.joint or self.how.every_entry or len(together) <= EVERY_ENTRY_UP_TO:
            return [[i] for i in range(len(point.xs))]
        return [together, *[[i] for i, x in enumerate(point.xs) if not is_float(x.dtype)]]

    def _first_order(self, group: list[int]) -> list[Comparison]:
        slopes = _Slopes(self, group)
        found = [self._worst(group, "forward", slopes.by_forward)]
        # An integer that no gradient reaches is an index or a count, and has nothing beside it.
        if is_float(slopes.xs[0].dtype) or self.point.connected[group[0]]:
            found.append(self._worst(group, "differences", slopes.by_differences))
        return found

    def digits(self, nodes: Sequence[Node], xs: Sequence[Node], count: int) -> Differences | None:
        """Differences in hundreds of digits along so many moves; None where they are not available."""
        point = self.point
        if not self.precise:
            return None
        moved, leaves, fixed = point.moved(nodes, xs)
        return Differences.within(WORK // count, moved, leaves, {**point.leaves(moved), **fixed})

    def noise(self, nodes: Sequence[Node], directions: Mapping[Node, Array]) -> list[Array]:
        """What rounding may change each entry of the nodes by, each node in one row."""
        given = {v: np.asarray(move, dtype=v.dtype) for v, move in directions.items()}
        nodes, _ = lowered(nodes)
        return [SAFETY * np.ravel(n) for n in noise(nodes, {**self.point.leaves(nodes), **given})]

    def _worst(self, group: list[int], method: str, compare: Callable[[Moves], Verdict]) -> Comparison:
        """The worst of the entries, or of the directions; in a direction that fails, the entry that is to blame."""
        point = self.point
        xs = [point.xs[i] for i in group]
        name = point.together(group)
        scale = [point.scale(x) for x in xs]
        ends = np.cumsum([s.size for s in scale])
        count = int(ends[-1])

        def entry(j: int, verdict: Verdict | None = None) -> Comparison:
            m = int(np.searchsorted(ends, j, side="right"))
            k = j - int(ends[m]) + scale[m].size
            verdict = verdict or alone(j)
            return _comparison(point.names[group[m]], 1, method, xs[m].shape, k, verdict)

        def alone(j: int) -> Verdict:
            only = _kept(scale, np.array([j]))
            return compare(only).per(float(_joined(only)[j]))

        entries = self.how.every_entry or (self.how.directions is None and count <= EVERY_ENTRY_UP_TO)
        if entries:
            found = [(j, alone(j)) for j in range(count)]
            if not found:
                return Comparison(name, 1, method, f"{name} has no entries", None, 0.0, 0.0, 0.0, 0.0, "ok")
            return entry(*max(found, key=lambda pair: pair[1].badness))
        several = self.how.directions or DIRECTIONS
        moves = list(zip(*[point.moves(x, several, seed=2 + n) for n, x in enumerate(xs)], strict=True))
        judged = [compare(move) for move in moves]
        n = max(range(len(moves)), key=lambda n: judged[n].badness)
        along = Comparison(name, 1, method, f"{name} along direction {n + 1}", None, *judged[n].numbers, judged[n].word)
        if judged[n].word != "FAILED":
            return along
        support = np.arange(count)
        while len(support) > 1:
            halves = np.array_split(support, 2)
            support = max(halves, key=lambda half: compare(_kept(moves[n], half)).difference)
        worst = entry(int(support[0]))
        return worst if worst.verdict == "FAILED" else along

    def _second_order(self) -> list[Comparison]:
        point = self.point
        connected = [i for i, some in enumerate(point.connected) if some]
        groups = [connected] if point.joint and connected else [[i] for i in connected]
        try:
            return [c for group in groups for c in _HessianRows(self, group).comparisons()]
        except GradcliError as error:
            if error.kind != "ValueError":
                raise
            point.notes.append(f"order 2 could not be evaluated: {error.message}")
            return []


class _Slopes:
    """The slope of the sum of the ys along moves of some xs: one reverse pass, compared with the other methods."""

    def __init__(self, check: _Check, group: list[int]) -> None:
        self.check = check
        self.point = point = check.point
        self.judge = check.judge
        self.xs = xs = [point.xs[i] for i in group]
        self.gradients = [point.gradients[i] for i in group]
        self.g = [np.asarray(point.base[node], dtype="float64") for node in self.gradients]
        with point.derivation.active():
            self.directions = [point.directions[i] for i in group]
            self.tangents = orders.jvps(point.terms, dict(zip(xs, self.directions, strict=True)))
        self.forward = point.function(self.tangents)
        self.function = point.movable(point.terms, xs)
        self.at = [np.asarray(point.base[x], dtype="float64") for x in xs]
        self.values = _joined([point.base[t] for t in point.terms])
        self.size = float(np.sum(np.abs(self.values)))
        self.digits = check.digits(point.terms, xs, max(sum([x.size for x in self.at]), 1))

    def by_forward(self, move: Moves) -> Verdict:
        """Forward mode, which is off by rounding only."""
        if self.point.nowhere:
            return self._unclear(move)
        step = {v: m.astype(v.dtype) for v, m in zip(self.directions, move, strict=True)}
        slope = float(np.sum(_joined(self.forward(step))))

        def noise() -> float:
            found = self.check.noise([*self.gradients, *self.tangents], step)
            mine = sum([float(n @ np.abs(np.ravel(m))) for n, m in zip(found, move, strict=False)])
            return mine + sum([float(np.sum(n)) for n in found[len(self.xs) :]]) + _smallest(move)

        return self.judge.exact(_dot(self.g, move), slope, True, noise)

    def by_differences(self, move: Moves) -> Verdict:
        """Differences: in hundreds of digits, or in float64; on a kink those from both sides."""
        if self.point.nowhere:
            return self._unclear(move)
        if self.digits is not None and not self.point.kinks:
            try:
                slope, error = _summed(*self.digits.along(self.at, move, self.values))
                return self.judge.digits(_dot(self.g, move), slope, error + _smallest(move))
            except UnresolvedError:
                return self._unclear(move)
            except UnknownError:
                pass
        numeric, error = _summed(*central(self._values(move), self.judge.target, self.judge.eps))
        verdict = self.judge.numeric(_dot(self.g, move), numeric, error, self.size, True)
        return verdict if verdict.word == "ok" or not self.point.kinks else self._on_a_kink(verdict, move)

    def _on_a_kink(self, verdict: Verdict, move: Moves) -> Verdict:
        of, target, eps = self._values(move), self.judge.target, self.judge.eps
        sides = [_summed(*one_sided(of, side, target, eps)) for side in (-1, 1)]
        found = self.judge.between(verdict, *sides)
        if found.word != "FAILED" or self.digits is None:
            return found
        try:  # Teeth that float64 steps over
            return self.judge.between(verdict, *[_summed(*side) for side in self.digits.beside(self.at, move)])
        except UnknownError:
            return found

    def _values(self, move: Moves) -> Callable[[float], Array]:
        """The entries of the ys after a step along a move."""
        return lambda step: _joined(self.function([x + step * m for x, m in zip(self.at, move, strict=True)]))

    def _unclear(self, move: Moves) -> Verdict:
        return Verdict(_dot(self.g, move), math.nan, "unclear")


class _HessianRows:
    """The Hessian of some xs times random directions: two reverse passes, compared with the other methods."""

    def __init__(self, check: _Check, group: list[int]) -> None:
        self.check = check
        self.point = point = check.point
        self.judge = check.judge
        self.group = group
        self.xs = xs = [point.xs[i] for i in group]
        self.directions = us = [point.directions[i] for i in group]
        gs = [point.gradients[i] for i in group]
        with point.derivation.active():
            slope = reduce(add, [sum_(g * u) for g, u in zip(gs, us, strict=True)])
            passes = [_or_zero(h, x) for h, x in zip(reverse.gradients([slope], xs), xs, strict=True)]
            moving = dict(zip(xs, us, strict=True))
            forward = orders.jvps(gs, moving)
            (along,) = orders.jvps([point.total], moving)
            rows = [_or_zero(h, x) for h, x in zip(reverse.gradients([along], xs), xs, strict=True)]
        self.nodes = (*passes, *forward, *rows)
        self.moving = point.movable(gs, xs)
        self.count = check.how.directions or SECOND_ORDER_DIRECTIONS
        self.digits = check.digits(gs, xs, self.count)
        self.at = [np.asarray(point.base[x], dtype="float64") for x in xs]
        self.splits = np.cumsum([x.size for x in self.at])[:-1]
        self.base = _joined([point.base[g] for g in gs])
        self.defined = bool(np.isfinite(self.base).all())
        # Where gradients cancel to rounding errors, these are in proportion to the ys.
        least = float(np.sum(np.abs(_joined([point.base[t] for t in point.terms]))))
        self.sizes = [
            max(least, float(np.max(np.abs(g[np.isfinite(g)]), initial=0))) for g in np.split(self.base, self.splits)
        ]
        self.worst: dict[tuple[int, str], tuple[int, Verdict]] = {}

    def comparisons(self) -> list[Comparison]:
        """For each x and method the entry where they differ most."""
        evaluate = self.point.function(self.nodes)
        moves = [self.point.moves(x, self.count, seed=3 + i) for i, x in zip(self.group, self.xs, strict=True)]
        for move in zip(*moves, strict=True):
            step = {u: m.astype(u.dtype) for u, m in zip(self.directions, move, strict=True)}
            found = [np.ravel(value).astype("float64") for value in evaluate(step)]
            smallest = _smallest(move)
            self._by_other_modes(found, step, smallest)
            if not self._by_digits(found, move, smallest):
                self._by_differences(found, move)
        for m in range(len(self.group)):
            self._where_undefined(m)
        result = []
        every = range(len(self.group))
        many = len(every) > EVERY_ENTRY_UP_TO
        for together in [every] if many else [[m] for m in every]:
            for method in ("forward", "series", "differences"):
                known = [m for m in together if (m, method) in self.worst]
                if known:
                    m = max(known, key=lambda m: self.worst[m, method][1].badness)
                    k, verdict = self.worst[m, method]
                    c = _comparison(self.point.names[self.group[m]], 2, method, self.xs[m].shape, k, verdict)
                    result.append(
                        c._replace(variable=self.point.together(self.group)) if many and c.verdict == "ok" else c
                    )
        return result

    def _where_undefined(self, m: int) -> None:
        """Modes may differ where gradients have no values beside the point, as those of a power whose base is negative.

        So they may where no y has a value at the point.
        """
        beside = self.worst.get((m, "differences"))
        if not self.point.nowhere and (
            beside is None or beside[1].word != "unclear" or not math.isnan(beside[1].other)
        ):
            return
        for method in ("forward", "series"):
            k, verdict = self.worst[m, method]
            if verdict.word == "FAILED":
                self.worst[m, method] = (k, verdict._replace(word="unclear"))

    def _keep(self, m: int, method: str, k: int, verdict: Verdict) -> None:
        """Note the verdict on entry k of the m-th x if it is the worst so far."""
        if (m, method) not in self.worst or verdict.badness > self.worst[m, method][1].badness:
            self.worst[m, method] = (k, verdict)

    def _by_other_modes(self, found: Sequence[Array], step: dict[Node, Array], smallest: float) -> None:
        """Forward over reverse, and one reverse pass over the series, which are off by rounding only."""
        rounding = cache(partial(self.check.noise, self.nodes, step))
        count = len(self.xs)
        for m in range(count):
            for method, j in (("forward", count + m), ("series", 2 * count + m)):
                for k in self.judge.candidates(found[m], found[j]):

                    def noise(m: int = m, j: int = j, k: int = k) -> float:
                        return float(rounding()[m][k] + rounding()[j][k]) + smallest

                    verdict = self.judge.exact(float(found[m][k]), float(found[j][k]), self.defined, noise)
                    self._keep(m, method, k, verdict)

    def _by_digits(self, found: Sequence[Array], move: Sequence[Array], smallest: float) -> bool:
        """Differences in hundreds of digits; whether they were possible, or showed that none are."""
        if self.digits is None or not self.defined or self.point.kinks:
            return False
        try:
            slopes, noises = self.digits.along(self.at, move, self.base)
        except UnresolvedError:
            for m in range(len(self.xs)):
                if found[m].size:
                    self._keep(m, "differences", 0, Verdict(float(found[m][0]), math.nan, "unclear"))
            return True
        except UnknownError:
            return False
        for m, (values, errors) in enumerate(
            zip(np.split(slopes, self.splits), np.split(noises, self.splits), strict=True)
        ):
            for k in self.judge.candidates(found[m], values):
                verdict = self.judge.digits(float(found[m][k]), float(values[k]), float(errors[k]) + smallest)
                self._keep(m, "differences", k, verdict)
        return True

    def _by_differences(self, found: Sequence[Array], move: Sequence[Array]) -> None:
        """Differences of gradients in float64; on a kink those from both sides."""
        target, eps = self.judge.target, self.judge.eps

        def of(step: float) -> Array:
            return _joined(self.moving([x + step * m for x, m in zip(self.at, move, strict=True)]))

        numeric, error = central(of, target, eps)
        one_by_one = cache(lambda: [one_sided(of, side, target, eps) for side in (-1, 1)])
        closer = cache(partial(self._beside, move))
        for m, (values, errors) in enumerate(
            zip(np.split(numeric, self.splits), np.split(error, self.splits), strict=True)
        ):
            start = int(self.splits[m - 1]) if m else 0
            for k in self.judge.candidates(found[m], values):
                middle = self.judge.numeric(
                    float(found[m][k]), float(values[k]), float(errors[k]), self.sizes[m], self.defined
                )
                verdict = middle
                if middle.word != "ok" and self.point.kinks:
                    verdict = self._between(middle, one_by_one(), start + k)
                    if verdict.word == "FAILED" and (sides := closer()) is not None:
                        verdict = self._between(middle, sides, start + k)
                self._keep(m, "differences", k, verdict)

    def _between(self, middle: Verdict, sides: Sequence[tuple[Any, Any]], k: int) -> Verdict:
        left, right = [(float(slopes[k]), float(errors[k])) for slopes, errors in sides]
        return self.judge.between(middle, left, right)

    def _beside(self, move: Sequence[Array]) -> tuple[Slope, Slope] | None:
        """The slopes on both sides of the point, in hundreds of digits; None where these are not known."""
        if self.digits is None or not self.defined:
            return None
        with suppress(UnknownError):
            return self.digits.beside(self.at, move)
        return None


def _joined(values: Sequence[Array]) -> Array:
    """All entries in one row."""
    return np.concatenate([np.ravel(value).astype("float64") for value in values])


def _comparison(name: str, order: int, method: str, shape: tuple[int, ...], k: int, verdict: Verdict) -> Comparison:
    index = tuple(int(i) for i in np.unravel_index(k, shape)) if shape else ()
    entry = show_entry(name, index)
    return Comparison(name, order, method, entry, index, *verdict.numbers, verdict.word)


def _or_zero(g: Node | None, x: Node) -> Node:
    return g if g is not None else reverse.zero_gradient(x)


def _dot(g: Sequence[Array], move: Moves) -> float:
    """The slope along a move; entries that do not move count for nothing, NaN included."""
    return sum([float(np.sum(np.where(m == 0, 0.0, part) * m)) for part, m in zip(g, move, strict=True)])


def _summed(slopes: Array, errors: Array) -> tuple[float, float]:
    return float(np.sum(slopes)), float(np.sum(errors))


def _smallest(move: Sequence[Array]) -> float:
    """What no normal number makes along a move."""
    return TINY * sum([float(np.sum(np.abs(m))) for m in move])


def _kept(move: Moves, positions: Array) -> Moves:
    """The move of some entries, by their numbers in one row; the others stay."""
    whole = _joined(move)
    kept = np.zeros(whole.size)
    kept[positions] = whole[positions]
    parts = np.split(kept, np.cumsum([m.size for m in move])[:-1])
    return [part.reshape(m.shape) for part, m in zip(parts, move, strict=True)]
