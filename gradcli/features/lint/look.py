"""What lint found, for people and for editors."""

from __future__ import annotations

from collections.abc import Sequence

from gradcli.diagnostics import counted, on_one_line
from gradcli.features.lint.answer import Finding
from gradcli.report.errors import diagnostic
from gradcli.report.json_parts import json_place, json_text
from gradcli.report.quoting import visible


def render(findings: Sequence[Finding], color: bool = False) -> str:
    """Each finding as an error is shown, below the one before."""
    return "\n".join(
        [diagnostic(f"warning[{f.code}]", f.message, f.labels, f.help, color, style="warning") for f in findings]
    )


def render_changes(done: Sequence[Finding]) -> str:
    """A line for each edit: ``f.expr:3:5: log(1 + exp(x)) -> softplus(x)  [softplus]``."""
    return "".join([f"{_place(f)}: {_changed(f)}  [{f.code}]\n" for f in done])


def render_summary(findings: Sequence[Finding], done: Sequence[Finding]) -> str:
    """One line in the end; what ``--fix`` could do is said where it has not been asked for."""
    fixable = sum(f.edit is not None for f in findings)
    text = counted(len(findings), "finding")
    if done:
        return f"{counted(len(done), 'change')}, {text} left\n"
    return f"{text}, of which --fix can mend {fixable}\n" if fixable else f"{text}\n"


def render_json(findings: Sequence[Finding], done: Sequence[Finding]) -> str:
    """One object with a line for each finding, the mended ones apart; lines and columns are counted from 1."""
    rows = {"findings": [_record(f) for f in findings], "fixed": [_record(f) for f in done]}
    parts = [f'"{name}": [{",".join(chr(10) + " " + row for row in given)}]' for name, given in rows.items()]
    return '{"command": "lint", ' + ", ".join(parts) + "}\n"


def _record(f: Finding) -> str:
    end_line, end_column = f.span.source.line_and_column(f.span.end)
    fields = {
        **json_place(f.span),
        "end_line": end_line,
        "end_column": end_column,
        "code": f.code,
        "message": f.message,
        "help": f.help,
        "replacement": f.edit.text if f.edit is not None else None,
    }
    return json_text(fields)


def _place(f: Finding) -> str:
    return f"{visible(f.span.source.name)}:{f.span.line}:{f.span.column}"


def _changed(f: Finding) -> str:
    assert f.edit is not None
    return visible(f"{on_one_line(f.span.text)} -> {on_one_line(f.edit.text)}")
