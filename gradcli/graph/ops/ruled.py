"""Values with a derivative that is not that of how they were computed: by a rule of the program, or of the implicit function theorem.

Such a node has the value of its first input. The others are what its rule is computed from, so that whatever changes the
inputs of nodes (loops, batches, templates) changes those of the rule too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.operation import Operation, Tangent, cast_to, register, substituted
from gradcli.graph.types import Shape


class Rule:
    """A tangent as nodes: linear in ``tangents``, computed from ``parameters``, which stand for the inputs but the first.

    ``tangents[i]`` stands for the tangent of input i, and ``roots[i]`` is what it adds to the tangent of the value; both
    have the same positions i >= 1. ``itself`` stands for the value in the roots, where they use it.
    """

    def __init__(
        self,
        parameters: Sequence[Node],
        tangents: Mapping[int, Node],
        roots: Mapping[int, Node],
        itself: Node | None = None,
    ) -> None:
        self.parameters = tuple(parameters)
        self.tangents = dict(tangents)
        self.roots = dict(roots)
        self.itself = itself
        self.passes = tuple(sorted(self.roots))

    def applied(self, y: Node, i: int, dx: Node) -> Node:
        """What the tangent ``dx`` of input i adds to the tangent of y."""
        new = {p: x for p, x in zip(self.parameters, y.inputs[1:], strict=True) if p is not x}
        if self.itself is not None:
            new[self.itself] = y
        new[self.tangents[i]] = cast_to(dx, self.tangents[i].dtype)
        (root,) = substituted([self.roots[i]], new, self.parameters)
        return root


STEPS = {"root": 50, "minimize": 200}
"""Steps of Newton's method, where a program asks for no other number."""

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
"""Sizes of steps, relative to x, at which the search ends."""


class System:
    """What is solved: ``residual`` (r or a gradient) and ``matrix`` (its Jacobian, [n, n] or scalar), computed from x and parameters.

    With an ``objective`` the residual is its gradient, and a minimum is looked for. ``tol`` is relative to the size of x.
    """

    def __init__(
        self,
        x: Node,
        parameters: Sequence[Node],
        residual: Node,
        matrix: Node,
        objective: Node | None,
        tol: float,
        steps: int,
    ) -> None:
        self.x = x
        self.parameters = tuple(parameters)
        self.residual = residual
        self.matrix = matrix
        self.objective = objective
        self.tol = tol
        self.steps = steps

    @property
    def goal(self) -> Node:
        """What the program's function gives."""
        return self.residual if self.objective is None else self.objective

    def of(self, parameters: Sequence[Node]) -> System:
        """The same system with fewer parameters."""
        return System(self.x, parameters, self.residual, self.matrix, self.objective, self.tol, self.steps)

    @property
    def word(self) -> Literal["root", "minimize"]:
        return "root" if self.objective is None else "minimize"


def no_words(node: Node, where: str) -> GradcliError:
    """The error for what is solved for, where formulas have no word for it."""
    word = node.attrs["system"].word
    help = "write it as a program: `gradcli derive` without a format"
    return GradcliError("ValueError", f"{word} is a search, which no formula of {where} says", help=help)


def _like_first(inputs: Sequence[Node], attrs: dict[str, Any]) -> tuple[Shape, str]:
    return inputs[0].shape, inputs[0].dtype


def _tangent(y: Node, inputs: Sequence[Node], tangents: Sequence[Node | None]) -> Node:
    ((i, dx),) = [(i, dx) for i, dx in enumerate(tangents) if dx is not None]
    rule: Rule = y.attrs["rule"]
    return rule.applied(y, i, dx)


ruled = register(Operation(
    "custom_gradient", "value:tensor, parameters:operands, rule:number", "A value with a derivative of its own.", hidden=True,
    accepts="any", infer=_like_first, shares="always", degree="rule", singular=True,
    kernel=lambda xp, value, *parameters, rule: value,
    rule=Tangent(_tangent, inputs=lambda node: node.attrs["rule"].passes),
))  # fmt: skip
solution = register(Operation(
    "solution", "start:tensor, parameters:operands, system:number", "What solves a system of equations.", hidden=True,
    accepts="any", infer=_like_first, singular=True,
))  # fmt: skip
