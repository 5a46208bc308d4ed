"""Nodes as C: nests of loops in which entry by entry is computed what has the same shape, with loops and sums in them.

A value is a *root*, which lies in memory or is a variable, or a view of one: its entries lie at strides from an offset.
Each operation becomes an item of a nest over the axes of its shape (those of size 1 apart). It joins the first nest of
that shape after all that it reads; what it reads at the same place may be made in that nest, and is a variable of the
innermost loop there. Memory is written for what other nests read, and where the last of them has gone it is used again.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gradcli.diagnostics import GradcliError
from gradcli.execute.repeat import Loop as OnArrays
from gradcli.graph.loops import Body, Run
from gradcli.graph.node import TABLE, Derivation, Node, cone
from gradcli.graph.operation import Contraction, kernel_value
from gradcli.graph.ops.creation import loop_result, loop_run, make_leaf
from gradcli.graph.ops.elementwise import add
from gradcli.graph.ops.words import c, c_arrays
from gradcli.graph.printing import ATOM, PRODUCT, Text
from gradcli.graph.types import ITEM_SIZE, Shape, is_float, size_of
from gradcli.tuples import NamedTuple

Array = Any

LOCAL = 2048
"""Bytes up to which memory is an array of the function, which may lie in registers."""

BLOCK = 4096
"""Terms that are added one after the other; of more the sums are."""

MOST_ITEMS = 20_000
"""Operations of a function in C, of all steps of a loop one: compilers take a second or two for a thousand."""

LONG = 400
"""Items from which a function is cut into several, of as many each."""

MOST_PRODUCTS = 20_000
"""Products of numbers up to which a contraction is written here: those of larger matrices are BLAS's."""

MOST_BATCHED = 1000
"""The same for each matrix of a stack of them."""

NARROW = 32
"""Entries of a matrix with which others are multiplied up to which BLAS does not pay."""


MOST_CONSTANTS = 4096
"""Entries of an array of the program up to which it stands in the text."""


class Loop(Run):
    """Some results of a loop: written as C with what is around it, or done by NumPy."""

    def __init__(
        self, body: Body, wanted: Sequence[int], given: Sequence[int], original: Mapping[Node, Node], runs: int
    ) -> None:
        super().__init__(body, wanted, given)
        self.original = original
        self.runs = runs
        self._by_numpy: OnArrays | None = None
        self.is_written = bool(body.count) and all([is_written(x) for x in self._nodes()])

    def _nodes(self) -> list[Node]:
        return [x for x in cone(expanded([*self.roots, *self.once], self.body.parameters), self.body.parameters)
                if x not in self.body.number]  # fmt: skip

    @property
    def nodes(self) -> list[Node]:
        """What one step computes, and what all of them use."""
        return cone(self.roots, self.body.parameters)

    def __call__(self, *arguments: Array) -> tuple[Array, ...]:
        if self._by_numpy is None:
            self._by_numpy = OnArrays(self.body, self.wanted, self.given, self.original, self.runs)
        return self._by_numpy(*arguments)


def expanded(roots: Sequence[Node], known: Iterable[Node]) -> list[Node]:
    """The roots with operations that C has no word for made of others."""
    with Derivation().active():
        return _expanded(roots, known)


def _expanded(roots: Sequence[Node], known: Iterable[Node]) -> list[Node]:
    new: dict[Node, Node] = {x: x for x in known}
    for node in cone(roots, new):
        if node not in new:
            inputs = tuple([new[x] for x in node.inputs])
            own = node if inputs == node.inputs else node.with_inputs(inputs)
            other = c_arrays.expanded(own)
            new[node] = own if other is None else _expanded([other], own.inputs)[0]
    return [new[x] for x in roots]


def is_written(node: Node) -> bool:
    """Whether C does an operation, all of whose inputs are at hand."""
    op = node.op
    if node.op is loop_run:
        function = node.attrs["function"]
        return isinstance(function, Loop) and function.is_written
    if op.name == "literal" or op is loop_result:
        return True
    if 0 in node.shape or any([0 in x.shape for x in node.inputs]):
        return False
    if not node.inputs:
        return op.kernel is not None and size_of(node.shape) <= MOST_CONSTANTS
    if _number(node) is not None or op.shares == "always":
        return True
    if op.wraps and not is_float(node.dtype) and _overflowing(node) is None:
        return False
    if op.entrywise:
        return c.apply(node, [Text("x")] * len(node.inputs), lambda name, dtype: "f") is not None
    if isinstance(op.rule, Contraction):
        return _is_small(node, op.rule)
    if op.name in c_arrays.TURNED:
        return c_arrays.turn(node) is not None
    return op.folds or op.name in c_arrays.FINISHED or op.name in c_arrays.WRITTEN


def _number(node: Node) -> Text | None:
    """The number that all entries are."""
    if node.op.name == "literal":
        return c.value(node.attrs["value"], node.dtype)
    least, largest = node.op.bounds
    return c.value(int(least) if not is_float(node.dtype) else least, node.dtype) if least == largest else None


def _overflowing(node: Node) -> str | None:
    """What does an operation on integers and says whether it has wrapped around."""
    name = node.op.combined if node.op.folds else node.op.name
    return c_arrays.OVERFLOWS.get(name)


def _is_small(node: Node, rule: Contraction) -> bool:
    """Whether products of numbers are so few that a call of BLAS would take longer, or nothing is summed."""
    labels, out = rule.labels(node.inputs, dict(node.attrs))
    sizes = _sizes(node, labels)
    every = math.prod(sizes.values())
    if len(labels) > 2:
        return every <= MOST_PRODUCTS
    batch = math.prod([n for k, n in sizes.items() if k in out and all([k in own for own in labels])])
    summed = math.prod([n for k, n in sizes.items() if k not in out])
    sides = [math.prod([n for k, n in sizes.items() if k in own and k in out]) // batch for own in labels]
    small = every <= MOST_PRODUCTS or every // batch <= MOST_BATCHED or summed * min(sides) <= NARROW
    return small or all([k in out for k in sizes])


def _sizes(node: Node, labels: Sequence[Sequence[int]]) -> dict[int, int]:
    return {k: n for x, own in zip(node.inputs, labels, strict=True) for k, n in zip(own, x.shape, strict=True)}


# where values lie


class Value:
    """Entries in memory, or one in a variable.

    It belongs to a ``scope``, in which the nest ``first`` begins to make it, ``done`` has made it, and ``last`` reads it. What is
    ``at_hand`` in the innermost loop of the nest that makes it is a variable there. It may be ``stored``, in an array of the
    function (``local``) or elsewhere.
    """

    def __init__(self, name: str, shape: Shape, dtype: str, scope: Scope | None = None, at_hand: bool = False) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.scope = scope
        self.at_hand = at_hand
        self.first = self.done = self.last = -1
        self.stored = False
        self.pointer = ""
        self.local = False

    def made(self, first: int, done: int | None = None) -> None:
        """Say which nests make it."""
        self.first, self.done = first, first if done is None else done
        self.last = max(self.last, self.done)

    @property
    def size(self) -> int:
        return size_of(self.shape)

    @property
    def kind(self) -> str:
        return c.TYPES[self.dtype]

    @property
    def bytes(self) -> int:
        return self.size * ITEM_SIZE[self.dtype]


class Layout(NamedTuple):
    """Where the entries of a node lie: of what, at which strides; or a number."""

    value: Value | None
    strides: tuple[int, ...] = ()
    offset: int = 0
    number: Text | None = None


def in_order(shape: Shape) -> tuple[int, ...]:
    """The strides of an array row by row."""
    found, step = [], 1
    for n in reversed(shape):
        found.append(step)
        step *= n
    return tuple(reversed(found))


class Access(NamedTuple):
    """What is read or written for each place of a nest.

    ``moved`` are strides, the reads that number them, and sizes; ``turned`` are an axis that begins elsewhere, its stride, how
    far that is, and its size.
    """

    value: Value | None
    strides: tuple[int, ...] = ()
    offset: int = 0
    number: Text | None = None
    moved: tuple[tuple[int, int, int], ...] = ()
    turned: tuple[int, int, int, int] | None = None


class Item:
    """One thing that is done at each place of a nest: from what it reads, a value that is kept, added up or put somewhere."""

    def __init__(
        self,
        value: Value,
        reads: Sequence[Access],
        text: Callable[[Sequence[Text]], Text],
        write: Access | None = None,
        combine: Callable[[str, str], str] | None = None,
        start: str = "",
        fails: Callable[[Sequence[Text]], str | None] | None = None,
        running: bool | None = None,
        sums: bool = False,
    ) -> None:
        self.value = value
        self.reads = list(reads)
        self.text = text
        self.write = write
        self.combine = combine
        self.start = start
        self.fails = fails
        self.running = running
        self.sums = sums


class Nest:
    """Items over one space, in their order; or something that writes lines of its own."""

    def __init__(self, space: Shape) -> None:
        self.space = space
        self.items: list[Item] = []
        self.lines: Callable[[], list[str]] | None = None
        self.uses: list[Value] = []
        self.fixed = False


def _short(shape: Shape) -> Shape:
    return tuple([n for n in shape if n != 1])


def _along(layout: Layout, own: Shape, shape: Shape) -> Access:
    """A value as it is repeated to fill a shape."""
    if layout.value is None:
        return Access(None, number=layout.number)
    before = len(shape) - len(own)
    strides = [0] * before + [0 if n == 1 else s for n, s in zip(own, layout.strides, strict=True)]
    return Access(layout.value, tuple([s for s, n in zip(strides, shape, strict=True) if n != 1]), layout.offset)


class Writer:
    """What the functions of one text share: helpers, memory and names."""

    def __init__(self) -> None:
        self.helpers: dict[str, str] = {}
        self.constants: list[str] = []
        self.count = 0
        self.items = 0
        self.reserved = 0

    def named(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def call(self, name: str, dtype: str) -> str:
        """The name of a function that an operation is."""
        return c.function(name, dtype, self.helpers)

    def counted(self) -> None:
        self.items += 1
        if self.items > MOST_ITEMS:
            raise GradcliError(
                "LimitError",
                f"this has more than {MOST_ITEMS:,} operations, and a C compiler takes minutes for as many",
                help="`--backend numpy` computes it at once; steps that are alike are short as `iterate` or `scan`",
            )

    def reserve(self, size: int) -> int:
        """Bytes of memory that nothing else uses."""
        start = self.reserved
        self.reserved += -(-size // 64) * 64
        return start


class Scope:
    """Nests that are done one after the other, and where the values lie that they know."""

    def __init__(self, writer: Writer, known: Mapping[Node, Layout], apart: bool = False) -> None:
        self.writer = writer
        self.layouts: dict[Node, Layout] = dict(known)
        self.apart = apart
        self.nests: list[Nest] = []
        self.first = 0
        self.spaces: dict[Shape, list[int]] = {}
        self.values: list[Value] = []
        self._results: dict[Node, list[Layout]] = {}

    # values

    def value(self, shape: Shape, dtype: str, at_hand: bool = False) -> Value:
        """A value that nests of this scope make."""
        found = Value(self.writer.named("v"), shape, dtype, self, at_hand)
        self.values.append(found)
        return found

    def _done(self, value: Value) -> int:
        """The nest that makes a value; -1 for what is there before all."""
        return value.done if value.scope is self else -1

    def _layout(self, value: Value, shape: Shape) -> Layout:
        return Layout(value, in_order(shape), 0)

    def _access(self, x: Node, shape: Shape) -> Access:
        return _along(self.layouts[x], x.shape, shape)

    # which nest

    def _earliest(self, space: Shape, reads: Sequence[Access]) -> int:
        """The first nest over a space that may read something."""
        found = self.first
        for access in reads:
            if access.value is not None:
                found = max(found, self._done(access.value) + (not self.is_same(access, space)))
        return found

    def is_same(self, access: Access, space: Shape) -> bool:
        """Whether a value is read at the place at which a nest over a space makes it."""
        value = access.value
        assert value is not None
        if access.moved or access.turned or not (value.at_hand or not value.shape):
            return False
        return value.shape == space and access.strides == in_order(space) and not access.offset

    def _nest(self, space: Shape, earliest: int) -> int:
        """A nest over a space that is not before the earliest, which is made if need be."""
        some = self.spaces.setdefault(space, [])
        for k in some[bisect_left(some, earliest) :]:
            if len(self.nests[k].items) < LONG:
                return k
        some.append(self._alone(space))
        return some[-1]

    def _alone(self, space: Shape) -> int:
        self.nests.append(Nest(space))
        return len(self.nests) - 1

    def _add(self, item: Item, space: Shape, alone: bool = False, earliest: int = 0) -> int:
        """Put an item into a nest; what it reads of other nests lies in memory from then on."""
        self.writer.counted()
        at = self._alone(space) if alone else self._nest(space, max(earliest, self._earliest(space, item.reads)))
        for access in item.reads:
            if access.value is not None:
                self._uses(access.value, at, self._done(access.value) == at and self.is_same(access, space))
        self.nests[at].items.append(item)
        return at

    def _uses(self, value: Value, at: int, same: bool = False) -> None:
        if not same:
            self.nests[at].uses.append(value)
        if value.scope is not self:
            return
        value.last = max(value.last, at)
        if not same and (value.shape or self.apart):
            value.stored = True

    # operations

    def add(self, nodes: Iterable[Node]) -> None:
        """Write operations, inputs before users."""
        for node in nodes:
            if node not in self.layouts:
                self.layouts[node] = self._made(node)

    def _made(self, node: Node) -> Layout:
        number = _number(node)
        if number is not None:
            return Layout(None, number=number)
        op = node.op
        if not node.inputs:
            return self._constant(node)
        if op is loop_run:
            self._loop(node)
            return Layout(None)
        if op is loop_result:
            return self._results[node.inputs[0]][node.attrs["index"]]
        if op.shares == "always":
            return self._view(node)
        if op.entrywise:
            return self._entrywise(node)
        if isinstance(op.rule, Contraction):
            return self._contraction(node, op.rule)
        if op.name in c_arrays.TURNED:
            return self._turned(node)
        if op.name in c_arrays.TAKEN:
            return self._copied(node, c_arrays.TAKEN[op.name])
        if op.name in c_arrays.PLACED:
            return self._placed(node, c_arrays.PLACED[op.name])
        if op.name in c_arrays.INDEXED:
            return self._indexed(node)
        if op.name in c_arrays.RUNNING:
            return self._cumulative(node)
        return self._reduced(node)

    def _word(self, node: Node) -> Callable[[Sequence[Text]], Text]:
        """How C writes an operation on numbers."""
        overflowing = _overflowing(node) if node.op.wraps and not is_float(node.dtype) else None

        def text(operands: Sequence[Text]) -> Text:
            if overflowing is not None:
                a, b = [x.text for x in operands]
                return Text(f"({{{c.TYPES[node.dtype]} y_; fail |= {overflowing}({a}, {b}, &y_); y_;}})")
            found = c.apply(node, operands, self.writer.call)
            assert found is not None, node
            return found

        return text

    def _entrywise(self, node: Node) -> Layout:
        space = _short(node.shape)
        reads = [self._access(x, node.shape) for x in node.inputs]
        value = self.value(space, node.dtype, at_hand=True)
        item = Item(value, reads, self._word(node), fails=lambda operands: c_arrays.fails(node, operands))
        value.made(self._add(item, space))
        return self._layout(value, node.shape)

    def _constant(self, node: Node) -> Layout:
        """An array of numbers, written down."""
        entries = [c.value(x, node.dtype).text for x in np.ravel(kernel_value(np, node)).tolist()]
        value = Value(self.writer.named("k"), node.shape, node.dtype)
        value.stored = value.local = True
        value.pointer = value.name
        self.writer.constants.append(f"static const {value.kind} {value.name}[{len(entries)}] = {c.listed(entries)};")
        return self._layout(value, node.shape) if node.shape else Layout(None, number=Text(entries[0]))

    def _view(self, node: Node) -> Layout:
        """Another look at an input: strides as NumPy finds them on an array of which nothing is read."""
        x = node.inputs[0]
        layout = self.layouts[x]
        if layout.value is None:
            return layout
        found = _viewed(node, x, layout)
        if found is None:
            layout = self.copy(layout, x.shape, x.dtype)
            found = _viewed(node, x, layout)
        assert found is not None
        return found

    def copy(self, layout: Layout, shape: Shape, dtype: str) -> Layout:
        """A copy, row by row."""
        space = _short(shape)
        value = self.value(space, dtype, at_hand=True)
        item = Item(value, [_along(layout, shape, shape)], lambda operands: operands[0])
        value.made(self._add(item, space))
        return self._layout(value, shape)

    def _copied(self, node: Node, part: Callable[[Any, Array, Node], Array]) -> Layout:
        x = node.inputs[0]
        layout = self.layouts[x]
        if layout.value is None:
            return layout
        base, dummy = _dummy(x.shape, x.dtype, layout.strides)
        y = part(np, dummy, node)
        return self.copy(_layout_of(layout, base, y), node.shape, node.dtype)

    def _turned(self, node: Node) -> Layout:
        """Entries along an axis from another one on."""
        (x,), turn = node.inputs, c_arrays.turn(node)
        assert turn is not None
        axis, shift = turn
        n = node.shape[axis]
        access = self._access(x, x.shape)
        if access.value is not None and shift:
            k = len(_short(x.shape[:axis]))
            strides = (*access.strides[:k], 0, *access.strides[k + 1 :])
            access = access._replace(strides=strides, turned=(k, access.strides[k], n - shift, n))
        space = _short(node.shape)
        value = self.value(space, node.dtype, at_hand=True)
        value.made(self._add(Item(value, [access], _first), space))
        return self._layout(value, node.shape)

    def _placed(self, node: Node, parts: Callable[[Any, Array, Node], list[Array]]) -> Layout:
        """Zeros, if need be, with inputs in some places."""
        value = self.value(node.shape, node.dtype)
        value.stored = True
        base, dummy = _dummy(node.shape, node.dtype, in_order(node.shape))
        places = []
        if node.op.entries == "placed":
            places.append(self._zeros(value))
        earliest = places[0] + 1 if places else self.first
        for x, y in zip(node.inputs, parts(np, dummy, node), strict=True):
            own = _layout_of(Layout(value), base, y)
            space = _short(x.shape)
            write = Access(value, _reads(own, y.shape), own.offset)
            reads = [_along(self.layouts[x], x.shape, x.shape)]
            places.append(self._add(Item(value, reads, _first, write), space, earliest=earliest))
        value.made(min(places), max(places))
        return self._layout(value, node.shape)

    def _zeros(self, value: Value) -> int:
        """Fill memory with zeros."""
        space = (value.size,) if value.size > 1 else ()
        write = Access(value, (1,) if space else ())
        return self._add(Item(value, [], lambda _: c.value(0, value.dtype), write), space, alone=True)

    def _contraction(self, node: Node, rule: Contraction) -> Layout:
        labels, out = rule.labels(node.inputs, dict(node.attrs))
        sizes = _sizes(node, labels)
        axes = [*[k for k in out if sizes[k] != 1], *[k for k in sizes if k not in out and sizes[k] != 1]]
        space = tuple([sizes[k] for k in axes])
        reads = []
        for x, own in zip(node.inputs, labels, strict=True):
            layout = self.layouts[x]
            if layout.value is None:
                reads.append(Access(None, number=layout.number))
                continue
            strides = dict(zip(own, layout.strides, strict=True))
            reads.append(Access(layout.value, tuple([strides.get(k, 0) for k in axes]), layout.offset))

        def product(operands: Sequence[Text]) -> Text:
            return Text(
                " * ".join([x.at_least(PRODUCT + bool(i)) for i, x in enumerate(operands)]),
                PRODUCT if len(operands) > 1 else operands[0].binds,
            )

        own_strides = dict(zip([k for k in out if sizes[k] != 1], in_order(_short(node.shape)), strict=True))
        strides_of_result = tuple([own_strides.get(k, 0) for k in axes])
        return self._layout(self._summed(node, reads, product, strides_of_result, space), node.shape)

    def _combining(self, combined: str, dtype: str) -> Callable[[str, str], str]:
        """How C puts two entries together."""
        a, b = [make_leaf("a", "step", (), dtype, False) for _ in range(2)]
        pair = Node(TABLE[combined], (a, b), {}, (), dtype, False)
        word = self._word(pair)
        return lambda a, b: word([Text(a), Text(b)]).text

    def _summed(
        self, node: Node, reads: Sequence[Access], text: Callable[[Sequence[Text]], Text], strides: tuple[int, ...], space: Shape
    ) -> Value:  # fmt: skip
        """Entries put together as an operation says, in a result with these strides along the space."""
        shape, dtype, combined = _short(node.shape), node.dtype, node.op.combined
        if shape == space and strides == in_order(space):
            value = self.value(shape, dtype, at_hand=True)
            value.made(self._add(Item(value, reads, text), space))
            return value
        value = self.value(shape, dtype)
        start = c.value(c_arrays.identity(combined, dtype), dtype).text
        sums = TABLE[combined] is add and is_float(dtype)
        write = Access(value, strides)
        value.made(
            self._add(Item(value, reads, text, write, self._combining(combined, dtype), start, sums=sums), space)
        )
        value.stored = bool(shape)
        return value

    def _reduced(self, node: Node) -> Layout:
        (x,) = node.inputs
        axes, kept = c_arrays.reduced_axes(node)
        strides = tuple([0 if k in axes else s for k, s in enumerate(in_order(kept))])
        strides = tuple([s for s, n in zip(strides, x.shape, strict=True) if n != 1])
        value = self._summed(node, [self._access(x, x.shape)], _first, strides, _short(x.shape))
        if node.op.name not in c_arrays.FINISHED:
            return self._layout(value, node.shape)
        shape = _short(node.shape)
        done = self.value(shape, node.dtype, at_hand=True)
        finish = c_arrays.FINISHED[node.op.name](node)
        item = Item(done, [Access(value, in_order(shape))], finish.text, fails=finish.fails)
        done.made(self._add(item, shape))
        return self._layout(done, node.shape)

    def _cumulative(self, node: Node) -> Layout:
        """Sums or products of all entries up to one, along an axis: the innermost loop."""
        (x,), axis = node.inputs, node.attrs["axis"]
        order = [*[k for k in range(node.rank) if k != axis], axis]
        back = node.attrs["reverse"]
        base, dummy = _dummy(node.shape, node.dtype, in_order(node.shape))
        layout = self.layouts[x]
        value = self.value(node.shape, node.dtype)
        value.stored = True

        def turned(of: Layout, base: Array, array: Array) -> Access:
            y = array.transpose(order)
            own = _layout_of(of, base, y[..., ::-1] if back else y)
            return Access(of.value, own.strides, own.offset)

        read = Access(None, number=layout.number)
        if layout.value is not None:
            read = turned(layout, *_dummy(x.shape, x.dtype, layout.strides))
        (combined, start), exclusive = c_arrays.RUNNING[node.op.name], node.attrs["exclusive"]
        start = c_arrays.identity(combined, node.dtype) if exclusive else start
        item = Item(value, [read], _first, turned(Layout(value), base, dummy), self._combining(combined, node.dtype),
                    c.value(start, node.dtype).text, running=exclusive)  # fmt: skip
        at = self._add(item, tuple([node.shape[k] for k in order]), alone=True)
        self.nests[at].fixed = True
        value.made(at)
        return self._layout(value, node.shape)

    def _indexed(self, node: Node) -> Layout:
        """What indices choose along an axis, or entries that are added where indices say."""
        x, indices = node.inputs
        axis = node.attrs["axis"]
        adds = "size" in node.attrs
        value = self.value(node.shape if adds else _short(node.shape), node.dtype, at_hand=not adds)
        short = x.shape if adds else node.shape  # what has an entry for each index
        if c_arrays.INDEXED[node.op.name] == "slices":
            before = (1,) * axis
            place = (*before, *indices.shape, *(1,) * (len(short) - axis - indices.rank))
            number = _along(_surrounded(self.layouts[indices], axis, len(place)), place, short)
            long_axes = [*range(axis), *[None] * indices.rank, *range(axis + 1, len(short) - indices.rank + 1)]
        else:
            number = _along(self.layouts[indices], indices.shape, short)
            long_axes = [None if k == axis else k for k in range(len(short))]
        source = Layout(value, in_order(node.shape)) if adds else self.layouts[x]
        sizes = node.shape if adds else x.shape
        size = sizes[axis]
        if source.value is None:
            return Layout(None, number=source.number)
        strides = tuple([0 if k is None or sizes[k] == 1 else source.strides[k] for k in long_axes])
        kept = tuple([s for s, n in zip(strides, short, strict=True) if n != 1])
        moved = ((source.strides[axis], 0, size),)
        space = _short(short)
        if not adds:
            reads = [number, Access(source.value, kept, source.offset, None, moved)]
            value.made(self._add(Item(value, reads, _second), space))
            return self._layout(value, node.shape)
        value.stored = True
        start = self._zeros(value)
        reads = [number, _along(self.layouts[x], x.shape, short)]
        item = Item(value, reads, _second, Access(value, kept, 0, None, moved), lambda a, b: f"{a} + {b}")
        value.made(start, self._add(item, space, alone=True))
        return self._layout(value, node.shape)

    # loops

    def _loop(self, node: Node) -> None:
        """A run of a loop, as lines of its own."""
        run: Loop = node.attrs["function"]
        body = run.body
        at = self._alone(())
        nest = self.nests[at]
        arguments: dict[Node, Layout] = {}
        for p, x in zip(run.given, node.inputs, strict=True):
            layout = self.layouts[x]
            if layout.value is not None:
                self._uses(layout.value, at)
            arguments[body.parameters[p]] = layout
        states: dict[int, Layout] = {}
        for i in run.live:
            state = body.states[i]
            value = self.value(_short(state.shape), state.dtype)
            value.made(at)
            value.stored = bool(value.shape) or self.apart
            states[i] = self._layout(value, state.shape)
        stacks: dict[int, Layout] = {}
        for r in [*run.emitted, *run.histories]:
            value = self.value(body.shape(r), body.root(r).dtype)
            value.made(at)
            value.stored = True
            stacks[r] = self._layout(value, body.shape(r))
        nest.lines = _Steps(self.writer, run, arguments, states, stacks).lines
        self._results[node] = [stacks[r] if r in stacks else states[r] for r in run.wanted]

    # results

    def keep(self, node: Node) -> Value:
        """A value of its own in memory, row by row."""
        layout = self.layouts[node]
        value = layout.value
        if value is None or value.scope is not self or value.pointer or not self._is_whole(layout, node.shape):
            value = self.copy(layout, node.shape, node.dtype).value
            assert value is not None
        value.stored = True
        value.last = MOST_ITEMS
        return value

    def _is_whole(self, layout: Layout, shape: Shape) -> bool:
        """Whether a value lies there row by row, and nothing else."""
        assert layout.value is not None
        return _reads(layout, shape) == in_order(_short(shape)) and layout.value.size == size_of(shape)

    def put(self, layout: Layout, shape: Shape, target: Value) -> None:
        """Copy a value into memory, or a variable, that is there, after all that is written so far."""
        space = _short(shape)
        write = Access(target, in_order(space))
        self._add(Item(target, [_along(layout, shape, shape)], _first, write), space, alone=True)

    # text

    def place(self) -> None:
        """Decide where the values lie: small ones in arrays of the function, others in memory that is used again."""
        free: list[tuple[int, int]] = []
        ends: list[tuple[int, int, int]] = []
        for value in sorted(self.values, key=lambda v: v.first):
            if not value.stored or value.pointer:
                continue
            if not self.apart and value.bytes <= LOCAL:
                value.local = True
                value.pointer = f"l{value.name}"
                continue
            for end in [e for e in ends if e[0] < value.first]:
                ends.remove(end)
                free.append(end[1:])
            size = -(-value.bytes // 64) * 64
            fitting = min([f for f in free if f[1] >= size], key=lambda f: f[1], default=None)
            if fitting is not None:
                free.remove(fitting)
                offset = fitting[0]
                if fitting[1] > size:
                    free.append((offset + size, fitting[1] - size))
            else:
                offset = self.writer.reserve(size)
            ends.append((value.last, offset, size))
            value.pointer = f"(({value.kind} *)(m + {offset}))"

    def lines(self) -> list[str]:
        """The lines of all nests."""
        found = self.declared()
        for k in range(len(self.nests)):
            found += self.nest_lines(k)
        return found

    def declared(self) -> list[str]:
        return [f"{v.kind} {v.pointer}[{v.size}];" for v in self.values if v.local]

    def nest_lines(self, k: int) -> list[str]:
        nest = self.nests[k]
        if nest.lines is not None:
            return self._loaded(nest, k) + nest.lines()
        return self._loaded(nest, k) + _Text(self, nest).lines()

    def _loaded(self, nest: Nest, k: int) -> list[str]:
        """Variables that another function has made."""
        if not self.apart:
            return []
        found = [v for v in dict.fromkeys(nest.uses) if not v.shape and v.stored and v.done != k]
        return [f"const {v.kind} {v.name} = *{v.pointer};" for v in found]


def _first(operands: Sequence[Text]) -> Text:
    return operands[0]


def _second(operands: Sequence[Text]) -> Text:
    return operands[1]


def _surrounded(layout: Layout, before: int, rank: int) -> Layout:
    """A layout with axes of size 1 around its own."""
    after = rank - before - len(layout.strides)
    return (
        layout._replace(strides=((0,) * before + layout.strides + (0,) * after)) if layout.value is not None else layout
    )


def _reads(layout: Layout, shape: Shape) -> tuple[int, ...]:
    return tuple([s for s, n in zip(layout.strides, shape, strict=True) if n != 1])


def _dummy(shape: Shape, dtype: str, strides: Sequence[int]) -> tuple[Array, Array]:
    """An array of which nothing may be read, and what its entries start from."""
    base = np.empty(1, dtype)
    item = ITEM_SIZE[dtype]
    return base, np.lib.stride_tricks.as_strided(base, shape, [s * item for s in strides])


def _layout_of(layout: Layout, base: Array, y: Array) -> Layout:
    item = y.itemsize
    start = y.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return Layout(layout.value, tuple([s // item for s in y.strides]), layout.offset + start // item)


def _viewed(node: Node, x: Node, layout: Layout) -> Layout | None:
    """What a view of an array is, None where it would have to be copied."""
    base, dummy = _dummy(x.shape, x.dtype, layout.strides)
    flow = node.op.flow
    if flow == "reshaped":
        if _short(x.shape) == _short(node.shape):
            own = iter(_reads(layout, x.shape))
            return Layout(layout.value, tuple([next(own) if n != 1 else 0 for n in node.shape]), layout.offset)
        if _reads(layout, x.shape) == _reads(Layout(None, in_order(x.shape)), x.shape):
            return Layout(layout.value, in_order(node.shape), layout.offset)
        return None
    if flow == "indexed":
        y = dummy[(*c_arrays.slices(node.attrs["items"]), ...)]
    else:
        assert node.op.kernel is not None
        y = node.op.kernel(np, dummy, **node.attrs)
    return _layout_of(layout, base, y)


class _Text:
    """The text of a nest: which loops are around which, and what is done at which depth."""

    def __init__(self, scope: Scope, nest: Nest) -> None:
        self.scope = scope
        self.nest = nest
        self.made = {item.value for item in nest.items}
        accesses = [a for item in nest.items for a in (*item.reads, *self._writes(item))]
        self.accesses = [a for a in accesses if a.value is not None and self._in_memory(a)]
        self.order = self._order()
        self.axes = self._merged()
        self.sizes = [math.prod([nest.space[k] for k in some]) for some in self.axes]

    def _writes(self, item: Item) -> list[Access]:
        if item.write is not None:
            return [item.write]
        return [Access(item.value, in_order(self.nest.space))] if item.value.stored else []

    def _in_memory(self, access: Access) -> bool:
        value = access.value
        assert value is not None
        if not value.shape:
            return False
        return value.stored or not self._at_hand(access)

    def _at_hand(self, access: Access) -> bool:
        """Whether what is read is a variable of the innermost loop."""
        return access.value in self.made and self.scope.is_same(access, self.nest.space)

    def _order(self) -> list[int]:
        """The axes, the innermost last: along it memory is read in a row."""
        space = self.nest.space
        order = list(range(len(space)))
        if self.nest.fixed or len(space) < 2:
            return order

        def cost(k: int) -> tuple[float, int]:
            steps = [a.turned[1] if a.turned is not None and a.turned[0] == k else a.strides[k] for a in self.accesses]
            jumps = sum([0 if step == 0 else 1 if abs(step) == 1 else 4 for step in steps])
            short = 8 / space[k] if space[k] < 8 else 0
            return (jumps + len(self.accesses) * short, -k)

        inner = min(order, key=cost)
        order.remove(inner)
        return [*order, inner]

    def _merged(self) -> list[list[int]]:
        """Neighbouring axes that are one loop."""
        space = self.nest.space
        found: list[list[int]] = []
        turned = {a.turned[0] for a in self.accesses if a.turned is not None}
        for k in self.order:
            if found and not self.nest.fixed:
                before = found[-1][-1]
                if not turned & {before, k} and all(
                    [a.strides[before] == a.strides[k] * space[k] for a in self._every()]
                ):
                    found[-1].append(k)
                    continue
            found.append([k])
        return found

    def _every(self) -> list[Access]:
        return self.accesses + [item.write for item in self.nest.items if item.write is not None]

    # lines

    def lines(self) -> list[str]:
        depth = len(self.axes)
        before: list[list[str]] = [[] for _ in range(depth + 1)]
        after: list[list[str]] = [[] for _ in range(depth + 1)]
        head: list[str] = []
        inside: list[str] = []
        sums: list[str] = []
        self.indices: dict[tuple[int, ...], str] = {}
        vector = True
        scalars = not depth
        parts: list[str] = []
        for item in self.nest.items:
            texts: list[Text] = []
            for i, access in enumerate(item.reads):
                texts.append(self._read(item, access, texts, inside, i))
            text = item.text(texts)
            if item.fails is not None and (bad := item.fails(texts)) is not None and "{y}" not in bad:
                inside.append(f"fail |= {bad};")
            kind, name = item.value.kind, item.value.name
            if item.write is None:
                inside.append(f"const {kind} {name} = {text.text};")
                if item.fails is not None and bad is not None and "{y}" in bad:
                    inside.append(f"fail |= {bad.format(y=name)};")
                if item.value.stored:
                    inside.append(f"{self._at(Access(item.value, in_order(self.nest.space)))} = {name};")
                continue
            if item.combine is None:
                target = item.value if item.write.value is None else item.write.value
                assert target is not None
                inside.append(
                    f"{self._at(item.write) if target.shape or target.stored and self.scope.apart else target.name} = {text.text};"
                )
                continue
            if item.write.moved:
                vector = False
                place = self._at(item.write, item, texts, inside)
                inside.append(f"{place} = {item.combine(place, text.text)};")
                continue
            if item.running is not None:
                vector = False
                own = f"a{name}"
                before[depth - 1].append(f"{kind} {own} = {item.start};")
                step = f"{own} = {item.combine(own, text.text)};"
                store = f"{self._at(item.write)} = {own};"
                inside += [store, step] if item.running else [step, store]
                continue
            vector &= self._accumulate(item, text, before, after, head, inside, sums, parts)
        if scalars:
            return [*head, *before[0], *inside, *after[0]]
        return self._loops(head, before, after, inside, sums, parts, vector)

    def _accumulate(
        self, item: Item, text: Text, before: list[list[str]], after: list[list[str]], head: list[str], inside: list[str],
        sums: list[str], parts: list[str],
    ) -> bool:  # fmt: skip
        """Put entries together in a variable of the loops that are left out of the result, or in memory."""
        assert item.write is not None and item.combine is not None
        depth = len(self.axes)
        reduced = [item.write.strides[some[-1]] == 0 for some in self.axes]
        level = depth
        while level and reduced[level - 1]:
            level -= 1
        kind, name = item.value.kind, item.value.name
        value = item.value
        whole = not value.shape
        if level == depth:  # the innermost loop runs along the result
            place = self._at(item.write)
            if depth:
                head.append(f"for (long k = 0; k < {value.size}; k++) {self._base(value)}[k] = {item.start};")
                inside.append(f"{place} = {item.combine(place, text.text)};")
            else:
                inside.append(f"{kind} {name} = {text.text};")
                if value.stored:
                    inside.append(f"*{value.pointer} = {name};")
            return True
        own = name if whole else f"a{name}"
        part = own
        if item.sums and self.sizes[-1] > BLOCK:
            part = f"p{name}"
            parts.append(f"{kind} {part} = 0;|{own} += {part};")
        (head if whole else before[level]).append(f"{kind} {own} = {item.start};")
        inside.append(f"{part} = {item.combine(part, text.text)};")
        if not whole:
            place = self._at(item.write)
            if any(reduced[:level]):
                head.append(f"for (long k = 0; k < {value.size}; k++) {self._base(value)}[k] = {item.start};")
                after[level].append(f"{place} = {item.combine(place, own)};")
            else:
                after[level].append(f"{place} = {own};")
        elif value.stored:
            after[0].append(f"*{value.pointer} = {own};")
        if item.sums:
            sums.append(part)
        return item.sums

    def _loops(
        self, head: list[str], before: list[list[str]], after: list[list[str]], inside: list[str], sums: list[str],
        parts: list[str], vector: bool,
    ) -> list[str]:  # fmt: skip
        depth, last = len(self.axes), len(self.axes) - 1
        variables = [line for line in head if not line.startswith("for ")]
        fills = [line for line in head if line.startswith("for ")]
        found = [*variables, "{", *self._pointers(), *fills]
        for k in range(depth):
            found += before[k]
            n = self.sizes[k]
            if k == last:
                pragma = []
                if vector and n >= 4:
                    own = f" reduction(+:{', '.join(sums)})" if sums else ""
                    failing = " reduction(|:fail)" if any(["fail |=" in line for line in inside]) else ""
                    pragma = [f"#pragma omp simd{own}{failing}"]
                if parts:
                    begin, end = zip(*[part.split("|") for part in parts], strict=True)
                    found.append(f"for (long b = 0; b < {n}; b += {BLOCK}) {{")
                    found += begin
                    found.append(f"const long e = b + {BLOCK} < {n} ? b + {BLOCK} : {n};")
                    found += [*pragma, f"for (long i{k} = b; i{k} < e; i{k}++) {{", *inside, "}", *end, "}"]
                else:
                    found += [*pragma, f"for (long i{k} = 0; i{k} < {n}; i{k}++) {{", *inside, "}"]
            else:
                found.append(f"for (long i{k} = 0; i{k} < {n}; i{k}++) {{")
        for k in reversed(range(depth)):
            if k != last:
                found.append("}")
            found += after[k]
        found.append("}")
        whole = [line for line in found if line.startswith("*")]  # after the braces: variables in memory
        return [line for line in found if line not in whole] + whole

    def _pointers(self) -> list[str]:
        """The memory that is read and written, each by a pointer of its own."""
        values: dict[Value, bool] = {}
        for item in self.nest.items:
            for access in item.reads:
                if (
                    access.value is not None
                    and access.value.shape
                    and not (access.value in self.made and not access.value.stored)
                ):
                    values.setdefault(access.value, False)
            for access in self._writes(item):
                if access.value is not None and access.value.shape and access.value.stored:
                    values[access.value] = True
        return [
            f"{'' if written else 'const '}{v.kind} *restrict b{v.name} = {v.pointer};"
            for v, written in values.items()
            if not v.local
        ]

    def _base(self, value: Value) -> str:
        return value.pointer if value.local or not self.axes else f"b{value.name}"

    def _at(
        self, access: Access, item: Item | None = None, texts: Sequence[Text] = (), inside: list[str] | None = None
    ) -> str:
        """The text of an entry in memory."""
        value = access.value
        assert value is not None
        if not value.shape:
            return f"*{value.pointer}" if value.stored and value.pointer and not value.local else value.name
        terms = []
        for k, some in enumerate(self.axes):
            step = access.strides[some[-1]]
            if step:
                terms.append(f"i{k}" if step == 1 else f"{step} * i{k}")
        if access.turned is not None:
            axis, step, first, size = access.turned
            (k,) = [k for k, some in enumerate(self.axes) if some == [axis]]
            terms.append(f"{step} * (i{k} + {first} - (i{k} + {first} >= {size} ? {size} : 0))")
        for step, read, size in access.moved:
            assert inside is not None
            name = self.scope.writer.named("j")
            inside.append(f"long {name} = {texts[read].text};")
            inside.append(f"{name} += {name} < 0 ? {size} : 0;")
            inside.append(f"fail |= {name} < 0 || {name} >= {size};")
            inside.append(f"{name} = {name} < 0 || {name} >= {size} ? 0 : {name};")
            terms.append(f"{step} * {name}")
        if access.offset:
            terms.append(str(access.offset))
        return f"{self._base(value)}[{' + '.join(terms) or '0'}]"

    def _read(self, item: Item, access: Access, texts: list[Text], inside: list[str], i: int) -> Text:
        value = access.value
        if value is None:
            assert access.number is not None
            return access.number
        if not value.shape:
            return Text(value.name)
        if self._at_hand(access):
            return Text(value.name)
        return Text(self._at(access, item, texts, inside), ATOM)


class _Steps:
    """A loop as a ``for``: what all steps use, the states at the start, and the steps."""

    def __init__(
        self,
        writer: Writer,
        run: Loop,
        arguments: Mapping[Node, Layout],
        states: Mapping[int, Layout],
        stacks: Mapping[int, Layout],
    ) -> None:
        self._writer, self._run = writer, run
        self._arguments, self._states, self._stacks = arguments, states, stacks

    def lines(self) -> list[str]:
        run, count = self._run, self._run.body.count
        before, known = self._before()
        t = self._writer.named("t")
        step = self._step(known, t)
        before.place()
        step.place()
        inner = step.lines()
        if run.done is not None:
            done = self._states[run.done].value
            assert done is not None
            inner = [
                f"if ({done.name if not done.shape else done.pointer + '[0]'}) {{",
                *self._filled(t),
                "break;",
                "}",
                *inner,
            ]
        head = (
            f"for (long {t} = {count - 1}; {t} >= 0; {t}--) {{"
            if run.body.backwards
            else f"for (long {t} = 0; {t} < {count}; {t}++) {{"
        )
        numbers = [v for x in self._states.values() if (v := x.value) is not None and not v.shape]
        variables = [f"{v.kind} {v.name};" for v in numbers]
        ends = [f"*{v.pointer} = {v.name};" for v in numbers if v.stored]
        return [*variables, "{", *before.lines(), head, *inner, "}", "}", *ends]

    def _before(self) -> tuple[Scope, dict[Node, Layout]]:
        """What is there before the first step: what all of them use, and the states."""
        run, body = self._run, self._run.body
        fixed = {x: self._arguments[x] for x in body.fixed if x in self._arguments}
        before = Scope(self._writer, fixed)
        once = expanded(run.once, fixed)
        before.add(x for x in cone(once, fixed) if x not in fixed)
        known = {**fixed, **{x: before.layouts[new] for x, new in zip(run.once, once, strict=True)}}
        for layout in known.values():
            if layout.value is not None and layout.value.scope is before:
                layout.value.stored = bool(layout.value.shape)
                layout.value.last = MOST_ITEMS
        for i in run.live:
            state, value = body.states[i], self._states[i].value
            assert value is not None
            before.put(self._arguments[state], state.shape, value)
        return before, known

    def _step(self, known: Mapping[Node, Layout], t: str) -> Scope:
        """What one step computes and stacks, and the states after it."""
        run, body, arguments, writer = self._run, self._run.body, self._arguments, self._writer
        step = Scope(writer, known)
        for i in run.live:
            step.layouts[body.states[i]] = self._states[i]
        for x in body.elements:
            if x in arguments:
                step.layouts[x] = _row(writer, arguments[x], t, x)
        roots = expanded(run.roots, step.layouts)
        step.add(x for x in cone(roots, step.layouts) if x not in step.layouts)
        for r, root in zip(run.emitted, roots[len(run.live) :], strict=True):
            row = _stack_row(writer, self._stacks[r], t, root.shape, root.dtype)
            step.put(step.layouts[root], root.shape, row)
        for r, i in run.histories.items():
            state = body.states[i]
            row = _stack_row(writer, self._stacks[r], t, state.shape, state.dtype)
            step.put(self._states[i], state.shape, row)
        self._follow(step, roots[: len(run.live)], known)
        return step

    def _follow(self, step: Scope, roots: Sequence[Node], known: Mapping[Node, Layout]) -> None:
        """Each state gets its next value, all at once."""
        states, body = self._states, self._run.body
        given = {x.value for x in (*states.values(), *known.values()) if x.value is not None}
        new = [(i, step.layouts[root], body.states[i]) for i, root in zip(self._run.live, roots, strict=True)]
        new = [(i, layout, state) for i, layout, state in new if layout != states[i]]
        if len(new) > 1:
            step.first = len(step.nests)
            new = [(i, step.copy(x, s.shape, s.dtype) if x.value in given else x, s) for i, x, s in new]
        for i, layout, state in new:
            value = states[i].value
            assert value is not None
            step.put(layout, state.shape, value)

    def _filled(self, t: str) -> list[str]:
        """The rows of steps that change nothing any more."""
        run, writer = self._run, self._writer
        found: list[str] = []
        for r, i in run.histories.items():
            scope = Scope(writer, {})
            k = writer.named("t")
            state = run.body.states[i]
            row = _stack_row(writer, self._stacks[r], k, state.shape, state.dtype)
            scope.put(self._states[i], state.shape, row)
            scope.place()
            head = (
                f"for (long {k} = 0; {k} <= {t}; {k}++) {{"
                if run.body.backwards
                else f"for (long {k} = {t}; {k} < {run.body.count}; {k}++) {{"
            )
            found += [head, *scope.lines(), "}"]
        return found


def _row(writer: Writer, layout: Layout, t: str, x: Node) -> Layout:
    """The row of a step."""
    value = layout.value
    if value is None:
        return layout
    if not value.shape:
        return Layout(value, (0,) * x.rank)
    row = Value(writer.named("r"), (*_short(x.shape), 0), x.dtype)
    row.stored = True
    row.pointer = f"({value.pointer} + {layout.offset} + {layout.strides[0]} * {t})"
    return Layout(row, layout.strides[1:], 0)


def _stack_row(writer: Writer, layout: Layout, t: str, shape: Shape, dtype: str) -> Value:
    value = layout.value
    assert value is not None
    row = Value(writer.named("r"), _short(shape) or (1,), dtype)
    row.stored = True
    row.pointer = f"({value.pointer} + {layout.strides[0]} * {t})"
    return row


# the file

INCLUDES = "#include <math.h>\n#include <stdbool.h>\n#include <stdint.h>\n"

VECTORS = """\
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#if __GLIBC_PREREQ(2, 35)
#define VECTOR(name) double name(double) __attribute__((simd("notinbranch"), const)); float name##f(float) __attribute__((simd("notinbranch"), const));
VECTOR(exp) VECTOR(log) VECTOR(sin) VECTOR(cos) VECTOR(tan) VECTOR(tanh) VECTOR(exp2) VECTOR(expm1) VECTOR(log1p) VECTOR(log2) VECTOR(log10)
VECTOR(sinh) VECTOR(cosh) VECTOR(asin) VECTOR(acos) VECTOR(atan) VECTOR(asinh) VECTOR(acosh) VECTOR(atanh) VECTOR(cbrt) VECTOR(erf) VECTOR(erfc)
double pow(double, double) __attribute__((simd("notinbranch"), const));
float powf(float, float) __attribute__((simd("notinbranch"), const));
double hypot(double, double) __attribute__((simd("notinbranch"), const));
double atan2(double, double) __attribute__((simd("notinbranch"), const));
#endif
#endif
"""
"""The functions that glibc has for several numbers at once, within 4 units in the last place."""


def function(writer: Writer, name: str, roots: Sequence[Node], inputs: Sequence[Node]) -> list[str]:
    """The lines of a function that computes roots from inputs; it gives 0, or 1 where something fails because of its values."""
    nodes = [x for x in cone(roots, inputs) if x not in set(inputs)]
    apart = len(nodes) > LONG
    layouts: dict[Node, Layout] = {}
    scope = Scope(writer, layouts, apart)
    head: list[str] = []
    for k, x in enumerate(inputs):
        value = Value(writer.named("x"), _short(x.shape), x.dtype, scope)
        value.stored = True
        value.pointer = f"((const {value.kind} *)p[{k}])"
        scope.layouts[x] = Layout(value, in_order(x.shape))
        if not value.shape and not apart:
            head.append(f"const {value.kind} {value.name} = *{value.pointer};")
    scope.add(nodes)
    for k, root in enumerate(roots):
        value = scope.keep(root)
        value.pointer = f"(({value.kind} *)p[{len(inputs) + k}])"
    scope.place()
    parameters = "(char *restrict *restrict p, char *restrict m)"
    if not apart:
        body = [*head, *scope.declared(), *[line for k in range(len(scope.nests)) for line in scope.nest_lines(k)]]
        return [f"int {name}{parameters}", "{", "int fail = 0;", *body, "return fail;", "}"]
    found: list[str] = []
    calls: list[str] = []
    for k, nest in enumerate(scope.nests):
        # Of numbers in a straight line more than this makes nothing quicker, and takes twice as long.
        plain = ', optimize("O1")' if not nest.space and nest.lines is None else ""
        found += [
            f"static __attribute__((noinline{plain})) int {name}_{k}{parameters}",
            "{",
            "int fail = 0;",
            *scope.nest_lines(k),
        ]
        found += ["return fail;", "}"]
        calls.append(f"fail |= {name}_{k}(p, m);")
    return [*found, f"int {name}{parameters}", "{", "int fail = 0;", *calls, "return fail;", "}"]


def text(writer: Writer, functions: Sequence[Sequence[str]]) -> str:
    """The file of some functions."""
    lines = [line for some in functions for line in some]
    return "\n".join([INCLUDES, VECTORS, *writer.constants, *writer.helpers.values(), *lines]) + "\n"
