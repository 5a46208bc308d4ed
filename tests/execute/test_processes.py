"""Worker processes: the results of threads to the last bit, and no worker that outlives what it works for."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import gradcli
from gradcli.execute import choose, processes
from gradcli.execute.loop import Loop

pytestmark = [
    pytest.mark.skipif(not processes.are_possible(), reason="only Linux forks safely"),
    pytest.mark.usefixtures("shrunk"),
]

NETWORK = """
variable w = random_normal([3, 4], seed=1)
variable v = random_normal([4, 2], seed=2)
variable x = random_normal([57, 3], seed=4)
u = tanh(x @ w) @ v
loss = mean(square(u)) + max(u)
g, h = gradients(loss, [w, v])
z = u*2.0
"""
NAMES = ["loss", "g", "h", "z"]


@pytest.fixture(scope="module")
def shrunk(tiny_tiles):
    tiny_tiles()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose, "WORTH_PROCESSES", 0)
        yield


def compiled(text=NETWORK, names=NAMES, inputs=("w", "x"), threads=3):
    return gradcli.loads(text, threads=threads).compile(names, inputs=list(inputs), processes=True)


def members(run):
    loops = [unit for unit in run._run._plan.units if isinstance(unit, Loop)]
    return [process for unit in loops if unit._team for process, _, _ in unit._team._members]


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_results_are_those_of_threads_to_the_last_bit():
    run = compiled()
    plain = gradcli.loads(NETWORK, threads=3).compile(NAMES, inputs=["w", "x"])
    for seed in range(4):
        random = np.random.RandomState(seed)
        w, x = random.normal(size=(3, 4)), random.normal(size=(57, 3))
        found, want = run(w=w, x=x), plain(w=w, x=x)
        assert all(np.array_equal(found[name], want[name]) for name in NAMES)
    assert members(run)


def test_what_a_program_does_not_ask_for_is_not_forked():
    run = gradcli.loads(NETWORK, threads=3).compile(NAMES, inputs=["w"])
    run()
    assert members(run) == []


def test_workers_end_with_their_function():
    run = compiled()
    run()
    workers = members(run)
    assert workers and all(map(is_alive, workers))
    del run
    gc.collect()
    assert not any(map(is_alive, workers))


def test_a_failure_is_the_one_that_threads_report():
    run = compiled("variable x = linspace(1, 2, 60)\ny = cast(log(x), int64)\n", ["y"], ["x"])
    x = np.linspace(1, 2, 60)
    assert run(x=x)["y"].shape == (60,)
    x[59] = -1.0
    with pytest.raises(gradcli.GradcliError, match="cannot convert nan to int64"):
        run(x=x)
    x[59] = 1.0
    assert run(x=x)["y"].shape == (60,)


def test_a_worker_that_is_killed_is_done_without():
    run = compiled()
    want = run()
    for process in members(run):
        os.kill(process, 9)
    found = run()
    assert all(np.array_equal(found[name], want[name]) for name in NAMES)


def test_a_copy_of_the_process_leaves_the_workers_alone():
    run = compiled()
    want = run()["loss"]
    child = os.fork()
    if not child:
        os._exit(0 if run()["loss"] == want else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert all(map(is_alive, members(run)))
    assert run()["loss"] == want


@pytest.mark.parametrize("ending", ["", "os.kill(os.getpid(), 9)"])
def test_workers_do_not_outlive_the_process(ending):
    code = f"""
    import os, sys
    from gradcli.execute import choose, cuts, loop
    choose.LARGE = 1
    cuts.TILE = loop.TILE = 128
    cuts.SMALL = choose.WORTH_PROCESSES = 0
    loop.FEWEST_ROWS = 1
    import gradcli
    run = gradcli.loads({NETWORK!r}, threads=3).compile(["g"], inputs=["w"], processes=True)
    run()
    loops = [u for u in run._run._plan.units if isinstance(u, loop.Loop)]
    print(*[p for u in loops for p, _, _ in u._team._members], flush=True)
    {ending}
    """
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": str(root)}
    # The pipe ends only when every process that holds it has ended.
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=False, env=env, capture_output=True, text=True, timeout=60
    )
    workers = [int(word) for word in done.stdout.split()]
    assert workers, done.stderr
    assert not any(map(is_alive, workers))
