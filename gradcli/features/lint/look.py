"""What lint found, for people and for editors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradcli.diagnostics import GradcliError, Span, counted, on_one_line
from gradcli.features.lint.answer import Finding
from gradcli.features.lint.rules import Rule
from gradcli.report.columns import aligned
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
    """The last line, which counts what ``--fix`` could do where it was not asked for."""
    fixable = sum(f.edit is not None for f in findings)
    text = counted(len(findings), "finding")
    if done:
        return f"{counted(len(done), 'change')}, {text} left\n"
    return f"{text}; --fix can mend {fixable}\n" if fixable else f"{text}\n"


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


def render_github(findings: Sequence[Finding]) -> str:
    """A workflow command of GitHub's for each finding, which it shows beside the line."""
    return "".join([_annotation("warning", f.span, f.code, f.message, f.help) for f in findings])


def render_github_error(error: GradcliError) -> str:
    """The same for the errors of a program that does not load."""
    return "".join([_annotation("error", e.span, e.kind, e.message, e.help) for e in error.together])


def _annotation(level: str, span: Span | None, title: str, message: str, help: str | None) -> str:
    fields = {"title": title}
    if span is not None:
        end_line, end_column = span.source.line_and_column(span.end)
        place = {"line": span.line, "endLine": end_line, "col": span.column, "endColumn": end_column}
        fields = {"file": span.source.name, **{key: str(n) for key, n in place.items()}, **fields}
    listed = ",".join([f"{key}={_escaped(value, ':,')}" for key, value in fields.items()])
    return f"::{level} {listed}::{_escaped(message + (f'; {help}' if help else ''))}\n"


def _escaped(text: str, more: str = "") -> str:
    """A text in a workflow command, in which some characters are percent-encoded."""
    return "".join([f"%{ord(c):02X}" if c in "%\r\n" + more else c for c in text])


def listed_rules(rules: Iterable[Rule]) -> str:
    """A line for each."""
    rows = [(rule.code, rule.finds + (" (--fix mends it)" if rule.mends else "")) for rule in rules]
    return aligned(rows)


def explained_rule(rule: Rule) -> str:
    """What a rule finds, why, and an example."""
    example, better = (text.replace("\n", "\n    ") for text in (rule.example, rule.better))
    return (
        f"{rule.code}: {rule.finds}\n\n  {rule.why}\n\n  Found:\n    {example}\n  Better:\n    {better}\n\n"
        + ("  `gradcli lint --fix` writes it, where that changes nothing else.\n" if rule.mends else "")
        + f"  `# lint: ignore[{rule.code}]` behind a statement leaves it out there.\n"
    )


def rules_json(rules: Iterable[Rule]) -> str:
    """One object with all of them."""
    return json_text({"command": "lint", "rules": [rule._asdict() for rule in rules]}) + "\n"
