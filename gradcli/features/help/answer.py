"""The pages of the manual: the Markdown files of ``gradcli/manual``, and the reference of operations, made when it is asked for."""

from __future__ import annotations

import os
import re

import gradcli

FOLDER = os.path.join(os.path.dirname(gradcli.__file__), "manual")

OPERATIONS = "operations"
"""The topic whose page is made from the table of operations."""


def topics() -> dict[str, str]:
    """The topics in order, each with the heading of its page."""
    names = [name.removesuffix(".md") for name in os.listdir(FOLDER) if name.endswith(".md")]
    found = {name: page(name).partition("\n")[0].removeprefix("# ") for name in names}
    found[OPERATIONS] = "All operations: formula, derivative, domain and an example of each"
    return dict(sorted(found.items()))


def mentioning(word: str) -> list[str]:
    """The topics whose pages have a word, as a whole or as the beginning of another, in upper or lower case."""
    found = re.compile(rf"\b{re.escape(word)}", re.IGNORECASE) if word.strip() else re.compile(r"(?!)")
    return [topic for topic in topics() if topic != OPERATIONS and found.search(page(topic))]


def page(topic: str) -> str:
    """A page as Markdown."""
    if topic == OPERATIONS:
        from gradcli.features.ops.look import markdown
        from gradcli.graph.ops import table

        return "".join(markdown([operation for operation in table.values() if not operation.hidden]))
    with open(os.path.join(FOLDER, f"{topic}.md"), encoding="utf-8") as file:
        return file.read()
