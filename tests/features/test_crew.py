"""Long streams of ``--points`` are answered by several processes: each byte is as if there were one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from gradcli.execute import processes
from gradcli.features.points import crew

pytestmark = pytest.mark.skipif(not processes.are_possible(), reason="other systems do not fork safely")

ROOT = Path(__file__).parents[2]
PROGRAM = "variable x = 1.0; variable k = 2; variable s = 1.0; y = k*x^2 + sqrt(s)*sin(x) + inv([[x]])[0, 0]"


@pytest.fixture
def early(monkeypatch):
    """Others as soon as there is a second piece, with the pieces that they have answered, and a small piece."""
    monkeypatch.setattr(crew, "BEGINNING", 0.0)
    monkeypatch.setattr(crew, "WORTH", 0.0)
    monkeypatch.setattr(crew, "LONG", 0.0)
    monkeypatch.setattr("gradcli.data.rows.CHUNK", 1 << 12)
    monkeypatch.setattr("gradcli.data.arrow.BATCH", 200)
    answered = []
    send = crew.Crew._collect

    def collect(self):
        if self._members:
            answered.append(len(self._members))
        send(self)

    monkeypatch.setattr(crew.Crew, "_collect", collect)
    return answered


def table(n=3000, **columns):
    rng = np.random.default_rng(5)
    return {"x": rng.uniform(0.5, 2, n), "k": rng.integers(1, 9, n), **columns}


def csv(columns):
    texts = [[repr(v) if isinstance(v, float) else str(v) for v in np.asarray(c).tolist()] for c in columns.values()]
    return ",".join(columns) + "\n" + "".join([",".join(row) + "\n" for row in zip(*texts, strict=True)])


def changed(text, *rows):
    lines = text.splitlines(keepends=True)
    for number, line in rows:
        lines[number] = line
    return "".join(lines)


PLAIN = csv(table())
NAMES = csv({"id": [f"row {k}" for k in range(3000)], **table()})
CASES = {
    "plain": (PLAIN, []),
    "json": (PLAIN, ["--format", "json"]),
    "fractions among integers": (changed(PLAIN, (1400, "1.5,2.5\n")), []),
    "a bad row": (changed(PLAIN, (2200, "1.5,x\n")), []),
    "bad rows": (changed(PLAIN, (700, "0,2\n"), (1500, "1.5\n"), (2999, "oops,1\n")), ["--skip-bad"]),
    "bad rows kept": (changed(NAMES, (700, "a,0,2\n"), (2900, "b,?,2\n")), ["--skip-bad=keep", "--keep", "id"]),
    "many bad rows": (changed(PLAIN, *[(k, "0,1\n") for k in range(500, 3000, 20)]), ["--skip-bad"]),
    "not ordinary": (changed(csv({**table(), "s": np.ones(3000)}), (1000, "nan,1,1.0\n"), (2000, "1e300,2,inf\n")), []),
    "kept columns": (NAMES, ["--keep", "*"]),
    "no end of the last line": (PLAIN.rstrip("\n"), []),
    "fewer digits": (PLAIN, ["--precision", "4"]),
    "a table that is too long for one": (PLAIN, ["--format", "table"]),
}


SLOW = {"many bad rows", "bad rows kept", "kept columns", "fewer digits", "a table that is too long for one"}


@pytest.mark.parametrize("case", [pytest.param(c, marks=pytest.mark.slow if c in SLOW else ()) for c in CASES])
def test_several_processes_print_what_one_prints(case, command_line, early, tmp_path):
    text, options = CASES[case]
    (tmp_path / "rows.csv").write_text(text)
    line = ["grad", "-e", PROGRAM, "--wrt", "x,s", "--points", str(tmp_path / "rows.csv"), *options]
    expected = command_line(*line, "--threads", "1")
    assert early == []
    found = command_line(*line, "--threads", "3")
    assert found == expected
    assert early


@pytest.mark.parametrize("kind", ["ndjson", "parquet"])
def test_other_rows(kind, command_line, early, tmp_path):
    path = tmp_path / f"rows.{kind}"
    columns = table()
    if kind == "parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.table(columns), path, row_group_size=1700)
    else:
        rows = zip(columns["x"].tolist(), columns["k"].tolist(), strict=True)
        path.write_text("".join([f'{{"x": {x!r}, "k": {k}}}\n' for x, k in rows]))
    line = ["grad", "-e", PROGRAM, "--wrt", "x", "--points", str(path)]
    expected, found = command_line(*line, "--threads", "1"), command_line(*line, "--threads", "2")
    assert found == expected
    assert found.out.count("\n") == (3000 if kind == "ndjson" and found.out.startswith("{") else 3001)
    assert early


def test_a_file_is_written_whole_or_not_at_all(command_line, early, tmp_path):
    (tmp_path / "rows.csv").write_text(changed(PLAIN, (2500, "1,?\n")))
    out = tmp_path / "out.csv"
    line = ["eval", "-e", PROGRAM, "--points", str(tmp_path / "rows.csv"), "--output", str(out), "--threads", "2"]
    done = command_line(*line)
    assert done.status == 1
    assert "row 2500" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_process_that_is_killed_is_missed_by_nobody(command_line, early, tmp_path, monkeypatch):
    (tmp_path / "rows.csv").write_text(PLAIN)
    line = ["grad", "-e", PROGRAM, "--points", str(tmp_path / "rows.csv")]
    expected = command_line(*line, "--threads", "1")
    fork = crew.Crew._fork

    def killed(self):
        fork(self)
        process = self._members[0][0]
        os.kill(process.pid, signal.SIGKILL)
        process.join()

    monkeypatch.setattr(crew.Crew, "_fork", killed)
    assert command_line(*line, "--threads", "2") == expected


QUICKLY = """
import sys
from gradcli.features.points import crew
crew.BEGINNING = crew.WORTH = crew.LONG = 0.0
from gradcli.commands.main import run
sys.exit(run(sys.argv[1:]))
"""


def begun(tmp_path, *arguments, **more):
    line = [sys.executable, "-c", QUICKLY, "eval", "-e", "variable x = 1.0; y = 2*x", "--threads", "2", "--points", "-"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([*line, *arguments], cwd=tmp_path, env=environment, text=True, bufsize=1, **pipes)


@pytest.mark.slow
def test_a_slow_producer_is_answered_by_others_at_once(tmp_path):
    with begun(tmp_path) as child:
        watch = threading.Timer(60, child.kill)
        watch.start()
        try:
            child.stdin.write("x\n1\n")
            assert [child.stdout.readline() for _ in range(2)] == ["y\n", "2.0\n"]
            for k in range(6):
                child.stdin.write(f"{k}\n")
                assert child.stdout.readline() == f"{2.0 * k}\n"
            child.stdin.write("8\n7")  # the second one is not complete
            assert child.stdout.readline() == "16.0\n"
            others = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
            assert len(others) == 2
            child.stdin.close()
            assert child.stdout.read() == "14.0\n"
            assert child.wait() == 0
            assert child.stderr.read() == ""
        finally:
            watch.cancel()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nobody_is_left_where_the_process_ends(number, tmp_path):
    with begun(tmp_path) as child:
        child.stdin.write("x\n1\n")
        [child.stdout.readline() for _ in range(2)]
        for k in range(4):
            child.stdin.write(f"{k}\n")
            child.stdout.readline()
        others = [int(n) for n in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()]
        assert len(others) == 2
        child.send_signal(number)
        child.wait(timeout=30)
        end = time.monotonic() + 20
        while any(Path(f"/proc/{n}").exists() and "Z" not in Path(f"/proc/{n}/stat").read_text().rpartition(")")[2].split()[0]
                  for n in others):  # fmt: skip
            assert time.monotonic() < end
            time.sleep(0.05)
