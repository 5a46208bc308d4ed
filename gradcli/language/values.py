"""What an expression can stand for while a program is elaborated, besides a node of the graph."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

from gradcli.diagnostics import GradcliError, Label, Source, Span, listed
from gradcli.graph.node import Derivation, Node, cone, now
from gradcli.graph.operation import Operation
from gradcli.language import syntax
from gradcli.results import Reason

if TYPE_CHECKING:
    from gradcli.language.least import Least
    from gradcli.language.repeated import Repeated
    from gradcli.language.templates import Key, Template


class Weak:
    """A literal scalar, or arithmetic on literal scalars: it takes the dtype of what it meets."""

    __slots__ = ("value",)

    def __init__(self, value: int | float) -> None:
        self.value = value


class Missing:
    """A gradient that is None; ``reason`` says why, when asked."""

    __slots__ = ("reason",)

    def __init__(self, reason: Callable[[], Reason]) -> None:
        self.reason = reason


class Several:
    """The values of one call, to be unpacked into as many names or used as a list; each is a ``noun``."""

    __slots__ = ("items", "noun")

    def __init__(self, items: tuple[Node | Missing, ...], noun: str = "value") -> None:
        self.items = items
        self.noun = noun


class UserFunction:
    """A ``def``; it sees the ``visible`` first names of the scope it stands in, and a call of it makes no less than ``least``.

    ``rule`` is its ``tangent``, where the program gives one.
    """

    __slots__ = ("calls", "definition", "least", "numbers", "rule", "scope", "serial", "templates", "visible")

    def __init__(self, definition: syntax.Function, scope: Scope, least: Least) -> None:
        self.definition = definition
        self.scope = scope
        self.visible = len(scope.names)
        self.least = least
        self.rule: UserFunction | None = None
        self.calls = 0
        self.serial = now()  # its identity may be that of another one once it is gone
        self.templates: dict[Key, Template | Literal[False] | None] = {}
        self.numbers: dict[Key, int] = {}

    @property
    def name(self) -> str:
        return self.definition.name.id

    def inside(self) -> Scope:
        """A scope for a call of it."""
        return Scope(self.definition, self.scope, self.visible)


IN_CALL = "in this call"
"""The label of a call beside a place in the function."""

Asked = tuple[Collection[str] | None, Collection[str]]
"""The names that a question is about: its ys, by default (None) the outputs of the program, and others."""

Value = Node | Weak | Missing | Several | UserFunction | Operation


class Binding:
    """A name, what it stands for, where it was bound, and as the how manieth of its scope."""

    __slots__ = ("value", "place", "order")

    def __init__(self, value: Value, place: syntax.Name, order: int) -> None:
        self.value = value
        self.place = place
        self.order = order


class UnknownError(GradcliError):
    """Raised where a name is used whose own statement is wrong, which is told there; nobody sees it."""


class Unknown(Binding):
    """A name that a wrong statement binds."""

    __slots__ = ()

    def __init__(self, place: syntax.Name, order: int) -> None:
        self.place = place
        self.order = order

    @property
    def value(self) -> Value:  # type: ignore[override]
        raise UnknownError("NameError", f"`{self.place.id}` is not known")


class Scope:
    """The names of one call of a ``function``: parameters and block locals; or, without a function, of the program.

    Of the scope ``parent`` in which the function is defined, it sees the ``visible`` first names.
    """

    __slots__ = ("function", "names", "parent", "visible")

    def __init__(self, function: syntax.Function | None = None, parent: Scope | None = None, visible: int = 0) -> None:
        self.function = function
        self.parent = parent
        self.visible = visible
        self.names: dict[str, Binding] = {}

    def find(self, name: str) -> Binding | None:
        """What a name is bound to here."""
        binding = self.names.get(name)
        scope = self
        while binding is None and scope.parent is not None:
            visible, scope = scope.visible, scope.parent
            binding = scope.names.get(name)
            if binding is not None and binding.order >= visible:
                binding = None
        return binding

    def around(self) -> Iterator[Scope]:
        """The scope itself and those that it stands in, the program's last."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


class Frame:
    """One call: the nodes with serial numbers from ``start`` to ``end``; ``result`` is its value, where that is a node.

    ``name`` is what was called, ``place`` the text of the call, ``depth`` the number of calls around it. Nodes are numbered
    as they are made, so that calls are intervals of numbers that are nested or apart.
    """

    __slots__ = ("depth", "end", "name", "place", "result", "start")

    def __init__(self, name: str, place: tuple[int, int], depth: int) -> None:
        self.name = name
        self.place = place
        self.depth = depth
        self.start = now()
        self.end = self.start
        self.result: Node | None = None


_end = attrgetter("end")


class Elaborated:
    """A program as a graph.

    ``leaves`` are its variables and constants in order of declaration, ``initial`` the value of each as a constant
    graph, an array, or None; ``names`` every top-level name but functions; ``definitions`` those that are not
    declared but computed, in order; ``places`` the span of source text that made a node; ``calls`` the calls of functions in the
    order in which they ended, without those inside one that was instantiated.
    """

    def __init__(self, source: Source, float_dtype: str) -> None:
        self.source = source
        self.float_dtype = float_dtype
        self.leaves: dict[str, Node] = {}
        self.initial: dict[Node, Any] = {}
        self.names: dict[str, Node | Missing] = {}
        self.definitions: list[str] = []
        self.outputs: list[str] = []
        self.seeds: dict[str, Node] = {}
        self.places: dict[Node, tuple[int, int]] = {}
        self.calls: list[Frame] = []
        self.derivation = Derivation()
        self.has_loops = False
        # Lines that need no tree make nodes whose places are found when somebody asks.
        self.lines: list[Repeated] = []
        self.line_nodes = 0
        self.last_of_lines = -1
        self._places_in_lines: dict[Node, tuple[int, int]] = {}

    def span(self, node: Node) -> Span | None:
        """The source text of a node, or of the node whose derivative it belongs to."""
        place = self._place(node)
        while place is None and node in self.derivation.origin:
            node = self.derivation.origin[node]
            place = self._place(node)
        return Span(self.source, *place) if place else None

    def labels(self, node: Node) -> list[Label]:
        """Where a node stands, and, if that is in a function, its call and the call at the top level."""
        while self._place(node) is None and node in self.derivation.origin:
            node = self.derivation.origin[node]
        place = self._place(node)
        if place is None:
            return []
        around = [frame.place for frame in self.calls_around(node)]
        others = [place for place in dict.fromkeys([*around[:1], *around[-1:]]) if place != self._place(node)]
        return [Label(Span(self.source, *place)), *[Label(Span(self.source, *p), IN_CALL) for p in others]]

    def calls_around(self, node: Node) -> list[Frame]:
        """The calls in which a node of the text was made, the innermost first."""
        found: list[Frame] = []
        for i in range(bisect_left(self.calls, node.serial, key=_end), len(self.calls)):
            frame = self.calls[i]
            if frame.start < node.serial:
                found.append(frame)
            if not frame.depth:
                break
        return found

    def written(self, node: Node) -> Node:
        """The operation of the program that a node was made for: the node itself, or the one whose derivative it serves."""
        while node in self.derivation.origin:
            node = self.derivation.origin[node]
        return node

    def _place(self, node: Node) -> tuple[int, int] | None:
        if node in self.places or node.serial > self.last_of_lines:
            return self.places.get(node)
        found = self._places_in_lines
        if node not in found:
            # The nodes of a line are numbered on from those of the line before.
            i = bisect_left(self.lines, node.serial, key=lambda line: self._value(line).serial)
            before = self._value(self.lines[i - 1]).serial if i else -1
            for made, place in self.lines[i].places(self._value(self.lines[i])):
                if made.serial > before:
                    found.setdefault(made, place)
        return found.get(node)

    def _value(self, line: Repeated) -> Node:
        value = self.names[line.words[0]]
        assert isinstance(value, Node)
        return value

    def computed(self, name: str) -> GradcliError:
        """The error for a name that is computed where a variable or constant is needed: what to use in its place."""
        value = self.names[name]
        help = f"declare it in place of its definition: `variable {name} = …`"
        label: list[Label] = []
        if isinstance(value, Node):
            leaves = [str(x.attrs["name"]) for x in cone([value]) if x in self.initial]
            if leaves:
                shown = [f"`{leaf}`" for leaf in leaves[:3]]
                help = f"use what it is computed from, {listed(shown, 'or')}; or {help}"
            span = self.span(value)
            label = [Label(span)] if span is not None else []
        return GradcliError(
            "NameError", f"`{name}` is computed, and only variables and constants can be set", label, help
        )

    @property
    def size(self) -> int:
        """How many nodes the program's text made."""
        return len(self.places) + self.line_nodes

    @property
    def variables(self) -> list[str]:
        return [name for name, leaf in self.leaves.items() if leaf.attrs["kind"] == "variable"]
