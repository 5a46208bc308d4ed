"""Rows that several processes share: each reads its own, and together they have what one reads."""

from __future__ import annotations

from threading import Barrier, Thread

import numpy as np
import pytest

import gradcli
from gradcli.data import shares
from gradcli.data.memory import Memory
from gradcli.data.reading import read_array


class Reader:
    """One of several threads that stand for processes."""

    def __init__(self, index, others):
        self.index, self.others = index, others
        self.count = self.devices = len(others.said)
        self.kept = {}

    def told(self, *numbers):
        return self.others.exchanged(self.index, list(numbers))

    def added(self, own):
        return np.sum(self.others.exchanged(self.index, own), axis=0, dtype=own.dtype)


class Others:
    def __init__(self, count):
        self.said = [None] * count
        self.barrier = Barrier(count, timeout=20)

    def exchanged(self, index, what):
        self.said[index] = what
        self.barrier.wait()
        found = list(self.said)
        self.barrier.wait()
        return found


def read(path, count, key=None, missing=None, then=lambda rows: rows):
    """What each of so many processes has of a file, or raises."""
    found = [None] * count
    others = Others(count)

    def run(index):
        try:
            rows = shares.shared_rows(path, key, missing, Memory(), Reader(index, others))
            found[index] = then(rows) if rows is not None else None
        except Exception as problem:  # noqa: BLE001
            found[index] = problem
            others.barrier.abort()

    threads = [Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return found


@pytest.fixture(autouse=True)
def _small_files_are_shared(monkeypatch):
    monkeypatch.setattr(shares, "SHARED_BYTES", 1)


LINES = [f"{k},{k * k},{-k}" for k in range(24)]
TEXTS = {
    "plain": "\n".join(LINES) + "\n",
    "no end": "\n".join(LINES),
    "header": "a,b,c\n" + "\n".join(LINES) + "\n",
    "windows": "\r\n".join(["a,b,c", *LINES]) + "\r\n",
    "comments": "# made by hand\na,b,c\n" + "\n\n# more\n".join(LINES) + "\n\n\n",
    "semicolons": "a;b;c\n" + "\n".join(LINES).replace(",", ";") + "\n",
    "uneven lines": "\n".join([LINES[0] + "." + "0" * 700, *LINES[1:]]),
    "mark": "\ufeffa,b,c\n" + "\n".join(LINES),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_rows_of_a_csv_file(name, count, tmp_path):
    path = tmp_path / "d.csv"
    path.write_bytes(TEXTS[name].encode())
    found = read(path, count)
    assert all(isinstance(rows, shares.Rows) for rows in found), found
    assert [len(rows.part) for rows in found] == [24 // count] * count
    assert {rows.shape for rows in found} == {(24, 3)}
    np.testing.assert_array_equal(np.concatenate([rows.part for rows in found]), read_array(path))


def test_columns_of_a_csv_file(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text(TEXTS["header"])
    for key in ("c,a", "b", "b,"):
        parts = [rows.part for rows in read(path, 3, key)]
        np.testing.assert_array_equal(np.concatenate(parts), read_array(path, key))


@pytest.mark.parametrize(
    ("text", "key", "missing"),
    [
        (TEXTS["plain"] + "1,2,3\n", None, None),
        ('a,b\n"1",2\n3,4\n', None, None),
        ("a,b\nx,2\ny,4\n", "a[],b", None),
        ("a,b\n,2\n3,4\n", None, "drop"),
        ("1,2\r3,4\r", None, None),
        ("", None, None),
    ],
)
def test_what_each_reads_as_a_whole(text, key, missing, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text(text, newline="")
    assert read(path, 2, key, missing) == [None, None]


def test_a_mistake_is_told_with_its_line(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("\n".join([*LINES[:20], "1,x,2", *LINES[21:]]))
    problem = read(path, 2)[1]
    assert isinstance(problem, gradcli.GradcliError)
    assert "line 21, column 2: 'x' is not a number" in problem.message


def test_rows_of_arrays_and_tables(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    whole = np.arange(48.0).reshape(12, 4)
    np.save(tmp_path / "d.npy", whole)
    table = arrow.table({name: whole[:, k] for k, name in enumerate("abcd")})
    parquet.write_table(table, tmp_path / "d.parquet", row_group_size=5)
    for name, key in (("d.npy", None), ("d.parquet", None), ("d.parquet", "d,b")):
        parts = [rows.part for rows in read(tmp_path / name, 3, key)]
        np.testing.assert_array_equal(np.concatenate(parts), read_array(tmp_path / name, key))


def test_all_know_whether_the_numbers_are_ordinary_and_any_row(tmp_path):
    whole = np.arange(12.0)
    whole[7] = np.nan
    np.save(tmp_path / "d.npy", whole)
    found = read(tmp_path / "d.npy", 3, then=lambda rows: (rows.ordinary, rows.chosen(np.array([0, 5, 11])).tolist()))
    assert found == [(False, [0.0, 5.0, 11.0])] * 3


def test_nobody_takes_a_part_for_the_whole(tmp_path):
    np.save(tmp_path / "d.npy", np.arange(12.0))
    rows = read(tmp_path / "d.npy", 2)[0]
    with pytest.raises(gradcli.GradcliError, match=r"own rows of d\.npy, and this needs all"):
        np.asarray(rows)
