"""A constant expression given outside of a program: ``--set x=…``, ``--seed y=…``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradcli.diagnostics import GradcliError, Label, Source, Span
from gradcli.graph.node import Node
from gradcli.language import syntax
from gradcli.language.parser import parse

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator


def constant_expression(text: str, name: str, e: Elaborator) -> Node:
    """The node of an expression that sees the built-ins only; its errors name the option.

    Its places belong to another source, so they are not kept.
    """
    from gradcli.language.elaborate import Elaborator

    source = Source(name, text)
    statements = parse(source).statements
    if len(statements) != 1 or not isinstance(statements[0], syntax.Bare):
        raise GradcliError(
            "SyntaxError",
            "one expression is needed here",
            [Label(Span(source, 0, len(text)))],
            help="quote it for the shell: `--set 'x=[1, 2]'`",
        )
    expression = statements[0].value
    inner = Elaborator(source, {}, e.folder, None, e.seed)
    inner.program.float_dtype = e.float_dtype
    inner.outer = e
    return inner.node(inner.value(expression, inner.top), expression)
