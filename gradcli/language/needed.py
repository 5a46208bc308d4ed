"""Which statements of a program some names need, so that derivatives that nobody asked for are not made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradcli.graph.ops import table
from gradcli.language import syntax
from gradcli.language.derivatives import FORMS
from gradcli.language.repeated import Repeated
from gradcli.language.values import Asked
from gradcli.language.walking import functions, names, statements_of

DERIVATIVES = {*FORMS, "gradients"}
COUNTED = {op.name for op in table.values() if op.given and op.family == "creation"}
"""Calls that are numbered in the order of the program: leaving one out would change the numbers of the next."""


def without_unasked(statements: Sequence[syntax.Statement], asked: Asked) -> Sequence[syntax.Statement]:
    """The statements without those that are derivatives, or computed from such, that no name asked for needs.

    All other statements stay, so that a mistake in them is found whatever is asked for. Everything stays where nothing
    is asked for by name, so that the whole program is checked, and where a name asked for is not bound at the top level,
    for the error about it tells all names.
    """
    of, also = asked
    if of is None:
        return statements
    bound = {name for statement in statements for name in bound_by(statement)}
    needed = {*of, *also}
    if not of or not needed <= bound:
        return statements
    uses = [set(used(statement)) for statement in statements]
    derivatives, counted = DERIVATIVES - bound, COUNTED - bound  # names that stand for one, or are computed from one
    optional: set[int] = set()
    for i, (statement, those) in enumerate(zip(statements, uses, strict=True)):
        if isinstance(statement, (syntax.Assignment, syntax.Function)) and those & derivatives:
            derivatives.update(bound_by(statement))
            if isinstance(statement, syntax.Assignment) and not those & counted:
                optional.add(i)
        if isinstance(statement, syntax.Function) and those & counted:
            counted.add(statement.name.id)
    for i in range(len(statements) - 1, -1, -1):
        if isinstance(statements[i], syntax.Output):
            continue
        if i not in optional or needed.intersection(bound_by(statements[i])):
            optional.discard(i)
            needed |= uses[i]
    left_out = {name for i in optional for name in bound_by(statements[i])}
    return [
        statement for i, statement in enumerate(statements)
        if i not in optional and not (isinstance(statement, syntax.Output) and uses[i] & left_out)
    ]  # fmt: skip


def bound_by(statement: syntax.Statement) -> list[str]:
    """The names of the top level that a statement binds."""
    return [target.id for target in syntax.targets(statement)]


def used(statement: syntax.Statement) -> Iterator[str]:
    """The names in a statement, those of the bodies of functions included."""
    todo: list[syntax.Syntax] = [statement]
    while todo:
        match todo.pop():
            case Repeated() as one:
                yield from (*one.words[1:], *one.shape.functions)
            case syntax.Assignment() | syntax.Bare() as one:
                yield from (name.id for name in names([one.value]))
            case syntax.Declaration() as one:
                given = [x for x in (*(one.shape or ()), one.value) if x is not None]
                yield from (name.id for name in names(given))
            case syntax.Function() as one:
                yield from (name.id for name in names([p.default for p in one.parameters if p.default is not None]))
                todo.append(one.body)
            case syntax.Block() as one:
                todo += one.statements
            case syntax.Output() as one:
                yield from (name.id for name in one.names)
            case syntax.Seed() as one:
                yield one.name.id
                yield from (name.id for name in names([one.value]))
            case syntax.Expression() as one:
                yield from (name.id for name in names([one]))


def free(statement: syntax.Statement) -> set[str]:
    """The names in a statement that stand for something outside of it: not the parameters and locals of functions."""
    own: set[str] = set()
    for function, outer in functions([statement]):
        own.update(parameter.name.id for parameter in function.parameters)
        own.update(name for inner in statements_of(function) for name in bound_by(inner))
        if outer is not None:
            own.add(function.name.id)
    return set(used(statement)) - own
