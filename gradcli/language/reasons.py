"""Why a gradient is None, in words and with the place in the source."""

from __future__ import annotations

from collections.abc import Sequence

from gradcli.autodiff.connection import Cut, find_cut, in_body
from gradcli.diagnostics import Span, counted, on_one_line
from gradcli.graph.node import Node
from gradcli.graph.operation import Repeated
from gradcli.graph.ops.ruled import ruled
from gradcli.language.values import Elaborated
from gradcli.results import Reason


def explain(
    program: Elaborated, y_names: Sequence[str], ys: Sequence[Node], x_name: str, x: Node, stops: Sequence[Node]
) -> Reason:
    """The reason why the gradient of the ys with respect to x is None."""
    cut = find_cut(ys, x, stops)
    if cut is not None and cut.node is not None:
        return why(program, cut, x_name, x)
    if not y_names:
        return Reason("there is no y to differentiate")
    if x.dtype == "bool" and x in ys:
        return Reason(f"{x_name} is bool", program.span(x), ", which has no derivative")
    several = len(y_names) > 1
    return Reason(f"{' and '.join(y_names)} {'do' if several else 'does'} not use {x_name}")


def why(program: Elaborated, cut: Cut, x_name: str, x: Node) -> Reason:
    """What a cut at a node is."""
    node = cut.node
    assert node is not None
    span = program.span(node)
    if cut.kind == "stopped":
        name = next((name for name, value in program.names.items() if value is node), None)
        return Reason(f"cut by the stop at {name}" if name else "cut by stop_gradients", span)
    if isinstance(node.op.rule, Repeated):
        inner = in_body(cut)
        if inner is not None:
            return why(program, inner, x_name, x)
        return Reason(f"does not come through {counted(node.attrs['body'].count, 'step')} of the loop", span)
    if node.op.name == "stop_gradient":
        return Reason(f"cut by {_short(span)}" if span else "cut by stop_gradient", span)
    if node.op is ruled and node.attrs["rule"].itself is not None:
        return Reason("a solution does not depend on where its search starts", span)
    if node.op is ruled:
        return Reason("left out by the `tangent` of what is called", span)
    if node.op.compares:
        return Reason("passes only through a comparison", span, ", which has no derivative")
    if node.op.name == "cast" and node.inputs[0].dtype == "bool":
        start = f"{x_name} is bool" if node.inputs[0] is x else "passes through a conversion from bool"
        return Reason(start, span, ", which has no derivative")
    if node.op.name == "cast":
        return Reason(f"passes through a conversion to {node.dtype}", span, ", which has no derivative")
    if node.op.name == "where":
        return Reason("passes only through the condition of where", span, ", which has no derivative")
    return Reason(f"passes through {node.op.name}", span, ", which has no derivative")


def _short(span: Span) -> str:
    text = on_one_line(span.text)
    if text.startswith("stop_gradient") and len(text) <= 60:
        return text
    return "stop_gradient"
