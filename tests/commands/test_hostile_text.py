"""Hostile text wherever a user may write any: each target's own parser reads what is written, and no terminal obeys it."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import re
import sys
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import gradcli
from gradcli.commands.main import COMMANDS, run
from gradcli.report.quoting import visible
from tests.features.flowcharts import read_dot, read_mermaid
from tests.features.test_latex import check as check_latex
from tests.features.test_numpy_module import gradient_of

PIECES = [
    '"""', "'''", '"', "'", "\\", "\\n", "\\N{x}", "{", "}", "{0}", "%", "%s", "%%{init: {}}%%", "$", "$x$", "^", "_", "~", "&",
    "&amp;", "#", ";", "#35;", "<b>", "</svg>", "]]>", "<!--", "-->", "--", "//", "/*", "*/", "`", "|", ",", "=", ":", "@", "end",
    "[bold]", "[/bold]", "[link=x]", "IMPORTS", "NAME", "np.", 'open("MADE", "w")', "\\end{align*}", "\\input{x}", "import os",
    "output x", " ", "\t", "\n", "\r", "\r\n", "\x00", "\x07", "\x1b", "\x1b[35m", "\x1b]0;title\x07", "\x1b[2J", "\x7f", "\x85",
    "\x9b35m", "\xa0", "\xad", "\u200b", "\u200e", "\u202a", "\u202e", "\u2066", "\u2028", "\u2029", "\ufeff", "\ufffe", "\U000e0041",
    "é", "ﬁ", "∑", "日本", "🙂", "x\u0301", "עב",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), min_size=1, max_size=6).map("".join)
NAMES = st.sampled_from(
    ["x", "np", "numpy", "math", "gradient", "print", "range", "len", "_", "__", "_1", "_x", "x_", "l", "λ", "é_1", "日本", "ﬁ",
     "ｌambda", "ｉmport", "t1", "nodes", "subgraph", "call", "click", "label", "strict", "digraph", "self", "None_", "alpha_beta_2"]
)  # fmt: skip
STYLED = re.compile("\x1b\\[(?!35m)[0-9;]*m")
"""The styles of gradcli, of which magenta, the one among the pieces, is none."""


def comment(text: str) -> str:
    """As much of a text as a comment may hold."""
    return "".join(c for c in text if c == "\t" or c >= " " and c != "\x7f").encode("utf-8", "replace").decode()


def file_name(text: str) -> str:
    """As much of a text as the name of a file may hold."""
    return text.replace("/", "").replace("\0", "").encode("utf-8", "replace").decode()[:40]


class Stream(io.TextIOWrapper):
    def __init__(self, terminal: bool = False, content: bytes = b"") -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8", write_through=True)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def written(self) -> str:
        self.flush()
        found: bytes = self.buffer.getvalue()  # type: ignore[attr-defined]
        return found.decode()


class Done(NamedTuple):
    status: int
    out: str
    err: str


@contextmanager
def standing_in(folder: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def call(
    folder: Path, *arguments: str, terminal: bool = False, stdin: bytes | None = None, harmless: bool = True
) -> Done:
    """A command line in a folder: with pipes, or on a terminal that shows colors."""
    streams = Stream(terminal), Stream(terminal and arguments[0] != "fit")  # whose bar moves the cursor
    with standing_in(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", Stream(stdin is None, stdin or b""))
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        patch.setenv("COLUMNS", "100")
        patch.setenv("TERM", "xterm")
        patch.delenv("NO_COLOR", raising=False)
        status = run(arguments)
    done = Done(status, *[stream.written() for stream in streams])
    assert status in (0, 1, 2) and "internal error" not in done.err, done
    for text in done[1:] if harmless else ():
        assert_harmless(text, terminal)
    return done


def assert_harmless(text: str, terminal: bool) -> None:
    """Nothing that a terminal obeys, but for ends of lines and, on one, the styles of gradcli."""
    left = STYLED.sub("", text) if terminal else text
    obeyed = {c for c in left if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert not obeyed, (obeyed, text)


PROGRAM = """\
variable {name} = 2.0  # {comment}
variable w_ = [1.0, 2.0]
cut_ = stop_gradient({name} # {comment}
)
low_ = floor({name} # {comment}
    )
g_ = log(1 + exp( # {comment}
  w_))
y_ = sum(w_*g_*cut_ # {comment}
) + w_[0]*low_*{name} + sqrt(w_[1])
"""


def program_of(name: str, text: str) -> str:
    """A program in which a text stands in comments, inside expressions and behind them."""
    return PROGRAM.format(name=name, comment=comment(text))


def records(text: str) -> list[object]:
    return [json.loads(line) for line in text.splitlines()]


def one_record(text: str) -> object:
    return json.loads(text)


def rows(text: str) -> list[list[str]]:
    found = list(csv.reader(io.StringIO(text), strict=True))
    assert len({len(row) for row in found}) == 1, text
    return found


def a_program(text: str) -> gradcli.Program:
    return gradcli.loads(text)


def assignments(text: str) -> None:
    for line in text.splitlines():
        assert re.fullmatch(r"\w+ = \S.*", line), line


def dot(text: str) -> None:
    assert len(read_dot(text).nodes) > 5, text


def latex(text: str) -> None:
    check_latex(text)


def two_latex(text: str) -> None:
    for part in text.split("\\begin{align*}")[1:]:
        check_latex("\\begin{align*}" + part)


def module(text: str) -> None:
    gradient_of(text)()


def jax_module(text: str) -> None:
    docstring, *statements = ast.parse(text).body
    assert isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant)
    assert all(
        isinstance(s, (ast.Import, ast.FunctionDef)) or "jax_enable_x64" in ast.unparse(s) for s in statements
    ), text


def c_file(text: str) -> None:
    """The comment ends where it should, and all else is made of C's own signs."""
    comment, end, rest = text.partition("*/")
    assert end and "/*" not in comment[2:] and "*/" not in rest and "/*" not in rest, text
    assert re.fullmatch(r"[\w\s#<>.{}()\[\],;=+*/?:!&|-]*", rest, re.ASCII), text


def people(text: str) -> None:
    assert text.strip()


WRITERS: dict[str, tuple[list[str], Callable[[str], object]]] = {
    "derive expr": (["derive"], a_program),
    "derive latex": (["derive", "--format", "latex"], latex),
    "derive python": (["derive", "--format", "python"], module),
    "derive python values": (["derive", "--format", "python", "--order", "0"], module),
    "derive c": (["derive", "--format", "c"], c_file),
    "derive jax": (["derive", "--format", "jax"], jax_module),
    "derive jacobian": (["derive", "--jacobian", "--format", "python"], module),
    "derive hessian": (["derive", "--hessian"], a_program),
    "derive taylor": (["derive", "--taylor", "1", "--wrt", "w_", "--name-parts", "3", "--format", "latex"], latex),
    "derive steps": (["derive", "--steps"], people),
    "derive steps latex": (["derive", "--steps", "--format", "latex"], two_latex),
    "graph dot": (["graph", "--format", "dot", "--depth", "2"], dot),
    "graph mermaid": (["graph", "--format", "mermaid"], read_mermaid),
    "graph mermaid few": (["graph", "--format", "mermaid", "--most", "2"], read_mermaid),
    "graph json": (["graph", "--format", "json"], one_record),
    "graph tree": (["graph"], people),
    "eval plain": (["eval"], assignments),
    "eval csv": (["eval", "--format", "csv"], rows),
    "eval profile": (["eval", "--profile", "--format", "table"], people),
    "eval profile json": (["eval", "--profile", "--format", "json"], one_record),
    "eval trace": (["eval", "--trace", "--set", "w_=[1, -2]"], str),
    "eval trace json": (["eval", "--trace", "--format", "json", "--set", "w_=[1, -2]"], str),
    "eval kinks": (["eval", "--kinks"], assignments),
    "grad json": (["grad", "--format", "json"], one_record),
    "grad ndjson": (["grad", "--format", "ndjson"], records),
    "grad table": (["grad", "--format", "table"], people),
    "grad csv": (["grad", "--format", "csv", "--every-order", "--order", "2"], rows),
    "jacobian csv": (["jacobian", "--format", "csv"], rows),
    "jacobian json": (["jacobian", "--format", "json"], one_record),
    "jacobian sparsity": (["jacobian", "--sparsity"], people),
    "hessian ndjson": (["hessian", "--format", "ndjson"], records),
    "hessian table": (["hessian", "--format", "table"], people),
    "jvp json": (["jvp", "--tangent", "w_=[1, 0]", "--format", "json"], one_record),
    "explain plain": (["explain", "--format", "plain"], people),
    "explain json": (["explain", "--format", "json"], one_record),
    "lint text": (["lint"], people),
    "lint json": (["lint", "--format", "json"], one_record),
    "check": (["check"], people),
    "check json": (["check", "--format", "json"], one_record),
    "fit plain": (
        ["fit", "--steps", "1", "--over", "w_"],
        lambda out: assignments(out.removesuffix("# not converged: all steps done\n")),
    ),
    "fit expr": (["fit", "--steps", "1", "--over", "w_", "--format", "expr"], a_program),
    "propagate": (["propagate", "--error", "w_=0.1"], lambda out: assignments(out.partition("# uncertainties\n")[0])),
    "propagate table": (["propagate", "--error", "w_=0.1", "--format", "table"], people),
    "propagate json": (["propagate", "--error", "w_=0.1", "--format", "json"], one_record),
    "propagate ndjson": (["propagate", "--error", "w_=0.1", "--format", "ndjson"], records),
    "propagate csv": (["propagate", "--error", "w_=0.1", "--format", "csv"], rows),
    "lint --fix": (["lint", "--fix"], str),
    "format --diff": (["format", "--diff"], str),
}
SLOW = {"graph dot", "check", "check json"}
OWN = {"examples", "export", "help", "ops", "plot", "repl", "server"}
"""Commands with tests of their own."""


def each(examples: int, check: Callable[[str, str], None]) -> None:
    """Call a check with names and texts. What fails is small: it is not made smaller, which would take long."""
    strategies = settings(max_examples=examples, deadline=None, derandomize=True, phases=[Phase.generate])
    strategies(given(NAMES, TEXTS)(check))()


def test_each_command_is_tried() -> None:
    assert {arguments[0] for arguments, _ in WRITERS.values()} | OWN == set(COMMANDS)


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
def test_each_writer_quotes_for_its_target(writer: str, tmp_path: Path) -> None:
    arguments, read = WRITERS[writer]

    def check(name: str, text: str) -> None:
        path = file_name(text) + ".expr"
        (tmp_path / path).write_text(program_of(name, text), encoding="utf-8")
        done = call(tmp_path, *arguments, "--", path, harmless="expr" not in arguments)
        assert done.status == 0 or "lint" in arguments or "--trace" in arguments, done
        if "--trace" not in arguments or done.out:
            read(done.out)
        call(tmp_path, *arguments, "--", path, terminal=True)
        assert os.listdir(tmp_path) == [path], "text made a file"
        (tmp_path / path).unlink()

    each(1 if writer in SLOW else 4, check)


@pytest.mark.parametrize("arguments", [["fit", "--steps", "1", "--format", "expr"], ["lint", "--fix"], ["format", "-"]])
def test_a_program_arrives_in_a_pipe_as_it_is_and_is_harmless_on_a_terminal(
    arguments: list[str], tmp_path: Path
) -> None:
    program = "variable x = 0.0  # \x9b35m\u202e\ny = x^2  # \u2028\n"
    done = call(tmp_path, *arguments, stdin=program.encode(), harmless=False)
    assert done.out == program
    assert "\ufffd35m\ufffd" in call(tmp_path, *arguments, stdin=program.encode(), terminal=True).out


OPTIONS = [
    ["eval", "{}"], ["eval", "-e", "{}"], ["eval", "--{}"], ["{}"], ["eval", "p.expr", "--of", "{}"], ["eval", "p.expr", "--set", "{}"],
    ["eval", "p.expr", "--set", "x={}"], ["eval", "p.expr", "--set", "x=@{}.npy"], ["eval", "p.expr", "--set", "x=@{}.csv:{}"],
    ["eval", "p.expr", "--values", "{}"], ["eval", "p.expr", "--format", "{}"], ["eval", "p.expr", "--output", "{}"],
    ["eval", "p.expr", "--output", "no/{}.json"], ["eval", "p.expr", "--max-memory", "{}"], ["eval", "p.expr", "--dtype", "{}"],
    ["eval", "p.expr", "--points", "{}"], ["eval", "p.expr", "--precision", "{}"], ["eval", "p.expr", "{}"], ["grad", "p.expr", "--wrt", "{}"],
    ["grad", "p.expr", "--seed", "{}"], ["grad", "p.expr", "--stop", "{}"], ["grad", "p.expr", "--seeds", "{}"], ["grad", "p.expr", "--order", "{}"],
    ["jvp", "p.expr", "--tangent", "{}"], ["plot", "p.expr", "--x", "{}"], ["plot", "p.expr", "--x", "x=0:1", "--output", "{}"],
    ["plot", "p.expr", "--x", "x=0:1", "--order", "{}"], ["plot", "--history", "{}"], ["plot", "p.expr", "--x", "x=0:1", "--data", "{}"],
    ["fit", "p.expr", "--lr", "{}"], ["fit", "p.expr", "--until", "{}"], ["fit", "p.expr", "--bounds", "{}"], ["fit", "p.expr", "--over", "{}"],
    ["fit", "p.expr", "--minimize", "{}"], ["fit", "p.expr", "--method", "{}"], ["fit", "p.expr", "--resume", "{}"],
    ["fit", "p.expr", "--history", "no/{}"], ["graph", "p.expr", "--of", "{}"], ["graph", "p.expr", "--gradient", "{}"],
    ["explain", "p.expr", "--wrt", "{}"], ["check", "p.expr", "--of", "{}"], ["lint", "{}"], ["lint", "-e", "{}"], ["ops", "{}"], ["derive", "p.expr", "--wrt", "{}"],
]  # fmt: skip


def test_what_an_option_is_given_is_quoted_where_it_is_wrong(tmp_path: Path) -> None:
    """In messages, also in those for machines, and on a terminal."""
    (tmp_path / "p.expr").write_text("variable x = 2.0; y = x^2")

    @st.composite
    def command_lines(draw: st.DrawFn) -> list[str]:
        words, text = draw(st.sampled_from(OPTIONS)), draw(TEXTS).replace("\0", "")
        as_json = (
            draw(st.booleans()) and words[0] in ("eval", "grad", "explain", "check", "lint") and "--format" not in words
        )
        return [word.replace("{}", text) for word in words] + ["--format", "json"] * as_json

    @settings(max_examples=120, deadline=None, derandomize=True, phases=[Phase.generate])
    @given(command_lines(), st.booleans())
    def check(arguments: list[str], terminal: bool) -> None:
        done = call(tmp_path, *arguments, terminal=terminal)
        if done.err.startswith("{"):
            json.loads(done.err)

    check()


WRONG = ["y = {}\n", "x = 1.0 {}\n", 'y = "{}"\n', "y = f({})\n", "variable {} = 1.0\n", "dtype {}\n", "y = [1, {}\n2)\n", 'y = load("{}")\n',
         'y = load("d.csv", "{}")\n', 'y = einsum("{}", [1.0], [2.0])\n', "output {}\n", "y = x.{}(1)\n"]  # fmt: skip


def test_a_source_line_is_quoted_in_an_error(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a,b\n1,2\n")

    @settings(max_examples=80, deadline=None, derandomize=True, phases=[Phase.generate])
    @given(st.sampled_from(WRONG), TEXTS, st.booleans())
    def check(program: str, text: str, terminal: bool) -> None:
        source = program.replace("{}", text).encode("utf-8", "replace")
        call(tmp_path, "eval", "-", stdin=source, terminal=terminal)
        done = call(tmp_path, "eval", "-", "--format", "json", stdin=source)
        if done.status == 1:
            assert json.loads(done.err)["error"]["message"]

    check()


def test_columns_and_keys_of_data_are_quoted(tmp_path: Path) -> None:
    """In CSV headers, JSON, histories, rows of --points and checkpoints."""
    program = "variable x = 2.0; constant d = 1.0; y = x^2*d"

    def check(name: str, text: str) -> None:
        header = io.StringIO()
        csv.writer(header).writerows([[text, "b"], ["1", text]])
        table = header.getvalue().encode("utf-8", "replace")
        (tmp_path / "d.csv").write_bytes(table)
        (tmp_path / "v.json").write_text(json.dumps({text: 1.0, "x": text}))
        (tmp_path / "h.ndjson").write_text(json.dumps({"step": 0, text: 1.0}) + "\n")
        np.savez(tmp_path / "k.npz", **{text.replace("/", "") or "k": np.ones(2)})
        for terminal in (False, True):
            for options in (
                ["--set", "d=@d.csv"], ["--set", "d=@d.csv:c"], ["--values", "v.json"], ["--values", "d.csv"], ["--points", "v.json"],
                ["--points", "d.csv"], ["--points", "d.csv", "--skip-bad"], ["--values", "k.npz"], ["--set", "d=@k.npz:j"],
            ):  # fmt: skip
                call(tmp_path, "eval", "-e", program, *options, terminal=terminal)
            call(tmp_path, "plot", "--history", "h.ndjson", terminal=terminal)
            call(tmp_path, "fit", "-e", program, "--resume", "k.npz", terminal=terminal)

    each(3, check)


def test_labels_of_plots(tmp_path: Path) -> None:
    """In a terminal and in SVG, which has each text as it is, a dollar and an underscore in front included."""

    def check(name: str, text: str) -> None:
        name = unicodedata.normalize("NFKC", name)
        path = file_name(text) + ".expr"
        program = f"variable {name} = 1.0\ny_ = {name}^2\nz_ = 2*{name}\noutput y_, z_\n"
        (tmp_path / path).write_text(program, encoding="utf-8")
        key = text.strip() or "loss"
        history = json.dumps({"step": 0, key: 1.0, "_b": 2.0}) + "\n" + json.dumps({"step": 1, key: 2.0, "_b": 3.0})
        drawn = ["plot", "--x", f"{name}=0:1", "--samples", "5", "--order", "0"]
        assert call(tmp_path, *drawn, "--", path).status == 0
        assert call(tmp_path, *drawn, "--output", "p.svg", "--", path).status == 0
        texts = texts_of(tmp_path / "p.svg")
        assert {name, "y_", "z_", " ".join(visible(path).split())} <= texts
        keys = [] if "," in key else [key]
        picture = ["plot", "--history", "-", "--of", ",".join([*keys, "_b"]), "--output", "h.svg"]
        if call(tmp_path, *picture, stdin=history.encode()).status == 0:
            shown = {"_b", *(" ".join(visible(key).split()) for key in keys)}
            assert shown <= texts_of(tmp_path / "h.svg")
        (tmp_path / path).unlink()

    each(2, check)


def texts_of(path: Path) -> set[str]:
    root = ElementTree.fromstring(path.read_bytes())
    return {re.sub(r"\s+", " ", "".join(e.itertext())).strip() for e in root.iter("{http://www.w3.org/2000/svg}text")}
