"""User functions: inlined at each call, on the work stack; and ``iterate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import did_you_mean
from gradcli.graph.node import Node
from gradcli.graph.operation import Operation
from gradcli.language import syntax
from gradcli.language.application import apply
from gradcli.language.values import Binding, Scope, UserFunction, Value, Weak

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator

MOST_STEPS = 1_000_000


def enter(e: Elaborator, function: UserFunction, call: syntax.Call, scope: Scope) -> None:
    """Evaluate the arguments in the caller's scope, defaults in the function's, then the body."""
    e.check_room(*function.least, call)
    definition = function.definition
    names = [p.name.id for p in definition.parameters]
    bound: dict[str, syntax.Expression] = {}
    for i, argument in enumerate(call.arguments):
        if argument.name is None:
            if i >= len(names):
                e.fail(
                    "TypeError",
                    f"`{definition.name.id}` takes {len(names)} argument{'s' * (len(names) != 1)}, not {len(call.arguments)}",
                    argument,
                    also=[(definition.name, "defined here")],
                )
            key = names[i]
        else:
            key = argument.name.id
            if key not in names:
                similar = did_you_mean(key, names)
                e.fail(
                    "TypeError",
                    f"`{definition.name.id}` has no parameter `{key}`",
                    argument.name,
                    help=f"did you mean `{similar}`?" if similar else None,
                    also=[(definition.name, "defined here")],
                )
        if key in bound:
            e.fail("TypeError", f"`{definition.name.id}` got `{key}` twice", argument)
        bound[key] = argument.value
    inner = Scope(definition, function.visible)
    pending: list[tuple[syntax.Expression, Scope]] = []
    for p in definition.parameters:
        expression = bound.get(p.name.id, p.default)
        if expression is None:
            e.fail(
                "TypeError",
                f"`{definition.name.id}` needs an argument for `{p.name.id}`",
                call,
                also=[(p.name, "this parameter has no default")],
            )
        pending.append((expression, scope if p.name.id in bound else Scope(definition, function.visible)))
    e.push(lambda _, __: _start(e, definition, inner, [x for x, _ in pending], call))
    for expression, where in reversed(pending):
        e.push(e.enter, expression, where)


def _start(
    e: Elaborator, definition: syntax.Function, scope: Scope, arguments: list[syntax.Expression], call: syntax.Syntax
) -> None:
    values = e.take(len(arguments))
    operands: list[Value] = [
        # A literal becomes a node where it is written, so that it is marked with its own place.
        e.node(value, place) if isinstance(value, Weak) else value
        for value, place in zip(values, arguments, strict=True)
    ]
    body(e, definition, scope, operands, call)


def body(e: Elaborator, definition: syntax.Function, scope: Scope, values: list[Value], call: syntax.Syntax) -> None:
    """Push the body of a function whose parameters stand for ``values``; its value will be on the value stack."""
    e.calls += 1
    if e.frames is not None:
        e.frames.enter(definition.name.id, (call.start, call.end))
    for p, value in zip(definition.parameters, values, strict=True):
        if isinstance(value, (UserFunction, Operation)):
            e.node(value, call)
        scope.names[p.name.id] = Binding(value, p.name, len(e.bound))
    if isinstance(definition.body, syntax.Expression):
        e.push(_settle, e, definition.body)
        e.push(e.enter, definition.body, scope)
        return
    statements = definition.body.statements
    if not statements or not isinstance(statements[-1], syntax.Bare):
        at = statements[-1] if statements else definition.body
        e.fail("SyntaxError", f"the body of `{definition.name.id}` must end with an expression, its value", at)
    for statement in statements[:-1]:
        if isinstance(statement, syntax.Bare):
            e.fail("SyntaxError", "an expression without a name has no effect here", statement, help="write `name = …`")
        if not isinstance(statement, syntax.Assignment):
            e.fail("SyntaxError", "a function body holds only definitions and, last, its value", statement)
    e.push(_settle, e, statements[-1].value)
    e.push(e.enter, statements[-1].value, scope)
    from gradcli.language.declarations import assign

    for statement in reversed(statements[:-1]):
        assert isinstance(statement, syntax.Assignment)
        e.push(lambda s, _: assign(e, s, e.values.pop(), scope), statement)
        e.push(e.enter, statement.value, scope)


def _settle(e: Elaborator, expression: syntax.Expression) -> None:
    """A function whose value is a literal returns a node: literals are weak only where they are written."""
    if isinstance(e.values[-1], Weak):
        e.values[-1] = e.node(e.values[-1], expression)
    if e.frames is not None:
        e.frames.leave(e.values[-1])


def enter_iterate(e: Elaborator, bound: dict[str, Any], call: syntax.Call, scope: Scope) -> None:
    from gradcli.language import statics
    from gradcli.language.least import Least

    name = bound["f"]
    function = e.resolve(name, scope) if isinstance(name, syntax.Name) else None
    if not isinstance(function, (UserFunction, Operation)):
        e.fail(
            "TypeError", "iterate needs the name of a function", name, help="`def f(x) = …`, then `iterate(f, x0, n)`"
        )
    count = statics.integer(e, bound["n"], scope)
    if count < 0:
        e.fail("ValueError", f"iterate needs a count of 0 or more, not {count}", bound["n"])
    if count > MOST_STEPS:
        e.fail("LimitError", f"iterate applies a function at most {MOST_STEPS} times", bound["n"])
    # A function that makes no operation may be the identity, which is applied once.
    least = function.least if isinstance(function, UserFunction) else Least(0, 1)
    e.check_room(*least.times(count if least.operations else min(count, 1)), call)
    start = bound["x0"]
    sizes: list[int] = []

    def again(left: int, before: Node) -> None:
        value = e.node(e.values.pop(), call)
        if left == count and e.frames is not None:
            e.frames.enter("iterate", (call.start, call.end))
        if left == 0 or value is before:
            if e.frames is not None:
                e.frames.leave(value)
            e.values.append(value)
            return
        sizes.append(e.program.size)
        if len(sizes) > 2:
            # The first step may make what later ones share.
            made = min(sizes[-1] - sizes[-2], sizes[-2] - sizes[-3])
            e.check_room(0, made * left, call)
        e.push(again, left - 1, value)
        if isinstance(function, Operation):
            e.values.append(apply(e, function, [(value, start)], dict(function.defaults), call))
            return
        parameters = function.definition.parameters
        missing = [p for p in parameters[1:] if p.default is None]
        if not parameters or missing:
            e.fail("TypeError", "iterate needs a function of one argument", name, also=[(function.definition.name, "")])
        defaults = Scope(function.definition, function.visible)
        rest = [e.value(p.default, defaults) for p in parameters[1:] if p.default is not None]
        body(e, function.definition, Scope(function.definition, function.visible), [value, *rest], call)

    e.push(lambda _, __: again(count, None))  # type: ignore[arg-type]
    e.push(e.enter, start, scope)
