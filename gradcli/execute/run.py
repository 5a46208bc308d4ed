"""Runs a graph: inputs before users, each array freed after its last use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError, Label
from gradcli.execute.plan import Plan
from gradcli.graph.node import Node

if TYPE_CHECKING:
    from gradcli.execute.loop import Loop
    from gradcli.execute.profile import Record

Locate = Callable[[Node], "Label | None"]


def run(
    plan: Plan, leaves: Mapping[Node, Any], locate: Locate | None = None, record: Record | None = None
) -> list[Any]:
    """The values of the plan's targets as NumPy arrays that share no memory with the inputs.

    ``leaves`` holds the value of every leaf that the plan needs. Raises GradcliError where an operation fails on its
    values (a singular matrix, a conversion of NaN to an integer), with the label that ``locate`` gives its node. With a
    ``record`` each step is timed.
    """
    import numpy as np

    values: list[Any] = [None] * len(plan.nodes)
    with np.errstate(all="ignore"), plan.blas():
        for unit, frees in zip(plan.units, plan.frees, strict=True):
            if record is not None:
                _timed(np, plan, unit, values, leaves, locate, record)
            elif isinstance(unit, int):
                _operation(np, plan, unit, values, leaves, locate)
            else:
                _loop(np, plan, unit, values, locate)
            for dead in frees:
                values[dead] = None
        given = [v for v in leaves.values() if isinstance(v, np.ndarray)]
        results: list[Any] = []
        for i, node in zip(plan.targets, plan.target_nodes, strict=True):
            results.append(_owned(np, values[i], node, [*given, *results]))
        return results


def _operation(
    np: Any, plan: Plan, position: int, values: list[Any], leaves: Mapping[Node, Any], locate: Locate | None
) -> None:
    """One operation on whole arrays."""
    node = plan.nodes[position]
    op = node.op
    try:
        if op.name == "literal":
            values[position] = getattr(np, "bool_" if node.dtype == "bool" else node.dtype)(node.attrs["value"])
        elif op.name == "leaf" or node in plan.known:
            values[position] = leaves[node]
        else:
            assert op.kernel is not None
            values[position] = op.kernel(np, *[values[i] for i in plan.inputs[position]], **node.attrs)
    except Exception as problem:
        raise _located(_explained(np, op.name, problem), node, plan, locate) from problem


def _timed(
    np: Any, plan: Plan, unit: int | Loop, values: list[Any], leaves: Mapping[Node, Any], locate: Locate | None,
    record: Record,
) -> None:  # fmt: skip
    """The same, timed."""
    if not isinstance(unit, int):
        _loop(np, plan, unit, values, locate, record)
        return
    start = record.clock()
    _operation(np, plan, unit, values, leaves, locate)
    node = plan.nodes[unit]
    if node.op.name not in ("leaf", "literal"):
        record.add(plan, node, record.clock() - start)


def _loop(
    np: Any, plan: Plan, loop: Loop, values: list[Any], locate: Locate | None, record: Record | None = None
) -> None:
    """A loop over tiles."""
    from gradcli.execute.loop import Failure

    position = plan.position
    try:
        clock = record.clock if record is not None else None
        results = loop.run({node: values[position[node]] for node, _ in loop.reads}, clock)
    except Failure as failure:
        problem = _explained(np, failure.node.op.name, failure.reason)
        raise _located(problem, failure.node, plan, locate) from failure.reason
    if record is not None:
        for node, seconds in loop.times():
            record.add(plan, node, seconds, loop.tiles)
    for node, value in results.items():
        values[position[node]] = value


def _explained(np: Any, name: str, problem: Exception) -> GradcliError:
    """What a kernel raised, as an error for users; what no kernel should raise goes on as it is."""
    if isinstance(problem, GradcliError):
        return problem
    if isinstance(problem, MemoryError):
        return GradcliError("LimitError", f"no memory for the result of {name}")
    if isinstance(problem, np.linalg.LinAlgError):
        return _linear_algebra_error(name, problem)
    if isinstance(problem, (ValueError, TypeError, IndexError, OverflowError, ArithmeticError)):
        return GradcliError("ValueError", f"{name} failed: {problem}")
    raise problem


def evaluate(targets: Sequence[Node], leaves: Mapping[Node, Any], locate: Locate | None = None) -> list[Any]:
    """The values of nodes, planned and run at once."""
    return run(Plan(targets), leaves, locate)


def _owned(np: Any, value: Any, node: Node, others: Sequence[Any]) -> Any:
    """The value as an array of its own in the node's dtype; copied only where it shares memory with another."""
    fresh = (
        isinstance(value, np.ndarray)
        and value.dtype == node.dtype
        and value.flags.c_contiguous
        and value.flags.writeable
        and node.op.name != "array"
        and not any(np.may_share_memory(value, other) for other in others)
    )
    array = value if fresh else np.array(value, dtype=node.dtype, order="C")
    if array.shape != node.shape:
        raise AssertionError(f"{node!r} evaluated to shape {array.shape}")
    return array


def _linear_algebra_error(name: str, problem: Exception) -> GradcliError:
    text = str(problem).lower()
    if "positive definite" in text:
        return GradcliError(
            "ValueError",
            f"{name}: the matrix is not positive definite",
            help="add a multiple of the identity: `a + 1e-6 * eye(n)`",
        )
    if "singular" in text:
        return GradcliError(
            "ValueError",
            f"{name}: the matrix is singular, it has no inverse",
            help="check for equal or zero rows, or add a multiple of the identity: `a + 1e-6 * eye(n)`",
        )
    return GradcliError("ValueError", f"{name}: {problem}")


def _located(error: GradcliError, node: Node, plan: Plan, locate: Locate | None) -> GradcliError:
    label = locate(plan.original.get(node, node)) if locate is not None and not error.labels else None
    if label is not None:
        error.labels = (label,)
    return error
