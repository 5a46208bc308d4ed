"""Files that cannot be read: each command and each option that names one ends with status 1 and one error, JSON if asked."""

import io
import json
import os
import sys

import click
import pytest

from gradcli.commands.main import COMMANDS, cli, run
from gradcli.commands.names import names_in_file
from gradcli.commands.options import INPUT_FILE, OUTPUT_FILE, Setting

PROGRAM = "variable x = 2.0\ny = x^2\n"
NEEDED = {
    "plot": ["--x", "x=0:1"],
    "jvp": ["--tangent", "x=1"],
    "propagate": ["--error", "x=0.1"],
    "export": ["--format", "mlir"],
}
"""What a command needs beside a program."""


def parameters():
    context = cli.make_context("gradcli", [], resilient_parsing=True)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            yield name, parameter


PROGRAMS = [name for name, p in parameters() if p.type is INPUT_FILE and p.param_type_name == "argument"]
FILES = {p.opts[-1]: (name, False) for name, p in parameters() if p.type is INPUT_FILE and p.opts[-1].startswith("--")}
FILES |= {p.opts[0]: (name, True) for name, p in [*parameters()][::-1] if isinstance(p.type, Setting)}
"""The options that name files: the first command that has each, and whether it is of the form NAME=@FILE."""
HAVE_JSON = {
    name
    for name, p in parameters()
    if p.name == "format" and isinstance(p.type, click.Choice) and "json" in p.type.choices
}


def test_no_option_has_click_look_at_a_file():
    paths = [(name, p.name) for name, p in parameters() if isinstance(p.type, (click.Path, click.File))]
    assert paths
    shared = [(name, p.name) for name, p in parameters() if p.type in (INPUT_FILE, OUTPUT_FILE)]
    assert paths == shared
    assert not any(kind.exists or kind.readable for kind in (INPUT_FILE, OUTPUT_FILE))
    assert set(PROGRAMS) == set(COMMANDS) - {"examples", "help", "ops", "server"}


def forbid(monkeypatch, path):
    """Make a file unreadable, for root too."""

    def refused(name, *arguments):
        if os.path.basename(name) == path.name:
            raise PermissionError(13, "Permission denied", name)
        return open(name, *arguments)

    monkeypatch.setattr(os, "access", lambda name, *_, **__: os.path.basename(name) != path.name)
    monkeypatch.setattr("gradcli.data.files.open", refused, raising=False)


def missing(path, monkeypatch):
    pass


def folder(path, monkeypatch):
    path.mkdir()


def forbidden(path, monkeypatch):
    path.write_text(PROGRAM)
    forbid(monkeypatch, path)


def device(path, monkeypatch):
    path.symlink_to("/dev/zero")


def dangling(path, monkeypatch):
    path.symlink_to("nowhere")


def circle(path, monkeypatch):
    path.symlink_to(path.name)


def not_utf8(path, monkeypatch):
    path.write_bytes(b"# \xff\n" + PROGRAM.encode())


FAULTS = {
    missing: "there is no file",
    folder: "is a folder, not a file",
    forbidden: "there is no permission to read",
    device: "is a device, not a file",
    dangling: "it is a link to nowhere",
    circle: "cannot read",
    not_utf8: "not UTF-8 text",
}


def refuses(done, fault, as_json):
    assert (done.status, done.out) == (1, "")
    if as_json:
        error = json.loads(done.err)["error"]
        assert error["kind"] == "DataError"
        assert FAULTS[fault] in error["message"]
    else:
        assert done.err.startswith("error[DataError]: ")
        assert FAULTS[fault] in done.err
        assert done.err.count("error[") == 1


@pytest.mark.skipif(os.name == "nt", reason="needs links and devices")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_cannot_be_read(gradcli, tmp_path, monkeypatch, name, fault):
    fault(tmp_path / "model.expr", monkeypatch)
    form = ["--format", "json"] if name in HAVE_JSON else []
    refuses(gradcli(name, "model.expr", *NEEDED.get(name, []), *form), fault, bool(form))


@pytest.mark.skipif(os.name == "nt", reason="needs links and devices")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("option", FILES)
def test_another_file_that_cannot_be_read(gradcli, tmp_path, monkeypatch, option, fault):
    name, setting = FILES[option]
    (tmp_path / "model.expr").write_text(PROGRAM)
    file = "other.csv" if setting else "other.txt"
    fault(tmp_path / file, monkeypatch)
    form = ["--format", "json"] if name in HAVE_JSON else []
    given = [option, f"{'y' if option == '--seed' else 'x'}=@{file}" if setting else file]
    program = [] if option == "--history" else ["model.expr", *NEEDED.get(name, [])]
    refuses(gradcli(name, *program, *given, *form), fault, bool(form))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_file_without_a_name(gradcli, name):
    done = gradcli(name, "", *NEEDED.get(name, []))
    assert (done.status, done.out) == (1, "")
    assert "the name of the file is empty" in done.err


@pytest.mark.parametrize("option", ["--of", "--wrt", "--stop", "--set"])
def test_options_that_are_not_utf8_are_reported_in_the_form_that_is_asked_for(gradcli, option):
    given = [option, "x=1\udcff" if option == "--set" else "\udcff"]
    for form in (["--format", "json"], ["--format=ndjson"]):
        done = gradcli("grad", "-e", PROGRAM, *given, *form)
        assert (done.status, done.out) == (1, "")
        assert "not UTF-8" in json.loads(done.err)["error"]["message"]
    assert gradcli("grad", "-e", PROGRAM, *given).err.startswith("error[DataError]: ")


class Broken(io.RawIOBase):
    """A stream that fails once it is read."""

    def readable(self):
        return True

    def readinto(self, buffer):
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize(
    "arguments",
    [
        *[[name, "-", *NEEDED.get(name, [])] for name in PROGRAMS],
        ["grad", "-e", PROGRAM, "--values", "-"],
        ["grad", "-e", PROGRAM, "--seeds", "-"],
        ["grad", "-e", PROGRAM, "--points", "-"],
        ["plot", "--history", "-"],
    ],
    ids=lambda a: f"{a[0]} {a[-2].strip('-')}",
)
def test_standard_input_that_breaks_off(monkeypatch, capsys, arguments):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Broken())))
    assert run(arguments) == 1
    done = capsys.readouterr()
    assert done.out == ""
    assert "cannot read <stdin>: Input/output error" in done.err


@pytest.mark.skipif(os.name == "nt", reason="needs devices")
@pytest.mark.parametrize("file", ["/dev/zero", "folder", "missing", "pipe"])
def test_completion_of_names_ignores_what_is_no_file(tmp_path, file):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert names_in_file(str(tmp_path / file)) == []
