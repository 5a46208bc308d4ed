"""The ``csv`` format: ``name,index,value``, one row for each entry, for spreadsheets and data frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gradcli.report.numbers import Array, parts, tokens

if TYPE_CHECKING:
    from gradcli.report.reply import Reply


def pieces(reply: Reply) -> Iterator[str]:
    """The rows of a reply below a header, in pieces.

    The index of an entry is its position along each axis joined by semicolons (``0;1``), empty for a scalar. None is
    one row with neither index nor value. Several orders are told apart by a leading column ``order``.
    """
    yield "order,name,index,value\n" if reply.every_order else "name,index,value\n"
    for order, results in reply.orders:
        for result in results:
            start = f"{order},{result.name}," if reply.every_order else f"{result.name},"
            # Names are identifiers and numbers have no commas: nothing ever needs quotes.
            if result.connected:
                yield from entries(start, result.value, reply.precision)
            else:
                yield f"{start},\n"


def entries(start: str, array: Array, digits: int | None) -> Iterator[str]:
    """A row for each entry of an array, after ``start`` its index and its value."""
    if isinstance(array, (int, float)):
        yield from (f"{start},{tokens(part)[0]}\n" for part in parts(array, digits))
        return
    import numpy as np

    count = 0
    for part in parts(array, digits):
        places = np.unravel_index(np.arange(count, count + len(part)), array.shape) if array.shape else ()
        axes = [list(map(str, places_along.tolist())) for places_along in places]
        indices = map(";".join, zip(*axes, strict=True)) if axes else [""]
        yield "".join([f"{start}{i},{t}\n" for i, t in zip(indices, tokens(part), strict=True)])
        count += len(part)
