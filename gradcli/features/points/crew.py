"""Processes that answer pieces of a long stream of rows beside one another; what they answer is taken in order.

Why: to read and to write numbers takes longer than to compute with them, and threads would wait for the interpreter's lock.
A process is forked once the stream has turned out to be long, and so knows all that the first pieces have shown. What it
cannot answer, such as a bad row, or the first fraction among integers, is left to this process.
"""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, Generic, TypeVar

Piece = TypeVar("Piece")
Answer = TypeVar("Answer")

BEGINNING = 0.02
"""Seconds that this process works before it has others: of the first pieces it learns what they need to know."""

WORTH = 0.15
"""Seconds of work that must be left: processes take a few hundredths to start."""

LONG = 0.002
"""Seconds of work that a piece must have: it is sent, and its answer comes back."""

MOST_REFUSED = 4
"""Pieces in a row without an answer after which there are no others any more."""


class Crew(Generic[Piece, Answer]):
    """Those who answer pieces: this process at first, others as soon as it pays.

    ``work`` answers a piece in another process, or says None; ``take`` is given each piece and its answer, in order, or
    None where this process has to answer it. An answer depends on the piece and on what ``state`` gives. ``left`` says which
    part of the stream is not read yet, or None where nobody knows. With one ``number`` there are no others.
    """

    def __init__(
        self,
        number: int,
        work: Callable[[Piece], Answer | None],
        take: Callable[[Piece, Answer | None], None],
        state: Callable[[], object],
        left: Callable[[], float | None],
    ) -> None:
        self._number = number if number > 1 and "jax" not in sys.modules else 0  # whose threads a fork would break
        self._work = work
        self._take = take
        self._state = state
        self._left = left
        self._pieces = 0
        self._seconds = 0.0
        self._refused = 0
        self._known: object = None
        self._members: list[tuple[Any, Any]] = []
        self._jobs: deque[tuple[Piece, Any]] = deque()

    def __enter__(self) -> Crew[Piece, Answer]:
        return self

    def __exit__(self, *_: object) -> None:
        self._dismiss()

    def give(self, piece: Piece) -> None:
        """Have a piece answered, now or later."""
        if not self._members:
            start = perf_counter()
            self._take(piece, None)
            took = perf_counter() - start
            self._pieces += 1
            if self._number and self._pieces > 1:  # the first one is when everything is planned
                self._seconds += took
                if took > LONG and self._pays():
                    self._fork()
            return
        if len(self._jobs) == len(self._members):
            self._collect()
        if not self._members:  # what was collected has ended it
            self._take(piece, None)
            return
        busy = [end for _, end in self._jobs]
        end = next(end for _, end in self._members if end not in busy)
        try:
            end.send(piece)
        except OSError:  # it has been killed
            self._give_up()
            self._take(piece, None)
            return
        self._jobs.append((piece, end))

    def idle(self, source: int | None) -> None:
        """Take answers while there is nothing to read from a descriptor: who waits for them is not kept waiting."""
        while self._jobs:
            end = self._jobs[0][1]
            if len(self._jobs) < len(self._members) and not end.poll():
                if source is None:
                    return
                from multiprocessing.connection import wait

                if end not in wait([end, source]):
                    return
            self._collect()

    def rest(self) -> None:
        """Take all answers."""
        while self._jobs:
            self._collect()

    def _pays(self) -> bool:
        left = self._left()
        rest = self._seconds if left is None else self._seconds * left / max(1 - left, 1e-9)
        return self._seconds > BEGINNING and rest > WORTH

    def _fork(self) -> None:
        from gradcli.execute import processes

        if not processes.are_possible():
            self._number = 0
            return
        import multiprocessing

        context = multiprocessing.get_context("fork")
        self._known = self._state()
        try:
            for _ in range(self._number):
                end, other = context.Pipe()
                self._members.append((None, end))
                process = context.Process(target=self._serve, args=(other,), daemon=True)
                process.start()
                self._members[-1] = process, end
                other.close()
        except OSError:  # no more processes
            self._give_up()

    def _serve(self, end: Any) -> None:
        """What another process does until nobody has anything more for it."""
        signal.set_wakeup_fd(-1)  # it is the parent's, who would take signals of this process for its own
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for _, other in self._members:  # else nobody would see that the parent has gone
            other.close()
        with suppress(EOFError, OSError):
            while True:
                end.send(self._work(end.recv()))

    def _collect(self) -> None:
        """Take the oldest answer."""
        piece, end = self._jobs.popleft()
        try:
            answer = end.recv()
        except (EOFError, OSError):  # it has been killed
            self._jobs.appendleft((piece, end))
            self._give_up()
            return
        self._take(piece, answer)
        self._refused = self._refused + 1 if answer is None else 0
        if self._refused == MOST_REFUSED:
            self._give_up()
        elif answer is None and self._state() != self._known:  # the others do not know of it
            jobs = self._dismiss()
            self._seconds = 0.0
            for later in jobs:
                self._take(later, None)

    def _give_up(self) -> None:
        """Answer what is left here."""
        self._number = 0
        for piece in self._dismiss():
            self._take(piece, None)

    def _dismiss(self) -> Sequence[Piece]:
        """End the others; the pieces that they have not answered."""
        members, self._members = self._members, []
        left = [piece for piece, _ in self._jobs]
        self._jobs.clear()
        for process, end in members:
            end.close()
            if process is not None:
                process.terminate()
        for process, _ in members:
            if process is not None:
                process.join()
        return left
