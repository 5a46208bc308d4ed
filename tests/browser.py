"""Chromium, driven through the WebDriver protocol of chromedriver: a page, its script, the mouse and the keys."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


class Browser:
    """A window; ``base`` is the address of its session."""

    def __init__(self, base: str) -> None:
        self.base = base

    def ask(self, method: str, path: str, data: Any = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.base + path, body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)["value"]

    def open(self, path: Path, width: int = 1000, height: int = 700) -> None:
        self.ask("POST", "/window/rect", {"width": width, "height": height})
        self.ask("POST", "/url", {"url": path.as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns in the page."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def point(self, selector: str, click: bool = False, nth: int = 0) -> None:
        """Move the mouse onto an element, where it is in the window, and perhaps click."""
        left, top = self.run(
            "const r = document.querySelectorAll(arguments[0])[arguments[1]].getBoundingClientRect();"
            " return [r.left + Math.min(9, r.width / 2), r.top + Math.min(9, r.height / 2)]", selector, nth,
        )  # fmt: skip
        steps: list[dict[str, Any]] = [{"type": "pointerMove", "duration": 0, "x": int(left), "y": int(top)}]
        if click:
            steps += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": steps}
        self.ask("POST", "/actions", {"actions": [mouse]})

    def press(self, keys: str) -> None:
        """Press keys one after the other, wherever the focus is."""
        steps = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": steps}]})

    def log(self, kind: str) -> list[Any]:
        """What has been written to the console (``browser``) or has happened (``performance``)."""
        return list(self.ask("POST", "/se/log", {"type": kind}))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("these tests need Chromium and chromedriver, as Debian's packages chromium and chromium-driver")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        subprocess.Popen([driver, f"--port={port}"], **quiet) as process,
    ):
        try:
            window = Browser(f"http://127.0.0.1:{port}")
            for _ in range(200):
                try:
                    window.ask("GET", "/status")
                    break
                except OSError:
                    time.sleep(0.05)
            options = {"binary": os.fspath(program), "args": [*FLAGS, f"--user-data-dir={profile}"]}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
            session = window.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
            window.base += f"/session/{session}"
            yield window
            window.ask("DELETE", "")
        finally:
            process.terminate()
