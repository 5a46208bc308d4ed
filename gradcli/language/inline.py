"""Programs given on the command line itself: an expression at the end is the answer, and names that are set are variables."""

from __future__ import annotations

from collections.abc import Iterable

from gradcli.language import syntax
from gradcli.language.walking import names

ANSWER = "ans"
"""What an expression that has no name is called."""


def completed(program: syntax.Program, given: Iterable[str]) -> tuple[syntax.Program, str | None]:
    """The program with a name for an expression at its end, and declarations of what is ``given`` values and not declared.

    The second result is the name, or None where there is no such expression. A program with names of its own is as it was.
    """
    statements = list(program.statements)
    bound = {target.id for statement in statements for target in syntax.targets(statement)}
    last = statements[-1] if statements else None
    alone = isinstance(last, syntax.Bare) and not isinstance(last.value, syntax.Values) and ANSWER not in bound
    if isinstance(last, syntax.Bare) and alone:
        name = syntax.Name(last.start, last.end, ANSWER)
        statements[-1] = syntax.Assignment(last.start, last.end, [name], last.value)
        if not any([isinstance(statement, syntax.Output) for statement in statements]):
            statements.append(syntax.Output(last.start, last.end, [name]))
    expressions = [x.value for x in statements if isinstance(x, (syntax.Assignment, syntax.Bare))]
    used = {name.id: name for name in names(expressions)}
    missing = [used[name] for name in given if name in used and name not in bound]
    declared = [syntax.Declaration(x.start, x.end, "variable", x, None, None, None) for x in missing]
    return syntax.Program(program.start, program.end, [*declared, *statements]), ANSWER if alone else None
