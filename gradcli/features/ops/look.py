"""The forms of the list of operations: columns, paragraphs for a terminal, one operation, JSON, and the reference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from textwrap import fill, wrap
from typing import TYPE_CHECKING, Any

from gradcli.graph.describe import describe_derivative

if TYPE_CHECKING:
    from gradcli.graph.operation import Operation
    from gradcli.report.tables import Screen

WIDTH = 80
"""What a line of a list in a pipe fits into."""

LEFT = 30
"""Where the second column of a list begins."""


def by_family(operations: Sequence[Operation]) -> dict[str, list[Operation]]:
    """The operations of each family, in their order."""
    families: dict[str, list[Operation]] = {}
    for operation in operations:
        families.setdefault(operation.family, []).append(operation)
    return families


def _field(operation: Operation, name: str) -> Any:
    """What the table says of an operation; its derivative is worded from its rule."""
    return describe_derivative(operation) if name == "derivative" else getattr(operation, name)


def _cell(operation: Operation, name: str) -> str:
    return " ".join(str(_field(operation, name)).split())


def columns(operations: Sequence[Operation]) -> str:
    """Signatures beside what they are, family by family."""
    parts = ["\n".join([family.upper(), *_rows(members)]) for family, members in by_family(operations).items()]
    return "\n\n".join(parts) + "\n"


def _rows(operations: Sequence[Operation]) -> Iterator[str]:
    for operation in operations:
        also = f" (also {', '.join(operation.aliases)})" if operation.aliases else ""
        said = wrap(operation.doc.rstrip(".") + also, WIDTH - LEFT, break_long_words=False, break_on_hyphens=False)
        name = wrap(operation.signature, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
        if len(name) > 1 or len(name[0]) > LEFT - 2:
            yield from name
        else:
            yield name[0].ljust(LEFT) + said.pop(0)
        yield from [" " * LEFT + line for line in said]


def paragraphs(operations: Sequence[Operation], screen: Screen) -> str:
    """The same for a terminal, with formula, derivative and domain, in lines that are broken between words."""
    return "\n".join([_family(family, members, screen) for family, members in by_family(operations).items()])


def _family(family: str, members: Sequence[Operation], screen: Screen) -> str:
    bold, plain = ("\x1b[1m", "\x1b[0m") if screen.color else ("", "")

    def wrapped(text: str, indent: str) -> str:
        width = max(screen.width - 1, 40)
        return fill(
            text, width, initial_indent="  ", subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )

    lines = [f"{bold}{family.upper()}{plain}"]
    for o in members:
        names = f"{bold}{o.signature}{plain}"
        also = f"   also {', '.join(o.aliases)}" if o.aliases else ""
        lines.append(
            "\n" + (names + also if len(o.signature) + len(also) < screen.width else f"{names}\n  {also.strip()}")
        )
        lines.append(wrapped(_cell(o, "doc"), "  "))
        cells = [(name, _cell(o, name)) for name in ("formula", "derivative", "domain")]
        lines += [wrapped(f"{name:<11} {cell}", " " * 14) for name, cell in cells if cell]
    return "\n".join(lines) + "\n"


def explained(operation: Operation, near: Sequence[str]) -> str:
    """One operation, and the names of others that are like its name."""
    rows = [
        ("formula", operation.formula),
        ("derivative", _field(operation, "derivative")),
        ("domain", operation.domain),
        ("also", ", ".join(operation.aliases)),
        ("family", operation.family),
        ("example", operation.example),
        ("see", ", ".join(near)),
    ]
    # What has several lines is set below its first one.
    lines = [f"  {label:<12}" + str(text).replace("\n", "\n" + " " * 14) for label, text in rows if text]
    return "\n".join([operation.signature, f"  {operation.doc}", "", *lines]) + "\n"


def as_json(operations: Sequence[Operation], one: bool = False) -> str:
    """The operations as a JSON array, or as one object."""
    fields = ("name", "aliases", "family", "signature", "doc", "formula", "derivative", "domain", "example")
    records = [{field: _field(o, field) for field in fields} for o in operations]
    return json.dumps(records[0] if one else records, ensure_ascii=False, indent=1) + "\n"


# the reference


def markdown(operations: Sequence[Operation]) -> Iterator[str]:
    """The reference, an operation after another, each example with its output."""
    yield "# Operations\n"
    for family, members in by_family(operations).items():
        yield f"\n## {family[:1].upper()}{family[1:]}\n"
        for operation in members:
            yield "\n".join(["", *_section(operation), ""])


def _section(operation: Operation) -> Iterator[str]:
    yield f"### `{operation.signature}`"
    yield ""
    yield operation.doc
    yield ""
    rows = [(name, _cell(operation, name)) for name in ("formula", "derivative", "domain")]
    rows.append(("also", ", ".join(operation.aliases)))
    yield from [f"- *{name}*: `{text}`" for name, text in rows if text]
    if operation.example:
        yield ""
        yield "```"
        yield from run(operation)
        yield "```"


def run(operation: Operation) -> list[str]:
    """The lines of an example: what is written, and what ``gradcli eval`` prints of it, if it has a value here."""
    from gradcli.diagnostics import GradcliError
    from gradcli.program import answers
    from gradcli.program.loaded import from_text
    from gradcli.report.numbers import literal

    text = operation.example if operation.several else f"y = {operation.example}"
    try:
        results = answers.values(from_text(text, "<example>"), plain=True)
    except GradcliError:  # a file that is not here, a package that is not installed
        return [text]
    return [text, *[f"# {result.name} = {literal(result.value)}" for result in results]]
