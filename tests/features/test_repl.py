"""The prompt: what lines are answered through a pipe, and a session on a terminal, typed as a person types."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gradcli.features.repl.answer import Dialogue, last_word
from gradcli.features.repl.prompt import styled
from gradcli.program.growing import is_complete

ROOT = Path(__file__).parents[2]


@pytest.fixture
def session(gradcli):
    """Type lines into a pipe: what is answered, and what is said besides."""

    def call(*lines: str, file: str | None = None):
        return gradcli("repl", *filter(None, [file]), stdin="".join(f"{line}\n" for line in lines))

    return call


@pytest.mark.parametrize(
    ("lines", "answers"),
    [
        (["1 + 1"], "2\n"),
        (["x = 3", "x^2; x + 1"], "9\n4\n"),
        (["x = 3", "y = x^2", "x = 4", "y"], "16\n"),
        (["a = 1", "b = a", "c = 2", "a = c", "b"], "2\n"),
        (["def f(x) = x^2", "x = f(3)", "x"], "9\n"),
        (["def f(x) = {", "  h = x^2", "  h + 1", "}", "f(2)"], "5\n"),
        (
            ["def f(x) = x*floor(x)", "tangent f(x, dx) = 7*dx", "def f(x) = 2*x", "variable x = 1.5", ":grad f(x)"],
            "x = 2.0\n",
        ),
        (
            [
                "def f(x) = floor(x)",
                "tangent f(x, dx) = 7*dx",
                "tangent f(x, dx) = 8*dx",
                "variable x = 1.5",
                ":grad f(x)",
            ],
            "x = 8.0\n",
        ),
        (["variable x = 3.0", ":grad x^3"], "x = 27.0\n"),
        (["variable x = 3.0", "y = x^3", "z = x", ":grad y --order 2"], "x = 18.0\n"),
        (["variable x = 3.0", ":hessian x^3 --precision 2"], "d2ans/dx/dx = 18.0\n"),
        (["variable x = 3.0", "y = x^2", ":set x=4", "y", ":list"], "16.0\nvariable x = 4.0\ny = x^2\n"),
        (["variable x = 3.0", ":set x=1/4", ":set k=[1, 2]", "x*k"], "[0.25, 0.5]\n"),
        (["x = 1", "x = 2", ":undo", "x", ":undo", ":list"], "1\n"),
        (["y = 1.0", "variable x = 2.0", "dtype float32", ":list"], "dtype float32\ny = 1.0\nvariable x = 2.0\n"),
        (["x = 1.0", "y = 2.0", "output x", "output y", ":eval"], "y = 2.0\n"),
        (["variable x = 2.0", "y = x", "seed y = 3", "seed y = 5", ":grad"], "x = 5.0\n"),
        (["", "# nothing", "   "], ""),
        ([":ops softplus --format json"], '{\n "name": "softplus"'),
        ([":help none"], "# None, zero"),
        ([":help"], "  x = [1.0, 2.0]   "),
        (["variable x = 2.0", ":lint"], "warning"),
    ],
)
def test_lines_are_answered(session, lines, answers):
    done = session(*lines)
    assert done.out == answers if answers.endswith("\n") or not answers else done.out.startswith(answers)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["x = = 2"], "<repl>:1:5"),
        (["x + 1"], "`x` is not defined"),
        (["x = 1", "x = x + 1"], "`x` cannot be computed from itself"),
        (["a = 1", "b = a", "a = b"], "computed from each other: a, b"),
        (["a = [1, 2]", "b = a + [3, 4]", "a = [1, 2, 3]"], "do not broadcast"),
        (["grad 7"], "Commands begin with a colon: `:grad 7`"),
        (["help"], "Commands begin with a colon: `:help`"),
        ([":gard"], "Did you mean :grad?"),
        ([":grad --oder 2"], "--order"),
        ([":grad x --wrt 'a"], "quoted as in a shell"),
        ([":undo"], "nothing to undo"),
        ([":set x"], ":set NAME=EXPR"),
        (["x = 1", ":set x=2"], "`x` is computed"),
        ([":load missing.expr"], "there is no file missing.expr"),
        ([":load"], "Name one file"),
        ([":save missing/x.expr"], "there is no folder"),
        (["1, 2"], "several values"),
        (["variable x", "x"], "has no value"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(session, lines, words):
    done = session(*lines, "7 * 6")
    assert words in done.err
    assert (done.status, done.out) == (1, "42\n")
    assert "Traceback" not in done.err


def test_many_lines_take_no_longer_each(session):
    done = session(*[f"a{i} = {i}" for i in range(500)], "f = a7 + a499", "f")
    assert done.out == "506\n"


def test_standard_input_may_be_closed(process):
    done = process("repl", stdin=None, preexec_fn=lambda: os.close(0))
    assert (done.returncode, done.stdout) == (1, "")
    assert "standard input is closed" in done.stderr


def test_files(session, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "data.csv").write_text("a\n1\n2\n")
    (tmp_path / "folder" / "f.expr").write_text('# data\nX = load("data.csv", "a"); y = sum(X) # total\n\noutput y\n')
    assert session("y", ":save g.expr", file="folder/f.expr").out == "3.0\n"
    saved = (tmp_path / "g.expr").read_text()
    assert saved == '# data\nX = load("data.csv", "a")\ny = sum(X) # total\noutput y\n'
    assert session(":load folder/f.expr", "y").out == "3.0\n"
    assert session(file="missing.expr").status == 1


def test_values_from_a_file(session, tmp_path):
    (tmp_path / "v.json").write_text("[1, 2, 3]")
    assert session(":set v=@v.json", "v").out == "[1.0, 2.0, 3.0]\n"


def test_a_range_of_a_plot_is_an_option(session):
    assert session(":plot sin(x) --x x=0:6 --order 0").status == 0


def test_a_line_end_inside_brackets_goes_on():
    assert not is_complete("x = (1 +")
    assert not is_complete("def f(x) = {\n x")
    assert is_complete("x = [1, 2]") and is_complete("x = ]") and is_complete("x = ?") and is_complete("")


def test_completions():
    dialogue = Dialogue()
    assert dialogue.answered("softness = 2.0") and dialogue.answered("f = 1")
    complete = dialogue.completions
    assert list(complete("y = 2*soft"))[:2] == ["softness", "softmax"]
    assert list(complete(":gr")) == [":grad", ":graph"]
    assert "--order" in complete(":grad f --or")
    assert list(complete(":none --or")) == []
    assert list(complete("")) == []
    assert last_word(":grad x --wrt=a.b") == "b"


def test_colors_lose_no_character():
    for text in ["variable x = sin(2.5) # deg\n y = 'a'", ":grad x", "x = ?§ 3", "", "def f(x) = {\n"]:
        assert "".join(piece for _, piece in styled(text)) == text
    assert ("class:operation", "sin") in list(styled("sin(x)"))
    assert ("class:keyword", "variable") in list(styled("variable x"))


# ---- on a terminal


class Terminal:
    """A process on a pseudo-terminal, and what it shows."""

    def __init__(self, *arguments: str, env: dict[str, str]) -> None:
        import pty

        self.child, self.descriptor = pty.fork()
        if self.child == 0:
            os.environ.update({"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "80", "LINES": "24", **env})
            os.execv(sys.executable, [sys.executable, "-m", "gradcli", *arguments])
        self.seen = ""

    def type(self, keys: str) -> None:
        self.seen = ""
        os.write(self.descriptor, keys.encode())

    def wait(self, *words: str) -> None:
        """Read until these words are there, one behind the other."""
        end = time.monotonic() + 15
        while not re.search(".*".join(map(re.escape, words)), self.seen, re.DOTALL):
            assert time.monotonic() < end, self.seen
            if select.select([self.descriptor], [], [], 0.2)[0]:
                try:
                    data = os.read(self.descriptor, 65536).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"it has ended: {self.seen}") from None
                if "\x1b[6n" in data:  # where is the cursor?
                    os.write(self.descriptor, b"\x1b[1;1R")
                self.seen += data

    def interrupt(self, *words: str) -> None:
        """Press Ctrl-C until these words follow.

        A signal that comes between two of CPython's looks at the line, behind the one for signals and before the
        one for keys, waits for the next key; no person is that quick.
        """
        self.seen = ""
        for _ in range(15):
            os.write(self.descriptor, b"\x03")
            if select.select([self.descriptor], [], [], 1)[0]:
                break
        self.wait(*words)

    def status(self) -> int:
        """The exit status, once it has ended."""
        with suppress(OSError):
            while select.select([self.descriptor], [], [], 5)[0] and os.read(self.descriptor, 65536):
                pass
        for _ in range(100):
            child, status = os.waitpid(self.child, os.WNOHANG)
            if child:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.1)
        os.kill(self.child, signal.SIGKILL)
        raise AssertionError(f"it has not ended: {self.seen}")


@pytest.fixture
def typed(tmp_path):
    pytest.importorskip("pty")
    started: list[Terminal] = []

    def start(*arguments: str, **env: str) -> Terminal:
        started.append(Terminal(*arguments, env={"XDG_STATE_HOME": str(tmp_path / "state"), **env}))
        return started[-1]

    yield start
    for terminal in started:
        os.close(terminal.descriptor)


ASKS = "\x1b[?2004h"
"""What prompt_toolkit tells a terminal when it begins to read: that pasted text is to be marked."""


def test_a_session_on_a_terminal(typed, tmp_path):
    terminal = typed(TERM="xterm")
    terminal.wait(">>>")
    terminal.type("variable x = 2.0\r")  # perhaps before the library is there
    terminal.wait("2.0", ASKS)
    terminal.type("x^2 + 1\r")
    terminal.wait("5.0", ASKS)
    terminal.type(":hess\t")
    terminal.wait("ian")
    terminal.type(" x^3\r")
    terminal.wait("d2ans/dx/dx", ASKS)
    terminal.type("def f(x) = {\r")
    terminal.wait("...")
    terminal.type("x*7\r}\r")
    terminal.wait(ASKS)
    terminal.type("nonsense")
    terminal.wait("nonsense")
    terminal.interrupt(ASKS)
    terminal.type("f(6)\r")
    terminal.wait("\x1b[?2004l42", ASKS)
    terminal.type("\x1b[A\r")
    terminal.wait("\x1b[?2004l42", ASKS)
    terminal.type("\x04")
    assert terminal.status() == 0
    assert "+x^2 + 1\n" in (tmp_path / "state" / "gradcli" / "history").read_text()


def test_without_prompt_toolkit(typed, tmp_path):
    pytest.importorskip("readline")
    terminal = typed("repl", TERM="dumb")
    terminal.wait(">>> ")
    terminal.type("variable x = 2.0\n")
    terminal.wait(">>> ")
    terminal.type("sum([x,\n")
    terminal.wait("... ")
    terminal.type("1])\n")
    terminal.wait("3.0", ">>> ")
    terminal.type("abandoned")
    terminal.wait("abandoned")
    terminal.interrupt(">>> ")
    terminal.type(":jac\t x\n")
    terminal.wait("dx/dx = 1.0")
    terminal.wait(">>> ")
    terminal.type("\x04")
    assert terminal.status() == 0
    assert "variable x = 2.0" in (tmp_path / "state" / "gradcli" / "history").read_text()


def test_ctrl_c_ends_a_run_and_not_the_session(typed):
    terminal = typed("repl", TERM="dumb")
    terminal.wait(">>> ")
    terminal.type("def step(x) = x + sin(x)*1e-9\n")
    terminal.wait(">>> ")
    terminal.type("iterate(step, 0.5, 100000000)\n")
    time.sleep(1)
    terminal.interrupt("interrupted")
    terminal.type("6*7\n")
    terminal.wait("42")
    terminal.wait(">>> ")
    time.sleep(0.3)
    os.kill(terminal.child, signal.SIGTERM)
    assert terminal.status() == 128 + signal.SIGTERM


def test_without_a_terminal_gradcli_says_what_it_is(gradcli):
    done = gradcli(stdin="")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Usage: gradcli [OPTIONS] COMMAND [ARGS]...\n")
