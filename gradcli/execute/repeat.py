"""Runs loops: a written Python function where all is scalar or small, else a planned step that is done again and again.

What no step changes is computed once. Of the states only those are carried that a result needs.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from gradcli.execute import choose
from gradcli.execute.entries import MOVED, Statements, fits
from gradcli.execute.lower import to_number
from gradcli.execute.plan import Plan
from gradcli.execute.run import run
from gradcli.execute.sizes import Means
from gradcli.execute.straight import steps, straight_line
from gradcli.graph.failures import Failure
from gradcli.graph.loops import Body, Run
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import kernel_value
from gradcli.graph.types import size_of

Array = Any

Steps = Callable[[Any, Mapping[Node, Array]], dict[int, Array]]
"""From NumPy and the values of parameters to the states after the last step and the stacks, by the numbers of the results."""

CODES = {"float64": "d", "float32": "f", "bool": "b"}


class Loop(Run):
    """Some results of a loop as a function of its arguments, those with the numbers ``given``, in their order.

    ``original`` maps nodes of the body to those that they stand for, so that errors find their line; ``runs`` says how often
    it runs, as far as is known.
    """

    def __init__(
        self,
        body: Body,
        wanted: Sequence[int],
        given: Sequence[int],
        original: Mapping[Node, Node] | None = None,
        runs: int = 1,
    ) -> None:
        super().__init__(body, wanted, given)
        self.original = original or {}
        self.runs = runs
        below = [x for x in body.fixed if body.number[x] in self.given]
        self._plan_once = Plan(self.once, means=Means(1, repeated=True), known=below) if self.once else None
        nodes = [*self.steps, *self.read, *self.states]
        numbers = self._numbers() if all([fits(x) for x in nodes]) else None
        if numbers is not None:
            scalar = not any([x.shape for x in nodes])
            moved = sum(
                [size_of(x.shape) for x in [*self.rows, *[body.root(r) for r in [*self.histories, *self.emitted]]]]
            )
            saved = numbers.saved - MOVED * moved
            self.choice = choose.of_steps(scalar, saved, len(numbers.lines), body.count * runs)
        if numbers is not None and self.choice.engine == "numbers":
            self._run: Steps = _Numbers(self, numbers)
        else:
            self._run = self._in_one() or _Arrays(self)

    def __call__(self, *arguments: Array) -> tuple[Array, ...]:
        """The results as arrays, in the order in which they were asked for."""
        import numpy as np

        body = self.body
        values: dict[Node, Array] = {body.parameters[p]: x for p, x in zip(self.given, arguments, strict=True)}
        if not body.count:
            return tuple([np.asarray(x) for x in self.without_steps(np, values)])
        if self._plan_once is not None:
            known = {x: values[x] for x in body.fixed if x in values}
            try:
                found = run(self._plan_once, known)
            except Exception as problem:
                raise (self.failing(np, self.once, known) or problem) from problem
            values.update(zip(self.once, found, strict=True))
        ends = self._run(np, values)
        return tuple([np.asarray(ends[r], body.root(r).dtype) for r in self.wanted])

    def failing(self, np: Any, roots: Sequence[Node], given: Mapping[Node, Array], step: int = 0) -> Failure | None:
        """The first operation that fails, found by computing one after another; ``step`` counts from 1."""
        values = dict(given)
        for node in cone(roots, given):
            if node in values:
                continue
            try:
                with np.errstate(all="ignore"):
                    values[node] = kernel_value(np, node, [values[x] for x in node.inputs])
            except Failure as failure:
                return failure.within(step, self.body.count)
            except Exception as problem:  # noqa: BLE001  kernels raise what NumPy raises
                return Failure(self.original.get(node, node), problem).within(step, self.body.count)
        return None

    # numbers

    def _numbers(self) -> Statements:
        """The statements of a step on numbers, the entries of arrays."""

        def named(letter: str, k: int, x: Node) -> list[str]:
            return [f"{letter}{k}_{i}" for i in range(size_of(x.shape))]

        names = {self.body.states[i]: named("s", i, self.body.states[i]) for i in self.live}
        names |= {x: named("e", k, x) for k, x in enumerate(self.rows)}
        names |= {x: named("c", k, x) for k, x in enumerate([*self.fixed, *self.once])}
        return Statements(self.roots, names)

    # arrays

    @cached_property
    def _plan(self) -> Plan:
        """One step as a plan."""
        inputs = [*self.states, *self.rows, *self.fixed, *self.once]
        plan = Plan(self.roots, means=Means(1, repeated=True), known=inputs)
        self.choice = plan.when_repeated(self.body.count * self.runs)
        return plan

    def _used(self) -> list[Node]:
        """What a step is a function of."""
        return [x for x in [*self.states, *self.rows, *self.fixed, *self.once] if x in self._plan.position]

    def step(self) -> tuple[Callable[..., list[Array]], list[Node]]:
        """One step as a function, and what it is a function of."""
        plan, used = self._plan, self._used()
        if self.choice.engine == "straight line":
            return straight_line(plan, {}, used), used
        return lambda *given: run(plan, dict(zip(used, given, strict=True))), used

    def _in_one(self) -> Steps | None:
        """All steps as one written function, where a straight line does a step."""
        body, plan = self.body, self._plan
        if self.choice.engine != "straight line" or plan.ordered or self.done is not None:
            return None
        rows, states = [x for x in self.rows if x in plan.position], self.states
        others = [x for x in self._used() if x not in states and x not in rows]
        stacked = [self.live.index(i) for i in self.histories.values()]
        function = steps(plan, states, rows, others, stacked)
        order = range(body.count)[::-1] if body.backwards else range(body.count)

        def run_all(np: Any, values: Mapping[Node, Array]) -> dict[int, Array]:
            tables = {r: np.empty(body.shape(r), body.root(r).dtype) for r in [*self.histories, *self.emitted]}
            columns = [values[x][::-1] if body.backwards else values[x] for x in rows]
            given = [np.asarray(values[x]) for x in [*states, *others]]
            try:
                ends = function(order, *columns, *given, *tables.values())
            except Exception:  # noqa: BLE001  whatever a kernel raises, one step after the other finds it
                return _Arrays(self)(np, values)
            return {**dict(zip(self.live, ends, strict=True)), **tables}

        return run_all

    def walk(self, *arguments: Array) -> Iterator[tuple[dict[Node, Array], list[Array]]]:
        """For each step the values of the body's parameters before it, and what it computes of states and stacks."""
        import numpy as np

        body = self.body
        values = {body.parameters[p]: np.asarray(x) for p, x in zip(self.given, arguments, strict=True)}
        once = dict(zip(self.once, run(self._plan_once, values), strict=True)) if self._plan_once is not None else {}
        rows = {x: values[x] for x in body.elements if x in values}
        step, used = self.step()
        for t in reversed(range(body.count)) if body.backwards else range(body.count):
            values.update({x: np.asarray(some[t]) for x, some in rows.items()})
            found = step(*[values[x] if x in values else once[x] for x in used])
            yield dict(values), found
            values.update({body.states[i]: np.asarray(x) for i, x in zip(self.live, found, strict=False)})


class _Numbers:
    """All steps as one written function of numbers: states, then rows as columns, then what is the same in all steps."""

    def __init__(self, loop: Loop, numbers: Statements) -> None:
        body, names = loop.body, numbers.names
        self._loop = loop
        self._stacks = {r: names[body.root(r)] for r in [*loop.histories, *loop.emitted]}
        self._fixed = [*loop.fixed, *loop.once]
        states = [name for x in loop.states for name in names[x]]
        columns = [name.upper() for x in loop.rows for name in names[x]]
        head = ["count", *states, *columns, *[name for x in self._fixed for name in names[x]]]
        head += [f"r{r}" for r in self._stacks]
        self._function = numbers.scope.function(", ".join(head), self._lines(numbers, states))

    def _lines(self, numbers: Statements, states: Sequence[str]) -> list[str]:
        """The lines of the function: what is stacked is appended to ``r0``, ``r1``, …, the last states are returned."""
        loop, single = self._loop, {r: some[0] for r, some in self._stacks.items() if len(some) == 1}
        rows = [name for x in loop.rows for name in numbers.names[x]]
        new = [name for i in loop.live for name in numbers.names[loop.body.following[i]]]
        step = [*([f"if s{loop.done}_0: break"] if loop.done is not None else []), *numbers.texts()]
        step += [f"add_r{r}({single.get(r) or '[' + ', '.join(some) + ']'})" for r, some in self._stacks.items()]
        step += [f"{', '.join(states)}, = {', '.join(new)},"] if states else []
        columns = ", ".join([name.upper() for name in rows])
        return [
            *[f"add_r{r} = r{r}.{'append' if r in single else 'extend'}" for r in self._stacks],
            f"for {', '.join(rows)}, in zip({columns}):" if rows else "for _ in range(count):",
            *[f"    {line}" for line in step or ["pass"]],
            f"return [{', '.join(states)}]",
        ]

    def __call__(self, np: Any, values: Mapping[Node, Array]) -> dict[int, Array]:
        loop, body = self._loop, self._loop.body
        tables = {r: array(CODES[body.root(r).dtype]) for r in self._stacks}
        try:
            ends = self._function(
                body.count,
                *[entry for x in loop.states for entry in _entries(np, x, values)],
                *[side for x in loop.rows for side in self._columns(x, values[x])],
                *[entry for x in self._fixed for entry in _entries(np, x, values)],
                *tables.values(),
            )
        except Exception:  # noqa: BLE001  whatever a kernel raises, whole arrays find its step
            return _Arrays(loop)(np, values)
        after: dict[int, list[Any]] = {}
        for i, x in zip(loop.live, loop.states, strict=True):
            size = size_of(x.shape)
            after[i], ends = ends[:size], ends[size:]
        if loop.done is not None:
            for r, i in loop.histories.items():
                tables[r].extend(after[i] * (body.count - len(tables[r]) // len(after[i])))
        found = {r: _stacked(np, table, body.root(r), body.backwards) for r, table in tables.items()}
        for i, some in after.items():
            found[i] = np.array(some, body.states[i].dtype).reshape(body.states[i].shape)
        return found

    def _columns(self, x: Node, rows: Array) -> list[Any]:
        """The entries of rows one by one, each of them in all steps."""
        body = self._loop.body
        table = (rows[::-1] if body.backwards else rows).reshape(body.count, -1).T
        return list(table) if x.dtype == "float32" else [memoryview(side) for side in table]


def _entries(np: Any, x: Node, values: Mapping[Node, Array]) -> list[Any]:
    return [to_number(entry, x.dtype) for entry in np.asarray(values[x]).ravel()]


class _Arrays:
    """One step after another on whole arrays."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._step, self._used = loop.step()
        self._slots = [(k, loop.states.index(x)) for k, x in enumerate(self._used) if x in loop.states]
        self._moving = [(k, x) for k, x in enumerate(self._used) if x in loop.rows]

    def __call__(self, np: Any, values: Mapping[Node, Array]) -> dict[int, Array]:
        loop, body, step, slots = self._loop, self._loop.body, self._step, self._slots
        carried = len(loop.live)
        now = [np.asarray(values[x]) for x in loop.states]
        tables = {r: np.empty(body.shape(r), body.root(r).dtype) for r in [*loop.emitted, *loop.histories]}
        changing = {*loop.states, *loop.rows}
        given = [np.asarray(values[x]) if x not in changing else None for x in self._used]
        columns = [(k, values[x]) for k, x in self._moving]
        before = [(loop.live.index(i), tables[r]) for r, i in loop.histories.items()]
        emitted = [tables[r] for r in loop.emitted]
        stop = loop.live.index(loop.done) if loop.done is not None else None
        for t in reversed(range(body.count)) if body.backwards else range(body.count):
            if stop is not None and now[stop]:
                for k, table in before:
                    table[slice(0, t + 1) if body.backwards else slice(t, body.count)] = now[k]
                break
            for k, table in before:
                table[t] = now[k]
            for k, i in slots:
                given[k] = now[i]
            for k, rows in columns:
                given[k] = np.asarray(rows[t])
            try:
                new = step(*given)
            except Exception as problem:
                done = body.count - 1 - t if body.backwards else t
                at = dict(zip(self._used, given, strict=True))
                raise (loop.failing(np, loop.roots, at, done + 1) or problem) from problem
            now = new[:carried]
            for table, value in zip(emitted, new[carried:], strict=True):
                table[t] = value
        return {**dict(zip(loop.live, now, strict=True)), **tables}


def _stacked(np: Any, numbers: array[Any], root: Node, backwards: bool) -> Array:
    """What a loop has written down, in the order of the rows."""
    found = (np.frombuffer(numbers, root.dtype) if len(numbers) else np.empty(0, root.dtype)).reshape(-1, *root.shape)
    return np.ascontiguousarray(found[::-1]) if backwards else found
