"""Why a gradient is None, in words and with the place in the source."""

from __future__ import annotations

from collections.abc import Sequence

from gradcli.autodiff.connection import Cut, first_cuts, in_body
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
    (reason,) = reasons(program, y_names, ys, [x_name], [x], stops)
    return reason


def reasons(
    program: Elaborated,
    y_names: Sequence[str],
    ys: Sequence[Node],
    x_names: Sequence[str],
    xs: Sequence[Node],
    stops: Sequence[Node],
) -> list[Reason]:
    """The same for each of some xs, found together."""
    cuts = first_cuts(ys, xs, stops) if xs else []
    several = len(y_names) > 1
    do_not = f"{' and '.join(y_names)} {'do' if several else 'does'} not use"
    found: list[Reason] = []
    for name, x, cut in zip(x_names, xs, cuts, strict=True):
        if cut is not None and cut.node is not None:
            found.append(why(program, cut, name, x))
        elif not y_names:
            found.append(Reason("there is no y to differentiate"))
        elif x.dtype == "bool" and x in ys:
            found.append(Reason(f"{name} is bool", program.span(x), ", which has no derivative"))
        else:
            found.append(Reason(f"{do_not} {name}"))
    return found


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
