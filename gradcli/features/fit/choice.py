"""The method that a fit takes where none is asked for, and why."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from gradcli.diagnostics import GradcliError, counted
from gradcli.features.fit.search import DENSE
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import literal
from gradcli.graph.ops.elementwise import add, divide, multiply, power, sqrt, square
from gradcli.graph.ops.linear_algebra import matmul
from gradcli.graph.ops.reductions import mean, norm, sum_
from gradcli.graph.ops.shaping import reshaped
from gradcli.graph.ops.slicing import concat
from gradcli.graph.types import is_float, size_of
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.features.fit.objective import Objective

ENTRIES = 30_000_000
"""Most entries of a Jacobian that is worth computing."""


class Choice(NamedTuple):
    """A method, and why it is taken."""

    method: str
    why: str


def chosen(objective: Objective, bounds: Mapping[str, object]) -> Choice:
    """The method for a loss: least squares, if it is a sum of squares (the objective then knows of what), or Newton's.

    L-BFGS-B takes what is larger or has bounds. Without SciPy there is Newton's method, and Adam where there are bounds.
    """
    if objective.constraints:
        return Choice("slsqp", "there are constraints")
    count = sum(size_of(leaf.shape) for leaf in objective.leaves.values())
    fitted = f"{counted(count, 'number')} {'is' if count == 1 else 'are'} fitted"
    scipy = find_spec("scipy") is not None
    if count <= DENSE:
        terms = squared_terms(objective) or []
        rows = sum([size_of(term.base.shape) for term in terms])
        if rows > 1 and rows * count <= ENTRIES:
            what = f"`{objective.name}` is a sum of {rows} squares"
            if scipy:
                objective.residuals = joined(objective, terms)
                return Choice("least-squares", what)
            if not bounds:
                return Choice("newton", f"{what}, and least-squares needs SciPy: pip install 'gradcli[scipy]'")
        if not bounds:
            try:
                objective.hessian()
            except GradcliError as problem:
                fitted = f"there is no Hessian: {problem.message}"
            else:
                return Choice("newton", fitted)
    if scipy:
        return Choice("lbfgs", "there are bounds" if bounds and count <= DENSE else fitted)
    built_in = "newton" if not bounds and count > DENSE else "adam"
    return Choice(built_in, f"{fitted}, and lbfgs needs SciPy: pip install 'gradcli[scipy]'")


def as_squares(objective: Objective) -> Choice:
    """Least squares, if the loss is a sum of squares (the objective then knows of what). Raises GradcliError if not."""
    terms = squared_terms(objective)
    if not terms:
        raise GradcliError(
            "ValueError", f"`{objective.name}` is not seen to be a sum of squares",
            help="--sparse is for those, or with `--method least-squares` for residuals",
        )  # fmt: skip
    objective.residuals = joined(objective, terms)
    return Choice("least-squares", f"`{objective.name}` is a sum of {size_of(objective.residuals.shape)} squares")


class Term(NamedTuple):
    """``factor/2`` times the sum of ``weight`` (by default 1) times the squares of ``base``."""

    base: Node
    factor: float
    weight: Node | None

    def residuals(self) -> Node:
        """What it is half the sum of squares of [number of squares]."""
        whole = self.base if self.weight is None else multiply(self.base, sqrt(self.weight))
        return reshaped(whole, (size_of(whole.shape),)) * math.sqrt(self.factor)


def joined(objective: Objective, terms: Sequence[Term]) -> Node:
    """What the sum of terms is half the sum of squares of."""
    with objective.program.graph.derivation.active():
        parts = [term.residuals() for term in terms]
        return parts[0] if len(parts) == 1 else concat(*parts, axis=0)


def moving_nodes(objective: Objective) -> set[Node]:
    """The nodes that what is fitted changes."""
    moving: set[Node] = set(objective.leaves.values())
    for node in cone([objective.y]):
        if any([x in moving for x in node.inputs]):
            moving.add(node)
    return moving


def squared_terms(objective: Objective) -> list[Term] | None:
    """The terms of a loss whose operations show that it is a sum of squares; None for another one.

    Those are sums, means, ``r^2``, ``square(r)``, ``r*r``, ``r @ r`` and ``norm(r)^2``, and multiples and quotients by
    what is positive and not fitted.
    """
    moving = moving_nodes(objective)
    found: list[Term] = []
    todo = [_Part(objective.y, 2.0, None)]
    with objective.program.graph.derivation.active():
        while todo:
            part = todo.pop()
            base = _squared(part.node)
            if not is_float(part.node.dtype):
                return None
            if base is not None:
                base = base.inputs[0] if base.op is norm and part.weight is None else base
                found.append(Term(base, part.factor, part.weight))
                continue
            parts = _parts(objective, moving, part)
            if parts is None:
                return None
            todo += parts
        return found


class _Part(NamedTuple):
    """A summand of the loss: ``factor/2`` times the sum of ``weight`` (by default 1) times ``node``."""

    node: Node
    factor: float
    weight: Node | None


def _parts(objective: Objective, moving: Collection[Node], part: _Part) -> list[_Part] | None:
    """What a sum or a multiple consists of, the last summand first; None for another operation."""
    node = part.node
    if node.op in (sum_, mean) and part.weight is None and len(node.inputs) == 1:
        (x,) = node.inputs
        count = size_of(x.shape) // max(size_of(node.shape), 1) if node.op is mean else 1
        return [_Part(x, part.factor / count, None)] if count else None
    if node.op is add and all([x.shape == node.shape for x in node.inputs]):
        return [part._replace(node=x) for x in reversed(node.inputs)]
    if node.op in (multiply, divide):
        return _multiple(objective, moving, part)
    return None


def _multiple(objective: Objective, moving: Collection[Node], part: _Part) -> list[_Part] | None:
    """The factor that is fitted of a product or quotient by what is positive and not fitted."""
    node = part.node
    fitted = [x for x in node.inputs if x in moving]
    others = [x for x in node.inputs if x not in moving]
    if len(fitted) != 1 or len(others) != 1 or fitted[0].shape != node.shape:
        return None
    (x,), (other,) = fitted, others
    scale = _positive(objective, other) if node.op is multiply or x is node.inputs[0] else None
    if scale is None:
        return None
    if node.op is divide:
        scale = divide(literal(1.0, scale.dtype), scale)
    if size_of(other.shape) == 1:
        (value,) = objective.program.evaluate([scale])
        return [_Part(x, part.factor * float(value.reshape(())), part.weight)]
    return [_Part(x, part.factor, scale if part.weight is None else multiply(part.weight, scale))]


def _squared(node: Node) -> Node | None:
    """What a node is the square of, in the forms that programs have for it."""
    if node.op is square:
        return node.inputs[0]
    if node.op is power and node.inputs[1].op.name == "literal" and node.inputs[1].attrs["value"] == 2:
        return node.inputs[0]
    if node.op in (multiply, matmul) and node.inputs[0] is node.inputs[1]:
        return node.inputs[0] if node.op is multiply or node.inputs[0].rank == 1 else None
    return None


def _positive(objective: Objective, node: Node) -> Node | None:
    """A node that is not fitted, if all of its entries are positive and finite."""
    import numpy as np

    try:
        (value,) = objective.program.evaluate([node])
    except GradcliError:
        return None
    return node if bool(np.all((value > 0) & np.isfinite(value))) else None
