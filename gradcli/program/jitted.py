"""Functions of a program's inputs by JAX: one traced function of the simplified graph, compiled before its first call."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcli.data.memory import show_bytes
from gradcli.diagnostics import GradcliError, Label
from gradcli.execute.accelerator import Accelerator, precise
from gradcli.execute.plan import Plan, too_large
from gradcli.execute.profile import Figures
from gradcli.execute.run import run
from gradcli.execute.sharding import row_axes
from gradcli.execute.sizes import bytes_of
from gradcli.execute.traced import Loop, computed
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Contraction
from gradcli.graph.ops.creation import loop_run
from gradcli.graph.ops.words.jax import Namespace
from gradcli.program.loops import simplified
from gradcli.program.planned import computed_once, constant_parts
from gradcli.program.sharing import TRACED, from_rows, values_from_rows

if TYPE_CHECKING:
    from gradcli.program.loaded import Loaded

Array = Any

MOST_OPERATIONS = 5000
"""Operations up to which XLA compiles a program in about a minute; its time grows faster than their number."""

LINES = 3
"""Lines with the largest arrays that a refusal names."""

LONG = 500
"""Operations entry by entry from which XLA for a CPU compiles without fusing them, in a tenth of the time or less."""


class Traced:
    """Nodes as a function of some leaves that JAX can trace, with what it is given once.

    ``known`` are computed nodes whose values are given as well, ``fixed`` has those of others. What no input changes is
    computed once, by NumPy. Of several devices each has an equal part of the rows of the data and all of everything else:
    of the first axis of ``rows``, or of the axis that :func:`row_axes` finds. ``moving`` are the inputs that the nodes need, ``leaves`` all
    leaves that they need. Raises GradcliError.
    """

    def __init__(
        self,
        program: Loaded,
        nodes: Sequence[Node],
        inputs: Sequence[Node],
        known: Sequence[Node] = (),
        fixed: Mapping[Node, Array] | None = None,
        rows: Collection[Node] | None = None,
    ) -> None:
        assert isinstance(program.accelerator, Accelerator)
        self.program = program.with_accelerator(None)
        self.nodes = list(nodes)
        self.cluster = program.accelerator.cluster
        self.devices = program.accelerator.found()
        given = {*inputs, *known}
        self.fixed = dict(fixed or {})
        shared = set(from_rows(self.program, nodes)) if self.cluster is not None else set()
        later = self._computed_once(given, shared)
        stopped = {*given, *self.fixed, *later}
        self._roots, self.leaves, self._original = simplified(nodes, stopped, TRACED)
        needed = [x for x in self.leaves if x not in given and x not in self.fixed]
        later |= {x for x in needed if x in shared}
        self.fixed |= {x: self.program.leaf_value(x) for x in needed if x not in shared}
        below = cone(self._roots, {*given, *self.fixed, *later})
        self.operations, self._entrywise = lengths(below)
        self._by_numpy = numpy_seconds(below)
        self.moving = [x for x in below if x in given]
        self._held = [x for x in below if x in self.fixed or x in later]
        data = [x for x in (*self.moving, *self._held) if x.shape and x.attrs.get("kind") != "variable"]
        self._rows = row_axes(below, data, len(self.devices), rows)
        with precise() as jax:
            self._cut = self._layouts(jax)
            self.whole, self.part = self._cut[:2]
            self.held = self._put_once(jax, [x for x in self._held if x in later])

    def _computed_once(self, given: set[Node], shared: set[Node]) -> set[Node]:
        """Compute what no input changes, but for what is computed from the rows of all, which this returns."""
        stopped = {*given, *self.fixed}
        constant = [x for x in constant_parts(self.nodes, stopped) if x not in self.fixed]
        self.fixed |= computed_once(self.program, [x for x in constant if x not in shared], self.fixed)
        return {x for x in constant if x in shared}

    def _layouts(self, jax: Any) -> list[Any]:
        """How an array lies on the devices: whole on each, then cut along its first axis, its second one, …."""
        mesh = jax.sharding.Mesh(np.array(self.devices), ("rows",))
        cuts = [(*[None] * k, "rows") for k in range(max(self._rows.values(), default=0) + 1)]
        return [jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes)) for axes in ((), *cuts)]

    def _put_once(self, jax: Any, later: Sequence[Node]) -> list[Array]:
        """The values that the function is given once, on the devices."""
        found = dict(zip(later, values_from_rows(self.program, later, self.part, self.placed), strict=True))
        return [found[x] if x in found else self.put(jax, self.fixed[x], self.placed(x)) for x in self._held]

    @property
    def everywhere(self) -> Any:
        """How results lie on the devices: as XLA likes, where all of them belong to this process."""
        return None if self.cluster is None else self.whole

    @property
    def _own_device(self) -> Any:
        return next(x for x in self.devices if self.cluster is None or x.process_index == self.cluster.index)

    def placed(self, node: Node) -> Any:
        """How a node's value lies on the devices."""
        return self._cut[self._rows.get(node, -1) + 1]

    def put(self, jax: Any, values: Any, place: Any) -> Any:
        """Values that every process has, one or several in containers, on the devices, in memory of their own."""
        if self.cluster is None:
            return jax.device_put(values, place, may_alias=False)

        def shared(value: Array) -> Array:
            return jax.make_array_from_callback(np.shape(value), place, lambda index: np.asarray(value)[index])

        return jax.tree.map(shared, values)

    def values(self, jax: Any, moving: Sequence[Array], held: Sequence[Array]) -> tuple[list[Array], Array]:
        """The values of the nodes while JAX traces them, and whether something failed because of its values."""
        given = zip([*self.moving, *self._held], [*moving, *held], strict=True)
        return computed(Namespace(jax), self._roots, dict(given))

    def compiled(self, staged: Any, tracing: float) -> tuple[Any, Figures]:
        """A function that was traced, compiled. Raises a LimitError where it needs more memory than there is."""
        long = self._entrywise > LONG and self.devices[0].platform == "cpu"
        start = perf_counter()
        made = staged.compile({"xla_disable_hlo_passes": "fusion"} if long else None)
        seconds = perf_counter() - start
        memory = made.memory_analysis()
        sizes = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
        used = None if memory is None else sum([getattr(memory, size) for size in sizes])
        self._check_memory(used)
        moved = sum([bytes_of(x) for x in (*self.moving, *self._held, *self.nodes)])
        names = [str(device) for device in self.devices]
        return made, Figures(self.operations, tracing, seconds, used, names, moved, self._by_numpy)

    def _check_memory(self, used: int | None) -> None:
        limit, source = self.program.max_memory, "--max-memory allows"
        if limit is None:
            limit, source = (self._own_device.memory_stats() or {}).get("bytes_limit"), "the device has"
        if used is not None and limit is not None and used > limit:
            arrays = sorted(cone(self._roots, self._held), key=bytes_of, reverse=True)
            error = too_large(used, source, limit, arrays[0])
            error.labels = tuple(self._lines(arrays))
            raise error

    def _lines(self, arrays: Sequence[Node]) -> list[Label]:
        """Where the largest arrays are made: a few lines of the program."""
        found: dict[int, Label] = {}
        for node in arrays:
            if 100 * bytes_of(node) < bytes_of(arrays[0]):
                break
            span = self.program.graph.span(self._original.get(node, node))
            if span is not None and span.line not in found:
                found[span.line] = Label(span, show_bytes(bytes_of(node)))
                if len(found) == LINES:
                    break
        return list(found.values())


class Jitted:
    """The values of nodes as a function of those of some leaves, as :class:`gradcli.program.planned.Planned`, by JAX.

    Where something fails because of its values, NumPy says what it is.
    """

    def __init__(self, traced: Traced) -> None:
        self._traced = traced
        self.leaves = traced.leaves
        self._plan: Plan | None = None
        with precise() as jax:

            def function(moving: Sequence[Array], held: Sequence[Array]) -> tuple[list[Array], Array]:
                return traced.values(jax, moving, held)

            shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=traced.placed(x)) for x in traced.moving]
            start = perf_counter()
            staged = jax.jit(function, out_shardings=traced.everywhere).lower(shapes, traced.held)
            self._compiled, self.figures = traced.compiled(staged, perf_counter() - start)

    def __call__(self, values: Mapping[Node, Array]) -> list[Array]:
        """The values of the nodes, in arrays of their own; ``values`` have the leaves' shapes and dtypes."""
        traced = self._traced
        with precise() as jax:
            moving = [traced.put(jax, values[x], traced.placed(x)) for x in traced.moving]
            found, failed = jax.device_get(self._compiled(moving, traced.held))
        if failed:
            if traced.cluster is not None:
                raise failed_somewhere()
            return self._by_numpy(values)
        return [y if y.flags.writeable else np.array(y) for y in found]

    def _by_numpy(self, values: Mapping[Node, Array]) -> list[Array]:
        """The same by NumPy, which says which operation failed; or that none did."""
        program, fixed = self._traced.program, self._traced.fixed
        if self._plan is None:
            self._plan = program.plan(self._traced.nodes, fixed, repeated=True)
        return run(self._plan, {**fixed, **values}, program.written)


def lengths(nodes: Sequence[Node]) -> tuple[int, int]:
    """How many operations XLA compiles for nodes, and how many work entry by entry; bodies of loops count once.

    Raises a LimitError for more than ``MOST_OPERATIONS``.
    """
    operations = entrywise = 0
    todo = [list(nodes)]
    while todo:
        for node in todo.pop():
            operations += bool(node.inputs)
            entrywise += node.op.entrywise
            if node.op is loop_run:
                todo.append(node.attrs["function"].nodes)
    if operations > MOST_OPERATIONS:
        raise GradcliError(
            "LimitError",
            f"this has {operations:,} operations, and JAX takes minutes to compile more than {MOST_OPERATIONS:,}",
            help="`--backend numpy` computes it at once; steps that are alike are short as `iterate` or `scan`",
        )
    return operations, entrywise


def numpy_seconds(nodes: Sequence[Node]) -> float:
    """A bound on the seconds that NumPy takes for nodes: a call for each, their bytes, and their products of numbers.

    Of what is searched for or decomposed it is infinite: that depends on more than sizes.
    """
    seconds = 0.0
    for node in nodes:
        if not node.inputs:
            continue
        if node.op is loop_run:
            loop = node.attrs["function"]
            seconds += numpy_seconds(loop.nodes) * loop.body.count if isinstance(loop, Loop) else math.inf
        elif isinstance(node.op.rule, Contraction):
            labels, _ = node.op.rule.labels(node.inputs, dict(node.attrs))
            pairs = zip(labels, node.inputs, strict=True)
            sizes = {label: n for own, x in pairs for label, n in zip(own, x.shape, strict=True)}
            seconds += CALL + math.prod(sizes.values()) * 1e-9
        elif node.op.flow == "matrices":
            seconds += CALL + math.prod(node.inputs[0].shape) * max(node.inputs[0].shape, default=1) * 2e-8
        else:
            seconds += CALL + (bytes_of(node) + sum([bytes_of(x) for x in node.inputs])) * 2e-9
    return seconds


CALL = 2e-5
"""Seconds that NumPy takes at most to begin an operation."""


def failed_somewhere() -> GradcliError:
    """What to say where something failed because of its values, and no process can compute it alone to say what."""
    return GradcliError(
        "ValueError",
        "something fails because of its values, such as a singular matrix, an index or a search",
        help="without `--cluster` the same says which line it is",
    )


def evaluate(program: Loaded, nodes: Sequence[Node]) -> list[Array]:
    """The values of nodes by JAX: all that the program gives is an argument, and nothing is computed before."""
    if not nodes:
        return []
    assert program.accelerator is not None
    shared = from_rows(program, nodes) if program.accelerator.cluster is not None else []
    below = [x for x in cone(nodes) if x not in shared]
    given = [x for x in below if x.op.given and x.op.name not in ("leaf", "literal") and not x.inputs]
    leaves = [x for x in below if x.op.name == "leaf"]
    function = Jitted(Traced(program, nodes, leaves, given))
    values = dict(zip(given, program.with_accelerator(None).with_record(None).evaluate(given), strict=True))
    values |= {x: program.leaf_value(x) for x in leaves if x in function.leaves}
    start = perf_counter()
    results = function(values)
    seconds = perf_counter() - start
    if program.record is not None:
        program.record.compiled.append((function.figures, seconds))
    if program.accelerator.heard is not None:
        program.accelerator.heard(function.figures, seconds)
    return results
