"""The command line itself: help, version, mistakes in options, and how early it ends. None of it needs the engine."""

import os
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from gradcli.commands.main import COMMANDS, cli
from gradcli.commands.options import Bytes, Names, Setting


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help_with_quoted_examples(gradcli, name, flag):
    done = gradcli(name, flag)
    assert done.status == 0
    assert "Examples:" in done.out
    assert f"gradcli {name}" in done.out
    for line in done.out.splitlines():
        if "gradcli" in line and "=" in line and "FILE" not in line:
            assert "'" in line, "what a shell would interpret is quoted"


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_fits_a_terminal_of_80_columns(gradcli, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    lines = gradcli(*filter(None, [name]), "--help").out.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert len(lines) > 10


def test_the_group_has_an_example_of_every_command_and_names_the_operations(gradcli):
    out = gradcli("--help").out
    for name in COMMANDS:
        assert f"\n    gradcli {name} " in out
    assert '"gradcli ops" lists the operations' in " ".join(out.split())
    assert "README" not in out


def test_every_command_is_listed_and_says_what_it_does(gradcli):
    done = gradcli("--help")
    for name, (_, help) in COMMANDS.items():
        assert re.search(rf"{name} +{re.escape(help)}", done.out)
    assert "_GRADCLI_COMPLETE=bash_source" in done.out


def test_every_option_has_help():
    context = cli.make_context("gradcli", [], resilient_parsing=True)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.help, f"{name} {parameter.opts}"


def test_version(gradcli):
    assert re.fullmatch(r"gradcli \S.*\n", gradcli("--version").out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evla"], ["No such command 'evla'", "Did you mean 'eval'?"]),
        (["eval", "--formt", "json"], ["'--formt'", "Did you mean '--format'?"]),
        (["grad", "--oder", "2"], ["'--oder'", "'--order'"]),
        (["eval"], ["There is no program", "-e 'TEXT'"]),
        (["grad"], ["There is no program"]),
        (["eval", "f.expr", "-e", "y = 1"], ["exclude each other"]),
        (["eval", "-", "--values", "-"], ["Only one thing"]),
        (["grad", "f.expr", "--values", "-", "--seeds", "-"], ["Only one thing"]),
        (["grad", "--seeds", "-"], ["There is no program", "taken by an option"]),
        (["eval", "-e", "y = 1", "--output", "y.txt"], [".npz, .json or .csv"]),
        (["eval", "-e", "y = 1", "--output", "y.csv", "--format", "json"], ["contradicts"]),
        (["eval", "-e", "y = 1", "--set", "x"], ["NAME=EXPR"]),
        (["eval", "-e", "y = 1", "--set", "3=4"], ["'3' is not a name"]),
        (["eval", "-e", "y = 1", "--set", "x="], ["no value"]),
        (["eval", "-e", "y = 1", "--of", ","], ["no name"]),
        (["eval", "-e", "y = 1", "--max-memory", "2X"], ["2X"]),
        (["eval", "-e", "y = 1", "--precision", "0"], ["--precision"]),
        (["eval", "-e", "y = 1", "--precision", "101"], ["--precision", "1<=x<=100"]),
        (["check", "-e", "y = 1", "--tolerance", "nan"], ["--tolerance", "not a finite number"]),
        (["check", "-e", "y = 1", "--tolerance", "-1"], ["--tolerance", "x>0"]),
        (["check", "-e", "y = 1", "--directions", "10001"], ["--directions", "1<=x<=10000"]),
        (["grad", "-e", "y = 1", "--order", "2001"], ["--order", "1<=x<=2000"]),
        (["eval", "-e", "y = 1", "--dtype", "float16"], ["float16"]),
        (["grad", "-e", "y = 1", "--order", "0"], ["--order"]),
        (["grad", "-e", "y = 1", "--unconnected", "null"], ["none"]),
    ],
)
def test_usage_errors(gradcli, arguments, words):
    done = gradcli(*arguments)
    assert done.status == 2
    assert done.out == ""
    for word in words:
        assert word in done.err


@pytest.mark.parametrize("program", ["y = 1+2", "variable x\ny: x", "y=" + "1+" * 3000 + "1"])
def test_a_program_in_place_of_a_file(gradcli, program):
    done = gradcli("eval", program)
    assert done.status == 1
    assert "-e 'TEXT' gives a program inline" in done.err
    assert len(done.err) < 200


def test_a_file_in_place_of_a_command(gradcli, tmp_path):
    (tmp_path / "f.expr").write_text("y = 1\n")
    done = gradcli("f.expr")
    assert done.status == 2
    assert "gradcli eval 'f.expr'" in done.err


@pytest.mark.parametrize(
    ("text", "size"),
    [("100", 100), ("2k", 2048), ("1.5M", 3 << 19), ("2G", 2 << 30), ("2GiB", 2 << 30), ("1TB", 1 << 40), ("7B", 7)],
)
def test_amounts_of_memory(text, size):
    assert Bytes().convert(text, None, None) == size


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["eval", "--help"], ["grad", "--help"], ["ops", "--help"]]
)
def test_help_imports_neither_numpy_nor_rich(process, arguments):
    done = process(*arguments, python=("-X", "importtime"))
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "click" in imported
    assert not {"numpy", "rich", "lark"} & imported


def complete(process, words, tmp_path):
    env = {
        "_GRADCLI_COMPLETE": "bash_complete",
        "COMP_WORDS": "gradcli " + words,
        "COMP_CWORD": str(len(words.split(" "))),
    }
    done = process(env=env, python=("-X", "importtime"))
    assert "| numpy\n" not in done.stderr
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_completion(process, tmp_path):
    (tmp_path / "f.expr").write_text("variable w1 = 1 # variable w3\nvariable w2: [2]; h, k = w1 * 2\ny == 1\n")
    assert complete(process, "gr", tmp_path) == ["grad", "graph"]
    assert "--every-order" in complete(process, "grad --ev", tmp_path)
    assert complete(process, "grad f.expr --wrt w", tmp_path) == ["w1", "w2"]
    assert complete(process, "grad f.expr --stop w1,k", tmp_path) == ["w1,k"]
    assert complete(process, "grad f.expr --unconnected z", tmp_path) == ["zero"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    "broken",
    [{}, {"COMP_WORDS": "gradcli gr"}, {"COMP_CWORD": "1"}, {"COMP_WORDS": "gradcli gr", "COMP_CWORD": "x"},
     {"COMP_WORDS": "gradcli 'gr", "COMP_CWORD": "99"}, {"COMP_WORDS": "", "COMP_CWORD": "-7"}],
)  # fmt: skip
def test_completion_in_an_environment_that_no_shell_makes(gradcli, monkeypatch, shell, broken):
    monkeypatch.setenv("_GRADCLI_COMPLETE", f"{shell}_complete")
    for name in ("COMP_WORDS", "COMP_CWORD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in broken.items():
        monkeypatch.setenv(name, value)
    done = gradcli()
    assert done.status == 0 or (done.status, done.err.count("\n")) == (2, 1)
    assert "internal error" not in done.err


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_the_completion_script_of_bash(process):
    assert "complete" in process(env={"_GRADCLI_COMPLETE": "bash_source"}).stdout


def test_help_into_a_closed_pipe_is_quiet(process):
    read, write = os.pipe()
    os.close(read)
    done = process("--help", stdout=write, stderr=subprocess.PIPE, capture_output=False)
    os.close(write)
    assert done.stderr == ""


def test_a_mistake_in_gradcli_is_one_message(gradcli, monkeypatch):
    from gradcli.commands import inputs

    def broken(*_):
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr(inputs.Inputs, "load", broken)
    done = gradcli("eval", "-e", "y = 1")
    assert done.status == 1
    assert done.out == ""
    assert done.err.startswith("internal error: ZeroDivisionError: a b\n")
    assert "Traceback" not in done.err
    monkeypatch.setenv("GRADCLI_DEBUG", "1")
    assert "Traceback" in gradcli("eval", "-e", "y = 1").err


@pytest.mark.parametrize(
    ("failure", "status", "word"),
    [
        (MemoryError(), 1, "LimitError"),
        (RecursionError(), 1, "LimitError"),
        (OSError(5, "Input/output error", "disk"), 1, "disk: Input/output error"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_other_ends(gradcli, monkeypatch, failure, status, word):
    from gradcli.commands import inputs

    def ends(*_):
        raise failure

    monkeypatch.setattr(inputs.Inputs, "load", ends)
    done = gradcli("eval", "-e", "y = 1")
    assert (done.status, done.out) == (status, "")
    assert word in done.err
    assert "Traceback" not in done.err


def test_click_can_call_the_group():
    assert CliRunner().invoke(cli, ["--help"]).exit_code == 0
    assert sys.stdout is not None


SLICED = "variable x = [[2.0, 3.0]]; z = x[:, 0]^3 + x[:, 1]^3; part = x[:, 1]"


def name_options():
    """Every option of every command that takes names or NAME=EXPR, with what to put behind the name."""
    context = click.Context(cli)
    for command in COMMANDS:
        found = cli.get_command(context, command)
        for parameter in found.params:
            if isinstance(parameter, click.Option) and isinstance(parameter.type, (Names, Setting)):
                yield command, parameter.opts[0], "=1.0" * isinstance(parameter.type, Setting)


@pytest.mark.parametrize(("command", "option", "value"), list(name_options()))
def test_a_slice_has_no_name(gradcli, command, option, value):
    for text, advice in [
        ("x[:,1]", "name the slice first, `part = x[:,1]`"), ("x[0,1]", "name the slice first"),
        ("x[-1]", "name the slice first"), ("sum(x,axis=0)", "bind the expression first"), ("x.T", "bind the expression"),
    ]:  # fmt: skip
        done = gradcli(command, "-e", SLICED, option, text + value)
        if not (value and "=" in text):
            assert done.status == 2
            assert f"'{text}' is not a name: " in done.err
            assert advice in done.err


def test_a_list_of_names_is_cut_outside_of_brackets(gradcli):
    assert "'x[:,1]' is not a name" in gradcli("grad", "-e", SLICED, "--wrt", "x,x[:,1]").err
    assert gradcli("grad", "-e", SLICED, "--of", "z", "--wrt", "[xz]*").out == "x = [[12.0, 27.0]]\n"
    assert "put commas between names: `z,x`" in gradcli("eval", "-e", SLICED, "--of", "z x").err
