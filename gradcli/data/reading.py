"""The two things that files give: one array, or named values."""

from __future__ import annotations

import io
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcli.data.arrays import mapped_npy, parse_npy, parse_npz, standard
from gradcli.data.commas import Missing, csv_rows, parse_csv, place_in_csv
from gradcli.data.documents import array_of, cost, is_record, json_value, parse_json
from gradcli.data.files import CHUNK, TABLES, Content, decode, fail
from gradcli.data.memory import Memory
from gradcli.diagnostics import GradcliError, did_you_mean, listed
from gradcli.graph.types import check_shape

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

MOST_NAMES = 20
"""Of more names only the first ones are listed in a message."""

ARRAY_ENDINGS = (".npy", ".npz", ".csv", ".json", *TABLES)


@dataclass(frozen=True, slots=True)
class Values:
    """Named values of a file: arrays, or expressions in the language where a text file has no literal.

    ``reply`` says that they are gradcli's own answer, which may hold names that nobody asked for, ``gradients`` that
    they are those of the names.
    """

    entries: dict[str, Array | str] = field(default_factory=dict)
    reply: bool = False
    gradients: bool = False


def read_array(
    path: str | os.PathLike[str],
    key: str | None = None,
    *,
    pipes: bool = True,
    choose: Callable[[str], str] | None = None,
    memory: Memory | None = None,
    missing: Missing | None = None,
) -> Array:
    """An array from an ``.npy``, ``.npz``, ``.csv`` or ``.json`` file, or from one of these compressed: ``.csv.gz``; or from a table in Parquet or Arrow, with pyarrow.

    A CSV file gives a float64 array that is 2-dimensional, rows first, like ``numpy.loadtxt(..., ndmin=2)``; a first
    row that is not numbers is a header. ``key`` names one array of an ``.npz`` file or of a JSON mapping, and may be
    left out if there is only one; of a CSV file it names columns (see :func:`gradcli.data.commas.parse_csv`), and ``missing`` is what becomes of gaps. A large
    ``.npy`` file is mapped into memory where it can be: what is read of it is what is used. The dtype is one of the five of the language. Devices are never read, FIFOs only
    with ``pipes``. ``choose`` spells how a key is given, for the message where one is missing (by default FILE:KEY).
    Raises GradcliError that names the file: a DataError, or a LimitError where ``memory`` (by default what is free) does
    not do, before that is full.
    """
    path = Path(path)
    compressed = path.suffix.lower() == ".gz"
    ending = Path(path.stem if compressed else path.name).suffix.lower()
    if ending not in ARRAY_ENDINGS:
        fail(f"cannot tell what sort of file {path} is", f"arrays are read from {listed(ARRAY_ENDINGS)} files")
    if key is not None and ending == ".npy":
        fail(f"{path} holds one array, so there is no {key!r} in it")
    name = str(path)
    memory = memory or Memory()
    if ending in TABLES:
        if compressed:
            fail(f"{path} is compressed twice", "such files are compressed in themselves: use gunzip first")
        from gradcli.data.arrow import read_table

        return read_table(path, memory, key, missing)
    if missing is not None and ending != ".csv":
        fail(f"{path} is not a table, and only in those gaps are marked", "leave `missing` out")
    if ending == ".npy" and not compressed and (mapped := mapped_npy(path)) is not None:
        return mapped
    content = Content(path, memory, pipes=pipes)
    with content.opened() as stream:
        if not stream.read(1):
            fail(f"{name} is empty")
    if ending == ".npy":
        with content.opened() as stream:
            return parse_npy(stream, content.size(), name, memory)
    if ending == ".npz":
        with content.opened() as stream:
            file = io.BytesIO(content.read()) if compressed else stream
            arrays = parse_npz(file, name, memory, lambda names: [_chosen(names, name, key, choose)])
        return next(iter(arrays.values()))
    if ending == ".csv":
        _check_size(content, key is None)
        return parse_csv(content.lines, name, memory, key, missing)
    text = decode(content.read(cost), name)
    return _array_of_document(parse_json(text, name), name, key, choose)


def _check_size(content: Content, whole: bool) -> None:
    """Raise a LimitError for a CSV file whose numbers do not fit, which takes a tenth of the time of reading them.

    Where only some columns are read, at least one number a row is sure.
    """
    size = row = 0
    with content.opened() as stream:
        while data := stream.read(CHUNK):
            size += 8 * data.count(b"\n")
            if whole:
                size += 8 * data.count(b",")
            cut = data.rfind(b"\n")
            row = row + len(data) if cut < 0 else len(data) - cut
            content.memory.need(content.name, size + 4 * row)


def place_in_file(path: str, key: str | None, place: Sequence[int]) -> str | None:
    """Where an entry of what :func:`read_array` gives stands, as ``column `b` of d.csv, line 3``; None but for CSV files.

    The file is read anew, which is rarely needed; None too where that is no longer possible.
    """
    if not path.lower().removesuffix(".gz").endswith(".csv"):
        return None
    try:
        lines = Content(path, Memory(), pipes=False).lines
        row, column = (*place, 0)[:2]
        return place_in_csv(lines, os.path.basename(path), key, row, column)
    except (GradcliError, IndexError, ValueError, StopIteration):  # it is another file by now
        return None


def read_values(data: bytes, name: str, memory: Memory | None = None) -> Values:
    """Named values from the contents of a file that messages call ``name``.

    Understood are ``.npz``, a JSON mapping from names to values, gradcli's own replies in JSON, NDJSON or CSV, and lines
    ``name = literal``. Entries that are null, None or not connected are left out.
    """
    if data.startswith(b"PK"):
        entries = parse_npz(io.BytesIO(data), name, memory or Memory())
        # Only gradcli's replies have names such as `p/error` and `fit/converged`.
        return Values(dict(entries), reply=any(["/" in key for key in entries]))
    if data.startswith(b"\x93NUMPY"):
        fail(f"{name} holds one array without a name", f"give it a name: --set 'NAME=@{name}'")
    text = decode(data, name)
    if not text.strip():
        fail(f"{name} is empty", "write a line such as 'x = [1, 2]', or a JSON object {\"x\": [1, 2]}")
    if not text.lstrip().startswith(("{", "[")):
        if re.match(r"name,index,value(,\w+)*\r?\n", text):
            return Values(_rows(text, name), reply=True)
        _refuse_tables(text, name)
        return Values(_lines(text, name))
    records = _json_lines(text)
    if records is not None:
        gradients = any("connected" in r for r in records)
        return Values(_records({str(r["name"]): r for r in records}, name), reply=True, gradients=gradients)
    document = parse_json(text, name)
    if not isinstance(document, dict):
        fail(f"{name} holds a list, not named values", 'write a JSON object: {"x": [1, 2]}')
    return _from_document(document, name)


def _json_lines(text: str) -> list[dict[str, Any]] | None:
    """The records of an NDJSON reply, or None if it is something else."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines[0].startswith('{"name": '):
        return None
    try:
        records = [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        return None
    return records if all(isinstance(r, dict) and {"name", "value"} <= r.keys() for r in records) else None


def _from_document(document: dict[str, Any], name: str) -> Values:
    """A reply of ``eval``, ``grad`` or ``jvp``, or a plain mapping."""
    command = document.get("command")
    if isinstance(command, str) and "file" in document:
        if "orders" in document:
            fail(f"{name} holds the gradients of several orders", "leave out --every-order")
        for key in ("values", "gradients", "tangents"):
            if isinstance(document.get(key), dict):
                return Values(_records(document[key], name), reply=True, gradients=key == "gradients")
        fail(f"{name} is a reply of 'gradcli {command}', which has no values by name", "use one of eval, grad or jvp")
    return Values(_records(document, name))


def _records(mapping: Mapping[str, Any], name: str) -> dict[str, Array | str]:
    values = {key: json_value(entry, f"{key} of {name}") for key, entry in mapping.items()}
    return {key: value for key, value in values.items() if value is not None}


def _rows(text: str, name: str) -> dict[str, Array | str]:
    """Rows ``name,index,value`` as the csv format has them; what an error stands beside is left out."""
    import numpy as np

    found: dict[str, dict[tuple[int, ...], str]] = {}
    for number, _, fields, _ in islice(csv_rows(text, name), 1, None):
        if len(fields) > 2 and not fields[2]:
            continue  # None
        try:
            key, index, token = fields[:3]
            place = tuple([int(i) for i in index.split(";")]) if index else ()
            if place in found.setdefault(key, {}):
                fail(f"{name}, line {number}: this entry of {key} is given twice")
            found[key][place] = token
        except ValueError:
            fail(f"{name}, line {number}: {','.join(fields)[:40]!r} is not of the form name,index,value")
    values: dict[str, Array | str] = {}
    for key, entries in found.items():
        places = list(entries)
        shape = (
            tuple([1 + max(along) for along in zip(*places, strict=True)]) if len(set(map(len, places))) == 1 else ()
        )
        if len(entries) != math.prod(shape) or any(min(place, default=0) < 0 for place in places):
            fail(f"{name} does not have each entry of {key} once")
        tokens = [entries[place] for place in np.ndindex(shape)]
        try:
            numbers = [json.loads(re.sub(r"\b(nan|inf)\b", lambda word: WORDS[word[0]], token)) for token in tokens]
        except ValueError:
            numbers = []
        if not numbers or not all(type(number) in (int, float, bool) for number in numbers):
            fail(f"{name} has entries of {key} that are not numbers")
        values[key] = standard(array_of(numbers, f"{key} of {name}"), f"{key} of {name}").reshape(shape)
    return values


def _refuse_tables(text: str, name: str) -> None:
    """Two formats are for spreadsheets and for people: values by name are not read from them."""
    lines = [line.strip() for line in text.splitlines() if line.strip()][:2]
    sort = None
    if re.fullmatch(r"\w+(,\w+)+", lines[0]):
        sort = "CSV"
    elif any(
        line.startswith(("╭", "┌", "+--")) or line.split() == ["name", "shape", "dtype", "value"] for line in lines
    ):
        sort = "a table"
    if sort:
        fail(f"{name} is {sort}, from which values by name are not read", "write it with --format json or plain")


LINE = re.compile(r"\s*([^\W\d]\w*)\s*=(?!=)\s*(.*?)\s*$", re.DOTALL)
EMPTY = re.compile(r"zeros\(\[((?:\d{1,18}, )*\d{1,18})\]\)$")
# What the language calls nan and inf, JSON as Python reads it calls NaN and Infinity.
WORDS = {"nan": "NaN", "inf": "Infinity"}


def _lines(text: str, name: str) -> dict[str, Array | str]:
    """Lines ``name = literal`` as the plain format has them; anything but a literal is left to the language."""
    import numpy as np

    values: dict[str, Array | str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.match(line)
        if match is None or not match[2]:
            fail(f"{name}, line {number}: {line.strip()[:40]!r} is not of the form name = value")
        key, right = match.groups()
        if key in values:
            fail(f"{name}, line {number}: {key} is given twice")
        if right == "None":
            continue
        empty = EMPTY.match(right)
        if empty and 0 in (sizes := tuple([int(size) for size in empty[1].split(", ")])):
            try:
                check_shape(sizes)
            except GradcliError as problem:
                fail(f"{name}, line {number}: {problem.message}")
            values[key] = np.zeros(sizes)
            continue
        try:
            entry = json.loads(re.sub(r"\b(nan|inf)\b", lambda word: WORDS[word[0]], right))
        except (ValueError, RecursionError):
            entry = None
        values[key] = standard(array_of(entry, f"{key} of {name}"), f"{key} of {name}") if entry is not None else right
    return values


def _array_of_document(document: Any, name: str, key: str | None, choose: Callable[[str], str] | None) -> Array:
    if isinstance(document, dict) and not is_record(document):
        values = _from_document(document, name).entries
        chosen: Array = _one_of(values, name, key, choose)
        return chosen
    if key is not None:
        fail(f"{name} holds one array, so there is no {key!r} in it")
    array = json_value(document, name)
    if array is None:
        fail(f"{name} holds null, which has no value")
    return array


def _one_of(arrays: Mapping[str, Any], name: str, key: str | None, choose: Callable[[str], str] | None) -> Any:
    return arrays[_chosen(arrays, name, key, choose)]


def _chosen(labels: Iterable[str], name: str, key: str | None, choose: Callable[[str], str] | None) -> str:
    """The label called ``key``, or the only one."""
    arrays = list(labels)
    if key is None and len(arrays) == 1:
        return arrays[0]
    if not arrays:
        fail(f"{name} holds no arrays")
    names = _some(arrays)
    if key is None:
        spelled = choose(arrays[0]) if choose else f"{name}:{arrays[0]}"
        fail(f"{name} holds several arrays ({names}) and none was chosen", f"name one: {spelled}")
    if key not in arrays:
        close = did_you_mean(key, arrays)
        fail(f"{name} holds {names}, but no {key!r}", f"did you mean {close}?" if close else None)
    return key


def _some(names: Sequence[str]) -> str:
    """The first names of what may be thousands."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
