"""The command ``plot``: what it draws where, histories, and wrong input."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ElementTree

import pytest

PROGRAM = "variable x = 0.0; variable w = [1.0, 2.0]; variable free; constant n = 3; constant on = true\n" \
    "h = w*x; y = sum(h)^2; z = y*free; counted = sum(arange(n))*x; chosen = where(on, x, 0)\noutput y\n"  # fmt: skip
RANGE = ("-e", PROGRAM, "--x", "x=-1:1")


@pytest.fixture(autouse=True)
def screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "15")


def test_curves_in_a_pipe(gradcli):
    done = gradcli("plot", *RANGE)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert len(lines) == 14 and max(map(len, lines)) <= 60
    assert lines[0] == "0: y   1: dy/dx"
    assert "\x1b" not in done.out
    assert gradcli("plot", *RANGE, "--order", "2").out.startswith("0: y   1: dy/dx   2: d2y/dx2\n")
    assert gradcli("plot", *RANGE, "--order", "0").out.startswith("y\n")
    assert gradcli("plot", *RANGE, "--order", "1..1").out.startswith("dy/dx\n")
    assert gradcli("plot", *RANGE, "--order", "0", "--of", "y,h", "--set", "w=[1]").out.startswith("0: y   1: h\n")
    assert gradcli("plot", *RANGE, "--order", "0", "--of", "y,chosen").out.startswith("0: y   1: chosen\n")
    assert "1: dchosen/dx\n" in gradcli("plot", *RANGE, "--of", "chosen").out


def test_none_is_in_the_legend(gradcli):
    out = gradcli("plot", "-e", "variable x = 1.0; y = x*x", "--x", "x=0:1", "--order", "3").out
    assert "3: d3y/dx3 = None since order 3: the derivative of order 2 does not use x" in out.splitlines()


def test_settings_dtype_and_standard_input(gradcli, tmp_path):
    (tmp_path / "f.expr").write_text("variable x = 1.0; variable k = 1.0; y = k*x")
    arguments = ("--x", "x=0:1", "--order", "0")
    plain, scaled = (gradcli("plot", "f.expr", *arguments, "--set", f"k={k}").out for k in (1, 1000))
    assert "1000 ┤" in scaled and "1000" not in plain
    assert gradcli("plot", *arguments, stdin="variable x = 1.0; y = x").out == plain
    assert gradcli("plot", "f.expr", *arguments, "--dtype", "float32").out == plain


def test_contours(gradcli):
    program = "variable a = 0.0; variable b = [1.0, 2.0]; y = a^2 + b[1]^2"
    done = gradcli("plot", "-e", program, "--x", "a=-1:1", "--x", "b[1]=-1:1")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("contours of y, arrows along its gradient\n")
    assert set("↖↗↙↘") <= set(done.out)
    alone = gradcli("plot", "-e", program, "--x", "a=-1:1", "--x", "b[1]=-1:1", "--order", "0").out
    assert not set("←→↑↓↖↗↙↘") & set(alone)


def test_data_are_dots(gradcli):
    program = "constant table = load('t.csv'); variable a = 1.0; variable b = 1.0; y = a*b; k = where(table[:, 0] > 0, 1, 0); output y"
    with open("t.csv", "w", encoding="utf-8") as file:
        file.write("-0.5,0.5\n0.5,-0.5\n0.25,0.5\n")
    done = gradcli("plot", "-e", program, "--x", "a=-1:1", "--order", "0", "--data", "table")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("y\n○ table\n") and done.out.count("○") == 4
    done = gradcli("plot", "-e", program, "--x", "a=-1:1", "--x", "b=-1:1", "--data", "table,k")
    assert (done.status, done.err) == (0, "")
    assert (done.out.count("○"), done.out.count("●")) == (2, 3)
    assert "○ k = 0   ● k = 1\n" in done.out
    done = gradcli("plot", "-e", program, "--x", "a=-1:1", "--data", "table,k")
    assert (done.status, done.out) == (1, "")
    assert "error[ShapeError]: dots are rows of x and y, and not those of table [3, 2] and k [3]" in done.err


def curves_in(path):
    return [
        g for g in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}g") if g.get("id", "").startswith("curve-")
    ]


@pytest.mark.slow
def test_files(gradcli, tmp_path):
    for name, start in (("y.svg", b"<?xml"), ("y.PNG", b"\x89PNG"), ("y.pdf", b"%PDF")):
        done = gradcli("plot", *RANGE, "--order", "0..2", "--output", name)
        assert done == (0, "", "")
        assert (tmp_path / name).read_bytes().startswith(start)
    assert len(curves_in(tmp_path / "y.svg")) == 3
    first = (tmp_path / "y.svg").read_bytes()
    gradcli("plot", *RANGE, "--order", "0..2", "--output", "y.svg")
    assert (tmp_path / "y.svg").read_bytes() == first
    assert sorted(os.listdir(tmp_path)) == ["y.PNG", "y.pdf", "y.svg"]


@pytest.mark.slow
def test_settings_of_matplotlib_do_not_matter(process, tmp_path):
    nowhere = str(tmp_path / "nowhere" / "deeper")
    env = {"MPLBACKEND": "nonsense", "MPLCONFIGDIR": nowhere, "HOME": nowhere, "XDG_CACHE_HOME": nowhere}
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 20\n")
    done = process("plot", *RANGE, "--output", "y.svg", env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    other = process("plot", *RANGE, "--output", "z.svg")
    assert (other.returncode, other.stderr) == (0, "")
    assert (tmp_path / "y.svg").read_bytes() == (tmp_path / "z.svg").read_bytes()


def test_samples(gradcli, tmp_path):
    sizes = []
    for count in ("2", "300"):
        gradcli("plot", *RANGE, "--order", "0", "--samples", count, "--output", "y.svg")
        (curve,) = curves_in(tmp_path / "y.svg")
        sizes.append(len(ElementTree.tostring(curve)))
    assert sizes[1] > 3 * sizes[0]


def test_the_loss_of_a_fit(gradcli, tmp_path):
    steps = [{"step": k, "loss": 0.5**k, "gradient_norm": 2.0**-k, "note": "fine"} for k in range(12)]
    text = "".join(json.dumps(step) + "\n" for step in steps)
    (tmp_path / "h.ndjson").write_text(text)
    done = gradcli("plot", "--history", "h.ndjson")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("loss\n") and "0.001 ┤" in done.out and done.out.endswith("step\n")
    assert gradcli("plot", "--history", "-", stdin=text).out == done.out
    assert gradcli("plot", "--history", "h.ndjson", "--log", "none").out != done.out
    gradcli("plot", "--history", "h.ndjson", "--of", "loss,gradient_norm", "--output", "h.svg")
    assert len(curves_in(tmp_path / "h.svg")) == 2
    # A line that is being written; a loss that ran away.
    assert gradcli("plot", "--history", "-", stdin=text + '{"step": 12, "lo').out == done.out
    ran_away = gradcli(
        "plot", "--history", "-", stdin=text + '{"step": 12, "loss": "NaN"}\n{"step": 13, "loss": null}\n'
    )
    assert (ran_away.status, ran_away.out[:5]) == (0, "loss\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["holds no step of a fit"]),
        ("\n\n", ["holds no step of a fit"]),
        ("{]\n", ["<stdin>, line 1: not JSON"]),
        ('{"step": 1, "loss": 2}\n[1]\n', ["<stdin>, line 2: it is not an object"]),
        ('{"step": 1, "los": 2}\n', ["it has no `loss`", "did you mean `los`?"]),
        ('{"loss": 2}\n', ["it has no `step`", "it has loss"]),
        ('{"step": 1, "loss": "high"}\n', ["line 1: `loss` is not a number"]),
        ('{"step": 1, "loss": true}\n', ["line 1: `loss` is not a number"]),
        ('{"step": 1, "loss": "NaN"}\n', ["no loss that is finite and below"]),
        ("\xff\n".encode("latin-1"), ["not UTF-8"]),
    ],
)
def test_wrong_histories(gradcli, text, words):
    done = gradcli("plot", "--history", "-", stdin=text)
    assert (done.status, done.out) == (1, "")
    for word in ["error[DataError]", *words]:
        assert word in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["Give the variable and its range", "--x 'x=-3:3'"]),
        (["--x", "x=3"], ["'x=3' is not of the form NAME=LOW:HIGH"]),
        (["--x", "x"], ["NAME=LOW:HIGH"]),
        (["--x", "x=1:2:3"], ["NAME=LOW:HIGH"]),
        (["--x", "x=:2"], ["NAME=LOW:HIGH"]),
        (["--x", "3x=1:2"], ["'3x' is neither a name nor an entry"]),
        (["--x", "w[a]=1:2"], ["'w[a]' is neither a name nor an entry"]),
        (["--x", "x=3:-3"], ["write the smaller end first: x=-3:3"]),
        (["--x", "x=2:2"], ["it is empty"]),
        (["--x", "x=0:inf"], ["its ends must be finite"]),
        (["--x", "x=nan:1"], ["its ends must be finite"]),
        (["--x", "x=-1e308:1e308"], ["its ends must be finite"]),
        (["--x", "x=0:1e101"], ["at most 1e+100"]),
        (["--x", "x=1:1.0000000000000002"], ["too near to each other"]),
        (["--x", "x=0:1e-320"], ["too near to each other"]),
        (["--x", "x=0:1", "--log", "x"], ["must be positive"]),
        (["--x", "x=0:1", "--x", "x=1:2"], ["Both --x are about x"]),
        (["--x", "x=0:1", "--x", "free=1:2", "--x", "n=1:2"], ["one --x or two, and not 3"]),
        (["--x", "x=0:1", "--x", "free=1:2", "--order", "2"], ["Over two variables --order is 0"]),
        (["--x", "x=0:1", "--x", "free=1:2", "--log", "y"], ["--log is about curves"]),
        (["--x", "x=0:1", "--x", "free=1:2", "--samples", "3000"], ["at most 2000"]),
        (["--x", "x=0:1", "--order", "two"], ["neither an order such as 2"]),
        (["--x", "x=0:1", "--order", "3..1"], ["must go upwards"]),
        (["--x", "x=0:1", "--order", "2001..2002"], ["up to 2000"]),
        (["--x", "x=0:1", "--order", "20"], ["21 curves; the most are 20"]),
        (["--x", "x=0:1", "--order", "10", "--of", "y,counted"], ["22 curves; the most are 20"]),
        (["--x", "x=0:1", "--output", "y.jpg"], [".svg, .png or .pdf"]),
        (["--x", "x=0:1", "--history", "h"], ["goes without a program"]),
        (["--data", "x,y", "--history", "h"], ["goes without a program"]),
    ],
)
def test_wrong_options(gradcli, arguments, words):
    done = gradcli("plot", "-e", PROGRAM, *arguments)
    assert (done.status, done.out) == (2, "")
    for word in words:
        assert word in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--x", "xx=0:1"], ["error[NameError]", "no variable or constant `xx`", "did you mean `x`?"]),
        (["--x", "y=0:1"], ["error[NameError]", "`y` is computed", "use what it is computed from, `"]),
        (["--x", "x=a:1"], ["error[NameError]", "`a` is not defined", "--x x:1:1"]),
        (["--x", "x=0:[1, 2]"], ["error[TypeError]", "`[1, 2]` is not a number"]),
        (["--x", "w=0:1"], ["error[ShapeError]", "w has shape [2]", "^^^", "choose an entry: `--x 'w[0]=0:1'`"]),
        (["--x", "w[2]=0:1"], ["error[ShapeError]", "w has no entry w[2]", "[2]"]),
        (["--x", "w[-3]=0:1"], ["error[ShapeError]", "w has no entry w[-3]"]),
        (["--x", "w[0,0]=0:1"], ["error[ShapeError]", "w has no entry w[0,0]"]),
        (["--x", "x[0]=0:1"], ["error[ShapeError]", "x has no entry x[0]", "[]"]),
        (["--x", "on=0:1"], ["error[TypeError]", "`on` is bool"]),
        (["--x", "n=0:1", "--of", "counted"], ["error[TypeError]", "`n` is an integer", "cannot vary"]),
        (["--x", "w[0]=0:1", "--x", "w[-2]=0:1"], ["error[ValueError]", "w[0] and w[-2] are the same"]),
        (["--x", "x=0:1", "--of", "h"], ["error[ShapeError]", "h has shape [2]", "^^^", "total = sum(h)"]),
        (["--x", "x=0:1", "--of", "yy"], ["error[NameError]", "did you mean `y`?"]),
        (["--x", "x=0:1", "--of", "z"], ["error[ValueError]", "`free` has no value"]),
        (["--x", "x=0:1", "--x", "w[0]=0:1", "--of", "y,chosen"], ["error[ValueError]", "there are 2: y, chosen"]),
        (["--x", "x=0:1", "--output", "no/y.svg"], ["error[DataError]", "cannot write no/y.svg", "there is no folder"]),
        (["--x", "x=0:1", "--output", "folder.svg"], ["error[DataError]", "cannot write folder.svg: it is a folder"]),
        (["--history", "no.ndjson"], ["error[DataError]", "there is no file no.ndjson"]),
    ],
)
def test_wrong_input(gradcli, tmp_path, arguments, words):
    (tmp_path / "folder.svg").mkdir()
    done = gradcli("plot", *([] if "--history" in arguments else ["-e", PROGRAM]), *arguments)
    assert (done.status, done.out) == (1, "")
    for word in words:
        assert word in done.err
    assert os.listdir(tmp_path) == ["folder.svg"]


def test_what_is_nowhere_positive_on_a_logarithmic_axis(gradcli, tmp_path):
    done = gradcli("plot", "-e", "variable x = 1.0; y = 1/x", "--x", "x=1:100", "--log", "xy")
    assert "1: dy/dx is nowhere positive\n" in done.out
    gradcli("plot", "-e", "variable x = 1.0; y = 1/x", "--x", "x=1:100", "--log", "xy", "--output", "y.svg")
    assert "dy/dx is nowhere positive" in (tmp_path / "y.svg").read_text()
    done = gradcli("plot", "--history", "-", "--log", "y", stdin='{"step": 1, "loss": -1.0}\n')
    assert "<stdin> has no loss that is positive and below" in done.err


def test_steps_over_steps(gradcli):
    done = gradcli("plot", "--history", "-", "--of", "loss,step", stdin='{"step": 1, "loss": 1.0}\n')
    assert (done.status, done.out) == (2, "")
    assert "--of step: what a history holds is drawn by its steps" in done.err


def test_what_is_nowhere_finite(gradcli):
    done = gradcli("plot", "-e", "variable x; y = log(x)", "--x", "x=-3:-1")
    assert (done.status, done.out) == (1, "")
    assert "y is nowhere finite and below 1e+100 for x from -3 to -1" in done.err
    done = gradcli("plot", "-e", "variable x; variable v; y = log(x)*v", "--x", "x=-3:-1", "--x", "v=0:1")
    assert "y is nowhere finite" in done.err
    # The function is there and its derivative is not.
    out = gradcli("plot", "-e", "variable x; y = where(x > 0, x, inf); z = x*0 + 1", "--x", "x=-3:1", "--of", "z,y").out
    assert out.startswith("0: z   1: dz/dx   2: y   3: dy/dx\n")


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [("plotille", []), ("contourpy", []), ("matplotlib", ["--output", "y.png"])],
)
def test_without_the_extra(gradcli, tmp_path, monkeypatch, missing, arguments):
    import sys

    for name in [
        name for name in sys.modules if name.startswith(("gradcli.features.plot.look", "gradcli.features.plot.figures"))
    ]:
        monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr(sys.modules["gradcli.features.plot"], name.rpartition(".")[2], raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    done = gradcli("plot", *RANGE, *arguments)
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        f"error[DataError]: plots need {missing}, which is not installed: pip install 'gradcli[plot]'\n"
    )
    assert os.listdir(tmp_path) == []


def test_on_a_terminal(terminal):
    arguments = ("plot", "-e", "variable x = 0.0; y = sin(x)", "--x", "x=-3:3")
    size = {"COLUMNS": "50", "LINES": "12"}
    colored = terminal(*arguments, env=size)
    assert "\x1b[" in colored
    plain = terminal(*arguments, env={**size, "NO_COLOR": "1"})
    assert "\x1b" not in plain
    assert (len(plain.splitlines()), max(map(len, plain.splitlines()))) == (11, 50)
    assert terminal(*arguments, env={"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}).isascii()


@pytest.mark.slow
def test_each_way_loads_its_library_only(process):
    shown = process("plot", *RANGE, python=("-X", "importtime")).stderr
    assert "plotille" in shown and "matplotlib" not in shown and "rich" not in shown
    written = process("plot", *RANGE, "--output", "y.png", python=("-X", "importtime")).stderr
    assert "matplotlib" in written and "plotille" not in written and "pyplot" not in written


def test_a_name_that_only_the_range_has_is_a_variable(gradcli):
    typed = gradcli("plot", "-e", "x^2", "--x", "x=0:6", "--order", "1")
    assert typed.status == 0
    assert (
        typed.out.partition("\n")[2]
        == gradcli("plot", "-e", "variable x = 0.0; x^2", "--x", "x=0:6").out.partition("\n")[2]
    )
    assert "`k` is not defined" in gradcli("plot", "-e", "k*x^2", "--x", "x=0:6").err
    assert gradcli("plot", "-e", "variable x = 1.0; x^2", "--x", "z=0:6").status == 1
