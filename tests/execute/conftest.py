"""Limits so small that any program runs in loops over tiles, on threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gradcli.execute import cuts, loop, plan
from gradcli.graph.ops import half_angle


@pytest.fixture(scope="module")
def tiny_tiles() -> Iterator[Callable[[], None]]:
    """From the call on, tiles of a few entries for arrays of any size, and half angles for all sines."""
    with pytest.MonkeyPatch.context() as patch:

        def shrink() -> None:
            for module in (plan, cuts):
                patch.setattr(module, "LARGE", 1)
            for module in (cuts, loop):
                patch.setattr(module, "TILE", 128)
            patch.setattr(cuts, "SMALL", 0)
            patch.setattr(loop, "FEWEST_ROWS", 1)
            patch.setattr(loop, "WORTH_THREADS", 0)
            patch.setattr(loop, "LONG_STEP", 0)
            patch.setattr(loop, "LONGER_STEP", 0)
            patch.setattr(half_angle, "FEWEST", 1)

        yield shrink
