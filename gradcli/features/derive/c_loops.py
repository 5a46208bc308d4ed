"""Loops in C: states are variables, what is stacked is an array of fixed size, and a step is the body of a ``for``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from gradcli.diagnostics import GradcliError
from gradcli.features.derive.entrywise import entrywise
from gradcli.graph.entries import Entries
from gradcli.graph.layout import Layout
from gradcli.graph.node import Node
from gradcli.graph.operation import constant_value, literal, substituted
from gradcli.graph.ops.creation import loop_result, loop_run, make_leaf
from gradcli.graph.ops.words.c import CONDITIONAL, TYPES, listed
from gradcli.graph.printing import ATOM, Text
from gradcli.graph.types import size_of
from gradcli.language.definitions import LoopCall, as_runs
from gradcli.rewrite.written import Written

MOST_KEPT = 100_000
"""Numbers that loops may keep, which lie on the stack of the function."""


class Block:
    """One run of a loop: the names of its variables and arrays, and the formulas of a step.

    ``inputs`` are the numbers that the run starts from and uses, of which ``starts``, ``fixed`` and ``lists`` say where
    each state begins, which leaf of a step stands for one, and which rows are written down.
    """

    def __init__(self, node: Node, call: LoopCall, step: str) -> None:
        self.node = node
        self.call = call
        self.step = step
        self.inputs: list[Node] = []
        self.states: dict[int, list[str]] = {}
        self.stacks: dict[int, str] = {}
        self.starts: dict[int, int] = {}
        self.fixed: list[tuple[Node, int]] = []
        self.lists: list[tuple[str, str, int, int]] = []
        self.following: list[Node] = []
        self.emitted: list[tuple[int, list[Node]]] = []


class Loops:
    """The loops of one function. ``fresh`` gives new names from old ones, ``lay_out`` the lines of some numbers."""

    def __init__(self, fresh: Callable[[str], str], lay_out: Callable[[Sequence[Node]], Layout], dtype: str) -> None:
        self._fresh = fresh
        self._lay_out = lay_out
        self._dtype = dtype
        self._kept = 0
        self.blocks: dict[Node, Block] = {}
        self.given: dict[Node, str] = {}
        """The texts of what is the same in all steps."""
        self.lines: dict[Node, list[str]] = {}

    # as scalar nodes

    def run(self, node: Node, found: Mapping[Node, Entries], leaves: Mapping[Node, Entries]) -> None:
        """Make a run one scalar node, whose inputs are the numbers that it starts from and uses."""
        call: LoopCall = node.attrs["function"]
        assert call.body.count, "a loop without steps is not a node"
        block = Block(node, call, self._fresh("i"))
        given = self._inputs(block, found, leaves) | self._states(block)
        self._keep(block)
        self._formulas(block, given)
        scalar = Node(loop_run, tuple(block.inputs), {}, (), "bool", False)
        self.blocks[node] = self.blocks[scalar] = block
        block.node = scalar

    def _inputs(
        self, block: Block, found: Mapping[Node, Entries], leaves: Mapping[Node, Entries]
    ) -> dict[Node, Entries]:
        """What the parameters of a step are, but for the states: rows, and what is the same in all steps."""
        body, inputs = block.call.body, block.inputs
        given: dict[Node, Entries] = {}
        first, last = len(body.states), len(body.states) + len(body.elements)
        for p, x in zip(block.call.given, block.node.inputs, strict=True):
            parameter = body.parameters[p]
            if first <= p < last:
                given[parameter] = self._rows(block, parameter, x, found, leaves)
            elif p < first:
                block.starts[p] = len(inputs)
                inputs += found[x].ravel().tolist()
            else:
                entries = [make_leaf("", "step", (), parameter.dtype, parameter.risky) for _ in range(found[x].size)]
                block.fixed += [(leaf, len(inputs) + i) for i, leaf in enumerate(entries)]
                inputs += found[x].ravel().tolist()
                given[parameter] = _shaped(entries, parameter)
        return given

    def _states(self, block: Block) -> dict[Node, Entries]:
        """The variables of the states that are needed."""
        given: dict[Node, Entries] = {}
        for i in block.call.live:
            state = block.call.body.states[i]
            name = self._fresh(str(state.attrs["name"]) or "s")
            names = [self._fresh(f"{name}_{e}") for e in range(size_of(state.shape))] if state.shape else [name]
            block.states[i] = names
            given[state] = _named(names, state)
        return given

    def _keep(self, block: Block) -> None:
        """Room for what is wanted of every step. Raises a LimitError (GradcliError) where the stack has none."""
        body = block.call.body
        for r in block.call.wanted:
            if body.stacks(r):
                self._kept += size_of(body.shape(r))
                block.stacks[r] = self._fresh("kept")
        if self._kept > MOST_KEPT:
            raise GradcliError(
                "LimitError",
                f"the loops of this program keep more than {MOST_KEPT:,} numbers, for which C has no room on its stack",
                help="a module of arrays has room: `--format jax`, or `gradcli derive` without a format",
            )

    def _formulas(self, block: Block, given: Mapping[Node, Entries]) -> None:
        """What a step computes: the next states, and what it emits."""
        call, body = block.call, block.call.body
        emitted = [r for r in block.stacks if r in call.emitted]
        roots = [*[body.following[i] for i in call.live], *[body.root(r) for r in emitted]]
        # What is the same in all steps may be computed from something: a leaf takes its place.
        leaf = {x: make_leaf("", "step", x.shape, x.dtype, x.risky) for x in given}
        own = Written(substituted(roots, leaf), dtype=self._dtype).targets
        runs = as_runs(own)
        inner = entrywise([runs[x] for x in own], {leaf[x]: some for x, some in given.items()}, self._dtype, self)
        results: list[list[Node]] = [inner[runs[x]].ravel().tolist() for x in own]
        block.following = [e for some in results[: len(call.live)] for e in some]
        block.emitted = list(zip(emitted, results[len(call.live) :], strict=True))

    def _rows(
        self,
        block: Block,
        parameter: Node,
        x: Node,
        found: Mapping[Node, Entries],
        leaves: Mapping[Node, Entries],
    ) -> Entries:
        """The entries of the row that a step takes: of an array that is there, or that is written down for it."""
        size = size_of(parameter.shape)
        least, largest = x.op.bounds
        number = least if least == largest else None
        if x.op.entries == "repeated":
            number = constant_value(x.inputs[0])
        if number is not None:
            return _shaped([literal(number, parameter.dtype)] * size, parameter)
        if x.op is loop_result:
            other = self.blocks[x.inputs[0]]
            result = other.call.wanted[x.attrs["index"]]
            if other.call.body.stacks(result):
                block.inputs.append(other.node)
                return self._row(other.stacks[result], block.step, parameter)
        if x in leaves:
            names = [str(e.attrs.get("name", "")) for e in leaves[x].ravel()]
            array = names[0].partition("[")[0]
            if array and names == [f"{array}[{k}]" for k in range(len(names))]:
                return self._row(array, block.step, parameter)
        name = self._fresh("row")
        entries = found[x].ravel().tolist()
        block.lists.append((name, TYPES[x.dtype], len(block.inputs), len(entries)))
        block.inputs += entries
        return self._row(name, block.step, parameter)

    def _row(self, array: str, step: str, parameter: Node) -> Entries:
        return _named(_places(array, step, size_of(parameter.shape)), parameter)

    def result(self, node: Node) -> Entries:
        """The entries of a result: variables after the loop, or the numbers that were kept."""
        block = self.blocks[node.inputs[0]]
        r = block.call.wanted[node.attrs["index"]]
        names = block.states[r] if r in block.states and not block.call.body.stacks(r) else []
        if block.call.body.stacks(r):
            names = [f"{block.stacks[r]}[{k}]" for k in range(size_of(node.shape))]
        entries = [Node(loop_result, (block.node,), {"text": name}, (), node.dtype, node.risky) for name in names]
        return _shaped(entries, node)

    # as text

    def write(self, node: Node, operands: Sequence[Text]) -> Text:
        """Write a run down as a ``for``, whose lines are noted."""
        block = self.blocks[node]
        call, body = block.call, block.call.body
        for leaf, k in block.fixed:
            self.given[leaf] = operands[k].at_least(ATOM)
        before: list[str] = []
        for name, kind, k, count in block.lists:
            before.append(f"const {kind} {name}[{count}] = {listed([t.text for t in operands[k : k + count]])};")
        for i in call.live:
            kind, k = TYPES[body.states[i].dtype], block.starts[i]
            before += [f"{kind} {name} = {operands[k + e].text};" for e, name in enumerate(block.states[i])]
        for r, name in block.stacks.items():
            before.append(f"{TYPES[body.root(r).dtype]} {name}[{size_of(body.shape(r))}];")
        layout = self._lay_out([*block.following, *[x for _, some in block.emitted for x in some]])
        inside = list(self._kept_before(block))
        for line in layout.lines:
            if line.node in self.lines:
                inside += self.lines[line.node]
            elif line.node.op.name != "leaf":
                inside.append(f"const {TYPES[line.node.dtype]} {line.name} = {line.text.text};")
        for r, entries in block.emitted:
            places = _places(block.stacks[r], block.step, len(entries))
            inside += [f"{place} = {_text(layout, x)};" for place, x in zip(places, entries, strict=True)]
        inside += self._assigned(block, layout)
        for r, i in call.same.items():
            if r in block.stacks:
                places = _places(block.stacks[r], block.step, len(block.states[i]))
                inside += [f"{place} = {name};" for place, name in zip(places, block.states[i], strict=True)]
        t, n = block.step, body.count
        head = f"int {t} = {n - 1}; {t} >= 0; {t}--" if body.backwards else f"int {t} = 0; {t} < {n}; {t}++"
        self.lines[node] = [*before, f"for ({head}) {{", *[f"    {line}" for line in inside], "}"]
        return Text("")

    def _kept_before(self, block: Block) -> Iterable[str]:
        call, body = block.call, block.call.body
        if body.done is not None and body.done in block.states and not block.stacks:
            yield f"if ({block.states[body.done][0]}) break;"
        for r, array in block.stacks.items():
            if r not in call.same and r not in call.emitted:
                names = block.states[r - body.before(0)]
                for place, name in zip(_places(array, block.step, len(names)), names, strict=True):
                    yield f"{place} = {name};"

    def _assigned(self, block: Block, layout: Layout) -> list[str]:
        """Each state gets its next value, all at once."""
        names = [name for i in block.call.live for name in block.states[i]]
        texts = [_text(layout, x) for x in block.following]
        if len(names) == 1:
            return [f"{names[0]} = {texts[0]};"]
        changed = [(name, text, x) for name, text, x in zip(names, texts, block.following, strict=True) if name != text]
        new = [self._fresh("next") for _ in changed]
        lines = [f"const {TYPES[x.dtype]} {own} = {text};" for own, (_, text, x) in zip(new, changed, strict=True)]
        return lines + [f"{name} = {own};" for own, (name, _, _) in zip(new, changed, strict=True)]


def _text(layout: Layout, x: Node) -> str:
    return layout.texts[x].at_least(CONDITIONAL)


def _places(array: str, step: str, size: int) -> list[str]:
    """Where a row lies in an array of all rows."""
    if size == 1:
        return [f"{array}[{step}]"]
    return [f"{array}[{size} * {step}" + (f" + {e}]" if e else "]") for e in range(size)]


def _named(names: Sequence[str], like: Node) -> Entries:
    return _shaped([make_leaf(name, "step", (), like.dtype, like.risky) for name in names], like)


def _shaped(entries: Sequence[Node], like: Node) -> Entries:
    array = np.empty(len(entries), object)
    array[:] = entries
    return array.reshape(like.shape)
