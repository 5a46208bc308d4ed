"""A loss as a function of the variables that are fitted: its value and gradient, of all data or of a batch of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError, Kind, Label
from gradcli.graph.node import Node
from gradcli.graph.ops.creation import data_of
from gradcli.graph.ops.elementwise import neg
from gradcli.graph.ops.shaping import reshaped
from gradcli.graph.types import is_float, show_shape, size_of
from gradcli.program import query
from gradcli.program.compiled import Function, function_of
from gradcli.program.loaded import Loaded, converted
from gradcli.results import Reason, Result
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.features.fit.subject import Constraint
    from gradcli.program.loaded import Loaded

Array = Any
Values = Mapping[str, Array]


class Batches:
    """Which rows of the data a step sees: each epoch all of them once, in an order that follows from seed and epoch.

    ``arrays`` have the same number of rows, and may be memory-mapped: a step reads only its own rows.
    """

    def __init__(self, arrays: Values, size: int, seed: int) -> None:
        self.arrays = dict(arrays)
        self.size = size
        self.seed = seed
        counts = {name: len(array) if array.ndim else None for name, array in arrays.items()}
        self.rows = next(iter(counts.values())) or 0
        for name, count in counts.items():
            if count is None:
                raise GradcliError("ShapeError", f"the data `{name}` is a scalar, and a batch is made of rows")
            if count != self.rows:
                first = next(iter(counts))
                raise GradcliError(
                    "ShapeError", f"the data `{first}` has {self.rows} rows, and `{name}` has {count}",
                    help="each row of one belongs to the same row of the others",
                )  # fmt: skip
        if size > self.rows:
            raise GradcliError("ValueError", f"a batch of {size} rows is more than the {self.rows} rows of the data")
        self._epoch = -1
        self._order: Array = None
        self._random: Any = None

    def chosen(self, step: int) -> dict[str, Array]:
        """The rows of the data that step number ``step`` (from 0) sees; the last batch of an epoch may be smaller."""
        rows = self.numbers(step)
        return {name: array[rows] for name, array in self.arrays.items()}

    def alike(self, step: int) -> int:
        """How many steps from this one on, at least, see as many rows as it does."""
        if self.rows % self.size == 0:
            return 1 << 30
        place = step % -(-self.rows // self.size)
        return max(1, self.rows // self.size - place)

    def numbers(self, step: int) -> Array:
        """The numbers of those rows."""
        import numpy as np

        epoch, place = divmod(step, -(-self.rows // self.size))
        if epoch != self._epoch:
            if self._random is None:
                self._random = np.random.RandomState(0)
            self._random.seed([self.seed, epoch])  # quicker than to make one for each epoch
            self._epoch, self._order = epoch, self._random.permutation(self.rows)
            whole = self.rows // self.size * self.size
            self._order[:whole].reshape(-1, self.size).sort(axis=1)  # a file is read forwards
            self._order[whole:].sort()
        return self._order[place * self.size : (place + 1) * self.size]


class _Function(NamedTuple):
    """Loss and gradients, planned for data of some number of rows."""

    run: Function
    leaves: dict[str, Node]

    def __call__(self, values: Values) -> list[Array]:
        return self.run({leaf: converted(values[name], leaf, copy=False) for name, leaf in self.leaves.items()})


class NotFiniteError(GradcliError):
    """A loss or a derivative is NaN or infinite at ``values``, in batches those of the data included, if they are known.

    ``order`` is 1 for a loss or its gradient, 2 for a Hessian.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        labels: Iterable[Label] = (),
        help: str | None = None,
        *,
        values: Values | None,
        order: int = 1,
    ) -> None:
        super().__init__(kind, message, labels, help)
        self.values = values
        self.order = order


class Objective:
    """What is minimised, and the variables over which.

    ``name`` is the loss, ``title`` what it is called, ``variables`` are fitted, ``kept`` says of the others that were asked for why they stay as
    they are. With ``maximize`` what is minimised is ``name`` with the other sign, ``sign`` -1. ``constraints`` must be met. With ``squares`` the loss is half the sum of the squares of the entries of ``name``, whatever its shape.
    Raises GradcliError where ``name`` is not a scalar or depends on no variable.
    """

    def __init__(
        self,
        program: Loaded,
        name: str | None = None,
        over: Sequence[str] | None = None,
        *,
        squares: bool = False,
        data: Sequence[str] = (),
        batch: int | None = None,
        maximize: bool = False,
    ) -> None:
        self.program = program
        self.sign = -1 if maximize else 1
        self.constraints: Sequence[Constraint] = ()
        self.name = name if name is not None else only_output(program)
        self.y = query.target(program, self.name)
        self.title = f"Σ{self.name}²/2" if squares else f"-{self.name}" if maximize else self.name
        self.is_squares = squares
        self.residuals = self.y
        """What ``least-squares`` minimises half the sum of the squares of."""
        if not squares and size_of(self.y.shape) != 1:
            raise _no_scalar(program, self.name, self.y)
        if maximize:
            self.y = self._signed([self.y])[0]
            self.residuals = self.y
        if over is None and not program.variables:
            raise GradcliError(
                "ValueError", "the program has no variables to fit",
                help="name what you want: `--over x`, or declare it: `variable x = …`",
            )  # fmt: skip
        self.asked = [n for n in query.wanted(program, over) if over is not None or n not in data]
        if not self.asked:
            raise GradcliError("ValueError", f"there is nothing to fit: {', '.join(program.variables)} is data")
        self.kept = self._reasons()
        self.variables = [n for n in self.asked if n not in self.kept]
        if not self.variables:
            raise self._unchangeable()
        self.leaves = {n: query.leaf(program, n) for n in self.variables}
        both = next((n for n in data if n in self.variables), None)
        if both is not None:
            raise GradcliError(
                "ValueError", f"`{both}` is fitted, and cannot be data as well", help="choose with --over"
            )
        self.batches: Batches | None = None
        if batch is not None:
            self.batches = Batches({n: leaf_array(program, n) for n in data}, batch, program.random_seed)
        self._functions: dict[int | None, _Function] = {}
        self._seen: Values | None = None
        self._hessian: list[Node] | None = None

    def _reasons(self) -> dict[str, str]:
        """Why some of what was asked for is not fitted."""
        found: dict[str, str] = {}
        for n, gradient in zip(self.asked, self._gradients(self.program, self.asked), strict=True):
            dtype = query.leaf(self.program, n).dtype
            if isinstance(gradient, Reason):
                found[n] = f"its gradient is None: {gradient.with_line()}"
            elif not is_float(dtype):
                found[n] = f"it is {dtype}, and only floats are fitted"
        return found

    def _unchangeable(self) -> GradcliError:
        """The error where nothing is left to fit."""
        why = "; ".join(f"`{n}`: {reason}" for n, reason in self.kept.items())
        label = self.program.locate(self.y)
        integer = next((n for n in self.kept if query.leaf(self.program, n).dtype.startswith("int")), None)
        return GradcliError(
            "ValueError", f"`{self.name}` can be changed by nothing that is fitted: {why}", [label] if label else [],
            help=f"write a number with a point, such as `variable {integer} = 1.0`" if integer else None,
        )  # fmt: skip

    def start(self) -> dict[str, Array]:
        """The values of the fitted variables in the program, in arrays of their own."""
        import numpy as np

        return {name: np.array(self.program.leaf_value(leaf)) for name, leaf in self.leaves.items()}

    def unchanged(self, name: str) -> Array | None:
        """The value of a variable that was asked for and is kept, if it has one."""
        leaf = query.leaf(self.program, name)
        return None if self.program.graph.initial[leaf] is None else self.program.leaf_value(leaf)

    def results(self, values: Values) -> list[Result]:
        """What was asked for: fitted variables at ``values``, and those that are kept, None where they have no value."""
        return [Result(name, values[name] if name in values else self.unchanged(name)) for name in self.asked]

    def given(self) -> dict[str, Array]:
        """What was not asked for and has another value than the program's own text gives it."""
        settings = self.program.settings
        names = [n for n in settings if n not in self.asked and not isinstance(settings[n], Node)]
        return {name: leaf_array(self.program, name) for name in names}

    def as_written(self) -> list[str]:
        """What was asked for and has the value that the program's own text gives it."""
        return [name for name in self.kept if name not in self.program.settings]

    def at(self, values: Values, step: int) -> tuple[float, dict[str, Array]]:
        """The loss at ``values`` and its gradients; in batches that of the rows of number ``step``."""
        rows = self.batches.chosen(step) if self.batches is not None else {}
        count = len(next(iter(rows.values()))) if rows else None
        if count not in self._functions:
            self._functions[count] = self._planned(rows)
        self._seen = {**values, **rows}
        loss, *gradients = self._functions[count](self._seen)
        return float(loss.reshape(())), dict(zip(self.variables, gradients, strict=True))

    def hessian(self) -> list[Node]:
        """The blocks of the Hessian of what is minimised, row by row. Raises GradcliError where there is none."""
        if self._hessian is None:
            from gradcli.autodiff.jacobian import hessian

            xs = list(self.leaves.values())
            with self.program.graph.derivation.active():
                self._hessian = [block for row in hessian(reshaped(self.y, ()), xs) for block in row]
        return self._hessian

    def not_finite(
        self, what: str, step: int, help: str | None, values: Values | None = None, order: int = 1
    ) -> NotFiniteError:
        """What to raise where ``what`` is NaN or infinite at ``values``, by default those that :meth:`at` saw last.

        :func:`gradcli.features.fit.not_finite.explain` finds out why it is.
        """
        label = self.program.locate(self.y)
        labels = [Label(label.span)] if label else []
        message = f"{what} at step {step}"
        return NotFiniteError("ValueError", message, labels, help, values=values or self._seen, order=order)

    def _signed(self, nodes: Sequence[Node]) -> list[Node]:
        """Nodes of ``name`` as those of what is minimised."""
        if self.sign > 0:
            return list(nodes)
        with self.program.graph.derivation.active():
            return [neg(node) for node in nodes]

    def _gradients(
        self, program: Loaded, names: Sequence[str], unconnected: query.Unconnected = "none"
    ) -> list[Node | Reason]:
        """The gradients of the loss alone, whatever seeds the program has."""
        xs = [query.leaf(program, name) for name in names]
        asked = query.Question([self.name], [query.target(program, self.name)], list(names), xs, [None], [])
        ((_, row),) = query.gradients(program, asked, (1,), unconnected)
        return row

    def _planned(self, rows: Values) -> _Function:
        program, nodes, inputs = self.with_rows(rows)
        return _Function(function_of(program, nodes, list(inputs.values()), processes=True), inputs)

    def with_rows(self, rows: Values) -> tuple[Loaded, list[Node], dict[str, Node]]:
        """The program for this many rows of data, its loss and gradients as nodes, and the leaves that change by name."""
        program = self.program
        if rows:
            unsafe = [name for name in rows if query.leaf(program, name).risky]
            try:
                program = program.again({**program.settings, **rows}, unsafe=unsafe)
            except GradcliError as problem:
                problem.message = f"with {len(next(iter(rows.values())))} rows of data: {problem.message}"
                problem.help = "a step sees some rows only: what has as many rows is in `--data` too, and is declared without a shape"
                raise
        # A gradient may be cut at this number of rows only.
        row = self._gradients(program, self.variables, "zero")
        gradients = [g for g in row if isinstance(g, Node)]
        inputs = {name: query.leaf(program, name) for name in (*self.variables, *rows)}
        return program, self._signed([query.target(program, self.name), *gradients]), inputs


def leaf_array(program: Loaded, name: str) -> Array:
    """The value of a leaf; where it was given as a whole, that very array, which may be memory-mapped."""
    leaf = query.leaf(program, name)
    initial = program.graph.initial[leaf]
    if program.accelerator is not None and program.accelerator.cluster is not None:
        from gradcli.program.sharing import from_rows

        if from_rows(program, [leaf]):  # a stand-in for rows that processes share
            import numpy as np

            return np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape)
    data = data_of(initial)
    if data is not None and initial.dtype == leaf.dtype:
        initial = data.array
    if initial is None or isinstance(initial, Node) or initial.shape != leaf.shape:
        return program.leaf_value(leaf)
    return initial


def only_output(program: Loaded) -> str:
    """The loss where none is named. Raises GradcliError where there are several outputs."""
    return _only(query.differentiated(program))


def _only(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    raise GradcliError(
        "ValueError", f"the program has {len(names)} outputs: {', '.join(names)}", help=f"`--minimize {names[0]}`"
    )


def _no_scalar(program: Loaded, name: str, y: Node) -> GradcliError:
    label = program.locate(y)
    shape = f"shape {show_shape(y.shape)}"
    return GradcliError(
        "ShapeError", f"what is minimised is a scalar, and `{name}` has {shape}",
        [Label(label.span, shape)] if label else [],
        help=f"minimise a sum of them, such as `sum({name}^2)`; that one is what `--method least-squares` minimises",
    )  # fmt: skip
