"""``eval`` and ``grad`` from the outside: where programs and values come from, where results and errors go."""

import json
import os
import subprocess

import numpy as np
import pytest

STOPPED = "variable w1 = 2.0\nvariable w2 = 2.0\na = w1*3.0\nb = stop_gradient(a)*w2\n"


def test_standard_input_is_the_program_in_a_pipe(gradcli):
    note = "note: w1 is None: cut by stop_gradient(a) on line 4\n"
    assert gradcli("grad", stdin=STOPPED) == (0, "w1 = None\nw2 = 6.0\n", note)
    assert gradcli("grad", "-q", stdin=STOPPED) == (0, "w1 = None\nw2 = 6.0\n", "")
    assert gradcli("grad", "-", stdin=STOPPED).out == "w1 = None\nw2 = 6.0\n"


def test_the_reason_names_the_stop_and_its_line(gradcli):
    reply = json.loads(gradcli("grad", "--format", "json", stdin=STOPPED).out)
    assert reply["file"] == "<stdin>"
    assert reply["of"] == ["b"]
    assert reply["gradients"]["w1"]["connected"] is False
    assert "stop_gradient" in reply["gradients"]["w1"]["reason"]
    assert ":4:" in reply["gradients"]["w1"]["reason"]


def test_a_file_and_its_folder(gradcli, tmp_path):
    (tmp_path / "sub").mkdir()
    np.save(tmp_path / "sub" / "X.npy", np.arange(3.0))
    (tmp_path / "sub" / "f.expr").write_text('X = load("X.npy")\ny = sum(X)\noutput y\n')
    assert gradcli("eval", "sub/f.expr").out == "y = 3.0\n"


def test_inline_programs(gradcli):
    assert gradcli("eval", "-e", "y = 1/4").out == "y = 0.25\n"
    assert gradcli("eval", "-e", "a = 1", "-e", "y = a + 1", "--of", "y").out == "y = 2\n"


def test_settings(gradcli, tmp_path):
    np.savez(tmp_path / "d.npz", a=np.array([1.0, 2.0]), b=np.array([3.0, 4.0]))
    (tmp_path / "v.json").write_text('{"x": [5, 6], "k": 10}')
    program = ["eval", "-e", "variable x: [2]; constant k = 2; y = k*x; output y"]
    assert gradcli(*program, "--set", "x=[1, 2]").out == "y = [2.0, 4.0]\n"
    assert gradcli(*program, "--set", "x=@d.npz:b").out == "y = [6.0, 8.0]\n"
    assert gradcli(*program, "--values", "v.json").out == "y = [50.0, 60.0]\n"
    assert gradcli(*program, "--values", "v.json", "--set", "k = 1").out == "y = [5.0, 6.0]\n"
    assert gradcli(*program, "--values", "-", stdin="x = [1, 2]\n").out == "y = [2.0, 4.0]\n"


@pytest.mark.parametrize("format", ["json", "ndjson", "plain"])
def test_a_reply_sets_the_variables_of_another_program(gradcli, format):
    reply = gradcli("eval", "-e", "h = [1.0, 2.0]; other = 3; output h, other", "--of", "h", "--format", format).out
    assert gradcli("eval", "-e", "variable h: [2]; y = 2*h", "--values", "-", stdin=reply).out == "y = [2.0, 4.0]\n"


def test_names_that_a_program_does_not_have(gradcli):
    program = ["eval", "-e", "variable height = 1.0; y = height"]
    for arguments, stdin in ([["--set", "hieght=2"], None], [["--values", "-"], '{"hieght": 2}']):
        done = gradcli(*program, *arguments, stdin=stdin)
        assert (done.status, done.out) == (1, "")
        assert "NameError" in done.err
        assert "height" in done.err
    reply = gradcli("eval", "-e", "height = 2.0; other = 3", "--format", "json").out
    assert gradcli(*program, "--values", "-", stdin=reply).out == "y = 2.0\n"
    stranger = gradcli("eval", "-e", "other = 3", "--format", "json").out
    assert "nothing of this program" in gradcli(*program, "--values", "-", stdin=stranger).err


def test_the_chain_rule_across_two_programs(gradcli, tmp_path):
    (tmp_path / "early.expr").write_text("variable x = [1.0, 2.0]\nh = x^2\nu = x*1.0\n")
    (tmp_path / "late.expr").write_text("variable h = [1.0, 4.0]\nvariable u: [2]\nvariable w = 3.0\ny = sum(w*h^2)\n")
    late = gradcli("grad", "late.expr", "--format", "json").out
    assert gradcli("grad", "early.expr", "--seeds", "-", stdin=late).out == "x = [12.0, 96.0]\n"
    assert gradcli("grad", "early.expr", "--seeds", "-", "--of", "h", stdin=late).out == "x = [12.0, 96.0]\n"
    assert gradcli("grad", "early.expr", "--seeds", "-", "--seed", "h=[1, 0]", stdin=late).out == "x = [2.0, 0.0]\n"
    assert gradcli("grad", "early.expr", "--seeds", "-", "--of", "u", stdin=late).status == 2
    nothing = '{"h": null}'
    assert "no head gradient" in gradcli("grad", "early.expr", "--seeds", "-", stdin=nothing).err


def test_orders(gradcli):
    program = ["grad", "-e", "variable x = 2.0; y = x*x*x"]
    assert gradcli(*program, "--order", "2").out == "x = 12.0\n"
    every = gradcli(*program, "--order", "4", "--every-order").out
    assert every == "# order 1\nx = 12.0\n# order 2\nx = 12.0\n# order 3\nx = 6.0\n# order 4\nx = None\n"
    reply = json.loads(gradcli(*program, "--order", "2", "--every-order", "--format", "json").out)
    assert [(group["order"], group["gradients"]["x"]["value"]) for group in reply["orders"]] == [(1, 12.0), (2, 12.0)]


def test_names_and_globs(gradcli):
    program = ["grad", "-e", "variable W1 = 1.0; variable W2 = 2.0; variable b = 3.0; h = W1*W2; y = h*b; output y"]
    assert gradcli(*program, "--wrt", "W*,h").out == "W1 = 6.0\nW2 = 3.0\nh = 3.0\n"
    assert gradcli(*program, "--wrt", "b", "--wrt", "h", "--stop", "h").out == "b = 2.0\nh = 3.0\n"
    assert gradcli(*program, "--of", "h,y", "--wrt", "W1").out == "W1 = 8.0\n"
    done = gradcli(*program, "--wrt", "W3")
    assert (done.status, done.out) == (1, "")
    assert "NameError" in done.err


def test_unconnected(gradcli):
    program = ["grad", "-e", "variable x = 1.0; variable z = [1.0, 2.0]; y = x*2; output y"]
    assert gradcli(*program).out == "x = 2.0\nz = None\n"
    assert gradcli(*program, "--unconnected", "zero").out == "x = 2.0\nz = [0.0, 0.0]\n"
    done = gradcli(*program, "--unconnected", "error")
    assert (done.status, done.out) == (1, "")
    assert "z" in done.err


@pytest.mark.parametrize("format", ["table", "plain", "json", "ndjson", "csv"])
def test_formats_and_precision(gradcli, format):
    done = gradcli("eval", "-e", "y = [1.0, 2.0]/3.0", "--format", format, "--precision", "3")
    assert done.status == 0
    assert "0.333" in done.out
    assert "0.6667" not in done.out
    assert "\x1b" not in done.out


def test_output_files(gradcli, tmp_path):
    program = ["grad", "-e", "variable x = [1.0, 2.0]; variable z = 1.0; y = sum(x^2); output y"]
    for ending in ("npz", "json", "csv"):
        note = "note: z is None: y does not use z\n" if ending != "json" else ""
        assert gradcli(*program, "--output", f"out.{ending}") == (0, "", note)
    with np.load(tmp_path / "out.npz") as archive:
        assert list(archive) == ["x"]
        assert archive["x"].tolist() == [2.0, 4.0]
    assert json.loads((tmp_path / "out.json").read_text())["gradients"]["z"]["value"] is None
    assert (tmp_path / "out.csv").read_text() == "name,index,value\nx,0,2.0\nx,1,4.0\nz,,\n"


def test_a_failing_run_leaves_no_file(gradcli, tmp_path):
    (tmp_path / "out.npz").write_text("old")
    done = gradcli("eval", "-e", "y = nothing", "--output", "out.npz")
    assert done.status == 1
    assert (tmp_path / "out.npz").read_text() == "old"
    assert os.listdir(tmp_path) == ["out.npz"]


def test_errors_as_json(gradcli):
    done = gradcli("eval", "-e", "y = 1\nz = yy", "--format", "json")
    assert (done.status, done.out) == (1, "")
    error = json.loads(done.err)["error"]
    assert (error["kind"], error["file"], error["line"], error["column"]) == ("NameError", "<-e>", 2, 5)
    assert "y" in error["help"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (["eval", "g.expr"], None, ["g.expr", "f.expr"]),
        (["eval", "."], None, ["."]),
        (["eval", "latin.expr"], None, ["UTF-8", "latin.expr"]),
        (["eval"], b"y = \xff", ["UTF-8", "<stdin>"]),
        (["eval"], b"y = \x00", ["SyntaxError"]),
        (["eval", "f.expr", "--set", "x=@nope.npy"], None, ["--set x", "nope.npy"]),
        (["eval", "f.expr", "--set", "x=[1, "], None, ["SyntaxError", "--set x"]),
        (["eval", "f.expr", "--set", "w=[1, 2, 3]"], None, ["ShapeError", "`--set 'w=", "[2]"]),
        (["eval", "f.expr", "--values", "bad.csv"], None, ["bad.csv"]),
        (["eval", "f.expr", "--output", "no/such.json"], None, ["no folder"]),
        (["eval", "-e", "y = " + "(" * 20000 + "1"], None, ["SyntaxError", "`(`"]),
        (["eval", "-e", "y = sum(zeros([1000000, 1000000, 1000]))"], None, ["LimitError"]),
        (["eval", "-e", "y = sum(ones([1000, 1000]))", "--max-memory", "1M"], None, ["LimitError"]),
    ],
)
def test_bad_input(gradcli, tmp_path, arguments, stdin, words):
    (tmp_path / "f.expr").write_text("variable x = [1.0, 2.0]\nvariable w: [2] = [1.0, 2.0]\ny = 2*x\n")
    (tmp_path / "latin.expr").write_bytes(b"# \xe9\ny = 1\n")
    (tmp_path / "bad.csv").write_text("1,2\n")
    done = gradcli(*arguments, stdin=stdin)
    assert (done.status, done.out) == (1, "")
    assert "Traceback" not in done.err
    assert "internal error" not in done.err
    for word in words:
        assert word in done.err
    assert max(map(len, done.err.splitlines())) < 300


def test_deep_nesting_is_no_error(gradcli):
    assert gradcli("eval", "-e", "y = " + "(" * 20000 + "1" + ")" * 20000) == (0, "y = 1\n", "")


def test_pipes_import_neither_rich_nor_what_is_optional(process):
    for arguments in (["eval", "-e", "y = 1.5"], ["grad", "-e", "variable x = 1.0; y = x"], ["eval", "-e", "y = oops"]):
        done = process(*arguments, python=("-X", "importtime"))
        imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
        assert "gradcli" in imported
        assert not {"rich", "lark", "scipy"} & imported


def test_text_in_a_pipe_is_utf8_whatever_the_locale(process):
    done = process("eval", "-e", "größe = 1", env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    assert done.stdout == "größe = 1\n"


def test_options_are_utf8_whatever_the_locale(process, tmp_path):
    (tmp_path / "größe.expr").write_text("variable ä = 1\ny = 2*ä\n", encoding="utf-8")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = process("eval", "größe.expr", "--of", "y,ä", "--set", "ä=3", "--format", "json", env=locale)
    assert (done.stderr, json.loads(done.stdout)["file"]) == ("", "größe.expr")
    assert json.loads(done.stdout)["values"]["ä"]["value"] == 3


def test_a_closed_pipe_ends_quietly(process):
    read, write = os.pipe()
    os.close(read)
    done = process("eval", "-e", "y = ones([300, 300])", stdout=write, stderr=subprocess.PIPE, capture_output=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_an_error(process):
    with open("/dev/full", "w") as full:
        done = process("eval", "-e", "y = 1", stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error[DataError]: cannot write to standard output")
    assert "Exception" not in done.stderr


PARTLY_STOPPED = "variable w1 = 2.0; variable w2 = [1.0, 2.0]; y = stop_gradient(w1)*w2"


def test_a_terminal_gets_tables_and_colour(terminal):
    text = terminal("grad", "-e", PARTLY_STOPPED)
    assert "\x1b[" in text
    assert "Σy" in text
    assert "╭" in text
    assert "None" in text
    assert "cut by stop_gradient" in text


def test_a_terminal_without_colour(terminal):
    assert "\x1b" not in terminal("grad", "-e", PARTLY_STOPPED, env={"NO_COLOR": "1"})
    assert "\x1b" not in terminal("eval", "-e", "y = oops", env={"NO_COLOR": "1"})
    assert "\x1b" in terminal("eval", "-e", "y = oops")


def test_long_arrays_are_summarised_on_a_terminal_only(terminal, gradcli):
    program = ["eval", "-e", "y = arange(1000)"]
    assert "..." in terminal(*program)
    assert gradcli(*program).out.count(",") == 999


@pytest.mark.parametrize(
    ("option", "content", "words"),
    [
        ("--values", '{"z": 1}', ["sets `z`", "no such variable or constant", "it has b, x", "eval --of 'b,x'"]),
        ("--values", "y = 3\n", ["sets `y`", "eval --of 'b,x'"]),
        ("--seeds", '{"zz": 1}', ["seeds `zz`", "no such value", "it has b, x, y"]),
        ("--seeds", "order,name,index,value\n1,y,,1.0\n", ["CSV", "--format json or plain"]),
        ("--seeds", "name,index,value\nzz,,1.0\n", ["seeds nothing", "zz"]),
        ("--values", "name,index,value\nx,0,1.0\nx,2,1.0\n", ["each entry of x once"]),
        ("--values", "name,index,value\nx,,1.0\nx,,1.0\n", ["line 3", "twice"]),
        ("--values", "name,index,value\nx,a,1.0\n", ["line 2", "name,index,value"]),
        ("--values", "name,index,value\nx,,one\n", ["not numbers"]),
        ("--values", "name,index,value\nx,,[1]\n", ["not numbers"]),
        (
            "--values",
            '{"command": "grad", "file": "f", "gradients": {"x": {"connected": true, "dtype": "float64", "shape": [], "value": 1.0}}}',
            ["gradients", "--seeds v"],
        ),
        ("--values", '{"name": "x", "connected": true, "value": 1}\n', ["gradients", "--seeds v"]),
    ],
)
def test_files_with_other_names(gradcli, tmp_path, option, content, words):
    (tmp_path / "v").write_text(content)
    done = gradcli("grad", "-e", "variable x = 1.0; variable b = 2.0; y = x*b", option, "v")
    assert (done.status, done.out) == (1, "")
    for word in words:
        assert word in done.err


def test_tangents_are_seeds(gradcli, tmp_path):
    program = ["-e", "variable x = 3.0; y = x^2"]
    (tmp_path / "v.json").write_text(gradcli("jvp", *program, "--tangent", "x=1", "--format", "json").out)
    assert gradcli("grad", *program, "--seeds", "v.json").out == "x = 36.0\n"
