"""A program some of whose variables vary, and a question to it: its graph, batched and planned for blocks of rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from gradcli.autodiff.batch import batched
from gradcli.diagnostics import GradcliError
from gradcli.execute.plan import Plan
from gradcli.execute.run import run
from gradcli.execute.sizes import bytes_of
from gradcli.graph.node import Node, by_serial
from gradcli.graph.ops.creation import make_leaf
from gradcli.program.loaded import Loaded, converted
from gradcli.results import Result
from gradcli.tuples import NamedTuple

Array = Any

MOST_ROWS = 8192
BLOCK_BYTES = 64 << 20
"""Rows that are evaluated at once: as many as fit into this, and no more than are quick to hand on."""

MOST_PLANS = 16
"""Plans that are kept, each for blocks of another number of rows."""


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

    ``columns`` maps their names to dtypes; those in ``unsafe`` may be NaN or infinite. Variables and constants
    ``without_value`` have a value in ``program`` for the sake of its shape only. Raises a TypeError
    (GradcliError) where a shape or another static number depends on one of them.
    """

    columns: dict[str, Node]

    def __init__(
        self,
        program: Loaded,
        columns: Mapping[str, str],
        unsafe: Collection[str] = (),
        without_value: Collection[str] = (),
    ) -> None:
        # An initial value that is the leaf of no program: known to nobody before the rows come.
        unknown = {
            name: make_leaf(name, "column", program.graph.leaves[name].shape, dtype, name in unsafe)
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

    def sweeps(self) -> bool:
        """Never: a sweep has values."""
        return False


Run = Callable[[Mapping[Node, Array]], list[Array]]
"""From the values of what a block needs to those of some nodes."""


class _Planned:
    """A plan as a function, and the program that says where its nodes stand."""

    def __init__(self, plan: Plan, program: Loaded) -> None:
        self.plan = plan
        self.program = program

    def __call__(self, values: Mapping[Node, Array]) -> list[Array]:
        return run(self.plan, values, self.program.written)


class _Block(NamedTuple):
    """What is done with a block of ``size`` rows.

    ``leaves`` maps a leaf of the program to the one that holds its values in all rows. ``computed`` gives the values of
    leaves that are computed from columns, one after the other, and ``results`` the results. ``filled`` are the arrays
    that shorter columns are copied into, kept from one block to the next.
    """

    size: int
    leaves: dict[Node, Node]
    computed: list[tuple[Node, Run]]
    results: Run
    filled: dict[Node, Array]


class Batch:
    """A question to one varied program, planned: called with a block of columns it gives the results.

    ``items`` are the results, ``rows_at_once`` is the largest number of rows of a block, and ``missing`` the error of
    every row where neither the columns nor the program give a value that is needed.
    """

    def __init__(self, program: Varied, ask: Ask) -> None:
        self.program = program
        self.items = ask(program)
        if program.accelerator is not None:
            program.accelerator.found()  # what is missing is not a fault of a row
        self.plan = program.plan([item.value for item in self.items if item.value is not None])
        # Loops get the axis of the rows before they are made ready for a run.
        loops = program.graph.has_loops
        self.targets = (
            [item.value for item in self.items if item.value is not None] if loops else self.plan.target_nodes
        )
        self._computed, moving, fixed = self._divided()
        self._moving = [node for node in self.targets if node in moving]
        self.missing = self._without_value(fixed)
        self._fixed = {} if self.missing else dict(zip(fixed, self._run_once(fixed), strict=True))
        self._blocks: dict[int, _Block] = {}
        self.rows_at_once = self._most_rows()

    def _divided(self) -> tuple[dict[Node, Node], set[Node], list[Node]]:
        """Leaves that are computed from columns, with their values; all that depends on columns; what this needs besides."""
        columns = set(self.program.columns.values())
        initial = self.program.graph.initial
        inputs: dict[Node, tuple[Node, ...]] = {}
        todo = list(self.targets)
        while todo:
            node = todo.pop()
            if node in inputs:
                continue
            given = initial.get(node)
            inputs[node] = (given,) if isinstance(given, Node) and node not in columns else node.inputs
            todo.extend(inputs[node])
        moving = set(columns)
        computed: dict[Node, Node] = {}
        needed = dict.fromkeys(self.targets)
        for node in sorted(inputs, key=by_serial):
            if any([x in moving for x in inputs[node]]):
                moving.add(node)
                if node.op.name == "leaf":
                    (computed[node],) = inputs[node]
                needed |= dict.fromkeys(inputs[node])
        targets = set(self.targets)
        fixed = [x for x in needed if x not in moving and (x.op.name != "literal" or x in targets)]
        return computed, moving, fixed

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
        """The values of nodes that depend on no column."""
        plan = self.program.plan(nodes)
        original = self.plan.original
        leaves = {leaf: self.program.leaf_value(leaf) for leaf in plan.leaves}
        values = run(plan, leaves, lambda node: self.program.written(original.get(node, node)))
        return [value if value.ndim else value[()] for value in values]  # NumPy is quicker with scalars

    def _most_rows(self) -> int:
        """How many rows have room, by what one of them takes beside what is computed once."""
        columns = self.program.columns.values()
        known = {*self._fixed, *columns, *self._computed}
        targets = [*self._moving, *self._computed.values()]
        taken = Plan(targets, known=known).peak - sum([bytes_of(node) for node in self._fixed])
        # Each number is a text for a while, on its way in and on its way out.
        taken += 12 * sum([bytes_of(x) for x in [*columns, *self.targets]])
        limit = self.program.max_memory
        return max(1, min(MOST_ROWS, min(BLOCK_BYTES, limit or BLOCK_BYTES) // max(taken, 1)))

    def fitting(self, rows: int) -> int:
        """How many of some rows are to be evaluated at once: fewer than ``rows_at_once`` where a plan takes more memory."""
        while self.rows_at_once > 1:
            try:
                self._block(min(rows, self.rows_at_once))
                break
            except GradcliError:
                if self.program.accelerator is not None:
                    raise
                self.rows_at_once = max(1, min(rows, self.rows_at_once) // 2)
        return min(rows, self.rows_at_once)

    def _block(self, rows: int) -> _Block:
        """What is done with at least this many rows. Raises GradcliError (LimitError) where memory is too small."""
        size = self._size(rows)
        if size not in self._blocks:
            many = {leaf: _with_rows(leaf, size) for leaf in self.program.columns.values()}
            computed = []
            for leaf, initial in self._computed.items():
                computed.append((leaf, self._planned([initial], many)))
                many[leaf] = _with_rows(leaf, size)
            if len(self._blocks) == MOST_PLANS:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[size] = _Block(size, many, computed, self._planned(self._moving, many), {})
        return self._blocks[size]

    def _size(self, rows: int) -> int:
        """How many rows are computed where ``rows`` are needed: one of a few sizes, so that few plans are made."""
        accelerator = self.program.accelerator
        if accelerator is None:
            return max(rows, min(_rounded_up(rows), self.rows_at_once))
        # A size that is compiled already; else a power of 2 that the devices share equally.
        larger = [size for size in self._blocks if size >= rows]
        count = accelerator.devices
        return min(larger) if larger else -(-(1 << (rows - 1).bit_length()) // count) * count

    def _planned(self, nodes: Sequence[Node], many: Mapping[Node, Node]) -> Run:
        program, nodes = self.program, batched(nodes, many)
        if program.accelerator is not None:
            from gradcli.program.compiled import function_of

            columns = list(many.values())
            return function_of(program, nodes, columns, fixed=self._fixed, rows=columns)
        return _Planned(program.plan(nodes, self._fixed, repeated=True), program)

    def __call__(self, columns: Mapping[str, Array]) -> list[Array]:
        """The targets for columns [rows, …]: each [rows, …]. Raises GradcliError if some row fails."""
        import numpy as np

        rows = len(next(iter(columns.values())))
        size, leaves, computed, results, filled = self._block(rows)
        values = dict(self._fixed)
        for name, leaf in self.program.columns.items():
            column = converted(columns[name], _with_rows(leaf, rows), copy=False)
            if size > rows:  # the last row again and again
                if leaf not in filled:
                    filled[leaf] = np.empty((size, *leaf.shape), leaf.dtype)
                whole = filled[leaf]
                whole[:rows], whole[rows:] = column, column[-1]
                column = whole
            values[leaves[leaf]] = column
        for leaf, initial in computed:
            (value,) = initial(values)
            spread = np.reshape(value, (size, *[1] * (1 + leaf.rank - value.ndim), *value.shape[1:]))  # a scalar fills
            whole = np.broadcast_to(spread, leaves[leaf].shape)
            values[leaves[leaf]] = converted(whole, leaves[leaf], copy=False)
        found = iter(results(values))
        moving = set(self._moving)
        return [
            next(found)[:rows] if node in moving else np.broadcast_to(self._fixed[node], (rows, *node.shape))
            for node in self.targets
        ]

    def one(self, columns: Mapping[str, Array]) -> list[Array]:
        """The same for a single row, by the engine: its error names the line. Raises GradcliError."""
        row = {leaf: converted(columns[name][0], leaf) for name, leaf in self.program.columns.items()}
        program = self.program.with_leaf_values(row)
        values = run(self.plan, program.leaf_values(self.plan), program.written)
        return [value[None] for value in values]


def _with_rows(leaf: Node, rows: int) -> Node:
    return Node(leaf.op, (), leaf.attrs, (rows, *leaf.shape), leaf.dtype, leaf.risky)


def _rounded_up(rows: int) -> int:
    """One of a few sizes, so that blocks of nearly as many rows have one plan; up to an eighth more than the rows."""
    step = 1 << max(rows.bit_length() - 4, 0)
    return -(-rows // step) * step
