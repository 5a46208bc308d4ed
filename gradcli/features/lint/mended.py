"""Better spellings written into a program's text, each kept only if the program stays the same up to rounding."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from gradcli.autodiff import degree
from gradcli.autodiff.connection import connected
from gradcli.diagnostics import GradcliError
from gradcli.features.lint.answer import Finding, lint
from gradcli.graph.node import Node
from gradcli.language.mending import edited
from gradcli.program import answers, query
from gradcli.program.loaded import Loaded, from_text
from gradcli.tuples import NamedTuple

ROUNDS = 20
"""How often a text is searched again: what stands inside a formula is mended after the formula."""

TOLERANCE = {"float64": (1e-6, 1e-14), "float32": (1e-3, 1e-6)}
"""The relative and the absolute difference up to which values are equal, by the narrowest dtype of a program."""

WORK = 2_000_000
"""Definitions times leaves times nodes, up to which the last orders of derivatives are compared; beyond, the first are."""


class Mended(NamedTuple):
    """A text after the edits, the findings that were mended, each with the text it is about, and those that are left."""

    text: str
    done: list[Finding]
    left: list[Finding]


def mend(text: str, name: str, folder: str = "") -> Mended:
    """Apply the edits of all findings that leave the program as it is. Raises GradcliError where it does not load.

    After an edit the program still loads; its names have the same shapes and dtypes and are None where they were; their
    derivatives end at the same orders (in a large program the outputs' first ones are compared); and values and gradients are equal at the program's own values, or
    at others, for a formula may be wrong where its better spelling is right.
    """
    done: list[Finding] = []
    refused: set[tuple[int, int, str]] = set()
    for _ in range(ROUNDS):
        program = from_text(text, name, folder)
        findings = lint(program)
        chosen = [f for f in findings if f.edit is not None and (f.edit.start, f.edit.end, f.edit.text) not in refused]
        outer = _apart(chosen)
        if not outer:
            break
        before = _Answers(program)
        kept = outer if _equal(before, text, outer, name, folder) else []
        if not kept:
            for finding in outer:
                if _equal(before, text, [*kept, finding], name, folder):
                    kept.append(finding)
                elif finding.edit is not None:
                    refused.add(finding.edit)
        if not kept:
            continue
        text = edited(text, [f.edit for f in kept if f.edit is not None])
        done += kept
        refused = set()
    left = lint(from_text(text, name, folder))
    return Mended(text, done, left)


def _apart(findings: Sequence[Finding]) -> list[Finding]:
    """The findings whose edits lie in no other one's."""
    result: list[Finding] = []
    end = -1
    for finding in sorted(findings, key=lambda f: (f.span.start, -f.span.end)):
        if finding.span.start >= end:
            result.append(finding)
            end = finding.span.end
    return result


def _equal(before: _Answers, text: str, findings: Sequence[Finding], name: str, folder: str) -> bool:
    changed = edited(text, [f.edit for f in findings if f.edit is not None])
    try:
        after = _Answers(from_text(changed, name, folder))
    except GradcliError:
        return False
    if before.signature != after.signature:
        return False
    for moved in (False, True):
        with suppress(GradcliError):  # the program itself fails at these values
            if _close(before.values(moved), after.values(moved)):
                return True
    return False


class _Answers:
    """What a program answers: to be compared with what it answers after an edit."""

    def __init__(self, program: Loaded) -> None:
        self.program = program
        self.outputs = {n: y for n in query.differentiated(program) if isinstance(y := program.graph.names[n], Node)}
        self.signature = self._signature()
        self._known: dict[bool, list[Any]] = {}

    def _signature(self) -> list[object]:
        """Shapes, dtypes and where there is None."""
        graph = self.program.graph
        shown: list[object] = [
            (name, (value.shape, value.dtype) if isinstance(value, Node) else None)
            for name, value in graph.names.items()
        ]
        defined = {name: y for name in graph.definitions if isinstance(y := graph.names[name], Node)}
        if len(defined) * len(graph.leaves) * len(graph.places) > WORK:
            reached = connected(list(self.outputs.values()))
            return [*shown, *(name for name, x in graph.leaves.items() if x in reached)]
        for y_name, y in defined.items():
            heads = query.heads(self.program, [y_name], [y], {})
            shown += [(y_name, name, degree.last_order([y], x, [], heads)) for name, x in graph.leaves.items()]
        return shown

    def values(self, moved: bool) -> list[Any]:
        """All values and the gradients of the outputs, with random values for leaves that have none, or for all."""
        if moved not in self._known:
            names = [n for n in self.program.names if isinstance(self.program.graph.names[n], Node)]
            given = self._given(moved)
            program = self.program.with_values(given)
            found = [r.value for r in answers.values(program, names)]
            if self.program.variables and self.outputs:
                ((_, row),) = answers.gradients(program, list(self.outputs)).orders
                found += [g.value for g in row if g.connected]
            self._known[moved] = found
        return self._known[moved]

    def _given(self, moved: bool) -> dict[str, Any]:
        import numpy as np

        random = np.random.RandomState(0)
        graph = self.program.graph
        given: dict[str, Any] = {}
        for name, leaf in graph.leaves.items():
            if graph.initial[leaf] is None or moved and leaf.dtype.startswith("float"):
                value = random.uniform(0.5, 1.5, leaf.shape)
                given[name] = np.asarray(value).astype(leaf.dtype)
        return given


def _close(a: list[Any], b: list[Any]) -> bool:
    """Whether all entries that were finite have stayed the same up to rounding."""
    import numpy as np

    if [(x.shape, x.dtype) for x in a] != [(x.shape, x.dtype) for x in b]:
        return False
    relative, absolute = TOLERANCE["float32" if any(x.dtype == np.float32 for x in a) else "float64"]
    for x, y in zip(a, b, strict=True):
        finite = np.isfinite(x)
        x, y = np.asarray(x, dtype=float)[finite], np.asarray(y, dtype=float)[finite]
        largest = np.abs(x).max(initial=0.0)
        if not np.all(np.abs(x - y) <= relative * largest + absolute):
            return False
    return True
