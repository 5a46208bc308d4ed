"""Why a loss or its gradient is NaN or infinite: a number of the data that is, or the operation that makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradcli.data import first_not_finite
from gradcli.diagnostics import GradcliError, Label
from gradcli.features.fit.objective import NotFiniteError, Objective, leaf_array
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.creation import Data, data_of
from gradcli.graph.types import show_entry

if TYPE_CHECKING:
    from gradcli.features.trace.answer import Finding


def explain(objective: Objective, problem: NotFiniteError) -> None:
    """Add to a problem of an objective where it comes from, as far as that can be found out.

    It is traced at the values of the problem, which takes more memory than a step: what must not be lost is safe before.
    """
    finding = _finding(objective, problem)
    if finding is None or len(finding.operands) == 1:  # it is not an operation that is to blame, but a number
        for node in cone([objective.y]):
            held = _held(objective, node)
            if held is not None:
                problem.message += f": {held}"
                problem.help = None
                return
    if finding is not None:
        problem.message += f": {finding.message}"
        problem.labels = (Label(finding.span),) if finding.span is not None else problem.labels
        # A guard such as `where(x > 0, log(x), 0)` would make another loss, which may fall for ever.
        problem.help = "; ".join(filter(None, [finding.fact, problem.help])) or None


def _finding(objective: Objective, problem: NotFiniteError) -> Finding | None:
    """Where NaN or infinity begins at the values of a problem; None where that is not known."""
    from gradcli.features.trace.answer import trace_gradients

    if problem.values is None:
        return None
    try:
        traced = trace_gradients(
            objective.program.with_values(problem.values), [objective.name], objective.variables, [problem.order]
        )  # fmt: skip
    except (GradcliError, MemoryError):
        return None
    return traced.finding if traced is not None else None


def _held(objective: Objective, node: Node) -> str | None:
    """The first NaN or infinity that a constant holds, or a file that is loaded without one."""
    if not node.risky or node.op.name not in ("leaf", "array") or node.attrs.get("name") in objective.variables:
        return None
    program = objective.program
    if node.op.name == "leaf":
        name = str(node.attrs["name"])
        array = leaf_array(program, name)
        initial = program.graph.initial[node]
        data = data_of(initial)
        origin = program.origins.get(name) or _origin(data)
        if initial is None or initial.shape != node.shape:
            origin = None  # one number that fills a shape
    else:
        label = program.locate(node)
        name = label.span.text if label else "a number"
        data = data_of(node)
        origin = _origin(data)
        array = data.array if data else program.evaluate([node])[0]
    place = first_not_finite(array)
    if place is None:
        return None
    entry = show_entry(name, place)
    where = None
    if origin is not None:
        from gradcli.data.reading import place_in_file

        where = place_in_file(*origin, place)
    return f"`{entry}` is {float(array[place])}" + (f" ({where})" if where else "")


def _origin(data: Data | None) -> tuple[str, str | None] | None:
    """The file and the key of data that has the rows of the file."""
    origin = data.origin if data is not None else None
    return None if origin is None or origin.missing == "drop" else (origin.path, origin.key)
