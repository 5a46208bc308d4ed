"""A program at many points: a question asked once, answered for blocks of rows that set variables and constants.

The question is turned into a graph as for one point, except that the names of columns have no known value. Nodes that
depend on no column are evaluated once, all others for a block of rows at a time (:mod:`gradcli.features.points.varied`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gradcli.data import is_ordinary, ordinary_rows
from gradcli.data.rows import Field, Rows
from gradcli.diagnostics import GradcliError, did_you_mean
from gradcli.features.points.varied import Ask, Batch, Item, Varied
from gradcli.graph.types import is_float
from gradcli.program.loaded import Loaded
from gradcli.tuples import NamedTuple

Array = Any

FAILURES = (GradcliError, ValueError, TypeError, IndexError, ArithmeticError, MemoryError)
"""What a kernel raises where it fails in some row (NumPy's LinAlgError is a ValueError)."""


MOST_GROUPS = 16
"""Groups of rows that are not ordinary in different columns, each with a graph of its own."""


class Answers(NamedTuple):
    """The results of a block: for each item an array [rows, …] or None; and the rows in which there are none."""

    items: Sequence[Item]
    numbers: Array
    values: list[Array | None]
    bad: list[tuple[int, GradcliError]]


class Points:
    """A question about a program, for rows that set its variables and constants.

    ``name`` is what messages call the rows. With ``skip_bad`` a row in which the question has no answer is told of and
    passed over, without it is the last one. ``floats`` are names that are floats in every row, integers included.
    """

    def __init__(
        self, program: Loaded, ask: Ask, name: str, skip_bad: bool = False, floats: Iterable[str] = ()
    ) -> None:
        self._program = program
        self._ask = ask
        self._name = name
        self._skip_bad = skip_bad
        self._floats = set(floats)
        self._shaped: set[str] = set()
        self._batches: dict[tuple[tuple[str, ...], frozenset[str], frozenset[str]], Batch] = {}

    @property
    def state(self) -> object:
        """What the answers to further rows depend on: which names have become floats, and which have taken a shape."""
        return frozenset(self._floats), frozenset(self._shaped)

    # what columns hold

    def field_of(self, name: str) -> Field:
        """What a column of a name holds; a GradcliError if the program has no such variable or constant."""
        program = self._program
        leaf = program.graph.leaves.get(name)
        if leaf is None:
            raise self._unknown(name)
        if leaf.dtype == "bool":
            return Field("bool", leaf.shape)
        if not is_float(leaf.dtype):
            return Field("number" if self._may_be_float(name) else "int", leaf.shape)
        if leaf.shape == () and program.graph.initial[leaf] is None:
            return Field("float", None)  # `variable x` takes the shape that it is given
        return Field("float", leaf.shape)

    def _unknown(self, name: str) -> GradcliError:
        graph = self._program.graph
        if name in graph.names:
            error = graph.computed(name)
            error.message = f"{self._name} has a column `{name}`, but {error.message}"
            return error
        similar = did_you_mean(name, graph.leaves)
        shown = ", ".join(list(graph.leaves)[:8])
        help = f"did you mean `{similar}`?" if similar else (f"it has {shown}" if shown else "it declares none")
        help += f"; `--keep {name}` only passes it on"
        return GradcliError(
            "NameError", f"{self._name} has a column `{name}`, and the program no such variable or constant", help=help
        )

    def _may_be_float(self, name: str) -> bool:
        """Whether the program is possible with a float in place of this integer."""
        try:
            Varied(self._program, {name: "float64"})
        except GradcliError:
            return False
        return True

    # answers

    def answers(self, rows: Rows) -> Iterator[Answers]:
        """The results of a block of rows, in pieces; after a bad row nothing unless bad rows are passed over."""
        for numbers, columns in self._parts(rows):
            self._take_shapes(columns)
            groups = self._groups(columns)
            batch = groups[0][0]
            if batch.missing is not None:
                yield self._unanswered(batch, numbers, batch.missing)
            elif not len(numbers):
                yield Answers(batch.items, numbers, self._placed(batch, self._none(batch)), [])
            stop = 0
            while batch.missing is None and stop < len(numbers):
                part = slice(stop, stop := stop + min([b.fitting(len(numbers) - stop) for b, _ in groups]))
                answers = self._together(groups, part, numbers[part], {name: c[part] for name, c in columns.items()})
                yield answers
                if answers.bad and not self._skip_bad:
                    return

    def _groups(self, columns: Mapping[str, Array]) -> list[tuple[Batch, Array | None]]:
        """Rows whose numbers are ordinary in the same columns, each with its batch: the answers of a row do not depend on the others.

        The rows of a group are a mask, or None for all. Too many groups are made one, with guards for all.
        """
        import numpy as np

        leaves = self._program.graph.leaves
        names = tuple(columns)
        unsafe = [name for name, column in columns.items() if not is_ordinary(column, leaves[name].dtype)]
        if unsafe and len(columns[unsafe[0]]) > 1:
            flags = np.stack([~ordinary_rows(columns[name], leaves[name].dtype) for name in unsafe])
            patterns, which = np.unique(flags, axis=1, return_inverse=True)
            if 1 < patterns.shape[1] <= MOST_GROUPS:
                return [
                    (self._batch(names, frozenset(np.array(unsafe)[patterns[:, k]].tolist())), which.reshape(-1) == k)
                    for k in range(patterns.shape[1])
                ]
        return [(self._batch(names, frozenset(unsafe)), None)]

    def _together(
        self, groups: Sequence[tuple[Batch, Array | None]], part: slice, numbers: Array, columns: dict[str, Array]
    ) -> Answers:
        """The answers of some rows, group by group, in the order of the rows."""
        import numpy as np

        found = []
        for batch, mask in groups:
            if mask is None:
                return self._answered(batch, numbers, columns)
            if (rows := mask[part]).any():
                found.append(self._answered(batch, numbers[rows], {name: c[rows] for name, c in columns.items()}))
        bad = sorted([problem for answers in found for problem in answers.bad], key=lambda problem: problem[0])
        rest = np.concatenate([answers.numbers for answers in found])
        order = np.argsort(rest, kind="stable")
        if bad and not self._skip_bad:
            bad = bad[:1]
            order = order[rest[order] < bad[0][0]]
        values = [
            None if pieces[0] is None else np.concatenate(pieces)[order]
            for pieces in zip(*[answers.values for answers in found], strict=True)
        ]
        return Answers(found[0].items, rest[order], values, bad)

    def _parts(self, rows: Rows) -> Iterator[tuple[Array, dict[str, Array]]]:
        """The rows with integers up to the first row with a fraction; from there on the name is a float."""
        import numpy as np

        columns = rows.columns
        leaves = self._program.graph.leaves
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

        leaves = self._program.graph.leaves
        other = {name: c.shape[1:] for name, c in columns.items() if len(c) and c.shape[1:] != leaves[name].shape}
        if other:
            zeros = {name: np.zeros(shape) for name, shape in other.items()}
            self._program = self._program.with_values(zeros)
            self._shaped |= set(other)
            self._batches.clear()

    def _batch(self, names: tuple[str, ...], unsafe: frozenset[str]) -> Batch:
        key = (names, frozenset(self._floats), unsafe)
        if key not in self._batches:
            leaves = self._program.graph.leaves
            dtypes = {
                name: "float64" if name in self._floats or is_float(leaves[name].dtype) else
                "bool" if leaves[name].dtype == "bool" else "int64"
                for name in names
            }  # fmt: skip
            self._batches[key] = Batch(self._varied(dtypes, unsafe), self._ask)
        return self._batches[key]

    def _varied(self, dtypes: Mapping[str, str], unsafe: frozenset[str]) -> Varied:
        try:
            return Varied(self._program, dtypes, unsafe, self._shaped.difference(dtypes))
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
        return [np.empty((0, *node.shape), node.dtype) for node in batch.targets]

    @staticmethod
    def _placed(batch: Batch, values: Sequence[Array]) -> list[Array | None]:
        """The values with None where an item has none."""
        arrays = iter(values)
        return [None if item.value is None else next(arrays) for item in batch.items]


def _in_row(problem: GradcliError, name: str, number: int) -> GradcliError:
    return GradcliError(problem.kind, f"{name}, row {number}: {problem.message}", problem.labels, problem.help)
