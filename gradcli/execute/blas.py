"""The number of threads of NumPy's own BLAS, where that is OpenBLAS.

Why: a command starts with one, which makes NumPy's import quicker by a fifth, and takes more only for products that are
worth it; while tiles run on threads of their own it is one, because products that each start two threads wait for each
other. The setting is the process's: it is restored by the last one that leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock

from gradcli.tuples import NamedTuple

_lock = Lock()
_inside = 0
_home = 1


class _Control(NamedTuple):
    get: Callable[[], int]
    set: Callable[[int], None]


@cache
def _control() -> _Control | None:
    """The functions of the library that NumPy's wheels carry; None where it is another one."""
    import ctypes

    import numpy as np

    root = Path(np.__file__).parent
    for folder in (root.parent / "numpy.libs", root / ".dylibs"):
        for path in folder.glob("*openblas*") if folder.is_dir() else ():
            try:
                library = ctypes.CDLL(str(path))
                for prefix in ("scipy_openblas", "openblas"):
                    for suffix in ("64_", "_64_", ""):
                        getter = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
                        setter = getattr(library, f"{prefix}_set_num_threads{suffix}", None)
                        if getter is not None and setter is not None:
                            return _Control(getter, setter)
            except OSError:
                continue
    return None


def become_single_threaded() -> None:
    """BLAS on one thread from now on, in a process that has just been forked."""
    control = _control()
    if control is not None:
        control.set(1)


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """BLAS on so many threads meanwhile, if it can be told so; None leaves it as it is."""
    global _inside, _home
    control = _control() if count is not None else None
    if control is None or count is None:
        yield
        return
    with _lock:
        before = control.get()
        if not _inside:
            _home = before
        _inside += 1
        if before != count:
            control.set(count)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            control.set(before if _inside else _home)
