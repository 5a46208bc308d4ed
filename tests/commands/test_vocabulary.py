"""One vocabulary: the same words for the same things in every command, and what is written can be read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from gradcli.commands.main import COMMANDS, cli

PROGRAM = ("-e", "variable x = [1.0, 2.0]; variable k = 3.0; p = k^2; y = k*sum(x^3)")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_short_and_has_groups(gradcli, name):
    text = gradcli(name, "--help").out
    assert text.count("\n") < 60
    command = cli.get_command(None, name)  # type: ignore[arg-type]
    for parameter in command.params:
        for option in parameter.opts if parameter.param_type_name == "option" else ():
            assert option in text


@pytest.mark.parametrize(("form", "out"), [("value", "[9.0, 36.0]\n9.0\n"), ("plain", "x = [9.0, 36.0]\nk = 9.0\n")])
def test_bare_values(gradcli, form, out):
    assert gradcli("grad", *PROGRAM, "--format", form).out == out


def test_bare_values_of_matrices_and_none(gradcli):
    assert gradcli("hessian", "-e", "variable x = 2.0; y = x^3", "--format", "value").out == "12.0\n"
    assert gradcli("grad", "-e", "variable x = 2.0; y = floor(x)", "--format", "value").out == "None\n"
    assert gradcli("eval", "-e", "1/3", "--format", "value", "--precision", "2").out == "0.33\n"


@pytest.mark.parametrize("orders", ["2..3", "2:3"])
def test_ranges_of_orders(gradcli, orders):
    done = gradcli("grad", "-e", "variable x = 2.0; y = x^4", "--order", orders)
    assert done.out == "# order 2\nx = 48.0\n# order 3\nx = 48.0\n"
    reply = json.loads(gradcli("grad", "-e", "variable x = 2.0; y = x^4", "--order", orders, "--format", "json").out)
    assert [group["order"] for group in reply["orders"]] == [2, 3]
    assert gradcli("grad", "-e", "variable x = 2.0; y = x^4", "--order", "2").out == "x = 48.0\n"


@pytest.mark.parametrize("orders", ["3..2", "0..2", "1..2001", "a", "1..", "-1"])
def test_wrong_orders(gradcli, orders):
    done = gradcli("grad", "-e", "variable x = 2.0; y = x^4", f"--order={orders}")
    assert (done.status, done.out) == (2, "")


@pytest.mark.parametrize("bounds", ["x=0..1", "x=0:1"])
def test_ranges_of_values(gradcli, bounds):
    done = gradcli("fit", "-e", "variable x = 0.5; y = (x - 2)^2", "--bounds", bounds, "--method", "adam", "-q")
    assert done.status == 0
    assert 0.9 < float(done.out.partition("=")[2]) <= 1.0


def test_old_names_stay(gradcli):
    for option in ("--over", "--wrt"):
        done = gradcli("fit", "-e", "variable x = 0.5; variable b = 1.0; y = (x - b)^2", option, "b", "--steps", "50")
        assert done.out == "b = 0.5\n"
    drawn = [gradcli("graph", *PROGRAM, option, "k").out for option in ("--gradient", "--wrt")]
    assert drawn[0] == drawn[1]
    assert "dy/dk" in drawn[0]


@pytest.mark.parametrize("ending", ["npz", "json", "csv", "json.gz", "csv.gz", "npz.gz", "txt.gz"])
def test_what_output_writes_values_reads(gradcli, tmp_path, ending):
    program = ("-e", "variable x = [[1.0, nan], [-inf, 2.5]]; variable n = 3; variable b: bool; y = n*x")
    sort = ending.split(".")[0]
    if sort == "txt":
        (tmp_path / "v.txt").write_text(gradcli("eval", *program, "--of", "x,n", "-q").out)
    else:
        assert gradcli("eval", *program, "--of", "x,n", "-o", f"v.{sort}", "-q").status == 0
    if ending.endswith(".gz"):
        (tmp_path / f"v.{ending}").write_bytes(gzip.compress((tmp_path / f"v.{sort}").read_bytes()))
    zero = "variable x = zeros([2, 2]); variable n = 0; y = n*x"
    done = gradcli("eval", "-e", zero, "--values", f"v.{ending}", "-q")
    assert done.out == "y = [[3.0, nan], [-inf, 7.5]]\n"


def test_programs_are_read_compressed_and_never_written_so(gradcli, tmp_path):
    text = b"variable x = 2.0\ny = log(1 + exp(x))\n"
    (tmp_path / "f.expr.gz").write_bytes(gzip.compress(text))
    assert gradcli("grad", "f.expr.gz", "--format", "value").status == 0
    for command in (("lint", "--fix"), ("format",)):
        before = (tmp_path / "f.expr.gz").read_bytes()
        gradcli(*command, "f.expr.gz")
        assert (tmp_path / "f.expr.gz").read_bytes() == before
    (tmp_path / "bad.expr.gz").write_bytes(text)
    assert "gzip" in gradcli("eval", "bad.expr.gz").err


@pytest.mark.parametrize(
    "command",
    [
        ("eval", "--format", "json"), ("grad", "--format", "csv"), ("jacobian",), ("derive",), ("explain",),
        ("check",), ("graph",), ("hessian", "--of", "p"),
    ],
)  # fmt: skip
def test_output_of_every_command(gradcli, tmp_path, command):
    plain = gradcli(*command, *PROGRAM, "-q")
    path = "o.json" if command[0] == "eval" else "o.csv" if "csv" in command else "o.txt"
    if command[0] in ("jacobian", "hessian"):
        path, plain = "o.json", gradcli(*command, *PROGRAM, "-q", "--format", "json")
    done = gradcli(*command, *PROGRAM, "-q", "-o", path)
    assert (done.status, done.out) == (plain.status, "")
    assert (tmp_path / path).read_text() == plain.out


def test_precision_of_check(gradcli):
    out = gradcli("check", "-e", "variable x = 1.0; y = exp(x)", "--precision", "3", "--order", "1").out
    assert " 2.72 " in out and "2.718" not in out


# notes


def test_notes_say_what_was_done(gradcli):
    done = gradcli("grad", "-e", "variable x = 3; variable k = 1.0; p = x^2; y = x^3")
    assert done.out == "x = 27\nk = None\n"
    assert done.err == (
        "note: y is differentiated, the last definition; p has no part in it: --of names others, or a line `output p, y`\n"
        "note: k is None: y does not use k\n"
        "note: x is int64, with the gradient of integer arithmetic; with a decimal point, as in 3.0, a number is a float\n"
    )
    assert gradcli("grad", "-q", "-e", "variable x = 3; variable k = 1.0; p = x^2; y = x^3").err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("-e", "variable x = 3.0; p = x^2; y = p*x"),
        ("-e", "variable x = 3.0; p = x^2; y = x", "--of", "y"),
        ("-e", "variable x = 3.0; p = x^2; y = x; output y"),
        ("-e", "variable x = 3.0; f = x^2; y = gradients(f, x)^2"),
        ("-e", "variable x = 3.0; def f(x) = x^2; y = f(x)"),
    ],
)
def test_no_notes_where_nothing_is_left_open(gradcli, arguments):
    assert gradcli("grad", *arguments).err == ""


def test_many_nones_are_few_notes(gradcli):
    text = "; ".join([f"variable x{i} = 1.0" for i in range(9)]) + "; y = x0"
    notes = gradcli("grad", "-e", text).err.splitlines()
    assert len(notes) == 6
    assert notes[-1].startswith("note: 3 more are None")


def test_python_words(gradcli):
    done = gradcli("eval", "-e", "y = sum([[1.0, 2.0]], axis=0, keepdims=True); b = not False")
    assert done.out == "y = [[1.0, 2.0]]\nb = true\n"
    assert done.err == "note: True and False are read as `true` and `false`\n"
    assert gradcli("eval", "-e", "y = 1  # True").err == ""
    assert json.loads(gradcli("eval", "-e", "y = True", "--format", "json").err)["note"]


def test_where_an_expression_goes(gradcli):
    done = gradcli("eval", "1+1")
    assert (done.status, done.out) == (1, "")
    assert "`gradcli eval -e 1+1`" in done.err
    assert "gradcli eval -e 'sin(1)'" in gradcli("sin(1)").err
    assert "`gradcli grad -e 'x^2 + $x'`" in gradcli("grad", "x^2 + $x").err


# rows

ROWS = 'id;x\na;2\n"b;c";0\nd,"z";u\n'


@pytest.mark.parametrize(
    ("options", "out"),
    [
        ((), "id,y\na,2\n"),
        (("--skip-bad",), "id,y\na,2\n"),
        (("--skip-bad=keep",), 'id,y\na,2\nb;c,\n"d,""z""",\n'),
        (("--skip-bad=keep", "--format", "json"), '{"id": "a", "y": 2}\n{"id": "b;c"}\n{"id": "d,\\"z\\""}\n'),
    ],
)
def test_rows_keep_columns_and_bad_ones(gradcli, options, out):
    command = ("eval", *options, "-e", "variable x = 1.0; y = cast(4/x, int64)", "--points", "-")
    done = gradcli(*command, "--keep", "id", "--delimiter", ";", stdin=ROWS)
    assert done.out == out
    assert done.status == (0 if options else 1)


def test_kept_columns_may_set_something_too(gradcli):
    rows = "".join([f"{i},{i % 7}\n" for i in range(3000)])
    done = gradcli("grad", "-e", "variable x = 1.0; y = x^2", "--points", "-", "--keep", "n,x", stdin="n,x\n" + rows)
    table = np.genfromtxt(done.out.splitlines()[1:], delimiter=",")
    assert done.out.startswith("n,x,x\n")
    assert np.array_equal(table, [[i, i % 7, 2 * (i % 7)] for i in range(3000)])


@pytest.mark.parametrize("keep", ["*", "id,*", "*,id", "x,*"])
@pytest.mark.parametrize("form", ["csv", "ndjson", "gz", "parquet"])
def test_a_star_keeps_all_columns_that_set_nothing(gradcli, keep, form):
    table = {"id": ["a", "b"], "x": [2.0, 3.0], "w": [5, 6]}
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    text = "id,x,w\n" + "".join([",".join(map(str, row.values())) + "\n" for row in rows])
    if form == "ndjson":
        text = "".join([json.dumps(row) + "\n" for row in rows])
    path = {"gz": "t.csv.gz", "parquet": "t.parquet"}.get(form, "t.csv")
    if form == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(table), path)
    else:
        Path(path).write_bytes(gzip.compress(text.encode()) if form == "gz" else text.encode())
    done = gradcli("eval", "-e", "variable x = 1.0; y = x^2", "--points", path, "--keep", keep, "--format", "json")
    names = {"*": ["id", "w"], "id,*": ["id", "w"], "*,id": ["w", "id"], "x,*": ["x", "id", "w"]}[keep]
    expected = [{**{name: row[name] for name in names}, "y": row["x"] ** 2} for row in rows]
    found = [json.loads(line) for line in done.out.splitlines()]
    if form in ("csv", "gz"):  # texts
        found = [{k: v if k in ("id", "y") else float(v) for k, v in row.items()} for row in found]
    assert found == expected
    assert [list(row) for row in found] == [[*names, "y"]] * 2
    assert gradcli("eval", "-e", "variable x = 1.0; y = x^2", "--points", path, "--keep", keep).out.startswith(",".join([*names, "y"]) + "\n")  # fmt: skip


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--keep", "zz"), 1, "no column `zz` to keep"),
        (("--delimiter", "a"), 2, "not one character"),
        (("--delimiter", "tab"), 1, "`--delimiter ','`"),
        ((), 1, "`--keep id`"),
        (("--keep", "id,x", "--skip-bad=no"), 2, "skip"),
    ],
)
def test_wrong_options_about_rows(gradcli, options, status, words):
    done = gradcli("eval", "-e", "variable x = 1.0; y = x", "--points", "-", *options, stdin="id,x\n1,2\n")
    assert (done.status, done.out) == (status, "")
    assert words in done.err
    assert gradcli("eval", "-e", "variable x = 1.0; y = x", "--keep", "id").status == 2


def test_completion_of_names_that_are_set(gradcli, tmp_path, monkeypatch):
    (tmp_path / "f.expr").write_text("variable xa = 1.0; constant xk = 2.0; xy = xa*xk")
    for words, found in [
        ("gradcli eval f.expr --set x", "plain,xa=\nplain,xk=\n"),
        ("gradcli grad f.expr --seed xy", "plain,xy=\n"),
        ("gradcli plot f.expr --x xa", "plain,xa=\n"),
        ("gradcli ops softpl", "plain,softplus\n"),
        ("gradcli help softpl", "plain,softplus\n"),
    ]:
        monkeypatch.setenv("_GRADCLI_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        assert gradcli().out == found


# what new users typed


@pytest.mark.parametrize(
    ("words", "help"),
    [
        (("derive", "-e", "x^2"), "give it a value, `--set x=1`, or bind it above"),
        (("eval", "-e", "variable x = 1.0; with torch.no_grad(): y = x"), "`stop_gradient(x)`"),
        (("eval", "-e", "y = normal([3])"), "write `random_normal([2, 3])`"),
        (("eval", "-e", "sin(30*deg)"), "write `pi/180`"),
        (("fit", "--errors", "-e", "variable k = 1.0; l = sum((k - [1, 2])^2); h = 1/k"), "`--minimize NAME` says"),
        (("eval", "-e", "variable x = 1.0; y = x", "--points", "-"), "`--skip-bad` passes over"),
    ],
)
def test_helps_for_what_is_tried_first(gradcli, words, help):
    done = gradcli(*words, stdin="x\nz\n" if "-" in words else None)
    assert done.status == 1
    assert help in done.err
    assert done.err.count("error[") == 1


def test_a_function_that_is_written_otherwise_is_one_error(gradcli):
    assert gradcli("eval", "-e", "f(x) = x^2; y = f(3); z = y").err.count("error[") == 1


def test_a_quiet_fit_says_nothing(gradcli):
    text = "variable x = 1.0; y = (x - 2)^2; z = 3*x"
    assert gradcli("fit", "-e", text, "--of", "y", "-q") == (0, "x = 2.0\n", "")
    assert (
        "note: z is minimised, the last definition; y has no part in it"
        in gradcli("fit", "-e", text, "--steps", "1").err
    )
