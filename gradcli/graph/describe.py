"""The derivative of an operation in words, made from the rule that the engine uses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gradcli.graph.node import Node, cone
from gradcli.graph.operation import (
    Contraction,
    Elementwise,
    Linear,
    NoDerivative,
    Operation,
    Product,
    SameAs,
    Select,
    Tangent,
    Zero,
)
from gradcli.graph.printing import attribute, expression

_MATRICES = {"inv", "det", "logdet", "cholesky", "solve"}


IN_WORDS = {
    "reshape": "linear: the gradient takes the shape of x", "expand_dims": "linear: the gradient takes the shape of x",
    "squeeze": "linear: the gradient takes the shape of x", "broadcast_to": "linear: the gradient is summed over the copies",
    "tile": "linear: the gradient is summed over the copies", "repeat": "linear: the gradient is summed over the copies",
    "transpose": "linear: the gradient, its axes put back", "flip": "linear: the gradient, reversed back",
    "roll": "linear: the gradient, shifted back", "concat": "linear: each value gets its part of the gradient",
    "stack": "linear: each value gets its part of the gradient", "pad": "linear: the gradient without the border",
    "index": "linear: the gradient at the entries that are taken, 0 elsewhere", "unindex": "linear: the gradient at the entries of x",
    "diagonal": "linear: the gradient on the diagonal", "embed_diagonal": "linear: the diagonal of the gradient",
    "take_along": "linear: the gradient is added up at the indices", "scatter_along": "linear in g: the gradient at the indices", "scatter_add": "linear in g: the gradient at the indices",
    "expand_delta": "linear: the diagonal of the gradient", "collect_delta": "linear: the gradient on the diagonal",
    "gather": "linear: the gradient is added up at the indices", "sort": "linear: the gradient, put back in the order of x",
    "sum": "linear: the gradient is spread over the summed entries",
    "mean": "linear: the gradient over n is spread over the n entries",
    "cumsum": "linear: the gradient, summed from the other end", "tril": "linear: the gradient, with the same zeros",
    "triu": "linear: the gradient, with the same zeros", "cast": "d/dx = 1; to an integer or bool None",
    "identity": "d/dx = 1", "diag": "linear: diag of the gradient", "trace": "linear: the gradient on the diagonal",
    "matmul": "linear in each operand: g @ b.T for a, a.T @ g for b",
    "outer": "linear in each operand: g @ b for a, g.T @ a for b",
    "einsum": "linear in each operand: einsum of the gradient and the others", "full": "the value gets the sum of the gradient",
    "dot": "linear in each operand: for vectors b * g for a, a * g for b",
    "random_normal": "linear in mean and stddev, as mean + stddev * z with z drawn from N(0, 1)",
    "random_uniform": "linear in minval and maxval, as minval + (maxval - minval) * z with z drawn from U(0, 1)",
    "prod": "for each entry the product of the others", "cumprod": "for each entry the products of the others",
    "cholesky": "dy = y @ f(solve(y, solve(y, (da + da.T) / 2).T).T), f: lower triangle, half the diagonal",
}  # fmt: skip
"""What a formula would not say better; g is the gradient of the result."""


def describe_derivative(op: Operation, node: Node | None = None) -> str:
    """One line: ``d/dx = 1 - y * y`` with y the result, or what kind of rule it is.

    With a ``node`` of the operation it is about that: its attributes stand in the formula, not their defaults.
    """
    if op.name in IN_WORDS:
        return IN_WORDS[op.name]
    if op.family == "language":
        again = op.name in ("gradients", "jacobian", "hessian", "jvp", "hvp", "taylor", "iterate")
        return (
            "an expression like any other, differentiable again"
            if again
            else "none: known before anything is evaluated"
        )
    if op.family == "creation":
        return "none"
    if op.expand is not None and op.kernel is None:
        return f"that of {op.formula}"
    rule = op.rule
    match rule:
        case Elementwise() if all(p is None for p in rule.partials):
            return "none: the gradient is None"
        case NoDerivative():
            return "none: the gradient is None"
        case Product():
            return "d/da = b, d/db = a"
        case Select():
            return "1 for the branch that is taken; the other contributes exactly nothing"
        case Contraction():
            return "linear in each operand"
        case Linear():
            return {
                "add": "d/da = 1, d/db = 1", "subtract": "d/da = 1, d/db = -1", "neg": "d/dx = -1",
            }.get(op.name, "linear")  # fmt: skip
        case Elementwise():
            return _partials(op, rule, _attributes(op, node))
        case SameAs():
            if op.name in ("maximum", "minimum"):
                return f"that of {op.formula}"
            special = {"relu": "that of where(x > 0, x, 0)", "max": "1 for the largest entry, shared by ties",
                       "min": "1 for the smallest entry, shared by ties"}  # fmt: skip
            return special.get(op.name, f"that of {op.formula}")
        case Tangent():
            return _tangent(op, rule, node)


def _attributes(op: Operation, node: Node | None) -> dict[str, Any]:
    """What a call of the operation is given beside its inputs to be like a node."""
    return {p.name: node.attrs[p.name] for p in op.parameters if p.name in node.attrs} if node is not None else {}


def _inputs(op: Operation, shapes: Sequence[tuple[int, ...]]) -> list[Node]:
    from gradcli.graph.ops.creation import make_leaf

    names = [p.name for p in op.parameters if p.one_tensor]
    return [make_leaf(name, "variable", shape, "float64", False) for name, shape in zip(names, shapes, strict=False)]


def _partials(op: Operation, rule: Elementwise, attrs: dict[str, Any]) -> str:
    xs = _inputs(op, [()] * len(op.parameters))
    y = op(*xs, **attrs)
    result = "result" if any(x.attrs["name"] == "y" for x in xs) else "y"
    names = {x: str(x.attrs["name"]) for x in xs} | {y: result}
    parts: list[str] = []
    used = False
    for x, partial in zip(xs, rule.partials, strict=True):
        if partial is None:
            continue
        p = 0 if isinstance(partial, Zero) else partial(y, *xs)
        if isinstance(p, Node) and p.op.name == "where" and p.inputs[2].op.name == "zero":
            p = p.inputs[1]
        text = expression(p, names).text if isinstance(p, Node) else str(p)
        if isinstance(p, Node) and p.op.name == "add" and p.inputs[1].op.name == "link":
            text = expression(p.inputs[0], names).text
        used = used or (isinstance(p, Node) and y in cone([p], stop=xs))
        parts.append(f"d/d{names[x]} = {text}")
    return ", ".join(parts) + (f" ({result} = {_formula(op, attrs)})" if used else "")


def _formula(op: Operation, attrs: dict[str, Any]) -> str:
    """The formula of an operation, with these values for its parameters."""
    return re.sub(r"\w+", lambda word: attribute(attrs[word[0]]) if word[0] in attrs else word[0], op.formula)


def _tangent(op: Operation, rule: Tangent, node: Node | None) -> str:
    from gradcli.graph.ops.creation import tangent

    usual: tuple[int, ...] = (2, 2) if op.name in _MATRICES else (2,)
    xs = _inputs(op, [x.shape for x in node.inputs] if node is not None else [usual] * len(op.parameters))
    y = op(*xs, **_attributes(op, node))
    names = {x: str(x.attrs["name"]) for x in xs} | {y: "y"}
    parts: list[str] = []
    for i, x in enumerate(xs):
        dx = Node(tangent, (), {}, x.shape, x.dtype, False)
        moved = [dx if k == i else None for k in range(len(xs))]
        parts.append(expression(rule.tangent(y, xs, moved), {**names, dx: f"d{names[x]}"}).text)
    return "dy = " + " + ".join(parts)
