"""Processes on one host or many that compute one program together: how they join, tell one another, and end together."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import IO, Any, NoReturn

from gradcli.diagnostics import GradcliError
from gradcli.execute import accelerator
from gradcli.tuples import NamedTuple

Array = Any

JOINING = 45
"""Seconds that a process waits for the others at the start; JAX takes up to 15 more."""

SILENT = 30
"""Seconds after which a process that is not heard of is lost."""

WAITING = 20
"""Seconds that a process which failed waits for the others to hear of it."""

ROOM = 8
"""Numbers that processes tell one another at once."""

PLACE = r"(?P<address>\[[0-9A-Fa-f:]+\]|[^\s:,]+):(?P<port>\d{1,5}),(?P<count>\d{1,6}),(?P<index>\d{1,6})"

STATUS = r"[A-Z_]{5,}: "
"""What begins the message of an error that comes from below JAX."""


class Place(NamedTuple):
    """Which process this is: the address of process 0, how many there are, and its number; JAX finds out what is None."""

    address: str | None = None
    processes: int | None = None
    number: int | None = None


def place_of(text: str) -> Place:
    """What ``auto`` or ``HOST:PORT,N,I`` says. Raises ValueError, which says what is wrong with it."""
    if text == "auto":
        return Place()
    found = re.fullmatch(PLACE, text)
    if found is None:
        raise ValueError(
            f"{text!r} is not auto or HOST:PORT,N,I: the address of process 0, how many there are, which this is"
        )
    count, index, port = int(found["count"]), int(found["index"]), int(found["port"])
    if not 0 < port < 1 << 16:
        raise ValueError(f"there is no port {port}")
    if not count:
        raise ValueError("there is at least one process")
    if index >= count:
        last = f"from 0 to {count - 1}" if count > 1 else "0"
        raise ValueError(f"the number of a process of {count} is {last}, not {index}")
    return Place(f"{found['address']}:{port}", count, index)


class Cluster:
    """The processes, of which this is number ``index`` of ``count``; number 0 speaks for all.

    Whatever they tell one another, all of them must at the same places of the same run. One that fails says so instead,
    and the others end where they hear it.
    """

    def __init__(self, index: int, count: int) -> None:
        self.index = index
        self.count = count
        self.devices = count
        self.kept: dict[Any, Any] = {}
        """What was read in parts, by where it was read from."""

    @property
    def speaks(self) -> bool:
        """Whether this process prints and writes for all."""
        return self.index == 0

    def told(self, *numbers: int) -> list[list[int]]:
        """Some numbers of each process. Raises SystemExit where another one failed."""
        found = self._gathered([0, *numbers])
        if any([row[0] for row in found]):
            raise SystemExit(1)
        return [row[1 : 1 + len(numbers)] for row in found]

    def first_that_fails(self) -> int:
        """Tell the others that this process failed: the number of the first one that did."""
        found = self._gathered([1])
        return next(i for i, row in enumerate(found) if row[0])

    def added(self, own: Array) -> Array:
        """The sum of an array of bytes of each process; where one has something, the others have 0."""
        self.told(own.size)
        return accelerator.gathered(own).reshape(self.count, *own.shape).sum(axis=0, dtype=own.dtype)

    def spoken(self, say: Callable[[], bytes]) -> bytes:
        """What process 0 says, to all."""
        import numpy as np

        own = say() if self.speaks else b""
        ((size, *_), *_) = self.told(len(own))
        whole = np.zeros(size, np.uint8)
        if self.speaks:
            whole[:] = np.frombuffer(own, np.uint8)
        content: bytes = self.added(whole).tobytes()
        return content

    def _gathered(self, numbers: list[int]) -> list[list[int]]:
        import numpy as np

        own = np.array([*numbers, *[0] * (ROOM - len(numbers))], np.int64)
        found: list[list[int]] = np.reshape(accelerator.gathered(own), (self.count, ROOM)).tolist()
        return found


@contextmanager
def joined(place: Place, device: str | None = None) -> Iterator[Cluster]:
    """Join the others, and end with them: who fails in between is heard of by all, and one of them says why.

    Meanwhile what is written to the descriptors 1 and 2 by others than Python, such as JAX's log, is kept from its
    reader. Raises GradcliError where there is no cluster or the others do not come, and SystemExit where another one fails.
    """
    jax = accelerator.imported()
    if place.address is not None and place.number == 0:
        _check_port(place.address)
    with _alone() as log:
        said = "the other processes did not come within a minute"
        who = f" to {place.address}" if place.address is not None else ""

        def lost() -> NoReturn:
            reason = _reason(log)
            _end(f"error: {said}{who}{reason and f' ({reason})'}\n")

        _when_aborted(lost)
        try:
            accelerator.join(place.address, place.processes, place.number, JOINING, SILENT)
        except Exception as problem:  # noqa: BLE001  whatever it is that JAX raises
            raise _not_joined(place, str(problem)) from None
        cluster = Cluster(jax.process_index(), jax.process_count())
        said = f"another process was lost, so number {cluster.index} of {cluster.count} ends; --resume goes on from a checkpoint"
        who = ""
        try:
            cluster.devices = len(accelerator.Accelerator(device, cluster=cluster).found())
            yield cluster
            cluster.told()
            accelerator.leave()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as problem:
            if isinstance(problem, (jax.errors.JaxRuntimeError, ValueError)) and re.match(STATUS, str(problem)):
                if "RESOURCE_EXHAUSTED" in str(problem):
                    _end(f"error: process {cluster.index} has not enough memory on its device\n")
                lost()
            late = Timer(WAITING, _end, [f"error: {problem}\n"])
            late.daemon = True
            late.start()
            first = cluster.first_that_fails()
            late.cancel()
            if first != cluster.index:
                raise SystemExit(1) from None
            raise


def _not_joined(place: Place, problem: str) -> GradcliError:
    first = problem.strip().split("\n")[0]
    if place.address is None and "should be defined" in problem or "must be defined" in problem:
        return GradcliError(
            "ValueError", "`--cluster auto` finds no cluster here: neither SLURM, Open MPI, Kubernetes nor TPUs",
            help="`--cluster HOST:PORT,N,I` says it: the address of process 0, how many there are, which one this is",
        )  # fmt: skip
    return GradcliError("ValueError", f"the processes cannot join: {first}")


def _check_port(address: str) -> None:
    """Raise a GradcliError where process 0 cannot listen on its port, of which JAX may die."""
    import socket

    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        socket.create_server(("", int(address.rpartition(":")[2])), family=family, dualstack_ipv6=both).close()
    except OSError as problem:
        raise GradcliError(
            "ValueError", f"process 0 cannot listen on {address}: {os.strerror(problem.errno or 0).lower()}",
            help="take another port, the same for all processes",
        ) from None  # fmt: skip


def _end(message: str) -> NoReturn:
    """Say why, and be gone: an end in order would wait for the others, of which one is lost."""
    try:
        sys.stderr.write(message)
        sys.stderr.flush()
    except (OSError, ValueError):
        pass
    files = sys.modules.get("gradcli.data.files")
    if files is not None:
        files.remove_unfinished()
    os._exit(1)


@contextmanager
def _alone() -> Iterator[IO[bytes] | None]:
    """Let Python's streams alone write to descriptors 1 and 2: the file into which everybody else writes now."""
    if os.environ.get("GRADCLI_DEBUG") == "1":
        yield None
        return
    import tempfile

    with tempfile.TemporaryFile() as log:
        before: list[tuple[int, str, Any]] = []
        for number, name in ((1, "stdout"), (2, "stderr")):
            stream = getattr(sys, name)
            try:
                if stream is None or stream.fileno() != number:
                    continue
                stream.flush()
            except (OSError, ValueError):
                continue
            own = os.fdopen(os.dup(number), "w", encoding=stream.encoding, errors=stream.errors, buffering=1)
            os.dup2(log.fileno(), number)
            before.append((number, name, stream))
            setattr(sys, name, own)
        try:
            yield log
        finally:
            for number, name, stream in before:
                own = getattr(sys, name)
                try:
                    own.flush()
                except OSError:
                    pass
                os.dup2(own.fileno(), number)
                setattr(sys, name, stream)


def _reason(log: IO[bytes] | None) -> str:
    """What JAX's log says last of an error."""
    if log is None:
        return ""
    try:
        log.seek(0)
        text = log.read().decode(errors="replace")
    except (OSError, ValueError):
        return ""
    found = re.findall(r"(?:absl::Status: |propagate the following error to all tasks: )([^\n]*)", text)
    return found[-1].split(". ")[0].strip() if found else ""


_handlers: list[Any] = []
"""What C calls, as long as the process lives."""


def _when_aborted(then: Callable[[], NoReturn]) -> None:
    """Call this where JAX aborts the process, as it does when another one is lost.

    JAX raises nothing there, and Python hears of no signal that ends a process.
    """
    if os.name != "posix":
        return
    import ctypes

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda _: then())
    _handlers.append(handler)
    set_handler = ctypes.CDLL(None).signal
    set_handler.restype = ctypes.c_void_p
    set_handler.argtypes = [ctypes.c_int, ctypes.c_void_p]
    set_handler(signal.SIGABRT, ctypes.cast(handler, ctypes.c_void_p))
