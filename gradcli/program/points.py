"""A program at many points: a question asked once, answered for blocks of rows that set variables and constants.

The question is turned into a graph as for one point, except that the names of columns have no known value. Nodes that
depend on no column are evaluated once, all others for a block of rows at a time (:mod:`gradcli.program.batched`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gradcli.data.rows import Field, Rows
from gradcli.diagnostics import GradcliError, did_you_mean
from gradcli.execute.plan import Plan, bytes_of
from gradcli.execute.run import run
from gradcli.graph.node import Node
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.types import is_float
from gradcli.program.batched import evaluated
from gradcli.program.loaded import converted
from gradcli.program.program import Program

Array = Any

MOST_ROWS = 8192
BLOCK_BYTES = 64 << 20
"""Rows that are evaluated at once: as many as fit into this, and no more than are quick to hand on."""

FAILURES = (GradcliError, ValueError, TypeError, IndexError, ArithmeticError, MemoryError)
"""What a kernel raises where it fails in some row (NumPy's LinAlgError is a ValueError)."""


class Item(NamedTuple):
    """One result of a row: its key in JSON (one or two names), what it is called in CSV, its node or None."""

    path: tuple[str, ...]
    label: str
    value: Any


Ask = Callable[[Program], Sequence[Item]]
"""A question to a program that gives nodes where there would be values (:class:`Varied`)."""


class Answers(NamedTuple):
    """The results of a block: for each item an array [rows, …] or None; and the rows in which there are none."""

    items: Sequence[Item]
    numbers: Array
    values: list[Array | None]
    bad: list[tuple[int, GradcliError]]


class Varied(Program):
    """A program some of whose variables and constants vary: asked for values, it answers with their nodes.

    ``columns`` maps their names to dtypes; with ``unsafe`` they may be NaN or infinite. Raises a TypeError
    (GradcliError) where a shape or another static number depends on one of them.
    """

    def __init__(self, program: Program, columns: Mapping[str, str], unsafe: bool) -> None:
        vars(self).update(vars(program))
        # An initial value that is the leaf of no program: known to nobody before the rows come.
        unknown = {
            name: make_leaf(name, "column", program._graph.leaves[name].shape, dtype, unsafe)
            for name, dtype in columns.items()
        }
        self._graph = self._elaborate({**self._settings, **unknown})
        self._leaf_values = {}
        self.columns = {name: self._graph.leaves[name] for name in columns}

    def _evaluate(self, nodes: Sequence[Node]) -> list[Any]:
        return list(nodes)


class Batch:
    """A question to one varied program, planned: called with a block of columns it gives the results."""

    def __init__(self, program: Varied, ask: Ask) -> None:
        self.program = program
        self.items = ask(program)
        nodes = [item.value for item in self.items if item.value is not None]
        self._plan = program._plan(nodes)
        self._targets = self._plan.target_nodes
        self._steps, fixed = self._divided()
        self._frees = self._last_uses()
        self.rows_at_once = self._block_size()
        self.missing = self._without_value(fixed)
        self._fixed = {} if self.missing else dict(zip(fixed, self._run_once(fixed), strict=True))

    def _divided(self) -> tuple[dict[Node, tuple[Node, ...]], list[Node]]:
        """What depends on a column, with its inputs, in order of evaluation; and what these need besides."""
        columns = set(self.program.columns.values())
        initial = self.program._graph.initial
        inputs: dict[Node, tuple[Node, ...]] = {}
        todo = list(self._targets)
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
        needed = dict.fromkeys([x for below in steps.values() for x in below] + self._targets)
        return steps, [x for x in needed if x not in moving]

    def _without_value(self, fixed: Sequence[Node]) -> GradcliError | None:
        """What to say of a row that must, and does not, give a leaf a value."""
        given = set(self.program.columns.values())
        for leaf in [*self._plan.leaves, *[node for node in fixed if node.op.name == "leaf"]]:
            if leaf not in given and self.program._graph.initial[leaf] is None:
                try:
                    self.program._leaf_value(leaf)
                except GradcliError as problem:
                    return problem
        return None

    def _run_once(self, nodes: Sequence[Node]) -> list[Array]:
        plan = Plan(nodes)
        original = self._plan.original
        leaves = {leaf: self.program._leaf_value(leaf) for leaf in plan.leaves}
        return run(plan, leaves, lambda node: self.program._locate(original.get(node, node)))

    def _last_uses(self) -> dict[Node, list[Node]]:
        last = {x: node for node, below in self._steps.items() for x in below}
        frees: dict[Node, list[Node]] = {}
        for x, node in last.items():
            if x in self._steps and x not in self._targets:
                frees.setdefault(node, []).append(x)
        return frees

    def _block_size(self) -> int:
        alive = peak = 0
        for node in self._steps:
            alive += bytes_of(node)
            peak = max(peak, alive)
            alive -= sum([bytes_of(x) for x in self._frees.get(node, ())])
        # Each number is a text for a while, on its way in and on its way out.
        peak += 12 * sum([bytes_of(x) for x in [*self.program.columns.values(), *self._targets]])
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
            for node in self._targets:
                value = values[node] if node in values else np.broadcast_to(self._fixed[node], (rows, *node.shape))
                if value.shape != (rows, *node.shape):
                    raise AssertionError(f"{node!r} evaluated to shape {value.shape} for {rows} rows")
                results.append(value.astype(node.dtype, copy=False))
        return results

    def one(self, columns: Mapping[str, Array]) -> list[Array]:
        """The same for a single row, by the engine: its error names the line. Raises GradcliError."""
        program = self.program
        fixed = program._leaf_values
        try:
            row = {leaf: converted(columns[name][0], leaf) for name, leaf in program.columns.items()}
            program._leaf_values = {**fixed, **row}
            values = run(self._plan, program._values_of(self._plan), program._locate)
        finally:
            program._leaf_values = fixed
        return [value[None] for value in values]


def _with_rows(leaf: Node, rows: int) -> Node:
    return Node(leaf.op, (), leaf.attrs, (rows, *leaf.shape), leaf.dtype, leaf.risky)


class Points:
    """A question about a program, for rows that set its variables and constants.

    ``name`` is what messages call the rows. With ``skip_bad`` a row in which the question has no answer is told of and
    passed over, without it is the last one.
    """

    def __init__(self, program: Program, ask: Ask, name: str, skip_bad: bool = False) -> None:
        self._program = program
        self._ask = ask
        self._name = name
        self._skip_bad = skip_bad
        self._floats: set[str] = set()
        self._shaped: set[str] = set()
        self._batches: dict[tuple[tuple[str, ...], frozenset[str], bool], Batch] = {}

    # what columns hold

    def field_of(self, name: str) -> Field:
        """What a column of a name holds; a GradcliError if the program has no such variable or constant."""
        program = self._program
        leaf = program._graph.leaves.get(name)
        if leaf is None:
            raise self._unknown(name)
        if leaf.dtype == "bool":
            return Field("bool", leaf.shape)
        if not is_float(leaf.dtype):
            return Field("number" if self._may_be_float(name) else "int", leaf.shape)
        if leaf.shape == () and program._graph.initial[leaf] is None:
            return Field("float", None)  # `variable x` takes the shape that it is given
        return Field("float", leaf.shape)

    def _unknown(self, name: str) -> GradcliError:
        leaves = self._program._graph.leaves
        if name in self._program._graph.names:
            help: str | None = f"only variables and constants can be set: `variable {name} = …`"
        else:
            similar = did_you_mean(name, leaves)
            shown = ", ".join(list(leaves)[:8])
            help = f"did you mean `{similar}`?" if similar else (f"it has {shown}" if shown else "it declares none")
        return GradcliError(
            "NameError", f"{self._name} has a column `{name}`, and the program no such variable or constant", help=help
        )

    def _may_be_float(self, name: str) -> bool:
        """Whether the program is possible with a float in place of this integer."""
        try:
            Varied(self._program, {name: "float64"}, False)
        except GradcliError:
            return False
        return True

    # answers

    def nothing(self) -> Sequence[Item]:
        """The items of a program without rows."""
        return self._batch((), False).items

    def answers(self, rows: Rows) -> Iterator[Answers]:
        """The results of a block of rows, in pieces; after a bad row nothing unless bad rows are passed over."""
        for numbers, columns in self._parts(rows):
            self._take_shapes(columns)
            batch = self._batch(tuple(columns), not all(_finite(column) for column in columns.values()))
            if batch.missing is not None:
                yield self._unanswered(batch, numbers, batch.missing)
            elif not len(numbers):
                yield Answers(batch.items, numbers, self._placed(batch, self._none(batch)), [])
            for start in range(0, len(numbers) if batch.missing is None else 0, batch.rows_at_once):
                part = slice(start, start + batch.rows_at_once)
                answers = self._answered(batch, numbers[part], {name: c[part] for name, c in columns.items()})
                yield answers
                if answers.bad and not self._skip_bad:
                    return

    def _parts(self, rows: Rows) -> Iterator[tuple[Array, dict[str, Array]]]:
        """The rows with integers up to the first row with a fraction; from there on the name is a float."""
        import numpy as np

        columns = rows.columns
        leaves = self._program._graph.leaves
        start = 0
        while True:
            first: dict[str, int] = {}
            for name, column in columns.items():
                if name not in self._floats and not is_float(leaves[name].dtype) and column.dtype.kind == "f":
                    rest = column[start:]
                    fractions = ~((np.abs(rest) < 2.0**63) & (rest == np.trunc(rest)))
                    first[name] = start + (int(np.argmax(fractions)) if fractions.any() else len(rest))
            stop = min(first.values(), default=len(rows.numbers))
            part = {
                name: column[start:stop].astype(np.int64 if name in first else column.dtype, copy=False)
                for name, column in columns.items()
            }
            if stop > start or not len(rows.numbers):
                yield rows.numbers[start:stop], part
            if stop == len(rows.numbers):
                return
            self._floats |= {name for name, at in first.items() if at == stop}
            start = stop

    def _take_shapes(self, columns: Mapping[str, Array]) -> None:
        """Give the leaves without value and shape the shape that the rows have."""
        import numpy as np

        leaves = self._program._graph.leaves
        other = {name: c.shape[1:] for name, c in columns.items() if len(c) and c.shape[1:] != leaves[name].shape}
        if other:
            zeros = {name: np.zeros(shape) for name, shape in other.items()}
            self._program = self._program._with(zeros)
            self._shaped |= set(other)
            self._batches.clear()

    def _batch(self, names: tuple[str, ...], unsafe: bool) -> Batch:
        key = (names, frozenset(self._floats), unsafe)
        if key not in self._batches:
            leaves = self._program._graph.leaves
            dtypes = {
                name: "float64" if name in self._floats or is_float(leaves[name].dtype) else
                "bool" if leaves[name].dtype == "bool" else "int64"
                for name in names
            }  # fmt: skip
            self._batches[key] = Batch(self._varied(dtypes, unsafe), self._ask)
        return self._batches[key]

    def _varied(self, dtypes: Mapping[str, str], unsafe: bool) -> Varied:
        try:
            varied = Varied(self._program, dtypes, unsafe)
            for name in self._shaped.difference(dtypes):  # zeros gave it a shape, and are no value
                varied._graph.initial[varied._graph.leaves[name]] = None
            return varied
        except GradcliError:
            for name, dtype in dtypes.items():
                try:
                    Varied(self._program, {name: dtype}, unsafe)
                except GradcliError as problem:
                    raise GradcliError(
                        "TypeError",
                        f"`{name}` cannot differ from row to row: {problem.message}",
                        problem.labels,
                        f"set it for all rows: `--set '{name}=…'`",
                    ) from None
            raise

    def _answered(self, batch: Batch, numbers: Array, columns: dict[str, Array]) -> Answers:
        """The answers of rows that are evaluated together; where that fails, halves, down to the rows at fault."""
        import numpy as np

        found: list[list[Array]] = []
        kept: list[Array] = []
        bad: list[tuple[int, GradcliError]] = []
        todo = [(0, len(numbers))]
        while todo:
            start, stop = todo.pop()
            part = {name: column[start:stop] for name, column in columns.items()}
            try:
                if not columns:
                    found.append(self._none(batch, stop - start))
                else:
                    found.append(batch(part))
                kept.append(numbers[start:stop])
            except FAILURES:
                if stop - start > 1:
                    middle = (start + stop) // 2
                    todo += [(middle, stop), (start, middle)]
                    continue
                try:
                    found.append(batch.one(part))
                    kept.append(numbers[start:stop])
                except GradcliError as problem:
                    number = int(numbers[start])
                    bad.append((number, _in_row(problem, self._name, number)))
                    if not self._skip_bad:
                        break
        if len(found) == 1:
            values = found[0]
        else:
            values = [np.concatenate(pieces) for pieces in zip(*found, strict=True)] if found else self._none(batch)
        rows = np.concatenate(kept) if kept else numbers[:0]
        return Answers(batch.items, rows, self._placed(batch, values), bad)

    def _unanswered(self, batch: Batch, numbers: Array, problem: GradcliError) -> Answers:
        """No results for rows that lack a value; where all rows lack it, that is the program's error."""
        if not len(numbers):
            raise problem
        chosen = numbers.tolist() if self._skip_bad else numbers[:1].tolist()
        bad = [(number, _in_row(problem, self._name, number)) for number in chosen]
        return Answers(batch.items, numbers[:0], self._placed(batch, self._none(batch)), bad)

    @staticmethod
    def _none(batch: Batch, rows: int = 0) -> list[Array]:
        """The results of rows without columns, which are all alike; or of no rows, which are anything."""
        import numpy as np

        if rows:
            return [np.broadcast_to(value, (rows, *value.shape[1:])) for value in batch.one({})]
        return [np.empty((0, *node.shape), node.dtype) for node in batch._targets]

    @staticmethod
    def _placed(batch: Batch, values: Sequence[Array]) -> list[Array | None]:
        """The values with None where an item has none."""
        arrays = iter(values)
        return [None if item.value is None else next(arrays) for item in batch.items]


def _in_row(problem: GradcliError, name: str, number: int) -> GradcliError:
    return GradcliError(problem.kind, f"{name}, row {number}: {problem.message}", problem.labels, problem.help)


def _finite(column: Array) -> bool:
    import numpy as np

    return column.dtype.kind != "f" or bool(np.isfinite(column).all())
