"""Parquet, Arrow and Feather files give what the same table as CSV gives; what is wrong is said with its place."""

from __future__ import annotations

import datetime
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import feather, parquet

import gradcli as package
from gradcli.data.reading import read_array

TABLE = pyarrow.table(
    {
        "x": pyarrow.array([1.0, 2.5, None, 4.0, -1.0]), "n": pyarrow.array([1, 2, 3, 4, 5], pyarrow.int32()),
        "g": pyarrow.array(["b", "a", "b", None, "a"]), "on": pyarrow.array([True, False, True, True, False]),
        "k": pyarrow.array(["u", "u", "v", "w", "v"]).dictionary_encode(),
        "d": pyarrow.array([Decimal("1.25"), Decimal("2.50"), Decimal("0.75"), Decimal("1.00"), Decimal("3.00")]),
        "v": pyarrow.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 0.0]]),
        "day": pyarrow.array([datetime.date(2026, 1, k) for k in range(1, 6)]),
    }
)  # fmt: skip
CSV = "x,n,g,on,k,d\n1.0,1,b,1,u,1.25\n2.5,2,a,0,u,2.50\nNA,3,b,1,v,0.75\n4.0,4,NA,1,w,1.00\n-1.0,5,a,0,v,3.00\n"


@pytest.fixture(params=["parquet", "feather", "arrow"])
def file(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = f"t.{request.param}"
    if request.param == "parquet":
        parquet.write_table(TABLE, name, row_group_size=2)
    elif request.param == "feather":
        feather.write_feather(TABLE, name, chunksize=2)
    else:
        with pyarrow.ipc.new_file(name, TABLE.schema) as written:
            written.write_table(TABLE, max_chunksize=2)
    Path("t.csv").write_text(CSV)
    return name


@pytest.mark.parametrize("missing", ["drop", "nan"])
@pytest.mark.parametrize("columns", ["x", "x,", "n,x", "g[]", "x,g=a,k[]", "on,d", "k=w"])
def test_as_from_csv(file, columns, missing):
    found = read_array(file, columns, missing=missing)
    np.testing.assert_array_equal(found, read_array("t.csv", columns, missing=missing))
    assert found.dtype == np.float64


def test_in_a_program_and_for_names(file, gradcli):
    text = f'constant t = load("{file}", "n,d"); y = sum(t, axis=0)'
    np.testing.assert_array_equal(package.loads(text).eval()["y"], [15, 8.5])
    given = gradcli("eval", "-e", "variable x: [4]; y = sum(x)", "--set", f"x=@{file}:x?missing=drop")
    assert (given.out, given.err) == ("y = 6.5\n", "")
    same = gradcli("eval", "-e", "variable x: [4]; y = sum(x)", "--set", "x=@t.csv:x?missing=drop")
    assert same == given


def test_rows(file, gradcli):
    program = ["-e", "variable n = 1; variable d = 1.0; variable v = [0.0, 0.0]; y = n*d + sum(v^2)"]
    done = gradcli("eval", *program, "--points", file, "--keep", "g,x,on,k,day")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == "g,x,on,k,day,y"
    assert lines[1] == "b,1.0,True,u,2026-01-01,6.25"
    assert lines[4] == ",4.0,True,w,2026-01-04,117.0"
    bad = gradcli("eval", "-e", "variable x = 1.0; y = x^2", "--points", file, "--keep", "n,g,on,k,d,v,day")
    group = "row group" if file.endswith("parquet") else "record batch"
    assert bad.status == 1
    assert f"error[DataError]: {file}, {group} 2, row 1: x holds null" in bad.err
    skipped = gradcli(
        "eval", "-e", "variable x = 1.0; y = x^2", "--points", file, "--keep", "n,g,on,k,d,v,day", "--skip-bad"
    )
    assert skipped.status == 0 and len(skipped.out.splitlines()) == 5


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("x", "2, row 1, column 1 (x): the value is null"),
        ("g", "column 3 (g) holds string, and not numbers (help: `g=text` is 1 where that text stands"),
        ("day", "column 8 (day) holds date32[day], and not numbers (help: name those that hold numbers: x, n, on, d)"),
        ("v", "column 7 (v) holds list<"),
        ("n=1", "column 2 (n) holds int32, and no texts"),
        ("q", "has the columns x, n, g, on, k, d, v, day, but no 'q'"),
        (None, "column 3 (g) holds string"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(file, columns, words):
    with pytest.raises(package.GradcliError) as caught:
        read_array(file, columns)
    assert caught.value.kind == "DataError"
    assert str(caught.value).startswith(f"DataError: {file}")
    assert words in str(caught.value)


def test_a_text_that_is_not_there(file):
    with pytest.raises(package.GradcliError, match="has a, b, but no 'c'"):
        read_array(file, "g=c", missing="nan")


def test_names_of_rows_are_left_out(tmp_path):
    table = pyarrow.table({"a": [1.0, 2.0], "__index_level_0__": ["r1", "r2"]})
    parquet.write_table(table, tmp_path / "p.parquet")
    np.testing.assert_array_equal(read_array(tmp_path / "p.parquet"), [[1], [2]])


def test_files_that_are_none(gradcli):
    parquet.write_table(TABLE.slice(0, 0), "empty.parquet")
    Path("t.parquet.gz").write_text("")
    Path("text.parquet").write_text("a,b\n1,2\n")
    Path("text.arrow").write_text("a,b\n1,2\n")
    for name, words in (
        ("empty.parquet", "empty.parquet has no rows"),
        ("text.parquet", "text.parquet is not readable as Parquet"),
        ("text.arrow", "text.arrow is not readable as an Arrow file"),
        ("none.parquet", "there is no file none.parquet"),
        ("t.parquet.gz", "t.parquet.gz is compressed twice"),
    ):
        done = gradcli(
            "eval", "-e", "variable n: [2]; y = sum(n)", "--set", f"n=@{name}" + ":n" * (not name.endswith("gz"))
        )
        assert done.status == 1 and words in done.err, name
    rows = gradcli("eval", "-e", "variable n = 1; y = n", "--points", "empty.parquet", "--keep", "x,g,on,k,d,v,day")
    assert rows.status == 1 and "empty.parquet has no rows" in rows.err
    parquet.write_table(pyarrow.table({"n": np.arange(300_000)}), "big.parquet")
    large = gradcli("eval", "-e", 'y = load("big.parquet", "n")', "--max-memory", "1M")
    assert large.status == 1 and "LimitError" in large.err


def test_without_pyarrow(monkeypatch, gradcli):
    parquet.write_table(TABLE, "t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for options in (["--set", "n=@t.parquet:n"], ["--points", "t.parquet"]):
        done = gradcli("eval", "-e", "variable n: [5]; y = sum(n)", *options)
        assert done.status == 1
        assert (
            "reading t.parquet needs pyarrow, which is not installed\n  = help: pip install 'gradcli[arrow]'"
            in done.err
        )


def test_gaps_of_csv_files_that_are_set(gradcli):
    Path("t.csv").write_text(CSV)
    done = gradcli("eval", "-e", "variable x: [5]; y = x", "--set", "x=@t.csv:x")
    assert done.status == 1 and "`x=@t.csv:x?missing=drop` leaves such rows out" in done.err
    done = gradcli("eval", "-e", "variable x: [5]; y = where(isnan(x), 0, x)", "--set", "x=@t.csv:x?missing=nan")
    assert done.out == "y = [1.0, 2.5, 0.0, 4.0, -1.0]\n"
