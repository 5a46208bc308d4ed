"""Limits of tiles so small that any array is cut, for tests of the engines."""

import pytest

from gradcli.execute import choose, cuts, loop


def shrink(patch: pytest.MonkeyPatch, tile: int) -> None:
    """From the call on, tiles of ``tile`` entries for arrays of any size, on threads for steps of any length."""
    patch.setattr(choose, "LARGE", 1)
    for module in (cuts, loop):
        patch.setattr(module, "TILE", tile)
    patch.setattr(cuts, "SMALL", 0)
    patch.setattr(loop, "FEWEST_ROWS", 1)
    patch.setattr(choose, "WORTH_THREADS", 0)
    patch.setattr(choose, "LONG_STEP", 0)
    patch.setattr(loop, "LONGER_STEP", 0)
