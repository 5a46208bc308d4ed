"""A program some of whose variables vary, and a question to it, planned for blocks of rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from gradcli.diagnostics import GradcliError
from gradcli.execute.plan import Plan
from gradcli.execute.run import run
from gradcli.execute.sizes import bytes_of
from gradcli.graph.node import Node
from gradcli.graph.ops.creation import make_leaf
from gradcli.program.batched import evaluated
from gradcli.program.loaded import Loaded, converted
from gradcli.results import Result

Array = Any

MOST_ROWS = 8192
BLOCK_BYTES = 64 << 20
"""Rows that are evaluated at once: as many as fit into this, and no more than are quick to hand on."""


class Item(NamedTuple):
    """One result of a row: its key in JSON (one or two names), what it is called in CSV, its node or None."""

    path: tuple[str, ...]
    label: str
    value: Any


def named(results: Sequence[Result], prefix: str = "") -> list[Item]:
    """Named results of a program that answers with nodes; a row has each as a key and as columns."""
    return [Item((prefix + r.name,), prefix + r.name, r.value) for r in results]


Ask = Callable[[Loaded], Sequence[Item]]
"""A question to a program that gives nodes where there would be values (:class:`Varied`)."""


class Varied(Loaded):
    """A program some of whose variables and constants vary: asked for values, it answers with their nodes.

    ``columns`` maps their names to dtypes; with ``unsafe`` they may be NaN or infinite. Variables and constants
    ``without_value`` have a value in ``program`` for the sake of its shape only. Raises a TypeError
    (GradcliError) where a shape or another static number depends on one of them.
    """

    columns: dict[str, Node]

    def __init__(
        self, program: Loaded, columns: Mapping[str, str], unsafe: bool, without_value: Collection[str] = ()
    ) -> None:
        # An initial value that is the leaf of no program: known to nobody before the rows come.
        unknown = {
            name: make_leaf(name, "column", program.graph.leaves[name].shape, dtype, unsafe)
            for name, dtype in columns.items()
        }
        graph = program.elaborated({**program.settings, **unknown})
        for name in without_value:
            graph.initial[graph.leaves[name]] = None
        vars(self).update(
            vars(program), graph=graph, columns={name: graph.leaves[name] for name in columns}, _leaf_values={}
        )

    def evaluate(self, nodes: Sequence[Node], plain: bool = False) -> list[Any]:
        """The nodes themselves."""
        return list(nodes)

    def sweeps(self) -> None:
        """None: a sweep has values."""


class Batch:
    """A question to one varied program, planned: called with a block of columns it gives the results."""

    def __init__(self, program: Varied, ask: Ask) -> None:
        self.program = program
        self.items = ask(program)
        nodes = [item.value for item in self.items if item.value is not None]
        self.plan = program.plan(nodes)
        self.targets = self.plan.target_nodes
        self._steps, fixed = self._divided()
        self._frees = self._last_uses()
        self.rows_at_once = self._block_size()
        self.missing = self._without_value(fixed)
        self._fixed = {} if self.missing else dict(zip(fixed, self._run_once(fixed), strict=True))

    def _divided(self) -> tuple[dict[Node, tuple[Node, ...]], list[Node]]:
        """What depends on a column, with its inputs, in order of evaluation; and what these need besides."""
        columns = set(self.program.columns.values())
        initial = self.program.graph.initial
        inputs: dict[Node, tuple[Node, ...]] = {}
        todo = list(self.targets)
        while todo:
            node = todo.pop()
            if node in inputs:
                continue
            below = node.inputs
            if node.op.name == "leaf" and node not in columns and isinstance(initial.get(node), Node):
                below = (initial[node],)  # a constant may be computed from another one
            inputs[node] = below
            todo.extend(below)
        moving = set(columns)
        steps: dict[Node, tuple[Node, ...]] = {}
        for node in sorted(inputs, key=lambda n: n.serial):
            if node not in columns and any([x in moving for x in inputs[node]]):
                moving.add(node)
                steps[node] = inputs[node]
        needed = dict.fromkeys([x for below in steps.values() for x in below] + self.targets)
        return steps, [x for x in needed if x not in moving]

    def _without_value(self, fixed: Sequence[Node]) -> GradcliError | None:
        """What to say of a row that must, and does not, give a leaf a value."""
        given = set(self.program.columns.values())
        for leaf in [*self.plan.leaves, *[node for node in fixed if node.op.name == "leaf"]]:
            if leaf not in given and self.program.graph.initial[leaf] is None:
                try:
                    self.program.leaf_value(leaf)
                except GradcliError as problem:
                    return problem
        return None

    def _run_once(self, nodes: Sequence[Node]) -> list[Array]:
        plan = Plan(nodes)
        original = self.plan.original
        leaves = {leaf: self.program.leaf_value(leaf) for leaf in plan.leaves}
        return run(plan, leaves, lambda node: self.program.written(original.get(node, node)))

    def _last_uses(self) -> dict[Node, list[Node]]:
        last = {x: node for node, below in self._steps.items() for x in below}
        frees: dict[Node, list[Node]] = {}
        for x, node in last.items():
            if x in self._steps and x not in self.targets:
                frees.setdefault(node, []).append(x)
        return frees

    def _block_size(self) -> int:
        alive = peak = 0
        for node in self._steps:
            alive += bytes_of(node)
            peak = max(peak, alive)
            alive -= sum([bytes_of(x) for x in self._frees.get(node, ())])
        # Each number is a text for a while, on its way in and on its way out.
        peak += 12 * sum([bytes_of(x) for x in [*self.program.columns.values(), *self.targets]])
        limit = self.program.max_memory
        return max(1, min(MOST_ROWS, min(BLOCK_BYTES, limit or BLOCK_BYTES) // max(peak, 1)))

    def __call__(self, columns: Mapping[str, Array]) -> list[Array]:
        """The targets for columns [rows, …]: each [rows, …]. Raises one of ``FAILURES`` if some row fails."""
        import numpy as np

        rows = len(next(iter(columns.values())))
        values: dict[Node, Array] = {
            leaf: converted(columns[name], _with_rows(leaf, rows), copy=False)
            for name, leaf in self.program.columns.items()
        }
        with np.errstate(all="ignore"):
            for node, below in self._steps.items():
                given = [values[x] if x in values else self._fixed[x] for x in below]
                batched = [x in values for x in below]
                if node.op.name == "leaf":  # from the initial value; a scalar fills
                    spread = np.reshape(given[0], (rows, *[1] * (node.rank - below[0].rank), *below[0].shape))
                    whole = np.broadcast_to(spread, (rows, *node.shape))
                    values[node] = converted(whole, _with_rows(node, rows), copy=False)
                else:
                    values[node] = evaluated(np, node, given, batched, rows)
                for x in self._frees.get(node, ()):
                    del values[x]
            results = []
            for node in self.targets:
                value = values[node] if node in values else np.broadcast_to(self._fixed[node], (rows, *node.shape))
                if value.shape != (rows, *node.shape):
                    raise AssertionError(f"{node!r} evaluated to shape {value.shape} for {rows} rows")
                results.append(value.astype(node.dtype, copy=False))
        return results

    def one(self, columns: Mapping[str, Array]) -> list[Array]:
        """The same for a single row, by the engine: its error names the line. Raises GradcliError."""
        row = {leaf: converted(columns[name][0], leaf) for name, leaf in self.program.columns.items()}
        program = self.program.with_leaf_values(row)
        values = run(self.plan, program.leaf_values(self.plan), program.written)
        return [value[None] for value in values]


def _with_rows(leaf: Node, rows: int) -> Node:
    return Node(leaf.op, (), leaf.attrs, (rows, *leaf.shape), leaf.dtype, leaf.risky)
