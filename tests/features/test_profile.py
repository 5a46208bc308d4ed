"""``--profile`` and ``--threads``: where a run spends its time and memory, and how many threads it may use."""

from __future__ import annotations

import json

import pytest

PROGRAM = """\
variable x = linspace(0.5, 2, 200_000)
variable w = 3.0
h = sin(x)*w
y = sum(h*h)
"""


def profile(command_line, *arguments):
    done = command_line(*arguments, "--profile", "--format", "json", stdin=PROGRAM)
    assert (done.status, done.err) == (0, "")
    return json.loads(done.out)


def test_a_line_has_its_forward_and_backward_part(command_line):
    found = profile(command_line, "grad")
    assert found["command"] == "grad" and found["threads"] >= 1
    lines = {line["line"]: line for line in found["lines"]}
    assert set(lines) >= {1, 3}
    assert lines[3]["text"] == "h = sin(x)*w"
    for part in ("forward", "backward"):
        assert lines[3][part]["calls"] > 0 and lines[3][part]["seconds"] > 0
        assert lines[3][part]["bytes"] >= 200_000 * 8
    assert lines[1]["forward"]["calls"] == 1  # linspace; the variable itself costs nothing
    seconds = [line["forward"]["seconds"] + line["backward"]["seconds"] for line in found["lines"]]
    assert sum(seconds) == pytest.approx(found["seconds"])
    assert seconds == sorted(seconds, reverse=True)


def test_values_have_no_backward_part(command_line):
    found = profile(command_line, "eval", "--of", "y")
    assert all(line["backward"] == {"seconds": 0.0, "calls": 0, "bytes": 0} for line in found["lines"])


def test_loops_are_told(command_line, monkeypatch):
    (loop,) = profile(command_line, "grad")["loops"]
    assert loop["size"] == 200_000 and loop["tiles"] > 1
    calls = {line["line"]: line["forward"]["calls"] for line in profile(command_line, "grad")["lines"]}
    assert calls[3] >= loop["tiles"]
    monkeypatch.setenv("GRADCLI_WITHOUT", "tiles")
    assert profile(command_line, "grad")["loops"] == []


def test_the_table(command_line):
    done = command_line("grad", "--profile", "--format", "table", stdin=PROGRAM)
    assert done.status == 0
    head, *rows = done.out.splitlines()
    assert head.split() == ["line", "time", "share", "forward", "backward", "calls", "memory", "text"]
    assert any(row.endswith("h = sin(x)*w") for row in rows)
    assert any("at once; an ordinary run may use" in row for row in rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--points", "rows.csv"], "goes without --points"),
        (["--output", "y.json"], "goes without --output"),
        (["--format", "csv"], "writes table, plain or json"),
    ],
)
def test_what_does_not_go_together(command_line, options, message):
    done = command_line("eval", "--profile", *options, stdin=PROGRAM)
    assert done.status == 2
    assert message in done.err


def test_threads_change_nothing_but_rounding(command_line):
    found = [
        json.loads(command_line("grad", "--threads", n, "--format", "json", stdin=PROGRAM).out)["gradients"]
        for n in ("1", "2", "3")
    ]
    for other in found[1:]:
        assert other["x"] == found[0]["x"]
        assert other["w"]["value"] == pytest.approx(found[0]["w"]["value"], rel=1e-13)


def test_threads_must_be_a_number(command_line):
    done = command_line("eval", "--threads", "0", stdin=PROGRAM)
    assert done.status == 2 and "--threads" in done.err


def test_columns_in_a_pipe(command_line):
    for form in ((), ("--format", "plain"), ("--format", "table")):
        done = command_line("grad", "--profile", *form, stdin=PROGRAM)
        assert done.out.split("\n")[0].split() == [
            "line",
            "time",
            "share",
            "forward",
            "backward",
            "calls",
            "memory",
            "text",
        ]
