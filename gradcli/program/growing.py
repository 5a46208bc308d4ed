"""A program that grows: statements replace those that bound their names, and what depends on them stays below."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Sequence
from typing import NoReturn

from gradcli.diagnostics import GradcliError, Label, Source, Span
from gradcli.language import syntax
from gradcli.language.needed import bound_by, free
from gradcli.language.parser import parse
from gradcli.language.pieces import pieces
from gradcli.program.loaded import from_text
from gradcli.tuples import NamedTuple

NAME = "<repl>"
"""What the text of a session is called in messages."""


class Entry(NamedTuple):
    """A statement: its text with the comments before it, what it binds, and the names from outside that it uses."""

    text: str
    binds: frozenset[str]
    uses: frozenset[str]


class Growing:
    """The statements so far, always a program that can be elaborated, and those before each change.

    ``folder`` is where ``load`` in the program looks for files. Methods raise GradcliError and then change nothing.
    """

    def __init__(self, folder: str = "") -> None:
        self.folder = folder
        self.entries: list[Entry] = []
        self._before: list[tuple[list[Entry], str]] = []

    def text(self) -> str:
        return "".join([f"{entry.text}\n" for entry in self.entries])

    def names(self) -> list[str]:
        """The names that the program binds."""
        return [name for entry in self.entries for name in sorted(entry.binds) if name.isidentifier()]

    def add(self, new: Entry, statement: syntax.Statement) -> None:
        """Add a statement, in place of those that bind one of its names; a ``tangent`` to its function."""
        of = next((e for e in self.entries if isinstance(statement, syntax.Tangent) and e.binds & new.binds), None)
        if of is not None:
            definition = of.text[: parse(Source(NAME, of.text)).statements[0].end]
            new = Entry(f"{definition}\n{new.text}", new.binds, of.uses | new.uses)
        taken = [i for i, entry in enumerate(self.entries) if entry.binds & new.binds]
        if taken and (itself := new.uses & new.binds & set(self.names())):
            _fail(new.text, f"`{min(itself)}` cannot be computed from itself", "give the new value a name of its own")
        kept = [entry for i, entry in enumerate(self.entries) if i not in set(taken)]
        first = isinstance(statement, syntax.Dtype)
        kept.insert(0 if first else taken[0] if taken else len(kept), new)
        if taken:
            self._change(_ordered(kept))
        else:  # what stands has been found right, and is as it was: only what the new one needs is read with it
            self._change(kept, only=_needed(kept, new))

    def replace(self, text: str, folder: str) -> None:
        """Begin anew with the statements of a whole program."""
        self._change([entry for entry, _ in entries(text)], folder)

    def undo(self) -> bool:
        """Take the last change back; whether there was one."""
        if self._before:
            self.entries, self.folder = self._before.pop()
            return True
        return False

    def _change(self, entries: list[Entry], folder: str | None = None, only: Sequence[Entry] | None = None) -> None:
        folder = self.folder if folder is None else folder
        from_text("".join([f"{entry.text}\n" for entry in (entries if only is None else only)]), NAME, folder)
        self._before.append((self.entries, self.folder))
        self.entries, self.folder = entries, folder


def entries(text: str) -> list[tuple[Entry, syntax.Statement]]:
    """The statements of a text, each with its comments; a function's ``tangent`` belongs to it."""
    source = Source(NAME, text)
    found: list[tuple[Entry, syntax.Statement]] = []
    at = 0
    statements = parse(source).statements
    for statement in statements:
        rest = re.compile(r"[ \t]*(#[^\n]*)?(?=\n|$)").match(text, statement.end)
        end = rest.end() if rest else statement.end
        piece = text[at:end].lstrip("; \t\n")
        at = end
        if isinstance(statement, syntax.Tangent) and found and found[-1][0].binds == {statement.name.id}:
            whole, of = found[-1]
            found[-1] = Entry(f"{whole.text}\n{piece}", whole.binds, whole.uses | free(statement)), of
        else:
            found.append((Entry(piece, frozenset(_bindings(statement)), frozenset(free(statement))), statement))
    return found


def _bindings(statement: syntax.Statement) -> Iterable[str]:
    """What a statement says, once it is in a program: names, or something else."""
    match statement:
        case syntax.Output():
            return ["an output"]
        case syntax.Dtype():
            return ["a dtype"]
        case syntax.Seed():
            return [f"a seed of {statement.name.id}"]
    return bound_by(statement)


def _needed(entries: Sequence[Entry], new: Entry) -> list[Entry]:
    """An entry with those that it uses, directly or not, and what is said of all."""
    binder = {name: entry for entry in entries for name in entry.binds}
    names = {name for name in binder if not name.isidentifier() and name != "an output"} | set(new.uses)
    todo = list(names)
    while todo:
        entry = binder.get(todo.pop())
        more = entry.uses - names if entry is not None else ()
        names.update(more)
        todo += more
    return [entry for entry in entries if entry is new or entry.binds & names]


def _ordered(entries: Sequence[Entry]) -> list[Entry]:
    """The entries, each after those that it uses, and else in the order in which they stand."""
    binder = {name: i for i, entry in enumerate(entries) for name in entry.binds}
    needs = [{binder[name] for name in entry.uses if name in binder} - {i} for i, entry in enumerate(entries)]
    followers: list[list[int]] = [[] for _ in entries]
    for i, those in enumerate(needs):
        for j in those:
            followers[j].append(i)
    ready = [i for i, those in enumerate(needs) if not those]
    order: list[int] = []
    while ready:
        order.append(i := heapq.heappop(ready))
        for j in followers[i]:
            needs[j].discard(i)
            if not needs[j]:
                heapq.heappush(ready, j)
    if len(order) < len(entries):
        circle = sorted({name for i in set(range(len(entries))) - set(order) for name in entries[i].binds})
        _fail(
            "", f"these would be computed from each other: {', '.join(circle)}", "give the new value a name of its own"
        )
    return [entries[i] for i in order]


def _fail(text: str, message: str, help: str) -> NoReturn:
    labels = [Label(Span(Source(NAME, text), 0, len(text)))] if text else []
    raise GradcliError("NameError", message, labels, help)


def is_complete(text: str) -> bool:
    """Whether no bracket of a text is left open."""
    brackets = [text[piece.start] for piece in pieces(Source(NAME, text)) if piece.sort == "bracket"]
    return sum([1 if bracket in "([{" else -1 for bracket in brackets]) <= 0
