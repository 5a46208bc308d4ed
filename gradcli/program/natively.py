"""Functions of a program's inputs by C: what it has words for is compiled, runs of it as one function each, the rest is NumPy's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcli.data.memory import free_memory
from gradcli.execute import blas, native
from gradcli.execute.compiler import Native, built
from gradcli.execute.lower import Scope
from gradcli.execute.lower import lowered as lowered_call
from gradcli.execute.newton import Solver
from gradcli.execute.plan import Plan, too_large
from gradcli.execute.profile import Figures
from gradcli.execute.run import run
from gradcli.execute.sizes import bytes_of, processors
from gradcli.graph.node import Node, cone, uncollected
from gradcli.graph.operation import Contraction, kernel_value
from gradcli.graph.ops.creation import loop_result
from gradcli.program.jitted import numpy_seconds
from gradcli.program.loops import Runs, simplified
from gradcli.program.planned import computed_once, constant_parts

if TYPE_CHECKING:
    from gradcli.program.loaded import Loaded

Array = Any

WRITTEN = Runs(native.Loop, Solver)

SMALL = 1 << 12
"""Bytes of an array up to which copying it takes less than telling C where it lies."""


WIDE = 256
"""Rows and columns of matrices from which a product is worth more than one thread."""


class FailedError(Exception):
    """Something failed because of its values: NumPy says what it is."""


class Segment:
    """A compiled function: from the values of some nodes to those of others.

    Those that are not ``lasting`` lie in memory of the room in which it is called, until that is used again.
    """

    def __init__(
        self, inputs: Sequence[Node], outputs: Sequence[Node], fixed: Mapping[Node, Array], lasting: Collection[Node]
    ) -> None:  # fmt: skip
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.memory = 0
        self.function: Callable[[int, int], int] | None = None
        self.moving = [x for x in inputs if x not in fixed]
        self._fixed = {k: np.ascontiguousarray(fixed[x], x.dtype) for k, x in enumerate(inputs) if x in fixed}
        self._places = [k for k, x in enumerate(inputs) if x not in fixed]
        self._lasting = [x in lasting for x in outputs]

    def room(self) -> _Room:
        """What one call at a time may write into."""
        return _Room(self.inputs, self.outputs, self._fixed, self._places, self.memory, self._lasting)

    def __call__(self, room: _Room, values: Sequence[Array]) -> list[Array]:
        """The values of the outputs, from those of what moves. Raises FailedError."""
        assert self.function is not None
        table = room.table
        for given, value in zip(room.given, values):  # noqa: B905  as many by construction, and it is to be quick
            given[...] = value
        held = []
        for k, i in room.large:
            held.append(value := np.ascontiguousarray(values[i]))
            table[k] = value.__array_interface__["data"][0]
        results = list(room.results)
        for k, i, shape, dtype in room.made:
            results[i] = value = np.empty(shape, dtype)
            table[k] = value.__array_interface__["data"][0]
        if self.function(room.start, room.memory_start):
            raise FailedError
        for i in room.copied:
            results[i] = results[i].copy()
        return results


class _Room:
    """What one call of a function writes into: pointers, small inputs and results, and memory between them."""

    def __init__(
        self, inputs: Sequence[Node], outputs: Sequence[Node], fixed: Mapping[int, Array], places: Sequence[int], memory: int,
        lasting: Sequence[bool],
    ) -> None:  # fmt: skip
        self.table = np.zeros(max(len(inputs) + len(outputs), 1), np.uintp)
        self.start: int = self.table.__array_interface__["data"][0]
        self.memory = np.empty(max(memory, 1), np.uint8)
        self.memory_start: int = self.memory.__array_interface__["data"][0]
        for k, array in fixed.items():
            self.table[k] = array.__array_interface__["data"][0]
        self.given: list[Array] = []
        self.large: list[tuple[int, int]] = []
        for i, k in enumerate(places):
            x = inputs[k]
            small = bytes_of(x) <= SMALL
            if not small:
                self.given.append(_Nowhere())
                self.large.append((k, i))
                continue
            array = np.zeros(x.shape, x.dtype)
            self.given.append(array)
            self.table[k] = array.__array_interface__["data"][0]
        self.results: list[Array] = []
        self.made: list[tuple[int, int, tuple[int, ...], str]] = []
        self.copied: list[int] = []
        for i, x in enumerate(outputs):
            k = len(inputs) + i
            if bytes_of(x) <= SMALL or not lasting[i]:
                self.results.append(np.zeros(x.shape, x.dtype))
                if lasting[i]:
                    self.copied.append(i)
                self.table[k] = self.results[-1].__array_interface__["data"][0]
            else:
                self.results.append(None)
                self.made.append((k, i, x.shape, x.dtype))


class _Nowhere:
    """Takes the place of memory for what is read where it lies."""

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


def _stages(made: Sequence[Node], by_c: Mapping[Node, bool]) -> dict[int, list[Node]]:
    """Nodes in the order in which they can be done: by C at even numbers, by NumPy at odd ones."""
    level: dict[Node, int] = {}
    stages: dict[int, list[Node]] = {}
    for x in made:
        least = max([level.get(i, 0) for i in x.inputs], default=0)
        level[x] = least + ((least % 2 == 1) == by_c[x])
        stages.setdefault(level[x], []).append(x)
    return stages


class Compiled:
    """The values of nodes as a function of those of some leaves, as :class:`gradcli.program.planned.Planned`, by C and NumPy.

    ``known`` are computed nodes whose values each call gives as well, ``fixed`` has those of others. ``function``, if there
    is one, takes the values of ``moving`` in their order, and raises whatever fails. Raises GradcliError.
    """

    def __init__(
        self,
        program: Loaded,
        nodes: Sequence[Node],
        inputs: Sequence[Node],
        known: Sequence[Node] = (),
        fixed: Mapping[Node, Array] | None = None,
    ) -> None:
        self._program = program.with_accelerator(None).with_record(None)
        self._nodes = list(nodes)
        self._fixed = dict(fixed or {})
        self._plan: Plan | None = None
        given = {*inputs, *known}
        start = perf_counter()
        constant = [x for x in constant_parts(nodes, {*given, *self._fixed}) if x not in self._fixed]
        self._fixed |= computed_once(self._program, constant, self._fixed)
        stopped = {*given, *self._fixed}
        with uncollected():
            roots, self.leaves, _ = simplified(nodes, stopped, WRITTEN)
            below = cone(roots, stopped)
            self._targets = native.expanded(roots, stopped)
            order = cone(self._targets, stopped)
            self._fixed |= {x: self._program.leaf_value(x) for x in order if x.op.name == "leaf" and x not in stopped}
            self.moving = [x for x in order if x in given]
            self._steps = self._cut(order, {*given, *self._fixed})
            self._threads = self._blas_threads(program)
            self._by_call = {step: _call(step) for step in self._steps if isinstance(step, Node)}
            writing = self._compiled()
        seconds = perf_counter() - start - writing
        memory = self._check_memory(order)
        operations = len([x for x in below if x.inputs])
        names = [" ".join(program.accelerator.found())] if isinstance(program.accelerator, Native) else []
        self.figures = Figures(operations, seconds, writing, memory, names, 0, numpy_seconds(below), "native")
        self.function = self._quick()
        self._rooms: list[dict[Segment, _Room]] = []

    # segments

    def _cut(self, order: Sequence[Node], given: set[Node]) -> list[Segment | Node]:
        """Runs of operations that C does, as long as they can be, and operations that NumPy does between them."""
        made = [x for x in order if x not in given]
        users: dict[Node, list[Node]] = {}
        for x in made:
            for i in x.inputs:
                users.setdefault(i, []).append(x)
        steps: list[Segment | Node] = []
        for k, stage in sorted(_stages(made, self._done_by_c(made, users)).items()):
            steps += stage if k % 2 else self._segment(stage, users)
        return steps

    def _done_by_c(self, made: Sequence[Node], users: Mapping[Node, Sequence[Node]]) -> dict[Node, bool]:
        by_c: dict[Node, bool] = {}
        for x in made:
            by_c[x] = by_c.get(x.inputs[0], False) if x.op is loop_result else native.is_written(x)
        for x in reversed(made):  # what NumPy needs of what it has made, it looks at itself
            if x.op.shares == "always" and not by_c.get(x.inputs[0], True):
                by_c[x] = all([by_c[user] for user in users.get(x, [])]) and x not in self._targets
        return by_c

    def _segment(self, stage: Sequence[Node], users: Mapping[Node, Sequence[Node]]) -> list[Segment] | list[Node]:
        """A function of what C does at a time, or the numbers that are all that it would give."""
        own, targets = set(stage), set(self._targets)
        inputs = list(dict.fromkeys([i for x in stage for i in x.inputs if i not in own]))
        needed = [x for x in stage if x in targets or any([u not in own for u in users.get(x, [])])]
        outputs = [x for x in needed if _has_array(x)]
        if all([x.op.name == "literal" for x in outputs]):
            return outputs
        return [Segment(inputs, outputs, self._fixed, targets)]

    def _blas_threads(self, program: Loaded) -> int | None:
        """Threads for the products of matrices that NumPy does, None where there are none."""
        products = [x.inputs for x in self._steps if isinstance(x, Node) and isinstance(x.op.rule, Contraction)]
        if not products:
            return None
        # Short products, such as those of a stack, that each start threads wait for each other.
        large = all([x.rank == 2 and min(x.shape) >= WIDE for inputs in products for x in inputs])
        return program.threads or processors() if large else 1

    def _compiled(self) -> float:
        """Write and compile the segments; the seconds that the compiler took."""
        segments = [step for step in self._steps if isinstance(step, Segment)]
        if not segments:
            return 0.0
        writer = native.Writer()
        functions = []
        for k, segment in enumerate(segments):
            writer.reserved = 0
            functions.append(native.function(writer, f"plan{k}", segment.outputs, segment.inputs))
            segment.memory = writer.reserved
        library, seconds = built(native.text(writer, functions))
        import ctypes

        for k, segment in enumerate(segments):
            function = library[f"plan{k}"]
            function.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
            function.restype = ctypes.c_int
            segment.function = function
        return seconds

    def _check_memory(self, order: Sequence[Node]) -> int:
        """The bytes that a call takes. Raises a LimitError where there are fewer."""
        made = [x for step in self._steps for x in ([step] if isinstance(step, Node) else step.outputs) if x.dtype]
        memory = sum([step.memory for step in self._steps if isinstance(step, Segment)])
        used = memory + sum([bytes_of(x) for x in (*self.moving, *self._fixed, *made)])
        limit = self._program.max_memory
        available = limit if limit is not None else free_memory()
        if available is not None and used > available:
            largest = max(order, key=bytes_of)
            error = too_large(used, "--max-memory allows" if limit is not None else "free are", available, largest)
            error.labels = tuple(self._program.graph.labels(largest))
            raise error
        return used

    # calls

    def _quick(self) -> Callable[..., list[Array]] | None:
        """The function where all is one segment."""
        if len(self._steps) != 1 or not isinstance(self._steps[0], Segment):
            return None
        segment = self._steps[0]
        if segment.outputs != self._targets or not set(segment.moving) <= set(self.moving):
            return None
        places = [self.moving.index(x) for x in segment.moving]
        if segment.moving == self.moving:
            places = []
        free: list[_Room] = []

        def function(*values: Array) -> list[Array]:
            try:
                room = free.pop()
            except IndexError:
                room = segment.room()
            found = segment(room, [values[k] for k in places] if places else values)
            free.append(room)
            return found

        return function

    def __call__(self, values: Mapping[Node, Array]) -> list[Array]:
        """The values of the nodes, in arrays of their own; ``values`` have the leaves' shapes and dtypes."""
        try:
            if self.function is not None:
                return self.function(*[values[x] for x in self.moving])
            return self._stepwise(values)
        except Exception:  # noqa: BLE001  NumPy says which operation failed, and where it stands in the program
            return self._by_numpy(values)

    def _stepwise(self, values: Mapping[Node, Array]) -> list[Array]:
        try:
            rooms = self._rooms.pop()
        except IndexError:
            rooms = {step: step.room() for step in self._steps if isinstance(step, Segment)}
        found: dict[Node, Array] = {**self._fixed, **{x: values[x] for x in self.moving}}
        own: set[Node] = set()
        with np.errstate(all="ignore"), blas.threads(self._threads):
            for step in self._steps:
                if isinstance(step, Segment):
                    found.update(zip(step.outputs, step(rooms[step], [found[x] for x in step.moving]), strict=True))
                    own.update(step.outputs)
                else:
                    found[step] = self._by_call[step](*[found[x] for x in step.inputs])
        results = []
        for x in self._targets:
            y = found[x]
            results.append(y if x in own else np.array(y, x.dtype, order="C"))
            own.discard(x)
        self._rooms.append(rooms)
        return results

    def _by_numpy(self, values: Mapping[Node, Array]) -> list[Array]:
        """The same by NumPy, which says which operation failed; or that none did."""
        program = self._program
        if self._plan is None:
            self._plan = program.plan(self._nodes, self._fixed, repeated=True)
        leaves = program.leaf_values(self._plan, {*self._fixed, *values})
        return run(self._plan, {**leaves, **self._fixed, **values}, program.written)


def _call(node: Node) -> Callable[..., Array]:
    """What NumPy does for a node, as a function of its inputs."""
    if node.op.name == "literal":
        return lambda: kernel_value(np, node)
    formula = lowered_call(np, node).formula
    assert formula is not None
    scope = Scope(np=np)
    names = [f"a{k}" for k in range(len(node.inputs))]
    text = formula.text.format(*names, **scope.named(formula, ""))
    return scope.function(", ".join(names), [f"return {text}"])


def _has_array(x: Node) -> bool:
    """Whether a node has a value that is an array: a run of a loop has several."""
    return x.op.name != "loop_run"


def evaluate(program: Loaded, nodes: Sequence[Node]) -> list[Array]:
    """The values of nodes by C and NumPy: all that the program gives is an argument."""
    if not nodes:
        return []
    accelerator = program.accelerator
    assert isinstance(accelerator, Native)
    below = cone(nodes)
    given = [x for x in below if x.op.given and x.op.name not in ("leaf", "literal") and not x.inputs]
    leaves = [x for x in below if x.op.name == "leaf"]
    function = Compiled(program, nodes, leaves, given)
    plain = program.with_accelerator(None).with_record(None)
    values = dict(zip(given, plain.evaluate(given), strict=True))
    values |= {x: plain.leaf_value(x) for x in leaves if x in function.leaves}
    start = perf_counter()
    results = function(values)
    seconds = perf_counter() - start
    if program.record is not None:
        program.record.compiled.append((function.figures, seconds))
    if accelerator.heard is not None:
        accelerator.heard(function.figures, seconds)
    return results
