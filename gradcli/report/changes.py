"""What would change in a file, as a unified diff."""

from __future__ import annotations

from difflib import unified_diff
from io import StringIO

from gradcli.report.quoting import visible


def unified(name: str, before: str, after: str) -> str:
    """The diff of two texts of a file; nothing where they are the same."""
    old, new = (list(StringIO(text, newline="\n")) for text in (before, after))
    rows = unified_diff(old, new, visible(name), visible(name))
    return "".join([row if row.endswith("\n") else f"{row}\n\\ No newline at end of file\n" for row in rows])
