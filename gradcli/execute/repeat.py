"""Runs loops: a written Python function where all is scalar, else a planned step that is done again and again.

What no step changes is computed once. Of the states only those are carried that a result needs.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gradcli.execute.plan import Plan
from gradcli.execute.run import literal_value, run
from gradcli.execute.scalars import TYPES, Code, to_number
from gradcli.execute.sizes import Means
from gradcli.execute.straight import straight_line
from gradcli.execute.worker import Failure
from gradcli.graph.loops import Body
from gradcli.graph.node import Node, cone

Array = Any

Run = Callable[[Any, Mapping[Node, Array]], dict[int, Array]]
"""From NumPy and the values of parameters to the states after the last step and the stacks, by the numbers of the results."""

CODES = {"float64": "d", "float32": "f", "bool": "b"}


class Loop:
    """Some results of a loop as a function of its arguments, those with the numbers ``given``, in their order.

    ``original`` maps nodes of the body to those that they stand for, so that errors find their line.
    """

    def __init__(
        self, body: Body, wanted: Sequence[int], given: Sequence[int], original: Mapping[Node, Node] | None = None
    ) -> None:
        self.body = body
        self.original = original or {}
        self.wanted = list(wanted)
        self.given = list(given)
        self.live = body.live(self.wanted)
        self.emitted = [r for r in self.wanted if body.stacks(r) and r < body.before(0)]
        self.histories = {r: r - body.before(0) for r in self.wanted if r >= body.before(0)}
        # After it is true, the steps that are left change nothing.
        self.done = body.done if body.done in self.live and not self.emitted else None
        self.roots = (
            [*[body.following[i] for i in self.live], *[body.root(r) for r in self.emitted]] if body.count else []
        )
        moving = {*body.states, *body.elements}
        nodes = cone(self.roots, body.parameters)
        for node in nodes:
            if any([x in moving for x in node.inputs]) or not node.op.shareable and node.inputs:
                moving.add(node)
        steps = [node for node in nodes if node in moving and node not in body.number]
        read = dict.fromkeys([*self.roots, *[x for node in steps for x in node.inputs]])
        self.once = [x for x in read if x not in moving and x not in body.number and x.op.name != "literal"]
        self.rows = [x for x in body.elements if x in read]
        self.fixed = [x for x in body.fixed if x in read]
        below = [x for x in body.fixed if body.number[x] in self.given]
        self._plan_once = Plan(self.once, means=Means(1, repeated=True), known=below) if self.once else None
        scalar = all([self._is_scalar(x) for x in [*steps, *read, *[body.states[i] for i in self.live]]])
        self._run = self._written() if scalar else self._planned()

    @staticmethod
    def _is_scalar(node: Node) -> bool:
        return not node.shape and node.dtype in TYPES and (node.op.kernel is not None or not node.inputs)

    def __call__(self, *arguments: Array) -> tuple[Array, ...]:
        """The results as arrays, in the order in which they were asked for."""
        import numpy as np

        body = self.body
        values: dict[Node, Array] = {body.parameters[p]: x for p, x in zip(self.given, arguments, strict=True)}
        if not body.count:
            starts = {i: values[body.states[i]] for i in self.live}
            return tuple(
                [
                    np.empty(body.shape(r), body.root(r).dtype) if body.stacks(r) else np.asarray(starts[r])
                    for r in self.wanted
                ]
            )
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
                if node.op.name == "literal":
                    values[node] = literal_value(np, node)
                else:
                    assert node.op.kernel is not None
                    with np.errstate(all="ignore"):
                        values[node] = node.op.kernel(np, *[values[x] for x in node.inputs], **node.attrs)
            except Failure as failure:
                return failure.within(step, self.body.count)
            except Exception as problem:  # noqa: BLE001  kernels raise what NumPy raises
                return Failure(self.original.get(node, node), problem).within(step, self.body.count)
        return None

    # scalars

    def _written(self) -> Run:
        body, count = self.body, self.body.count
        names = {body.states[i]: f"s{i}" for i in self.live}
        names |= {x: f"e{k}" for k, x in enumerate(self.rows)}
        names |= {x: f"c{k}" for k, x in enumerate([*self.fixed, *self.once])}
        code = Code(self.roots, names)
        stacks = {
            **{r: names[body.root(r)] for r in self.histories},
            **{r: code.names[body.root(r)] for r in self.emitted},
        }
        lines = [f"add_r{r} = r{r}.append" for r in stacks]
        heads = [f"e{k}" for k in range(len(self.rows))]
        lines.append(
            f"for {', '.join(heads)}, in zip({', '.join(h.upper() for h in heads)}):"
            if heads
            else "for _ in range(count):"
        )
        stop = [f"if s{self.done}: break"] if self.done is not None else []
        step = [*stop, *code.lines, *[f"add_r{r}({name})" for r, name in stacks.items()]]
        new = [code.names[body.following[i]] for i in self.live]
        if self.live:
            step.append(f"{', '.join(f's{i}' for i in self.live)}, = {', '.join(new)},")
        lines += [f"    {line}" for line in step or ["pass"]]
        lines.append(f"return [{', '.join(f's{i}' for i in self.live)}]")
        head = ["count", *[f"s{i}" for i in self.live], *[h.upper() for h in heads]]
        head += [f"c{k}" for k in range(len(self.fixed) + len(self.once))]
        head += [f"r{r}" for r in stacks]
        function = code.function(", ".join(head), lines)
        backwards = body.backwards

        def loop(np: Any, values: Mapping[Node, Array]) -> dict[int, Array]:
            def number(x: Node) -> Any:
                return to_number(values[x], x.dtype)

            def column(x: Node) -> Any:
                rows = values[x][::-1] if backwards else values[x]
                return rows if x.dtype == "float32" else memoryview(rows)

            tables = {r: array(CODES[body.root(r).dtype]) for r in stacks}
            ends = function(
                count,
                *[number(body.states[i]) for i in self.live],
                *[column(x) for x in self.rows],
                *[number(x) for x in [*self.fixed, *self.once]],
                *tables.values(),
            )
            after = dict(zip(self.live, ends, strict=True))
            if self.done is not None:
                for r, i in self.histories.items():
                    tables[r].extend([after[i]] * (count - len(tables[r])))
            rows = {r: _stacked(np, table, body.root(r).dtype, backwards) for r, table in tables.items()}
            return {**after, **rows}

        return loop

    # arrays

    def _step(self) -> tuple[Callable[..., list[Array]], list[Node]]:
        """One step as a function, and what it is a function of."""
        body = self.body
        inputs = [*[body.states[i] for i in self.live], *self.rows, *self.fixed, *self.once]
        plan = Plan(self.roots, means=Means(1, repeated=True), known=inputs)
        used = [x for x in inputs if x in plan.position]
        if plan.when_repeated(body.count).engine == "straight line":
            return straight_line(plan, {}, used), used
        return lambda *given: run(plan, dict(zip(used, given, strict=True))), used

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

    def _planned(self) -> Run:
        body, count = self.body, self.body.count
        step, used = self._step()
        states = [body.states[i] for i in self.live]
        carried = len(self.live)
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


def _stacked(np: Any, numbers: array[Any], dtype: str, backwards: bool) -> Array:
    """What a loop has written down, in the order of the rows."""
    found = np.frombuffer(numbers, dtype) if len(numbers) else np.empty(0, dtype)
    return np.ascontiguousarray(found[::-1]) if backwards else found
