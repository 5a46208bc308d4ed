"""click imported without what no command needs: it works as ever, and who needs the rest gets it."""

from __future__ import annotations

import inspect
import subprocess
import sys

import click
import pytest

from gradcli.commands import light

CODE = """\
import sys
before = set(sys.modules)
from gradcli.commands import light
light.import_click()
import click
assert not {"inspect", "uuid", "ast", "platform"} & (set(sys.modules) - before)
found = click.UUID.convert("12345678123456781234567812345678", None, None)
import uuid
assert type(found) is uuid.UUID and found == uuid.UUID("12345678123456781234567812345678")
assert click.decorators.inspect.isfunction(light.import_click)
import inspect
assert inspect is not click.decorators.inspect and str(inspect.signature(light.import_click)) == "() -> 'None'"
assert not hasattr(click.decorators.inspect, "nothing")
"""


def test_the_rest_is_imported_when_it_is_needed():
    done = subprocess.run([sys.executable, "-S", "-c", PATHS + CODE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


PATHS = f"import sys; sys.path[:0] = {sys.path!r}\n"

TEXTS = [
    "",
    "One line.",
    "  One line.  ",
    "First.\n\n    Second,\n      third.\n    ",
    "\n    First.\n\tSecond.\n\n",
    "a\n b\n  c",
]


@pytest.mark.parametrize("text", [*TEXTS, click.Command.__doc__, click.option.__doc__, light.__doc__])
def test_documentation_is_cleaned_as_inspect_does(text):
    assert light._cleandoc(text) == inspect.cleandoc(text)


@pytest.mark.parametrize("command", ["", "grad", "fit", "plot"])
def test_help_is_the_same(process, command_line, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    arguments = [command, "--help"] if command else ["--help"]
    done = process(*arguments)
    assert (done.returncode, done.stdout) == (0, command_line(*arguments).out)
