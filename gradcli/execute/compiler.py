"""C that is compiled and loaded: the compiler of the system, and a cache of what it has made.

A compiled file is named by its text, the compiler, its flags and the processor, and ends with a digest of what is before
it: one that is broken, or belongs to somebody else, is compiled again. It is written beside its place and renamed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.execute.profile import Figures

FLAGS = (
    "-O3", "-march=native", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fwrapv",
    "-fno-strict-aliasing", "-fopenmp-simd",
    "-fno-builtin-sin", "-fno-builtin-cos", "-fno-builtin-sinf", "-fno-builtin-cosf", "-fPIC", "-shared", "-w",
)  # fmt: skip
"""None of them changes a value: no -ffast-math. What they leave out is errno and the flags of the processor."""

PLAIN = ("-O2", "-std=gnu11", "-ffp-contract=off", "-fwrapv", "-fPIC", "-shared", "-w")
"""For a compiler that does not know the others."""

MOST_FILES = 500
"""Compiled files that are kept; of more the oldest go."""

DIGEST = hashlib.sha256().digest_size


class Native(NamedTuple):
    """That values are computed by C, on one device as :class:`gradcli.execute.accelerator.Accelerator` has them.

    ``heard`` is told what was compiled to answer a question, and the seconds that it ran.
    """

    heard: Callable[[Figures, float], None] | None = None
    devices: int = 1
    cluster: None = None

    @property
    def backend(self) -> str:
        return "native"

    def found(self) -> list[str]:
        """The compiler. Raises GradcliError where there is none."""
        return compiler()


@cache
def compiler() -> list[str]:
    """The command of the C compiler: what CC says, or else cc, gcc or clang. Raises GradcliError where there is none."""
    asked = os.environ.get("CC", "").strip()
    try:
        command = shlex.split(asked)
    except ValueError:
        command = [asked]
    for words in [command] if command else [["cc"], ["gcc"], ["clang"]]:
        path = shutil.which(words[0])
        if path is not None:
            return [path, *words[1:]]
    what = f"CC is {asked}, which is not there" if command else "there is none here: install gcc or clang"
    raise GradcliError("ValueError", f"`--backend native` needs a C compiler, and {what}")


def _identity(command: Sequence[str]) -> str:
    """What tells compilers and processors apart."""
    real = os.path.realpath(command[0])
    with suppress(OSError):
        found = os.stat(real)
        real = f"{real} {found.st_size} {found.st_mtime_ns}"
    return " ".join([real, *command[1:], platform.machine(), _processor()])


@cache
def _processor() -> str:
    """The processor's name and abilities, as far as the system says."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        kept = ("model name", "flags", "Features", "CPU part", "cpu")
        found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        return " ".join([found.get(key, "") for key in kept])
    return platform.processor()


def folder() -> Path | None:
    """The folder of compiled files, made if need be; None where there is none that is this user's alone."""
    place = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "gradcli", "native")
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place if _is_own(place) and os.access(place, os.W_OK) else None
    except OSError:
        return None


def _is_own(path: Path) -> bool:
    """Whether nobody else can have written it."""
    found = path.stat()
    mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return mine and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


class Built(NamedTuple):
    """A library that is loaded, and the seconds that compiling took: 0 where it was there."""

    library: Any
    seconds: float


def built(source: str) -> Built:
    """The library of a C text. Raises GradcliError where there is no compiler, or it refuses the text."""
    command = compiler()
    name = hashlib.sha256("\0".join([source, _identity(command), *FLAGS]).encode()).hexdigest()[:40] + ".so"
    place = folder()
    if place is not None and (found := _loaded(place / name)) is not None:
        return Built(found, 0.0)
    start = perf_counter()
    with tempfile.TemporaryDirectory(dir=place, prefix="making-") as own:
        made = Path(own, name)
        _compile(command, source, Path(own), made)
        with open(made, "rb") as file:
            digest = hashlib.sha256(file.read()).digest()
        with open(made, "ab") as file:
            file.write(digest)
        library = _loaded(made)
        if library is None:
            raise GradcliError("ValueError", f"what the C compiler {command[0]} makes cannot be loaded")
        if place is not None:
            with suppress(OSError):  # a full disk: it is loaded all the same
                os.replace(made, place / name)
                _tidy(place)
    return Built(library, perf_counter() - start)


def _compile(command: Sequence[str], source: str, own: Path, made: Path) -> None:
    """Compile a text to a library."""
    text = own / "plan.c"
    text.write_text(source, encoding="utf-8")
    said = ""
    for flags in (FLAGS, PLAIN):
        try:
            done = subprocess.run(
                [*command, *flags, "-o", str(made), str(text), "-lm"],
                stdin=subprocess.DEVNULL, capture_output=True, check=False,
            )  # fmt: skip
        except OSError as problem:
            raise GradcliError("ValueError", f"the C compiler {command[0]} cannot be run: {problem.strerror}") from None
        if done.returncode == 0 and made.exists():
            return
        said = said or done.stderr.decode(errors="replace").strip()
    line = next((line for line in said.splitlines() if "error" in line), said.splitlines()[0] if said else "")
    raise GradcliError(
        "ValueError",
        f"the C compiler {command[0]} fails" + f": {line[:200]}" * bool(line),
        help="`--backend numpy` needs none",
    )


def _loaded(path: Path) -> Any:
    """The library of a file that is whole and this user's, else None."""
    import ctypes

    try:
        content = path.read_bytes()
        if len(content) <= DIGEST or not _is_own(path):
            return None
        if hashlib.sha256(content[:-DIGEST]).digest() != content[-DIGEST:]:
            return None
        return ctypes.CDLL(str(path))
    except OSError:
        return None


def _tidy(place: Path) -> None:
    """Remove the oldest files of too many."""
    files = sorted(place.glob("*.so"), key=lambda path: path.stat().st_mtime)
    for path in files[:-MOST_FILES]:
        path.unlink(missing_ok=True)
