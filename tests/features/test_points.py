"""``--points``: a line of results for each row, formats, bad rows, and streams as they arrive."""

import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = "variable x = 3.0; constant k = 2.0; y = k*x^2"


@pytest.mark.parametrize(
    ("command", "arguments", "rows", "out"),
    [
        ("eval", [], "x,k\n1,2\n0.5,4\n", "y\n2.0\n1.0\n"),
        ("eval", ["--of", "x,y,k"], "k\n5\n", "x,y,k\n3.0,45.0,5.0\n"),
        ("eval", ["--precision", "3"], "x\n0.1234567\n", "y\n0.0305\n"),
        ("grad", [], "x\n1\n\n2\n", "x\n4.0\n8.0\n"),
        ("grad", ["--wrt", "x,k"], ' "x" , k\r\n 1 ,"2"\r\n', "x,k\n4.0,1.0\n"),
        ("grad", ["--order", "3", "--every-order"], "x\n2\n", "order1/x,order2/x,order3/x\n8.0,4.0,0.0\n"),
        ("grad", ["--seed", "y=10"], "x\n1", "x\n40.0\n"),
        ("grad", ["--stop", "x", "--unconnected", "zero"], "x\n1", "x\n4.0\n"),
        ("jacobian", ["--wrt", "x,k"], "x\n1\n", "dy/dx,dy/dk\n4.0,1.0\n"),
        ("hessian", [], "x,k\n1,1\n2,7\n", "d2y/dx/dx\n2.0\n14.0\n"),
        ("eval", [], "x\n", "y\n"),
        ("eval", [], "x\nnan\n-inf\n1e999\n", "y\nnan\ninf\ninf\n"),
        ("eval", ["--format", "json"], "x\n1\nnan\n", '{"y": 2.0}\n{"y": "NaN"}\n'),
        ("eval", ["--format", "ndjson"], '{"x": 1}\n{}\n{"k": "Infinity"}', '{"y": 2.0}\n{"y": 18.0}\n{"y": "Infinity"}\n'),
        ("hessian", ["--format", "json"], "x\n1\n", '{"x": {"x": 4.0}}\n'),
        ("eval", ["--format", "table"], "x\n1\n2\n", "row  y\n1    2.0\n2    8.0\n"),
        ("eval", ["--set", "k=1"], "x\n3\n", "y\n9.0\n"),
        ("eval", ["--dtype", "float32", "-e", "z = x/3"], "x\n1\n", "y,z\n2.0,0.33333334\n"),
    ],
)  # fmt: skip
def test_rows(gradcli, command, arguments, rows, out):
    assert gradcli(command, "-e", PROGRAM, "--points", "-", *arguments, stdin=rows) == (0, out, "")


def test_arrays_and_none(gradcli):
    program = "variable x = [1, 2.0]; variable m = [[1.0, 2]]; y = sum(x*x) + sum(floor(m))"
    rows = '{"x": [3, 4]}\n{"m": [[1.5, "NaN"]], "x": [1, 0]}\n'
    done = gradcli("grad", "-e", program, "--points", "-", stdin=rows)
    assert done.out == "x[0],x[1],m\n6.0,8.0,\n2.0,0.0,\n"
    done = gradcli("grad", "-e", program, "--points", "-", "--format", "json", stdin=rows)
    assert [json.loads(line) for line in done.out.splitlines()] == [
        {"x": [6.0, 8.0], "m": None}, {"x": [2.0, 0.0], "m": None}
    ]  # fmt: skip
    done = gradcli("eval", "-e", program, "--of", "m", "--points", "-", stdin=rows)
    assert done.out == '"m[0,0]","m[0,1]"\n1.0,2.0\n1.5,nan\n'


def test_what_is_none_in_all_results(gradcli):
    program = "variable x = 1.0; y = floor(x)"
    assert gradcli("grad", "-e", program, "--points", "-", stdin="x\n1\n2\n").out == "x\n\n\n"
    assert gradcli("grad", "-e", program, "--points", "-", "--format", "json", stdin="x\n1\n").out == '{"x": null}\n'


def test_a_program_from_standard_input_and_a_file_of_rows(gradcli, tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbfx\n2\n")
    assert gradcli("eval", "--points", "rows.csv", stdin=PROGRAM).out == "y\n8.0\n"


def test_a_variable_without_value_takes_the_shape_of_the_rows(gradcli):
    rows = '{"x": [1, 2]}\n{"x": [3, 4]}\n{"k": 1}\n'
    done = gradcli("eval", "-e", "variable x; constant k = 1; y = sum(x)", "--points", "-", stdin=rows)
    assert (done.status, done.out) == (1, "y\n3.0\n7.0\n")
    assert "row 3: the variable `x` has no value" in done.err


def test_truth_in_columns(gradcli):
    program = "constant c = true; y = where(c, 1.0, 2.0)"
    assert gradcli("eval", "-e", program, "--points", "-", stdin="c\ntrue\nFalse\n1\n").out == "y\n1.0\n2.0\n1.0\n"
    done = gradcli("eval", "-e", program, "--points", "-", stdin='{"c": true}\n{"c": 0}\n')
    assert done.out == "y\n1.0\n2.0\n"


def test_large_integers_are_exact(gradcli):
    done = gradcli("eval", "-e", "variable n = 1; y = n", "--points", "-", stdin="n\n9007199254740993\n-4\n1.5\n")
    assert done.out.splitlines()[-1] == "1.5"
    done = gradcli("eval", "-e", "variable n = 1; y = n", "--points", "-", stdin="n\n9007199254740993\n-4\n")
    assert done.out == "y\n9007199254740993\n-4\n"


BAD = [
    ("x,k\n1,2\n3,abc\n4,5\n", "row 2, column k: 'abc' is not a number"),
    ("x,k\n1,2\n3\n4,5\n", "row 2: it has 1 fields, and the header has 2"),
    ("x,k\n1,2\n\n,3\n4,5\n", "row 2, column x: the field is empty"),
    ("x,k\n1,2\n1_0,3\n4,5\n", "row 2, column x: '1_0' is not a number"),
    ("x,k\n1,2\n\xff,3\n4,5\n", "row 2, column x:"),
    ('{"x": 1}\n{"x": "a"}\n{"x": 4, "k": 5}\n', "row 2: x holds the text 'a'"),
    ('{"x": 1}\n{"x": [1]}\n{"x": 4, "k": 5}\n', "row 2: x needs shape [], not [1]"),
    ('{"x": 1}\n{"x": null}\n{"x": 4, "k": 5}\n', "row 2: x holds null"),
    ('{"x": 1}\n{"x": true}\n{"x": 4, "k": 5}\n', "row 2: x needs a number, not true or false"),
    ('{"x": 1}\n{"x": 1\n{"x": 4, "k": 5}\n', "row 2: not JSON"),
    ('{"x": 1}\n[1]\n{"x": 4, "k": 5}\n', "row 2: it is not an object"),
]


@pytest.mark.parametrize(("rows", "message"), BAD)
def test_a_bad_row_ends_the_run_after_the_rows_before_it(gradcli, rows, message):
    done = gradcli("eval", "-e", PROGRAM, "--points", "-", stdin=rows.encode("latin-1"))
    assert done.status == 1
    assert done.out == "y\n2.0\n"
    assert message in done.err
    assert "error[DataError]: <stdin>, row 2" in done.err


@pytest.mark.parametrize(("rows", "message"), BAD)
def test_bad_rows_are_passed_over_where_that_is_wanted(gradcli, rows, message):
    done = gradcli("eval", "-e", PROGRAM, "--points", "-", "--skip-bad", stdin=rows.encode("latin-1"))
    assert (done.status, done.out) == (0, "y\n2.0\n80.0\n")
    assert message in done.err
    assert done.err.startswith("skipped: <stdin>, row 2")
    assert done.err.count("\n") == 1


def test_a_row_whose_evaluation_fails(gradcli):
    program = "constant a = 1.0; y = inv([[a, 1.0], [1.0, 1.0]])"
    done = gradcli("eval", "-e", program, "--points", "-", "--of", "a,y", stdin="a\n2\n3\n1\n5\n")
    assert (done.status, len(done.out.splitlines())) == (1, 3)
    assert "error[ValueError]: <stdin>, row 3: inv: the matrix is singular" in done.err
    assert "<-e>:1:23" in done.err
    done = gradcli(
        "eval", "-e", program, "--points", "-", "--skip-bad", "--format", "json", "--of", "a", stdin="a\n2\n1\n5\n"
    )
    assert done.out == '{"a": 2.0}\n{"a": 1.0}\n{"a": 5.0}\n', "what needs no inverse has no error"
    done = gradcli("eval", "-e", program, "--points", "-", "--skip-bad", "--format", "json", stdin="a\n2\n1\n5\n")
    assert (done.status, len(done.out.splitlines())) == (0, 2)
    assert json.loads(done.err)["error"]["message"].startswith("<stdin>, row 2: inv")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("", ["is empty"]),
        ("\n\n", ["is empty"]),
        ("1,2\n", ["must name the columns"]),
        ("x;k\n1;2\n", ["separated by commas"]),
        ("xx\n1\n", ["column `xx`", "did you mean `x`?"]),
        ("y\n1\n", ["column `y`", "only variables and constants"]),
        ("x,x\n1,2\n", ["two columns `x`"]),
        (",x\n1,2\n", ["column 1 is called ''"]),
        ('{"kk": 1}', ["column `kk`", "did you mean `k`?"]),
        ("x,a\n1,2\n", ["`a` has shape [2]", "NDJSON"]),
        ("n\n1\n", ["`n` cannot differ from row to row", "--set 'n=…'"]),
    ],
)
def test_columns_that_the_program_cannot_have(gradcli, rows, words):
    program = f"{PROGRAM}; variable a = [1.0, 2.0]; constant n = 2; z = zeros([n])"
    done = gradcli("eval", "-e", program, "--points", "-", "--skip-bad", stdin=rows)
    assert (done.status, done.out) == (1, "")
    for word in words:
        assert word in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--skip-bad"], "--skip-bad is about"),
        (["--points", "-", "--values", "-"], "Only one thing"),
        (["--points", "r.csv", "--format", "plain"], "--points writes"),
        (["--points", "r.csv", "--output", "r.npz"], ".csv, .json, .ndjson"),
        (["--points", "r.csv", "--output", "r.csv", "--format", "json"], "contradicts"),
        (["--points", "-", "--seeds", "-"], "Only one thing"),
    ],
)
def test_usage(gradcli, arguments, words):
    done = gradcli("grad", "-e", PROGRAM, *arguments, stdin="")
    assert (done.status, done.out) == (2, "")
    assert words in done.err


def test_a_missing_file(gradcli, tmp_path):
    (tmp_path / "rows.csv").touch()
    done = gradcli("eval", "-e", PROGRAM, "--points", "row.csv")
    assert done.status == 1
    assert "did you mean rows.csv?" in done.err


def test_files_are_written_whole_or_not_at_all(gradcli, tmp_path):
    done = gradcli("eval", "-e", PROGRAM, "--points", "-", "--output", "out.csv", stdin="x\n1\n2\n")
    assert (done.status, done.out) == (0, "")
    assert (tmp_path / "out.csv").read_text() == "y\n2.0\n8.0\n"
    done = gradcli("eval", "-e", PROGRAM, "--points", "-", "--output", "out.json", stdin="x\n1\n")
    assert (tmp_path / "out.json").read_text() == '{"y": 2.0}\n'
    done = gradcli("eval", "-e", PROGRAM, "--points", "-", "--output", "out.csv", stdin="x\n5\nbad\n")
    assert done.status == 1
    assert (tmp_path / "out.csv").read_text() == "y\n2.0\n8.0\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.json"]


def test_many_rows_are_no_table(gradcli):
    rows = "x\n" + "1\n" * 150
    done = gradcli("eval", "-e", PROGRAM, "--points", "-", "--format", "table", "--precision", "2", stdin=rows)
    assert done.out == "y\n" + "2.0\n" * 150


def test_blocks_join_without_a_seam(gradcli):
    numbers = [str(n / 8) for n in range(60_000)]
    done = gradcli("eval", "-e", "variable x = 1.0; y = 2*x", "--points", "-", stdin="x\n" + "\n".join(numbers))
    assert done.out.splitlines() == ["y", *[str(n / 4) for n in range(60_000)]]


def start(tmp_path, *arguments, **options):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    command = [sys.executable, "-m", "gradcli", *arguments]
    return subprocess.Popen(command, env=env, cwd=tmp_path, text=True, **pipes)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_slow_producer_sees_its_answers_before_it_ends(tmp_path, kind):
    with start(tmp_path, "eval", "-e", PROGRAM, "--points", "-", "--format", kind) as child:
        watch = threading.Timer(30, child.kill)
        watch.start()
        try:
            child.stdin.write("x\n1\n2\n")
            child.stdin.flush()
            lines = [child.stdout.readline() for _ in range(3 if kind == "csv" else 2)]
            assert "8.0" in lines[-1]
            child.stdin.write("3\n4")  # the second one is not complete yet
            child.stdin.flush()
            assert "18.0" in child.stdout.readline()
            child.stdin.write("5\n")
            child.stdin.flush()
            assert "4050.0" in child.stdout.readline()
            child.stdin.close()
            assert child.wait() == 0
        finally:
            watch.cancel()


def test_a_reader_that_has_seen_enough(tmp_path):
    (tmp_path / "rows.csv").write_text("x\n" + "1\n" * 200_000)
    with start(tmp_path, "eval", "-e", PROGRAM, "--points", "rows.csv", stdin=subprocess.DEVNULL) as child:
        assert child.stdout.readline() == "y\n"
        child.stdout.close()
        assert child.stderr.read() == ""
        assert child.wait() == 0


def test_rich_is_imported_for_terminals_only(process, tmp_path):
    (tmp_path / "rows.csv").write_text("x\n1\n")
    done = process("grad", "-e", PROGRAM, "--points", "rows.csv", python=("-X", "importtime"))
    assert done.stdout == "x\n4.0\n"
    assert not [line for line in done.stderr.splitlines() if line.rpartition("|")[2].strip() == "rich"]


def test_a_table_on_a_terminal(terminal, tmp_path):
    (tmp_path / "rows.csv").write_text("x\n1\n2\n")
    shown = terminal("eval", "-e", PROGRAM, "--points", "rows.csv", env={"NO_COLOR": "1"})
    assert "│ row │ y   │" in shown
    assert "│ 2   │ 8.0 │" in shown


def test_a_bar_where_standard_error_is_a_terminal(terminal, tmp_path):
    (tmp_path / "rows.csv").write_text("x\n1\nbad\n2\n")
    shown = terminal("eval", "-e", PROGRAM, "--points", "rows.csv", "--skip-bad", "--output", "out.csv")
    assert "rows" in shown
    assert "skipped: rows.csv, row 2, column x: 'bad' is not a number" in shown
    assert (tmp_path / "out.csv").read_text() == "y\n2.0\n8.0\n"


def test_compressed_rows(gradcli):
    rows = b"x,k\n1,2\n3,0.5\n"
    Path("rows.csv.gz").write_bytes(gzip.compress(rows))
    Path("rows.csv").write_bytes(rows)
    line = ["grad", "-e", "variable x = 1.0; variable k = 1.0; y = k*x^2", "--points"]
    assert gradcli(*line, "rows.csv.gz").out == gradcli(*line, "rows.csv").out == "x,k\n4.0,1.0\n3.0,9.0\n"
    Path("cut.csv.gz").write_bytes(gzip.compress(rows + b"1,2\n" * 1000)[:-9])
    done = gradcli(*line, "cut.csv.gz")
    assert done.status == 1
    assert "cut.csv.gz is not readable as gzip" in done.err
