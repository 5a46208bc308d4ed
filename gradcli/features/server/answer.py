"""One text in an editor: what is wrong with it and how that is mended, and what is to be said of its names."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import cached_property

from gradcli.diagnostics import GradcliError, Label, Source, Span
from gradcli.features.lint.answer import lint
from gradcli.features.lint.mended import mend
from gradcli.features.ops.look import explained
from gradcli.graph.loops import operations_written_out
from gradcli.graph.node import Node, cone
from gradcli.graph.types import size_of
from gradcli.language.builtin import CONSTANTS
from gradcli.language.inspection import Definition, Inspection
from gradcli.language.mending import Edit, mending
from gradcli.language.recovery import tree_of
from gradcli.program import answers
from gradcli.program.loaded import Loaded, from_text
from gradcli.report.numbers import literal, rounded
from gradcli.results import Result
from gradcli.tuples import NamedTuple

ENTRIES = 1_000_000
"""Entries of all arrays of a program up to which its values are shown."""

OPERATIONS = 20_000
"""Operations up to which they are, those of each step of a loop counted."""

SHOWN = 160
"""Characters of a value that are shown."""


class Problem(NamedTuple):
    """An error of the program, or a finding of lint, which may know the ``edit`` that mends it."""

    code: str
    message: str
    labels: tuple[Label, ...]
    help: str | None
    edit: Edit | None = None
    error: GradcliError | None = None

    @property
    def span(self) -> Span | None:
        return self.labels[0].span if self.labels else None


def _of_error(error: GradcliError) -> Problem:
    return Problem(error.kind, error.message, error.labels, error.help, error=error)


class Document:
    """A text, which does not change; everything is found out when it is asked for, and once."""

    def __init__(self, name: str, text: str, folder: str | os.PathLike[str]) -> None:
        self.source = Source(name, text)
        self.folder = folder
        self.seconds = 0.0
        """How long it took to inspect it."""
        self.known: list[Problem] = []
        """What is shown of it."""

    @cached_property
    def inspection(self) -> Inspection:
        start = time.perf_counter()
        inspection = Inspection(self.source, self.folder)
        self.seconds = time.perf_counter() - start
        return inspection

    @cached_property
    def program(self) -> Loaded | None:
        """The program, where it has no errors."""
        if self.inspection.errors:
            return None
        try:
            return from_text(self.source.text, self.source.name, self.folder)
        except GradcliError:
            return None

    # what is wrong

    def syntax_errors(self) -> list[Problem]:
        """What is found without elaborating the program, at once."""
        return [_of_error(error) for error in tree_of(self.source)[1]]

    def errors(self) -> list[Problem]:
        return [_of_error(error) for error in self.inspection.errors]

    @cached_property
    def findings(self) -> list[Problem]:
        if self.program is None:
            return []
        try:
            return [Problem(f.code, f.message, f.labels, f.help, f.edit) for f in lint(self.program)]
        except GradcliError:  # a loop that lint writes out may pass a limit
            return []

    def kept(self, before: Document) -> list[Problem]:
        """What was known of the text before, except syntax errors, where this one is the same."""
        old, new = before.source.text, self.source.text
        head = _alike(old, new)
        tail = min(_alike(old[::-1], new[::-1]), len(old) - head, len(new) - head)

        def moved(label: Label) -> Label | None:
            start, end = label.span.start, label.span.end
            shift = 0 if end <= head else len(new) - len(old)
            if label.span.source != before.source or end > head and start < len(old) - tail:
                return None
            return Label(Span(self.source, start + shift, end + shift), label.text)

        found = [(problem, [moved(label) for label in problem.labels]) for problem in before.known]
        return [
            problem._replace(labels=tuple([label for label in labels if label is not None]), edit=None)
            for problem, labels in found
            if problem.code != "SyntaxError" and labels and labels[0] is not None
        ]

    def mended(self) -> str | None:
        """The text with all better spellings of lint that leave the program as it is; None where there are none."""
        if not any([finding.edit is not None for finding in self.findings]):
            return None
        mended = mend(self.source.text, self.source.name, os.fspath(self.folder))
        return mended.text if mended.done else None

    def mending(self, problem: Problem) -> Edit | None:
        """What mends a problem, if that is known."""
        return mending(self.inspection, problem.error) if problem.error is not None else problem.edit

    # what names stand for

    def hover(self, offset: int) -> str | None:
        """Markdown about the name at an offset: its type, value and gradient, or the entry of an operation."""
        inspection = self.inspection
        definition = inspection.definition_at(offset)
        if definition is not None:
            shown = [_fenced(inspection.heading(definition))]
            if definition.parent is not None and definition.kind == "value" and inspection.node(definition):
                shown.append(f"as in the last call of `{definition.parent.name}`")
            return "\n\n".join([*shown, *self._numbers(definition)])
        operation = inspection.operation_at(offset)
        if operation is not None:
            return _fenced(explained(operation, []).rstrip())
        place = inspection.place_at(offset)
        word = inspection.text(place) if place else ""
        return _fenced(f"constant {word} = {CONSTANTS[word]!r}") if word in CONSTANTS else None

    def _numbers(self, definition: Definition) -> Iterator[str]:
        """The value of a name of the top level, and the gradient by it."""
        program = self.program
        if program is None or definition.parent is not None or definition.name not in program.graph.names:
            return
        try:
            if not _is_small(program):
                return
            (value,) = answers.values(program, [definition.name])
            yield f"value: `{_brief(value)}`"
            if not program.variables or not isinstance(program.graph.names[definition.name], Node):
                return
            reply = answers.gradients(program, None, [definition.name])
            ((_, (gradient,)),) = reply.orders
            yield f"gradient of {', '.join([f'`{y}`' for y in reply.of])}: `{_brief(gradient)}`"
        except GradcliError as error:
            yield error.message


def _alike(a: str, b: str) -> int:
    """How many first characters two texts share."""
    return next((i for i, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))


def _is_small(program: Loaded) -> bool:
    nodes = [x for x in program.graph.names.values() if isinstance(x, Node)]
    return operations_written_out(nodes) <= OPERATIONS and sum([size_of(x.shape) for x in cone(nodes)]) <= ENTRIES


def _brief(result: Result) -> str:
    if not result.connected:
        return f"None: {result.reason.with_line()}" if result.reason is not None else "None"
    text = literal(rounded(result.value, 6))
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _fenced(text: str) -> str:
    return f"```gradcli\n{text}\n```"
