"""A picture of a program as one page for a browser, which needs nothing else: to unfold, to search, to play step by step."""

from __future__ import annotations

import os

from gradcli.diagnostics import Source
from gradcli.features.graph.answer import Picture
from gradcli.features.graph.look import brief, heading
from gradcli.report.json_parts import json_text

LARGEST = 2000
"""Boxes that a page shows."""


def render_page(picture: Picture, source: Source) -> str:
    """The page. All that comes from the program is data in it, which its script puts into texts only."""
    lines = source.text.split("\n")
    boxes = [
        {
            "kind": box.kind,
            "title": heading(box),
            "names": ", ".join(box.names),
            "shape": "" if box.shape is None else f"{list(box.shape)} {box.dtype}",
            "line": box.line,
            "source": lines[box.line - 1].strip() if box.line is not None and box.line <= len(lines) else "",
            "value": None if box.value is None else brief(box.value, box.digits),
            "gradient": None if box.reached is None else brief(box.gradient, box.digits) if box.reached else "None",
            "result": box.result,
            "cluster": box.cluster,
        }
        for box in picture.boxes
    ]
    data = {
        "title": source.name,
        "note": picture.note,
        "of": " + ".join(picture.ys),
        "boxes": boxes,
        "arrows": [[a.source, a.target, a.cut] for a in picture.arrows],
        "clusters": [[c.title, c.parent] for c in picture.clusters],
    }
    # Nothing in the data can end the element that holds it, or begin a comment.
    text = json_text(data).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    with open(os.path.join(os.path.dirname(__file__), "page.html"), encoding="utf-8") as file:
        return file.read().replace("{{data}}", text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
