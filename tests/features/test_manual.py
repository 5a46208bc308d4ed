"""The manual and the samples that are installed: what `help` and `examples` print, page and copy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gradcli.commands.main import COMMANDS
from gradcli.features.examples import answer as samples
from gradcli.features.help import answer as manual
from gradcli.report import markdown
from gradcli.report.tables import Screen

ROOT = Path(__file__).parents[2]


def test_without_a_name_help_lists_commands_and_topics(gradcli):
    done = gradcli("help")
    assert done.status == 0
    listed = re.findall(r"^  (\w+)  ", done.out, re.MULTILINE)
    assert listed == [*COMMANDS, *manual.topics()]
    assert "None, zero, and where gradients stop" in done.out


@pytest.mark.parametrize("topic", [name for name in manual.topics() if name not in COMMANDS])
def test_a_page_in_a_pipe_is_its_markdown(gradcli, topic):
    assert gradcli("help", topic).out == manual.page(topic)


@pytest.mark.parametrize("name", ["eval", "fit"])
def test_help_of_a_command_has_its_options(gradcli, name):
    brief, whole = gradcli(name, "--help").out, gradcli("help", name).out
    assert brief.count("\n") < 60 < whole.count("\n")
    for options in (brief, whole):
        assert "--set NAME=EXPR|@FILE" in options and "--output FILE" in options
    assert f'"gradcli help {name}" says all.' in brief
    assert "FILE.npz:KEY" in whole and "FILE.npz:KEY" not in brief


def test_help_of_an_operation_is_that_of_ops(gradcli):
    assert gradcli("help", "softplus").out == gradcli("ops", "softplus").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["help", "nune"], "Did you mean 'none'?"),
        (["help", "../none"], "There is no command, topic or operation"),
        (["help", "detach"], "Pages that speak of it: `gradcli help pytorch`"),
        (["help", "\\\\\\"], "`gradcli help` lists them"),
        (["examples", "logistic"], "Samples that speak of it: exam_classifier, logistic_regression"),
        (["help", ""], "There is no command, topic or operation"),
        (["help", "none", "--man"], "--man prints the whole manual"),
        (["examples", "rosenbork"], "Did you mean 'rosenbrock'?"),
        (["examples", "--copy", ""], "--copy needs a folder"),
        (["examples", "../../secret"], "There is no sample"),
    ],
)
def test_what_is_not_there(gradcli, arguments, words):
    done = gradcli(*arguments)
    assert (done.status, done.out) == (2, "")
    assert words in done.err


def test_a_terminal_gets_a_rendered_page(terminal):
    shown = terminal("help", "errors", env={"LINES": "1000", "NO_COLOR": "1"})
    assert "```" not in shown and "SyntaxError" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_a_long_page_goes_through_the_pager(terminal):
    shown = terminal("help", "errors", env={"LINES": "10", "PAGER": "sed 's/^/paged: /'"})
    assert "paged: " in shown


def test_rendered_pages_say_all_words():
    page = "# A title\n\nText with `code -x` and **weight**.\n\n- one\n- two\n\n```console\n$ gradcli help\n```\n"
    words = {"A title", "code -x", "weight", "one", "two", "$ gradcli help"}
    colored = markdown.render(page, Screen(80, color=True))
    assert "\x1b[" in colored
    assert all(word in re.sub(r"\x1b\[[\d;]*m", "", colored) for word in words)
    assert "\x1b" not in markdown.render(page, Screen(80))


def test_the_man_page(gradcli):
    text = gradcli("help", "--man").out
    assert text.startswith(".TH GRADCLI 1 ")
    assert all(f"\n.SS {name}\n" in text for name in COMMANDS)
    assert text.isascii()
    assert not [line for line in text.splitlines() if line.startswith("'")]


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_groff_has_nothing_to_say_about_the_man_page(gradcli):
    text = gradcli("help", "--man").out
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-rLL=100n"], input=text, check=True, capture_output=True, text=True
    )
    assert done.stderr == ""
    shown = re.sub(r".\x08|\x1b\[[\d;]*m", "", done.stdout)
    assert "$ gradcli grad -e 'variable x = 2.0; variable k = 1.0; y = 0*x'" in shown
    assert "--unconnected [none|zero|error]" in shown
    assert not re.search(r"^ *\.(?:SS|nf|fi|PP)", shown, re.MULTILINE)


def test_examples_are_listed_with_what_they_show(gradcli):
    out = gradcli("examples").out
    assert "rosenbrock" in out and "loops/garch" in out
    assert "Rosenbrock's function" in " ".join(out.split())
    assert all(sample.about() and sample.commands() for sample in samples.samples().values())


@pytest.mark.parametrize("name", ["rosenbrock", "loops/garch", "garch", "samples/rosenbrock.expr"])
def test_a_sample_is_printed(gradcli, name):
    (path,) = (ROOT / "samples").rglob(name.removeprefix("samples/").removesuffix(".expr").rpartition("/")[2] + ".expr")
    assert gradcli("examples", name).out == path.read_text(encoding="utf-8")


def test_all_samples_are_copied_without_what_tests_need(gradcli, tmp_path):
    done = gradcli("examples", "--copy", "new folder")
    assert done.status == 0
    copied = {
        path.relative_to(tmp_path / "new folder" / "samples") for path in Path("new folder").resolve().rglob("*.*")
    }
    assert {Path("rosenbrock.expr"), Path("data/decay.csv"), Path("loops/data/returns.csv")} <= copied
    assert not [path for path in copied if path.suffix in (".out", ".svg")]
    assert gradcli("examples", "--copy", "new folder").err.startswith("0 of ")


@pytest.mark.parametrize("name", samples.samples())
def test_what_a_copied_sample_reads_is_copied_with_it(name):
    sample = samples.samples()[name]
    found = samples.needed(sample, samples.files())
    assert sample.path in found
    folder = os.path.dirname(sample.path)
    for path in re.findall(r'load\("([^"]+)"', sample.text):
        assert os.path.join(folder, path) in found
    for path in re.findall(r"samples/(\S+\.(?:expr|csv|json))", "\n".join(sample.commands())):
        assert path in found


def test_the_commands_of_a_copied_sample_run(gradcli):
    gradcli("examples", "early", "--copy", ".")
    assert {path.name for path in Path("samples").iterdir()} == {"early.expr", "late.expr"}
    assert gradcli("grad", "samples/early.expr").status == 0


def test_a_changed_sample_is_kept(gradcli):
    Path("samples").mkdir()
    Path("samples/early.expr").write_text("mine")
    done = gradcli("examples", "early", "--copy", ".")
    assert done.status == 1
    assert "exists and is another file" in done.err
    assert Path("samples/early.expr").read_text() == "mine"
    assert not Path("samples/late.expr").exists()


def test_a_folder_that_cannot_be_made(gradcli):
    Path("file").write_text("")
    done = gradcli("examples", "early", "--copy", "file")
    assert done.status == 1 and "cannot make the folder" in done.err
