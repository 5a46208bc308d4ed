"""The magics ``%gradcli`` and ``%%gradcli`` of IPython: cells add to a program, commands are asked about it."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from IPython.core.magic import Magics, line_cell_magic, magics_class

from gradcli.commands.endings import as_error
from gradcli.commands.inputs import ProgramText
from gradcli.commands.main import COMMANDS, run
from gradcli.language import syntax
from gradcli.program import growing
from gradcli.report.json_parts import json_text

OWN_FORM = ("--format", "--output", "-o", "--help", "-h", "--profile", "--points")
"""Options after which the answer is the text that the command prints."""

TABLES = {"eval": "values", "grad": "gradients", "jvp": "tangents"}
"""Commands whose JSON is a table, and the key of its rows."""


class CommandError(Exception):
    """What a command says of a failure, which a notebook shows without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return str(self).rstrip().split("\n")


class Answer:
    """What a command answers, in the forms that a notebook may show; None for a form that the answer does not have."""

    def __init__(
        self, text: str, html: str | None = None, latex: str | None = None, svg: str | None = None, data: Any = None
    ) -> None:
        self.text, self.html, self.latex, self.svg = text, html, latex, svg
        self.data = data
        """The reply as ``--format json`` has it, of commands that are shown as a table."""

    def __repr__(self) -> str:
        return self.text.rstrip("\n")

    def _repr_html_(self) -> str | None:
        return self.html

    def _repr_latex_(self) -> str | None:
        return self.latex

    def _repr_svg_(self) -> str | None:
        return self.svg


@magics_class
class GradcliMagics(Magics):
    """One session for a notebook: what a cell defines anew takes its old place, as at the prompt."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.session = growing.Growing()

    @line_cell_magic
    def gradcli(self, line: str, cell: str | None = None) -> Answer | None:
        """Add the statements of the cell to the program, and answer the command of the line, or the cell's last expression."""
        try:
            name, *options = shlex.split(line) or [""]
        except ValueError as problem:
            raise CommandError(f"Options are quoted as in a shell: {problem}.") from None
        if name not in COMMANDS:
            name, options = "", [name, *options] if name else options
        expression = ""
        try:
            for entry, statement in growing.entries(cell or ""):
                if isinstance(statement, syntax.Bare):
                    expression = entry.text
                else:
                    self.session.add(entry, statement)
        except Exception as problem:
            error = as_error(problem)
            if error is None:
                raise
            from gradcli.report.errors import render

            raise CommandError(render(error, color=False)) from None
        if not name and not expression and not options:
            return None
        if expression:
            options = ["--of", "ans", *options]
        text = ProgramText(self.session.text() + expression, growing.NAME, self.session.folder, inline=True)
        return asked(name or "eval", options, text)


def asked(name: str, options: list[str], program: ProgramText) -> Answer:
    """The answer of a command about a program. Raises CommandError."""
    if any([option.partition("=")[0] in OWN_FORM for option in options]):
        return Answer(_printed([name, *options], program))
    if name in TABLES:
        reply = json.loads(_printed([name, *options, "--format", "json"], program))
        text = _printed([name, *options, "--format", "plain"], program)
        return Answer(text, html=_table(reply, TABLES[name]), data=reply)
    if name == "derive":
        latex = _printed([name, *options, "--format", "latex"], program)
        return Answer(_printed([name, *options], program), latex=f"$${latex.replace('align*', 'aligned').strip()}$$")
    if name == "plot":
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "plot.svg")
            _printed([name, *options, "--output", path], program)
            with open(path, encoding="utf-8") as file:
                return Answer("a plot", svg=file.read())
    if name == "graph" and shutil.which("dot"):
        dot = _printed([name, *options, "--format", "dot"], program)
        drawn = subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, text=True, check=True).stdout
        return Answer(_printed([name, *options], program), svg=drawn[drawn.index("<svg") :])
    return Answer(_printed([name, *options], program))


def _printed(arguments: list[str], program: ProgramText) -> str:
    """What a command writes to standard output; what it says besides goes to standard error, or is raised where it fails."""
    with _kept() as (out, err):
        status = run(arguments, program)
    said = err.getvalue()
    if status not in (0, 1) or (status == 1 and not out.getvalue()):
        raise CommandError(said)
    sys.stderr.write(said)
    return out.getvalue()


@contextmanager
def _kept() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    real = sys.stdout, sys.stderr
    kept = io.StringIO(), io.StringIO()
    sys.stdout, sys.stderr = kept
    try:
        yield kept
    finally:
        sys.stdout, sys.stderr = real


def _table(reply: dict[str, Any], key: str) -> str:
    """The results of a reply as a table of HTML, one for each order."""
    parts = []
    for group in reply.get("orders", [reply]):
        rows = [_row(name, entry) for name, entry in group[key].items()]
        title = f"<caption>order {group['order']}</caption>" if "orders" in reply else ""
        head = "<tr><th>name</th><th>value</th><th>shape</th><th>dtype</th></tr>"
        parts.append(f"<table>{title}{head}{''.join(rows)}</table>")
    return "".join(parts)


def _row(name: str, entry: dict[str, Any]) -> str:
    if entry.get("value") is None:
        why = f" <em>{escape(entry['reason'])}</em>" if entry.get("reason") else ""
        return f'<tr><th>{escape(name)}</th><td colspan="3"><em>None</em>{why}</td></tr>'
    value = json_text(entry["value"])
    value = value if len(value) <= 300 else f"{value[:299]}…"
    cells = [value, str(entry["shape"]), entry["dtype"]]
    return f"<tr><th>{escape(name)}</th>" + "".join([f"<td>{escape(cell)}</td>" for cell in cells]) + "</tr>"
