"""How many calls and operations a function makes at least, read off its text: calls that double at each level are refused before they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from gradcli.graph.operation import Operation
from gradcli.language import syntax
from gradcli.language.values import Binding, UserFunction
from gradcli.language.walking import parts, statements_of, values_of

Find = Callable[[str], Binding | None]

MOST = 10**18
"""Larger counts are not told apart."""


WRITTEN_OUT = 8
"""Steps up to which a loop is written out."""


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
    above: Find,
    literals: Iterable[str],
    operations: Mapping[str, Operation],
) -> Least:
    """What a call of a function makes at least, where ``above`` finds the names above it.

    ``literals`` are names of numbers: arithmetic on numbers makes no operation. Of the ``operations`` those count that
    always make one, and defaults do not, for they are not always evaluated. What is called by the name of a parameter
    or of a function in the body does not count.
    """
    own = {p.name.id for p in definition.parameters}
    for statement in statements_of(definition):
        if isinstance(statement, syntax.Function):
            own.add(statement.name.id)
        elif isinstance(statement, syntax.Assignment):
            own.update([target.id for target in statement.targets])
    free = {name for name in literals if above(name) is None} - own
    found = Least(1, 0)
    todo: list[syntax.Syntax] = list(values_of(definition))
    while todo:
        expression = todo.pop()
        count, others = _arithmetic(expression, free)
        found = found.plus(0, count)
        for other in others:
            todo += parts(other)
            if isinstance(other, syntax.Call):
                found = found.plus(*_of_call(other, above, own, operations))
    return found


def _arithmetic(expression: syntax.Syntax, free: set[str]) -> tuple[int, list[syntax.Syntax]]:
    """The operators of an expression that are not arithmetic on numbers, and what they are applied to."""
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


def _of_call(call: syntax.Call, above: Find, own: set[str], operations: Mapping[str, Operation]) -> Least:
    name = call.function.id if isinstance(call.function, syntax.Name) else ""
    if name in own:
        return Least(0, 0)
    function = _function(name, above)
    if function is not None:
        return function.least
    rebound = above(name) is not None
    if name == "iterate" and not rebound and len(call.arguments) == 3:
        f, _, n = [argument.value for argument in call.arguments]
        function = _function(f.id, above) if isinstance(f, syntax.Name) and f.id not in own else None
        if function is not None and isinstance(n, syntax.Number) and isinstance(n.value, int):
            # Many steps may be one node with a body, which is made once; so is the identity.
            once = n.value > WRITTEN_OUT or not function.least.operations
            return function.least.times(min(n.value, 1) if once else n.value)
    makes_one = not rebound and name in operations and operations[name].quick
    return Least(0, int(makes_one))


def _function(name: str, above: Find) -> UserFunction | None:
    binding = above(name)
    return binding.value if binding is not None and isinstance(binding.value, UserFunction) else None
