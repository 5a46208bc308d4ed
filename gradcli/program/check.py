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
from gradcli.graph.node import Node
from gradcli.graph.ops.elementwise import add
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.types import is_float, show_entry
from gradcli.program.differences import central, one_sided
from gradcli.program.digits import SAFETY, WORK, Differences, Slope, UnknownError, UnresolvedError, available, noise
from gradcli.program.judge import TINY, Judge, Verdict
from gradcli.program.loaded import Loaded
from gradcli.program.point import Point
from gradcli.results import Checked, Comparison

Array = np.ndarray[Any, Any]

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
        return _Check(Point(program, of, wrt, notes), how or Settings()).run()


class _Check:
    """One check at a point."""

    def __init__(self, point: Point, how: Settings) -> None:
        self.point = point
        self.how = how
        default, eps = (1e-2, 6e-8) if point.coarse else (1e-6, 1.1e-16)
        self.precise = available() and not point.coarse
        self.judge = Judge(how.tolerance or default, eps, bool(point.kinks), how.tolerance or 1e-9)

    def run(self) -> Checked:
        point = self.point
        comparisons: list[Comparison] = []
        if 1 in self.how.orders:
            for i in range(len(point.xs)):
                comparisons += self._first_order(i)
        if 2 in self.how.orders:
            comparisons += self._second_order()
        return Checked(point.of, comparisons, point.kinks, point.notes)

    def _first_order(self, i: int) -> list[Comparison]:
        point = self.point
        x, name = point.xs[i], point.names[i]
        g = np.asarray(point.base[point.gradients[i]], dtype="float64")
        with point.derivation.active():
            v = point.directions[i]
            tangents = [orders.jvp(term, x, v) for term in point.terms]
        forward = point.function(tangents)
        function = point.movable(point.terms, [x])
        at = np.asarray(point.base[x], dtype="float64")
        values = _joined([point.base[t] for t in point.terms])
        valid = np.isfinite(values)
        size, defined = float(np.sum(np.abs(values[valid]))), bool(valid.all())

        digits = self._digits(point.terms, [x], max(at.size, 1))

        def by_forward(move: Array) -> Verdict:
            if not valid.any() and valid.size:
                return Verdict(_dot(g, move), math.nan, "unclear")
            slope = float(np.sum(_joined(forward({v: move.astype(v.dtype)}))[valid]))

            def noise() -> float:
                mine, *others = self._noise([point.gradients[i], *tangents], {v: move})
                return float(mine @ np.abs(np.ravel(move)) + sum([np.sum(n) for n in others])) + _smallest([move])

            return self.judge.exact(_dot(g, move), slope, defined, noise)

        def by_differences(move: Array) -> Verdict:
            if not valid.any() and valid.size:
                return Verdict(_dot(g, move), math.nan, "unclear")
            if digits is not None and defined and not point.kinks:
                try:
                    slope, error = _summed(*digits.along([at], [move], values))
                    return self.judge.digits(_dot(g, move), slope, error + _smallest([move]))
                except UnresolvedError:
                    return Verdict(_dot(g, move), math.nan, "unclear")
                except UnknownError:
                    pass

            def of(step: float) -> Array:
                return _joined(function([at + step * move]))[valid]

            target, eps = self.judge.target, self.judge.eps
            numeric, error = _summed(*central(of, target, eps))
            verdict = self.judge.numeric(_dot(g, move), numeric, error, size, defined)
            if verdict.word == "ok" or not point.kinks:
                return verdict
            sides = [_summed(*one_sided(of, side, target, eps)) for side in (-1, 1)]
            found = self.judge.between(verdict, *sides)
            if found.word != "FAILED" or digits is None or not defined:
                return found
            try:  # Teeth that float64 steps over
                return self.judge.between(verdict, *[_summed(*side) for side in digits.beside([at], [move])])
            except UnknownError:
                return found

        found = [self._worst(name, x, "forward", by_forward)]
        # An integer that no gradient reaches is an index or a count, and has nothing beside it.
        if is_float(x.dtype) or point.connected[i]:
            found.append(self._worst(name, x, "differences", by_differences))
        return found

    def _digits(self, nodes: Sequence[Node], xs: Sequence[Node], count: int) -> Differences | None:
        """Differences in hundreds of digits along so many moves; None where they are not to be had."""
        point = self.point
        if not self.precise:
            return None
        moved, leaves, fixed = point.moved(nodes, xs)
        return Differences.within(WORK // count, moved, leaves, {**point.leaves(moved), **fixed})

    def _noise(self, nodes: Sequence[Node], directions: Mapping[Node, Array]) -> list[Array]:
        """What rounding may change each entry of the nodes by, each node in one row."""
        given = {v: np.asarray(move, dtype=v.dtype) for v, move in directions.items()}
        return [SAFETY * np.ravel(n) for n in noise(nodes, {**self.point.leaves(nodes), **given})]

    def _worst(self, name: str, x: Node, method: str, compare: Callable[[Array], Verdict]) -> Comparison:
        """The worst of the entries, or of the directions; in a direction that fails, the entry that is to blame."""
        point = self.point
        count = int(np.prod(x.shape, dtype=int))
        scale = point.scale(x)
        entries = self.how.every_entry or (self.how.directions is None and count <= EVERY_ENTRY_UP_TO)
        if entries:
            found = [(k, compare(_only(scale, k)).per(float(scale.reshape(-1)[k]))) for k in range(count)]
            if not found:
                return Comparison(name, 1, method, f"{name} has no entries", None, 0.0, 0.0, 0.0, 0.0, "ok")
            k, verdict = max(found, key=lambda pair: pair[1].badness)
            return _comparison(name, 1, method, x.shape, k, verdict)
        moves = point.moves(x, self.how.directions or DIRECTIONS, seed=2)
        judged = [compare(move) for move in moves]
        n = max(range(len(moves)), key=lambda n: judged[n].badness)
        if judged[n].word != "FAILED":
            found_in = judged[n]
            return Comparison(
                name, 1, method, f"{name} along direction {n + 1}", None, *found_in.numbers, found_in.word
            )
        support = np.arange(count)
        while len(support) > 1:
            halves = np.array_split(support, 2)
            support = max(halves, key=lambda half: compare(_kept(moves[n], half)).difference)
        k = int(support[0])
        verdict = compare(_only(scale, k)).per(float(scale.reshape(-1)[k]))
        if verdict.word != "FAILED":
            return Comparison(name, 1, method, f"{name} along direction {n + 1}", None, *judged[n].numbers, "FAILED")
        return _comparison(name, 1, method, x.shape, k, verdict)

    def _second_order(self) -> list[Comparison]:
        point = self.point
        connected = [i for i, some in enumerate(point.connected) if some]
        groups = [connected] if point.joint and connected else [[i] for i in connected]
        try:
            return [c for group in groups for c in self._hessian_rows(group)]
        except GradcliError as error:
            if error.kind != "ValueError":
                raise
            point.notes.append(f"order 2 could not be evaluated: {error.message}")
            return []

    def _hessian_rows(self, group: list[int]) -> list[Comparison]:
        """The Hessian of some xs times directions, by passes over passes and by the other methods."""
        point = self.point
        xs = [point.xs[i] for i in group]
        us = [point.directions[i] for i in group]
        gs = [point.gradients[i] for i in group]
        with point.derivation.active():
            slope = reduce(add, [sum_(g * u) for g, u in zip(gs, us, strict=True)])
            passes = [_or_zero(h, x) for h, x in zip(reverse.gradients([slope], xs), xs, strict=True)]
            forward = [reduce(add, [orders.jvp(g, x, u) for x, u in zip(xs, us, strict=True)]) for g in gs]
            along = reduce(add, [orders.jvp(point.total, x, u) for x, u in zip(xs, us, strict=True)])
            rows = [_or_zero(h, x) for h, x in zip(reverse.gradients([along], xs), xs, strict=True)]
        evaluate = point.function([*passes, *forward, *rows])
        moving = point.movable(gs, xs)
        count = self.how.directions or SECOND_ORDER_DIRECTIONS
        digits = self._digits(gs, xs, count)
        at = [np.asarray(point.base[x], dtype="float64") for x in xs]
        splits = np.cumsum([x.size for x in at])[:-1]
        base = _joined([point.base[g] for g in gs])
        terms = _joined([point.base[t] for t in point.terms])
        defined = bool(np.isfinite(base).all() and np.isfinite(terms).all())
        # Where gradients cancel to rounding errors, these are in proportion to the ys.
        least = float(np.sum(np.abs(terms[np.isfinite(terms)])))
        sizes = [max(least, float(np.max(np.abs(g[np.isfinite(g)]), initial=0))) for g in np.split(base, splits)]
        worst: dict[tuple[int, str], tuple[int, Verdict]] = {}
        target, eps = self.judge.target, self.judge.eps
        for move in zip(*[point.moves(x, count, seed=3 + i) for i, x in zip(group, xs, strict=True)], strict=True):
            step = {u: m.astype(u.dtype) for u, m in zip(us, move, strict=True)}
            found = [np.ravel(value).astype("float64") for value in evaluate(step)]
            smallest = _smallest(move)
            rounding = cache(partial(self._noise, (*passes, *forward, *rows), step))
            for m in range(len(xs)):
                for method, j in (("forward", len(xs) + m), ("series", 2 * len(xs) + m)):
                    for k in self.judge.candidates(found[m], found[j]):

                        def noise(m: int = m, j: int = j, k: int = k) -> float:
                            return float(rounding()[m][k] + rounding()[j][k]) + smallest  # noqa: B023  called at once

                        verdict = self.judge.exact(float(found[m][k]), float(found[j][k]), defined, noise)
                        _keep(worst, (m, method), k, verdict)

            if digits is not None and defined and not point.kinks:
                try:
                    slopes, noises = digits.along(at, move, base)
                except UnresolvedError:
                    for m in range(len(xs)):
                        if found[m].size:
                            _keep(worst, (m, "differences"), 0, Verdict(float(found[m][0]), math.nan, "unclear"))
                    continue
                except UnknownError:
                    pass
                else:
                    for m, (values, errors) in enumerate(
                        zip(np.split(slopes, splits), np.split(noises, splits), strict=True)
                    ):
                        for k in self.judge.candidates(found[m], values):
                            off = float(errors[k]) + smallest
                            verdict = self.judge.digits(float(found[m][k]), float(values[k]), off)
                            _keep(worst, (m, "differences"), k, verdict)
                    continue

            def of(step: float, move: Sequence[Array] = move) -> Array:
                return _joined(moving([x + step * m for x, m in zip(at, move, strict=True)]))

            numeric, error = central(of, target, eps)
            sides: list[tuple[Array, Array]] | None = None
            closer: tuple[Slope, Slope] | None = None
            for m, (values, errors) in enumerate(zip(np.split(numeric, splits), np.split(error, splits), strict=True)):
                for k in self.judge.candidates(found[m], values):
                    verdict = self.judge.numeric(
                        float(found[m][k]), float(values[k]), float(errors[k]), sizes[m], defined
                    )
                    if verdict.word != "ok" and point.kinks:
                        sides = sides or [one_sided(of, side, target, eps) for side in (-1, 1)]
                        j = k + (int(splits[m - 1]) if m else 0)
                        middle = verdict
                        verdict = self.judge.between(middle, *[(float(s[j]), float(e[j])) for s, e in sides])
                        if verdict.word == "FAILED" and digits is not None and defined:
                            with suppress(UnknownError):
                                closer = closer or digits.beside(at, move)
                                verdict = self.judge.between(middle, *[(float(s[j]), float(e[j])) for s, e in closer])
                    _keep(worst, (m, "differences"), k, verdict)
        result = []
        for m, i in enumerate(group):
            for method in ("forward", "series", "differences"):
                if (m, method) in worst:
                    k, verdict = worst[m, method]
                    result.append(_comparison(point.names[i], 2, method, xs[m].shape, k, verdict))
        return result


def _joined(values: Sequence[Array]) -> Array:
    """All entries in one row."""
    return np.concatenate([np.ravel(value).astype("float64") for value in values])


def _keep(worst: dict[tuple[int, str], tuple[int, Verdict]], key: tuple[int, str], k: int, verdict: Verdict) -> None:
    if key not in worst or verdict.badness > worst[key][1].badness:
        worst[key] = (k, verdict)


def _comparison(name: str, order: int, method: str, shape: tuple[int, ...], k: int, verdict: Verdict) -> Comparison:
    index = tuple(int(i) for i in np.unravel_index(k, shape)) if shape else ()
    entry = show_entry(name, index)
    return Comparison(name, order, method, entry, index, *verdict.numbers, verdict.word)


def _or_zero(g: Node | None, x: Node) -> Node:
    return g if g is not None else reverse.zero_gradient(x)


def _dot(g: Array, move: Array) -> float:
    """The slope along a move; entries that do not move count for nothing, NaN included."""
    return float(np.sum(np.where(move == 0, 0.0, g) * move))


def _summed(slopes: Array, errors: Array) -> tuple[float, float]:
    return float(np.sum(slopes)), float(np.sum(errors))


def _smallest(move: Sequence[Array]) -> float:
    """What no normal number makes along a move."""
    return TINY * sum([float(np.sum(np.abs(m))) for m in move])


def _only(scale: Array, k: int) -> Array:
    return _kept(scale, np.array([k]))


def _kept(move: Array, positions: Array) -> Array:
    result = np.zeros(move.size)
    result[positions] = move.reshape(-1)[positions]
    return result.reshape(move.shape)
