"""How much memory there is, and the refusal of what would need more."""

from __future__ import annotations

import os

from gradcli.diagnostics import GradcliError

SMALL = 1 << 22
"""Bytes that are always available: the interpreter itself takes more."""


class Memory:
    """What reading files may take: ``limit`` bytes in all, or what is free when a file is begun.

    ``taken`` are the bytes of what is read and kept.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.taken = 0
        self._free: int | None = None

    def need(self, what: str, size: int) -> None:
        """Raise a LimitError where ``what``, which takes ``size`` bytes in all while it is read, does not fit."""
        if self.taken + size <= SMALL:
            return
        if self.limit is not None:
            if self.taken + size > self.limit:
                kept = f" beside {show_bytes(self.taken)} of other files" if self.taken else ""
                allowed = f"{kept}, --max-memory allows {show_bytes(self.limit)}"
                raise _too_much(what, size, allowed, "raise --max-memory, or read less")
            return
        if self._free is None:
            self._free = free_memory()
        if self._free is not None and size > self._free:
            raise _too_much(what, size, f", free are {show_bytes(self._free)}", "read less at once")

    def keep(self, size: int) -> None:
        """Note that what was read stays in memory: later files have less."""
        self.taken += size
        self._free = None


def _too_much(what: str, size: int, allowed: str, help: str) -> GradcliError:
    return GradcliError("LimitError", f"reading {what} takes {show_bytes(size)} of memory or more{allowed}", help=help)


def check_room(limit: int | None, what: str, size: int, help: str) -> None:
    """Raise a LimitError where ``what`` takes more bytes than a limit, or else than are free."""
    there = limit if limit is not None else free_memory()
    if there is not None and size > there:
        raise GradcliError("LimitError", f"{what} {show_bytes(size)}, and there are {show_bytes(there)}", help=help)


def show_bytes(count: int) -> str:
    """``3.5 MiB``."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024 or unit == "PiB":
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"
        size /= 1024
    raise AssertionError


def free_memory() -> int | None:
    """Bytes that can be allocated without swapping and within the process's own limit, where the system tells."""
    known = [n for n in (_free_of_system(), _free_of_process()) if n is not None]
    return min(known, default=None)


def _free_of_process() -> int | None:
    """What is left of the limit on address space (``ulimit -v``)."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return None
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[0])
        return max(limit - pages * resource.getpagesize(), 0)
    except (ImportError, OSError, ValueError):
        return None


def _free_of_system() -> int | None:
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
