"""Limits so small that any program runs in loops over tiles, on threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gradcli.graph.ops import half_angle
from tests.tiny_tiles import shrink


@pytest.fixture(scope="module")
def tiny_tiles() -> Iterator[Callable[[], None]]:
    """From the call on, tiles of a few entries for arrays of any size, and half angles for all sines."""
    with pytest.MonkeyPatch.context() as patch:

        def shrunk() -> None:
            shrink(patch, 128)
            patch.setattr(half_angle, "FEWEST", 1)

        yield shrunk
