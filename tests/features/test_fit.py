"""``gradcli fit`` from the outside: what it prints where, what survives a kill, and how it ends when something is wrong."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import gradcli as package
from gradcli.features.fit import running as fitting
from tests.quickly import some

ROOT = Path(__file__).parents[2]
STOPPED = "variable w1 = 2.0; variable w2 = 2.0; b = stop_gradient(w1*3.0)*w2"
LINE = """\
# A line through points.
constant X = random_normal([64, 2], seed=1)   # inputs
constant t = X @ [2.0, -1.0] + 0.5
variable w: [2] = zeros([
    2,
])                          # weights
variable b                  # the intercept
loss = mean((X @ w + b - t)^2); output loss
"""


def numbers(text):
    """The values of the plain format."""
    return {name: np.array(json.loads(value)) for name, value in re.findall(r"^(\w+) = (.*)$", text, re.MULTILINE)}


@pytest.fixture
def line(tmp_path):
    (tmp_path / "line.expr").write_text(LINE)
    return "line.expr"


# --- what it prints


def test_a_step_of_the_notes(gradcli):
    done = gradcli("fit", "-e", STOPPED, "--minimize", "b", "--method", "sgd", "--lr", "0.1", "--steps", "1")
    assert (done.status, done.out) == (0, "w1 = 2.0\nw2 = 1.4\n")
    assert done.err == (
        "w1 stays as it is: its gradient is None: cut by stop_gradient(w1*3.0) on line 1\n"
        "b = 8.4 after 1 step, gradient norm 6, not converged: all steps done\n"
    )


def test_the_values_go_on_through_a_pipe(gradcli, line):
    found = gradcli("fit", line, "--set", "b=0", "--method", "lbfgs", "--format", "json")
    document = json.loads(found.out)
    assert (document["command"], document["file"], list(document["values"])) == ("fit", line, ["w", "b"])
    then = gradcli("eval", line, "--values", "-", stdin=found.out)
    assert numbers(then.out)["loss"] < 1e-12


@pytest.mark.parametrize("format", ["plain", "ndjson"])
def test_values_are_read_back(gradcli, line, format):
    found = gradcli("fit", line, "--set", "b=0", "--steps", "3", "--format", format)
    loss = float(re.search(r"loss = (\S+)", found.err)[1])
    assert numbers(gradcli("eval", line, "--values", "-", stdin=found.out).out)["loss"] == pytest.approx(loss, rel=1e-5)


def test_a_program_with_the_values_in_it(gradcli, line):
    found = gradcli("fit", line, "--set", "b=0", "--steps", "3", "--format", "expr")
    values = numbers(gradcli("fit", line, "--set", "b=0", "--steps", "3").out)
    w, b = values["w"].tolist(), float(values["b"])
    expected = LINE.replace("zeros([\n    2,\n])", f"{w}").replace("variable b  ", f"variable b = {b}  ")
    assert found.out == expected
    program = package.loads(found.out)
    np.testing.assert_array_equal(program.eval(["w"])["w"], values["w"])


def test_what_stands_between_the_entries_of_a_literal_is_kept(gradcli):
    text = (
        "variable k = [  # rows\r\n  [1.0, 2*2.0],  # first\r\n  [3, -4,],  # second\r\n]\r\n"
        "constant c = [1.0, 2.0]\r\nvariable m = [c, c]  # of vectors\r\nvariable e: [0] = []\r\n"
        "y = sum(k^2) + sum(m) + sum(e)"
    )
    Path("k.expr").write_bytes(text.encode())
    done = gradcli("fit", "k.expr", "--lr", "0.25", "--steps", "1", "--format", "expr")
    assert done.out == (
        "variable k = [  # rows\r\n  [0.5, 2.0],  # first\r\n  [1.5, -2.0,],  # second\r\n]\r\n"
        "constant c = [1.0, 2.0]\r\nvariable m = [[0.75, 1.75], [0.75, 1.75]]  # of vectors\r\nvariable e: [0] = []\r\n"
        "y = sum(k^2) + sum(m) + sum(e)\n"
    )


def test_names_that_unicode_calls_compatible_are_the_same(gradcli):
    micro, mu = "\u00b5", "\u03bc"
    text = f"variable {micro} = 1.0; loss{micro} = {mu}^2; z = 3.0"
    options = ["--minimize", f"loss{micro}", "--over", micro, "--bounds", f"{micro}=0.5..3", "--set", f"{micro}=2"]
    done = gradcli("fit", "-e", text, *options, "--lr", "1", "--steps", "1")
    assert (done.status, done.out) == (0, f"{mu} = 0.5\n")
    assert gradcli("plot", "-e", text, "--x", f"{micro}=0:1", "--of", f"loss{micro}").status == 0


def test_a_program_as_a_file(gradcli, line):
    done = gradcli("fit", line, "--set", "b=0", "--steps", "1", "--over", "b", "--output", "fitted.expr")
    assert (done.status, done.out) == (0, "")
    text = Path("fitted.expr").read_text()
    assert text.startswith(LINE[: LINE.index("variable b")])
    assert gradcli("fit", line, "--set", "b=0", "--output", "x.txt").status == 2


@pytest.mark.parametrize("shape", ["", "[2]"])
def test_literals_of_single_precision_hold_no_numbers_of_double(gradcli, shape):
    text = f"dtype float32\nvariable x: float64{shape} = 1.0\ny = sum(x^2)"
    once = ["--method", "sgd", "--steps", "1"]
    done = gradcli("fit", "-e", text, *once, "--format", "expr")
    assert (done.status, done.out) == (1, "")
    assert "literals are float32" in done.err
    undeclared = text.removeprefix("dtype float32\n")
    done = gradcli("fit", "-e", undeclared, *once, "--format", "expr", "--dtype", "float32")
    assert (done.status, done.out) == (1, "")
    done = gradcli("fit", "-e", text, "--steps", "1", "--lr", "0.25", "--format", "expr")
    assert done.out == text.replace("1.0", "[0.5, 0.5]" if shape else "0.5") + "\n"


def test_what_is_not_fitted_stays_as_it_is_written(gradcli):
    text = "variable a = 2*pi  # angle\nvariable n = 3\nvariable x = 1.0\ny = x^2*n*stop_gradient(a)\n"
    done = gradcli("fit", "-e", text, "--until", "loss=1e9", "--format", "expr")
    assert done.out == text
    done = gradcli("fit", "-e", text, "--until", "loss=1e9", "--format", "expr", "--set", "a=1/4", "--set", "n=2")
    assert done.out == text.replace("2*pi", "0.25").replace("= 3", "= 2")


def test_single_precision_is_written_exactly(gradcli):
    text = "dtype float32\nvariable x = [0.1, 2.0]; y = sum(x^2)"
    found = gradcli("fit", "-e", text, "--steps", "5", "--format", "expr").out
    exact = numbers(gradcli("fit", "-e", text, "--steps", "5").out)["x"].astype("float32")
    np.testing.assert_array_equal(package.loads(found).eval(["x"])["x"], exact)


def test_a_variable_without_use_or_value_is_said_to_be_none(gradcli):
    done = gradcli("fit", "-e", "variable x = 1.0; variable z; y = x^2", "--steps", "1", "--lr", "0.5")
    assert (done.status, done.out) == (0, "x = 0.0\nz = None\n")
    assert "z stays as it is: its gradient is None: y does not use z" in done.err


def test_history_is_a_line_a_step(gradcli, line):
    done = gradcli("fit", line, "--set", "b=0", "--steps", "4", "--lr", "0.1:linear", "--history", "h.ndjson")
    steps = [json.loads(text) for text in Path("h.ndjson").read_text().splitlines()]
    assert [s["step"] for s in steps] == [0, 1, 2, 3, 4]
    assert [s["lr"] for s in steps] == pytest.approx([0.1, 0.075, 0.05, 0.025, 0])
    assert all(s.keys() == {"step", "loss", "gnorm", "lr", "seconds"} for s in steps)
    assert f"loss = {steps[-1]['loss']:.6g} after 4 steps" in done.err


def test_lines_in_a_log(gradcli, monkeypatch):
    monkeypatch.setattr(fitting, "LOG_SECONDS", 0.0)
    done = gradcli("fit", "-e", "variable x = 1.0; y = x^2", "--steps", "2", "--lr", "0.5")
    lines = done.err.splitlines()
    assert lines[0].startswith("step 0 of 2: loss 1, gradient norm 2, ")
    assert re.fullmatch(r"step 1 of 2: loss 0, gradient norm 0, \S+ steps/s, \d+ s left", lines[1])
    assert len(lines) == 4


@pytest.mark.parametrize("reader", ["full", "gone"])
def test_what_nobody_reads_on_standard_error_costs_no_values(process, line, reader):
    receives, sends = os.pipe()
    os.close(receives)
    with open("/dev/full" if reader == "full" else sends, "wb") as errors:
        done = process(
            "fit", "-e", "variable x = 1.0; variable z; y = x^2", "--steps", "1", "--lr", "0.5",
            capture_output=False, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "x = 0.0\nz = None\n")


def test_a_bar_on_a_terminal(terminal):
    shown = terminal(
        "fit", "-e", "variable x = 1.0; y = x^2", "--method", "sgd", "--steps", "100000000", "--until", "time=1s"
    )
    assert re.search(r"\d+/100000000  loss \S+  \|gradient\| \S+  \S+ steps/s", shown)
    assert "time of 1 s is over" in shown


# --- data


def test_columns_compressed_and_in_batches(gradcli, line, tmp_path):
    random = np.random.RandomState(0)
    X = random.normal(size=(100, 2))
    t = X @ [2.0, -1.0] + 0.5
    rows = "".join(f'{a!r},"no, number",{b!r},{c!r}\n' for (a, b), c in zip(X.tolist(), t.tolist(), strict=True))
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(f"a,note,b,t\n{rows}".encode()))
    np.savez(tmp_path / "d.npz", X=X, t=t)
    np.save(tmp_path / "X.npy", X)
    options = ["--set", "b=0", "--data", "X,t", "--batch", "32", "--steps", "20", "--lr", "0.1"]
    one = gradcli("fit", line, "--set", "X=@d.csv.gz:a,b", "--set", "t=@d.csv.gz:t", *options)
    two = gradcli("fit", line, "--set", "X=@X.npy", "--set", "t=@d.npz:t", *options)
    assert one.status == 0
    assert one.out == two.out
    assert (
        one.out != gradcli("fit", line, "--set", "X=@X.npy", "--set", "t=@d.npz:t", *options, "--random-seed", "1").out
    )


def test_columns_with_any_name_and_arrays_with_paths(gradcli):
    Path("d.csv").write_text('"v, w",km/h:max,größe\n1,2,3\n4,5,6\n')
    np.savez("d.npz", **{"values/w": np.array([1.0, 2.0])})
    text = "constant X = 0.0; variable w = 1.0; y = sum(X*w)"

    def total(value):
        return float(re.search(r"y = (\S+)", gradcli("fit", "-e", text, "--until", "loss=1e9", "--set", value).err)[1])

    assert [total(f"X=@d.csv:{c}") for c in ['"v, w"', '"v, w",größe', "km/h:max", "größe,"]] == [5, 14, 7, 9]
    assert total("X=@d.npz:values/w") == 3
    Path("d.csv:x.csv").write_text("8\n")  # a file's own name goes first
    assert total("X=@d.csv:x.csv") == 8


# --- kills and interruptions


@contextmanager
def start(tmp_path, *arguments, **options):
    """A fit in a process of its own, which ends with the block whatever happens there."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "gradcli", "fit", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=env, **pipes, **options) as child:
        try:
            yield child
        finally:
            child.kill()


def wait_for(condition):
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")


KILLED = {
    "sgd": [],
    "momentum": ["--method", "momentum"],
    "adam": ["--method", "adam", "--clip", "0.5"],
    "batches": ["--method", "adam", "--data", "X,t", "--batch", "10"],
}


@pytest.mark.slow
@pytest.mark.parametrize("options", some(KILLED.values(), 4), ids=KILLED)
def test_a_killed_run_goes_on_to_the_same_values(tmp_path, line, process, options):
    common = [line, "--set", "b=0", "--lr", "0.01:cosine", "--steps", "12000", *options]
    whole = process("fit", *common, "--history", "whole.ndjson")
    with start(tmp_path, *common, "--checkpoint", "run.npz", "--every", "70", "--history", "h.ndjson") as child:
        wait_for(lambda: (tmp_path / "h.ndjson").exists() and (tmp_path / "h.ndjson").read_text().count("\n") > 100)
        child.kill()
    assert child.returncode == -signal.SIGKILL
    lines = (tmp_path / "h.ndjson").read_text()
    assert lines.endswith("\n")
    assert 100 < lines.count("\n") < 12001
    resumed = process("fit", *common, "--resume", "run.npz", "--history", "h.ndjson")
    assert (resumed.returncode, resumed.stdout) == (0, whole.stdout)

    def losses(name):
        rows = map(json.loads, (tmp_path / name).read_text().splitlines())
        return [(row["step"], row["loss"], row["gnorm"], row["lr"]) for row in rows]

    assert losses("h.ndjson") == losses("whole.ndjson")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "number"), [("adam", signal.SIGINT), ("lbfgs", signal.SIGINT), ("adam", signal.SIGTERM)]
)
def test_ctrl_c_ends_the_step_saves_and_prints(tmp_path, line, process, method, number):
    # A long valley: no method is at its end before it is interrupted.
    (tmp_path / "slow.expr").write_text(
        "variable x = linspace(-1, 2, 20000); y = sum(100*(x[1:] - x[:-1]^2)^2 + (1 - x[:-1])^2)"
    )
    rate = ["--lr", "1e-5"] if method == "adam" else []
    common = ["slow.expr", "--method", method, *rate, "--steps", "1000000"]
    with start(tmp_path, *common, "--checkpoint", "run.npz", "--history", "h.ndjson") as child:
        wait_for(lambda: (tmp_path / "h.ndjson").exists() and (tmp_path / "h.ndjson").read_text().count("\n") > 5)
        child.send_signal(number)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 128 + number
    assert ": interrupted\n" in err
    values = numbers(out)["x"]
    last = json.loads((tmp_path / "h.ndjson").read_text().splitlines()[-1])
    resumed = process("fit", *common[:-1], str(last["step"]), "--resume", "run.npz")
    assert resumed.returncode == 0
    np.testing.assert_array_equal(numbers(resumed.stdout)["x"], values)


@pytest.mark.slow
def test_ctrl_c_in_short_steps_leaves_time_for_what_comes_after(tmp_path):
    """The signal is heard only once, though what is drawn takes longer than the end of a command may."""
    program = "constant t = linspace(0, 1, 9); constant y = sin(9*t); variable a = 1.0; l = sum((y - sin(a*t))^2)"
    rule = ["--method", "sgd", "--lr", "1e-9", "--steps", "100000000", "--history", "h.ndjson"]
    with start(tmp_path, "-e", program, "--minimize", "l", *rule, "--plot", "l.svg", "--errors") as child:
        wait_for(lambda: (tmp_path / "h.ndjson").exists() and (tmp_path / "h.ndjson").read_text().count("\n") > 5)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out[:4]) == (130, "a = "), err
    assert (tmp_path / "l.svg").read_bytes().endswith(b"</svg>\n")


def test_a_resumed_run_may_go_further(gradcli, line):
    common = [line, "--set", "b=0", "--method", "adam"]
    whole = gradcli("fit", *common, "--steps", "30")
    gradcli("fit", *common, "--steps", "10", "--checkpoint", "run.npz")
    resumed = gradcli("fit", *common, "--steps", "30", "--resume", "run.npz", "--checkpoint", "run.npz")
    assert resumed.out == whole.out
    assert gradcli("fit", *common, "--steps", "30", "--resume", "run.npz").out == whole.out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--method", "adam"], "method was sgd, and is adam"),
        (["--over", "w"], "fitted was w, b, and is w"),
        (["--set", "X=@other.npy"], "the value given for `X` is another one"),
        (["--dtype", "float32"], "dtype was float64, and is float32"),
        (["--random-seed", "7"], "random seed was 0, and is 7"),
        (["--data", "X,t", "--batch", "8"], "data was nothing, and is X, t"),
    ],
)
def test_a_checkpoint_of_another_run(gradcli, line, changes, words):
    np.save("X.npy", np.ones((64, 2)))
    np.save("other.npy", np.zeros((64, 2)))
    common = [line, "--set", "b=0", "--method", "sgd", "--steps", "3", "--set", "X=@X.npy"]
    gradcli("fit", *common, "--checkpoint", "run.npz")
    assert gradcli("fit", *common, "--resume", "run.npz", "--lr", "0.5").status == 0
    done = gradcli("fit", *common, "--resume", "run.npz", *changes)
    assert (done.status, done.out) == (1, "")
    assert words in done.err


def test_a_checkpoint_of_another_program(gradcli, line):
    gradcli("fit", line, "--set", "b=0", "--steps", "3", "--checkpoint", "run.npz")
    Path("line.expr").write_text(LINE.replace("# weights", "# the weights"))
    assert gradcli("fit", line, "--set", "b=0", "--steps", "3", "--resume", "run.npz").status == 0
    Path("line.expr").write_text(LINE.replace("- t)^2", "- t)^4"))
    done = gradcli("fit", line, "--set", "b=0", "--steps", "3", "--resume", "run.npz")
    assert done.status == 1
    assert "line 8 of the program was `loss = mean((X @ w + b - t)^2); output loss`, and is `" in done.err


def test_a_checkpoint_of_other_files(gradcli):
    np.save("X.npy", np.ones(3))
    common = ["-e", 'constant X = 2*load("X.npy"); variable w = 1.0; y = sum((X - w)^2)', "--steps", "3"]
    first = gradcli("fit", *common, "--checkpoint", "run.npz")
    assert gradcli("fit", *common, "--resume", "run.npz").out == first.out
    np.save("X.npy", np.zeros(3))
    done = gradcli("fit", *common, "--resume", "run.npz")
    assert (done.status, done.out) == (1, "")
    assert "run.npz is a checkpoint of another run: other data is in X.npy" in done.err


def test_a_checkpoint_with_other_arrays(gradcli, line):
    common = [line, "--set", "b=0", "--method", "adam", "--steps", "3"]
    gradcli("fit", *common, "--checkpoint", "run.npz")
    with np.load("run.npz") as entries:
        np.savez("run.npz", **{name.replace("/m", "/n"): value for name, value in entries.items()})
    done = gradcli("fit", *common, "--resume", "run.npz")
    assert (done.status, done.out) == (1, "")
    assert "run.npz is not a checkpoint of `gradcli fit`" in done.err


def test_a_program_holds_the_values_of_options_too(gradcli):
    np.savetxt("h.csv", [1.0, 2.5], header="h", comments="")
    text = """# a comment
    variable a = 1.0; variable b = 1.0  # start
    constant h; constant n = 2
    y = (a*b - 6)^2 + sum((h - 1)^2)*n"""
    Path("set.expr").write_text(text)
    given = ["--set", "a=2.0", "--set", "h=@h.csv:h", "--set", "n=4", "--dtype", "float32"]
    done = gradcli("fit", "set.expr", *given, "--over", "b", "--lr", "0.1", "--format", "expr")
    assert done.out.splitlines() == [
        "dtype float32",
        "# a comment",
        "    variable a = 2.0; variable b = 3.0  # start",
        "    constant h = [1.0, 2.5]; constant n = 4",
        "    y = (a*b - 6)^2 + sum((h - 1)^2)*n",
    ]
    Path("fitted.expr").write_text(done.out)
    assert gradcli("eval", "fitted.expr").out == "y = 9.0\n"
    done = gradcli("fit", "fitted.expr", "--dtype", "float64", "--steps", "1", "--format", "expr")
    assert done.out.startswith("dtype float64\n")


def test_what_a_loss_is_the_loss_of(gradcli, line):
    assert (
        "loss of a batch = "
        in gradcli("fit", line, "--set", "b=0", "--data", "X,t", "--batch", "8", "--steps", "2").err
    )
    done = gradcli("fit", "-e", "variable x = 1.0; y = x^2", "--method", "least-squares")
    assert "y is one number, and its square was minimised; where it is a loss, use lbfgs" in done.err


@pytest.mark.parametrize("option", ["--history", "--checkpoint"])
def test_standard_output_gets_the_values_only(gradcli, option):
    done = gradcli("fit", "-e", STOPPED, option, "-")
    assert (done.status, done.out) == (2, "")
    assert f"{option} is a file: standard output gets the values." in done.err


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", b'{"x": 1}', None])
def test_what_is_no_checkpoint(gradcli, line, content):
    if content is None:
        np.savez("run.npz", w=np.ones(2))
    else:
        Path("run.npz").write_bytes(content)
    done = gradcli("fit", line, "--set", "b=0", "--resume", "run.npz")
    assert (done.status, done.out) == (1, "")
    assert "run.npz" in done.err
    assert "Traceback" not in done.err


# --- what is wrong


def test_divergence_leaves_the_last_good_values(gradcli, line):
    common = [line, "--set", "b=0", "--lr", "1e100"]
    done = gradcli("fit", *common, "--checkpoint", "run.npz", "--every", "1000", "--history", "h.ndjson")
    assert done.status == 1
    assert (
        "`loss` is inf at step 2: (X @ w + b - t)^2 makes infinity in 64 of 64 entries; the values written are"
        in done.err
    )
    assert "--trace" in done.err
    first = gradcli("fit", *common, "--steps", "1")
    assert done.out == first.out
    assert gradcli("fit", *common, "--steps", "1", "--resume", "run.npz").out == first.out
    assert Path("h.ndjson").read_text().count("\n") == 2


EDGE = "variable x = 0.0; variable k = 2.0; y = (x + 1)^2 + k + where(sqrt(x) >= 0, 0, sqrt(x))"
ROOTS = "variable x = 0.5; variable k = 2.0; constant X = [4.0]; y = sum(sqrt(x)*k + X)"


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["roots.expr", "--lr", "1"], ["roots.expr", "--of", "y", "--set", "x=-0.9142135623730949", "--set"]),
        (["-e", EDGE, "--method", "lbfgs", "--over", "x"], ["-e", EDGE, "--of", "y", "--wrt", "x", "--set"]),
        (["roots.expr", "--set", "x=-1"], ["roots.expr", "--of", "y", "--set", "x=-1", "--trace"]),
        (["roots.expr", "--method", "sgd", "--set", "x=0", "--dtype", "float32"], ["--dtype", "float32", "--set", "x=0.0"]),
        (["roots.expr", "--values", "v.json", "--set", "X=@a b.csv:a"], ["--values", "v.json", "--set", "X=@a b.csv:a"]),
        (["roots.expr", "--set", "x=-1", "--method", "least-squares"], ["--set", "x=-1"]),
    ],
)  # fmt: skip
def test_the_command_line_that_shows_where_it_comes_from_does(gradcli, arguments, options):
    Path("roots.expr").write_text(ROOTS)
    Path("v.json").write_text('{"x": -1}')
    Path("a b.csv").write_text("a\n1\n")
    done = gradcli("fit", *arguments)
    assert done.status == 1
    command, *words = shlex.split(re.search(r"`(gradcli grad .*--trace)`", done.err)[1])
    text = "\0".join(words)
    assert "\0".join(options) in text
    shown = gradcli(*words)
    assert (command, shown.status, shown.out) == ("gradcli", 1, "")
    assert re.match(r"trace: (the derivative of )?sqrt\(x\) makes", shown.err)


def test_the_command_line_is_what_was_typed_in_any_locale(process, tmp_path):
    (tmp_path / "g.csv").write_text("größe\n1\n", encoding="utf-8")
    text = "constant X = 0.0; variable μ = 1.0; y = sum(sqrt(μ*X))"
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = process("fit", "-e", text, "--set", "X=@g.csv:größe", "--lr", "9", env=env)
    assert f"gradcli grad -e '{text}' --of y --set 'X=@g.csv:größe' --set 'μ=-3.5' --trace" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["-e", "variable x = linspace(0, 1, 1000); y = sum(sqrt(x))", "--lr", "10"],
        ["-e", "variable x = linspace(0.1, 1, 1000); y = sum(sqrt(x))", "--lr", "10"],
        ["-e", "constant X = [1.0, 2.0]; variable x = 0.1; y = sum(sqrt(x)*X)", "--data", "X", "--batch", "1"],
    ],
)  # fmt: skip
def test_what_no_short_command_line_shows(gradcli, arguments):
    done = gradcli("fit", *arguments)
    assert done.status == 1
    assert "sqrt(x) makes" in done.err
    assert "`gradcli grad --trace` looks for it at any values" in done.err or "--of y --trace" in done.err


def test_a_gradient_beyond_all_squares_in_the_history(gradcli):
    gradcli("fit", "-e", "variable x = 1.0; y = x*1e200", "--lr", "1e-200", "--steps", "1", "--history", "h.ndjson")
    assert [json.loads(line)["gnorm"] for line in Path("h.ndjson").read_text().splitlines()] == [1e200, 1e200]
    gradcli("fit", "-e", "variable x = 1.0; y = x^2", "--method", "lbfgs", "--steps", "1", "--history", "h.ndjson")
    assert gradcli("plot", "--history", "h.ndjson", "--of", "loss,gnorm").status == 0


def test_bounds_by_pattern_are_about_what_is_fitted(gradcli):
    done = gradcli("fit", "-e", STOPPED, "--bounds", "w*=1.5..9", "--lr", "1")
    assert (done.status, done.out) == (0, "w1 = 2.0\nw2 = 1.5\n")


DATA = "constant X = [[1.0]]; variable w = [1.0, 1.0]; y = mean((X @ w)^2)"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["-e", "variable n = 3; y = n^2"], 1, "write a number with a point, such as `variable n = 1.0`"),
        (["-e", STOPPED, "--set", "w1=a.csv:b"], 1, "w1: a.csv:b is not an expression\n  = help: `w1=@a.csv:b` reads a file"),
        (["-e", STOPPED, "--method", "simplex"], 2, "'simplex' is not one of 'sgd', 'momentum'"),
        (["-e", "variable x = [1.0, 2.0]; y = x^2"], 1, "what is minimised is a scalar, and `y` has shape [2]"),
        (["-e", "variable x = 1.5; y = floor(x)"], 1, "`y` can be changed by nothing that is fitted: `x`: its gradient"),
        (["-e", "variable x = 1.5; y = x*2; z = 3*x; output y, z"], 1, "the program has 2 outputs: y, z"),
        (["-e", "variable n = 3; y = n*2.0"], 1, "`n`: it is int64, and only floats are fitted"),
        (["-e", "variable x = 2.0; y = x^2", "--bounds", "x=0..1"], 1, "`x` starts at 2.0, outside its bounds 0.0..1.0"),
        (["-e", STOPPED, "--bounds", "w1=0..9"], 1, "bounds for `w1` have no effect: its gradient is None"),
        (["-e", STOPPED, "--bounds", "w3=0..9"], 1, "no value `w3`"),
        (["-e", STOPPED, "--bounds", "w*=3..9"], 1, "`w2` starts at 2.0, outside its bounds 3.0..9.0"),
        (["-e", "dtype float32; variable x = 1.0; y = x", "--bounds", "x=1e308.."], 1, "`x` starts at 1.0, outside"),
        (["-e", "constant x = 1.0; y = x^2"], 1, "the program has no variables to fit"),
        (["-e", STOPPED, "--over", "a*"], 1, "no variable matches `a*`"),
        (["-e", STOPPED, "--over", "b"], 1, "`b` is computed, and only variables and constants"),
        (["-e", STOPPED, "--minimize", "loss"], 1, "no value `loss`"),
        (["-e", DATA, "--set", "X=@nan.csv:a,b"], 1, "`X[1, 0]` is nan (column `a` of nan.csv, line 3)"),
        (["-e", DATA, "--set", "X=@nan.csv:b,a"], 1, "`X[1, 1]` is nan (column `a` of nan.csv, line 3)"),
        (["-e", DATA, "--set", "X=@X.npy:a"], 1, "X.npy holds one array, so there is no 'a' in it"),
        (["-e", 'X = load("nan.csv"); variable w = [1.0, 1.0]; y = sum(X @ w)'], 1,
         '`load("nan.csv")[1, 0]` is nan (column `a` of nan.csv, line 3)'),
        (["-e", 'constant X = load("nan.csv", "b,a"); variable w = [1.0, 1.0]; y = sum(X @ w)'], 1,
         "`X[1, 1]` is nan (column `a` of nan.csv, line 3)"),
        (["-e", 'constant X = load("nan.csv").T; variable w = [1.0, 1.0]; y = sum(X @ w)'], 1, "`X[0, 1]` is nan\n"),
        (["-e", DATA, "--set", "X=[[inf, 1]]"], 1, "`X[0, 0]` is inf\n"),
        (["-e", "variable w = [1.0, nan]; y = sum(w)", "--method", "sgd"], 1, "the variable w holds NaN in 1 of 2 entries"),
        (["-e", DATA, "--set", "X=@nan.csv:a,c"], 1, "nan.csv has the columns a, b, but no 'c'"),
        (["-e", DATA, "--set", "X=@bad.csv:a,b"], 1, "bad.csv, line 3, column 2 (b): 'x' is not a number"),
        (["-e", DATA, "--set", "X=[[1,2]]", "--data", "X", "--batch", "2"], 1, "a batch of 2 rows is more than the 1 rows"),
        (["-e", DATA, "--set", "X=[[1,2]]", "--data", "w", "--batch", "1", "--over", "w"], 1, "`w` is fitted"),
        (["-e", DATA, "--set", "X=[[1,2]]", "--data", "w", "--batch", "1"], 1, "there is nothing to fit: w is data"),
        (["-e", "constant X: [3] = 1.0; variable w = 1.0; y = sum(X*w)", "--data", "X", "--batch", "2"], 1,
         "is declared without a shape"),
        (["-e", DATA, "--batch", "1"], 2, "give both"),
        (["-e", STOPPED, "--every", "5"], 2, "there is none"),
        (["-e", STOPPED, "--method", "lbfgs", "--lr", "1"], 2, "--method lbfgs chooses its own steps"),
        (["-e", STOPPED, "--method", "newton-cg", "--bounds", "w2=0..9"], 2, "use lbfgs"),
        (["-e", STOPPED, "--clip", "nan"], 2, "nan is not a finite number"),
        (["-e", STOPPED, "--lr", "0"], 2, "'0' is not a positive number"),
        (["-e", STOPPED, "--lr", "0.1:cos"], 2, "'cos' is not a schedule"),
        (["-e", STOPPED, "--until", "norm=1"], 2, "'norm=1' is none of gnorm"),
        (["-e", STOPPED, "--until", "gnorm=x"], 2, "'x' is not a number for gnorm"),
        (["-e", STOPPED, "--bounds", "w2=1"], 2, "NAME=LOW..HIGH"),
        (["-e", STOPPED, "--bounds", "w2=2..1"], 2, "leave nothing between them"),
        (["p.expr", "--history", "p.expr"], 2, "--history p.expr would overwrite the file of FILE"),
        (["p.expr", "--checkpoint", "./p.expr"], 2, "--checkpoint ./p.expr would overwrite the file of FILE"),
        (["-e", STOPPED, "--history", "x", "--checkpoint", "x"], 2, "--checkpoint x would overwrite the file of --history"),
        (["-e", STOPPED, "--output", "x.npz", "--checkpoint", "x.npz"], 2, "overwrite the file of --output"),
        (["-e", STOPPED, "--values", "v.json", "--history", "v.json"], 2, "overwrite the file of --values"),
        (["-e", STOPPED, "--resume", "none.npz"], 1, "there is no file none.npz"),
        (["-e", STOPPED, "--checkpoint", "no/run.npz"], 1, "cannot write no/run.npz: there is no folder"),
        (["-e", STOPPED, "--history", "no/h.ndjson"], 1, "cannot write no/h.ndjson: No such file"),
    ],
)  # fmt: skip
def test_bad_input(gradcli, arguments, status, words):
    Path("nan.csv").write_text("a,b\n1,2\nnan,3\n")
    Path("bad.csv").write_text("a,b\n1,2\n3,x\n")
    np.save("X.npy", np.ones((2, 2)))
    Path("p.expr").write_text(STOPPED)
    done = gradcli("fit", *arguments)
    assert (done.status, done.out) == (status, "")
    assert words in done.err
    assert done.err.count("error[") + done.err.count("Error: ") == 1


@pytest.mark.parametrize("method", ["lbfgs", "newton-cg", "least-squares"])
def test_without_scipy(gradcli, monkeypatch, method):
    monkeypatch.setitem(sys.modules, "scipy", None)
    done = gradcli("fit", "-e", "variable x = 1.0; y = x^2", "--method", method)
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        f"error[ValueError]: --method {method} needs SciPy, which is not installed: pip install 'gradcli[scipy]'\n"
        "  = help: `--method newton` is built in\n"
    )


def test_a_folder_that_cannot_be_written(gradcli, line, monkeypatch):
    Path("locked").mkdir(mode=0o500)
    if os.geteuid() == 0:  # who may write everywhere

        def refuse(**_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(tempfile, "mkstemp", refuse)
    done = gradcli("fit", line, "--set", "b=0", "--checkpoint", "locked/run.npz")
    assert (done.status, done.out) == (1, "")
    assert "cannot write locked/run.npz: Permission denied" in done.err


def test_a_result_that_cannot_be_written_is_printed(gradcli, line):
    common = [line, "--set", "b=0", "--steps", "3"]
    done = gradcli("fit", *common, "--output", "no/fitted.expr")
    assert done.status == 1
    assert "cannot write no/fitted.expr: there is no folder" in done.err
    assert done.out == gradcli("fit", *common).out


@pytest.mark.slow
@pytest.mark.parametrize("file", ["history", "checkpoint"])
def test_a_full_disk(tmp_path, line, process, file):
    """A limit on the size of files: what was written before stays, the values reached are printed."""

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    (tmp_path / "grow.expr").write_text("variable x = linspace(0, 1, 120); y = sum(x^2)")
    common = ["grow.expr", "--method", "adam", "--steps", "100"]
    options = ["--history", "h.ndjson"] if file == "history" else ["--checkpoint", "run.npz", "--every", "1"]
    done = process("fit", *common, *options, preexec_fn=limited)
    assert done.returncode == 1
    assert done.stderr.count("error[") == 1
    name = options[1]
    assert f"cannot write {name}: File too large" in done.stderr
    if file == "history":
        content = (tmp_path / name).read_text()
        assert content.endswith("\n")
        steps = [json.loads(text)["step"] for text in content.splitlines()]
    else:  # the first one has no memory of Adam's yet, and fits
        steps = [0]
    reached = int(re.search(r"after (\d+) step", done.stderr)[1])
    assert reached == steps[-1] + 1
    again = process("fit", *common[:-1], str(reached), "--lr", "0.01")
    assert done.stdout == again.stdout
    if file == "checkpoint":
        assert process("fit", *common[:-1], str(reached), "--resume", name).stdout == again.stdout


def test_what_is_not_needed_is_not_imported(tmp_path):
    code = "import sys; from gradcli.commands.main import run; run(sys.argv[1:]); print({'rich', 'scipy'} & set(sys.modules))"
    arguments = ["fit", "-e", "variable x = 1.0; y = x^2", "--steps", "3", "--checkpoint", "run.npz"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.endswith("set()\n")
