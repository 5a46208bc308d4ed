"""``tangent``: the derivative of a function as the program gives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gradcli.autodiff import implicit
from gradcli.diagnostics import counted
from gradcli.graph.loops import enclosed
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Contraction, Linear, Product, Select, cast_to, constant_value
from gradcli.graph.ops.ruled import Rule, ruled
from gradcli.graph.ops.shaping import broadcasted
from gradcli.graph.types import is_float, show_shape
from gradcli.language import syntax
from gradcli.language.least import of_function
from gradcli.language.values import Scope, Several, UserFunction, Value
from gradcli.rewrite.terms import filling

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator

Apply = Callable[["Elaborator", Value, Sequence[Value], syntax.Syntax], tuple[Node, ...]]


def define(e: Elaborator, statement: syntax.Tangent, scope: Scope) -> None:
    """Keep the rule of a function that is defined in the same scope and not called yet."""
    name = statement.name
    binding = scope.names.get(name.id)
    function = binding.value if binding is not None else None
    if binding is None or not isinstance(function, UserFunction) or function.definition.name is not binding.place:
        e.fail(
            "NameError",
            f"`tangent {name.id}` is the derivative of a function, and no `def {name.id}` stands above it here",
            name,
            help=f"`def {name.id}(x) = …`, and below it `tangent {name.id}(x, dx) = …`",
        )
    definition = function.definition
    if function.rule is not None:
        also = [(function.rule.definition.name, "the first")]
        e.fail("NameError", f"`{name.id}` has a derivative already", name, also=also)
    if function.calls:
        e.fail(
            "NameError",
            f"`{name.id}` is called before its derivative is known",
            name,
            help=f"move this line up, behind `def {name.id}(…)`",
            also=[(definition.name, "defined here")],
        )
    given, own = statement.parameters, definition.parameters
    shown = ", ".join([p.name.id for p in own])
    example = f"`tangent {name.id}({shown}, d{own[0].name.id if own else 'x'}) = …`"
    for p in given:
        if p.default is not None:
            e.fail("SyntaxError", "the parameters of a derivative have no defaults", p.name, help=example)
    for i, p in enumerate(own):
        if i >= len(given) or given[i].name.id != p.name.id:
            place = given[i].name if i < len(given) else name
            what = f"`tangent {name.id}` repeats the parameters of its function, then names their tangents"
            e.fail("TypeError", what, place, help=example, also=[(definition.name, "defined here")])
    count = len(given) - len(own)
    if not 1 <= count <= len(own):
        first = "the parameter" if len(own) == 1 else f"the first of the {len(own)} parameters, or for all"
        what = f"`tangent {name.id}` names tangents for {first}, and here are {count}"
        e.fail("TypeError", what, name, help=example, also=[(definition.name, "defined here")])
    e.check_parameters(statement)
    function.rule = UserFunction(statement, scope, of_function(statement, scope.find, e.constants, e.operations))


def ruled_value(
    e: Elaborator, function: UserFunction, arguments: Sequence[Value], value: Value, call: syntax.Syntax, apply: Apply
) -> Value:
    """What a call of a function with a derivative of its own gives, for the value that its body has.

    ``apply`` gives the values of a function, as :func:`gradcli.language.functions.applied` does.
    """
    rule = function.rule
    assert rule is not None
    count = len(rule.definition.parameters) - len(arguments)
    xs: list[Node] = []
    for x, p in zip(arguments[:count], rule.definition.parameters, strict=False):
        if not isinstance(x, Node):
            e.fail("TypeError", f"`{p.name.id}` is a function, which has no tangent", call, also=[(p.name, "this one")])
        xs.append(x)
    dxs = [implicit.tangent_of(x) for x in xs]
    found = apply(e, rule, [*arguments, *dxs], call)
    values = value.items if isinstance(value, Several) else (value,)
    if len(found) != len(values):
        e.fail(
            "TypeError",
            f"`{function.name}` gives {counted(len(values), 'value')}, and its derivative {len(found)}",
            rule.definition.name,
            also=[(function.definition.name, f"gives {counted(len(values), 'value')}")],
        )
    made = [
        _with_rule(e, rule, e.node(y, call), dy, list(zip(xs, dxs, strict=True)), call)
        for y, dy in zip(values, found, strict=True)
    ]
    return Several(tuple(made)) if isinstance(value, Several) else made[0]


def _with_rule(
    e: Elaborator, rule: UserFunction, y: Node, dy: Node, pairs: Sequence[tuple[Node, Node]], call: syntax.Syntax
) -> Node:
    dxs = [dx for _, dx in pairs]
    _check_linear(e, rule, dy, dxs)
    if dy.shape != y.shape:
        e.fail(
            "ShapeError",
            f"the tangent of `{rule.name}` has the shape of its value, {show_shape(y.shape)}, not {show_shape(dy.shape)}",
            rule.definition.name,
            also=[(call, f"shape {show_shape(y.shape)}")],
        )
    dy = cast_to(dy, y.dtype)
    fixed = enclosed(dxs, [], [], [dy], 1).fixed
    inputs = [x for x, _ in pairs]
    inputs += [x for x in fixed if x not in inputs]
    tangents: dict[int, Node] = {}
    roots: dict[int, Node] = {}
    below = set(cone([dy], fixed))
    used = [(i, dx) for i, dx in enumerate(dxs, 1) if dx in below and is_float(y.dtype)]
    with e.program.derivation.active():
        for i, dx in used:
            part = dy if len(used) == 1 else implicit.along(dy, dx, dx, fixed)
            if part is not None:
                tangents[i], roots[i] = dx, broadcasted(part, y.shape)
    node = ruled(y, *inputs, rule=Rule(inputs, tangents, roots))
    return e.mark(node, (call.start, call.end))


def _check_linear(e: Elaborator, rule: UserFunction, dy: Node, dxs: Sequence[Node]) -> None:
    """Refuse a tangent that is not linear in the tangents, at the operation that is not."""
    moving = set(dxs)
    for node in cone([dy], dxs):
        if node in moving or not any([x in moving for x in node.inputs]):
            continue
        moving.add(node)
        if not _is_linear(node, [x in moving for x in node.inputs]):
            span = e.program.span(node)
            named = [p.name.id for p in rule.definition.parameters[-len(dxs) :]]
            shown = " and ".join([f"`{name}`" for name in named])
            at = (span.start, span.end) if span is not None else rule.definition.name
            e.fail("TypeError", f"the derivative of `{rule.name}` is not linear in {shown}", at, help=LINEAR)
    if dy not in moving and constant_value(dy) != 0:
        e.fail(
            "TypeError", f"the derivative of `{rule.name}` does not use its tangents", rule.definition.name, help=LINEAR
        )


LINEAR = "a tangent is a sum of terms, each of them something times one tangent: `cos(x) * dx`"


def _is_linear(node: Node, moves: Sequence[bool]) -> bool:
    """Whether a node is linear, without a constant, in its inputs that move."""
    op, rule = node.op, node.op.rule
    through = set(op.differentiable_inputs(node))
    if any([moved and i not in through for i, moved in enumerate(moves)]):
        return False
    if isinstance(rule, (Linear, Select)):
        return all([moves[i] or filling(node.inputs[i]) == 0 or node.inputs[i].op.zero_where == () for i in through])
    if isinstance(rule, Contraction):
        return sum(moves) == 1
    if isinstance(rule, Product):
        return all([moves[i] != moves[i + 1] for i in range(0, len(moves), 2)])
    if op.degree == "quotient":
        return not moves[1]
    return op.degree == "solve" and not moves[0]
