"""What tests of several sections share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.benchmarks.setting import ROOT, Installed, Setting


@pytest.fixture
def setting(tmp_path, monkeypatch):
    """A tiny run without peers, whose commands are those of the checkout."""
    checkout = Installed(Path(sys.executable), (sys.executable, "-m", "gradcli"))
    monkeypatch.setattr("tests.benchmarks.setting.install", lambda folder: checkout)
    monkeypatch.setattr("tests.benchmarks.setting.clean", lambda: {**os.environ, "PYTHONPATH": str(ROOT)})
    return Setting(tmp_path, rounds=1, scale=1e-3)
