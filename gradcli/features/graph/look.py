"""A picture of a program as text that other programs read: DOT, Mermaid, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from gradcli.diagnostics import counted
from gradcli.features.graph.answer import Box, Picture
from gradcli.report.json_parts import json_text
from gradcli.report.numbers import json_value, literal, rounded, tokens
from gradcli.report.quoting import dot_string, mermaid_string, mermaid_text, visible

DIGITS = 4
"""Significant digits in a box."""

FEW = 6
"""Entries of an array that are written into a box."""

MOST_ENTRIES = 10_000
"""Entries of an array in JSON."""


def heading(box: Box) -> str:
    """The first line of a box: ``variable W``, ``h = tanh(·)``."""
    names = ", ".join(box.names)
    if box.kind in ("variable", "constant"):
        return f"{box.text}: {names}" if box.operations > 1 else f"{box.kind} {names}"
    return f"{names} = {box.text}" if names else box.text


def details(box: Box) -> str:
    """The second line of a box: ``[2, 3] float64, 12 operations``."""
    parts = [f"{list(box.shape)} {box.dtype}"] if box.shape is not None else []
    is_leaf = box.kind in ("variable", "constant")
    if box.operations > 1 and not is_leaf and f"{box.operations} " not in box.text:
        parts.append(counted(box.operations, "operation"))
    if box.value is not None:
        parts.append(f"value {brief(box.value, box.digits)}")
    if box.reached is not None:
        parts.append(f"gradient {brief(box.gradient, box.digits) if box.reached else 'None'}")
    return ", ".join(parts)


def brief(array: Any, digits: int | None = None) -> str:
    """Some numbers in ``digits``, by default a few: all of a small array, else the first ones."""
    entries = rounded(array, digits or DIGITS)
    if array.size <= FEW:
        return literal(entries)
    first = ", ".join(tokens(entries.reshape(-1)[:FEW]))
    return f"{first}, … ({array.size} entries)"


# ---- DOT


SHAPES = {
    "variable": 'shape=ellipse, fillcolor="#d6e8fa"',
    "constant": 'shape=ellipse, fillcolor="#eeeeee"',
    "operation": 'shape=box, fillcolor="white"',
    "call": 'shape=box, style="filled,bold", fillcolor="#fff3d1"',
    "summary": 'shape=box3d, fillcolor="#f3ecfa"',
    "none": 'shape=box, style="filled,dashed", fillcolor="white", fontcolor="#777777"',
}


def render_dot(picture: Picture, title: str) -> str:
    """The picture in the language of Graphviz."""
    lines = [f"digraph {dot_string(title)} {{"]
    if picture.note:
        lines.append(f"  // {visible(picture.note)}")
    lines += [
        "  rankdir=TB",
        '  node [fontname="Helvetica", fontsize=11, style=filled, height=0.3, margin="0.12,0.06"]',
        '  edge [arrowsize=0.7, color="#555555"]',
        '  graph [fontname="Helvetica", fontsize=11, color="#aaaaaa", labeljust=l, nodesep=0.25, ranksep=0.35]',
    ]

    def opened(cluster: int) -> list[str]:
        return [f"subgraph cluster_{cluster} {{", f"  label={dot_string(picture.clusters[cluster].title)}"]

    def shown(number: int, box: Box) -> str:
        label = "\n".join(filter(None, [heading(box), details(box)]))
        more = ", peripheries=2" if box.result else ""
        return f"n{number} [label={dot_string(label)}, {SHAPES[box.kind]}{more}]"

    lines += _nested(picture, opened, "}", shown)
    for arrow in picture.arrows:
        style = ["style=dashed", f"tooltip={dot_string(f'no gradient passes {arrow.cut}')}"] if arrow.cut else []
        if picture.backward is not None and arrow.source < picture.backward <= arrow.target:
            # A value of the forward part that the gradient uses: beside each other, not below.
            style += ["constraint=false", 'color="#c0764a"']
        lines.append(f"  n{arrow.source} -> n{arrow.target}" + (f" [{', '.join(style)}]" if style else ""))
    return "\n".join([*lines, "}"]) + "\n"


# ---- Mermaid


BRACKETS = {
    "variable": ("([", "])"), "constant": ("([", "])"), "operation": ("[", "]"), "call": ("[[", "]]"),
    "summary": ("[[", "]]"), "none": ("[", "]"),
}  # fmt: skip

# `call` and `end` are words of Mermaid, so that each class has Box behind its name.
CLASSES = """\
  classDef variableBox fill:#d6e8fa,stroke:#555,color:#000
  classDef constantBox fill:#eee,stroke:#555,color:#000
  classDef operationBox fill:#fff,stroke:#555,color:#000
  classDef callBox fill:#fff3d1,stroke:#555,color:#000
  classDef summaryBox fill:#f3ecfa,stroke:#555,color:#000
  classDef noneBox fill:#fff,stroke:#777,color:#777,stroke-dasharray:4
  classDef resultBox stroke-width:3px"""


def render_mermaid(picture: Picture, title: str) -> str:
    """The picture as a flowchart for Mermaid, which Markdown viewers draw."""
    lines = ["flowchart TD", f"  %% {mermaid_text(title)}"]
    if picture.note:
        lines.append(f"  %% {mermaid_text(picture.note)}")

    def opened(cluster: int) -> list[str]:
        return [f"subgraph c{cluster}[{mermaid_string(picture.clusters[cluster].title)}]"]

    def shown(number: int, box: Box) -> str:
        left, right = BRACKETS[box.kind]
        label = "\n".join(filter(None, [heading(box), details(box)]))
        return f"n{number}{left}{mermaid_string(label)}{right}:::{box.kind}Box"

    lines += _nested(picture, opened, "end", shown)
    for arrow in picture.arrows:
        lines.append(f"  n{arrow.source} {'-.->' if arrow.cut else '-->'} n{arrow.target}")
    results = [f"n{number}" for number, box in enumerate(picture.boxes) if box.result]
    lines.append(CLASSES)
    if results:
        lines.append(f"  class {','.join(results)} resultBox")
    return "\n".join(lines) + "\n"


def _nested(
    picture: Picture, opened: Callable[[int], Sequence[str]], closed: str, shown: Callable[[int, Box], str]
) -> list[str]:
    """The boxes in their clusters, and clusters in clusters, as indented lines."""
    boxes: dict[int | None, list[int]] = {}
    inner: dict[int | None, list[int]] = {}
    for number, box in enumerate(picture.boxes):
        boxes.setdefault(box.cluster, []).append(number)
    for number, frame in enumerate(picture.clusters):
        inner.setdefault(frame.parent, []).append(number)
    lines: list[str] = []
    todo: list[tuple[int | None, int, bool]] = [(None, 0, False)]
    while todo:
        cluster, level, done = todo.pop()
        indent = "  " * level
        if done:
            lines.append(f"{indent}{closed}")
            continue
        if cluster is not None:
            lines += [indent + line for line in opened(cluster)]
            todo.append((cluster, level, True))
        lines += [f"{indent}  {shown(number, picture.boxes[number])}" for number in boxes.get(cluster, [])]
        todo += [(number, level + 1, False) for number in reversed(inner.get(cluster, []))]
    return lines


# ---- JSON


def render_json(picture: Picture, file: str) -> str:
    """One object: a line for each box and arrow."""
    nodes = [
        {
            "id": number,
            "kind": box.kind,
            "names": box.names,
            "text": box.text,
            "shape": None if box.shape is None else list(box.shape),
            "dtype": box.dtype,
            "line": box.line,
            "operations": box.operations,
            "result": box.result,
            "cluster": box.cluster,
            **_numbers(box),
        }
        for number, box in enumerate(picture.boxes)
    ]
    edges = [{"from": a.source, "to": a.target, "cut": a.cut or None} for a in picture.arrows]
    clusters = [{"title": c.title, "parent": c.parent} for c in picture.clusters]
    head = f'{{"command": "graph", "file": {json_text(file)}, "note": {json_text(picture.note or None)}'
    parts = [(name, _rows(rows)) for name, rows in (("nodes", nodes), ("edges", edges), ("clusters", clusters))]
    return head + "".join(f', "{name}": {rows}' for name, rows in parts) + "}\n"


def _numbers(box: Box) -> dict[str, Any]:
    """The value and the gradient of a box, where there are any; those of a large array are left out."""
    if box.value is None:
        return {}
    found = {"value": box.value, "gradient": box.gradient}
    given = {
        key: None if array is None or array.size > MOST_ENTRIES else json.loads(json_value(array))
        for key, array in found.items()
    }
    return {**given, "connected": box.reached}


def _rows(rows: Sequence[object]) -> str:
    return "[" + ",".join(f"\n {json_text(row)}" for row in rows) + "]"
