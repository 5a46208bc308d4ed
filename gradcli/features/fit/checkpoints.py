"""Checkpoints of a run: a file from which it goes on to the same numbers, and only with the same program."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from gradcli.data import read_bytes, write_atomically, write_npz
from gradcli.data.reading import read_values
from gradcli.diagnostics import GradcliError
from gradcli.features.fit.objective import Objective
from gradcli.features.fit.training import State
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.creation import data_of

Array = Any

COMMENT = re.compile(r'("[^"\n]*")|[ \t]*#[^\n]*')
ROWS = 4096
"""Rows that the digest samples, evenly, from larger arrays, which may be larger than memory."""


def identity(objective: Objective, method: str) -> dict[str, Any]:
    """What must be the same for a run to go on: the program and its data, what is fitted, and how steps are made."""
    program = objective.program
    given = {name: value for name, value in program.settings.items() if name not in objective.variables}
    return {
        "program": COMMENT.sub(lambda found: found[1] or "", program.source.text),
        "minimized": objective.name,
        "fitted": objective.variables,
        "method": method,
        "data": list(objective.batches.arrays) if objective.batches else [],
        "batch": objective.batches.size if objective.batches else None,
        "random seed": program.random_seed,
        "dtype": program.graph.float_dtype,
        "values": {name: v if isinstance(v, str) else _digest(_content(v)) for name, v in given.items()},
        "files": _loaded(objective),
    }


def _loaded(objective: Objective) -> dict[str, list[str]]:
    """Digests of what the program loads, by the names of the files and the keys in them."""
    initial = objective.program.graph.initial
    below = cone([objective.y])
    given = [start for node in below if isinstance(start := initial.get(node), Node)]
    found: dict[str, list[str]] = {}
    for node in cone([*below, *given]):
        data = data_of(node)
        if data is not None and data.origin is not None:
            path, key, _ = data.origin
            found.setdefault(os.path.basename(path) + (f":{key}" if key else ""), []).append(_digest(_content(node)))
    return found


def _content(value: Any) -> Any:
    """The array of a setting or of a node: of one that processes share, what each has of it."""
    data = data_of(value)
    if data is None:
        return value
    from gradcli.data.shares import Rows

    return data if isinstance(data, Rows) else data.array


def save(path: str | os.PathLike[str], about: Mapping[str, Any], state: State) -> None:
    """Write a checkpoint, whole or not at all. Raises GradcliError (DataError)."""
    import numpy as np

    arrays = {f"values/{name}": value for name, value in state.values.items()}
    arrays |= {f"memory/{name}/{key}": a for name, memory in state.memory.items() for key, a in memory.items()}
    record = {"identity": about, "step": state.step, "loss": state.loss, "begun": state.begun, "arrays": sorted(arrays)}
    arrays["checkpoint"] = np.frombuffer(json.dumps(record).encode(), dtype=np.uint8)
    write_atomically(path, lambda file: write_npz(file, arrays.items()))


class Saver:
    """A checkpoint file, written at the start, every few steps, and at the end, if this process ``writes``."""

    def __init__(self, path: str, every: int, identity: dict[str, Any], writes: bool = True) -> None:
        self._path = path
        self._writes = writes
        self._every = every
        self._identity = identity
        self._saved: int | None = None

    def step(self, state: State) -> None:
        """Save the first state, and each whose step is a multiple."""
        if self._saved is None or state.step % self._every == 0:
            self.save(state)

    def save(self, state: State) -> None:
        """Raises GradcliError (DataError) where it cannot be written."""
        if self._saved != state.step:
            if self._writes:
                save(self._path, self._identity, state)
            self._saved = state.step


def resume(path: str | os.PathLike[str], about: Mapping[str, Any], objective: Objective) -> State:
    """The state in a checkpoint. Raises GradcliError: a DataError for another sort of file, or for a checkpoint of another program.

    Of several processes the first one reads it for all.
    """
    name = os.fspath(path)
    accelerator = objective.program.accelerator
    if accelerator is None or accelerator.cluster is None:
        content = read_bytes(path)
    else:
        content = accelerator.cluster.spoken(lambda: read_bytes(path))
    entries: dict[str, Array] = dict(read_values(content, name).entries)
    try:
        record = json.loads(bytes(entries.pop("checkpoint").astype("uint8")))
        before, step, loss, begun = record["identity"], int(record["step"]), record["loss"], record["begun"]
        if sorted(entries) != record["arrays"]:
            raise ValueError
        values: dict[str, Array] = {}
        memory: dict[str, dict[str, Array]] = {}
        for key, array in entries.items():
            sort, variable, *rest = key.split("/")
            if sort == "values":
                values[variable] = array
            else:
                memory.setdefault(variable, {})[rest[0]] = array
    except (KeyError, ValueError, TypeError, AttributeError, IndexError):
        raise GradcliError("DataError", f"{name} is not a checkpoint of `gradcli fit`") from None
    different = _difference(before, about)
    if different is not None:
        raise GradcliError("DataError", f"{name} is a checkpoint of another run: {different}")
    for variable, leaf in objective.leaves.items():
        for array in (values.get(variable), *memory.get(variable, {}).values()):
            if array is None or array.shape != leaf.shape or str(array.dtype) != leaf.dtype:
                raise GradcliError(
                    "DataError", f"{name} holds no {leaf.dtype} of shape {list(leaf.shape)} for `{variable}`"
                )
    return State(step, values, memory, loss, begun)


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first thing that differs, in words."""
    for key, value in now.items():
        old = before.get(key)
        if old == value:
            continue
        if key == "program":
            lines = zip_longest(str(old).split("\n"), value.split("\n"), fillvalue="")
            number, was, is_ = next((n, a, b) for n, (a, b) in enumerate(lines, 1) if a != b)
            return f"line {number} of the program was {_quoted(was)}, and is {_quoted(is_)}"
        if key in ("values", "files"):
            name = next(name for name in {**(old or {}), **value} if (old or {}).get(name) != value.get(name))
            return f"the value given for `{name}` is another one" if key == "values" else f"other data is in {name}"
        return f"{key} was {_plain(old)}, and is {_plain(value)}"
    return None


def _quoted(line: str) -> str:
    line = line.strip()
    return f"`{line if len(line) <= 60 else line[:59] + '…'}`" if line else "empty"


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "nothing"
    return "not given" if value is None else str(value)


def _digest(array: Any) -> str:
    """A short name for an array, or for rows that processes share: its dtype, shape, and a hash of its rows."""
    import numpy as np

    rows = array if array.ndim else array[None]
    chosen = np.arange(len(rows))
    if len(rows) > ROWS:
        chosen = np.unique(np.linspace(0, max(len(rows) - 1, 0), ROWS).astype(int))
    content = np.ascontiguousarray(rows[chosen] if isinstance(rows, np.ndarray) else rows.chosen(chosen)).tobytes()
    return f"{array.dtype}{list(array.shape)} {hashlib.blake2b(content, digest_size=16).hexdigest()}"
