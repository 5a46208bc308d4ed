"""Expressions of scalars in the program's precision, turned into nodes without the detour that arrays need.

In a long program nearly every operation is arithmetic or a function on floats of one dtype and no axes. For those a
loop over the tree needs neither work items with closures nor shapes nor promotion, which makes it three times as fast.
It gives up, without a trace, on whatever else it meets, errors included: the ordinary way does that.
Without this module (``GRADCLI_WITHOUT=scalars``) programs mean the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradcli.graph.node import NO_ATTRS, Node
from gradcli.graph.operation import Operation, literal
from gradcli.graph.ops import table
from gradcli.graph.ops.creation import SPECIAL
from gradcli.language import expressions, syntax
from gradcli.language.builtin import BINARY, CONSTANTS, NODE_LIMIT, OPERATIONS, UNARY
from gradcli.language.lexer import number_of

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator

Number = int | float

SIGNS = {sign: table[name] for sign, name in BINARY.items() if table[name].quick}
CALLED = {
    name: op
    for name, op in OPERATIONS.items()
    if op.quick and op.name not in SPECIAL and len(op.parameters) <= 2 and all(p.one_tensor for p in op.parameters)
}


class UnsuitableError(Exception):
    """An expression that is for the ordinary way."""


class Scalars(dict[str, Node]):
    """Names of scalars of the program's precision, numbers of its text, and numbers after a minus sign, as nodes."""

    def __init__(self, e: Elaborator) -> None:
        self._bound = e.bound
        self.dtype = e.float_dtype
        self._literals: dict[Number, Node] = {}

    def __missing__(self, word: str) -> Node:
        """Raises UnsuitableError for what is something else."""
        if word < ":":
            value = number_of(word.removeprefix("-"))
            node = self.literal(-value if word[0] == "-" else value)
            if node.risky:  # too large for a float, where a finite number is expected
                raise UnsuitableError
        else:
            binding = self._bound.get(word)
            if binding is None or not isinstance(binding.value, Node):
                raise UnsuitableError
            node = binding.value
            if node.shape or node.dtype != self.dtype:
                raise UnsuitableError
        self[word] = node
        return node

    def literal(self, value: Number) -> Node:
        """A number as a node, one for all its equals."""
        node = self._literals.get(value) if value else None
        if node is None:
            try:
                node = literal(float(value), self.dtype)
            except OverflowError:
                raise UnsuitableError from None
            if value:  # 0.0 and -0.0 are equal, but not the same
                self._literals[value] = node
        return node


def operation_of(x: syntax.Expression) -> Operation:
    """The operation of an expression on scalars of one float dtype that gives another. Raises UnsuitableError."""
    op: Operation | None = None
    if x.__class__ is syntax.Binary:
        op = SIGNS.get(x.operator)
    elif isinstance(x, syntax.Unary) and x.operator == "-":
        op = table[UNARY["-"]]
    elif isinstance(x, syntax.Call) and isinstance(x.function, syntax.Name):
        op = CALLED.get(x.function.id)
        if op is not None and not len(op.parameters) == len(x.arguments) == len(operands_of(x)):
            op = None
    if op is None:
        raise UnsuitableError
    return op


def operands_of(x: syntax.Expression) -> list[syntax.Expression]:
    """What an operation is applied to."""
    if isinstance(x, syntax.Binary):
        return [x.left, x.right]
    if isinstance(x, syntax.Unary):
        return [x.operand]
    if isinstance(x, syntax.Call) and isinstance(x.function, syntax.Name):
        return [argument.value for argument in x.arguments if argument.name is None]
    return []


def value_of(e: Elaborator, expression: syntax.Expression) -> Node | None:
    """The node of an expression at the top level, None with nothing done if it is for the ordinary way."""
    if e.scalars is None:
        e.scalars = Scalars(e)
    made: list[tuple[Node, syntax.Expression]] = []
    try:
        result = _value(e, e.scalars, expression, made)
    except UnsuitableError:
        return None
    if e.program.size + len(made) > NODE_LIMIT:
        return None  # the error has a place
    places = e.program.places
    for node, x in made:
        places[node] = (x.start, x.end)
    return result


def _value(
    e: Elaborator, scalars: Scalars, expression: syntax.Expression, made: list[tuple[Node, syntax.Expression]]
) -> Node:
    bound, dtype = e.bound, scalars.dtype
    values: list[Any] = []  # nodes and numbers
    todo: list[Any] = [expression]  # what to enter, and operations to apply to the last values
    while todo:
        x = todo.pop()
        kind = x.__class__
        if kind is tuple:
            x, op, binary = x
            b = values.pop()
            if binary:
                a = values.pop()
                if a.__class__ is not Node:
                    if b.__class__ is not Node:
                        values.append(_folded(e, x, a, b))
                        continue
                    a = scalars.literal(a)
                elif b.__class__ is not Node:
                    b = scalars.literal(b)
                inputs: tuple[Node, ...] = (a, b)
                risky = a.risky or b.risky
            else:
                if b.__class__ is not Node:
                    if x.__class__ is not syntax.Unary:
                        raise UnsuitableError
                    values.append(-b)
                    continue
                inputs = (b,)
                risky = b.risky
            singular = op.singular
            if singular is not False and not risky:
                risky = singular is True or singular(inputs)
            node = Node(op, inputs, NO_ATTRS, (), dtype, risky)
            made.append((node, x))
            values.append(node)
        elif kind is syntax.Name:
            name = x.id
            values.append(CONSTANTS[name] if name in CONSTANTS and name not in bound else scalars[name])
        elif kind is syntax.Number:
            values.append(x.value)
        elif kind is syntax.Binary:
            todo.append((x, operation_of(x), True))
            todo.append(x.right)
            todo.append(x.left)
        else:
            operands = operands_of(x)
            todo.append((x, operation_of(x), len(operands) == 2))
            if kind is syntax.Call and x.function.id in bound:
                raise UnsuitableError
            todo += operands[::-1]
    (result,) = values
    if result.__class__ is not Node:
        raise UnsuitableError
    return result


def _folded(e: Elaborator, x: syntax.Expression, a: Number, b: Number) -> Number:
    """Arithmetic on numbers, or its error."""
    folded = expressions.arithmetic(e, x, a, b) if isinstance(x, syntax.Binary) else None
    if folded is None:
        raise UnsuitableError
    return folded
