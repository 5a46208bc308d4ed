"""Functions in the text of a graph: loops, searches and values with rules of their own, as calls of functions again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import reduce
from itertools import count
from math import isfinite

from gradcli.graph.layout import LONGEST, Style, laid_out
from gradcli.graph.loops import Body, with_runs
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import substituted
from gradcli.graph.ops.creation import loop, loop_result, loop_run, make_leaf
from gradcli.graph.ops.elementwise import add
from gradcli.graph.ops.ruled import STEPS, TOLERANCE, Rule, System, ruled, solution
from gradcli.graph.printing import ATOM, Text


def with_functions(named: Mapping[str, Node], roots: Sequence[Node]) -> tuple[Mapping[str, Node], Sequence[Node]]:
    """The same with calls of functions as they are written.

    Results of one loop are results of one run of it; what is solved for is computed from what its function itself uses.
    """
    nodes = cone([*named.values(), *roots])
    if not any([node.op in (loop, solution) for node in nodes]):
        return named, roots
    new, _ = with_runs(nodes, LoopCall, _as_called)
    return {name: new[node] for name, node in named.items()}, [new[root] for root in roots]


def _as_called(node: Node, inputs: tuple[Node, ...]) -> Node | None:
    """What is solved for, computed from what its function itself uses, and without the rule that a call of it has."""
    if node.op is ruled and node.attrs["rule"].itself is not None:
        return inputs[0]
    if node.op is not solution:
        return None
    system: System = node.attrs["system"]
    used = set(cone([system.goal], system.parameters))
    kept = [i for i, p in enumerate(system.parameters, 1) if p in used]
    only = system.of([system.parameters[i - 1] for i in kept])
    own = (inputs[0], *[inputs[i] for i in kept])
    return Node(solution, own, {"system": only}, node.shape, node.dtype, node.risky)


def as_runs(roots: Sequence[Node]) -> dict[Node, Node]:
    """The nodes below the roots with results of one loop as results of one run."""
    new, _ = with_runs(cone(roots), LoopCall)
    return new


class LoopCall:
    """Some results of a loop as a call of `scan`, or of `iterate` where only the last states are needed.

    What a step computes besides its states is a state too, that no step looks at.
    """

    def __init__(self, body: Body, wanted: Sequence[int], given: Sequence[int]) -> None:
        self.body = body
        self.wanted = list(wanted)
        self.given = list(given)
        self.live = body.live(wanted)
        after = {body.following[i]: i for i in self.live}
        self.same = {r: after[body.root(r)] for r in wanted if self._is_emitted(r) and body.root(r) in after}
        self.emitted = [r for r in wanted if self._is_emitted(r) and r not in self.same]
        first = len(body.states)
        self.rows = [p for p in given if first <= p < first + len(body.elements)]
        self.scans = bool(self.rows) or any([body.stacks(r) for r in wanted])
        self.states = len(self.live) + len(self.emitted)
        self.listed = self.states + max(len(self.rows), self.scans) > 1 + self.scans

    def _is_emitted(self, r: int) -> bool:
        return self.body.stacks(r) and r < self.body.before(0)

    def result(self, k: int, names: Sequence[str], start: str) -> Text:
        """The k-th result, from the names of the states and the text of what its state starts from."""
        body, r = self.body, self.wanted[k]
        if r in self.emitted:
            return Text(names[len(self.live) + self.emitted.index(r)])
        if r in self.same:
            return Text(names[self.live.index(self.same[r])])
        i = r - body.before(0) if body.stacks(r) else r
        name = names[self.live.index(i)]
        if not body.stacks(r):
            return Text(f"{name}[{0 if body.backwards else -1}]") if self.scans else Text(name)
        if body.backwards:
            return Text(f"concat([{name}[1:], [{start}]], 0)")
        return Text(f"concat([[{start}], {name}[:-1]], 0)")


class Functions:
    """The functions that lines of a program call, each in front of the first line that needs it."""

    def __init__(self, style: Style, float_dtype: str, taken: Collection[str], number: Callable[[Node], Text]) -> None:
        self._style, self._float_dtype, self._taken, self._number = style, float_dtype, taken, number
        self._written: list[tuple[int, str]] = []
        self._counts: dict[str, Iterator[int]] = {}
        self._starts: dict[Node, dict[int, str]] = {}

    def call(self, node: Node, operands: Sequence[Text]) -> Text | None:
        """The call of a function, or what it gives, for a node that is one; None for all others."""
        if node.op is solution:
            return self._solved(node, operands)
        if node.op is loop_run:
            return self._called(node, operands)
        if node.op is loop_result:
            return self._result(node, operands[0])
        if node.op is ruled and node.attrs["rule"].itself is None:
            return self._ruled(node, operands)
        return None

    def before(self, node: Node) -> list[str]:
        """The functions that the line of a node needs and that are not written yet."""
        found = [text for serial, text in self._written if serial <= node.serial]
        self._written = [(serial, text) for serial, text in self._written if serial > node.serial]
        return found

    def _solved(self, node: Node, operands: Sequence[Text]) -> Text:
        system: System = node.attrs["system"]
        f, x = self._new("f"), self._new("x")
        body = self._body([system.goal], {system.x: Text(x), **dict(zip(system.parameters, operands[1:], strict=True))})
        self._written.append((node.serial, f"def {f}({x}) = {body}"))
        options = f", tol={system.tol!r}" if system.tol != TOLERANCE[node.dtype] else ""
        options += f", steps={system.steps}" if system.steps != STEPS[system.word] else ""
        return Text(f"{system.word}({f}, {operands[0].text}{options})")

    def _ruled(self, node: Node, operands: Sequence[Text]) -> Text:
        rule: Rule = node.attrs["rule"]
        if not rule.passes:
            return Text(f"stop_gradient({operands[0].text})")
        f = self._new("f")
        xs, dxs = [self._new("x") for _ in rule.passes], [self._new("d") for _ in rule.passes]
        given = dict(zip(rule.parameters, operands[1:], strict=True))
        given |= {rule.tangents[i]: Text(dx) for i, dx in zip(rule.passes, dxs, strict=True)}
        tangent = reduce(add, [rule.roots[i] for i in rule.passes])
        self._written += [
            (node.serial, f"def {f}({', '.join(xs)}) = {operands[0].text}"),
            (node.serial, f"tangent {f}({', '.join([*xs, *dxs])}) = {self._body([tangent], given)}"),
        ]
        return Text(f"{f}({', '.join([operands[i].text for i in rule.passes])})")

    def _new(self, stem: str) -> str:
        numbers = self._counts.setdefault(stem, count(1))
        return next(name for k in numbers if (name := f"{stem}{k}") not in self._taken)

    def unpacked(self, run: Node) -> str:
        """New names for the states of a loop, as the targets of an assignment."""
        call: LoopCall = run.attrs["function"]
        names = [self._new("s") for _ in range(call.states)]
        return ", ".join(names) + "," * (call.listed and call.states == 1)

    def _called(self, run: Node, operands: Sequence[Text]) -> Text:
        call: LoopCall = run.attrs["function"]
        # A state has the dtype of what it starts from.
        operands = [
            self._typed(x) if x.op.name == "literal" and x.dtype != "bool" else t
            for x, t in zip(run.inputs, operands, strict=True)
        ]
        body, texts = call.body, dict(zip(call.given, operands, strict=True))
        self._starts[run] = {i: texts[i].text for i in call.live}
        states = [self._new("x") for _ in range(call.states)]
        rows = [self._new("e") for _ in range(max(len(call.rows), call.scans))]
        given = {body.states[i]: Text(name) for i, name in zip(call.live, states, strict=False)}
        given |= {body.parameters[p]: Text(name) for p, name in zip(call.rows, rows, strict=False)}
        given |= {x: texts[body.number[x]] for x in body.fixed if body.number[x] in texts}
        roots = [*[body.following[i] for i in call.live], *[body.root(r) for r in call.emitted]]
        f = self._new("f")
        self._written.append((run.serial, f"def {f}({', '.join([*states, *rows])}) = {self._body(roots, given)}"))
        starts = [texts[i].text for i in call.live] + [self._zeros(body.root(r)) for r in call.emitted]
        start = f"[{', '.join(starts)}]" if call.listed else starts[0]
        if not call.scans:
            return Text(f"iterate({f}, {start}, {body.count})")
        some = [texts[p].text for p in call.rows] or [f"zeros([{body.count}])"]
        elems = f"[{', '.join(some)}]" if len(some) > 1 else some[0]
        return Text(f"scan({f}, {elems}, {start}{', reverse=true' * body.backwards})")

    def _typed(self, number: Node) -> Text:
        """A number that has its dtype by itself."""
        value = number.attrs["value"]
        if number.dtype == self._float_dtype and isfinite(value):
            return Text(repr(float(value)))
        return Text(f"cast({self._number(number).text}, {number.dtype})")

    def _result(self, node: Node, names: Text) -> Text:
        (run,), k = node.inputs, node.attrs["index"]
        call: LoopCall = run.attrs["function"]
        r = call.wanted[k]
        start = self._starts[run].get(r - call.body.before(0), "")
        return call.result(k, names.text.rstrip(",").split(", "), start)

    def _zeros(self, like: Node) -> str:
        dtype = "" if like.dtype == self._float_dtype else f", dtype={like.dtype}"
        return f"zeros([{', '.join(map(str, like.shape))}]{dtype})"

    def _body(self, roots: Sequence[Node], given: Mapping[Node, Text]) -> str:
        """The body of a function that gives the values of nodes, from the texts of some: an expression or a block."""
        leaves = {
            node: make_leaf(text.at_least(ATOM), "step", node.shape, node.dtype, node.risky)
            for node, text in given.items()
        }
        from gradcli.rewrite.written import Written  # few programs have such a function

        own = Written(substituted(roots, leaves), dtype=self._float_dtype, with_rules=True).targets
        own = [*with_functions({}, own)[1]]
        outer, self._written = self._written, []
        names = {node: self.unpacked(node) for node in cone(own) if node.op is loop_run}
        layout = laid_out(own, names, self._style, self._taken)
        lines: list[str] = []
        for line in layout.lines:
            if line.node.op.name != "leaf":
                lines += [*self.before(line.node), f"{line.name} = {line.text.text}"]
        texts = [layout.texts[x] if x in layout.texts else self._number(x) for x in own]
        lines += [text for _, text in self._written]
        self._written = outer
        value = ", ".join([text.text for text in texts])
        if not lines:
            return value
        block = "; ".join([*lines, value])
        return f"{{ {block} }}" if len(block) <= LONGEST else "\n    ".join(["{", *lines, value]) + "\n}"
