"""How many calls and operations a function makes at least, read off its text: calls that double at each level are refused before they are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gradcli.graph.operation import Operation
from gradcli.language import syntax
from gradcli.language.values import Binding, UserFunction
from gradcli.language.walking import parts

MOST = 10**18
"""Larger counts are not told apart."""


class Least(NamedTuple):
    """What one call of a function makes: calls, itself included, and operations."""

    calls: int
    operations: int

    def plus(self, calls: int, operations: int) -> Least:
        return Least(min(self.calls + calls, MOST), min(self.operations + operations, MOST))

    def times(self, count: int) -> Least:
        return Least(min(self.calls * count, MOST), min(self.operations * count, MOST))


def of_function(
    definition: syntax.Function,
    bound: Mapping[str, Binding],
    literals: Iterable[str],
    operations: Mapping[str, Operation],
) -> Least:
    """What a call of a function makes at least, where ``bound`` are the names above it.

    ``literals`` are names of numbers: arithmetic on numbers makes no operation. Of the ``operations`` those count that
    always make one, and defaults do not, for they are not always evaluated.
    """
    if isinstance(definition.body, syntax.Expression):
        values = [definition.body]
    else:
        statements = definition.body.statements
        values = [s.value for s in statements if isinstance(s, (syntax.Assignment, syntax.Bare))]
    free = {name for name in literals if name not in bound}.difference([p.name.id for p in definition.parameters])
    found = Least(1, 0)
    todo: list[syntax.Syntax] = list(values)
    while todo:
        expression = todo.pop()
        count, others = _arithmetic(expression, free)
        found = found.plus(0, count)
        for other in others:
            todo += parts(other)
            if isinstance(other, syntax.Call):
                found = found.plus(*_of_call(other, bound, operations))
    return found


def _arithmetic(expression: syntax.Syntax, free: set[str]) -> tuple[int, list[syntax.Syntax]]:
    """The operators of an expression that are no arithmetic on numbers, and what they are applied to."""
    operations = 0
    others: list[syntax.Syntax] = []
    todo = [(expression, False)]
    is_node: list[bool] = []
    while todo:
        x, entered = todo.pop()
        if not isinstance(x, (syntax.Binary, syntax.Unary)):
            others.append(x)
            is_node.append(not (isinstance(x, syntax.Number) or (isinstance(x, syntax.Name) and x.id in free)))
        elif not entered:
            todo.append((x, True))
            todo += [(operand, False) for operand in parts(x)]
        else:
            count = len(parts(x))
            any_node = any(is_node[-count:])
            del is_node[-count:]
            is_node.append(any_node)
            operations += any_node
    return operations, others


def _of_call(call: syntax.Call, bound: Mapping[str, Binding], operations: Mapping[str, Operation]) -> Least:
    name = call.function.id if isinstance(call.function, syntax.Name) else ""
    function = _function(name, bound)
    if function is not None:
        return function.least
    if name == "iterate" and name not in bound and len(call.arguments) == 3:
        f, _, n = [argument.value for argument in call.arguments]
        function = _function(f.id, bound) if isinstance(f, syntax.Name) else None
        if function is not None and isinstance(n, syntax.Number) and isinstance(n.value, int):
            # A function that makes no operation may be the identity, which is applied once.
            return function.least.times(n.value if function.least.operations else min(n.value, 1))
    makes_one = name not in bound and name in operations and operations[name].quick
    return Least(0, int(makes_one))


def _function(name: str, bound: Mapping[str, Binding]) -> UserFunction | None:
    value = bound[name].value if name in bound else None
    return value if isinstance(value, UserFunction) else None
