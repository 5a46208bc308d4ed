"""Loops in modules: a ``for`` of Python, which puts what is stacked into an array, or a ``scan`` or ``while_loop`` of JAX."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from gradcli.graph.layout import Layout
from gradcli.graph.node import Node, Number
from gradcli.graph.operation import constant_value, substituted
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.printing import Text
from gradcli.language.definitions import LoopCall, as_runs
from gradcli.rewrite.terms import filled
from gradcli.rewrite.written import Written

WIDEST = 80
"""Characters up to which all next states are written on one line."""


class Block:
    """One run of a loop: its names, and the texts of a step.

    ``states`` are the names of states, ``starts`` and ``following`` the texts of their first and next values, ``rows`` the names of rows
    with those of their arrays, ``stacks`` the names of what is stacked with the text of a row each: of what a step
    emits, of a state ``before`` the step, or of one ``after`` it.
    """

    def __init__(self, call: LoopCall) -> None:
        self.call = call
        self.states: dict[int, str] = {}
        self.rows: dict[str, str] = {}
        self.starts: dict[str, str] = {}
        self.before: list[str] = []
        self.inside: list[str] = []
        self.following: dict[int, str] = {}
        self.stacks: dict[int, str] = {}
        self.emitted: dict[int, str] = {}

    @property
    def done(self) -> str | None:
        """The name of the state that says that all is done, where nothing is stacked."""
        done = self.call.body.done
        return None if done is None or self.stacks else self.states.get(done)

    def history(self, r: int) -> int | None:
        """The number of the state that a stack holds as it was before each step."""
        return None if r in self.call.same or r in self.emitted else r - self.call.body.before(0)


class Loops:
    """The loops of one function.

    ``fresh`` gives new names from old ones, ``lay_out`` the lines of some nodes of a step, and ``write`` turns a block into
    lines: as Python (:func:`as_for`) or as JAX (:func:`as_scan`) does it.
    """

    def __init__(
        self,
        fresh: Callable[[str], str],
        lay_out: Callable[[Sequence[Node]], Layout],
        write: Callable[[Block, Callable[[str], str]], list[str]],
        dtype: str,
    ) -> None:
        self._fresh = fresh
        self._lay_out = lay_out
        self._write = write
        self._dtype = dtype
        self._results: dict[Node, dict[int, str]] = {}
        self._named_before: list[dict[str, str]] = [{}]
        """For each step that is being written, and what is around it, the names of what is the same in steps of loops there."""
        self.lines: dict[Node, list[str]] = {}

    def result(self, node: Node) -> Text:
        """The name of a result."""
        run, index = node.inputs[0], node.attrs["index"]
        return Text(self._results[run][run.attrs["function"].wanted[index]])

    def run(self, node: Node, operands: Sequence[Text]) -> Text:
        """Write a run down, whose lines are noted."""
        call: LoopCall = node.attrs["function"]
        body = call.body
        block = Block(call)
        texts = dict(zip(call.given, operands, strict=True))
        given: dict[Node, str | Node] = {}
        first, last = len(body.states), len(body.states) + len(body.elements)
        for (p, text), x in zip(texts.items(), node.inputs, strict=True):
            parameter = body.parameters[p]
            number = _number(x)
            if p >= first and number is not None:
                given[parameter] = filled(number, parameter)
            elif first <= p < last:
                given[parameter] = row = self._fresh(str(parameter.attrs["name"]) or "row")
                block.rows[row] = self._named(block, text.text, "rows")
            elif p >= last:
                given[parameter] = self._named(block, text.text, "fixed")
        for i in call.live:
            given[body.states[i]] = block.states[i] = self._fresh(str(body.states[i].attrs["name"]) or "s")
            block.starts[block.states[i]] = texts[i].text
        stacked = [r for r in call.wanted if body.stacks(r)]
        block.stacks = {r: self._fresh("kept") for r in stacked}
        emitted = [r for r in stacked if r in call.emitted]
        roots = [*[body.following[i] for i in call.live], *[body.root(r) for r in emitted]]
        block.inside, written = self._step(roots, given)
        block.following = dict(zip(call.live, written, strict=False))
        block.emitted = dict(zip(emitted, written[len(call.live) :], strict=True))
        self._results[node] = {r: block.stacks[r] if body.stacks(r) else block.states[r] for r in call.wanted}
        self.lines[node] = self._write(block, self._fresh)
        return Text("")

    def _named(self, block: Block, text: str, name: str) -> str:
        """A name for what is the same in all steps."""
        if text.isidentifier():
            return text
        known = next((own for names in self._named_before if (own := names.get(text))), None)
        if known is None:
            known = self._named_before[-1][text] = self._fresh(name)
            block.before.append(f"{known} = {text}")
        return known

    def _step(self, roots: Sequence[Node], given: Mapping[Node, str | Node]) -> tuple[list[str], list[str]]:
        """The lines of a step, and the texts of its roots."""
        leaves = {
            x: own if isinstance(own, Node) else make_leaf(own, "step", x.shape, x.dtype, x.risky)
            for x, own in given.items()
        }
        own = Written(substituted(roots, leaves), dtype=self._dtype).targets
        runs = as_runs(own)
        own = [runs[x] for x in own]
        self._named_before.append({})
        layout = self._lay_out(own)
        self._named_before.pop()
        return self.laid(layout), [layout.texts[x].text for x in own]

    def laid(self, layout: Layout) -> list[str]:
        """The lines of a layout, those of loops among them."""
        lines: list[str] = []
        for line in layout.lines:
            if line.node in self.lines:
                lines += self.lines[line.node]
            elif line.node.op.name != "leaf":
                lines.append(f"{line.name} = {line.text.text}")
        return lines


def _number(x: Node) -> Number | None:
    """The number that a value is, or is filled with."""
    if x.op.entries == "repeated":
        return constant_value(x.inputs[0])
    least, largest = x.op.bounds
    return least if least == largest else constant_value(x)


def as_for(block: Block, fresh: Callable[[str], str]) -> list[str]:
    """A loop of Python."""
    body = block.call.body
    inside: list[str] = []
    if block.done is not None:
        inside += [f"if {block.done}:", "    break"]
    uses_step = block.rows or block.stacks
    step = fresh("i") if uses_step else "_"
    inside += [f"{row} = {array}[{step}]" for row, array in block.rows.items()]
    histories = {kept: i for r, kept in block.stacks.items() if (i := block.history(r)) is not None}
    inside += [f"{kept}[{step}] = {block.states[i]}" for kept, i in histories.items()]
    inside += block.inside
    inside += [f"{block.stacks[r]}[{step}] = {text}" for r, text in block.emitted.items()]
    changed = {block.states[i]: text for i, text in block.following.items() if text != block.states[i]}
    if sum(map(len, changed.values())) > WIDEST:
        for name, text in changed.items():
            if not text.isidentifier():
                changed[name] = fresh("new")
                inside.append(f"{changed[name]} = {text}")
    if changed:
        inside.append(f"{', '.join(changed)} = {', '.join(changed.values())}")
    inside += [f"{block.stacks[r]}[{step}] = {block.states[i]}" for r, i in block.call.same.items()]
    steps = f"reversed(range({body.count}))" if body.backwards else f"range({body.count})"
    room = [f"{kept} = np.empty({body.shape(r)}, dtype=np.{_dtype(body.root(r))})" for r, kept in block.stacks.items()]
    starts = [f"{name} = {text}" for name, text in block.starts.items()]
    return [*block.before, *starts, *room, f"for {step} in {steps}:", *[f"    {line}" for line in inside or ["pass"]]]


def as_scan(block: Block, fresh: Callable[[str], str]) -> list[str]:
    """A loop of XLA: one that ends early is a ``while_loop``, which JAX differentiates forwards only."""
    body = block.call.body
    inside, after = list(block.inside), dict(block.following)
    for i in dict.fromkeys(block.call.same.values()):
        if not after[i].isidentifier():
            name = fresh("new")
            inside.append(f"{name} = {after[i]}")
            after[i] = name
    starts = [
        f"{name} = np.asarray({block.starts[name]}, dtype=np.{_dtype(body.states[i])})"
        for i, name in block.states.items()
    ]
    write = _while_loop if block.done is not None else _scan
    return [*block.before, *starts, *write(block, inside, after, fresh)]


def _scan(block: Block, inside: Sequence[str], after: Mapping[int, str], fresh: Callable[[str], str]) -> list[str]:
    body = block.call.body
    step, states = fresh("step"), _tuple(block.states.values())
    same = {r: after[i] for r, i in block.call.same.items()}
    kept = [block.emitted.get(r) or same.get(r) or block.states[r - body.before(0)] for r in block.stacks]
    return [
        f"def {step}(carry, rows):",
        *[f"    {states} = carry"] * bool(block.states),
        *[f"    {_tuple(block.rows)} = rows"] * bool(block.rows),
        *[f"    {line}" for line in inside],
        f"    return {_tuple(after.values())}, {_tuple(kept)}",
        f"{states}, {_tuple(block.stacks.values())} = jax.lax.scan(",
        f"    {step}, {states}, {_tuple(block.rows.values())}, length={body.count}, reverse={body.backwards}",
        ")",
    ]


def _while_loop(
    block: Block, inside: Sequence[str], after: Mapping[int, str], fresh: Callable[[str], str]
) -> list[str]:
    n, k, step = block.call.body.count, fresh("i"), fresh("step")
    place = [*block.states.values()].index(str(block.done)) + 1
    at = f"{n - 1} - {k}" if block.call.body.backwards else k
    return [
        f"def {step}(carry):",
        f"    {_tuple([k, *block.states.values()])} = carry",
        *[f"    {row} = {array}[{at}]" for row, array in block.rows.items()],
        *[f"    {line}" for line in inside],
        f"    return {_tuple([f'{k} + 1', *after.values()])}",
        f"{_tuple(['_', *block.states.values()])} = jax.lax.while_loop(",
        f"    lambda carry: (carry[0] < {n}) & ~carry[{place}], {step}, {_tuple(['0', *block.states.values()])}",
        ")",
    ]


def _tuple(texts: Iterable[str]) -> str:
    texts = list(texts)
    return f"({', '.join(texts)}{',' * (len(texts) == 1)})"


def _dtype(node: Node) -> str:
    return "bool_" if node.dtype == "bool" else node.dtype
