"""``jacobian``, ``hessian`` and ``jvp`` from the outside, in every format, and what they say when they cannot answer."""

import csv
import io
import json

import numpy as np
import pytest

import gradcli as interface
from gradcli.features.matrices.look import Matrices, drawn
from gradcli.report.tables import Screen
from gradcli.results import Block

PROGRAM = "variable x = [1., 2.]; variable b = 3.; y = [x[0]*x[1]*b, x[0]^2]; z = sum(x)*b; output y, z"
SCALAR = "variable x = [1., 2.]; variable b = 3.; y = x[0]*x[1]*b; z = sum(x^3); output y, z"


def test_jacobian_plain(gradcli):
    assert gradcli("jacobian", "-e", PROGRAM) == (
        0,
        "dy/dx = [[6.0, 3.0], [2.0, 0.0]]\ndy/db = [2.0, 0.0]\ndz/dx = [3.0, 3.0]\ndz/db = 3.0\n",
        "",
    )


def test_jacobian_json(gradcli):
    done = gradcli("jacobian", "-e", PROGRAM, "--format", "json", "--of", "y", "--wrt", "b,x")
    assert json.loads(done.out) == {
        "command": "jacobian",
        "file": "<-e>",
        "jacobians": {
            "y": {
                "b": {"dtype": "float64", "shape": [2], "value": [2.0, 0.0]},
                "x": {"dtype": "float64", "shape": [2, 2], "value": [[6.0, 3.0], [2.0, 0.0]]},
            }
        },
    }


def test_jacobian_csv_and_ndjson(gradcli):
    rows = list(csv.reader(io.StringIO(gradcli("jacobian", "-e", PROGRAM, "--format", "csv", "--of", "y").out)))
    assert rows[:4] == [["y", "x", "index", "value"], ["y", "x", "0;0", "6.0"], ["y", "x", "0;1", "3.0"],
                        ["y", "x", "1;0", "2.0"]]  # fmt: skip
    assert rows[5] == ["y", "b", "0", "2.0"]
    lines = [json.loads(line) for line in gradcli("jacobian", "-e", PROGRAM, "--format", "ndjson").out.splitlines()]
    assert [(line["y"], line["x"]) for line in lines] == [("y", "x"), ("y", "b"), ("z", "x"), ("z", "b")]
    assert lines[3]["value"] == 3.0


def test_jacobian_table_in_a_pipe(gradcli):
    assert gradcli("jacobian", "-e", PROGRAM, "--format", "table", "--of", "y").out == (
        "name   shape   dtype    value\n"
        "dy/dx  [2, 2]  float64  [[6.0, 3.0],\n"
        "                         [2.0, 0.0]]\n"
        "dy/db  [2]     float64  [2.0, 0.0]\n"
    )


def test_files(gradcli, tmp_path):
    assert gradcli("hessian", "-e", SCALAR, "--output", "h.npz") == (0, "", "")
    with np.load(tmp_path / "h.npz") as file:
        assert sorted(file) == ["b/b", "b/x", "x/b", "x/x"]
        assert file["x/x"].tolist() == [[6.0, 3.0], [3.0, 12.0]]
    gradcli("jacobian", "-e", PROGRAM, "--output", "j.json", "--precision", "1")
    assert json.loads((tmp_path / "j.json").read_text())["jacobians"]["z"]["b"]["value"] == 3.0


def test_hessian_adds_up_several_ys(gradcli):
    assert gradcli("hessian", "-e", SCALAR).out == (
        "d2(y+z)/dx/dx = [[6.0, 3.0], [3.0, 12.0]]\n"
        "d2(y+z)/dx/db = [2.0, 1.0]\n"
        "d2(y+z)/db/dx = [2.0, 1.0]\n"
        "d2(y+z)/db/db = 0.0\n"
    )
    reply = json.loads(gradcli("hessian", "-e", SCALAR, "--of", "y", "--wrt", "x", "--format", "json").out)
    assert reply["of"] == ["y"]
    assert reply["hessians"] == {"x": {"x": {"dtype": "float64", "shape": [2, 2], "value": [[0.0, 3.0], [3.0, 0.0]]}}}
    assert gradcli("hessian", "-e", SCALAR, "--of", "y", "--format", "csv").out.startswith(
        "x1,x2,index,value\nx,x,0;0,"
    )


def test_entries_are_zeros_never_none(gradcli):
    program = "variable x = 1.; variable w = [1., 2.]; y = 2*x"
    assert gradcli("jacobian", "-e", program).out == "dy/dx = 2.0\ndy/dw = [0.0, 0.0]\n"
    assert gradcli("hessian", "-e", program, "--wrt", "x").out == "d2y/dx/dx = 0.0\n"
    assert gradcli("jvp", "-e", program, "--tangent", "w=1").out == "y = 0.0\n"


def test_stops(gradcli):
    program = "variable x = 3.; a = x^2; y = a*x"
    assert gradcli("jacobian", "-e", program, "--stop", "a").out == "dy/dx = 9.0\n"
    assert gradcli("hessian", "-e", program, "--stop", "a").out == "d2y/dx/dx = 0.0\n"
    assert gradcli("jvp", "-e", program, "--stop", "a", "--tangent", "x=2").out == "y = 18.0\n"


def test_patterns(gradcli, tmp_path):
    program = ["-e", "variable x: [3]; y = [x[0]*x[1], sin(x[2])]", "--sparsity"]
    assert gradcli("jacobian", *program).out == (
        "# dy/dx: 3 of 6 entries may be non-zero, 2 rows for y [2], 3 columns for x [3]\n**.\n..*\n"
    )
    assert json.loads(gradcli("jacobian", *program, "--format", "json").out)["patterns"] == {
        "y": {"x": {"shape": [2, 3], "nonzero": 3, "rows": [0, 0, 1], "cols": [0, 1, 2]}}
    }
    assert gradcli("jacobian", *program, "--format", "csv").out == "y,x,row,col\ny,x,0,0\ny,x,0,1\ny,x,1,2\n"
    gradcli("jacobian", *program, "--output", "p.npz")
    with np.load(tmp_path / "p.npz") as file:
        assert file["y/x"].tolist() == [[True, True, False], [False, False, True]]


def test_jvp(gradcli, tmp_path):
    np.save(tmp_path / "v.npy", np.array([1.0, 0.0]))
    arguments = ["jvp", "-e", PROGRAM, "--tangent", "x=@v.npy", "--tangent", "b=1"]
    assert gradcli(*arguments).out == "y = [8.0, 2.0]\nz = 6.0\n"
    assert json.loads(gradcli(*arguments, "--of", "z", "--format", "json").out) == {
        "command": "jvp",
        "file": "<-e>",
        "tangents": {"z": {"dtype": "float64", "shape": [], "value": 6.0}},
    }
    assert gradcli(*arguments, "--of", "z", "--format", "csv").out == "name,index,value\nz,,6.0\n"
    assert gradcli(*arguments, "--of", "z", "--format", "table").out.startswith("derivatives along x, b\nname ")
    assert gradcli("jvp", "-e", PROGRAM, "--tangent", "x=1", "--of", "z").out == "z = 6.0\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["hessian", "-e", "variable x = [1., 2.]; y = x^2"], ["ShapeError", "y has shape [2]", "sum(y)", "^^^"]),
        (["jacobian", "-e", "variable xval = 1.; y = xval", "--wrt", "xvl"], ["NameError", "did you mean `xval`"]),
        (["hessian", "-e", "variable xval = 1.; y = xval", "--of", "yy"], ["NameError", "did you mean `y`"]),
        (["jvp", "-e", "variable x = [1., 2.]; y = x", "--tangent", "x=[1, 2, 3]"],
         ["ShapeError", "the tangent of x needs its shape, [2], not [3]", "--tangent 'x=1'"]),
        (["jvp", "-e", "variable xval = 1.; y = xval", "--tangent", "xvl=1"], ["NameError", "did you mean `xval`"]),
        (["jvp", "-e", "variable x = 1.; y = x", "--tangent", "x=1+"], ["SyntaxError", "--tangent x"]),
        (["jacobian", "-e", "y = 2.0"], ["ValueError", "no variables"]),
        (["jacobian", "-e", ""], ["ValueError", "nothing to differentiate"]),
        (["hessian", "-e", "variable x: [1000000] = 1.; y = sum(x^4)*sum(x)"],
         ["LimitError", "TiB", "hvp(y, x, v)", "gradcli jvp"]),
        (["jacobian", "-e", "variable x: [300] = 1.; y = sin(x)", "--max-memory", "500k"],
         ["LimitError", "--max-memory allows", "jvp(y, x, v)"]),
    ],
)  # fmt: skip
def test_errors(gradcli, arguments, words):
    done = gradcli(*arguments)
    assert (done.status, done.out) == (1, "")
    assert "internal error" not in done.err
    for word in words:
        assert word in done.err


def test_usage(gradcli):
    done = gradcli("jvp", "-e", "variable x = 1.; y = x")
    assert done.status == 2
    assert "--tangent 'x=1'" in done.err


def test_from_python():
    program = interface.loads(SCALAR)
    h = program.hessian()
    assert {x: list(row) for x, row in h.items()} == {"x": ["x", "b"], "b": ["x", "b"]}
    assert h["b"]["x"].tolist() == [2.0, 1.0]
    j = program.jacobian(["y"], ["x"], values={"b": 2.0})
    assert j["y"]["x"].tolist() == [4.0, 2.0]
    v = np.array([0.5, -1.0])
    tangents = program.jvp({"x": v}, of=["z", "y"])
    assert tangents["z"] == pytest.approx(program.jacobian(["z"])["z"]["x"] @ v)
    with pytest.raises(interface.GradcliError) as caught:
        program.jvp({})
    assert caught.value.kind == "ValueError"


def block(value, row_shape, column_shape):
    return Block("dy/dx", "y", "x", row_shape, column_shape, np.asarray(value))


def lines(value, row_shape, column_shape, screen=Screen(80), **options):  # noqa: B008
    reply = Matrices("jacobian", "f", ["y"], [block(value, row_shape, column_shape)], **options)
    return drawn(reply, screen).splitlines()


def test_a_matrix_on_a_terminal():
    assert lines([[6.0, -3.0], [2.0, 1 / 3]], (2,), (2,)) == [
        "dy/dx   rows y [2], columns x [2], float64",
        "       x[0]      x[1]",
        "y[0] ⎡  6.0      -3.0 ⎤",
        "y[1] ⎣  2.0  0.333333 ⎦",
    ]
    assert lines(1.5, (), ()) == ["dy/dx = 1.5"]
    assert lines(np.zeros((0, 2)), (0,), (2,))[1] == "  no entries"


def test_blocks_are_flattened_with_their_entries_named():
    shown = lines(np.arange(8.0).reshape(2, 2, 2), (2,), (2, 2))
    assert shown[0] == "dy/dx   rows y [2], columns x [2, 2], float64"
    assert shown[1].split("  ")[-1] == "x[1, 1]"
    assert shown[3].split() == ["y[1]", "⎣", "4.0", "5.0", "6.0", "7.0", "⎦"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_large_matrices_are_summarised(width):
    shown = lines(np.eye(300), (300,), (300,), Screen(width))
    assert max(map(len, shown)) <= width
    assert len(shown) < 30
    assert " ".join(" ".join(shown).split()).endswith("300 of them not 0, from 0.0 to 1.0")


def test_patterns_on_a_terminal():
    shown = lines(np.eye(3, dtype=bool), (3,), (3,), sparsity=True)
    assert shown == [
        "dy/dx: 3 of 9 entries may be non-zero, 3 rows for y [3], 3 columns for x [3]",
        "  *..",
        "  .*.",
        "  ..*",
    ]
    large = lines(np.eye(400, dtype=bool), (400,), (400,), Screen(100), sparsity=True)
    assert large[1] == "  each mark stands for 10 by 5 entries"
    assert len(large) == 42


def test_a_terminal_without_unicode_and_one_with_colour():
    assert "\n".join(lines(np.eye(30), (30,), (30,), Screen(60, unicode=False))).isascii()
    assert "\x1b[1m" in lines(np.eye(2), (2,), (2,), Screen(60, color=True))[0]


def test_on_a_terminal(terminal):
    shown = terminal("hessian", "-e", SCALAR, "--wrt", "x", env={"NO_COLOR": "1"})
    assert shown.splitlines() == [
        "d2(y+z)/dx/dx   rows x [2], columns x [2], float64",
        "       x[0]  x[1]",
        "x[0] ⎡  6.0   3.0 ⎤",
        "x[1] ⎣  3.0  12.0 ⎦",
    ]


def test_rich_is_not_needed_in_a_pipe(process):
    done = process("hessian", "-e", SCALAR, python=("-X", "importtime"))
    assert done.returncode == 0
    assert "rich" not in done.stderr
