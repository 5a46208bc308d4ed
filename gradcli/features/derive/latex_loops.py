r"""Loops in LaTeX, with indices: x_{0} = …, x_{t+1} = f(x_{t}), t = 0, …, n - 1."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from gradcli.features.derive import latex_words
from gradcli.features.derive.latex_words import at_least, indexed
from gradcli.graph.layout import Layout
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import constant_value, substituted
from gradcli.graph.ops.creation import loop, loop_result, make_leaf
from gradcli.graph.ops.words.latex import ATOM
from gradcli.graph.printing import Text
from gradcli.language.definitions import LoopCall, as_runs
from gradcli.rewrite.written import Written
from gradcli.tuples import NamedTuple

STATES = ("x", "s", "u", "v", "w", "z", "a", "b", "f", "q")
"""Letters of states that the program gives no name."""

ARRAYS = ("e", "d", "g", "h")
"""Letters of arrays from which each step takes a row."""

STEPS = ("t", "k", "i", "j", "m", "r")
"""Letters of steps."""


class Run(NamedTuple):
    """How one run of a loop is written: the symbol of each state and of what is stacked, and the letter of the step."""

    call: LoopCall
    states: dict[int, str]
    stacks: dict[int, str]
    step: str

    def moment(self, after: bool) -> str:
        """The index of a state before or after a step; backwards, steps count down."""
        return self.step if after == self.call.body.backwards else f"{self.step}+1"

    def row(self, result: int) -> str:
        """The row that a stacked result has for a step."""
        body, same = self.call.body, self.call.same
        if result in same:
            return indexed(self.states[same[result]], self.moment(after=True))
        if result >= body.before(0):
            return indexed(self.states[result - body.before(0)], self.moment(after=False))
        return indexed(self.stacks[result], self.step)

    def text(self, result: int) -> str:
        """A whole result: a state after the last step, or a stack by its rows."""
        body = self.call.body
        if not body.stacks(result):
            return indexed(self.states[result], "0" if body.backwards else str(body.count))
        same = self.call.same.get(result)
        if same is not None or result >= body.before(0):
            first = int((same is not None) != body.backwards)
            symbol = self.states[result - body.before(0) if same is None else same]
            rows = [indexed(symbol, str(k)) for k in range(first, first + body.count)]
            shown = rows if len(rows) < 3 else [rows[0], r"\dots", rows[-1]]
            return rf"\left({', '.join(shown)}\right)"
        return self.stacks[result]


def has_loops(roots: Iterable[Node]) -> bool:
    """Whether something below is a result of a loop."""
    return any([node.op is loop for node in cone(roots)])


class Loops:
    """The loops of one page: the symbols that they take, and the rows that say what each of them does.

    ``lay_out`` gives the lines of some nodes, ``shown`` nodes as they are displayed.
    """

    def __init__(
        self,
        taken: Iterable[str],
        lay_out: Callable[[Sequence[Node], str], Layout],
        shown: Callable[[Sequence[Node]], dict[Node, Node]],
        broken: Callable[[str, str], str],
        dtype: str,
    ) -> None:
        self._taken = set(taken)
        self._lay_out = lay_out
        self._shown = shown
        self._broken = broken
        self._dtype = dtype
        self._letters: list[str] = []
        self._named_arrays: list[str] = []
        self._arrays: dict[str, str] = {}
        self.runs: dict[Node, Run] = {}
        self.rows: dict[Node, list[str]] = {}

    def result(self, node: Node) -> Text:
        """The text of a result of a loop."""
        run = self.runs[node.inputs[0]]
        return Text(run.text(run.call.wanted[node.attrs["index"]]))

    def run(self, node: Node, operands: Sequence[Text]) -> Text:
        """Write a run down: its rows are those of the line that it has."""
        call: LoopCall = node.attrs["function"]
        body = call.body
        step = self._letter()
        names = {i: self._symbol(str(body.states[i].attrs["name"])) for i in call.live}
        stacked = call.emitted
        run = self.runs[node] = Run(call, names, {r: self._symbol("") for r in stacked}, step)
        texts = dict(zip(call.given, operands, strict=True))
        inputs = dict(zip(call.given, node.inputs, strict=True))
        given = {body.states[i]: indexed(names[i], run.moment(after=False)) for i in call.live}
        first = len(body.states)
        for p, text in texts.items():
            if first <= p < first + len(body.elements):
                given[body.parameters[p]] = self._row(inputs[p], text, step)
            elif p >= first:
                given[body.parameters[p]] = at_least(text, ATOM)
        start = str(body.count) if body.backwards else "0"
        rows = self._named_arrays
        self._named_arrays = []
        rows += [f"{indexed(names[i], start)} &= {texts[i].text}" for i in call.live]
        if body.count:
            self._letters.append(step)
            roots = [*[body.following[i] for i in call.live], *[body.root(r) for r in stacked]]
            targets = [indexed(names[i], run.moment(after=True)) for i in call.live]
            targets += [indexed(run.stacks[r], step) for r in stacked]
            rows += self._body(roots, targets, given, step)
            self._letters.pop()
            last = body.count - 1
            down, up = f"{last}, \\dots, 0", f"0, \\dots, {last}"
            steps = "0" if not last else down if body.backwards else up
            rows[-1] += rf", \quad {step} = {steps}"
        self.rows[node] = rows
        return Text("")

    def _body(self, roots: Sequence[Node], targets: Sequence[str], given: Mapping[Node, str], step: str) -> list[str]:
        """A row for each part of a step that has a name, and for each target."""
        leaves = {x: make_leaf(text, "step", x.shape, x.dtype, x.risky) for x, text in given.items()}
        own = Written(substituted(roots, leaves), dtype=self._dtype).targets
        runs = as_runs(own)
        own = [runs[x] for x in own]
        shown = self._shown(own)
        own = [shown[x] for x in own]
        layout = self._lay_out(own, step)
        rows: list[str] = []
        for line in layout.lines:
            if line.node in self.rows:
                rows += self.rows[line.node]
            elif line.node.op.name != "leaf":
                rows.append(self._broken(line.name, line.text.text))
        for target, x in zip(targets, own, strict=True):
            number = latex_words.number(x.attrs["value"]) if x.op.name == "literal" else None
            rows.append(self._broken(target, (number or layout.texts[x]).text))
        return rows

    def _row(self, node: Node, text: Text, step: str) -> str:
        """The row of an array that a step takes."""
        if node.op is loop_result:
            run = self.runs[node.inputs[0]]
            result = run.call.wanted[node.attrs["index"]]
            if run.call.body.stacks(result):
                return run._replace(step=step).row(result)
        least, largest = node.op.bounds
        number = least if least == largest else None
        if node.op.entries == "repeated":
            number = constant_value(node.inputs[0])
        if number is not None:
            return at_least(latex_words.number(number), ATOM)
        if not re.fullmatch(r"\\?[A-Za-z]+(_\{[^{}]*\})?|\\mathrm\{[A-Za-z]+\}(_\{[^{}]*\})?", text.text):
            if text.text not in self._arrays:
                self._arrays[text.text] = self._symbol("", ARRAYS)
                self._named_arrays.append(self._broken(self._arrays[text.text], text.text))
            return indexed(self._arrays[text.text], step)
        return indexed(text.text, step)

    def _symbol(self, name: str, letters: Sequence[str] = STATES) -> str:
        """A symbol of its own: that of the name, else a letter that is free."""
        candidates = [latex_words.symbol(name)] if name.isidentifier() else []
        candidates += [*letters, *[f"{letter}_{{{k}}}" for k in range(1, 100) for letter in letters]]
        found = next((c for c in candidates if self._is_free(c)), f"s_{{{len(self._taken)}}}")
        self._taken.add(found)
        return found

    def _is_free(self, symbol: str) -> bool:
        """Whether no other has this symbol, with or without an index."""
        return not any([other == symbol or other.startswith(f"{symbol}_") for other in self._taken])

    def _letter(self) -> str:
        """A letter for the step, which loops beside each other share."""
        return next(
            (c for c in STEPS if c not in self._taken and c not in self._letters), rf"\tau_{{{len(self._letters) + 1}}}"
        )
