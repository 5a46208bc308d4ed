"""The derivative of an operation in words, made from the rule that the engine uses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import (
    Contraction,
    Elementwise,
    Linear,
    NoDerivative,
    Operation,
    Product,
    Repeated,
    SameAs,
    Select,
    Tangent,
    Zero,
)
from gradcli.graph.ops.ruled import Rule
from gradcli.graph.ops.words.english import WORDS
from gradcli.graph.ops.words.language import expression
from gradcli.graph.printing import attribute


def describe_derivative(op: Operation, node: Node | None = None) -> str:
    """One line: ``d/dx = 1 - y * y`` with y the result, or what kind of rule it is.

    With a ``node`` of the operation it is about that: its attributes stand in the formula, not their defaults.
    """
    rule = op.rule
    if node is not None and isinstance(node.attrs.get("rule"), Rule) and node.attrs["rule"].itself is not None:
        return WORDS["minimize"]
    if op.name in WORDS and not (node is not None and isinstance(rule, Elementwise)):
        return WORDS[op.name]
    if op.family == "language":
        return "none: known before anything is evaluated"
    if op.family == "creation":
        return "none"
    if op.expand is not None and op.kernel is None:
        return f"that of {op.formula}"
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
            return "linear"
        case Elementwise():
            return _partials(op, rule, _attributes(op, node))
        case SameAs():
            return f"that of {op.formula}"
        case Tangent():
            return _tangent(op, rule, node)
        case Repeated():
            return "that of the body, step by step"


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
        try:
            p = 0 if isinstance(partial, Zero) else partial(y, *xs)
        except GradcliError:
            parts.append(f"by {names[x]} not known")
            continue
        if isinstance(p, Node) and isinstance(p.op.rule, Select) and p.inputs[2].op.connects:
            p = p.inputs[1]
        text = expression(p, names).text if isinstance(p, Node) else str(p)
        if isinstance(p, Node) and isinstance(p.op.rule, Linear) and p.inputs[-1].op.connects:
            text = expression(p.inputs[0], names).text
        used = used or (isinstance(p, Node) and y in cone([p], stop=xs))
        parts.append(f"d/d{names[x]} = {text}")
    return ", ".join(parts) + (f" ({result} = {_formula(op, attrs)})" if used else "")


def _formula(op: Operation, attrs: dict[str, Any]) -> str:
    """The formula of an operation, with these values for its parameters."""
    return re.sub(r"\w+", lambda word: attribute(attrs[word[0]]) if word[0] in attrs else word[0], op.formula)


def _tangent(op: Operation, rule: Tangent, node: Node | None) -> str:
    from gradcli.graph.ops.creation import tangent

    usual: tuple[int, ...] = (2, 2) if rule.matrix or op.flow == "matrices" else (2,)
    xs = _inputs(op, [x.shape for x in node.inputs] if node is not None else [usual] * len(op.parameters))
    y = op(*xs, **_attributes(op, node))
    names = {x: str(x.attrs["name"]) for x in xs} | {y: "y"}
    parts: list[str] = []
    for i, x in enumerate(xs):
        dx = Node(tangent, (), {}, x.shape, x.dtype, False)
        moved = [dx if k == i else None for k in range(len(xs))]
        parts.append(expression(rule.tangent(y, xs, moved), {**names, dx: f"d{names[x]}"}).text)
    return "dy = " + " + ".join(parts)
