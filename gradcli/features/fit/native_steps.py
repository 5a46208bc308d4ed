"""The built-in methods of a fit by C: a block of steps is a loop of the language, which is compiled with what is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradcli.features.fit.objective import Objective, Values
from gradcli.features.fit.optimizers import RULES, Memory
from gradcli.features.fit.training import Settings, State
from gradcli.graph.loops import enclosed, results
from gradcli.graph.node import Node
from gradcli.graph.operation import cast_to, literal, substituted
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.ops.reductions import norm
from gradcli.graph.ops.selection import (
    greater,
    greater_equal,
    isfinite,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    where,
)
from gradcli.graph.ops.shaping import reshaped
from gradcli.graph.ops.slicing import concat, gather, index
from gradcli.graph.types import size_of
from gradcli.program.loaded import array_node
from gradcli.program.natively import Compiled

Array = Any

MOST_STEPS = 512
"""Steps of a block."""

MOST_INDICES = 1 << 20
"""Numbers of rows that a block is given."""


class Block:
    """Several steps as one compiled function, on all data or on ``count`` rows of it.

    It ``is_written`` where C has words for all that a step does; else there is nothing to be called.
    """

    def __init__(self, objective: Objective, settings: Settings, count: int | None, state: State) -> None:
        self.names = objective.variables
        self.rule = RULES[settings.method]
        self._settings = settings
        self._batches = objective.batches if count is not None else None
        self._most = MOST_STEPS if count is None else max(1, min(MOST_STEPS, MOST_INDICES // max(count, 1)))
        arrays = self._batches.arrays if self._batches is not None else {}
        program, nodes, leaves = objective.with_rows({name: array[:count] for name, array in arrays.items()})
        values = {name: leaves[name] for name in self.names}
        memory = {(name, key): _like(x) for name, x in values.items() for key in self.rule.remembers}
        self._numbers = make_leaf("", "step", (len(self.rule.numbers(0.0, 0)),), "float64", True)
        self._rows = make_leaf("", "step", (count,), "int64", False) if count is not None else None
        self._limit = make_leaf("", "constant", (), "int64", False)
        data: dict[Node, Array] = {}
        chosen: dict[Node, Node] = {}
        for name, array in arrays.items():
            leaf = leaves[name]
            every = make_leaf(name, "constant", np.shape(array), leaf.dtype, leaf.risky)
            data[every] = np.asarray(array, leaf.dtype)
            assert self._rows is not None
            chosen[leaf] = gather(every, self._rows, axis=0)
        loss, *gradients = substituted(nodes, chosen)
        kinds = ("float64", "float64", "int64", "bool", "bool")
        found, norm_found, number, wrong, done = [make_leaf("", "step", (), dtype, True) for dtype in kinds]
        new = self._step(loss, dict(zip(self.names, gradients, strict=True)), values, memory)
        after = number + 1
        new += [after, new[-1], logical_or(new[-1], greater_equal(after, self._limit))]
        new.pop(-4)
        states = [*values.values(), *memory.values(), found, norm_found, number, wrong, done]
        elements = [self._numbers, *([self._rows] if self._rows is not None else [])]
        body = enclosed(states, elements, new, (), self._most, done=len(states) - 1)
        parameters = (*states, *elements)
        self._given = [
            make_leaf("", "constant", body.argument_shape(p), x.dtype, True) for p, x in enumerate(parameters)
        ]
        self._many = len(values) + len(memory)
        wanted = [*range(len(states)), body.before(self._many), body.before(self._many + 1)]
        roots = results(body, [*self._given, *body.fixed], wanted)
        self._compiled = Compiled(program, roots, [*self._given, self._limit], fixed=data)
        self._keys = list(memory)
        self.is_written = self._compiled.function is not None

    def _step(
        self, loss: Node, gradients: Mapping[str, Node], values: Mapping[str, Node], memory: Mapping[tuple[str, str], Node]
    ) -> list[Node]:  # fmt: skip
        """The values and memories after a step, its loss, the norm of its gradient, and whether they are not finite."""
        settings = self._settings
        loss = cast_to(reshaped(loss, ()), "float64")
        whole = _norm(list(gradients.values()))
        shown = _norm(list(self._inside(gradients, values).values())) if settings.bounds else whole
        factor: Node | None = None
        if settings.clip is not None:
            factor = where(greater(whole, settings.clip), literal(settings.clip, "float64") / whole, 1.0)
        new: list[Node] = []
        kept: list[Node] = []
        for name, g in gradients.items():
            x = values[name]
            own = [cast_to(index(self._numbers, items=(i,)), x.dtype) for i in range(size_of(self._numbers.shape))]
            g = g if factor is None else g * cast_to(factor, g.dtype)
            y, remembered = self.rule.update(x, g, own, {key: memory[name, key] for key in self.rule.remembers})
            if name in settings.bounds:
                low, high = [array_node(np.asarray(end, x.dtype)) for end in settings.bounds[name]]
                y = minimum(maximum(y, low), high)
            new.append(y)
            kept += [remembered[key] for key in self.rule.remembers]
        return [*new, *kept, loss, shown, logical_not(logical_and(isfinite(loss), isfinite(whole)))]

    def _inside(self, gradients: Mapping[str, Node], values: Mapping[str, Node]) -> dict[str, Node]:
        """The gradients without what pushes a value out of its bounds."""
        found = dict(gradients)
        for name, ends in self._settings.bounds.items():
            low, high = [array_node(np.asarray(end, values[name].dtype)) for end in ends]
            x, g = values[name], gradients[name]
            out = logical_or(
                logical_and(less_equal(x, low), greater(g, 0.0)), logical_and(greater_equal(x, high), greater(0.0, g))
            )
            found[name] = where(out, 0.0, g)
        return found

    # what is called

    def run(self, state: State, most: int) -> tuple[int, bool, list[float], list[float], list[Array]]:
        """Steps from a state: how many, whether the last one is wrong, losses and norms, and the states after it.

        They are as many of ``most`` as have as many rows as the first, and room in a block. Raises an exception where
        an operation fails because of its values.
        """
        n = min(most, self._most)
        if self._batches is not None:
            n = min(n, self._batches.alike(state.step))
        given: list[Array] = [np.asarray(state.values[name]) for name in self.names]
        for (name, key), leaf in zip(self._keys, self._given[len(given) :], strict=False):
            given.append(
                np.asarray(state.memory[name][key]) if name in state.memory else np.zeros(leaf.shape, leaf.dtype)
            )
        given += [np.zeros((), leaf.dtype) for leaf in self._given[len(given) : self._many + 5]]
        settings, some = self._settings, range(state.step, state.step + n)
        numbers = np.ones((self._most, *self._numbers.shape))
        numbers[:n] = [self.rule.numbers(settings.rate.at(k, settings.steps), k) for k in some]
        given.append(numbers)
        if self._batches is not None:
            chosen = [self._batches.numbers(k) for k in some]
            rows = np.zeros((self._most, len(chosen[0])), np.int64)
            rows[:n] = chosen
            given.append(rows)
        values = dict(zip(self._given, given, strict=True))
        values[self._limit] = np.asarray(n, np.int64)
        assert self._compiled.function is not None
        *ends, loss, norm, steps, wrong, _, losses, norms = self._compiled.function(
            *[values[x] for x in self._compiled.moving]
        )
        count = int(steps)
        tables = [[*table[1:count].tolist(), float(last)] for table, last in ((losses, loss), (norms, norm))]
        return count, bool(wrong), tables[0], tables[1], ends

    def fetched(self, end: Sequence[Array]) -> tuple[Values, Mapping[str, Memory]]:
        """Values and memories by name."""
        memory: dict[str, dict[str, Array]] = {name: {} for name in self.names} if self._keys else {}
        for (name, key), array in zip(self._keys, end[len(self.names) :], strict=True):
            memory[name][key] = array
        return dict(zip(self.names, end, strict=False)), memory


def _like(x: Node) -> Node:
    return make_leaf("", "step", x.shape, x.dtype, True)


def _norm(gradients: Sequence[Node]) -> Node:
    """The Euclidean norm of all entries."""
    flat = [cast_to(reshaped(g, (size_of(g.shape),)), "float64") for g in gradients]
    return norm(concat(*flat, axis=0) if len(flat) > 1 else flat[0])
