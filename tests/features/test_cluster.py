"""``fit --cluster``: several processes fit what one fits, each on its rows, and end together."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from shutil import which

import numpy as np
import pytest

from gradcli.execute import cluster
from gradcli.execute.cluster import Place, place_of

TEXT = """
constant D = load("d.npy")
constant X = (D[:, :3] - mean(D[:, :3], axis=0))/2.0
constant t = D[:, 3]
variable w = [0.5, -0.5, 0.1]
variable b = 0.25
r = tanh(X @ w + b) - t
loss = mean(r^2)
"""

FIT = ["--method", "adam", "--lr", "0.02", "--backend", "jax", "--format", "json"]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Processes:
    """Processes of one cluster, each with its own arguments."""

    def __init__(self, folder, *commands):
        port, count = free_port(), len(commands)
        self.all = [
            subprocess.Popen(
                [sys.executable, "-m", "gradcli", *words, "--cluster", f"127.0.0.1:{port},{count},{index}"],
                cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env={**os.environ, "PYTHONPATH": os.getcwd()},
            )
            for index, words in enumerate(commands)
        ]  # fmt: skip

    def ends(self, seconds=240):
        """The statuses, outputs and messages."""
        try:
            found = [process.communicate(timeout=seconds) for process in self.all]
        finally:
            for process in self.all:
                process.kill()
        return [(process.returncode, *texts) for process, texts in zip(self.all, found, strict=True)]


def alone(folder, *words):
    done = subprocess.run(
        [sys.executable, "-m", "gradcli", *words], cwd=folder, capture_output=True, text=True, timeout=240, check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    return done.stdout


def values(text):
    return {name: np.array(entry["value"]) for name, entry in json.loads(text)["values"].items()}


def same(found, expected, rtol=1e-9):
    found, expected = values(found), values(expected)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=rtol)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A program and a million rows of data."""
    place = tmp_path_factory.mktemp("cluster")
    rows = np.random.RandomState(0).normal(size=(1_000_000, 4))
    rows[:, 3] = np.tanh(rows[:, :3] @ [1.0, -2.0, 0.5] + 0.3)
    np.save(place / "d.npy", rows)
    np.savetxt(place / "d.csv", rows[:40_000], fmt="%.7f", delimiter=",", header="a,b,c,t", comments="")
    (place / "m.expr").write_text(TEXT)
    (place / "set.expr").write_text(TEXT.replace('load("d.npy")', "[[0.0, 0.0, 0.0, 0.0]]"))
    return place


def test_the_place_of_a_process():
    assert place_of("auto") == Place()
    assert place_of("node-1:4000,4,3") == Place("node-1:4000", 4, 3)
    assert place_of("[::1]:4000,2,0") == Place("[::1]:4000", 2, 0)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("x", "is not auto or HOST:PORT,N,I"),
        ("127.0.0.1,2,0", "is not auto or HOST:PORT,N,I"),
        ("h:4000,2", "is not auto or HOST:PORT,N,I"),
        ("h:99999,2,0", "there is no port 99999"),
        ("h:4000,0,0", "at least one process"),
        ("h:4000,2,2", "from 0 to 1, not 2"),
        ("h:4000,1,5", "is 0, not 5"),
    ],
)
def test_what_is_no_place_of_a_process(text, what, command_line):
    done = command_line(
        "fit", "-e", "variable x = 1.0; y = x^2", "--backend", "jax", "--method", "sgd", "--cluster", text
    )
    assert done.status == 2
    assert what in done.err


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--method", "sgd"], "--cluster is for --backend jax"),
        (
            ["--method", "lbfgs", "--backend", "jax"],
            "--cluster is for --method sgd, momentum, adam, not --method lbfgs",
        ),
        (["--backend", "jax"], "not without --method"),
        (["--method", "sgd", "--backend", "jax", "--errors"], "--errors goes without --cluster"),
        (["--method", "sgd", "--backend", "jax", "--devices", "2"], "--devices goes without --cluster"),
        (["--method", "sgd", "--backend", "jax", "--device", "cpu:0"], "--device cpu:0 goes without --cluster"),
    ],
)
def test_what_goes_without_a_cluster(options, what, command_line):
    done = command_line("fit", "-e", "variable x = 1.0; y = x^2", "--cluster", "h:4000,2,1", *options)
    assert done.status == 2
    assert what in done.err


@pytest.mark.slow
def test_two_processes_fit_what_one_fits(folder):
    words = ["fit", "m.expr", *FIT, "--steps", "30", "--of", "loss", "--history"]
    expected = alone(folder, *words, "one.ndjson")
    (status, out, err), (other, silent, nothing) = Processes(folder, *[[*words, "two.ndjson"]] * 2).ends()
    assert (status, other, silent, nothing) == (0, 0, "", "")
    assert "after 30 steps" in err
    same(out, expected)
    one, two = [(folder / name).read_text().splitlines() for name in ("one.ndjson", "two.ndjson")]
    assert len(one) == len(two) == 31
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(json.loads(b)["loss"], json.loads(a)["loss"], rtol=1e-12)


@pytest.mark.slow
def test_batches_of_a_csv_file_that_an_option_gives(folder):
    words = ["fit", "set.expr", *FIT, "--steps", "12", "--data", "X,t", "--batch", "64"]
    words += ["--set", "D=@d.csv", "--checkpoint"]
    expected = alone(folder, *words, "batch-one.npz")
    (status, out, _), (other, _, nothing) = Processes(folder, *[[*words, "batch-two.npz"]] * 2).ends()
    assert (status, other, nothing) == (0, 0, "")
    same(out, expected)
    # What identifies the data does not depend on who has read which rows.
    again = ["fit", "set.expr", *FIT, "--steps", "20", "--data", "X,t", "--batch", "64", "--set", "D=@d.csv"]
    same(alone(folder, *again, "--resume", "batch-two.npz"), alone(folder, *again, "--resume", "batch-one.npz"))


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_process_ends_all_and_one_goes_on(lost, folder):
    """Killed in the middle, both end within a minute; resumed by a single process the fit ends where it would have."""
    path = folder / f"lost-{lost}.npz"
    words = ["fit", "m.expr", *FIT, "--checkpoint", path.name, "--every", "10"]
    running = Processes(folder, *[[*words, "--steps", "100000"]] * 2)
    start = time.monotonic()
    while not path.exists() and time.monotonic() < start + 120:
        time.sleep(0.1)
    time.sleep(2)
    running.all[lost].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    ends = running.ends(60)
    assert time.monotonic() - killed < 60
    status, out, err = ends[1 - lost]
    assert (status, out) == (1, "")
    assert err.startswith(f"error: another process was lost, so number {1 - lost} of 2 ends")
    assert len(err.splitlines()) == 1
    reached = int(json.loads(bytes(np.load(path)["checkpoint"]))["step"])
    steps = str(reached + 15)
    whole = alone(folder, "fit", "m.expr", *FIT, "--steps", steps)
    same(alone(folder, "fit", "m.expr", *FIT, "--steps", steps, "--resume", path.name), whole)
    (status, out, _), _ = Processes(
        folder, *[["fit", "m.expr", *FIT, "--steps", steps, "--resume", path.name]] * 2
    ).ends()
    assert status == 0
    same(out, whole)


@pytest.mark.slow
def test_what_one_process_cannot_do_ends_both_with_one_message(folder, tmp_path):
    (tmp_path / "m.expr").write_text(TEXT)  # without its data
    words = ["fit", "m.expr", *FIT, "--steps", "20"]
    absent = [*words[:1], str(tmp_path / "m.expr"), *words[2:]]
    cases = [
        ([words, absent], "there is no file"),
        ([[*words, "--history", "/nowhere/h.ndjson"], words], "cannot write /nowhere/h.ndjson"),
        ([[*words, "--minimize", "r"]] * 2, "what is minimised is a scalar"),
        ([words, [*words, "--clip", "1"]], "were given different programs or options"),
    ]
    for commands, what in cases:
        ends = Processes(folder, *commands).ends(90)
        assert [status for status, _, _ in ends] == [1, 1]
        told = [err for _, _, err in ends if err]
        assert len(told) == 1
        assert what in told[0]
        assert [out for _, out, _ in ends] == ["", ""]


@pytest.mark.slow
def test_a_port_in_use_and_a_process_that_never_comes(folder):
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]},2,0"
        done = subprocess.run(
            [sys.executable, "-m", "gradcli", "fit", "m.expr", *FIT, "--cluster", place],
            cwd=folder, capture_output=True, text=True, timeout=90, check=False,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )  # fmt: skip
    assert done.returncode == 1
    assert "address already in use" in done.stderr
    assert 30 < cluster.JOINING < 60  # within a minute, which this process does not wait for
    sooner = "import sys; from gradcli.execute import cluster; cluster.JOINING = 3\n"
    sooner += "from gradcli.commands.main import run; sys.exit(run(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", sooner, "fit", "m.expr", *FIT, "--cluster", f"127.0.0.1:{free_port()},2,0"],
        cwd=folder, capture_output=True, text=True, timeout=50, check=False,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: the other processes did not come within a minute to 127.0.0.1:")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_fits_of_the_manual_agree(tmp_path):
    """The commands that need no GPU, with a free port: on NumPy, four devices and two processes."""
    root = Path(__file__).parents[2]
    page = (root / "gradcli" / "manual" / "accelerators.md").read_text(encoding="utf-8")
    block = next(
        text for text in re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) if "two.json" in text
    )
    script = "\n".join([line for line in block.split("\n") if "--device gpu" not in line])
    script = script.replace("4321", str(free_port())).replace("gradcli fit", f"{sys.executable} -m gradcli fit")
    (tmp_path / "samples").symlink_to(root / "samples")
    env = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    for name in ("four", "two"):
        same((tmp_path / f"{name}.json").read_text(), (tmp_path / "numpy.json").read_text(), 1e-7)


@pytest.mark.slow
def test_a_cluster_that_jax_finds_out(folder):
    """SLURM by what it tells its tasks, and Open MPI itself where mpirun is installed and is not newer than JAX knows."""
    words = [sys.executable, "-m", "gradcli", "fit", "m.expr", *FIT, "--steps", "12", "--cluster", "auto"]
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    expected = alone(
        folder, "fit", "m.expr", "--method", "adam", "--lr", "0.02", "--format", "json", "--steps", "12"
    )  # by NumPy
    slurm = {
        "SLURM_JOB_ID": str(free_port()),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "SLURM_STEP_NUM_NODES": "1",
    }
    tasks = [
        subprocess.Popen(
            words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**env, **slurm, "SLURM_PROCID": str(k), "SLURM_LOCALID": str(k)},
        )
        for k in range(2)
    ]  # fmt: skip
    try:
        (out, _), (nothing, silent) = [task.communicate(timeout=120) for task in tasks]
    finally:
        for task in tasks:
            task.kill()
    assert (nothing, silent) == ("", "")
    same(out, expected)
    version = (
        subprocess.run(["mpirun", "--version"], capture_output=True, text=True, check=False).stdout
        if which("mpirun")
        else ""
    )
    if "(Open MPI) 4." in version:
        line = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2", *words]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120, check=True, env=env)
        same(done.stdout, expected)
