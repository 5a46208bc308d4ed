"""Values and gradients by JAX: the same as NumPy's to rounding, the same None, the same errors, on one device and several."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

import gradcli
from gradcli.program import jitted
from tests.engines.mixed import Program
from tests.random_loops import loop_program

ARRAYS = """
constant A = [[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0]]
constant noise = random_normal([3], seed=5)
variable x = [0.5, -1.5, 2.0]
variable unused = 1.0
variable scale = 1.5
h = tanh(A @ x) + noise
y = sum(h^2 * exp(-x^2)) + logsumexp(solve(A, x)) + norm(x) + random_normal([], mean=scale, seed=3) + max(x)
"""

LOOPS = """
variable a = 0.3
variable x0 = [1.0, 0.5]
variable rates = [0.1, 0.2, 0.3, 0.4]
def step(x) = [x[1], -sin(x[0]) - a*x[1]]*0.01 + x
end = iterate(step, x0, 300)
def halved(x) = x/2
def small(x) = x < 0.01
few = iterate(halved, a, 500, until=small)
def decay(s, r) = s*(1 - r*a)
path = scan(decay, rates, 1.0)
back = scan(decay, rates, 1.0, reverse=true)
def f(u) = u^3 + u - a
u = root(f, 1.0)
def bowl(v) = sum((v - x0)^4) + sum(v^2)
v = minimize(bowl, [0.0, 0.0])
y = sum(end^2) + few + sum(path^2) + sum(back) + u + sum(v)
"""


def by_jax(program):
    return gradcli.loads(program, backend="jax")


def close(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if value is None:
            assert found[name] is None
            continue
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
        assert found[name].flags.writeable
        np.testing.assert_allclose(found[name], value, rtol=1e-11, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("text", [ARRAYS, LOOPS])
def test_values_and_gradients_are_those_of_numpy(text):
    for found, expected in zip(by_jax(text).value_and_grad("y"), gradcli.loads(text).value_and_grad("y"), strict=True):
        close(found, expected)


def test_none_is_decided_without_jax():
    text = "variable x = 2.0; variable z = 1.0; y = round(x) + 3*z"
    assert by_jax(text).grad("y")["x"] is None
    assert by_jax("variable x = 2.0; y = 3*x").grad("y", order=2)["x"] is None


def test_a_compiled_function_is_called_with_arrays():
    text = "variable x: [3]\nconstant k = 2.0\ng = gradients(y, x)\ny = sum(k*x^3)".replace("g = gradients(y, x)\n", "")
    run = gradcli.loads(text + "\ng = gradients(y, x)").compile(["y", "g"], ["x", "k"], backend="jax")
    x = np.array([1.0, -2.0, 3.0])
    close(run(x=x), {"y": np.array(40.0), "g": 6 * x**2})
    close(run(x=2 * x, k=1.0), {"y": np.array(160.0), "g": 12 * x**2})


def test_float32_stays_float32_whatever_jax_is_set_to():
    import jax

    before = jax.config.jax_enable_x64
    found = gradcli.loads("variable x = 2.0; y = exp(x)", dtype="float32", backend="jax").eval()["y"]
    assert found.dtype == "float32"
    assert jax.config.jax_enable_x64 == before


def test_numbers_are_not_multiplied_with_one_another():
    run = gradcli.loads("variable x = 0.0\ny = x*1e200*1e200").compile("y", "x", backend="jax")
    assert run(x=0.0)["y"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "variable a = [[1.0, 1.0], [1.0, 1.0]]\ny = inv(a)",
        "variable x = sqrt(-1.0)\ny = cast(x, int64)",
        "variable i = [0, 5]\ny = gather([1.0, 2.0], i)",
        "variable n = -2\ny = 3^n",
        "variable s = -1.0\ny = random_normal([2], stddev=s)",
        "variable a = 1.0\ndef f(x) = x^2 + a\ny = root(f, 1.0)",
        "variable x = [[1.0, 2.0], [2.0, 4.0]]\ndef f(x) = inv(x)\ny = iterate(f, x, 40)",
    ],
)
def test_errors_are_those_of_numpy(text):
    messages = []
    for program in (gradcli.loads(text), by_jax(text)):
        with pytest.raises(gradcli.GradcliError) as caught:
            program.eval("y")
        error = caught.value
        messages.append((error.kind, error.message, [label.span for label in error.labels], error.help))
    assert messages[0] == messages[1]


def test_a_flag_without_an_error_gives_what_numpy_computes():
    text = "variable a = [[1.0, 0.0], [0.0, 1e-320]]\ny = inv(a)"
    close(by_jax(text).eval("y"), gradcli.loads(text).eval("y"))


def test_long_programs_are_refused_before_they_are_compiled(monkeypatch):
    monkeypatch.setattr(jitted, "MOST_OPERATIONS", 10)
    with pytest.raises(gradcli.GradcliError, match="has 12 operations") as caught:
        by_jax("variable x = 1.0\ny = " + "sin(" * 12 + "x" + ")" * 12).eval("y")
    assert caught.value.kind == "LimitError"
    assert "--backend numpy" in str(caught.value.help)


def test_memory_is_known_before_the_run():
    text = "variable x = ones([1000])\ny = outer(x, x) @ x"
    with pytest.raises(gradcli.GradcliError, match="--max-memory allows") as caught:
        gradcli.loads(text, backend="jax", max_memory=200_000).eval("y")
    assert caught.value.kind == "LimitError"
    assert caught.value.labels


def test_rows_are_answered_as_by_numpy(command_line, tmp_path):
    (tmp_path / "rows.csv").write_text("x,k\n" + "".join(f"{i / 7},{i % 3}\n" for i in range(100)))
    text = "variable x = 1.0; variable k = 1.0; constant c = [1.0, 2.0]; y = sum(sin(c*x)*k) + inv([[x + 1]])[0, 0]"
    options = ["grad", "-e", text, "--points", str(tmp_path / "rows.csv")]
    expected, found = command_line(*options), command_line(*options, "--backend", "jax")
    assert found.status == 0
    rows = [np.loadtxt(done.out.splitlines(), delimiter=",", skiprows=1) for done in (expected, found)]
    np.testing.assert_allclose(rows[1], rows[0], rtol=1e-12)


def test_bad_rows_are_told_as_by_numpy(command_line, tmp_path):
    (tmp_path / "rows.csv").write_text("x\n1\n0\n2\n0\n4\n")
    options = ["eval", "-e", "variable x = 1.0; y = inv([[x]])", "--points", str(tmp_path / "rows.csv"), "--skip-bad"]
    expected, found = command_line(*options), command_line(*options, "--backend", "jax")
    assert found == expected


def test_options_of_jax_need_jax(command_line):
    for options in (["--device", "cpu"], ["--devices", "2"]):
        done = command_line("eval", "-e", "y = 2", *options)
        assert done.status == 2
        assert "is for --backend jax" in done.err
    done = command_line("eval", "-e", "y = 2", "--backend", "jax", "--device", "abacus")
    assert done.status == 2
    done = command_line("eval", "-e", "y = 2", "--backend", "jax", "--threads", "2")
    assert done.status == 2
    done = command_line("eval", "-e", "y = 2", "--backend", "jax", "--device", "cpu:9")
    assert done.status == 1
    assert "JAX finds 1 cpu device here" in done.err


def test_without_jax_an_error_says_what_to_install(tmp_path):
    (tmp_path / "jax.py").write_text("raise ImportError('no')")
    code = "import sys; sys.path.insert(0, sys.argv[1]); from gradcli.commands.main import run; sys.exit(run(sys.argv[2:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), "eval", "-e", "y = 2.0", "--backend", "jax"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install 'gradcli[jax]'" in done.stderr
    assert "Traceback" not in done.stderr


SHARED = """
import numpy as np, gradcli
from gradcli.diagnostics import GradcliError
text = '''
constant X = random_normal([12, 3], seed=1)
constant t = random_normal([12], seed=2)
variable w = [0.1, 0.2, 0.3]
y = mean((tanh(X @ w) - t)^2)
'''
one = gradcli.loads(text, backend="jax").value_and_grad("y")
four = gradcli.loads(text, backend="jax", devices=4).value_and_grad("y")
for a, b in zip(one, four):
    for name in a:
        np.testing.assert_allclose(b[name], a[name], rtol=1e-13)
for options in ({}, {"data": ["X", "t"], "batch": 4}):
    ends = [
        gradcli.loads(text, backend="jax", devices=n).fit("y", method="adam", lr=0.05, steps=12, **options).values["w"]
        for n in (1, 4)
    ]
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-12)
from gradcli.commands.main import run
import sys
import time
status = run(["grad", "-e", "variable x = 1.0; y = x^3", "--points", sys.argv[1], "--backend", "jax", "--devices", "4"])
assert status == 0
for text, what in (("constant X = ones([7]); y = sum(X)", "equal parts of 7 rows"), ("variable x = 1.0; y = x", "nothing that 4")):
    try:
        gradcli.loads(text, backend="jax", devices=4).eval()
    except GradcliError as error:
        assert what in str(error), error
    else:
        raise AssertionError(text)
"""


@pytest.mark.slow
def test_several_devices_share_the_rows(tmp_path, monkeypatch):
    (tmp_path / "rows.csv").write_text("x\n" + "".join(f"{i}\n" for i in range(6)))
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=4")
    done = subprocess.run(
        [sys.executable, "-c", SHARED, str(tmp_path / "rows.csv")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert [float(line) for line in done.stdout.split()[1:]] == [3.0 * i * i for i in range(6)]


def test_a_profile_says_what_compiling_took(command_line):
    options = ["grad", "-e", "variable x = [1.0, 2.0]; y = sum(exp(x))", "--backend", "jax", "--profile"]
    found = json.loads(command_line(*options, "--format", "json").out)
    assert found["engine"]["name"] == "jax"
    assert found["devices"] == ["cpu:0"]
    assert 0 < found["compiling_seconds"] < found["seconds"]
    assert found["operations"] >= 1
    assert "compiled in" in command_line(*options, "--format", "table").out
    nothing = command_line("grad", "-e", "variable x = 1.0; y = round(x)", *options[3:], "--format", "table")
    assert nothing.out == "nothing is computed\n"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("text", [lambda seed: Program(seed).text, loop_program], ids=["mixed", "loops"])
def test_random_programs(text, seed):
    """Values and gradients of what is finite; denormal numbers, which XLA takes for 0, are not."""
    answers = []
    for program in (gradcli.loads(text(seed)), by_jax(text(seed))):
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
        elif np.isfinite(value).all():
            precision = 1e-9 if value.dtype == "float64" else 1e-3
            scale = np.abs(value).max(initial=1)
            np.testing.assert_allclose(found[name], value, rtol=precision, atol=precision * scale)


def test_a_refusal_names_the_lines_of_the_largest_arrays():
    text = "variable x = ones([1000])\nz = outer(x, x)\nh = sin(z) @ x\ny = h*2"
    with pytest.raises(gradcli.GradcliError) as caught:
        gradcli.loads(text, backend="jax", max_memory=200_000).eval("y")
    assert [(label.span.line, label.text) for label in caught.value.labels] == [(2, "7.63 MiB"), (3, "7.63 MiB")]


def test_a_note_says_where_numpy_is_quicker(command_line):
    options = ["eval", "-e", "variable x = 2.0; y = sin(x)*x", "--backend", "jax", "--of", "y"]
    assert command_line(*options).err == "note: without --backend jax the answer would have been there sooner\n"
    assert command_line(*options, "-q").err == ""


def test_the_bound_on_what_numpy_takes():
    """No less than what it takes, and less than JAX takes to compile something small."""
    text = "variable x = ones([200, 300])\ny = sum(tanh(x @ transpose(x)))"
    program = gradcli.loads(text)
    nodes = jitted.cone([program.graph.names["y"]])
    run = program.compile("y", "x")
    run(x=np.ones((200, 300)))
    start = time.perf_counter()
    run(x=np.ones((200, 300)))
    assert time.perf_counter() - start < 10 * jitted.numpy_seconds(nodes)  # on a busy machine, too
    assert jitted.numpy_seconds(nodes) < 0.1


COMMANDS = {
    "eval": ["eval", "--of", "y"],
    "jacobian": ["jacobian", "--of", "z"],
    "hessian": ["hessian", "--of", "y"],
    "jvp": ["jvp", "--of", "z", "--tangent", "x=[1.0, -1.0]"],
    "second order": ["grad", "--of", "y", "--order", "2"],
}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_answer_as_by_numpy(command, command_line):
    name, *options = COMMANDS[command]
    line = [
        name,
        "-e",
        "variable x = [0.5, 2.0]; z = sin(x)*x[0]; y = sum(z^2)",
        *options,
        "--format",
        "json",
        "--precision",
        "6",
    ]
    expected, found = command_line(*line), command_line(*line, "--backend", "jax", "-q")
    assert found == expected
    assert found.status == 0


@pytest.mark.slow
def test_a_check_finds_what_it_finds_by_numpy(command_line):
    line = ["check", "-e", "variable x = [0.5, 2.0]; y = sum(sin(x)^2)", "--format", "json"]
    expected, found = [json.loads(command_line(*line, *more).out) for more in ([], ["--backend", "jax", "-q"])]
    assert found["passed"]
    assert [(c["variable"], c["order"], c["method"], c["verdict"]) for c in found["checks"]] == [
        (c["variable"], c["order"], c["method"], c["verdict"]) for c in expected["checks"]
    ]


@pytest.mark.slow
def test_a_curve_is_that_of_numpy(command_line):
    line = ["plot", "-e", "variable x = 0.5; y = sin(x)*x", "--x", "x=0.1:2"]
    expected, found = command_line(*line), command_line(*line, "--backend", "jax", "-q")
    assert (found.status, found.out) == (0, expected.out)
    assert found.out.count("\n") > 5


@pytest.mark.slow
def test_compiled_programs_are_kept(tmp_path):
    """The second run finds what the first one has compiled."""
    text = "variable x = ones([50])\nh1 = tanh(outer(x, x) @ x); h2 = tanh(outer(h1, x) @ h1); h3 = exp(sin(h2)); y = sum(h3*h1)"
    line = [sys.executable, "-m", "gradcli", "grad", "-e", text, "--of", "y", "--backend", "jax", "-q"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    outputs, kept = [], []
    for _ in range(2):
        done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True, env=environment)
        outputs.append(done.stdout)
        kept.append(sorted(path.name for path in (tmp_path / "gradcli" / "jax").iterdir() if "-atime" not in path.name))
    assert outputs[0] == outputs[1] != ""
    assert kept[0] == kept[1] != []


@pytest.mark.slow
def test_many_small_matrices_do_not_hang(tmp_path):
    """XLA's threads for a CPU wait for one another where some functions of LAPACK have many matrices, unless there are enough."""
    rows = np.random.default_rng(1).uniform(1, 2, (9_000, 2))
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", header="x,z", comments="", fmt="%.4f")
    text = (
        "variable x = 1.0; variable z = 1.0; A = 6*eye(6) + x*reshape(sin(z*cast(range(36), float64)), [6, 6]); "
        "y = sum(inv(A)) + sum(solve(A @ A.T, ones([6]))) + log(abs(det(A)))"
    )
    line = ["grad", "-e", text, "--of", "y", "--points", "rows.csv"]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    found = []
    for more in ([], ["--backend", "jax"]):
        done = subprocess.run(
            [sys.executable, "-m", "gradcli", *line, *more], cwd=tmp_path, capture_output=True, text=True, timeout=120,
            check=True, env=environment,
        )  # fmt: skip
        found.append(np.loadtxt(done.stdout.splitlines(), delimiter=",", skiprows=1))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9, atol=1e-12)
