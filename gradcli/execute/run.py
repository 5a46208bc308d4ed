"""Runs a graph: inputs before users, each array freed after its last use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError, Label
from gradcli.execute import order
from gradcli.execute.plan import Plan
from gradcli.graph.failures import Failure, explained
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import kernel_value
from gradcli.graph.ops.kernels import IntegerOverflowError
from gradcli.graph.types import is_integer

if TYPE_CHECKING:
    from gradcli.execute.loop import Loop
    from gradcli.execute.profile import Record

Locate = Callable[[Node], "tuple[str, list[Label]]"]
"""The name of the operation that the user wrote for a node, and where it stands."""


def run(
    plan: Plan,
    leaves: Mapping[Node, Any],
    locate: Locate | None = None,
    record: Record | None = None,
    out: Sequence[Any] = (),
) -> list[Any]:
    """The values of the plan's targets as NumPy arrays that share no memory with the inputs.

    ``out`` has for each target an array that its value is written to, of its shape and dtype, or None; these share no
    memory with each other or with the inputs, and hold anything after an error.
    ``leaves`` holds the value of every leaf that the plan needs. Raises GradcliError where an operation fails on its
    values (a singular matrix, a conversion of NaN to an integer), named and labelled as ``locate`` says of its node. With a
    ``record`` each step is timed.
    """
    import numpy as np

    if record is not None:
        record.plans.append(plan)
    into = dict(zip(plan.target_nodes, out, strict=False))
    run = _Run(np, plan, leaves, locate, record, {x: a for x, a in into.items() if a is not None})
    values = run.values
    with np.errstate(all="ignore"), plan.blas():
        for unit, frees in zip(plan.units, plan.frees, strict=True):
            if isinstance(unit, int):
                run.operation(unit)
            else:
                run.loop(unit)
            for dead in frees:
                values[dead] = None
        taken = {_memory(np, v) for v in (*leaves.values(), *out) if isinstance(v, np.ndarray)}
        found = [values[i] for i in plan.targets]
        for k, array in enumerate(out):
            if array is not None:
                if found[k] is not array:
                    np.copyto(array, found[k])
                found[k] = array
        given = [k < len(out) and out[k] is not None for k in range(len(found))]
        return [
            value if own else _owned(np, value, node, taken)
            for value, node, own in zip(found, plan.target_nodes, given, strict=True)
        ]


class _Run:
    """The values of a plan's nodes while it runs."""

    __slots__ = ("leaves", "locate", "np", "out", "plan", "record", "values")

    def __init__(
        self,
        np: Any,
        plan: Plan,
        leaves: Mapping[Node, Any],
        locate: Locate | None,
        record: Record | None,
        out: Mapping[Node, Any],
    ) -> None:
        self.np = np
        self.plan = plan
        self.leaves = leaves
        self.locate = locate
        self.record = record
        self.out = out
        self.values: list[Any] = [None] * len(plan.nodes)

    def operation(self, position: int) -> None:
        """One operation on whole arrays."""
        np, plan, values = self.np, self.plan, self.values
        node = plan.nodes[position]
        op = node.op
        if op.name == "leaf" or node in plan.known:
            value = self.leaves[node]
            values[position] = order.arranged(np, value) if plan.ordered and node.shape else value
            return
        start = self.record.clock() if self.record is not None else 0.0
        try:
            values[position] = kernel_value(np, node, [values[i] for i in plan.inputs[position]])
        except Exception as problem:
            raise self._failed(node, problem) from problem
        if self.record is not None and op.name != "literal":
            self.record.add(plan, node, self.record.clock() - start)

    def loop(self, loop: Loop) -> None:
        """A loop over tiles."""
        position, record = self.plan.position, self.record
        try:
            values = {node: self.values[position[node]] for node, _ in loop.reads}
            results = loop.run(values, record.clock if record is not None else None, self.out)
        except Exception as problem:
            raise self._failed(None, problem) from problem
        if record is not None:
            for node, seconds in loop.times():
                record.add(self.plan, node, seconds, loop.tiles)
        for node, value in results.items():
            self.values[position[node]] = value

    def _failed(self, node: Node | None, problem: Exception) -> GradcliError:
        """The error for users of what went wrong in a node, or in one that the problem names."""
        steps: list[str] = []
        if isinstance(problem, Failure):
            node, steps, problem = problem.node, problem.steps, problem.reason
        if node is None:
            raise problem
        name = node.op.name
        labels: list[Label] = []
        if self.locate is not None:
            name, labels = self.locate(self.plan.original.get(node, node))
        error = explained(self.np, name, problem)
        if isinstance(problem, IntegerOverflowError):
            error.help = _as_floats(self.np, node, self.leaves)
        message = f"{error.message} (in {', '.join(steps)})" if steps else error.message
        return GradcliError(error.kind, message, error.labels or labels, error.help, error.operands)


def _as_floats(np: Any, node: Node, leaves: Mapping[Node, Any]) -> str:
    """What to write for integers that grow too large: the largest number that a result is made of as a float."""
    found: list[tuple[int, str]] = []
    for x in cone([node]):
        if is_integer(x.dtype) and x.op.given:
            value = leaves.get(x, x.attrs.get("value", x.attrs.get("values", ())))
            largest = max(np.ravel(value).tolist(), key=abs, default=0)
            name = (
                f"{x.attrs['name']} = " if x.op.name == "leaf" and x.attrs["kind"] in ("variable", "constant") else ""
            )
            found.append((abs(largest), f"{name}{largest}.0" if not np.shape(value) else f"{name}[{largest}.0, …]"))
    return f"make it a float: `{max(found)[1]}`" if found else "keep it a float: `cast(x, float64)`"


def _owned(np: Any, value: Any, node: Node, taken: set[int]) -> Any:
    """The value as an array of its own in the node's dtype; copied where its memory is ``taken``, which it then is."""
    fresh = (
        isinstance(value, np.ndarray)
        and value.dtype == node.dtype
        and value.flags.c_contiguous
        and value.flags.writeable
        and node.op.name != "array"
        and _memory(np, value) not in taken
    )
    array = value if fresh else np.array(value, dtype=node.dtype, order="C")
    if array.shape != node.shape:
        raise AssertionError(f"{node!r} evaluated to shape {array.shape}")
    taken.add(_memory(np, array))
    return array


def _memory(np: Any, array: Any) -> int:
    """Whose memory an array shows."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return id(array if array.base is None else array.base)
