"""The derivatives that are expressions and never None: jacobian, hessian, jvp, hvp, taylor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node
from gradcli.graph.ops.creation import zeros
from gradcli.graph.ops.selection import identity
from gradcli.graph.ops.slicing import stack
from gradcli.graph.types import is_float, show_shape, size_of
from gradcli.language import statics, syntax
from gradcli.language.expressions import labelled
from gradcli.language.values import Scope, Several, Value, Weak

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator

FORMS = {"jacobian", "hessian", "jvp", "hvp", "taylor"}

ORDER_LIMIT = 2000


def enter(e: Elaborator, name: str, bound: dict[str, Any], call: syntax.Call, scope: Scope) -> Value:
    """The value of one of the forms; its arguments are evaluated here."""
    y = e.node(e.value(bound["y"], scope), bound["y"])
    found = names(e, bound["x"], "x", scope)
    xs = [node for node, _ in found]
    listed = isinstance(bound["x"], syntax.List)
    if not xs or (listed and name not in ("jacobian", "hessian")):
        e.fail("TypeError", f"{name} needs the name of one x", bound["x"])
    place = (call.start, call.end)
    from gradcli.autodiff import jacobian, orders

    e.differentiates([y], xs)
    try:
        with e.program.derivation.active():
            if name == "jacobian":
                results = jacobian.jacobian(y, xs)
            elif name == "hessian":
                results = [block for row in jacobian.hessian(y, xs) for block in row]
            elif name == "taylor":
                results = [_taylor(e, y, xs[0], bound["n"], bound.get("coefficients"), scope)]
            else:
                v = _direction(e, bound["v"], xs[0], found[0][1].id, scope)
                results = [orders.jvp(y, xs[0], v) if name == "jvp" else _hvp(e, y, xs[0], v, bound["y"])]
    except GradcliError as error:
        raise labelled(e, error, call, [bound["y"]]) from None
    nodes = [own(e, node, place) for node in results]
    return Several(tuple(nodes), "gradient") if listed else nodes[0]


def own(e: Elaborator, g: Node, place: tuple[int, int]) -> Node:
    """A node of the program's own for a derived one, which other gradients may share."""
    node = identity(g)
    e.program.places[node] = place
    return node


def names(e: Elaborator, argument: syntax.Expression, what: str, scope: Scope) -> list[tuple[Node, syntax.Name]]:
    """The nodes that a name or a list of names stands for."""
    result: list[tuple[Node, syntax.Name]] = []
    for item in argument.items if isinstance(argument, syntax.List) else [argument]:
        if not isinstance(item, syntax.Name):
            e.fail("TypeError", f"{what} are names of nodes", item, help="bind the expression to a name first: `a = …`")
        result.append((e.node(e.resolve(item, scope), item), item))
    return result


def _direction(e: Elaborator, expression: syntax.Expression, x: Node, name: str, scope: Scope) -> Node:
    value = e.value(expression, scope)
    dtype = x.dtype if is_float(x.dtype) else e.float_dtype
    v = e.literal(value, dtype, expression) if isinstance(value, Weak) else e.node(value, expression)
    if v.shape not in ((), x.shape):
        e.fail(
            "ShapeError",
            f"a direction for {name} needs its shape, {show_shape(x.shape)}, not {show_shape(v.shape)}",
            expression,
            label=f"shape {show_shape(v.shape)}",
        )
    return v


def _hvp(e: Elaborator, y: Node, x: Node, v: Node, at: syntax.Syntax) -> Node:
    if size_of(y.shape) != 1:
        e.fail(
            "ShapeError",
            f"hvp needs a scalar, not shape {show_shape(y.shape)}",
            at,
            label=f"shape {show_shape(y.shape)}",
            help="add its entries up: `sum(y)`",
        )
    from gradcli.autodiff import orders

    return orders.hvp(y, x, v)


def _taylor(
    e: Elaborator, y: Node, x: Node, expression: syntax.Expression, option: syntax.Expression | None, scope: Scope
) -> Node:
    """The derivatives of orders 0 to n along ones, stacked in front; or the coefficients, each divided by k!."""
    coefficients = option is not None and statics.flag(e, option, scope)
    n = statics.integer(e, expression, scope)
    if n < 0:
        e.fail("ValueError", f"taylor needs an order of 0 or more, not {n}", expression)
    if n > ORDER_LIMIT:
        e.fail("LimitError", f"taylor gives derivatives up to order {ORDER_LIMIT}, not {n}", expression)
    if not is_float(x.dtype):
        e.fail("TypeError", f"taylor needs a float x, not {x.dtype}", expression, help="declare it with a float value")
    from gradcli.autodiff import orders, series

    step = 1.0 if coefficients else orders.step_for(n, x.dtype)
    along = series.Series({x: [orders.along_ones(x, step)]})
    rows: list[Node] = []
    for k in range(n + 1):
        c = along.coefficient(y, k)
        if c is None:
            c = zeros(shape=y.shape, dtype=y.dtype)
        elif not coefficients:
            c = orders.derivative(c, k, step)
        rows.append(c)
    return stack(*rows, axis=0)
