"""Loops as nodes: a body that is done n times, whatever n is.

A loop has states, which each step computes anew from those before it; elements, arrays from which each step takes a row;
and inputs that are the same in all steps. Its results are arrays: a state after the last step, something that the body
computes in every step (stacked), or a state before every step (stacked), which is what derivatives need. Each result is a
node of its own, so that what a gradient is connected to within n steps is read off the graph as for any other operation;
results of one loop are computed in one run (:mod:`gradcli.execute.repeat`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from gradcli.graph.node import Node, cone, make
from gradcli.graph.ops.creation import loop, loop_result, loop_run, make_leaf
from gradcli.graph.types import Shape

Bits = int
"""A set of parameters, a bit for each."""


class Body:
    """One step of a loop: nodes computed from placeholders.

    ``states``, ``elements`` (rows) and ``fixed`` are leaves, numbered in this order as *parameters*; ``following[i]`` is
    state i after a step, of the same shape and dtype, and ``emitted`` is what every step computes besides. ``count`` is
    the number of steps, ``backwards`` says that rows are taken from the last one to the first. Once the state with the
    number ``done``, a bool, is true, no state changes any more.

    *Results* are numbered: the states after the last step, then what is emitted, then the states before each step.
    """

    def __init__(
        self,
        states: Sequence[Node],
        elements: Sequence[Node],
        fixed: Sequence[Node],
        following: Sequence[Node],
        emitted: Sequence[Node],
        count: int,
        backwards: bool = False,
        done: int | None = None,
    ) -> None:
        self.done = done
        self.states = tuple(states)
        self.elements = tuple(elements)
        self.fixed = tuple(fixed)
        self.following = tuple(following)
        self.emitted = tuple(emitted)
        self.count = count
        self.backwards = backwards
        self.parameters = (*self.states, *self.elements, *self.fixed)
        self.number = {x: i for i, x in enumerate(self.parameters)}

    def emits(self, j: int) -> int:
        """The number of the result that stacks what is emitted j-th."""
        return len(self.states) + j

    def before(self, i: int) -> int:
        """The number of the result that stacks state i before each step."""
        return len(self.states) + len(self.emitted) + i

    def root(self, result: int) -> Node:
        """What a result is made of in one step."""
        return (*self.following, *self.emitted, *self.states)[result]

    def stacks(self, result: int) -> bool:
        """Whether a result has a row for each step."""
        return result >= len(self.states)

    def shape(self, result: int) -> Shape:
        root = self.root(result)
        return (self.count, *root.shape) if self.stacks(result) else root.shape

    def argument_shape(self, p: int) -> Shape:
        """The shape of what stands for a parameter: elements have a row for each step."""
        shape = self.parameters[p].shape
        return (self.count, *shape) if 0 <= p - len(self.states) < len(self.elements) else shape

    # what depends on what

    @cached_property
    def _used(self) -> dict[Node, Bits]:
        """The parameters that each node of the body depends on."""
        return self._reached(lambda node: range(len(node.inputs)))

    @cached_property
    def _passed(self) -> dict[Node, Bits]:
        """The parameters that a gradient of each node of the body leads to."""
        return self._reached(lambda node: node.op.differentiable_inputs(node))

    def _reached(self, follow: Callable[[Node], Iterable[int]]) -> dict[Node, Bits]:
        found: dict[Node, Bits] = {x: 1 << i for i, x in enumerate(self.parameters)}
        for node in cone([*self.following, *self.emitted], self.parameters):
            if node not in found:
                bits = 0
                for i in follow(node):
                    bits |= found[node.inputs[i]]
                found[node] = bits
        return found

    def live(self, wanted: Iterable[int]) -> list[int]:
        """The states that a run for some results computes, by number."""
        states = len(self.states)
        found: set[int] = set()
        todo = [r for r in wanted if not self.stacks(r)]
        if self.count:
            todo += [i for r in wanted if self.stacks(r) for i in numbers(self._used[self.root(r)]) if i < states]
        while todo:
            i = todo.pop()
            if i not in found:
                found.add(i)
                todo += [k for k in numbers(self._used[self.following[i]]) if k < states and self.count]
        return sorted(found)

    def needs(self, result: int) -> tuple[int, ...]:
        """The parameters whose arguments a run for a result needs, by number."""
        live = self.live([result])
        bits = sum([1 << i for i in live])
        if self.count:
            for root in [self.following[i] for i in live] + [self.root(result)] * self.stacks(result):
                bits |= self._used[root]
        return numbers(bits)

    def passes(self, result: int) -> tuple[int, ...]:
        """The parameters that a gradient of a result leads to."""
        return numbers(self._within(result))

    def changing(self, parameters: Iterable[int], through: Literal["gradients", "uses"] = "gradients") -> set[int]:
        """Some parameters, and the states that change with them in some step, as far as gradients pass or at all."""
        reached = self._passed if through == "gradients" else self._used
        found = set(parameters)
        below = [numbers(reached[node]) for node in self.following]
        while more := {i for i, some in enumerate(below) if i not in found and not found.isdisjoint(some)}:
            found |= more
        return found

    def below(self, nodes: Iterable[Node]) -> Bits:
        """The parameters that a gradient of nodes of the body leads to within one step."""
        bits = 0
        for node in nodes:
            bits |= self._passed[node]
        return bits

    def uses(self, node: Node) -> Bits:
        """The parameters that a node of the body depends on within one step."""
        return self._used[node]

    def _within(self, result: int) -> Bits:
        """Follow a result back through the steps: states reached after k of them, and all else that is met on the way."""
        reached = self._passed
        is_state = (1 << len(self.states)) - 1
        below = [reached[node] for node in self.following]
        root, left = self.root(result), self.count
        if not self.stacks(result):
            now = 1 << result
        elif not self.count:
            return 0
        else:
            now, left = reached[root], self.count - 1
        found = now & ~is_state
        now &= is_state
        # A stack has a row for every number of steps before it; a state after the loop is n steps from the start.
        any_length = now if self.stacks(result) else 0
        seen: dict[Bits, int] = {}
        trail: list[Bits] = []
        while left:
            if now in seen:
                period = len(trail) - seen[now]
                now = trail[seen[now] + left % period]
                break
            seen[now] = len(trail)
            trail.append(now)
            bits = 0
            for i in numbers(now):
                bits |= below[i]
            found |= bits & ~is_state
            now = bits & is_state
            any_length |= now
            left -= 1
        return found | (any_length if self.stacks(result) else now)


def numbers(bits: Bits) -> tuple[int, ...]:
    """The members of a set of parameters in order."""
    found = []
    while bits:
        low = bits & -bits
        found.append(low.bit_length() - 1)
        bits ^= low
    return tuple(found)


def enclosed(
    states: Sequence[Node],
    elements: Sequence[Node],
    following: Sequence[Node],
    emitted: Sequence[Node],
    count: int,
    backwards: bool = False,
    done: int | None = None,
) -> Body:
    """The body of a loop whose nodes may use nodes from outside, which are the same in all steps: they stand for themselves."""
    moving = {*states, *elements}
    fixed: dict[Node, None] = {}
    for node in cone([*following, *emitted], moving):
        if node in moving or any([x in moving for x in node.inputs]):
            moving.add(node)
            fixed.update(dict.fromkeys([x for x in node.inputs if x not in moving and x.op.name != "literal"]))
    fixed.update(dict.fromkeys([x for x in (*following, *emitted) if x not in moving and x.op.name != "literal"]))
    return Body(states, elements, tuple(fixed), following, emitted, count, backwards, done)


def results(body: Body, arguments: Sequence[Node | None], wanted: Iterable[int]) -> list[Node]:
    """Nodes for results of a loop, whose parameters stand for ``arguments`` (None for one that no result needs).

    Arguments of elements have a row for each step in front.
    """
    made: list[Node] = []
    for result in wanted:
        given = body.needs(result)
        inputs = tuple([x for p in given if (x := arguments[p]) is not None])
        assert len(inputs) == len(given), (result, given)
        attrs = {"body": body, "result": result, "given": given}
        root = body.root(result)
        node = make(loop, inputs, attrs, body.shape(result), root.dtype)
        node.risky = node.risky or root.risky
        made.append(node)
    return made


def placeholder(
    like: Node, shape: Shape | None = None, dtype: str | None = None, risky: bool | None = None, name: str = ""
) -> Node:
    """A leaf that stands for a value in the body of a loop; its name is for sentences about it."""
    risky = like.risky if risky is None else risky
    return make_leaf(name, "step", like.shape if shape is None else shape, dtype or like.dtype, risky)


def arguments(nodes: Iterable[Node]) -> dict[int, Node]:
    """The arguments of some results of one loop, by the numbers of the parameters."""
    found: dict[int, Node] = {}
    for node in nodes:
        found.update(zip(node.attrs["given"], node.inputs, strict=True))
    return found


def operations_written_out(roots: Iterable[Node], stop: Iterable[Node] = ()) -> int:
    """How many operations some nodes are computed by where each step of their loops is written out."""
    bodies: set[Body] = set()
    total = 0
    for node in cone(roots, stop):
        total += 1
        if node.op is loop and node.attrs["body"] not in bodies:
            body: Body = node.attrs["body"]
            bodies.add(body)
            total += body.count * operations_written_out([*body.following, *body.emitted], body.parameters)
    return total


def joins(node: Node, body: Body, known: dict[int, Node]) -> bool:
    """Whether a result is one of a loop with these arguments, to which its own are added if it is."""
    own = arguments([node])
    if node.attrs["body"] is not body or any([known.get(p, x) is not x for p, x in own.items()]):
        return False
    known.update(own)
    return True


def together(nodes: Iterable[Node]) -> list[list[Node]]:
    """Results of loops, in order, in groups that one run computes: of one loop, with arguments that are there before all."""
    groups: dict[Body, list[tuple[dict[int, Node], list[Node]]]] = {}
    for node in nodes:
        body = node.attrs["body"]
        for known, members in groups.setdefault(body, []):
            if all([x.serial < members[0].serial for x in node.inputs]) and joins(node, body, known):
                members.append(node)
                break
        else:
            groups[body].append((arguments([node]), [node]))
    return [members for some in groups.values() for _, members in some]


class Run:
    """What a run for some results of a loop computes: in every step, and once.

    ``given`` are the parameters whose arguments it gets, by number. ``live`` and ``states`` are the states that it carries;
    ``emitted`` are results that steps stack besides, ``histories`` those that stack states, with the numbers of these.
    A step computes ``roots``, the states first, by the operations ``steps``, from what is in ``read``: the parameters
    ``rows`` and ``fixed``, states, and what is computed ``once``, before all steps. After the state with the number
    ``done`` is true, the steps that are left change nothing.
    """

    def __init__(self, body: Body, wanted: Sequence[int], given: Sequence[int]) -> None:
        self.body = body
        self.wanted = list(wanted)
        self.given = list(given)
        self.live = body.live(self.wanted)
        self.states = [body.states[i] for i in self.live]
        self.emitted = [r for r in self.wanted if body.stacks(r) and r < body.before(0)]
        self.histories = {r: r - body.before(0) for r in self.wanted if r >= body.before(0)}
        self.done = body.done if body.done in self.live and not self.emitted else None
        self.roots: list[Node] = []
        if body.count:
            self.roots = [*[body.following[i] for i in self.live], *[body.root(r) for r in self.emitted]]
        self.steps = self._steps()
        self.read = list(dict.fromkeys([*self.roots, *[x for node in self.steps for x in node.inputs]]))
        read, known = set(self.read), {*self.steps, *body.parameters}
        self.once = [x for x in self.read if x not in known and x.op.name != "literal"]
        self.rows = [x for x in body.elements if x in read]
        self.fixed = [x for x in body.fixed if x in read]

    def _steps(self) -> list[Node]:
        """The operations whose values change from step to step."""
        body = self.body
        moving = {*body.states, *body.elements}
        found: list[Node] = []
        for node in cone(self.roots, body.parameters):
            if node not in body.number and (
                any([x in moving for x in node.inputs]) or not node.op.shareable and node.inputs
            ):
                moving.add(node)
                found.append(node)
        return found

    def without_steps(self, xp: Any, values: Mapping[Node, Any]) -> list[Any]:
        """The results of a loop of no steps: stacks without rows, and the states that it starts from."""
        body = self.body
        return [
            xp.zeros(body.shape(r), body.root(r).dtype) if body.stacks(r) else values[body.states[r]]
            for r in self.wanted
        ]


Made = Callable[[Body, Sequence[int], Sequence[int]], object]
"""From a loop, the results that are wanted and the parameters that are given, to what its run is."""

Other = Callable[[Node, tuple[Node, ...]], "Node | None"]
"""From a node that is no result of a loop, and its new inputs, to what takes its place: None for the node on these inputs."""


def as_it_is(node: Node, inputs: tuple[Node, ...]) -> Node | None:
    """What takes the place of a node where nothing does."""
    return None


def loop_by_loop(
    nodes: Sequence[Node],
    made: Callable[[Sequence[Node], dict[int, Node]], Sequence[Node] | None],
    other: Other = as_it_is,
    known: Collection[Node] = (),
) -> tuple[dict[Node, Node], dict[Node, Node]]:
    """For each node, given inputs before users, the one that takes its place; results of one loop are made together.

    ``made`` takes the results of a loop and its new arguments by parameter, and gives what takes their places, or None
    where they stay; ``other`` says it of other nodes; ``known`` nodes stay. The second mapping is from new nodes to those
    that they stand for.
    """
    loops = [node for node in nodes if node.op is loop and node not in known]
    groups = {node: group for group in together(loops) for node in group}
    new: dict[Node, Node] = {}
    original: dict[Node, Node] = {}
    for node in nodes:
        if node in new:
            continue
        if node in groups:
            group = groups[node]
            replaced = made(group, {p: new[x] for p, x in sorted(arguments(group).items())})
            if replaced is not None:
                for x, found in zip(group, replaced, strict=True):
                    new[x] = found
                    original.setdefault(found, x)
                continue
        if node in known or not node.inputs:
            new[node] = node
            continue
        inputs = tuple([new[x] for x in node.inputs])
        found = new[node] = other(node, inputs) or (node if inputs == node.inputs else node.with_inputs(inputs))
        if found is not node:
            below = [found] if found.inputs == inputs else [x for x in cone([found], inputs) if x not in inputs]
            original.update(dict.fromkeys(below, node))
    return new, original


def with_runs(
    nodes: Sequence[Node], made: Made, other: Other = as_it_is, known: Collection[Node] = ()
) -> tuple[dict[Node, Node], dict[Node, Node]]:
    """As :func:`loop_by_loop`, with results of one loop as results of one run of it.

    ``made`` gives the attribute ``function`` of a run.
    """
    runs: dict[Node, Node] = {}

    def results_of_a_run(group: Sequence[Node], given: dict[int, Node]) -> Sequence[Node]:
        function = made(group[0].attrs["body"], [x.attrs["result"] for x in group], tuple(given))
        run = Node(loop_run, tuple(given.values()), {"function": function}, (0,), "bool", False)
        runs[run] = group[0]
        return [Node(loop_result, (run,), {"index": k}, x.shape, x.dtype, x.risky) for k, x in enumerate(group)]

    new, original = loop_by_loop(nodes, results_of_a_run, other, known)
    return new, {**original, **runs}
