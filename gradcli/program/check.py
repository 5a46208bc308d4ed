"""Reverse mode compared with forward mode, with the series and with differences, at orders 1 and 2.

What is checked is the weighted sum of the ys, the weights being the head gradients. What ``stop_gradient`` holds back is
held fixed in the differences too. At order 2 the Hessian is compared times random directions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from gradcli.autodiff import reverse, series
from gradcli.autodiff.substitute import substituted
from gradcli.diagnostics import GradcliError
from gradcli.execute.run import run
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import cast_to
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.ops.elementwise import add
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.types import is_float
from gradcli.language.reasons import explain
from gradcli.language.values import Missing
from gradcli.program import kinks
from gradcli.program.differences import central, one_sided
from gradcli.program.judge import Judge, Verdict
from gradcli.program.loaded import Loaded
from gradcli.results import Checked, Comparison

Array = np.ndarray[Any, Any]
Values = dict[Node, Array]

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
    if program._graph.float_dtype == "float32" or program.dtype == "float32":
        program = type(program)(
            program.source, program.folder, "float64", program.random_seed, program._settings, program.max_memory
        )
        notes.append("the program is float32, and was checked in float64")
    return _Check(program, of, wrt, how or Settings(), notes).run()


class _Check:
    """One check: the graphs of the ys and of their derivatives, and the values of everything at the point."""

    def __init__(
        self, program: Loaded, of: Sequence[str] | None, wrt: Sequence[str] | None, how: Settings, notes: list[str]
    ) -> None:
        self.program = program
        self.how = how
        self.notes = notes
        self.of = list(dict.fromkeys(of)) if of is not None else self._present(program._differentiated())
        self.ys = [program._target(name) for name in self.of]
        self.names = [name for name in self._wanted(wrt) if self._is_number(name)]
        self.xs = [program._target(name) for name in self.names]
        self.heads = program._heads(self.of, self.ys, {})
        self._fill_leaves()
        self.derivation = program._graph.derivation
        with self.derivation.active():
            floats = [y if is_float(y.dtype) else cast_to(y, "float64") for y in self.ys]
            self.terms = [y if h is None else y * h for y, h in zip(floats, self.heads, strict=True)]
            gradients = reverse.gradients(self.ys, self.xs, self.heads)
            self.total = reduce(add, [sum_(term) for term in self.terms])
        self.connected = [g is not None for g in gradients]
        self.gradients = [g if g is not None else reverse.zero_gradient(x) for g, x in zip(gradients, self.xs, strict=True)]
        self._note_none()
        moving = {node for x in self.xs for node in reverse.dependents(self.terms, x)}
        self.stops = [n for n in cone(self.terms) if n.op.name == "stop_gradient" and n in moving]
        if self.stops:
            lines = sorted({span.line for n in self.stops if (span := program._graph.span(n)) is not None})
            where = f" on line {', '.join(map(str, lines))}" if lines else ""
            self.notes.append(f"stop_gradient{where} was held fixed in the differences")
        suspects = kinks.suspects(self.terms, self.xs)
        self.base = self._values([*self.terms, *self.gradients, *self.xs, *self.stops, *kinks.needed(suspects)])
        self.kinks = kinks.met(suspects, self.base, program._graph.span)
        coarse = any([n.dtype == "float32" for n in cone(self.terms)])
        self.judge = Judge(how.tolerance or (1e-2 if coarse else 1e-6), 6e-8 if coarse else 1.1e-16, bool(self.kinks))
        # Variables can move together; an intermediate and what it is computed from cannot.
        self.joint = all([x.op.name == "leaf" for x in self.xs])
        with self.derivation.active():
            self.directions = [
                make_leaf(f"direction of {name}", "constant", x.shape, x.dtype if is_float(x.dtype) else "float64", False)
                for name, x in zip(self.names, self.xs, strict=True)
            ]

    # what is checked

    def _wanted(self, wrt: Sequence[str] | None) -> list[str]:
        """The xs: variables, else constants, else the names that are computed from no other name."""
        program = self.program
        if wrt is not None or program.variables:
            return program._wanted(wrt)
        graph = program._graph
        named = {name: node for name, node in graph.names.items() if isinstance(node, Node)}
        found = list(graph.leaves)
        if not found:
            nodes = set(named.values())
            found = [
                name for name, node in named.items()
                if is_float(node.dtype) and not any([x in nodes for x in cone(node.inputs)])
            ]  # fmt: skip
        used = set(cone(self.ys))
        found = [name for name in found if named[name] in used]
        if not found:
            return program._wanted(None)
        self.notes.append(f"the program has no variables, and was checked with respect to {', '.join(found)}")
        return found

    def _present(self, names: list[str]) -> list[str]:
        """The outputs without those that are a gradient that is None."""
        missing = [name for name in names if isinstance(self.program._graph.names[name], Missing)]
        if len(missing) == len(names):
            return names
        self.notes += [f"{name} is a gradient that is None and was left out" for name in missing]
        return [name for name in names if name not in missing]

    def _is_number(self, name: str) -> bool:
        number = self.program._target(name).dtype != "bool"
        if not number:
            self.notes.append(f"{name} is bool and was left out")
        return number

    def _fill_leaves(self) -> None:
        """Random numbers for the leaves that have no value."""
        program = self.program
        graph = program._graph
        heads = [h for h in self.heads if h is not None]
        missing = [x for x in cone([*self.ys, *heads]) if x.op.name == "leaf" and graph.initial[x] is None]
        random = np.random.RandomState(1)
        for leaf in missing:
            value = random.normal(size=leaf.shape) if is_float(leaf.dtype) else random.randint(1, 5, size=leaf.shape)
            program._leaf_values.setdefault(leaf, np.asarray(value, dtype=leaf.dtype))
        if missing:
            named = ", ".join([leaf.attrs["name"] for leaf in missing])
            self.notes.append(f"{named} had no value, and got random numbers")

    def _note_none(self) -> None:
        for name, x, connected in zip(self.names, self.xs, self.connected, strict=True):
            if not connected:
                reason = explain(self.program._graph, self.of, self.ys, name, x, ())
                self.notes.append(f"the gradient with respect to {name} is None: {reason.with_line()}")

    # evaluation

    def _values(self, nodes: Sequence[Node], given: Mapping[Node, Array] | None = None) -> Values:
        return dict(zip(nodes, self._function(nodes)(given or {}), strict=True))

    def _function(self, nodes: Sequence[Node]) -> Callable[[Mapping[Node, Array]], list[Array]]:
        """The nodes' values as a function of the values of some leaves."""
        program = self.program
        plan = program._plan(nodes)
        own = [n for n in plan.nodes if n.op.name == "leaf" and n in program._graph.initial]
        fixed = {leaf: program._leaf_value(leaf) for leaf in own}
        return lambda given: run(plan, {**fixed, **given}, program._locate)

    def _movable(self, nodes: Sequence[Node], xs: Sequence[Node]) -> Callable[[Sequence[Array]], list[Array]]:
        """The nodes' values as a function of those of xs, whatever they are; stopped nodes stay as they are."""
        leaves = [
            x if x.op.name == "leaf" and is_float(x.dtype) else make_leaf("x", "constant", x.shape, "float64", x.risky)
            for x in xs
        ]
        held = [make_leaf("held", "constant", n.shape, n.dtype, n.risky) for n in self.stops if n not in xs]
        kept = [n for n in self.stops if n not in xs]
        moved = substituted(nodes, {**dict(zip(kept, held, strict=True)), **dict(zip(xs, leaves, strict=True))})
        function = self._function(moved)
        fixed = {leaf: self.base[n] for leaf, n in zip(held, kept, strict=True)}

        def call(values: Sequence[Array]) -> list[Array]:
            try:
                return function({**fixed, **dict(zip(leaves, values, strict=True))})
            except GradcliError:  # outside of the domain: a singular matrix, an index out of range
                return [np.full(node.shape, np.nan) for node in nodes]

        return call

    # the check

    def run(self) -> Checked:
        comparisons: list[Comparison] = []
        if 1 in self.how.orders:
            for i in range(len(self.xs)):
                comparisons += self._first_order(i)
        if 2 in self.how.orders:
            comparisons += self._second_order()
        return Checked(self.of, comparisons, self.kinks, self.notes)

    def _scale(self, x: Node) -> Array:
        """How far each entry may move: in proportion to it, and to the others where it is close to 0."""
        value = np.abs(np.asarray(self.base[x], dtype="float64"))
        finite = value[np.isfinite(value)]
        typical = 0.1 * float(np.mean(finite)) if finite.size else 0.0
        return np.where(np.isfinite(value), np.maximum(value, max(typical, 1e-2) if value.any() else 1.0), 1.0)

    def _moves(self, x: Node, count: int, seed: int) -> list[Array]:
        random = np.random.RandomState(seed)
        scale = self._scale(x)
        moves = [random.normal(size=x.shape) * scale for _ in range(count)]
        return moves if is_float(x.dtype) or count == 0 else [np.asarray(v, dtype="float64") for v in moves]

    def _first_order(self, i: int) -> list[Comparison]:
        x, name = self.xs[i], self.names[i]
        g = np.asarray(self.base[self.gradients[i]], dtype="float64")
        with self.derivation.active():
            v = self.directions[i]
            forward = self._function([series.jvp(self.total, x, v)])
        function = self._movable(self.terms, [x])
        at = np.asarray(self.base[x], dtype="float64")
        values = np.concatenate([np.ravel(self.base[t]).astype("float64") for t in self.terms])
        valid = np.isfinite(values)
        size = float(np.sum(np.abs(values[valid])))

        def moved(move: Array, step: float) -> Array:
            found = function([at + step * move])
            return np.concatenate([np.ravel(y).astype("float64") for y in found])[valid]

        def by_forward(move: Array) -> Verdict:
            (slope,) = forward({v: move.astype(v.dtype)})
            return self.judge.exact(_dot(g, move), float(slope), size)

        def by_differences(move: Array) -> Verdict:
            def of(step: float) -> Array:
                return moved(move, step)

            target, eps = self.judge.target, self.judge.eps
            numeric, error = _summed(*central(of, target, eps))
            verdict = self.judge.numeric(_dot(g, move), numeric, error, size, exact=bool(valid.all()))
            if verdict.word == "ok" or not self.kinks:
                return verdict
            sides = [_summed(*one_sided(of, side, target, eps)) for side in (-1, 1)]
            return self.judge.between(verdict, *sides)

        methods = (("forward", by_forward), ("differences", by_differences))
        return [self._worst(name, x, method, compare) for method, compare in methods]

    def _worst(self, name: str, x: Node, method: str, compare: Callable[[Array], Verdict]) -> Comparison:
        """The worst of the entries, or of the directions; in a direction that fails, the entry that is to blame."""
        count = int(np.prod(x.shape, dtype=int))
        scale = self._scale(x)
        entries = self.how.every_entry or (self.how.directions is None and count <= EVERY_ENTRY_UP_TO)
        if entries:
            found = [(k, compare(_only(scale, k)).per(float(scale.reshape(-1)[k]))) for k in range(count)]
            if not found:
                return Comparison(name, 1, method, f"{name} has no entries", None, 0.0, 0.0, 0.0, 0.0, "ok")
            k, verdict = max(found, key=lambda pair: pair[1].badness)
            return _comparison(name, 1, method, x.shape, k, verdict)
        moves = self._moves(x, self.how.directions or DIRECTIONS, seed=2)
        judged = [compare(move) for move in moves]
        n = max(range(len(moves)), key=lambda n: judged[n].badness)
        if judged[n].word != "FAILED":
            found_in = judged[n]
            return Comparison(name, 1, method, f"{name} along direction {n + 1}", None, *found_in.numbers, found_in.word)
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
        groups = [list(range(len(self.xs)))] if self.joint else [[i] for i in range(len(self.xs))]
        return [c for group in groups if group for c in self._hessian_rows(group)]

    def _hessian_rows(self, group: list[int]) -> list[Comparison]:
        """The Hessian of some xs times directions, by passes over passes and by the other methods."""
        xs = [self.xs[i] for i in group]
        us = [self.directions[i] for i in group]
        gs = [self.gradients[i] for i in group]
        with self.derivation.active():
            slope = reduce(add, [sum_(g * u) for g, u in zip(gs, us, strict=True)])
            passes = [_or_zero(h, x) for h, x in zip(reverse.gradients([slope], xs), xs, strict=True)]
            forward = [reduce(add, [series.jvp(g, x, u) for x, u in zip(xs, us, strict=True)]) for g in gs]
            along = reduce(add, [series.jvp(self.total, x, u) for x, u in zip(xs, us, strict=True)])
            rows = [_or_zero(h, x) for h, x in zip(reverse.gradients([along], xs), xs, strict=True)]
        evaluate = self._function([*passes, *forward, *rows])
        moving = self._movable(gs, xs)
        at = [np.asarray(self.base[x], dtype="float64") for x in xs]
        splits = np.cumsum([x.size for x in at])[:-1]
        base = np.concatenate([np.ravel(self.base[g]).astype("float64") for g in gs])
        sizes = [float(np.max(np.abs(np.where(np.isfinite(p), p, 0)), initial=0)) for p in np.split(base, splits)]
        worst: dict[tuple[int, str], tuple[int, Verdict]] = {}
        count = self.how.directions or SECOND_ORDER_DIRECTIONS
        moves = [self._moves(x, count, seed=3 + i) for i, x in zip(group, xs, strict=True)]
        for n in range(count):
            step_of = [some[n] for some in moves]
            found = evaluate({u: s.astype(u.dtype) for u, s in zip(us, step_of, strict=True)})

            def of(step: float, step_of: list[Array] = step_of) -> Array:
                values = moving([x + step * move for x, move in zip(at, step_of, strict=True)])
                return np.concatenate([np.ravel(v).astype("float64") for v in values])

            target, eps = self.judge.target, self.judge.eps
            numeric, error = central(of, target, eps)
            sides: list[tuple[Array, Array]] | None = None
            blocks = zip(np.split(numeric, splits), np.split(error, splits), np.split(base, splits), strict=True)
            for m, (slopes, errors, own) in enumerate(blocks):
                mine = np.ravel(found[m]).astype("float64")
                for method, values in (("forward", found[len(xs) + m]), ("series", found[2 * len(xs) + m])):
                    others = np.ravel(values).astype("float64")
                    for k in self.judge.candidates(mine, others, sizes[m]):
                        _keep(worst, (m, method), k, self.judge.exact(float(mine[k]), float(others[k]), sizes[m]))
                for k in self.judge.candidates(mine, slopes, sizes[m]):
                    finite = math.isfinite(float(own[k]))
                    verdict = self.judge.numeric(
                        float(mine[k]), float(slopes[k]), float(errors[k]), sizes[m], exact=finite
                    )
                    if verdict.word != "ok" and self.kinks:
                        sides = sides or [one_sided(of, side, target, eps) for side in (-1, 1)]
                        j = k + (int(splits[m - 1]) if m else 0)
                        verdict = self.judge.between(verdict, *[(float(s[j]), float(e[j])) for s, e in sides])
                    _keep(worst, (m, "differences"), k, verdict)
        result = []
        for m, i in enumerate(group):
            for method in ("forward", "series", "differences"):
                if (m, method) in worst:
                    k, verdict = worst[m, method]
                    result.append(_comparison(self.names[i], 2, method, xs[m].shape, k, verdict))
        return result


def _keep(worst: dict[tuple[int, str], tuple[int, Verdict]], key: tuple[int, str], k: int, verdict: Verdict) -> None:
    if key not in worst or verdict.badness > worst[key][1].badness:
        worst[key] = (k, verdict)


def _comparison(
    name: str, order: int, method: str, shape: tuple[int, ...], k: int, verdict: Verdict
) -> Comparison:
    index = tuple(int(i) for i in np.unravel_index(k, shape)) if shape else ()
    entry = f"{name}[{', '.join(map(str, index))}]" if index else name
    return Comparison(name, order, method, entry, index, *verdict.numbers, verdict.word)


def _or_zero(g: Node | None, x: Node) -> Node:
    return g if g is not None else reverse.zero_gradient(x)


def _dot(g: Array, move: Array) -> float:
    """The slope along a move; entries that do not move count for nothing, NaN included."""
    return float(np.sum(np.where(move == 0, 0.0, g * move)))


def _summed(slopes: Array, errors: Array) -> tuple[float, float]:
    return float(np.sum(slopes)), float(np.sum(errors))


def _only(scale: Array, k: int) -> Array:
    return _kept(scale, np.array([k]))


def _kept(move: Array, positions: Array) -> Array:
    result = np.zeros(move.size)
    result[positions] = move.reshape(-1)[positions]
    return result.reshape(move.shape)


