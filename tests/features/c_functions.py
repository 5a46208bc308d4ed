"""Written C files, compiled with all warnings as errors, as functions of Python."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CC = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
needs_cc = pytest.mark.skipif(CC is None, reason="there is no C compiler")
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Werror"]
TYPES = {
    "double": ctypes.c_double,
    "float": ctypes.c_float,
    "int64_t": ctypes.c_int64,
    "int32_t": ctypes.c_int32,
    "bool": ctypes.c_bool,
}
MEMBER = re.compile(r"    (\w+) (\w+)(?:\[(\d+)\])?;")
PARAMETER = re.compile(r"(?:const )?(\w+) (\w+)(?:\[(\d+)\])?")

Function = Callable[..., dict[str, Any]]


def compiled(texts: Sequence[str], folder: Path) -> list[Function]:
    """The function of each file; all are compiled as one, in which what several files define is defined once."""
    assert CC is not None
    first: dict[str, None] = {}
    rest: list[str] = []
    for k, text in enumerate(texts):
        comment, includes, *parts = text.rstrip("\n").split("\n\n")
        first |= dict.fromkeys(includes.splitlines())
        for part in parts:
            if part.startswith("static "):
                first[part] = None
            else:
                rest.append(re.sub(r"(?<!\w)(?<!\.)gradient\b", f"gradient{k}", part))
        rest.append(comment)
    path, library = folder / "functions.c", folder / "functions.so"
    path.write_text("\n".join([*first, *rest]) + "\n", encoding="utf-8")
    run(path, "-shared", "-fPIC", "-o", str(library), "-lm")
    loaded = ctypes.CDLL(str(library))
    return [_function(text, getattr(loaded, f"gradient{k}")) for k, text in enumerate(texts)]


def run(path: Path, *options: str) -> None:
    """Call the compiler, which has nothing to say."""
    done = subprocess.run([str(CC), *FLAGS, str(path), *options], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def _function(text: str, function: Any) -> Function:
    struct = text[text.index("struct gradient {") : text.index("\n};")]
    members = [(name, TYPES[kind], int(size or 0)) for kind, name, size in MEMBER.findall(struct)]
    fields = [(name, kind * size if size else kind) for name, kind, size in members]
    result = type("Result", (ctypes.Structure,), {"_fields_": fields})
    head = re.search(r"struct gradient gradient\((.*?)\)\n\{", text, re.DOTALL)
    assert head is not None
    parameters = [
        (name, TYPES[kind], int(size or 0)) for kind, name, size in PARAMETER.findall(head[1]) if kind != "void"
    ]
    function.restype = result
    function.argtypes = [ctypes.POINTER(kind) if size else kind for _, kind, size in parameters]

    def call(values: Mapping[str, Any]) -> dict[str, Any]:
        given = []
        for name, kind, size in parameters:
            value = np.ravel(values[name]).tolist()
            assert len(value) == (size or 1)
            given.append((kind * size)(*value) if size else value[0])
        found = function(*given)
        return {name: np.array(getattr(found, name), kind) for name, kind, _ in members}

    call.names = [name for name, _, _ in parameters]  # type: ignore[attr-defined]
    return call
