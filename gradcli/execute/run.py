"""Runs a graph: inputs before users, each array freed after its last use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradcli.diagnostics import GradcliError, Label
from gradcli.execute.plan import Plan
from gradcli.graph.node import Node

Locate = Callable[[Node], "Label | None"]


def run(plan: Plan, leaves: Mapping[Node, Any], locate: Locate | None = None) -> list[Any]:
    """The values of the plan's targets as NumPy arrays that share no memory with the inputs.

    ``leaves`` holds the value of every leaf that the plan needs. Raises GradcliError where an operation fails on its
    values (a singular matrix, a conversion of NaN to an integer), with the label that ``locate`` gives its node.
    """
    import numpy as np

    values: list[Any] = [None] * len(plan.nodes)
    steps = plan.nodes
    with np.errstate(all="ignore"):
        for position, node in enumerate(steps):
            op = node.op
            try:
                if op.name == "literal":
                    values[position] = getattr(np, "bool_" if node.dtype == "bool" else node.dtype)(node.attrs["value"])
                elif op.name == "leaf":
                    values[position] = leaves[node]
                else:
                    assert op.kernel is not None
                    values[position] = op.kernel(np, *[values[i] for i in plan.inputs[position]], **node.attrs)
            except GradcliError as error:
                raise _located(error, node, plan, locate) from None
            except MemoryError:
                raise _located(
                    GradcliError("LimitError", f"no memory for the result of {op.name}"), node, plan, locate
                ) from None
            except np.linalg.LinAlgError as problem:
                raise _located(_linear_algebra_error(op.name, problem), node, plan, locate) from None
            except (ValueError, TypeError, IndexError, OverflowError, ArithmeticError) as problem:
                failure = GradcliError("ValueError", f"{op.name} failed: {problem}")
                raise _located(failure, node, plan, locate) from problem
            for dead in plan.frees[position]:
                values[dead] = None
        given = [v for v in leaves.values() if isinstance(v, np.ndarray)]
        results: list[Any] = []
        for i, node in zip(plan.targets, plan.target_nodes, strict=True):
            results.append(_owned(np, values[i], node, [*given, *results]))
        return results


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
