"""The command ``graph``: formats, options, large programs, wrong input."""

import json

import pytest

from tests.features.flowcharts import read_dot, read_mermaid

PROGRAM = "variable w = 2.0; variable v = 3.0; h = sin(w); y = h*stop_gradient(v)\n"


def test_formats(gradcli):
    shown = gradcli("graph", "-e", PROGRAM)
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.splitlines()[0].startswith("y = h * ·")
    assert "no gradient passes stop_gradient" in shown.out
    record = json.loads(gradcli("graph", "-e", PROGRAM, "--format", "json").out)
    assert (record["command"], record["file"]) == ("graph", "<-e>")
    nodes = {node["id"]: node["names"] for node in record["nodes"]}
    assert sorted(name for names in nodes.values() for name in names) == ["h", "v", "w", "y"]
    assert [edge["cut"] for edge in record["edges"] if edge["cut"]] == ["stop_gradient"]
    dot = read_dot(gradcli("graph", "-e", PROGRAM, "--format", "dot").out)
    assert dot == read_mermaid(gradcli("graph", "-e", PROGRAM, "--format", "mermaid").out)
    assert len(dot.nodes) == len(nodes) == 5
    assert sum(dashed for _, _, dashed in dot.edges) == 1


def test_gradients(gradcli):
    out = gradcli("graph", "-e", PROGRAM, "--gradient", "w,v").out
    assert out.startswith("forward\n")
    backward = out.partition("\nbackward\n")[2]
    assert "dy/dw = " in backward
    assert "dy/dv = None: cut by stop_gradient(v) on line 1" in backward
    assert gradcli("graph", "-e", PROGRAM, "--gradient", "*").out == out
    assert "dh/dw" in gradcli("graph", "-e", PROGRAM, "--gradient", "w", "--of", "h").out
    assert "dy/dw = None: cut by the stop at h" in gradcli("graph", "-e", PROGRAM, "--gradient", "w", "--stop", "h").out


def test_settings_and_files(gradcli, tmp_path):
    (tmp_path / "a.expr").write_text("variable x = 1.0; y = sum(x)")
    assert "[3] float64" in gradcli("graph", "a.expr", "--set", "x=[1, 2, 3]").out
    assert "float32" in gradcli("graph", "-", "--dtype", "float32", stdin="variable x = 1.0; y = sum(x)").out


@pytest.mark.slow
def test_a_large_program_is_summarised(gradcli):
    text = "variable a0 = 0.5\n" + "".join(f"a{i + 1} = sin(a{i})\n" for i in range(10_000))
    done = gradcli("graph", "-", stdin=text)
    assert done.status == 0
    assert len(done.out.splitlines()) < 500
    assert "10001 boxes, summarised by stretches of the program: --most 10001 shows them" in done.out
    assert len(gradcli("graph", "-", "--most", "5", stdin=text).out.splitlines()) <= 6
    assert len(gradcli("graph", "-", "--of", "a3", stdin=text).out.splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.expr"], ["error[DataError]", "there is no file missing.expr"]),
        (["-e", "def f(x) = x"], ["error[ValueError]", "there is nothing to draw"]),
        (["-e", "y = 2 +"], ["error[SyntaxError]", "<-e>:1:", "^"]),
        (["-e", "variable x = 1; y = sinh(z)"], ["error[NameError]", "`z` is not defined", "^"]),
        (["-e", PROGRAM, "--gradient", "ww"], ["error[NameError]", "no value `ww`", "did you mean `w`?"]),
        (["-e", PROGRAM, "--gradient", "q*"], ["error[NameError]", "no variable matches `q*`", "w, v"]),
        (["-e", PROGRAM, "--of", "hh"], ["error[NameError]", "no value `hh`", "did you mean `h`?"]),
        (["-e", PROGRAM, "--stop", "yy", "--gradient", "w"], ["error[NameError]", "did you mean `y`?"]),
        (["-e", "y = 1.0", "--gradient", "*"], ["error[NameError]", "no variable matches"]),
        (["-e", "variable x = 1.0; g = gradients(floor(x), x)", "--gradient", "x"], ["error[ValueError]", "None"]),
    ],
)
def test_wrong_input(gradcli, arguments, words):
    done = gradcli("graph", *arguments)
    assert (done.status, done.out) == (1, "")
    for word in words:
        assert word in done.err
    record = json.loads(gradcli("graph", *arguments, "--format", "json").err)
    assert record["error"]["message"]


def test_on_a_terminal(terminal):
    out = terminal("graph", "-e", PROGRAM)
    assert "\x1b[2m[] float64\x1b[0m" in out
    assert "└╌ " in out
    assert "\x1b" not in terminal("graph", "-e", PROGRAM, env={"NO_COLOR": "1"})
    assert terminal("graph", "-e", PROGRAM, env={"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}).isascii()


@pytest.mark.parametrize("format", ["tree", "dot", "mermaid", "json"])
def test_neither_rich_nor_kernels_are_loaded(process, format):
    code = ("-X", "importtime")
    loaded = process("graph", "-e", PROGRAM, "--format", format, python=code).stderr
    assert "gradcli.features.graph.answer" in loaded
    assert "rich" not in loaded
