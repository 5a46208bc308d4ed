"""From text to syntax tree: one build function for each rule of the grammar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from gradcli.diagnostics import GradcliError, Source
from gradcli.graph.node import uncollected
from gradcli.graph.switches import without
from gradcli.language import syntax, tables
from gradcli.language.automaton import Build, State, link, run, start_of
from gradcli.language.lexer import Tokens, make_lexer

if TYPE_CHECKING:
    from gradcli.language.repeated import Lines

LONG = 50_000
"""Characters of a text from which its lines are compared."""


def parse(source: Source) -> syntax.Program:
    """The syntax tree of a program. Raises GradcliError of kind SyntaxError."""
    tokens, first = _machine()
    lines = _lines(source) if len(source.text) > LONG else None
    with uncollected():
        program = run(first, tokens(source, lines))
    if program is None:
        from gradcli.language.syntax_errors import explain

        raise explain(source, tables.load())
    return cast(syntax.Program, program)


def lexer() -> Tokens:
    """The lexer of the grammar."""
    return _machine()[0]


@cache
def _machine() -> tuple[Tokens, State]:
    data = tables.load()
    return make_lexer(data), link(data, builder)


def _lines(source: Source) -> Lines | None:
    """What knows the shapes of the lines of a long text."""
    if without("repeated"):
        return None
    from gradcli.language.repeated import Lines

    tokens, first = _machine()

    def assignment(start: int, end: int) -> syntax.Assignment | None:
        try:
            program = run(first, tokens(source, None, start, end))
        except GradcliError:
            return None
        found = program.statements if program is not None else []
        return found[0] if len(found) == 1 and isinstance(found[0], syntax.Assignment) else None

    return Lines(source, tables.load(), assignment)


def children_of(rule: tables.Rule) -> Callable[[list[Any]], list[Any]]:
    """How to pick a rule's children from the values of its symbols, as Lark would."""
    picks = [(position, position >= 0 and rule["symbols"][position].startswith("_")) for position in rule["children"]]

    def pick(parts: list[Any]) -> list[Any]:
        children: list[Any] = []
        for position, is_list in picks:
            if is_list:
                children += parts[position]
            else:
                children.append(parts[position] if position >= 0 else None)
        return children

    return pick


# ---- build functions: for rules with a fixed text in them, made once for each text


def binary(operator: str) -> Build:
    """What builds an operation on two operands."""

    def build(parts: list[Any], end: int) -> syntax.Binary:
        left, at, right = parts
        return syntax.Binary(left.start, right.end, operator, left, right, at)

    return build


def unary(operator: str) -> Build:
    """What builds an operation on one operand."""
    if operator == "+":  # which changes nothing, as parentheses do
        return lambda parts, end: group(parts[0], end, parts[1])
    return lambda parts, end: syntax.Unary(parts[0], end, operator, parts[1])


def word(text: str) -> Build:
    """What builds a word such as ``true``."""
    return lambda parts, end: syntax.Word(parts[0], end, text)


WITH_TEXT: dict[str, Callable[[str], Build]] = {"binary": binary, "unary": unary, "word": word}

# ---- build functions: start, end and the children


def declare(kind: str) -> Callable[..., syntax.Declaration]:
    """What builds a declaration of a variable or constant."""

    def build(
        start: int,
        end: int,
        name: syntax.Name,
        type: tuple[syntax.Name | None, list[syntax.Expression] | None] | None,
        value: syntax.Expression | None,
    ) -> syntax.Declaration:
        dtype, shape = type or (None, None)
        return syntax.Declaration(start, end, kind, name, dtype, shape, value)

    return build


def type_and_shape(
    start: int, end: int, first: syntax.Name | list[syntax.Expression], shape: list[syntax.Expression] | None = None
) -> tuple[syntax.Name | None, list[syntax.Expression] | None]:
    """The dtype and the shape of a declaration; each may be missing."""
    return (None, first) if isinstance(first, list) else (first, shape)


def group(start: int, end: int, value: syntax.Expression) -> syntax.Expression:
    """An expression in parentheses, which has their place."""
    value.start, value.end = start, end
    return value


CONSTRUCT: dict[str, Callable[..., Any]] = {
    "program": lambda start, end, *statements: syntax.Program(start, end, list(statements)),
    "variable": declare("variable"),
    "constant": declare("constant"),
    "type": type_and_shape,
    "shape": lambda start, end, *sizes: list(sizes),
    "function": lambda start, end, name, *rest: syntax.Function(start, end, name, list(rest[:-1]), rest[-1]),
    "tangent": lambda start, end, name, *rest: syntax.Tangent(start, end, name, list(rest[:-1]), rest[-1]),
    "parameter": syntax.Parameter,
    "block": lambda start, end, *statements: syntax.Block(start, end, list(statements)),
    "dtype": syntax.Dtype,
    "output": lambda start, end, *names: syntax.Output(start, end, list(names)),
    "seed": syntax.Seed,
    "values": lambda start, end, *items: syntax.Values(start, end, list(items)),
    "assignment": lambda start, end, *rest: syntax.Assignment(start, end, list(rest[:-1]), rest[-1]),
    "unpacking": lambda start, end, *rest: syntax.Unpacking(start, end, list(rest[:-1]), rest[-1]),
    "bare": syntax.Bare,
    "attribute": syntax.Attribute,
    "index": lambda start, end, base, *items: syntax.Index(start, end, base, list(items)),
    "call": lambda start, end, function, *arguments: syntax.Call(start, end, function, list(arguments)),
    "variance": lambda start, end: syntax.Name(start, end, "var"),
    "group": group,
    "list": lambda start, end, *items: syntax.List(start, end, list(items)),
    "argument": syntax.Argument,
    "slice": syntax.Slice,
    "dots": syntax.Dots,
}


# The three rules that nearly every line needs, without the detour over a list of children.
FREQUENT: dict[tuple[str, int], Build] = {
    ("argument", 1): lambda parts, end: syntax.Argument(parts[0].start, end, None, parts[0]),
    ("call", 4): lambda parts, end: syntax.Call(parts[0].start, end, parts[0], [parts[2]]),
    ("assignment", 3): lambda parts, end: syntax.Assignment(parts[0][0].start, end, parts[0], parts[2]),
}


def builder(rule: tables.Rule, spellings: Mapping[str, str]) -> Build:
    """The build function of a rule."""
    name, symbols = rule["name"], rule["symbols"]
    assert name is not None
    if name in WITH_TEXT:
        text = next(spellings[symbol] for symbol in symbols if symbol in spellings)
        return WITH_TEXT[name]("^" if text == "**" else text)
    if (name, len(symbols)) in FREQUENT:
        return FREQUENT[name, len(symbols)]
    construct = CONSTRUCT[name]
    pick = children_of(rule)
    if name in (
        "program",
        "type",
    ):  # the one starts with the text, even an empty one; the other has no place in the tree
        return lambda parts, end: construct(0, end, *pick(parts))
    return lambda parts, end: construct(start_of(parts[0]), end, *pick(parts))
