"""Notes on standard error about an answer: what was differentiated, why a gradient is None, that an x is an integer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gradcli.commands.endings import tell
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.commands.output import Destination
    from gradcli.program.loaded import Loaded
    from gradcli.results import Result

LARGEST = 10_000
"""Operations of a program up to which it is looked for definitions beside the one that is differentiated."""

MOST = 5
"""Names that are listed."""


class Notes(NamedTuple):
    """Lines ``note: …``, as JSON where that is the format; ``quiet`` (``-q``) leaves them out."""

    quiet: bool
    json: bool = False

    def say(self, text: str) -> None:
        if self.quiet:
            return
        if self.json:
            from gradcli.report.json_parts import json_text

            tell(json_text({"note": text}) + "\n")
        else:
            tell(f"note: {text}\n")

    def chosen(
        self, program: Loaded, of: Sequence[str] | None, ys: Sequence[str], done: str = "differentiated"
    ) -> None:
        """Which definition is differentiated, or what else is ``done`` to it, where nothing names it and others have no part in it. JSON says it itself."""
        graph = program.graph
        if of is not None or graph.outputs or self.quiet or self.json or graph.size > LARGEST or len(ys) != 1:
            return
        from gradcli.graph.node import Node, cone

        end = graph.names.get(ys[0])
        if len(graph.definitions) < 2 or not isinstance(end, Node):
            return
        part = set(cone([end]))
        apart = [
            name
            for name in graph.definitions
            if name != ys[0] and isinstance(x := graph.names.get(name), Node) and x not in part
        ]
        if apart:
            from gradcli.language import syntax
            from gradcli.language.walking import names, values_of

            statements = program.syntax.statements
            written = [s.value for s in statements if isinstance(s, syntax.Assignment)]
            written += [value for s in statements if isinstance(s, syntax.Function) for value in values_of(s)]
            used = {name.id for name in names(written)}
            apart = [name for name in apart if name not in used]
        if apart:
            self.say(
                f"{ys[0]} is {done}, the last definition; {_listed(apart)} {'has' if len(apart) == 1 else 'have'}"
                f" no part in it: --of names others, or a line `output {apart[-1]}{f', {ys[0]}' * (done == 'differentiated')}`"
            )

    def unconnected(self, results: Iterable[Result], destination: Destination) -> None:
        """Why results are None. Tables and JSON say it themselves."""
        if self.quiet or self.json or destination.format in ("table", "json", "ndjson"):
            return
        reasons = {result.name: result.reason for result in results if result.reason is not None}
        for name, reason in list(reasons.items())[:MOST]:
            self.say(f"{name} is None: {reason.with_line()}")
        if len(reasons) > MOST:
            self.say(f"{len(reasons) - MOST} more are None; --format table says why")

    def integers(self, program: Loaded, results: Iterable[Result]) -> None:
        """Which of the xs are integers."""
        found: dict[str, str] = {}
        for result in results:
            x = program.graph.leaves.get(result.name)
            if result.connected and x is not None and x.dtype.startswith("int"):
                found[result.name] = x.dtype
        if found:
            names = list(found)
            verb = "is" if len(names) == 1 else "are"
            self.say(
                f"{_listed(names)} {verb} {' and '.join(sorted(set(found.values())))}, with the gradient of integer arithmetic;"
                " with a decimal point, as in 3.0, a number is a float"
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")
