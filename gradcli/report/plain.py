"""The ``plain`` format: ``name = literal`` or ``name = None``, one a line, for people and for ``--values``."""

from __future__ import annotations

from gradcli.report.numbers import literal
from gradcli.report.reply import Reply


def render(reply: Reply) -> str:
    """The lines of a reply; with several orders each group stands below a comment ``# order 2``."""
    lines = []
    for order, results in reply.orders:
        if reply.every_order:
            lines.append(f"# order {order}")
        lines += [f"{r.name} = {literal(r.value) if r.connected else 'None'}" for r in results]
    return "".join(line + "\n" for line in lines)
