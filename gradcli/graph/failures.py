"""Operations that fail on their values: which one it was, and the error for users."""

from __future__ import annotations

from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node


class Failure(Exception):  # noqa: N818  it wraps an error
    """An operation that failed, and why; ``steps`` are those of the loops around it, as "step 5 of 20", inner ones first."""

    def __init__(self, node: Node, reason: Exception) -> None:
        super().__init__(str(reason))
        self.node = node
        self.reason = reason
        self.steps: list[str] = []

    def within(self, step: int, count: int) -> Failure:
        """The same failure, in a step of a loop (0: before the first)."""
        if step:
            self.steps.append(f"step {step} of {count}")
        return self


def explained(np: Any, name: str, problem: Exception) -> GradcliError:
    """What the kernel of an operation raised, as an error for users; what no kernel should raise goes on as it is."""
    if isinstance(problem, GradcliError):
        return problem
    if isinstance(problem, MemoryError):
        return GradcliError("LimitError", f"no memory for the result of {name}")
    if isinstance(problem, np.linalg.LinAlgError):
        return _of_linear_algebra(name, problem)
    if isinstance(problem, IndexError):
        return GradcliError("ValueError", str(problem).replace("out of bounds", "out of range"))
    if isinstance(problem, (ValueError, TypeError, OverflowError, ArithmeticError)):
        return GradcliError("ValueError", f"{name} failed: {problem}")
    raise problem


def _of_linear_algebra(name: str, problem: Exception) -> GradcliError:
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
