"""What a command answers, before a format is chosen: named results, the input of every format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from gradcli.results import Result

if TYPE_CHECKING:
    from gradcli.report.tables import Screen


class Answer(Protocol):
    """What a command can deliver."""

    def rounded(self, digits: int | None) -> Answer:
        """The same with every number rounded to that many significant digits; None leaves it as it is."""

    def render(self, format: str, screen: Screen | None) -> str:
        """The text of a format (``table``, ``plain``, ``json``, ``ndjson``, ``csv``); no screen means a pipe."""

    def arrays(self) -> dict[str, Any]:
        """What an ``.npz`` file holds."""


class Reply(NamedTuple):
    """The answer of ``eval``, ``grad``, ``jvp`` or ``fit``.

    ``file`` is the name of the source. ``orders`` holds one group of results for each order; all but ``grad`` have a
    single group, whose number means nothing. ``of`` are the names that were differentiated (of ``jvp`` those with a
    tangent), ``summed`` says that a non-scalar one was summed, ``every_order`` that the groups are to be shown with
    their numbers.
    """

    command: Literal["eval", "grad", "jvp", "fit"]
    file: str
    orders: Sequence[tuple[int, Sequence[Result]]]
    of: Sequence[str] = ()
    every_order: bool = False
    summed: bool = False

    def rounded(self, digits: int | None) -> Reply:
        """The same reply with every number rounded to that many significant digits; None leaves it as it is."""
        if digits is None:
            return self
        from gradcli.report.numbers import rounded

        groups = [
            (order, [r._replace(value=rounded(r.value, digits)) if r.connected else r for r in results])
            for order, results in self.orders
        ]
        return self._replace(orders=groups)

    def render(self, format: str, screen: Screen | None) -> str:
        """See :class:`Answer`; a format is imported when it is used."""
        if format == "table" and screen is not None:
            from gradcli.report import tables

            return tables.render(self, screen)
        if format == "table":
            from gradcli.report import columns

            return columns.render(self)
        if format == "plain":
            from gradcli.report import plain

            return plain.render(self)
        if format == "csv":
            from gradcli.report import as_csv

            return as_csv.render(self)
        from gradcli.report import as_json

        return as_json.render(self) if format == "json" else as_json.render_lines(self)

    def arrays(self) -> dict[str, Any]:
        """See :class:`Answer`. With several orders a name stands there once for each: ``order2/x``."""
        return {
            (f"order{order}/{result.name}" if self.every_order else result.name): result.value
            for order, results in self.orders
            for result in results
            if result.connected
        }


def title_of(reply: Reply, order: int) -> str | None:
    """``gradients of y1 + y2``, with Σ before what is summed over its entries; values need no title."""
    if reply.command in ("eval", "fit"):
        return None
    if reply.command == "jvp":
        return f"derivatives along {', '.join(reply.of)}"
    whole = " + ".join(reply.of)
    if reply.summed:
        whole = f"Σ{whole}" if len(reply.of) == 1 else f"Σ({whole})"
    kind = f"gradients of order {order}" if order > 1 or reply.every_order else "gradients"
    return f"{kind} of {whole}"
