"""What a drawing of a program shows: boxes, arrows between them, the clusters that hold them, and nothing of how it looks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gradcli.autodiff import reverse
from gradcli.diagnostics import GradcliError, counted, on_one_line
from gradcli.features.graph.folding import Group, by_calls, by_origins, by_statements, by_stretches
from gradcli.graph.node import Node, by_serial, cone
from gradcli.graph.ops.words.language import apply
from gradcli.graph.printing import Text, number
from gradcli.graph.types import Shape
from gradcli.language import syntax
from gradcli.language.values import Elaborated, Frame, Missing
from gradcli.program import query
from gradcli.program.loaded import Loaded
from gradcli.program.query import Question
from gradcli.report.numbers import rounded
from gradcli.results import Reason
from gradcli.tuples import NamedTuple

Kind = Literal["variable", "constant", "operation", "call", "summary", "none"]

LONGEST = 48
"""Characters of a text in a box."""


@dataclass(slots=True)
class Box:
    """One box: a node, or several (``operations`` of them) as a call or a summary.

    ``names`` are those of the program, and ``dy/dx`` for a gradient. ``shape`` and ``dtype`` are those of its value,
    None where it has several or none. ``result`` marks what was asked for, ``cluster`` is a position in the picture's
    list. ``line`` is the line of the program. ``value`` is that of the node, and ``gradient`` that of the ys by it, as
    arrays, where they are asked for; ``reached`` says whether there is one. ``digits`` is how many are shown of them,
    None for a few.
    """

    kind: Kind
    names: list[str]
    text: str
    shape: Shape | None = None
    dtype: str | None = None
    line: int | None = None
    operations: int = 1
    result: bool = False
    cluster: int | None = None
    value: Any = None
    gradient: Any = None
    reached: bool | None = None
    digits: int | None = None


class Arrow(NamedTuple):
    """A value's way from one box into another; ``cut`` names what lets no gradient pass, and is empty elsewhere."""

    source: int
    target: int
    cut: str


class Cluster(NamedTuple):
    """A frame around boxes: a part of the picture, or a call that is drawn open."""

    title: str
    parent: int | None


@dataclass(slots=True)
class Picture:
    """All that is drawn. Boxes stand behind those that they depend on; ``backward`` is the first of the gradient's."""

    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    clusters: list[Cluster] = field(default_factory=list)
    backward: int | None = None
    note: str = ""
    ys: Sequence[str] = ()
    """What the gradients in the boxes are those of."""


def picture(
    program: Loaded,
    of: Sequence[str] | None = None,
    gradient: Sequence[str] | None = None,
    stop: Sequence[str] = (),
    depth: int = 0,
    most: int = 200,
    values: bool = False,
    digits: int | None = None,
) -> Picture:
    """The graph of a program and, with ``gradient``, that of the gradients of ``of`` with respect to these names.

    Calls of functions and of derivatives are one box each, from ``depth`` calls on; more than ``most`` boxes are
    summarised. With ``values`` each box has its value and the gradient of the ys by it, rounded to ``digits`` significant digits if given. Raises GradcliError for unknown
    names, and for a variable without a value.
    """
    drawing = _Drawing(program.with_every_call(), of, gradient, stop)
    drawn = drawing.drawn(depth, most)
    if values:
        drawing.fill(drawn, of, digits)
    return drawn


class _Drawing:
    def __init__(
        self,
        program: Loaded,
        of: Sequence[str] | None,
        gradient: Sequence[str] | None,
        stop: Sequence[str],
    ) -> None:
        self.program = program
        self.graph: Elaborated = program.graph
        self.frames = sorted(self.graph.calls, key=lambda frame: frame.start)
        self.written = {
            target.id: (statement.value.start, statement.value.end)
            for statement in program.syntax.statements
            if isinstance(statement, syntax.Assignment)
            for target in statement.targets
        }
        asked = query.question(program, of, gradient, {}, stop) if gradient is not None else None
        self.stops = set(asked.stops) if asked is not None else {query.target(program, name) for name in stop}
        self.nones: dict[str, Reason] = {}
        self.gradients: list[Node] = []
        self.results: set[Node | Missing] = set()
        self.names: dict[Node, list[str]] = {}
        self.shown: dict[int, Node] = {}
        for name, value in self.graph.names.items():
            if isinstance(value, Node):
                self.names.setdefault(value, []).append(name)
        self.beside = asked is not None
        self.forward = cone(self._named(of) if asked is None else self._differentiated(asked))
        known = set(self.forward)
        self.backward = [node for node in cone(self.gradients, known) if node not in known]

    def _named(self, of: Sequence[str] | None) -> list[Node]:
        """The values asked for, or all; the outputs are results."""
        shown = list(of) if of is not None else self.program.names
        if not shown:
            raise GradcliError("ValueError", "there is nothing to draw: the program names no value")
        values = {name: query.value(self.program, name) for name in shown}
        self.nones = {name: value.reason() for name, value in values.items() if isinstance(value, Missing)}
        self.results = {self.graph.names[name] for name in (of if of is not None else self.graph.outputs)}
        return [value for value in values.values() if isinstance(value, Node)]

    def _differentiated(self, asked: Question) -> list[Node]:
        """The ys and xs; the gradients get names of their own, and are results as the ys are."""
        of = asked.of
        y = of[0] if len(of) == 1 else f"({' + '.join(of)})"
        for name, g in zip(asked.wrt, query.gradient_nodes(self.program, asked, 1), strict=True):
            if isinstance(g, Reason):
                self.nones[f"d{y}/d{name}"] = g
            else:
                self.gradients.append(g)
                self.names.setdefault(g, []).append(f"d{y}/d{name}")
        self.results = {*asked.ys, *self.gradients}
        return [*asked.ys, *asked.xs]

    # boxes

    def drawn(self, depth: int, most: int) -> Picture:
        shown = [node for node in self.forward if not self._is_inlined(node)]
        derived = [node for node in self.backward if not self._is_inlined(node)]
        forward = by_calls(shown, self.frames, depth)
        backward = by_calls(derived, [], 0)
        picture = Picture()
        boxes = len(forward) + len(backward)
        if boxes > most:
            forward, backward, how = self._summarised(shown, derived, most)
            picture.note = f"{boxes} boxes, summarised {how}: --most {boxes} shows them"
        if self.beside:
            picture.clusters += [Cluster("forward", None), Cluster("backward", None)]
        inside: dict[Node, int] = {}
        self._place(picture, forward, inside, 0)
        if self.beside:
            picture.backward = len(picture.boxes)
        self._place(picture, backward, inside, 1)
        for name, reason in self.nones.items():
            line = reason.span.line if reason.span is not None else None
            cluster = 1 if self.beside else None
            picture.boxes.append(
                Box("none", [name], f"None: {reason.with_line()}", None, None, line, 0, False, cluster)
            )
        self._connect(picture, inside)
        return picture

    def fill(self, picture: Picture, of: Sequence[str] | None, digits: int | None) -> None:
        """Put values and gradients into the boxes of single nodes."""
        nodes = self.shown
        known = set(self.forward)
        picture.ys = list(of) if of is not None else query.differentiated(self.program)
        ys = [query.target(self.program, name) for name in picture.ys]
        before = [i for i, node in nodes.items() if node in known]
        with self.graph.derivation.active():
            gradients = reverse.gradients(ys, [nodes[i] for i in before], stops=self.stops)
        wanted = [*nodes.values(), *[g for g in gradients if g is not None]]
        exact = self.program.evaluate(wanted)
        found = iter(exact if digits is None else [rounded(value, digits) for value in exact])
        for i in nodes:
            picture.boxes[i].value = next(found)
            picture.boxes[i].digits = digits
        for i, g in zip(before, gradients, strict=True):
            picture.boxes[i].reached = g is not None
            if g is not None:
                picture.boxes[i].gradient = next(found)

    def _summarised(
        self, shown: Sequence[Node], derived: Sequence[Node], most: int
    ) -> tuple[list[Group], list[Group], str]:
        """A box for each statement, and for its derivatives; if these are too many, for stretches of the program."""
        forward = by_statements(shown, self.names)
        statements = {node: group for group in forward for node in group.members}
        backward = by_origins(derived, self.graph.derivation.origin, statements)
        boxes = len(forward) + len(backward)
        if boxes <= most:
            return forward, backward, "by statement"
        room = max(1, most * len(forward) // boxes)
        return (
            by_stretches(forward, room),
            by_stretches(backward, max(1, most - room)),
            "by stretches of the program",
        )

    def _place(self, picture: Picture, groups: Iterable[Group], inside: dict[Node, int], part: int) -> None:
        """Add the boxes of a part, and the clusters of the calls that are open."""
        clusters: dict[Frame, int] = {}
        for group in sorted(groups, key=lambda group: group.members[-1].serial):
            inside.update(dict.fromkeys(group.members, len(picture.boxes)))
            cluster = part if self.beside else None
            for frame in group.path:
                if frame not in clusters:
                    clusters[frame] = len(picture.clusters)
                    picture.clusters.append(Cluster(self._call(frame), cluster))
                cluster = clusters[frame]
            box, value = self._box(group)
            box.cluster = cluster
            if value is not None:
                self.shown[len(picture.boxes)] = value
            picture.boxes.append(box)

    def _is_inlined(self, node: Node) -> bool:
        """Numbers and short arrays are written where they are used."""
        if node in self.names or node in self.results:
            return False
        return node.op.name == "literal" or node.op.name == "array" and len(self._constant(node)) <= LONGEST // 2

    def _constant(self, node: Node) -> str:
        if node.op.name == "literal":
            value = node.attrs["value"]
            whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e6
            return str(int(value)) if whole else number(value, node.dtype).text
        import numpy as np

        values = np.asarray(node.attrs["values"])
        return str(np.reshape(values, node.shape).tolist()) if values.size <= LONGEST else "[…]"

    def _box(self, group: Group) -> tuple[Box, Node | None]:
        """The box of a group, and the node whose value it shows."""
        members = group.members
        named = [node for node in members if node in self.names]
        value: Node | None = named[0] if len(named) == 1 else None
        kind: Kind
        if group.frame is not None:
            value = group.frame.result if group.frame.result in members else value
            kind, text = "call", self._call(group.frame)
        elif group.stretch:
            kind, text = members[0].attrs["kind"] if group.is_leaf else "summary", _census(members)
        elif len(members) > 1:
            kind, text = "summary", self._summary(group, value)
        else:
            value = members[0]
            kind = value.attrs["kind"] if group.is_leaf else "operation"
            text = kind if group.is_leaf else self._operation(value)
        names = [name for node in named for name in self.names[node]]
        if len(names) > 3 and value is None:
            names = [names[0], "…", names[-1]]
        span = self.graph.span(value or members[-1]) if not group.stretch else None
        result = any([node in self.results for node in members])
        shape, dtype = (value.shape, value.dtype) if value is not None else (None, None)
        line = span.line if span is not None else None
        return Box(kind, names, text, shape, dtype, line, len(members), result), value

    def _operation(self, node: Node) -> str:
        """The operation with its operands by name, or a dot that the arrows explain: ``tanh(·)``, ``2 * W``."""
        if node.op.name in ("literal", "array"):
            return _short(self._constant(node))
        texts = [
            Text(self._constant(x))
            if self._is_inlined(x)
            else Text(self.names[x][0])
            if x in self.names and x.op.name != "literal"
            else Text("(·)" if node.op.name == "neg" else "·")
            for x in node.inputs
        ]
        # The dtype of a creation function stands in the box's second line.
        return _short(re.sub(r", dtype=\w+\)$", ")", apply(node, texts).text))

    def _call(self, frame: Frame) -> str:
        text = self.graph.source.text[slice(*frame.place)]
        return _short(text if text.startswith(frame.name) else f"{frame.name}(…)")

    def _summary(self, group: Group, value: Node | None) -> str:
        if group.origin is not None:
            names = [name for node in group.origin.members for name in self.names.get(node, ())]
            return _short(f"derivatives of {', '.join(names)}") if names else _census(group.members)
        names = self.names[value] if value is not None else []
        place = next((self.written[name] for name in names if name in self.written), None)
        return _short(self.graph.source.text[slice(*place)]) if place else _census(group.members)

    # arrows

    def _connect(self, picture: Picture, inside: Mapping[Node, int]) -> None:
        cuts: dict[tuple[int, int], str] = {}
        for node in sorted(inside, key=by_serial):
            open_inputs = () if node in self.stops else node.op.differentiable_inputs(node)
            for i, x in enumerate(node.inputs):
                source, target = inside.get(x), inside[node]
                if source is None or source == target:
                    continue
                cut = "" if i in open_inputs else "the stop" if node in self.stops else node.op.name
                cuts[source, target] = cut and cuts.get((source, target), cut)
        picture.arrows = [Arrow(source, target, cut) for (source, target), cut in cuts.items()]


def _census(nodes: Sequence[Node]) -> str:
    """``12 operations: 5 multiply, 4 add, …``, or ``3 variables, 1 constant``."""
    leaves = Counter(str(node.attrs["kind"]) for node in nodes if node.op.name == "leaf")
    if leaves:
        return ", ".join(counted(count, kind) for kind, count in leaves.most_common())
    counts = Counter(node.op.name for node in nodes).most_common()
    shown = ", ".join(f"{count} {name}" for name, count in counts[:3])
    return f"{counted(len(nodes), 'operation')}: {shown}" + (", …" if len(counts) > 3 else "")


def _short(text: str) -> str:
    text = on_one_line(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
