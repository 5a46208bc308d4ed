"""What an expression can stand for while a program is elaborated, besides a node of the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gradcli.diagnostics import Source, Span
from gradcli.graph.node import Derivation, Node
from gradcli.graph.operation import Operation
from gradcli.language import syntax
from gradcli.results import Reason


@dataclass(frozen=True, slots=True)
class Weak:
    """A literal scalar, or arithmetic on literal scalars: it takes the dtype of what it meets."""

    value: int | float


@dataclass(frozen=True, slots=True)
class Missing:
    """A gradient that is None; ``reason`` says why, when asked."""

    reason: Callable[[], Reason]


@dataclass(frozen=True, slots=True)
class Several:
    """The gradients for a list of xs, to be unpacked into as many names."""

    items: tuple[Node | Missing, ...]


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A ``def``; it sees the ``visible`` first names of the program."""

    definition: syntax.Function
    visible: int


Value = Node | Weak | Missing | Several | UserFunction | Operation


@dataclass(slots=True)
class Binding:
    """A name, what it stands for, and where it was bound."""

    value: Value
    place: syntax.Name
    order: int


@dataclass(slots=True)
class Scope:
    """The names of one call: parameters and block locals. The program's own names are the scope around all."""

    function: syntax.Function | None
    visible: int
    names: dict[str, Binding] = field(default_factory=dict)


@dataclass(slots=True)
class Elaborated:
    """A program as a graph.

    ``leaves`` are its variables and constants in order of declaration, ``initial`` the value of each as a constant
    graph, an array, or None; ``names`` every top-level name but functions; ``definitions`` those that are no
    declarations, in order; ``places`` the span of source text that made a node.
    """

    source: Source
    float_dtype: str
    leaves: dict[str, Node] = field(default_factory=dict)
    initial: dict[Node, Any] = field(default_factory=dict)
    names: dict[str, Node | Missing] = field(default_factory=dict)
    definitions: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    seeds: dict[str, Node] = field(default_factory=dict)
    places: dict[Node, tuple[int, int]] = field(default_factory=dict)
    derivation: Derivation = field(default_factory=Derivation)

    def span(self, node: Node) -> Span | None:
        """The source text of a node, or of the node whose derivative it belongs to."""
        place = self.places.get(node)
        if place is None:
            origin = self.derivation.origin.get(node)
            place = self.places.get(origin) if origin is not None else None
        return Span(self.source, *place) if place else None

    @property
    def variables(self) -> list[str]:
        return [name for name, leaf in self.leaves.items() if leaf.attrs["kind"] == "variable"]
