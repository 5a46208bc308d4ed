"""Long lists of cases of one kind: some in every run, the others among the slow tests."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pytest

HEAVY = {"burgers_network", "spiral"}
"""Samples that take seconds each time they are differentiated."""


def some(cases: Iterable[Any], every: int = 3) -> list[Any]:
    """Parameters for all the cases, of which every third, or another part, is not slow."""
    return [case if k % every == 0 else slowly(case) for k, case in enumerate(cases)]


def light(samples: Iterable[Path], heavy: Collection[str] = HEAVY) -> list[Any]:
    """Parameters for all the samples, the heavy ones slow."""
    return [slowly(sample) if sample.stem in heavy else sample for sample in samples]


def slowly(case: Any) -> Any:
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
