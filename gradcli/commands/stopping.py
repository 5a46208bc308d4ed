"""Ctrl-C, SIGTERM and SIGHUP end the process within a second, in whatever it is, and leave no half-written file."""

from __future__ import annotations

import os
import signal
import sys
from time import sleep
from types import FrameType
from typing import Any

GRACE = 0.6
"""Seconds in which what is open is closed in order; after that the process ends as it is."""

received: signal.Signals | None = None
tolerated = 0
"""How many times more Ctrl-C or SIGTERM asks only for the end of a step."""


def listen() -> None:
    """Raise KeyboardInterrupt where a signal arrives, and end the process where that is not heard.

    Python hears a signal between two of its own instructions. One operation on large arrays is such an instruction, and
    to free a large graph is another one: a thread sees to it that they do not keep a user waiting.
    """
    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is for a job in the background
            signal.signal(number, _interrupt)
    sys.unraisablehook = _unraisable
    if os.name != "posix":
        return
    import _thread

    hear, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    _thread.start_new_thread(_watch, (hear,))


def settle() -> None:
    """Wait until the thread has heard the signal that was tolerated: later it would take it for one that is not."""
    for _ in range(100):
        if not tolerated:
            return
        sleep(0.005)


def status() -> int:
    """The exit status of a process that a signal ended."""
    return 128 + (received or signal.SIGINT)


def _interrupt(number: int, _: FrameType | None) -> None:
    global received
    received = signal.Signals(number)
    raise KeyboardInterrupt


def _unraisable(unraisable: Any) -> None:
    """Say nothing of a signal that came in a callback or destructor, whose errors Python only prints; _watch heard it too."""
    if received is None or not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)


def _watch(hear: int) -> None:
    global tolerated
    while number := os.read(hear, 1):
        if number[0] in (signal.SIGINT, signal.SIGTERM) and tolerated > 0:
            tolerated -= 1
        elif number[0] in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)):
            sleep(GRACE)
            files = sys.modules.get("gradcli.data.files")
            if files is not None:
                files.remove_unfinished()
            os._exit(128 + number[0])
