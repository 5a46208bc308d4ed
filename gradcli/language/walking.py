"""Ways through a syntax tree that do not recurse: the parts of an expression, and the names that it uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gradcli.language import syntax


def parts(expression: syntax.Syntax) -> Sequence[syntax.Syntax]:
    """The expressions directly inside one, in the order in which they are written; a function's name is one."""
    match expression:
        case syntax.Binary():
            return (expression.left, expression.right)
        case syntax.Unary():
            return (expression.operand,)
        case syntax.Call():
            return (expression.function, *(argument.value for argument in expression.arguments))
        case syntax.Index():
            return (expression.base, *expression.items)
        case syntax.Slice():
            return [part for part in (expression.lower, expression.upper, expression.step) if part is not None]
        case syntax.Attribute():
            return (expression.base,)
        case syntax.List() | syntax.Values():
            return expression.items
    return ()


def functions(statements: Iterable[syntax.Syntax]) -> Iterator[tuple[syntax.Function, syntax.Function | None]]:
    """The functions among some statements and in their bodies, each after the one that it stands in, and with it."""
    todo: list[tuple[syntax.Syntax, syntax.Function | None]] = [(s, None) for s in statements]
    while todo:
        statement, outer = todo.pop()
        if isinstance(statement, syntax.Function):
            yield statement, outer
            todo += [(inner, statement) for inner in statements_of(statement)]


def statements_of(function: syntax.Function) -> Sequence[syntax.Statement]:
    """The statements of a function's block."""
    return function.body.statements if isinstance(function.body, syntax.Block) else ()


def values_of(function: syntax.Function) -> Sequence[syntax.Expression]:
    """The expressions of a function's body, without those of the functions in it."""
    if isinstance(function.body, syntax.Expression):
        return [function.body]
    return [s.value for s in statements_of(function) if isinstance(s, (syntax.Assignment, syntax.Bare))]


def names(expressions: Iterable[syntax.Syntax]) -> Iterator[syntax.Name]:
    """Every name in some expressions, as often as it is written."""
    todo = list(expressions)
    while todo:
        expression = todo.pop()
        if isinstance(expression, syntax.Name):
            yield expression
        else:
            todo += parts(expression)


def same(a: syntax.Syntax, b: syntax.Syntax) -> bool:
    """Whether two expressions are written alike, apart from white space and parentheses."""
    todo = [(a, b)]
    while todo:
        left, right = todo.pop()
        if type(left) is not type(right) or _own(left) != _own(right):
            return False
        inside, others = parts(left), parts(right)
        if len(inside) != len(others):
            return False
        todo += zip(inside, others, strict=True)
    return True


def _own(expression: syntax.Syntax) -> object:
    """What an expression says besides its parts."""
    match expression:
        case syntax.Name():
            return expression.id
        case syntax.Number() | syntax.String() | syntax.Word():
            return type(expression.value), expression.value
        case syntax.Binary() | syntax.Unary():
            return expression.operator
        case syntax.Call():
            return [argument.name and argument.name.id for argument in expression.arguments]
        case syntax.Slice():
            return [part is None for part in (expression.lower, expression.upper, expression.step)]
        case syntax.Attribute():
            return expression.name.id
    return None
