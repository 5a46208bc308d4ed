"""``gradcli server``: programs in an editor, by the Language Server Protocol."""

from __future__ import annotations

import sys

import click

from gradcli.commands.endings import Command, is_terminal
from gradcli.commands.output import write
from gradcli.diagnostics import GradcliError

EPILOG = """\b
Examples:
  gradcli server --stdio
  gradcli server --grammar > gradcli.tmLanguage.json
  gradcli help editors
"""


@click.command("server", cls=Command, epilog=EPILOG)
@click.option("--stdio", is_flag=True, help="Speak on standard input and output, as is done anyway.")
@click.option("--grammar", is_flag=True, help="Print the TextMate grammar of the language, which colours programs.")
def command(stdio: bool, grammar: bool) -> None:
    """Speak the Language Server Protocol with an editor, on standard input and output.

    The editor shows errors and what lint finds, shapes, values and gradients of the name under the cursor,
    completes and renames names, formats programs and mends what can be mended. It needs pygls, which comes with the extra
    gradcli[editor]; "gradcli help editors" has the settings of editors.
    """
    if grammar:
        from gradcli.language import textmate

        write(textmate.grammar())
        return
    if is_terminal(sys.stdin):
        raise click.UsageError("An editor starts the server and speaks with it: 'gradcli help editors' says how.")
    try:
        from gradcli.features.server.look import serve
    except ImportError as problem:
        if problem.name is None or problem.name.partition(".")[0] not in ("pygls", "lsprotocol", "cattrs", "attrs"):
            raise
        raise GradcliError(
            "DataError", "the server needs pygls, which is not installed", help="pip install 'gradcli[editor]'"
        ) from None
    serve()
