"""Functions that are called again: their nodes are made anew from what an earlier reading has made, without reading the text.

A call whose arguments have the shapes and dtypes of an earlier call's makes the same operations on other inputs. So from
the second such call on, a function is read once, for stand-ins of its arguments, and calls instantiate the nodes that
this made: a node for each, in the same order, at the same places. Part of the combination are, beside shapes and dtypes,
functions among the arguments, literals, which arguments are one node, and whether one may be NaN.

What an argument is made of can matter, too: for a size, which must be known, for the static index of a constant, for a
derivative that reaches through the argument. A reading that asks for it is given up, and a derivative is instantiated
only where no way leads through an argument; then the call is read like a first one. So is one that draws random numbers.
Without this module (``GRADCLI_WITHOUT=templates``) programs mean the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Attrs, Derivation, Node, by_serial, make, now
from gradcli.graph.operation import Operation
from gradcli.graph.ops.creation import loop, make_leaf
from gradcli.graph.types import Shape, is_float
from gradcli.language import syntax
from gradcli.language.values import Several, UserFunction, Value

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator

Place = tuple[int, int]
Key = tuple[Any, ...]
Read = Callable[["Elaborator", UserFunction, Sequence[Value], syntax.Syntax], None]

MANY = 4
"""Combinations that differ in numbers only after which the numbers become parameters, if that is possible."""

HOPELESS = 4
"""Readings of a function that have failed, after which it is not tried again."""

NEAR = 1000
"""Nodes below an argument among which a derivative's x is looked for."""


NOTHING = -1


class Made(NamedTuple):
    """A node of a template, whose inputs are numbers of others.

    One that stands in the text has a place. A derived one has the number of its origin, which may be NOTHING.
    """

    op: Operation
    inputs: tuple[int, ...]
    attrs: Attrs
    shape: Shape
    dtype: str
    risky: bool
    place: Place | None
    origin: int | None


class Template:
    """What the reading of a function has made.

    Its nodes are numbered: first the arguments at ``positions`` of a call, then ``outside``, the nodes that the function
    sees by name, then those ``made``. ``results`` are the numbers of its values (one, unless there is a ``noun`` for
    them); ``asked`` are those of the xs of derivatives, each with the nodes outside that its ys are computed from.
    """

    __slots__ = ("asked", "calls", "derived", "made", "noun", "outside", "positions", "results", "size")

    def __init__(
        self,
        positions: tuple[int, ...],
        outside: list[Node],
        made: list[Made],
        results: tuple[int, ...],
        noun: str | None,
        asked: list[tuple[tuple[int, ...], tuple[int, ...]]],
        calls: int,
    ) -> None:
        self.positions = positions
        self.outside = outside
        self.made = made
        self.results = results
        self.noun = noun
        self.asked = asked
        self.calls = calls
        self.size = sum([one.place is not None for one in made])
        self.derived = any([one.place is None or one.origin is not None for one in made])

    @property
    def looks_at_numbers(self) -> bool:
        """Whether the number that an argument is may matter: it does in derivatives, and in bodies of loops, which hold numbers."""
        return self.derived or any([one.op is loop for one in self.made])

    def instantiate(self, e: Elaborator, arguments: Sequence[Value], call: syntax.Syntax) -> Node | Several | None:
        """The value of a call with these arguments; None, with nothing done, where a derivative needs another reading."""
        nodes: list[Any] = [arguments[i] for i in self.positions]
        nodes += self.outside
        for xs, around in self.asked:
            if not _apart([nodes[i] for i in xs], [nodes[i] for i in around]):
                return None
            e.differentiates([nodes[i] for i in around], [nodes[i] for i in xs])
        e.check_room(self.calls, self.size, call)
        e.calls += self.calls
        places = e.program.places
        if self.derived:
            self._with_derived(e, nodes)
        else:
            for op, inputs, attrs, shape, dtype, risky, place, _ in self.made:
                node = Node(op, tuple([nodes[i] for i in inputs]), attrs, shape, dtype, risky)
                places[node] = place  # type: ignore[assignment]
                nodes.append(node)
        if self.noun is None:
            value: Node = nodes[self.results[0]]
            return value
        return Several(tuple([nodes[i] for i in self.results]), self.noun)

    def _with_derived(self, e: Elaborator, nodes: list[Node]) -> None:
        """The same where some nodes are derived, which the program shares."""
        places, derivation = e.program.places, e.program.derivation
        try:
            with derivation.active():
                for op, inputs, attrs, shape, dtype, risky, place, origin in self.made:
                    taken = tuple([nodes[i] for i in inputs])
                    if origin is not None:
                        derivation.current = None if origin == NOTHING else nodes[origin]
                        node = make(op, taken, attrs, shape, dtype)
                        node.risky |= risky
                    else:
                        node = Node(op, taken, attrs, shape, dtype, risky)
                    if place is not None:
                        places.setdefault(node, place)
                    nodes.append(node)
        finally:
            derivation.current = None


def _apart(xs: Sequence[Node], around: Sequence[Node]) -> bool:
    """Whether no x is one of the other nodes, and none of these is computed from one."""
    if len({*xs, *around}) < len(xs) + len(around):
        return False
    first = min([x.serial for x in xs])
    seen: set[Node] = set()
    todo = list(around)
    while todo:
        node = todo.pop()
        if node.serial < first or not node.inputs or node in seen:
            continue
        seen.add(node)
        if len(seen) > NEAR:
            return False
        for x in node.inputs:
            if x in xs:
                return False
            todo.append(x)
    return True


class Reading:
    """One reading of a function for stand-ins, which were made before: nodes from before it are outside.

    ``asked`` are the derivatives in it by nodes from outside: these xs, and the other nodes outside that the ys and stops are
    computed from. If one of those is computed from an x, there is a way that the stand-ins do not show.
    """

    def __init__(self) -> None:
        self.start = now()
        self.asked: list[tuple[list[Node], list[Node]]] = []

    def note(self, xs: Sequence[Node], ends: Sequence[Node]) -> None:
        """Remember a derivative by xs of what ends in some nodes: its ys, and where it stops."""
        outside = list(dict.fromkeys([x for x in xs if x.serial < self.start]))
        if outside:
            around = [x for x in self._outside(ends) if x not in outside]
            self.asked.append((outside, around))

    def _outside(self, ends: Sequence[Node]) -> list[Node]:
        """The nodes outside that some nodes are computed from."""
        found: list[Node] = []
        seen = set(ends)
        todo = list(seen)
        while todo:
            node = todo.pop()
            if node.serial < self.start:
                found.append(node)
                continue
            for x in node.inputs:
                if x not in seen:
                    seen.add(x)
                    todo.append(x)
        return found


def again(
    e: Elaborator, function: UserFunction, arguments: Sequence[Value], call: syntax.Syntax, read_body: Read
) -> Node | Several | None:
    """The value of a call from a template; None, with nothing done, where it is to be read, as ``read_body`` does it."""
    key = _key(e, function, arguments)
    if key is None:
        return None
    if key in function.templates:
        return _made(e, function, arguments, call, read_body, key)
    if any([isinstance(value, Node) and value.op.name == "literal" for value in arguments]):
        # Numbers are a part of the combination, until there are many of them and it turns out that they do not matter.
        general = _key(e, function, arguments, any_number=True)
        assert general is not None
        function.numbers[general] = function.numbers.get(general, 0) + 1
        if function.numbers[general] >= MANY and function.templates.get(general) is not False:
            return _made(e, function, arguments, call, read_body, general, any_number=True)
    function.templates[key] = None
    return None


def _made(
    e: Elaborator,
    function: UserFunction,
    arguments: Sequence[Value],
    call: syntax.Syntax,
    read_body: Read,
    key: Key,
    any_number: bool = False,
) -> Node | Several | None:
    templates = function.templates
    template = templates.get(key)
    if template is None and not e.readings and e.failed.get(id(function.definition), 0) < HOPELESS:
        template = templates[key] = _read(e, function, arguments, call, read_body, any_number) or False
        if any_number and template and template.looks_at_numbers:
            template = templates[key] = False
        if not template and not any_number:
            e.failed[id(function.definition)] = e.failed.get(id(function.definition), 0) + 1
    return template.instantiate(e, arguments, call) if template else None


def _key(e: Elaborator, function: UserFunction, arguments: Sequence[Value], any_number: bool = False) -> Key | None:
    """What a call of a function has in common with others that make the same nodes; None for one of a kind."""
    key: list[Any] = [e.float_dtype]
    numbers: dict[Node, int] = {}
    exact = id(function.definition) in e.failed
    for value in arguments:
        if isinstance(value, Node):
            if value.op.name == "literal":
                key.append((value.dtype, any_number or repr(value.attrs["value"]), value.risky))
            elif _is_itself(value, exact):
                key.append(("is", value.serial))
            else:
                key.append((value.dtype, value.shape, value.risky))
            if value in numbers:
                key.append(numbers[value])
            else:
                numbers[value] = len(numbers)
        elif isinstance(value, UserFunction):
            key.append(("function", value.serial))
        elif isinstance(value, Operation):
            key.append(value.name)
        else:
            return None
    return tuple(key)


def _is_itself(node: Node, exact: bool) -> bool:
    """Whether an argument is the same node in all calls of a combination, because of what it holds: indices, and constants."""
    op = node.op.name
    if op == "array":
        return not is_float(node.dtype) or 0 in node.shape
    if op == "literal" or not exact:
        return False
    return not is_float(node.dtype) or op == "leaf" and node.attrs["kind"] == "constant"


def _read(
    e: Elaborator,
    function: UserFunction,
    arguments: Sequence[Value],
    call: syntax.Syntax,
    read_body: Read,
    any_number: bool,
) -> Template | None:
    """The template of a function for a combination of arguments; None where each call needs a reading of its own."""
    exact = id(function.definition) in e.failed
    stand_ins: dict[Node, Node] = {}
    positions: list[int] = []
    values: list[Value] = []
    for position, value in enumerate(arguments):
        if not isinstance(value, Node) or _is_itself(value, exact):
            values.append(value)
            continue
        if value not in stand_ins:
            positions.append(position)
            if value.op.name == "literal" and not any_number:
                stand_ins[value] = value.with_inputs(())
            else:
                kind = "number" if value.op.name == "literal" else "argument"
                stand_ins[value] = make_leaf("", kind, value.shape, value.dtype, value.risky)
        values.append(stand_ins[value])
    program = e.program
    places, derivation, draws, calls = program.places, program.derivation, e.draws, e.calls
    bottom, back = len(e.work), e.saved()
    program.places, e.frames = {}, []
    program.derivation = Derivation(derivation.float_dtype)
    reading = Reading()
    e.readings.append(reading)
    try:
        read_body(e, function, values, call)
        e.run(bottom)
        value = e.values.pop()
        items = value.items if isinstance(value, Several) else (value,)
        if e.draws == draws and all([isinstance(item, Node) for item in items]):
            noun = value.noun if isinstance(value, Several) else None
            return _template(e, positions, stand_ins.values(), reading, items, noun, e.calls - calls)  # type: ignore[arg-type]
    except (GradcliError, RecursionError):
        pass  # the ordinary reading gives the error, if it is one
    finally:
        back()
        program.places, program.derivation = places, derivation
        e.readings.pop()
    return None


def _template(
    e: Elaborator,
    positions: list[int],
    stand_ins: Iterable[Node],
    reading: Reading,
    results: Sequence[Node],
    noun: str | None,
    calls: int,
) -> Template:
    places, origins = e.program.places, e.program.derivation.origin
    derived = set(e.program.derivation.nodes.values())
    made: list[Node] = []
    outside: list[Node] = []
    given = set(stand_ins)
    seen: set[Node] = set()
    todo = [*places, *results, *[x for xs, around in reading.asked for x in (*xs, *around)]]
    while todo:
        node = todo.pop()
        if node in seen or node in given:
            continue
        seen.add(node)
        if node.serial < reading.start:
            outside.append(node)
            continue
        made.append(node)
        todo += node.inputs
        if node in derived and node in origins:
            todo.append(origins[node])
    made.sort(key=by_serial)
    number = {node: i for i, node in enumerate([*stand_ins, *outside, *made])}

    def origin(node: Node) -> int | None:
        if node not in derived:
            return None
        return number[origins[node]] if node in origins else NOTHING

    return Template(
        tuple(positions),
        outside,
        [
            Made(
                node.op, tuple([number[x] for x in node.inputs]), node.attrs, node.shape, node.dtype, node.risky,
                places.get(node), origin(node),
            )
            for node in made
        ],
        tuple([number[x] for x in results]),
        noun,
        [(tuple([number[x] for x in xs]), tuple([number[x] for x in around])) for xs, around in reading.asked],
        calls,
    )  # fmt: skip
