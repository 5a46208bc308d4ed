"""What a command answers, before a format is chosen: named results, the input of every format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from gradcli.results import Result
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.report.tables import Screen


class Answer(Protocol):
    """What a command can deliver."""

    def rounded(self, digits: int | None) -> Answer:
        """The same with every number rounded to that many significant digits; None leaves it as it is."""

    def pieces(self, format: str, screen: Screen | None) -> Iterator[str]:
        """The text of a format (``table``, ``plain``, ``value``, ``json``, ``ndjson``, ``csv``) in pieces; no screen means a pipe.

        No piece holds more than some thousand numbers, for the text of an array takes far more memory than the array.
        """

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """What an ``.npz`` file holds, by name."""


class Reply(NamedTuple):
    """The answer of ``eval``, ``grad``, ``jvp``, ``fit`` or ``propagate``.

    ``file`` is the name of the source. ``orders`` holds one group of results for each order; all but ``grad`` have a
    single group, whose number means nothing. ``of`` are the names that were differentiated (of ``jvp`` those with a
    tangent), ``summed`` says that a non-scalar one was summed, ``every_order`` that the groups are to be shown with
    their numbers, ``precision`` to how many significant digits numbers are rounded. ``alone``: of an expression without a
    name, the value alone is text enough.
    """

    command: Literal["eval", "grad", "jvp", "fit", "propagate"]
    file: str
    orders: Sequence[tuple[int, Sequence[Result]]]
    of: Sequence[str] = ()
    every_order: bool = False
    summed: bool = False
    precision: int | None = None
    alone: bool = False

    def rounded(self, digits: int | None) -> Reply:
        """See :class:`Answer`. The numbers are rounded where they are written, so that there is no second array."""
        return self._replace(precision=digits)

    def pieces(self, format: str, screen: Screen | None) -> Iterator[str]:
        """See :class:`Answer`; a format is imported when it is used."""
        if format == "table" and screen is not None and not self.alone:
            from gradcli.report import tables

            return iter([tables.render(self, screen)])
        if format == "table" and not self.alone:
            from gradcli.report import columns

            return columns.pieces(self)
        if format in ("table", "plain", "value"):
            from gradcli.report import plain

            return plain.pieces(self, bare=self.alone or format == "value")
        if format == "csv":
            from gradcli.report import as_csv

            return as_csv.pieces(self)
        if format in ("json", "ndjson"):
            from gradcli.report import as_json

            return as_json.pieces(self) if format == "json" else as_json.line_pieces(self)
        raise NotImplementedError(f"there is no form {format} of a reply")

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """See :class:`Answer`. With several orders a name stands there once for each: ``order2/x``."""
        from gradcli.report.numbers import rounded

        for order, results in self.orders:
            # A name may have been asked for twice; an archive holds it once.
            for result in {result.name: result for result in results if result.connected}.values():
                name = f"order{order}/{result.name}" if self.every_order else result.name
                yield name, result.value if self.precision is None else rounded(result.value, self.precision)

    def title(self, order: int) -> str | None:
        """``gradients of y1 + y2``, with Σ before what is summed over its entries; values need no title."""
        if self.command in ("eval", "fit", "propagate"):
            return None
        if self.command == "jvp":
            return f"derivatives along {', '.join(self.of)}"
        whole = " + ".join(self.of)
        if self.summed:
            whole = f"Σ{whole}" if len(self.of) == 1 else f"Σ({whole})"
        kind = f"gradients of order {order}" if order > 1 or self.every_order else "gradients"
        return f"{kind} of {whole}"
