"""Runs loops: a written Python function where all is scalar or small, else a planned step that is done again and again.

What no step changes is computed once. Of the states only those are carried that a result needs.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from gradcli.execute import choose
from gradcli.execute.entries import Statements, fits
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
            self.choice = choose.of_steps(scalar, numbers.saved, len(numbers.lines), body.count * runs)
        if numbers is not None and self.choice.engine == "numbers":
            self._run = self._written(numbers)
        else:
            self._run = self._in_one() or self._planned()

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
                raise (self._failing(np, self.once, known) or problem) from problem
            values.update(zip(self.once, found, strict=True))
        ends = self._run(np, values)
        return tuple([np.asarray(ends[r], body.root(r).dtype) for r in self.wanted])

    def _failing(self, np: Any, roots: Sequence[Node], given: Mapping[Node, Array], step: int = 0) -> Failure | None:
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

    def _written(self, numbers: Statements) -> Steps:
        """Steps as a written function."""
        body, count, names = self.body, self.body.count, numbers.names
        stacks = {r: numbers.names[body.root(r)] for r in [*self.histories, *self.emitted]}
        states = [name for i in self.live for name in names[body.states[i]]]
        new = [name for i in self.live for name in numbers.names[body.following[i]]]
        rows = [name for x in self.rows for name in names[x]]
        fixed = [name for x in [*self.fixed, *self.once] for name in names[x]]
        columns = [name.upper() for name in rows]
        lines = [f"add_r{r} = r{r}.{'append' if len(some) == 1 else 'extend'}" for r, some in stacks.items()]
        lines.append(f"for {', '.join(rows)}, in zip({', '.join(columns)}):" if rows else "for _ in range(count):")
        step = [*([f"if s{self.done}_0: break"] if self.done is not None else []), *numbers.texts()]
        step += [
            f"add_r{r}({some[0]})" if len(some) == 1 else f"add_r{r}([{', '.join(some)}])" for r, some in stacks.items()
        ]
        if states:
            step.append(f"{', '.join(states)}, = {', '.join(new)},")
        lines += [f"    {line}" for line in step or ["pass"]]
        lines.append(f"return [{', '.join(states)}]")
        head = ["count", *states, *columns, *fixed, *[f"r{r}" for r in stacks]]
        function = numbers.scope.function(", ".join(head), lines)
        backwards = body.backwards

        def run_all(np: Any, values: Mapping[Node, Array]) -> dict[int, Array]:
            def entries(x: Node) -> list[Any]:
                return [to_number(entry, x.dtype) for entry in np.asarray(values[x]).ravel()]

            def sides(x: Node) -> list[Any]:
                some = values[x][::-1] if backwards else values[x]
                table = some.reshape(count, -1).T
                return list(table) if x.dtype == "float32" else [memoryview(side) for side in table]

            tables = {r: array(CODES[body.root(r).dtype]) for r in stacks}
            try:
                ends = function(
                    count,
                    *[entry for i in self.live for entry in entries(body.states[i])],
                    *[side for x in self.rows for side in sides(x)],
                    *[entry for x in [*self.fixed, *self.once] for entry in entries(x)],
                    *tables.values(),
                )
            except Exception:  # noqa: BLE001  whatever a kernel raises, whole arrays find its step
                return self._planned()(np, values)
            after: dict[int, list[Any]] = {}
            for i in self.live:
                size = size_of(body.states[i].shape)
                after[i], ends = ends[:size], ends[size:]
            if self.done is not None:
                for r, i in self.histories.items():
                    tables[r].extend(after[i] * (count - len(tables[r]) // len(after[i])))
            found = {r: _stacked(np, table, body.root(r), backwards) for r, table in tables.items()}
            for i, some in after.items():
                found[i] = np.array(some, body.states[i].dtype).reshape(body.states[i].shape)
            return found

        return run_all

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

    def _step(self) -> tuple[Callable[..., list[Array]], list[Node]]:
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
                return self._planned()(np, values)
            return {**dict(zip(self.live, ends, strict=True)), **tables}

        return run_all

    def walk(self, *arguments: Array) -> Iterator[tuple[dict[Node, Array], list[Array]]]:
        """For each step the values of the body's parameters before it, and what it computes of states and stacks."""
        import numpy as np

        body = self.body
        values = {body.parameters[p]: np.asarray(x) for p, x in zip(self.given, arguments, strict=True)}
        once = dict(zip(self.once, run(self._plan_once, values), strict=True)) if self._plan_once is not None else {}
        rows = {x: values[x] for x in body.elements if x in values}
        step, used = self._step()
        for t in reversed(range(body.count)) if body.backwards else range(body.count):
            values.update({x: np.asarray(some[t]) for x, some in rows.items()})
            found = step(*[values[x] if x in values else once[x] for x in used])
            yield dict(values), found
            values.update({body.states[i]: np.asarray(x) for i, x in zip(self.live, found, strict=False)})

    def _planned(self) -> Steps:
        body, count = self.body, self.body.count
        step, used = self._step()
        states, carried = self.states, len(self.live)
        slots = [(k, states.index(x)) for k, x in enumerate(used) if x in states]
        moving = [(k, x) for k, x in enumerate(used) if x in self.rows]

        def loop(np: Any, values: Mapping[Node, Array]) -> dict[int, Array]:
            now = [np.asarray(values[x]) for x in states]
            tables = {r: np.empty(body.shape(r), body.root(r).dtype) for r in [*self.emitted, *self.histories]}
            given = [np.asarray(values[x]) if x not in states and x not in self.rows else None for x in used]
            columns = [(k, values[x]) for k, x in moving]
            before = [(self.live.index(i), tables[r]) for r, i in self.histories.items()]
            emitted = [tables[r] for r in self.emitted]
            stop = self.live.index(self.done) if self.done is not None else None
            for t in reversed(range(count)) if body.backwards else range(count):
                if stop is not None and now[stop]:
                    for k, table in before:
                        table[slice(0, t + 1) if body.backwards else slice(t, count)] = now[k]
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
                    done = count - 1 - t if body.backwards else t
                    at = dict(zip(used, given, strict=True))
                    raise (self._failing(np, self.roots, at, done + 1) or problem) from problem
                now = new[:carried]
                for table, value in zip(emitted, new[carried:], strict=True):
                    table[t] = value
            return {**dict(zip(self.live, now, strict=True)), **tables}

        return loop


def _stacked(np: Any, numbers: array[Any], root: Node, backwards: bool) -> Array:
    """What a loop has written down, in the order of the rows."""
    found = (np.frombuffer(numbers, root.dtype) if len(numbers) else np.empty(0, root.dtype)).reshape(-1, *root.shape)
    return np.ascontiguousarray(found[::-1]) if backwards else found
