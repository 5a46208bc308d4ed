"""Values and gradients by C: the same as NumPy's to rounding, the same None and errors; compilers, their absence and their cache."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import gradcli
from gradcli.execute import compiler, native
from gradcli.program import natively
from tests.engines.mixed import Program
from tests.program.test_jitted import ARRAYS, LOOPS
from tests.random_loops import loop_program

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A folder of its own for what is compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gradcli" / "native"


def by_c(text, **options):
    return gradcli.loads(text, backend="native", **options)


def close(found, expected, apart=1e-11):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if value is None:
            assert found[name] is None
            continue
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
        assert found[name].flags.writeable
        np.testing.assert_allclose(found[name], value, rtol=apart, atol=apart / 100)


def alike(text, folder=None, apart=1e-11):
    """Values and gradients by both, or the values where nothing is differentiated."""
    plain = gradcli.loads(text, folder=folder)
    try:
        expected = plain.value_and_grad()
    except gradcli.GradcliError:
        close(by_c(text, folder=folder).eval(), plain.eval(), apart)
        return
    for found, own in zip(by_c(text, folder=folder).value_and_grad(), expected, strict=True):
        close(found, own, apart)


def test_values_and_gradients_are_those_of_numpy():
    alike(ARRAYS)


@pytest.fixture
def quickly(monkeypatch):
    """Compile in a part of the time what is called once."""
    monkeypatch.setattr(compiler, "FLAGS", ("-O1", *[flag for flag in compiler.FLAGS if flag != "-O3"]))


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(SAMPLES.glob("**/*.expr")), ids=lambda path: path.stem)
def test_samples(path, quickly):
    text = path.read_text(encoding="utf-8")
    try:
        gradcli.loads(text, folder=path.parent).eval()
    except gradcli.GradcliError:
        return  # variables without values
    alike(text, path.parent, 1e-5 if "float32" in text or "repeated_passes" in path.stem else 1e-10)


@pytest.mark.slow
def test_loops(quickly):
    alike(LOOPS)


def test_a_function_is_called_with_arrays_by_several_threads():
    text = "variable x: [3]\nconstant k = 2.0\ny = sum(k*x^3)\ng = gradients(y, x)"
    run = gradcli.loads(text).compile(["y", "g"], ["x", "k"], backend="native")
    x = np.array([1.0, -2.0, 3.0])
    close(run(x=x), {"y": np.array(40.0), "g": 6 * x**2})
    close(run(x=[2, -4, 6], k=1.0), {"y": np.array(160.0), "g": 12 * x**2})
    wrong = []

    def call(factor):
        wrong.extend(1 for _ in range(300) if not np.array_equal(run(x=factor * x)["g"], 6 * (factor * x) ** 2))

    threads = [threading.Thread(target=call, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_large_arrays_and_what_numpy_does_between():
    text = """
variable x: [300, 40]
variable a: [40, 40]
h = tanh(x @ a)
s = sort(h[:, 0])
y = mean(h^2) + sum(s*s[0]) + logsumexp(h[:, 1] - 3)
g, k = gradients(y, [x, a])
"""
    random = np.random.RandomState(1)
    given = {"x": random.normal(size=(300, 40)), "a": random.normal(size=(40, 40)) / 8}
    names = ["y", "g", "k", "s"]
    expected = gradcli.loads(text).compile(names, ["x", "a"])(**given)
    run = gradcli.loads(text, backend="native").compile(names, ["x", "a"])
    first = run(**given)
    close(first, expected)
    again = run(x=2 * given["x"], a=given["a"])
    close(first, expected)  # nothing of it is written into again
    assert not np.array_equal(again["y"], first["y"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "variable a = [[1.0, 1.0], [1.0, 1.0]]\ny = inv(a)",
        "variable x = sqrt(-1.0)\ny = cast(x, int64)",
        "variable i = [0, 5]\ny = gather([1.0, 2.0], i)",
        "variable n = -2\ny = 3^n",
        "variable n = 9223372036854775807\ny = n + 1",
        "variable n = [9223372036854775807, 1]\ny = sum(n)",
        "variable a = 1.0\ndef f(x) = x^2 + a\ny = root(f, 1.0)",
        "variable x = [[1.0, 2.0], [2.0, 4.0]]\ndef f(x) = inv(x)\ny = iterate(f, x, 40)",
        "variable i = 1\ndef f(i) = i*3\ny = iterate(f, i, 400)",
    ],
)
def test_errors_are_those_of_numpy(text, quickly):
    messages = []
    for program in (gradcli.loads(text), by_c(text)):
        with pytest.raises(gradcli.GradcliError) as caught:
            program.eval("y")
        error = caught.value
        messages.append((error.kind, error.message, [label.span for label in error.labels], error.help))
    assert messages[0] == messages[1]


def test_a_flag_without_an_error_gives_what_numpy_computes():
    text = "variable x: [2]\ny = mean(x)"
    run = gradcli.loads(text, backend="native").compile(["y"], ["x"])
    assert run(x=[1e308, 1e308])["y"] == 1e308


def test_long_programs_are_refused_before_they_are_compiled(monkeypatch):
    monkeypatch.setattr(native, "MOST_ITEMS", 10)
    with pytest.raises(gradcli.GradcliError, match="more than 10 operations") as caught:
        by_c("variable x = 1.0\ny = " + "sin(" * 12 + "x" + ")" * 12).eval("y")
    assert caught.value.kind == "LimitError"
    assert "--backend numpy" in str(caught.value.help)


@pytest.mark.slow
def test_long_programs_are_cut_into_functions(monkeypatch):
    monkeypatch.setattr(native, "LONG", 20)
    terms = " + ".join(f"sin({k}.5*x*v[{k % 3}])*s" for k in range(40))
    text = f"variable x = 0.3\nvariable v = [1.0, 2.0, 3.0]\ns = sum(exp(v))\ny = {terms} + sum(v*x)"
    alike(text)


def test_memory_is_known_before_the_run():
    text = "variable x = ones([1000])\ny = outer(x, x) @ x"
    with pytest.raises(gradcli.GradcliError, match="--max-memory allows") as caught:
        by_c(text, max_memory=200_000).eval("y")
    assert caught.value.kind == "LimitError"
    assert caught.value.labels


def test_without_a_compiler_an_error_says_so(command_line, monkeypatch):
    compiler.compiler.cache_clear()
    monkeypatch.setenv("CC", "/nowhere/cc")
    done = command_line("eval", "-e", "variable x = 2.0; y = x^2", "--backend", "native")
    assert done.status == 1
    assert (
        done.err
        == "error[ValueError]: `--backend native` needs a C compiler, and CC is /nowhere/cc, which is not there\n"
    )
    monkeypatch.setenv("CC", "")
    monkeypatch.setenv("PATH", "")
    compiler.compiler.cache_clear()
    done = command_line("eval", "-e", "variable x = 2.0; y = x^2", "--backend", "native")
    assert "there is none here: install gcc or clang" in done.err
    compiler.compiler.cache_clear()


def test_a_compiler_that_fails_is_told(command_line, monkeypatch, cache):
    monkeypatch.setenv("CC", "false")
    compiler.compiler.cache_clear()
    done = command_line("eval", "-e", "variable x = 2.0; y = x^2", "--backend", "native")
    compiler.compiler.cache_clear()
    assert (done.status, done.err.count("\n")) == (1, 2)
    assert "fails" in done.err
    assert list(cache.iterdir()) == []


def test_what_is_broken_in_the_cache_is_compiled_again(cache):
    text = "variable x = 2.0\ny = 1.5*x^2"
    assert by_c(text).eval()["y"] == 6
    (file,) = cache.glob("*.so")
    content = file.read_bytes()
    for broken in (b"", b"something else", content[:1000], content[:-8] + b"xxxxxxxx"):
        file.unlink()  # the process has it loaded
        file.write_bytes(broken)
        assert by_c(text).eval()["y"] == 6
        assert len(file.read_bytes()) == len(content)
    file.chmod(0o666)
    assert by_c(text).eval()["y"] == 6
    assert not file.stat().st_mode & 0o022
    cache.chmod(0o500)
    if os.access(cache, os.W_OK):  # as root
        return
    assert by_c(text + " + 1").eval()["y"] == 7


def test_old_files_go(cache, monkeypatch):
    monkeypatch.setattr(compiler, "MOST_FILES", 2)
    cache.mkdir(parents=True, mode=0o700)
    for k in range(4):
        (cache / f"{k}.so").write_bytes(b"old")
        os.utime(cache / f"{k}.so", (k, k))
    assert by_c("variable x = 2.0\ny = 2.5*x").eval()["y"] == 5
    names = {path.name for path in cache.iterdir()}
    assert len(names) == 2
    assert "3.so" in names


PROGRAM = "variable x = 2.0; y = 3.5*x"


@pytest.mark.slow
def test_two_processes_compile_at_once(cache):
    command = [sys.executable, "-m", "gradcli", "eval", "-e", PROGRAM, "--backend", "native", "-q"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [one.communicate(timeout=60)[0] for one in started] == ["y = 7.0\n"] * 2
    assert [path.suffix for path in cache.iterdir()] == [".so"]


@pytest.mark.slow
def test_an_interrupt_while_it_compiles_leaves_nothing(cache, tmp_path):
    slow = tmp_path / "slow-cc"
    slow.write_text("#!/bin/sh\necho begun > " + str(tmp_path / "begun") + "\nexec sleep 60\n")
    slow.chmod(0o755)
    command = [sys.executable, "-m", "gradcli", "eval", "-e", PROGRAM, "--backend", "native"]
    done = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "CC": str(slow)})
    for _ in range(600):
        if (tmp_path / "begun").exists():
            break
        time.sleep(0.05)
    done.send_signal(signal.SIGINT)
    _, said = done.communicate(timeout=30)
    assert done.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in said
    assert list(cache.iterdir()) == []


def test_a_profile_says_what_compiling_took(command_line):
    options = ["grad", "-e", "variable x = [1.0, 2.0]; y = sum(exp(x))", "--backend", "native", "--profile"]
    found = json.loads(command_line(*options, "--format", "json").out)
    assert found["engine"] == {"name": "native", "reason": "it was asked for"}
    assert found["operations"] >= 1
    assert "engine: native on " in command_line(*options, "--format", "table").out


def test_options_of_jax_are_refused(command_line):
    done = command_line("eval", "-e", "y = 2", "--backend", "native", "--devices", "2")
    assert done.status == 2
    assert "is for --backend jax" in done.err


@pytest.mark.slow
def test_rows_and_fits(command_line, tmp_path):
    (tmp_path / "rows.csv").write_text("x,k\n" + "".join(f"{i / 7},{i % 3}\n" for i in range(100)))
    text = "variable x = 1.0; variable k = 1.0; constant c = [1.0, 2.0]; y = sum(sin(c*x)*k) + inv([[x + 1]])[0, 0]"
    options = ["grad", "-e", text, "--points", str(tmp_path / "rows.csv")]
    expected, found = command_line(*options), command_line(*options, "--backend", "native")
    rows = [np.loadtxt(done.out.splitlines(), delimiter=",", skiprows=1) for done in (expected, found)]
    np.testing.assert_allclose(rows[1], rows[0], rtol=1e-12)
    fits = []
    for backend in ("numpy", "native"):
        program = gradcli.load(SAMPLES / "spiral.expr", backend=backend)
        options = {
            "minimize": "loss",
            "method": "adam",
            "lr": 0.05,
            "steps": 60,
            "data": ["points", "arm"],
            "batch": 40,
        }
        fits.append(program.fit(**options).values)
    close(*fits, 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("text", [lambda seed: Program(seed).text, loop_program], ids=["mixed", "loops"])
def test_random_programs(text, seed, quickly):
    answers = []
    for program in (gradcli.loads(text(seed)), by_c(text(seed))):
        try:
            values, gradients = program.value_and_grad("y")
            answers.append({**values, **{f"by {x}": g for x, g in gradients.items()}})
        except gradcli.GradcliError as error:
            answers.append(str(error))
    expected, found = answers
    if isinstance(expected, str):
        assert found == expected
        return
    for name, value in expected.items():
        if value is None:
            assert found[name] is None
        else:
            np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-11)


def test_nothing_to_compute_needs_no_compiler(monkeypatch):
    monkeypatch.setattr(natively, "built", None)
    assert by_c("variable x = 2.0; z = 3.0; y = round(x)").grad("y")["x"] is None
