"""Functions: those of the program, inlined at each call on the work stack; functions as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import counted, did_you_mean
from gradcli.graph.node import Node
from gradcli.graph.operation import Operation, Parameter
from gradcli.graph.ops.creation import SPECIAL
from gradcli.language import statics, syntax
from gradcli.language.expressions import applied as evaluated
from gradcli.language.values import Binding, Scope, Several, UserFunction, Value, Weak

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator

LISTS = ("operands", "tensors")
"""Kinds of parameters that take any number of values."""

FEW = 2
"""Calls of a function that are read in any case."""

DEEP = 400
"""A depth of calls: at its multiples a function that calls itself in disguise is looked for."""


def applied(e: Elaborator, function: Value, arguments: Sequence[Value], at: syntax.Syntax) -> tuple[Node, ...]:
    """The nodes that a function gives for some arguments: as many as it has values.

    ``function`` is what a name stands for: a function of the program or an operation. The ``arguments``, nodes or
    functions, are those of its first parameters; others take their defaults. The function is applied here and now, and
    its nodes are new ones, as if a call of it stood in the program; ``at`` is the expression that asks for it, to which
    errors point. Raises GradcliError, also where the function takes other arguments or gives None.
    """
    check_takes(e, function, len(arguments), at)
    bottom = len(e.work)
    begin(e, function, arguments, at)
    e.run(bottom)
    value = e.values.pop()
    items = value.items if isinstance(value, Several) else (value,)
    return tuple([e.node(item, at) for item in items])


CALLS = {
    "iterate": "iterate(f, x0, n)", "until": "iterate(f, x0, n, until=g)", "scan": "scan(f, elems, initializer)", "map": "map(f, a)",
    "odeint": "odeint(f, y0, t)", "root": "root(f, x0)", "minimize": "minimize(f, x0)",
}  # fmt: skip
"""How the words that take a function are called."""


def named(e: Elaborator, expression: syntax.Expression, scope: Scope, word: str) -> Value:
    """The function that an argument of a word names."""
    function = e.resolve(expression, scope) if isinstance(expression, syntax.Name) else None
    if not isinstance(function, (UserFunction, Operation)):
        help = f"`def f(x) = …`, then `{CALLS[word]}`"
        e.fail("TypeError", f"{word} needs the name of a function", expression, help=help)
    return function


def check_takes(e: Elaborator, function: Value, count: int, at: syntax.Syntax) -> None:
    """Refuse, at its name, what is not a function that can be applied to that many arguments."""
    what = f"a function of {'one argument' if count == 1 else f'{count} arguments'} is needed here"
    if isinstance(function, UserFunction):
        parameters = function.definition.parameters
        if count > len(parameters) or any([p.default is None for p in parameters[count:]]):
            label = f"`{function.name}` has {counted(len(parameters), 'parameter')}"
            e.fail("TypeError", what, at, also=[(function.definition.name, label)])
        return
    if not isinstance(function, Operation):
        e.fail("TypeError", what, at, help="`def f(x) = …`, then its name")
    if function.name in SPECIAL:
        help = f"give it a name: `def f(x) = {function.name}(…)`"
        e.fail("TypeError", f"{function.name} can only be called by its own name", at, help=help)
    inputs, rest = _inputs(function)
    needed = [p.name for p in function.parameters if p.default is None and p not in inputs and p.kind not in LISTS]
    needed += [p.name for p in inputs[count:] if p.default is None]
    if needed:
        help = f"give it in a function: `def f(x) = {function.name}(…)`; the signature is `{function.signature}`"
        e.fail("TypeError", f"{function.name} needs an argument for `{needed[0]}`", at, help=help)
    if count > len(inputs) and not rest:
        e.fail("TypeError", what, at, help=f"the signature is `{function.signature}`")


def _inputs(op: Operation) -> tuple[list[Parameter], bool]:
    """The parameters that take one value each, and whether an operation takes any number of others."""
    return [p for p in op.parameters if p.one_tensor], any([p.kind in LISTS for p in op.parameters])


def begin(e: Elaborator, function: Value, arguments: Sequence[Value], at: syntax.Syntax) -> None:
    """Push what a call is that nobody has written, of a function that takes these arguments; see ``applied``."""
    if isinstance(function, UserFunction):
        defaults = [p.default for p in function.definition.parameters[len(arguments) :] if p.default is not None]
        body(e, function, [*arguments, *[e.value(x, function.inside()) for x in defaults]], at)
        return
    assert isinstance(function, Operation)
    defaults_of = [Weak(int(p.default)) for p in _inputs(function)[0][len(arguments) :] if p.default]
    operands = [(value, at) for value in [*arguments, *defaults_of]]
    e.values.append(evaluated(e, function, operands, statics.attributes(e, function, {}, at, e.top), at))


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
        pending.append((expression, scope if p.name.id in bound else function.inside()))
    e.push(lambda _, __: _start(e, function, [x for x, _ in pending], call))
    for expression, where in reversed(pending):
        e.push(e.enter, expression, where)


def _start(e: Elaborator, function: UserFunction, arguments: list[syntax.Expression], call: syntax.Syntax) -> None:
    values = e.take(len(arguments))
    operands: list[Value] = [
        # A literal becomes a node where it is written, so that it is marked with its own place.
        e.node(value, place) if isinstance(value, (Weak, Several)) else value
        for value, place in zip(values, arguments, strict=True)
    ]
    body(e, function, operands, call)


def body(e: Elaborator, function: UserFunction, values: Sequence[Value], call: syntax.Syntax) -> None:
    """Push the body of a function whose parameters stand for ``values``; its value will be on the value stack."""
    function.calls += 1
    if function.calls > FEW and e.templated:
        from gradcli.language.templates import again

        e.open_frame(function.name, call)
        value = again(e, function, values, call, read_body)
        if value is None:
            e.frames.pop()
        else:
            e.close_frame(value)
            e.values.append(value)
            return
    read_body(e, function, values, call)


def read_body(e: Elaborator, function: UserFunction, values: Sequence[Value], call: syntax.Syntax) -> None:
    """The same by reading the function's text."""
    definition = function.definition
    key = (id(function), *[id(value) for value in values if isinstance(value, (UserFunction, Operation))])
    if key in e.active or not len(e.active) % DEEP and _is_deep(e, function):
        e.recursive(call, definition)
    e.active[key] = call, function
    e.calls += 1
    e.open_frame(definition.name.id, call)
    scope = function.inside()
    for p, value in zip(definition.parameters, values, strict=True):
        scope.names[p.name.id] = Binding(value, p.name, len(scope.names))
    settled = (key, function, values, call)
    if isinstance(definition.body, syntax.Expression):
        e.push(_settle, e, (settled, definition.body))
        e.push(e.enter, definition.body, scope)
        return
    statements = definition.body.statements
    if not statements or not isinstance(statements[-1], syntax.Bare):
        at = statements[-1] if statements else definition.body
        e.fail("SyntaxError", f"the body of `{definition.name.id}` must end with an expression, its value", at)
    for statement in statements[:-1]:
        if isinstance(statement, syntax.Bare):
            e.fail("SyntaxError", "an expression without a name has no effect here", statement, help="write `name = …`")
        if not isinstance(statement, (syntax.Assignment, syntax.Function)):
            e.fail("SyntaxError", "a function body holds only definitions and, last, its value", statement)
    e.push(_settle, e, (settled, statements[-1].value))
    e.push(e.enter, statements[-1].value, scope)
    for statement in reversed(statements[:-1]):
        if isinstance(statement, syntax.Assignment):
            e.push(lambda s, _: e.assign(s, e.values.pop(), scope), statement)
            e.push(e.enter, statement.value, scope)
        else:
            e.push(lambda s, _: e.define(s, scope), statement)


def _is_deep(e: Elaborator, function: UserFunction) -> bool:
    """Whether calls are nested in calls of the same function again and again, each time with other functions."""
    calls = [other for _, other in e.active.values() if other.definition is function.definition]
    return len(calls) > DEEP // 4


def _settle(e: Elaborator, payload: tuple[Any, syntax.Expression]) -> None:
    """A function whose value is a literal returns a node: literals are weak only where they are written."""
    (key, function, arguments, call), expression = payload
    if isinstance(e.values[-1], (Weak, UserFunction, Operation)):
        e.values[-1] = e.node(e.values[-1], expression)
    if function.rule is not None:
        from gradcli.language import tangents  # few programs have one

        e.values[-1] = tangents.ruled_value(e, function, arguments, e.values[-1], call, applied)
    del e.active[key]
    e.close_frame(e.values[-1])
