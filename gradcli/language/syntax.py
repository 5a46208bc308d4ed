"""The syntax tree: one small class per construct, each with the character offsets of its text.

``start`` and ``end`` (exclusive) index the source text; parentheses around an expression widen its span. The classes are
written out, because generating them as dataclasses would take a sixth of the time in which a small program is answered.
"""

from __future__ import annotations

from typing import Any


class Syntax:
    """Anything with a place in the source; two of a class are equal when all their fields are."""

    __slots__ = ("end", "start")
    start: int
    end: int

    def _fields(self) -> list[object]:
        return [getattr(self, name) for kind in type(self).__mro__ for name in getattr(kind, "__slots__", ())]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Syntax) and self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._fields()))})"


class Expression(Syntax):
    __slots__ = ()


class Statement(Syntax):
    __slots__ = ()

    def quickly(self, elaborator: Any) -> bool:
        """Carry it out, if it knows a way of its own (:mod:`gradcli.language.repeated`); whether that was done."""
        return False


class Number(Expression):
    __slots__ = ("value",)

    def __init__(self, start: int, end: int, value: int | float) -> None:
        self.start = start
        self.end = end
        self.value = value


class String(Expression):
    __slots__ = ("value",)

    def __init__(self, start: int, end: int, value: str) -> None:
        self.start = start
        self.end = end
        self.value = value


class Word(Expression):
    """One of the reserved values ``true``, ``false``, ``None``, ``newaxis``."""

    __slots__ = ("value",)

    def __init__(self, start: int, end: int, value: str) -> None:
        self.start = start
        self.end = end
        self.value = value


class Name(Expression):
    __slots__ = ("id",)

    def __init__(self, start: int, end: int, id: str) -> None:
        self.start = start
        self.end = end
        self.id = id


class Unary(Expression):
    """``operator`` is ``-`` or ``not``."""

    __slots__ = ("operator", "operand")

    def __init__(self, start: int, end: int, operator: str, operand: Expression) -> None:
        self.start = start
        self.end = end
        self.operator = operator
        self.operand = operand


class Binary(Expression):
    """``operator`` is one of ``or and < <= > >= == != + - * / @ ^`` (``**`` is read as ``^``); ``at`` is where it stands."""

    __slots__ = ("operator", "left", "right", "at")

    def __init__(self, start: int, end: int, operator: str, left: Expression, right: Expression, at: int) -> None:
        self.start = start
        self.end = end
        self.operator = operator
        self.left = left
        self.right = right
        self.at = at


class Argument(Syntax):
    """One argument of a call; ``name`` is None for a positional one."""

    __slots__ = ("name", "value")

    def __init__(self, start: int, end: int, name: Name | None, value: Expression) -> None:
        self.start = start
        self.end = end
        self.name = name
        self.value = value


class Call(Expression):
    """``function(arguments)``; that ``function`` is a name is checked when the tree is elaborated."""

    __slots__ = ("function", "arguments")

    def __init__(self, start: int, end: int, function: Expression, arguments: list[Argument]) -> None:
        self.start = start
        self.end = end
        self.function = function
        self.arguments = arguments


class Slice(Syntax):
    """``lower:upper:step`` in an index, each possibly absent."""

    __slots__ = ("lower", "upper", "step")

    def __init__(
        self, start: int, end: int, lower: Expression | None, upper: Expression | None, step: Expression | None
    ) -> None:
        self.start = start
        self.end = end
        self.lower = lower
        self.upper = upper
        self.step = step


class Dots(Syntax):
    """``...`` in an index."""

    __slots__ = ()

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end


class Index(Expression):
    """``base[items]``."""

    __slots__ = ("base", "items")

    def __init__(self, start: int, end: int, base: Expression, items: list[Expression | Slice | Dots]) -> None:
        self.start = start
        self.end = end
        self.base = base
        self.items = items


class Attribute(Expression):
    """``base.name``; only ``.T`` has a meaning, which is checked when the tree is elaborated."""

    __slots__ = ("base", "name")

    def __init__(self, start: int, end: int, base: Expression, name: Name) -> None:
        self.start = start
        self.end = end
        self.base = base
        self.name = name


class List(Expression):
    """``[items]``."""

    __slots__ = ("items",)

    def __init__(self, start: int, end: int, items: list[Expression]) -> None:
        self.start = start
        self.end = end
        self.items = items


class Values(Expression):
    """``a, b``: several values, which only the body of a function can be."""

    __slots__ = ("items",)

    def __init__(self, start: int, end: int, items: list[Expression]) -> None:
        self.start = start
        self.end = end
        self.items = items


class Declaration(Statement):
    """``variable name: dtype[shape] = value`` or ``constant …``; ``kind`` is ``variable`` or ``constant``."""

    __slots__ = ("kind", "name", "dtype", "shape", "value")

    def __init__(
        self,
        start: int,
        end: int,
        kind: str,
        name: Name,
        dtype: Name | None,
        shape: list[Expression] | None,
        value: Expression | None,
    ) -> None:
        self.start = start
        self.end = end
        self.kind = kind
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.value = value


class Assignment(Statement):
    """``a = value`` or, with several targets, ``a, b = value``."""

    __slots__ = ("targets", "value")

    def __init__(self, start: int, end: int, targets: list[Name], value: Expression) -> None:
        self.start = start
        self.end = end
        self.targets = targets
        self.value = value


class Unpacking(Assignment):
    """``a, b, = value``: one that ends its targets with a comma, and unpacks the value into a single one, too."""

    __slots__ = ()


class Bare(Statement):
    """An expression or several on their own: the value of a block, an error elsewhere."""

    __slots__ = ("value",)

    def __init__(self, start: int, end: int, value: Expression) -> None:
        self.start = start
        self.end = end
        self.value = value


class Block(Syntax):
    """``{ statements }``, the body of a function."""

    __slots__ = ("statements",)

    def __init__(self, start: int, end: int, statements: list[Statement]) -> None:
        self.start = start
        self.end = end
        self.statements = statements


class Parameter(Syntax):
    __slots__ = ("name", "default")

    def __init__(self, start: int, end: int, name: Name, default: Expression | None) -> None:
        self.start = start
        self.end = end
        self.name = name
        self.default = default


class Function(Statement):
    """``def name(parameters) = body``."""

    __slots__ = ("name", "parameters", "body")

    def __init__(self, start: int, end: int, name: Name, parameters: list[Parameter], body: Expression | Block) -> None:
        self.start = start
        self.end = end
        self.name = name
        self.parameters = parameters
        self.body = body


class Tangent(Function):
    """``tangent name(parameters, tangents) = body``: the derivative of a function."""

    __slots__ = ()


class Output(Statement):
    """``output a, b``."""

    __slots__ = ("names",)

    def __init__(self, start: int, end: int, names: list[Name]) -> None:
        self.start = start
        self.end = end
        self.names = names


class Seed(Statement):
    """``seed y = value``."""

    __slots__ = ("name", "value")

    def __init__(self, start: int, end: int, name: Name, value: Expression) -> None:
        self.start = start
        self.end = end
        self.name = name
        self.value = value


class Dtype(Statement):
    """``dtype float32``."""

    __slots__ = ("name",)

    def __init__(self, start: int, end: int, name: Name) -> None:
        self.start = start
        self.end = end
        self.name = name


class Broken(Statement):
    """Text that is not a statement, and the names that it was to bind; only a program with errors holds it.

    ``rest`` is a function without what is wrong in its block.
    """

    __slots__ = ("names", "rest")

    def __init__(self, start: int, end: int, names: list[Name], rest: Statement | None = None) -> None:
        self.start = start
        self.end = end
        self.names = names
        self.rest = rest


class Program(Syntax):
    __slots__ = ("statements",)

    def __init__(self, start: int, end: int, statements: list[Statement]) -> None:
        self.start = start
        self.end = end
        self.statements = statements


def targets(statement: Statement) -> list[Name]:
    """The names that a statement binds where it stands."""
    if isinstance(statement, Assignment):
        return statement.targets
    if isinstance(statement, Broken):
        return statement.names
    return [statement.name] if isinstance(statement, (Declaration, Function)) else []
