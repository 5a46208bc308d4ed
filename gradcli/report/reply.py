"""What a command answers, before a format is chosen: the one input that every format renders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gradcli.results import Result


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of ``eval`` or ``grad``.

    ``file`` is the name of the source. ``orders`` holds one group of results for each order; ``eval`` has a single
    group, whose number means nothing. ``of`` are the names that were differentiated, ``summed`` says that a non-scalar
    one was summed, ``every_order`` that the groups are to be shown with their numbers.
    """

    command: Literal["eval", "grad"]
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
            (order, [replace(r, value=rounded(r.value, digits)) if r.connected else r for r in results])
            for order, results in self.orders
        ]
        return replace(self, orders=groups)


def title_of(reply: Reply, order: int) -> str | None:
    """``gradients of y1 + y2``, with Σ before what is summed over its entries; ``eval`` needs no title."""
    if reply.command == "eval":
        return None
    whole = " + ".join(reply.of)
    if reply.summed:
        whole = f"Σ{whole}" if len(reply.of) == 1 else f"Σ({whole})"
    kind = f"gradients of order {order}" if order > 1 or reply.every_order else "gradients"
    return f"{kind} of {whole}"
