"""Memory of results that nobody holds any more, for the next run.

The system gives a process new memory a page at a time, which takes as long as the arithmetic of what is written there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from typing import Any

Array = Any

MOST = 2
"""Arrays that are kept for each result."""

ALONE = 2
"""References to an array that one variable holds, and the call that counts them."""


def can_count() -> bool:
    """Whether this interpreter knows at once how many references there are."""
    return hasattr(sys, "getrefcount") and getattr(sys, "_is_gil_enabled", lambda: True)()


class Kept:
    """Arrays by key, which are handed out again once nothing else refers to them; safe in threads.

    A view of an array counts, since it refers to what owns its memory.
    """

    def __init__(self) -> None:
        self._arrays: dict[Hashable, list[Array]] = {}
        self._counts = can_count()

    def array(self, key: Hashable, make: Callable[[], Array]) -> Array:
        """An array that ``make`` has made, now or for an earlier call; it owns its memory."""
        if not self._counts:
            return make()
        kept = self._arrays.setdefault(key, [])
        try:
            array = kept.pop(0)
        except IndexError:
            array = make()
        else:
            if sys.getrefcount(array) > ALONE:
                array = make()
        kept.append(array)
        del kept[:-MOST]
        return array
