"""Functions of a program's inputs by JAX: one traced function of the simplified graph, compiled before its first call."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcli.data.memory import show_bytes
from gradcli.diagnostics import GradcliError
from gradcli.execute.accelerator import precise
from gradcli.execute.run import run
from gradcli.execute.sizes import bytes_of
from gradcli.execute.traced import Loop, Solver, computed
from gradcli.graph.node import Node, cone, uncollected
from gradcli.graph.ops.creation import loop_run
from gradcli.graph.ops.words.jax import Namespace
from gradcli.graph.switches import without
from gradcli.program.loops import OFTEN, Runs, lowered
from gradcli.program.planned import constant_parts
from gradcli.rewrite.simplify import Simplified
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.execute.plan import Plan
    from gradcli.program.loaded import Loaded

Array = Any

TRACED = Runs(Loop, Solver)

MOST_OPERATIONS = 5000
"""Operations up to which XLA compiles a program in about a minute; its time grows faster than their number."""

LONG = 500
"""Operations entry by entry from which XLA for a CPU compiles without fusing them, in a tenth of the time or less."""


class Figures(NamedTuple):
    """What a compiled function took: operations, seconds to trace and to compile, bytes that a run needs, the devices."""

    operations: int
    tracing: float
    compiling: float
    bytes: int | None
    devices: list[str]


class Jitted:
    """The values of nodes as a function of those of some leaves, as :class:`gradcli.program.planned.Planned`, by JAX.

    ``known`` are computed nodes whose values each call gives as well, ``fixed`` has those of others. What no input
    changes is computed once, by NumPy. Of several devices each has an equal part of the first axis of ``rows``, by
    default of the constants with the most rows, and all of everything else. Where something fails because of its values,
    NumPy says what it is. Raises GradcliError.
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
        assert program.accelerator is not None
        self._program = program.with_accelerator(None)
        self._nodes = list(nodes)
        self._plan: Plan | None = None
        devices = program.accelerator.found()
        given = {*inputs, *known}
        self._fixed = dict(fixed or {})
        constant = constant_parts(nodes, {*given, *self._fixed})
        constant = [x for x in constant if x not in self._fixed]
        if constant:
            plan = self._program.plan(constant, self._fixed)
            leaves = self._program.leaf_values(plan, self._fixed)
            self._fixed |= dict(zip(constant, run(plan, {**self._fixed, **leaves}, program.written), strict=True))
        self._roots, self.leaves = self._simplified({*given, *self._fixed})
        self._fixed |= {x: self._program.leaf_value(x) for x in self.leaves if x not in given and x not in self._fixed}
        below = cone(self._roots, {*given, *self._fixed})
        operations, entrywise = lengths(below)
        self._moving = [x for x in below if x in given]
        fixed_nodes = [x for x in below if x in self._fixed]
        self._shared = _shared([*self._moving, *fixed_nodes], len(devices)) if rows is None else set(rows)
        with precise() as jax:
            mesh = jax.sharding.Mesh(np.array(devices), ("rows",))
            spec = jax.sharding.PartitionSpec
            self._whole, self._part = [jax.sharding.NamedSharding(mesh, spec(*axes)) for axes in ((), ("rows",))]
            self._compile(jax, [*self._moving, *fixed_nodes], operations, entrywise, devices)
            self._check_memory(program.max_memory, devices[0])
            self._held = [jax.device_put(self._fixed[x], self._placed(x)) for x in fixed_nodes]

    def _simplified(self, stopped: set[Node]) -> tuple[list[Node], set[Node]]:
        """The nodes with runs of loops, simplified, and the leaves that they need."""
        with uncollected():
            roots = lowered(self._nodes, stopped, OFTEN, TRACED)[0] if self._program.graph.has_loops else self._nodes
            if without("simplify"):
                return roots, {x for x in cone(roots, stopped) if x.op.name == "leaf"}
            simple = Simplified(roots, known=stopped)
            return simple.targets, set(simple.leaves)

    def _placed(self, node: Node) -> Any:
        return self._part if node in self._shared else self._whole

    def _compile(
        self, jax: Any, names: Sequence[Node], operations: int, entrywise: int, devices: Sequence[Any]
    ) -> None:
        xp = Namespace(jax)

        def function(*values: Array) -> tuple[list[Array], Array]:
            return computed(xp, self._roots, dict(zip(names, values, strict=True)))

        shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=self._placed(x)) for x in names]
        start = perf_counter()
        staged = jax.jit(function).lower(*shapes)
        middle = perf_counter()
        long = entrywise > LONG and devices[0].platform == "cpu"
        self._compiled = staged.compile({"xla_disable_hlo_passes": "fusion"} if long else None)
        end = perf_counter()
        memory = self._compiled.memory_analysis()
        sizes = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
        used = None if memory is None else sum([getattr(memory, size) for size in sizes])
        self.figures = Figures(operations, middle - start, end - middle, used, [str(device) for device in devices])

    def _check_memory(self, limit: int | None, device: Any) -> None:
        """A LimitError for what needs more than ``limit`` bytes on a device, by default what it has."""
        source = "--max-memory allows"
        if limit is None:
            source, limit = "the device has", (device.memory_stats() or {}).get("bytes_limit")
        used = self.figures.bytes
        if used is not None and limit is not None and used > limit:
            largest = max(cone(self._roots, self._fixed), key=bytes_of)
            raise GradcliError(
                "LimitError",
                f"this needs {show_bytes(used)} of memory at once, {source} {show_bytes(limit)}; the largest "
                f"array has shape {list(largest.shape)} and takes {show_bytes(bytes_of(largest))}",
                self._program.graph.labels(largest),
                help="use smaller shapes, or `--dtype float32`",
            )

    def __call__(self, values: Mapping[Node, Array]) -> list[Array]:
        """The values of the nodes, in arrays of their own; ``values`` have the leaves' shapes and dtypes."""
        with precise() as jax:
            moving = [jax.device_put(values[x], self._placed(x)) for x in self._moving]
            found, failed = jax.device_get(self._compiled(*moving, *self._held))
        if failed:
            return self._by_numpy(values)
        return [y if y.flags.writeable else np.array(y) for y in found]

    def _by_numpy(self, values: Mapping[Node, Array]) -> list[Array]:
        """The same by NumPy, which says which operation failed; or that none did."""
        if self._plan is None:
            self._plan = self._program.plan(self._nodes, self._fixed, repeated=True)
        return run(self._plan, {**self._fixed, **values}, self._program.written)


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


def _shared(arguments: Sequence[Node], devices: int) -> set[Node]:
    """The data that several devices share: of what is no variable the arrays with the most rows.

    Raises GradcliError where there are none, or not as many for each device.
    """
    if devices == 1:
        return set()
    data = [x for x in arguments if x.shape and x.attrs.get("kind") != "variable"]
    rows = max([x.shape[0] for x in data], default=0)
    if not rows:
        raise GradcliError(
            "ValueError",
            f"there is nothing that {devices} devices can share: no constant has rows",
            help="leave `--devices` out",
        )
    if rows % devices:
        fitting = max([n for n in range(1, devices) if rows % n == 0])
        raise GradcliError(
            "ValueError",
            f"{devices} devices cannot have equal parts of {rows:,} rows of data",
            help=f"take `--devices {fitting}`, or data of {rows // devices * devices:,} rows",
        )
    return {x for x in data if x.shape[0] == rows}


def evaluate(program: Loaded, nodes: Sequence[Node]) -> list[Array]:
    """The values of nodes by JAX: all that the program gives is an argument, and nothing is computed before."""
    if not nodes:
        return []
    below = cone(nodes)
    given = [x for x in below if x.op.given and x.op.name not in ("leaf", "literal") and not x.inputs]
    leaves = [x for x in below if x.op.name == "leaf"]
    function = Jitted(program, nodes, leaves, given)
    values = dict(zip(given, program.with_accelerator(None).evaluate(given), strict=True))
    return function(values | {x: program.leaf_value(x) for x in leaves if x in function.leaves})
