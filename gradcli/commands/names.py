"""The names that a program binds: to tell which entries of a reply concern it, and to complete a word in the shell."""

from __future__ import annotations

import re
from contextlib import suppress

from gradcli.diagnostics import GradcliError, Source


def leaves(text: str) -> set[str]:
    """Names of variables and constants; none if the text has a syntax error, which is then found elsewhere."""
    from gradcli.language.parser import parse
    from gradcli.language.syntax import Declaration

    with suppress(GradcliError):
        return {s.name.id for s in parse(Source("", text)).statements if isinstance(s, Declaration)}
    return set()


def bound(text: str) -> set[str]:
    """All names at the top level that a gradient can start from."""
    from gradcli.language.parser import parse
    from gradcli.language.syntax import Assignment

    with suppress(GradcliError):
        statements = parse(Source("", text)).statements
        return leaves(text) | {name.id for s in statements if isinstance(s, Assignment) for name in s.targets}
    return set()


# A scan and no parse: the grammar need not be loaded to complete a word, and the text may be unfinished. It may find a
# local of a function too, which does no harm.
STATEMENT = r"(?:^|[;{\n])[ \t]*(?:(?:variable|var|constant|const)[ \t]+(\w+)|((?:\w+[ \t]*,[ \t]*)*\w+)[ \t]*=(?!=))"
COMMENT = r"#[^\n]*"


def names_in_file(path: str | None, leaves: bool = False) -> list[str]:
    """The names of a program file in order, or only its variables and constants; none if it cannot be read."""
    if path is None or path == "-":
        return []
    from gradcli.data import decode, read_bytes

    try:
        text = decode(read_bytes(path, pipes=False), path)
    except GradcliError:
        return []
    found: dict[str, None] = {}
    for match in re.finditer(STATEMENT, re.sub(COMMENT, "", text)):
        for name in (match[1] or ("" if leaves else match[2])).split(","):
            found[name.strip()] = None
    found.pop("", None)
    return list(found)
