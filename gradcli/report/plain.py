"""The ``plain`` format: ``name = literal`` or ``name = None``, one a line, for people and for ``--values``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gradcli.report.numbers import literal_pieces

if TYPE_CHECKING:
    from gradcli.report.reply import Reply


def pieces(reply: Reply, bare: bool = False) -> Iterator[str]:
    """The lines of a reply, in pieces; with several orders each group stands below a comment ``# order 2``.

    ``bare`` leaves names and comments out.
    """
    for order, results in reply.orders:
        if reply.every_order and not bare:
            yield f"# order {order}\n"
        for result in results:
            yield f"{result.name} = " * (not bare)
            if result.connected:
                yield from literal_pieces(result.value, reply.precision)
            yield "\n" if result.connected else "None\n"
