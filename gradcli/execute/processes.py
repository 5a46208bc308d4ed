"""Worker processes for a loop that runs again and again: their own interpreters, shared memory, a byte to start.

Why: the steps of a small network take a few microseconds each, and two threads of one interpreter that take turns at its
lock gain nothing. Forked workers inherit the loop as it is; at each run the values that it reads are copied to them, and
what they add up comes back, so that only loops with little to read and write have them, and only where the caller asks
(``compile(…, processes=True)``): a library must not fork unasked. Results are those of as many threads, to the last bit.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from gradcli.execute import blas
from gradcli.execute.layout import aligned
from gradcli.execute.sizes import bytes_of
from gradcli.graph.node import Node

if TYPE_CHECKING:
    from gradcli.execute.loop import Loop
    from gradcli.execute.worker import Key, Worker

Array = Any

START, DONE, FAILED, END = b"s", b"d", b"f", b"e"


def shared_bytes(loop: Loop) -> int:
    """The bytes that processes would share for a loop."""
    outside = sum([aligned(bytes_of(node)) for node, _ in [*loop.reads, *loop.writes]])
    return outside + loop.threads * sum([aligned(bytes_of(node)) for node, axis in loop.writes if axis is None])


def are_possible() -> bool:
    """Whether this system forks safely: elsewhere than on Linux, system libraries do not expect it."""
    return sys.platform == "linux"


class Team:
    """All workers of a loop but the first, which is the calling thread's own."""

    def __init__(self, loop: Loop) -> None:
        import mmap

        import numpy as np

        self._lock = Lock()
        self._owner = os.getpid()
        memory = np.frombuffer(mmap.mmap(-1, max(shared_bytes(loop), 1)), np.uint8)
        self._at = 0

        def array(node: Node) -> Array:
            start, self._at = self._at, self._at + aligned(bytes_of(node))
            return memory[start : start + bytes_of(node)].view(node.dtype).reshape(node.shape)

        self._reads: dict[Key, Array] = {}
        of_node: dict[Node, Array] = {}
        for node, axis in loop.reads:
            if node not in of_node:
                of_node[node] = array(node)
            self._reads[node, axis] = of_node[node]
        self._writes: dict[Key, Array] = {key: array(key[0]) for key in loop.writes if key[1] is not None}
        self._parts = [[array(node) for node in loop.accumulated] for _ in range(loop.threads)]
        self._members = [self._fork(loop, k) for k in range(1, loop.threads)]
        weakref.finalize(self, _dismiss, self._owner, self._members)

    def _fork(self, loop: Loop, k: int) -> tuple[int, int, int]:
        """A worker: its process, and the ends of pipes to tell it something and to hear from it."""
        hear, tell = os.pipe()
        listen, say = os.pipe()
        process = os.fork()
        if process:
            os.close(hear)
            os.close(say)
            return process, tell, listen
        try:
            os.close(tell)
            os.close(listen)
            self._serve(loop, k, hear, say)
        finally:
            os._exit(0)

    def _serve(self, loop: Loop, k: int, hear: int, say: int) -> None:
        """What a worker does until it is told to end, or nobody is left who could tell."""
        import signal

        signal.set_wakeup_fd(-1)  # it is the caller's, who would take signals of this process for his own
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        blas.become_single_threaded()
        worker = loop.new_worker()
        given = {**self._reads, **self._writes}
        while os.read(hear, 1) == START:
            try:
                worker.run(given, loop.tiles_of(k, loop.threads), None)
                for shared, part in zip(self._parts[k], worker.parts, strict=True):
                    shared[...] = part
                answer = DONE
            except Exception:  # noqa: BLE001  the caller does the same again, and sees it there
                answer = FAILED
            worker.rest()
            os.write(say, answer)

    def run(self, loop: Loop, own: Worker, given: Mapping[Key, Array]) -> list[Sequence[Array]] | None:
        """Run all workers; the parts that each has added up, or None where this team cannot.

        ``given`` holds what is read and, for what is written, the arrays of the caller, which are filled. Raises Failure.
        """
        if os.getpid() != self._owner or not self._lock.acquire(blocking=False):
            return None
        try:
            for key, shared in self._reads.items():
                shared[...] = given[key]
            for _, tell, _ in self._members:
                os.write(tell, START)
            try:
                own.run(given, loop.tiles_of(0, loop.threads), None)
            finally:
                answers = [os.read(listen, 1) for _, _, listen in self._members]
            if any([answer != DONE for answer in answers]):
                return None
            for (node, axis), shared in self._writes.items():
                assert axis is not None
                first = loop.tiles_of(1, loop.threads).start * loop.rows
                part = (slice(None),) * axis + (slice(first, None),)
                given[node, axis][part] = shared[part]
            return [own.parts, *self._parts[1:]]
        except OSError:  # a worker has been killed
            return None
        finally:
            self._lock.release()


def _dismiss(owner: int, members: Sequence[tuple[int, int, int]]) -> None:
    """Tell workers to end, and wait for it; in a copy of the process that owns them there is nothing to do."""
    if os.getpid() != owner:
        return
    for process, tell, listen in members:
        with suppress(OSError):
            os.write(tell, END)
        for end in (tell, listen):
            with suppress(OSError):
                os.close(end)
        with suppress(ChildProcessError):
            os.waitpid(process, 0)
