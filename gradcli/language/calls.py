"""Calls: arguments bound to the parameters of operations, and evaluated on the work stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from gradcli.diagnostics import did_you_mean
from gradcli.graph.operation import Operation
from gradcli.graph.ops.creation import SPECIAL
from gradcli.language import functions, special, statics, syntax
from gradcli.language.builtin import KEYWORDS
from gradcli.language.expressions import Operand, applied
from gradcli.language.values import Scope, Several, UserFunction

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator


def enter(e: Elaborator, call: syntax.Call, scope: Scope) -> None:
    """Begin with a call: of a function of the program, of a word of the language, or of an operation."""
    name = call.function
    if isinstance(name, syntax.Attribute):
        _no_modules_or_methods(e, name, call, scope)
    if not isinstance(name, syntax.Name):
        from gradcli.language import suggestions

        e.fail("TypeError", "only names can be called", name, help=suggestions.for_product(e.source.text, call))
    target = e.resolve(name, scope, call)
    if isinstance(target, UserFunction):
        functions.enter(e, target, call, scope)
    elif isinstance(target, Operation):
        bound = bind(e, target, call)
        if target.name in SPECIAL:
            special.enter(e, target, bound, call, scope)
        else:
            _enter_operation(e, target, bound, call, scope)
    else:
        from gradcli.language import suggestions

        help = suggestions.for_product(e.source.text, call)
        if scope.function is not None and name.id in [p.name.id for p in scope.function.parameters]:
            help = f"`{scope.function.name.id}` calls its parameter `{name.id}`: give it the name of a function"
        e.fail("TypeError", f"`{name.id}` is a value, not a function", name, help=help)


def _no_modules_or_methods(e: Elaborator, function: syntax.Attribute, call: syntax.Call, scope: Scope) -> NoReturn:
    """``np.sin(x)``, ``x.sum(1)``: what to write instead."""
    from gradcli.language import suggestions

    module, hint = suggestions.for_dotted(e.source.text, call, lambda name: e.knows(name, scope))
    if module:
        e.fail("NameError", "there are no modules", function, help=hint)
    e.fail("NameError", f"there are no methods, so no `.{function.name.id}(…)`", function, help=hint)


def bind(e: Elaborator, op: Operation, call: syntax.Call) -> dict[str, Any]:
    """The argument of each parameter that has one; wrong names and counts are errors."""
    parameters = op.parameters
    bound: dict[str, Any] = {}
    positional = [p for p in parameters if not p.keyword_only]
    rest = next((p for p in positional if p.kind == "operands"), None)
    for i, argument in enumerate(call.arguments):
        if argument.name is not None:
            key = argument.name.id
            known = {p.name for p in parameters if p.kind != "operands"}
            key = KEYWORDS.get(key, key) if key not in known else key
            if key not in known:
                from gradcli.language import foreign

                similar = foreign.PARAMETERS.get(key)
                similar = similar if similar in known else did_you_mean(key, known)
                e.fail(
                    "TypeError",
                    f"{op.name} has no parameter `{argument.name.id}`",
                    argument.name,
                    help=f"did you mean `{similar}`?" if similar else f"the signature is `{op.signature}`",
                )
            if key in bound:
                e.fail("TypeError", f"{op.name} got `{key}` twice", argument, help=f"the signature is `{op.signature}`")
            bound[key] = argument.value
        elif rest is not None and i >= positional.index(rest):
            bound.setdefault(rest.name, []).append(argument.value)
        elif i >= len(positional):
            from gradcli.language import suggestions

            other = {"max": "maximum", "min": "minimum"}.get(op.name)
            written = suggestions.for_call(e.source.text, call)
            most = f"at most {len(positional)} argument{'s' * (len(positional) != 1)}"
            e.fail(
                "TypeError",
                f"{op.name} takes {most}" + (" by position" if len(positional) < len(parameters) else ""),
                argument,
                help=f"the larger or smaller of two values is `{other}(a, b)`; an axis is given by name, `axis=…`"
                if other
                else f"write `{written}`"
                if written
                else f"the signature is `{op.signature}`",
            )
        else:
            if positional[i].name in bound:
                e.fail("TypeError", f"{op.name} got `{positional[i].name}` twice", argument)
            bound[positional[i].name] = argument.value
    for p in parameters:
        if p.default is None and p.name not in bound:
            e.fail(
                "TypeError",
                f"{op.name} needs an argument for `{p.name}`",
                call,
                help=f"the signature is `{op.signature}`",
            )
    return bound


def _enter_operation(e: Elaborator, op: Operation, bound: Mapping[str, Any], call: syntax.Call, scope: Scope) -> None:
    """Evaluate the tensors among the arguments on the stack, then apply."""
    tensors: list[syntax.Expression] = []
    unpacked: syntax.Call | None = None
    for p in op.parameters:
        argument = bound.get(p.name)
        if p.one_tensor:
            tensors.append(
                argument if argument is not None else syntax.Number(call.start, call.end, int(p.default or 0))
            )
        elif p.kind == "operands":
            tensors.extend(argument or [])
        elif p.kind == "tensors":
            if isinstance(argument, syntax.Call):
                unpacked = argument
                tensors.append(argument)
                continue
            if not isinstance(argument, syntax.List):
                _no_list(e, op, argument if argument is not None else call)
            if not argument.items:
                e.fail("ValueError", f"{op.name} needs at least one value", argument)
            tensors.extend(argument.items)
    e.push(lambda _, __: _leave_operation(e, op, bound, tensors, unpacked, call, scope))
    for expression in reversed(tensors):
        e.push(e.enter, expression, scope)


def _no_list(e: Elaborator, op: Operation, at: syntax.Syntax, label: str = "") -> NoReturn:
    e.fail(
        "TypeError",
        f"{op.name} needs a list of values, written in brackets",
        at,
        help=f"`{op.name}([a, b])`",
        label=label,
    )


def _leave_operation(
    e: Elaborator,
    op: Operation,
    bound: Mapping[str, Any],
    tensors: Sequence[syntax.Expression],
    unpacked: syntax.Call | None,
    call: syntax.Call,
    scope: Scope,
) -> None:
    """Apply an operation to the last values; that of the ``unpacked`` call must be several, which stand for a list."""
    operands: list[Operand] = []
    for value, place in zip(e.take(len(tensors)), tensors, strict=True):
        if place is not unpacked:
            operands.append((value, place))
        elif isinstance(value, Several):
            operands += [(item, place) for item in value.items]
        else:
            e.node(value, place)
            _no_list(e, op, place, "this call gives one value")
    attrs = statics.attributes(e, op, bound, call, scope)
    e.values.append(applied(e, op, operands, attrs, call))
