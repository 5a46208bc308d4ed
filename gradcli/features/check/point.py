"""The point at which a program is checked: what is differentiated there, and how it is evaluated elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from gradcli.autodiff import reverse
from gradcli.diagnostics import GradcliError
from gradcli.execute.run import run
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import cast_to, substituted
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.ops.elementwise import add
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.ruled import ruled
from gradcli.graph.ops.selection import where
from gradcli.graph.types import is_float
from gradcli.language.values import Missing
from gradcli.program import kinks, query
from gradcli.program.loaded import Loaded, array_node

Array = np.ndarray[Any, Any]
Values = dict[Node, Array]

LARGEST_MOVE = 1e300
"""Beyond it a move along several entries, or a second derivative times it, may overflow by itself."""


class Point:
    """The point at which a program is checked: the ys and their gradients there, as graphs and as values."""

    def __init__(self, program: Loaded, of: Sequence[str] | None, wrt: Sequence[str] | None, notes: list[str]) -> None:
        self.program = program
        self.notes = notes
        self.of = list(dict.fromkeys(of)) if of is not None else self._present(query.differentiated(program))
        if not self.of:
            raise GradcliError("ValueError", "there is nothing to check: no y is named")
        self.ys = [query.target(program, name) for name in self.of]
        self.names = [name for name in self._wanted(wrt) if self._is_number(name)]
        self.xs = [query.target(program, name) for name in self.names]
        self.heads = query.heads(program, self.of, self.ys, {})
        self._fill_leaves()
        self.derivation = program.graph.derivation
        self.terms = self._contributions()
        self.gradients, self.connected = self._differentiated()
        self.stops = self._stopped()
        suspects = kinks.suspects(self.terms, self.xs)
        self.base = self._values([*self.terms, *self.gradients, *self.xs, *self.stops, *kinks.needed(suspects)])
        self.kinks = kinks.met(suspects, self.base, program.graph.span)
        self._infinite: bool | None = None
        self.coarse = any([n.dtype == "float32" for n in cone(self.terms)])
        # Variables can move together; an intermediate and what it is computed from cannot.
        self.joint = all([x.op.name == "leaf" for x in self.xs])
        with self.derivation.active():
            self.directions = [
                make_leaf(
                    f"direction of {name}", "constant", x.shape, x.dtype if is_float(x.dtype) else "float64", False
                )
                for name, x in zip(self.names, self.xs, strict=True)
            ]

    def _contributions(self) -> list[Node]:
        """What each y contributes to the sum: nothing where it is not finite."""
        with self.derivation.active():
            floats = [y if is_float(y.dtype) else cast_to(y, "float64") for y in self.ys]
            terms = [y if h is None else y * h for y, h in zip(floats, self.heads, strict=True)]
            finite = [np.isfinite(value) for value in self._values(terms).values()]
            undefined = sum([int(np.count_nonzero(~f)) for f in finite])
            self.nowhere = bool(undefined) and not any([f.any() for f in finite])
            if undefined:
                verb = "entry of the ys is" if undefined == 1 else "entries of the ys are"
                self.notes.append(f"{undefined} {verb} not finite and left out of sums")
                terms = [
                    term if f.all() else where(array_node(np.asarray(f)), term, 0)
                    for term, f in zip(terms, finite, strict=True)
                ]
            self.total = reduce(add, [sum_(term) for term in terms])
        return terms

    def _differentiated(self) -> tuple[list[Node], list[bool]]:
        """The gradients of that sum, zeros where they are None, and where they are not."""
        asked = query.Question(self.of, self.terms, self.names, self.xs, [None] * len(self.terms), [])
        row = query.gradient_nodes(self.program, asked, 1)
        for name, g in zip(self.names, row, strict=True):
            if not isinstance(g, Node):
                self.notes.append(f"the gradient with respect to {name} is None: {g.with_line()}")
        return [g if isinstance(g, Node) else reverse.zero_gradient(x) for g, x in zip(row, self.xs, strict=True)], [
            isinstance(g, Node) for g in row
        ]

    def _stopped(self) -> list[Node]:
        """The nodes of ``stop_gradient`` that move with an x."""
        moving = reverse.dependents(self.terms, self.xs)
        stops = [n for n in cone(self.terms) if n.op.name == "stop_gradient" and n in moving]
        if stops:
            lines = sorted({span.line for n in stops if (span := self.program.graph.span(n)) is not None})
            where = f" on line {', '.join(map(str, lines))}" if lines else ""
            self.notes.append(f"stop_gradient{where} was held fixed in the differences")
        return stops

    def together(self, group: Sequence[int]) -> str:
        """What to call some xs."""
        return self.names[group[0]] if len(group) == 1 else f"{len(group)} variables"

    def with_own_rules(self, xs: Sequence[Node]) -> set[int]:
        """The lines where something that depends on one of some xs has a derivative that the program gives."""
        moving = reverse.dependents(self.terms, xs)
        own = [n for n in moving if n.op is ruled and n.attrs["rule"].itself is None]
        return {span.line for n in own if (span := self.program.graph.span(n)) is not None}

    def meets_infinity(self) -> bool:
        """Whether an operation that depends on an x meets infinity, as a value or as a result; a note says where."""
        if self._infinite is None:
            moving = reverse.dependents(self.terms, self.xs)
            used = {x for n in moving for x in (n, *n.inputs)}
            between = [n for n in cone(self.terms) if n in used and is_float(n.dtype)]
            infinite = [n for n, value in self._values(between).items() if np.isinf(value).any()]
            self._infinite = bool(infinite)
            if infinite:
                span = self.program.graph.span(infinite[0])
                where = "" if span is None else f" on line {span.line}"
                self.notes.append(
                    f"a value{where} is infinite: no slope that is NaN or infinite is compared through it"
                )
        return self._infinite

    # what is asked

    def _wanted(self, wrt: Sequence[str] | None) -> list[str]:
        """The xs: variables, else constants, else the names that are computed from no other name."""
        program = self.program
        if wrt is not None or program.variables:
            return query.wanted(program, wrt)
        graph = program.graph
        named = {name: node for name, node in graph.names.items() if isinstance(node, Node)}
        found = list(graph.leaves)
        if not found:
            nodes = set(named.values())
            found = [
                name for name, node in named.items()
                if is_float(node.dtype) and node not in self.ys and not any([x in nodes for x in cone(node.inputs)])
            ]  # fmt: skip
        used = set(cone(self.ys))
        found = [name for name in found if named[name] in used]
        if not found:
            return query.wanted(program, None)
        self.notes.append(f"the program has no variables, and was checked with respect to {', '.join(found)}")
        return found

    def _present(self, names: list[str]) -> list[str]:
        """The outputs without those that are a gradient that is None."""
        missing = [name for name in names if isinstance(self.program.graph.names[name], Missing)]
        if len(missing) == len(names):
            return names
        self.notes += [f"{name} is a gradient that is None and was left out" for name in missing]
        return [name for name in names if name not in missing]

    def _is_number(self, name: str) -> bool:
        number = query.target(self.program, name).dtype != "bool"
        if not number:
            self.notes.append(f"{name} is bool and was left out")
        return number

    def _fill_leaves(self) -> None:
        """Random numbers for the leaves that have no value."""
        program = self.program
        graph = program.graph
        heads = [h for h in self.heads if h is not None]
        missing = [x for x in cone([*self.ys, *heads]) if x.op.name == "leaf" and graph.initial[x] is None]
        random = np.random.RandomState(1)
        given: Values = {}
        for leaf in missing:
            value = random.normal(size=leaf.shape) if is_float(leaf.dtype) else random.randint(1, 5, size=leaf.shape)
            given[leaf] = np.asarray(value, dtype=leaf.dtype)
        if missing:
            self.program = self.program.with_leaf_values(given)
            named = ", ".join([leaf.attrs["name"] for leaf in missing])
            self.notes.append(f"{named} had no value, and got random numbers")

    # evaluation

    def _values(self, nodes: Sequence[Node], given: Mapping[Node, Array] | None = None) -> Values:
        return dict(zip(nodes, self.function(nodes)(given or {}), strict=True))

    def function(self, nodes: Sequence[Node]) -> Callable[[Mapping[Node, Array]], list[Array]]:
        """The nodes' values as a function of the values of some leaves."""
        program = self.program
        if program.accelerator is not None:
            from gradcli.program.compiled import function_of

            compiled = function_of(program, nodes, [x for x in cone(nodes) if x.op.name == "leaf"])
            values = {x: program.leaf_value(x) for x in compiled.leaves if x in program.graph.initial}
            return lambda given: compiled({**values, **given})
        plan = program.plan(nodes, repeated=True)
        own = [n for n in plan.leaves if n in program.graph.initial]
        fixed = {leaf: program.leaf_value(leaf) for leaf in own}
        return lambda given: run(plan, {**fixed, **given}, program.written)

    def moved(self, nodes: Sequence[Node], xs: Sequence[Node]) -> tuple[list[Node], list[Node], Values]:
        """The nodes as they are where xs move: with leaves in place of xs, and the values of what is stopped."""
        leaves = [
            x if x.op.name == "leaf" and is_float(x.dtype) else make_leaf("x", "constant", x.shape, "float64", x.risky)
            for x in xs
        ]
        kept = [n for n in self.stops if n not in xs]
        held = [make_leaf("held", "constant", n.shape, n.dtype, n.risky) for n in kept]
        moved = substituted(nodes, {**dict(zip(kept, held, strict=True)), **dict(zip(xs, leaves, strict=True))})
        return list(moved), leaves, {leaf: self.base[n] for leaf, n in zip(held, kept, strict=True)}

    def leaves(self, nodes: Sequence[Node]) -> Values:
        """The values of the program's leaves that some nodes are computed from."""
        graph = self.program.graph
        return {n: self.program.leaf_value(n) for n in cone(nodes) if n.op.name == "leaf" and n in graph.initial}

    def movable(self, nodes: Sequence[Node], xs: Sequence[Node]) -> Callable[[Sequence[Array]], list[Array]]:
        """The nodes' values as a function of those of xs, whatever they are; stopped nodes stay as they are."""
        moved, leaves, fixed = self.moved(nodes, xs)
        function = self.function(moved)

        def call(values: Sequence[Array]) -> list[Array]:
            try:
                return function({**fixed, **dict(zip(leaves, values, strict=True))})
            except GradcliError:  # outside of the domain: a singular matrix, an index out of range
                return [np.full(node.shape, np.nan) for node in nodes]

        return call

    # moving

    def scale(self, x: Node) -> Array:
        """How far each entry may move: in proportion to it, and to the others where it is close to 0."""
        value = np.abs(np.asarray(self.base[x], dtype="float64"))
        finite = value[np.isfinite(value)]
        typical = 0.1 * float(np.mean(finite)) if finite.size else 0.0
        typical = min(typical, max(1e3 * float(np.min(finite, where=finite > 0, initial=np.inf)), 1.0))
        scale = np.where(np.isfinite(value), np.maximum(value, max(typical, 1e-2) if value.any() else 1.0), 1.0)
        return np.minimum(scale, LARGEST_MOVE)

    def moves(self, x: Node, count: int, seed: int) -> list[Array]:
        random = np.random.RandomState(seed)
        scale = self.scale(x)
        return [np.asarray(random.normal(size=x.shape) * scale) for _ in range(count)]
