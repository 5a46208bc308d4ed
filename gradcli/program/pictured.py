"""What a drawing of a program shows: boxes, arrows between them, the clusters that hold them, and nothing of how it looks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from gradcli.autodiff import reverse
from gradcli.diagnostics import GradcliError, counted
from gradcli.graph.node import Node, by_serial, cone
from gradcli.graph.printing import Text, apply, number
from gradcli.graph.types import Shape
from gradcli.language import syntax
from gradcli.language.frames import Frame
from gradcli.language.reasons import explain
from gradcli.language.values import Elaborated, Missing
from gradcli.program.folding import Group, by_calls, by_origins, by_statements, by_stretches
from gradcli.program.program import Program

Kind = Literal["variable", "constant", "operation", "call", "summary", "none"]
Part = Literal["forward", "backward"]

LONGEST = 48
"""Characters of a text in a box."""


@dataclass(slots=True)
class Box:
    """One box: a node, or several as a call or a summary, of which ``operations`` says how many.

    ``names`` are those of the program, and ``dy/dx`` for a gradient. ``shape`` and ``dtype`` are those of its value,
    None where it has several or none. ``result`` marks what was asked for, ``cluster`` is a position in the picture's
    list. ``line`` is the line of the program.
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


def picture(
    program: Program,
    of: Sequence[str] | None = None,
    gradient: Sequence[str] | None = None,
    stop: Sequence[str] = (),
    depth: int = 0,
    most: int = 200,
) -> Picture:
    """The graph of a program and, with ``gradient``, that of the gradients of ``of`` with respect to these names.

    Calls of functions and of derivatives are one box each, from ``depth`` calls on; more than ``most`` boxes are
    summarised. Raises GradcliError for unknown names.
    """
    frames = program.framed()
    return _Drawing(program, frames.all, of, gradient, stop).drawn(depth, most)


class _Drawing:
    def __init__(
        self,
        program: Program,
        frames: list[Frame],
        of: Sequence[str] | None,
        gradient: Sequence[str] | None,
        stop: Sequence[str],
    ) -> None:
        self.graph: Elaborated = program._graph
        self.frames = frames
        self.written = {
            target.id: (statement.value.start, statement.value.end)
            for statement in program._syntax.statements
            if isinstance(statement, syntax.Assignment)
            for target in statement.targets
        }
        self.stops = {program._target(name) for name in stop}
        self.names: dict[Node, list[str]] = {}
        self.nones: dict[str, tuple[str, int | None]] = {}
        self.gradients: list[Node] = []
        self.beside = gradient is not None
        if gradient is None:
            shown = list(dict.fromkeys(of)) if of is not None else program.names
            values = [self.graph.names[program._known(name)] for name in shown]
            for name, value in zip(shown, values, strict=True):
                if isinstance(value, Missing):
                    reason = value.reason()
                    self.nones[name] = reason.with_line(), reason.span.line if reason.span else None
            roots = [value for value in values if isinstance(value, Node)]
            if not values:
                raise GradcliError("ValueError", "there is nothing to draw: the program names no value")
            wanted = list(of) if of is not None else self.graph.outputs
        else:
            wanted = list(dict.fromkeys(of)) if of is not None else program._differentiated()
            roots = [program._target(name) for name in wanted]
        self.results = {self.graph.names[name] for name in wanted}
        for name, value in self.graph.names.items():
            if isinstance(value, Node):
                self.names.setdefault(value, []).append(name)
        if gradient is not None:
            roots += self._differentiate(program, wanted, roots, gradient)
        self.forward = cone(roots)
        known = set(self.forward)
        self.backward = [node for node in cone(self.gradients, known) if node not in known]

    def _differentiate(self, program: Program, of: list[str], ys: list[Node], gradient: Sequence[str]) -> list[Node]:
        """The gradients, under names of their own; returns the xs."""
        wrt = program._wanted(gradient)
        xs = [program._target(name) for name in wrt]
        heads = program._heads(of, ys, {})
        with self.graph.derivation.active():
            found = reverse.gradients(ys, xs, heads, self.stops)
        y = of[0] if len(of) == 1 else f"({' + '.join(of)})"
        for name, x, g in zip(wrt, xs, found, strict=True):
            if g is None:
                reason = explain(self.graph, of, ys, name, x, list(self.stops))
                self.nones[f"d{y}/d{name}"] = reason.with_line(), reason.span.line if reason.span else None
            else:
                self.gradients.append(g)
                self.names.setdefault(g, []).append(f"d{y}/d{name}")
                self.results.add(g)
        return xs

    # boxes

    def drawn(self, depth: int, most: int) -> Picture:
        shown = [node for node in self.forward if not self._is_inlined(node)]
        derived = [node for node in self.backward if not self._is_inlined(node)]
        forward = by_calls(shown, self.frames, depth)
        backward = by_calls(derived, [], 0)
        note = ""
        if len(forward) + len(backward) > most:
            by_name = by_statements(shown, self.names)
            members = {node: group for group in by_name for node in group.members}
            by_origin = by_origins(derived, self.graph.derivation.origin, members)
            how = "by statement"
            if len(by_name) + len(by_origin) > most:
                room = max(1, most * len(by_name) // (len(by_name) + len(by_origin)))
                by_name, by_origin = by_stretches(by_name, room), by_stretches(by_origin, max(1, most - room))
                how = "by stretches of the program"
            boxes = len(forward) + len(backward)
            forward, backward = by_name, by_origin
            note = f"{boxes} boxes, summarised {how}: --most {boxes} shows them"
        picture = Picture(note=note)
        if self.beside:
            picture.clusters += [Cluster("forward", None), Cluster("backward", None)]
        inside: dict[Node, int] = {}
        clusters: dict[Frame, int] = {}
        for part, groups in (("forward", forward), ("backward", backward)):
            if part == "backward" and self.beside:
                picture.backward = len(picture.boxes)
            outer = (0 if part == "forward" else 1) if self.beside else None
            for group in sorted(groups, key=lambda group: group.members[-1].serial):
                inside.update(dict.fromkeys(group.members, len(picture.boxes)))
                box = self._box(group)
                box.cluster = self._cluster(group.path, clusters, picture.clusters, outer)
                picture.boxes.append(box)
        outer = 1 if self.beside else None
        for name, (reason, line) in self.nones.items():
            picture.boxes.append(Box("none", [name], f"None: {reason}", line=line, operations=0, cluster=outer))
        self._connect(picture, inside)
        return picture

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

    def _box(self, group: Group) -> Box:
        members = group.members
        named = [node for node in members if node in self.names]
        names = [name for node in named for name in self.names[node]]
        result = any([node in self.results for node in members])
        if group.stretch or len(members) > 1 and group.frame is None and group.origin is None and len(named) != 1:
            kind: Kind = members[0].attrs["kind"] if group.is_leaf else "summary"
            names = names if len(names) <= 3 else [names[0], "…", names[-1]]
            what = f"{len(members)} {kind}s" if group.is_leaf else _census(members)
            return Box(kind, names, what, operations=len(members), result=result)
        last = members[-1]
        if group.frame is not None:
            value = group.frame.result if group.frame.result in members else (named[0] if len(named) == 1 else None)
            kind, text = "call", self._call(group.frame)
        elif len(members) > 1:
            value = named[-1] if len(named) == 1 else None
            kind, text = "summary", self._summary(group, value)
        elif last.op.name == "leaf":
            value, kind, text = last, last.attrs["kind"], last.attrs["kind"]
        else:
            value, kind, text = last, "operation", self._operation(last)
        span = self.graph.span(value or last)
        return Box(
            kind,
            names,
            text,
            value.shape if value is not None else None,
            value.dtype if value is not None else None,
            span.line if span is not None else None,
            len(members),
            result,
        )

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
        place = (
            next((self.written[name] for name in self.names.get(value, ()) if name in self.written), None)
            if value
            else None
        )
        return _short(self.graph.source.text[slice(*place)]) if place else _census(group.members)

    def _cluster(
        self, path: Iterable[Frame], known: dict[Frame, int], clusters: list[Cluster], outer: int | None
    ) -> int | None:
        for frame in path:
            if frame not in known:
                known[frame] = len(clusters)
                clusters.append(Cluster(self._call(frame), outer))
            outer = known[frame]
        return outer

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
    """``12 operations: 5 multiply, 4 add, …``."""
    counts = Counter(node.op.name for node in nodes).most_common()
    shown = ", ".join(f"{count} {name}" for name, count in counts[:3])
    return f"{counted(len(nodes), 'operation')}: {shown}" + (", …" if len(counts) > 3 else "")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
