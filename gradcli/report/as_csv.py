"""The ``csv`` format: ``name,index,value``, one row for each entry, for spreadsheets and data frames."""

from __future__ import annotations

import itertools

from gradcli.report.numbers import tokens
from gradcli.report.reply import Reply
from gradcli.results import Result


def render(reply: Reply) -> str:
    """The rows of a reply below a header.

    The index of an entry is its position along each axis joined by semicolons (``0;1``), empty for a scalar. None is
    one row with neither index nor value. Several orders are told apart by a leading column ``order``.
    """
    parts = ["order,name,index,value\n" if reply.every_order else "name,index,value\n"]
    for order, results in reply.orders:
        for result in results:
            start = f"{order},{result.name}," if reply.every_order else f"{result.name},"
            parts.append(_rows(start, result))
    return "".join(parts)


def _rows(start: str, result: Result) -> str:
    # Names are identifiers and numbers have no commas: nothing ever needs quotes.
    if not result.connected:
        return f"{start},\n"
    axes = [list(map(str, range(size))) for size in result.value.shape]
    indices = map(";".join, itertools.product(*axes))
    return "".join([f"{start}{i},{t}\n" for i, t in zip(indices, tokens(result.value), strict=True)])
