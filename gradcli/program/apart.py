"""Loops taken apart: what no step has to wait for is done for all steps at once, before the loop or after it.

A step waits for what computes the states that the next one reads. What is made of rows alone is made of whole arrays
before the loop, and its rows are read: the inputs' part of a recurrent network, or the forward values that a backward
loop needs. What no state is made of (losses, slopes with respect to weights) is made afterwards, from what the steps
have stacked. A state that only adds up is the sum of a stack, and a sum of products is one product:
sum_t a_t b_t^T = A^T B. Source for the last: Appleyard, Kočiský and Blunsom, *Optimizing performance of recurrent neural
networks on GPUs*, 2016. ``GRADCLI_WITHOUT=apart`` leaves loops as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from weakref import WeakKeyDictionary

from gradcli.autodiff.batch import batched
from gradcli.graph.loops import Body, loop_by_loop, placeholder, results
from gradcli.graph.node import Derivation, Node, cone, rebuilt
from gradcli.graph.operation import Contraction, Linear, literal
from gradcli.graph.ops.creation import leaf, loop
from gradcli.graph.ops.elementwise import add, multiply
from gradcli.graph.ops.linear_algebra import contract
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.shaping import broadcasted, reshaped
from gradcli.graph.switches import without
from gradcli.graph.types import ITEM_SIZE, is_float, size_of
from gradcli.rewrite.simplify import Simplified
from gradcli.tuples import NamedTuple

LEAST = 16
"""Steps from which on a loop is taken apart."""

MOST = 1 << 26
"""Bytes of all that is stacked for it, and of any one array that is made of stacks."""

FLOWS = {
    "entries", "accumulated", "reduced", "along", "stacked", "transposed", "reshaped", "indexed", "unindexed", "diagonals",
}  # fmt: skip
"""Flows of operations that take one more axis in front and fail for no values, beside contractions."""

NUMBERS = {"float32", "float64", "bool"}


class _Parts(NamedTuple):
    """A loop taken apart.

    ``body`` is what is left, ``wanted`` are the results of it that are needed. ``stacks`` are leaves that stand for the rows
    of elements, by their numbers in the old body; ``rows`` are the values, made of these, of the elements that the new
    body has besides. ``leaves`` stand for the results in ``wanted``. ``made`` are old results made of all of these,
    ``totals`` what is added to the starts of old states. ``kept`` are the other old results, with the numbers that
    they have now. ``origin`` says which node of the old body a new one stands for.
    """

    body: Body
    stacks: dict[int, Node]
    rows: list[Node]
    wanted: list[int]
    leaves: list[Node]
    made: dict[int, Node]
    totals: dict[int, Node]
    kept: dict[int, int]
    origin: dict[Node, Node]


_known: WeakKeyDictionary[Body, dict[tuple[int, ...], _Parts | None]] = WeakKeyDictionary()


def taken_apart(targets: Sequence[Node], known: Collection[Node] = ()) -> tuple[list[Node], dict[Node, Node]]:
    """The targets, in which loops do nothing that need not be done step by step, and what each new node stands for."""
    nodes = cone(targets, known)
    if without("apart") or not any([node.op is loop for node in nodes]):
        return list(targets), {}
    own: dict[Node, Node] = {}

    def apart(group: Sequence[Node], given: dict[int, Node]) -> Sequence[Node] | None:
        parts = _parts_of(group)
        return None if parts is None else _put_together(group, parts, given, own)

    new, original = loop_by_loop(nodes, apart, known=known)
    return [new[node] for node in targets], {**original, **own}


def _parts_of(group: Sequence[Node]) -> _Parts | None:
    body: Body = group[0].attrs["body"]
    wanted = tuple(sorted({node.attrs["result"] for node in group}))
    kept = _known.setdefault(body, {})
    if wanted not in kept:
        kept[wanted] = _parts(body, wanted)
    return kept[wanted]


def _put_together(
    group: Sequence[Node], parts: _Parts, given: Mapping[int, Node], original: dict[Node, Node]
) -> list[Node]:
    """The results of a loop from its parts."""
    body: Body = group[0].attrs["body"]
    states, rows = len(body.states), len(body.elements)

    def placed(node: Node, inputs: tuple[Node, ...]) -> Node:
        found = node.with_inputs(inputs)
        if node in parts.origin:
            original[found] = parts.origin[node]
        return found

    outside = {stack: given[p] for p, stack in parts.stacks.items() if p in given}
    outside |= {body.parameters[p]: x for p, x in given.items() if p >= states + rows}
    before = rebuilt(parts.rows, outside, placed)
    args = [given.get(p) for p in range(len(body.parameters))]
    args[states + rows : states + rows] = before
    found = results(parts.body, args, parts.wanted)
    original.update(parts.origin)
    original.update(zip(found, [group[0]] * len(found), strict=True))
    outside |= dict(zip(parts.leaves, found, strict=True))
    after = rebuilt([*parts.made.values(), *parts.totals.values()], outside, placed)
    now = dict(zip(parts.wanted, found, strict=True))
    of = {r: now[k] for r, k in parts.kept.items()} | dict(zip(parts.made, after, strict=False))
    for i, total in zip(parts.totals, after[len(parts.made) :], strict=True):
        of[i] = add(given[i], total)
    return [of[node.attrs["result"]] for node in group]


def _parts(body: Body, wanted: Sequence[int]) -> _Parts | None:
    """How a loop is taken apart for some results, if something is gained."""
    if body.count < LEAST or body.done is not None:
        return None
    sums = _sums(body, wanted)
    for some in [sums, {}] if sums else [{}]:
        made = _Splitting(body, wanted, some)
        if made.pays():
            return made.parts()
    return None


def _sums(body: Body, wanted: Sequence[int]) -> dict[int, list[Node]]:
    """The states that only add up what each step computes, and what that is."""
    live = body.live(wanted)
    roots = [*[body.following[i] for i in live], *[body.root(r) for r in wanted if body.stacks(r)]]
    reads = {i: [root for root in roots if _reads(body, root, i)] for i in live}
    found: dict[int, list[Node]] = {}
    for i in live:
        own = body.following[i]
        if reads[i] != [own] or not is_float(own.dtype) or roots.count(own) > 1:
            continue
        terms: list[Node] = []
        node = own
        while node.op is add and node.shape == own.shape:
            inside = [x for x in node.inputs if x is body.states[i] or _reads(body, x, i)]
            if len(inside) != 1:
                break
            terms += [x for x in node.inputs if x is not inside[0]]
            (node,) = inside
        if node is body.states[i] and terms:
            found[i] = terms
    return found


def _reads(body: Body, node: Node, i: int) -> bool:
    return bool(body.uses(node) >> i & 1)


class _Splitting:
    """Which nodes of a body are computed before the loop, and which after it.

    ``sums`` are states that only add up, with their terms.
    """

    def __init__(self, body: Body, wanted: Sequence[int], sums: Mapping[int, list[Node]]) -> None:
        self.body = body
        self.wanted = wanted
        self.live = [i for i in body.live(wanted) if i not in sums]
        self.emitted = [r for r in wanted if body.stacks(r) and r < body.before(0)]
        self.parameters = set(body.parameters)
        self.original: dict[Node, Node] = {}
        simple = iter(self._simplified([x for some in sums.values() for x in some]))
        self.following = {i: next(simple) for i in self.live}
        self.stacked = {r: next(simple) for r in self.emitted}
        self.sums = {i: [next(simple) for _ in some] for i, some in sums.items()}
        self.pieces = self._pieces()
        ends = [*self.following.values(), *self.stacked.values(), *self.pieces]
        self.nodes = [node for node in cone(ends, self.parameters) if node not in self.parameters]
        self.early, self.moving = self._early()
        self.late = self._late()
        self.kept = [r for r, x in self.stacked.items() if not self._after(x)]
        self.rows = self._rows()
        self.front = self._front()

    def _simplified(self, terms: Sequence[Node]) -> list[Node]:
        """The next states, what is emitted, and some terms."""
        body = self.body
        roots = [*[body.following[i] for i in self.live], *[body.root(r) for r in self.emitted], *terms]
        if without("simplify"):
            return roots
        simplified = Simplified(roots, known=body.parameters)
        self.original = simplified.original
        return simplified.targets

    def _rows(self) -> list[Node]:
        """What the loop reads of what is there before it."""
        inside = [node for node in self.nodes if node in self.moving and node not in self.late]
        read = [x for node in inside for x in node.inputs] + list(self.following.values())
        read += [self.stacked[r] for r in self.kept]
        return [x for x in dict.fromkeys(read) if x in self.early]

    def _front(self) -> list[Node]:
        """What is read of the loop afterwards."""
        after = [x for node in self.nodes if node in self.late for x in node.inputs]
        after += [x for x in [*self.stacked.values(), *self.pieces] if x not in self.late and self._after(x)]
        return [x for x in dict.fromkeys([*after, *self.pieces]) if x in self.moving and x not in self.late]

    def _pieces(self) -> list[Node]:
        """What is summed up over the steps: sums go through what only moves or adds entries, to smaller arrays mostly."""
        todo = [x for some in self.sums.values() for x in some]
        found: dict[Node, None] = {}
        seen: set[Node] = set()
        self.through: set[Node] = set()
        while todo:
            node = todo.pop()
            if node in seen:
                continue
            seen.add(node)
            if node not in self.parameters and _is_sum(node):
                self.through.add(node)
                todo += node.inputs
            else:
                found[node] = None
        return list(found)

    def _early(self) -> tuple[set[Node], set[Node]]:
        """What is made of rows alone, and all that changes with states."""
        early, moving = set(self.body.elements), set(self.body.states)
        for node in self.nodes:
            if any([x in moving for x in node.inputs]):
                moving.add(node)
            elif any([x in early for x in node.inputs]):
                (early if _moves(node) else moving).add(node)
        return early, moving

    def _late(self) -> set[Node]:
        """What changes with states and is of no use to a later step."""
        users: dict[Node, list[Node]] = {}
        for node in self.nodes:
            for x in node.inputs:
                users.setdefault(x, []).append(node)
        kept = set(self.following.values())
        late: set[Node] = set()
        for node in reversed(self.nodes):
            if node in self.moving and node not in kept and _moves(node) and late.issuperset(users.get(node, ())):
                late.add(node)
        return late

    def _after(self, node: Node) -> bool:
        """Whether something stacked is made outside of the loop."""
        return node in self.late or node not in self.moving

    def pays(self) -> bool:
        """Whether more operations leave the loop than stacks of values are needed for it, and these are not too large."""
        if any([not node.op.shareable and node.op is not leaf for node in self.nodes]):
            return False
        count = self.body.count
        outer = [x for x in self.pieces if isinstance(x.op.rule, Contraction) or x.op is multiply]
        gone = [x for x in self.nodes if x in self.early or x in self.late]
        rows = [x for x in self.rows if x not in self.parameters]
        if sum([_bytes(x) for x in [*rows, *self.front]]) * count > MOST:
            return False
        if max([_bytes(x) for x in gone if x not in outer], default=0) * count > MOST:
            return False
        saved = len([x for x in gone if x.op.shares != "always"]) + len(self.sums)
        more = [x for x in self.front if not (x in self.parameters and self._is_stacked(x))]
        return saved > len(more) + len(rows) // 2

    def _is_stacked(self, state: Node) -> bool:
        return self.body.before(self.body.number[state]) in self.wanted

    def parts(self) -> _Parts:
        body, count = self.body, self.body.count
        derivation = Derivation()
        with derivation.active():
            many = {x: placeholder(x, (count, *x.shape)) for x in body.elements}
            stop = [x for x in self.parameters if x not in many]
            rows = [x for x in self.rows if x not in self.parameters]
            before = batched(rows, many, stop)
            inner, origin = self._inner(rows)
            behind = {x: placeholder(x, (count, *x.shape)) for x in self.front}
            stacked, totals = self._behind({**many, **behind}, [x for x in stop if x not in behind])
        kept = {i: i for i in self.wanted if i in self.following} | {r: r for r in self.kept}
        kept |= {r: inner.before(r - body.before(0)) for r in self.wanted if r >= body.before(0)}
        stacks = {k: behind[x] for x, k in self._numbers(inner).items()}
        needed = list(dict.fromkeys([*kept.values(), *stacks]))
        return _Parts(
            inner,
            {body.number[x]: stack for x, stack in many.items()},
            before,
            needed,
            [stacks[k] if k in stacks else placeholder(inner.root(k), inner.shape(k)) for k in needed],
            stacked,
            totals,
            kept,
            origin | {x: self.original.get(old, old) for x, old in derivation.origin.items()},
        )

    def _inner(self, rows: Sequence[Node]) -> tuple[Body, dict[Node, Node]]:
        """What is left of the loop, which also reads ``rows`` and stacks what is in front; and what its nodes stand for."""
        body, origin = self.body, dict(self.original)
        leaves = {x: placeholder(x) for x in rows}

        def inside(node: Node, inputs: tuple[Node, ...]) -> Node:
            found = node.with_inputs(inputs)
            origin[found] = self.original.get(node, node)
            return found

        front = [x for x in self.front if x not in self.parameters]
        roots = [*self.following.values(), *[self.stacked[r] for r in self.kept], *front]
        ends = iter(rebuilt(roots, leaves, inside, self.parameters))
        following = [*body.states]
        for i in self.following:
            following[i] = next(ends)
        emitted = [literal(0.0, "float64")] * len(body.emitted)
        for r in self.kept:
            emitted[r - len(body.states)] = next(ends)
        elements = [*body.elements, *leaves.values()]
        emitted += ends
        return Body(body.states, elements, body.fixed, following, emitted, body.count, body.backwards), origin

    def _numbers(self, inner: Body) -> dict[Node, int]:
        """The results of what is left of the loop that stack what is in front."""
        front = [x for x in self.front if x not in self.parameters]
        numbers = {x: inner.emits(len(self.body.emitted) + k) for k, x in enumerate(front)}
        return numbers | {x: inner.before(self.body.number[x]) for x in self.front if x in self.parameters}

    def _behind(self, many: Mapping[Node, Node], stop: Sequence[Node]) -> tuple[dict[int, Node], dict[int, Node]]:
        """What is stacked after the loop, and what is added to states, from the stacks of elements and of what is in front."""
        count = self.body.count
        made = [r for r in self.stacked if r not in self.kept]
        nodes = [*[self.stacked[r] for r in made], *self.pieces]
        varies = [x in self.early or x in self.moving for x in nodes]
        found = list(zip(nodes, batched(nodes, many, stop), varies, strict=True))
        stacked = {
            r: y if has else broadcasted(y, (count, *y.shape)) for r, (_, y, has) in zip(made, found, strict=False)
        }
        totals = {x: _total(y, x) if has else multiply(y, literal(count, y.dtype)) for x, y, has in found[len(made) :]}
        return stacked, self._summed(totals)

    def _summed(self, totals: Mapping[Node, Node]) -> dict[int, Node]:
        """What is added to each state that only adds up, from the totals of the pieces."""
        found: dict[int, Node] = {}
        terms = [x for some in self.sums.values() for x in some]
        done = iter(rebuilt(terms, totals, lambda node, inputs: node.with_inputs(inputs)))
        for i, some in self.sums.items():
            state = self.body.states[i]
            total, *others = [broadcasted(next(done), state.shape) for _ in some]
            for x in others:
                total = add(total, x)
            found[i] = total
        return found


def _bytes(node: Node) -> int:
    return size_of(node.shape) * ITEM_SIZE[node.dtype]


def _moves(node: Node) -> bool:
    """Whether an operation can be done for all steps at once: it fails for no values, and is not a loop itself."""
    op = node.op
    known = op.kernel is not None and (isinstance(op.rule, Contraction) or op.flow in FLOWS and op.leading is not None)
    return known and NUMBERS.issuperset([node.dtype, *[x.dtype for x in node.inputs]])


def _is_sum(node: Node) -> bool:
    """Whether every entry is one of the inputs, a sum of some, or 0: sums over steps may be taken of the inputs."""
    if not is_float(node.dtype) or not all([x.dtype == node.dtype for x in node.inputs]):
        return False
    if node.op is add:
        return True
    return len(node.inputs) == 1 and bool(node.op.entries) and isinstance(node.op.rule, Linear) and _moves(node)


def _total(x: Node, one: Node) -> Node:
    """The sum over the first axis, which the value of ``one`` step has not; of products, as a product of matrices."""
    if x.shape[1:] != one.shape:
        x = broadcasted(x, (x.shape[0], *one.shape))
    if isinstance(x.op.rule, Contraction):
        labels, out = x.op.rule.labels(x.inputs, dict(x.attrs))
        sizes: dict[int, int] = {}
        fits = [
            sizes.setdefault(k, n) == n
            for own, y in zip(labels, x.inputs, strict=True)
            for k, n in zip(own, y.shape, strict=True)
        ]
        if all(fits) and not x.attrs.get("gram"):
            return contract(list(x.inputs), [tuple(own) for own in labels], tuple(out[1:]))
    if x.op is multiply and size_of(x.shape) > 2 * max([size_of(y.shape) for y in x.inputs]):
        operands: list[Node] = []
        labels = []
        for y in x.inputs:
            at = x.rank - y.rank
            own = [k + at for k, n in enumerate(y.shape) if n == x.shape[k + at]]
            operands.append(reshaped(y, tuple([x.shape[k] for k in own])))
            labels.append(tuple(own))
        if {k for own in labels for k in own} == set(range(x.rank)):
            return contract(operands, labels, tuple(range(1, x.rank)))
    return sum_(x, axis=[0])
