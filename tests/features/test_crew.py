"""Long streams of ``--points`` are answered by several processes: each byte is as if there were one."""

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

from gradcli.execute import processes

pytestmark = pytest.mark.skipif(not processes.are_possible(), reason="other systems do not fork safely")

ROOT = Path(__file__).parents[2]
PROGRAM = "variable x = 1.0; variable k = 2; variable s = 1.0; y = k*x^2 + sqrt(s)*sin(x) + inv([[x]])[0, 0]"


EARLY = """
import io, json, os, signal, sys
from gradcli.commands.main import run
from gradcli.data import rows
from gradcli.features.points import crew
crew.BEGINNING = crew.WORTH = crew.LONG = 0.0
rows.CHUNK = 1 << 12
collect, fork, found, answers = crew.Crew._collect, crew.Crew._fork, [], 0
def counted(self):
    global answers
    answers += bool(self._members)
    collect(self)
def killed(self):
    global answers
    answers += 1
    fork(self)
    os.kill(self._members[0][0].pid, signal.SIGKILL)
    self._members[0][0].join()
crew.Crew._collect = counted
given = json.load(sys.stdin)
if given["killed"]:
    crew.Crew._fork = killed
if given["tables"]:
    from gradcli.data import arrow
    arrow.BATCH = 200
kept = sys.stdout
for line in given["lines"]:
    sys.stdout, sys.stderr = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    answers = 0
    status = run(line)
    found.append([status, *[s.buffer.getvalue().decode() for s in (sys.stdout, sys.stderr)], answers])
json.dump(found, kept)
"""
"""In a process without the threads of others: pieces are small, and others answer them from the second one on."""


def answered(lines, killed=False, tables=False):
    """For each command line its status, output and messages, and how many pieces others have answered."""
    given = json.dumps({"lines": lines, "killed": killed, "tables": tables})
    done = subprocess.run(
        [sys.executable, "-c", EARLY], input=given, capture_output=True, text=True, timeout=120, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
    )  # fmt: skip
    return json.loads(done.stdout)


def same(lines, **how):
    """What all lines print as one process and as several."""
    found = answered([[*line, "--threads", n] for line in lines for n in ("1", "3")], **how)
    for line, (*expected, none), (*several, some) in zip(lines, found[::2], found[1::2], strict=True):
        assert several == expected, line
        assert none == 0
        assert some
    return [out for _, out, _, _ in found[::2]]


def table(n=1500, **columns):
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
NAMES = csv({"id": [f"row {k}" for k in range(1500)], **table()})
CASES = {
    "plain": (PLAIN, []),
    "json": (PLAIN, ["--format", "json"]),
    "fractions among integers": (changed(PLAIN, (900, "1.5,2.5\n")), []),
    "a bad row": (changed(PLAIN, (1200, "1.5,x\n")), []),
    "bad rows": (changed(PLAIN, (700, "0,2\n"), (900, "1.5\n"), (1499, "oops,1\n")), ["--skip-bad"]),
    "bad rows kept": (changed(NAMES, (700, "a,0,2\n"), (1400, "b,?,2\n")), ["--skip-bad=keep", "--keep", "id"]),
    "many bad rows": (changed(PLAIN, *[(k, "0,1\n") for k in range(500, 1500, 20)]), ["--skip-bad"]),
    "not ordinary": (changed(csv({**table(), "s": np.ones(1500)}), (1000, "nan,1,1.0\n"), (1300, "1e300,2,inf\n")), []),
    "kept columns": (NAMES, ["--keep", "*"]),
    "no end of the last line": (PLAIN.rstrip("\n"), []),
    "fewer digits": (PLAIN, ["--precision", "4"]),
    "a table that is too long for one": (PLAIN, ["--format", "table"]),
}


def test_several_processes_print_what_one_prints(tmp_path):
    lines = []
    for number, (text, options) in enumerate(CASES.values()):
        path = tmp_path / f"{number}.csv"
        path.write_text(text)
        lines.append(["grad", "-e", PROGRAM, "--wrt", "x,s", "--points", str(path), *options])
    same(lines)


@pytest.mark.slow
def test_other_rows(tmp_path):
    import pyarrow
    from pyarrow import parquet

    columns = table()
    parquet.write_table(pyarrow.table(columns), tmp_path / "rows.parquet", row_group_size=900)
    rows = zip(columns["x"].tolist(), columns["k"].tolist(), strict=True)
    (tmp_path / "rows.ndjson").write_text("".join([f'{{"x": {x!r}, "k": {k}}}\n' for x, k in rows]))
    line = ["grad", "-e", PROGRAM, "--wrt", "x", "--points"]
    first, second = same([[*line, str(tmp_path / name)] for name in ("rows.parquet", "rows.ndjson")], tables=True)
    assert first == second
    assert first.count("\n") == 1501


@pytest.mark.slow
def test_a_process_that_is_killed_is_missed_by_nobody(tmp_path):
    (tmp_path / "rows.csv").write_text(PLAIN)
    same([["grad", "-e", PROGRAM, "--points", str(tmp_path / "rows.csv")]], killed=True)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "rows.csv").write_text(changed(PLAIN, (1300, "1,?\n")))
    out = tmp_path / "out.csv"
    line = ["eval", "-e", PROGRAM, "--points", str(tmp_path / "rows.csv"), "--output", str(out), "--threads", "2"]
    ((status, _, err, some),) = answered([line])
    assert status == 1
    assert "row 1300" in err
    assert some
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


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
