"""Signals end a command with their status, without a traceback and without a file that is half written."""

import os
import signal
import subprocess
import sys
import time

import pytest

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
PATIENCE = 120
"""Seconds after which a test gives up, far more than a signal needs."""

SLOW = {
    "parse": ("".join(["variable x = 1.0\n", *[f"a{k} = (x + {k})*exp(-x)  # {k}\n" for k in range(100_000)]]), []),
    "elaborate": ("def f(x) = sin(x)*x + exp(-x)\nvariable x = 1.0\ny = iterate(f, x, 400_000)\n", []),
    "differentiate": ("variable x = 0.3\ny = sin(x*x)*exp(x)\n", ["--order", "1500", "--every-order"]),
    "one kernel": ("variable x = random_normal([9000, 9000])\ny = sum(x @ x)\n", []),
    "tiles": ("variable x = ones([10_000_000])\ny = sum(" + "sin(" * 60 + "x" + ")" * 61 + "\n", []),
    "print": ("variable x = ones([4_000_000])\ny = sum(x^2)\n", []),
}


def begun(command, cwd, **options):
    """A process that has come so far that it hears signals: what it reads last is a pipe that it has opened."""
    fifo = cwd / "late.csv"
    os.mkfifo(fifo)
    child = subprocess.Popen(
        [sys.executable, "-m", "gradcli", *command],
        cwd=cwd,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        preexec_fn=heard,
        **options,
    )
    return child, open(fifo, "w")  # waits for its reader


def heard():
    """Ctrl-C counts also where the tests are a job in the background, for which a shell turns it off."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ended(child, number):
    """The signal is sent, and has its status; what is said meanwhile is not a traceback."""
    child.send_signal(number)
    try:
        _, err = child.communicate(timeout=PATIENCE)
    finally:
        child.kill()
    assert child.returncode == STATUS[number]
    assert b"Traceback" not in err
    assert b"KeyboardInterrupt" not in err


@pytest.mark.parametrize("number", STATUS)
def test_while_a_file_is_awaited(number, tmp_path):
    child, file = begun(["eval", "-e", "variable x = 1.0; y = x", "--set", "x=@late.csv"], tmp_path)
    with file:
        ended(child, number)


def test_in_a_destructor_whose_errors_python_only_prints():
    code = (
        "import signal, time\nfrom gradcli.commands import stopping\nstopping.listen()\n"
        "class Last:\n    def __del__(self):\n        signal.raise_signal(signal.SIGINT)\n        time.sleep(0)\n"
        "Last()\ntime.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=PATIENCE, preexec_fn=heard)
    assert (done.returncode, done.stderr) == (130, b"")


@pytest.mark.parametrize("phase", SLOW)
def test_in_each_phase(phase, tmp_path):
    text, options = SLOW[phase]
    (tmp_path / "slow.expr").write_text(f"constant late = 0.0\n{text}")
    command = ["grad", "slow.expr", "--set", "late=@late.csv", "--output", "result.json", *options]
    child, file = begun(command, tmp_path)
    with file:
        file.write("1\n")
    if phase == "print":  # which is seen from outside
        while not list(tmp_path.glob(".result.json.*")) and child.poll() is None:
            time.sleep(0.01)
    else:
        time.sleep(0.3)
    ended(child, signal.SIGINT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["late.csv", "slow.expr"]


def test_while_points_are_answered(tmp_path):
    command = ["eval", "-e", "variable x = 1.0; variable k = 1.0; y = x*k", "--points", "late.csv", "--output", "r.csv"]
    child, file = begun(command, tmp_path)
    file.write("x,k\n1,2\n")
    file.flush()
    while not list(tmp_path.glob(".r.csv.*")):
        time.sleep(0.01)
    ended(child, signal.SIGINT)
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["late.csv"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sgd", "lbfgs"])
def test_a_fit_in_a_long_step_keeps_the_step_before(method, tmp_path):
    # The second step, and each one after it, would take an hour.
    (tmp_path / "slow.py").write_text(
        "import sys, time\nfrom gradcli.__main__ import main\nfrom gradcli.features.fit.objective import Objective\n"
        "at, vector = Objective.at, []\n"
        "def slow(self, values, step):\n"
        "    if vector:\n        print('begun', file=sys.stderr, flush=True)\n        time.sleep(3600)\n"
        "    vector.append(step)\n    return at(self, values, step)\n"
        "Objective.at = slow\nmain()\n"
    )
    command = ["fit", "-e", "variable x = [3.0, 4.0]; y = sum(x^4)", "--method", method, "--checkpoint", "c.npz"]
    child = subprocess.Popen(
        [sys.executable, "slow.py", *command],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heard,
    )
    while "begun" not in child.stderr.readline():
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 130
    # What the built-in methods do ends with their steps, and tells of no convergence.
    assert out == "x = [3.0, 4.0]\n" + "# not converged: interrupted\n" * (method == "lbfgs")
    assert ": interrupted\n" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.npz", "slow.py"]


def test_a_closed_pipe_ends_quietly(tmp_path):
    (tmp_path / "p.expr").write_text(SLOW["print"][0])
    child = subprocess.Popen(
        [sys.executable, "-m", "gradcli", "grad", "p.expr"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with child:
        assert child.stdout.read(5) == b"x = ["
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(PATIENCE) == 0
