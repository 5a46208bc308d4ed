"""Operations that a language has no words for: the error, with the place in the program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.ruled import no_words, solution
from gradcli.program.loaded import Loaded


class UnwrittenError(Exception):
    """A language has no words for a node."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.op.name)
        self.node = node


@contextmanager
def located(program: Loaded, language: str, help: str) -> Iterator[None]:
    """While a program is written in a language: what has no words there is an error (GradcliError) with its place."""
    try:
        yield
    except UnwrittenError as unwritten:
        op = unwritten.node.op
        if op is solution:
            raise no_words(unwritten.node, language) from None
        named = [x for x in program.graph.names.values() if isinstance(x, Node)]
        found = next((x for x in cone(named) if x.op is op), None)
        labels = program.graph.labels(found) if found is not None else []
        raise GradcliError("ValueError", f"{language} has no function for {op.name}", labels, help) from None
