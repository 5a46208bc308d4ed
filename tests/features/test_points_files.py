"""``--points 'part-*.csv'``: a file of answers for each, whole or not at all, and done once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = "variable x = 1.0; variable k = 2.0; y = k*x^3"


@pytest.fixture
def rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c", "d", "e"):
        (tmp_path / f"part-{name}.csv").write_text(f"x\n{ord(name) - 96}\n2\n")
    return tmp_path


def answer(command_line, *options):
    return command_line("grad", "-e", PROGRAM, "--wrt", "x", *options)


def written(folder):
    return {path.name: path.read_text() for path in folder.glob("out-*.csv")}


def test_each_file_has_an_answer_of_its_own(rows, command_line):
    done = answer(command_line, "--points", "part-*.csv", "--output", "out-*.csv")
    assert done == (0, "", "")
    expected = {f"out-{n}.csv": f"x\n{6.0 * (ord(n) - 96) ** 2}\n24.0\n" for n in "abcde"}
    assert written(rows) == expected
    single = answer(command_line, "--points", "part-c.csv")
    assert single.out == expected["out-c.csv"]


def test_what_is_done_is_not_done_again(rows, command_line):
    options = ["--points", "part-*.csv", "--output", "out-*.csv"]
    (rows / "part-d.csv").write_text("x\n1\noops\n")
    done = answer(command_line, *options)
    assert done.status == 1
    assert "part-d.csv" in done.err
    assert sorted(written(rows)) == ["out-a.csv", "out-b.csv", "out-c.csv"]
    (rows / "out-a.csv").write_text("kept\n")
    os.utime(rows / "out-b.csv", (1, 1))  # older than its rows
    (rows / "part-d.csv").write_text("x\n1\n")
    done = answer(command_line, *options)
    assert (done.status, done.err) == (0, "2 files of 5 done before\n")
    assert written(rows)["out-a.csv"] == "kept\n"
    assert written(rows)["out-b.csv"] == "x\n24.0\n24.0\n"
    assert written(rows)["out-d.csv"] == "x\n6.0\n"
    assert [path.name for path in rows.iterdir() if path.suffix == ".tmp"] == []


def test_outputs_are_no_rows(rows, command_line):
    for _ in range(2):
        done = answer(command_line, "--points", "*.csv", "--output", "out-*.csv")
        assert done.status == 0
    assert sorted(written(rows)) == [f"out-part-{n}.csv" for n in "abcde"]


def test_processes_share_the_files(rows, command_line):
    found = []
    for number in range(3):
        before = set(written(rows))
        options = ["--points", "part-*.csv", "--output", "out-*.csv", "--cluster", f"h:1,3,{number}"]
        assert answer(command_line, *options).status == 0
        found.append(sorted(set(written(rows)) - before))
    assert found == [["out-a.csv", "out-d.csv"], ["out-b.csv", "out-e.csv"], ["out-c.csv"]]


def test_a_file_that_is_called_like_a_pattern_is_one(rows, command_line):
    (rows / "x*.csv").write_text("x\n3\n")
    assert answer(command_line, "--points", "x*.csv").out == "x\n54.0\n"
    (rows / "[1]-z.csv").write_text("x\n1\n")
    assert answer(command_line, "--points", "[1]-*.csv", "--output", "[out]*.csv").status == 0
    assert (rows / "[out]z.csv").read_text() == "x\n6.0\n"


@pytest.mark.parametrize(
    ("options", "status", "what"),
    [
        (["--points", "part-*.csv"], 2, "needs an --output with one *"),
        (["--points", "part-*.csv", "--output", "out.csv"], 2, "needs an --output with one *"),
        (["--points", "part-*.csv", "--output", "o*t*.csv"], 2, "needs an --output with one *"),
        (["--points", "p*-*.csv", "--output", "out-*.csv"], 2, "a pattern has one *"),
        (["--points", "part-a.csv", "--output", "out-*.csv"], 2, "which has none"),
        (["--points", "part-a.csv", "--cluster", "h:1,2,0"], 2, "--cluster shares the files of a pattern"),
        (["--cluster", "h:1,2,0"], 2, "--cluster is about the rows of --points"),
        (["--points", "none-*.csv", "--output", "out-*.csv"], 1, "no file matches none-*.csv"),
        (["--points", "part-*.csv", "--output", "absent/*.csv"], 1, "there is no folder"),
    ],
)
def test_what_is_not_clear_is_an_error(options, status, what, rows, command_line):
    done = answer(command_line, *options)
    assert done.status == status
    assert what in done.err
    assert written(rows) == {}


def test_files_need_no_jax(rows):
    code = "import sys; from gradcli.commands.main import run; s = run(sys.argv[1:]); assert 'jax' not in sys.modules; sys.exit(s)"
    words = ["grad", "-e", PROGRAM, "--points", "part-*.csv", "--output", "out-*.csv", "--cluster", "h:1,5,4"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(written(rows)) == ["out-e.csv"]
