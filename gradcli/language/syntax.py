"""The syntax tree: one small class per construct, each with the character offsets of its text.

``start`` and ``end`` (exclusive) index the source text; parentheses around an expression widen its span.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Syntax:
    """Anything with a place in the source."""

    start: int
    end: int


class Expression(Syntax):
    __slots__ = ()


class Statement(Syntax):
    __slots__ = ()


@dataclass(slots=True)
class Number(Expression):
    value: int | float


@dataclass(slots=True)
class String(Expression):
    value: str


@dataclass(slots=True)
class Word(Expression):
    """One of the reserved values ``true``, ``false``, ``None``, ``newaxis``."""

    value: str


@dataclass(slots=True)
class Name(Expression):
    id: str


@dataclass(slots=True)
class Unary(Expression):
    """``operator`` is ``-`` or ``not``."""

    operator: str
    operand: Expression


@dataclass(slots=True)
class Binary(Expression):
    """``operator`` is one of ``or and < <= > >= == != + - * / @ ^`` (``**`` is read as ``^``); ``at`` is where it stands."""

    operator: str
    left: Expression
    right: Expression
    at: int


@dataclass(slots=True)
class Argument(Syntax):
    """One argument of a call; ``name`` is None for a positional one."""

    name: Name | None
    value: Expression


@dataclass(slots=True)
class Call(Expression):
    """``function(arguments)``; that ``function`` is a name is checked when the tree is elaborated."""

    function: Expression
    arguments: list[Argument]


@dataclass(slots=True)
class Slice(Syntax):
    """``lower:upper:step`` in an index, each possibly absent."""

    lower: Expression | None
    upper: Expression | None
    step: Expression | None


@dataclass(slots=True)
class Dots(Syntax):
    """``...`` in an index."""


@dataclass(slots=True)
class Index(Expression):
    """``base[items]``."""

    base: Expression
    items: list[Expression | Slice | Dots]


@dataclass(slots=True)
class Attribute(Expression):
    """``base.name``; only ``.T`` has a meaning, which is checked when the tree is elaborated."""

    base: Expression
    name: Name


@dataclass(slots=True)
class List(Expression):
    """``[items]``."""

    items: list[Expression]


@dataclass(slots=True)
class Declaration(Statement):
    """``variable name: dtype[shape] = value`` or ``constant …``; ``kind`` is ``variable`` or ``constant``."""

    kind: str
    name: Name
    dtype: Name | None
    shape: list[Expression] | None
    value: Expression | None


@dataclass(slots=True)
class Assignment(Statement):
    """``a = value`` or, with several targets, ``a, b = value``."""

    targets: list[Name]
    value: Expression


@dataclass(slots=True)
class Bare(Statement):
    """An expression on its own: the value of a block, an error elsewhere."""

    value: Expression


@dataclass(slots=True)
class Block(Syntax):
    """``{ statements }``, the body of a function."""

    statements: list[Statement]


@dataclass(slots=True)
class Parameter(Syntax):
    name: Name
    default: Expression | None


@dataclass(slots=True)
class Function(Statement):
    """``def name(parameters) = body``."""

    name: Name
    parameters: list[Parameter]
    body: Expression | Block


@dataclass(slots=True)
class Output(Statement):
    """``output a, b``."""

    names: list[Name]


@dataclass(slots=True)
class Seed(Statement):
    """``seed y = value``."""

    name: Name
    value: Expression


@dataclass(slots=True)
class Dtype(Statement):
    """``dtype float32``."""

    name: Name


@dataclass(slots=True)
class Program(Syntax):
    statements: list[Statement]
