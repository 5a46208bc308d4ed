"""The edit that would let a gradient pass where it is cut."""

from __future__ import annotations

from gradcli.autodiff.connection import Cut, in_body
from gradcli.diagnostics import on_one_line
from gradcli.graph.node import Node
from gradcli.graph.operation import Repeated
from gradcli.graph.ops.ruled import ruled
from gradcli.language.values import Elaborated

_SMOOTH = {
    "floor": "let the gradient pass as if it were not rounded: `x + stop_gradient(floor(x) - x)`",
    "ceil": "let the gradient pass as if it were not rounded: `x + stop_gradient(ceil(x) - x)`",
    "round": "let the gradient pass as if it were not rounded: `x + stop_gradient(round(x) - x)`",
    "trunc": "let the gradient pass as if it were not rounded: `x + stop_gradient(trunc(x) - x)`",
    "floor_divide": "divide without rounding: `a / b`",
    "argmax": "weigh all positions in place of choosing one: `softmax(x / t)` with a small t",
    "argmin": "weigh all positions in place of choosing one: `softmax(-x / t)` with a small t",
    "argsort": "use the sorted values, `sort(x)`, which have a gradient",
    "zeros_like": "use x itself: only its shape is used here",
    "ones_like": "use x itself: only its shape is used here",
    "where": "mix both branches by a smooth weight: `s*a + (1 - s)*b` with `s = sigmoid(k*…)` for the condition",
    "any": "use a smooth measure: `max(…)` of the values that are compared",
    "all": "use a smooth measure: `min(…)` of the values that are compared",
    "one_hot": "use float weights in place of an index",
    "gather": "use float weights in place of an index: `weights @ x`",
    "take_along": "use float weights in place of an index",
}

_SPANS_UP_TO = 60


def remedy(program: Elaborated, cut: Cut) -> str:
    """What to write in place of the node of a cut, or which option to leave out."""
    node = cut.node
    assert node is not None
    if cut.kind == "stopped":
        name = name_of(program, node)
        return f"leave {name or 'it'} out of --stop" if name else "leave it out of the stops"
    if isinstance(node.op.rule, Repeated):
        within = in_body(cut)
        return "use it in each step" if within is None else remedy(program, within)
    op = node.op.name
    if op == "stop_gradient":
        inner = _argument(program, node)
        return f"write `{inner}` in its place" if inner else "write its argument in its place"
    if node.op.compares or node.op.accepts == "bool" and node.op.entrywise:
        return "use a smooth step in its place: `sigmoid(k*(a - b))` for `a > b`, with a large k"
    if node.op is ruled:
        if node.attrs["rule"].itself is not None:
            return "let the function that is solved for use it: its gradient goes through that"
        return "name a tangent for it too: `tangent f(x, k, dx, dk) = …`"
    if op == "cast" and node.inputs[0].dtype == "bool":
        return "use a float in place of the bool: `sigmoid(k*(a - b))` for `a > b`, with a large k"
    if op == "cast":
        return "keep it a float: leave the conversion out"
    return _SMOOTH.get(op, f"use an operation that has a derivative: `gradcli ops` says of {op} that it has none here")


def name_of(program: Elaborated, node: Node) -> str | None:
    """The name that the program gives a node, the first where it has several."""
    return next((name for name, value in program.names.items() if value is node), None)


def _argument(program: Elaborated, node: Node) -> str | None:
    """``a`` of the text ``stop_gradient(a)``, if that is what stands there."""
    span = program.span(node)
    text = on_one_line(span.text) if span else ""
    if text.startswith("stop_gradient(") and text.endswith(")") and len(text) <= _SPANS_UP_TO:
        inner = text.removeprefix("stop_gradient(").removesuffix(")").strip()
        return inner or None
    return None
